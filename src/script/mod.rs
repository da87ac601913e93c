//! Rhai, and everything that makes its values and functions fit for tasks.
//!
//! ```text
//!   text ─ source ─► Rhai's parser ─► AST ─► run (main task) / tasks (others)
//!                                       │
//!   api/CONCEPT.rs: one call each ──► sync, exec        values cross by parcel::detach only
//!                                       │
//!   throw (errors going up) ─► caught (the map a script sees) ─► failure (kept for whoever asks) ─► report (for people)
//! ```

pub mod api;
pub mod arguments;
pub mod barrier;
pub mod batch;
pub mod broker;
pub mod callbacks;
pub mod calls;
pub mod capture;
pub mod caught;
pub mod chunks;
mod command;
pub mod command_line;
mod command_parts;
pub mod completeness;
pub mod constants;
pub mod crossing;
pub mod decode;
pub mod direct;
pub mod done;
pub mod done_calls;
pub mod encode;
pub mod engine;
pub mod entry;
pub mod errand;
pub mod failure;
pub mod far;
pub mod first;
pub mod flights;
pub mod function;
pub mod futures_of_both;
pub mod gather;
mod handler;
pub mod handles;
pub mod host;
pub mod identity;
pub mod iterate;
pub mod jobs;
pub mod json;
pub mod lending;
pub mod local;
pub mod luggage;
pub mod mismatch;
pub mod modules;
pub mod number;
pub mod parcel;
mod parts;
pub mod paths;
pub mod patterns;
pub mod permits;
mod plain;
pub mod process;
mod process_pools;
pub mod progress;
pub mod reference;
pub mod remote;
pub mod report;
pub mod requests;
pub mod run;
pub mod rwside;
pub mod series;
pub mod shared;
pub mod source;
pub mod statements;
pub mod style;
pub mod tasks;
pub mod team;
pub mod throw;
pub mod tokens;

pub use host::{Host, Nobody, Origin, Output};

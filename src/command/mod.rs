//! External commands: run them, pipe them, talk to them, and never leave one behind.
//!
//! ```text
//!   Spec (what to run) ── Child::start ──► launch: duct starts each stage, one process group, one mark in the environment
//!                                             │
//!   Child: waits, lines, input ◄── pidfds, pipes, polled by the task that waits (kernel::readiness)
//!     │ timeout, terminate, the end of the program
//!     ▼
//!   Tree: everything it started, TERM ── grace ──► KILL until nobody is left
//!
//!   guard: a small process that does the same when orch itself is killed
//! ```

pub mod batch;
pub mod call;
pub mod child;
pub mod completed;
mod ending;
pub mod environment;
pub mod exec;
pub mod fault;
pub mod guard;
pub mod helper;
pub mod launch;
pub mod leader;
pub mod mock;
pub mod pause;
pub mod processes;
pub mod pty;
pub mod quote;
pub mod relay;
pub mod running;
pub mod search;
pub mod signal;
pub mod spec;
pub mod store;
pub mod stream;
pub mod terminal;
pub mod tree;
pub mod waits;

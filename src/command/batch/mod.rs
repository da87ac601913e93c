//! Many commands: what to run, in which order, when to stop, what to write down.
//!
//! ```text
//!   lists ─► combine ─► template ─► jobs ─► admission ─► run ─► arrange ─► the terminal
//!                                     ▲                   │ ├──► joblog
//!                           resume (joblog)               │ └──► halt, retry
//!                                                         └────► summary
//! ```
//!
//! All but `run` are plain state machines: they start nothing and wait for nothing.

pub mod admission;
pub mod arrange;
pub mod combine;
pub mod context;
pub mod halt;
pub mod job;
pub mod joblog;
pub mod launcher;
pub mod results;
pub mod retry;
pub mod run;
pub mod settings;
pub mod slots;
pub mod summary;
pub mod template;
pub mod verdict;
pub mod watch;

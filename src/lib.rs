//! orch: scripts that orchestrate threads, processes and external commands.
//!
//! The rooms, low to high; each uses only those before it: [`kernel`] (tasks and the one door at which they wait),
//! [`sync`] (primitives), [`exec`] (threads and pools), [`command`], [`worker`] (processes), [`io`] (files), [`signals`], [`script`] (Rhai), [`observe`], [`repl`], [`cli`].

pub mod cli;
pub mod command;
pub mod exec;
pub mod io;
pub mod kernel;
pub mod observe;
pub mod repl;
pub mod script;
pub mod signals;
pub mod sync;
pub mod worker;

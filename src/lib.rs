//! orch: scripts that orchestrate threads, processes and external commands.
pub mod exec;
pub mod kernel;
pub mod sync;

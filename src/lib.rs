//! orch: scripts that orchestrate threads, processes and external commands.
pub mod kernel;
pub mod sync;

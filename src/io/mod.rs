//! What lies outside of the program and is reached by calls that block: files, and sums of what they hold.
//!
//! ```text
//!   script ──► whole (all of a file at once) ──► file (open ones) ──► opening
//!              folders (entries: list, copy, move, remove)  watch (what happens to them)  pattern (glob)
//!              temporary (removed at the end)               digest (sums)  input (what is typed)
//! ```

pub mod digest;
pub mod fault;
pub mod file;
pub mod folders;
pub mod input;
pub mod opening;
pub mod pattern;
pub mod temporary;
pub mod watch;
pub mod whole;

//! What lies outside of the program and is reached by calls that block: files, HTTP, databases, and what comes from there.
//!
//! ```text
//!   script ──► whole (all of a file at once) ──► file (open ones) ──► opening
//!              folders (entries: list, copy, move, remove)  watch (what happens to them)  pattern (glob)
//!              temporary (removed at the end)               digest (sums)  input (what is typed)
//!              http (asking servers)  sqlite (databases)    html (what is in a page) ──► blocking (calls beside the task)
//! ```
//!
//! The room knows nothing of Rhai. What a build leaves out (see `[features]` in `Cargo.toml`) has a stand-in in [`absent`].

#[cfg(not(feature = "sqlite"))]
pub mod absent;
#[cfg(any(feature = "html", feature = "http", feature = "sqlite"))]
pub mod blocking;
pub mod digest;
pub mod fault;
pub mod file;
pub mod folders;
#[cfg(feature = "html")]
pub mod html;
#[cfg(feature = "http")]
pub mod http;
pub mod input;
pub mod opening;
pub mod pattern;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod temporary;
pub mod watch;
pub mod whole;

#[cfg(not(feature = "sqlite"))]
pub use absent::Database;
#[cfg(feature = "sqlite")]
pub use sqlite::Database;

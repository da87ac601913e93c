//! What lies outside of the program and is reached by calls that block: files, HTTP, databases, and what comes from there.
//!
//! Each call runs beside the task that wants it ([`blocking`]), which waits at the door as for anything else. The room knows
//! nothing of Rhai. What a build leaves out (see `[features]` in `Cargo.toml`) has a stand-in in [`absent`].

#[cfg(not(feature = "sqlite"))]
pub mod absent;
#[cfg(any(feature = "http", feature = "sqlite"))]
pub mod blocking;
pub mod digest;
#[cfg(feature = "html")]
pub mod html;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(not(feature = "sqlite"))]
pub use absent::Database;
#[cfg(feature = "sqlite")]
pub use sqlite::Database;

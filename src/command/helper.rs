//! Where orch's own program is, for the helpers it starts: the guard, and what prepares a terminal.

use std::path::PathBuf;
use std::sync::OnceLock;

static PATH: OnceLock<PathBuf> = OnceLock::new();

/// Says where the program is. Only `main` knows: in a program that embeds this library, the running program is another.
pub fn set_path(path: PathBuf) {
    // The first word counts.
    let _already_set = PATH.set(path);
}

/// Where the program is; `None` in a program that embeds this library.
pub fn path() -> Option<PathBuf> {
    PATH.get().cloned()
}

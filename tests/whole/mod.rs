//! What the tests of the whole program share: running it, with an end in any case, and comparing all that it said.

#![expect(dead_code, reason = "every test file uses a part of it")]

pub mod family;
pub mod golden;
pub mod live;
pub mod program;
pub mod pty;

use std::path::{Path, PathBuf};

/// The top of the package.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How often something is done: what this variable of the environment says.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// The files of a folder of the package that end in `.EXTENSION`, sorted by name.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = top().join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

/// The name of a file without its extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

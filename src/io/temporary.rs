//! Files and folders that are removed at the end of the program, however it ends; after `kill -9` they stay.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::fault::FileFault;
use crate::command::environment;
use crate::kernel::with_current;

/// What is there now, by its path from the root.
static LEFT: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());

/// Letters and digits that nobody guesses; repeatable in simulated time.
pub fn random_name() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    with_current(|task| {
        task.kernel().chance(|chance| (0..10).map(|_| char::from(LETTERS[chance.usize(..LETTERS.len())])).collect())
    })
}

/// Something that is removed when this is dropped, or at the end of the program.
pub struct Leftover(PathBuf);

impl Leftover {
    /// A file that was made.
    pub fn file(path: PathBuf) -> Leftover {
        note(&path, false);
        Leftover(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It is to stay.
    pub fn forget(self) {
        unnote(&self.0);
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if unnote(&self.0) {
            // Where it is gone already, that is what is wanted.
            let _gone = fs::remove_file(&self.0);
        }
    }
}

fn full(path: &Path) -> PathBuf {
    // It has to be found at the end, wherever the script has gone meanwhile.
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

fn note(path: &Path, is_folder: bool) {
    LEFT.lock().push((full(path), is_folder));
}

fn unnote(path: &Path) -> bool {
    let path = full(path);
    let mut left = LEFT.lock();
    let before = left.len();
    left.retain(|(noted, _)| *noted != path);
    left.len() < before
}

/// The folder for what is temporary: what `TMPDIR` says, else `/tmp`.
fn place() -> PathBuf {
    let said = environment::get("TMPDIR").filter(|folder| !folder.is_empty());
    full(&said.map_or_else(|| "/tmp".into(), PathBuf::from))
}

/// A new empty folder that only this user may enter.
///
/// # Errors
/// [`FileFault`].
pub fn folder() -> Result<PathBuf, FileFault> {
    make(true, |path| DirBuilder::new().mode(0o700).create(path))
}

/// A new empty file that only this user may read.
///
/// # Errors
/// [`FileFault`].
pub fn file() -> Result<PathBuf, FileFault> {
    make(false, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop))
}

fn make(is_folder: bool, make: impl Fn(&Path) -> io::Result<()>) -> Result<PathBuf, FileFault> {
    let place = place();
    loop {
        let path = place.join(format!("orch-{}", random_name()));
        match make(&path) {
            Ok(()) => {
                note(&path, is_folder);
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let what = if is_folder { "make a temporary folder in" } else { "make a temporary file in" };
                return Err(FileFault::at(what, &place, error));
            }
        }
    }
}

/// Removes all that is left, at the end of orch.
pub fn remove_all() {
    for (path, is_folder) in std::mem::take(&mut *LEFT.lock()).into_iter().rev() {
        // What somebody has removed or locked up meanwhile is no longer ours.
        let _gone = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

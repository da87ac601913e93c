//! Where the bytes of an answer go: into memory, or into a file, which is there only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::io::temporary::Leftover;

/// Makes names that nobody else has.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// See the module.
pub enum Sink {
    Memory(Vec<u8>),
    File(Part),
}

/// A file that is not whole yet.
pub struct Part {
    file: File,
    /// Where it is to be in the end.
    path: PathBuf,
    /// What it is called until then, and is removed by if it does not become whole; `None` for what is no plain file, such as a pipe, which is written to as it is.
    part: Option<Leftover>,
}

impl Sink {
    /// For a file at `path`, or for memory.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(path: Option<&Path>) -> io::Result<Sink> {
        let Some(path) = path else {
            return Ok(Sink::Memory(Vec::new()));
        };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                Ok(Sink::File(Part { file, path: path.to_path_buf(), part: None }))
            }
            // What a link leads to is replaced, not the link.
            Ok(_) => Sink::beside(fs::canonicalize(path)?),
            Err(_) => Sink::beside(path.to_path_buf()),
        }
    }

    fn beside(path: PathBuf) -> io::Result<Sink> {
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_os_string();
            name.push(format!(".{}-{number}.part", std::process::id()));
            let part = path.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).open(&part) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                file => return Ok(Sink::File(Part { file: file?, path, part: Some(Leftover::file(part)) })),
            }
        }
    }

    /// Takes in what came.
    ///
    /// # Errors
    /// Those of the system, say a full disk.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Sink::File(part) => part.file.write_all(bytes),
        }
    }

    /// All has come: the bytes, unless they are in a file.
    ///
    /// # Errors
    /// Those of the system.
    pub fn finish(self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Sink::Memory(memory) => Ok(Some(memory)),
            Sink::File(mut whole) => {
                if let Some(part) = whole.part.take() {
                    if let Ok(before) = fs::metadata(&whole.path) {
                        fs::set_permissions(part.path(), before.permissions())?;
                    }
                    fs::rename(part.path(), &whole.path)?;
                    part.forget();
                }
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_nothing_is_left_of_one_that_is_not() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("page");
        let mut sink = Sink::open(Some(&path))?;
        sink.push(b"half")?;
        assert!(!path.exists());
        drop(sink);
        assert_eq!(fs::read_dir(folder.path())?.count(), 0);
        fs::write(&path, "before")?;
        let mut sink = Sink::open(Some(&path))?;
        sink.push(b"whole")?;
        assert_eq!(fs::read(&path)?, b"before");
        assert_eq!(sink.finish()?, None);
        assert_eq!((fs::read(&path)?.as_slice(), fs::read_dir(folder.path())?.count()), (b"whole".as_slice(), 1));
        assert!(Sink::open(Some(folder.path())).is_err());
        Ok(())
    }
}

//! What goes wrong with files.

use std::fmt;
use std::io;
use std::path::Path;

use crate::kernel::Stop;

/// Why a call on a file or folder failed.
#[derive(Debug)]
pub enum FileFault {
    /// The wait was ended before it came to its goal.
    Stopped(Stop),
    /// The file was closed.
    Closed(String),
    /// The system says so: what could not be done, with the path, and why.
    System(String, io::Error),
    /// It is no text in UTF-8: the path, and the byte at which that shows.
    NotText(String, u64),
    /// The standard input has no more lines.
    EndOfInput,
    /// It makes no sense: why, with the path.
    Invalid(String),
}

impl From<Stop> for FileFault {
    fn from(stop: Stop) -> Self {
        FileFault::Stopped(stop)
    }
}

impl FileFault {
    /// The system refuses to do something (`read`, `make the folder`) to a path.
    pub fn at(what: &str, path: &Path, error: impl Into<io::Error>) -> FileFault {
        FileFault::System(format!("cannot {what} {:?}", path.display().to_string()), error.into())
    }

    /// The thing is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, FileFault::System(_, error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFault::Stopped(_) => f.write_str("the wait was ended"),
            FileFault::Closed(label) => write!(f, "{label} is closed"),
            FileFault::System(what, error) => write!(f, "{what}: {error}"),
            FileFault::NotText(path, at) => {
                write!(f, "{path:?} is no text in UTF-8: byte {at} shows it; read it as bytes")
            }
            FileFault::EndOfInput => f.write_str("the standard input has ended"),
            FileFault::Invalid(why) => f.write_str(why),
        }
    }
}

//! Why a command could not be run, or was given up.

use std::fmt;
use std::io;

use crate::kernel::Stop;

/// See the module. A command that ran and failed is not one of these: that is for whoever looks at its result.
#[derive(Debug)]
pub enum CommandFault {
    /// There is no such program; with what `PATH` was searched.
    NotFound { program: String, searched: Option<String> },
    /// It is there and cannot be executed.
    NotExecutable { program: String, why: &'static str },
    /// The folder it should run in.
    BadFolder { dir: String, error: io::Error },
    /// It has no words at all, a NUL in one, an environment variable that cannot be.
    Invalid(String),
    /// A file for its input or output.
    File { path: String, error: io::Error },
    /// The system refused: no descriptors, no processes, no memory, arguments too long.
    System { what: String, error: io::Error },
    /// Its input is closed, or nobody reads it any more.
    InputClosed(String),
    /// The wait for it was ended.
    Stopped(Stop),
}

impl CommandFault {
    /// True when a wait came to the end of its time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, CommandFault::Stopped(Stop::TimedOut))
    }

    /// True when the command does not read any more.
    pub fn is_closed_input(&self) -> bool {
        matches!(self, CommandFault::InputClosed(_))
    }
}

impl From<Stop> for CommandFault {
    fn from(stop: Stop) -> Self {
        CommandFault::Stopped(stop)
    }
}

impl fmt::Display for CommandFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandFault::NotFound { program, searched: Some(path) } if path.is_empty() => {
                write!(f, "there is no program {program:?}; PATH is empty")
            }
            CommandFault::NotFound { program, searched: Some(path) } => {
                write!(f, "there is no program {program:?}; PATH is {path}")
            }
            CommandFault::NotFound { program, searched: None } => write!(f, "there is no program {program:?}"),
            CommandFault::NotExecutable { program, why } => write!(f, "cannot run {program:?}: {why}"),
            CommandFault::BadFolder { dir, error } => write!(f, "cannot run in folder {dir:?}: {error}"),
            CommandFault::Invalid(why) => f.write_str(why),
            CommandFault::File { path, error } => write!(f, "{path}: {error}"),
            CommandFault::System { what, error } => write!(f, "{what}: {error}"),
            CommandFault::InputClosed(command) => write!(f, "the input of `{command}` is closed"),
            CommandFault::Stopped(_) => f.write_str("the wait for the command was ended"),
        }
    }
}

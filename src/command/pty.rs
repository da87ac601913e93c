//! Pseudo-terminals, for programs that want a terminal.
//!
//! A process gets a terminal of its own only from within, between its start and the program. So orch starts itself as a
//! helper that does that and becomes the program.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::fault::CommandFault;
use super::helper;

/// The word that makes orch the helper.
pub const WORD: &str = "__pty";

/// Both sides of a pseudo-terminal.
pub struct Terminal {
    ours: OwnedFd,
    user: OwnedFd,
}

/// Opens a new one.
///
/// # Errors
/// When the system has none left.
pub fn open() -> Result<Terminal, CommandFault> {
    let opened = || {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let user = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
            rustix::termios::tcsetwinsize(&user, size)?;
        }
        Ok(Terminal { ours, user })
    };
    opened().map_err(|error: rustix::io::Errno| CommandFault::System {
        what: "cannot open a pseudo-terminal".into(),
        error: error.into(),
    })
}

impl Terminal {
    /// The side of the program.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn user(&self) -> Result<OwnedFd, CommandFault> {
        self.user
            .try_clone()
            .map_err(|error| CommandFault::System { what: "cannot open a pseudo-terminal".into(), error })
    }

    /// orch's side; the other one is closed here.
    pub fn into_ours(self) -> OwnedFd {
        self.ours
    }
}

/// The helper with the words that make it run `program` as `argv` in the terminal that is its input.
///
/// # Errors
/// Where orch is a part of another program, there is no helper.
pub fn through_helper(program: &Path, argv: &[String]) -> Result<(PathBuf, Vec<String>), CommandFault> {
    let Some(helper) = helper::path() else {
        return Err(CommandFault::Invalid("pty() needs the orch program".into()));
    };
    let program = program.to_string_lossy().into_owned();
    Ok((helper, [WORD.to_string(), program].into_iter().chain(argv.iter().cloned()).collect()))
}

/// The helper: takes its standard input for its terminal and becomes the program. Comes back only with an error.
pub fn become_program(words: &[std::ffi::OsString]) -> io::Error {
    let [program, name, args @ ..] = words else {
        return io::Error::new(io::ErrorKind::InvalidInput, "a program and its name are missing");
    };
    let prepared = rustix::process::setsid().and_then(|_| rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()));
    match prepared {
        Ok(()) => std::process::Command::new(program).arg0(name).args(args).exec(),
        Err(error) => error.into(),
    }
}

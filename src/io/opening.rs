//! Opening files so that nothing blocks afterwards: what is no plain file is read and written when it is ready.
//!
//! A FIFO that nobody reads yet cannot be opened for writing without blocking, and nothing tells when that changes. So the
//! task that opens it tries again and again, woken by a timer of the system: simulated time stands still meanwhile.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use rustix::fs::{FileType, Mode as Permissions, OFlags, fstat};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::fault::FileFault;
use crate::kernel::{Enders, ObjectCore, Operation, Source, Waitable, Waker, block};

/// How often to try whether a FIFO has a reader.
const RETRY_NANOSECONDS: i64 = 10_000_000;

/// How a file is used, as Python's `open` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// It can be read.
    pub reads: bool,
    /// It can be written.
    pub writes: bool,
    /// All that is written goes to its end.
    pub appends: bool,
    /// It is emptied first.
    pub truncates: bool,
    /// It is made when it is not there.
    pub creates: bool,
    /// It must not be there before.
    pub exclusive: bool,
    /// What is read are bytes.
    pub bytes: bool,
}

impl Mode {
    /// For reading only.
    pub const READ: Mode = Mode {
        reads: true,
        writes: false,
        appends: false,
        truncates: false,
        creates: false,
        exclusive: false,
        bytes: true,
    };

    /// The mode that a word stands for: one of `r`, `w`, `a`, `x`, with `+` and `b`.
    pub fn parse(word: &str) -> Option<Mode> {
        let mut letters = word.chars();
        let first = letters.next()?;
        let (mut plus, mut bytes, mut text) = (false, false, false);
        for letter in letters {
            let said = match letter {
                '+' => &mut plus,
                'b' => &mut bytes,
                't' => &mut text,
                _ => return None,
            };
            if std::mem::replace(said, true) {
                return None;
            }
        }
        if !"rwax".contains(first) || (bytes && text) {
            return None;
        }
        Some(Mode {
            reads: first == 'r' || plus,
            writes: first != 'r' || plus,
            appends: first == 'a',
            truncates: first == 'w',
            creates: first != 'r',
            exclusive: first == 'x',
            bytes,
        })
    }

    fn flags(self) -> OFlags {
        let access = match (self.reads, self.writes) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        let when = |flag: bool, flags: OFlags| if flag { flags } else { OFlags::empty() };
        access
            | when(self.appends, OFlags::APPEND)
            | when(self.truncates, OFlags::TRUNC)
            | when(self.creates, OFlags::CREATE)
            | when(self.exclusive, OFlags::EXCL)
            | OFlags::CLOEXEC
            | OFlags::NOCTTY
            | OFlags::NONBLOCK
    }
}

/// What was opened.
pub struct Opened {
    /// It never blocks.
    pub descriptor: Arc<OwnedFd>,
    /// A plain file.
    pub is_plain: bool,
    /// It ends only when there was somebody who wrote to it.
    pub is_fifo: bool,
}

/// Opens a file for the object `core`.
///
/// # Errors
/// [`FileFault`].
pub fn open(core: &Arc<ObjectCore>, path: &Path, mode: Mode) -> Result<Opened, FileFault> {
    let failed = |error: Errno| FileFault::at("open", path, error);
    let permissions = Permissions::from_raw_mode(0o666);
    let descriptor = match rustix::fs::open(path, mode.flags(), permissions) {
        Err(Errno::NXIO) if is_fifo(path) => {
            let timer = timer().map_err(failed)?;
            let mut opening = Opening { target: Arc::new(Target(core.clone())), path, mode, timer };
            block(&mut opening, None)?.map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    let kind = FileType::from_raw_mode(fstat(&descriptor).map_err(failed)?.st_mode);
    if kind == FileType::Directory {
        return Err(failed(Errno::ISDIR));
    }
    Ok(Opened {
        descriptor: Arc::new(descriptor),
        is_plain: kind == FileType::RegularFile,
        is_fifo: kind == FileType::Fifo,
    })
}

fn is_fifo(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Becomes ready again and again.
fn timer() -> rustix::io::Result<Arc<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let time = Timespec { tv_sec: 0, tv_nsec: RETRY_NANOSECONDS };
    let every = Itimerspec { it_interval: time, it_value: time };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
    Ok(Arc::new(timer))
}

struct Opening<'a> {
    target: Arc<Target>,
    path: &'a Path,
    mode: Mode,
    timer: Arc<OwnedFd>,
}

/// The file that is about to be opened.
struct Target(Arc<ObjectCore>);

impl Waitable for Target {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.0
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }

    fn state(&self) -> String {
        "nobody reads it yet".into()
    }
}

impl Operation for Opening<'_> {
    type Output = rustix::io::Result<OwnedFd>;

    fn poll(&mut self, _waker: &Waker) -> Poll<Self::Output> {
        // That it has nothing to say is what is wanted.
        let _ticks = rustix::io::read(&self.timer, &mut [0u8; 8]);
        match rustix::fs::open(self.path, self.mode.flags(), Permissions::empty()) {
            Err(Errno::NXIO) => Poll::Pending,
            opened => Poll::Ready(opened),
        }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.target.clone()
    }

    fn verb(&self) -> &'static str {
        "open"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::readable(&self.timer)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_pythons() {
        for word in ["r", "rb", "r+", "rb+", "r+b", "w", "wb", "w+", "a", "ab", "a+", "x", "xb", "x+", "rt"] {
            assert!(Mode::parse(word).is_some(), "{word}");
        }
        for word in ["", "b", "rw", "r++", "rbb", "rbt", "read", "+r", "R", "r ", "U"] {
            assert_eq!(Mode::parse(word), None, "{word}");
        }
        let plus = Mode::parse("r+").unwrap();
        assert!(plus.reads && plus.writes && !plus.creates && !plus.truncates && !plus.bytes);
    }
}

//! What a command writes, on its way to whoever asks for it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::store::{Got, Store};

/// The longest line that is given whole; a longer one comes in pieces.
pub const LONGEST_LINE: usize = 16 << 20;

/// How much is read before others get their turn.
pub const READS: usize = 64;

/// One of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

#[derive(Default)]
/// One output: where it comes from, until its end, and what of it nobody has taken yet.
pub struct Stream {
    /// `None` once it is at its end.
    pub fd: Option<Arc<OwnedFd>>,
    /// What was read.
    pub store: Store,
}

impl Stream {
    /// An output that comes from `fd`.
    pub fn new(fd: Option<Arc<OwnedFd>>) -> Stream {
        Stream { fd, store: Store::default() }
    }

    /// Takes in what is there, with at most so many reads; true when something was.
    ///
    /// # Errors
    /// As [`Store::read_from`].
    pub fn drain(&mut self, mut reads: usize) -> io::Result<bool> {
        let mut some = false;
        while let Some(fd) = self.fd.clone().filter(|_| reads > 0) {
            reads -= 1;
            match self.store.read_from(&*fd)? {
                Got::Some => some = true,
                Got::Nothing => return Ok(some),
                Got::End => {
                    self.fd = None;
                    some = true;
                }
            }
        }
        Ok(some)
    }
}

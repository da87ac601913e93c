//! The two directions of a socket that never blocks.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Frames, write};
use crate::kernel::Source;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// What comes in.
pub struct Incoming {
    socket: Arc<OwnedFd>,
    frames: Frames,
    /// Where each piece is read to.
    piece: Vec<u8>,
    ended: bool,
}

impl Incoming {
    /// Reads from this socket.
    pub fn new(socket: Arc<OwnedFd>) -> Incoming {
        Incoming { socket, frames: Frames::default(), piece: vec![0; PIECE], ended: false }
    }

    /// The next message; `None` when all of it has not come yet, or nothing comes any more. Where the socket blocks, it waits
    /// for one.
    ///
    /// # Errors
    /// Those of the system, and when what comes is no message. Nothing comes any more then.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            match self.frames.take() {
                Ok(None) if !self.ended => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
                found => return found,
            }
            match rustix::io::read(&*self.socket, &mut self.piece) {
                Ok(0) | Err(Errno::CONNRESET) => self.ended = true,
                Ok(count) => self.frames.push(&self.piece[..count]),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error.into());
                }
            }
        }
    }

    /// True when nothing comes any more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What to wait for, for more to come.
    pub fn source(&self) -> Option<Source> {
        (!self.ended).then(|| Source::readable(&self.socket))
    }
}

/// What goes out.
pub struct Outgoing {
    socket: Arc<OwnedFd>,
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// Writes to this socket.
    pub fn new(socket: Arc<OwnedFd>) -> Outgoing {
        Outgoing { socket, bytes: Vec::new(), sent: 0 }
    }

    /// Puts a message at the end of what is to go out.
    ///
    /// # Errors
    /// As [`write`].
    pub fn put<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        write(&mut self.bytes, message)
    }

    /// Sends what the socket takes: true when nothing is left. What nobody reads any more is dropped.
    pub fn flush(&mut self) -> bool {
        while self.sent < self.bytes.len() {
            match rustix::io::write(&*self.socket, &self.bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.bytes = Vec::new();
        self.sent = 0;
        true
    }

    /// What to wait for, for more to go out.
    pub fn source(&self) -> Option<Source> {
        (!self.bytes.is_empty()).then(|| Source::writable(&self.socket))
    }
}

//! The two directions of a socket that never blocks.
//!
//! Descriptors go with the first byte of their message; what was put and not sent holds them, and nobody else has to.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, recvmsg, sendmsg, shutdown,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Descriptors, Frames, Letter, MOST_DESCRIPTORS, write};
use crate::kernel::Source;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// What the descriptors of one message take beside it.
const BESIDE: usize = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS));

/// What comes in.
pub struct Incoming {
    socket: Arc<OwnedFd>,
    frames: Frames,
    /// Where each piece is read to.
    piece: Vec<u8>,
    ended: bool,
    /// The last read has taken all there was.
    is_dry: bool,
}

impl Incoming {
    /// Reads from this socket.
    pub fn new(socket: Arc<OwnedFd>) -> Incoming {
        Incoming { socket, frames: Frames::default(), piece: vec![0; PIECE], ended: false, is_dry: false }
    }

    /// The next message; `None` when all of it has not come yet, or nothing comes any more. Where the socket blocks, it waits
    /// for some of it.
    ///
    /// # Errors
    /// Those of the system, and when what comes is no message. Nothing comes any more then.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<Letter<T>>> {
        loop {
            match self.frames.take() {
                Ok(None) if !self.ended => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
                found => return found,
            }
            if std::mem::take(&mut self.is_dry) {
                return Ok(None);
            }
            match self.read() {
                Ok(0) | Err(Errno::CONNRESET) => self.ended = true,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => {
                    self.ended = true;
                    return Err(error.into());
                }
            }
        }
    }

    /// Reads what is there, at most a piece, and how much it was.
    fn read(&mut self) -> rustix::io::Result<usize> {
        let mut beside = [MaybeUninit::uninit(); BESIDE];
        let mut beside = RecvAncillaryBuffer::new(&mut beside);
        let mut into = [IoSliceMut::new(&mut self.piece)];
        let came = recvmsg(&*self.socket, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        // A read stops behind what has descriptors with it, whatever comes after that.
        self.is_dry = (1..self.piece.len()).contains(&came.bytes);
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.frames.push_descriptors(descriptors);
                self.is_dry = false;
            }
        }
        if came.flags.contains(ReturnFlags::CTRUNC) {
            self.frames.lose_descriptors();
            self.is_dry = false;
        }
        self.frames.push(&self.piece[..came.bytes]);
        Ok(came.bytes)
    }

    /// From now on a message of more bytes is an error.
    pub fn limit(&mut self, longest: u64) {
        self.frames.limit(longest);
    }

    /// Goes on with what has come already, elsewhere.
    pub fn begin_with(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) {
        self.frames.push(bytes);
        self.frames.push_descriptors(descriptors);
    }

    /// What has come and was not taken.
    pub fn into_rest(self) -> (Vec<u8>, Vec<OwnedFd>) {
        self.frames.into_rest()
    }

    /// True when the next message is here, or nothing comes any more.
    pub fn is_ready(&self) -> bool {
        self.ended || self.frames.has_message()
    }

    /// True when the next message is here.
    pub fn has_message(&self) -> bool {
        self.frames.has_message()
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
    /// What goes with which byte, and after it.
    beside: VecDeque<(usize, Descriptors)>,
    /// Nobody reads any more.
    broken: bool,
}

impl Outgoing {
    /// Writes to this socket.
    pub fn new(socket: Arc<OwnedFd>) -> Outgoing {
        Outgoing { socket, bytes: Vec::new(), sent: 0, beside: VecDeque::new(), broken: false }
    }

    /// Puts a message at the end of what is to go out.
    ///
    /// # Errors
    /// As [`write`].
    pub fn put<T: Serialize>(&mut self, message: &T, descriptors: Descriptors) -> io::Result<()> {
        let start = self.bytes.len();
        write(&mut self.bytes, message, descriptors.len())?;
        if !descriptors.is_empty() {
            self.beside.push_back((start, descriptors));
        }
        Ok(())
    }

    /// Sends what the socket takes: true when nothing is left. What nobody reads any more is dropped.
    pub fn flush(&mut self) -> bool {
        while self.sent < self.bytes.len() {
            match self.send() {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                Err(_) => {
                    // A message that is not whole must not be followed by another.
                    let _gone = shutdown(&*self.socket, Shutdown::Both);
                    self.broken = true;
                    break;
                }
            }
        }
        (self.bytes, self.sent) = (Vec::new(), 0);
        self.beside.clear();
        true
    }

    /// True when a message could not be sent, because nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// True when all was sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends up to the next message that has descriptors, and with the first byte of one its own.
    fn send(&mut self) -> rustix::io::Result<usize> {
        let due = self.beside.front().is_some_and(|(at, _)| *at == self.sent);
        let end = self.beside.get(usize::from(due)).map_or(self.bytes.len(), |(at, _)| *at);
        let bytes = [IoSlice::new(&self.bytes[self.sent..end])];
        let mut space = [MaybeUninit::uninit(); BESIDE];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = match self.beside.front() {
            Some((_, descriptors)) if due => descriptors.iter().map(|d| d.as_fd()).collect(),
            _ => Vec::new(),
        };
        if due && !beside.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        let count = sendmsg(&*self.socket, &bytes, &mut beside, SendFlags::NOSIGNAL)?;
        if due && count > 0 {
            self.beside.pop_front();
        }
        Ok(count)
    }

    /// What to wait for, for more to go out.
    pub fn source(&self) -> Option<Source> {
        (!self.bytes.is_empty()).then(|| Source::writable(&self.socket))
    }
}

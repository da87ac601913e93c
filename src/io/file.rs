//! An open file.
//!
//! What is read goes into a store that all calls share, and each call takes its part out of it in one step: so calls of
//! several tasks are each atomic, and none holds anything while it waits. What is written goes to the system at once: nothing
//! is lost that was written before, however orch ends.
//!
//! Invariant: the store holds what follows the last byte that was given out. One task writes at a time.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::fault::FileFault;
use super::opening::{Mode, open};
use crate::kernel::offload::{OffloadFault, offload};
use crate::kernel::readiness::ready_now;
use crate::kernel::{Enders, ObjectCore, Operation, Source, Ticket, WaitQueue, Waitable, Waker, block, door};

/// How much is read at a time: after each piece a task hears whether it is to stop.
const PIECE: usize = 256 * 1024;

struct State {
    /// `None` after it was closed.
    descriptor: Option<Arc<OwnedFd>>,
    is_plain: bool,
    /// Nobody has written to this FIFO yet: that it has no writer is not its end.
    is_fresh: bool,
    store: Vec<u8>,
    /// Where in the store begins what was not given out.
    start: usize,
    /// How much of that has no line end in it.
    scanned: usize,
    /// How many bytes of it were counted, and how many characters begin in them.
    counted: (usize, usize),
    /// How many bytes were given out since it was opened, or went to another place.
    given: u64,
    /// Somebody writes.
    writing: bool,
    waiting: WaitQueue,
}

impl State {
    fn stored(&self) -> &[u8] {
        &self.store[self.start..]
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = if self.start == 0 && count == self.store.len() {
            std::mem::take(&mut self.store)
        } else {
            self.store[self.start..self.start + count].to_vec()
        };
        self.start += count;
        if self.start >= self.store.len() {
            self.store.clear();
            self.start = 0;
        } else if self.start > PIECE {
            self.store.drain(..self.start);
            self.start = 0;
        }
        self.scanned = 0;
        self.counted = (0, 0);
        self.given += count as u64;
        taken
    }

    /// Forgets what was read and not given out.
    fn empty(&mut self) {
        self.store.clear();
        (self.start, self.scanned, self.counted) = (0, 0, (0, 0));
    }

    /// How many bytes so many characters have, if they are all there: the one behind the last has begun.
    fn characters(&mut self, count: usize) -> Option<usize> {
        let (mut bytes, mut begun) = if self.counted.1 <= count { self.counted } else { (0, 0) };
        for byte in &self.store[self.start + bytes..] {
            let begins = *byte & 0b1100_0000 != 0b1000_0000;
            if begins && begun == count {
                return Some(bytes);
            }
            bytes += 1;
            begun += usize::from(begins);
        }
        self.counted = (bytes, begun);
        None
    }

    /// How many bytes the next line has with its line end, if it is all there.
    fn line(&mut self) -> Option<usize> {
        let from = self.start + self.scanned;
        match self.store[from..].iter().position(|byte| *byte == b'\n') {
            Some(at) => Some(self.scanned + at + 1),
            None => {
                self.scanned = self.store.len() - self.start;
                None
            }
        }
    }
}

/// What a call wants of a file.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// All that is left.
    All,
    /// So many bytes, or what is left.
    Bytes(usize),
    /// So many characters, or what is left.
    Characters(usize),
    /// A line with its line end, or what is left.
    Line,
}

impl Wanted {
    /// How many bytes of the store that is, if it is there.
    fn found(self, state: &mut State) -> Option<usize> {
        match self {
            Wanted::All => None,
            Wanted::Bytes(count) => (state.stored().len() >= count).then_some(count),
            Wanted::Characters(0) => Some(0),
            Wanted::Characters(count) => state.characters(count),
            Wanted::Line => state.line(),
        }
    }
}

/// See the module.
pub struct File {
    core: Arc<ObjectCore>,
    path: PathBuf,
    mode: Mode,
    state: Mutex<State>,
}

impl File {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn open(path: &Path, mode: Mode) -> Result<Arc<File>, FileFault> {
        door::enter()?;
        let core = ObjectCore::new("File");
        core.set_name(&path.display().to_string());
        let opened = open(&core, path, mode)?;
        let state = State {
            descriptor: Some(opened.descriptor),
            is_plain: opened.is_plain,
            is_fresh: opened.is_fifo,
            store: Vec::new(),
            start: 0,
            scanned: 0,
            counted: (0, 0),
            given: 0,
            writing: false,
            waiting: WaitQueue::default(),
        };
        Ok(Arc::new(File { core, path: path.into(), mode, state: Mutex::new(state) }))
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it was opened.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    fn label(&self) -> String {
        self.core.label()
    }

    fn may(&self, allowed: bool, what: &str) -> Result<(), FileFault> {
        if allowed {
            return Ok(());
        }
        Err(FileFault::Invalid(format!("{} was not opened for {what}", self.label())))
    }

    /// Reads what is wanted; less at the end of the file, and nothing behind it.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn read(self: &Arc<Self>, wanted: Wanted) -> Result<Vec<u8>, FileFault> {
        self.may(self.mode.reads, "reading")?;
        door::enter()?;
        loop {
            {
                let mut state = self.state.lock();
                if state.descriptor.is_none() {
                    return Err(FileFault::Closed(self.label()));
                }
                if let Some(count) = wanted.found(&mut state) {
                    return Ok(state.take(count));
                }
            }
            let more = block(&mut Filling { file: self.clone(), ticket: Ticket::default() }, None)??;
            if !more {
                let mut state = self.state.lock();
                let left = state.stored().len();
                let count = wanted.found(&mut state).unwrap_or(left);
                return Ok(state.take(count));
            }
        }
    }

    /// The same as text.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn read_text(self: &Arc<Self>, wanted: Wanted) -> Result<String, FileFault> {
        let bytes = self.read(wanted)?;
        let end = self.state.lock().given;
        let count = bytes.len() as u64;
        String::from_utf8(bytes).map_err(|error| {
            let at = end.saturating_sub(count) + error.utf8_error().valid_up_to() as u64;
            FileFault::NotText(self.path.display().to_string(), at)
        })
    }

    /// Writes all of it, before anybody else writes.
    ///
    /// # Errors
    /// [`FileFault`]; a part of it may be written then.
    pub fn write(self: &Arc<Self>, bytes: &[u8]) -> Result<(), FileFault> {
        self.may(self.mode.writes, "writing")?;
        block(&mut Writing { file: self.clone(), ticket: Ticket::default(), bytes, mine: false }, None)?
    }

    /// Goes to another place; where that is, from the beginning.
    ///
    /// # Errors
    /// [`FileFault`]: what is no plain file has no places.
    pub fn seek(&self, to: SeekFrom) -> Result<u64, FileFault> {
        door::enter()?;
        let mut state = self.state.lock();
        let to = match to {
            SeekFrom::Current(by) => SeekFrom::Current(by - state.stored().len() as i64),
            to => to,
        };
        let descriptor = self.descriptor(&state)?;
        let place = rustix::fs::seek(&descriptor, to).map_err(|error| self.failed("seek in", error))?;
        state.empty();
        state.given = place;
        Ok(place)
    }

    /// Where the next byte is read or written.
    ///
    /// # Errors
    /// As [`File::seek`].
    pub fn place(&self) -> Result<u64, FileFault> {
        let state = self.state.lock();
        let descriptor = self.descriptor(&state)?;
        let place = rustix::fs::tell(&descriptor).map_err(|error| self.failed("tell the place in", error))?;
        Ok(place - state.stored().len() as u64)
    }

    /// Waits until the disk has what was written.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn sync(&self) -> Result<(), FileFault> {
        let descriptor = self.descriptor(&self.state.lock())?;
        sync(&self.core, descriptor, &self.path)
    }

    /// Closes it. Closing again does nothing.
    pub fn close(&self) {
        door::point();
        let mut state = self.state.lock();
        let gone = state.descriptor.take();
        state.empty();
        state.waiting.grant_all();
        drop(state);
        drop(gone);
    }

    /// True after [`File::close`].
    pub fn is_closed(&self) -> bool {
        door::query();
        self.state.lock().descriptor.is_none()
    }

    fn descriptor(&self, state: &State) -> Result<Arc<OwnedFd>, FileFault> {
        state.descriptor.clone().ok_or_else(|| FileFault::Closed(self.label()))
    }

    fn failed(&self, what: &str, error: Errno) -> FileFault {
        FileFault::at(what, &self.path, error)
    }

    fn source(&self, of: fn(&Arc<OwnedFd>) -> Source) -> Vec<Source> {
        self.state.lock().descriptor.iter().map(of).collect()
    }

    /// Reads a piece into the store; false at the end of the file.
    fn fill(&self, state: &mut State) -> Result<Poll<bool>, FileFault> {
        let descriptor = self.descriptor(state)?;
        if state.is_fresh && ready_now(&[Source::readable(&descriptor)]).is_empty() {
            return Ok(Poll::Pending);
        }
        let before = state.store.len();
        state.store.resize(before + PIECE, 0);
        let read = loop {
            match rustix::io::read(&descriptor, &mut state.store[before..]) {
                Err(Errno::INTR) => {}
                read => break read,
            }
        };
        state.store.truncate(before + read.unwrap_or(0));
        match read {
            Ok(0) => Ok(Poll::Ready(false)),
            Ok(_) => {
                state.is_fresh = false;
                Ok(Poll::Ready(true))
            }
            Err(Errno::AGAIN) => Ok(Poll::Pending),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    /// Writes what goes without waiting.
    fn put(&self, state: &mut State, bytes: &mut &[u8]) -> Result<Poll<()>, FileFault> {
        let descriptor = self.descriptor(state)?;
        if !state.stored().is_empty() && state.is_plain {
            // It goes where reading has come to, not where the store has.
            let back = -(state.stored().len() as i64);
            rustix::fs::seek(&descriptor, SeekFrom::Current(back)).map_err(|error| self.failed("seek in", error))?;
            state.empty();
        }
        while !bytes.is_empty() {
            match rustix::io::write(&descriptor, bytes) {
                Ok(0) => return Err(self.failed("write to", Errno::NOSPC)),
                Ok(count) => {
                    *bytes = &bytes[count..];
                    if state.is_plain {
                        state.given += count as u64;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Poll::Pending),
                Err(error) => return Err(self.failed("write to", error)),
            }
        }
        Ok(Poll::Ready(()))
    }
}

/// Waits until the disk has what was written to a file.
///
/// # Errors
/// [`FileFault`].
pub fn sync(core: &Arc<ObjectCore>, descriptor: Arc<OwnedFd>, path: &Path) -> Result<(), FileFault> {
    match offload(core, "sync", None, || {}, move || rustix::fs::fsync(&descriptor)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(FileFault::at("sync", path, error)),
        Err(OffloadFault::Stop(stop)) => Err(stop.into()),
        Err(OffloadFault::NoThread(error)) => Err(FileFault::at("sync", path, error)),
    }
}

impl Waitable for File {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }

    fn state(&self) -> String {
        match self.state.try_lock() {
            Some(state) if state.descriptor.is_none() => "closed".into(),
            _ => String::new(),
        }
    }
}

/// Waits for a piece of what is to be read.
struct Filling {
    file: Arc<File>,
    ticket: Ticket,
}

impl Operation for Filling {
    type Output = Result<bool, FileFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let mut state = self.file.state.lock();
        match self.file.fill(&mut state) {
            Ok(Poll::Pending) => {
                state.waiting.enlist(&mut self.ticket, waker, ());
                Poll::Pending
            }
            Ok(Poll::Ready(more)) => {
                state.waiting.remove(&mut self.ticket);
                Poll::Ready(Ok(more))
            }
            Err(fault) => {
                state.waiting.remove(&mut self.ticket);
                Poll::Ready(Err(fault))
            }
        }
    }

    fn abandon(&mut self) {
        self.file.state.lock().waiting.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.file.clone()
    }

    fn verb(&self) -> &'static str {
        "read"
    }

    fn sources(&self) -> Vec<Source> {
        self.file.source(Source::readable)
    }
}

/// Waits until all is written.
struct Writing<'a> {
    file: Arc<File>,
    ticket: Ticket,
    bytes: &'a [u8],
    /// It has begun, and nobody else writes.
    mine: bool,
}

impl Writing<'_> {
    fn finish(&mut self, state: &mut State) {
        state.waiting.remove(&mut self.ticket);
        if std::mem::take(&mut self.mine) {
            state.writing = false;
            // Those who read look, too, and wait on.
            state.waiting.nudge_all();
        }
    }
}

impl Operation for Writing<'_> {
    type Output = Result<(), FileFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let file = self.file.clone();
        let mut state = file.state.lock();
        let outcome = if state.writing && !self.mine && state.descriptor.is_some() {
            Ok(Poll::Pending)
        } else {
            self.mine = true;
            state.writing = true;
            file.put(&mut state, &mut self.bytes)
        };
        match outcome {
            Ok(Poll::Pending) => {
                state.waiting.enlist(&mut self.ticket, waker, ());
                Poll::Pending
            }
            outcome => {
                self.finish(&mut state);
                Poll::Ready(outcome.map(drop))
            }
        }
    }

    fn abandon(&mut self) {
        let file = self.file.clone();
        self.finish(&mut file.state.lock());
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.file.clone()
    }

    fn verb(&self) -> &'static str {
        "write"
    }

    fn sources(&self) -> Vec<Source> {
        if self.mine { self.file.source(Source::writable) } else { Vec::new() }
    }
}

//! Memory that processes share: a memory file of fixed size, mapped by each of them.
//!
//! Invariant: it is touched by atomic operations on whole words of eight bytes only. So a number that lies within one word
//! (its offset, modulo 8, and its size together are at most 8) is read and written in one piece, and writing it loses no write to
//! its neighbours in the word; one that crosses into the next word, and a run of bytes, may be seen half-written.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create};

use super::fault::Fault;
use crate::kernel::os::{Mapping, WORD};
use crate::kernel::{ObjectCore, Waitable, door};

/// See the module.
pub struct Memory {
    core: Arc<ObjectCore>,
    file: Arc<OwnedFd>,
    bytes: usize,
    /// `None` once it was closed here.
    mapping: RwLock<Option<Mapping>>,
}

impl Memory {
    /// New memory of so many bytes, all zero.
    ///
    /// # Errors
    /// As [`sealed_file`].
    pub fn new(kind: &'static str, bytes: usize) -> io::Result<Arc<Memory>> {
        Memory::attach(kind, Arc::new(sealed_file(bytes.div_ceil(WORD))?), bytes)
    }

    /// The memory in this file, which is that of another process.
    ///
    /// # Errors
    /// When it is none; those of the system.
    pub fn attach(kind: &'static str, file: Arc<OwnedFd>, bytes: usize) -> io::Result<Arc<Memory>> {
        let mapping = Mapping::of(file.as_fd(), bytes.div_ceil(WORD))?;
        Ok(Arc::new(Memory { core: ObjectCore::new(kind), file, bytes, mapping: RwLock::new(Some(mapping)) }))
    }

    /// The file it lies in, for another process.
    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// True after [`Memory::close`].
    pub fn is_closed(&self) -> bool {
        self.mapping.read().is_none()
    }

    /// This process does without it from now on; others keep it.
    pub fn close(&self) {
        door::point();
        let gone = self.mapping.write().take();
        drop(gone);
    }

    /// Looks at words or changes them. `body` must not wait.
    ///
    /// # Errors
    /// [`Fault::Closed`].
    pub fn with_words<R>(&self, body: impl FnOnce(&[AtomicU64]) -> R) -> Result<R, Fault> {
        match &*self.mapping.read() {
            Some(mapping) => Ok(body(mapping.words())),
            None => Err(Fault::Closed(self.core.label())),
        }
    }

    /// The bytes from `offset` on, into `to`; false when they lie outside.
    ///
    /// # Errors
    /// [`Fault::Closed`].
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<bool, Fault> {
        door::query();
        self.with_words(|words| {
            let inside = self.holds(offset, to.len());
            if inside {
                for (word, range, at) in parts(offset, to.len()) {
                    let bytes = words[word].load(Ordering::SeqCst).to_ne_bytes();
                    to[at..at + range.len()].copy_from_slice(&bytes[range]);
                }
            }
            inside
        })
    }

    /// Writes bytes from `offset` on; false when they would lie outside, and none is written then.
    ///
    /// # Errors
    /// [`Fault::Closed`].
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<bool, Fault> {
        door::point();
        self.with_words(|words| {
            let inside = self.holds(offset, from.len());
            if inside {
                for (word, range, at) in parts(offset, from.len()) {
                    put(&words[word], range.start, &from[at..at + range.len()]);
                }
            }
            inside
        })
    }

    fn holds(&self, offset: usize, length: usize) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.bytes)
    }
}

/// A memory file of at least one word, all zero, that stays as long as it is.
///
/// # Errors
/// When there is not so much memory; those of the system.
pub(super) fn sealed_file(words: usize) -> io::Result<OwnedFd> {
    let bytes = words.max(1).checked_mul(WORD).and_then(|bytes| u64::try_from(bytes).ok());
    let bytes = bytes.ok_or(io::ErrorKind::OutOfMemory)?;
    // The system would promise more than it has, and end somebody when the promise is called in.
    if available().is_some_and(|free| bytes > free) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let file = memfd_create("orch shared", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, bytes)?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// The words that a run of bytes lies in: which word, which of its bytes, and the place in the run.
fn parts(offset: usize, length: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let from = (offset + done) % WORD;
        let count = (WORD - from).min(length - done);
        let part = ((offset + done) / WORD, from..from + count, done);
        done += count;
        (count > 0).then_some(part)
    })
}

fn put(word: &AtomicU64, from: usize, bytes: &[u8]) {
    if let Ok(whole) = <[u8; WORD]>::try_from(bytes) {
        word.store(u64::from_ne_bytes(whole), Ordering::SeqCst);
        return;
    }
    let changed = |before: u64| {
        let mut all = before.to_ne_bytes();
        all[from..from + bytes.len()].copy_from_slice(bytes);
        Some(u64::from_ne_bytes(all))
    };
    // It always changes: somebody else's write to the other bytes of the word only makes it try again.
    let _before = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed);
}

impl Waitable for Memory {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        match self.mapping.try_read().is_some_and(|mapping| mapping.is_none()) {
            true => "closed".into(),
            false => format!("{} bytes", self.bytes),
        }
    }
}

/// How many bytes can still be had, by what the machine says and the limit of the group that this process is in. What they
/// do not say is no limit.
fn available() -> Option<u64> {
    let machine = number_after(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?.saturating_mul(1024);
    Some(group_available().map_or(machine, |group| group.min(machine)))
}

fn group_available() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let read = |what: &str| fs::read_to_string(format!("/sys/fs/cgroup/{group}/{what}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    // Pages of files can be had back.
    let stat = read("memory.stat").unwrap_or_default();
    let files = ["inactive_file ", "active_file "].map(|name| number_after(&stat, name).unwrap_or(0));
    Some(limit.saturating_sub(used.saturating_sub(files.iter().sum())))
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

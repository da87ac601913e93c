//! Where the state of a lock lies: in the lock, or, once other processes have it, in memory that they share with this one.
//!
//! There it is four words: the word itself (the owner's number and a bit that says somebody waits), how often its owner took
//! it, where it was taken, and whether its last owner lost it. To take a free lock and to give one back for which nobody waits
//! is one compare-and-swap, whoever does it. All else is done where the lock lives. So a process may be killed at any point: a
//! lock is its own from the swap that takes it to the swap that gives it back, and whoever sees to its end sees in the word
//! whether it was.
//!
//! Invariants: the owner's number is that of the task that stands for it where the lock lives; only an owner writes depth and
//! place; a place in the slab belongs to one lock, and is all zero when it is given to one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::memory::sealed_file;
use crate::kernel::os::Mapping;

/// How many locks, values and loans of a program can be shared. Each takes 32 bytes once it is touched; the others are served by
/// calls.
const LOCKS: usize = 16_384;

/// How many words a lock has.
const WORDS: usize = 4;

/// The bit that says somebody waits.
pub(super) const CONTENDED: u64 = 1;

/// In the word that lies in the lock: the state lies elsewhere. No task has this number.
pub(super) const MOVED: u64 = u64::MAX - 1;

/// The words of one lock.
#[derive(Clone, Copy)]
pub struct LockState<'a> {
    words: &'a [AtomicU64],
}

impl<'a> LockState<'a> {
    pub(super) fn of(words: &'a [AtomicU64; WORDS]) -> LockState<'a> {
        LockState { words }
    }

    pub(super) fn word(self) -> &'a AtomicU64 {
        &self.words[0]
    }

    pub(super) fn depth(self) -> &'a AtomicU64 {
        &self.words[1]
    }

    pub(super) fn site(self) -> &'a AtomicU64 {
        &self.words[2]
    }

    pub(super) fn abandoned(self) -> &'a AtomicU64 {
        &self.words[3]
    }

    /// Takes it for the task of number `owner`, at `site`, if it is free and nobody has to be asked.
    pub fn take_free(self, owner: u64, site: u64) -> bool {
        let taken = self.word().compare_exchange(0, owner << 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.depth().store(1, Ordering::Relaxed);
            self.site().store(site, Ordering::Relaxed);
        }
        taken
    }

    /// True when somebody stands in line for it.
    pub fn is_waited_for(self) -> bool {
        self.word().load(Ordering::Relaxed) & CONTENDED != 0
    }

    /// Takes it once more, if this task owns it.
    pub fn take_again(self, owner: u64) -> bool {
        let mine = self.word().load(Ordering::Relaxed) >> 1 == owner;
        if mine {
            self.depth().fetch_add(1, Ordering::Relaxed);
        }
        mine
    }

    /// Gives it back once, if this task owns it and nobody has to be told.
    pub fn give_back(self, owner: u64) -> bool {
        let word = self.word();
        if word.load(Ordering::Relaxed) >> 1 != owner {
            return false;
        }
        if self.depth().load(Ordering::Relaxed) > 1 {
            self.depth().fetch_sub(1, Ordering::Relaxed);
            return true;
        }
        word.compare_exchange(owner << 1, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// True for the one who is to be told that the last owner has lost it.
    pub fn was_abandoned(self) -> bool {
        self.abandoned().load(Ordering::Relaxed) != 0 && self.abandoned().swap(0, Ordering::AcqRel) != 0
    }
}

/// Memory for the states of locks that processes share.
pub struct Slab {
    file: Arc<OwnedFd>,
    mapping: Mapping,
    /// The places that were given back, and how many were given out for the first time.
    free: Mutex<(Vec<u32>, u32)>,
}

impl Slab {
    /// A new one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Arc<Slab>> {
        Slab::attach(Arc::new(sealed_file(LOCKS * WORDS)?))
    }

    /// The one in this file, which is that of another process.
    ///
    /// # Errors
    /// When it is none; those of the system.
    pub fn attach(file: Arc<OwnedFd>) -> io::Result<Arc<Slab>> {
        let mapping = Mapping::of(file.as_fd(), LOCKS * WORDS)?;
        Ok(Arc::new(Slab { file, mapping, free: Mutex::default() }))
    }

    /// The file it lies in, for another process.
    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// The state at a place; `None` when there is no such place.
    pub fn state(&self, place: u32) -> Option<LockState<'_>> {
        let start = usize::try_from(place).ok()?.checked_mul(WORDS)?;
        Some(LockState { words: self.mapping.words().get(start..start + WORDS)? })
    }

    /// The first word at a place, for what is no lock; `None` when there is no such place.
    pub fn word(&self, place: u32) -> Option<&AtomicU64> {
        self.state(place).map(|state| state.word())
    }

    /// A place for a lock, a value or a loan; `None` when there is none left.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let mut free = self.free.lock();
        let number = match free.0.pop() {
            Some(number) => number,
            None if usize::try_from(free.1).is_ok_and(|used| used < LOCKS) => {
                free.1 += 1;
                free.1 - 1
            }
            None => return None,
        };
        Some(Place { slab: self.clone(), number })
    }
}

/// A place in a slab.
pub struct Place {
    slab: Arc<Slab>,
    number: u32,
}

impl Place {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its first word, for what is no lock.
    pub fn word(&self) -> &AtomicU64 {
        self.state().word()
    }

    /// What lies there.
    pub fn state(&self) -> LockState<'_> {
        self.slab.state(self.number).expect("invariant: it was given out")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.state().words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.slab.free.lock().0.push(self.number);
    }
}

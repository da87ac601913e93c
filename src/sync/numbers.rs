//! An array of numbers in memory that processes share.
//!
//! Invariant: each number is one word of the memory, so each reading, writing and adding is atomic.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::sealed_file;
use crate::kernel::os::Mapping;
use crate::kernel::{ObjectCore, Waitable, door};

/// What the numbers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Whole numbers.
    I64,
    /// Floating-point numbers.
    F64,
}

/// See the module. Numbers go in and out as their bits.
pub struct Numbers {
    core: Arc<ObjectCore>,
    file: Arc<OwnedFd>,
    kind: Kind,
    numbers: Mapping,
}

impl Numbers {
    /// `length` numbers, all zero.
    ///
    /// # Errors
    /// When there is not so much memory; those of the system.
    pub fn new(kind: Kind, length: usize) -> io::Result<Arc<Numbers>> {
        Numbers::attach(kind, Arc::new(sealed_file(length)?), length)
    }

    /// Those that lie in this file.
    ///
    /// # Errors
    /// When it is no shared memory; those of the system.
    pub fn attach(kind: Kind, file: Arc<OwnedFd>, length: usize) -> io::Result<Arc<Numbers>> {
        let numbers = Mapping::of(file.as_fd(), length)?;
        Ok(Arc::new(Numbers { core: ObjectCore::new("SharedArray"), file, kind, numbers }))
    }

    /// The file they lie in, for another process.
    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// What they are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.words().len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at this place, if there is one.
    pub fn get(&self, at: usize) -> Option<u64> {
        door::query();
        self.word(at).map(|word| word.load(Ordering::SeqCst))
    }

    /// Writes the number at this place, if there is one.
    pub fn set(&self, at: usize, bits: u64) -> Option<()> {
        door::point();
        self.word(at).map(|word| word.store(bits, Ordering::SeqCst))
    }

    /// Changes the number at this place in one step, if there is one: what it was. `change` may be called several times; where
    /// it gives nothing, nothing is changed, and that is the error.
    pub fn change(&self, at: usize, change: impl FnMut(u64) -> Option<u64>) -> Option<Result<u64, u64>> {
        door::point();
        self.word(at).map(|word| word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change))
    }

    /// The numbers of a part, as far as there are any, one after the other.
    pub fn part(&self, part: std::ops::Range<usize>) -> Vec<u64> {
        door::query();
        let words = self.numbers.words().get(part).unwrap_or_default();
        words.iter().map(|word| word.load(Ordering::SeqCst)).collect()
    }

    /// Writes the same number everywhere.
    pub fn fill(&self, bits: u64) {
        door::point();
        self.numbers.words().iter().for_each(|word| word.store(bits, Ordering::SeqCst));
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.numbers.words().get(at)
    }
}

impl Waitable for Numbers {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        let kind = match self.kind {
            Kind::I64 => "i64",
            Kind::F64 => "f64",
        };
        format!("{} × {kind}", self.len())
    }
}

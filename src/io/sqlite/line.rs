//! The line in which those stand who want to write to a file: one for all handles that a program has of it.
//!
//! It is a [`Lock`]: so whoever waits in it can be told of a deadlock, and a transaction belongs to the task that began it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::fault::SqlFault;
use crate::kernel::Waitable;
use crate::sync::{Fault, Lock};

/// See the module.
pub struct Line {
    lock: Arc<Lock>,
    /// The number of the handle whose transaction is open; 0 when there is none.
    transaction_of: AtomicU64,
}

type FileId = (u64, u64);

/// The lines of all files that are open.
static LINES: Mutex<Vec<(FileId, Weak<Line>)>> = Mutex::new(Vec::new());

impl Line {
    /// The line of a file; of its own where it is none.
    pub fn of(path: &Path, name: &str) -> Arc<Line> {
        let line = Line::new(name);
        let Ok(found) = fs::metadata(path) else {
            return line;
        };
        let id = (found.dev(), found.ino());
        let mut lines = LINES.lock();
        lines.retain(|(_, line)| line.strong_count() > 0);
        let same_program = |other: &Arc<Line>| Arc::ptr_eq(other.lock.core().kernel(), line.lock.core().kernel());
        let known =
            lines.iter().filter(|(other, _)| *other == id).find_map(|(_, line)| line.upgrade().filter(same_program));
        known.unwrap_or_else(|| {
            lines.push((id, Arc::downgrade(&line)));
            line
        })
    }

    fn new(name: &str) -> Arc<Line> {
        let lock = Lock::of_kind("Database");
        lock.core().set_name(name);
        Arc::new(Line { lock, transaction_of: AtomicU64::new(0) })
    }

    /// Waits until it is the current task's turn. `None` when it is already, since it is within a transaction, or in the
    /// handler of a signal that came while it waited for a statement.
    ///
    /// # Errors
    /// Those of the wait.
    pub fn enter(self: &Arc<Self>) -> Result<Option<Turn>, SqlFault> {
        if self.lock.is_mine() {
            return Ok(None);
        }
        match self.lock.acquire(None) {
            // Whoever had it is gone, and so is what it had begun.
            Ok(()) | Err(Fault::Abandoned(_)) => Ok(Some(Turn(self.clone()))),
            Err(fault) => Err(fault.into()),
        }
    }

    /// True when it is the current task's turn.
    pub fn is_mine(&self) -> bool {
        self.lock.is_mine()
    }

    /// The handle whose transaction is open.
    pub fn transaction_of(&self) -> u64 {
        self.transaction_of.load(Ordering::Relaxed)
    }

    /// Notes it.
    pub fn set_transaction_of(&self, handle: u64) {
        self.transaction_of.store(handle, Ordering::Relaxed);
    }
}

/// The current task's turn, which ends with this.
pub struct Turn(Arc<Line>);

impl Drop for Turn {
    fn drop(&mut self) {
        // It is taken from a task only when that has ended.
        let _was_mine = self.0.lock.release();
    }
}

//! A value that tasks share.
//!
//! Invariants: reads and writes are atomic, each by itself; while an update runs, which may be script code that waits,
//! nobody else writes, and readers see the value from before it.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::fault::Fault;
use super::lock::Lock;
use crate::kernel::{ObjectCore, Waitable, door};

/// See the module.
pub struct Cell<T> {
    core: Arc<ObjectCore>,
    value: Mutex<T>,
    /// Made by the first update.
    gate: OnceLock<Arc<Lock>>,
}

impl<T: Send + 'static> Cell<T> {
    /// A cell of `kind` that holds what `value` makes for it (values that contain handles need to know their holder).
    pub fn new(kind: &'static str, value: impl FnOnce(&Arc<ObjectCore>) -> T) -> Arc<Cell<T>> {
        let core = ObjectCore::new(kind);
        let value = Mutex::new(value(&core));
        Arc::new(Cell { core, value, gate: OnceLock::new() })
    }

    /// Looks at the value. `look` must not wait.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        door::query();
        look(&self.value.lock())
    }

    /// The same for a look that has to have the value as if to change it.
    pub fn read_mut<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        door::query();
        look(&mut self.value.lock())
    }

    /// Changes the value. `change` must not wait.
    ///
    /// # Errors
    /// [`Fault::Stopped`] while it waits for an update of another task to end.
    pub fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Fault> {
        door::point();
        let gate = {
            // The gate is looked at under the value's own lock: an update that begins after that sees this change.
            let mut value = self.value.lock();
            match self.gate.get().filter(|gate| gate.owner().is_some()) {
                None => return Ok(change(&mut value)),
                Some(gate) => gate,
            }
        };
        self.through(gate, || Ok(change(&mut self.value.lock())))
    }

    /// Runs `body` while nobody else writes; it reads and writes with [`Cell::peek`] and [`Cell::replace`], and may wait.
    ///
    /// # Errors
    /// Those of `body`; [`Fault::Stopped`] while it waits for another update to end.
    pub fn update<R, E: From<Fault>>(&self, body: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.through(self.gate.get_or_init(Lock::new), body)
    }

    /// Looks at the value from within an update.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Looks at the value if nobody is at it in this moment. Does not block.
    pub fn glance<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.value.try_lock().map(|value| look(&value))
    }

    /// Changes the value from within an update.
    pub fn replace<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.value.lock())
    }

    fn through<R, E: From<Fault>>(&self, gate: &Arc<Lock>, body: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        enter(gate)?;
        let result = body();
        gate.release()?;
        result
    }

    /// Begins an update that goes on until [`Cell::end_update`], or until the task ends.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn begin_update(&self) -> Result<(), Fault> {
        enter(self.gate.get_or_init(Lock::new))
    }

    /// Ends the update of the current task.
    ///
    /// # Errors
    /// [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn end_update(&self) -> Result<(), Fault> {
        self.gate.get_or_init(Lock::new).release()
    }

    /// # Errors
    /// When the current task has not begun an update: [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn must_update(&self) -> Result<(), Fault> {
        self.gate.get_or_init(Lock::new).must_be_mine()
    }
}

fn enter(gate: &Arc<Lock>) -> Result<(), Fault> {
    match gate.acquire(None) {
        // An update that was given up half-way has changed nothing.
        Ok(()) | Err(Fault::Abandoned(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

impl<T: Send + 'static> Waitable for Cell<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }
}

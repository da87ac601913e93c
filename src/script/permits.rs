//! The permits of semaphores that tasks of other processes have taken: those of a process that was killed return.
//!
//! A task that ends by itself may have meant to leave a permit for others to give back, as a thread may. One that was ended
//! with its process has meant nothing.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::{Dynamic, Map};

use super::handles;
use crate::kernel::object::ObjectId;
use crate::kernel::task::run_as;
use crate::kernel::{Task, TaskId, Waitable};
use crate::sync::Semaphore;

/// What a call does to the permits of a semaphore.
pub struct Change {
    semaphore: Arc<Semaphore>,
    by: i64,
}

impl Change {
    /// What the call of `function` with these arguments does, if it is one of a semaphore's that takes or gives back.
    pub fn by(function: &str, args: &[Dynamic]) -> Option<Change> {
        let by = match function {
            "acquire" | "try_acquire" => 1,
            "release" => 0i64.saturating_sub(args.get(1).map_or(Ok(1), Dynamic::as_int).ok()?),
            _ => return None,
        };
        let semaphore = args.first()?.read_lock::<handles::Semaphore>()?.0.object().clone();
        Some(Change { semaphore, by })
    }

    /// What a call has done that takes the first of several things, and returned `found`.
    pub fn by_selecting(function: &str, found: &Dynamic) -> Option<Change> {
        if !matches!(function, "select" | "__take_ready") {
            return None;
        }
        let found = found.read_lock::<Map>()?;
        let semaphore = found.get("source")?.read_lock::<handles::Semaphore>()?.0.object().clone();
        Some(Change { semaphore, by: 1 })
    }
}

/// See the module.
#[derive(Default)]
pub struct Permits {
    taken: HashMap<TaskId, HashMap<ObjectId, Change>>,
}

impl Permits {
    /// A call of `task` that was to do this returned `value`.
    pub fn note(&mut self, task: TaskId, change: Change, value: &Dynamic) {
        if value.as_bool() == Ok(false) {
            return;
        }
        let its = self.taken.entry(task).or_default();
        let id = change.semaphore.core().id();
        let by = its.remove(&id).map_or(change.by, |before| before.by.saturating_add(change.by));
        if by != 0 {
            its.insert(id, Change { by, ..change });
        }
    }

    /// A task has ended by itself.
    pub fn forget(&mut self, task: TaskId) {
        self.taken.remove(&task);
    }

    /// A task was ended with its process.
    pub fn give_back(&mut self, task: &Arc<Task>) {
        for change in self.taken.remove(&task.id()).unwrap_or_default().into_values() {
            if let Ok(count) = usize::try_from(change.by) {
                // One that is full already has been given back by somebody else.
                let _full = run_as(task, || change.semaphore.release(count));
            }
        }
    }
}

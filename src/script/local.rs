//! Maps that each task has for itself.
//!
//! Invariant: what a task puts in is seen by no other task, and is gone when the task ends, also where its OS thread runs
//! another task afterwards.

use std::cell::RefCell;
use std::collections::HashMap;

use rhai::{Dynamic, Map};

/// The name of a set of maps, one for each task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Local(pub u64);

thread_local! {
    static MAPS: RefCell<HashMap<Local, Map>> = RefCell::new(HashMap::new());
}

impl Local {
    /// What the current task put under `key`; `()` when nothing.
    pub fn get(self, key: &str) -> Dynamic {
        MAPS.with(|maps| maps.borrow().get(&self).and_then(|m| m.get(key).cloned())).unwrap_or(Dynamic::UNIT)
    }

    /// Puts a value under `key`, for the current task.
    pub fn set(self, key: &str, value: Dynamic) {
        let old = MAPS.with(|maps| maps.borrow_mut().entry(self).or_default().insert(key.into(), value));
        // Dropped only now: it may hold the last handle of something.
        drop(old);
    }

    /// A copy of the current task's map.
    pub fn map(self) -> Map {
        MAPS.with(|maps| maps.borrow().get(&self).cloned()).unwrap_or_default()
    }
}

/// The current task is over.
pub fn forget_task() {
    let maps = MAPS.with(|maps| std::mem::take(&mut *maps.borrow_mut()));
    drop(maps);
}

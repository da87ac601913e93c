//! What a room keeps for each program of the process, and forgets with it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Kernel;

/// See the module.
pub struct PerProgram<T>(Mutex<Vec<(Weak<Kernel>, T)>>);

impl<T: Clone> PerProgram<T> {
    /// Nothing yet.
    pub const fn empty() -> PerProgram<T> {
        PerProgram(Mutex::new(Vec::new()))
    }

    /// Keeps one more for this program.
    pub fn add(&self, kernel: &Arc<Kernel>, one: T) {
        let mut all = self.0.lock();
        all.retain(|(owner, _)| owner.strong_count() > 0);
        all.push((Arc::downgrade(kernel), one));
    }

    /// The latest of this program that fits.
    pub fn latest(&self, kernel: &Arc<Kernel>, fits: impl Fn(&T) -> bool) -> Option<T> {
        let all = self.0.lock();
        let ours = all.iter().rev().filter(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(kernel)));
        ours.map(|(_, one)| one).find(|one| fits(one)).cloned()
    }
}

//! Pages of a simulated program that no server has: what would come, and how long that would take in simulated time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::kernel::Kernel;

/// What stands for an answer.
#[derive(Clone, Debug)]
pub struct Mock {
    /// Which URLs: a glob on the whole of it.
    pub pattern: glob::Pattern,
    /// The status.
    pub status: u16,
    /// Headers, by name in small letters.
    pub headers: Vec<(String, String)>,
    /// The page.
    pub body: Vec<u8>,
    /// How long it takes.
    pub takes: Duration,
}

static MOCKS: Mutex<Vec<(Weak<Kernel>, Mock)>> = Mutex::new(Vec::new());

impl Mock {
    /// From now on this is the answer for the URLs that match. The latest that matches counts.
    pub fn install(self, kernel: &Arc<Kernel>) {
        let mut mocks = MOCKS.lock();
        mocks.retain(|(owner, _)| owner.strong_count() > 0);
        mocks.push((Arc::downgrade(kernel), self));
    }

    /// The one that stands for this URL.
    pub fn find(kernel: &Arc<Kernel>, url: &str) -> Option<Mock> {
        let mocks = MOCKS.lock();
        let ours = mocks.iter().rev().filter(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(kernel)));
        ours.map(|(_, mock)| mock).find(|mock| mock.pattern.matches(url)).cloned()
    }
}

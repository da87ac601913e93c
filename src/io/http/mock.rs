//! Pages of a simulated program that no server has: what would come, and how long that would take in simulated time.

use std::sync::Arc;
use std::time::Duration;

use crate::kernel::Kernel;
use crate::kernel::per_program::PerProgram;

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

static MOCKS: PerProgram<Mock> = PerProgram::empty();

impl Mock {
    /// From now on this is the answer for the URLs that match. The latest that matches counts.
    pub fn install(self, kernel: &Arc<Kernel>) {
        MOCKS.add(kernel, self);
    }

    /// The one that stands for this URL.
    pub fn find(kernel: &Arc<Kernel>, url: &str) -> Option<Mock> {
        MOCKS.latest(kernel, |mock| mock.pattern.matches(url))
    }
}

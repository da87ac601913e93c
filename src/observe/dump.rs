//! What QUIT prints.

use super::snapshot::Snapshot;
use crate::kernel::Kernel;

/// Every task with its script line, what it waits for since when, and what it holds; then the queues and pools.
pub fn text(kernel: &Kernel) -> String {
    Snapshot::take(kernel, "").text()
}

//! A barrier with the action and the timeout it was made with.

use std::sync::Arc;
use std::time::Duration;

use super::function::Callable;
use crate::kernel::{ObjectCore, Waitable};
use crate::sync::Barrier;

/// See the module.
pub struct ActionBarrier {
    /// The barrier itself.
    pub barrier: Arc<Barrier>,
    /// Run by the last of each group.
    pub action: Option<Callable>,
    /// How long a wait without a timeout of its own lasts.
    pub timeout: Option<Duration>,
}

impl Waitable for ActionBarrier {
    fn core(&self) -> &Arc<ObjectCore> {
        self.barrier.core()
    }

    fn state(&self) -> String {
        self.barrier.state()
    }
}

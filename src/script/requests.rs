//! A thread pool with the requests of the `threadpool` module: what was put and not yet waited for.

use std::sync::Arc;

use parking_lot::Mutex;

use super::done::Done;
use super::jobs::JobPool;
use crate::kernel::{ObjectCore, Waitable};
use crate::sync::Future;

/// See the module.
pub struct RequestPool {
    /// The pool.
    pub pool: Arc<JobPool>,
    /// Requests that `wait()` has not waited for.
    pub open: Mutex<Vec<Arc<Future<Done>>>>,
}

impl Waitable for RequestPool {
    fn core(&self) -> &Arc<ObjectCore> {
        self.pool.core()
    }

    fn state(&self) -> String {
        self.pool.state()
    }
}

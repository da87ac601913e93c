//! Structured concurrency: nothing that was started in a group outlives its block.
//!
//! Invariants: the block ends when all members have ended; the first failure, of a member or of the block itself, cancels
//! the rest; it is the one that is thrown, the others go with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{ExecFault, Outcome, Thread};
use crate::kernel::{ObjectCore, Stop, Task, Waitable, current};
use crate::sync::Fault;

/// See the module.
pub struct Group<R: Outcome> {
    core: Arc<ObjectCore>,
    owner: Mutex<Option<Arc<Task>>>,
    members: Mutex<Vec<Arc<Thread<R>>>>,
    /// Members in the order in which they failed.
    failed: Mutex<Vec<usize>>,
    cancelling: AtomicBool,
    /// How many cancellations of its owner came from the group and were not heard yet.
    owner_cancels: AtomicUsize,
}

impl<R: Outcome> Group<R> {
    /// A group without members.
    pub fn new() -> Arc<Group<R>> {
        Arc::new(Group {
            core: ObjectCore::new("TaskGroup"),
            owner: Mutex::new(None),
            members: Mutex::default(),
            failed: Mutex::default(),
            cancelling: AtomicBool::new(false),
            owner_cancels: AtomicUsize::new(0),
        })
    }

    /// The block begins, in the current task.
    pub fn enter(&self) {
        *self.owner.lock() = Some(current());
    }

    /// True between `enter` and `leave`.
    pub fn is_open(&self) -> bool {
        self.owner.lock().is_some()
    }

    /// Starts a member.
    ///
    /// # Errors
    /// [`ExecFault::PoolClosed`] outside the block; those of [`Thread::start`].
    pub fn start(self: &Arc<Self>, thread: &Arc<Thread<R>>) -> Result<(), ExecFault> {
        self.start_by(thread, || thread.start())
    }

    /// The same for a member that `start` starts.
    ///
    /// # Errors
    /// As [`Group::start`], and those of `start`.
    pub fn start_by(
        self: &Arc<Self>,
        thread: &Arc<Thread<R>>,
        start: impl FnOnce() -> Result<(), ExecFault>,
    ) -> Result<(), ExecFault> {
        if !self.is_open() {
            return Err(ExecFault::PoolClosed("a TaskGroup takes tasks only within its `with` block".into()));
        }
        let index = {
            let mut members = self.members.lock();
            members.push(thread.clone());
            members.len() - 1
        };
        let group = Arc::downgrade(self);
        thread.future().when_over(move |future| {
            let failed = future.look(|r| r.is_some_and(Outcome::is_failure)).unwrap_or(false);
            if let (true, Some(group)) = (failed, group.upgrade()) {
                group.failed.lock().push(index);
                group.cancel(true);
            }
        });
        start()?;
        if self.cancelling.load(Ordering::Acquire) {
            thread.cancel();
        }
        Ok(())
    }

    /// Cancels all members, and the block too if `owner_too`.
    pub fn cancel(&self, owner_too: bool) {
        if self.cancelling.swap(true, Ordering::AcqRel) {
            return;
        }
        let members = self.members.lock().clone();
        members.iter().filter(|m| m.is_alive()).for_each(|m| m.cancel());
        if owner_too && let Some(owner) = &*self.owner.lock() {
            self.owner_cancels.fetch_add(1, Ordering::AcqRel);
            owner.cancel();
        }
    }

    /// The block is over: waits for all members. Returns the threads that failed, first failure first, and whether the
    /// block was cancelled by the group.
    ///
    /// # Errors
    /// [`Fault::Stopped`] at the end of the program; a cancellation or signal meanwhile cancels the members and is
    /// returned when they have ended.
    pub fn leave(&self, block_failed: bool) -> Result<Left<R>, Fault> {
        if block_failed {
            self.cancel(false);
        }
        let mut stopped = None;
        loop {
            let members = self.members.lock().clone();
            let Some(open) = members.iter().find(|m| !m.future().is_over()) else {
                break;
            };
            match open.future().wait_as("end of the group", None) {
                Ok(()) => {}
                Err(Fault::Stopped(Stop::Cancelled)) if self.hear_own_cancel() => {}
                Err(Fault::Stopped(Stop::Ended)) => return Err(Stop::Ended.into()),
                Err(fault) => {
                    self.cancel(false);
                    stopped = Some(fault);
                }
            }
        }
        *self.owner.lock() = None;
        // A cancellation that the block never heard was the group's own and is over.
        let pending = self.hear_own_cancel() && current().take_cancel();
        let members = self.members.lock().clone();
        let failed = self.failed.lock().iter().map(|&i| members[i].clone()).collect();
        match stopped {
            Some(fault) => Err(fault),
            None => Ok(Left { failed, cancelled_block: pending || self.cancelling.load(Ordering::Acquire) }),
        }
    }

    fn hear_own_cancel(&self) -> bool {
        self.owner_cancels.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
    }
}

/// How a group ended.
pub struct Left<R: Outcome> {
    /// The members that failed, first failure first.
    pub failed: Vec<Arc<Thread<R>>>,
    /// True when an error `Cancelled` of the block may have come from the group.
    pub cancelled_block: bool,
}

impl<R: Outcome> Waitable for Group<R> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }
}

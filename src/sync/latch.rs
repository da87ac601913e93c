//! A count that goes down to zero once.
//!
//! Invariant: nobody goes on before the count is zero, everybody does when it is, and it never goes up again.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use crate::kernel::{ObjectCore, Operation, Stop, Ticket, WaitQueue, Waitable, Waker, block, door};

struct State {
    count: usize,
    waiters: WaitQueue,
}

/// See the module.
pub struct Latch {
    core: Arc<ObjectCore>,
    state: Mutex<State>,
}

impl Latch {
    /// A latch that opens after `count` calls of [`Latch::count_down`].
    pub fn new(count: usize) -> Arc<Latch> {
        let state = Mutex::new(State { count, waiters: WaitQueue::default() });
        Arc::new(Latch { core: ObjectCore::new("Latch"), state })
    }

    /// One less; nothing happens when it is zero already.
    pub fn count_down(&self) {
        door::point();
        let mut state = self.state.lock();
        state.count = state.count.saturating_sub(1);
        if state.count == 0 {
            state.waiters.grant_all();
        }
    }

    /// How many are still to come.
    pub fn count(&self) -> usize {
        door::query();
        self.state.lock().count
    }

    /// Waits until the count is zero, at most `limit`: false when the time was up.
    ///
    /// # Errors
    /// [`Fault::Stopped`], but not for the time.
    pub fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<bool, Fault> {
        door::enter()?;
        match block(&mut WaitZero { latch: self.clone(), ticket: Ticket::default() }, limit) {
            Ok(()) => Ok(true),
            Err(Stop::TimedOut) => Ok(false),
            Err(stop) => Err(stop.into()),
        }
    }
}

impl Waitable for Latch {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        self.state.try_lock().map_or_else(String::new, |s| format!("{} to come, {} waiting", s.count, s.waiters.len()))
    }
}

/// The call `wait()`.
struct WaitZero {
    latch: Arc<Latch>,
    ticket: Ticket,
}

impl Operation for WaitZero {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.latch.state.lock();
        if state.count == 0 {
            return Poll::Ready(());
        }
        state.waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.latch.state.lock().waiters.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.latch.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

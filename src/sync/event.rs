//! A flag that tasks wait for.
//!
//! Invariant: every task that waits when the flag is set goes on, even if the flag is cleared before it runs; a task that
//! begins to wait while the flag is set does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use crate::kernel::{ObjectCore, Operation, Stop, Ticket, WaitQueue, Waitable, Waker, block, door};

/// See the module.
pub struct Event {
    core: Arc<ObjectCore>,
    flag: AtomicBool,
    waiters: Mutex<WaitQueue>,
}

impl Event {
    /// An event whose flag is not set.
    pub fn new() -> Arc<Event> {
        Arc::new(Event { core: ObjectCore::new("Event"), flag: AtomicBool::new(false), waiters: Mutex::default() })
    }

    /// Sets the flag and lets all go on that wait.
    pub fn set(&self) {
        door::point();
        let mut waiters = self.waiters.lock();
        self.flag.store(true, Ordering::Release);
        waiters.grant_all();
    }

    /// Clears the flag.
    pub fn clear(&self) {
        door::point();
        let _ordered_with_set = self.waiters.lock();
        self.flag.store(false, Ordering::Release);
    }

    /// True when the flag is set.
    pub fn is_set(&self) -> bool {
        door::query();
        self.flag.load(Ordering::Acquire)
    }

    /// Waits until the flag is set, at most `limit`: false when the time was up.
    ///
    /// # Errors
    /// [`Fault::Stopped`], but not for the time.
    pub fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<bool, Fault> {
        door::enter()?;
        if self.flag.load(Ordering::Acquire) {
            return Ok(true);
        }
        match block(&mut self.waiting(), limit) {
            Ok(()) => Ok(true),
            Err(Stop::TimedOut) => Ok(false),
            Err(stop) => Err(stop.into()),
        }
    }

    /// An operation that waits for the flag.
    pub fn waiting(self: &Arc<Self>) -> WaitFlag {
        WaitFlag { event: self.clone(), ticket: Ticket::default() }
    }
}

impl Waitable for Event {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        let flag = if self.flag.load(Ordering::Acquire) { "set" } else { "not set" };
        match self.waiters.try_lock().map_or(0, |w| w.len()) {
            0 => flag.to_string(),
            n => format!("{flag}, {n} waiting"),
        }
    }
}

/// The call `wait()`.
pub struct WaitFlag {
    event: Arc<Event>,
    ticket: Ticket,
}

impl Operation for WaitFlag {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut waiters = self.event.waiters.lock();
        if waiters.granted(&self.ticket) || self.event.flag.load(Ordering::Acquire) {
            waiters.remove(&mut self.ticket);
            return Poll::Ready(());
        }
        waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.event.waiters.lock().remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.event.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

//! A condition variable over a [`Lock`].
//!
//! Invariants: a task waits and notifies only while it owns the lock; it is enlisted before it lets go of the lock, so no
//! notification between the two is lost; `notify(n)` lets the `n` that wait longest go on, and nobody goes on unasked
//! (there are no spurious wake-ups); a waiter owns the lock again when the call returns, however it returns, unless nobody
//! could ever give it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use super::lock::Lock;
use crate::kernel::{
    Handle, ObjectCore, Operation, Stop, Ticket, WaitQueue, Waitable, Waker, block, current, door, with_current,
};

/// See the module.
pub struct Condition {
    core: Arc<ObjectCore>,
    lock: Handle<Lock>,
    waiters: Mutex<WaitQueue<Notified>>,
}

/// Who stood in line when a waiter was notified: up to this place. Set under the lock of the queue.
type Notified = Arc<AtomicU64>;

impl Condition {
    /// A condition over `lock`.
    pub fn new(lock: &Handle<Lock>) -> Arc<Condition> {
        let core = ObjectCore::new("Condition");
        let lock = lock.held_by(&crate::kernel::Holder::Object(core.clone()));
        Arc::new(Condition { core, lock, waiters: Mutex::default() })
    }

    /// Its lock.
    pub fn lock(&self) -> &Arc<Lock> {
        self.lock.object()
    }

    /// Lets go of the lock, waits for a notification, at most `limit`, and takes the lock back: false when the time was up.
    ///
    /// # Errors
    /// [`Fault::NotHeld`] and [`Fault::NotOwner`] without the lock; [`Fault::Stopped`], [`Fault::Abandoned`].
    pub fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<bool, Fault> {
        let task = current();
        self.lock().must_own(task.id())?;
        let mut op = WaitNotified { condition: self.clone(), ticket: Ticket::default(), notified: Arc::default() };
        // Enlisted before the lock is free.
        let _pending = op.poll(&Waker::Task(task.clone()));
        let depth = self.lock().release_fully(&task);
        let outcome = block(&mut op, limit);
        if outcome.is_err() {
            op.abandon();
        }
        if let Err(fault) = self.lock().take_back(depth) {
            // That goes first; the rest is told by the next call.
            match outcome {
                Err(Stop::Cancelled) => task.cancel(),
                Err(Stop::Interrupted(signal)) => task.interrupt(signal),
                Err(Stop::Handler(error)) => task.kernel().handling().fail(&task, error),
                _ => {}
            }
            return Err(fault);
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(Stop::TimedOut) => Ok(false),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Fails unless the current task has the lock.
    ///
    /// # Errors
    /// [`Fault::NotHeld`] and [`Fault::NotOwner`].
    pub fn must_be_held(&self) -> Result<(), Fault> {
        with_current(|task| self.lock().must_own(task.id()))
    }

    /// Lets the `n` go on that wait longest.
    ///
    /// # Errors
    /// [`Fault::NotHeld`] and [`Fault::NotOwner`] without the lock.
    pub fn notify(&self, n: usize) -> Result<(), Fault> {
        door::point();
        self.must_be_held()?;
        let mut waiters = self.waiters.lock();
        let last = waiters.last_place();
        for _ in 0..n.min(waiters.len()) {
            notify_one(&mut waiters, last);
        }
        Ok(())
    }

    /// Lets all go on that wait.
    ///
    /// # Errors
    /// As [`Condition::notify`].
    pub fn notify_all(&self) -> Result<(), Fault> {
        self.notify(usize::MAX)
    }
}

/// Lets the first go on of those who stood in line when it was notified.
fn notify_one(waiters: &mut WaitQueue<Notified>, last: u64) {
    if let Some(notified) = waiters.grant_up_to(last) {
        notified.store(last, Ordering::Relaxed);
    }
}

impl Waitable for Condition {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        self.waiters.try_lock().map_or_else(String::new, |w| format!("{} waiting", w.len()))
    }
}

/// The inner part of `wait()`.
struct WaitNotified {
    condition: Arc<Condition>,
    ticket: Ticket,
    notified: Notified,
}

impl Operation for WaitNotified {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut waiters = self.condition.waiters.lock();
        if waiters.granted(&self.ticket) {
            return Poll::Ready(());
        }
        waiters.enlist(&mut self.ticket, waker, self.notified.clone());
        Poll::Pending
    }

    /// A notification that this one got and cannot use goes to the next who was there when it came.
    fn abandon(&mut self) {
        let mut waiters = self.condition.waiters.lock();
        if self.ticket.is_enlisted() && !waiters.remove(&mut self.ticket) {
            notify_one(&mut waiters, self.notified.load(Ordering::Relaxed));
        }
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.condition.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

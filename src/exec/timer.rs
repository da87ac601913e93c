//! A thread that runs a body after a while, once or again and again.
//!
//! Invariant: after `cancel` the body is not begun any more. Each round is measured from the beginning of the one before,
//! so an interval does not drift; a round that is late is not made up for.

use std::sync::Arc;
use std::time::Duration;

use super::{ExecFault, Outcome, Thread};
use crate::kernel::{Role, Stop, current};
use crate::sync::{Event, Fault};

/// See the module.
pub struct Timer<R: Outcome> {
    thread: Arc<Thread<R>>,
    cancelled: Arc<Event>,
}

/// How the rounds of a timer ended.
pub enum Rounds<R> {
    /// The body ran (in an interval: failed) with this outcome.
    Ran(R),
    /// It was cancelled.
    Cancelled,
    /// Its task was stopped.
    Stopped(Stop),
}

impl<R: Outcome> Timer<R> {
    /// A timer that runs `body` after `delay`; with `repeat` again and again until it is cancelled or fails. `conclude`
    /// makes the outcome of its thread.
    pub fn new(
        delay: Duration,
        repeat: bool,
        mut body: impl FnMut() -> R + Send + 'static,
        conclude: impl FnOnce(Rounds<R>) -> R + Send + 'static,
    ) -> Arc<Timer<R>> {
        let cancelled = Event::new();
        let stop = cancelled.clone();
        let thread = Thread::new(current().kernel(), "", Role::Thread, false);
        thread.give(move || {
            let mut due = current().kernel().now().saturating_add(delay);
            loop {
                let now = current().kernel().now();
                match stop.wait(Some(due.saturating_sub(now))) {
                    Ok(true) => return conclude(Rounds::Cancelled),
                    Ok(false) => {}
                    Err(Fault::Stopped(stop)) => return conclude(Rounds::Stopped(stop)),
                    Err(_) => return conclude(Rounds::Cancelled),
                }
                let outcome = body();
                if !repeat || outcome.is_failure() {
                    return conclude(Rounds::Ran(outcome));
                }
                due = due.saturating_add(delay).max(current().kernel().now());
            }
        });
        Arc::new(Timer { thread, cancelled })
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`ExecFault::AlreadyStarted`], [`ExecFault::NoThread`].
    pub fn start(&self) -> Result<(), ExecFault> {
        self.thread.start()
    }

    /// The body is not begun any more.
    pub fn cancel(&self) {
        self.cancelled.set();
    }

    /// Its thread.
    pub fn thread(&self) -> &Arc<Thread<R>> {
        &self.thread
    }
}

impl<R: Outcome> crate::kernel::Waitable for Timer<R> {
    fn core(&self) -> &Arc<crate::kernel::ObjectCore> {
        self.thread.core()
    }
}

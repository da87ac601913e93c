//! The stream of what happens: one source for traces, reports, statistics and tests.
//!
//! An event is added here, told with [`Events::emit`] where it happens, and shown by `observe::tape`, whose `match` the
//! compiler then finds incomplete. Nobody listening costs one relaxed load at each place.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Kernel;
use super::object::ObjectCore;
use super::site::Site;
use super::task::{Task, Wait};

/// Something that happened, in the past tense where it is done.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A task began to run; `by` has started it.
    Started { task: &'a Task, by: Option<&'a Task> },
    /// A task ran to its end.
    Ended { task: &'a Task },
    /// A task begins with a function of the script.
    Calls { task: &'a Task, function: &'a str, site: Site },
    /// That function is over.
    Returns { task: &'a Task },
    /// A task waits at the door.
    Waits { task: &'a Task, wait: &'a Wait },
    /// Its wait is over; `how` is empty when what was waited for has come.
    Wakes { task: &'a Task, wait: &'a Wait, how: &'static str },
    /// Somebody woke a task that waits.
    Woken { task: &'a Task, by: Option<&'a Task> },
    /// A task got an owned object.
    Acquired { task: &'a Task, object: &'a ObjectCore, site: Site },
    /// A task gave an owned object back, or has lost it.
    Released { task: &'a Task, object: &'a ObjectCore },
    /// Item number `item` of a queue went in; it now holds `size`.
    Put { task: &'a Task, object: &'a ObjectCore, item: u64, size: usize },
    /// Item number `item` was taken out of a queue, which now holds `size`; 0 for an item that was put while nobody listened.
    Got { task: &'a Task, object: &'a ObjectCore, item: u64, size: usize },
    /// Something that is counted has changed: the free permits of a semaphore.
    Level { object: &'a ObjectCore, level: usize },
    /// A task started a command; `pid` is the process of its last stage.
    ChildStarted { task: &'a Task, object: &'a ObjectCore, pid: u32, command: &'a str },
    /// A command has ended, with this exit code (negative for a signal).
    ChildEnded { object: &'a ObjectCore, pid: u32, code: i32, note: &'static str, usage: Option<Usage> },
    /// A process of the script was started.
    WorkerStarted { task: &'a Task, pid: u32 },
    /// It has ended, with this exit code (negative for a signal).
    WorkerEnded { task: &'a Task, pid: u32, code: i32 },
    /// Something rare that a person looks for: a signal, a deadlock, what orch has said.
    Noted { kernel: &'a Kernel, task: Option<&'a Task>, what: &'static str, text: &'a str },
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on processors, in its own code.
    pub user: Duration,
    /// Time on processors, in the system for it.
    pub system: Duration,
    /// The most memory it had at a time, in KiB.
    pub peak_kib: u64,
}

impl Event<'_> {
    /// The program in which it happened.
    pub fn kernel(&self) -> &Kernel {
        match self {
            Event::Started { task, .. }
            | Event::Ended { task }
            | Event::Calls { task, .. }
            | Event::Returns { task }
            | Event::Waits { task, .. }
            | Event::Wakes { task, .. }
            | Event::Woken { task, .. }
            | Event::Acquired { task, .. }
            | Event::Released { task, .. }
            | Event::Put { task, .. }
            | Event::Got { task, .. }
            | Event::ChildStarted { task, .. }
            | Event::WorkerStarted { task, .. }
            | Event::WorkerEnded { task, .. } => task.kernel(),
            Event::Level { object, .. } | Event::ChildEnded { object, .. } => object.kernel(),
            Event::Noted { kernel, .. } => kernel,
        }
    }
}

/// Who hears events. Called in the thread in which they happen, perhaps with locks of the object held; must not wait at the
/// door.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The stream of one program.
#[derive(Default)]
pub struct Events {
    on: AtomicBool,
    first: Listeners,
}

/// The listeners, each with those that came after it: to be read without a lock.
#[derive(Default)]
struct Listeners(OnceLock<(Listener, Box<Listeners>)>);

impl Events {
    /// Adds a listener for the rest of the program.
    pub fn listen(&self, listener: Listener) {
        let mut place = &self.first;
        let mut new = (listener, Box::default());
        while let Err(refused) = place.0.set(new) {
            new = refused;
            match place.0.get() {
                Some((_, next)) => place = next,
                None => return,
            }
        }
        self.on.store(true, Ordering::Release);
    }

    /// True when somebody listens.
    #[inline]
    pub fn on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Tells the listeners, if there are any.
    #[inline]
    pub fn emit<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if self.on() {
            self.tell(&event());
        }
    }

    #[cold]
    fn tell(&self, event: &Event) {
        let mut place = &self.first;
        while let Some((listener, next)) = place.0.get() {
            listener(event);
            place = next;
        }
    }
}

/// How much of what happens to one object or task a listener has taken down lately: so that what happens very often does not
/// cost much. Kept beside it, for one listener.
#[derive(Default)]
pub struct Budget(AtomicU64);

impl Budget {
    /// True for the first `most` calls in each `window`.
    #[inline]
    pub fn allows(&self, window: u32, most: u32) -> bool {
        let count = self.count(window);
        if count > most {
            return false;
        }
        // Two at once may count as one: nothing depends on the exact number.
        self.0.store(u64::from(window) << 32 | u64::from(count.saturating_add(1)), Ordering::Relaxed);
        count < most
    }

    /// True when the last call of [`Budget::allows`] in this window was refused.
    #[inline]
    pub fn is_overdrawn(&self, window: u32, most: u32) -> bool {
        self.count(window) > most
    }

    fn count(&self, window: u32) -> u32 {
        let spent = self.0.load(Ordering::Relaxed);
        if spent >> 32 == u64::from(window) { (spent & u64::from(u32::MAX)) as u32 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Setup;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn all_listeners_hear_all_from_when_they_came() {
        let kernel = Kernel::new(Setup::Sim { seed: 0 });
        let counts: Vec<Arc<AtomicUsize>> = (0..3).map(|_| Arc::default()).collect();
        let say = || kernel.events().emit(|| Event::Noted { kernel: &kernel, task: None, what: "x", text: "" });
        say();
        for count in &counts {
            let count = count.clone();
            kernel.events().listen(Arc::new(move |_| _ = count.fetch_add(1, Ordering::Relaxed)));
            say();
        }
        let heard: Vec<usize> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(heard, [3, 2, 1]);
    }

    #[test]
    fn a_budget_is_spent_and_comes_again() {
        let budget = Budget::default();
        let taken = |window: u32| (0..10).filter(|_| budget.allows(window, 4)).count();
        assert_eq!([taken(0), taken(0), taken(1), taken(1), taken(7)], [4, 0, 4, 0, 4]);
    }
}

//! The stream of what happens: one source for traces, timelines and tests.
//!
//! Nobody listening costs one relaxed load at each place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::object::ObjectId;
use super::task::TaskId;

/// Something that happened, in the past tense where it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task began to run.
    Started { task: TaskId },
    /// A task ran to its end.
    Ended { task: TaskId },
    /// A task waits at the door.
    Waits { task: TaskId, object: ObjectId, verb: &'static str },
    /// Its wait is over, however it ended.
    Wakes { task: TaskId },
    /// A task got an owned object.
    Acquired { task: TaskId, object: ObjectId },
    /// A task gave an owned object back.
    Released { task: TaskId, object: ObjectId },
    /// An item went into a queue, which now holds `size`.
    Put { task: TaskId, object: ObjectId, size: usize },
    /// An item was taken out of a queue, which now holds `size`.
    Got { task: TaskId, object: ObjectId, size: usize },
    /// A task started a command; `pid` is the process of its last stage.
    ChildStarted { task: TaskId, object: ObjectId, pid: u32 },
    /// A command has ended, with this exit code (negative for a signal).
    ChildEnded { object: ObjectId, pid: u32, code: i32 },
}

/// Who hears events. Called in the thread in which they happen; must not block.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The stream of one program.
#[derive(Default)]
pub struct Events {
    on: AtomicBool,
    listeners: RwLock<Vec<Listener>>,
}

impl Events {
    /// Adds a listener for the rest of the program.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
        self.on.store(true, Ordering::Release);
    }

    /// True when somebody listens.
    pub fn are_heard(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Tells the listeners, if there are any.
    #[inline]
    pub fn emit(&self, event: impl FnOnce() -> Event) {
        if self.on.load(Ordering::Relaxed) {
            let event = event();
            self.listeners.read().iter().for_each(|l| l(&event));
        }
    }
}

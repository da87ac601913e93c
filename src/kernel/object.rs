//! Shared objects, and who can still reach them.
//!
//! A [`Handle`] is a reference to an object that belongs to a *holder*: a task, another object that contains it (a queue,
//! a value, a future), or the world outside. Clones share the holder; [`Handle::held_by`] makes one for another. So the
//! kernel knows at any time who could still end a wait on an object, and that is what tells a wait that nobody can end
//! from one that somebody may (the idea of GHC's `BlockedIndefinitelyOnMVar` and of Go's goroutine leak profile, with
//! counted references in place of a garbage collector).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::events::Budget;
use super::task::{Task, TaskId, current, try_current};
use super::{Kernel, Site, deadlock};

/// The number of an object. Never used twice in a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub u64);

/// Who holds a handle.
#[derive(Clone)]
pub enum Holder {
    /// A task, in its variables.
    Task(TaskId),
    /// An object that contains it; whoever reaches that object reaches this one.
    Object(Arc<ObjectCore>),
    /// Something that may act at any time: a signal handler, a host program.
    Outside,
}

impl Holder {
    /// The current task; the outside while [`held_outside`] runs.
    pub fn current() -> Holder {
        if OUTSIDE.get() { Holder::Outside } else { Holder::Task(current().id()) }
    }

    fn key(&self) -> (u8, u64) {
        match self {
            Holder::Outside => (0, 0),
            Holder::Task(id) => (1, id.0),
            Holder::Object(core) => (2, core.id.0),
        }
    }
}

thread_local! {
    static OUTSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`; the handles it makes are held by the outside: every task may come to them by ways that are not counted.
pub fn held_outside<R>(body: impl FnOnce() -> R) -> R {
    let before = OUTSIDE.replace(true);
    let result = body();
    OUTSIDE.set(before);
    result
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// Who could end a wait on an object.
pub enum Enders {
    /// Whoever holds a handle to it.
    Holders,
    /// Any of these tasks, and nobody else: the thread that is joined, the workers of a pool.
    Tasks(Vec<TaskId>),
    /// All of these tasks must act: the owners of a lock.
    AllOf(Vec<TaskId>),
    /// Whoever could end a wait on any of these.
    AnyOf(Vec<Arc<dyn Waitable>>),
    /// Somebody surely will, or it can't be told.
    Somebody,
    /// Nobody but time or a cancellation.
    Nobody,
}

/// What the kernel wants to know of an object that tasks wait for.
pub trait Waitable: Send + Sync {
    /// The part that every object has.
    fn core(&self) -> &Arc<ObjectCore>;

    /// Who could end a wait on it. Called with the world half stopped: must not block (use `try_lock`, and answer
    /// [`Enders::Somebody`] when that fails).
    fn enders(&self) -> Enders {
        Enders::Holders
    }

    /// Who owns it since which line, for locks. Must not block.
    fn owners(&self) -> Vec<(TaskId, Site)> {
        Vec::new()
    }

    /// A task ended without giving it back.
    fn owner_ended(&self, _task: TaskId) {}

    /// A task was ended with its simulated process.
    fn taker_killed(&self, _task: TaskId) {}

    /// How many items are in it, or wait in it for a worker. Must not block.
    fn depth(&self) -> Option<usize> {
        None
    }

    /// Its state in a few words: `2 waiting`, `5 items`. Must not block.
    fn state(&self) -> String {
        String::new()
    }
}

/// What every shared object has: number, kind, name, and its holders.
pub struct ObjectCore {
    id: ObjectId,
    kind: &'static str,
    kernel: Arc<Kernel>,
    /// The simulated process that it was made in.
    home: u64,
    born: Site,
    name: Mutex<Option<Arc<str>>>,
    listed: AtomicBool,
    noted: Budget,
    holders: Mutex<Vec<Held>>,
}

struct Held {
    holder: Holder,
    count: usize,
}

impl ObjectCore {
    /// A new object of `kind` (its name in scripts) in the current task's program.
    pub fn new(kind: &'static str) -> Arc<ObjectCore> {
        let task = current();
        Self::new_in(task.kernel(), kind, task.site())
    }

    /// A new object in `kernel`, made at `born`.
    pub fn new_in(kernel: &Arc<Kernel>, kind: &'static str, born: Site) -> Arc<ObjectCore> {
        Self::with_id(kernel, kernel.next_object(), kind, born)
    }

    /// An object that lives in another process, where it has this number.
    pub fn of_elsewhere(kernel: &Arc<Kernel>, number: u64, kind: &'static str) -> Arc<ObjectCore> {
        Self::with_id(kernel, ObjectId(number), kind, Site::NONE)
    }

    /// Time itself is object 0.
    pub(super) fn of_time(kernel: &Arc<Kernel>) -> Arc<ObjectCore> {
        Self::with_id(kernel, ObjectId(0), "time", Site::NONE)
    }

    fn with_id(kernel: &Arc<Kernel>, id: ObjectId, kind: &'static str, born: Site) -> Arc<ObjectCore> {
        Arc::new(ObjectCore {
            id,
            kind,
            kernel: kernel.clone(),
            home: if kernel.is_sim() { try_current().map_or(0, |task| task.process()) } else { 0 },
            born,
            name: Mutex::new(None),
            listed: AtomicBool::new(false),
            noted: Budget::default(),
            holders: Mutex::new(Vec::new()),
        })
    }

    /// Its number.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Its kind: `Lock`, `Queue` …
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// In simulated time, the number of the process that it was made in; 0 for the first one.
    pub fn home(&self) -> u64 {
        self.home
    }

    /// The program it belongs to.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Where in the script it was made.
    pub fn born(&self) -> Site {
        self.born
    }

    /// The name its author gave it.
    pub fn name(&self) -> Option<Arc<str>> {
        self.name.lock().clone()
    }

    /// Gives it a name.
    pub fn set_name(&self, name: &str) {
        *self.name.lock() = Some(name.into());
    }

    /// How much of what happens to it was taken down lately.
    pub fn noted(&self) -> &Budget {
        &self.noted
    }

    /// How reports call it: `Queue(#3 "jobs")`.
    pub fn label(&self) -> String {
        match self.name() {
            Some(name) => format!("{}(#{} {name:?})", self.kind, self.id.0),
            None => format!("{}(#{})", self.kind, self.id.0),
        }
    }

    pub(super) fn mark_listed(&self) {
        self.listed.store(true, Ordering::Relaxed);
    }

    /// The holders, for the deadlock search; `None` when somebody is changing them just now.
    pub(super) fn try_holders(&self) -> Option<Vec<Holder>> {
        Some(self.holders.try_lock()?.iter().map(|h| h.holder.clone()).collect())
    }

    /// How many handles of how many holders exist.
    pub fn holder_count(&self) -> usize {
        self.holders.lock().len()
    }

    fn add_holder(&self, holder: &Holder) {
        let _held_back_by_the_search = deadlock::change_handles(&self.kernel);
        let mut holders = self.holders.lock();
        match holders.binary_search_by_key(&holder.key(), |h| h.holder.key()) {
            Ok(i) => holders[i].count += 1,
            Err(i) => holders.insert(i, Held { holder: holder.clone(), count: 1 }),
        }
    }

    fn drop_holder(&self, holder: &Holder) {
        let _held_back_by_the_search = deadlock::change_handles(&self.kernel);
        let mut holders = self.holders.lock();
        if let Ok(i) = holders.binary_search_by_key(&holder.key(), |h| h.holder.key()) {
            holders[i].count -= 1;
            if holders[i].count == 0 {
                let gone = holders.remove(i);
                drop(holders);
                drop(gone); // may be the last reference to another object's core
                self.kernel.detector().look_again(&self.kernel);
            }
        }
    }
}

impl std::fmt::Debug for ObjectCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

impl Drop for ObjectCore {
    fn drop(&mut self) {
        if self.listed.load(Ordering::Relaxed) {
            self.kernel.forget_object(self.id);
        }
    }
}

/// An object that scripts hold by handles.
pub trait Object: Waitable + Sized + 'static {}
impl<T: Waitable + 'static> Object for T {}

struct Grip<T: Object> {
    object: Arc<T>,
    holder: Holder,
}

impl<T: Object> Drop for Grip<T> {
    fn drop(&mut self) {
        self.object.core().drop_holder(&self.holder);
    }
}

/// A counted reference to an object, on behalf of one holder.
pub struct Handle<T: Object>(Arc<Grip<T>>);

impl<T: Object> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle(self.0.clone())
    }
}

impl<T: Object> Handle<T> {
    /// A handle for the current task.
    pub fn new(object: Arc<T>) -> Handle<T> {
        Self::for_holder(object, Holder::current())
    }

    /// A handle for `holder`.
    pub fn for_holder(object: Arc<T>, holder: Holder) -> Handle<T> {
        object.core().add_holder(&holder);
        Handle(Arc::new(Grip { object, holder }))
    }

    /// The same object for another holder.
    pub fn held_by(&self, holder: &Holder) -> Handle<T> {
        if self.0.holder == *holder {
            return self.clone();
        }
        Self::for_holder(self.0.object.clone(), holder.clone())
    }

    /// The object.
    pub fn object(&self) -> &Arc<T> {
        &self.0.object
    }

    /// True when both mean the same object.
    pub fn same(&self, other: &Handle<T>) -> bool {
        self.object().core().id() == other.object().core().id()
    }
}

impl<T: Object> std::ops::Deref for Handle<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.object
    }
}

impl<T: Object> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.object().core().label())
    }
}

/// A task as something to wait for: reports call it by its name.
pub fn task_label(task: &Task) -> String {
    format!("{:?}", task.name())
}

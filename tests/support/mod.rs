//! What the tests of the kernel and the primitives share: tasks that give a result or pass their panic on, and objects
//! whose holders the deadlock search knows.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use orch::kernel::explore::panic_again;
use orch::kernel::{Handle, Holder, Object, Role, Task, current, point};
use orch::sync::{Fault, Future};
use parking_lot::Mutex;

/// A started task.
pub struct Spawned<R> {
    /// It, to be cancelled or asked.
    pub task: Arc<Task>,
    over: Arc<Future<()>>,
    result: Arc<Mutex<Option<thread::Result<R>>>>,
}

/// Starts a task. `make` runs here and is told on whose behalf it takes handles; what it returns is the task's body.
pub fn spawn<R: Send + 'static, B: FnOnce() -> R + Send + 'static>(make: impl FnOnce(&Holder) -> B) -> Spawned<R> {
    spawn_as("", false, make)
}

/// The same for a task with a name, perhaps a daemon.
pub fn spawn_as<R: Send + 'static, B: FnOnce() -> R + Send + 'static>(
    name: &str,
    daemon: bool,
    make: impl FnOnce(&Holder) -> B,
) -> Spawned<R> {
    let kernel = current().kernel().clone();
    let task = kernel.new_task(name, Role::Thread, daemon);
    let body = make(&Holder::Task(task.id()));
    let (over, result) = (Future::new("Thread", None), Arc::default());
    over.begin(task.id());
    let spawned = Spawned { task, over, result };
    let (over, result) = (spawned.over.clone(), spawned.result.clone());
    kernel
        .start(&spawned.task, move || {
            let outcome = catch_unwind(AssertUnwindSafe(body));
            *result.lock() = Some(outcome);
            over.finish(());
        })
        .expect("threads are there in tests");
    spawned
}

impl<R> Spawned<R> {
    /// Cancels it, at a moment of the world's choice.
    pub fn cancel(&self) {
        point();
        self.task.cancel();
    }

    /// Waits for its end, or until that turns out to be impossible.
    pub fn wait(&self) -> Result<(), Fault> {
        self.over.wait(None)
    }

    /// Waits for its end and returns its result; panics as it did.
    pub fn join(self) -> R {
        if let Err(fault) = self.wait() {
            panic!("{:?} can't be joined: {fault}", self.task);
        }
        let outcome = self.result.lock().take();
        match outcome.expect("a task leaves its outcome") {
            Ok(result) => result,
            Err(panic) => panic_again(panic),
        }
    }
}

/// Joins all, once all are started, and returns their results in order.
pub fn join_all<R>(tasks: impl IntoIterator<Item = Spawned<R>>) -> Vec<R> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    tasks.into_iter().map(Spawned::join).collect()
}

/// An object and the handle by which a task holds it.
pub struct Own<T: Object>(Handle<T>);

impl<T: Object> Own<T> {
    /// Held by the current task.
    pub fn new(object: Arc<T>) -> Own<T> {
        Own(Handle::new(object))
    }

    /// The same object, held by `holder`.
    pub fn to(&self, holder: &Holder) -> Own<T> {
        Own(self.0.held_by(holder))
    }
}

impl<T: Object> Deref for Own<T> {
    type Target = Arc<T>;
    fn deref(&self) -> &Arc<T> {
        self.0.object()
    }
}

/// A limit on a wait.
pub fn ms(milliseconds: u64) -> Option<Duration> {
    Some(Duration::from_millis(milliseconds))
}

//! A thread: a body, the task that runs it, and its outcome for whoever asks.
//!
//! Invariants: the body runs at most once; `join` returns after the body is over and everything it held is gone.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::{ExecFault, Outcome, run_caught};
use crate::kernel::{Enders, Kernel, ObjectCore, Role, Task, Waitable, current};
use crate::sync::Future;
use crate::sync::future::WaitOver;

type Body<R> = Box<dyn FnOnce() -> R + Send>;

/// See the module.
pub struct Thread<R: Outcome> {
    task: Arc<Task>,
    future: Arc<Future<R>>,
    stage: Mutex<Stage<R>>,
}

enum Stage<R> {
    Idle,
    Ready(Body<R>),
    Started,
}

impl<R: Outcome> Thread<R> {
    /// A thread that is not started yet and has nothing to do yet. An empty name becomes `Thread-N`.
    pub fn new(kernel: &Arc<Kernel>, name: &str, role: Role, daemon: bool) -> Arc<Thread<R>> {
        Self::around(kernel.new_task(name, role, daemon))
    }

    /// A thread for a task that runs already and was not made as a thread: the main one, a worker. Nobody hears of its
    /// outcome.
    pub fn adopt(task: &Arc<Task>) -> Arc<Thread<R>> {
        let thread = Self::around(task.clone());
        thread.future.begin(task.id());
        *thread.stage.lock() = Stage::Started;
        thread
    }

    fn around(task: Arc<Task>) -> Arc<Thread<R>> {
        let kind = if task.role() == Role::Process { "Process" } else { "Thread" };
        let future = Future::new_in(task.kernel(), kind, task.born());
        future.core().set_name(&task.name());
        let thread = Arc::new(Thread { task, future, stage: Mutex::new(Stage::Idle) });
        let companion: Weak<dyn Any + Send + Sync> = Arc::downgrade(&(thread.clone() as Arc<dyn Any + Send + Sync>));
        thread.task.set_companion(companion);
        thread
    }

    /// The thread that was made for `task`, if it is still held by anybody.
    pub fn of(task: &Task) -> Option<Arc<Thread<R>>> {
        task.companion()?.downcast::<Thread<R>>().ok()
    }

    /// Says what it will do.
    pub fn give(&self, body: impl FnOnce() -> R + Send + 'static) {
        *self.stage.lock() = Stage::Ready(Box::new(body));
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`ExecFault::AlreadyStarted`], [`ExecFault::NoThread`].
    pub fn start(&self) -> Result<(), ExecFault> {
        let Stage::Ready(body) = std::mem::replace(&mut *self.stage.lock(), Stage::Started) else {
            return Err(ExecFault::AlreadyStarted(self.label()));
        };
        let future = self.future.clone();
        future.begin(self.task.id());
        let kernel = self.task.kernel();
        let started = kernel.start(&self.task, move || {
            let outcome = run_caught(body);
            // What it still owns is lost before anybody hears of its end.
            current().abandon_held();
            future.finish(outcome);
        });
        started.map_err(ExecFault::NoThread)
    }

    /// True once it was started.
    pub fn is_started(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Started)
    }

    /// True while it runs.
    pub fn is_alive(&self) -> bool {
        self.is_started() && !self.future.is_over()
    }

    /// Its task.
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// Its outcome, later.
    pub fn future(&self) -> &Arc<Future<R>> {
        &self.future
    }

    /// Gives it another name, before the start.
    ///
    /// # Errors
    /// [`ExecFault::TooLate`].
    pub fn set_name(&self, name: &str) -> Result<(), ExecFault> {
        self.before_start("the name")?;
        self.task.set_name(name);
        self.future.core().set_name(name);
        Ok(())
    }

    /// Says whether the program waits for it, before the start.
    ///
    /// # Errors
    /// [`ExecFault::TooLate`].
    pub fn set_daemon(&self, daemon: bool) -> Result<(), ExecFault> {
        self.before_start("daemon")?;
        self.task.set_daemon(daemon);
        Ok(())
    }

    /// Waits for its end, at most `limit`.
    ///
    /// # Errors
    /// [`ExecFault::NotStarted`], [`ExecFault::JoinsItself`], [`ExecFault::Sync`].
    pub fn join(&self, limit: Option<Duration>) -> Result<(), ExecFault> {
        if !self.is_started() {
            return Err(ExecFault::NotStarted(self.label()));
        }
        if current().id() == self.task.id() {
            return Err(ExecFault::JoinsItself(self.label()));
        }
        Ok(self.future.wait_as("join", limit)?)
    }

    /// An operation that waits for its end.
    pub fn joining(&self) -> WaitOver<R> {
        self.future.waiting_as("join")
    }

    /// Asks it to stop at its current or next blocking call; one that never started will not start.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    fn before_start(&self, what: &'static str) -> Result<(), ExecFault> {
        match self.is_started() {
            true => Err(ExecFault::TooLate(self.label(), what)),
            false => Ok(()),
        }
    }

    fn label(&self) -> String {
        let kind = if self.task.role() == Role::Process { "process" } else { "thread" };
        format!("{kind} {:?}", self.task.name())
    }
}

impl<R: Outcome> Waitable for Thread<R> {
    fn core(&self) -> &Arc<ObjectCore> {
        self.future.core()
    }

    fn enders(&self) -> Enders {
        self.future.enders()
    }

    fn state(&self) -> String {
        let state = match (self.is_started(), self.future.is_over()) {
            (false, _) => "not started",
            (true, false) => "running",
            (true, true) => "ended",
        };
        state.to_string()
    }
}

/// The tasks that `active_count()` and `threads()` speak of: the main one and the threads of the script.
pub fn active(kernel: &Kernel) -> Vec<Arc<Task>> {
    kernel.tasks().into_iter().filter(|t| matches!(t.role(), Role::Main | Role::Thread)).collect()
}

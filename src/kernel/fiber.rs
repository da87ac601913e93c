//! Tasks without a thread of their own: the calls that other processes make here.
//!
//! A call runs on a small stack of its own, on the thread of its keeper. Where it would park it gives that thread back, and it
//! goes on when it is woken, when a source of its is ready, or when its deadline has come. So the code that serves callers of
//! this process serves those of others too, and whoever waits costs a stack and no thread.
//!
//! A task may call while a call of its rests: the handler of a signal runs in a task that waits. Then the one below stands aside
//! until the one above is done, as it would on a thread.
//!
//! Invariants: a fiber runs on its keeper's thread only; one that rests is listed here, and no other of its task runs before
//! those above it; whoever wakes a task that rests puts it on the list of the ready before it wakes the keeper.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use parking_lot::Mutex;

use super::readiness::{Source, ready_now};
use super::task::{Role, Task, TaskId, Wait, alert, parked, run_as};
use super::{Kernel, os};

/// The stack of a fiber. It runs one function of orch and no script. Only what is touched takes memory.
const STACK_SIZE: usize = 1 << 20;

/// How many stacks are kept for the next fibers.
const MOST_SPARE: usize = 32;

/// Those who can go on.
pub(super) struct Ready {
    tasks: Mutex<Vec<TaskId>>,
    keeper: Arc<Task>,
}

impl Ready {
    pub(super) fn push(&self, task: TaskId) {
        self.tasks.lock().push(task);
        self.keeper.wake();
    }
}

/// Why a fiber has stopped: it can go on when it is woken, when the time has come, or when one of these is ready.
pub(super) struct Rest {
    deadline: Option<Duration>,
    sources: Vec<Source>,
}

/// What runs on a stack of its own.
pub(super) type Body = Coroutine<(), Rest, (), DefaultStack>;

struct Resting {
    task: Arc<Task>,
    body: Body,
    rest: Rest,
}

/// The fibers of one keeper.
pub struct Fibers {
    ready: Arc<Ready>,
    resting: BTreeMap<TaskId, Resting>,
    /// Those that stand aside, with what they wait for; the last is to go on first.
    aside: BTreeMap<TaskId, Vec<(Resting, Option<Wait>)>>,
    deadlines: BTreeSet<(Duration, TaskId)>,
    spare: Vec<DefaultStack>,
}

impl Fibers {
    /// Fibers that run when `keeper` lets them.
    pub fn new(keeper: &Arc<Task>) -> Fibers {
        let ready = Arc::new(Ready { tasks: Mutex::default(), keeper: keeper.clone() });
        Fibers {
            ready,
            resting: BTreeMap::new(),
            aside: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            spare: Vec::new(),
        }
    }

    /// A task without a thread, which stands for one of another process. It runs until [`Task::end`].
    pub fn adopt(&self, kernel: &Arc<Kernel>, name: &str) -> Arc<Task> {
        let task = kernel.new_task(name, Role::Far, false);
        task.parking.keeper.get_or_init(|| self.ready.clone());
        kernel.adopt(&task);
        task
    }

    /// Runs `body` as `task`, as far as it comes without waiting. The task must be adopted; what it waits for already stands
    /// aside until this is done.
    ///
    /// # Errors
    /// When there is no memory for a stack.
    pub fn run(&mut self, task: &Arc<Task>, body: impl FnOnce() + 'static) -> io::Result<()> {
        let stack = match self.spare.pop() {
            Some(stack) => stack,
            None => DefaultStack::new(STACK_SIZE)?,
        };
        if let Some(below) = self.take_resting(task.id()) {
            let wait = task.waiting();
            task.finish_wait("");
            self.aside.entry(task.id()).or_default().push((below, wait));
        }
        let body = Coroutine::with_stack(stack, move |suspender, ()| os::with_suspender(suspender, body));
        self.resume(task.clone(), body);
        Ok(())
    }

    fn resume(&mut self, task: Arc<Task>, mut body: Body) {
        let result = run_as(&task, || body.resume(()));
        match result {
            CoroutineResult::Yield(rest) => {
                self.lay_down(Resting { task, body, rest });
            }
            CoroutineResult::Return(()) => {
                if self.spare.len() < MOST_SPARE {
                    self.spare.push(body.into_stack());
                }
                self.come_back(&task);
            }
        }
    }

    fn lay_down(&mut self, resting: Resting) {
        let id = resting.task.id();
        if let Some(deadline) = resting.rest.deadline {
            self.deadlines.insert((deadline, id));
        }
        self.resting.insert(id, resting);
    }

    fn take_resting(&mut self, task: TaskId) -> Option<Resting> {
        let resting = self.resting.remove(&task)?;
        if let Some(deadline) = resting.rest.deadline {
            self.deadlines.remove(&(deadline, task));
        }
        Some(resting)
    }

    /// What stood aside for what is done now goes on.
    fn come_back(&mut self, task: &Arc<Task>) {
        let Some(mut below) = self.aside.remove(&task.id()) else {
            return;
        };
        if let Some((resting, wait)) = below.pop() {
            if let Some(wait) = wait {
                task.begin_wait(wait);
            }
            self.lay_down(resting);
            // What came meanwhile may have woken the one above: this one has to look for itself.
            self.ready.push(task.id());
        }
        if !below.is_empty() {
            self.aside.insert(task.id(), below);
        }
    }

    /// True when somebody was woken.
    pub fn has_ready(&self) -> bool {
        !self.ready.tasks.lock().is_empty()
    }

    /// True when something is ready that somebody waits for.
    pub fn has_news(&self) -> bool {
        self.with_news().next().is_some()
    }

    fn with_news(&self) -> impl Iterator<Item = TaskId> {
        let with_sources = self.resting.iter().filter(|(_, resting)| !resting.rest.sources.is_empty());
        with_sources.filter(|(_, resting)| !ready_now(&resting.rest.sources).is_empty()).map(|(id, _)| *id)
    }

    /// Lets those go on who can, at the time `now`.
    pub fn run_ready(&mut self, now: Duration) {
        let mut able = std::mem::take(&mut *self.ready.tasks.lock());
        able.extend(self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, task)| *task));
        able.extend(self.with_news());
        for task in able {
            self.go_on(task);
        }
    }

    fn go_on(&mut self, task: TaskId) {
        // One that was woken twice may be done already.
        if let Some(Resting { task, body, .. }) = self.take_resting(task) {
            self.resume(task, body);
        }
    }

    /// Until when nobody has to be looked after who is not woken.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// What those who rest wait for.
    pub fn sources(&self) -> Vec<Source> {
        self.resting.values().flat_map(|resting| resting.rest.sources.iter().cloned()).collect()
    }

    /// Ends the wait of this task, as at the end of the program.
    pub fn end_one(&mut self, task: &Arc<Task>) {
        task.alert(alert::ENDED);
        // What it does on its way out may wait too, but not for long: it is over.
        while self.resting.contains_key(&task.id()) {
            self.go_on(task.id());
        }
    }

    /// Ends all waits.
    pub fn end(&mut self) {
        while let Some((_, resting)) = self.resting.first_key_value() {
            let task = resting.task.clone();
            self.end_one(&task);
        }
    }
}

/// Stops the fiber that runs here, which is `task`, until there is a reason to go on.
pub(super) fn rest(task: &Arc<Task>, deadline: Option<Duration>, sources: &[Source]) {
    let state = &task.parking.state;
    if state.compare_exchange(parked::RUNNING, parked::WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        os::suspend(Rest { deadline, sources: sources.to_vec() });
    }
    state.swap(parked::RUNNING, Ordering::AcqRel);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::kernel::{Setup, current, sleep};

    #[test]
    fn they_take_turns_on_one_thread() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("keeper", || {
            let mut fibers = Fibers::new(&current());
            let seen: Rc<RefCell<Vec<String>>> = Rc::default();
            let tasks: Vec<Arc<Task>> = (0..3).map(|i| fibers.adopt(&kernel, &format!("far {i}"))).collect();
            for (i, task) in tasks.iter().enumerate() {
                let seen = seen.clone();
                let told = move |what: &str| seen.borrow_mut().push(format!("{} {what}", current().name()));
                let time = Duration::from_millis(if i == 1 { 0 } else { 1 });
                fibers
                    .run(task, move || {
                        told("begins");
                        told(if sleep(Some(time)).is_ok() { "has slept" } else { "was stopped" });
                        told(if sleep(None).is_ok() { "?" } else { "was stopped" });
                    })
                    .unwrap();
            }
            assert_eq!(current().name().as_ref(), "keeper");
            while seen.borrow().len() < 6 {
                fibers.run_ready(kernel.now());
            }
            assert!(fibers.next_deadline().is_none() && !fibers.has_ready());
            tasks[2].cancel();
            assert!(fibers.has_ready());
            fibers.run_ready(kernel.now());
            fibers.end();
            tasks.iter().for_each(Task::end);
            let mut seen = seen.borrow().clone();
            assert_eq!(seen[6], "far 2 was stopped");
            seen.sort();
            let each = |i| [format!("far {i} begins"), format!("far {i} has slept"), format!("far {i} was stopped")];
            assert_eq!(seen, (0..3).flat_map(each).collect::<Vec<_>>());
        });
    }

    #[test]
    fn what_a_task_waits_for_stands_aside_for_what_it_does_meanwhile() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("keeper", || {
            let mut fibers = Fibers::new(&current());
            let seen: Rc<RefCell<Vec<&str>>> = Rc::default();
            let task = fibers.adopt(&kernel, "far");
            for (time, what) in [(None, "below"), (Some(Duration::from_mins(9)), "between"), (None, "above")] {
                let seen = seen.clone();
                let body = move || _ = sleep(time).inspect_err(|_| seen.borrow_mut().push(what));
                fibers.run(&task, body).unwrap();
            }
            assert!(fibers.next_deadline().is_none(), "the one above has none");
            for (done, verb) in [("above", Some("sleep")), ("between", Some("sleep")), ("below", None)] {
                task.cancel();
                fibers.run_ready(kernel.now());
                // The one that comes back looks for itself.
                fibers.run_ready(kernel.now());
                assert_eq!(seen.borrow().last(), Some(&done));
                assert_eq!(task.waiting().map(|wait| wait.verb), verb);
                assert_eq!(fibers.next_deadline().is_some(), done == "above");
            }
            assert_eq!(seen.borrow().len(), 3);
            fibers.end();
            task.end();
        });
    }
}

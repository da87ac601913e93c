//! A task: one thread of control of the program.
//!
//! What others may ask of a task while it runs or waits (name, script line, what it waits for and since when, pending
//! cancellations) is kept where it can be read from any thread: dumps and the deadlock search need nothing else.

use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::deadlock::Report;
use super::events::{Budget, Event};
use super::fiber::Ready;
use super::object::Waitable;
use super::readiness::Bell;
use super::{Kernel, Site};

/// The number of a task. Never used twice in a program; the main task is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub u64);

/// What a task is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Runs the script's top level.
    Main,
    /// A thread the script asked for.
    Thread,
    /// Stands for a process the script asked for: talks to it, or in the simulated world is it.
    Process,
    /// A worker of a pool of processes: stands for one of them, and ends when the pool does.
    Workman,
    /// A worker of a pool, or a timer: ends when what it serves ends.
    Service,
    /// Stands for a task of another process, in the calls that it makes here; see [`super::fiber`].
    Far,
}

/// What a task waits for at the door.
#[derive(Clone)]
pub struct Wait {
    /// The object.
    pub target: Arc<dyn Waitable>,
    /// The call, as the script's author knows it: `acquire`, `get`, `join`.
    pub verb: &'static str,
    /// Where in the script.
    pub site: Site,
    /// Since when, in time since the program's start.
    pub since: Duration,
    /// When it gives up, if it does.
    pub deadline: Option<Duration>,
    /// True for a wait that is nobody's mistake: an idle worker, the end of the main script, a plain sleep.
    pub idle: bool,
    /// True for a wait in place of tasks elsewhere.
    pub for_others: bool,
    /// The bits of [`alert`] that end it.
    pub hears: u32,
    /// The how-manieth wait of the program it is.
    pub order: u64,
}

impl std::fmt::Debug for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}() of {:?} since {:?}", self.verb, self.target.core(), self.since)
    }
}

/// Why a task should look up from what it does. Bits of [`Task::alerts`].
pub mod alert {
    /// Somebody called `cancel()`.
    pub const CANCELLED: u32 = 1;
    /// A signal asks the main task to stop.
    pub const INTERRUPTED: u32 = 2;
    /// The program is over; end without a word.
    pub const ENDED: u32 = 4;
    /// The deadlock search chose this task.
    pub const DEADLOCKED: u32 = 8;
    /// A signal came that the program handles: the main task runs the handler.
    pub const HANDLE: u32 = 16;
    /// It was told to stop.
    pub const STOPPING: u32 = CANCELLED | INTERRUPTED | ENDED;
    /// What a task that runs, rather than waits, has to look at.
    pub const WHILE_RUNNING: u32 = STOPPING | HANDLE;
}

/// The states of the word a task parks on.
pub(super) mod parked {
    /// Runs, or is about to try again.
    pub const RUNNING: u32 = 0;
    /// Waits, and nobody has woken it.
    pub const WAITING: u32 = 1;
    /// Was woken and has not noticed yet.
    pub const NOTIFIED: u32 = 2;
}

/// The part of a task that the worlds use to stop and start it.
#[derive(Default)]
pub(super) struct Parking {
    pub state: AtomicU32,
    /// Under `Sim`: it is this task's turn.
    pub turn: AtomicBool,
    pub thread: OnceLock<std::thread::Thread>,
    /// Wakes it where it waits for descriptors.
    pub bell: Bell,
    /// For a task without a thread: who resumes it.
    pub keeper: OnceLock<Arc<Ready>>,
}

/// What a room above keeps with a task.
pub type Companion = Weak<dyn Any + Send + Sync>;

/// One thread of control.
pub struct Task {
    id: TaskId,
    kernel: Arc<Kernel>,
    role: Role,
    /// The process it belongs to, and that one's parent: 0 is the first of the program.
    process: (u64, u64),
    /// The process that it stands for; 0 when none.
    stands_for: u64,
    /// Under simulated time: it is that process now.
    inside: AtomicBool,
    /// The exit code of that process, once somebody else has ended it: negative for a signal.
    ended_with: Mutex<Option<i32>>,
    born: Site,
    name: Mutex<Arc<str>>,
    daemon: AtomicBool,
    site: AtomicU64,
    alerts: AtomicU32,
    cancels: AtomicU32,
    signal: AtomicU32,
    holding: AtomicUsize,
    ended: AtomicBool,
    waits: AtomicU64,
    heard: AtomicU64,
    wait: Mutex<Option<Wait>>,
    verdict: Mutex<Option<Arc<Report>>>,
    companion: Mutex<Option<Companion>>,
    native_id: AtomicU64,
    noted: Budget,
    pub(super) parking: Parking,
}

impl Task {
    pub(super) fn new(kernel: Arc<Kernel>, id: TaskId, name: Arc<str>, role: Role, daemon: bool) -> Arc<Task> {
        let maker = try_current();
        let born = maker.as_ref().map_or(Site::NONE, |t| t.site());
        let process = maker.as_ref().map_or((0, 0), |t| (t.process(), t.parent_process().unwrap_or(0)));
        let stands_for = if matches!(role, Role::Process | Role::Workman) { kernel.next_process() } else { 0 };
        Arc::new(Task {
            id,
            kernel,
            role,
            process,
            stands_for,
            inside: AtomicBool::new(false),
            ended_with: Mutex::new(None),
            born,
            name: Mutex::new(name),
            daemon: AtomicBool::new(daemon),
            site: AtomicU64::new(born.to_bits()),
            alerts: AtomicU32::new(0),
            cancels: AtomicU32::new(0),
            signal: AtomicU32::new(0),
            holding: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            waits: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            wait: Mutex::new(None),
            verdict: Mutex::new(None),
            companion: Mutex::new(None),
            native_id: AtomicU64::new(id.0),
            noted: Budget::default(),
            parking: Parking::default(),
        })
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The program it belongs to.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The number of the process it belongs to, counted within the program: 0 is the first.
    pub fn process(&self) -> u64 {
        if self.inside.load(Ordering::Relaxed) { self.stands_for } else { self.process.0 }
    }

    /// The number of the process that started its process; `None` for the first.
    pub fn parent_process(&self) -> Option<u64> {
        match self.inside.load(Ordering::Relaxed) {
            true => Some(self.process.0),
            false => (self.process.0 != 0).then_some(self.process.1),
        }
    }

    /// The number of the process that it stands for; 0 when none.
    pub fn stands_for(&self) -> u64 {
        self.stands_for
    }

    /// Runs `body`, in this task, as what the process does that it stands for. `Err`: the exit code with which somebody else
    /// ended the process; the task itself goes on.
    pub fn as_process<R>(&self, body: impl FnOnce() -> R) -> Result<R, i32> {
        struct Leave<'a>(&'a AtomicBool);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        self.inside.store(true, Ordering::Relaxed);
        let leave = Leave(&self.inside);
        let result = body();
        drop(leave);
        match self.ended_with.lock().take() {
            None => Ok(result),
            Some(code) => {
                self.clear_alert(alert::ENDED);
                self.kernel.taker_killed(self.id);
                Err(code)
            }
        }
    }

    /// Ends the simulated process that this task is, and the threads that it started, at their next operation; the first
    /// exit code counts, negative for a signal. False when it is none now.
    pub fn end_process(self: &Arc<Self>, code: i32) -> bool {
        if !self.inside.load(Ordering::Relaxed) {
            return false;
        }
        let is_first = {
            let mut ended_with = self.ended_with.lock();
            ended_with.is_none() && ended_with.replace(code).is_none()
        };
        if is_first {
            let mut its = self.kernel.tasks();
            its.retain(|task| task.process() == self.stands_for);
            self.kernel.end(&its);
        }
        true
    }

    /// Its name.
    pub fn name(&self) -> Arc<str> {
        self.name.lock().clone()
    }

    /// Gives it another name.
    pub fn set_name(&self, name: &str) {
        *self.name.lock() = name.into();
    }

    /// Where in the script it was made.
    pub fn born(&self) -> Site {
        self.born
    }

    /// True when the program does not wait for it.
    pub fn is_daemon(&self) -> bool {
        self.daemon.load(Ordering::Relaxed)
    }

    /// Says whether the program waits for it.
    pub fn set_daemon(&self, daemon: bool) {
        self.daemon.store(daemon, Ordering::Relaxed);
    }

    /// Where in the script it was last seen.
    pub fn site(&self) -> Site {
        Site::from_bits(self.site.load(Ordering::Relaxed))
    }

    /// Notes where in the script it is.
    pub fn set_site(&self, site: Site) {
        self.site.store(site.to_bits(), Ordering::Relaxed);
    }

    /// What a room above keeps with the task.
    pub fn companion(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.companion.lock().as_ref().and_then(Weak::upgrade)
    }

    /// Keeps something with the task, as long as somebody else keeps it too.
    pub fn set_companion(&self, companion: Companion) {
        *self.companion.lock() = Some(companion);
    }

    /// The system's number of its thread; in the simulated world its own number.
    pub fn native_id(&self) -> u64 {
        self.native_id.load(Ordering::Relaxed)
    }

    pub(super) fn attach_native_thread(&self) {
        self.parking.thread.get_or_init(std::thread::current);
        if !self.kernel.is_sim() {
            let id = rustix::thread::gettid().as_raw_nonzero().get();
            self.native_id.store(u64::from(id.unsigned_abs()), Ordering::Relaxed);
        }
    }

    /// How much of what it does was taken down lately.
    pub fn noted(&self) -> &Budget {
        &self.noted
    }

    /// True when it has run to its end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What it waits for now.
    pub fn waiting(&self) -> Option<Wait> {
        self.wait.lock().clone()
    }

    /// One more owned object; see [`Task::end`].
    pub fn took(&self) {
        self.holding.fetch_add(1, Ordering::Relaxed);
    }

    /// One owned object less.
    pub fn gave_back(&self) {
        self.holding.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many owned objects it holds.
    pub fn holding(&self) -> usize {
        self.holding.load(Ordering::Relaxed)
    }

    /// Wakes it if it waits, else sees to it that it tries once more before it stops.
    pub fn wake(self: &Arc<Self>) {
        if self.parking.state.swap(parked::NOTIFIED, Ordering::AcqRel) == parked::WAITING {
            if self.kernel.events().on() {
                let by = try_current();
                self.kernel.events().emit(|| Event::Woken { task: self, by: by.as_deref() });
            }
            self.kernel.world().unpark(self);
        }
    }

    /// Forgets a wake-up that it did not need to wait for; it must look at its alerts and try before it stops. Left
    /// behind, it would cut the next wait short, and a lock would take that for having been overtaken.
    pub(super) fn forget_wakes(&self) {
        self.parking.state.swap(parked::RUNNING, Ordering::AcqRel);
    }

    /// Asks it to end its current or next blocking call with [`super::Stop::Cancelled`], once for each call.
    pub fn cancel(self: &Arc<Self>) {
        self.raise_cancel();
        self.wake();
    }

    /// As [`Task::cancel`], but does not wake it yet.
    pub(super) fn raise_cancel(&self) {
        self.cancels.fetch_add(1, Ordering::Relaxed);
        self.raise(alert::CANCELLED);
    }

    /// Asks it to end its current or next blocking call with [`super::Stop::Interrupted`].
    pub fn interrupt(self: &Arc<Self>, signal: u32) {
        self.raise_interrupt(signal);
        self.wake();
    }

    /// As [`Task::interrupt`], but does not wake it yet.
    pub(super) fn raise_interrupt(&self, signal: u32) {
        self.signal.store(signal, Ordering::Relaxed);
        self.raise(alert::INTERRUPTED);
    }

    /// Raises bits of [`alert`] and wakes it.
    pub fn alert(self: &Arc<Self>, bits: u32) {
        self.raise(bits);
        self.wake();
    }

    /// Raises bits of [`alert`].
    pub(super) fn raise(&self, bits: u32) {
        if self.alerts.fetch_or(bits, Ordering::AcqRel) == 0 {
            ALERTED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The raised bits of [`alert`]. One relaxed load.
    pub fn alerts(&self) -> u32 {
        self.alerts.load(Ordering::Relaxed)
    }

    /// Lowers bits of [`alert`].
    pub fn clear_alert(&self, bits: u32) {
        let before = self.alerts.fetch_and(!bits, Ordering::AcqRel);
        if before != 0 && before & !bits == 0 {
            ALERTED.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes one pending cancellation.
    pub fn take_cancel(&self) -> bool {
        // Lowered first and raised again where there are more: the other way round, one that comes in between is lost.
        self.clear_alert(alert::CANCELLED);
        let taken = self.cancels.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok();
        if self.cancels.load(Ordering::Acquire) > 0 {
            self.raise(alert::CANCELLED);
        }
        self.heard.fetch_add(u64::from(taken), Ordering::Relaxed);
        taken
    }

    /// How often it has heard that it should stop.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Takes the pending interruption: the number of the signal.
    pub fn take_interrupt(&self) -> Option<u32> {
        if self.alerts() & alert::INTERRUPTED == 0 {
            return None;
        }
        self.clear_alert(alert::INTERRUPTED);
        self.heard.fetch_add(1, Ordering::Relaxed);
        Some(self.signal.load(Ordering::Relaxed))
    }

    /// Tells it that nobody can end its wait number `order`: false when it is no longer in that wait. It may have been
    /// cancelled meanwhile, and the verdict must not hit the next wait.
    pub(super) fn convict(self: &Arc<Self>, order: u64, report: Arc<Report>) -> bool {
        {
            let wait = self.wait.lock();
            if wait.as_ref().is_none_or(|wait| wait.order != order) {
                return false;
            }
            *self.verdict.lock() = Some(report.clone());
            self.raise(alert::DEADLOCKED);
            self.kernel.detector().count_told();
        }
        if self.kernel.events().on() {
            let text = report.text(|site| self.kernel.place(site));
            let kernel: &Kernel = &self.kernel;
            kernel.events().emit(|| Event::Noted { kernel, task: Some(self), what: "deadlock", text: &text });
        }
        self.wake();
        true
    }

    pub(super) fn take_verdict(&self) -> Option<Arc<Report>> {
        if self.alerts() & alert::DEADLOCKED == 0 {
            return None;
        }
        self.clear_alert(alert::DEADLOCKED);
        self.verdict.lock().take()
    }

    pub(super) fn begin_wait(&self, mut wait: Wait) {
        wait.order = self.kernel.count_wait(wait.deadline.is_none());
        self.kernel.events().emit(|| Event::Waits { task: self, wait: &wait });
        *self.wait.lock() = Some(wait);
        self.waits.fetch_add(1, Ordering::AcqRel);
    }

    /// Its wait is over; `how` is empty when what was waited for has come.
    pub(super) fn finish_wait(&self, how: &'static str) {
        let wait = {
            let mut wait = self.wait.lock();
            self.take_verdict();
            wait.take()
        };
        if let Some(wait) = wait {
            self.kernel.count_wake(wait.deadline.is_none());
            self.kernel.events().emit(|| Event::Wakes { task: self, wait: &wait, how });
        }
    }

    /// True when it waits for something that it may wait for as long as it likes, and has not been woken.
    pub(super) fn rests_idly(&self) -> bool {
        self.wait.lock().as_ref().is_some_and(|wait| wait.idle && !wait.for_others && wait.deadline.is_none())
            && self.wait_state().1
    }

    /// How many waits it has begun, and whether it is in one that nobody has ended yet.
    pub(super) fn wait_state(&self) -> (u64, bool) {
        let count = self.waits.load(Ordering::Acquire);
        (count, self.parking.state.load(Ordering::Acquire) == parked::WAITING)
    }

    /// It will run no more script: what it still owns is abandoned.
    pub fn abandon_held(&self) {
        // What a task of another process takes and gives back is not all seen here.
        if self.holding.swap(0, Ordering::AcqRel) > 0 || self.role == Role::Far {
            self.kernel.owner_ended(self.id);
        }
    }

    /// The task is over, and the deadlock search looks again.
    pub fn end(self: &Arc<Self>) {
        self.ended.store(true, Ordering::Release);
        self.abandon_held();
        if self.process() != 0 && self.alerts() & alert::ENDED != 0 {
            self.kernel.taker_killed(self.id);
        }
        self.kernel.forget_task(self.id);
        self.kernel.events().emit(|| Event::Ended { task: self });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.clear_alert(u32::MAX);
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task(#{} {:?})", self.id.0, self.name())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

/// Makes `task` the current task of this OS thread while `body` runs.
pub fn run_as<R>(task: &Arc<Task>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<Task>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let previous = self.0.take();
            CURRENT.with(|c| *c.borrow_mut() = previous);
        }
    }
    let previous = CURRENT.with(|c| c.borrow_mut().replace(task.clone()));
    let _restore = Restore(previous);
    body()
}

/// The task that runs on this OS thread, if any.
pub fn try_current() -> Option<Arc<Task>> {
    CURRENT.with(|c| c.borrow().clone())
}

/// The task that runs on this OS thread.
///
/// # Panics
/// When none does: script code and primitives run on tasks only.
pub fn current() -> Arc<Task> {
    try_current().expect("invariant: primitives are used from tasks only")
}

/// Calls `f` with the current task without counting a reference.
///
/// # Panics
/// As [`current`].
pub fn with_current<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
    CURRENT.with(|c| {
        let task = c.borrow();
        f(task.as_ref().expect("invariant: primitives are used from tasks only"))
    })
}

/// How many tasks of the process have an alert raised: nearly always none, and then nobody needs to ask for its own.
static ALERTED: AtomicUsize = AtomicUsize::new(0);

/// The alerts of the current task; 0 where there is none. Cheap enough for every operation of a script.
#[inline]
pub fn current_alerts() -> u32 {
    if ALERTED.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    CURRENT.with(|c| c.borrow().as_ref().map_or(0, |t| t.alerts()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ObjectCore, Setup, door};

    struct Thing(Arc<ObjectCore>);

    impl Waitable for Thing {
        fn core(&self) -> &Arc<ObjectCore> {
            &self.0
        }
    }

    /// Begins a wait without a limit and returns its number.
    fn begin_wait(task: &Task) -> u64 {
        let target = Arc::new(Thing(ObjectCore::new("Thing")));
        let since = task.kernel().now();
        let site = Site::NONE;
        task.begin_wait(Wait {
            target,
            verb: "wait",
            site,
            since,
            deadline: None,
            idle: false,
            for_others: false,
            hears: 0,
            order: 0,
        });
        task.waiting().map_or(0, |wait| wait.order)
    }

    #[test]
    fn a_verdict_is_about_one_wait_and_hits_no_other() {
        Kernel::new(Setup::Real).run_here("main", || {
            let task = current();
            let report = Arc::new(Report { victim: task.id(), whole_program: false, tasks: Vec::new() });
            let first = begin_wait(&task);
            assert!(task.convict(first, report.clone()));
            task.finish_wait(""); // it was cancelled in the same moment
            assert!(door::check(&task).is_ok());
            assert!(!task.convict(first, report.clone()), "too late");
            let second = begin_wait(&task);
            assert!(!task.convict(first, report.clone()), "about another wait");
            assert!(door::check(&task).is_ok());
            assert!(task.convict(second, report));
            assert!(door::check(&task).is_err());
            task.finish_wait("");
        });
    }

    #[test]
    fn a_cancellation_that_meets_the_taking_of_another_is_not_lost() {
        const ROUNDS: usize = 3_000;
        let task = Kernel::new(Setup::Real).new_task("", Role::Thread, false);
        let taken = Arc::new(AtomicUsize::new(0));
        let canceller = {
            let (task, taken) = (task.clone(), taken.clone());
            std::thread::spawn(move || {
                for round in 1..=ROUNDS {
                    task.cancel();
                    (0..round % 100).for_each(|_| std::hint::spin_loop());
                    task.cancel();
                    while taken.load(Ordering::Acquire) < 2 * round {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let mut since = std::time::Instant::now();
        while !canceller.is_finished() {
            // As at the door: only where the alert is raised does it look.
            if task.alerts() & alert::CANCELLED != 0 && task.take_cancel() {
                taken.fetch_add(1, Ordering::AcqRel);
                since = std::time::Instant::now();
            } else {
                std::thread::yield_now();
            }
            assert!(since.elapsed() < Duration::from_secs(20), "one is pending and nobody is told");
        }
        assert_eq!(task.alerts(), 0);
    }
}

//! One running program: its world, its tasks, its shared objects.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use super::Site;
use super::deadlock::Detector;
use super::events::{Event, Events};
use super::handling::Handling;
use super::object::{ObjectId, Waitable};
use super::readiness::{Bell, Source};
use super::real::RealWorld;
use super::schedule::{Chooser, InOrder, Seeded};
use super::sim::SimWorld;
use super::task::{Role, Task, TaskId, alert, run_as};
use super::waiters::WaitQueue;
use super::world::World;

/// What kind of world a program runs in.
pub enum Setup {
    /// The real one.
    Real,
    /// A simulated one; the seed decides the schedule and chance.
    Sim {
        /// The seed; 0 is the natural order.
        seed: u64,
    },
    /// A simulated one with a strategy of its own.
    Explore(Box<dyn Chooser>),
}

/// One running program.
pub struct Kernel {
    world: World,
    preempts: bool,
    tasks: Mutex<BTreeMap<TaskId, Weak<Task>>>,
    objects: Mutex<BTreeMap<ObjectId, Weak<dyn Waitable>>>,
    sources: Mutex<Vec<Arc<str>>>,
    chance: Mutex<fastrand::Rng>,
    next_task: AtomicU64,
    next_thread: AtomicU64,
    next_object: AtomicU64,
    next_process: AtomicU64,
    next_named_process: AtomicU64,
    waits: AtomicU64,
    endless_waits: AtomicUsize,
    refs: RwLock<()>,
    detector: Detector,
    events: Events,
    handling: Handling,
    onlookers: Mutex<WaitQueue>,
    /// Since when a signal asks it to end, and the number of the first that did.
    asked_to_end: OnceLock<(Instant, u32)>,
    /// All tasks are told to end, those that are still to start too.
    closing: AtomicBool,
    over: AtomicBool,
    urgent: AtomicBool,
    ending: Mutex<Option<i32>>,
    ended: Condvar,
    /// Wakes whoever waits for the end and for descriptors.
    end_bell: Bell,
    recording: OnceLock<Recording>,
}

/// Where what happens is written down, for the processes of the program to write theirs there too.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file, in which each write goes to the end.
    pub file: Arc<OwnedFd>,
    /// When the program has begun, in nanoseconds of the system's clock that never goes back.
    pub epoch: u64,
}

impl Kernel {
    /// A program in a new world.
    pub fn new(setup: Setup) -> Arc<Kernel> {
        let (world, chance) = match setup {
            Setup::Real => (World::Real(RealWorld::new()), fastrand::Rng::new()),
            Setup::Sim { seed: 0 } => (World::Sim(SimWorld::new(Box::new(InOrder))), fastrand::Rng::with_seed(0)),
            Setup::Sim { seed } => {
                (World::Sim(SimWorld::new(Box::new(Seeded::new(seed)))), fastrand::Rng::with_seed(seed))
            }
            Setup::Explore(chooser) => (World::Sim(SimWorld::new(chooser)), fastrand::Rng::with_seed(0)),
        };
        Arc::new(Kernel {
            preempts: world.preempts(),
            world,
            tasks: Mutex::default(),
            objects: Mutex::default(),
            sources: Mutex::new(vec!["".into()]),
            chance: Mutex::new(chance),
            next_task: AtomicU64::new(1),
            next_thread: AtomicU64::new(1),
            next_object: AtomicU64::new(1),
            next_process: AtomicU64::new(1),
            next_named_process: AtomicU64::new(1),
            waits: AtomicU64::new(0),
            endless_waits: AtomicUsize::new(0),
            refs: RwLock::new(()),
            detector: Detector::new(),
            events: Events::default(),
            handling: Handling::default(),
            onlookers: Mutex::default(),
            asked_to_end: OnceLock::new(),
            closing: AtomicBool::new(false),
            over: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            ending: Mutex::new(None),
            ended: Condvar::new(),
            end_bell: Bell::default(),
            recording: OnceLock::new(),
        })
    }

    /// The world it runs in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// True in the simulated world.
    pub fn is_sim(&self) -> bool {
        self.world.is_sim()
    }

    /// True where tasks may have to hand over at points where they need not wait.
    pub(super) fn preempts(&self) -> bool {
        self.preempts
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// The stream of events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The signals that the program handles itself.
    pub fn handling(&self) -> &Handling {
        &self.handling
    }

    /// The deadlock search.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    pub(super) fn refs(&self) -> &RwLock<()> {
        &self.refs
    }

    /// Draws from the program's chance: repeatable in the simulated world.
    pub fn chance<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        draw(&mut self.chance.lock())
    }

    // ---- tasks

    /// A task that does not run yet. An empty name becomes `Thread-N` or `Process-N`.
    pub fn new_task(self: &Arc<Self>, name: &str, role: Role, daemon: bool) -> Arc<Task> {
        let id = TaskId(self.next_task.fetch_add(1, Ordering::Relaxed));
        let number = match role {
            Role::Thread => self.next_thread.fetch_add(1, Ordering::Relaxed),
            Role::Main | Role::Service | Role::Process | Role::Workman | Role::Far => 0,
        };
        let name = match (name, role) {
            ("", Role::Process) => format!("Process-{}", self.next_named_process.fetch_add(1, Ordering::Relaxed)),
            ("", _) => format!("Thread-{number}"),
            (name, _) => name.to_string(),
        };
        Task::new(self.clone(), id, name.into(), role, daemon)
    }

    /// A number that no process of the program has.
    pub(super) fn next_process(&self) -> u64 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts it with `body` on a thread of its own.
    ///
    /// # Errors
    /// When the system can't start a thread.
    pub fn start(&self, task: &Arc<Task>, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.enrol(task);
        self.tell_started(task);
        let runner = task.clone();
        let started = self.world.start(
            task,
            Box::new(move || {
                let _ended = Ends(&runner);
                body();
            }),
        );
        if started.is_err() {
            self.tasks.lock().remove(&task.id());
        }
        started
    }

    /// Lists a task that runs on no thread of its own, as one that runs.
    pub(super) fn adopt(&self, task: &Arc<Task>) {
        self.enrol(task);
        self.tell_started(task);
    }

    /// Lists a task. One that comes late hears what was said to all before: nobody says it again.
    fn enrol(&self, task: &Arc<Task>) {
        {
            // Under the lock, as where it is said: each task hears it once.
            let mut tasks = self.tasks.lock();
            tasks.insert(task.id(), Arc::downgrade(task));
            if let Some((_, signal)) = self.asked_to_end.get().filter(|_| task.role() == Role::Main) {
                task.raise_interrupt(*signal);
            }
        }
        if self.closing.load(Ordering::SeqCst) {
            task.alert(alert::ENDED);
        }
    }

    fn tell_started(&self, task: &Task) {
        if self.events.on() {
            let by = super::task::try_current();
            self.events.emit(|| Event::Started { task, by: by.as_deref() });
        }
    }

    /// Runs `body` on this OS thread as a task of its own, in the real world only: for hosts and tests.
    pub fn run_here<R>(self: &Arc<Self>, name: &str, body: impl FnOnce() -> R) -> R {
        let task = self.new_task(name, Role::Main, false);
        task.attach_native_thread();
        self.enrol(&task);
        let _ended = Ends(&task);
        run_as(&task, body)
    }

    /// The tasks that run now, oldest first.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.tasks.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// True when something may still happen in this program by itself: some task neither waits as `waits` knows, nor waits
    /// idly, or a signal is handled.
    pub fn may_act(&self, waits: impl Fn(TaskId) -> bool) -> bool {
        self.handling.may_act() || self.tasks().iter().any(|task| !waits(task.id()) && !task.rests_idly())
    }

    /// The task of this number, if it runs.
    pub fn task(&self, id: TaskId) -> Option<Arc<Task>> {
        self.tasks.lock().get(&id).and_then(Weak::upgrade)
    }

    pub(super) fn forget_task(self: &Arc<Self>, id: TaskId) {
        self.tasks.lock().remove(&id);
        self.onlookers.lock().nudge_all();
        self.detector.look_again(self);
    }

    /// Those who want to know when a task ends.
    pub(super) fn onlookers(&self) -> &Mutex<WaitQueue> {
        &self.onlookers
    }

    pub(super) fn count_wait(&self, endless: bool) -> u64 {
        if endless {
            self.endless_waits.fetch_add(1, Ordering::AcqRel);
        }
        self.waits.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_wake(&self, endless: bool) {
        if endless {
            self.endless_waits.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(super) fn waiting_for_ever(&self) -> usize {
        self.endless_waits.load(Ordering::Acquire)
    }

    // ---- objects

    /// A number that no object has.
    pub fn next_number(&self) -> u64 {
        self.next_object().0
    }

    pub(super) fn next_object(&self) -> ObjectId {
        ObjectId(self.next_object.fetch_add(1, Ordering::Relaxed))
    }

    /// Lists an object, so that dumps show it and an owner that ends is noticed.
    pub fn list(&self, object: &Arc<dyn Waitable>) {
        object.core().mark_listed();
        self.objects.lock().insert(object.core().id(), Arc::downgrade(object));
    }

    pub(super) fn forget_object(&self, id: ObjectId) {
        self.objects.lock().remove(&id);
    }

    /// The listed objects, oldest first.
    pub fn objects(&self) -> Vec<Arc<dyn Waitable>> {
        self.objects.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// What a task owns, since which place.
    pub fn held_by(&self, task: TaskId) -> Vec<(String, Site)> {
        let mut held = Vec::new();
        for object in self.objects() {
            for (_, site) in object.owners().into_iter().filter(|(owner, _)| *owner == task) {
                held.push((object.core().label(), site));
            }
        }
        held
    }

    pub(super) fn owner_ended(&self, task: TaskId) {
        self.objects().iter().for_each(|o| o.owner_ended(task));
    }

    pub(super) fn taker_killed(&self, task: TaskId) {
        self.objects().iter().for_each(|o| o.taker_killed(task));
    }

    // ---- script places

    /// The number of a source (its path), for [`Site::new`]. The same path has the same number.
    pub fn source_number(&self, path: &str) -> u16 {
        let mut sources = self.sources.lock();
        let at = sources.iter().position(|s| **s == *path).unwrap_or_else(|| {
            sources.push(path.into());
            sources.len() - 1
        });
        u16::try_from(at).unwrap_or(0)
    }

    /// The path of a source.
    pub fn source(&self, number: u16) -> Arc<str> {
        self.sources.lock().get(usize::from(number)).cloned().unwrap_or_else(|| "".into())
    }

    /// `file:line` of a place, for people.
    pub fn place(&self, site: Site) -> String {
        let source = self.source(site.source());
        match (source.is_empty(), site.is_none()) {
            (_, true) => "an unknown line".to_string(),
            (true, false) => format!("line {}", site.line()),
            (false, false) => format!("{source}:{}", site.line()),
        }
    }

    // ---- the end

    /// Says that the program is over with this status; the first word counts. In the simulated world no other task goes on
    /// from here; in the real one the process is expected to end.
    pub fn request_exit(&self, status: i32) {
        self.ending.lock().get_or_insert(status);
        self.over.store(true, Ordering::Release);
        self.ended.notify_all();
        self.end_bell.ring();
    }

    /// The same, and whoever clears up after it should not wait for anything.
    pub fn request_exit_now(&self, status: i32) {
        self.urgent.store(true, Ordering::Release);
        self.request_exit(status);
    }

    /// True when the program was told to end at once.
    pub fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    /// True once the program is over: nobody hears of what tasks still do.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The status the program is over with, if it is.
    pub fn exit_status(&self) -> Option<i32> {
        *self.ending.lock()
    }

    /// Waits, on a thread that is no task, until the program is over, one of `sources` is ready or `limit` of real time has gone by.
    pub fn wait_exit_or(&self, sources: &[Source], limit: Option<Duration>) -> Option<i32> {
        self.end_bell.listen();
        if self.exit_status().is_none() {
            self.end_bell.wait(sources, limit);
        }
        self.end_bell.stop_listening();
        self.exit_status()
    }

    /// Where what happens is written down.
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.get()
    }

    /// From now on the processes that are started write down what happens in them in this file. The first word counts.
    pub fn record_in(&self, file: Arc<OwnedFd>, epoch: u64) {
        self.recording.get_or_init(|| Recording { file, epoch });
    }

    /// When the program has begun, in nanoseconds of the system's clock that never goes back.
    pub fn epoch(&self) -> u64 {
        self.world.epoch()
    }

    /// Waits, on a thread that is no task, until the program is over; at most `limit` of real time.
    pub fn wait_exit(&self, limit: Option<Duration>) -> Option<i32> {
        let mut ending = self.ending.lock();
        match limit {
            None => self.ended.wait_while(&mut ending, |e| e.is_none()),
            Some(limit) => drop(self.ended.wait_while_for(&mut ending, |e| e.is_none(), limit)),
        }
        *ending
    }

    /// Cancels every task but the current one.
    pub fn cancel_others(&self) {
        let mut others = self.others();
        others.retain(|task| task.role() != Role::Far);
        tell_all(&others, Task::raise_cancel);
    }

    /// A signal: the main task's current call ends with [`super::Stop::Interrupted`], its first one if it has still to start;
    /// all other tasks are cancelled.
    pub fn interrupt(&self, signal: u32) {
        let told: Vec<Arc<Task>> = {
            let tasks = self.tasks.lock();
            self.asked_to_end.get_or_init(|| (Instant::now(), signal));
            let told: Vec<_> = tasks.values().filter_map(Weak::upgrade).collect();
            for task in &told {
                match task.role() {
                    Role::Main => task.raise_interrupt(signal),
                    Role::Thread | Role::Process | Role::Workman | Role::Service => task.raise_cancel(),
                    // Its process is told.
                    Role::Far => {}
                }
            }
            told
        };
        self.end_bell.ring();
        told.iter().for_each(Task::wake);
    }

    /// Since when a signal asks the program to end.
    pub fn asked_to_end(&self) -> Option<Instant> {
        self.asked_to_end.get().map(|(since, _)| *since)
    }

    /// Ends the waits of these tasks with [`super::Stop::Ended`].
    pub fn end(&self, tasks: &[Arc<Task>]) {
        tell_all(tasks, |task| task.raise(alert::ENDED));
    }

    fn others(&self) -> Vec<Arc<Task>> {
        let me = super::task::try_current().map(|t| t.id());
        self.tasks().into_iter().filter(|t| Some(t.id()) != me).collect()
    }

    /// Tells every task but the current one that the program is over: their waits end with [`super::Stop::Ended`], and
    /// those of tasks that they still start.
    pub fn end_others(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.end(&self.others());
    }
}

/// Tells all of them before it wakes the first: what that one leaves behind, a lock that it held or a queue that nobody
/// fills any more, is then no surprise for the others.
fn tell_all(tasks: &[Arc<Task>], tell: impl Fn(&Task)) {
    tasks.iter().for_each(|task| tell(task));
    tasks.iter().for_each(Task::wake);
}

/// A task that runs to its end, also when it panics: what it owned must not stay locked, nor its turn stay taken.
struct Ends<'a>(&'a Arc<Task>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel")
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.detector.stop();
    }
}

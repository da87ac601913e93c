//! The simulated world: real threads, but one runs at a time and hands over only at the door; a clock that jumps to the
//! next deadline when everybody waits. The same choices give the same run to the byte.
//!
//! Invariant: at most one task of the program has its turn. Whoever has it chooses its successor before it stops; when
//! nobody can go on and nothing is due, the world is idle and an outside event (a signal) chooses.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::readiness::{Bell, Source};
use super::schedule::Chooser;
use super::task::{Task, TaskId, parked, run_as};
use super::threads;

/// The simulated clock starts at 2000-01-01T00:00:00Z, as that of Go's `testing/synctest`.
pub const EPOCH: f64 = 946_684_800.0;

/// A task that asked for some state this often without waiting is taken to wait for it to change.
const PATIENCE: u32 = 1_000;

struct State {
    ready: Vec<Arc<Task>>,
    /// When a parked task gives up: by time, then in the order in which they parked.
    due: BTreeMap<(Duration, u64), Arc<Task>>,
    parked: BTreeMap<TaskId, Option<(Duration, u64)>>,
    /// Who waits for descriptors. While somebody does, the clock stands still.
    outside: BTreeMap<TaskId, Outside>,
    chooser: Box<dyn Chooser>,
    order: u64,
    queries: u32,
    /// Nobody has the turn.
    idle: bool,
}

/// A wait for the world outside, where simulated time means nothing: it gives up by real time, and moves the clock then.
#[derive(Clone)]
struct Outside {
    task: Arc<Task>,
    sources: Vec<Source>,
    until: Option<(Instant, Duration)>,
}

/// See the module.
pub struct SimWorld {
    now: AtomicU64,
    preempts: AtomicBool,
    state: Mutex<State>,
    /// Wakes whoever looks after the descriptors.
    bell: Bell,
}

impl SimWorld {
    /// A world at time 0 in which `chooser` decides who goes on.
    pub fn new(chooser: Box<dyn Chooser>) -> SimWorld {
        SimWorld {
            now: AtomicU64::new(0),
            preempts: AtomicBool::new(chooser.preempts()),
            state: Mutex::new(State {
                ready: Vec::new(),
                due: BTreeMap::new(),
                parked: BTreeMap::new(),
                outside: BTreeMap::new(),
                chooser,
                order: 0,
                queries: 0,
                idle: true,
            }),
            bell: Bell::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.now.load(Ordering::Acquire))
    }

    pub(super) fn wall_clock(&self) -> f64 {
        EPOCH + self.now().as_secs_f64()
    }

    pub(super) fn preempts(&self) -> bool {
        self.preempts.load(Ordering::Relaxed)
    }

    pub(super) fn start(&self, task: &Arc<Task>, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let runner = task.clone();
        threads::run(Box::new(move || {
            runner.attach_native_thread();
            fence(Ordering::SeqCst); // see `give_turn`
            wait_for_turn(&runner);
            let _passed_on = Turn(&runner);
            run_as(&runner, body);
        }))?;
        self.make_ready(task.clone());
        Ok(())
    }

    pub(super) fn park(&self, task: &Arc<Task>, deadline: Option<Duration>, sources: &[Source]) {
        let begun =
            task.parking.state.compare_exchange(parked::RUNNING, parked::WAITING, Ordering::AcqRel, Ordering::Acquire);
        if begun.is_ok() {
            let mut state = self.state.lock();
            state.queries = 0;
            // An outside wake-up may have come before the task is in the list of the parked.
            if task.parking.state.load(Ordering::Acquire) == parked::WAITING {
                state.park(task, deadline);
                if !sources.is_empty() {
                    let left = deadline.map(|when| when.saturating_sub(self.now()));
                    let real = left.and_then(|left| Instant::now().checked_add(left));
                    let until = real.zip(deadline);
                    state.outside.insert(task.id(), Outside { task: task.clone(), sources: sources.to_vec(), until });
                }
            } else {
                state.ready.push(task.clone());
            }
            drop(state);
            self.pass_turn(task);
            wait_for_turn(task);
        }
        task.parking.state.swap(parked::RUNNING, Ordering::AcqRel);
    }

    pub(super) fn unpark(&self, task: &Arc<Task>) {
        let mut state = self.state.lock();
        if let Some(entry) = state.parked.remove(&task.id()) {
            if let Some(key) = entry {
                state.due.remove(&key);
            }
            state.outside.remove(&task.id());
            drop(state);
            self.make_ready(task.clone());
            self.bell.ring();
        }
    }

    pub(super) fn point(&self, task: &Arc<Task>) {
        if !self.preempts() {
            return;
        }
        let mut state = self.state.lock();
        if state.ready.is_empty() {
            return;
        }
        state.ready.push(task.clone());
        let current = state.ready.len() - 1;
        let next = state.pick(Some(current));
        drop(state);
        if next.id() != task.id() {
            give_turn(&next);
            wait_for_turn(task);
        }
    }

    pub(super) fn query(&self, task: &Arc<Task>) {
        self.point(task);
        let next_due = {
            let mut state = self.state.lock();
            state.queries += 1;
            if state.queries < PATIENCE {
                return;
            }
            state.queries = 0;
            if state.ready.is_empty() && state.due.is_empty() {
                return;
            }
            // What is due now is another of this kind: two that wait for each other must not stop time.
            let now = self.now();
            let mut due = state.due.keys().map(|(when, _)| *when);
            due.find(|when| *when > now).filter(|_| state.ready.is_empty())
        };
        // Behave as an interrupted busy wait would: others go on, or time passes.
        self.park(task, Some(next_due.unwrap_or_else(|| self.now())), &[]);
    }

    fn make_ready(&self, task: Arc<Task>) {
        let mut state = self.state.lock();
        state.ready.push(task);
        if state.idle {
            let next = state.pick(None);
            drop(state);
            give_turn(&next);
        }
    }

    /// The task that has the turn stops: choose who goes on, moving the clock when all wait.
    fn pass_turn(&self, task: &Arc<Task>) {
        let kernel = task.kernel();
        while !kernel.is_over() {
            let mut state = self.state.lock();
            if !state.ready.is_empty() {
                let next = state.pick(None);
                drop(state);
                give_turn(&next);
                return;
            }
            drop(state);
            if kernel.detector().look_in_sim(kernel) {
                continue;
            }
            let mut state = self.state.lock();
            if !state.ready.is_empty() {
                continue;
            }
            if !state.outside.is_empty() {
                drop(state);
                self.look_outside();
                continue;
            }
            let Some(when) = state.next_due() else {
                state.idle = true;
                return;
            };
            state.advance(&self.now, when);
        }
    }
}

impl SimWorld {
    /// All tasks wait and some of them for the world outside: wait there until it answers, or until one is woken. It is
    /// asked only then, so that the schedule depends on it as little as can be.
    fn look_outside(&self) {
        self.bell.listen();
        let waiting: Vec<Outside> = {
            let state = self.state.lock();
            if !state.ready.is_empty() {
                return self.bell.stop_listening();
            }
            state.outside.values().cloned().collect()
        };
        let (owners, sources): (Vec<&Arc<Task>>, Vec<Source>) =
            waiting.iter().flat_map(|wait| wait.sources.iter().map(|source| (&wait.task, source.clone()))).unzip();
        let until = waiting.iter().filter_map(|wait| wait.until).min();
        let left = until.map(|(real, _)| real.saturating_duration_since(Instant::now()));
        let ready = self.bell.wait(&sources, left);
        self.bell.stop_listening();
        if let Some((real, when)) = until.filter(|_| ready.is_empty())
            && Instant::now() >= real
        {
            self.state.lock().advance(&self.now, when);
        }
        for source in ready {
            owners[source].wake();
        }
    }
}

impl State {
    fn park(&mut self, task: &Arc<Task>, deadline: Option<Duration>) {
        let key = deadline.map(|when| {
            self.order += 1;
            (when, self.order)
        });
        if let Some(key) = key {
            self.due.insert(key, task.clone());
        }
        self.parked.insert(task.id(), key);
    }

    fn pick(&mut self, current: Option<usize>) -> Arc<Task> {
        self.idle = false;
        let at = if self.ready.len() == 1 {
            0
        } else {
            let ids: Vec<TaskId> = self.ready.iter().map(|t| t.id()).collect();
            self.chooser.choose(&ids, current)
        };
        self.ready.remove(at)
    }

    fn next_due(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((when, _), _)| *when)
    }

    /// Moves the clock to `when` and makes those ready whose time has come.
    fn advance(&mut self, now: &AtomicU64, when: Duration) {
        let nanos = u64::try_from(when.as_nanos()).unwrap_or(u64::MAX);
        now.fetch_max(nanos, Ordering::AcqRel);
        while let Some(entry) = self.due.first_entry().filter(|e| e.key().0 <= when) {
            let task = entry.remove();
            self.parked.remove(&task.id());
            self.outside.remove(&task.id());
            self.ready.push(task);
        }
    }
}

/// The turn of a task that runs to its end, however it ends.
struct Turn<'a>(&'a Arc<Task>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let super::world::World::Sim(world) = self.0.kernel().world() {
            world.pass_turn(self.0);
        }
    }
}

fn give_turn(task: &Arc<Task>) {
    task.parking.turn.store(true, Ordering::Release);
    // A thread that is just starting: either this sees it, or it sees that it is its turn.
    fence(Ordering::SeqCst);
    if let Some(thread) = task.parking.thread.get() {
        thread.unpark();
    }
}

fn wait_for_turn(task: &Arc<Task>) {
    while !task.parking.turn.swap(false, Ordering::AcqRel) {
        std::thread::park();
    }
}

//! The events of a program, taken down as they come and handed on in order.
//!
//! Each thread has a reel of its own, so that taking down costs no more than a clock and an uncontended lock. The reels are
//! emptied together, every tenth of a second or by whoever finds its own full; so the memory is bounded, and what a killed
//! program has told until shortly before its end is in the file.
//!
//! What happens very often to one object or task is thinned out at the source, in the real world only: the first
//! [`DETAIL`] events of a tenth of a second are taken down, and what lasts: each tick looks at who waits, who holds what, and
//! how full the queues are. In the simulated world one reel takes down everything, in the one order there is.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::trace::Trace;
use crate::kernel::events::{Event, Usage};
use crate::kernel::task::Wait;
use crate::kernel::{Kernel, ObjectCore, Role, Site, Task};

/// How often the reels are emptied.
pub const TICK: Duration = Duration::from_millis(100);

/// How many events of one object or task are taken down between two ticks.
const DETAIL: u32 = 100;

/// A wait that takes longer is always taken down.
const LONG: Duration = Duration::from_millis(1);

/// How many events a reel takes before its thread empties all, and how many before it waits for somebody who does.
const FULL: usize = 2_048;
const OVERFULL: usize = 8_192;

/// Something that happened: when (nanoseconds since the start), in which simulated process and task (0: none).
pub struct Entry {
    /// When. No two entries of a reel have the same.
    pub at: u64,
    /// Number of the simulated process; 0 in the real world.
    pub process: u64,
    /// Number of the task; 0 for none.
    pub task: u64,
    /// What.
    pub fact: Fact,
}

/// What is kept of an event.
pub enum Fact {
    /// A task began; `by` started it.
    Started { name: Box<str>, role: Role, site: Site, by: u64 },
    /// It ended.
    Ended,
    /// It begins with a function; `shown` when that is to be written.
    Calls { function: Box<str>, site: Site, shown: bool },
    /// That is over.
    Returns,
    /// It waits; `by` holds what it waits for; `idle`: it may wait for as long as it likes.
    Waits { verb: &'static str, object: Box<str>, site: Site, order: u64, by: Option<(u64, Site)>, idle: bool },
    /// The wait of this number is over.
    Wakes { order: u64, how: &'static str },
    /// It woke another one.
    Woke { task: u64 },
    /// It got an object.
    Acquired { object: u64, label: Box<str>, site: Site },
    /// It gave it back.
    Released { object: u64 },
    /// It put an item into a queue.
    Put { object: u64, label: Box<str>, item: u64, size: usize },
    /// It took an item out of a queue.
    Got { object: u64, label: Box<str>, item: u64, size: usize },
    /// How much is in an object.
    Level { object: u64, label: Box<str>, level: usize },
    /// It started a command.
    ChildStarted { object: u64, pid: u32, command: Box<str> },
    /// A command ended.
    ChildEnded { object: u64, code: i32, note: &'static str, usage: Option<Usage> },
    /// It started a worker process.
    WorkerStarted { pid: u32 },
    /// That one ended.
    WorkerEnded { pid: u32, code: i32 },
    /// Something rare.
    Noted { what: &'static str, text: Box<str> },
}

#[derive(Default)]
struct Reel {
    entries: Vec<Entry>,
    last: u64,
}

/// What the ticks have seen so far.
#[derive(Default)]
struct Seen {
    waits: HashMap<u64, u64>,
    held: HashSet<(u64, u64)>,
    levels: HashMap<u64, usize>,
}

/// See the module.
pub struct Tape {
    number: u64,
    is_sim: bool,
    window: AtomicU32,
    closed: AtomicBool,
    reels: Mutex<Vec<Arc<Mutex<Reel>>>>,
    trace: Mutex<Trace>,
    kernel: Weak<Kernel>,
    seen: Mutex<Seen>,
}

thread_local! {
    static MINE: RefCell<Option<(u64, Arc<Mutex<Reel>>)>> = const { RefCell::new(None) };
}

impl Tape {
    /// Takes down what happens in `kernel` from now on, into `trace`.
    pub fn start(kernel: &Arc<Kernel>, trace: Trace) -> Arc<Tape> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let tape = Arc::new(Tape {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            is_sim: kernel.is_sim(),
            window: AtomicU32::new(1),
            closed: AtomicBool::new(false),
            reels: Mutex::default(),
            trace: Mutex::new(trace),
            kernel: Arc::downgrade(kernel),
            seen: Mutex::default(),
        });
        let heard = tape.clone();
        kernel.events().listen(Arc::new(move |event| heard.hear(event)));
        tape
    }

    fn hear(&self, event: &Event) {
        // In the simulated world, what is done while the program ends is nobody's turn and not repeatable.
        if self.closed.load(Ordering::Relaxed) || (self.is_sim && event.kernel().is_over()) {
            return;
        }
        let most = if self.is_sim { u32::MAX - 1 } else { DETAIL };
        let window = if self.is_sim { 0 } else { self.window.load(Ordering::Relaxed) };
        let (about, fact) = match event {
            Event::Started { task, by } => (Some(*task), started(task, *by)),
            Event::Ended { task } => (Some(*task), Fact::Ended),
            Event::Calls { task, function, site } => {
                let shown = task.noted().allows(window, most);
                (Some(*task), Fact::Calls { function: (*function).into(), site: *site, shown })
            }
            Event::Returns { task } => (Some(*task), Fact::Returns),
            Event::Waits { task, wait } => {
                if !task.noted().allows(window, most) {
                    return;
                }
                (Some(*task), waits(wait))
            }
            Event::Wakes { task, wait, how } => {
                if task.noted().is_overdrawn(window, most) {
                    if task.kernel().now().saturating_sub(wait.since) < LONG {
                        return;
                    }
                    self.write(home(task), task.id().0, Some(wait.since), task.kernel(), waits(wait));
                }
                (Some(*task), Fact::Wakes { order: wait.order, how })
            }
            Event::Woken { task, by } => {
                let Some(by) = by else {
                    return;
                };
                if task.noted().is_overdrawn(window, most) {
                    return;
                }
                (Some(*by), Fact::Woke { task: task.id().0 })
            }
            Event::Acquired { task, object, site } => {
                if !object.noted().allows(window, most) {
                    return;
                }
                (Some(*task), Fact::Acquired { object: object.id().0, label: label(object), site: *site })
            }
            Event::Released { task, object } => {
                if object.noted().is_overdrawn(window, most) {
                    return;
                }
                (Some(*task), Fact::Released { object: object.id().0 })
            }
            Event::Put { task, object, item, size } => {
                if !object.noted().allows(window, most) {
                    return;
                }
                (Some(*task), Fact::Put { object: object.id().0, label: label(object), item: *item, size: *size })
            }
            Event::Got { task, object, item, size } => {
                if !object.noted().allows(window, most) {
                    return;
                }
                (Some(*task), Fact::Got { object: object.id().0, label: label(object), item: *item, size: *size })
            }
            Event::Level { object, level } => {
                if !object.noted().allows(window, most) {
                    return;
                }
                (None, Fact::Level { object: object.id().0, label: label(object), level: *level })
            }
            Event::ChildStarted { task, object, pid, command } => {
                (Some(*task), Fact::ChildStarted { object: object.id().0, pid: *pid, command: (*command).into() })
            }
            Event::ChildEnded { object, code, note, usage, .. } => {
                (None, Fact::ChildEnded { object: object.id().0, code: *code, note, usage: *usage })
            }
            Event::WorkerStarted { task, pid } => (Some(*task), Fact::WorkerStarted { pid: *pid }),
            Event::WorkerEnded { task, pid, code } => (Some(*task), Fact::WorkerEnded { pid: *pid, code: *code }),
            Event::Noted { task, what, text, .. } => (*task, Fact::Noted { what, text: (*text).into() }),
        };
        let (process, task) = about.map_or((0, 0), |task| (home(task), task.id().0));
        self.write(process, task, None, event.kernel(), fact);
    }

    fn write(&self, process: u64, task: u64, at: Option<Duration>, kernel: &Kernel, fact: Fact) {
        let count = self.with_reel(|reel| {
            let now = nanos(at.unwrap_or_else(|| kernel.now()));
            // What lies back, as the beginning of a wait that was not taken down, keeps its time.
            let at = if at.is_some() { now } else { now.max(reel.last + 1) };
            reel.last = reel.last.max(at);
            reel.entries.push(Entry { at, process, task, fact });
            reel.entries.len()
        });
        if count >= OVERFULL {
            self.hand_on(&mut self.trace.lock());
        } else if count >= FULL
            && let Some(mut trace) = self.trace.try_lock()
        {
            self.hand_on(&mut trace);
        }
    }

    fn with_reel<R>(&self, take_down: impl FnOnce(&mut Reel) -> R) -> R {
        if self.is_sim {
            let reel = self.first_reel();
            return take_down(&mut reel.lock());
        }
        MINE.with(|mine| {
            let mut mine = mine.borrow_mut();
            match &*mine {
                Some((number, reel)) if *number == self.number => take_down(&mut reel.lock()),
                _ => {
                    let reel = self.new_reel();
                    let result = take_down(&mut reel.lock());
                    *mine = Some((self.number, reel));
                    result
                }
            }
        })
    }

    fn new_reel(&self) -> Arc<Mutex<Reel>> {
        let reel: Arc<Mutex<Reel>> = Arc::default();
        self.reels.lock().push(reel.clone());
        reel
    }

    fn first_reel(&self) -> Arc<Mutex<Reel>> {
        let mut reels = self.reels.lock();
        if reels.is_empty() {
            reels.push(Arc::default());
        }
        reels[0].clone()
    }

    /// Empties all reels into the trace. All are held for a moment, so that nothing is handed on without its cause.
    fn hand_on(&self, trace: &mut Trace) {
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        let reels = {
            let mut reels = self.reels.lock();
            let all = reels.clone();
            // Those of threads that have ended, once they are empty.
            reels.retain(|reel| self.is_sim || Arc::strong_count(reel) > 2 || !reel.lock().entries.is_empty());
            all
        };
        let mut entries: Vec<Entry> = {
            let mut held: Vec<_> = reels.iter().map(|reel| reel.lock()).collect();
            held.iter_mut().flat_map(|reel| std::mem::take(&mut reel.entries)).collect()
        };
        entries.sort_by_key(|entry| entry.at);
        for entry in entries {
            trace.take(entry, &kernel);
        }
        trace.write_out();
    }

    /// To be called every [`TICK`] in the real world: looks at what lasts, and writes out what was taken down.
    pub fn tick(&self) {
        let Some(kernel) = self.kernel.upgrade().filter(|_| !self.is_sim) else {
            return;
        };
        self.look(&kernel);
        self.window.fetch_add(1, Ordering::Relaxed);
        self.hand_on(&mut self.trace.lock());
    }

    /// Who waits for long, who holds what for long, how full the queues are: what was thinned out may have been the beginning.
    fn look(&self, kernel: &Arc<Kernel>) {
        let mut seen = self.seen.lock();
        let mut waits_now = HashMap::new();
        for task in kernel.tasks() {
            let Some(wait) = task.waiting() else {
                continue;
            };
            let id = task.id().0;
            if seen.waits.get(&id) != Some(&wait.order) {
                self.write(home(&task), id, Some(wait.since), kernel, waits(&wait));
            }
            waits_now.insert(id, wait.order);
        }
        seen.waits = waits_now;
        let (mut held, mut levels) = (HashSet::new(), HashMap::new());
        for object in kernel.objects() {
            let core = object.core();
            for (owner, site) in object.owners() {
                // The second time: most locks are held for a moment.
                if seen.held.contains(&(core.id().0, owner.0)) {
                    self.write(
                        0,
                        owner.0,
                        None,
                        kernel,
                        Fact::Acquired { object: core.id().0, label: label(core), site },
                    );
                }
                held.insert((core.id().0, owner.0));
            }
            if let Some(level) = object.depth() {
                if seen.levels.get(&core.id().0).is_some_and(|before| *before != level) {
                    self.write(0, 0, None, kernel, Fact::Level { object: core.id().0, label: label(core), level });
                }
                levels.insert(core.id().0, level);
            }
        }
        (seen.held, seen.levels) = (held, levels);
    }

    /// Writes out the rest. Nothing is taken down from here on.
    pub fn finish(&self) {
        let mut trace = self.trace.lock();
        self.hand_on(&mut trace);
        self.closed.store(true, Ordering::Relaxed);
        self.hand_on(&mut trace);
        trace.finish();
    }
}

fn started(task: &Task, by: Option<&Task>) -> Fact {
    let by = by.map_or(0, |by| by.id().0);
    Fact::Started { name: (&*task.name()).into(), role: task.role(), site: task.born(), by }
}

/// The simulated process in which a task is shown: the one that it stands for, if there is one, from its first event on.
fn home(task: &Task) -> u64 {
    match task.stands_for() {
        0 => task.process(),
        process => process,
    }
}

fn waits(wait: &Wait) -> Fact {
    let by = wait.target.owners().first().map(|(owner, site)| (owner.0, *site));
    Fact::Waits {
        verb: wait.verb,
        object: label(wait.target.core()),
        site: wait.site,
        order: wait.order,
        by,
        idle: wait.idle,
    }
}

fn label(core: &ObjectCore) -> Box<str> {
    core.label().into()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

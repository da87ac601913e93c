//! A process of the script: a task that talks to a worker, or under simulated time does the worker's work itself, with
//! nothing but bytes going in and out.
//!
//! Invariants: a process that has an exit code has ended, and is not signalled any more; `join` returns after that.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::broker::Broker;
use super::done::Done;
use super::errand::{self, Answer, Performed};
use super::host::Host;
use super::luggage::{Luggage, Packed};
use super::parcel::Parcel;
use crate::command::completed::End;
use crate::exec::{self, ExecFault};
use crate::kernel::events::Event;
use crate::kernel::{Enders, Kernel, ObjectCore, Role, Stop, Task, Waitable, current, door};
use crate::sync::Fault;
use crate::worker::switchboard::Line;
use crate::worker::wire::{Descriptors, Reply, ToWorker};
use crate::worker::workman::{Heard, Worker};

/// The simulated number of the first process. No real process has so high a number, so a signal that is sent to one by
/// mistake hits nobody.
const FIRST_SIMULATED: u64 = 10_000_000;

/// The number of the errand of a process; it has one only.
const ERRAND: u64 = 1;

/// The simulated number of a process.
pub fn simulated_pid(process: u64) -> i64 {
    i64::try_from(FIRST_SIMULATED + process).unwrap_or(i64::MAX)
}

/// The task that is the simulated process of this number now, or stands for it.
pub fn simulated(kernel: &Kernel, pid: i64) -> Option<Arc<Task>> {
    numbered(kernel, u64::try_from(pid).ok()?.checked_sub(FIRST_SIMULATED)?)
}

/// The same by its place among the simulated processes; the program itself, 0, is none.
pub fn numbered(kernel: &Kernel, number: u64) -> Option<Arc<Task>> {
    let is_simulated = number > 0 && kernel.is_sim();
    kernel.tasks().into_iter().find(|task| is_simulated && task.stands_for() == number)
}

/// What is known of a process while it runs, and after.
#[derive(Default)]
struct Fate {
    /// Until it has ended: whoever keeps the process does not keep what it took of the system.
    worker: Mutex<Option<Arc<Worker>>>,
    pid: OnceLock<u32>,
    code: OnceLock<i32>,
    /// The script ended it.
    by_request: AtomicBool,
    /// In simulated time: the signal that ended it before it began.
    early: AtomicU32,
    closed: AtomicBool,
}

/// See the module.
pub struct Process {
    thread: Arc<exec::Thread<Done>>,
    errand: Mutex<Option<Packed>>,
    fate: Arc<Fate>,
    host: Arc<Host>,
}

impl Process {
    /// A process that is not started yet and has no errand yet. An empty name becomes `Process-N`.
    pub fn new(host: &Arc<Host>, name: &str, daemon: bool) -> Arc<Process> {
        let thread = exec::Thread::new(host.kernel(), name, Role::Process, daemon);
        Arc::new(Process { thread, errand: Mutex::default(), fate: Arc::default(), host: host.clone() })
    }

    /// Says what it will do.
    pub fn give(&self, errand: Packed) {
        *self.errand.lock() = Some(errand);
    }

    /// The task that stands for it here.
    pub fn thread(&self) -> &Arc<exec::Thread<Done>> {
        &self.thread
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`ExecFault::AlreadyStarted`], [`ExecFault::NoProcess`], [`ExecFault::NoThread`].
    pub fn start(self: &Arc<Self>) -> Result<(), ExecFault> {
        let errand = self.errand.lock().take();
        let (Some(errand), false) = (errand, self.thread.is_started()) else {
            return self.thread.start();
        };
        let (host, fate, name) = (self.host.clone(), self.fate.clone(), self.thread.task().name());
        // While it runs it can be found, even if nobody has kept it.
        let kept = self.clone();
        if self.host.kernel().is_sim() {
            self.thread.give(move || {
                let _kept = kept;
                simulate(&host, &fate, &name, errand)
            });
        } else {
            let worker = employ(&self.host, self.thread.task()).map_err(ExecFault::NoProcess)?;
            hand_over(&self.host, &worker, ERRAND, errand).map_err(ExecFault::NoProcess)?;
            worker.tell(&ToWorker::NoMore);
            self.fate.pid.get_or_init(|| worker.pid());
            *self.fate.worker.lock() = Some(worker.clone());
            self.thread.give(move || {
                let _kept = kept;
                attend(&host, &fate, &name, &worker)
            });
        }
        self.host.add_child(self);
        self.thread.start()
    }

    /// Nobody will ask about it any more.
    ///
    /// # Errors
    /// [`ExecFault::StillRuns`].
    pub fn close(&self) -> Result<(), ExecFault> {
        if self.thread.is_alive() {
            return Err(ExecFault::StillRuns(self.label()));
        }
        drop(self.errand.lock().take());
        self.fate.closed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether somebody may still ask about it.
    ///
    /// # Errors
    /// [`Fault::Closed`].
    pub fn check_open(&self) -> Result<(), Fault> {
        if self.fate.closed.load(Ordering::Acquire) { Err(Fault::Closed(self.label())) } else { Ok(()) }
    }

    fn label(&self) -> String {
        format!("process {:?}", self.thread.task().name())
    }

    /// Its number, once it was started.
    pub fn pid(&self) -> Option<i64> {
        if !self.thread.is_started() {
            return None;
        }
        match self.fate.pid.get() {
            Some(pid) => Some(i64::from(*pid)),
            None => Some(simulated_pid(self.thread.task().stands_for())),
        }
    }

    /// Its exit code, once it has ended: negative for a signal.
    pub fn exit_code(&self) -> Option<i32> {
        door::query();
        self.fate.code.get().copied()
    }

    /// Asks it to end: TERM.
    ///
    /// # Errors
    /// [`ExecFault::NotStarted`].
    pub fn terminate(&self) -> Result<(), ExecFault> {
        self.end(libc::SIGTERM.unsigned_abs(), Worker::terminate)
    }

    /// Ends it at once: KILL.
    ///
    /// # Errors
    /// [`ExecFault::NotStarted`].
    pub fn kill(&self) -> Result<(), ExecFault> {
        self.end(libc::SIGKILL.unsigned_abs(), Worker::kill)
    }

    fn end(&self, signal: u32, end: impl FnOnce(&Worker)) -> Result<(), ExecFault> {
        door::point();
        if !self.thread.is_started() {
            return Err(ExecFault::NotStarted(self.label()));
        }
        if self.fate.code.get().is_some() {
            return Ok(());
        }
        self.fate.by_request.store(true, Ordering::Release);
        let worker = self.fate.worker.lock().clone();
        match worker {
            Some(worker) => end(&worker),
            // It has ended just now.
            None if self.fate.pid.get().is_some() => {}
            // One that is not on its way yet gets to hear of it before it does anything.
            None if self.thread.task().end_process(signal.cast_signed().saturating_neg()) => {}
            None => _ = self.fate.early.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire),
        }
        Ok(())
    }
}

impl Waitable for Process {
    fn core(&self) -> &Arc<ObjectCore> {
        self.thread.core()
    }

    fn enders(&self) -> Enders {
        self.thread.enders()
    }

    fn state(&self) -> String {
        match (self.pid(), self.fate.code.get()) {
            (_, Some(code)) => format!("exit code {code}"),
            (Some(pid), None) => format!("pid {pid}"),
            (None, None) => "not started".into(),
        }
    }
}

/// Starts a worker, for a task that stands for it here, that knows the sources of the script.
///
/// # Errors
/// Those of the system.
pub fn employ(host: &Host, task: &Task) -> std::io::Result<Arc<Worker>> {
    let begin = ToWorker::Begin {
        name: task.name().to_string(),
        args: host.args().to_vec(),
        daemon: task.is_daemon(),
        parent: host.identity().name.clone(),
        recorded: host.kernel().recording().map(|recording| recording.epoch),
        script: host.origin().script.clone(),
        folder: host.origin().folder.clone(),
        path: host.origin().path.clone(),
    };
    let worker = Worker::start(host.kernel(), task.born(), &begin)?;
    worker.tell_sources(&host.source_names(), |name| host.source(name).map(|source| source.original().to_string()));
    let pid = worker.pid();
    host.kernel().events().emit(|| Event::WorkerStarted { task, pid });
    Ok(worker)
}

/// Sends an errand to a worker. The first that has handles with it opens the way back for them; so does one that may have
/// a connection, through which handles can come.
///
/// # Errors
/// Those of the system.
pub fn hand_over(host: &Arc<Host>, worker: &Worker, number: u64, errand: Packed) -> std::io::Result<()> {
    let Packed { bytes, luggage } = errand;
    let exported = if luggage.is_empty() {
        Vec::new()
    } else {
        let broker = host.broker()?;
        let line = worker.line_by(broker.switchboard(), broker.slab())?;
        broker.export(&line, &luggage)
    };
    worker.tell_with(&ToWorker::Run(number, bytes.into(), exported), luggage.into_descriptors());
    Ok(())
}

/// What belongs to the reply to an errand: descriptors, and the handles that the worker sent back.
pub fn luggage_of(host: &Arc<Host>, worker: &Worker, errand: u64, descriptors: Descriptors) -> Luggage {
    let handles = line_of(host, worker).map_or_else(Vec::new, |(broker, line)| broker.lent(&line, errand));
    Luggage::with_handles(descriptors, handles)
}

/// A worker has ended: waits until all its calls are done, and what it held is given back. Nobody is to find a lock in its
/// hands, or miss what it has put into a queue.
pub fn await_calls(host: &Arc<Host>, worker: &Worker) {
    if let Some((broker, line)) = line_of(host, worker) {
        // The end of the program ends this too.
        let _over = door::block_through(&mut line.over().waiting(), None);
        broker.forget(&line);
    }
}

fn line_of(host: &Arc<Host>, worker: &Worker) -> Option<(Arc<Broker>, Arc<Line>)> {
    // Where there is a line there is a broker.
    worker.line().cloned().and_then(|line| Some((host.broker().ok()?, line)))
}

/// The talk of the current task with a worker about one errand: what the task is told to do meanwhile is passed on.
pub struct Talk<'a> {
    host: &'a Arc<Host>,
    worker: &'a Arc<Worker>,
    errand: u64,
    interrupted: bool,
}

/// How a worker ended.
pub struct Ended {
    /// What the system says.
    pub end: End,
    /// It said that it ends by itself.
    pub left: bool,
    /// It had begun with the errand, which may have been done.
    pub has_begun: bool,
}

impl<'a> Talk<'a> {
    /// About the errand of this number.
    pub fn new(host: &'a Arc<Host>, worker: &'a Arc<Worker>, errand: u64) -> Talk<'a> {
        Talk { host, worker, errand, interrupted: false }
    }

    /// Waits for the answer; `None` when the program is over, of which the worker hears by the end of its socket.
    ///
    /// # Errors
    /// How the worker ended, when there will be none.
    pub fn until_reply(&mut self) -> Result<Option<Answer>, Ended> {
        loop {
            match self.worker.hear(None) {
                Ok(Heard::Reply(number, reply, descriptors)) => {
                    let luggage = luggage_of(self.host, self.worker, number, descriptors);
                    return Ok(Some(Answer { reply, luggage }));
                }
                Ok(Heard::Began(_) | Heard::Back(_)) => {}
                Ok(Heard::Ended { end, left, begun }) => {
                    await_calls(self.host, self.worker);
                    return Err(Ended { end, left, has_begun: begun == self.errand });
                }
                Err(Stop::Cancelled) => match self.host.signals().asked_with() {
                    None => self.worker.stir(&ToWorker::Cancel(self.errand)),
                    // Once: the second time it would end at once.
                    Some(signal) if !std::mem::replace(&mut self.interrupted, true) => {
                        self.worker.stir(&ToWorker::Interrupt(signal.number));
                    }
                    Some(_) => {}
                },
                Err(_) => return Ok(None),
            }
        }
    }

    /// True when the worker was asked to stop because the program was.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted
    }
}

/// What the task of a process does: hears its worker until it has ended.
fn attend(host: &Arc<Host>, fate: &Fate, name: &str, worker: &Arc<Worker>) -> Done {
    let mut talk = Talk::new(host, worker, ERRAND);
    let mut answer = None;
    let Ended { end, left, .. } = loop {
        match talk.until_reply() {
            Ok(Some(said)) => answer = Some(said),
            Ok(None) => return Done::Over,
            Err(ended) => break ended,
        }
    };
    let code = end.code();
    let asked = fate.by_request.load(Ordering::Acquire) || talk.was_interrupted();
    let done = match (end, answer) {
        // Its end was the program's, and nobody hears of it.
        _ if host.kernel().is_over() => Done::Over,
        (End::Signal(_), _) if asked => nothing(),
        (End::Code(_), Some(answer)) => errand::received(host, &answer),
        (End::Code(_), None) if left => nothing(),
        (End::Signal(_) | End::Code(_), _) => errand::died(host, &format!("process {name:?}"), name, code, 1),
    };
    fate.code.get_or_init(|| code);
    drop(fate.worker.lock().take());
    done
}

/// What the task of a process does under simulated time.
fn simulate(host: &Arc<Host>, fate: &Fate, name: &str, errand: Packed) -> Done {
    let performed = match fate.early.load(Ordering::Acquire) {
        0 => current().as_process(|| errand::perform(host, errand)),
        signal => Err(signal.cast_signed().saturating_neg()),
    };
    let (code, done) = match performed {
        // One of its threads called `exit`.
        Err(status @ 0..) => (status, nothing()),
        Err(code) => {
            let asked = fate.by_request.load(Ordering::Acquire);
            (code, if asked { nothing() } else { errand::died(host, &format!("process {name:?}"), name, code, 1) })
        }
        Ok(Performed::Reply(answer)) => (code_of(&answer.reply), errand::received(host, &answer)),
        Ok(Performed::Exit(status)) => (status, nothing()),
        Ok(Performed::Over) => (0, Done::Over),
    };
    fate.code.get_or_init(|| code);
    done
}

/// The exit code of a process whose function came to this.
pub fn code_of(reply: &Reply) -> i32 {
    i32::from(matches!(reply, Reply::Failed(_)))
}

fn nothing() -> Done {
    Done::Value(Parcel::plain(rhai::Dynamic::UNIT))
}

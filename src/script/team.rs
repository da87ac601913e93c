//! The workers of a pool of processes.
//!
//! Each thread of the pool has one worker, and a job is an errand to it: so the queue, the futures, the order of results and
//! the bounds are those of the thread pool, and only what a job does is different. Under simulated time the thread does the
//! worker's work itself.
//!
//! Invariant: one that died is replaced before the next errand of its thread.

use std::sync::Arc;
use std::time::Duration;

use rhai::{Array, Map};

use super::done::Done;
use super::errand::{self, Answer, Performed};
use super::failure::Failure;
use super::host::{Host, run_in};
use super::luggage::Packed;
use super::process::{await_calls, employ, hand_over, luggage_of};
use crate::command::spec::GRACE;
use crate::exec::errands::{Agent, Errand, News, Recall};
use crate::kernel::{Stop, current};
use crate::worker::wire::{Reply, ToWorker};
use crate::worker::workman::{Heard, Worker};

/// The number of the errand that is the initializer. Those of the pool begin with 1.
const INITIALIZER: u64 = 0;

/// How long a worker may take to leave by itself when the pool is terminated.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the workers of a pool have in common.
#[derive(Clone)]
pub struct Team {
    /// Whose functions they call.
    pub host: Arc<Host>,
    /// What each worker does first.
    pub initializer: Option<Packed>,
    /// How often an errand is tried again whose worker died.
    pub retries: usize,
}

impl Team {
    /// Who hands errands to the worker of the current task.
    pub fn agent(&self) -> Box<dyn Agent<Done> + Send> {
        if self.host.kernel().is_sim() {
            Box::new(Player { team: self.clone(), given: None, is_ready: false })
        } else {
            let (team, number) = (self.clone(), INITIALIZER);
            Box::new(Foreman { team, worker: None, is_ready: false, number, was_interrupted: false })
        }
    }

    fn died(&self, name: &str, code: i32, tries: usize) -> Done {
        let what = format!("the worker of {} that ran {name}", current().name());
        errand::died(&self.host, &what, name, code, tries)
    }

    fn cancelled(&self, why: &str) -> Done {
        let map = Map::from([
            ("kind".into(), "Cancelled".into()),
            ("message".into(), format!("this job was cancelled: {why}").into()),
            ("what".into(), "job".into()),
            ("stack".into(), Array::new().into()),
        ]);
        run_in(&self.host, || Done::Cancelled(Failure::arrived(map, true)))
    }

    fn not_started(&self, error: &std::io::Error) -> Done {
        let map = Map::from([
            ("kind".into(), "ThreadError".into()),
            ("message".into(), format!("the system cannot start another process: {error}").into()),
        ]);
        run_in(&self.host, || Done::Failed(Failure::arrived(map, false)))
    }
}

/// Talks to a worker process.
struct Foreman {
    team: Team,
    worker: Option<Arc<Worker>>,
    /// It has done what each worker does first.
    is_ready: bool,
    /// The last errand that was handed over.
    number: u64,
    /// The worker was asked to stop because the program was.
    was_interrupted: bool,
}

impl Foreman {
    /// Has the worker that was just started do what each worker does first.
    fn initialize(&mut self, worker: &Worker) -> Result<(), Done> {
        let Some(initializer) = self.team.initializer.clone() else {
            return Ok(());
        };
        hand_over(&self.team.host, worker, INITIALIZER, initializer).map_err(|error| self.team.not_started(&error))?;
        let mut limit = None;
        loop {
            match self.hear(limit) {
                News::Done(_, Done::Value(_)) => return Ok(()),
                News::Done(_, failed) => return Err(failed),
                News::Lost { code, .. } => return Err(self.team.died("initializer", code, 1)),
                News::Over => return Err(Done::Over),
                News::Stop { .. } => limit = self.stop(INITIALIZER).or(limit),
                News::Nothing => worker.kill(),
                News::Began(_) | News::Back(_) => {}
            }
        }
    }

    fn interrupted(&self) -> Done {
        self.team.cancelled("the program was interrupted")
    }
}

impl Agent<Done> for Foreman {
    fn prepare(&mut self) -> Result<(), Done> {
        if let Some(ended) = self.worker.take_if(|worker| worker.has_ended()) {
            await_calls(&self.team.host, &ended);
        }
        let worker = match self.worker.clone() {
            Some(_) if self.is_ready => return Ok(()),
            Some(worker) => worker,
            None => employ(&self.team.host, &current()).map_err(|error| self.team.not_started(&error))?,
        };
        (self.worker, self.was_interrupted, self.is_ready) = (Some(worker.clone()), false, false);
        self.initialize(&worker)?;
        self.is_ready = true;
        Ok(())
    }

    fn hand(&mut self, number: u64, errand: &Errand<Done>) {
        let Some(worker) = &self.worker else {
            return;
        };
        let host = &self.team.host;
        worker.tell_sources(&host.source_names(), |name| host.source(name).map(|source| source.original().to_string()));
        if hand_over(host, worker, number, errand.content.clone()).is_err() {
            // It has no way to what it was given: another one is asked to do it, and its end is news.
            worker.kill();
        }
        self.number = number;
    }

    fn hear(&mut self, limit: Option<Duration>) -> News<Done> {
        let Some(worker) = &self.worker else {
            return News::Lost { begun: INITIALIZER, code: 0 };
        };
        let host = &self.team.host;
        match worker.hear(limit) {
            Ok(Heard::Began(number)) => News::Began(number),
            Ok(Heard::Back(number)) => News::Back(number),
            Ok(Heard::Reply(number, Reply::Failed(_), _)) if self.was_interrupted => {
                News::Done(number, self.interrupted())
            }
            Ok(Heard::Reply(number, reply, descriptors)) => {
                let luggage = luggage_of(host, worker, number, descriptors);
                News::Done(number, errand::received(host, &Answer { reply, luggage }))
            }
            Ok(Heard::Ended { end, begun, .. }) => {
                await_calls(host, worker);
                self.worker = None;
                // Its end was the program's, and nobody hears of it.
                if host.kernel().is_over() { News::Over } else { News::Lost { begun, code: end.code() } }
            }
            Err(Stop::TimedOut) => News::Nothing,
            Err(Stop::Cancelled) => News::Stop { all: host.signals().asked_with().is_some() },
            Err(_) => News::Over,
        }
    }

    fn recall(&self) -> Option<Recall> {
        let worker = self.worker.clone();
        Some(Arc::new(move |number| {
            if let Some(worker) = &worker {
                worker.tell(&ToWorker::TakeBack(number));
            }
        }))
    }

    fn retries(&self) -> usize {
        self.team.retries
    }

    fn stop(&mut self, number: u64) -> Option<Duration> {
        let worker = self.worker.as_ref()?;
        match self.team.host.signals().asked_with() {
            None => {
                worker.stir(&ToWorker::Cancel(number));
                Some(GRACE)
            }
            Some(signal) => {
                // Once: the second time it would end at once.
                if !std::mem::replace(&mut self.was_interrupted, true) {
                    worker.stir(&ToWorker::Interrupt(signal.number));
                }
                None
            }
        }
    }

    fn kill(&mut self) {
        if let Some(worker) = &self.worker {
            worker.kill();
        }
    }

    fn lost(&mut self, errand: &Errand<Done>, code: i32, tries: usize) -> Done {
        if self.was_interrupted { self.interrupted() } else { self.team.died(&errand.name, code, tries) }
    }

    fn killed(&mut self, _errand: &Errand<Done>) -> Done {
        match self.was_interrupted {
            true => self.interrupted(),
            false => self.team.cancelled("its process did not stop when it was asked to, and was killed"),
        }
    }

    fn leave(&mut self, now: bool) {
        let Some(worker) = self.worker.clone() else {
            return;
        };
        worker.tell(&ToWorker::NoMore);
        // What it still has to do, threads of its jobs perhaps, it does, unless it is to end now.
        let mut means = [Worker::kill, Worker::terminate].to_vec();
        let mut limit = now.then_some(FAREWELL);
        loop {
            match self.hear(limit) {
                News::Lost { .. } | News::Over => return,
                News::Stop { all: true } => limit = self.stop(self.number).or(limit),
                News::Stop { all: false } => limit = Some(FAREWELL),
                News::Nothing => {
                    if let Some(end) = means.pop() {
                        end(&worker);
                    }
                    limit = Some(GRACE);
                }
                News::Began(_) | News::Back(_) | News::Done(..) => {}
            }
        }
    }
}

/// Does the worker's work itself, under simulated time.
struct Player {
    team: Team,
    given: Option<(u64, Packed)>,
    is_ready: bool,
}

impl Player {
    fn play(&self, errand: Packed) -> Result<Done, i32> {
        let host = &self.team.host;
        match current().as_process(|| errand::perform(host, errand)) {
            Ok(Performed::Reply(reply)) => Ok(errand::received(host, &reply)),
            Ok(Performed::Exit(code)) | Err(code) => Err(code),
            Ok(Performed::Over) => Ok(Done::Over),
        }
    }
}

impl Agent<Done> for Player {
    fn prepare(&mut self) -> Result<(), Done> {
        let Some(initializer) = self.team.initializer.clone().filter(|_| !self.is_ready) else {
            return Ok(());
        };
        match self.play(initializer) {
            Ok(Done::Value(_)) => {
                self.is_ready = true;
                Ok(())
            }
            Ok(done) => Err(done),
            Err(code) => Err(self.team.died("initializer", code, 1)),
        }
    }

    fn hand(&mut self, number: u64, errand: &Errand<Done>) {
        self.given = Some((number, errand.content.clone()));
    }

    fn hear(&mut self, _limit: Option<Duration>) -> News<Done> {
        let Some((number, errand)) = self.given.take() else {
            return News::Over;
        };
        match self.play(errand) {
            Ok(done) => News::Done(number, done),
            Err(code) => {
                self.is_ready = false;
                News::Lost { begun: number, code }
            }
        }
    }

    fn recall(&self) -> Option<Recall> {
        None
    }

    fn retries(&self) -> usize {
        self.team.retries
    }

    fn stop(&mut self, _number: u64) -> Option<Duration> {
        None
    }

    fn kill(&mut self) {}

    fn lost(&mut self, errand: &Errand<Done>, code: i32, tries: usize) -> Done {
        self.team.died(&errand.name, code, tries)
    }

    fn killed(&mut self, errand: &Errand<Done>) -> Done {
        self.lost(errand, 0, 1)
    }

    fn leave(&mut self, _now: bool) {}
}

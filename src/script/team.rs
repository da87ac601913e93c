//! The workers of a pool of processes.
//!
//! Each thread of the pool talks to one worker, and a job is an errand to it: so the queue, the futures, the order of results
//! and the bounds are those of the thread pool, and only what a job does is different. Under simulated time the thread does
//! the worker's work itself.
//!
//! Invariants: a worker has at most one errand; one that died is replaced before the next job of its thread; an errand that
//! may have begun is not done again, unless the pool was told to try again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rhai::{Array, Dynamic, Map};

use super::done::Done;
use super::errand::{self, Answer, Performed};
use super::failure::Failure;
use super::host::Host;
use super::luggage::Packed;
use super::parcel::Parcel;
use super::process::{Talk, employ, hand_over};
use crate::kernel::{TaskId, current};
use crate::worker::wire::{Reply, ToWorker};
use crate::worker::workman::Worker;

/// See the module.
pub struct Team {
    host: Arc<Host>,
    /// What each worker does first.
    initializer: Option<Packed>,
    /// How often an errand is tried again whose worker died.
    retries: usize,
    workers: Mutex<HashMap<TaskId, Arc<Worker>>>,
    errands: AtomicU64,
}

/// How an errand ended.
enum Came {
    To(Done),
    /// The worker ended, with this exit code.
    ToNothing(i32),
    /// The worker ended so before it began with the errand.
    ToNoBeginning(i32),
}

impl Team {
    /// A team without workers yet.
    pub fn new(host: &Arc<Host>, initializer: Option<Packed>, retries: usize) -> Arc<Team> {
        let (workers, errands) = (Mutex::default(), AtomicU64::new(1));
        Arc::new(Team { host: host.clone(), initializer, retries, workers, errands })
    }

    /// The worker of the current task is to be ready before its first errand. What became of the initializer.
    pub fn prepare(&self) -> Done {
        if self.host.kernel().is_sim() {
            return match &self.initializer {
                Some(errand) => self.simulate(errand).unwrap_or_else(|code| self.died("initializer", code)),
                None => Done::Value(Parcel::plain(Dynamic::UNIT)),
            };
        }
        match self.hire() {
            Ok(_) => Done::Value(Parcel::plain(Dynamic::UNIT)),
            Err(done) => done,
        }
    }

    /// Does an errand whose function is called `name`.
    pub fn run(&self, errand: &Packed, name: &str) -> Done {
        let mut tries_left = self.retries;
        loop {
            match self.attempt(errand) {
                Came::To(done) => return done,
                Came::ToNothing(_) if tries_left > 0 => tries_left -= 1,
                Came::ToNothing(code) | Came::ToNoBeginning(code) => return self.died(name, code),
            }
        }
    }

    fn attempt(&self, errand: &Packed) -> Came {
        if self.host.kernel().is_sim() {
            return self.simulate(errand).map_or_else(Came::ToNothing, Came::To);
        }
        let kept = self.workers.lock().get(&current().id()).filter(|worker| !worker.has_ended()).cloned();
        if let Some(worker) = kept {
            match self.send(&worker, errand) {
                // It was about to end when it got the errand. A new one that does so is no accident.
                Came::ToNoBeginning(_) => {}
                came => return came,
            }
        }
        match self.hire() {
            Ok(worker) => self.send(&worker, errand),
            Err(done) => Came::To(done),
        }
    }

    /// A new worker for the current task; the failure of its initializer.
    fn hire(&self) -> Result<Arc<Worker>, Done> {
        let me = current();
        let worker = employ(&self.host, &me).map_err(|error| self.not_started(&error))?;
        self.workers.lock().insert(me.id(), worker.clone());
        if let Some(errand) = &self.initializer {
            match self.send(&worker, errand) {
                Came::To(Done::Value(_)) => {}
                Came::To(done) => return Err(done),
                Came::ToNothing(code) | Came::ToNoBeginning(code) => return Err(self.died("initializer", code)),
            }
        }
        Ok(worker)
    }

    fn send(&self, worker: &Arc<Worker>, errand: &Packed) -> Came {
        let host = &self.host;
        worker.tell_sources(&host.source_names(), |name| host.source(name).map(|source| source.original().to_string()));
        let number = self.errands.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = hand_over(host, worker, number, errand.clone()) {
            return Came::To(self.not_started(&error));
        }
        let mut talk = Talk::new(host, worker, number);
        let came = match talk.until_reply() {
            Ok(Some(Answer { reply: Reply::Failed(_), .. })) if talk.was_interrupted() => Came::To(self.interrupted()),
            Ok(Some(answer)) => Came::To(errand::received(host, &answer)),
            Ok(None) => return Came::To(Done::Over),
            // Its end was the program's, and nobody hears of it.
            Err(_) if host.kernel().is_over() => Came::To(Done::Over),
            Err(_) if talk.was_interrupted() => Came::To(self.interrupted()),
            Err(ended) if ended.has_begun => Came::ToNothing(ended.end.code()),
            Err(ended) => Came::ToNoBeginning(ended.end.code()),
        };
        if worker.has_ended() {
            self.workers.lock().remove(&current().id());
        }
        came
    }

    fn simulate(&self, errand: &Packed) -> Result<Done, i32> {
        match current().as_process(|| errand::perform(&self.host, errand.clone())) {
            Ok(Performed::Reply(answer)) => Ok(errand::received(&self.host, &answer)),
            Ok(Performed::Exit(status)) => Err(status),
            Ok(Performed::Over) => Ok(Done::Over),
            Err(signal) => Err(signal.cast_signed().saturating_neg()),
        }
    }

    /// The current task does no more errands: its worker ends, and that is waited for.
    pub fn dismiss(&self) {
        let worker = self.workers.lock().remove(&current().id());
        if let Some(worker) = worker {
            worker.tell(&ToWorker::NoMore);
            let mut talk = Talk::new(&self.host, &worker, 0);
            while let Ok(Some(_)) = talk.until_reply() {}
        }
    }

    fn died(&self, name: &str, code: i32) -> Done {
        let what = format!("the worker of {} that ran {name}", current().name());
        errand::died(&self.host, &what, name, code)
    }

    fn interrupted(&self) -> Done {
        let map = Map::from([
            ("kind".into(), "Cancelled".into()),
            ("message".into(), "this job was cancelled: the program was interrupted".into()),
            ("what".into(), "job".into()),
            ("stack".into(), Array::new().into()),
        ]);
        super::host::run_in(&self.host, || Done::Cancelled(Failure::arrived(map, true)))
    }

    fn not_started(&self, error: &std::io::Error) -> Done {
        let map = Map::from([
            ("kind".into(), "ThreadError".into()),
            ("message".into(), format!("the system cannot start another process: {error}").into()),
        ]);
        super::host::run_in(&self.host, || Done::Failed(Failure::arrived(map, false)))
    }
}

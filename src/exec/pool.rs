//! A pool of threads that run jobs in the order in which they were submitted.
//!
//! Invariants: at most `size` jobs run at a time; a job that was accepted runs once or is cancelled, and its future tells
//! which; workers are started when there is more to do than idle workers, and end when the pool is closed, or nobody
//! holds it any more, and nothing is left to do.
//!
//! Jobs are done by the workers themselves, or elsewhere by way of agents: [`super::errands`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::errands::{Agent, Errand, Line};
use super::{ExecFault, Outcome, Thread, caught, run_caught};
use crate::kernel::{Enders, Kernel, ObjectCore, Role, Stop, Waitable, block, current};
use crate::sync::future::Runners;
use crate::sync::{Fault, Future, Order, Queue};

/// What a job does.
pub enum Body<R: Outcome> {
    /// It is run by the worker itself.
    Here(Box<dyn FnOnce() -> R + Send>),
    /// It is done elsewhere, by way of the worker's agent.
    Elsewhere(Errand<R>),
}

impl<R: Outcome> Body<R> {
    /// What is to be done elsewhere.
    pub(super) fn errand(&self) -> Option<&Errand<R>> {
        match self {
            Body::Here(_) => None,
            Body::Elsewhere(errand) => Some(errand),
        }
    }
}

/// A job that was accepted.
pub(super) struct Job<R: Outcome> {
    /// Its place among all.
    serial: u64,
    pub(super) future: Arc<Future<R>>,
    pub(super) body: Body<R>,
    /// How often it was handed to somebody elsewhere.
    pub(super) tries: usize,
    /// Whoever was to do it ended before it began.
    pub(super) had_false_start: bool,
}

/// Makes the agent of one worker, which is the current task.
pub type Agents<R> = Arc<dyn Fn() -> Box<dyn Agent<R> + Send> + Send + Sync>;

/// What a pool is made of.
pub struct Plan<R> {
    /// Its kind: `ThreadPoolExecutor`, `ThreadPool`.
    pub kind: &'static str,
    /// How many workers at the most.
    pub size: usize,
    /// What the workers' names begin with.
    pub name: Option<String>,
    /// Run by each worker before its first job; a failure breaks the pool.
    pub initializer: Option<Arc<dyn Fn() -> R + Send + Sync>>,
    /// Where jobs are done elsewhere: who hands them over.
    pub agents: Option<Agents<R>>,
    /// A worker is replaced after so many jobs.
    pub jobs_per_worker: Option<usize>,
    /// The outcome of a job that never ran because the initializer failed with this.
    pub broken: fn(&R) -> R,
}

/// What the workers share with the pool. The workers do not keep the pool itself alive.
pub(super) struct Works<R: Outcome> {
    kernel: Arc<Kernel>,
    plan: Plan<R>,
    jobs: Arc<Queue<Job<R>>>,
    workers: Mutex<Vec<Arc<Thread<()>>>>,
    idle: AtomicUsize,
    started: AtomicUsize,
    broken: AtomicBool,
    to_stop: AtomicBool,
    accepted: AtomicU64,
    /// The futures of jobs that were handed elsewhere.
    lent: Mutex<Vec<(u64, Arc<Future<R>>)>>,
}

/// See the module.
pub struct Pool<R: Outcome> {
    core: Arc<ObjectCore>,
    works: Arc<Works<R>>,
    runners: Runners,
}

impl<R: Outcome> Pool<R> {
    /// A pool without workers yet.
    pub fn new(plan: Plan<R>) -> Arc<Pool<R>> {
        let core = ObjectCore::new(plan.kind);
        if let Some(name) = &plan.name {
            core.set_name(name);
        }
        // What comes back from elsewhere takes its old place.
        let order = if plan.agents.is_some() { Order::Priority(in_order) } else { Order::Fifo };
        let works = Arc::new(Works {
            kernel: core.kernel().clone(),
            plan,
            jobs: Queue::new("work queue", order, None),
            workers: Mutex::default(),
            idle: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            to_stop: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            lent: Mutex::default(),
        });
        let seen = Arc::downgrade(&works);
        // Whoever waits for a job that has not begun waits for one of the workers.
        let runners: Runners = Arc::new(move || match seen.upgrade() {
            Some(works) => works.enders(),
            None => Enders::Nobody,
        });
        let pool = Arc::new(Pool { core, works, runners });
        let listed: Arc<dyn Waitable> = pool.clone();
        pool.core.kernel().list(&listed);
        pool
    }

    /// Accepts a job.
    ///
    /// # Errors
    /// [`ExecFault::PoolClosed`]; [`ExecFault::NoThread`] when there is no worker at all to run it.
    pub fn submit(&self, body: impl FnOnce() -> R + Send + 'static) -> Result<Arc<Future<R>>, ExecFault> {
        let future = Future::new("Future", Some(self.runners.clone()));
        self.submit_for(future.clone(), Body::Here(Box::new(body)))?;
        Ok(future)
    }

    /// A future that [`Pool::submit_for`] can be given.
    pub fn new_future(&self) -> Arc<Future<R>> {
        Future::new("Future", Some(self.runners.clone()))
    }

    /// Accepts a job whose outcome goes into `future`.
    ///
    /// # Errors
    /// As [`Pool::submit`].
    pub fn submit_for(&self, future: Arc<Future<R>>, body: Body<R>) -> Result<(), ExecFault> {
        let works = &self.works;
        self.is_whole()?;
        match works.jobs.try_put(works.job(future, body)) {
            Ok(_) => works.staff(),
            Err(Fault::Closed(_)) => {
                Err(ExecFault::PoolClosed(format!("{} takes no more work: it was shut down", self.core.label())))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Accepts a job that belongs to those it has, also when it takes no more others. To be called when one of those is over.
    ///
    /// # Errors
    /// As [`Pool::submit`].
    pub fn submit_late(&self, future: Arc<Future<R>>, body: Body<R>) -> Result<(), ExecFault> {
        self.is_whole()?;
        self.works.put_back(self.works.job(future, body));
        Ok(())
    }

    fn is_whole(&self) -> Result<(), ExecFault> {
        if self.works.broken.load(Ordering::Acquire) {
            return Err(ExecFault::PoolClosed(format!("{} is broken: its initializer failed", self.core.label())));
        }
        Ok(())
    }

    /// Takes no more jobs; those it has are still run.
    pub fn close(&self) {
        self.works.jobs.close();
    }

    /// True when it takes no more jobs.
    pub fn is_closed(&self) -> bool {
        self.works.jobs.is_closed()
    }

    /// Cancels all jobs that have not begun. Those that were handed elsewhere are asked back, and cancelled when they come.
    pub fn cancel_pending(&self) {
        while let Some(job) = self.works.jobs.take_away() {
            job.future.cancel();
        }
        let lent: Vec<_> = self.works.lent.lock().iter().map(|(_, future)| future.clone()).collect();
        lent.iter().for_each(|future| future.cancel_later());
    }

    /// Asks the jobs that run to stop at their current or next blocking call. To be called when the pool is closed.
    pub fn cancel_running(&self) {
        self.works.to_stop.store(true, Ordering::Release);
        self.works.workers.lock().iter().filter(|w| w.is_alive()).for_each(|w| w.cancel());
    }

    /// Waits until all workers have ended, which they do when it is closed, at most `limit`.
    ///
    /// # Errors
    /// [`ExecFault::PoolOpen`], [`Fault::Stopped`].
    pub fn join(&self, limit: Option<Duration>) -> Result<(), ExecFault> {
        if !self.is_closed() {
            return Err(ExecFault::PoolOpen(self.core.label()));
        }
        let deadline = limit.map(|l| self.works.kernel.now().saturating_add(l));
        loop {
            // It stays in the list meanwhile: somebody else may cancel what runs.
            let Some(worker) = self.works.workers.lock().last().cloned() else {
                return Ok(());
            };
            let left = deadline.map(|d| d.saturating_sub(self.works.kernel.now()));
            worker.join(left)?;
            self.works.workers.lock().retain(|other| !Arc::ptr_eq(other, &worker));
        }
    }

    /// How many workers it may have.
    pub fn size(&self) -> usize {
        self.works.plan.size
    }

    /// How many jobs wait for a worker.
    pub fn backlog(&self) -> usize {
        self.works.jobs.len()
    }
}

impl<R: Outcome> Drop for Pool<R> {
    fn drop(&mut self) {
        self.works.jobs.close();
    }
}

impl<R: Outcome> Waitable for Pool<R> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn depth(&self) -> Option<usize> {
        self.works.jobs.depth()
    }

    fn state(&self) -> String {
        format!("{} workers at the most, {}", self.works.plan.size, self.works.jobs.state())
    }
}

impl<R: Outcome> Works<R> {
    fn enders(&self) -> Enders {
        match self.workers.try_lock() {
            Some(workers) => Enders::Tasks(workers.iter().map(|w| w.task().id()).collect()),
            None => Enders::Somebody,
        }
    }

    fn job(&self, future: Arc<Future<R>>, body: Body<R>) -> Job<R> {
        let serial = self.accepted.fetch_add(1, Ordering::Relaxed);
        Job { serial, future, body, tries: 0, had_false_start: false }
    }

    /// One more worker if there is more to do than idle workers.
    fn staff(self: &Arc<Self>) -> Result<(), ExecFault> {
        if self.idle.load(Ordering::SeqCst) >= self.jobs.len() {
            return Ok(());
        }
        let mut workers = self.workers.lock();
        workers.retain(|w| w.is_alive());
        if workers.len() >= self.plan.size {
            return Ok(());
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let prefix = self.plan.name.as_deref().unwrap_or(self.plan.kind);
        let works = self.clone();
        let role = if self.plan.agents.is_some() { Role::Workman } else { Role::Service };
        let worker = Thread::new(&self.kernel, &format!("{prefix}_{number}"), role, true);
        worker.give(move || match &works.plan.agents {
            None => works.work(),
            Some(agents) => works.work_elsewhere(agents),
        });
        match worker.start() {
            Ok(()) => workers.push(worker),
            // The others will do it, later.
            Err(_) if !workers.is_empty() => {}
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// What a worker does.
    fn work(self: &Arc<Self>) {
        if let Some(initializer) = &self.plan.initializer {
            let outcome = run_caught(|| initializer());
            if outcome.is_failure() {
                return self.give_up(&outcome);
            }
        }
        let mut done = 0;
        while self.plan.jobs_per_worker.is_none_or(|most| done < most) {
            match self.next_job() {
                Ok(Some(job)) => run(job),
                // It was meant for the job before.
                Err(Stop::Cancelled) => continue,
                Ok(None) | Err(_) => return,
            }
            done += 1;
        }
        self.replace_me();
    }

    /// What a worker does whose agent hands the jobs on.
    fn work_elsewhere(self: &Arc<Self>, agents: &Agents<R>) {
        let mut line = Line::new(self, agents());
        let goes_on = caught(|| line.work()).unwrap_or_else(|panic| {
            line.breaks_down(&panic);
            true
        });
        if goes_on {
            self.replace_me();
        }
        line.leave();
    }

    /// Waits for the next job; `None` when no more come.
    pub(super) fn next_job(&self) -> Result<Option<Job<R>>, Stop> {
        self.idle.fetch_add(1, Ordering::SeqCst);
        let next = block(&mut self.jobs.getting().idle(), None);
        self.idle.fetch_sub(1, Ordering::SeqCst);
        next.map(Result::ok)
    }

    /// The next job, if so many wait that each worker could have `each`: nobody idle is to go without, and of a few jobs
    /// none is to begin before an earlier one.
    pub(super) fn job_at_hand(&self, each: usize) -> Option<Job<R>> {
        let enough = self.jobs.len() > self.plan.size.saturating_mul(each);
        if enough { self.jobs.try_get().ok() } else { None }
    }

    /// A job was handed elsewhere.
    pub(super) fn lends(&self, job: &Job<R>) {
        self.lent.lock().push((job.serial, job.future.clone()));
    }

    /// It is here again, or done.
    pub(super) fn has_back(&self, job: &Job<R>) {
        self.lent.lock().retain(|(serial, _)| *serial != job.serial);
    }

    /// A job that was not done waits again, also when no more are accepted.
    pub(super) fn put_back(self: &Arc<Self>, job: Job<R>) {
        let compared = self.jobs.put_back(job);
        debug_assert!(compared.is_ok(), "invariant: any two places compare");
        // Whoever put it back is there to do it, if there is no thread to spare.
        let _staffed = self.staff();
    }

    /// All jobs are to stop.
    pub(super) fn is_to_stop(&self) -> bool {
        self.to_stop.load(Ordering::Acquire)
    }

    pub(super) fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    pub(super) fn plan(&self) -> &Plan<R> {
        &self.plan
    }

    fn replace_me(self: &Arc<Self>) {
        let me = current().id();
        self.workers.lock().retain(|w| w.task().id() != me);
        // Without a thread to spare the next submit tries again.
        let _later = self.staff();
    }

    /// No job will be done: this is the outcome of all.
    pub(super) fn give_up(&self, failure: &R) {
        self.broken.store(true, Ordering::Release);
        self.jobs.close();
        while let Some(job) = self.jobs.take_away() {
            job.future.finish((self.plan.broken)(failure));
        }
    }
}

fn in_order<R: Outcome>(one: &Job<R>, other: &Job<R>) -> Result<std::cmp::Ordering, String> {
    Ok(one.serial.cmp(&other.serial))
}

fn run<R: Outcome>(job: Job<R>) {
    let task = current();
    let Body::Here(body) = job.body else {
        return;
    };
    if job.future.begin(task.id()) {
        let outcome = run_caught(body);
        task.abandon_held();
        job.future.finish(outcome);
        // What was meant for this job must not hit the next one.
        while task.take_cancel() {}
    }
}

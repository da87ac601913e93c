//! Running many commands, so many at once, on the task that asked for it.
//!
//! One loop: start what may be started, wait for news, take in what has ended. No job has a thread of its own.
//!
//! Invariants: a job is started in the lowest slot that is free; it is over once, with its last try, and then its line is in
//! the job log before anybody else hears of it; when the loop is left, however, nothing that it started runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{Admission, Limits, ThisMachine};
use super::arrange::{Arranger, Order, Sink};
use super::halt::{Halting, When};
use super::job::{Home, Job};
use super::joblog::{Entry, JobLog, LogFault, Record};
use super::launcher::Launcher;
use super::results::Folder;
use super::retry::{Retries, Waiting};
use super::settings::{BatchFault, OnOver, Report, Settings};
use super::slots::Slots;
use super::summary::{self, Summary};
use super::verdict::{is_failure, passes, status, unstartable};
use super::watch::{Crowd, News, Watched};
use crate::command::child::Child;
use crate::command::completed::{Completed, End};
use crate::command::fault::CommandFault;
use crate::command::launch::{Wire, Wiring};
use crate::command::spec::Spec;
use crate::command::store::Store;
use crate::command::stream::Which;
use crate::kernel::door::block_through;
use crate::kernel::{Stop, Task, block, current};

/// How much of each output of a running job is kept in memory.
const IN_MEMORY: usize = 8 << 20;

/// How long a job waits that the system could not start just now.
const SYSTEM_BUSY: Duration = Duration::from_millis(50);

/// Which jobs are done, by this record of a job log at `home`.
fn done(jobs: &[Job], record: &Record, home: &Home) -> Vec<bool> {
    let texts: Vec<String> = jobs.iter().map(|job| job.log_text(home)).collect();
    let named: Vec<(usize, &str)> = (1..).zip(texts.iter().map(String::as_str)).collect();
    record.done(&named)
}

/// The jobs that would be run, without running any.
///
/// # Errors
/// When the job log cannot be read.
pub fn would_run<'a>(jobs: &'a [Job], settings: &Settings) -> Result<Vec<&'a Job>, LogFault> {
    let Some(path) = settings.joblog.as_ref().filter(|_| settings.resume) else {
        return Ok(jobs.iter().collect());
    };
    let done = done(jobs, &Record::of_log(path)?, &Home::of_log(path));
    Ok(jobs.iter().zip(done).filter(|(_, done)| !done).map(|(job, _)| job).collect())
}

/// Runs all jobs. A failed job is no fault.
///
/// # Errors
/// [`BatchFault`]; nothing runs any more then.
pub fn run<S: Sink>(jobs: &[Job], settings: &Settings, sink: S, on_over: OnOver<'_>) -> Result<Report, BatchFault> {
    let mut batch = Batch::prepare(jobs, settings, sink)?;
    match batch.run(on_over) {
        Ok(()) => Ok(batch.report()),
        Err(fault) => {
            batch.end_all();
            Err(fault)
        }
    }
}

struct Batch<'a, S> {
    jobs: &'a [Job],
    settings: &'a Settings,
    task: Arc<Task>,
    crowd: Arc<Crowd>,
    /// `None` where outputs are not passed on.
    arranger: Option<Arranger<S>>,
    log: Option<(JobLog, Home)>,
    folder: Option<Folder>,
    halting: Halting,
    admission: Admission,
    fates: Vec<Fate>,
    /// The first job that was not started yet.
    next: usize,
    waiting: Waiting,
    failing: HashMap<usize, Failing>,
    slots: Slots,
    /// Starts commands beside the loop, where that is of use.
    launcher: Option<Launcher>,
    /// What it was told to start and has not yet.
    starting: HashMap<usize, Start>,
    /// The system had no room for more; it is asked again then.
    busy_until: Duration,
    running: Vec<Watched>,
    /// Beside `running`.
    runs: Vec<Run>,
    results: Vec<Option<Arc<Completed>>>,
    summary: Summary,
    /// The job log cannot be written: no more jobs are started.
    unlogged: Option<LogFault>,
}

/// What has become of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is still to be run, or running.
    Open,
    /// The job log called it done.
    Skipped,
    /// It is over.
    Over,
}

/// One try of a job.
struct Run {
    job: usize,
    slot: usize,
    started: f64,
    limit: Option<Duration>,
    /// How much it wrote to its standard output, and the end of its standard error, where they are taken as they come.
    received: u64,
    said: Vec<u8>,
    /// What it wrote, where that is taken as it comes and kept.
    kept: [Store; 2],
    /// orch ends it because of other jobs.
    halted: bool,
}

/// A try that is about to begin.
struct Start {
    run: Run,
    /// How else it may be run, where its program turns out to be none.
    by_shell: Option<Spec>,
}

/// A job that failed and waits for another try, or is in it.
#[derive(Default)]
struct Failing {
    tries: usize,
    /// What became of the last one.
    last: Option<(Run, Arc<Completed>)>,
}

const BOTH: [Which; 2] = [Which::Stdout, Which::Stderr];

impl<'a, S: Sink> Batch<'a, S> {
    fn prepare(jobs: &'a [Job], settings: &'a Settings, sink: S) -> Result<Self, BatchFault> {
        let mut fates = vec![Fate::Open; jobs.len()];
        let mut log = None;
        if let Some(path) = &settings.joblog {
            let home = Home::of_log(path);
            let joblog = if settings.resume {
                let (joblog, record) = JobLog::resume(path)?;
                for (fate, _) in fates.iter_mut().zip(done(jobs, &record, &home)).filter(|(_, done)| *done) {
                    *fate = Fate::Skipped;
                }
                joblog
            } else {
                JobLog::create(path)?
            };
            log = Some((joblog, home));
        }
        let task = current();
        let limits = if task.kernel().is_sim() { Limits::default() } else { settings.limits };
        let to_run = fates.iter().filter(|fate| **fate == Fate::Open).count();
        let launcher = Launcher::new(&task, settings.at_once.min(to_run));
        Ok(Batch {
            jobs,
            settings,
            task,
            crowd: Crowd::new(),
            arranger: settings.order.map(|order| Arranger::new(order, settings.tagged, sink)),
            log,
            folder: settings.results.as_deref().map(Folder::make).transpose()?,
            halting: Halting::new(settings.halt, to_run),
            admission: Admission::new(limits),
            fates,
            next: 0,
            waiting: Waiting::default(),
            failing: HashMap::new(),
            slots: Slots::default(),
            launcher,
            starting: HashMap::new(),
            busy_until: Duration::ZERO,
            running: Vec::new(),
            runs: Vec::new(),
            results: if settings.keeps { vec![None; jobs.len()] } else { Vec::new() },
            summary: Summary::default(),
            unlogged: None,
        })
    }

    fn run(&mut self, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        loop {
            let until = self.start_what_may_start(on_over)?;
            if self.running.is_empty() && self.starting.is_empty() && until.is_none() {
                break;
            }
            let now = self.task.kernel().now();
            let limit = until.map(|until| until.saturating_sub(now));
            match block(&mut News::new(&self.crowd, &mut self.running, self.launcher.as_ref()), limit) {
                Ok(()) | Err(Stop::TimedOut) => {}
                Err(stop) => return Err(BatchFault::Stopped(stop)),
            }
            self.take_in(on_over)?;
        }
        for job in 0..self.jobs.len() {
            if self.fates[job] == Fate::Open {
                self.pass_over(job)?;
            }
        }
        self.unlogged.take().map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn report(mut self) -> Report {
        let count = |wanted: Fate| self.fates.iter().filter(|fate| **fate == wanted).count();
        let (skipped, not_started) = (count(Fate::Skipped), count(Fate::Open));
        self.summary.not_started(not_started);
        Report { results: self.results, summary: self.summary, status: self.halting.exit_status(), skipped }
    }

    // ---- starting

    fn may_start(&self) -> bool {
        self.halting.verdict() == When::Never && self.unlogged.is_none()
    }

    /// Starts jobs while there is room. Gives the time at which something else may be started, where only time is in the way.
    fn start_what_may_start(&mut self, on_over: OnOver<'_>) -> Result<Option<Duration>, BatchFault> {
        while self.may_start() && self.running.len() + self.starting.len() < self.settings.at_once {
            while self.fates.get(self.next) == Some(&Fate::Skipped) {
                self.pass_over(self.next)?;
                self.next += 1;
            }
            let now = self.task.kernel().now();
            if now < self.busy_until {
                return Ok(Some(self.busy_until));
            }
            let due = self.waiting.next_due();
            if due.is_none_or(|due| due > now) && self.next >= self.jobs.len() {
                return Ok(due);
            }
            if let Err(look_again) = self.admission.ask(now, &ThisMachine) {
                return Ok(Some(look_again));
            }
            let job = self.waiting.take_due(now).unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            self.start(job, on_over)?;
        }
        if !self.may_start() {
            for job in self.waiting.take_all() {
                if let Some((run, done)) = self.failing.remove(&job).and_then(|failing| failing.last) {
                    self.finish(run, &done, on_over)?;
                }
            }
        }
        Ok(None)
    }

    fn start(&mut self, job: usize, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        let slot = self.slots.take();
        let runnable = self.jobs[job].runnable(slot);
        let started = self.task.kernel().world().wall_clock();
        if let Some(folder) = &mut self.folder {
            folder.begin(job + 1)?;
        }
        let spec = self.fitted(job, runnable.spec);
        let kept = [Store::with_cap(IN_MEMORY), Store::with_cap(IN_MEMORY)];
        let run = Run { job, slot, started, limit: spec.timeout, received: 0, said: Vec::new(), kept, halted: false };
        let start = Start { run, by_shell: runnable.by_shell };
        let wiring = self.wiring();
        match &self.launcher {
            Some(launcher) => {
                launcher.order(job, spec, wiring);
                self.starting.insert(job, start);
                Ok(())
            }
            None => {
                let outcome = Child::start(&spec, wiring);
                self.arrived(start, spec, outcome, on_over)
            }
        }
    }

    /// What the launcher has started meanwhile.
    fn take_arrivals(&mut self, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        let arrivals = self.launcher.as_ref().map(Launcher::arrivals).unwrap_or_default();
        for (job, spec, launched) in arrivals {
            if let Some(start) = self.starting.remove(&job) {
                let outcome = launched.map(|launched| Child::adopt(spec.clone(), launched));
                self.arrived(start, spec, outcome, on_over)?;
            }
        }
        Ok(())
    }

    /// A try has begun, or could not.
    fn arrived(
        &mut self,
        start: Start,
        mut spec: Spec,
        mut outcome: Result<Arc<Child>, CommandFault>,
        on_over: OnOver<'_>,
    ) -> Result<(), BatchFault> {
        let Start { mut run, by_shell } = start;
        if let (Err(CommandFault::NotExecutable { .. }), Some(by_shell)) = (&outcome, by_shell) {
            spec = self.fitted(run.job, by_shell);
            outcome = Child::start(&spec, self.wiring());
        }
        match outcome {
            Ok(child) => {
                child.keep_in_memory(IN_MEMORY);
                // Others have brought it all to an end while it was being started.
                run.halted = self.halting.verdict() == When::Now;
                if run.halted {
                    child.end_with_program();
                }
                self.running.push(Watched::new(child, &self.task, self.is_live()));
                self.runs.push(run);
                Ok(())
            }
            Err(CommandFault::Stopped(stop)) => Err(BatchFault::Stopped(stop)),
            Err(CommandFault::System { error, .. }) if self.has_others() && passes(&error) => {
                self.slots.give_back(run.slot);
                self.busy_until = self.task.kernel().now() + SYSTEM_BUSY;
                self.waiting.add(self.busy_until, run.job);
                Ok(())
            }
            Err(fault) => self.not_started(run, unstartable(&spec, &fault), on_over),
        }
    }

    /// Why it could not be started counts as what it said.
    fn not_started(&mut self, mut run: Run, done: Completed, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        run.said = done.stderr.last(summary::KEPT).map_err(BatchFault::Output)?;
        if let Some(folder) = &mut self.folder {
            folder.add(run.job + 1, Which::Stderr, &run.said)?;
        }
        if let Some(arranger) = self.arranger.as_mut().filter(|arranger| arranger.is_live()) {
            let tag = &self.jobs[run.job].tag;
            arranger.chunk(run.job, tag, Which::Stderr, &run.said).map_err(BatchFault::Output)?;
        }
        self.ended(run, Arc::new(done), on_over)
    }

    /// True when something will end, and make room.
    fn has_others(&self) -> bool {
        !self.running.is_empty() || !self.starting.is_empty()
    }

    fn is_live(&self) -> bool {
        self.arranger.as_ref().is_some_and(Arranger::is_live)
    }

    /// The command with what the settings say for all.
    fn fitted(&self, job: usize, mut spec: Spec) -> Spec {
        spec.timeout = spec.timeout.or(self.settings.timeout);
        if let Some(folder) = self.folder.as_ref().filter(|_| !self.is_live()) {
            folder.redirect(job + 1, &mut spec);
        }
        spec
    }

    fn wiring(&self) -> Wiring {
        let is_mixed = self.settings.order == Some(Order::Mixed);
        let goes_through = is_mixed && !self.settings.keeps && self.folder.is_none();
        let wire = if goes_through { Wire::Inherit } else { Wire::Pipe };
        Wiring { stdin: Wire::Null, stdout: wire, stderr: wire }
    }

    // ---- taking in

    fn take_in(&mut self, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        self.take_arrivals(on_over)?;
        let mut at = 0;
        while at < self.running.len() {
            self.pass_on(at)?;
            let Some(outcome) = self.running[at].over.take() else {
                at += 1;
                continue;
            };
            let watched = self.running.swap_remove(at);
            let mut run = self.runs.swap_remove(at);
            let done = match outcome {
                Ok(done) => done,
                Err(CommandFault::Stopped(stop)) => return Err(BatchFault::Stopped(stop)),
                // Its output is lost, and so there is no result to speak of.
                Err(fault) => Arc::new(unstartable(watched.child().spec(), &fault)),
            };
            self.fill_in(&mut run, &done)?;
            self.ended(run, done, on_over)?;
        }
        Ok(())
    }

    /// Passes on what a running job has written.
    fn pass_on(&mut self, at: usize) -> Result<(), BatchFault> {
        let (watched, run) = (&mut self.running[at], &mut self.runs[at]);
        for (which, place) in BOTH.into_iter().zip(0..) {
            let bytes = &mut watched.written[place];
            if bytes.is_empty() {
                continue;
            }
            match which {
                Which::Stdout => run.received += bytes.len() as u64,
                Which::Stderr => {
                    run.said.extend_from_slice(&bytes[bytes.len().saturating_sub(summary::KEPT)..]);
                    run.said.drain(..run.said.len().saturating_sub(summary::KEPT));
                }
            }
            if let Some(folder) = &mut self.folder {
                folder.add(run.job + 1, which, bytes)?;
            }
            if self.settings.keeps {
                run.kept[place].push(bytes).map_err(BatchFault::Output)?;
            }
            if let Some(arranger) = &mut self.arranger {
                arranger.chunk(run.job, &self.jobs[run.job].tag, which, bytes).map_err(BatchFault::Output)?;
            }
            bytes.clear();
        }
        Ok(())
    }

    /// Puts into a result what went elsewhere while the job ran, and into the run what the result knows.
    fn fill_in(&mut self, run: &mut Run, done: &Arc<Completed>) -> Result<(), BatchFault> {
        if self.is_live() {
            for (which, kept) in BOTH.into_iter().zip(&mut run.kept).filter(|_| self.settings.keeps) {
                done.captured(which).refill(std::mem::take(kept));
            }
            return Ok(());
        }
        if let Some(folder) = &mut self.folder {
            for which in BOTH.into_iter().filter(|which| done.captured(*which).is_empty()) {
                done.captured(which).refill(folder.written(run.job + 1, which)?);
            }
        }
        run.received = done.stdout.len();
        run.said = done.stderr.last(summary::KEPT).map_err(BatchFault::Output)?;
        Ok(())
    }

    /// A try has ended: another one follows, or the job is over.
    fn ended(&mut self, run: Run, done: Arc<Completed>, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        self.slots.give_back(run.slot);
        let job = run.job;
        if let Some(folder) = &mut self.folder {
            folder.end(job + 1);
        }
        if is_failure(&done) && !run.halted && self.may_start() {
            let retries =
                Retries { more: self.settings.retries.more.max(self.jobs[job].retries()), ..self.settings.retries };
            let failing = self.failing.entry(job).or_default();
            failing.tries += 1;
            if let Some(delay) = retries.after(failing.tries) {
                failing.last = Some((run, done));
                self.waiting.add(self.task.kernel().now().saturating_add(delay), job);
                let tag = &self.jobs[job].tag;
                return self.arranger.as_mut().map_or(Ok(()), |a| a.interrupted(job, tag)).map_err(BatchFault::Output);
            }
        }
        self.failing.remove(&job);
        self.finish(run, &done, on_over)
    }

    /// A job is over.
    fn finish(&mut self, run: Run, done: &Arc<Completed>, on_over: OnOver<'_>) -> Result<(), BatchFault> {
        let job = run.job;
        self.fates[job] = Fate::Over;
        self.log(&run, done);
        if run.halted {
            self.summary.ended();
        } else {
            if is_failure(done) {
                let how = summary::how(done, run.limit);
                self.summary.failed(job + 1, &self.jobs[job].text(), how, &run.said);
            }
            self.halting.ended(status(done));
        }
        if let Some(arranger) = &mut self.arranger {
            // Half an output of a job that others have brought to its end says nothing.
            let shown = Some(done).filter(|_| !run.halted);
            arranger.over(job, &self.jobs[job].tag, shown).map_err(BatchFault::Output)?;
        }
        if let Some(result) = self.results.get_mut(job) {
            *result = Some(done.clone());
        }
        if on_over(job, done).is_break() {
            return Err(BatchFault::GivenUp);
        }
        if self.halting.verdict() == When::Now {
            for (watched, run) in self.running.iter().zip(&mut self.runs) {
                if !std::mem::replace(&mut run.halted, true) {
                    watched.child().end_with_program();
                }
            }
        }
        Ok(())
    }

    fn log(&mut self, run: &Run, done: &Completed) {
        let Some((log, home)) = self.log.as_mut().filter(|_| self.unlogged.is_none()) else {
            return;
        };
        let end = done.decisive().end;
        let signal = if let End::Signal(number) = end { number } else { 0 };
        let exitval = match end {
            _ if done.timed_out || (run.halted && is_failure(done)) => -1,
            End::Code(code) => code,
            End::Signal(_) => 0,
        };
        let command = self.jobs[run.job].log_text(home);
        let (started, seconds) = (run.started, done.seconds);
        let entry =
            Entry { seq: run.job + 1, started, seconds, received: run.received, exitval, signal, command: &command };
        self.unlogged = log.write(&entry).err();
    }

    /// A job is not run.
    fn pass_over(&mut self, job: usize) -> Result<(), BatchFault> {
        let tag = &self.jobs[job].tag;
        self.arranger.as_mut().map_or(Ok(()), |arranger| arranger.over(job, tag, None)).map_err(BatchFault::Output)
    }

    /// Waits for what is being started: it has to be known to be ended.
    fn take_what_is_starting(&mut self) {
        while !self.starting.is_empty() {
            let mut arrival = News::new(&self.crowd, &mut [], self.launcher.as_ref());
            if block_through(&mut arrival, None).is_err() {
                // The program is over, and its end ends what has been started.
                return;
            }
            for (job, spec, launched) in self.launcher.as_ref().map(Launcher::arrivals).unwrap_or_default() {
                if let (Some(start), Ok(launched)) = (self.starting.remove(&job), launched) {
                    self.running.push(Watched::new(Child::adopt(spec, launched), &self.task, false));
                    self.runs.push(start.run);
                }
            }
        }
    }

    /// Ends all that runs, and waits until it is gone.
    fn end_all(&mut self) {
        self.take_what_is_starting();
        self.running.iter().for_each(|watched| watched.child().end_with_program());
        for watched in std::mem::take(&mut self.running) {
            let mut run = self.runs.remove(0);
            // Where even that wait is ended, the end of the program ends what is left.
            if let Ok(done) = watched.child().wait_through() {
                run.halted = true;
                self.log(&run, &done);
            }
        }
        let failing: Vec<usize> = self.waiting.take_all();
        for job in failing {
            if let Some((run, done)) = self.failing.remove(&job).and_then(|failing| failing.last) {
                self.log(&run, &done);
            }
        }
    }
}

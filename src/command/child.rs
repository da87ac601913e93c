//! A command that runs: waiting for its end, reading what it writes, writing what it reads, and ending it.
//!
//! Whoever waits reads: a task that waits for the end, for a line or for room takes in all that the command has written
//! meanwhile, so that a full pipe never keeps the command from what is waited for. Nobody waiting means that a pipe may fill
//! up and the command stops there, as long as nobody asks.
//!
//! Invariants: what the command wrote is taken once, in order; its result is made once, when all its processes have ended
//! and its output is at the end, or was given up because somebody else holds it; a command that is being ended has its
//! result when its whole tree is gone.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::completed::{Captured, Completed, End, StageEnd};
use super::ending::Ending;
use super::fault::CommandFault;
use super::launch::{self, Launched, Wiring};
use super::leader::Leader;
use super::mock::{Mock, MockRun};
use super::processes;
use super::spec::Spec;
use super::stream::{READS, Stream, Which};
use super::terminal::{self, Foreground};
use super::tree::Tree;
use super::waits::{Piece, ReadLine, WaitEnd, Write};
use crate::kernel::alarm::{self, Alarm};
use crate::kernel::departure::{self, Departure};
use crate::kernel::events::{Event, Usage};
use crate::kernel::{Enders, Kernel, ObjectCore, Source, WaitQueue, Waitable, block, current, door};

/// How long the output of a command that has ended may be held open by somebody else.
const HOLDER_GRACE: Duration = Duration::from_secs(2);

pub(super) struct State {
    pub(super) runs: Runs,
    pub(super) stdin: Option<Arc<OwnedFd>>,
    pub(super) out: Stream,
    err: Stream,
    pub(super) ending: Ending,
    pub(super) timed_out: bool,
    /// The script itself ended it, or sent it a signal.
    pub(super) by_request: bool,
    /// Rings when the output of a command that has ended was held open for long enough.
    holder_grace: Option<Alarm>,
    grace_is_over: bool,
    /// Rings when the time is up.
    timeout: Option<Alarm>,
    /// Rings when the tree is to be looked at again.
    pub(super) next_look: Option<Alarm>,
    /// What is left of the time between TERM and KILL.
    pub(super) grace_left: Duration,
    note: Option<String>,
    /// What went wrong with the output that was captured.
    pub(super) broken: Option<io::Error>,
    pub(super) done: Option<Arc<Completed>>,
    foreground: Option<Foreground>,
    was_in_front: bool,
    pub(super) waiters: WaitQueue,
    /// How much is read of each output before others get their turn.
    pub(super) reads: usize,
    /// When its processes end, where that is noted: in the order of stages.
    departures: Vec<Option<Departure>>,
}

pub(super) enum Runs {
    Real { leaders: Vec<Arc<Leader>>, ends: Vec<Option<(End, Duration)>> },
    Mocked { run: MockRun, end: Option<(End, Duration)> },
}

/// See the module.
pub struct Child {
    core: Arc<ObjectCore>,
    pub(super) me: Weak<Child>,
    spec: Spec,
    pub(super) tree: Tree,
    began: Duration,
    pids: Vec<u32>,
    pub(super) state: Mutex<State>,
}

impl Child {
    /// Starts a command.
    ///
    /// # Errors
    /// [`CommandFault`]; nothing of it runs then.
    pub fn start(spec: &Spec, wiring: Wiring) -> Result<Arc<Child>, CommandFault> {
        let task = current();
        let kernel = task.kernel().clone();
        door::check(&task)?;
        let Some(mock) = Some(&kernel).filter(|kernel| kernel.is_sim()).and_then(|k| Mock::find(k, &spec.text()))
        else {
            return Ok(Child::adopt(spec.clone(), launch::launch(spec, wiring, kernel.now())?));
        };
        let pid = u32::try_from(kernel.next_number()).unwrap_or(u32::MAX);
        let runs = Runs::Mocked { run: MockRun::default(), end: None };
        let child = Child::assemble(spec.clone(), Tree::new(), kernel.now(), vec![pid], runs);
        super::mock::play(&kernel, &child, mock)?;
        Ok(child)
    }

    /// A command whose processes have been started.
    pub fn adopt(spec: Spec, launched: Launched) -> Arc<Child> {
        let Launched { started, tree, began } = launched;
        let pids = started.leaders.iter().map(|leader| leader.pid()).collect();
        let ends = vec![None; started.leaders.len()];
        let child = Child::assemble(spec, tree, began, pids, Runs::Real { leaders: started.leaders, ends });
        let weak = child.me.clone();
        let mut state = child.state.lock();
        (state.stdin, state.out.fd, state.err.fd) = (started.stdin, started.stdout, started.stderr);
        state.timeout = child.spec.timeout.map(|limit| {
            alarm::after(limit, move || {
                if let Some(child) = weak.upgrade() {
                    child.time_is_up();
                }
            })
        });
        if let Some(foreground) = started.foreground {
            child.has_terminal(&mut state, foreground);
        }
        drop(state);
        child
    }

    fn assemble(spec: Spec, tree: Tree, began: Duration, pids: Vec<u32>, runs: Runs) -> Arc<Child> {
        let state = State {
            runs,
            stdin: None,
            out: Stream::default(),
            err: Stream::default(),
            ending: Ending::No,
            timed_out: false,
            by_request: false,
            holder_grace: None,
            grace_is_over: false,
            timeout: None,
            next_look: None,
            grace_left: spec.kill_after,
            note: None,
            broken: None,
            done: None,
            foreground: None,
            was_in_front: false,
            waiters: WaitQueue::default(),
            reads: READS,
            departures: Vec::new(),
        };
        let child = Arc::new_cyclic(|me| Child {
            core: ObjectCore::new("Child"),
            me: me.clone(),
            spec,
            tree,
            began,
            pids,
            state: Mutex::new(state),
        });
        let (task, pid) = (current(), child.pid());
        if task.kernel().events().on() {
            let command = child.spec.text();
            let started = || Event::ChildStarted { task: &task, object: &child.core, pid, command: &command };
            task.kernel().events().emit(started);
        }
        super::running::add(&child);
        child
    }

    /// From now on it is noted when it ends, for somebody who waits for that later.
    pub fn note_its_end(&self) {
        let mut state = self.state.lock();
        // In simulated time it takes none.
        if let Runs::Real { leaders, .. } = &state.runs
            && !self.core.kernel().is_sim()
        {
            state.departures = leaders.iter().map(|leader| departure::watch(leader.pidfd())).collect();
        }
    }

    /// The command.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The process of its last stage.
    pub fn pid(&self) -> u32 {
        self.pids.last().copied().unwrap_or_default()
    }

    /// The processes of its stages.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// True when the script itself ended it, or sent it a signal.
    pub fn ended_by_request(&self) -> bool {
        self.state.lock().by_request
    }

    /// Keeps so many bytes of each output in memory, and the rest in a file.
    pub fn keep_in_memory(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.out.store.set_cap(bytes);
        state.err.store.set_cap(bytes);
    }

    /// It has the terminal, until it ends.
    fn has_terminal(&self, state: &mut State, foreground: Foreground) {
        let me = self.me.clone();
        let watched = terminal::watch_for_stops(foreground.leader().clone(), move |stop| {
            if let Some(child) = me.upgrade()
                && let Some(foreground) = &child.state.lock().foreground
            {
                stop(foreground);
            }
        });
        // Without a thread to watch, Ctrl-Z could stop it for ever: then it runs without the terminal.
        state.foreground = watched.is_ok().then_some(foreground);
        state.was_in_front = state.foreground.is_some();
    }

    /// Nobody waits for it for now: the terminal, if it has it, is free for whoever needs it.
    pub fn rest(&self) {
        if let Some(foreground) = &self.state.lock().foreground {
            foreground.rest();
        }
    }

    /// Somebody waits for it again.
    pub fn resume(&self) {
        if let Some(foreground) = &self.state.lock().foreground {
            foreground.resume();
        }
    }

    /// True when it had the terminal and was ended by a Ctrl-C there, of which orch has heard nothing.
    pub fn was_interrupted_in_front(&self) -> bool {
        let state = self.state.lock();
        let by_int = |stage: &StageEnd| stage.end == End::Signal(libc::SIGINT);
        state.was_in_front && state.done.as_ref().is_some_and(|done| done.stages.iter().any(by_int))
    }

    /// Its result, if it has ended; takes in what it has written.
    ///
    /// # Errors
    /// [`CommandFault::System`] when its output cannot be kept.
    pub fn poll(&self) -> Result<Option<Arc<Completed>>, CommandFault> {
        door::query();
        let mut state = self.state.lock();
        self.advance(&mut state, None);
        self.finished(&mut state).transpose()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`CommandFault::Stopped`]; [`CommandFault::System`] when its output cannot be kept.
    pub fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<Arc<Completed>, CommandFault> {
        // After a wait that has a limit, the waiting thread itself may write.
        if limit.is_none() {
            self.close_unreachable_input();
        }
        block(&mut self.waiting(), limit)?
    }

    /// As [`Child::wait`], whatever happens: after it was ended.
    ///
    /// # Errors
    /// As [`Child::wait`], when the program is over or its output cannot be kept.
    pub fn wait_through(self: &Arc<Self>) -> Result<Arc<Completed>, CommandFault> {
        door::block_through(&mut self.waiting(), None)?
    }

    /// An operation that waits for its end.
    pub fn waiting(self: &Arc<Self>) -> WaitEnd {
        WaitEnd::new(self)
    }

    /// Takes the next line without its newline; `None` at the end.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn read_line(self: &Arc<Self>, which: Which, limit: Option<Duration>) -> Result<Option<Vec<u8>>, CommandFault> {
        door::enter()?;
        block(&mut ReadLine::new(self, which, Piece::Line), limit)?
    }

    /// Takes whatever it has written on its standard output, waiting while that is nothing; `None` at the end.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn read_some(self: &Arc<Self>) -> Result<Option<Vec<u8>>, CommandFault> {
        door::enter()?;
        block(&mut ReadLine::new(self, Which::Stdout, Piece::Any), None)?
    }

    /// Writes all of `bytes` to its input.
    ///
    /// # Errors
    /// [`CommandFault::InputClosed`] when it is closed or nobody reads it; as [`Child::wait`].
    pub fn write(self: &Arc<Self>, bytes: &[u8], limit: Option<Duration>) -> Result<(), CommandFault> {
        door::enter()?;
        block(&mut Write::new(self, bytes), limit)?
    }

    /// Closes its input: it reads the end there. Closing again does nothing.
    pub fn close_stdin(&self) {
        let mut state = self.state.lock();
        state.stdin = None;
        state.waiters.nudge_all();
    }

    /// Nobody but the one who waits could ever write to it: then it gets to see the end of its input.
    fn close_unreachable_input(&self) {
        if self.core.holder_count() <= 1 && !self.spec.pty {
            self.state.lock().stdin = None;
        }
    }

    /// Sends a signal to its process group.
    pub fn signal(&self, number: i32) {
        {
            let mut state = self.state.lock();
            self.advance(&mut state, None);
            if state.done.is_some() {
                return;
            }
            state.by_request = true;
        }
        if let Some(run) = self.mock_run() {
            return run.end_with(End::Signal(number));
        }
        if let Some(signal) = crate::kernel::os::signal(number) {
            let group = self.pids.first().map_or(0, |pid| pid.cast_signed());
            let members: Vec<_> = self.tree.members().into_iter().filter(|p| p.group == group).collect();
            super::tree::send_to(&members, signal);
        }
    }

    // ---- what has happened meanwhile

    /// Takes in what has happened: who has ended, what was written. `line`: the output of which no more than the next line
    /// is wanted.
    pub(super) fn advance(&self, state: &mut State, line: Option<Which>) {
        if state.done.is_some() {
            return;
        }
        let mut news = self.reap(state);
        for which in [Which::Stdout, Which::Stderr] {
            let reads = if line == Some(which) { 1 } else { state.reads };
            match state.stream(which).drain(reads) {
                Ok(some) => news |= some,
                Err(error) => {
                    state.broken = Some(error);
                    state.stream(which).fd = None;
                    news = true;
                }
            }
        }
        if state.all_ended() && (state.out.fd.is_some() || state.err.fd.is_some()) {
            news |= self.somebody_holds_the_output(state);
        }
        if news {
            state.waiters.nudge_all();
        }
    }

    fn reap(&self, state: &mut State) -> bool {
        let now = self.core.kernel().now();
        let mut news = false;
        let State { runs, departures, .. } = state;
        if let Runs::Real { leaders, ends } = runs {
            for (i, (leader, end)) in leaders.iter().zip(ends.iter_mut()).enumerate().filter(|(_, (_, e))| e.is_none())
            {
                if let Some(how) = leader.try_reap() {
                    let seen = departures.get_mut(i).and_then(Option::take);
                    let ago = seen.and_then(|departure| departure.ago()).unwrap_or_default();
                    *end = Some((how, now.saturating_sub(ago).max(self.began)));
                    self.tree.forget_leader(leader.pid());
                    news = true;
                }
            }
        }
        news
    }

    /// Its processes have ended, its output is not at its end: somebody that it started writes on. True when that has gone
    /// on for long enough.
    fn somebody_holds_the_output(&self, state: &mut State) -> bool {
        if state.grace_is_over {
            let mut named: Vec<String> = [&state.out, &state.err]
                .into_iter()
                .filter_map(|stream| rustix::fs::fstat(stream.fd.as_ref()?).ok())
                .flat_map(|data| processes::holders_of_pipe(data.st_ino))
                .map(|(pid, command)| format!("{pid} ({command})"))
                .collect();
            // Whoever holds one output holds the other too, more often than not.
            named.sort_unstable();
            named.dedup();
            state.note = Some(match named.as_slice() {
                [] => "its output was still held open when it had ended".into(),
                named => format!("its output was still held open by process {}", named.join(", ")),
            });
            (state.out.fd, state.err.fd) = (None, None);
            return true;
        }
        if state.holder_grace.is_none() {
            let me = self.me.clone();
            state.holder_grace = Some(alarm::after(HOLDER_GRACE, move || {
                if let Some(child) = me.upgrade() {
                    let mut state = child.state.lock();
                    state.grace_is_over = true;
                    state.waiters.nudge_all();
                }
            }));
        }
        false
    }

    /// The result, once there is one.
    pub(super) fn finished(&self, state: &mut State) -> Option<Result<Arc<Completed>, CommandFault>> {
        if let Some(done) = &state.done {
            return Some(Ok(done.clone()));
        }
        let closed = state.out.fd.is_none() && state.err.fd.is_none();
        if !state.all_ended() || !closed || state.ending == Ending::Begun {
            return None;
        }
        if let Some(error) = state.broken.take() {
            let what = format!("cannot keep the output of `{}`", self.spec.text());
            return Some(Err(CommandFault::System { what, error }));
        }
        let done = Arc::new(self.result(state));
        // Alarms and the terminal have nothing to do any more.
        (state.timeout, state.holder_grace, state.next_look) = (None, None, None);
        state.foreground = None;
        state.stdin = None;
        state.done = Some(done.clone());
        state.waiters.nudge_all();
        let (object, pid, code) = (&*self.core, self.pid(), done.decisive().end.code());
        let note = match (state.timed_out, state.by_request) {
            (true, _) => "timed out",
            (false, true) => "ended by the script",
            (false, false) => "",
        };
        let usage = state.usage();
        self.core.kernel().events().emit(|| Event::ChildEnded { object, pid, code, note, usage });
        Some(Ok(done))
    }

    fn result(&self, state: &mut State) -> Completed {
        let ends: Vec<(End, Duration)> = match &state.runs {
            Runs::Real { ends, .. } => ends.iter().copied().flatten().collect(),
            Runs::Mocked { end, .. } => vec![end.unwrap_or((End::Code(0), self.began)); self.spec.stages.len()],
        };
        let took = |when: Duration| when.saturating_sub(self.began).as_secs_f64();
        let stages = self.spec.stages.iter().zip(&ends).enumerate().map(|(i, (stage, (end, when)))| StageEnd {
            command: stage.text(),
            pid: self.pids.get(i).copied().unwrap_or_else(|| self.pid()),
            end: *end,
            unchecked: stage.unchecked,
            seconds: took(*when),
        });
        Completed {
            command: self.spec.text(),
            stages: stages.collect(),
            seconds: ends.iter().map(|(_, when)| took(*when)).fold(0.0, f64::max),
            timed_out: state.timed_out,
            note: state.note.take(),
            stdout: Captured::new(std::mem::take(&mut state.out.store)),
            stderr: Captured::new(std::mem::take(&mut state.err.store)),
        }
    }

    /// What a mocked command writes.
    pub(super) fn mocked_output(&self, stdout: &[u8], stderr: &[u8]) {
        let mut state = self.state.lock();
        // It is small: what a script said.
        let _in_memory = state.out.store.push(stdout).and_then(|()| state.err.store.push(stderr));
        state.waiters.nudge_all();
    }

    /// How a mocked command ended.
    pub(super) fn mocked_end(&self, how: End) {
        let now = self.core.kernel().now();
        let mut state = self.state.lock();
        if let Runs::Mocked { end, .. } = &mut state.runs {
            *end = Some((how, now));
        }
        state.waiters.nudge_all();
    }

    /// Where a mocked command hears that it is to end.
    pub(super) fn mock_run(&self) -> Option<MockRun> {
        match &self.state.lock().runs {
            Runs::Mocked { run, .. } => Some(run.clone()),
            Runs::Real { .. } => None,
        }
    }

    /// What a wait for it listens to.
    pub(super) fn sources(&self, room: bool) -> Vec<Source> {
        let state = self.state.lock();
        let mut sources = Vec::with_capacity(4);
        if let Runs::Real { leaders, ends } = &state.runs {
            let running = leaders.iter().zip(ends).filter(|(_, end)| end.is_none());
            sources.extend(running.map(|(leader, _)| Source::readable(leader.pidfd())));
        }
        sources.extend(state.out.fd.iter().chain(&state.err.fd).map(Source::readable));
        if room {
            sources.extend(state.stdin.iter().map(Source::writable));
        }
        if sources.is_empty() && state.ending == Ending::Begun {
            sources.extend(Source::elsewhere());
        }
        sources
    }
}

impl State {
    pub(super) fn stream(&mut self, which: Which) -> &mut Stream {
        match which {
            Which::Stdout => &mut self.out,
            Which::Stderr => &mut self.err,
        }
    }

    /// What its processes have used, as far as that was measured.
    fn usage(&self) -> Option<Usage> {
        let Runs::Real { leaders, .. } = &self.runs else {
            return None;
        };
        leaders.iter().filter_map(|leader| leader.usage()).reduce(|one, other| Usage {
            user: one.user + other.user,
            system: one.system + other.system,
            peak_kib: one.peak_kib.max(other.peak_kib),
        })
    }

    pub(super) fn all_ended(&self) -> bool {
        match &self.runs {
            Runs::Real { ends, .. } => ends.iter().all(Option::is_some),
            Runs::Mocked { end, .. } => end.is_some(),
        }
    }
}

impl Waitable for Child {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    /// A command does as it likes.
    fn enders(&self) -> Enders {
        Enders::Somebody
    }

    fn state(&self) -> String {
        let text: String = self.spec.text().chars().take(40).collect();
        let ended = self.state.try_lock().and_then(|state| state.done.as_ref().map(|done| done.decisive().end));
        match ended {
            None => format!("`{text}`, pid {}", self.pid()),
            Some(end) => format!("`{text}`, ended with {}", end.code()),
        }
    }
}

/// Ends every command that runs, because the program was asked to end.
pub fn end_all(kernel: &Kernel) {
    for child in super::running::all() {
        // A mocked one is a task of the program and hears of it as such.
        if std::ptr::eq(&**child.core.kernel(), kernel) && child.mock_run().is_none() {
            child.end_with_program();
        }
    }
}

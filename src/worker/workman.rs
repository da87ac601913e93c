//! One worker, as the main process sees it.
//!
//! Invariant: what a worker said before its end is heard before its end is.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Signal, pidfd_send_signal};

use super::pipe::{Incoming, Outgoing};
use super::switchboard::{Line, Switchboard};
use super::wire::{Descriptors, FromWorker, Letter, Reply, ToWorker};
use super::{fork_server, memory};
use crate::command::completed::End;
use crate::command::leader::Leader;
use crate::command::tree::Tree;
use crate::kernel::events::Event;
use crate::kernel::{Enders, Kernel, ObjectCore, Operation, Site, Source, Stop, Waitable, Waker, block, current};

/// Something that a worker has said or done.
#[derive(Debug)]
pub enum Heard {
    /// It begins with the errand of this number.
    Began(u64),
    /// It has given back the errand of this number, with which it had not begun.
    Back(u64),
    /// It has done the errand of this number; with the descriptors that belong to the reply.
    Reply(u64, Reply, Descriptors),
    /// It has ended.
    Ended {
        /// How.
        end: End,
        /// It said so before: nobody killed it.
        left: bool,
        /// The last errand that it began with.
        begun: u64,
    },
}

struct State {
    incoming: Incoming,
    outgoing: Outgoing,
    left: bool,
    begun: u64,
    /// The names of the sources that it has got.
    sources: BTreeSet<String>,
}

/// See the module.
pub struct Worker {
    core: Arc<ObjectCore>,
    leader: Arc<Leader>,
    tree: Tree,
    state: Mutex<State>,
    /// Where its calls come in, once it was given a handle.
    line: OnceLock<Arc<Line>>,
    /// Its end was told to those who listen to events.
    told: OnceLock<()>,
}

impl Worker {
    /// Starts a worker for a process that is made at `born`, and tells it who it is.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(kernel: &Arc<Kernel>, born: Site, begin: &ToWorker) -> io::Result<Arc<Worker>> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        memory::watch();
        let tree = Tree::new();
        let leader = fork_server::start(theirs.into(), &tree)?;
        let socket: Arc<OwnedFd> = Arc::new(ours.into());
        let state = State {
            incoming: Incoming::new(socket.clone()),
            outgoing: Outgoing::new(socket),
            left: false,
            begun: 0,
            sources: BTreeSet::new(),
        };
        let core = ObjectCore::new_in(kernel, "Worker", born);
        if let ToWorker::Begin { name, .. } = begin {
            core.set_name(name);
        }
        let worker = Arc::new(Worker {
            core,
            leader,
            tree,
            state: Mutex::new(state),
            line: OnceLock::new(),
            told: OnceLock::new(),
        });
        let file = kernel.recording().map(|recording| recording.file.clone());
        worker.tell_with(begin, file.into_iter().collect());
        Ok(worker)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.leader.pid()
    }

    /// Where its calls come in, if it can make any.
    pub fn line(&self) -> Option<&Arc<Line>> {
        self.line.get()
    }

    /// The same; the first time it is told that it can, and where the states of locks lie.
    ///
    /// # Errors
    /// Those of the system.
    pub fn line_by(&self, switchboard: &Switchboard, slab: Option<&Arc<OwnedFd>>) -> io::Result<Arc<Line>> {
        if let Some(line) = self.line.get() {
            return Ok(line.clone());
        }
        let name = self.core.name();
        let (line, theirs) = switchboard.connect(name.as_deref().unwrap_or(""))?;
        // One task talks to a worker, so nobody else has set it meanwhile.
        let line = self.line.get_or_init(|| line).clone();
        let descriptors = std::iter::once(Arc::new(theirs)).chain(slab.cloned()).collect();
        self.tell_with(&ToWorker::Link, descriptors);
        Ok(line)
    }

    /// Says something to it. What its socket does not take now goes out while somebody hears it.
    pub fn tell(&self, message: &ToWorker) {
        self.tell_with(message, Descriptors::new());
    }

    /// The same, with descriptors that belong to it.
    pub fn tell_with(&self, message: &ToWorker, descriptors: Descriptors) {
        let mut state = self.state.lock();
        // None of the messages can fail to be written down, and nobody packs more descriptors than go.
        let _written = state.outgoing.put(message, descriptors);
        state.outgoing.flush();
    }

    /// Sends those of these sources that it has not got.
    pub fn tell_sources(&self, names: &[String], text: impl Fn(&str) -> Option<String>) {
        let new: Vec<(String, String)> = {
            let mut state = self.state.lock();
            let new = names.iter().filter(|name| state.sources.insert((*name).clone())).cloned().collect::<Vec<_>>();
            new.into_iter().filter_map(|name| text(&name).map(|text| (name, text))).collect()
        };
        if !new.is_empty() {
            self.tell(&ToWorker::Sources(new));
        }
    }

    /// The same for what may throw it out of its waits.
    pub fn stir(&self, message: &ToWorker) {
        if let Some(line) = self.line.get() {
            line.stir();
        }
        self.tell(message);
    }

    /// Waits for the next thing it says or does, at most `limit`.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn hear(self: &Arc<Self>, limit: Option<Duration>) -> Result<Heard, Stop> {
        block(&mut Hearing(self.clone()), limit)
    }

    /// Asks it to end, which it does as orch does: its blocks are left, its children ended.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it at once, with all it started.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.tree.signal(Signal::KILL);
    }

    /// True when it has ended; what it said before can still be heard.
    pub fn has_ended(&self) -> bool {
        self.leader.try_reap().inspect(|end| self.tell_end(*end)).is_some()
    }

    /// Tells whoever listens to events, once.
    fn tell_end(&self, end: End) {
        if self.core.kernel().events().on() && self.told.set(()).is_ok() {
            let (task, pid, code) = (current(), self.pid(), end.code());
            self.core.kernel().events().emit(|| Event::WorkerEnded { task: &task, pid, code });
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(line) = self.line.get() {
            line.stir();
        }
        // One that has ended needs no signal.
        let _gone = pidfd_send_signal(self.leader.pidfd(), signal);
        if signal != Signal::KILL {
            let _gone = pidfd_send_signal(self.leader.pidfd(), Signal::CONT);
        }
    }

    fn advance(&self) -> Poll<Heard> {
        let mut state = self.state.lock();
        state.outgoing.flush();
        if let Some(heard) = self.next_message(&mut state) {
            return Poll::Ready(heard);
        }
        let Some(end) = self.leader.try_reap() else {
            return Poll::Pending;
        };
        self.tell_end(end);
        // What it said before its end can be read now, if it came after that look.
        if let Some(heard) = self.next_message(&mut state) {
            return Poll::Ready(heard);
        }
        self.tree.forget_leader(self.leader.pid());
        Poll::Ready(Heard::Ended { end, left: state.left, begun: state.begun })
    }

    fn next_message(&self, state: &mut State) -> Option<Heard> {
        loop {
            match state.incoming.take() {
                Ok(Some(Letter { message: FromWorker::Reply(number, reply), descriptors })) => {
                    return Some(Heard::Reply(number, reply, descriptors));
                }
                Ok(Some(Letter { message: FromWorker::Began(number), .. })) => {
                    state.begun = number;
                    return Some(Heard::Began(number));
                }
                Ok(Some(Letter { message: FromWorker::Back(number), .. })) => return Some(Heard::Back(number)),
                Ok(Some(Letter { message: FromWorker::Leaving, .. })) => state.left = true,
                Ok(None) => return None,
                // It does not speak like a worker any more.
                Err(_) => {
                    self.kill();
                    return None;
                }
            }
        }
    }
}

/// The end of its socket is its own end, if it has not ended.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(line) = self.line.get() {
            line.leave();
        }
    }
}

impl Waitable for Worker {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    /// What it does depends on who answers its calls, when it can do nothing by itself.
    fn enders(&self) -> Enders {
        match self.line.get() {
            Some(line) => Enders::AnyOf(vec![line.clone()]),
            None => Enders::Somebody,
        }
    }

    fn state(&self) -> String {
        format!("pid {}", self.pid())
    }
}

struct Hearing(Arc<Worker>);

impl Operation for Hearing {
    type Output = Heard;

    fn poll(&mut self, _waker: &Waker) -> Poll<Heard> {
        self.0.advance()
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.clone()
    }

    fn verb(&self) -> &'static str {
        "run"
    }

    fn is_for_others(&self) -> bool {
        true
    }

    fn sources(&self) -> Vec<Source> {
        let state = self.0.state.lock();
        let ended = Source::readable(self.0.leader.pidfd());
        [Some(ended), state.incoming.source(), state.outgoing.source()].into_iter().flatten().collect()
    }
}

//! One worker, as the main process sees it.
//!
//! Invariant: what a worker said before its end is heard before its end is.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Signal, pidfd_send_signal};

use super::pipe::{Incoming, Outgoing};
use super::wire::{FromWorker, Reply, ToWorker};
use super::{WORD, memory};
use crate::command::completed::End;
use crate::command::helper;
use crate::command::leader::Leader;
use crate::command::tree::Tree;
use crate::kernel::{Enders, Kernel, ObjectCore, Operation, Site, Source, Stop, Waitable, Waker, block};

/// Something that a worker has said or done.
#[derive(Debug)]
pub enum Heard {
    /// It begins with the errand of this number.
    Began(u64),
    /// It has given back the errand of this number, with which it had not begun.
    Back(u64),
    /// It has done the errand of this number.
    Reply(u64, Reply),
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
}

impl Worker {
    /// Starts a worker for a process called `name`, which is made at `born`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(kernel: &Arc<Kernel>, name: &str, born: Site, args: &[String]) -> io::Result<Arc<Worker>> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        memory::watch();
        let tree = Tree::new();
        let leader = helper::start(WORD, theirs.into(), &tree)?;
        let socket: Arc<OwnedFd> = Arc::new(ours.into());
        let state = State {
            incoming: Incoming::new(socket.clone()),
            outgoing: Outgoing::new(socket),
            left: false,
            begun: 0,
            sources: BTreeSet::new(),
        };
        let core = ObjectCore::new_in(kernel, "Worker", born);
        core.set_name(name);
        let worker = Arc::new(Worker { core, leader, tree, state: Mutex::new(state) });
        worker.tell(&ToWorker::Begin { name: name.to_string(), args: args.to_vec() });
        Ok(worker)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.leader.pid()
    }

    /// Says something to it. What its socket does not take now goes out while somebody hears it.
    pub fn tell(&self, message: &ToWorker) {
        let mut state = self.state.lock();
        // None of the messages can fail to be written down.
        let _written = state.outgoing.put(message);
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
        self.leader.try_reap().is_some()
    }

    fn signal(&self, signal: Signal) {
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
                Ok(Some(FromWorker::Reply(number, reply))) => return Some(Heard::Reply(number, reply)),
                Ok(Some(FromWorker::Began(number))) => {
                    state.begun = number;
                    return Some(Heard::Began(number));
                }
                Ok(Some(FromWorker::Back(number))) => return Some(Heard::Back(number)),
                Ok(Some(FromWorker::Leaving)) => state.left = true,
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

impl Waitable for Worker {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
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

    fn sources(&self) -> Vec<Source> {
        let state = self.0.state.lock();
        let ended = Source::readable(self.0.leader.pidfd());
        [Some(ended), state.incoming.source(), state.outgoing.source()].into_iter().flatten().collect()
    }
}

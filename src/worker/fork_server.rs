//! Workers that are copies of a process which is there, instead of programs that start.
//!
//! A program that starts is loaded, and registers orch's functions, before it does anything; a copy has all that. So from the
//! second process on, orch has another child: a worker with one thread that has come as far as it gets without knowing who it
//! is, and waits. What it is asked for it answers with a copy of itself (as Python's `forkserver` and Android's zygote do),
//! which is a child of orch's, not its own, so everything else is as if orch had started it. It has the environment and the
//! folder of its start; when these change, it goes.
//!
//! ```text
//!   orch ── mark, socket ──► fork server            one packet each way
//!     ▲  ◄── number of the copy ──┘  │ clone(CLONE_PARENT)
//!     └─────── socket ──────────── copy: the worker of this socket
//! ```
//!
//! Invariants: one request is under way at a time; the server has no threads; a request that was sent and not answered has no
//! other worker in its place. Where it cannot be had, or refuses, workers are programs that start.

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, pidfd_send_signal, setpgid};

use super::WORD;
use crate::command::leader::{self, Leader};
use crate::command::tree::{MARK, Tree};
use crate::command::{environment, helper};
use crate::kernel::os::{self, Forked};

/// The word after [`WORD`] that makes orch a fork server.
pub const FORKS: &str = "forks";

/// How long a mark may be: that of a run within several others is longer than a hundred bytes only in a dozen.
const LONGEST_MARK: usize = 4096;

/// By how much the number at the end of a mark may grow.
const ROOM: usize = 20;

/// What an answer takes: the number of the copy, or 0 when there is none.
const ANSWER: usize = size_of::<i32>();

/// A server that says nothing for so long is given up. It may be stopped, or the machine busy.
const PATIENCE: Duration = Duration::from_secs(20);

enum State {
    /// No process was started since the environment changed: many programs start one, and for one a server does not pay.
    None,
    /// One was.
    Wanted,
    On(Server),
    /// It does not work here.
    Never,
}

static STATE: Mutex<State> = Mutex::new(State::None);

/// Starts a worker, with `socket` as its standard input, as the leader of a process group of its own and the first of `tree`.
///
/// # Errors
/// Those of the system.
pub fn start(socket: OwnedFd, tree: &Tree) -> io::Result<Arc<Leader>> {
    let mut state = STATE.lock();
    if let State::On(server) = &*state
        && server.version != environment::version()
    {
        end(std::mem::replace(&mut *state, State::None));
    }
    match &*state {
        State::None => *state = State::Wanted,
        State::Wanted => *state = Server::start().map_or(State::Never, State::On),
        State::On(_) | State::Never => {}
    }
    if let State::On(server) = &*state {
        match server.fork(&socket, &tree.mark()) {
            Ok(Some(leader)) => {
                tree.add_leader(leader.pid());
                return Ok(leader);
            }
            Ok(None) => end(std::mem::replace(&mut *state, State::Never)),
            Err(error) => {
                end(std::mem::replace(&mut *state, State::Never));
                return Err(error);
            }
        }
    }
    drop(state);
    helper::start(&[WORD], socket, tree, tree.mark())
}

/// The server goes, if there is one. To be called when the program is over.
pub fn dismiss() {
    end(std::mem::replace(&mut *STATE.lock(), State::Never));
}

fn end(state: State) {
    if let State::On(server) = state {
        // It has nothing to clear up, and whoever looks what is left is not to find it.
        let _gone = pidfd_send_signal(server.leader.pidfd(), Signal::KILL);
        let _in_time = wait_for(server.leader.pidfd(), PATIENCE);
        let _reaped = server.leader.try_reap();
    }
}

fn wait_for(descriptor: impl AsFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    loop {
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref()) {
            // A signal for orch, which is handled elsewhere; they are rare.
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}

/// See the module; orch's side.
struct Server {
    leader: Arc<Leader>,
    control: OwnedFd,
    /// What it has inherited.
    version: u64,
}

impl Server {
    fn start() -> io::Result<Server> {
        let version = environment::version();
        let (control, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let tree = Tree::new();
        // The copies write their own marks over this one.
        let mark = format!("{}{}", tree.mark(), "/".repeat(ROOM));
        let leader = helper::start(&[WORD, FORKS], theirs, &tree, mark)?;
        Ok(Server { leader, control, version })
    }

    /// Asks for a copy: `None` when there is none for certain.
    fn fork(&self, socket: &OwnedFd, mark: &str) -> io::Result<Option<Arc<Leader>>> {
        leader::starting(|| {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            let descriptors = [socket.as_fd()];
            if !beside.push(SendAncillaryMessage::ScmRights(&descriptors))
                || sendmsg(&self.control, &[IoSlice::new(mark.as_bytes())], &mut beside, SendFlags::NOSIGNAL).is_err()
            {
                return Ok(None);
            }
            let mut answer = [0; ANSWER];
            if !wait_for(&self.control, PATIENCE)
                || !matches!(recv(&self.control, &mut answer, RecvFlags::empty()), Ok((ANSWER, _)))
            {
                return Err(io::Error::other("the process that starts others has ended or does not answer"));
            }
            let Some(child) = Pid::from_raw(i32::from_ne_bytes(answer)) else {
                return Ok(None);
            };
            // It does so itself, at some time; from now on it leads its group for certain.
            let _is_gone = setpgid(Some(child), Some(child));
            Leader::adopt(child).map(Some)
        })
    }
}

/// The server's life, with the control socket as its standard input: comes back in each copy, which has its worker's socket
/// there, and in the server itself with `None`, when orch is gone or says what nobody can read.
///
/// # Errors
/// Those of the system.
pub fn serve() -> io::Result<Option<()>> {
    let control = fcntl_dupfd_cloexec(io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    let name = CString::new(MARK)?;
    loop {
        let Some((mark, socket)) = next_request(&control)? else {
            return Ok(None);
        };
        let answer = match os::fork_sibling() {
            Ok(Forked::Copy) => {
                drop(control);
                setpgid(None, None)?;
                if !os::overwrite_variable(&name, &mark) {
                    return Err(io::Error::other("there is no room for the mark"));
                }
                rustix::stdio::dup2_stdin(socket)?;
                return Ok(Some(()));
            }
            Ok(Forked::Original(pid)) => pid.as_raw_nonzero().get(),
            Err(_) => 0,
        };
        send(&control, &answer.to_ne_bytes(), SendFlags::NOSIGNAL)?;
    }
}

fn next_request(control: &OwnedFd) -> io::Result<Option<(CString, OwnedFd)>> {
    let mut mark = [0; LONGEST_MARK];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        match recvmsg(control, &mut [IoSliceMut::new(&mut mark)], &mut beside, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            came => break came?.bytes,
        }
    };
    let mut descriptors = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let mark = CString::new(&mark[..length])?;
    Ok(descriptors.next().map(|socket| (mark, socket)))
}

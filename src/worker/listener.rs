//! A listener: an address to which clients come.
//!
//! Those who came and have not said yet who they are stand at the door, each with a deadline of its own: one that says
//! nothing, half of it or something else keeps nobody waiting, and is sent away. What has become of them is told to whoever
//! accepts, in the order in which it became clear.
//!
//! Invariant: everybody at the door is looked after while somebody accepts, and by nobody else.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::address::{Address, SocketFile};
use super::handshake::{Handshake, Role, Stage};
use super::pair::{End, Payload};
use super::simulated::{self, Knock};
use crate::kernel::alarm::{self, Alarm};
use crate::kernel::{Enders, ObjectCore, Operation, Source, Stop, Ticket, WaitQueue, Waitable, Waker, block, door};

/// How long a client may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many may stand at the door at once; who came first has to go first.
const MOST_AT_THE_DOOR: usize = 64;

/// Why a call on a listener, or a client's way to one, failed.
#[derive(Debug)]
pub enum ListenFault {
    /// The wait was ended before it came to its goal.
    Stopped(Stop),
    /// It was closed.
    Closed(String),
    /// The other side has another key, or none, or this one has none.
    WrongKey(String),
    /// The system says so: what could not be done, and why.
    System(String, io::Error),
}

impl From<Stop> for ListenFault {
    fn from(stop: Stop) -> Self {
        ListenFault::Stopped(stop)
    }
}

impl fmt::Display for ListenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenFault::Stopped(_) => f.write_str("the wait was ended"),
            ListenFault::Closed(label) => write!(f, "{label} is closed"),
            ListenFault::WrongKey(who) => write!(f, "{who} does not have the same authkey"),
            ListenFault::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

struct Visitor {
    shake: Handshake,
    until: Duration,
    _alarm: Alarm,
}

/// Somebody who got through, or has the wrong key.
type Come<P> = Result<End<P>, ()>;

enum Socket<P: Payload> {
    Real { socket: Arc<OwnedFd>, _file: Option<SocketFile>, visitors: VecDeque<Visitor> },
    Simulated(VecDeque<Weak<Knock<P>>>),
    Closed,
}

struct State<P: Payload> {
    socket: Socket<P>,
    come: VecDeque<Come<P>>,
    waiting: WaitQueue,
}

/// See the module.
pub struct Listener<P: Payload> {
    core: Arc<ObjectCore>,
    address: Address,
    key: Option<Vec<u8>>,
    state: Mutex<State<P>>,
}

impl<P: Payload> Listener<P> {
    /// Listens at an address.
    ///
    /// # Errors
    /// [`ListenFault::System`].
    pub fn open(address: &Address, key: Option<Vec<u8>>) -> Result<Arc<Listener<P>>, ListenFault> {
        let core = ObjectCore::new("Listener");
        let failed = |error| ListenFault::System(format!("cannot listen at {address}"), error);
        let state = |socket| Mutex::new(State { socket, come: VecDeque::new(), waiting: WaitQueue::default() });
        let kernel = core.kernel().clone();
        if kernel.is_sim() {
            let mut real = None;
            let listener = Arc::new_cyclic(|weak: &Weak<Listener<P>>| {
                real = simulated::open(&kernel, address, weak.clone());
                let address = real.clone().unwrap_or_else(|| address.clone());
                Listener { core, address, key, state: state(Socket::Simulated(VecDeque::new())) }
            });
            return match real {
                Some(_) => Ok(listener),
                None => {
                    listener.state.lock().socket = Socket::Closed;
                    Err(failed(Errno::ADDRINUSE.into()))
                }
            };
        }
        let (socket, real, file) = address.listen().map_err(failed)?;
        let socket = Socket::Real { socket: Arc::new(socket), _file: file, visitors: VecDeque::new() };
        let listener = Arc::new(Listener { core, address: real, key, state: state(socket) });
        let listed: Arc<dyn Waitable> = listener.clone();
        kernel.list(&listed);
        Ok(listener)
    }

    /// Where it listens, with the port it has got.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the next client, at most `limit`.
    ///
    /// # Errors
    /// [`ListenFault`].
    pub fn accept(self: &Arc<Self>, limit: Option<Duration>) -> Result<End<P>, ListenFault> {
        block(&mut Accepting { listener: self.clone(), ticket: Ticket::default() }, limit)?
    }

    /// Listens no more. Closing again does nothing.
    pub fn close(&self) {
        door::point();
        self.shut();
    }

    /// True after [`Listener::close`].
    pub fn is_closed(&self) -> bool {
        door::query();
        matches!(self.state.lock().socket, Socket::Closed)
    }

    fn shut(&self) {
        let mut state = self.state.lock();
        let socket = std::mem::replace(&mut state.socket, Socket::Closed);
        let come = std::mem::take(&mut state.come);
        state.waiting.nudge_all();
        drop(state);
        if let Socket::Simulated(knocks) = &socket {
            simulated::close(self.core.kernel(), &self.address);
            knocks.iter().filter_map(Weak::upgrade).for_each(|knock| knock.send_away());
        }
        drop((socket, come));
    }

    /// A client of the simulated world knocks; false when it is closed.
    pub(super) fn knock(&self, knock: &Arc<Knock<P>>) -> bool {
        let mut state = self.state.lock();
        let Socket::Simulated(knocks) = &mut state.socket else {
            return false;
        };
        knocks.push_back(Arc::downgrade(knock));
        state.waiting.nudge();
        true
    }

    fn poll(self: &Arc<Self>, ticket: &mut Ticket, waker: &Waker) -> Poll<Result<End<P>, ListenFault>> {
        let mut state = self.state.lock();
        match self.look_after(&mut state) {
            Ok(true) => {}
            Ok(false) => {
                state.waiting.remove(ticket);
                return Poll::Ready(Err(ListenFault::Closed(self.core.label())));
            }
            Err(error) => {
                state.waiting.remove(ticket);
                return Poll::Ready(Err(ListenFault::System(format!("cannot accept at {}", self.address), error)));
            }
        }
        match state.come.pop_front() {
            None => {
                state.waiting.enlist(ticket, waker, ());
                Poll::Pending
            }
            Some(come) => {
                state.waiting.remove(ticket);
                if !state.come.is_empty() {
                    state.waiting.nudge();
                }
                Poll::Ready(come.map_err(|()| ListenFault::WrongKey("a client".into())))
            }
        }
    }

    /// Looks after those at the door; false when it is closed.
    fn look_after(self: &Arc<Self>, state: &mut State<P>) -> io::Result<bool> {
        match &mut state.socket {
            Socket::Closed => return Ok(false),
            Socket::Simulated(knocks) => {
                // One at a time: the others are answered when somebody accepts them.
                while state.come.is_empty()
                    && let Some(knock) = knocks.pop_front()
                {
                    if let Some(knock) = knock.upgrade() {
                        state.come.push_back(knock.answer(self.key.as_deref()).ok_or(()));
                    }
                }
            }
            Socket::Real { socket, visitors, .. } => {
                let now = self.core.kernel().now();
                // The system's table may be full; those who are here can be looked after all the same.
                let mut trouble = self.let_in(socket, visitors, now).err();
                for mut visitor in std::mem::take(visitors) {
                    match visitor.shake.advance() {
                        Stage::Open if visitor.until > now => visitors.push_back(visitor),
                        Stage::Agreed => state.come.push_back(Ok(End::of(visitor.shake.into_stream()))),
                        Stage::WrongKey => state.come.push_back(Err(())),
                        Stage::Open | Stage::Failed(_) => {}
                    }
                }
                if let Some(trouble) = trouble.take().filter(|_| state.come.is_empty()) {
                    return Err(trouble);
                }
            }
        }
        Ok(true)
    }

    fn let_in(self: &Arc<Self>, socket: &OwnedFd, visitors: &mut VecDeque<Visitor>, now: Duration) -> io::Result<()> {
        loop {
            match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => {
                    let shake = Handshake::begin(Role::Listener, self.key.as_deref(), client)?;
                    let listener = Arc::downgrade(self);
                    let alarm = alarm::after(PATIENCE, move || {
                        if let Some(listener) = listener.upgrade() {
                            listener.state.lock().waiting.nudge_all();
                        }
                    });
                    if visitors.len() >= MOST_AT_THE_DOOR {
                        visitors.pop_front();
                    }
                    visitors.push_back(Visitor { shake, until: now.saturating_add(PATIENCE), _alarm: alarm });
                }
                Err(Errno::AGAIN) => return Ok(()),
                // It went away before it was let in.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<P: Payload> Drop for Listener<P> {
    fn drop(&mut self) {
        self.shut();
    }
}

impl<P: Payload> Waitable for Listener<P> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    /// Anybody may come who knows the address. Under simulated time that is a task of this program.
    fn enders(&self) -> Enders {
        let kernel = self.core.kernel();
        match kernel.is_sim() {
            true => Enders::Tasks(kernel.tasks().iter().map(|task| task.id()).collect()),
            false => Enders::Somebody,
        }
    }

    fn state(&self) -> String {
        match self.state.try_lock().is_some_and(|state| matches!(state.socket, Socket::Closed)) {
            true => "closed".into(),
            false => self.address.to_string(),
        }
    }
}

struct Accepting<P: Payload> {
    listener: Arc<Listener<P>>,
    ticket: Ticket,
}

impl<P: Payload> Operation for Accepting<P> {
    type Output = Result<End<P>, ListenFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        self.listener.poll(&mut self.ticket, waker)
    }

    fn abandon(&mut self) {
        let mut state = self.listener.state.lock();
        state.waiting.remove(&mut self.ticket);
        // Somebody else looks after those at the door.
        state.waiting.nudge();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.listener.clone()
    }

    fn verb(&self) -> &'static str {
        "accept"
    }

    fn sources(&self) -> Vec<Source> {
        match &self.listener.state.lock().socket {
            Socket::Real { socket, visitors, .. } => {
                let door = std::iter::once(Source::readable(socket));
                door.chain(visitors.iter().flat_map(|visitor| visitor.shake.sources())).collect()
            }
            Socket::Simulated(_) | Socket::Closed => Vec::new(),
        }
    }
}

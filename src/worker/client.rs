//! A client's way to a listener.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::getpeername;
use rustix::net::sockopt::socket_error;

use super::address::{Address, Target};
use super::handshake::{Handshake, Role, Stage};
use super::listener::{ListenFault, Listener};
use super::pair::{End, Payload};
use super::simulated::{self, Answer, Knock};
use crate::kernel::alarm::{self, Alarm};
use crate::kernel::offload::{OffloadFault, offload};
use crate::kernel::{Enders, ObjectCore, Operation, Source, Waitable, Waker, block};

/// How soon to try again where the line of those who wait at a socket file is full.
const AGAIN: Duration = Duration::from_millis(10);

/// Connects to the listener at an address, within `limit`.
///
/// # Errors
/// [`ListenFault`].
pub fn connect<P: Payload>(
    address: &Address,
    key: Option<Vec<u8>>,
    limit: Option<Duration>,
) -> Result<End<P>, ListenFault> {
    let core = ObjectCore::new("Client");
    let failed = |error: io::Error| ListenFault::System(format!("cannot connect to {address}"), error);
    if core.kernel().is_sim() {
        let found = simulated::find(core.kernel(), address).and_then(|found| found.downcast::<Listener<P>>().ok());
        let knock = Knock::new(key);
        let listener = found.filter(|listener| listener.knock(&knock));
        let listener = listener.ok_or_else(|| failed(Errno::CONNREFUSED.into()))?;
        let waiting = Arc::new(Way { core, listener: Some(listener.core().clone()) });
        drop(listener);
        return block(&mut Waiting { waiting, knock, address: address.to_string() }, limit)?;
    }
    let begun = core.kernel().now();
    let mut targets = look_up(&core, address, limit)?.map_err(failed)?;
    targets.reverse();
    let limit = limit.map(|limit| limit.saturating_sub(core.kernel().now().saturating_sub(begun)));
    let way = Arc::new(Way { core, listener: None });
    let mut connecting = Connecting { way, address, key, targets, step: Step::Next(None), alarm: None };
    block(&mut connecting, limit)?.map(|shake| End::of(shake.into_stream()))
}

/// The places behind an address. To ask for a name can take as long as the network likes.
fn look_up(core: &Arc<ObjectCore>, address: &Address, limit: Option<Duration>) -> Result<Answered, ListenFault> {
    if address.is_a_number() {
        return Ok(address.targets());
    }
    let asked = address.clone();
    match offload(core, "Client", limit, || (), move || asked.targets()) {
        Ok(answered) => Ok(answered),
        Err(OffloadFault::Stop(stop)) => Err(stop.into()),
        Err(OffloadFault::NoThread(error)) => Ok(Err(error)),
    }
}

type Answered = io::Result<Vec<Target>>;

/// What a client waits for.
struct Way {
    core: Arc<ObjectCore>,
    /// Under simulated time, the listener at whose door it stands.
    listener: Option<Arc<ObjectCore>>,
}

impl Waitable for Way {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        match &self.listener {
            Some(core) => Enders::AnyOf(vec![Arc::new(Way { core: core.clone(), listener: None })]),
            None if self.core.kernel().is_sim() => Enders::Holders,
            None => Enders::Somebody,
        }
    }
}

struct Waiting<P: Payload> {
    waiting: Arc<Way>,
    knock: Arc<Knock<P>>,
    address: String,
}

impl<P: Payload> Operation for Waiting<P> {
    type Output = Result<End<P>, ListenFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        match self.knock.take_answer(waker) {
            Some(Answer::Agreed(end)) => Poll::Ready(Ok(end)),
            Some(Answer::WrongKey) => {
                Poll::Ready(Err(ListenFault::WrongKey(format!("the listener at {}", self.address))))
            }
            Some(Answer::Closed) => {
                let what = format!("cannot connect to {}", self.address);
                Poll::Ready(Err(ListenFault::System(what, Errno::CONNRESET.into())))
            }
            None => Poll::Pending,
        }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.waiting.clone()
    }

    fn verb(&self) -> &'static str {
        "Client"
    }
}

enum Step {
    /// The next place is to be tried; what became of the last one.
    Next(Option<io::Error>),
    /// On its way.
    Going(Arc<OwnedFd>),
    /// There.
    Shaking(Box<Handshake>),
    Done,
}

struct Connecting<'a> {
    way: Arc<Way>,
    address: &'a Address,
    key: Option<Vec<u8>>,
    /// Places to try, the first one last.
    targets: Vec<Target>,
    step: Step,
    alarm: Option<Alarm>,
}

impl Connecting<'_> {
    fn failed(&self, error: io::Error) -> Result<Handshake, ListenFault> {
        Err(ListenFault::System(format!("cannot connect to {}", self.address), error))
    }

    /// The next step, or `None` when there is nothing to do now.
    fn advance(&mut self, waker: &Waker) -> Result<Option<Step>, io::Error> {
        match &mut self.step {
            Step::Next(error) => {
                let Some(target) = self.targets.last() else {
                    return Err(error.take().unwrap_or_else(|| io::ErrorKind::NotConnected.into()));
                };
                match target.connect() {
                    Ok(socket) => Ok(Some(Step::Going(Arc::new(socket)))),
                    Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                        let waker = waker.clone();
                        self.alarm = Some(alarm::after(AGAIN, move || waker.wake()));
                        Ok(None)
                    }
                    Err(error) => Ok(Some(self.elsewhere(error))),
                }
            }
            Step::Going(socket) => match (socket_error(&**socket)?, getpeername(&**socket)) {
                (Err(error), _) => Ok(Some(self.elsewhere(error.into()))),
                (Ok(()), Err(Errno::NOTCONN)) => Ok(None),
                (Ok(()), Err(error)) => Err(error.into()),
                (Ok(()), Ok(_)) => {
                    let socket = socket.try_clone()?;
                    Ok(Some(Step::Shaking(Box::new(Handshake::begin(Role::Client, self.key.as_deref(), socket)?))))
                }
            },
            Step::Shaking(_) | Step::Done => Ok(None),
        }
    }

    fn elsewhere(&mut self, error: io::Error) -> Step {
        self.targets.pop();
        Step::Next(Some(error))
    }
}

impl Operation for Connecting<'_> {
    type Output = Result<Handshake, ListenFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        loop {
            match self.advance(waker) {
                Ok(Some(step)) => self.step = step,
                Ok(None) => break,
                Err(error) => return Poll::Ready(self.failed(error)),
            }
        }
        let Step::Shaking(shake) = &mut self.step else {
            return Poll::Pending;
        };
        match shake.advance() {
            Stage::Open => Poll::Pending,
            Stage::WrongKey => Poll::Ready(Err(ListenFault::WrongKey(format!("the listener at {}", self.address)))),
            Stage::Failed(error) => Poll::Ready(self.failed(error)),
            Stage::Agreed => match std::mem::replace(&mut self.step, Step::Done) {
                Step::Shaking(shake) => Poll::Ready(Ok(*shake)),
                _ => Poll::Pending,
            },
        }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.way.clone()
    }

    fn verb(&self) -> &'static str {
        "Client"
    }

    fn sources(&self) -> Vec<Source> {
        match &self.step {
            Step::Going(socket) => vec![Source::writable(socket)],
            Step::Shaking(shake) => shake.sources().collect(),
            Step::Next(_) => Source::elsewhere().into_iter().collect(),
            Step::Done => Vec::new(),
        }
    }
}

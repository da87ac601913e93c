//! Addresses under simulated time: within the program, in memory.
//!
//! A client knocks and waits for the answer; the listener answers when it accepts, as the handshake of real ones does.

use std::any::Any;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::address::Address;
use super::pair::{End, Payload};
use crate::kernel::{Kernel, Waker};

/// The first port that is given to whoever asks for any.
const FIRST_PORT: u16 = 49_152;

/// What a client has got for an answer.
pub enum Answer<P: Payload> {
    /// It is let in.
    Agreed(End<P>),
    /// The keys are not the same.
    WrongKey,
    /// The listener was closed.
    Closed,
}

struct State<P: Payload> {
    answer: Option<Answer<P>>,
    waker: Option<Waker>,
}

/// A client at the door.
pub struct Knock<P: Payload> {
    key: Option<Vec<u8>>,
    state: Mutex<State<P>>,
}

impl<P: Payload> Knock<P> {
    /// One with this key.
    pub fn new(key: Option<Vec<u8>>) -> Arc<Knock<P>> {
        Arc::new(Knock { key, state: Mutex::new(State { answer: None, waker: None }) })
    }

    /// Answers it, for a listener with this key: our end.
    pub fn answer(&self, key: Option<&[u8]>) -> Option<End<P>> {
        let [ours, theirs] = End::pair();
        let agreed = self.key.as_deref() == key;
        self.tell(if agreed { Answer::Agreed(theirs) } else { Answer::WrongKey });
        agreed.then_some(ours)
    }

    /// Nobody will let it in.
    pub fn send_away(&self) {
        self.tell(Answer::Closed);
    }

    fn tell(&self, answer: Answer<P>) {
        let mut state = self.state.lock();
        state.answer = Some(answer);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// The answer, if it was given; else `waker` is told.
    pub fn take_answer(&self, waker: &Waker) -> Option<Answer<P>> {
        let mut state = self.state.lock();
        state.waker = Some(waker.clone());
        state.answer.take()
    }
}

/// A listener, of whatever payload.
type Listed = Weak<dyn Any + Send + Sync>;

static OPEN: Mutex<Vec<(Weak<Kernel>, Address, Listed)>> = Mutex::new(Vec::new());

/// The name under which an address is found: every name of this machine is the same.
fn place(address: &Address) -> Address {
    match address {
        Address::Tcp(_, port) => Address::Tcp(String::new(), *port),
        file => file.clone(),
    }
}

/// Opens an address of `kernel` for `listener`: the address it has got; `None` when there is a listener already.
pub fn open(kernel: &Arc<Kernel>, address: &Address, listener: Listed) -> Option<Address> {
    let mut open = OPEN.lock();
    open.retain(|(owner, _, listener)| owner.strong_count() > 0 && listener.strong_count() > 0);
    let ours = |other: &Weak<Kernel>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(kernel));
    let is_taken = |place: &Address| open.iter().any(|(owner, at, _)| ours(owner) && at == place);
    let real = match address {
        Address::Tcp(host, 0) => {
            let port = (FIRST_PORT..u16::MAX).find(|port| !is_taken(&place(&Address::Tcp(String::new(), *port))))?;
            Address::Tcp(numeric(host), port)
        }
        Address::Tcp(host, port) => Address::Tcp(numeric(host), *port),
        file => file.clone(),
    };
    if is_taken(&place(&real)) {
        return None;
    }
    open.push((Arc::downgrade(kernel), place(&real), listener));
    Some(real)
}

/// As a real listener says it.
fn numeric(host: &str) -> String {
    if host == "localhost" { "127.0.0.1".into() } else { host.to_string() }
}

/// Nobody listens there any more.
pub fn close(kernel: &Arc<Kernel>, address: &Address) {
    let ours = |other: &Weak<Kernel>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(kernel));
    OPEN.lock().retain(|(owner, at, _)| !(ours(owner) && *at == place(address)));
}

/// The listener at an address.
pub fn find(kernel: &Arc<Kernel>, address: &Address) -> Option<Arc<dyn Any + Send + Sync>> {
    let open = OPEN.lock();
    let ours = |other: &Weak<Kernel>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(kernel));
    open.iter().find(|(owner, at, _)| ours(owner) && *at == place(address))?.2.upgrade()
}

//! A connection: one of two ends, as something that tasks share and wait at.
//!
//! Invariant: an end has one connection at most; one that moved to another process is gone here, for all who know it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::pair::{End, Payload, Received, Sent};
use crate::kernel::{Enders, ObjectCore, Operation, Source, Stop, Ticket, Waitable, Waker, block, door};

/// Why a call on a connection failed.
#[derive(Debug)]
pub enum ConnectionFault {
    /// The wait was ended before it came to its goal.
    Stopped(Stop),
    /// The other end was closed, or its process has ended.
    EndOfFile(String),
    /// This end was closed.
    Closed(String),
    /// This end is in another process.
    Moved(String),
    /// What the system says, or what came is no message.
    System(String, io::Error),
}

impl From<Stop> for ConnectionFault {
    fn from(stop: Stop) -> Self {
        ConnectionFault::Stopped(stop)
    }
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionFault::Stopped(_) => f.write_str("the wait was ended"),
            ConnectionFault::EndOfFile(label) => {
                write!(f, "the other end of {label} was closed, or its process has ended")
            }
            ConnectionFault::Closed(label) => write!(f, "{label} is closed"),
            ConnectionFault::Moved(label) => write!(f, "{label} was passed on, and only whoever got it can use it"),
            ConnectionFault::System(label, error) => write!(f, "{label} is broken: {error}"),
        }
    }
}

enum Hold<P: Payload> {
    Open(End<P>),
    Closed,
    Moved,
}

/// See the module.
pub struct Connection<P: Payload> {
    core: Arc<ObjectCore>,
    hold: Mutex<Hold<P>>,
    /// The other end may be in another program.
    remote: bool,
}

impl<P: Payload> Connection<P> {
    /// The connection at an end.
    pub fn new(end: End<P>, remote: bool) -> Arc<Connection<P>> {
        let core = ObjectCore::new("Connection");
        end.belongs_to(&core);
        let connection = Arc::new(Connection { core, hold: Mutex::new(Hold::Open(end)), remote });
        let listed: Arc<dyn Waitable> = connection.clone();
        connection.core.kernel().list(&listed);
        connection
    }

    /// True when the other end may be in another program, so that only bytes can go there.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// Sends a message; waits while the other end has too much to read.
    ///
    /// # Errors
    /// [`ConnectionFault`].
    pub fn send(self: &Arc<Self>, message: P) -> Result<(), ConnectionFault> {
        block(&mut Sending { connection: self.clone(), ticket: Ticket::default(), message: Some(message) }, None)?
    }

    /// Receives the next message, waiting at most `limit`.
    ///
    /// # Errors
    /// [`ConnectionFault`].
    pub fn receive(self: &Arc<Self>, limit: Option<Duration>) -> Result<P, ConnectionFault> {
        block(&mut self.receiving(), limit)?
    }

    /// An operation that receives the next message.
    pub fn receiving(self: &Arc<Self>) -> Receiving<P> {
        Receiving { connection: self.clone(), ticket: Ticket::default() }
    }

    /// Waits at most `limit` until receiving would not wait; false when the time was up.
    ///
    /// # Errors
    /// [`ConnectionFault`].
    pub fn poll(self: &Arc<Self>, limit: Option<Duration>) -> Result<bool, ConnectionFault> {
        match block(&mut Looking { connection: self.clone(), ticket: Ticket::default() }, limit) {
            Ok(seen) => seen.map(|()| true),
            Err(Stop::TimedOut) => Ok(false),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Closes this end. Closing again does nothing.
    pub fn close(&self) {
        door::point();
        let mut hold = self.hold.lock();
        if let Hold::Open(_) = &*hold {
            let end = std::mem::replace(&mut *hold, Hold::Closed);
            drop(hold);
            drop(end);
        }
    }

    /// True when it was closed or has moved.
    pub fn is_closed(&self) -> bool {
        door::query();
        !matches!(&*self.hold.lock(), Hold::Open(_))
    }

    /// Takes the end out, for another process.
    ///
    /// # Errors
    /// [`ConnectionFault::Closed`], [`ConnectionFault::Moved`]; what `prepare` says, and the end stays then.
    pub fn take_end<R>(&self, prepare: impl FnOnce(&End<P>) -> io::Result<R>) -> Result<(End<P>, R), ConnectionFault> {
        let mut hold = self.hold.lock();
        let prepared = match &*hold {
            Hold::Open(end) => prepare(end).map_err(|error| ConnectionFault::System(self.core.label(), error))?,
            gone => return Err(self.gone(gone)),
        };
        match std::mem::replace(&mut *hold, Hold::Moved) {
            Hold::Open(end) => {
                end.leave();
                Ok((end, prepared))
            }
            gone => Err(self.gone(&gone)),
        }
    }

    /// How many descriptors it takes to move its end away.
    ///
    /// # Errors
    /// As [`Connection::take_end`].
    pub fn descriptors(&self) -> Result<usize, ConnectionFault> {
        self.with_end(End::descriptors)
    }

    fn with_end<R>(&self, body: impl FnOnce(&End<P>) -> R) -> Result<R, ConnectionFault> {
        match &*self.hold.lock() {
            Hold::Open(end) => Ok(body(end)),
            gone => Err(self.gone(gone)),
        }
    }

    fn gone(&self, hold: &Hold<P>) -> ConnectionFault {
        match hold {
            Hold::Moved => ConnectionFault::Moved(self.core.label()),
            Hold::Open(_) | Hold::Closed => ConnectionFault::Closed(self.core.label()),
        }
    }

    fn sources(&self, of: impl FnOnce(&End<P>) -> Vec<Source>) -> Vec<Source> {
        self.with_end(of).unwrap_or_default()
    }
}

impl<P: Payload> Waitable for Connection<P> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    /// Both ends in this program: whoever has one of them may send, receive or close.
    fn enders(&self) -> Enders {
        let owners = match self.hold.try_lock().as_deref() {
            Some(Hold::Open(end)) => end.owners(),
            _ => None,
        };
        match owners {
            Some(owners) => Enders::AnyOf(owners.into_iter().map(|core| Arc::new(Held(core)) as _).collect()),
            None => Enders::Somebody,
        }
    }

    fn state(&self) -> String {
        match self.hold.try_lock().as_deref() {
            Some(Hold::Closed) => "closed".into(),
            Some(Hold::Moved) => "passed on".into(),
            Some(Hold::Open(_)) | None => String::new(),
        }
    }
}

/// An end, as something whose holders may do something.
struct Held(Arc<ObjectCore>);

impl Waitable for Held {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.0
    }
}

/// See [`Connection::receiving`].
pub struct Receiving<P: Payload> {
    connection: Arc<Connection<P>>,
    ticket: Ticket,
}

impl<P: Payload> Operation for Receiving<P> {
    type Output = Result<P, ConnectionFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let label = || self.connection.core.label();
        match self.connection.with_end(|end| end.receive(&mut self.ticket, waker)) {
            Ok(Received::Message(message)) => Poll::Ready(Ok(message)),
            Ok(Received::Nothing) => Poll::Pending,
            Ok(Received::Ended) => Poll::Ready(Err(ConnectionFault::EndOfFile(label()))),
            Ok(Received::Broken(error)) => Poll::Ready(Err(ConnectionFault::System(label(), error))),
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    fn abandon(&mut self) {
        // Where there is no end any more, nobody stands in line at it.
        let _gone = self.connection.with_end(|end| end.stop_receiving(&mut self.ticket));
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.connection.clone()
    }

    fn verb(&self) -> &'static str {
        "recv"
    }

    fn sources(&self) -> Vec<Source> {
        self.connection.sources(End::sources)
    }
}

struct Looking<P: Payload> {
    connection: Arc<Connection<P>>,
    ticket: Ticket,
}

impl<P: Payload> Operation for Looking<P> {
    type Output = Result<(), ConnectionFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        match self.connection.with_end(|end| end.look(&mut self.ticket, waker)) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    fn abandon(&mut self) {
        let _gone = self.connection.with_end(|end| end.stop_receiving(&mut self.ticket));
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.connection.clone()
    }

    fn verb(&self) -> &'static str {
        "poll"
    }

    fn sources(&self) -> Vec<Source> {
        self.connection.sources(End::sources)
    }
}

struct Sending<P: Payload> {
    connection: Arc<Connection<P>>,
    ticket: Ticket,
    /// Until it is on its way.
    message: Option<P>,
}

impl<P: Payload> Operation for Sending<P> {
    type Output = Result<(), ConnectionFault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let label = || self.connection.core.label();
        match self.connection.with_end(|end| end.send(&mut self.message, &mut self.ticket, waker)) {
            Ok(Sent::Done) => Poll::Ready(Ok(())),
            Ok(Sent::Full) => Poll::Pending,
            Ok(Sent::Ended) => Poll::Ready(Err(ConnectionFault::EndOfFile(label()))),
            Ok(Sent::Broken(error)) => Poll::Ready(Err(ConnectionFault::System(label(), error))),
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    fn abandon(&mut self) {
        let _gone = self.connection.with_end(|end| end.stop_sending(&mut self.ticket));
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.connection.clone()
    }

    fn verb(&self) -> &'static str {
        "send"
    }

    fn sources(&self) -> Vec<Source> {
        self.connection.sources(End::sending_sources)
    }
}

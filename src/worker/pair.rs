//! Two ends that speak to each other, whatever lies between.
//!
//! While both ends are in this program, a message goes from one inbox to the other in memory. When one of them moves to
//! another process, a socket takes the place of the memory; the end that stays becomes one of the socket, under the
//! feet of those who wait at it. Under simulated time no end moves away.
//!
//! Invariants: an end that is dropped is closed, wherever it is; whoever waits at an end is woken when that end is closed or
//! moves, and when the other one is closed; messages are dropped when no lock is held, since ends may be in them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::net::{Shutdown, shutdown};
use serde_bytes::ByteBuf;

use super::pipe::{Incoming, Outgoing};
use super::wire::Descriptors;
use crate::kernel::{ObjectCore, Source, Ticket, WaitQueue, Waker};

/// What is sent.
pub trait Payload: Send + Sized + 'static {
    /// How many bytes it takes.
    fn weight(&self) -> usize;

    /// As a message to another process.
    fn into_wire(self) -> (Vec<u8>, Descriptors);

    /// From another process.
    fn from_wire(bytes: Vec<u8>, descriptors: Descriptors) -> Self;
}

/// How many bytes wait in memory for their receiver, unless one message alone has more.
const CAPACITY: usize = 64 << 10;

/// What came of receiving.
pub enum Received<P> {
    /// A message.
    Message(P),
    /// Nothing yet.
    Nothing,
    /// The other end was closed.
    Ended,
    /// What came is no message, or the system says so.
    Broken(io::Error),
}

/// What came of sending.
pub enum Sent {
    /// It is out.
    Done,
    /// There is no room now.
    Full,
    /// The other end was closed.
    Ended,
    /// It cannot be sent.
    Broken(io::Error),
}

/// An end that is a socket.
pub struct Stream<P> {
    socket: Arc<OwnedFd>,
    /// Messages that came before, by another way.
    early: VecDeque<P>,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<P: Payload> Stream<P> {
    /// An end at a socket that does not block.
    pub fn new(socket: Arc<OwnedFd>) -> Stream<P> {
        let (incoming, outgoing) = (Incoming::new(socket.clone()), Outgoing::new(socket.clone()));
        Stream::going_on(socket, incoming, outgoing)
    }

    /// An end at a socket over which something was said before.
    pub fn going_on(socket: Arc<OwnedFd>, incoming: Incoming, outgoing: Outgoing) -> Stream<P> {
        Stream { socket, early: VecDeque::new(), incoming, outgoing }
    }

    /// An end that has moved here.
    pub fn arrived(moved: Moved<P>) -> Stream<P> {
        let mut stream = Stream::new(moved.socket);
        stream.early = moved.early.into();
        stream.incoming.begin_with(&moved.begun, moved.descriptors);
        stream
    }

    /// From now on a longer message is an error.
    pub fn limit(&mut self, longest: u64) {
        self.incoming.limit(longest);
    }

    fn receive(&mut self) -> Received<P> {
        // A message whose sender was cancelled is still to go out: the other end may wait for it before it answers.
        self.outgoing.flush();
        if let Some(message) = self.early.pop_front() {
            return Received::Message(message);
        }
        match self.incoming.take::<ByteBuf>() {
            Ok(Some(letter)) => Received::Message(P::from_wire(letter.message.into_vec(), letter.descriptors)),
            Ok(None) if self.incoming.has_ended() => Received::Ended,
            Ok(None) => Received::Nothing,
            Err(error) => Received::Broken(error),
        }
    }

    /// `message` is taken when it is on its way; it is out when that is `Done`.
    fn send(&mut self, message: &mut Option<P>) -> Sent {
        if !self.outgoing.flush() {
            return Sent::Full;
        }
        if let Some(message) = message.take().filter(|_| !self.outgoing.is_broken()) {
            let (bytes, descriptors) = message.into_wire();
            if let Err(error) = self.outgoing.put(&ByteBuf::from(bytes), descriptors) {
                return Sent::Broken(error);
            }
            if !self.outgoing.flush() {
                return Sent::Full;
            }
        }
        if self.outgoing.is_broken() { Sent::Ended } else { Sent::Done }
    }

    fn has_more(&self) -> bool {
        !self.early.is_empty() || self.incoming.is_ready()
    }
}

/// An end on its way to another process.
pub struct Moved<P> {
    /// Its socket.
    pub socket: Arc<OwnedFd>,
    /// Messages that it has got and that were not received.
    pub early: Vec<P>,
    /// The beginning of one that has not come as a whole.
    pub begun: Vec<u8>,
    /// The descriptors of that one.
    pub descriptors: Vec<OwnedFd>,
}

enum Line<P> {
    /// Messages come in memory; how many bytes those have that were not received.
    Memory(VecDeque<P>, usize),
    /// They come by a socket.
    Socket(Box<Stream<P>>),
    /// It is in another process.
    Away,
    Closed,
}

struct Side<P> {
    line: Line<P>,
    receivers: WaitQueue,
    senders: WaitQueue,
    /// The object that has this end now.
    owner: Weak<ObjectCore>,
}

impl<P> Side<P> {
    fn new(line: Line<P>) -> Side<P> {
        Side { line, receivers: WaitQueue::default(), senders: WaitQueue::default(), owner: Weak::new() }
    }

    fn nudge_all(&self) {
        self.receivers.nudge_all();
        self.senders.nudge_all();
    }
}

struct Pair<P>([Side<P>; 2]);

impl<P: Payload> Pair<P> {
    fn sides(&mut self, side: usize) -> (&mut Side<P>, &mut Side<P>) {
        let [first, second] = &mut self.0;
        if side == 0 { (first, second) } else { (second, first) }
    }

    fn receive(&mut self, side: usize) -> Received<P> {
        let (own, other) = self.sides(side);
        match &mut own.line {
            Line::Memory(inbox, weight) => match inbox.pop_front() {
                Some(message) => {
                    *weight -= message.weight();
                    other.senders.nudge();
                    Received::Message(message)
                }
                None if matches!(other.line, Line::Closed) => Received::Ended,
                None => Received::Nothing,
            },
            Line::Socket(stream) => stream.receive(),
            Line::Away | Line::Closed => Received::Ended,
        }
    }

    fn put_back(&mut self, side: usize, message: P) {
        let (own, _) = self.sides(side);
        match &mut own.line {
            Line::Memory(inbox, weight) => {
                *weight += message.weight();
                inbox.push_front(message);
            }
            Line::Socket(stream) => stream.early.push_front(message),
            Line::Away | Line::Closed => {}
        }
    }

    fn send(&mut self, side: usize, message: &mut Option<P>) -> Sent {
        let (own, other) = self.sides(side);
        if let Line::Socket(stream) = &mut own.line {
            return stream.send(message);
        }
        match &mut other.line {
            Line::Memory(inbox, weight) => {
                let more = message.as_ref().map_or(0, P::weight);
                if *weight > 0 && weight.saturating_add(more) > CAPACITY {
                    return Sent::Full;
                }
                *weight += more;
                inbox.extend(message.take());
                other.receivers.nudge();
                Sent::Done
            }
            Line::Socket(_) | Line::Away | Line::Closed => Sent::Ended,
        }
    }

    fn has_more(&self, side: usize) -> bool {
        match &self.0[side].line {
            Line::Memory(inbox, _) => !inbox.is_empty() || matches!(self.0[1 - side].line, Line::Closed),
            Line::Socket(stream) => stream.has_more(),
            Line::Away | Line::Closed => true,
        }
    }
}

/// See the module.
pub struct End<P: Payload> {
    pair: Arc<Mutex<Pair<P>>>,
    side: usize,
}

impl<P: Payload> End<P> {
    /// Two ends in this program.
    pub fn pair() -> [End<P>; 2] {
        let empty = || Side::new(Line::Memory(VecDeque::new(), 0));
        let pair = Arc::new(Mutex::new(Pair([empty(), empty()])));
        [0, 1].map(|side| End { pair: pair.clone(), side })
    }

    /// An end whose other one is elsewhere.
    pub fn of(stream: Stream<P>) -> End<P> {
        let sides = [Side::new(Line::Socket(Box::new(stream))), Side::new(Line::Away)];
        End { pair: Arc::new(Mutex::new(Pair(sides))), side: 0 }
    }

    /// This object has it from now on.
    pub fn belongs_to(&self, owner: &Arc<ObjectCore>) {
        self.pair.lock().0[self.side].owner = Arc::downgrade(owner);
    }

    /// It is on its way: whoever waits at it is woken, and belongs to it no more.
    pub fn leave(&self) {
        let mut pair = self.pair.lock();
        let own = &mut pair.0[self.side];
        own.owner = Weak::new();
        own.receivers.grant_all();
        own.senders.grant_all();
    }

    /// The owners of both ends; `None` when one of them is elsewhere, on its way, or just being used.
    pub fn owners(&self) -> Option<[Arc<ObjectCore>; 2]> {
        let pair = self.pair.try_lock()?;
        let [first, second] = &pair.0;
        Some([first.owner.upgrade()?, second.owner.upgrade()?])
    }

    /// How many descriptors it takes to move it away.
    pub fn descriptors(&self) -> usize {
        let pair = self.pair.lock();
        match &pair.0[self.side].line {
            Line::Memory(..) | Line::Away | Line::Closed => 1,
            Line::Socket(stream) => 1 + stream.early.len(),
        }
    }

    /// Takes it out of this process.
    ///
    /// # Errors
    /// When a message is still on its way out; those of the system. The end stays as it is then.
    pub fn move_away(&self) -> io::Result<Moved<P>> {
        let mut pair = self.pair.lock();
        let (own, other) = pair.sides(self.side);
        if let Line::Socket(stream) = &mut own.line
            && !stream.outgoing.flush()
        {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "a message is still on its way out of it"));
        }
        let stream = match &mut own.line {
            Line::Socket(_) => match std::mem::replace(&mut own.line, Line::Closed) {
                Line::Socket(stream) => *stream,
                _ => return Err(io::ErrorKind::NotConnected.into()),
            },
            Line::Memory(..) => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                theirs.set_nonblocking(true)?;
                let mut leaving = Stream::new(Arc::new(ours.into()));
                if let Line::Memory(inbox, _) = std::mem::replace(&mut own.line, Line::Away) {
                    leaving.early = inbox;
                }
                if let Line::Memory(inbox, _) = &mut other.line {
                    let mut staying = Stream::new(Arc::new(theirs.into()));
                    staying.early = std::mem::take(inbox);
                    other.line = Line::Socket(Box::new(staying));
                }
                other.nudge_all();
                leaving
            }
            Line::Away | Line::Closed => return Err(io::ErrorKind::NotConnected.into()),
        };
        let Stream { socket, early, incoming, .. } = stream;
        let (begun, descriptors) = incoming.into_rest();
        Ok(Moved { socket, early: early.into(), begun, descriptors })
    }

    /// Receives; else enlists the waker.
    pub fn receive(&self, ticket: &mut Ticket, waker: &Waker) -> Received<P> {
        let mut pair = self.pair.lock();
        let received = pair.receive(self.side);
        self.settle(&mut pair, ticket, waker, matches!(received, Received::Nothing));
        received
    }

    /// True when receiving would not wait; else enlists the waker.
    pub fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let mut pair = self.pair.lock();
        let received = match pair.receive(self.side) {
            Received::Message(message) => {
                pair.put_back(self.side, message);
                true
            }
            Received::Nothing => false,
            // Receiving will say so.
            Received::Ended | Received::Broken(_) => true,
        };
        self.settle(&mut pair, ticket, waker, !received);
        received
    }

    fn settle(&self, pair: &mut Pair<P>, ticket: &mut Ticket, waker: &Waker, waits: bool) {
        let own = &mut pair.0[self.side];
        if waits {
            own.receivers.enlist(ticket, waker, ());
            return;
        }
        own.receivers.remove(ticket);
        if pair.has_more(self.side) {
            pair.0[self.side].receivers.nudge();
        }
    }

    /// Sends; else enlists the waker.
    pub fn send(&self, message: &mut Option<P>, ticket: &mut Ticket, waker: &Waker) -> Sent {
        let mut pair = self.pair.lock();
        let sent = pair.send(self.side, message);
        let senders = &mut pair.0[self.side].senders;
        if matches!(sent, Sent::Full) {
            senders.enlist(ticket, waker, ());
        } else {
            senders.remove(ticket);
            // There may be room for the next one too; if not, it waits on.
            senders.nudge();
        }
        sent
    }

    /// Gives up receiving.
    pub fn stop_receiving(&self, ticket: &mut Ticket) {
        let mut pair = self.pair.lock();
        pair.0[self.side].receivers.remove(ticket);
        if pair.has_more(self.side) {
            pair.0[self.side].receivers.nudge();
        }
    }

    /// Gives up sending.
    pub fn stop_sending(&self, ticket: &mut Ticket) {
        let mut pair = self.pair.lock();
        let senders = &mut pair.0[self.side].senders;
        senders.remove(ticket);
        senders.nudge();
    }

    /// What to wait for besides.
    pub fn sources(&self) -> Vec<Source> {
        match &self.pair.lock().0[self.side].line {
            Line::Socket(stream) => {
                [stream.incoming.source(), stream.outgoing.source()].into_iter().flatten().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The same for a sender, who does not care for what comes.
    pub fn sending_sources(&self) -> Vec<Source> {
        match &self.pair.lock().0[self.side].line {
            Line::Socket(stream) => stream.outgoing.source().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

impl<P: Payload> Drop for End<P> {
    fn drop(&mut self) {
        let mut pair = self.pair.lock();
        let (own, other) = pair.sides(self.side);
        let line = std::mem::replace(&mut own.line, Line::Closed);
        if let Line::Socket(stream) = &line {
            // Whoever polls it this moment still holds the descriptor.
            let _gone = shutdown(stream.socket.as_fd(), Shutdown::Both);
        }
        own.receivers.grant_all();
        own.senders.grant_all();
        other.nudge_all();
        drop(pair);
        drop(line); // ends may be in it
    }
}

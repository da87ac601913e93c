//! The three waits for a command: for its end, for a line, for room in its input.

use std::sync::Arc;
use std::task::Poll;

use super::child::{Child, Runs, State};
use super::completed::Completed;
use super::fault::CommandFault;
use super::stream::{LONGEST_LINE, Which};
use crate::kernel::{Operation, Source, Ticket, Waitable, Waker};

type Waited<T> = Result<T, CommandFault>;

/// Waits for the end of a command.
pub struct WaitEnd {
    child: Arc<Child>,
    ticket: Ticket,
}

impl WaitEnd {
    /// For the end of this command.
    pub fn new(child: &Arc<Child>) -> WaitEnd {
        WaitEnd { child: child.clone(), ticket: Ticket::default() }
    }
}

impl Operation for WaitEnd {
    type Output = Waited<Arc<Completed>>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let mut state = self.child.state.lock();
        self.child.advance(&mut state, None);
        if let Some(done) = self.child.finished(&mut state) {
            state.waiters.remove(&mut self.ticket);
            return Poll::Ready(done);
        }
        state.waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.child.state.lock().waiters.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.child.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }

    fn sources(&self) -> Vec<Source> {
        self.child.sources(false)
    }
}

/// How much is wanted of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The next line.
    Line,
    /// Whatever there is.
    Any,
}

/// Waits for a line, or for anything at all.
pub struct ReadLine {
    child: Arc<Child>,
    which: Which,
    piece: Piece,
    ticket: Ticket,
}

impl ReadLine {
    /// For the next line of one of its outputs, or for anything on it.
    pub fn new(child: &Arc<Child>, which: Which, piece: Piece) -> ReadLine {
        ReadLine { child: child.clone(), which, piece, ticket: Ticket::default() }
    }
}

impl Operation for ReadLine {
    type Output = Waited<Option<Vec<u8>>>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let mut state = self.child.state.lock();
        let taken = self.child.take_piece(&mut state, self.which, self.piece);
        if taken.is_pending() {
            state.waiters.enlist(&mut self.ticket, waker, ());
        } else {
            state.waiters.remove(&mut self.ticket);
        }
        taken
    }

    fn abandon(&mut self) {
        self.child.state.lock().waiters.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.child.clone()
    }

    fn verb(&self) -> &'static str {
        "read_line"
    }

    fn sources(&self) -> Vec<Source> {
        self.child.sources(false)
    }
}

fn not_empty(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}

impl Child {
    fn take_piece(&self, state: &mut State, which: Which, piece: Piece) -> Poll<Waited<Option<Vec<u8>>>> {
        loop {
            // What a result holds was not taken by lines; nobody has asked for it as text yet.
            let done = state.done.clone();
            let line = match &done {
                Some(done) => match piece {
                    Piece::Line => done.captured(which).take_line(LONGEST_LINE),
                    Piece::Any => done.captured(which).take().map(not_empty),
                },
                None => {
                    let stream = state.stream(which);
                    match piece {
                        Piece::Line => stream.store.take_line(LONGEST_LINE, stream.fd.is_none()),
                        Piece::Any => stream.store.take().map(not_empty),
                    }
                }
            };
            match line {
                Ok(Some(mut line)) => {
                    // A terminal ends its lines with both.
                    if piece == Piece::Line && self.spec().pty && line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    return Poll::Ready(Ok(Some(line)));
                }
                Ok(None) => {}
                Err(error) => {
                    let what = format!("cannot read the output of `{}`", self.spec().text());
                    return Poll::Ready(Err(CommandFault::System { what, error }));
                }
            }
            let mocked = matches!(state.runs, Runs::Mocked { end: None, .. });
            if done.is_some() || (state.stream(which).fd.is_none() && !mocked) {
                return Poll::Ready(Ok(None));
            }
            let before = state.stream(which).store.len();
            self.advance(state, Some(which));
            if state.stream(which).store.len() == before && state.stream(which).fd.is_some() || mocked {
                return Poll::Pending;
            }
        }
    }
}

/// Waits for room to write.
pub struct Write {
    child: Arc<Child>,
    bytes: Vec<u8>,
    written: usize,
    ticket: Ticket,
}

impl Write {
    /// For room to write all of `bytes`.
    pub fn new(child: &Arc<Child>, bytes: &[u8]) -> Write {
        Write { child: child.clone(), bytes: bytes.to_vec(), written: 0, ticket: Ticket::default() }
    }
}

impl Operation for Write {
    type Output = Waited<()>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let child = self.child.clone();
        let mut state = child.state.lock();
        match self.write_some(&state) {
            Some(outcome) => {
                state.waiters.remove(&mut self.ticket);
                Poll::Ready(outcome)
            }
            None => {
                // It may be about to write itself before it reads on.
                self.child.advance(&mut state, None);
                state.waiters.enlist(&mut self.ticket, waker, ());
                Poll::Pending
            }
        }
    }

    fn abandon(&mut self) {
        self.child.state.lock().waiters.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.child.clone()
    }

    fn verb(&self) -> &'static str {
        "write"
    }

    fn sources(&self) -> Vec<Source> {
        self.child.sources(true)
    }
}

impl Write {
    fn write_some(&mut self, state: &State) -> Option<Waited<()>> {
        let closed = || Some(Err(CommandFault::InputClosed(self.child.spec().text())));
        loop {
            if matches!(state.runs, Runs::Mocked { .. }) || self.written == self.bytes.len() {
                return Some(Ok(()));
            }
            let Some(fd) = &state.stdin else {
                return closed();
            };
            match rustix::io::write(fd, &self.bytes[self.written..]) {
                Ok(n) => self.written += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return None,
                Err(_) => return closed(),
            }
        }
    }
}

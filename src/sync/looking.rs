//! Waiting until something could be taken, without taking it: for those who take only when they know that they want it.
//!
//! Invariant: a looker takes nothing, also where it was granted something, and whoever stands behind it is told as if it had
//! never stood there. What it has seen may be gone when it comes to take it.

use std::sync::Arc;
use std::task::Poll;

use crate::kernel::{Operation, Ticket, Waitable, Waker};

/// What can be looked at.
pub trait Sight: 'static {
    /// True when taking it would not wait now; else the waker is told when that may have changed. Takes nothing.
    fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool;

    /// Gives up looking.
    fn look_away(&self, ticket: &mut Ticket);

    /// What is looked at.
    fn seen(&self) -> Arc<dyn Waitable>;
}

/// See the module.
pub struct Looking<S: Sight> {
    sight: S,
    ticket: Ticket,
}

impl<S: Sight> Looking<S> {
    /// Looks at this.
    pub fn at(sight: S) -> Looking<S> {
        Looking { sight, ticket: Ticket::default() }
    }
}

impl<S: Sight> Operation for Looking<S> {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if self.sight.look(&mut self.ticket, waker) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn abandon(&mut self) {
        self.sight.look_away(&mut self.ticket);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.sight.seen()
    }

    fn verb(&self) -> &'static str {
        "select"
    }
}

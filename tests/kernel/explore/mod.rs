//! Every primitive under every schedule of small cases: the invariants that their first comments state, time limits and
//! cancellations that meet a grant, and wrong variants that the search must find.

mod connections;
mod futures;
mod handlers;
mod interrupts;
mod locks;
mod looking;
mod planted;
mod queues;
mod signals;

use std::sync::Arc;
use std::task::Poll;

use orch::kernel::explore::every_schedule;
use orch::kernel::{Operation, Waitable, Waker, current, point};

use crate::support::spawn;

/// Runs `program` under every schedule with at most two hand-overs that were not needed; returns how many those are.
fn all<R: Send + 'static>(program: impl Fn() -> R + Clone + Send + Sync + 'static) -> usize {
    every_schedule(2, 20_000, without_alarm(program), drop)
}

/// A task that nobody wakes is told that it waits for nobody, and then tries once more. So a lost wake-up goes by if
/// nobody looks.
fn without_alarm<R>(program: impl Fn() -> R + Clone) -> impl Fn() -> R + Clone {
    move || {
        let result = program();
        assert_eq!(current().kernel().detector().told(), 0, "a lost wake-up");
        result
    }
}

/// An operation that is counted.
struct Watched<O> {
    inner: O,
    /// How often it was tried in vain.
    in_vain: usize,
    first: Option<Box<dyn FnOnce() + Send>>,
}

impl<O> Watched<O> {
    fn new(inner: O) -> Watched<O> {
        Watched { inner, in_vain: 0, first: None }
    }

    /// Calls `note` at the moment of the first try.
    fn at_first(&mut self, note: impl FnOnce() + Send + 'static) {
        self.first = Some(Box::new(note));
    }
}

impl<O: Operation> Operation for Watched<O> {
    type Output = O::Output;

    fn poll(&mut self, waker: &Waker) -> Poll<O::Output> {
        if let Some(note) = self.first.take() {
            note();
        }
        let result = self.inner.poll(waker);
        self.in_vain += usize::from(result.is_pending());
        result
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.inner.target()
    }

    fn verb(&self) -> &'static str {
        self.inner.verb()
    }
}

#[test]
fn what_a_program_leaves_behind_belongs_to_no_schedule() {
    let count = || {
        all(|| {
            for _ in 0..2 {
                spawn(|_| || (0..10).for_each(|_| point()));
            }
            point(); // and ends, with both on their way
        })
    };
    let schedules = count();
    assert!(schedules > 10, "{schedules}");
    for _ in 0..20 {
        assert_eq!(count(), schedules);
    }
}

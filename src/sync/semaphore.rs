//! A counting semaphore, bounded or not.
//!
//! Invariants: permits taken and not given back never exceed the number it began with plus those released; a bounded one
//! never has more than it began with; waiters are served strictly in order of arrival (a permit is handed to the first
//! waiter, never left for a newcomer).

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use super::looking::Sight;
use crate::kernel::events::Event;
use crate::kernel::{ObjectCore, Operation, TaskId, Ticket, WaitQueue, Waitable, Waker, block, door, with_current};

struct State {
    permits: usize,
    waiters: WaitQueue,
    /// What tasks of other simulated processes have taken, less what they have given back.
    lent: HashMap<TaskId, i64>,
}

/// See the module.
pub struct Semaphore {
    core: Arc<ObjectCore>,
    bound: Option<usize>,
    state: Mutex<State>,
}

impl Semaphore {
    /// A semaphore with `permits`.
    pub fn new(permits: usize) -> Arc<Semaphore> {
        Self::make("Semaphore", permits, None)
    }

    /// One that is never released above `permits`.
    pub fn bounded(permits: usize) -> Arc<Semaphore> {
        Self::make("BoundedSemaphore", permits, Some(permits))
    }

    fn make(kind: &'static str, permits: usize, bound: Option<usize>) -> Arc<Semaphore> {
        let core = ObjectCore::new(kind);
        Arc::new(Semaphore {
            core,
            bound,
            state: Mutex::new(State { permits, waiters: WaitQueue::default(), lent: HashMap::new() }),
        })
    }

    /// Takes a permit, waiting at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn acquire(self: &Arc<Self>, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        if self.take() {
            return Ok(());
        }
        Ok(block(&mut self.acquiring(), limit)?)
    }

    /// Takes a permit if there is one.
    pub fn try_acquire(self: &Arc<Self>) -> bool {
        door::query();
        self.take()
    }

    /// Gives `n` permits back.
    ///
    /// # Errors
    /// [`Fault::ReleasedTooOften`], and then none is given back.
    pub fn release(self: &Arc<Self>, n: usize) -> Result<(), Fault> {
        door::point();
        let mut state = self.state.lock();
        let permits = state.permits.saturating_add(n);
        if let Some(bound) = self.bound.filter(|&bound| permits > bound) {
            return Err(Fault::ReleasedTooOften(self.core.label(), bound));
        }
        state.permits = permits;
        state.serve();
        self.tell(&state);
        drop(state);
        self.note(0i64.saturating_sub_unsigned(n as u64));
        Ok(())
    }

    /// How many permits are free.
    pub fn value(&self) -> usize {
        door::query();
        self.state.lock().permits
    }

    /// True when there is none.
    pub fn locked(&self) -> bool {
        self.value() == 0
    }

    /// An operation that takes a permit.
    pub fn acquiring(self: &Arc<Self>) -> TakePermit {
        TakePermit { semaphore: self.clone(), ticket: Ticket::default() }
    }

    fn take(self: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        let free = state.permits > 0 && state.waiters.is_empty();
        if free {
            state.permits -= 1;
            self.tell(&state);
            drop(state);
            self.note(1);
        }
        free
    }

    /// The current task has taken so many, or given them back.
    fn note(self: &Arc<Self>, taken: i64) {
        let taker = with_current(|task| {
            let is_elsewhere = task.kernel().is_sim() && task.process() != self.core.home();
            is_elsewhere.then(|| task.id())
        });
        let Some(taker) = taker else {
            return;
        };
        let mut state = self.state.lock();
        let its = state.lent.entry(taker).or_default();
        *its = its.saturating_add(taken);
        if *its == 0 {
            state.lent.remove(&taker);
        }
        drop(state);
        let me: Arc<dyn Waitable> = self.clone();
        self.core.kernel().list(&me);
    }

    /// Whoever had this ticket waits no more, and passes on what it was granted.
    fn leave(&self, state: &mut State, ticket: &mut Ticket) {
        if ticket.is_enlisted() && !state.waiters.remove(ticket) {
            state.permits += 1;
            state.serve();
            self.tell(state);
        }
    }

    fn tell(&self, state: &State) {
        self.core.kernel().events().emit(|| Event::Level { object: &self.core, level: state.permits });
    }
}

impl State {
    fn serve(&mut self) {
        while self.permits > 0 && self.waiters.grant().is_some() {
            self.permits -= 1;
        }
    }
}

impl Waitable for Semaphore {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn taker_killed(&self, task: TaskId) {
        let mut state = self.state.lock();
        if let Some(count) = state.lent.remove(&task).and_then(|its| usize::try_from(its).ok()) {
            let permits = state.permits.saturating_add(count);
            // What is there already has been given back by somebody else.
            state.permits = permits.min(self.bound.unwrap_or(usize::MAX));
            state.serve();
        }
    }

    fn state(&self) -> String {
        self.state.try_lock().map_or_else(String::new, |s| format!("{} free, {} waiting", s.permits, s.waiters.len()))
    }
}

/// A permit is handed to who looks, as to anybody, and goes on to the next.
impl Sight for Arc<Semaphore> {
    fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if !ticket.is_enlisted() {
            state.waiters.enlist(ticket, waker, ());
            state.serve();
        }
        let is_granted = state.waiters.granted(ticket);
        if is_granted {
            self.leave(&mut state, ticket);
        }
        is_granted
    }

    fn look_away(&self, ticket: &mut Ticket) {
        self.leave(&mut self.state.lock(), ticket);
    }

    fn seen(&self) -> Arc<dyn Waitable> {
        self.clone()
    }
}

/// The call `acquire()`.
pub struct TakePermit {
    semaphore: Arc<Semaphore>,
    ticket: Ticket,
}

impl Operation for TakePermit {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.semaphore.state.lock();
        if !self.ticket.is_enlisted() {
            state.waiters.enlist(&mut self.ticket, waker, ());
            state.serve();
            self.semaphore.tell(&state);
        }
        match state.waiters.granted(&self.ticket) {
            true => {
                drop(state);
                self.semaphore.note(1);
                Poll::Ready(())
            }
            false => Poll::Pending,
        }
    }

    fn abandon(&mut self) {
        self.semaphore.leave(&mut self.semaphore.state.lock(), &mut self.ticket);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.semaphore.clone()
    }

    fn verb(&self) -> &'static str {
        "acquire"
    }
}

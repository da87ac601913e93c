//! A barrier for a fixed number of tasks, as Python's `threading.Barrier`.
//!
//! Invariants: tasks pass in whole groups of `parties` or not at all; in each group the indices are 0 to `parties - 1`,
//! each once; one task (the last) runs the action before any of the group goes on; a task that gives up before its group is
//! complete breaks the barrier for all of its group and for those to come, until `reset()`; one whose time is up later passes.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use crate::kernel::{ObjectCore, Operation, Stop, Ticket, WaitQueue, Waitable, Waker, block, door};

/// Those who pass together; `outcome` says how it went.
#[derive(Default)]
struct Group {
    outcome: Mutex<Option<Result<(), String>>>,
}

struct State {
    arrived: usize,
    group: Arc<Group>,
    waiters: WaitQueue,
    /// The last one of the group runs the action; newcomers wait until it is done.
    acting: bool,
    entrance: WaitQueue,
    broken: Option<String>,
}

/// See the module.
pub struct Barrier {
    core: Arc<ObjectCore>,
    parties: usize,
    state: Mutex<State>,
}

impl Barrier {
    /// A barrier for `parties` tasks, at least one.
    pub fn new(parties: usize) -> Arc<Barrier> {
        let state = State {
            arrived: 0,
            group: Arc::default(),
            waiters: WaitQueue::default(),
            acting: false,
            entrance: WaitQueue::default(),
            broken: None,
        };
        Arc::new(Barrier { core: ObjectCore::new("Barrier"), parties, state: Mutex::new(state) })
    }

    /// Waits for the others, at most `limit`, and returns which of the group it is. The last one runs `action` first.
    ///
    /// # Errors
    /// [`Fault::BrokenBarrier`], also when the time is up; [`Fault::Stopped`]; in the one that ran the action, its error.
    pub fn wait<E: From<Fault>>(
        self: &Arc<Self>,
        limit: Option<Duration>,
        action: impl FnOnce() -> Result<(), E>,
    ) -> Result<usize, E> {
        door::enter().map_err(Fault::from)?;
        let mut op = Arrive { barrier: self.clone(), ticket: Ticket::default(), place: None, broke_it: false };
        let outcome = match block(&mut op, limit) {
            // Its group was complete before: it passes with the others when the action is done.
            Err(Stop::TimedOut) if !op.broke_it => block(&mut op, None),
            outcome => outcome,
        };
        match outcome {
            Ok(Passed::Member(index)) => Ok(index),
            Ok(Passed::Last(group, index)) => self.act(&group, action).map(|()| index),
            Ok(Passed::Broken(why)) => Err(Fault::BrokenBarrier(why).into()),
            Err(Stop::TimedOut) => Err(Fault::BrokenBarrier("a wait timed out".into()).into()),
            Err(stop) => Err(Fault::from(stop).into()),
        }
    }

    fn act<E: From<Fault>>(&self, group: &Group, action: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let result = action();
        let mut state = self.state.lock();
        state.acting = false;
        state.entrance.nudge_all();
        // It may have been reset or aborted meanwhile: then the group is over, and this one goes the way of the others.
        let over = group.outcome.lock().clone();
        match (&result, over) {
            (Ok(()), None) => state.finish(Ok(())),
            (Err(_), None) => state.break_it("its action failed"),
            (Ok(()), Some(Err(why))) => return Err(Fault::BrokenBarrier(why).into()),
            (_, Some(_)) => {}
        }
        result
    }

    /// Breaks it for those who wait and makes it as new for those to come.
    pub fn reset(&self) {
        door::point();
        let mut state = self.state.lock();
        if state.arrived > 0 {
            state.finish(Err("it was reset".into()));
        }
        state.broken = None;
    }

    /// Breaks it for all until `reset()`.
    pub fn abort(&self) {
        door::point();
        self.state.lock().break_it("it was aborted");
    }

    /// How many pass together.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many wait now.
    pub fn n_waiting(&self) -> usize {
        door::query();
        let state = self.state.lock();
        if state.acting { 0 } else { state.arrived }
    }

    /// True when it is broken.
    pub fn broken(&self) -> bool {
        door::query();
        self.state.lock().broken.is_some()
    }
}

impl State {
    /// The group is complete, one way or the other: all go on, and a new one begins.
    fn finish(&mut self, outcome: Result<(), String>) {
        let group = std::mem::take(&mut self.group);
        *group.outcome.lock() = Some(outcome);
        self.arrived = 0;
        self.waiters.grant_all();
    }

    fn break_it(&mut self, why: &str) {
        self.finish(Err(why.to_string()));
        self.break_next(why);
    }

    /// Breaks it for those to come, and not for a group that is complete.
    fn break_next(&mut self, why: &str) {
        self.broken = Some(why.to_string());
        self.entrance.nudge_all();
    }
}

impl Waitable for Barrier {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        self.state.try_lock().map_or_else(String::new, |s| format!("{} of {} arrived", s.arrived, self.parties))
    }
}

enum Passed {
    Member(usize),
    Last(Arc<Group>, usize),
    Broken(String),
}

/// The call `wait()`.
struct Arrive {
    barrier: Arc<Barrier>,
    ticket: Ticket,
    /// The group it belongs to and its index there, once it is through the entrance.
    place: Option<(Arc<Group>, usize)>,
    /// It gave up before its group was complete.
    broke_it: bool,
}

impl Arrive {
    fn enter(&mut self, state: &mut State, waker: &Waker) -> Poll<Passed> {
        if let Some(why) = &state.broken {
            let why = why.clone();
            state.entrance.remove(&mut self.ticket);
            return Poll::Ready(Passed::Broken(why));
        }
        if state.acting {
            state.entrance.enlist(&mut self.ticket, waker, ());
            return Poll::Pending;
        }
        state.entrance.remove(&mut self.ticket);
        let index = state.arrived;
        state.arrived += 1;
        self.place = Some((state.group.clone(), index));
        if state.arrived == self.barrier.parties {
            state.acting = true;
            return Poll::Ready(Passed::Last(state.group.clone(), index));
        }
        state.waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }
}

impl Operation for Arrive {
    type Output = Passed;

    fn poll(&mut self, waker: &Waker) -> Poll<Passed> {
        let barrier = self.barrier.clone();
        let mut state = barrier.state.lock();
        let Some((group, index)) = &self.place else {
            return self.enter(&mut state, waker);
        };
        match &*group.outcome.lock() {
            None => {
                state.waiters.enlist(&mut self.ticket, waker, ());
                Poll::Pending
            }
            Some(Ok(())) => Poll::Ready(Passed::Member(*index)),
            Some(Err(why)) => Poll::Ready(Passed::Broken(why.clone())),
        }
    }

    fn abandon(&mut self) {
        let mut state = self.barrier.state.lock();
        let why = "one of its tasks gave up";
        match &self.place {
            None => {
                state.entrance.remove(&mut self.ticket);
                state.break_next(why);
                self.broke_it = true;
            }
            Some((group, _)) => {
                state.waiters.remove(&mut self.ticket);
                // While the action runs the group is complete and cannot be broken by one who is late.
                if group.outcome.lock().is_none() && !state.acting {
                    state.break_it(why);
                    self.broke_it = true;
                }
            }
        }
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.barrier.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

//! A lock that many may hold to read or one to write.
//!
//! Invariants: a writer is alone; a task may read again while it reads, whoever waits; else tasks are served in order of
//! arrival, so neither side starves the other; an owner that ends without releasing loses its hold, and after a writer
//! the next one is told once.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use super::looking::Sight;
use crate::kernel::events::Event;
use crate::kernel::{
    Enders, ObjectCore, Operation, Site, Task, TaskId, Ticket, WaitQueue, Waitable, Waker, block, door, with_current,
};

/// The two sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Many at a time.
    Read,
    /// One at a time.
    Write,
}

struct Hold {
    task: TaskId,
    depth: usize,
    site: Site,
}

#[derive(Default)]
struct State {
    readers: Vec<Hold>,
    writer: Option<Hold>,
    abandoned: bool,
    waiters: WaitQueue<(Side, TaskId, Site)>,
}

/// See the module.
pub struct RwLock {
    core: Arc<ObjectCore>,
    state: Mutex<State>,
}

impl RwLock {
    /// A lock that nobody holds.
    pub fn new() -> Arc<RwLock> {
        let lock = Arc::new(RwLock { core: ObjectCore::new("RwLock"), state: Mutex::default() });
        let listed: Arc<dyn Waitable> = lock.clone();
        lock.core.kernel().list(&listed);
        lock
    }

    /// Takes one side, waiting at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Stopped`]; [`Fault::Abandoned`], and then the caller holds it all the same.
    pub fn acquire(self: &Arc<Self>, side: Side, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        block(&mut self.acquiring(side), limit)?
    }

    /// Takes one side if that is possible at once.
    ///
    /// # Errors
    /// [`Fault::Abandoned`], and then the caller holds it all the same.
    pub fn try_acquire(&self, side: Side) -> Result<bool, Fault> {
        door::query();
        let taken = with_current(|task| {
            let mut state = self.state.lock();
            let again = state.again(side, task.id());
            let free = !again && state.waiters.is_empty() && state.admits(side);
            if free {
                state.take(side, task.id(), task.site());
                task.took();
                task.kernel().events().emit(|| Event::Acquired { task, object: &self.core, site: task.site() });
            }
            again || free
        });
        if taken {
            self.taken()?;
        }
        Ok(taken)
    }

    /// Gives one side back.
    ///
    /// # Errors
    /// [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn release(&self, side: Side) -> Result<(), Fault> {
        door::point();
        with_current(|task| {
            let mut state = self.state.lock();
            let Some(last) = state.give(side, task.id()) else {
                return Err(self.not_mine(&state, side));
            };
            if last {
                task.gave_back();
                task.kernel().events().emit(|| Event::Released { task, object: &self.core });
                state.serve(&self.core);
            }
            Ok(())
        })
    }

    /// True when somebody holds that side.
    pub fn locked(&self, side: Side) -> bool {
        door::query();
        let state = self.state.lock();
        match side {
            Side::Read => !state.readers.is_empty(),
            Side::Write => state.writer.is_some(),
        }
    }

    /// An operation that takes one side.
    pub fn acquiring(self: &Arc<Self>, side: Side) -> TakeSide {
        TakeSide { lock: self.clone(), side, ticket: Ticket::default() }
    }

    fn taken(&self) -> Result<(), Fault> {
        if std::mem::take(&mut self.state.lock().abandoned) {
            return Err(Fault::Abandoned(self.core.label()));
        }
        Ok(())
    }

    /// Whoever had this ticket waits no more, and passes on what it was granted.
    fn leave(&self, state: &mut State, side: Side, ticket: &mut Ticket) {
        if ticket.is_enlisted() && !state.waiters.remove(ticket) {
            with_current(|task| {
                task.gave_back();
                task.kernel().events().emit(|| Event::Released { task, object: &self.core });
                state.give(side, task.id());
            });
        }
        // A writer that stood in the way may have been the one who gave up.
        state.serve(&self.core);
    }

    fn not_mine(&self, state: &State, side: Side) -> Fault {
        let holder = match side {
            Side::Read => state.readers.first(),
            Side::Write => state.writer.as_ref(),
        };
        match holder.and_then(|h| self.core.kernel().task(h.task)) {
            Some(task) => Fault::NotOwner(self.core.label(), task.name().to_string()),
            None => Fault::NotHeld(self.core.label()),
        }
    }
}

impl State {
    fn admits(&self, side: Side) -> bool {
        self.writer.is_none() && (side == Side::Read || self.readers.is_empty())
    }

    /// A task that reads may read again.
    fn again(&mut self, side: Side, task: TaskId) -> bool {
        let mine = self.readers.iter_mut().find(|h| side == Side::Read && h.task == task);
        mine.map(|h| h.depth += 1).is_some()
    }

    fn take(&mut self, side: Side, task: TaskId, site: Site) {
        let hold = Hold { task, depth: 1, site };
        match side {
            Side::Read => self.readers.push(hold),
            Side::Write => self.writer = Some(hold),
        }
    }

    /// `Some(true)` when the task no longer holds that side, `None` when it never did.
    fn give(&mut self, side: Side, task: TaskId) -> Option<bool> {
        match side {
            Side::Write => self.writer.take_if(|h| h.task == task).map(|_| true),
            Side::Read => {
                let at = self.readers.iter().position(|h| h.task == task)?;
                self.readers[at].depth -= 1;
                let last = self.readers[at].depth == 0;
                if last {
                    self.readers.remove(at);
                }
                Some(last)
            }
        }
    }

    fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.readers.iter().chain(&self.writer)
    }

    fn serve(&mut self, core: &ObjectCore) {
        while let Some(&(side, task, site)) = self.waiters.front() {
            if !self.admits(side) {
                return;
            }
            self.take(side, task, site);
            if let Some(task) = core.kernel().task(task) {
                task.took();
                core.kernel().events().emit(|| Event::Acquired { task: &task, object: core, site });
            }
            self.waiters.grant();
        }
    }

    fn owner_ended(&mut self, task: TaskId) {
        self.readers.retain(|h| h.task != task);
        if self.writer.take_if(|h| h.task == task).is_some() {
            self.abandoned = true;
        }
    }
}

impl Waitable for RwLock {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        match self.state.try_lock() {
            None => Enders::Somebody,
            Some(state) => Enders::AllOf(state.holds().map(|h| h.task).collect()),
        }
    }

    fn owners(&self) -> Vec<(TaskId, Site)> {
        let Some(state) = self.state.try_lock() else {
            return Vec::new();
        };
        state.holds().map(|h| (h.task, h.site)).collect()
    }

    fn owner_ended(&self, task: TaskId) {
        let mut state = self.state.lock();
        state.owner_ended(task);
        state.serve(&self.core);
    }

    fn state(&self) -> String {
        let Some(state) = self.state.try_lock() else {
            return String::new();
        };
        let writing = if state.writer.is_some() { "writing" } else { "not writing" };
        format!("{} reading, {writing}, {} waiting", state.readers.len(), state.waiters.len())
    }
}

/// The lock as one waiter sees it. A reader that waits while others read stands behind a writer, and that one may give up:
/// then it matters no more what the others do.
struct Place {
    lock: Arc<RwLock>,
    side: Side,
    task: TaskId,
}

impl Waitable for Place {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.lock.core
    }

    fn enders(&self) -> Enders {
        match self.lock.state.try_lock() {
            None => Enders::Somebody,
            Some(state) if self.side == Side::Read && state.writer.is_none() => {
                let before = state.waiters.tags().take_while(|w| w.1 != self.task);
                let writers = before.filter(|w| w.0 == Side::Write);
                Enders::AllOf(writers.map(|w| w.1).collect())
            }
            Some(state) => Enders::AllOf(state.holds().map(|h| h.task).collect()),
        }
    }

    fn owners(&self) -> Vec<(TaskId, Site)> {
        self.lock.owners()
    }

    fn state(&self) -> String {
        Waitable::state(&*self.lock)
    }
}

/// One side, to look at. It is handed to who looks, as to anybody, and goes on to the next.
pub struct SideSight {
    /// The lock.
    pub lock: Arc<RwLock>,
    /// Which side.
    pub side: Side,
}

impl Sight for SideSight {
    fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let (lock, side) = (&self.lock, self.side);
        let mut state = lock.state.lock();
        with_current(|task| {
            if side == Side::Read && state.readers.iter().any(|hold| hold.task == task.id()) {
                return true;
            }
            if !ticket.is_enlisted() {
                state.waiters.enlist(ticket, waker, (side, task.id(), task.site()));
                state.serve(&lock.core);
            }
            state.waiters.granted(ticket)
        }) && {
            lock.leave(&mut state, side, ticket);
            true
        }
    }

    fn look_away(&self, ticket: &mut Ticket) {
        self.lock.leave(&mut self.lock.state.lock(), self.side, ticket);
    }

    fn seen(&self) -> Arc<dyn Waitable> {
        Arc::new(Place { lock: self.lock.clone(), side: self.side, task: with_current(|task| task.id()) })
    }
}

/// The call `acquire()` of one side.
pub struct TakeSide {
    lock: Arc<RwLock>,
    side: Side,
    ticket: Ticket,
}

impl TakeSide {
    fn begin(&mut self, state: &mut State, task: &Task, waker: &Waker) -> bool {
        if state.again(self.side, task.id()) {
            return true;
        }
        state.waiters.enlist(&mut self.ticket, waker, (self.side, task.id(), task.site()));
        state.serve(&self.lock.core);
        false
    }
}

impl Operation for TakeSide {
    type Output = Result<(), Fault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let lock = self.lock.clone();
        let mut state = lock.state.lock();
        let again = !self.ticket.is_enlisted() && with_current(|task| self.begin(&mut state, task, waker));
        if !again && !state.waiters.granted(&self.ticket) {
            return Poll::Pending;
        }
        drop(state);
        Poll::Ready(lock.taken())
    }

    fn abandon(&mut self) {
        self.lock.leave(&mut self.lock.state.lock(), self.side, &mut self.ticket);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        Arc::new(Place { lock: self.lock.clone(), side: self.side, task: with_current(|task| task.id()) })
    }

    fn verb(&self) -> &'static str {
        match self.side {
            Side::Read => "read().acquire",
            Side::Write => "write().acquire",
        }
    }
}

//! A lock with an owner, plain or re-entrant.
//!
//! Invariants: at most one task owns it; only the owner releases it; an owner that ends without releasing loses it, and
//! the next one is told once. Nobody is overtaken twice: a waiter that was woken and came too late has priority from then
//! on (a newcomer may be quicker than a waiter once, or each hand-over would cost a switch of threads).
//!
//! The word holds the owner's number and a bit that says somebody waits; uncontended acquire and release are one
//! compare-and-swap each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use super::lock_state::{CONTENDED, LockState, MOVED, Place, Slab};
use super::looking::Sight;
use crate::kernel::events::Event;
use crate::kernel::{
    Enders, ObjectCore, Operation, Site, Task, TaskId, Ticket, WaitQueue, Waitable, Waker, block, door, with_current,
};

/// See the module.
pub struct Lock {
    core: Arc<ObjectCore>,
    reentrant: bool,
    own: [AtomicU64; 4],
    /// Where its state has moved to, once other processes have it.
    shared: OnceLock<Place>,
    waiters: Mutex<WaitQueue>,
}

impl Lock {
    /// A lock that its owner cannot take twice.
    pub fn new() -> Arc<Lock> {
        Self::make("Lock", false)
    }

    /// A lock that counts how often its owner took it.
    pub fn reentrant() -> Arc<Lock> {
        Self::make("RLock", true)
    }

    /// A plain lock that is part of something else, which reports call it by.
    pub fn of_kind(kind: &'static str) -> Arc<Lock> {
        Self::make(kind, false)
    }

    fn make(kind: &'static str, reentrant: bool) -> Arc<Lock> {
        let lock = Self::unlisted(kind, reentrant);
        let listed: Arc<dyn Waitable> = lock.clone();
        lock.core.kernel().list(&listed);
        lock
    }

    fn unlisted(kind: &'static str, reentrant: bool) -> Arc<Lock> {
        Arc::new(Lock {
            core: ObjectCore::new(kind),
            reentrant,
            own: Default::default(),
            shared: OnceLock::new(),
            waiters: Mutex::default(),
        })
    }

    /// Takes it, waiting at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Stopped`]; [`Fault::Abandoned`], and then the caller owns it all the same.
    pub fn acquire(self: &Arc<Self>, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        if with_current(|task| self.take_free(task) || self.take_again(task) || self.take_soon(task)) {
            return self.taken();
        }
        block(&mut Acquire::new(self), limit)?
    }

    /// Takes it if that is possible at once.
    ///
    /// # Errors
    /// [`Fault::Abandoned`], and then the caller owns it all the same.
    pub fn try_acquire(self: &Arc<Self>) -> Result<bool, Fault> {
        door::query();
        let taken = with_current(|task| {
            self.take_free(task) || self.take_again(task) || self.take_slowly(task, &mut Ticket::default())
        });
        if taken {
            self.taken()?;
        }
        Ok(taken)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn release(&self) -> Result<(), Fault> {
        door::point();
        with_current(|task| {
            self.must_own(task.id())?;
            let depth = self.state_now().depth();
            if depth.load(Ordering::Relaxed) > 1 {
                depth.fetch_sub(1, Ordering::Relaxed);
                return Ok(());
            }
            self.let_go(task);
            Ok(())
        })
    }

    /// True when somebody owns it.
    pub fn locked(&self) -> bool {
        door::query();
        self.owner().is_some()
    }

    /// True when the current task owns it.
    pub fn is_mine(&self) -> bool {
        with_current(|task| self.owner() == Some(task.id()))
    }

    /// The owner.
    pub fn owner(&self) -> Option<TaskId> {
        owner_in(self.load(Ordering::Acquire))
    }

    /// # Errors
    /// When the current task does not own it: [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn must_be_mine(&self) -> Result<(), Fault> {
        with_current(|task| self.must_own(task.id()))
    }

    /// # Errors
    /// [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub(super) fn must_own(&self, task: TaskId) -> Result<(), Fault> {
        match self.owner() {
            Some(owner) if owner == task => Ok(()),
            None => Err(Fault::NotHeld(self.core.label())),
            Some(owner) => {
                let name = self.core.kernel().task(owner).map_or_else(|| "a thread that ended".into(), |t| t.name());
                Err(Fault::NotOwner(self.core.label(), name.to_string()))
            }
        }
    }

    /// Gives it back however often it was taken; returns how often.
    pub(super) fn release_fully(&self, task: &Arc<Task>) -> u64 {
        let depth = self.state_now().depth().load(Ordering::Relaxed);
        self.let_go(task);
        depth
    }

    /// Takes it back after [`Lock::release_fully`], whatever happens meanwhile.
    ///
    /// # Errors
    /// As [`Lock::acquire`], for the end of the program and deadlocks only.
    pub(super) fn take_back(self: &Arc<Self>, depth: u64) -> Result<(), Fault> {
        let taken = match with_current(|task| self.take_free(task)) {
            true => self.taken(),
            false => door::block_through(&mut Acquire::new(self), None)?,
        };
        self.state_now().depth().store(depth, Ordering::Relaxed);
        taken
    }

    /// An operation that takes it, for [`super::select`].
    pub fn acquiring(self: &Arc<Self>) -> Acquire {
        Acquire::new(self)
    }

    /// What follows each successful take.
    fn taken(&self) -> Result<(), Fault> {
        if self.state_now().was_abandoned() {
            return Err(Fault::Abandoned(self.core.label()));
        }
        Ok(())
    }

    /// Its state, where it lies now.
    fn state_now(&self) -> LockState<'_> {
        match self.own[0].load(Ordering::Acquire) {
            MOVED => self.shared.get().expect("invariant: set before it moves").state(),
            _ => LockState::of(&self.own),
        }
    }

    /// The word, where it lies now.
    fn load(&self, ordering: Ordering) -> u64 {
        match self.own[0].load(Ordering::Acquire) {
            MOVED => self.state_now().word().load(ordering),
            word => word,
        }
    }

    /// Moves its state to where other processes can see it: the number of the place. `None` when there is no place left, or
    /// somebody has it or waits for it just now.
    pub fn share(&self, slab: &Arc<Slab>) -> Option<u32> {
        // Whoever waits, and whoever begins to wait, holds this.
        let waiters = self.waiters.lock();
        if self.shared.get().is_none() {
            // Nobody else sets it.
            let _set = self.shared.set(slab.take()?);
        }
        let place = self.shared.get()?;
        if self.own[0].load(Ordering::Acquire) != MOVED {
            place.state().abandoned().store(self.own[3].load(Ordering::Acquire), Ordering::Release);
            let free = waiters.is_empty();
            let moved = || self.own[0].compare_exchange(0, MOVED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if !free || !moved() {
                return None;
            }
            // Whoever took and lost it between the two looks at it.
            place.state().abandoned().fetch_or(self.own[3].load(Ordering::Acquire), Ordering::AcqRel);
        }
        Some(place.number())
    }

    /// True when its owner can take it again.
    pub fn is_reentrant(&self) -> bool {
        self.reentrant
    }

    fn take_free(&self, task: &Task) -> bool {
        let taken = self.state_now().take_free(task.id().0, task.site().to_bits());
        if taken {
            self.note(task);
        }
        taken
    }

    /// Looks a moment whether its owner, on another processor, gives it back: to stand in line costs both of them more.
    /// Not when somebody stands there already, who would be overtaken.
    fn take_soon(&self, task: &Task) -> bool {
        for _ in 0..door::pauses() {
            let word = self.load(Ordering::Relaxed);
            if word == 0 && self.take_free(task) {
                return true;
            }
            if word & CONTENDED != 0 {
                return false;
            }
            std::hint::spin_loop();
        }
        false
    }

    fn take_again(&self, task: &Task) -> bool {
        self.reentrant && self.state_now().take_again(task.id().0)
    }

    /// Takes it with the queue in view: only whom nobody has priority over.
    fn take_slowly(&self, task: &Task, ticket: &mut Ticket) -> bool {
        let mut waiters = self.waiters.lock();
        self.take_from(&mut waiters, task, ticket)
    }

    fn take_from(&self, waiters: &mut WaitQueue, task: &Task, ticket: &mut Ticket) -> bool {
        if waiters.front_has_priority() && !waiters.is_front(ticket) {
            return false;
        }
        // It does not move meanwhile.
        let state = self.state_now();
        let mut word = state.word().load(Ordering::Acquire);
        loop {
            if owner_in(word).is_some() {
                return false;
            }
            let others = waiters.len() > usize::from(ticket.is_enlisted());
            let new = task.id().0 << 1 | u64::from(others);
            match state.word().compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        waiters.remove(ticket);
        state.depth().store(1, Ordering::Relaxed);
        state.site().store(task.site().to_bits(), Ordering::Relaxed);
        self.note(task);
        true
    }

    fn enlist(&self, waiters: &mut WaitQueue, ticket: &mut Ticket, waker: &Waker) {
        waiters.enlist(ticket, waker, ());
        // From here on a release looks at the queue, so none can be missed.
        self.state_now().word().fetch_or(CONTENDED, Ordering::AcqRel);
    }

    /// Whoever had this ticket waits no more.
    fn leave(&self, waiters: &mut WaitQueue, ticket: &mut Ticket) {
        waiters.remove(ticket);
        // It may have been the one that a release woke.
        if self.owner().is_none() {
            waiters.nudge();
        }
    }

    fn note(&self, task: &Task) {
        task.took();
        task.kernel().events().emit(|| Event::Acquired { task, object: &self.core, site: task.site() });
    }

    fn let_go(&self, task: &Task) {
        task.gave_back();
        task.kernel().events().emit(|| Event::Released { task, object: &self.core });
        self.free(task.id());
    }

    fn free(&self, owner: TaskId) {
        // It does not move while somebody owns it.
        let word = self.state_now().word();
        if word.compare_exchange(owner.0 << 1, 0, Ordering::Release, Ordering::Relaxed).is_ok() {
            return;
        }
        let waiters = self.waiters.lock();
        word.store(if waiters.is_empty() { 0 } else { CONTENDED }, Ordering::Release);
        waiters.nudge();
    }
}

fn owner_in(word: u64) -> Option<TaskId> {
    (word >> 1 != 0).then_some(TaskId(word >> 1))
}

impl Waitable for Lock {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::AllOf(self.owner().into_iter().collect())
    }

    fn owners(&self) -> Vec<(TaskId, Site)> {
        let site = Site::from_bits(self.state_now().site().load(Ordering::Relaxed));
        self.owner().map(|owner| (owner, site)).into_iter().collect()
    }

    fn owner_ended(&self, task: TaskId) {
        if self.owner() == Some(task) {
            self.state_now().abandoned().store(1, Ordering::Release);
            if let Some(task) = self.core.kernel().task(task) {
                self.core.kernel().events().emit(|| Event::Released { task: &task, object: &self.core });
            }
            self.free(task);
        }
    }

    fn state(&self) -> String {
        let waiting = self.waiters.try_lock().map_or(0, |w| w.len());
        match (self.owner(), waiting) {
            (None, 0) => "free".into(),
            (None, n) => format!("free, {n} waiting"),
            (Some(_), 0) => "locked".into(),
            (Some(_), n) => format!("locked, {n} waiting"),
        }
    }
}

impl Sight for Arc<Lock> {
    fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let mut waiters = self.waiters.lock();
        if !ticket.is_enlisted() {
            self.enlist(&mut waiters, ticket, waker);
        }
        let stands_behind = waiters.front_has_priority() && !waiters.is_front(ticket);
        let is_free = (self.owner().is_none() && !stands_behind) || (self.reentrant && self.is_mine());
        if is_free {
            self.leave(&mut waiters, ticket);
        }
        is_free
    }

    fn look_away(&self, ticket: &mut Ticket) {
        self.leave(&mut self.waiters.lock(), ticket);
    }

    fn seen(&self) -> Arc<dyn Waitable> {
        self.clone()
    }
}

/// The call `acquire()`.
pub struct Acquire {
    lock: Arc<Lock>,
    ticket: Ticket,
}

impl Acquire {
    fn new(lock: &Arc<Lock>) -> Acquire {
        Acquire { lock: lock.clone(), ticket: Ticket::default() }
    }
}

impl Operation for Acquire {
    type Output = Result<(), Fault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let lock = &self.lock;
        with_current(|task| {
            if lock.take_again(task) {
                return Poll::Ready(Ok(()));
            }
            let mut waiters = lock.waiters.lock();
            if !self.ticket.is_enlisted() {
                lock.enlist(&mut waiters, &mut self.ticket, waker);
            } else {
                waiters.was_overtaken(&self.ticket);
            }
            match lock.take_from(&mut waiters, task, &mut self.ticket) {
                true => Poll::Ready(lock.taken()),
                false => Poll::Pending,
            }
        })
    }

    fn abandon(&mut self) {
        self.lock.leave(&mut self.lock.waiters.lock(), &mut self.ticket);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.lock.clone()
    }

    fn verb(&self) -> &'static str {
        "acquire"
    }
}

//! Queues: first in first out, last in first out, smallest first.
//!
//! Invariants: what was put comes out once, or is still there; never more than `maxsize` items are in it; a put that
//! succeeded comes before the close, so `Closed` from a get means that nothing is left (unless it is put back); a waiter is overtaken by
//! newcomers at most once.
//!
//! The items of a FIFO queue lie in a crossbeam channel. `word` counts the items that are in or on their way in, and has
//! the bit that says "closed", so that both change together.

use std::cmp::Ordering as Compared;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::fault::Fault;
use super::loan::{Lending, Lent};
use super::lock_state::Place;
use super::looking::Sight;
use super::ordered::Ordered;
use crate::kernel::events::Event;
use crate::kernel::{ObjectCore, Operation, Stop, Task, Ticket, WaitQueue, Waitable, Waker, block, door, with_current};

const CLOSED: usize = 1;
const ONE: usize = 2;

/// Compares two items, or says why they do not compare.
pub type Comparison<T> = fn(&T, &T) -> Result<Compared, String>;

/// In which order items come out.
pub enum Order<T> {
    /// First in, first out.
    Fifo,
    /// Last in, first out.
    Lifo,
    /// Smallest first; equal ones in the order they were put.
    Priority(Comparison<T>),
}

/// An item with its number: 0 where nobody listened when it was put.
type Numbered<T> = (u64, T);

enum Store<T> {
    Fifo(Sender<Numbered<T>>, Receiver<Numbered<T>>),
    Lifo(Mutex<Vec<Numbered<T>>>),
    Priority(Mutex<Ordered<Numbered<T>>>, Comparison<T>),
}

impl<T> Store<T> {
    fn new(order: Order<T>) -> Store<T> {
        match order {
            Order::Fifo => {
                let (sender, receiver) = unbounded();
                Store::Fifo(sender, receiver)
            }
            Order::Lifo => Store::Lifo(Mutex::default()),
            Order::Priority(compare) => Store::Priority(Mutex::default(), compare),
        }
    }

    fn push(&self, item: Numbered<T>) -> Result<(), Fault> {
        match self {
            Store::Fifo(sender, _) => {
                let sent = sender.try_send(item);
                debug_assert!(sent.is_ok(), "invariant: an unbounded channel whose receiver is beside it takes all");
            }
            Store::Lifo(items) => items.lock().push(item),
            Store::Priority(items, compare) => {
                items.lock().put(item, |one, other| compare(&one.1, &other.1)).map_err(Fault::Incomparable)?;
            }
        }
        Ok(())
    }

    fn pop(&self) -> Option<Numbered<T>> {
        match self {
            Store::Fifo(_, receiver) => receiver.try_recv().ok(),
            Store::Lifo(items) => items.lock().pop(),
            Store::Priority(items, _) => items.lock().take(),
        }
    }
}

/// Those who wait on one side of the queue; the atomics let the other side pass by when nobody does.
#[derive(Default)]
struct Side {
    waiters: Mutex<WaitQueue>,
    count: AtomicUsize,
    priority: AtomicBool,
}

impl Side {
    fn note(&self, waiters: &WaitQueue) {
        self.count.store(waiters.len(), Ordering::SeqCst);
        self.priority.store(waiters.front_has_priority(), Ordering::SeqCst);
    }

    /// After something changed on the other side. What changed is `word`, sequentially consistent as `count` is: either
    /// this sees the waiter, or the waiter, who looks at `word` once more when it is counted, sees the change.
    fn nudge(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            self.waiters.lock().nudge();
        }
    }

    fn open_to_newcomers(&self) -> bool {
        !self.priority.load(Ordering::Relaxed)
    }

    /// One poll of a waiting call: `attempt` tries, `more` says whether the next waiter could succeed too.
    fn poll<R>(
        &self,
        ticket: &mut Ticket,
        waker: &Waker,
        mut attempt: impl FnMut() -> Option<R>,
        more: impl Fn() -> bool,
    ) -> Poll<R> {
        let mut waiters = self.waiters.lock();
        let newcomer = !ticket.is_enlisted();
        if newcomer {
            waiters.enlist(ticket, waker, ());
            self.note(&waiters);
        }
        let stands_behind = waiters.front_has_priority() && !waiters.is_front(ticket);
        match if stands_behind { None } else { attempt() } {
            Some(result) => {
                waiters.remove(ticket);
                self.note(&waiters);
                if more() {
                    waiters.nudge();
                }
                Poll::Ready(result)
            }
            None => {
                if !newcomer {
                    waiters.was_overtaken(ticket);
                    self.note(&waiters);
                }
                Poll::Pending
            }
        }
    }

    fn leave(&self, ticket: &mut Ticket, more: bool) {
        let mut waiters = self.waiters.lock();
        waiters.remove(ticket);
        self.note(&waiters);
        if more {
            waiters.nudge();
        }
    }
}

/// See the module.
pub struct Queue<T> {
    core: Arc<ObjectCore>,
    maxsize: Option<usize>,
    store: Store<T>,
    /// What another process may take. It counts as being in the queue until it is taken.
    lent: Lent<(u64, T)>,
    word: AtomicUsize,
    /// The number of the last item that was put while somebody listened to events.
    numbered: AtomicU64,
    unfinished: AtomicUsize,
    getters: Side,
    putters: Side,
    joiners: Mutex<WaitQueue>,
}

impl<T: Send + 'static> Queue<T> {
    /// A queue of `kind` for at most `maxsize` items.
    pub fn new(kind: &'static str, order: Order<T>, maxsize: Option<usize>) -> Arc<Queue<T>> {
        let queue = Arc::new(Queue {
            core: ObjectCore::new(kind),
            maxsize,
            store: Store::new(order),
            lent: Lent::default(),
            word: AtomicUsize::new(0),
            numbered: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            getters: Side::default(),
            putters: Side::default(),
            joiners: Mutex::default(),
        });
        let listed: Arc<dyn Waitable> = queue.clone();
        queue.core.kernel().list(&listed);
        queue
    }

    /// Puts an item in, waiting at most `limit` while it is full.
    ///
    /// # Errors
    /// [`Fault::Full`] when the time is up, [`Fault::Closed`], [`Fault::Incomparable`], [`Fault::Stopped`].
    pub fn put(self: &Arc<Self>, item: T, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        let mut item = Some(item);
        if self.putters.open_to_newcomers()
            && let Some(result) = self.try_push(&mut item)
        {
            return self.after_push(result);
        }
        match block(&mut Put { queue: self.clone(), ticket: Ticket::default(), item }, limit) {
            Ok(result) => result,
            Err(Stop::TimedOut) => Err(Fault::Full(self.core.label())),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Puts an item in if there is room: false when not.
    ///
    /// # Errors
    /// [`Fault::Closed`], [`Fault::Incomparable`].
    pub fn try_put(&self, item: T) -> Result<bool, Fault> {
        door::query();
        let mut item = Some(item);
        if !self.putters.open_to_newcomers() {
            return if self.is_closed() { Err(Fault::Closed(self.core.label())) } else { Ok(false) };
        }
        self.try_push(&mut item).map_or(Ok(false), |result| self.after_push(result).map(|()| true))
    }

    /// Takes the next item, waiting at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Empty`] when the time is up, [`Fault::Closed`] when it is closed and drained, [`Fault::Stopped`].
    pub fn get(self: &Arc<Self>, limit: Option<Duration>) -> Result<T, Fault> {
        door::enter()?;
        if self.getters.open_to_newcomers()
            && let Some(result) = self.try_pop()
        {
            return self.after_pop(result);
        }
        match block(&mut self.getting(), limit) {
            Ok(result) => result,
            Err(Stop::TimedOut) => Err(Fault::Empty(self.core.label())),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Takes the next item if there is one.
    ///
    /// # Errors
    /// [`Fault::Empty`], [`Fault::Closed`].
    pub fn try_get(&self) -> Result<T, Fault> {
        door::query();
        let found = if self.getters.open_to_newcomers() { self.try_pop() } else { None };
        match found {
            Some(result) => self.after_pop(result),
            None => Err(Fault::Empty(self.core.label())),
        }
    }

    /// Takes the next item, also from before those who wait for it: for whoever clears the queue.
    pub fn take_away(&self) -> Option<T> {
        door::query();
        self.try_pop().and_then(|result| self.after_pop(result).ok())
    }

    /// Puts an item in again that was taken out: also where the queue is closed or full.
    ///
    /// # Errors
    /// [`Fault::Incomparable`].
    pub fn put_back(&self, item: T) -> Result<(), Fault> {
        door::query();
        let before = self.word.fetch_add(ONE, Ordering::SeqCst);
        let result = self.push_reserved(&mut Some(item), before / ONE + 1);
        self.after_push(result)
    }

    /// An operation that takes the next item.
    pub fn getting(self: &Arc<Self>) -> Get<T> {
        Get { queue: self.clone(), ticket: Ticket::default(), idle: false }
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        door::query();
        self.lent.count(|taken| self.is_gone(taken));
        self.word.load(Ordering::Acquire) / ONE
    }

    /// True when no item is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when a put would have to wait.
    pub fn is_full(&self) -> bool {
        self.maxsize.is_some_and(|max| self.len() >= max)
    }

    /// How many items it takes.
    pub fn maxsize(&self) -> Option<usize> {
        self.maxsize
    }

    /// True when it takes every item at once: it has no bound, compares nothing and is open.
    pub fn takes_all(&self) -> bool {
        self.maxsize.is_none() && !matches!(self.store, Store::Priority(..)) && !self.is_closed()
    }

    /// Another process gets it: items may be lent from now on.
    pub fn share(&self) {
        self.lent.share();
    }

    /// Lends the next items to the process that has `place`: who gets one after the other need not ask for each. Only where
    /// nothing is changed by that: nobody waits, nobody listens, and there is no bound that would be noticed.
    pub fn lend(&self, place: &Arc<Place>, mut copy: impl FnMut(&T) -> Option<Vec<u8>>) -> Option<Lending> {
        let is_of_use = self.maxsize.is_none()
            && matches!(self.store, Store::Fifo(..))
            && self.getters.count.load(Ordering::SeqCst) == 0
            && !self.core.kernel().events().on();
        if !is_of_use {
            return None;
        }
        self.lent.lend(place, |taken| self.is_gone(taken), || self.store.pop(), |(_, item)| copy(item))
    }

    /// Takes back what was lent and is still there.
    pub fn call_loan_back(&self) {
        self.lent.call_back(|taken| self.is_gone(taken));
        self.getters.nudge();
    }

    fn is_gone(&self, taken: usize) {
        self.word.fetch_sub(taken * ONE, Ordering::SeqCst);
    }

    /// True after [`Queue::close`].
    pub fn is_closed(&self) -> bool {
        door::query();
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// No more items go in; those that are in it can still be taken.
    pub fn close(&self) {
        door::point();
        self.word.fetch_or(CLOSED, Ordering::SeqCst);
        self.getters.waiters.lock().nudge_all();
        self.putters.waiters.lock().nudge_all();
    }

    /// One of the items that were put has been dealt with.
    ///
    /// # Errors
    /// [`Fault::DoneTooOften`].
    pub fn task_done(&self) -> Result<(), Fault> {
        door::point();
        match self.one_less_unfinished() {
            true => Ok(()),
            false => Err(Fault::DoneTooOften(self.core.label())),
        }
    }

    fn one_less_unfinished(&self) -> bool {
        let before = self.unfinished.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        if before == Ok(1) {
            self.joiners.lock().grant_all();
        }
        before.is_ok()
    }

    /// Waits until all items that were put have been dealt with, at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn join(self: &Arc<Self>, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        Ok(block(&mut Join { queue: self.clone(), ticket: Ticket::default() }, limit)?)
    }

    /// `None` when there is no room. The other side is told by [`Queue::after_push`], when no lock of this side is held:
    /// two tasks, each with the lock of its side, must not want the other's.
    fn try_push(&self, item: &mut Option<T>) -> Option<Result<(), Fault>> {
        let max = self.maxsize.unwrap_or(usize::MAX / ONE);
        let reserved = self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
            (word & CLOSED == 0 && word / ONE < max).then_some(word + ONE)
        });
        match reserved {
            Err(word) if word & CLOSED != 0 => Some(Err(Fault::Closed(self.core.label()))),
            Err(_) => None,
            Ok(before) => Some(self.push_reserved(item, before / ONE + 1)),
        }
    }

    fn push_reserved(&self, item: &mut Option<T>, size: usize) -> Result<(), Fault> {
        let item = item.take().expect("invariant: an operation puts its item once");
        self.unfinished.fetch_add(1, Ordering::AcqRel);
        let number =
            if self.core.kernel().events().on() { self.numbered.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        // Before anybody can take it out again.
        self.tell(|task, object| Event::Put { task, object, item: number, size });
        if let Err(fault) = self.store.push((number, item)) {
            self.word.fetch_sub(ONE, Ordering::SeqCst);
            // It counted for a moment, and somebody may have begun to join meanwhile.
            self.one_less_unfinished();
            return Err(fault);
        }
        Ok(())
    }

    fn after_push(&self, result: Result<(), Fault>) -> Result<(), Fault> {
        match &result {
            Ok(()) => self.getters.nudge(),
            // The place it had for a moment is free again.
            Err(_) => self.putters.nudge(),
        }
        result
    }

    fn after_pop(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        if self.maxsize.is_some() && result.is_ok() {
            self.putters.nudge();
        }
        result
    }

    /// `None` when there is nothing to take. The other side is told by [`Queue::after_pop`], as with [`Queue::try_push`].
    fn try_pop(&self) -> Option<Result<T, Fault>> {
        loop {
            if let Some((number, item)) = self.lent.pop(|taken| self.is_gone(taken), || self.store.pop()) {
                let size = self.word.fetch_sub(ONE, Ordering::SeqCst) / ONE - 1;
                self.tell(|task, object| Event::Got { task, object, item: number, size });
                return Some(Ok(item));
            }
            match self.word.load(Ordering::SeqCst) {
                0 => return None,
                CLOSED => return Some(Err(Fault::Closed(self.core.label()))),
                // An item is on its way in: its place is reserved, and the push follows at once.
                _ => std::hint::spin_loop(),
            }
        }
    }

    fn tell(&self, event: impl for<'a> FnOnce(&'a Task, &'a ObjectCore) -> Event<'a>) {
        if self.core.kernel().events().on() {
            with_current(|task| self.core.kernel().events().emit(|| event(task, &self.core)));
        }
    }
}

impl<T: Send + 'static> Waitable for Queue<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn depth(&self) -> Option<usize> {
        Some(self.word.load(Ordering::Relaxed) / ONE)
    }

    fn state(&self) -> String {
        let items = self.word.load(Ordering::Relaxed) / ONE;
        let waiting = self.getters.count.load(Ordering::Relaxed) + self.putters.count.load(Ordering::Relaxed);
        let closed = if self.word.load(Ordering::Relaxed) & CLOSED != 0 { ", closed" } else { "" };
        let plural = if items == 1 { "" } else { "s" };
        match waiting {
            0 => format!("{items} item{plural}{closed}"),
            n => format!("{items} item{plural}{closed}, {n} waiting"),
        }
    }
}

/// The call `get()`.
pub struct Get<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    ticket: Ticket,
    idle: bool,
}

impl<T: Send + 'static> Get<T> {
    /// The same by one who may wait for ever by design: a worker that waits for work.
    pub fn idle(self) -> Get<T> {
        Get { idle: true, ..self }
    }
}

impl<T: Send + 'static> Operation for Get<T> {
    type Output = Result<T, Fault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let queue = &self.queue;
        let more = || queue.word.load(Ordering::SeqCst) != 0;
        queue.getters.poll(&mut self.ticket, waker, || queue.try_pop(), more).map(|result| queue.after_pop(result))
    }

    fn abandon(&mut self) {
        let more = self.queue.word.load(Ordering::SeqCst) != 0;
        self.queue.getters.leave(&mut self.ticket, more);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.queue.clone()
    }

    fn verb(&self) -> &'static str {
        "get"
    }

    fn is_idle(&self) -> bool {
        self.idle
    }
}

impl<T: Send + 'static> Sight for Arc<Queue<T>> {
    fn look(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let more = || self.word.load(Ordering::SeqCst) != 0;
        // What is lent may be gone.
        let attempt = || {
            self.lent.call_back(|taken| self.is_gone(taken));
            more().then_some(())
        };
        self.getters.poll(ticket, waker, attempt, more).is_ready()
    }

    fn look_away(&self, ticket: &mut Ticket) {
        self.getters.leave(ticket, self.word.load(Ordering::SeqCst) != 0);
    }

    fn seen(&self) -> Arc<dyn Waitable> {
        self.clone()
    }
}

/// The call `put()`.
struct Put<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    ticket: Ticket,
    item: Option<T>,
}

impl<T: Send + 'static> Operation for Put<T> {
    type Output = Result<(), Fault>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let Put { queue, ticket, item } = self;
        let more = || {
            let word = queue.word.load(Ordering::SeqCst);
            // On a closed queue the next one succeeds too: it is told.
            word & CLOSED != 0 || queue.maxsize.is_none_or(|max| word / ONE < max)
        };
        queue.putters.poll(ticket, waker, || queue.try_push(item), more).map(|result| queue.after_push(result))
    }

    fn abandon(&mut self) {
        self.queue.putters.leave(&mut self.ticket, true);
    }

    fn pause(&mut self) {
        self.abandon();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.queue.clone()
    }

    fn verb(&self) -> &'static str {
        "put"
    }
}

/// The call `join()`.
struct Join<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    ticket: Ticket,
}

impl<T: Send + 'static> Operation for Join<T> {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut joiners = self.queue.joiners.lock();
        if joiners.granted(&self.ticket) || self.queue.unfinished.load(Ordering::Acquire) == 0 {
            joiners.remove(&mut self.ticket);
            return Poll::Ready(());
        }
        joiners.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.queue.joiners.lock().remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.queue.clone()
    }

    fn verb(&self) -> &'static str {
        "join"
    }
}

//! Who waits for an object, in order of arrival.
//!
//! A waiter holds a [`Ticket`]. A grant is given by taking the waiter out of the queue: a ticket that was enlisted and is
//! no longer in the queue has been granted what it waited for. So no flag is shared between the one who grants and the
//! one who waits, and giving up is one removal that also tells whether a grant has to be passed on.

use std::collections::VecDeque;
use std::sync::Arc;

use super::task::{Task, TaskId};

/// How a waiter learns that it should try again: a thread that is unparked, or any call (a worker that is answered).
#[derive(Clone)]
pub enum Waker {
    /// Unpark this task.
    Task(Arc<Task>),
    /// Call this; it must not block.
    Call(Arc<dyn Fn() + Send + Sync>),
}

impl Waker {
    /// Tells the waiter to try again.
    pub fn wake(&self) {
        match self {
            Waker::Task(task) => task.wake(),
            Waker::Call(call) => call(),
        }
    }

    /// The task it wakes, where it is one of this program.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Waker::Task(task) => Some(task.id()),
            Waker::Call(_) => None,
        }
    }
}

/// One waiter's place in one queue; empty until it is enlisted.
#[derive(Default, Debug)]
pub struct Ticket(Option<u64>);

impl Ticket {
    /// True when it stands, or stood, in a queue.
    pub fn is_enlisted(&self) -> bool {
        self.0.is_some()
    }

    /// Makes it as new.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

struct Entry<T> {
    number: u64,
    waker: Waker,
    overtaken: bool,
    tag: T,
}

/// Waiters in order of arrival, each with a tag that says what it wants.
pub struct WaitQueue<T = ()> {
    entries: VecDeque<Entry<T>>,
    issued: u64,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        WaitQueue { entries: VecDeque::new(), issued: 0 }
    }
}

impl<T> WaitQueue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts a waiter at the end. A ticket that is in the queue already keeps its place.
    pub fn enlist(&mut self, ticket: &mut Ticket, waker: &Waker, tag: T) {
        if ticket.0.is_some() {
            return;
        }
        self.issued += 1;
        ticket.0 = Some(self.issued);
        self.entries.push_back(Entry { number: self.issued, waker: waker.clone(), overtaken: false, tag });
    }

    fn find(&self, ticket: &Ticket) -> Option<usize> {
        let number = ticket.0?;
        self.entries.binary_search_by_key(&number, |e| e.number).ok()
    }

    /// True when the ticket was enlisted and has been taken out by a grant.
    pub fn granted(&self, ticket: &Ticket) -> bool {
        ticket.is_enlisted() && self.find(ticket).is_none()
    }

    /// True when the ticket stands first.
    pub fn is_front(&self, ticket: &Ticket) -> bool {
        self.find(ticket) == Some(0)
    }

    /// Takes a waiter out that gives up or has got what it wanted: true when it still stood in the queue, false when it
    /// had been granted (or never enlisted).
    pub fn remove(&mut self, ticket: &mut Ticket) -> bool {
        let at = self.find(ticket);
        ticket.clear();
        at.is_some_and(|i| self.entries.remove(i).is_some())
    }

    /// The tag of the first waiter.
    pub fn front(&self) -> Option<&T> {
        self.entries.front().map(|e| &e.tag)
    }

    /// The tags, first come first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|e| &e.tag)
    }

    /// Grants the first waiter: takes it out and wakes it.
    pub fn grant(&mut self) -> Option<T> {
        let entry = self.entries.pop_front()?;
        entry.waker.wake();
        Some(entry.tag)
    }

    /// How many have been enlisted so far: who comes later has a place behind this one.
    pub fn last_place(&self) -> u64 {
        self.issued
    }

    /// Grants the first waiter if its place is not behind `last`.
    pub fn grant_up_to(&mut self, last: u64) -> Option<T> {
        if self.entries.front()?.number > last {
            return None;
        }
        self.grant()
    }

    /// Grants all waiters; returns how many.
    pub fn grant_all(&mut self) -> usize {
        let n = self.entries.len();
        while self.grant().is_some() {}
        n
    }

    /// Tells the first waiter to try again; it keeps its place.
    pub fn nudge(&self) {
        if let Some(entry) = self.entries.front() {
            entry.waker.wake();
        }
    }

    /// Tells all waiters to try again; they keep their places.
    pub fn nudge_all(&self) {
        self.entries.iter().for_each(|e| e.waker.wake());
    }

    /// The waiter tried in vain because somebody was quicker: from now on nobody may overtake it.
    pub fn was_overtaken(&mut self, ticket: &Ticket) {
        if let Some(i) = self.find(ticket) {
            self.entries[i].overtaken = true;
        }
    }

    /// True when the first waiter was overtaken before: newcomers must stand behind it.
    pub fn front_has_priority(&self) -> bool {
        self.entries.front().is_some_and(|e| e.overtaken)
    }

    /// The waiting tasks, first come first.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.entries.iter().filter_map(|e| e.waker.task())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counting() -> (Waker, Arc<AtomicUsize>) {
        let woken = Arc::new(AtomicUsize::new(0));
        let seen = woken.clone();
        (Waker::Call(Arc::new(move || _ = seen.fetch_add(1, Ordering::SeqCst))), woken)
    }

    #[test]
    fn grants_go_in_order_and_show_as_absence() {
        let (waker, woken) = counting();
        let mut queue = WaitQueue::default();
        let mut tickets: Vec<Ticket> = (0..3).map(|_| Ticket::default()).collect();
        for (i, t) in tickets.iter_mut().enumerate() {
            queue.enlist(t, &waker, i);
            queue.enlist(t, &waker, 99); // a second time changes nothing
        }
        assert_eq!(queue.grant(), Some(0));
        assert!(queue.granted(&tickets[0]) && !queue.granted(&tickets[1]));
        assert!(!queue.remove(&mut tickets[0]), "was granted");
        assert!(queue.remove(&mut tickets[1]), "still stood there");
        assert_eq!(queue.grant(), Some(2));
        assert_eq!(woken.load(Ordering::SeqCst), 2);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_overtaken_waiter_gets_priority_once_it_is_first() {
        let (waker, _) = counting();
        let mut queue = WaitQueue::default();
        let (mut a, mut b) = (Ticket::default(), Ticket::default());
        queue.enlist(&mut a, &waker, ());
        queue.enlist(&mut b, &waker, ());
        queue.was_overtaken(&b);
        assert!(!queue.front_has_priority());
        queue.remove(&mut a);
        assert!(queue.front_has_priority());
    }
}

//! Items of a queue on loan to another process, which takes them without asking.
//!
//! A copy of each lies with the process, and the items themselves stay here until it is known what became of them. A word in
//! shared memory says how many the process has taken. To take the next one is one compare-and-swap, and so is to call the rest
//! back, which needs nobody's help: whoever else wants an item, or wants to know how many there are, does that first. So the
//! order of the items is kept, the process may be stopped or killed at any point, and what it has not taken is still there.
//!
//! The word: the number of the loan (32 bits), how many were taken (16), how many may be (16).
//!
//! Invariants: an item is taken by the process, or is here, never both; once a loan was called back nothing more of it is taken,
//! since the next one at the same place has another number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::lock_state::Place;

/// How many items are lent at once, at first and at most.
const FEWEST: usize = 4;
const MOST: usize = 128;

/// How many loans are left out after one that somebody else had to call back: there is more than one who takes.
const PAUSE: usize = 64;

/// The state of a loan, which both processes see.
#[derive(Clone, Copy)]
pub struct LoanWord<'a>(&'a AtomicU64);

fn parts(word: u64) -> (u64, u64, u64) {
    (word >> 32, word >> 16 & 0xffff, word & 0xffff)
}

impl<'a> LoanWord<'a> {
    /// The one that lies here.
    pub fn of(word: &'a AtomicU64) -> LoanWord<'a> {
        LoanWord(word)
    }

    /// Begins a loan of so many items, of which there are at most 65,535: its number. The one before is over.
    fn begin(self, count: usize) -> u64 {
        let number = parts(self.0.load(Ordering::Acquire)).0.wrapping_add(1) & u64::from(u32::MAX);
        self.0.store(number << 32 | count as u64, Ordering::Release);
        number
    }

    /// Takes the next item of a loan: which one it is; `None` when nothing of it is left.
    pub fn take(self, number: u64) -> Option<usize> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (current, taken, limit) = parts(word);
            (current == number && taken < limit).then_some(word + (1 << 16))
        });
        taken.ok().and_then(|word| usize::try_from(parts(word).1).ok())
    }

    /// Lets nothing more be taken: how many items were.
    fn call_back(self) -> usize {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (number, taken, _) = parts(word);
            Some(number << 32 | taken << 16 | taken)
        });
        before.map_or(0, |word| parts(word).1 as usize)
    }

    fn taken(self) -> usize {
        parts(self.0.load(Ordering::Acquire)).1 as usize
    }
}

struct Loan<T> {
    place: Arc<Place>,
    items: Vec<T>,
    /// How many of those that were taken the queue has heard of.
    counted: usize,
}

struct State<T> {
    loan: Option<Loan<T>>,
    /// What came back, the oldest first: older than all that is in the queue.
    back: VecDeque<T>,
    /// How many to lend the next time, and how many loans to leave out before that.
    pace: usize,
    pause: usize,
}

/// What a queue has lent.
pub struct Lent<T> {
    state: Mutex<State<T>>,
    /// Other processes have the queue: from now on whoever takes an item out holds `state`, so that nothing is taken while
    /// something is being lent.
    is_shared: AtomicBool,
}

impl<T> Default for Lent<T> {
    fn default() -> Self {
        let state = State { loan: None, back: VecDeque::new(), pace: FEWEST, pause: 0 };
        Lent { state: Mutex::new(state), is_shared: AtomicBool::new(false) }
    }
}

/// A loan as it goes to the process.
pub struct Lending {
    /// Its number.
    pub number: u64,
    /// The copies.
    pub copies: Vec<Vec<u8>>,
}

impl<T> Lent<T> {
    /// Another process gets the queue.
    pub fn share(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// Takes the oldest item: one that has come back, or else what `next` gives. `gone` is told how many the process has taken.
    #[inline]
    pub fn pop(&self, gone: impl Fn(usize), next: impl Fn() -> Option<T>) -> Option<T> {
        if self.is_shared.load(Ordering::SeqCst) {
            return self.state.lock().pop(&gone, next);
        }
        let item = next();
        if item.is_some() && self.is_shared.load(Ordering::SeqCst) {
            // It was taken in the moment in which the queue began to be shared: what was lent since then is older.
            let mut state = self.state.lock();
            state.call_back(&gone);
            state.back.extend(item);
            return state.back.pop_front();
        }
        item
    }

    /// Calls the loan back.
    pub fn call_back(&self, gone: impl Fn(usize)) {
        if self.is_shared.load(Ordering::SeqCst) {
            self.state.lock().call_back(&gone);
        }
    }

    /// Tells `gone` how many more the process has taken.
    #[inline]
    pub fn count(&self, gone: impl Fn(usize)) {
        if self.is_shared.load(Ordering::SeqCst)
            && let Some(loan) = &mut self.state.lock().loan
        {
            loan.count(LoanWord::of(loan.place.word()).taken().min(loan.items.len()), &gone);
        }
    }

    /// Lends what `next` gives, as long as `copy` makes a copy of it.
    pub fn lend(
        &self,
        place: &Arc<Place>,
        gone: impl Fn(usize),
        mut next: impl FnMut() -> Option<T>,
        mut copy: impl FnMut(&T) -> Option<Vec<u8>>,
    ) -> Option<Lending> {
        if !self.is_shared.load(Ordering::SeqCst) {
            return None;
        }
        let mut state = self.state.lock();
        state.call_back(&gone);
        if state.pause > 0 {
            state.pause -= 1;
            return None;
        }
        let (mut items, mut copies) = (Vec::new(), Vec::new());
        while items.len() < state.pace {
            let Some(item) = state.back.pop_front().or_else(&mut next) else {
                break;
            };
            let Some(copied) = copy(&item) else {
                state.back.push_front(item);
                break;
            };
            items.push(item);
            copies.push(copied);
        }
        if items.is_empty() {
            return None;
        }
        let number = LoanWord::of(place.word()).begin(items.len());
        state.loan = Some(Loan { place: place.clone(), items, counted: 0 });
        Some(Lending { number, copies })
    }
}

impl<T> State<T> {
    fn pop(&mut self, gone: &impl Fn(usize), next: impl Fn() -> Option<T>) -> Option<T> {
        self.call_back(gone);
        self.back.pop_front().or_else(next)
    }

    fn call_back(&mut self, gone: &impl Fn(usize)) {
        let Some(mut loan) = self.loan.take() else {
            return;
        };
        // Whatever another process has written there.
        let taken = LoanWord::of(loan.place.word()).call_back().min(loan.items.len());
        loan.count(taken, gone);
        let rest = loan.items.split_off(taken);
        if rest.is_empty() {
            self.pace = (self.pace * 2).min(MOST);
        } else {
            (self.pace, self.pause) = (FEWEST, PAUSE);
        }
        for item in rest.into_iter().rev() {
            self.back.push_front(item);
        }
    }
}

impl<T> Loan<T> {
    fn count(&mut self, taken: usize, gone: &impl Fn(usize)) {
        let news = taken.saturating_sub(self.counted);
        self.counted = taken;
        if news > 0 {
            gone(news);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lock_state::Slab;
    use super::*;
    use crate::kernel::explore::run_once;
    use crate::kernel::{Role, Setup, current};
    use crate::sync::{Order, Queue};

    fn bytes(item: &u32) -> Option<Vec<u8>> {
        Some(item.to_le_bytes().to_vec())
    }

    /// The other process.
    struct Elsewhere {
        place: Arc<Place>,
        loan: Option<Lending>,
    }

    impl Elsewhere {
        fn new(slab: &Arc<Slab>) -> Elsewhere {
            Elsewhere { place: Arc::new(slab.take().unwrap()), loan: None }
        }

        fn take(&mut self) -> Option<u32> {
            let loan = self.loan.as_ref()?;
            let i = LoanWord::of(self.place.word()).take(loan.number)?;
            Some(u32::from_le_bytes(loan.copies[i].as_slice().try_into().unwrap()))
        }

        fn get(&mut self, queue: &Arc<Queue<u32>>) -> Option<u32> {
            if let Some(item) = self.take() {
                return Some(item);
            }
            let first = queue.try_get().ok()?;
            self.loan = queue.lend(&self.place, bytes);
            Some(first)
        }
    }

    #[test]
    fn whoever_takes_gets_the_oldest_and_the_count_is_right() {
        run_once(Setup::Real, || {
            let slab = Slab::new().unwrap();
            let mut chance = fastrand::Rng::with_seed(5);
            let mut lent = 0;
            for _ in 0..200 {
                let queue = Queue::new("Queue", Order::Fifo, None);
                queue.share();
                let mut others = [Elsewhere::new(&slab), Elsewhere::new(&slab)];
                let (mut put, mut got) = (0, 0);
                for _ in 0..chance.usize(1..400) {
                    match chance.u8(0..12) {
                        0..5 => {
                            queue.put(put, None).unwrap();
                            put += 1;
                        }
                        who @ 5..10 => {
                            let item = match who {
                                5 => queue.try_get().ok(),
                                // The first of them is the one who mostly takes.
                                6..9 => others[0].get(&queue),
                                _ => others[1].get(&queue),
                            };
                            assert_eq!(item, (got < put).then_some(got));
                            got += u32::from(item.is_some());
                        }
                        10 => queue.call_loan_back(),
                        _ => assert_eq!(queue.len(), (put - got) as usize),
                    }
                    lent += others.iter().filter(|other| other.loan.is_some()).count();
                }
            }
            assert!(lent > 1_000, "only {lent} loans were there");
        });
    }

    #[test]
    fn takers_at_once_get_each_item_once_and_in_order() {
        const ITEMS: u32 = 20_000;
        for seed in 0..4 {
            let all = run_once(Setup::Real, move || {
                let slab = Slab::new().unwrap();
                let queue = Queue::new("Queue", Order::Fifo, None);
                queue.share();
                let found = Arc::new(Mutex::new(Vec::new()));
                let kernel = current().kernel().clone();
                let mut takers = Vec::new();
                for _ in 0..2 {
                    let task = kernel.new_task("taker", Role::Thread, false);
                    let (mut other, queue, found) = (Elsewhere::new(&slab), queue.clone(), found.clone());
                    kernel
                        .start(&task, move || {
                            let mut mine = Vec::new();
                            while mine.last() != Some(&u32::MAX) {
                                mine.extend(other.get(&queue));
                            }
                            found.lock().push(mine);
                        })
                        .unwrap();
                    takers.push(task);
                }
                let (mut chance, mut own) = (fastrand::Rng::with_seed(seed), Vec::new());
                for i in 0..ITEMS {
                    queue.put(i, None).unwrap();
                    match chance.u32(0..2_000) {
                        0 => own.extend(queue.try_get().ok()),
                        1 => queue.call_loan_back(),
                        2 => assert!(queue.len() <= ITEMS as usize),
                        _ => {}
                    }
                }
                // One end for each of them.
                queue.put(u32::MAX, None).unwrap();
                queue.put(u32::MAX, None).unwrap();
                while found.lock().len() < takers.len() {
                    crate::kernel::sleep(Some(std::time::Duration::from_millis(1))).unwrap();
                }
                assert_eq!(queue.len(), 0);
                let mut all = std::mem::take(&mut *found.lock());
                all.push(own);
                all
            });
            for mine in &all {
                assert!(mine.is_sorted(), "seed {seed}: out of order");
            }
            let mut items: Vec<u32> = all.concat();
            items.sort_unstable();
            items.retain(|item| *item != u32::MAX);
            assert!(items.into_iter().eq(0..ITEMS), "seed {seed}: an item is missing, or there twice");
        }
    }

    #[test]
    fn a_loan_that_is_over_gives_nothing_any_more() {
        let slab = Slab::new().unwrap();
        let place = slab.take().unwrap();
        let word = LoanWord::of(place.word());
        let first = word.begin(2);
        assert_eq!((word.take(first), word.call_back(), word.take(first)), (Some(0), 1, None));
        let second = word.begin(1);
        assert_eq!((word.take(first), word.take(second), word.take(second), word.taken()), (None, Some(0), None, 1));
    }
}

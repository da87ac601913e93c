//! Who looks whether something can be taken takes nothing, is told when it can be, and keeps nobody else from taking it.

use std::sync::Arc;
use std::time::Duration;

use orch::kernel::{Stop, Waitable, block, current, point};
use orch::sync::looking::{Looking, Sight};
use orch::sync::rwlock::{RwLock, Side, SideSight};
use orch::sync::{Lock, Order, Queue, Semaphore};

use super::all;
use crate::support::{Own, Spawned, ms, spawn};

/// Who takes is not to wait for ever where a wake-up was lost. Time passes only when all wait.
const SOON: Option<Duration> = Some(Duration::from_millis(50));

/// The program under every schedule, in which nobody was helped by the end of its time.
fn promptly(program: impl Fn() + Clone + Send + Sync + 'static) {
    all(move || {
        let now = || current().kernel().now();
        let start = now();
        program();
        assert!(Some(now() - start) < SOON, "a lost wake-up");
    });
}

/// A task that looks once, for so long at most: whether it saw anything.
fn looks<S: Sight + Send>(sight: S) -> Spawned<bool> {
    spawn(|_| {
        move || match block(&mut Looking::at(sight), ms(5)) {
            Ok(()) => true,
            Err(Stop::TimedOut) => false,
            Err(stop) => panic!("{stop:?}"),
        }
    })
}

#[test]
fn an_item_that_was_looked_at_goes_to_who_takes_it() {
    let seen = Arc::new(parking_lot::Mutex::new([0, 0]));
    let noted = seen.clone();
    promptly(move || {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let looker = looks((*queue).clone());
        let getter = spawn(|me| {
            let queue = queue.to(me);
            move || queue.get(SOON).unwrap()
        });
        queue.put(1, None).unwrap();
        assert_eq!(getter.join(), 1);
        // It was there, or taken already.
        noted.lock()[usize::from(looker.join())] += 1;
        assert_eq!(queue.state(), "0 items");
    });
    let [missed, caught] = *seen.lock();
    assert!(missed > 0 && caught > 0, "missed in {missed} schedules, seen in {caught}");
}

#[test]
fn whoever_looks_at_a_queue_that_is_closed_is_told() {
    promptly(|| {
        let queue = Own::new(Queue::<u32>::new("Queue", Order::Fifo, None));
        let lookers = [looks((*queue).clone()), looks((*queue).clone())];
        point();
        queue.close();
        assert_eq!(lookers.map(Spawned::join), [true, true]);
    });
}

#[test]
fn a_lock_that_was_looked_at_goes_to_who_takes_it() {
    promptly(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let looker = looks((*lock).clone());
        let taker = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(SOON).unwrap();
                lock.release().unwrap();
            }
        });
        lock.release().unwrap();
        taker.join();
        assert!(looker.join(), "it was free before and after");
        assert_eq!((lock.state(), lock.locked()), ("free".to_string(), false));
    });
}

#[test]
fn a_permit_that_was_looked_at_goes_to_who_takes_it() {
    promptly(|| {
        let permits = Own::new(Semaphore::new(0));
        let lookers = [looks((*permits).clone()), looks((*permits).clone())];
        let taker = spawn(|me| {
            let permits = permits.to(me);
            move || permits.acquire(SOON).unwrap()
        });
        permits.release(1).unwrap();
        taker.join();
        for looker in lookers {
            looker.join();
        }
        assert_eq!((permits.value(), permits.state()), (0, "0 free, 0 waiting".to_string()));
    });
}

#[test]
fn a_side_that_was_looked_at_goes_to_who_takes_it() {
    for (seen, taken) in [(Side::Write, Side::Read), (Side::Read, Side::Write), (Side::Write, Side::Write)] {
        promptly(move || {
            let lock = Own::new(RwLock::new());
            lock.acquire(Side::Write, None).unwrap();
            let looker = looks(SideSight { lock: (*lock).clone(), side: seen });
            let taker = spawn(|me| {
                let lock = lock.to(me);
                move || {
                    lock.acquire(taken, SOON).unwrap();
                    lock.release(taken).unwrap();
                }
            });
            lock.release(Side::Write).unwrap();
            taker.join();
            assert!(looker.join());
            assert_eq!(lock.state(), "0 reading, not writing, 0 waiting");
        });
    }
}

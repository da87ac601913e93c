//! A signal that comes in the moment of a grant: the waiter hears the signal, and what it had been given goes to the next.
//!
//! A signal comes before the grant (a cancellation comes after it), so these reach `abandon` with a grant in hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::{Stop, Waitable, block, point, sleep};
use orch::sync::rwlock::Side;
use orch::sync::select::{Arm, Mapped, Select};
use orch::sync::{Condition, Fault, Lock, Order, Queue, RwLock, Semaphore};
use parking_lot::Mutex;

use super::all;
use crate::support::{Own, Spawned, join_all, ms, spawn};

/// A program in which something is granted, then the first of those who wait is interrupted: whether that one got it.
type Grant = fn() -> bool;

/// Runs it under every schedule. There must be some in which the signal comes first and some in which the grant does.
fn each_way(program: Grant) {
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let told = seen.clone();
    all(move || _ = told[usize::from(program())].fetch_add(1, Ordering::Relaxed));
    assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) > 0), "{seen:?}");
}

/// Interrupts a task, at a moment of the world's choice.
fn interrupt<R>(task: &Spawned<R>) {
    point();
    task.task.interrupt(2);
}

/// What a call gave; `None` when the signal ended it.
fn heard<T>(outcome: Result<T, Fault>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(Fault::Stopped(Stop::Interrupted(2))) => None,
        Err(fault) => panic!("{fault}"),
    }
}

fn getter(queue: &Own<Queue<u32>>) -> Spawned<Option<u32>> {
    spawn(|me| {
        let queue = queue.to(me);
        move || heard(queue.get(None))
    })
}

/// One item for two who wait, the first of whom is interrupted: the other gets it, or the first has it and it needs one more.
fn item_for_two(order: Order<u32>, maxsize: Option<usize>) -> bool {
    let queue = Own::new(Queue::new("Queue", order, maxsize));
    let [first, second] = [getter(&queue), getter(&queue)];
    sleep(ms(1)).unwrap(); // both wait
    queue.put(7, None).unwrap();
    interrupt(&first);
    let first = first.join();
    if first.is_some() {
        queue.put(8, None).unwrap();
    }
    assert_eq!(second.join(), Some(if first.is_some() { 8 } else { 7 }));
    assert_eq!(queue.state(), "0 items");
    first.is_some()
}

#[test]
fn an_item_goes_to_the_next() {
    each_way(|| item_for_two(Order::Fifo, None));
    each_way(|| item_for_two(Order::Lifo, None));
    each_way(|| item_for_two(Order::Priority(|a, b| Ok(a.cmp(b))), Some(1)));
}

#[test]
fn an_item_that_nobody_else_waits_for_stays() {
    each_way(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let waiter = getter(&queue);
        sleep(ms(1)).unwrap();
        queue.put(7, None).unwrap();
        interrupt(&waiter);
        let taken = waiter.join();
        assert_eq!(queue.try_get().ok(), if taken.is_some() { None } else { Some(7) });
        taken.is_some()
    });
}

#[test]
fn who_caught_the_signal_gets_the_item_when_it_asks_again() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let waiter = spawn(|me| {
            let queue = queue.to(me);
            move || heard(queue.get(None)).or_else(|| heard(queue.get(None)))
        });
        sleep(ms(1)).unwrap();
        queue.put(7, None).unwrap();
        interrupt(&waiter);
        assert_eq!(waiter.join(), Some(7));
    });
}

#[test]
fn room_goes_to_the_next() {
    each_way(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, Some(1)));
        queue.put(0, None).unwrap();
        let [first, second] = [1, 2].map(|item| {
            let putter = spawn(|me| {
                let queue = queue.to(me);
                move || heard(queue.put(item, None)).is_some()
            });
            sleep(ms(1)).unwrap(); // it waits
            putter
        });
        assert_eq!(queue.get(None).unwrap(), 0);
        interrupt(&first);
        let first = first.join();
        if first {
            assert_eq!(queue.get(None).unwrap(), 1);
        }
        assert!(second.join());
        assert_eq!(queue.get(None).unwrap(), 2, "what was not put is not in it");
        assert_eq!(queue.state(), "0 items");
        first
    });
}

#[test]
fn a_closed_queue_is_told_to_the_next() {
    all(|| {
        let queue = Own::new(Queue::<u32>::new("Queue", Order::Fifo, None));
        let waiters = [0, 1].map(|_| {
            spawn(|me| {
                let queue = queue.to(me);
                move || queue.get(None)
            })
        });
        sleep(ms(1)).unwrap();
        queue.close();
        interrupt(&waiters[0]);
        let [first, second] = waiters.map(Spawned::join);
        assert!(matches!(first, Err(Fault::Closed(_) | Fault::Stopped(Stop::Interrupted(2)))));
        assert!(matches!(second, Err(Fault::Closed(_))));
    });
}

/// A lock that is let go of while two wait for it.
fn lock_for_two(lock: Own<Lock>) -> bool {
    lock.acquire(None).unwrap();
    let [first, second] = [0, 1].map(|_| {
        let waiter = spawn(|me| {
            let lock = lock.to(me);
            move || {
                let got = heard(lock.acquire(None)).is_some();
                if got {
                    lock.release().unwrap();
                }
                got
            }
        });
        sleep(ms(1)).unwrap(); // it waits
        waiter
    });
    lock.release().unwrap();
    interrupt(&first);
    let first = first.join();
    assert!(second.join());
    assert_eq!(lock.state(), "free");
    first
}

#[test]
fn a_lock_goes_to_the_next() {
    each_way(|| lock_for_two(Own::new(Lock::new())));
    each_way(|| lock_for_two(Own::new(Lock::reentrant())));
}

#[test]
fn an_abandoned_lock_is_told_to_the_next() {
    each_way(|| {
        let lock = Own::new(Lock::new());
        let owner = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(None).unwrap();
                sleep(ms(5)).unwrap();
            }
        });
        sleep(ms(1)).unwrap();
        let [first, second] = [0, 1].map(|_| {
            let waiter = spawn(|me| {
                let lock = lock.to(me);
                move || {
                    let outcome = lock.acquire(None);
                    if !matches!(outcome, Err(Fault::Stopped(_))) {
                        lock.release().unwrap();
                    }
                    outcome
                }
            });
            sleep(ms(1)).unwrap(); // it waits
            waiter
        });
        owner.join();
        interrupt(&first);
        let (first, second) = (first.join(), second.join());
        let first_told = match first {
            Err(Fault::Abandoned(_)) => true,
            Err(Fault::Stopped(Stop::Interrupted(2))) => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(matches!(second, Err(Fault::Abandoned(_))), !first_told);
        first_told
    });
}

#[test]
fn a_side_of_a_reader_writer_lock_goes_to_the_next() {
    for wanted in [[Side::Write, Side::Write], [Side::Write, Side::Read], [Side::Read, Side::Write]] {
        let seen = Arc::new(Mutex::new([0; 2]));
        let told = seen.clone();
        all(move || {
            let lock = Own::new(RwLock::new());
            lock.acquire(Side::Write, None).unwrap();
            let [first, second] = wanted.map(|side| {
                let waiter = spawn(|me| {
                    let lock = lock.to(me);
                    move || {
                        let got = heard(lock.acquire(side, None)).is_some();
                        if got {
                            lock.release(side).unwrap();
                        }
                        got
                    }
                });
                sleep(ms(1)).unwrap(); // it waits
                waiter
            });
            lock.release(Side::Write).unwrap();
            interrupt(&first);
            told.lock()[usize::from(first.join())] += 1;
            assert!(second.join());
            assert_eq!(Waitable::state(&**lock), "0 reading, not writing, 0 waiting");
        });
        assert!(seen.lock().iter().all(|n| *n > 0), "{wanted:?} {seen:?}");
    }
}

#[test]
fn a_permit_goes_to_the_next() {
    each_way(|| {
        let permits = Own::new(Semaphore::bounded(1));
        permits.acquire(None).unwrap();
        let [first, second] = [0, 1].map(|_| {
            let waiter = spawn(|me| {
                let permits = permits.to(me);
                move || heard(permits.acquire(None)).is_some()
            });
            sleep(ms(1)).unwrap(); // it waits
            waiter
        });
        permits.release(1).unwrap();
        interrupt(&first);
        let first = first.join();
        if first {
            permits.release(1).unwrap();
        }
        assert!(second.join());
        assert_eq!(permits.state(), "0 free, 0 waiting");
        first
    });
}

/// Waits for a notification: whether it got one.
fn listener(lock: &Own<Lock>, changed: &Own<Condition>) -> Spawned<bool> {
    let listener = spawn(|me| {
        let (lock, changed) = (lock.to(me), changed.to(me));
        move || {
            lock.acquire(None).unwrap();
            let notified = heard(changed.wait(None)).is_some();
            assert!(lock.is_mine(), "however it returns");
            lock.release().unwrap();
            notified
        }
    });
    sleep(ms(1)).unwrap(); // it waits
    listener
}

fn condition() -> (Own<Lock>, Own<Condition>) {
    let handle = orch::kernel::Handle::new(Lock::reentrant());
    let changed = Own::new(Condition::new(&handle));
    (Own::new(handle.object().clone()), changed)
}

#[test]
fn a_notification_goes_to_the_next() {
    each_way(|| {
        let (lock, changed) = condition();
        let [first, second] = [listener(&lock, &changed), listener(&lock, &changed)];
        lock.acquire(None).unwrap();
        changed.notify(1).unwrap();
        lock.release().unwrap();
        interrupt(&first);
        let first = first.join();
        if first {
            lock.acquire(None).unwrap();
            changed.notify(1).unwrap();
            lock.release().unwrap();
        }
        assert!(second.join());
        first
    });
}

#[test]
fn a_notification_does_not_go_to_one_that_came_later() {
    all(|| {
        let (lock, changed) = condition();
        let first = listener(&lock, &changed);
        lock.acquire(None).unwrap();
        changed.notify_all().unwrap();
        // It stands in line for the lock and is there when that is free, before or after the first has given up.
        let late = spawn(|me| {
            let (lock, changed) = (lock.to(me), changed.to(me));
            move || {
                lock.acquire(None).unwrap();
                let notified = changed.wait(ms(10)).unwrap();
                lock.release().unwrap();
                notified
            }
        });
        point();
        lock.release().unwrap();
        interrupt(&first);
        first.join();
        assert!(!late.join(), "nobody notified it");
        assert_eq!(changed.state(), "0 waiting");
    });
}

#[test]
fn a_choice_that_is_interrupted_takes_nothing() {
    each_way(|| {
        let (queue, permits) = (Own::new(Queue::new("Queue", Order::Fifo, None)), Own::new(Semaphore::new(0)));
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let chooser = spawn(|me| {
            let (queue, permits, lock) = (queue.to(me), permits.to(me), lock.to(me));
            move || {
                let arms: Vec<Arm<usize>> = vec![
                    Box::new(Mapped::new(queue.getting(), |item: Result<u32, Fault>| usize::from(item.is_ok()))),
                    Box::new(Mapped::new(permits.acquiring(), |()| 1)),
                    Box::new(Mapped::new(lock.acquiring(), |taken: Result<(), Fault>| usize::from(taken.is_ok()))),
                ];
                let chosen = heard(block(&mut Select::new(arms), None).map_err(Fault::from));
                if chosen.is_some_and(|(index, _)| index == 2) {
                    lock.release().unwrap();
                }
                chosen
            }
        });
        sleep(ms(1)).unwrap(); // it waits
        queue.put(7, None).unwrap();
        permits.release(1).unwrap();
        lock.release().unwrap();
        interrupt(&chooser);
        let chosen = chooser.join();
        let left = [queue.try_get().is_ok(), permits.try_acquire(), lock.try_acquire().unwrap()];
        for (index, left) in left.into_iter().enumerate() {
            // A lock that was chosen has been given back.
            assert_eq!(left, index == 2 || chosen != Some((index, 1)), "{chosen:?} {index}");
        }
        chosen.is_some()
    });
}

#[test]
fn several_signals_and_grants_lose_nothing() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let getters = [getter(&queue), getter(&queue)];
        queue.put(1, None).unwrap();
        getters.iter().for_each(interrupt);
        let taken: Vec<u32> = join_all(getters).into_iter().flatten().collect();
        assert_eq!(taken.len() + queue.len(), 1);
    });
}

//! Lock, re-entrant lock, reader-writer lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use orch::kernel::{Operation, Stop, Waitable, Waker, block, point, sleep};
use orch::sync::rwlock::Side;
use orch::sync::{Fault, Lock, RwLock};
use parking_lot::Mutex;

use super::{Watched, all};
use crate::support::{Own, Spawned, join_all, ms, spawn};

/// Takes a lock, notes that nobody else is inside, and gives it back.
fn pass_through(lock: &Arc<Lock>, inside: &AtomicUsize) {
    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two own it");
    point();
    inside.fetch_sub(1, Ordering::Relaxed);
    lock.release().unwrap();
}

fn is_free(lock: &Arc<Lock>) {
    assert_eq!(lock.state(), "free");
    assert!(lock.try_acquire().unwrap());
    lock.release().unwrap();
}

#[test]
fn a_lock_has_one_owner_at_a_time() {
    let runs = all(|| {
        let (lock, inside) = (Own::new(Lock::new()), Arc::new(AtomicUsize::new(0)));
        join_all((0..3).map(|_| {
            let inside = inside.clone();
            spawn(|me| {
                let lock = lock.to(me);
                move || {
                    lock.acquire(None).unwrap();
                    pass_through(&lock, &inside);
                }
            })
        }));
        is_free(&lock);
    });
    assert!(runs > 100, "{runs}");
}

#[test]
fn trying_takes_a_lock_from_nobody() {
    all(|| {
        let (lock, inside) = (Own::new(Lock::new()), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..3)
            .map(|i| {
                let inside = inside.clone();
                spawn(|me| {
                    let lock = lock.to(me);
                    move || {
                        let taken = match i {
                            0 => lock.try_acquire().unwrap(),
                            _ => lock.acquire(None).is_ok(),
                        };
                        if taken {
                            pass_through(&lock, &inside);
                        }
                    }
                })
            })
            .collect();
        join_all(tasks);
        is_free(&lock);
    });
}

#[test]
fn nobody_who_waits_for_a_lock_is_overtaken_twice() {
    all(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let waiter = spawn(|me| {
            let lock = lock.to(me);
            move || {
                let mut op = Watched::new(lock.acquiring());
                block(&mut op, None).unwrap().unwrap();
                lock.release().unwrap();
                op.in_vain
            }
        });
        let newcomer = spawn(|me| {
            let lock = lock.to(me);
            move || {
                for _ in 0..3 {
                    lock.acquire(None).unwrap();
                    point();
                    lock.release().unwrap();
                }
            }
        });
        lock.release().unwrap();
        newcomer.join();
        // Once when it began to wait, once more when somebody was quicker.
        assert!(waiter.join() <= 2);
        is_free(&lock);
    });
}

#[test]
fn a_wake_up_that_was_not_needed_does_not_count_as_being_overtaken() {
    all(|| {
        let (lock, rwlock) = (Own::new(Lock::new()), Own::new(RwLock::new()));
        lock.acquire(None).unwrap();
        let waiter = spawn(|me| {
            let (lock, rwlock) = (lock.to(me), rwlock.to(me));
            move || {
                // Granted at once, which wakes the one who is not even asleep.
                rwlock.acquire(Side::Read, None).unwrap();
                let mut op = Watched::new(lock.acquiring());
                block(&mut op, None).unwrap().unwrap();
                lock.release().unwrap();
                op.in_vain
            }
        });
        sleep(ms(1)).unwrap();
        lock.release().unwrap();
        assert_eq!(waiter.join(), 1);
    });
}

#[test]
fn a_time_limit_that_ends_with_the_release_leaves_the_lock_whole() {
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = seen.clone();
    all(move || {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let waiters = [ms(10), None].map(|limit| {
            spawn(|me| {
                let lock = lock.to(me);
                move || match lock.acquire(limit) {
                    Ok(()) => lock.release().map(|()| true).unwrap(),
                    Err(Fault::Stopped(Stop::TimedOut)) => false,
                    Err(fault) => panic!("{fault}"),
                }
            })
        });
        sleep(ms(10)).unwrap();
        lock.release().unwrap();
        let [first, second] = waiters.map(Spawned::join);
        assert!(second);
        match first {
            true => told.lock().0 += 1,
            false => told.lock().1 += 1,
        }
        is_free(&lock);
    });
    let (in_time, too_late) = *seen.lock();
    assert!(in_time > 0 && too_late > 0, "{in_time} {too_late}");
}

#[test]
fn a_cancellation_meets_the_lock_or_the_next_call() {
    all(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let cancelled = spawn(|me| {
            let lock = lock.to(me);
            move || match lock.acquire(None) {
                Ok(()) => {
                    let stopped = sleep(None);
                    assert!(matches!(stopped, Err(Stop::Cancelled)), "{stopped:?}");
                    lock.release().unwrap();
                }
                Err(Fault::Stopped(Stop::Cancelled)) => {}
                Err(fault) => panic!("{fault}"),
            }
        });
        let other = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(None).unwrap();
                lock.release().unwrap();
            }
        });
        lock.release().unwrap();
        cancelled.cancel();
        cancelled.join();
        other.join();
        is_free(&lock);
    });
}

#[test]
fn an_owner_that_ends_loses_the_lock_and_one_is_told() {
    all(|| {
        let lock = Own::new(Lock::new());
        let owner = spawn(|me| {
            let lock = lock.to(me);
            move || drop(lock.acquire(None))
        });
        let others = [0, 1].map(|_| {
            spawn(|me| {
                let lock = lock.to(me);
                move || {
                    let told = matches!(lock.acquire(None), Err(Fault::Abandoned(_)));
                    lock.release().unwrap();
                    told
                }
            })
        });
        let mut told: usize = others.map(|o| usize::from(o.join())).iter().sum();
        owner.join();
        if told == 0 {
            // Both were there before it.
            told += usize::from(matches!(lock.try_acquire(), Err(Fault::Abandoned(_))));
            lock.release().unwrap();
        }
        assert_eq!(told, 1);
        is_free(&lock);
    });
}

#[test]
fn a_reentrant_lock_counts() {
    all(|| {
        let (lock, inside) = (Own::new(Lock::reentrant()), Arc::new(AtomicUsize::new(0)));
        join_all((0..2).map(|_| {
            let inside = inside.clone();
            spawn(|me| {
                let lock = lock.to(me);
                move || {
                    lock.acquire(None).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    assert!(lock.try_acquire().unwrap());
                    lock.acquire(None).unwrap();
                    lock.release().unwrap();
                    lock.release().unwrap();
                    assert!(lock.is_mine());
                    inside.fetch_sub(1, Ordering::Relaxed);
                    lock.release().unwrap();
                    assert!(matches!(lock.release(), Err(Fault::NotHeld(_) | Fault::NotOwner(..))));
                }
            })
        }));
        is_free(&lock);
    });
}

/// Who is inside a reader-writer lock: readers, and 100 for a writer.
fn visit(lock: &Arc<RwLock>, side: Side, inside: &AtomicUsize) {
    let weight = if side == Side::Write { 100 } else { 1 };
    let before = inside.fetch_add(weight, Ordering::Relaxed);
    match side {
        Side::Write => assert_eq!(before, 0, "a writer is alone"),
        Side::Read => assert!(before < 100, "a reader beside a writer"),
    }
    point();
    inside.fetch_sub(weight, Ordering::Relaxed);
    lock.release(side).unwrap();
}

fn is_unused(lock: &Arc<RwLock>) {
    assert_eq!(lock.state(), "0 reading, not writing, 0 waiting");
    assert!(lock.try_acquire(Side::Write).unwrap());
    lock.release(Side::Write).unwrap();
}

#[test]
fn a_writer_is_alone_and_readers_are_not() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    all(move || {
        let (lock, inside) = (Own::new(RwLock::new()), Arc::new(AtomicUsize::new(0)));
        let tasks = [Side::Read, Side::Write, Side::Read].map(|side| {
            let (inside, seen) = (inside.clone(), seen.clone());
            spawn(|me| {
                let lock = lock.to(me);
                move || {
                    lock.acquire(side, None).unwrap();
                    seen.fetch_max(inside.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    visit(&lock, side, &inside);
                }
            })
        });
        join_all(tasks);
        is_unused(&lock);
    });
    assert_eq!(most.load(Ordering::Relaxed), 2, "readers read together");
}

#[test]
fn the_sides_are_served_in_order_of_arrival() {
    all(|| {
        let lock = Own::new(RwLock::new());
        let log = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        lock.acquire(Side::Write, None).unwrap();
        let tasks: Vec<_> = [Side::Write, Side::Read, Side::Write]
            .into_iter()
            .enumerate()
            .map(|(i, side)| {
                let log = log.clone();
                spawn(|me| {
                    let lock = lock.to(me);
                    move || {
                        let mut op = Watched::new(lock.acquiring(side));
                        let arrivals = log.clone();
                        op.at_first(move || arrivals.lock().0.push(i));
                        block(&mut op, None).unwrap().unwrap();
                        log.lock().1.push(i);
                        point();
                        lock.release(side).unwrap();
                    }
                })
            })
            .collect();
        lock.release(Side::Write).unwrap();
        join_all(tasks);
        let log = log.lock();
        assert_eq!(log.0, log.1);
        is_unused(&lock);
    });
}

#[test]
fn a_reader_may_read_again_while_a_writer_waits() {
    all(|| {
        let lock = Own::new(RwLock::new());
        lock.acquire(Side::Read, None).unwrap();
        let writer = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(Side::Write, None).unwrap();
                lock.release(Side::Write).unwrap();
            }
        });
        lock.acquire(Side::Read, None).unwrap();
        lock.release(Side::Read).unwrap();
        assert!(lock.locked(Side::Read));
        lock.release(Side::Read).unwrap();
        writer.join();
        is_unused(&lock);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_go_on() {
    all(|| {
        let lock = Own::new(RwLock::new());
        lock.acquire(Side::Read, None).unwrap();
        let writer = spawn(|me| {
            let lock = lock.to(me);
            move || match lock.acquire(Side::Write, ms(10)) {
                Ok(()) => lock.release(Side::Write).unwrap(),
                Err(Fault::Stopped(Stop::TimedOut | Stop::Cancelled)) => {}
                Err(fault) => panic!("{fault}"),
            }
        });
        let reader = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(Side::Read, None).unwrap();
                lock.release(Side::Read).unwrap();
            }
        });
        sleep(ms(10)).unwrap();
        writer.cancel();
        reader.join();
        lock.release(Side::Read).unwrap();
        writer.join();
        is_unused(&lock);
    });
}

#[test]
fn a_writer_that_ends_loses_its_hold_and_one_is_told() {
    all(|| {
        let lock = Own::new(RwLock::new());
        let writer = spawn(|me| {
            let lock = lock.to(me);
            move || drop(lock.acquire(Side::Write, None))
        });
        let reader = spawn(|me| {
            let lock = lock.to(me);
            move || {
                let told = matches!(lock.acquire(Side::Read, None), Err(Fault::Abandoned(_)));
                lock.release(Side::Read).unwrap();
                told
            }
        });
        let early = reader.join();
        writer.join();
        let late = matches!(lock.try_acquire(Side::Read), Err(Fault::Abandoned(_)));
        lock.release(Side::Read).unwrap();
        assert!(early != late, "{early} {late}");
        is_unused(&lock);
    });
}

/// A reader that ends takes nothing with it.
#[test]
fn a_reader_that_ends_stands_in_nobodys_way() {
    all(|| {
        let lock = Own::new(RwLock::new());
        let reader = spawn(|me| {
            let lock = lock.to(me);
            move || lock.acquire(Side::Read, None).unwrap()
        });
        lock.acquire(Side::Write, None).unwrap();
        lock.release(Side::Write).unwrap();
        reader.join();
        is_unused(&lock);
    });
}

/// An operation that is given up right after it was granted passes on what it got.
#[test]
fn what_was_granted_to_one_that_gives_up_goes_to_the_next() {
    struct Nobody;
    let waker = Waker::Call(Arc::new(|| {}));
    all(move || {
        let lock = Own::new(RwLock::new());
        lock.acquire(Side::Write, None).unwrap();
        let mut early = lock.acquiring(Side::Read);
        assert!(early.poll(&waker).is_pending());
        let late = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(Side::Write, None).unwrap();
                lock.release(Side::Write).unwrap();
                Nobody
            }
        });
        point();
        lock.release(Side::Write).unwrap(); // grants `early`
        early.abandon();
        let Nobody = late.join();
        is_unused(&lock);
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let mut op = lock.acquiring();
        assert!(matches!(op.poll(&waker), Poll::Pending));
        lock.release().unwrap();
        op.abandon();
        is_free(&lock);
    });
}

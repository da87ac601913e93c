//! Lock, re-entrant lock, semaphore, reader-writer lock, value.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::{Stop, Waitable, sleep};
use orch::sync::rwlock::Side;
use orch::sync::{Cell, Fault, Lock, RwLock, Semaphore};

use super::{Fragile, TASKS, crew, moment, random, stress, time_left};
use crate::support::{Own, spawn};

/// Every way to take a lock, now and then with a limit; whether it was taken.
fn take(lock: &Arc<Lock>) -> bool {
    match random(4) {
        0 => lock.try_acquire().unwrap(),
        1 => match lock.acquire(moment()) {
            Ok(()) => true,
            Err(Fault::Stopped(Stop::TimedOut)) => false,
            Err(fault) => panic!("{fault}"),
        },
        _ => lock.acquire(None).is_ok(),
    }
}

#[test]
fn locks_exclude() {
    for again in [false, true] {
        stress(move || {
            let lock = Own::new(if again { Lock::reentrant() } else { Lock::new() });
            let number = Arc::new(Fragile::default());
            let counts = crew(TASKS, |_, me| {
                let (lock, number, mut more) = (lock.to(me), number.clone(), time_left());
                move || {
                    let mut mine = 0;
                    while more() {
                        if take(&lock) {
                            if again {
                                lock.acquire(None).unwrap();
                                lock.release().unwrap();
                            }
                            number.add(1);
                            mine += 1;
                            lock.release().unwrap();
                        }
                    }
                    mine
                }
            });
            assert_eq!(number.get(), counts.iter().sum::<u64>());
            assert!(number.get() > 100);
            assert_eq!(lock.state(), "free");
        });
    }
}

#[test]
fn locks_of_owners_that_end_are_told_once_each() {
    stress(|| {
        let lock = Own::new(Lock::new());
        let told = crew(TASKS * 4, |i, me| {
            let lock = lock.to(me);
            move || {
                let told = matches!(lock.acquire(None), Err(Fault::Abandoned(_)));
                if i % 2 == 0 {
                    lock.release().unwrap();
                }
                told
            }
        });
        let last = usize::from(lock.try_acquire().is_err());
        assert_eq!(told.iter().filter(|t| **t).count() + last, TASKS * 2);
    });
}

#[test]
fn semaphores_keep_their_permits() {
    stress(|| {
        let (permits, inside) = (Own::new(Semaphore::bounded(3)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (inside, mut more) = (inside.clone(), time_left());
                spawn(|me| {
                    let permits = permits.to(me);
                    move || {
                        while more() {
                            let taken = match random(3) {
                                0 => permits.try_acquire(),
                                1 => permits.acquire(moment()).is_ok(),
                                _ => permits.acquire(None).is_ok(),
                            };
                            if taken {
                                assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                                inside.fetch_sub(1, Ordering::SeqCst);
                                permits.release(1).unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        // Cancellations meet grants all the time.
        let mut more = time_left();
        while more() {
            tasks[random(TASKS as u64) as usize].cancel();
            std::thread::yield_now();
        }
        tasks.into_iter().for_each(|t| t.join());
        assert_eq!(permits.state(), "3 free, 0 waiting");
    });
}

#[test]
fn writers_are_alone_and_nobody_starves() {
    stress(|| {
        let (lock, number) = (Own::new(RwLock::new()), Arc::new(Fragile::default()));
        let inside = Arc::new(AtomicUsize::new(0));
        let counts = crew(TASKS, |i, me| {
            let (lock, number, mut more) = (lock.to(me), number.clone(), time_left());
            let inside = inside.clone();
            let side = [Side::Read, Side::Read, Side::Write][i % 3];
            move || {
                let (mut writes, mut passed) = (0, 0);
                while more() || passed == 0 {
                    let taken = match random(3) {
                        0 => lock.try_acquire(side).unwrap(),
                        1 => lock.acquire(side, moment()).is_ok(),
                        _ => lock.acquire(side, None).is_ok(),
                    };
                    if !taken {
                        continue;
                    }
                    passed += 1;
                    if side == Side::Write {
                        assert_eq!(inside.load(Ordering::SeqCst), 0);
                        number.add(1);
                        writes += 1;
                    } else {
                        inside.fetch_add(1, Ordering::SeqCst);
                        lock.acquire(Side::Read, None).unwrap();
                        lock.release(Side::Read).unwrap();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    lock.release(side).unwrap();
                }
                writes
            }
        });
        assert_eq!(number.get(), counts.iter().sum::<u64>());
        assert_eq!(lock.state(), "0 reading, not writing, 0 waiting");
    });
}

#[test]
fn updates_and_writes_lose_nothing() {
    stress(|| {
        let value = Own::new(Cell::new("Value", |_| 0u64));
        let counts = crew(8, |i, me| {
            let (value, mut more) = (value.to(me), time_left());
            move || {
                let mut mine = 0;
                while more() {
                    if i > 0 {
                        let slowly = |v: &mut u64| {
                            *v += 1;
                            std::thread::yield_now(); // so that others queue up behind the gate
                        };
                        value.write(slowly).unwrap();
                    } else {
                        let update = || {
                            let before = value.peek(|v| *v);
                            value.replace(|v| *v = before + 1);
                            Ok::<(), Fault>(())
                        };
                        value.update(update).unwrap();
                        sleep(moment()).unwrap();
                    }
                    mine += 1;
                }
                mine
            }
        });
        assert_eq!(value.read(|v| *v), counts.iter().sum::<u64>());
    });
}

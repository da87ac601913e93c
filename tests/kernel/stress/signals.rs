//! Event, condition, barrier, latch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::{Handle, Waitable, sleep};
use orch::sync::{Barrier, Condition, Event, Fault, Latch, Lock};
use parking_lot::Mutex;

use super::{TASKS, crew, moment, random, stress, time_left};
use crate::support::{Own, spawn};

#[test]
fn an_event_lets_all_go_on_even_if_it_is_cleared_at_once() {
    stress(|| {
        let (go, back) = (Own::new(Event::new()), Own::new(Latch::new(TASKS)));
        let rounds = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..TASKS)
            .map(|_| {
                let rounds = rounds.clone();
                spawn(|me| {
                    let (go, back) = (go.to(me), back.to(me));
                    move || {
                        back.count_down();
                        let mut mine = 0;
                        while rounds.load(Ordering::SeqCst) < usize::MAX / 2 {
                            mine += usize::from(go.wait(None).unwrap());
                        }
                        mine
                    }
                })
            })
            .collect();
        back.wait(None).unwrap();
        let mut more = time_left();
        while more() {
            go.set();
            go.clear();
            sleep(moment()).unwrap();
        }
        rounds.store(usize::MAX / 2, Ordering::SeqCst);
        go.set();
        let woken: usize = waiters.into_iter().map(|w| w.join()).sum();
        assert!(woken >= TASKS, "{woken}");
        assert_eq!(go.state(), "set");
    });
}

#[test]
fn conditions_lose_no_notification() {
    stress(|| {
        let lock = Lock::new();
        let handle = Handle::new(lock.clone());
        let [room, items] = [0, 1].map(|_| Own::new(Condition::new(&handle)));
        // A buffer for three numbers, by hand.
        let (buffer, lock) = (Arc::new(Mutex::new(Vec::new())), Own::new(lock));
        drop(handle);
        let sums = crew(TASKS, |i, me| {
            let (lock, room, items) = (lock.to(me), room.to(me), items.to(me));
            let buffer = buffer.clone();
            move || {
                let mut sum = 0;
                for n in 0..60 {
                    lock.acquire(None).unwrap();
                    if i % 2 == 0 {
                        while buffer.lock().len() == 3 {
                            let limit = (random(3) == 0).then(moment).flatten();
                            room.wait(limit).unwrap();
                        }
                        buffer.lock().push(n);
                        items.notify(1).unwrap();
                    } else {
                        while buffer.lock().is_empty() {
                            items.wait(None).unwrap();
                        }
                        sum += buffer.lock().pop().unwrap();
                        room.notify(1).unwrap();
                    }
                    lock.release().unwrap();
                }
                sum
            }
        });
        assert_eq!(sums.iter().sum::<usize>(), TASKS / 2 * (0..60).sum::<usize>());
        assert_eq!((room.state(), items.state()), ("0 waiting".into(), "0 waiting".into()));
    });
}

#[test]
fn cancelled_waits_for_a_condition_pass_their_notification_on() {
    stress(|| {
        let lock = Own::new(Lock::new());
        let changed = Own::new(Condition::new(&Handle::new((*lock).clone())));
        // A third of them is cancelled; the others are more than enough for all notifications.
        let tasks: Vec<_> = (0..TASKS * 3)
            .map(|_| {
                spawn(|me| {
                    let (lock, changed) = (lock.to(me), changed.to(me));
                    move || {
                        lock.acquire(None).unwrap();
                        let notified = changed.wait(None).is_ok();
                        assert!(lock.is_mine());
                        lock.release().unwrap();
                        notified
                    }
                })
            })
            .collect();
        while changed.state() != format!("{} waiting", TASKS * 3) {
            sleep(moment()).unwrap();
        }
        let (mut cancelled, mut others) = (Vec::new(), Vec::new());
        for (i, task) in tasks.into_iter().enumerate() {
            if i % 3 == 0 {
                lock.acquire(None).unwrap();
                changed.notify(1).unwrap();
                lock.release().unwrap();
                task.cancel();
                cancelled.push(task);
            } else {
                others.push(task);
            }
        }
        let used: usize = cancelled.into_iter().map(|t| usize::from(t.join())).sum();
        let left = TASKS * 2 - (TASKS - used);
        assert_eq!(changed.state(), format!("{left} waiting"));
        lock.acquire(None).unwrap();
        changed.notify_all().unwrap();
        lock.release().unwrap();
        assert!(others.into_iter().all(|t| t.join()));
    });
}

#[test]
fn barriers_pass_whole_groups() {
    stress(|| {
        const ROUNDS: usize = 40;
        let (barrier, acted) = (Own::new(Barrier::new(TASKS)), Arc::new(AtomicUsize::new(0)));
        let sums = crew(TASKS, |_, me| {
            let (barrier, acted) = (barrier.to(me), acted.clone());
            move || {
                let pass = || {
                    let action = || {
                        acted.fetch_add(1, Ordering::SeqCst);
                        Ok::<(), Fault>(())
                    };
                    barrier.wait(None, action).unwrap()
                };
                (0..ROUNDS).map(|_| pass()).sum::<usize>()
            }
        });
        assert_eq!(acted.load(Ordering::SeqCst), ROUNDS);
        assert_eq!(sums.iter().sum::<usize>(), ROUNDS * (0..TASKS).sum::<usize>());
    });
}

#[test]
fn barriers_that_break_break_for_all() {
    stress(|| {
        let barrier = Own::new(Barrier::new(4));
        let passed = crew(16, |i, me| {
            let (barrier, mut more) = (barrier.to(me), time_left());
            move || {
                let mut passed = 0;
                while more() {
                    let limit = if i % 4 == 0 { moment() } else { Some(super::TIME) };
                    match barrier.wait(limit, || Ok::<(), Fault>(())) {
                        Ok(_) => passed += 1,
                        Err(Fault::BrokenBarrier(_)) => barrier.reset(),
                        Err(fault) => panic!("{fault}"),
                    }
                }
                barrier.abort();
                passed
            }
        });
        // All of a group or none of it.
        assert_eq!(passed.iter().sum::<usize>() % 4, 0);
    });
}

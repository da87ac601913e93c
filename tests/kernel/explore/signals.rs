//! Semaphore, event, condition, barrier, latch, shared value.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::{Handle, Operation};
use orch::kernel::{Stop, Waitable, Waker, block, point, sleep};
use orch::sync::select::{Arm, Select};
use orch::sync::{Barrier, Cell, Condition, Event, Fault, Latch, Lock, Semaphore};
use parking_lot::Mutex;

use super::{Watched, all};
use crate::support::{Own, Spawned, join_all, ms, spawn};

// ---- semaphore

#[test]
fn no_more_tasks_are_inside_than_there_are_permits() {
    all(|| {
        let (permits, inside) = (Own::new(Semaphore::new(2)), Arc::new(AtomicUsize::new(0)));
        join_all((0..3).map(|_| {
            let inside = inside.clone();
            spawn(|me| {
                let permits = permits.to(me);
                move || {
                    permits.acquire(None).unwrap();
                    assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                    point();
                    inside.fetch_sub(1, Ordering::Relaxed);
                    permits.release(1).unwrap();
                }
            })
        }));
        assert_eq!(permits.state(), "2 free, 0 waiting");
    });
}

#[test]
fn permits_are_given_in_order_of_arrival() {
    all(|| {
        let permits = Own::new(Semaphore::new(1));
        let log = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        join_all((0..3).map(|i| {
            let log = log.clone();
            spawn(|me| {
                let permits = permits.to(me);
                move || {
                    let mut op = Watched::new(permits.acquiring());
                    let arrivals = log.clone();
                    op.at_first(move || arrivals.lock().0.push(i));
                    block(&mut op, None).unwrap();
                    log.lock().1.push(i);
                    point();
                    permits.release(1).unwrap();
                }
            })
        }));
        let log = log.lock();
        assert_eq!(log.0, log.1);
    });
}

#[test]
fn a_permit_that_meets_a_time_limit_or_a_cancellation_is_not_lost() {
    all(|| {
        let permits = Own::new(Semaphore::bounded(1));
        permits.acquire(None).unwrap();
        let wait = |limit| {
            spawn(|me| {
                let permits = permits.to(me);
                move || match permits.acquire(limit) {
                    Ok(()) => permits.release(1).unwrap(),
                    Err(Fault::Stopped(Stop::TimedOut | Stop::Cancelled)) => {}
                    Err(fault) => panic!("{fault}"),
                }
            })
        };
        let (timed, cancelled) = (wait(ms(10)), wait(None));
        sleep(ms(10)).unwrap();
        permits.release(1).unwrap();
        cancelled.cancel();
        timed.join();
        cancelled.join();
        assert_eq!(permits.state(), "1 free, 0 waiting");
        assert!(matches!(permits.release(1), Err(Fault::ReleasedTooOften(_, 1))));
    });
}

#[test]
fn many_permits_at_once_wake_as_many() {
    all(|| {
        let permits = Own::new(Semaphore::new(0));
        let tasks = [0, 1].map(|_| {
            spawn(|me| {
                let permits = permits.to(me);
                move || permits.acquire(None).unwrap()
            })
        });
        permits.release(2).unwrap();
        join_all(tasks);
        assert_eq!(permits.state(), "0 free, 0 waiting");
    });
}

// ---- event

#[test]
fn whoever_waits_when_the_event_is_set_goes_on_even_if_it_is_cleared() {
    all(|| {
        let (event, arrived) = (Own::new(Event::new()), Arc::new(AtomicUsize::new(0)));
        let tasks = [0, 1].map(|_| {
            let arrived = arrived.clone();
            spawn(|me| {
                let event = event.to(me);
                move || {
                    let mut op = Watched::new(event.waiting());
                    op.at_first(move || _ = arrived.fetch_add(1, Ordering::Relaxed));
                    block(&mut op, None).unwrap();
                }
            })
        });
        let before = arrived.load(Ordering::Relaxed);
        event.set();
        event.clear();
        if before < 2 {
            // Not all had come; these wait on, and the others do not hold them up.
            sleep(ms(1)).unwrap();
            event.set();
        }
        join_all(tasks);
        let flag = if before < 2 { "set" } else { "not set" };
        assert_eq!(event.state(), flag);
    });
}

#[test]
fn a_time_limit_on_an_event_tells_the_truth() {
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = seen.clone();
    all(move || {
        let event = Own::new(Event::new());
        let waiter = spawn(|me| {
            let event = event.to(me);
            move || event.wait(ms(10)).unwrap()
        });
        let cancelled = spawn(|me| {
            let event = event.to(me);
            move || match event.wait(None) {
                Ok(set) => assert!(set),
                Err(Fault::Stopped(Stop::Cancelled)) => {}
                Err(fault) => panic!("{fault}"),
            }
        });
        sleep(ms(10)).unwrap();
        cancelled.cancel();
        event.set();
        match waiter.join() {
            true => told.lock().0 += 1,
            false => told.lock().1 += 1,
        }
        cancelled.join();
        assert_eq!(event.state(), "set");
        assert!(event.wait(ms(0)).unwrap());
    });
    let (set, late) = *seen.lock();
    assert!(set > 0 && late > 0, "{set} {late}");
}

// ---- condition

/// A lock, a condition over it, and what the condition is about.
fn condition() -> (Own<Lock>, Own<Condition>) {
    let lock = Lock::new();
    let condition = Condition::new(&Handle::new(lock.clone()));
    (Own::new(lock), Own::new(condition))
}

#[test]
fn no_notification_is_lost_on_the_way_into_the_wait() {
    all(|| {
        let (lock, changed) = condition();
        let ready = Arc::new(AtomicUsize::new(0));
        let tasks = [0, 1].map(|_| {
            let ready = ready.clone();
            spawn(|me| {
                let (lock, changed) = (lock.to(me), changed.to(me));
                move || {
                    lock.acquire(None).unwrap();
                    while ready.load(Ordering::Relaxed) == 0 {
                        assert!(changed.wait(None).unwrap());
                        assert!(lock.is_mine());
                        // Nobody goes on unasked.
                        assert_eq!(ready.load(Ordering::Relaxed), 1);
                    }
                    lock.release().unwrap();
                }
            })
        });
        lock.acquire(None).unwrap();
        ready.store(1, Ordering::Relaxed);
        changed.notify_all().unwrap();
        lock.release().unwrap();
        join_all(tasks);
        assert_eq!(changed.state(), "0 waiting");
    });
}

/// A task that waits for a notification: whether it got one.
fn wait_for(lock: &Own<Lock>, changed: &Own<Condition>, limit: Option<std::time::Duration>) -> Spawned<bool> {
    spawn(|me| {
        let (lock, changed) = (lock.to(me), changed.to(me));
        move || {
            if let Err(Fault::Stopped(Stop::Cancelled)) = lock.acquire(None) {
                return false;
            }
            let outcome = changed.wait(limit);
            assert!(lock.is_mine(), "however it returns");
            lock.release().unwrap();
            match outcome {
                Ok(notified) => notified,
                Err(Fault::Stopped(Stop::Cancelled)) => false,
                Err(fault) => panic!("{fault}"),
            }
        }
    })
}

#[test]
fn one_notification_lets_exactly_one_go_on_whoever_gives_up() {
    all(|| {
        let (lock, changed) = condition();
        let timed = wait_for(&lock, &changed, ms(10));
        let cancelled = wait_for(&lock, &changed, None);
        sleep(ms(10)).unwrap();
        lock.acquire(None).unwrap();
        let waiting = changed.state() != "0 waiting";
        changed.notify(1).unwrap();
        lock.release().unwrap();
        cancelled.cancel();
        let notified = join_all([timed, cancelled]);
        let count = notified.iter().filter(|n| **n).count();
        assert_eq!(count, usize::from(waiting));
        assert_eq!(changed.state(), "0 waiting");
        assert_eq!(lock.state(), "free");
    });
}

#[test]
fn a_notification_of_one_that_is_cancelled_goes_to_the_next() {
    all(|| {
        let (lock, changed) = condition();
        let first = wait_for(&lock, &changed, None);
        let second = wait_for(&lock, &changed, None);
        // Both wait: time passes only then.
        sleep(ms(1)).unwrap();
        lock.acquire(None).unwrap();
        changed.notify(1).unwrap();
        lock.release().unwrap();
        first.cancel();
        let first = first.join();
        if first {
            // It was used; the other needs its own.
            lock.acquire(None).unwrap();
            changed.notify(1).unwrap();
            lock.release().unwrap();
        }
        assert!(second.join());
        assert_eq!(changed.state(), "0 waiting");
    });
}

#[test]
fn a_cancellation_before_the_wait_leaves_nothing_behind() {
    all(|| {
        let (lock, changed) = condition();
        let waiter = wait_for(&lock, &changed, None);
        waiter.cancel();
        lock.acquire(None).unwrap();
        changed.notify(1).unwrap();
        lock.release().unwrap();
        waiter.join();
        assert_eq!(changed.state(), "0 waiting");
        assert_eq!(lock.state(), "free");
    });
}

#[test]
fn a_cancelled_wait_whose_lock_was_abandoned_tells_both() {
    all(|| {
        let (lock, changed) = condition();
        let waiter = spawn(|me| {
            let (lock, changed) = (lock.to(me), changed.to(me));
            move || {
                lock.acquire(None).unwrap();
                let abandoned = matches!(changed.wait(None), Err(Fault::Abandoned(_)));
                assert!(lock.is_mine());
                lock.release().unwrap();
                assert!(!abandoned || matches!(sleep(ms(1)), Err(Stop::Cancelled)));
                abandoned
            }
        });
        sleep(ms(1)).unwrap();
        let thief = spawn(|me| {
            let lock = lock.to(me);
            move || lock.acquire(None).unwrap()
        });
        thief.join();
        waiter.cancel();
        assert!(waiter.join());
    });
}

#[test]
fn without_the_lock_a_condition_refuses() {
    all(|| {
        let (lock, changed) = condition();
        assert!(matches!(changed.wait(None), Err(Fault::NotHeld(_))));
        assert!(matches!(changed.notify(1), Err(Fault::NotHeld(_))));
        let other = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(None).unwrap();
                sleep(ms(2)).unwrap();
                lock.release().unwrap();
            }
        });
        sleep(ms(1)).unwrap();
        assert!(matches!(changed.wait(None), Err(Fault::NotOwner(..))));
        assert!(matches!(changed.notify_all(), Err(Fault::NotOwner(..))));
        other.join();
    });
}

// ---- barrier

fn pass(barrier: &Arc<Barrier>, limit: Option<std::time::Duration>) -> Result<usize, Fault> {
    barrier.wait(limit, || Ok::<(), Fault>(()))
}

#[test]
fn tasks_pass_a_barrier_in_whole_groups_after_its_action() {
    all(|| {
        let (barrier, acted) = (Own::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        let rounds = join_all((0..2).map(|_| {
            let acted = acted.clone();
            spawn(|me| {
                let barrier = barrier.to(me);
                move || {
                    [1, 2].map(|round| {
                        let action = || {
                            point();
                            acted.fetch_add(1, Ordering::Relaxed);
                            Ok::<(), Fault>(())
                        };
                        let index = barrier.wait(None, action).unwrap();
                        assert!(acted.load(Ordering::Relaxed) >= round);
                        index
                    })
                }
            })
        }));
        for (one, other) in rounds[0].iter().zip(rounds[1]) {
            assert_eq!((*one).min(other) + 1, (*one).max(other));
        }
        assert_eq!(acted.load(Ordering::Relaxed), 2);
        assert_eq!(barrier.state(), "0 of 2 arrived");
    });
}

#[test]
fn three_at_a_barrier_for_two_leave_one_behind() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let tasks = [0, 1, 2].map(|_| {
            spawn(|me| {
                let barrier = barrier.to(me);
                move || pass(&barrier, None)
            })
        });
        sleep(ms(1)).unwrap();
        assert_eq!(barrier.n_waiting(), 1);
        barrier.reset();
        let passed = join_all(tasks);
        let broken = |r: &&Result<usize, Fault>| matches!(r, Err(Fault::BrokenBarrier(_)));
        assert_eq!(passed.iter().filter(broken).count(), 1);
        let sum: usize = passed.iter().flatten().sum();
        assert_eq!(sum, 1, "indices 0 and 1");
        assert!(!barrier.broken());
    });
}

#[test]
fn who_gives_up_at_a_barrier_breaks_it_for_all_or_passes_with_all() {
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = seen.clone();
    all(move || {
        let barrier = Own::new(Barrier::new(2));
        let first = spawn(|me| {
            let barrier = barrier.to(me);
            move || pass(&barrier, ms(10))
        });
        sleep(ms(10)).unwrap();
        let action = || sleep(ms(5)).map_err(Fault::from);
        let second = barrier.wait(None, action);
        match (first.join(), second) {
            (Ok(0), Ok(1)) => {
                told.lock().0 += 1;
                assert!(!barrier.broken());
            }
            (Err(Fault::BrokenBarrier(_)), Err(Fault::BrokenBarrier(_))) => {
                told.lock().1 += 1;
                assert!(barrier.broken());
                barrier.reset();
                assert!(!barrier.broken());
            }
            (first, second) => panic!("{first:?} {second:?}"),
        }
        assert_eq!(barrier.state(), "0 of 2 arrived");
    });
    let (passed, broken) = *seen.lock();
    assert!(passed > 0 && broken > 0, "{passed} {broken}");
}

#[test]
fn a_limit_that_ends_while_the_action_runs_is_in_time() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let first = spawn(|me| {
            let barrier = barrier.to(me);
            move || pass(&barrier, ms(10))
        });
        sleep(ms(5)).unwrap();
        let action = || sleep(ms(20)).map_err(Fault::from);
        let second = barrier.wait(None, action).unwrap();
        assert_eq!((first.join().unwrap(), second), (0, 1));
    });
}

#[test]
fn a_cancelled_task_breaks_the_barrier_for_the_others() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let cancelled = spawn(|me| {
            let barrier = barrier.to(me);
            move || pass(&barrier, None)
        });
        let other = spawn(|me| {
            let barrier = barrier.to(me);
            move || pass(&barrier, None)
        });
        cancelled.cancel();
        let (cancelled, other) = (cancelled.join(), {
            sleep(ms(1)).unwrap();
            barrier.abort(); // in case it waits for one that was cancelled before it came
            other.join()
        });
        match (cancelled, other) {
            (Ok(a), Ok(b)) => assert_eq!(a + b, 1),
            (Err(Fault::Stopped(Stop::Cancelled)), Err(Fault::BrokenBarrier(_))) => {}
            (Err(Fault::BrokenBarrier(_)), Err(Fault::BrokenBarrier(_))) => {}
            (cancelled, other) => panic!("{cancelled:?} {other:?}"),
        }
    });
}

#[test]
fn a_group_that_is_reset_during_its_action_passes_as_a_whole_or_not_at_all() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let acting = Own::new(Event::new());
        let members = [0, 1].map(|_| {
            spawn(|me| {
                let (barrier, acting) = (barrier.to(me), acting.to(me));
                move || {
                    barrier.wait(None, || {
                        acting.set();
                        sleep(ms(5)).map_err(Fault::from)
                    })
                }
            })
        });
        acting.wait(None).unwrap();
        barrier.reset();
        let passed = members.map(|m| m.join().is_ok());
        assert_eq!(passed[0], passed[1]);
        assert!(!barrier.broken());
        assert_eq!(barrier.state(), "0 of 2 arrived");
    });
}

#[test]
fn a_failed_action_is_the_error_of_one_and_breaks_it_for_the_rest() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let outcomes = join_all((0..2).map(|_| {
            spawn(|me| {
                let barrier = barrier.to(me);
                move || barrier.wait(None, || Err(Fault::Incomparable("mine".into())))
            })
        }));
        let mine = |r: &&Result<usize, Fault>| matches!(r, Err(Fault::Incomparable(_)));
        let broken = |r: &&Result<usize, Fault>| matches!(r, Err(Fault::BrokenBarrier(_)));
        assert_eq!(outcomes.iter().filter(mine).count(), 1);
        assert_eq!(outcomes.iter().filter(broken).count(), 1);
        assert!(barrier.broken());
    });
}

#[test]
fn who_gives_up_at_the_entrance_breaks_the_barrier_for_those_to_come_only() {
    all(|| {
        let barrier = Own::new(Barrier::new(2));
        let first = spawn(|me| {
            let barrier = barrier.to(me);
            move || pass(&barrier, None)
        });
        let late = spawn(|me| {
            let barrier = barrier.to(me);
            move || {
                sleep(ms(1)).unwrap();
                pass(&barrier, ms(2))
            }
        });
        let action = || sleep(ms(10)).map_err(Fault::from);
        assert_eq!(barrier.wait(None, action).unwrap() + first.join().unwrap(), 1);
        assert!(matches!(late.join(), Err(Fault::BrokenBarrier(_))));
        assert!(barrier.broken());
        assert!(pass(&barrier, None).is_err());
    });
}

// ---- latch and value

#[test]
fn nobody_passes_a_latch_before_its_count_is_zero_and_all_do_then() {
    all(|| {
        let (latch, counted) = (Own::new(Latch::new(2)), Arc::new(AtomicUsize::new(0)));
        let wait = |limit| {
            let counted = counted.clone();
            spawn(|me| {
                let latch = latch.to(me);
                move || {
                    let open = latch.wait(limit).unwrap();
                    assert!(!open || counted.load(Ordering::Relaxed) == 2);
                    open
                }
            })
        };
        let (endless, timed) = (wait(None), wait(ms(10)));
        sleep(ms(10)).unwrap();
        for _ in 0..2 {
            counted.fetch_add(1, Ordering::Relaxed);
            latch.count_down();
        }
        assert!(endless.join());
        timed.join();
        latch.count_down();
        assert_eq!(latch.state(), "0 to come, 0 waiting");
        assert!(latch.wait(ms(0)).unwrap());
    });
}

#[test]
fn updates_and_writes_of_a_value_follow_one_another() {
    all(|| {
        let value = Own::new(Cell::new("Value", |_| 0));
        let updates = [1, 10].map(|n| {
            spawn(|me| {
                let value = value.to(me);
                move || {
                    value.update(|| {
                        let before = value.peek(|v| *v);
                        point(); // readers see the value from before it
                        value.replace(|v| *v = before + n);
                        Ok::<(), Fault>(())
                    })
                }
            })
        });
        value.write(|v| *v += 100).unwrap();
        let seen = value.read(|v| *v);
        assert!([100, 101, 110, 111].contains(&seen), "{seen}");
        for update in updates {
            update.join().unwrap();
        }
        assert_eq!(value.read(|v| *v), 111);
    });
}

#[test]
fn a_cancelled_or_failed_update_changes_nothing_and_lets_the_next_in() {
    all(|| {
        let value = Own::new(Cell::new("Value", |_| 0));
        let cancelled = spawn(|me| {
            let value = value.to(me);
            move || {
                value.update(|| {
                    sleep(None)?;
                    Ok::<(), Fault>(())
                })
            }
        });
        let next = spawn(|me| {
            let value = value.to(me);
            move || {
                value.update(|| {
                    value.replace(|v| *v += 1);
                    Ok::<(), Fault>(())
                })
            }
        });
        cancelled.cancel();
        let outcome = cancelled.join();
        assert!(matches!(outcome, Err(Fault::Stopped(Stop::Cancelled))));
        next.join().unwrap();
        assert_eq!(value.read(|v| *v), 1);
    });
}

/// A permit that came to an arm that did not win goes back.
#[test]
fn a_select_keeps_no_permit_it_does_not_use() {
    all(|| {
        let permits = Own::new(Semaphore::bounded(1));
        let event = Own::new(Event::new());
        permits.acquire(None).unwrap();
        let selects = spawn(|me| {
            let (permits, event) = (permits.to(me), event.to(me));
            move || {
                let arms: Vec<Arm<()>> = vec![Box::new(event.waiting()), Box::new(permits.acquiring())];
                let (index, ()) = block(&mut Select::new(arms), None).unwrap();
                if index == 1 {
                    permits.release(1).unwrap();
                }
            }
        });
        permits.release(1).unwrap();
        event.set();
        selects.join();
        assert_eq!(permits.state(), "1 free, 0 waiting");
        let mut op = event.waiting();
        assert!(op.poll(&Waker::Call(Arc::new(|| {}))).is_ready());
    });
}

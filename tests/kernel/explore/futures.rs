//! Futures, sets of them, and waiting for the first of several things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orch::kernel::{Operation, Stop, Waitable, block, current, point, sleep};
use orch::sync::future::{Completions, Stage};
use orch::sync::select::{Arm, Mapped, Select};
use orch::sync::{Event, Fault, Future, Lock, Order, Queue, Semaphore};
use parking_lot::Mutex;

use super::all;
use crate::support::{Own, Spawned, join_all, ms, spawn};

type Number = Own<Future<u32>>;

fn future() -> Number {
    Own::new(Future::new("Future", None))
}

/// A task that runs the future, unless it was cancelled before: whether it did.
fn runs(future: &Number, result: u32) -> Spawned<bool> {
    spawn(|me| {
        let future = future.to(me);
        move || {
            point();
            let begun = future.begin(current().id());
            point();
            if begun {
                assert!(!future.cancel(), "it runs");
                future.finish(result);
            }
            begun
        }
    })
}

#[test]
fn a_future_is_run_or_cancelled_and_never_both() {
    all(|| {
        let f = future();
        let runner = runs(&f, 7);
        let waiter = spawn(|me| {
            let f = f.to(me);
            move || {
                f.wait(None).unwrap();
                f.look(|r| r.copied())
            }
        });
        let cancelled = f.cancel();
        assert_eq!(f.cancel(), cancelled, "asking again gives the same");
        let seen = waiter.join();
        assert_eq!(runner.join(), !cancelled);
        match seen {
            Ok(Some(7)) => assert_eq!((cancelled, f.stage()), (false, Stage::Done)),
            Err(Fault::CancelledFuture(_)) => {
                assert_eq!((cancelled, f.stage()), (true, Stage::Cancelled));
            }
            other => panic!("{other:?}"),
        }
        f.finish(8); // too late
        assert_ne!(f.look(|r| r.copied()).ok().flatten(), Some(8));
        assert!(!f.begin(current().id()));
    });
}

/// It is run elsewhere: whoever lent it hears that it is wanted back, or that it has begun.
#[test]
fn a_future_that_is_lent_is_run_or_cancelled_and_never_both() {
    let seen = Arc::new(Mutex::new([0; 2]));
    let told = seen.clone();
    all(move || {
        let f = future();
        let asked = Arc::new(AtomicUsize::new(0));
        let lender = spawn(|me| {
            let (f, asked) = (f.to(me), asked.clone());
            move || {
                let ask = asked.clone();
                if !f.lend(current().id(), Arc::new(move || ask.store(1, Ordering::SeqCst))) {
                    return false;
                }
                point();
                if asked.load(Ordering::SeqCst) == 1 && !f.is_back() {
                    return false;
                }
                point();
                let begun = f.begin(current().id());
                if begun {
                    assert!(!f.cancel(), "it runs");
                    f.finish(7);
                }
                begun
            }
        });
        let cancelled = f.cancel();
        assert_eq!(lender.join(), !cancelled);
        assert_eq!(f.stage(), if cancelled { Stage::Cancelled } else { Stage::Done });
        told.lock()[usize::from(cancelled)] += 1;
    });
    assert!(seen.lock().iter().all(|times| *times > 0), "both happen");
}

#[test]
fn callbacks_are_called_once_each_and_in_order() {
    all(|| {
        let f = future();
        let log = Arc::new(Mutex::new(Vec::new()));
        let note = |n: usize| {
            let log = log.clone();
            f.when_over(move |f| {
                assert!(f.is_over());
                log.lock().push(n);
            });
        };
        note(0);
        let runner = runs(&f, 1);
        point();
        note(1);
        point();
        note(2);
        f.cancel();
        runner.join();
        note(3);
        assert_eq!(*log.lock(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_wait_for_a_future_ends_in_time_or_with_it() {
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = seen.clone();
    all(move || {
        let f = future();
        let wait = |limit| {
            spawn(|me| {
                let f = f.to(me);
                move || f.wait(limit)
            })
        };
        let (timed, cancelled) = (wait(ms(10)), wait(None));
        sleep(ms(10)).unwrap();
        f.begin(current().id());
        f.finish(1);
        cancelled.cancel();
        match timed.join() {
            Ok(()) => told.lock().0 += 1,
            Err(Fault::Stopped(Stop::TimedOut)) => told.lock().1 += 1,
            Err(fault) => panic!("{fault}"),
        }
        let outcome = cancelled.join();
        assert!(matches!(outcome, Ok(()) | Err(Fault::Stopped(Stop::Cancelled))));
        f.wait(None).unwrap();
    });
    let (in_time, late) = *seen.lock();
    assert!(in_time > 0 && late > 0, "{in_time} {late}");
}

#[test]
fn a_set_gives_each_future_once_in_the_order_they_end() {
    all(|| {
        let futures = [future(), future(), future()];
        let set = Own::new(Completions::new(futures.iter().map(|f| (**f).clone()).collect()));
        let ended = Arc::new(Mutex::new(Vec::new()));
        for (i, f) in futures.iter().enumerate() {
            let ended = ended.clone();
            f.when_over(move |_| ended.lock().push(i));
        }
        let runner = runs(&futures[1], 1);
        futures[0].cancel();
        futures[2].begin(current().id());
        futures[2].finish(2);
        let given: Vec<usize> = (0..3).map(|_| set.next(None).unwrap()).collect();
        assert_eq!(given, *ended.lock());
        runner.join();
        assert!(set.next(ms(1)).is_err(), "there is no fourth");
    });
}

/// Two futures and the set of both.
fn pair() -> ([Number; 2], Own<Completions<u32>>) {
    let futures = [future(), future()];
    let set = Completions::new(futures.iter().map(|f| (**f).clone()).collect());
    (futures, Own::new(set))
}

/// A task that asks for the next future that is over.
fn next(futures: &[Number; 2], set: &Own<Completions<u32>>, limit: Option<Duration>) -> Spawned<Option<usize>> {
    spawn(|me| {
        let (set, futures) = (set.to(me), futures.each_ref().map(|f| f.to(me)));
        move || {
            let next = set.next(limit).ok();
            drop(futures);
            next
        }
    })
}

#[test]
fn several_tasks_may_share_a_set() {
    all(|| {
        let (futures, set) = pair();
        let askers = [next(&futures, &set, None), next(&futures, &set, None)];
        for f in &futures {
            point();
            f.begin(current().id());
            f.finish(1);
        }
        let mut given = join_all(askers);
        given.sort_unstable();
        assert_eq!(given, [Some(0), Some(1)]);
    });
}

#[test]
fn what_one_who_gives_up_left_in_a_set_goes_to_the_others() {
    all(|| {
        let (futures, set) = pair();
        let askers = [next(&futures, &set, ms(10)), next(&futures, &set, None)];
        sleep(ms(10)).unwrap();
        for f in &futures {
            point();
            f.begin(current().id());
            f.finish(1);
        }
        askers[1].cancel();
        let mut given: Vec<usize> = join_all(askers).into_iter().flatten().collect();
        given.extend(std::iter::from_fn(|| set.next(ms(1)).ok()));
        given.sort_unstable();
        assert_eq!(given, [0, 1]);
    });
}

/// What a select over one of each gave.
#[derive(Debug, PartialEq)]
enum Got {
    Item(u32),
    Lock,
    Flag,
    Result,
}

fn arm<O: Operation + 'static>(op: O, map: impl FnMut(O::Output) -> Got + 'static) -> Arm<'static, Got> {
    Box::new(Mapped::new(op, map))
}

#[test]
fn of_several_arms_exactly_one_takes_effect() {
    let seen = Arc::new(Mutex::new([0; 4]));
    let told = seen.clone();
    all(move || {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let (lock, event, f) = (Own::new(Lock::new()), Own::new(Event::new()), future());
        lock.acquire(None).unwrap();
        let selects = spawn(|me| {
            let (queue, lock, event, f) = (queue.to(me), lock.to(me), event.to(me), f.to(me));
            move || {
                let mut select = Select::new(vec![
                    arm(queue.getting(), |item| Got::Item(item.unwrap())),
                    arm(lock.acquiring(), |taken| {
                        taken.unwrap();
                        Got::Lock
                    }),
                    arm(event.waiting(), |()| Got::Flag),
                    arm(f.waiting(), |()| Got::Result),
                ]);
                let (index, got) = block(&mut select, None).unwrap();
                assert_eq!(lock.is_mine(), got == Got::Lock);
                if lock.is_mine() {
                    lock.release().unwrap();
                }
                (index, got)
            }
        });
        event.set();
        f.begin(current().id());
        f.finish(1);
        lock.release().unwrap();
        queue.put(5, None).unwrap();
        let (index, got) = selects.join();
        let expected = [Got::Item(5), Got::Lock, Got::Flag, Got::Result];
        assert_eq!(got, expected[index]);
        told.lock()[index] += 1;
        assert_eq!(queue.len(), usize::from(got != Got::Item(5)));
        assert!(queue.state().ends_with(['m', 's']), "{}", queue.state());
        assert_eq!(lock.state(), "free");
        assert!(lock.try_acquire().unwrap());
    });
    assert!(seen.lock().iter().filter(|n| **n > 0).count() >= 3, "{seen:?}");
}

#[test]
fn an_item_and_a_lock_that_a_select_left_reach_the_next() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let (lock, event) = (Own::new(Lock::new()), Own::new(Event::new()));
        lock.acquire(None).unwrap();
        let selects = spawn(|me| {
            let (queue, lock, event) = (queue.to(me), lock.to(me), event.to(me));
            move || {
                let mut select = Select::new(vec![
                    arm(event.waiting(), |()| Got::Flag),
                    arm(queue.getting(), |item| Got::Item(item.unwrap())),
                    arm(lock.acquiring(), |taken| {
                        taken.unwrap();
                        Got::Lock
                    }),
                ]);
                block(&mut select, None).unwrap().1
            }
        });
        let getter = spawn(|me| {
            let (queue, lock) = (queue.to(me), lock.to(me));
            move || {
                let told = lock.acquire(None).is_err(); // if the select ended with it
                queue.get(None).unwrap();
                lock.release().unwrap();
                told
            }
        });
        queue.put(1, None).unwrap();
        event.set();
        lock.release().unwrap();
        let got = selects.join();
        if got == Got::Item(1) {
            queue.put(2, None).unwrap();
        }
        assert!(!getter.join() || got == Got::Lock);
        assert_eq!(queue.state(), "0 items");
    });
}

#[test]
fn a_select_that_is_given_up_leaves_no_trace() {
    all(|| {
        let permits = Own::new(Semaphore::bounded(1));
        let (lock, event) = (Own::new(Lock::new()), Own::new(Event::new()));
        let counted = Arc::new(AtomicUsize::new(0));
        permits.acquire(None).unwrap();
        lock.acquire(None).unwrap();
        let selects = [ms(10), None].map(|limit| {
            let counted = counted.clone();
            spawn(|me| {
                let (permits, lock, event) = (permits.to(me), lock.to(me), event.to(me));
                move || {
                    let mut select = Select::new(vec![
                        arm(permits.acquiring(), |()| Got::Flag),
                        arm(lock.acquiring(), |_| Got::Lock),
                        arm(event.waiting(), |()| Got::Result),
                    ]);
                    match block(&mut select, limit) {
                        Ok((_, Got::Flag)) => permits.release(1).unwrap(),
                        Ok((_, Got::Lock)) => lock.release().unwrap(),
                        Ok(_) => panic!("nobody set the event"),
                        Err(Stop::TimedOut | Stop::Cancelled) => {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(stop) => panic!("{stop:?}"),
                    }
                }
            })
        });
        sleep(ms(10)).unwrap();
        permits.release(1).unwrap();
        lock.release().unwrap();
        selects[1].cancel();
        join_all(selects);
        assert!(counted.load(Ordering::Relaxed) <= 2);
        assert_eq!(permits.state(), "1 free, 0 waiting");
        assert_eq!(lock.state(), "free");
        assert_eq!(event.state(), "not set");
    });
}

#[test]
fn a_select_that_gets_an_abandoned_lock_is_told() {
    all(|| {
        let lock = Own::new(Lock::new());
        let owner = spawn(|me| {
            let lock = lock.to(me);
            move || lock.acquire(None).unwrap()
        });
        sleep(ms(1)).unwrap();
        let mut select = Select::new(vec![Box::new(lock.acquiring()) as Arm<_>]);
        let (_, told) = block(&mut select, None).unwrap();
        assert!(matches!(told, Err(Fault::Abandoned(_))), "{told:?}");
        lock.release().unwrap();
        lock.acquire(None).unwrap();
        owner.join();
    });
}

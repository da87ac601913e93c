//! Wrong variants of the primitives. The search must find each; beside each stands the right one, in which it must find
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use orch::kernel::explore::every_schedule;
use orch::kernel::{ObjectCore, Operation, Stop, Ticket, WaitQueue, Waitable, Waker, block, current, point, sleep};
use orch::sync::Future;
use parking_lot::Mutex;

use crate::support::{Own, Spawned, join_all, ms, spawn};

/// In how many schedules something goes wrong, with the right variant and with the wrong one: `program` says so, or a
/// task waited for nobody.
fn find(program: impl Fn(bool) -> bool + Clone + Send + Sync + 'static) -> (usize, usize) {
    let count = |wrong: bool| {
        let (program, mut found) = (program.clone(), 0);
        let tally = |broken| found += usize::from(broken);
        let program = move || program(wrong) | (current().kernel().detector().told() > 0);
        every_schedule(2, 20_000, program, tally);
        found
    };
    (count(false), count(true))
}

macro_rules! only_the_wrong_one_is_found {
    ($program:expr) => {
        let (right, wrong) = find($program);
        assert_eq!(right, 0, "the right variant fails");
        assert!(wrong > 0, "the wrong variant is not found");
    };
}

/// Some state and those who wait for it to change.
struct Shared<T> {
    core: Arc<ObjectCore>,
    inside: Mutex<(T, WaitQueue)>,
}

impl<T: Send + 'static> Shared<T> {
    fn new(state: T) -> Own<Shared<T>> {
        Own::new(Arc::new(Shared {
            core: ObjectCore::new("Planted"),
            inside: Mutex::new((state, WaitQueue::default())),
        }))
    }

    fn change<R>(&self, change: impl FnOnce(&mut T, &mut WaitQueue) -> R) -> R {
        point();
        let (state, waiters) = &mut *self.inside.lock();
        change(state, waiters)
    }
}

impl<T: Send> Waitable for Shared<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }
}

/// A wait for a [`Shared`]: `attempt` tries and enlists, `leave` gives up.
struct Wait<T, A, L> {
    shared: Arc<Shared<T>>,
    ticket: Ticket,
    attempt: A,
    leave: L,
}

impl<T, R, A, L> Operation for Wait<T, A, L>
where
    T: Send + 'static,
    A: FnMut(&mut T, &mut WaitQueue, &mut Ticket, &Waker) -> Poll<R>,
    L: FnMut(&mut T, &mut WaitQueue, &mut Ticket),
{
    type Output = R;

    fn poll(&mut self, waker: &Waker) -> Poll<R> {
        let (state, waiters) = &mut *self.shared.inside.lock();
        (self.attempt)(state, waiters, &mut self.ticket, waker)
    }

    fn abandon(&mut self) {
        let (state, waiters) = &mut *self.shared.inside.lock();
        (self.leave)(state, waiters, &mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.shared.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

/// Waits until `attempt` succeeds.
fn wait<T: Send + 'static, R>(
    shared: &Arc<Shared<T>>,
    limit: Option<Duration>,
    mut attempt: impl FnMut(&mut T) -> Option<R>,
) -> Result<R, Stop> {
    let attempt = |state: &mut T, queue: &mut WaitQueue, ticket: &mut Ticket, waker: &Waker| match attempt(state) {
        Some(result) => {
            queue.remove(ticket);
            Poll::Ready(result)
        }
        None => {
            queue.enlist(ticket, waker, ());
            Poll::Pending
        }
    };
    let (shared, ticket) = (shared.clone(), Ticket::default());
    let mut op = Wait { shared, ticket, attempt, leave: leave::<T> };
    block(&mut op, limit)
}

/// Who gives up leaves the queue.
fn leave<T>(_: &mut T, queue: &mut WaitQueue, ticket: &mut Ticket) {
    queue.remove(ticket);
}

/// Two or three tasks with the same body.
fn crew<T: Send + 'static, R: Send + 'static>(
    count: usize,
    shared: &Own<Shared<T>>,
    body: impl FnOnce(&Arc<Shared<T>>) -> R + Clone + Send + 'static,
) -> Vec<Spawned<R>> {
    let start = |_| {
        let body = body.clone();
        spawn(|me| {
            let shared = shared.to(me);
            move || body(&shared)
        })
    };
    (0..count).map(start).collect()
}

#[test]
fn a_lock_with_if_for_while() {
    only_the_wrong_one_is_found!(|wrong| {
        let (lock, inside) = (Shared::new(false), Arc::new(AtomicUsize::new(0)));
        let tasks = crew(3, &lock, move |lock| {
            let mut woken = false;
            let taken = wait(lock, None, |locked| {
                let mine = !*locked || (wrong && woken);
                *locked |= mine;
                woken = true;
                mine.then_some(())
            });
            taken.unwrap();
            let alone = inside.fetch_add(1, Ordering::Relaxed) == 0;
            point();
            inside.fetch_sub(1, Ordering::Relaxed);
            lock.change(|locked, waiters| {
                *locked = false;
                waiters.nudge();
            });
            alone
        });
        join_all(tasks).contains(&false)
    });
}

#[test]
fn a_condition_that_lets_go_before_it_enlists() {
    only_the_wrong_one_is_found!(|wrong| {
        // The state: what the condition is about. Holding the mutex is holding the lock.
        let condition = Shared::new(false);
        let waiters = crew(1, &condition, move |condition| {
            let mut ready = condition.change(|ready, _| *ready);
            if wrong && !ready {
                point(); // here the notification comes, and finds nobody
            }
            let mut enlisted = false;
            let mut enter = |state: &mut bool| {
                if !std::mem::replace(&mut enlisted, true) && !wrong {
                    ready = *state; // looks again, enlisted in the same step
                }
                (ready || enlisted && *state && !wrong).then_some(())
            };
            let attempt = |state: &mut bool, queue: &mut WaitQueue, ticket: &mut Ticket, w: &Waker| {
                if enter(state).is_some() || queue.granted(ticket) {
                    return Poll::Ready(());
                }
                queue.enlist(ticket, w, ());
                Poll::Pending
            };
            let shared = condition.clone();
            let ticket = Ticket::default();
            let mut op = Wait { shared, ticket, attempt, leave: leave::<bool> };
            block(&mut op, None)
        });
        condition.change(|ready, waiters| {
            *ready = true;
            waiters.grant_all();
        });
        drop(condition);
        let lost = |r: &Result<(), Stop>| matches!(r, Err(Stop::Deadlock(_)));
        join_all(waiters).iter().any(lost)
    });
}

#[test]
fn a_semaphore_that_loses_a_permit_on_timeout() {
    only_the_wrong_one_is_found!(|wrong| {
        let permits = Shared::new(0);
        let tasks = crew(1, &permits, move |permits| {
            // A permit is handed to the first waiter.
            let attempt = |free: &mut u32, queue: &mut WaitQueue, ticket: &mut Ticket, w: &Waker| {
                if queue.granted(ticket) || (!ticket.is_enlisted() && *free > 0) {
                    *free -= u32::from(!ticket.is_enlisted());
                    return Poll::Ready(());
                }
                queue.enlist(ticket, w, ());
                Poll::Pending
            };
            let leave = |_: &mut u32, queue: &mut WaitQueue, ticket: &mut Ticket| {
                if !wrong {
                    queue.remove(ticket);
                }
            };
            let (shared, ticket) = (permits.clone(), Ticket::default());
            let mut op = Wait { shared, ticket, attempt, leave };
            block(&mut op, ms(10)).is_ok()
        });
        sleep(ms(10)).unwrap();
        permits.change(|free, waiters| {
            if waiters.grant().is_none() {
                *free += 1;
            }
        });
        let taken = join_all(tasks).contains(&true);
        let left = permits.change(|free, _| *free > 0);
        taken == left
    });
}

#[test]
fn an_event_whose_waiters_look_at_the_flag_again() {
    only_the_wrong_one_is_found!(|wrong| {
        let (event, arrived) = (Shared::new(false), Arc::new(AtomicUsize::new(0)));
        let seen = arrived.clone();
        let tasks = crew(1, &event, move |event| {
            let attempt = |set: &mut bool, queue: &mut WaitQueue, ticket: &mut Ticket, w: &Waker| {
                if *set || (!wrong && queue.granted(ticket)) {
                    return Poll::Ready(());
                }
                queue.enlist(ticket, w, ());
                arrived.store(1, Ordering::Relaxed);
                Poll::Pending
            };
            let (shared, ticket) = (event.clone(), Ticket::default());
            let mut op = Wait { shared, ticket, attempt, leave: leave::<bool> };
            block(&mut op, ms(10)).is_ok()
        });
        point();
        let waits = seen.load(Ordering::Relaxed) == 1;
        event.change(|set, waiters| {
            *set = true;
            waiters.grant_all();
        });
        event.change(|set, _| *set = false);
        waits && join_all(tasks).contains(&false)
    });
}

#[test]
fn a_queue_that_wakes_a_getter_only_when_it_was_empty() {
    only_the_wrong_one_is_found!(|wrong| {
        let items = Shared::new(0u32);
        let tasks = crew(2, &items, |items| wait(items, None, |n| (*n > 0).then(|| *n -= 1)).is_ok());
        for _ in 0..2 {
            items.change(|n, waiters| {
                *n += 1;
                match wrong {
                    true if *n == 1 => waiters.nudge(),
                    true => {}
                    false => waiters.nudge_all(),
                }
            });
        }
        drop(items);
        join_all(tasks).contains(&false)
    });
}

#[test]
fn a_queue_whose_bound_is_looked_at_too_early() {
    only_the_wrong_one_is_found!(|wrong| {
        let items = Shared::new(0u32);
        let tasks = crew(2, &items, move |items| {
            let room = |n: &mut u32| (*n < 1).then(|| *n += u32::from(!wrong));
            let fits = wait(items, ms(10), room).is_ok();
            if fits && wrong {
                items.change(|n, _| *n += 1);
            }
        });
        join_all(tasks);
        items.change(|n, _| *n > 1)
    });
}

#[test]
fn a_reader_writer_lock_whose_readers_look_at_writers_only() {
    only_the_wrong_one_is_found!(|wrong| {
        // Readers, and whether a writer is in.
        let lock = Shared::new((0u32, false));
        let writer = crew(1, &lock, move |lock| {
            let free = move |s: &mut (u32, bool)| {
                let free = !s.1 && (wrong || s.0 == 0);
                s.1 |= free;
                free.then_some(())
            };
            wait(lock, None, free).unwrap();
            lock.change(|s, waiters| {
                s.1 = false;
                waiters.nudge_all();
                s.0 > 0
            })
        });
        let readers = crew(1, &lock, |lock| {
            wait(lock, None, |s| (!s.1).then(|| s.0 += 1)).unwrap();
            lock.change(|s, waiters| {
                s.0 -= 1;
                waiters.nudge_all();
                s.1
            })
        });
        join_all(writer.into_iter().chain(readers)).contains(&true)
    });
}

#[test]
fn a_barrier_that_counts_down_before_all_have_gone() {
    only_the_wrong_one_is_found!(|wrong| {
        // Arrived, and the number of the group.
        let barrier = Shared::new((0, 0));
        let tasks = crew(2, &barrier, move |barrier| {
            let mut passed = 0;
            for _ in 0..2 {
                let group = barrier.change(|s, waiters| {
                    s.0 += 1;
                    let group = s.1;
                    if s.0 == 2 {
                        *s = (0, s.1 + 1);
                        waiters.nudge_all();
                    }
                    group
                });
                // The wrong one looks at the count, which the next round has begun to fill.
                let over = move |s: &mut (u32, u32)| match wrong {
                    true => (s.0 == 0).then_some(()),
                    false => (s.1 > group).then_some(()),
                };
                passed += usize::from(wait(barrier, None, over).is_ok());
            }
            passed
        });
        drop(barrier);
        join_all(tasks) != [2, 2]
    });
}

#[test]
fn a_latch_that_reads_and_writes_in_two_steps() {
    only_the_wrong_one_is_found!(|wrong| {
        let latch = Shared::new(2u32);
        let tasks = crew(2, &latch, move |latch| {
            let seen = latch.change(|count, _| *count);
            latch.change(|count, waiters| {
                *count = if wrong { seen - 1 } else { *count - 1 };
                waiters.nudge_all();
            });
        });
        let open = wait(&latch, ms(10), |count| (*count == 0).then_some(()));
        join_all(tasks);
        open.is_err()
    });
}

#[test]
fn a_future_that_is_cancelled_after_a_look_at_its_stage() {
    #[derive(Clone, Copy, PartialEq)]
    enum Stage {
        Pending,
        Begun,
        Cancelled,
    }
    only_the_wrong_one_is_found!(|wrong| {
        let future = Shared::new(Stage::Pending);
        let tasks = crew(1, &future, |future| {
            future.change(|stage, _| match stage {
                Stage::Pending => {
                    *stage = Stage::Begun;
                    true
                }
                _ => false,
            })
        });
        let mut cancelled = future.change(|stage, _| *stage == Stage::Pending);
        future.change(|stage, _| {
            cancelled &= wrong || *stage == Stage::Pending;
            if cancelled {
                *stage = Stage::Cancelled;
            }
        });
        join_all(tasks) == [cancelled]
    });
}

#[test]
fn a_set_of_futures_that_wakes_only_the_first() {
    only_the_wrong_one_is_found!(|wrong| {
        let finished = Shared::new(0u32);
        let tasks = crew(2, &finished, move |finished| {
            let given = wait(finished, None, |n| (*n > 0).then(|| *n -= 1)).is_ok();
            if !wrong {
                // Passes the wake-up on.
                finished.inside.lock().1.nudge();
            }
            given
        });
        for _ in 0..2 {
            finished.change(|n, waiters| {
                *n += 1;
                waiters.nudge();
            });
        }
        drop(finished);
        join_all(tasks).contains(&false)
    });
}

#[test]
fn a_select_that_forgets_its_other_arm() {
    only_the_wrong_one_is_found!(|wrong| {
        let permits = Shared::new(0u32);
        let flag = Shared::new(false);
        let selects = spawn(|me| {
            let (permits, flag) = (permits.to(me), flag.to(me));
            move || {
                let task = current();
                let mut ticket = Ticket::default();
                let waker = Waker::Task(task.clone());
                permits.change(|_, waiters| waiters.enlist(&mut ticket, &waker, ()));
                let taken = wait(&flag, None, |set| set.then_some(())).is_ok();
                let granted = permits.change(|free, waiters| {
                    let granted = waiters.granted(&ticket);
                    waiters.remove(&mut ticket);
                    *free += u32::from(granted && !wrong);
                    granted
                });
                assert!(taken);
                granted
            }
        });
        permits.change(|free, waiters| {
            if waiters.grant().is_none() {
                *free += 1;
            }
        });
        flag.change(|set, waiters| {
            *set = true;
            waiters.nudge_all();
        });
        selects.join();
        permits.change(|free, _| *free != 1)
    });
}

#[test]
fn a_value_that_is_read_and_written_in_two_steps() {
    only_the_wrong_one_is_found!(|wrong| {
        let value = Shared::new(0);
        let tasks = crew(2, &value, move |value| {
            let seen = value.change(|v, _| *v);
            value.change(|v, _| *v = if wrong { seen + 1 } else { *v + 1 });
        });
        join_all(tasks);
        value.change(|v, _| *v != 2)
    });
}

/// Whoever lent a future goes on with it without asking whether it is still wanted.
#[test]
fn a_lender_that_does_not_ask_runs_what_was_cancelled() {
    only_the_wrong_one_is_found!(|wrong| {
        let f = Own::new(Future::<()>::new("Future", None));
        let asked = Arc::new(AtomicUsize::new(0));
        let lender = spawn(|me| {
            let (f, asked) = (f.to(me), asked.clone());
            move || {
                let ask = asked.clone();
                if !f.lend(current().id(), Arc::new(move || ask.store(1, Ordering::SeqCst))) {
                    return false;
                }
                point();
                if asked.load(Ordering::SeqCst) == 1 {
                    f.is_back();
                }
                point();
                let runs = f.begin(current().id()) || wrong;
                f.finish(());
                runs
            }
        });
        let cancelled = f.cancel();
        lender.join() == cancelled
    });
}

//! Queues in their three orders: nothing lost, nothing doubled, never too full, and everybody told when they close.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::{Stop, Waitable, block, point, sleep};
use orch::sync::{Fault, Order, Queue};
use parking_lot::Mutex;

use super::{Watched, all};
use crate::support::{Own, Spawned, join_all, ms, spawn};

type Numbers = Own<Queue<u32>>;

fn fifo(maxsize: Option<usize>) -> Numbers {
    Own::new(Queue::new("Queue", Order::Fifo, maxsize))
}

fn lifo(maxsize: Option<usize>) -> Numbers {
    Own::new(Queue::new("LifoQueue", Order::Lifo, maxsize))
}

/// Smallest first; multiples of ten do not compare with others.
fn priority(maxsize: Option<usize>) -> Numbers {
    let compare = |a: &u32, b: &u32| match a % 10 == b % 10 || a % 10 * (b % 10) != 0 {
        true => Ok(a.cmp(b)),
        false => Err(format!("{a} and {b} do not compare")),
    };
    Own::new(Queue::new("PriorityQueue", Order::Priority(compare), maxsize))
}

const ORDERS: [fn(Option<usize>) -> Numbers; 3] = [fifo, lifo, priority];

/// A task that puts these in.
fn puts(queue: &Numbers, items: impl IntoIterator<Item = u32> + Send + 'static) -> Spawned<()> {
    spawn(|me| {
        let queue = queue.to(me);
        move || items.into_iter().for_each(|i| queue.put(i, None).unwrap())
    })
}

/// A task that takes so many out.
fn gets(queue: &Numbers, count: usize) -> Spawned<Vec<u32>> {
    spawn(|me| {
        let queue = queue.to(me);
        move || (0..count).map(|_| queue.get(None).unwrap()).collect()
    })
}

fn sorted(parts: impl IntoIterator<Item = Vec<u32>>) -> Vec<u32> {
    let mut all: Vec<u32> = parts.into_iter().flatten().collect();
    all.sort_unstable();
    all
}

#[test]
fn every_item_comes_out_once_whoever_gets_it() {
    for order in ORDERS {
        all(move || {
            let queue = order(None);
            let getters = [gets(&queue, 1), gets(&queue, 1)];
            let putter = puts(&queue, [1, 2]);
            assert_eq!(sorted(join_all(getters)), [1, 2]);
            putter.join();
            assert_eq!(queue.state(), "0 items");
        });
    }
}

#[test]
fn one_producer_and_one_consumer_keep_the_order() {
    all(|| {
        let queue = fifo(None);
        let putter = puts(&queue, 1..4);
        assert_eq!(gets(&queue, 3).join(), [1, 2, 3]);
        putter.join();
    });
}

#[test]
fn each_order_is_its_own() {
    all(|| {
        let taken = ORDERS.map(|order| {
            let queue = order(None);
            for item in [2, 1, 4, 3] {
                queue.put(item, None).unwrap();
            }
            gets(&queue, 4).join()
        });
        assert_eq!(taken, [[2, 1, 4, 3], [3, 4, 1, 2], [1, 2, 3, 4]]);
    });
}

#[test]
fn a_full_queue_makes_its_putters_wait_and_never_holds_too_much() {
    for order in ORDERS {
        all(move || {
            let queue = order(Some(1));
            let most = Arc::new(AtomicUsize::new(0));
            let seen = most.clone();
            let core = queue.core().id();
            queue.core().kernel().events().listen(Arc::new(move |event| {
                use orch::kernel::events::Event::Put;
                if let Put { object, size, .. } = event
                    && object.id() == core
                {
                    seen.fetch_max(*size, Ordering::Relaxed);
                }
            }));
            let putters = [puts(&queue, [1]), puts(&queue, [2])];
            assert_eq!(sorted([gets(&queue, 2).join()]), [1, 2]);
            join_all(putters);
            assert_eq!(most.load(Ordering::Relaxed), 1);
            assert_eq!(queue.state(), "0 items");
        });
    }
}

#[test]
fn an_item_that_meets_a_time_limit_or_a_cancellation_is_not_lost() {
    let seen = Arc::new(Mutex::new([0; 2]));
    let told = seen.clone();
    all(move || {
        let queue = fifo(None);
        let get = |limit| {
            spawn(|me| {
                let queue = queue.to(me);
                move || match queue.get(limit) {
                    Ok(item) => vec![item],
                    Err(Fault::Empty(_) | Fault::Stopped(Stop::Cancelled)) => vec![],
                    Err(fault) => panic!("{fault}"),
                }
            })
        };
        let (timed, cancelled) = (get(ms(10)), get(None));
        sleep(ms(10)).unwrap();
        queue.put(7, None).unwrap();
        cancelled.cancel();
        let taken = join_all([timed, cancelled]);
        assert_eq!(taken.iter().flatten().count(), 1);
        assert_eq!(queue.state(), "0 items");
        told.lock()[taken[1].len()] += 1;
    });
    assert!(seen.lock().iter().all(|n| *n > 0), "{seen:?}");
}

#[test]
fn room_that_meets_a_time_limit_or_a_cancellation_is_not_lost() {
    all(|| {
        let queue = fifo(Some(1));
        queue.put(0, None).unwrap();
        let put = |item, limit| {
            spawn(|me| {
                let queue = queue.to(me);
                move || match queue.put(item, limit) {
                    Ok(()) => 1,
                    Err(Fault::Full(_) | Fault::Stopped(Stop::Cancelled)) => 0,
                    Err(fault) => panic!("{fault}"),
                }
            })
        };
        let (timed, cancelled) = (put(1, ms(10)), put(2, None));
        sleep(ms(10)).unwrap();
        let mut taken = vec![queue.get(None).unwrap()];
        cancelled.cancel();
        let late = put(3, None);
        taken.extend(std::iter::from_fn(|| queue.get(ms(1)).ok()));
        let put: usize = join_all([timed, cancelled, late]).into_iter().sum();
        assert_eq!(taken.len(), 1 + put);
        assert_eq!(queue.state(), "0 items");
        assert!(queue.try_put(9).unwrap());
    });
}

#[test]
fn nobody_who_waits_for_an_item_is_overtaken_twice() {
    all(|| {
        let queue = fifo(None);
        let waiter = spawn(|me| {
            let queue = queue.to(me);
            move || {
                let mut op = Watched::new(queue.getting());
                block(&mut op, None).unwrap().unwrap();
                op.in_vain
            }
        });
        let newcomer = spawn(|me| {
            let queue = queue.to(me);
            move || (0..3).filter(|_| queue.try_get().is_ok()).count()
        });
        for item in 0..4 {
            queue.put(item, None).unwrap();
        }
        assert!(waiter.join() <= 2);
        let taken = newcomer.join();
        assert_eq!(queue.len(), 3 - taken);
    });
}

#[test]
fn a_close_ends_every_wait_and_loses_nothing() {
    all(|| {
        let queue = fifo(Some(1));
        let put = |item| {
            spawn(|me| {
                let queue = queue.to(me);
                move || match queue.put(item, None) {
                    Ok(()) => 1,
                    Err(Fault::Closed(_)) => 0,
                    Err(fault) => panic!("{fault}"),
                }
            })
        };
        let putters = [put(1), put(2)];
        let getter = spawn(|me| {
            let queue = queue.to(me);
            move || queue.get(None).is_ok()
        });
        queue.close();
        let mut taken = usize::from(getter.join());
        let put: usize = join_all(putters).into_iter().sum();
        while queue.get(None).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, put, "a put that succeeded comes before the close");
        assert!(matches!(queue.get(None), Err(Fault::Closed(_))));
        assert!(matches!(queue.try_get(), Err(Fault::Closed(_))));
        assert!(matches!(queue.put(3, None), Err(Fault::Closed(_))));
        assert!(matches!(queue.try_put(3), Err(Fault::Closed(_))));
        queue.close();
        assert_eq!(queue.state(), "0 items, closed");
    });
}

#[test]
fn a_close_reaches_putters_behind_one_that_was_overtaken() {
    all(|| {
        let queue = fifo(Some(1));
        queue.put(0, None).unwrap();
        let putters = [1, 2].map(|item| {
            spawn(|me| {
                let queue = queue.to(me);
                move || queue.put(item, None)
            })
        });
        sleep(ms(1)).unwrap(); // both wait
        queue.get(None).unwrap();
        let overtook = queue.try_put(3).unwrap();
        sleep(ms(1)).unwrap(); // the first has seen it
        queue.close();
        let closed = |r: &Result<(), Fault>| matches!(r, Err(Fault::Closed(_)));
        let told = join_all(putters).iter().filter(|r| closed(r)).count();
        assert_eq!(told, if overtook { 2 } else { 1 });
    });
}

#[test]
fn a_join_ends_when_every_item_is_done() {
    all(|| {
        let (queue, done) = (fifo(None), Arc::new(AtomicUsize::new(0)));
        queue.put(1, None).unwrap();
        queue.put(2, None).unwrap();
        let worker = {
            let done = done.clone();
            spawn(|me| {
                let queue = queue.to(me);
                move || {
                    for _ in 0..2 {
                        queue.get(None).unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                        queue.task_done().unwrap();
                    }
                    assert!(matches!(queue.task_done(), Err(Fault::DoneTooOften(_))));
                }
            })
        };
        let late = spawn(|me| {
            let queue = queue.to(me);
            move || queue.join(ms(0)).is_ok()
        });
        queue.join(None).unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 2);
        worker.join();
        late.join();
        queue.join(None).unwrap();
    });
}

#[test]
fn a_join_can_be_cancelled_and_outlives_the_close() {
    all(|| {
        let queue = fifo(None);
        queue.put(1, None).unwrap();
        let joins = [0, 1].map(|_| {
            spawn(|me| {
                let queue = queue.to(me);
                move || queue.join(None)
            })
        });
        queue.close();
        joins[0].cancel();
        let [cancelled, joined] = joins;
        let outcome = cancelled.join();
        assert!(matches!(outcome, Err(Fault::Stopped(Stop::Cancelled))));
        assert!(matches!(queue.join(ms(1)), Err(Fault::Stopped(Stop::TimedOut))));
        queue.task_done().unwrap();
        joined.join().unwrap();
    });
}

#[test]
fn an_item_that_does_not_compare_leaves_no_trace() {
    all(|| {
        let queue = priority(Some(3));
        queue.put(1, None).unwrap();
        let refused = spawn(|me| {
            let queue = queue.to(me);
            move || matches!(queue.put(10, None), Err(Fault::Incomparable(_)))
        });
        let other = spawn(|me| {
            let queue = queue.to(me);
            move || queue.put(2, None)
        });
        assert!(refused.join());
        other.join().unwrap();
        queue.put(3, None).unwrap();
        assert!(queue.is_full());
        assert!(matches!(queue.put(4, ms(1)), Err(Fault::Full(_))));
        assert_eq!(gets(&queue, 3).join(), [1, 2, 3]);
        for _ in 0..3 {
            queue.task_done().unwrap();
        }
        assert!(queue.task_done().is_err());
        queue.join(None).unwrap();
    });
}

#[test]
fn an_item_that_does_not_compare_after_a_wait_lets_the_next_in() {
    all(|| {
        let queue = priority(Some(2));
        queue.put(1, None).unwrap();
        queue.put(2, None).unwrap();
        let putters = [10, 3].map(|item| {
            let putter = spawn(|me| {
                let queue = queue.to(me);
                move || queue.put(item, None).is_ok()
            });
            sleep(ms(1)).unwrap(); // it waits
            putter
        });
        assert_eq!(queue.get(None).unwrap(), 1);
        assert_eq!(join_all(putters), [false, true]);
        assert_eq!(queue.state(), "2 items");
    });
}

#[test]
fn trying_waits_for_nothing() {
    all(|| {
        let queue = fifo(Some(1));
        let other = puts(&queue, [1]);
        let early = queue.try_get().ok();
        point();
        let put = queue.try_put(2).unwrap();
        if early.is_none() {
            queue.get(None).unwrap();
        }
        if put {
            queue.get(None).unwrap();
        }
        other.join();
        while queue.try_get().is_ok() {}
        assert!(matches!(queue.try_get(), Err(Fault::Empty(_))));
    });
}

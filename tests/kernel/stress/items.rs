//! Queues, futures, selects: items and results that must arrive once.

use std::sync::Arc;

use orch::kernel::{Stop, Waitable, block, current, sleep};
use orch::sync::future::Completions;
use orch::sync::select::{Arm, Mapped, Select};
use orch::sync::{Event, Fault, Future, Lock, Order, Queue};

use super::{Fragile, TASKS, crew, moment, random, stress, time_left};
use crate::support::{Own, ms, spawn};

type Numbers = Own<Queue<u64>>;

fn orders() -> [Order<u64>; 3] {
    [Order::Fifo, Order::Lifo, Order::Priority(|a, b| Ok(a.cmp(b)))]
}

/// Half the tasks put numbers in, half take them out; each with a limit now and then.
fn through(queue: &Numbers) {
    let sums = crew(TASKS, |i, me| {
        let (queue, mut more) = (queue.to(me), time_left());
        move || {
            let (mut put, mut got, mut last) = (0, 0, false);
            while i % 2 == 0 && more() {
                let n = random(1_000);
                let fits = match random(4) {
                    0 => queue.try_put(n).unwrap_or(false),
                    1 => queue.put(n, moment()).is_ok(),
                    _ => queue.put(n, None).is_ok(),
                };
                put += if fits { n } else { 0 };
            }
            while i % 2 == 1 && !last {
                let outcome = match random(4) {
                    0 => queue.try_get(),
                    1 => queue.get(moment()),
                    _ => queue.get(None),
                };
                match outcome {
                    Ok(n) => {
                        got += n;
                        queue.task_done().unwrap();
                    }
                    Err(Fault::Closed(_)) => last = true,
                    Err(Fault::Empty(_)) => {}
                    Err(fault) => panic!("{fault}"),
                }
            }
            if i == 0 {
                // Some may still wait to put theirs in.
                sleep(ms(75)).unwrap();
                queue.close();
            }
            (put, got)
        }
    });
    let (put, got) = sums.iter().fold((0, 0), |s, n| (s.0 + n.0, s.1 + n.1));
    assert_eq!(put, got);
    assert!(put > 0);
    assert!(queue.is_empty());
    queue.join(None).unwrap();
    assert!(queue.task_done().is_err());
}

#[test]
fn queues_lose_and_double_nothing() {
    for order in orders() {
        stress(move || through(&Own::new(Queue::new("Queue", order, Some(3)))));
    }
    for order in orders() {
        stress(move || through(&Own::new(Queue::new("Queue", order, None))));
    }
}

#[test]
fn a_queue_for_one_item_hands_on_each() {
    stress(|| {
        let queue: Numbers = Own::new(Queue::new("Queue", Order::Fifo, Some(1)));
        let got = crew(2, |i, me| {
            let queue = queue.to(me);
            move || match i {
                0 => (0..5_000).map(|n| queue.put(n, None).map(|()| n).unwrap()).collect(),
                _ => (0..5_000).map(|_| queue.get(None).unwrap()).collect::<Vec<_>>(),
            }
        });
        assert_eq!(got[0], got[1], "in order");
    });
}

#[test]
fn cancelled_gets_and_puts_leave_the_queue_whole() {
    stress(|| {
        let queue: Numbers = Own::new(Queue::new("Queue", Order::Fifo, Some(2)));
        let tasks: Vec<_> = (0..TASKS)
            .map(|i| {
                let mut more = time_left();
                spawn(|me| {
                    let queue = queue.to(me);
                    move || {
                        let mut balance = 0i64;
                        while more() {
                            if i % 2 == 0 {
                                balance += i64::from(queue.put(1, None).is_ok());
                            } else {
                                balance -= i64::from(queue.get(None).is_ok());
                            }
                        }
                        balance
                    }
                })
            })
            .collect();
        let mut more = time_left();
        while more() {
            tasks[random(TASKS as u64) as usize].cancel();
            std::thread::yield_now();
        }
        queue.close();
        let left: i64 = tasks.into_iter().map(|t| t.join()).sum();
        assert_eq!(left, queue.len() as i64);
    });
}

#[test]
fn items_that_do_not_compare_do_not_hold_up_a_join() {
    stress(|| {
        let order = Order::Priority(|_: &u64, _: &u64| {
            std::thread::yield_now(); // while it counts as an item that was put
            Err("numbers do not compare today".into())
        });
        let queue: Numbers = Own::new(Queue::new("Queue", order, None));
        queue.put(1, None).unwrap();
        queue.task_done().unwrap();
        crew(4, |i, me| {
            let (queue, mut more) = (queue.to(me), time_left());
            move || {
                while more() {
                    match i {
                        0 => assert!(matches!(queue.put(2, None), Err(Fault::Incomparable(_)))),
                        _ => queue.join(None).unwrap(),
                    }
                }
            }
        });
        assert_eq!(queue.state(), "1 item");
    });
}

#[test]
fn futures_end_once_and_everybody_hears_of_it() {
    stress(|| {
        for _ in 0..20 {
            let futures: Vec<Own<Future<usize>>> = (0..20).map(|_| Own::new(Future::new("Future", None))).collect();
            let all = futures.iter().map(|f| (**f).clone()).collect();
            let set = Own::new(Completions::new(all));
            let ran = crew(TASKS, |i, me| {
                let set = set.to(me);
                let futures: Vec<_> = futures.iter().map(|f| f.to(me)).collect();
                move || match i % 4 {
                    0 => futures.iter().filter(|f| f.begin(current().id())).fold(0, |n, f| {
                        f.finish(i);
                        n + 1
                    }),
                    1 => {
                        futures[random(20) as usize].cancel();
                        0
                    }
                    2 => {
                        futures.iter().for_each(|f| f.wait(None).unwrap());
                        0
                    }
                    // 16 of these share the set.
                    _ => {
                        set.next(None).unwrap();
                        0
                    }
                }
            });
            let cancelled = futures.iter().filter(|f| f.look(|_| ()).is_err()).count();
            assert_eq!(ran.iter().sum::<usize>() + cancelled, 20);
            for _ in 0..4 {
                set.next(None).unwrap();
            }
            assert!(set.next(moment()).is_err());
        }
    });
}

#[test]
fn selects_take_one_thing_at_a_time() {
    stress(|| {
        let [a, b] = [0, 1].map(|_| Own::new(Queue::new("Queue", Order::Fifo, None)) as Numbers);
        let (lock, event) = (Own::new(Lock::new()), Own::new(Event::new()));
        let number = Arc::new(Fragile::default());
        let sums = crew(16, |i, me| {
            let (a, b, lock, event) = (a.to(me), b.to(me), lock.to(me), event.to(me));
            let (number, mut more) = (number.clone(), time_left());
            move || {
                let (mut items, mut locked, mut over) = (0i64, 0, false);
                while i % 2 == 0 && more() {
                    let queue = if random(2) == 0 { &a } else { &b };
                    queue.put(1, None).unwrap();
                    items += 1;
                    if lock.acquire(moment()).is_ok() {
                        number.add(1);
                        locked += 1;
                        lock.release().unwrap();
                    }
                }
                if i == 0 {
                    event.set();
                }
                while i % 2 == 1 && !over {
                    let arms: Vec<Arm<usize>> = vec![
                        Box::new(Mapped::new(a.getting(), |n| n.unwrap() as usize)),
                        Box::new(Mapped::new(b.getting(), |n| n.unwrap() as usize)),
                        Box::new(Mapped::new(event.waiting(), |()| 2)),
                        Box::new(Mapped::new(lock.acquiring(), |taken| taken.map(|()| 3).unwrap())),
                    ];
                    let limit = (random(2) == 0).then(moment).flatten();
                    match block(&mut Select::new(arms), limit) {
                        Ok((0 | 1, _)) => items -= 1,
                        Ok((2, _)) => over = true,
                        Ok(_) => {
                            number.add(1);
                            locked += 1;
                            lock.release().unwrap();
                        }
                        Err(Stop::TimedOut) => {}
                        Err(stop) => panic!("{stop:?}"),
                    }
                }
                (items, locked)
            }
        });
        let items: i64 = sums.iter().map(|s| s.0).sum();
        assert_eq!(items, (a.len() + b.len()) as i64);
        assert_eq!(number.get(), sums.iter().map(|s| s.1).sum::<u64>());
        assert_eq!(lock.state(), "free");
        assert!(a.state().contains("item") && !a.state().contains("waiting"));
    });
}

//! Every primitive under every schedule of small cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::explore::{every_schedule, run_once};
use orch::kernel::{Kernel, Role, Setup, block, current, sleep};
use orch::sync::{Cell, Event, Future, Lock};

/// Starts a task and returns what its end can be awaited by.
fn spawn(body: impl FnOnce() + Send + 'static) -> Arc<Future<()>> {
    let kernel: Arc<Kernel> = current().kernel().clone();
    let task = kernel.new_task("", Role::Thread, false);
    let done: Arc<Future<()>> = Future::new("Thread", None);
    let (future, me) = (done.clone(), task.clone());
    done.begin(me.id());
    kernel
        .start(&task, move || {
            body();
            future.finish(());
        })
        .expect("threads are there in tests");
    done
}

#[test]
fn a_lock_excludes() {
    let runs = every_schedule(
        2,
        100_000,
        || {
            let lock = Lock::new();
            let value = Cell::new("Value", |_| 0);
            let tasks: Vec<_> = (0..2)
                .map(|_| {
                    let (lock, value) = (lock.clone(), value.clone());
                    spawn(move || {
                        lock.acquire(None).unwrap();
                        let before = value.read(|v| *v);
                        value.write(|v| *v = before + 1).unwrap();
                        lock.release().unwrap();
                    })
                })
                .collect();
            for task in tasks {
                task.wait(None).unwrap();
            }
            value.read(|v| *v)
        },
        |total| assert_eq!(total, 2),
    );
    assert!(runs > 10, "{runs}");
}

#[test]
fn without_the_lock_the_search_finds_the_lost_update() {
    let lost = Arc::new(AtomicUsize::new(0));
    let seen = lost.clone();
    every_schedule(
        2,
        100_000,
        || {
            let value = Cell::new("Value", |_| 0);
            let tasks: Vec<_> = (0..2)
                .map(|_| {
                    let value = value.clone();
                    spawn(move || {
                        let before = value.read(|v| *v);
                        value.write(|v| *v = before + 1).unwrap();
                    })
                })
                .collect();
            for task in tasks {
                task.wait(None).unwrap();
            }
            value.read(|v| *v)
        },
        move |total| drop((total == 1).then(|| seen.fetch_add(1, Ordering::Relaxed))),
    );
    assert!(lost.load(Ordering::Relaxed) > 0);
}

#[test]
fn ten_long_sleeps_end_at_once_in_simulated_time() {
    let order = run_once(Setup::Sim { seed: 3 }, || {
        let order = Cell::new("Value", |_| Vec::new());
        let tasks: Vec<_> = (0..10u64)
            .map(|i| {
                let order = order.clone();
                spawn(move || {
                    sleep(Some(std::time::Duration::from_secs(3_600 * (10 - i)))).unwrap();
                    order.write(|o| o.push(i)).unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.wait(None).unwrap();
        }
        order.read(Clone::clone)
    });
    assert_eq!(order, (0..10).rev().collect::<Vec<_>>());
}

#[test]
fn two_tasks_that_take_two_locks_crosswise_are_told() {
    let told = run_once(Setup::Sim { seed: 0 }, || {
        let (a, b) = (Lock::new(), Lock::new());
        let told = Cell::new("Value", |_| 0);
        let ready = Event::new();
        let (a2, b2, told2, ready2) = (a.clone(), b.clone(), told.clone(), ready.clone());
        let other = spawn(move || {
            b2.acquire(None).unwrap();
            ready2.set();
            if a2.acquire(None).is_err() {
                told2.write(|t| *t += 1).unwrap();
            } else {
                a2.release().unwrap();
            }
            b2.release().unwrap();
        });
        a.acquire(None).unwrap();
        ready.wait(None).unwrap();
        if b.acquire(None).is_err() {
            told.write(|t| *t += 1).unwrap();
        } else {
            b.release().unwrap();
        }
        a.release().unwrap();
        block(&mut other.waiting(), None).unwrap();
        told.read(|t| *t)
    });
    assert_eq!(told, 1);
}

//! The deadlock search: every situation in which nobody can end a wait is told, to the one who closed it and with the
//! right report, while other tasks sleep and work; and nothing else is.

mod innocent;
mod model;
mod owners;
mod reach;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orch::kernel::deadlock::Report;
use orch::kernel::explore::run_once;
use orch::kernel::{Handle, Holder, Setup, Site, Stop, current, point, sleep};
use orch::sync::{Event, Fault, Lock, Order, Queue};

use crate::support::{Own, Spawned, join_all, ms, spawn_as};

/// The report of a call that was told.
fn told<T>(result: Result<T, Fault>) -> Option<Arc<Report>> {
    match result {
        Err(Fault::Stopped(Stop::Deadlock(report))) => Some(report),
        _ => None,
    }
}

/// The reports of tasks that end with what they were told.
fn reports(tasks: impl IntoIterator<Item = Spawned<Option<Arc<Report>>>>) -> Vec<Arc<Report>> {
    join_all(tasks).into_iter().flatten().collect()
}

/// Says on which line the current task is.
fn line(number: u32) {
    current().set_site(Site::new(0, number, 1));
}

/// Runs `body` while other tasks sleep, work, hand items on and wait for the world outside.
fn among_others<R>(body: impl FnOnce() -> R) -> R {
    let over = Arc::new(AtomicBool::new(false));
    let outside = Event::new();
    let set = Handle::for_holder(outside.clone(), Holder::Outside);
    let items = Own::new(Queue::new("Queue", Order::Fifo, Some(1)));
    let lock = Own::new(Lock::new());
    let waits = spawn_as("waits for a child", false, |_| move || drop(outside.wait(None)));
    let sleeps = {
        let over = over.clone();
        spawn_as("sleeps", false, |me| {
            let lock = lock.to(me);
            move || {
                while !over.load(Ordering::Relaxed) {
                    lock.acquire(None).unwrap();
                    sleep(ms(1)).unwrap();
                    lock.release().unwrap();
                }
            }
        })
    };
    let puts = {
        let over = over.clone();
        spawn_as("puts", false, |me| {
            let (items, lock) = (items.to(me), lock.to(me));
            move || {
                while !over.load(Ordering::Relaxed) {
                    items.put(1, None).unwrap();
                    lock.acquire(None).unwrap();
                    lock.release().unwrap();
                }
                items.close();
            }
        })
    };
    let gets = spawn_as("gets", false, |me| {
        let items = items.to(me);
        move || {
            while items.get(None).is_ok() {
                sleep(ms(1)).unwrap();
            }
        }
    });
    drop((items, lock));
    let result = body();
    over.store(true, Ordering::Relaxed);
    point();
    set.set();
    join_all([waits, sleeps, puts, gets]);
    result
}

/// Runs `body` in simulated worlds, alone and among others, and in the real one.
fn everywhere(body: impl Fn() + Clone + Send + 'static) {
    for seed in 0..8 {
        run_once(Setup::Sim { seed }, body.clone());
    }
    simulated_among_others(body.clone());
    run_once(Setup::Real, move || among_others(body));
}

fn simulated_among_others(body: impl Fn() + Clone + Send + 'static) {
    for seed in 0..8 {
        let body = body.clone();
        run_once(Setup::Sim { seed }, move || among_others(body));
    }
}

//! Handlers of signals: whatever the main task waits for when one runs, it loses nothing and hears every signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::kernel::explore::every_schedule;
use orch::kernel::handling::HandlerError;
use orch::kernel::{Handle, Holder, Operation, Role, Stop, Waitable, block, current, door, point};
use orch::sync::{Condition, Event, Fault, Lock, Order, Queue, Semaphore};

use super::{Watched, all};
use crate::support::{Own, Spawned, ms, spawn};

const SIGNAL: u32 = 10;

/// The program handles its signal so; returns how often it did.
fn handle(run: impl Fn() -> Result<(), &'static str> + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let (task, count) = (current(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    task.kernel().handling().set_hook(Box::new(move |signal| {
        assert_eq!((signal, current().role()), (SIGNAL, Role::Main));
        counted.fetch_add(1, Ordering::Relaxed);
        run().map_err(|error| -> HandlerError { Arc::new(error) })
    }));
    task.kernel().handling().expect(task.kernel(), true);
    count
}

/// A task that sends the signal.
fn post() -> Spawned<()> {
    spawn(|_| {
        || {
            point();
            let task = current();
            task.kernel().handling().post(task.kernel(), SIGNAL);
        }
    })
}

/// The signal, if it is still to be heard, is heard now; after that no handler can act any more, and a wait that is left
/// behind would be told.
fn over(posted: Spawned<()>, count: &AtomicUsize) {
    posted.join();
    let task = current();
    door::check(&task).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1, "the signal was handled");
    task.kernel().handling().expect(task.kernel(), false);
}

#[test]
fn a_grant_that_meets_a_handler_is_not_lost() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, Some(1)));
        let giver = spawn(|me| {
            let queue = queue.to(me);
            move || {
                queue.put(1, None).unwrap();
                queue.put(2, None).unwrap();
            }
        });
        let count = handle(|| {
            point();
            Ok(())
        });
        let posted = post();
        assert_eq!([queue.get(None).unwrap(), queue.get(None).unwrap()], [1, 2]);
        giver.join();
        over(posted, &count);
        assert_eq!(queue.state(), "0 items");
    });
    all(|| {
        let permits = Own::new(Semaphore::bounded(1));
        permits.acquire(None).unwrap();
        let giver = spawn(|me| {
            let permits = permits.to(me);
            move || permits.release(1).unwrap()
        });
        let count = handle(|| {
            point();
            Ok(())
        });
        let posted = post();
        permits.acquire(None).unwrap();
        giver.join();
        over(posted, &count);
        permits.release(1).unwrap();
    });
    all(|| {
        let lock = Own::new(Lock::new());
        let other = spawn(|me| {
            let lock = lock.to(me);
            move || {
                lock.acquire(None).unwrap();
                point();
                lock.release().unwrap();
            }
        });
        let count = handle(|| {
            point();
            Ok(())
        });
        let posted = post();
        lock.acquire(None).unwrap();
        lock.release().unwrap();
        other.join();
        over(posted, &count);
        assert!(!lock.locked());
    });
}

#[test]
fn a_word_that_meets_a_handler_is_not_lost() {
    all(|| {
        let event = Own::new(Event::new());
        let setter = spawn(|me| {
            let event = event.to(me);
            move || {
                event.set();
                event.clear();
            }
        });
        let count = handle(|| {
            point();
            Ok(())
        });
        let posted = post();
        // It may have been over before this began to wait: then nobody sets it any more.
        let mut op = Watched::new(event.waiting());
        let waited = block(&mut op, ms(10));
        assert!(matches!(waited, Ok(_) | Err(Stop::TimedOut)));
        setter.join();
        over(posted, &count);
    });
    all(|| {
        let condition = Own::new(Condition::new(&Handle::new(Lock::new())));
        let count = handle(|| {
            point();
            Ok(())
        });
        condition.lock().acquire(None).unwrap();
        let notifier = spawn(|me| {
            let condition = condition.to(me);
            move || {
                condition.lock().acquire(None).unwrap();
                condition.notify(1).unwrap();
                condition.lock().release().unwrap();
            }
        });
        let posted = post();
        assert!(condition.wait(None).unwrap());
        condition.lock().release().unwrap();
        notifier.join();
        over(posted, &count);
    });
}

/// The handler takes what the main task waits for, with two to be had.
#[test]
fn a_handler_and_the_wait_it_interrupts_each_get_theirs() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let (inner, taken) = (queue.to(&Holder::Outside), Arc::new(AtomicUsize::new(0)));
        let noted = taken.clone();
        let count = handle(move || {
            noted.fetch_add(inner.get(None).unwrap(), Ordering::Relaxed);
            Ok(())
        });
        let giver = spawn(|me| {
            let queue = queue.to(me);
            move || {
                queue.put(1, None).unwrap();
                queue.put(2, None).unwrap();
            }
        });
        let posted = post();
        let mine: usize = queue.get(None).unwrap();
        giver.join();
        over(posted, &count);
        assert_eq!(mine + taken.load(Ordering::Relaxed), 3);
    });
}

/// In how many schedules the handler is told that it waits for nobody: a semaphore with one permit, which the handler
/// takes and gives back while the main task waits for it by `operation`.
fn told<O: Operation<Output = ()> + 'static>(operation: fn(&Arc<Semaphore>) -> O) -> usize {
    let mut found = 0;
    let program = move || {
        let permits = Own::new(Semaphore::new(1));
        permits.acquire(None).unwrap();
        let inner = permits.to(&Holder::Task(current().id()));
        let told = Arc::new(AtomicUsize::new(0));
        let noted = told.clone();
        let _count = handle(move || {
            match inner.acquire(None) {
                Ok(()) => inner.release(1).unwrap(),
                Err(_) => _ = noted.fetch_add(1, Ordering::Relaxed),
            }
            Ok(())
        });
        let posted = post();
        let giver = spawn(|me| {
            let permits = permits.to(me);
            move || permits.release(1).unwrap()
        });
        block(&mut operation(&permits), None).unwrap();
        permits.release(1).unwrap();
        giver.join();
        posted.join();
        told.load(Ordering::Relaxed) > 0
    };
    every_schedule(2, 20_000, program, |told| found += usize::from(told));
    found
}

#[test]
fn an_operation_that_does_not_stand_back_is_found() {
    assert_eq!(told(Semaphore::acquiring), 0);
    // A watched operation does not pass the pause on.
    assert!(told(|permits| Watched::new(permits.acquiring())) > 0);
}

#[test]
fn what_a_handler_fails_with_comes_out_once_and_leaves_no_trace() {
    all(|| {
        let queue = Own::new(Queue::new("Queue", Order::Fifo, None));
        let count = handle(|| Err("mine"));
        let posted = post();
        let giver = spawn(|me| {
            let queue = queue.to(me);
            move || queue.put(7, None).unwrap()
        });
        let mut failures = 0;
        let item = loop {
            match queue.get(None) {
                Ok(item) => break item,
                Err(Fault::Stopped(Stop::Handler(error))) => {
                    assert_eq!(error.downcast_ref::<&str>(), Some(&"mine"));
                    failures += 1;
                }
                Err(fault) => panic!("{fault}"),
            }
        };
        assert_eq!(item, 7);
        failures += usize::from(posted.wait().is_err());
        failures += usize::from(door::check(&current()).is_err());
        posted.join();
        giver.join();
        assert_eq!((failures, count.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(queue.state(), "0 items");
    });
}

//! Waits for objects without an owner: only whoever can still reach the object could end them.

use std::sync::Arc;

use orch::kernel::deadlock::Report;
use orch::kernel::{Handle, Holder, Object, Waitable, current, sleep};
use orch::sync::future::Completions;
use orch::sync::{Barrier, Cell, Condition, Event, Fault, Future, Latch, Lock, Order, Queue, Semaphore};

use super::{everywhere, reports, told};
use crate::support::{Own, Spawned, join_all, ms, spawn, spawn_as};

/// A task that waits for what it alone holds.
fn alone<T: Object>(object: Own<T>, wait: fn(&Arc<T>) -> Result<(), Fault>) -> Spawned<Option<Arc<Report>>> {
    spawn(|me| {
        let object = object.to(me);
        move || told(wait(&object))
    })
}

fn queue(maxsize: Option<usize>) -> Own<Queue<u32>> {
    Own::new(Queue::new("Queue", Order::Fifo, maxsize))
}

#[test]
fn a_wait_for_what_nobody_else_can_reach_is_told() {
    everywhere(|| {
        let full = queue(Some(1));
        full.put(1, None).unwrap();
        let open = queue(None);
        open.put(1, None).unwrap();
        let latch = Own::new(Latch::new(1));
        let barrier = Own::new(Barrier::new(2));
        let future: Own<Future<u32>> = Own::new(Future::new("Future", None));
        let lock = Handle::new(Lock::new());
        let condition = Own::new(Condition::new(&lock));
        drop(lock);
        let tasks = [
            alone(queue(None), |q| q.get(None).map(drop)),
            alone(full, |q| q.put(2, None)),
            alone(open, |q| q.join(None)),
            alone(Own::new(Event::new()), |e| e.wait(None).map(drop)),
            alone(Own::new(Semaphore::new(0)), |s| s.acquire(None)),
            alone(latch, |l| l.wait(None).map(drop)),
            alone(barrier, |b| b.wait(None, || Ok::<(), Fault>(())).map(drop)),
            alone(future, |f| f.wait(None)),
            alone(condition, |c| {
                c.lock().acquire(None)?;
                let outcome = c.wait(None).map(drop);
                c.lock().release()?;
                outcome
            }),
        ];
        let reports = reports(tasks);
        assert_eq!(reports.len(), 9);
        let mut objects: Vec<_> = reports.iter().map(|r| r.tasks[0].object.clone()).collect();
        objects.sort_unstable();
        objects.dedup();
        assert_eq!(objects.len(), 9, "each its own");
    });
}

#[test]
fn two_that_could_end_only_each_others_waits_are_told() {
    everywhere(|| {
        let (a, b) = (queue(None), queue(None));
        let pops = |mine: &Own<Queue<u32>>, other: &Own<Queue<u32>>, wait| {
            spawn(|me| {
                let (mine, other) = (mine.to(me), other.to(me));
                move || {
                    sleep(ms(wait)).unwrap();
                    let outcome = mine.get(None);
                    other.put(1, None).unwrap();
                    told(outcome)
                }
            })
        };
        let tasks = [pops(&a, &b, 1), pops(&b, &a, 3)];
        drop((a, b));
        let reports = reports(tasks);
        assert_eq!(reports.len(), 1);
        assert!(reports[0].tasks.len() >= 2);
    });
    everywhere(|| {
        let (a, b) = (Own::new(Semaphore::new(1)), Own::new(Semaphore::new(1)));
        let takes = |first: &Own<Semaphore>, second: &Own<Semaphore>, wait| {
            spawn(|me| {
                let (first, second) = (first.to(me), second.to(me));
                move || {
                    first.acquire(None).unwrap();
                    sleep(ms(wait)).unwrap();
                    let outcome = second.acquire(None);
                    first.release(1).unwrap();
                    told(outcome)
                }
            })
        };
        let tasks = [takes(&a, &b, 2), takes(&b, &a, 4)];
        drop((a, b));
        assert_eq!(reports(tasks).len(), 1);
    });
}

#[test]
fn a_condition_that_nobody_signals_is_told_and_the_lock_is_back() {
    everywhere(|| {
        let lock = Lock::new();
        let condition = Own::new(Condition::new(&Handle::new(lock.clone())));
        lock.acquire(None).unwrap();
        assert!(told(condition.wait(None)).is_some());
        assert!(lock.is_mine());
        lock.release().unwrap();
        assert_eq!(condition.state(), "0 waiting");
    });
}

#[test]
fn the_last_handle_that_goes_makes_the_wait_hopeless() {
    everywhere(|| {
        let event = Own::new(Event::new());
        let waiter = alone(event.to(&Holder::current()), |e| e.wait(None).map(drop));
        let other = spawn(|me| {
            let event = event.to(me);
            move || {
                sleep(ms(20)).unwrap();
                drop(event);
                sleep(ms(20)).unwrap();
            }
        });
        sleep(ms(5)).unwrap();
        drop(event);
        let told_count = |_: &()| current().kernel().detector().told();
        assert_eq!(told_count(&()), 0, "the other could still set it");
        assert!(waiter.join().is_some());
        other.join();
    });
}

/// Something that lies in something else.
type Box1 = Cell<Vec<Handle<Event>>>;

fn boxed(event: &Own<Event>) -> Own<Box1> {
    let event = Handle::for_holder((**event).clone(), Holder::Outside);
    Own::new(Cell::new("Value", move |core| vec![event.held_by(&Holder::Object(core.clone()))]))
}

#[test]
fn a_handle_in_a_queue_of_a_living_task_is_a_way_out() {
    everywhere(|| {
        let event = Own::new(Event::new());
        let queue: Own<Queue<Handle<Event>>> = Own::new(Queue::new("Queue", Order::Fifo, None));
        let inside = Holder::Object(queue.core().clone());
        let handle = Handle::for_holder((*event).clone(), inside);
        queue.put(handle, None).unwrap();
        let waiter = alone(event, |e| e.wait(None).map(drop));
        let helper = spawn(|me| {
            let queue = queue.to(me);
            move || {
                sleep(ms(30)).unwrap();
                let event = queue.get(None).unwrap().held_by(&Holder::current());
                drop(queue);
                sleep(ms(30)).unwrap();
                event.set();
            }
        });
        drop(queue);
        assert!(waiter.join().is_none());
        helper.join();
    });
}

#[test]
fn a_handle_that_only_the_stuck_can_reach_is_none() {
    everywhere(|| {
        let (event, other) = (Own::new(Event::new()), Own::new(Event::new()));
        let value = boxed(&event);
        let holds_the_box = spawn(|me| {
            let (value, other) = (value.to(me), other.to(me));
            move || {
                sleep(ms(5)).unwrap();
                let outcome = other.wait(None);
                value.read(|v| v[0].set());
                told(outcome)
            }
        });
        drop((value, other));
        let waiter = alone(event, |e| e.wait(None).map(drop));
        // Who holds the box waits for nobody; told so, it goes on and ends the other's wait.
        assert!(holds_the_box.join().is_some());
        assert!(waiter.join().is_none());
    });
}

#[test]
fn boxes_in_boxes_are_followed_and_rings_of_boxes_hold_nothing() {
    type Nested = Cell<Vec<Handle<Box1>>>;
    everywhere(|| {
        let event = Own::new(Event::new());
        let inner = boxed(&event);
        let outer: Own<Nested> = Own::new(Cell::new("Value", |core| {
            vec![Handle::for_holder((*inner).clone(), Holder::Object(core.clone()))]
        }));
        drop(inner);
        let waiter = alone(event, |e| e.wait(None).map(drop));
        sleep(ms(30)).unwrap();
        assert_eq!(current().kernel().detector().told(), 0);
        drop(outer.write(Vec::clear));
        assert!(waiter.join().is_some());
    });
    everywhere(|| {
        // Two queues that hold each other, and one the event.
        type Any = Queue<Handle<Thing>>;
        struct Thing(Arc<orch::kernel::ObjectCore>, Option<Own<Event>>, Option<Handle<Any>>);
        impl Waitable for Thing {
            fn core(&self) -> &Arc<orch::kernel::ObjectCore> {
                &self.0
            }
        }
        let event = Own::new(Event::new());
        let queues = [0, 1].map(|_| Own::new(Any::new("Queue", Order::Fifo, None)));
        for i in [0, 1] {
            let core = orch::kernel::ObjectCore::new("Thing");
            let inside = Holder::Object(core.clone());
            let mine = event.to(&inside);
            let other = Handle::for_holder((*queues[1 - i]).clone(), inside);
            let thing = Arc::new(Thing(core, Some(mine), Some(other)));
            assert!(thing.1.is_some() && thing.2.is_some());
            let holder = Holder::Object(queues[i].core().clone());
            queues[i].put(Handle::for_holder(thing, holder), None).unwrap();
        }
        let waiter = alone(event, |e| e.wait(None).map(drop));
        let ring: Vec<Arc<Any>> = queues.iter().map(|q| (**q).clone()).collect();
        drop(queues);
        assert!(waiter.join().is_some());
        // Rust counts references, so the test has to open the ring.
        ring.iter().for_each(|q| drop(q.try_get()));
    });
}

#[test]
fn a_set_of_futures_is_told_when_none_is_left_that_could_end() {
    everywhere(|| {
        let futures: [Own<Future<u32>>; 2] = [0, 1].map(|_| Own::new(Future::new("Future", None)));
        let set = Own::new(Completions::new(futures.iter().map(|f| (**f).clone()).collect()));
        futures[0].cancel();
        assert_eq!(set.next(None).unwrap(), 0);
        // The other one is held by this task only.
        assert!(told(set.next(None)).is_some());
    });
}

#[test]
fn daemons_are_told_of_knots_and_not_of_being_forgotten() {
    everywhere(|| {
        let (event, locks) = (Own::new(Event::new()), [0, 1].map(|_| Own::new(Lock::new())));
        let forgotten = spawn_as("forgotten", true, |me| {
            let event = event.to(me);
            move || event.wait(None)
        });
        drop(event);
        let knot = [0, 1].map(|i| {
            spawn_as("daemon", true, |me| {
                let (first, second) = (locks[i].to(me), locks[1 - i].to(me));
                move || {
                    first.acquire(None).unwrap();
                    sleep(ms(5)).unwrap();
                    let outcome = second.acquire(None);
                    if outcome.is_ok() {
                        second.release().unwrap();
                    }
                    first.release().unwrap();
                    told(outcome)
                }
            })
        });
        assert_eq!(reports(knot).len(), 1);
        sleep(ms(20)).unwrap();
        assert!(!forgotten.task.has_ended());
        assert_eq!(current().kernel().detector().told(), 1);
        forgotten.cancel();
        drop(join_all([forgotten]));
    });
}

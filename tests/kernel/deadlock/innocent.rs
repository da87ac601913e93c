//! What must never be told: whoever may still be helped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use orch::kernel::explore::run_once;
use orch::kernel::{
    Enders, Handle, Holder, ObjectCore, Operation, Setup, Stop, Task, Waitable, Waker, block, current, sleep,
};
use orch::sync::future::Completions;
use orch::sync::rwlock::Side;
use orch::sync::{Event, Fault, Future, Lock, Order, Queue, RwLock};
use parking_lot::Mutex;

use super::everywhere;
use crate::support::{Own, join_all, ms, spawn, spawn_as};

fn nobody_was_told() {
    assert_eq!(current().kernel().detector().told(), 0);
}

#[test]
fn whoever_sleeps_or_waits_with_a_limit_may_still_help() {
    everywhere(|| {
        let (event, lock, never) = (Own::new(Event::new()), Own::new(Lock::new()), Own::new(Event::new()));
        let helper = spawn(|me| {
            let (event, lock, never) = (event.to(me), lock.to(me), never.to(me));
            move || {
                lock.acquire(None).unwrap();
                sleep(ms(30)).unwrap();
                assert!(!never.wait(ms(30)).unwrap());
                event.set();
                sleep(ms(30)).unwrap();
                lock.release().unwrap();
            }
        });
        drop(never);
        event.wait(None).unwrap();
        lock.acquire(None).unwrap();
        lock.release().unwrap();
        helper.join();
        nobody_was_told();
    });
}

#[test]
fn a_wait_with_a_limit_is_its_own_way_out() {
    everywhere(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let own = lock.acquire(ms(30));
        assert!(matches!(own, Err(Fault::Stopped(Stop::TimedOut))));
        // Two that would be a knot, but for the limit of one.
        let other = Own::new(Lock::new());
        let second = spawn(|me| {
            let (lock, other) = (lock.to(me), other.to(me));
            move || {
                other.acquire(None).unwrap();
                assert!(lock.acquire(ms(40)).is_err());
                other.release().unwrap();
            }
        });
        while !other.locked() {}
        other.acquire(None).unwrap();
        other.release().unwrap();
        lock.release().unwrap();
        second.join();
        nobody_was_told();
    });
}

#[test]
fn what_lies_outside_may_act_at_any_time() {
    everywhere(|| {
        let event = Event::new();
        let signal = Handle::for_holder(event.clone(), Holder::Outside);
        let waiter = spawn(|_| {
            let event = event.clone();
            move || event.wait(None).unwrap()
        });
        sleep(ms(30)).unwrap();
        nobody_was_told();
        signal.set();
        assert!(waiter.join());
    });
}

/// A reader that waits for a writer to go first is not held up by the other readers.
#[test]
fn a_writer_with_a_limit_frees_the_readers_behind_it() {
    everywhere(|| {
        let (rwlock, event) = (Own::new(RwLock::new()), Own::new(Event::new()));
        rwlock.acquire(Side::Read, None).unwrap();
        let writer = spawn(|me| {
            let rwlock = rwlock.to(me);
            move || rwlock.acquire(Side::Write, ms(60)).is_err()
        });
        let reader = spawn(|me| {
            let (rwlock, event) = (rwlock.to(me), event.to(me));
            move || {
                sleep(ms(20)).unwrap();
                rwlock.acquire(Side::Read, None).unwrap();
                event.set();
                rwlock.release(Side::Read).unwrap();
            }
        });
        event.wait(None).unwrap();
        rwlock.release(Side::Read).unwrap();
        reader.join();
        assert!(writer.join());
        nobody_was_told();
    });
}

/// One future has ended, but a callback that was there first holds the news up.
#[test]
fn a_future_whose_end_is_on_its_way_to_the_set_is_a_way_out() {
    everywhere(|| {
        let futures: [Own<Future<u32>>; 2] = [0, 1].map(|_| Own::new(Future::new("Future", None)));
        futures[0].when_over(|_| sleep(ms(30)).unwrap());
        let list = futures.iter().map(|f| (**f).clone()).collect();
        let set = Own::new(Completions::new(list));
        let first = (*futures[0]).clone();
        let runner = spawn(|_| {
            move || {
                first.begin(current().id());
                first.finish(1);
            }
        });
        assert_eq!(set.next(None).unwrap(), 0);
        runner.join();
        nobody_was_told();
    });
}

#[test]
fn who_waits_idly_is_not_told() {
    everywhere(|| {
        let sleeper = spawn_as("sleeper", false, |_| || sleep(None));
        sleep(ms(30)).unwrap();
        nobody_was_told();
        sleeper.cancel();
        assert!(matches!(sleeper.join(), Err(Stop::Cancelled)));
    });
}

/// A request that wanders from server to server until one answers it.
struct Request {
    answer: Handle<Event>,
    hops: u32,
}

type Inbox = Queue<Request>;

fn serve(inboxes: &[Own<Inbox>], mine: usize) {
    while let Ok(request) = inboxes[mine].get(None) {
        let answer = request.answer.held_by(&Holder::current());
        let hops = request.hops;
        drop(request);
        if hops == 0 {
            answer.set();
            continue;
        }
        send(inboxes, &answer, hops - 1);
    }
}

fn send(inboxes: &[Own<Inbox>], answer: &Handle<Event>, hops: u32) {
    let to = current().kernel().chance(|c| c.usize(..inboxes.len()));
    let answer = answer.held_by(&Holder::Object(inboxes[to].core().clone()));
    inboxes[to].put(Request { answer, hops }, None).unwrap();
}

#[test]
fn eight_busy_tasks_whose_handles_wander_are_never_told() {
    let (rounds, told, searched) = run_once(Setup::Real, || {
        let inboxes: Vec<Own<Inbox>> = (0..4).map(|_| Own::new(Queue::new("Inbox", Order::Fifo, None))).collect();
        let locks = [0, 1].map(|_| Own::new(Lock::new()));
        let all = |me: &Holder| inboxes.iter().map(|q| q.to(me)).collect::<Vec<_>>();
        let servers: Vec<_> = (0..4)
            .map(|i| {
                spawn(|me| {
                    let inboxes = all(me);
                    move || serve(&inboxes, i)
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(2);
        let clients = (0..4).map(|_| {
            spawn(|me| {
                let (inboxes, locks) = (all(me), locks.each_ref().map(|l| l.to(me)));
                move || {
                    let mut rounds = 0;
                    while Instant::now() < until || rounds < 30 {
                        let event = Own::new(Event::new());
                        let hops = current().kernel().chance(|c| c.u32(..4));
                        send(&inboxes, &Handle::new((*event).clone()), hops);
                        event.wait(None).unwrap();
                        for lock in &locks {
                            lock.acquire(None).unwrap();
                        }
                        for lock in &locks {
                            lock.release().unwrap();
                        }
                        rounds += 1;
                    }
                    rounds
                }
            })
        });
        let rounds: u32 = join_all(clients).into_iter().sum();
        inboxes.iter().for_each(|inbox| inbox.close());
        join_all(servers);
        let told = current().kernel().detector().told();
        // That the search was there all the time: it finds one now.
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        (rounds, told, lock.acquire(None).is_err())
    });
    assert!(rounds > 100, "{rounds}");
    assert_eq!((told, searched), (0, true));
}

/// An object that ends its own wait, in the middle of a search, so that the search has the last reference to it.
struct Trap {
    core: Arc<ObjectCore>,
    content: Mutex<Option<Handle<Event>>>,
    task: Arc<Task>,
    wait_is_over: Arc<AtomicBool>,
}

impl Waitable for Trap {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        self.task.cancel();
        while !self.wait_is_over.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Enders::Somebody
    }
}

/// A wait that keeps no reference to what it waits for.
struct Fall(Mutex<Option<Arc<Trap>>>);

impl Operation for Fall {
    type Output = ();

    fn poll(&mut self, _waker: &Waker) -> Poll<()> {
        Poll::Pending
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.lock().take().expect("waits once")
    }

    fn verb(&self) -> &'static str {
        "fall"
    }
}

#[test]
fn a_search_may_be_left_with_the_last_reference() {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        run_once(Setup::Real, move || {
            let core = ObjectCore::new("Trap");
            let content = Handle::for_holder(Event::new(), Holder::Object(core.clone()));
            let over = Arc::new(AtomicBool::new(false));
            let trap = Arc::new(Trap {
                core,
                content: Mutex::new(Some(content)),
                task: current(),
                wait_is_over: over.clone(),
            });
            assert!(trap.content.lock().is_some());
            let stopped = block(&mut Fall(Mutex::new(Some(trap))), None);
            assert!(matches!(stopped, Err(Stop::Cancelled)));
            over.store(true, Ordering::Release);
            // Handles can still be made, and deadlocks are still found.
            let event = Own::new(Event::new());
            assert!(event.wait(None).is_err());
            sender.send(()).unwrap();
        });
    });
    let ended = receiver.recv_timeout(Duration::from_secs(20));
    assert!(ended.is_ok(), "the search waits for itself");
}

#[test]
fn each_cancellation_is_heard_once() {
    for setup in [Setup::Real, Setup::Sim { seed: 3 }] {
        run_once(setup, || {
            const MANY: usize = 2_000;
            let asked = Own::new(Queue::<()>::new("Queue", Order::Fifo, None));
            let patient = spawn(|me| {
                let asked = asked.to(me);
                move || {
                    for _ in 0..MANY {
                        let stopped = asked.get(None);
                        assert!(matches!(stopped, Err(Fault::Stopped(Stop::Cancelled))));
                    }
                    sleep(ms(5)).unwrap();
                }
            });
            for _ in 0..MANY {
                patient.cancel();
            }
            patient.join();
        });
    }
}

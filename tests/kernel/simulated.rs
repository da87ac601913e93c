//! The simulated world: the same seed gives the same run, time goes on whatever the tasks do, and nothing is left when a
//! program has ended.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use orch::kernel::events::Event as Happened;
use orch::kernel::explore::run_once;
use orch::kernel::{Handle, Holder, Kernel, Role, Setup, Stop, block, current, point, sleep};
use orch::sync::future::Completions;
use orch::sync::rwlock::Side;
use orch::sync::select::{Arm, Mapped, Select};
use orch::sync::{Barrier, Cell, Condition, Event, Fault, Future, Latch, Lock, Order, Queue, RwLock, Semaphore};
use parking_lot::Mutex;

use crate::support::{Own, join_all, ms, spawn, spawn_as};

/// One of each.
struct Everything {
    lock: Own<Lock>,
    rlock: Own<Lock>,
    semaphore: Own<Semaphore>,
    event: Own<Event>,
    condition: Own<Condition>,
    barrier: Own<Barrier>,
    rwlock: Own<RwLock>,
    latch: Own<Latch>,
    value: Own<Cell<u32>>,
    queue: Own<Queue<u32>>,
    smallest: Own<Queue<u32>>,
    future: Own<Future<u32>>,
    set: Own<Completions<u32>>,
}

impl Everything {
    fn new(tasks: usize) -> Everything {
        let lock = Lock::new();
        let condition = Condition::new(&Handle::new(lock.clone()));
        let future = Future::new("Future", None);
        let smallest = Order::Priority(|a: &u32, b: &u32| Ok(a.cmp(b)));
        Everything {
            lock: Own::new(lock),
            rlock: Own::new(Lock::reentrant()),
            semaphore: Own::new(Semaphore::bounded(2)),
            event: Own::new(Event::new()),
            condition: Own::new(condition),
            barrier: Own::new(Barrier::new(tasks)),
            rwlock: Own::new(RwLock::new()),
            latch: Own::new(Latch::new(tasks)),
            value: Own::new(Cell::new("Value", |_| 0)),
            queue: Own::new(Queue::new("Queue", Order::Fifo, Some(2))),
            smallest: Own::new(Queue::new("PriorityQueue", smallest, None)),
            set: Own::new(Completions::new(vec![future.clone()])),
            future: Own::new(future),
        }
    }

    fn to(&self, me: &Holder) -> Everything {
        Everything {
            lock: self.lock.to(me),
            rlock: self.rlock.to(me),
            semaphore: self.semaphore.to(me),
            event: self.event.to(me),
            condition: self.condition.to(me),
            barrier: self.barrier.to(me),
            rwlock: self.rwlock.to(me),
            latch: self.latch.to(me),
            value: self.value.to(me),
            queue: self.queue.to(me),
            smallest: self.smallest.to(me),
            future: self.future.to(me),
            set: self.set.to(me),
        }
    }

    /// A bit of everything, with chance in it.
    fn use_all(&self, i: u32) -> Result<(), Fault> {
        let pause = current().kernel().chance(|c| c.u64(0..5));
        sleep(ms(pause))?;
        self.lock.acquire(None)?;
        self.rlock.acquire(None)?;
        self.rlock.acquire(None)?;
        point();
        self.rlock.release()?;
        self.rlock.release()?;
        self.condition.notify_all()?;
        self.condition.wait(ms(2))?;
        self.lock.release()?;
        self.semaphore.acquire(None)?;
        sleep(ms(1))?;
        self.semaphore.release(1)?;
        let side = [Side::Read, Side::Write][i as usize % 2];
        self.rwlock.acquire(side, None)?;
        point();
        self.rwlock.release(side)?;
        self.value.update(|| {
            self.value.replace(|v| *v += i);
            Ok::<(), Fault>(())
        })?;
        self.queue.put(i, None)?;
        self.smallest.put(i, None)?;
        let mut select = Select::new(vec![
            Box::new(Mapped::new(self.queue.getting(), drop)) as Arm<()>,
            Box::new(Mapped::new(self.smallest.getting(), drop)),
            Box::new(self.event.waiting()),
        ]);
        block(&mut select, None)?;
        self.barrier.wait(None, || sleep(ms(1)).map_err(Fault::from))?;
        self.event.set();
        self.event.wait(None)?;
        if self.future.begin(current().id()) {
            self.future.finish(i);
        }
        self.future.wait(None)?;
        drop(self.set.next(ms(3)));
        self.latch.count_down();
        self.latch.wait(None)?;
        Ok(())
    }
}

/// What happens when some tasks use everything, under this seed.
fn stream(seed: u64) -> (Vec<String>, Duration) {
    run_once(Setup::Sim { seed }, || {
        let kernel = current().kernel().clone();
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = log.clone();
        let listener = Arc::new(move |event: &Happened| heard.lock().push(format!("{event:?}")));
        kernel.events().listen(listener);
        let all = Everything::new(3);
        join_all((0..3).map(|i| {
            spawn(|me| {
                let all = all.to(me);
                move || all.use_all(i).unwrap()
            })
        }));
        let log = log.lock().clone();
        (log, kernel.now())
    })
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    let mut streams: Vec<_> = [0, 1, 2, 42].map(stream).into();
    for _ in 0..33 {
        for (seed, first) in [0, 1, 2].into_iter().zip(&streams) {
            assert_eq!(stream(seed), *first, "seed {seed}");
        }
    }
    assert!(streams[0].0.len() > 50, "{}", streams[0].0.len());
    streams.sort_by_key(|s| format!("{s:?}"));
    streams.dedup();
    assert!(streams.len() >= 3, "chance changes nothing");
}

// ---- time goes on

/// Runs tasks that ask in a loop while another sleeps; says how much time passed.
fn busy(seed: u64, askers: usize, ask: fn(&Everything) -> bool) -> Duration {
    run_once(Setup::Sim { seed }, move || {
        let all = Everything::new(9);
        all.lock.acquire(None).unwrap();
        all.rwlock.acquire(Side::Write, None).unwrap();
        all.semaphore.acquire(None).unwrap();
        all.semaphore.acquire(None).unwrap();
        let tasks: Vec<_> = (0..askers)
            .map(|_| {
                spawn(|me| {
                    let all = all.to(me);
                    move || while !ask(&all) {}
                })
            })
            .collect();
        sleep(ms(1_000)).unwrap();
        all.event.set();
        all.smallest.put(1, None).unwrap();
        all.semaphore.release(2).unwrap();
        all.lock.release().unwrap();
        all.rwlock.release(Side::Write).unwrap();
        for _ in 1..askers {
            all.smallest.put(1, None).unwrap();
        }
        join_all(tasks);
        current().kernel().now()
    })
}

#[test]
fn a_loop_that_only_asks_does_not_stop_time() {
    let asks: [fn(&Everything) -> bool; 10] = [
        |all| all.event.is_set(),
        |all| all.event.wait(ms(0)).unwrap(),
        |all| all.lock.try_acquire().unwrap() && all.lock.release().is_ok(),
        |all| all.lock.acquire(ms(0)).is_ok() && all.lock.release().is_ok(),
        |all| all.semaphore.try_acquire() && all.semaphore.release(1).is_ok(),
        |all| all.semaphore.acquire(ms(0)).is_ok() && all.semaphore.release(1).is_ok(),
        |all| all.rwlock.try_acquire(Side::Read).unwrap() && all.rwlock.release(Side::Read).is_ok(),
        |all| all.smallest.try_get().is_ok(),
        |all| all.smallest.get(ms(0)).is_ok(),
        |all| all.event.wait(ms(1)).unwrap(),
    ];
    for (i, ask) in asks.into_iter().enumerate() {
        for seed in [0, 5] {
            for askers in [1, 2, 3] {
                let time = busy(seed, askers, ask);
                assert!(time < Duration::from_secs(2), "{i} {seed} {askers}: {time:?}");
            }
        }
    }
}

#[test]
fn two_that_wait_for_each_other_by_asking_go_on_without_time() {
    let time = run_once(Setup::Sim { seed: 0 }, || {
        let turn = Own::new(Cell::new("Value", |_| 0));
        join_all((0..2).map(|i| {
            spawn(|me| {
                let turn = turn.to(me);
                move || {
                    for _ in 0..20 {
                        while turn.read(|t| *t) % 2 != i {}
                        turn.write(|t| *t += 1).unwrap();
                    }
                }
            })
        }));
        assert_eq!(turn.read(|t| *t), 40);
        current().kernel().now()
    });
    assert_eq!(time, Duration::ZERO);
}

#[test]
fn a_limit_beyond_the_clock_is_no_limit() {
    run_once(Setup::Sim { seed: 0 }, || {
        let sleeper = spawn(|_| || sleep(Some(Duration::from_secs(1 << 60))));
        let event = Own::new(Event::new());
        let waiter = spawn(|me| {
            let event = event.to(me);
            move || event.wait(Some(Duration::MAX)).unwrap()
        });
        sleep(Some(Duration::from_secs(1_000_000_000))).unwrap();
        sleeper.cancel();
        assert!(matches!(sleeper.join(), Err(Stop::Cancelled)));
        event.set();
        assert!(waiter.join());
        // So it does not count as a way out, and nobody waits for a time that never comes.
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let told = lock.acquire(Some(Duration::from_secs(1 << 60)));
        assert!(matches!(told, Err(Fault::Stopped(Stop::Deadlock(_)))));
    });
}

#[test]
fn sleeps_end_in_order_of_their_time_then_of_their_begin() {
    let order = run_once(Setup::Sim { seed: 0 }, || {
        let order = Own::new(Cell::new("Value", |_| Vec::new()));
        join_all((0..9u64).map(|i| {
            spawn(|me| {
                let order = order.to(me);
                move || {
                    sleep(ms(10 * (3 - i % 3))).unwrap();
                    order.write(|o| o.push(i)).unwrap();
                }
            })
        }));
        order.read(Clone::clone)
    });
    assert_eq!(order, [2, 5, 8, 1, 4, 7, 0, 3, 6]);
}

#[test]
fn a_wake_up_from_outside_reaches_an_idle_world() {
    run_once(Setup::Sim { seed: 0 }, || {
        let event = Event::new();
        // Something outside may set it, so this is no deadlock.
        let _signals = Handle::for_holder(event.clone(), Holder::Outside);
        let task = current();
        let outside = std::thread::spawn(move || {
            while task.waiting().is_none() {
                std::thread::yield_now();
            }
            task.cancel();
        });
        let stopped = event.wait(None);
        assert!(matches!(stopped, Err(Fault::Stopped(Stop::Cancelled))));
        outside.join().unwrap();
        assert_eq!(current().kernel().detector().told(), 0);
    });
}

// ---- the end

/// Waits for the last reference to go, with a generous limit of real time.
fn goes(kernel: &Weak<Kernel>, what: &str) {
    let begun = Instant::now();
    while kernel.strong_count() > 0 {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(20), "{what}: something is left");
        std::thread::yield_now();
    }
}

type Call = fn(&Everything) -> Result<(), Fault>;

/// Ends a program while tasks wait in every call there is. They note there what they should not see.
fn leave_all_waiting(wrong: &Arc<Mutex<Vec<String>>>) -> Weak<Kernel> {
    let kernel = current().kernel().clone();
    let all = Everything::new(9);
    let outside = all.to(&Holder::Outside);
    all.lock.acquire(None).unwrap();
    all.rlock.acquire(None).unwrap();
    all.rwlock.acquire(Side::Read, None).unwrap();
    all.semaphore.acquire(None).unwrap();
    all.semaphore.acquire(None).unwrap();
    for i in 0..2 {
        all.smallest.put(i, None).unwrap();
    }
    let calls: [Call; 14] = [
        |all| all.lock.acquire(None),
        |all| all.rlock.acquire(None),
        |all| all.rwlock.acquire(Side::Write, None),
        |all| all.semaphore.acquire(None),
        |all| all.event.wait(None).map(drop),
        |all| all.barrier.wait(None, || Ok::<(), Fault>(())).map(drop),
        |all| all.latch.wait(None).map(drop),
        |all| all.queue.get(None).map(drop),
        |all| all.smallest.join(None),
        |all| all.future.wait(None),
        |all| all.set.next(None).map(drop),
        |_| sleep(None).map_err(Fault::from),
        |all| all.event.wait(Some(Duration::from_secs(100))).map(drop),
        |all| {
            let own = Condition::new(&Handle::new(Lock::new()));
            own.lock().acquire(None)?;
            let _outside = Handle::for_holder(own.clone(), Holder::Outside);
            own.wait(None)?;
            all.lock.release()
        },
    ];
    let started = Arc::new(AtomicUsize::new(0));
    for call in calls {
        let (started, wrong) = (started.clone(), wrong.clone());
        spawn(|me| {
            let all = all.to(me);
            move || {
                started.fetch_add(1, Ordering::Relaxed);
                match call(&all) {
                    Err(Fault::Stopped(Stop::Ended)) => {}
                    // Locks of the main task are free when it has ended.
                    Ok(()) | Err(Fault::Abandoned(_)) => {}
                    Err(fault) => wrong.lock().push(format!("{fault:?}")),
                }
                // It is told again and again, and so is whom it starts now.
                let late = wrong.clone();
                spawn_as("late", true, |_| move || must_be_over(&late));
                must_be_over(&wrong);
            }
        });
    }
    while started.load(Ordering::Relaxed) < calls.len() {
        sleep(ms(1)).unwrap();
    }
    // One that has not run at all.
    let wrong = wrong.clone();
    spawn(|_| move || must_be_over(&wrong));
    drop(outside);
    Arc::downgrade(&kernel)
}

#[test]
fn a_program_that_ended_leaves_no_task_and_no_thread() {
    let worlds = (0..20).map(|seed| Setup::Sim { seed });
    let real = (0..5).map(|_| Setup::Real);
    for setup in worlds.chain(real) {
        let wrong = Arc::default();
        let seen = Arc::clone(&wrong);
        goes(&run_once(setup, move || leave_all_waiting(&seen)), "at the end");
        assert!(wrong.lock().is_empty(), "{wrong:?}");
    }
}

fn must_be_over(wrong: &Mutex<Vec<String>>) {
    let stopped = sleep(None);
    if !matches!(stopped, Err(Stop::Ended)) {
        wrong.lock().push(format!("{stopped:?}"));
    }
}

#[test]
fn a_task_that_panics_lets_go_of_its_turn_and_its_locks() {
    for setup in [Setup::Sim { seed: 0 }, Setup::Real] {
        let kernel = run_once(setup, || {
            let kernel = current().kernel().clone();
            let lock = Own::new(Lock::new());
            let task = kernel.new_task("unlucky", Role::Thread, false);
            let its = lock.to(&Holder::Task(task.id()));
            kernel
                .start(&task, move || {
                    its.acquire(None).unwrap();
                    sleep(ms(5)).unwrap();
                    panic!("as planned by the test");
                })
                .unwrap();
            sleep(ms(1)).unwrap();
            while !lock.locked() && !task.has_ended() {}
            assert!(matches!(lock.acquire(None), Err(Fault::Abandoned(_))));
            Arc::downgrade(&kernel)
        });
        goes(&kernel, "after a panic");
    }
}

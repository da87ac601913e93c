//! What the kernel and the primitives cost beside the barest thing that does the same: `cargo bench --bench primitives`.
//!
//! Each group holds orch's primitive and its floors. In groups of two threads an operation is one round or one item,
//! however many threads share the work.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, criterion_group, criterion_main};

use orch::exec::pool::Plan;
use orch::exec::{Pool, Thread};
use orch::kernel::{Handle, Holder, Kernel, Object, Role, Setup, sleep};
use orch::sync::{Event, Future, Lock, Order, Queue, Semaphore};

/// How many items the bounded queues take.
const ROOM: usize = 1024;

fn real<R>(body: impl FnOnce(&Arc<Kernel>) -> R) -> R {
    let kernel = Kernel::new(Setup::Real);
    kernel.run_here("bench", || body(&kernel))
}

/// Runs `body(0)` … `body(n - 1)` in tasks of their own; how long that took.
fn in_tasks(kernel: &Arc<Kernel>, n: usize, body: impl Fn(usize) + Send + Sync + 'static) -> Duration {
    let body = Arc::new(body);
    let threads: Vec<Arc<Thread<()>>> = (0..n)
        .map(|i| {
            let thread = Thread::new(kernel, "", Role::Thread, false);
            let body = body.clone();
            thread.give(move || body(i));
            thread
        })
        .collect();
    let begun = Instant::now();
    threads.iter().for_each(|t| t.start().unwrap());
    threads.iter().for_each(|t| t.join(None).unwrap());
    begun.elapsed()
}

/// The same in bare threads.
fn in_threads(n: usize, body: impl Fn(usize) + Sync) -> Duration {
    let body = &body;
    let begun = Instant::now();
    thread::scope(|scope| {
        (0..n).for_each(|i| drop(scope.spawn(move || body(i))));
    });
    begun.elapsed()
}

/// The deadlock search would take an object that nobody holds for one that nobody serves.
fn held<T: Object>(object: &Arc<T>) -> Handle<T> {
    Handle::for_holder(object.clone(), Holder::Outside)
}

fn times(n: u64, mut body: impl FnMut()) {
    (0..n).for_each(|_| body());
}

fn lock(c: &mut Criterion) {
    let mut group = c.benchmark_group("lock");
    group.bench_function("orch", |b| {
        real(|_| {
            let lock = Lock::new();
            b.iter(|| {
                lock.acquire(None).unwrap();
                lock.release().unwrap();
            });
        });
    });
    group.bench_function("parking_lot", |b| {
        let lock = parking_lot::Mutex::new(());
        b.iter(|| drop(black_box(lock.lock())));
    });
    group.bench_function("std", |b| {
        let lock = std::sync::Mutex::new(());
        b.iter(|| drop(black_box(lock.lock().unwrap())));
    });
    group.finish();

    let mut group = c.benchmark_group("lock, 2 threads");
    group.bench_function("orch", |b| {
        real(|kernel| {
            let lock = Lock::new();
            b.iter_custom(|n| {
                let lock = lock.clone();
                in_tasks(kernel, 2, move |_| {
                    times(n / 2 + 1, || {
                        lock.acquire(None).unwrap();
                        lock.release().unwrap();
                    });
                })
            });
        });
    });
    group.bench_function("parking_lot", |b| {
        let lock = parking_lot::Mutex::new(());
        b.iter_custom(|n| in_threads(2, |_| times(n / 2 + 1, || drop(black_box(lock.lock())))));
    });
    group.bench_function("std", |b| {
        let lock = std::sync::Mutex::new(());
        b.iter_custom(|n| in_threads(2, |_| times(n / 2 + 1, || drop(black_box(lock.lock().unwrap())))));
    });
    group.finish();
}

fn semaphore(c: &mut Criterion) {
    let mut group = c.benchmark_group("semaphore");
    group.bench_function("orch", |b| {
        real(|_| {
            let semaphore = Semaphore::new(1);
            b.iter(|| {
                semaphore.acquire(None).unwrap();
                semaphore.release(1).unwrap();
            });
        });
    });
    group.finish();
}

fn event(c: &mut Criterion) {
    let mut group = c.benchmark_group("event, there and back");
    group.bench_function("orch", |b| {
        real(|kernel| {
            b.iter_custom(|n| {
                let events = [Event::new(), Event::new()];
                let _held = [held(&events[0]), held(&events[1])];
                in_tasks(kernel, 2, move |i| {
                    let (mine, other) = (&events[i], &events[1 - i]);
                    times(n, || {
                        if i == 0 {
                            other.set();
                        }
                        mine.wait(None).unwrap();
                        mine.clear();
                        if i == 1 {
                            other.set();
                        }
                    });
                })
            });
        });
    });
    group.bench_function("std park", |b| b.iter_custom(park_there_and_back));
    group.finish();
}

fn park_there_and_back(n: u64) -> Duration {
    // Counts the half rounds: who finds it even goes on first.
    let turn = Arc::new(AtomicUsize::new(0));
    let wait_for = |turn: &AtomicUsize, value: usize| {
        while turn.load(Ordering::Acquire) != value {
            thread::park();
        }
    };
    let (first, seen) = (thread::current(), turn.clone());
    let second = thread::spawn(move || {
        for round in 0..usize::try_from(n).unwrap() {
            wait_for(&seen, 2 * round + 1);
            seen.store(2 * round + 2, Ordering::Release);
            first.unpark();
        }
    });
    let begun = Instant::now();
    for round in 0..usize::try_from(n).unwrap() {
        turn.store(2 * round + 1, Ordering::Release);
        second.thread().unpark();
        wait_for(&turn, 2 * round + 2);
    }
    let elapsed = begun.elapsed();
    second.join().unwrap();
    elapsed
}

fn queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue, put and get");
    group.bench_function("orch", |b| {
        real(|_| {
            let queue = Queue::new("Queue", Order::Fifo, Some(ROOM));
            b.iter(|| {
                queue.put(1_u64, None).unwrap();
                black_box(queue.get(None).unwrap());
            });
        });
    });
    group.bench_function("crossbeam", |b| {
        let (sender, receiver) = crossbeam_channel::bounded(ROOM);
        b.iter(|| {
            sender.send(1_u64).unwrap();
            black_box(receiver.recv().unwrap());
        });
    });
    group.finish();
    for pairs in [1, 2] {
        let mut group = c.benchmark_group(format!("queue, {pairs} to {pairs}"));
        group.bench_function("orch", |b| real(|kernel| b.iter_custom(|n| through_queue(kernel, pairs, n))));
        group.bench_function("crossbeam", |b| {
            b.iter_custom(|n| {
                let (sender, receiver) = crossbeam_channel::bounded(ROOM);
                in_threads(2 * pairs, |i| {
                    times(n / pairs as u64 + 1, || match i % 2 {
                        0 => sender.send(1_u64).unwrap(),
                        _ => drop(black_box(receiver.recv().unwrap())),
                    });
                })
            });
        });
        group.finish();
    }
}

fn through_queue(kernel: &Arc<Kernel>, pairs: usize, n: u64) -> Duration {
    let queue = Queue::new("Queue", Order::Fifo, Some(ROOM));
    let _held = held(&queue);
    in_tasks(kernel, 2 * pairs, move |i| {
        times(n / pairs as u64 + 1, || match i % 2 {
            0 => queue.put(1_u64, None).unwrap(),
            _ => drop(black_box(queue.get(None).unwrap())),
        });
    })
}

fn future(c: &mut Criterion) {
    let mut group = c.benchmark_group("future");
    group.bench_function("orch", |b| {
        real(|_| {
            b.iter(|| {
                let future = Future::new("Future", None);
                future.finish(1_u64);
                future.wait(None).unwrap();
            });
        });
    });
    group.finish();
}

fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("thread, start and join");
    group.bench_function("orch", |b| real(|kernel| b.iter(|| in_tasks(kernel, 1, |_| ()))));
    group.bench_function("std", |b| b.iter(|| thread::spawn(|| ()).join().unwrap()));
    group.finish();
}

fn pool(c: &mut Criterion) {
    let plan = || Plan {
        kind: "ThreadPool",
        size: 2,
        name: None,
        initializer: None,
        agents: None,
        jobs_per_worker: None,
        broken: |()| (),
    };
    let mut group = c.benchmark_group("pool of 2");
    group.bench_function("orch, one by one", |b| {
        real(|_| {
            let pool = Pool::new(plan());
            b.iter(|| pool.submit(|| ()).unwrap().wait(None).unwrap());
        });
    });
    group.bench_function("orch, all at once", |b| {
        real(|_| {
            let pool = Pool::new(plan());
            b.iter_custom(|n| {
                let begun = Instant::now();
                let futures: Vec<_> = (0..n).map(|_| pool.submit(|| ()).unwrap()).collect();
                futures.iter().for_each(|f| f.wait(None).unwrap());
                begun.elapsed()
            });
        });
    });
    group.bench_function("crossbeam, all at once", |b| b.iter_custom(bare_pool));
    group.finish();
}

fn bare_pool(n: u64) -> Duration {
    let (jobs, todo) = crossbeam_channel::unbounded::<Box<dyn FnOnce() + Send>>();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let todo = todo.clone();
            thread::spawn(move || todo.iter().for_each(|job| job()))
        })
        .collect();
    let (result, results) = crossbeam_channel::unbounded();
    let begun = Instant::now();
    for _ in 0..n {
        let result = result.clone();
        jobs.send(Box::new(move || result.send(()).unwrap())).unwrap();
    }
    times(n, || results.recv().unwrap());
    let elapsed = begun.elapsed();
    drop(jobs);
    workers.into_iter().for_each(|w| w.join().unwrap());
    elapsed
}

/// Two simulated tasks that sleep in turn: each sleep is a switch and a step of the clock.
fn simulated(c: &mut Criterion) {
    fn run(b: &mut Bencher) {
        b.iter_custom(|n| {
            let kernel = Kernel::new(Setup::Sim { seed: 0 });
            let main = kernel.new_task("main", Role::Main, false);
            let inside = kernel.clone();
            let begun = Instant::now();
            let body = move || {
                in_tasks(&inside, 2, move |_| times(n / 2 + 1, || sleep(Some(Duration::from_millis(1))).unwrap()));
                inside.request_exit(0);
            };
            kernel.start(&main, body).unwrap();
            kernel.wait_exit(None).unwrap();
            begun.elapsed()
        });
    }
    c.benchmark_group("simulated switch").bench_function("orch", run);
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1_000))
}

criterion_group!(name = benches; config = quick(); targets = lock, semaphore, event, queue, future, threads, pool, simulated);
criterion_main!(benches);

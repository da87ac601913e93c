//! The primitives in the real world, under 64 tasks: nothing lost, nothing doubled, nobody forgotten. A watchdog ends a
//! test that hangs, with a list of who waits for what.

mod items;
mod locks;
mod parallel;
mod signals;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use orch::kernel::explore::run_once;
use orch::kernel::{Holder, Kernel, Setup, current};
use parking_lot::Mutex;

use crate::support::{join_all, spawn};

/// How many tasks each test has.
const TASKS: usize = 64;

/// How long each test goes on, unless it is done before.
const TIME: Duration = Duration::from_millis(300);

/// When a test hangs, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `program` in the real world, watched, and sees to it that nobody had to be told anything.
fn stress<R: Send + 'static>(program: impl FnOnce() -> R + Send + 'static) -> R {
    let kernel: Arc<Mutex<Weak<Kernel>>> = Arc::default();
    let (over, watched) = mpsc::channel::<()>();
    let seen = kernel.clone();
    let watchdog = thread::spawn(move || {
        if watched.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            dump(&seen.lock());
            std::process::abort();
        }
    });
    let result = run_once(Setup::Real, move || {
        *kernel.lock() = Arc::downgrade(current().kernel());
        let result = program();
        assert_eq!(current().kernel().detector().told(), 0, "a lost wake-up");
        result
    });
    drop(over);
    watchdog.join().unwrap();
    result
}

fn dump(kernel: &Weak<Kernel>) {
    let Some(kernel) = kernel.upgrade() else {
        return;
    };
    eprintln!("it hangs; now {:?}", kernel.now());
    for task in kernel.tasks() {
        let alerts = task.alerts();
        match task.waiting() {
            None => eprintln!("{task:?} runs, alerts {alerts}"),
            Some(wait) => eprintln!(
                "{task:?} waits in {} of {} ({}) since {:?}, alerts {alerts}",
                wait.verb,
                wait.target.core().label(),
                wait.target.state(),
                wait.since
            ),
        }
    }
}

/// Runs the tasks that `make` gives and returns their results.
fn crew<R: Send + 'static, B: FnOnce() -> R + Send + 'static>(
    count: usize,
    mut make: impl FnMut(usize, &Holder) -> B,
) -> Vec<R> {
    join_all((0..count).map(|i| spawn(|me| make(i, me))))
}

/// True until the time of a test is up.
fn time_left() -> impl FnMut() -> bool + Clone {
    let until = Instant::now() + TIME;
    move || Instant::now() < until
}

/// A number between 0 and `n` from the program's chance.
fn random(n: u64) -> u64 {
    current().kernel().chance(|c| c.u64(..n))
}

/// A very short time, or none.
fn moment() -> Option<Duration> {
    Some(Duration::from_micros(random(50)))
}

/// A number that is changed in two steps, so that it goes wrong where tasks are not kept apart.
#[derive(Default)]
struct Fragile(AtomicU64);

impl Fragile {
    fn add(&self, n: u64) {
        let before = self.0.load(Ordering::Relaxed);
        if random(50) == 0 {
            thread::yield_now();
        }
        self.0.store(before + n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

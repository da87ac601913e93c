//! The real world: the OS's clock, and threads that run in parallel.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::os;
use super::readiness::Source;
use super::stopwatch;
use super::task::{Task, parked, run_as};
use super::threads;

/// Rounds of looking for a wake-up before sleeping, and after how many the processor is offered to others. A wake-up
/// through the OS costs 5 µs or more on both sides; an answer that is on its way comes much sooner.
const SPINS: u32 = 120;
const SPINS_BEFORE_YIELD: u32 = 100;

/// How often to look for a change before standing in line for it: what a short section of a script takes.
const PAUSES: u32 = 200;

/// [`PAUSES`], or none where only one thread runs at a time.
pub(super) fn pauses() -> u32 {
    static KNOWN: OnceLock<u32> = OnceLock::new();
    *KNOWN.get_or_init(|| match std::thread::available_parallelism() {
        Ok(one) if one.get() == 1 => 0,
        _ => PAUSES,
    })
}

/// See the module.
pub struct RealWorld {
    /// When its time began: by its own clock, and by that of the system.
    start: Duration,
    epoch: u64,
}

impl RealWorld {
    /// A world whose time starts now.
    pub fn new() -> RealWorld {
        RealWorld { start: stopwatch::now(), epoch: os::monotonic() }
    }

    pub(super) fn now(&self) -> Duration {
        stopwatch::now().saturating_sub(self.start)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn wall_clock(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
    }

    pub(super) fn spin(&self, task: &Task) -> bool {
        if task.parking.keeper.get().is_some() {
            return false; // others have calls to be served on this thread
        }
        for round in 0..SPINS {
            if task.parking.state.load(Ordering::Acquire) == parked::NOTIFIED {
                task.forget_wakes(); // its caller tries again
                return true;
            }
            if round < SPINS_BEFORE_YIELD {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        false
    }

    pub(super) fn insist<R>(&self, task: &Task, patience: Duration, mut ask: impl FnMut() -> Poll<R>) -> Option<R> {
        if task.parking.keeper.get().is_some() {
            return None; // others have calls to be served on this thread
        }
        let start = Instant::now();
        while start.elapsed() < patience && task.alerts() == 0 {
            if let Poll::Ready(found) = ask() {
                return Some(found);
            }
            std::thread::yield_now();
        }
        None
    }

    pub(super) fn park(&self, task: &Arc<Task>, deadline: Option<Duration>) {
        let state = &task.parking.state;
        if state.compare_exchange(parked::RUNNING, parked::WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            while state.load(Ordering::Acquire) == parked::WAITING {
                match deadline {
                    None => std::thread::park(),
                    Some(deadline) => {
                        let now = self.now();
                        if now >= deadline {
                            break;
                        }
                        std::thread::park_timeout(deadline - now);
                    }
                }
            }
        }
        // A wake-up between the last look and this line is not lost: whoever parks tries its operation again.
        state.swap(parked::RUNNING, Ordering::AcqRel);
    }

    /// As `park`, but a descriptor that is ready ends it too.
    pub(super) fn poll(&self, task: &Arc<Task>, deadline: Option<Duration>, sources: &[Source]) {
        let parking = &task.parking;
        parking.bell.listen();
        let (running, waiting) = (parked::RUNNING, parked::WAITING);
        if parking.state.compare_exchange(running, waiting, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            while parking.state.load(Ordering::Acquire) == parked::WAITING {
                let left = deadline.map(|deadline| deadline.saturating_sub(self.now()));
                if left == Some(Duration::ZERO) || !parking.bell.wait(sources, left).is_empty() {
                    break;
                }
            }
        }
        parking.state.swap(parked::RUNNING, Ordering::AcqRel);
        parking.bell.stop_listening();
    }

    pub(super) fn unpark(&self, task: &Task) {
        if let Some(keeper) = task.parking.keeper.get() {
            return keeper.push(task.id());
        }
        task.parking.bell.ring();
        if let Some(thread) = task.parking.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn start(&self, task: &Arc<Task>, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let task = task.clone();
        threads::run(Box::new(move || {
            // Set before anything can park: `unpark` finds the thread or the park sees NOTIFIED.
            task.attach_native_thread();
            run_as(&task, body);
        }))
    }
}

impl Default for RealWorld {
    fn default() -> Self {
        Self::new()
    }
}

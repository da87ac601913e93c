//! OS threads, used again.
//!
//! Starting and ending an OS thread costs some 25 µs, handing a job to one that has just finished another costs a wake-up.
//! So finished threads wait a moment for the next job. Shared by all programs of this process.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// How long a finished thread waits for another job.
const LINGER: Duration = Duration::from_secs(3);

/// How many finished threads wait at the most.
const MOST_IDLE: usize = 64;

/// The stack of a thread. Only what is touched takes memory. 500 nested script calls must fit (`rhai-notes`: 5 to 10 KiB
/// each, more where expressions nest); the limit on calls in `script::engine` is set with this number in view.
pub const STACK_SIZE: usize = 16 << 20;

#[derive(Default)]
struct Slot {
    job: Mutex<Option<Job>>,
    filled: Condvar,
}

fn idle() -> &'static Mutex<Vec<Arc<Slot>>> {
    static IDLE: OnceLock<Mutex<Vec<Arc<Slot>>>> = OnceLock::new();
    IDLE.get_or_init(Mutex::default)
}

/// Runs `job` on a thread of its own.
///
/// # Errors
/// When the system can't start a thread.
pub fn run(job: Job) -> io::Result<()> {
    let waiting = idle().lock().pop();
    if let Some(slot) = waiting {
        *slot.job.lock() = Some(job);
        slot.filled.notify_one();
        return Ok(());
    }
    std::thread::Builder::new().name("orch".into()).stack_size(STACK_SIZE).spawn(move || serve(job)).map(drop)
}

thread_local! {
    /// Where the stack of this thread begins.
    static BOTTOM: Cell<Option<usize>> = const { Cell::new(None) };
}

/// About how much of its stack the current thread has used; 0 for a thread that was not started here.
pub fn stack_used() -> usize {
    BOTTOM.get().map_or(0, |bottom| bottom.abs_diff(an_address()))
}

#[inline(never)]
fn an_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

fn serve(first: Job) {
    BOTTOM.set(Some(an_address()));
    first();
    let slot = Arc::new(Slot::default());
    while let Some(job) = next_job(&slot) {
        job();
    }
}

fn next_job(slot: &Arc<Slot>) -> Option<Job> {
    {
        let mut idle = idle().lock();
        if idle.len() >= MOST_IDLE {
            return None;
        }
        idle.push(slot.clone());
    }
    let until = Instant::now() + LINGER;
    let mut job = slot.job.lock();
    loop {
        if let Some(job) = job.take() {
            return Some(job);
        }
        if slot.filled.wait_until(&mut job, until).timed_out() && job.is_none() {
            drop(job);
            return retire(slot);
        }
    }
}

/// Leaves the list of idle threads; a job that was handed over in the same moment is still done.
fn retire(slot: &Arc<Slot>) -> Option<Job> {
    let mut idle = idle().lock();
    match idle.iter().position(|s| Arc::ptr_eq(s, slot)) {
        Some(i) => {
            idle.remove(i);
            None
        }
        None => {
            drop(idle);
            let mut job = slot.job.lock();
            while job.is_none() {
                slot.filled.wait(&mut job);
            }
            job.take()
        }
    }
}

//! Every schedule of a small program, one after the other.
//!
//! A program is run in the simulated world again and again, each time with the next sequence of choices, until all have
//! been tried (depth-first, as loom's and shuttle's exhaustive searches). Tasks may be made to hand over at every
//! operation on a shared object, so two or three tasks of a few operations each are what it is for.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::schedule::Chooser;
use super::task::{Role, TaskId};
use super::{Kernel, Setup};

/// One choice: which of how many.
#[derive(Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

#[derive(Default)]
struct Path {
    choices: Vec<Choice>,
    depth: usize,
    preemptions: usize,
}

struct Replay {
    path: Arc<Mutex<Path>>,
    /// The program has ended; what it left behind runs out beside the next schedule and is not part of any.
    over: Arc<AtomicBool>,
    most_preemptions: usize,
}

impl Chooser for Replay {
    fn choose(&mut self, ready: &[TaskId], current: Option<usize>) -> usize {
        if self.over.load(Ordering::Acquire) {
            return current.unwrap_or(0);
        }
        let mut path = self.path.lock();
        // Option 0 is to go on with the current task; past the bound on preemptions it is the only one.
        let of = match current {
            Some(_) if path.preemptions >= self.most_preemptions => 1,
            _ => ready.len(),
        };
        let depth = path.depth;
        path.depth += 1;
        if depth == path.choices.len() {
            path.choices.push(Choice { taken: 0, of });
        }
        let taken = path.choices[depth].taken;
        match current {
            None => taken,
            Some(current) if taken == 0 => current,
            Some(current) => {
                path.preemptions += 1;
                // The others in their order, leaving out the current one.
                (0..ready.len()).filter(|&i| i != current).nth(taken - 1).unwrap_or(current)
            }
        }
    }

    fn preempts(&self) -> bool {
        true
    }
}

/// Runs `program` once for each schedule with at most `most_preemptions` hand-overs that were not needed, and returns how
/// many schedules that were. `program` runs as the main task of a new world each time; `check` sees what it returned.
///
/// # Panics
/// When `limit` schedules were not enough, so that a test never mistakes a part for the whole; and whatever `program`
/// panics with.
pub fn every_schedule<R: Send + 'static>(
    most_preemptions: usize,
    limit: usize,
    program: impl Fn() -> R + Send + Sync + Clone + 'static,
    mut check: impl FnMut(R),
) -> usize {
    let path = Arc::new(Mutex::new(Path::default()));
    for run in 1..=limit {
        {
            let mut path = path.lock();
            path.depth = 0;
            path.preemptions = 0;
        }
        let over = Arc::new(AtomicBool::new(false));
        let chooser = Replay { path: path.clone(), over: over.clone(), most_preemptions };
        let program = program.clone();
        let result = run_once(Setup::Explore(Box::new(chooser)), move || {
            let result = program();
            over.store(true, Ordering::Release);
            result
        });
        check(result);
        if !next(&mut path.lock().choices) {
            return run;
        }
    }
    panic!("{limit} schedules were not enough");
}

/// Runs `program` as the main task of a new world to its end and returns its result.
///
/// # Panics
/// With whatever `program` panics.
pub fn run_once<R: Send + 'static>(setup: Setup, program: impl FnOnce() -> R + Send + 'static) -> R {
    let kernel = Kernel::new(setup);
    let main = kernel.new_task("main", Role::Main, false);
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let ending = kernel.clone();
    let started = kernel.start(&main, move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(program));
        ending.end_others();
        // The receiver is there until this is sent.
        let _sent = sender.send(outcome);
    });
    if let Err(error) = started {
        panic!("no thread for the program: {error}");
    }
    match receiver.recv() {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => panic_again(panic),
        Err(gone) => panic!("the program vanished: {gone}"),
    }
}

/// Goes on with a panic of another thread, with its words: those it printed itself went to where that thread prints, which
/// in tests is lost (threads are used again).
///
/// # Panics
/// Always.
pub fn panic_again(panic: Box<dyn Any + Send>) -> ! {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    match text.or_else(|| panic.downcast_ref::<&str>().copied()) {
        Some(text) => panic!("{text}"),
        None => std::panic::resume_unwind(panic),
    }
}

/// Moves to the next sequence of choices; false when there is none.
fn next(choices: &mut Vec<Choice>) -> bool {
    while let Some(last) = choices.last_mut() {
        if last.taken + 1 < last.of {
            last.taken += 1;
            return true;
        }
        choices.pop();
    }
    false
}

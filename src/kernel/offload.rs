//! Calls of the system or of a library that block and know nothing of tasks: a name lookup, a query, a download.
//!
//! Such a call runs on a thread that is no task, and the task that wants its result waits at the door, so that Ctrl-C,
//! `cancel`, timeouts, dumps and the deadlock search hold for it. Who gives up tells the call, by `abort`, and leaves the
//! thread to itself: what it gives then is dropped.
//!
//! In the simulated world the task keeps its turn meanwhile: the clock stands still, and who runs next does not depend on
//! how long the call took. So the call must not need another task of the program in order to end.
//!
//! Invariant: the result is given to the task or dropped, once; a panic of the call is a panic of the task.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::door::{Operation, Stop, block, check};
use super::object::{Enders, ObjectCore, Waitable};
use super::stopwatch;
use super::task::current;
use super::threads;
use super::waiters::Waker;

/// How often a task that keeps its turn looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(5);

/// Why there is no result.
#[derive(Debug)]
pub enum OffloadFault {
    /// The wait was given up; the call was told.
    Stop(Stop),
    /// The system gives no thread.
    NoThread(io::Error),
}

impl From<Stop> for OffloadFault {
    fn from(stop: Stop) -> Self {
        OffloadFault::Stop(stop)
    }
}

/// Runs `work` elsewhere and waits for it, at most `limit` (no limit: `None`). `object` is what reports say is waited for,
/// `verb` the call as the script's author knows it. If the wait is given up, `abort` is called: it should make `work`
/// end soon and must not block.
///
/// # Errors
/// [`OffloadFault`].
pub fn offload<T: Send + 'static>(
    object: &Arc<ObjectCore>,
    verb: &'static str,
    limit: Option<Duration>,
    abort: impl FnOnce(),
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OffloadFault> {
    let task = current();
    check(&task)?;
    let call = Arc::new(Call {
        object: object.clone(),
        state: Mutex::new(State { result: None, waiter: None }),
        done: Condvar::new(),
    });
    let doing = call.clone();
    threads::run(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let mut state = doing.state.lock();
        state.result = Some(result);
        let waiter = state.waiter.take();
        drop(state);
        doing.done.notify_all();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }))
    .map_err(OffloadFault::NoThread)?;
    let outcome =
        if task.kernel().is_sim() { keep_turn(&call, limit) } else { block(&mut Waiting { call: &call, verb }, limit) };
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(stop) => {
            abort();
            Err(stop.into())
        }
    }
}

type Caught<T> = std::thread::Result<T>;

struct Call<T> {
    object: Arc<ObjectCore>,
    state: Mutex<State<T>>,
    done: Condvar,
}

struct State<T> {
    result: Option<Caught<T>>,
    waiter: Option<Waker>,
}

impl<T: Send> Waitable for Call<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.object
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

fn keep_turn<T>(call: &Call<T>, limit: Option<Duration>) -> Result<Caught<T>, Stop> {
    let task = current();
    let until = limit.and_then(|limit| stopwatch::now().checked_add(limit));
    let mut state = call.state.lock();
    loop {
        if let Some(result) = state.result.take() {
            return Ok(result);
        }
        if until.is_some_and(|until| stopwatch::now() >= until) {
            return Err(Stop::TimedOut);
        }
        call.done.wait_for(&mut state, LOOK);
        if state.result.is_none() {
            // A handler may run in it, and take its time.
            parking_lot::MutexGuard::unlocked(&mut state, || check(&task))?;
        }
    }
}

struct Waiting<'a, T> {
    call: &'a Arc<Call<T>>,
    verb: &'static str,
}

impl<T: Send + 'static> Operation for Waiting<'_, T> {
    type Output = Caught<T>;

    fn poll(&mut self, waker: &Waker) -> Poll<Caught<T>> {
        let mut state = self.call.state.lock();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waiter = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    fn abandon(&mut self) {
        self.call.state.lock().waiter = None;
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.call.clone()
    }

    fn verb(&self) -> &'static str {
        self.verb
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::kernel::explore::run_once;
    use crate::kernel::{Role, Setup};

    fn both() -> [Setup; 2] {
        [Setup::Real, Setup::Sim { seed: 0 }]
    }

    fn plain<T: Send + 'static>(
        limit: Option<Duration>,
        abort: impl FnOnce(),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OffloadFault> {
        offload(&ObjectCore::new("Work"), "work", limit, abort, work)
    }

    #[test]
    fn the_result_comes_and_simulated_time_stands_still() {
        for setup in both() {
            let simulated = matches!(setup, Setup::Sim { .. });
            let elapsed = run_once(setup, || {
                let kernel = current().kernel().clone();
                let before = kernel.now();
                // In real time a moment of the system's; in simulated time none at all.
                let got = plain(None, || panic!("nobody gives up"), || std::thread::sleep(Duration::from_millis(3)));
                assert!(got.is_ok());
                kernel.now() - before
            });
            assert_eq!(elapsed.is_zero(), simulated, "{elapsed:?}");
        }
    }

    #[test]
    fn who_gives_up_tells_the_call() {
        for setup in both() {
            run_once(setup, || {
                let (stop, stopped) = mpsc::channel::<()>();
                let (end, ended) = mpsc::channel();
                let given = plain(
                    Some(Duration::from_millis(1)),
                    || drop(stop),
                    move || {
                        let told = stopped.recv().is_err();
                        assert!(end.send(told).is_ok());
                    },
                );
                assert!(matches!(given, Err(OffloadFault::Stop(Stop::TimedOut))), "{given:?}");
                assert_eq!(ended.recv(), Ok(true));
            });
        }
    }

    #[test]
    fn a_cancelled_task_does_not_wait_and_a_pending_cancel_begins_nothing() {
        for setup in both() {
            run_once(setup, || {
                current().cancel();
                let begun = Arc::new(AtomicBool::new(false));
                let note = begun.clone();
                let given = plain(None, || {}, move || note.store(true, Ordering::SeqCst));
                assert!(matches!(given, Err(OffloadFault::Stop(Stop::Cancelled))), "{given:?}");
                assert!(!begun.load(Ordering::SeqCst));
                // And one that comes while it waits.
                let task = current();
                let (stop, stopped) = mpsc::channel::<()>();
                let given = plain(
                    None,
                    || drop(stop),
                    move || {
                        task.cancel();
                        stopped.recv().is_err()
                    },
                );
                assert!(matches!(given, Err(OffloadFault::Stop(Stop::Cancelled))), "{given:?}");
            });
        }
    }

    #[test]
    fn a_panic_of_the_call_is_a_panic_of_the_task() {
        for setup in both() {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                run_once(setup, || plain(None, || {}, || panic!("{}", "of the call")).map_err(|_| ()))
            }));
            assert!(caught.is_err());
        }
    }

    #[test]
    fn in_real_time_it_is_a_wait_that_others_see() {
        run_once(Setup::Real, || {
            let (kernel, main) = (current().kernel().clone(), current());
            let (send, receive) = mpsc::channel();
            let other = kernel.new_task("other", Role::Thread, false);
            // The call ends only once somebody has seen the task wait for it at the door.
            let look = move || {
                let verb = loop {
                    match main.waiting() {
                        Some(wait) => break wait.verb,
                        None => std::thread::yield_now(),
                    }
                };
                assert!(send.send(verb).is_ok());
            };
            kernel.start(&other, look).expect("threads are there in tests");
            assert_eq!(plain(None, || {}, move || receive.recv()).ok(), Some(Ok("work")));
        });
    }
}

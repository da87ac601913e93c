//! Calls that block, and how they hear that nobody waits for them any more.
//!
//! The call runs on a thread that is no task ([`offload`]). A library that it is in cannot be told to stop from outside, but
//! each can be told from inside: SQLite asks a function of ours every now and then ([`has_given_up`]), and what waits in a
//! socket is woken by whatever it has left with [`interrupted_by`].

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::kernel::ObjectCore;
use crate::kernel::offload::{OffloadFault, offload};

/// The task's side of a call.
#[derive(Default)]
struct Caller {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    given_up: bool,
    interrupt: Option<Box<dyn Fn() + Send>>,
}

thread_local! {
    /// Who waits for the call that this thread is in.
    static CALLER: RefCell<Option<Arc<Caller>>> = const { RefCell::new(None) };
}

/// Runs `work` beside the current task, which waits for it, at most `limit`. `object` is what reports say it waits for,
/// `verb` the call as the script's author knows it.
///
/// # Errors
/// As [`offload`].
pub fn run<T: Send + 'static>(
    object: &Arc<ObjectCore>,
    verb: &'static str,
    limit: Option<Duration>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OffloadFault> {
    let caller = Arc::new(Caller::default());
    let inside = caller.clone();
    let work = move || {
        CALLER.with(|now| *now.borrow_mut() = Some(inside));
        let result = work();
        CALLER.with(|now| *now.borrow_mut() = None);
        result
    };
    offload(object, verb, limit, move || caller.give_up(), work)
}

impl Caller {
    fn pause(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.given_up {
            self.told.wait_for(&mut state, time);
        }
        !state.given_up
    }

    fn give_up(&self) {
        let mut state = self.state.lock();
        state.given_up = true;
        let interrupt = state.interrupt.take();
        drop(state);
        self.told.notify_all();
        if let Some(interrupt) = interrupt {
            interrupt();
        }
    }
}

fn with_caller<R>(body: impl FnOnce(&Caller) -> R) -> Option<R> {
    CALLER.with(|caller| caller.borrow().as_deref().map(body))
}

/// True when nobody waits for the call of this thread any more.
pub fn has_given_up() -> bool {
    with_caller(|caller| caller.state.lock().given_up).unwrap_or(false)
}

/// Waits a moment; false when nobody waits for the call of this thread any more. A task's own thread just waits.
pub fn pause(time: Duration) -> bool {
    with_caller(|caller| caller.pause(time)).unwrap_or_else(|| Caller::default().pause(time))
}

/// From now on `interrupt` ends what the call of this thread is in. False when it is to end already.
pub fn interrupted_by(interrupt: impl Fn() + Send + 'static) -> bool {
    let noted = with_caller(|caller| {
        let mut state = caller.state.lock();
        state.interrupt = Some(Box::new(interrupt));
        !state.given_up
    });
    noted.unwrap_or(true)
}

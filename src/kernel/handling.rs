//! Signals that the program handles itself.
//!
//! A handler runs in the main task and nowhere else: at the door, when the task waits there or comes there, or between
//! two operations of its script. So it needs no more care than any function, but for this: whatever the main task was
//! doing is still going on below it.
//!
//! Invariants: a signal that was posted is handled once after the last post (several that come before the handler begins
//! are one, as the system has it); a handler never runs within itself: what comes while it runs is handled after it.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::Kernel;
use super::task::{Role, Task, alert};

/// What a handler failed with; the room that has set the hook knows more.
pub type HandlerError = Arc<dyn Any + Send + Sync>;

/// Runs the handler of a signal, if it still has one.
pub type Hook = Box<dyn Fn(u32) -> Result<(), HandlerError> + Send + Sync>;

/// See the module.
#[derive(Default)]
pub struct Handling {
    hook: OnceLock<Hook>,
    expected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Each at most once, first come first.
    pending: VecDeque<u32>,
    running: Vec<u32>,
    /// What handlers failed with where nobody could be told.
    failed: VecDeque<HandlerError>,
}

impl State {
    fn next(&mut self) -> Option<u32> {
        let at = self.pending.iter().position(|signal| !self.running.contains(signal))?;
        let signal = self.pending.remove(at)?;
        self.running.push(signal);
        Some(signal)
    }

    fn is_due(&self) -> bool {
        !self.failed.is_empty() || self.pending.iter().any(|signal| !self.running.contains(signal))
    }
}

impl Handling {
    /// Says how a signal is handled; the first word counts.
    pub fn set_hook(&self, hook: Hook) {
        self.hook.get_or_init(|| hook);
    }

    /// Says whether a signal may come that has a handler: until then the main task waits for nothing in vain.
    pub fn expect(&self, kernel: &Arc<Kernel>, expected: bool) {
        if self.expected.swap(expected, Ordering::AcqRel) && !expected {
            kernel.detector().look_again(kernel);
        }
    }

    /// True when a handler may run while the main task waits. Not while one runs: then only what it can reach counts, so
    /// that a handler which waits for what the main task holds is told.
    pub(super) fn may_act(&self) -> bool {
        self.expected.load(Ordering::Acquire) && self.state.try_lock().is_none_or(|state| state.running.is_empty())
    }

    /// A signal came: the main task of `kernel` handles it as soon as it can.
    pub fn post(&self, kernel: &Kernel, signal: u32) {
        {
            let mut state = self.state.lock();
            if !state.pending.contains(&signal) {
                state.pending.push_back(signal);
            }
        }
        if let Some(main) = kernel.tasks().iter().find(|task| task.role() == Role::Main) {
            main.alert(alert::HANDLE);
        }
    }

    /// `main` could not be told what a handler failed with: its next call is.
    pub fn fail(&self, main: &Arc<Task>, error: HandlerError) {
        self.state.lock().failed.push_back(error);
        main.alert(alert::HANDLE);
    }

    /// What a handler failed with has come out at a place that may make nothing of it: the same comes out again, until
    /// somebody says that it was heard.
    pub fn hold(&self, main: &Task, error: HandlerError) {
        self.state.lock().failed.push_front(error);
        main.raise(alert::HANDLE);
    }

    /// Somebody heard what was held.
    pub fn heard(&self, error: &HandlerError) {
        let same = |held: &HandlerError| std::ptr::addr_eq(Arc::as_ptr(held), Arc::as_ptr(error));
        self.state.lock().failed.retain(|held| !same(held));
    }

    /// Runs in `main`, the current task, the handlers of all signals that are pending.
    ///
    /// # Errors
    /// What one of them failed with; the others stay pending.
    pub fn run(&self, main: &Arc<Task>) -> Result<(), HandlerError> {
        let hook = self.hook.get();
        loop {
            let next = {
                let mut state = self.state.lock();
                // Within the lock: what is posted from here on raises it again.
                main.clear_alert(alert::HANDLE);
                match state.failed.pop_front() {
                    Some(error) => {
                        self.remind(&state, main);
                        return Err(error);
                    }
                    None => hook.and_then(|hook| Some((hook, state.next()?))),
                }
            };
            let Some((hook, signal)) = next else {
                return Ok(());
            };
            let site = main.site();
            let running = Running { handling: self, main, signal };
            let result = hook(signal);
            main.set_site(site);
            drop(running);
            result?;
        }
    }

    fn remind(&self, state: &State, main: &Task) {
        if state.is_due() {
            main.raise(alert::HANDLE);
        }
    }
}

/// A handler that runs, however it ends.
struct Running<'a> {
    handling: &'a Handling,
    main: &'a Arc<Task>,
    signal: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.handling.state.lock();
        state.running.retain(|signal| *signal != self.signal);
        self.handling.remind(&state, self.main);
    }
}

//! Ending a command: TERM to its whole tree, a grace, then KILL until nobody is left.
//!
//! Whether somebody is left is looked at again and again, on the thread of the alarms. The command counts as ended when its
//! tree is gone, not when its own process is.

use std::time::Duration;

use rustix::process::Signal;

use super::child::{Child, Runs, State};
use super::completed::End;
use super::tree::send_to;
use crate::kernel::alarm;

/// The pauses between looks at a tree that is being ended.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(100);

/// What was asked to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody did.
    No,
    /// Somebody did; part of its tree may still run.
    Begun,
    /// Nothing of its tree is left.
    Gone,
}

impl Child {
    /// Ends its whole tree: TERM now, KILL after the grace. Ending it again does nothing.
    pub fn terminate(&self) {
        self.end(Signal::TERM, |state| state.by_request = true);
    }

    /// Ends its whole tree with KILL, at once.
    pub fn kill(&self) {
        self.end(Signal::KILL, |state| state.by_request = true);
    }

    /// Its time is up.
    pub(super) fn time_is_up(&self) {
        self.end(Signal::TERM, |state| state.timed_out = true);
    }

    /// Its simulated time is up.
    pub(super) fn mocked_time_is_up(&self) {
        self.state.lock().timed_out = true;
    }

    /// Ends it because the program ends: the same as [`Child::terminate`], but not by request of the script.
    pub fn end_with_program(&self) {
        self.end(Signal::TERM, |_| {});
    }

    fn end(&self, signal: Signal, note: impl FnOnce(&mut State)) {
        {
            let mut state = self.state.lock();
            self.advance(&mut state, None);
            if state.done.is_some() {
                return;
            }
            note(&mut state);
            if matches!(state.runs, Runs::Real { .. }) {
                if state.ending != Ending::No && signal != Signal::KILL {
                    return;
                }
                state.ending = Ending::Begun;
            }
            if signal == Signal::KILL {
                state.grace_left = Duration::ZERO;
            }
        }
        // Not under the guard of its state: under simulated time this may let another task go on.
        if let Some(run) = self.mock_run() {
            return run.end_with(End::Signal(signal.as_raw()));
        }
        self.tree.signal(signal);
        self.look_later(FIRST_LOOK);
    }

    /// Looks whether its tree is gone, again and again; once nothing is left of the grace, with KILL.
    fn look_later(&self, pause: Duration) {
        // Kept before it can ring: what it would put in its own place must not be taken out again here.
        let mut state = self.state.lock();
        let pause = if state.grace_left.is_zero() { pause } else { pause.min(state.grace_left) };
        let me = self.me.clone();
        let alarm = alarm::after(pause, move || {
            if let Some(child) = me.upgrade() {
                child.look(pause);
            }
        });
        let before = state.next_look.replace(alarm);
        drop(state);
        drop(before);
    }

    fn look(&self, pause: Duration) {
        let grace_left = {
            let mut state = self.state.lock();
            state.grace_left = state.grace_left.saturating_sub(pause);
            state.grace_left
        };
        let mut members = self.tree.glimpse();
        if members.is_empty() || grace_left.is_zero() {
            members = self.tree.members();
        }
        if members.is_empty() {
            let mut state = self.state.lock();
            state.ending = Ending::Gone;
            state.waiters.nudge_all();
            return;
        }
        if grace_left.is_zero() {
            send_to(&members, Signal::KILL);
        }
        self.look_later((pause * 2).min(LAST_LOOK));
    }
}

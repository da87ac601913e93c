//! The terminal, lent to a command: an editor, `less` and `top` work, and Ctrl-C is theirs.
//!
//! A command has its own process group, so that all of it can be signalled; on a terminal only the foreground group may
//! read. While a command that reads from orch's terminal runs, its group is the foreground group. One command at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, getpgrp};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

use crate::kernel::os::{set_foreground_group, without_ttou};

static LENT: AtomicBool = AtomicBool::new(false);

/// True when orch's input is a terminal, orch is in the foreground there, and nobody has borrowed it.
pub fn is_ours() -> bool {
    let input = stdin();
    isatty(input) && tcgetpgrp(input).is_ok_and(|front| front == getpgrp()) && !LENT.load(Ordering::Acquire)
}

/// The terminal as long as it is lent.
pub struct Foreground {
    /// How it was before.
    modes: Option<Termios>,
    ours: Pid,
}

impl Foreground {
    /// Lends the terminal to the group of this process; `None` where orch has none to lend.
    pub fn lend(group: u32) -> Option<Foreground> {
        let group = Pid::from_raw(group.cast_signed())?;
        if !is_ours() || LENT.swap(true, Ordering::AcqRel) {
            return None;
        }
        let foreground = Foreground { modes: tcgetattr(stdin()).ok(), ours: getpgrp() };
        // It may have ended already: then there is nobody to lend it to, and `drop` takes it back.
        let _lent = set_foreground_group(stdin(), group);
        // It may have tried to read too soon, and was stopped for that.
        let _gone = rustix::process::kill_process_group(group, Signal::CONT);
        Some(foreground)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to take back.
        let _gone = set_foreground_group(stdin(), self.ours);
        if let Some(modes) = &self.modes {
            let _gone = without_ttou(|| tcsetattr(stdin(), OptionalActions::Drain, modes));
        }
        LENT.store(false, Ordering::Release);
    }
}

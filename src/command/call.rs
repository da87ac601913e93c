//! Running a command to its end.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::completed::Completed;
use super::fault::CommandFault;
use super::launch::{Wire, Wiring};
use super::spec::{Input, Spec};
use super::{relay, terminal};
use crate::kernel::sleep;

/// How long it takes at most until orch hears of a signal that it has sent to itself.
const HEARING: Duration = Duration::from_millis(500);

/// Output goes to the terminal.
pub const SHOWN: Wiring = Wiring { stdin: Wire::Inherit, stdout: Wire::Inherit, stderr: Wire::Inherit };
/// Output is captured.
pub const CAPTURED: Wiring = Wiring { stdin: Wire::Inherit, stdout: Wire::Pipe, stderr: Wire::Pipe };
/// Only the standard output is captured.
pub const READ: Wiring = Wiring { stdin: Wire::Inherit, stdout: Wire::Pipe, stderr: Wire::Inherit };
/// All three are pipes: for a command that is talked to.
pub const PIPED: Wiring = Wiring { stdin: Wire::Pipe, stdout: Wire::Pipe, stderr: Wire::Pipe };

/// Starts a command that has the terminal while it runs, if it may read from it. While another one has it, there is
/// nothing to read.
///
/// # Errors
/// As [`Child::start`].
pub fn start_in_front(spec: &Spec, wiring: Wiring) -> Result<Arc<Child>, CommandFault> {
    let reads = spec.stages.first().is_some_and(|first| first.stdin == Input::Default) && wiring.stdin == Wire::Inherit;
    let stdin = match reads && !spec.pty {
        true if terminal::is_lent() || relay::is_for_current() => Wire::Null,
        true if terminal::is_ours() => Wire::Lent,
        _ => wiring.stdin,
    };
    Child::start(spec, Wiring { stdin, ..wiring })
}

/// Runs a command, with the tries it has. What became of it is the caller's to judge.
///
/// # Errors
/// [`CommandFault`]. A wait that is ended ends the command too, before this comes back.
pub fn run(spec: &Spec, wiring: Wiring) -> Result<Arc<Completed>, CommandFault> {
    let mut tries_left = spec.retries;
    loop {
        let child = start_in_front(spec, wiring)?;
        // Its own terminal is not the one that people look at.
        let shows = spec.pty && wiring.stdout == Wire::Inherit;
        let done = finish_after(&child, if shows { show } else { |_| Ok(()) })?;
        if tries_left == 0 || !done.calls_for_another_try() {
            return Ok(done);
        }
        tries_left -= 1;
    }
}

/// Waits for the end of a command that nobody else knows; a wait that is ended ends it.
///
/// # Errors
/// As [`Child::wait`].
pub fn finish(child: &Arc<Child>) -> Result<Arc<Completed>, CommandFault> {
    finish_after(child, |_| Ok(()))
}

fn finish_after(
    child: &Arc<Child>,
    first: fn(&Arc<Child>) -> Result<(), CommandFault>,
) -> Result<Arc<Completed>, CommandFault> {
    let outcome = first(child).and_then(|()| child.wait(None));
    if matches!(outcome, Err(CommandFault::Stopped(_))) {
        child.end_with_program();
        // What it says to that matters to nobody.
        let _ended = child.wait_through();
    }
    if outcome.is_ok() && child.was_interrupted_in_front() {
        hear_of_the_interrupt()?;
    }
    outcome
}

/// Passes on what it writes, as it comes. What nobody reads any more is thrown away.
fn show(child: &Arc<Child>) -> Result<(), CommandFault> {
    let own = || rustix::io::dup(rustix::stdio::stdout()).map_err(Into::into);
    let out = relay::for_commands().and_then(|relay| relay.map_or_else(own, Ok));
    let mut out = Some(File::from(
        out.map_err(|error| CommandFault::System { what: "cannot show the output of a command".into(), error })?,
    ));
    let at_terminal = rustix::termios::isatty(rustix::stdio::stdout());
    while let Some(mut bytes) = child.read_some()? {
        if at_terminal {
            // It makes both ends of a line by itself.
            let before_newline: Vec<bool> = bytes.windows(2).map(|pair| pair == b"\r\n").chain([false]).collect();
            let mut drops = before_newline.into_iter();
            bytes.retain(|_| !drops.next().unwrap_or_default());
        }
        out = out.filter(|mut out| out.write_all(&bytes).is_ok());
    }
    Ok(())
}

/// A Ctrl-C went to the command alone, since it had the terminal, and ended it: it was meant for orch too.
fn hear_of_the_interrupt() -> Result<(), CommandFault> {
    // It comes by the way that signals come, where a script may have its own opinion about it.
    if rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).is_ok() {
        sleep(Some(HEARING))?;
    }
    Ok(())
}

//! What the signals of the system do to a program.
//!
//! The first INT, TERM or HUP asks: the main task's current call ends with `Interrupted`, all other tasks are cancelled, all commands are told to end.
//! A second one ends the program at once, with the same status. QUIT asks for a dump of all tasks and changes nothing.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::command::child;
use crate::kernel::{Kernel, threads};

/// For a helper that has to outlive the program: it is not ended by what ends the others.
///
/// # Errors
/// When the system refuses the handlers.
pub fn ignore_requests_to_end() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Watches the signals for `kernel` from now on; `dump` shows all tasks.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn watch(kernel: &Arc<Kernel>, dump: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let kernel = Arc::downgrade(kernel);
    threads::run(Box::new(move || {
        let mut asked = false;
        for signal in &mut signals {
            let Some(kernel) = kernel.upgrade() else {
                return;
            };
            if signal == SIGQUIT {
                dump();
            } else if std::mem::replace(&mut asked, true) {
                kernel.request_exit_now(128 + signal);
            } else {
                kernel.interrupt(signal.unsigned_abs());
                child::end_all(&kernel);
            }
        }
    }))
}

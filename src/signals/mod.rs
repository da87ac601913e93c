//! What the signals of the system do to a program.
//!
//! The first INT, TERM or HUP asks: the main task's current call ends with `Interrupted`, all other tasks are cancelled.
//! A second one ends the program at once, with the same status. QUIT asks for a dump of all tasks and changes nothing.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::kernel::{Kernel, threads};

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
                kernel.request_exit(128 + signal);
            } else {
                kernel.interrupt(signal.unsigned_abs());
            }
        }
    }))
}

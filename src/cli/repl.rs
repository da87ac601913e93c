//! `orch repl`.

use super::args::ReplOptions;
use super::run::{clear_up, origin, watch_signals};
use super::terminal::Terminal;
use crate::kernel::{Kernel, Setup};
use crate::repl::Repl;

/// Runs entries until there are no more; the status.
pub fn run(options: &ReplOptions) -> i32 {
    let setup = if options.world.sim { Setup::Sim { seed: options.world.seed } } else { Setup::Real };
    let kernel = Kernel::new(setup);
    let repl = Repl::new(&kernel, Box::new(Terminal::default()));
    repl.host().comes_from(origin(None, &[]));
    if let Err(error) = watch_signals(repl.host()).and_then(|()| repl.start()) {
        repl.host().say(&format!("error: cannot start: {error}\n"));
        return 1;
    }
    let status = kernel.wait_exit(None).unwrap_or(1);
    repl.leave();
    clear_up(&kernel, |note| repl.host().say(note));
    status
}

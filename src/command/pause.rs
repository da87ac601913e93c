//! Ctrl-Z: orch stops with all that it has started, and both go on together.
//!
//! A command has its own process group, so the terminal stops orch alone; the commands would go on, and their time limits too.

use rustix::process::{Signal, getsid};

use super::processes::{self, Stat};
use super::{guard, tree};
use crate::kernel::stopwatch;

/// Stops every process that orch has started and that is not stopped yet, then orch, and when orch is let go on, those.
///
/// TSTP, which a program may hear to make its terminal tidy; STOP in another session, where the system lets TSTP do nothing
/// (POSIX, "orphaned process group").
pub fn pause() {
    let spared: Vec<u32> = guard::pid().into_iter().collect();
    let session = getsid(None).map_or(0, |session| session.as_raw_nonzero().get());
    let mut others: Vec<Stat> = match guard::is_needed() {
        true => tree::everything(&spared),
        false => Vec::new(),
    };
    others.retain(|p| p.state != 'T');
    for other in &others {
        let signal = if other.session == session { Signal::TSTP } else { Signal::STOP };
        processes::send(other, signal);
    }
    stopwatch::stop_here();
    for other in &others {
        processes::send(other, Signal::CONT);
    }
}

//! The commands that run now: who they are, and how they all end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;

use super::child::Child;
use super::processes::Stat;
use super::tree::{everything, glimpse_of_everything, has_strangers, send_to};
use super::{guard, leader};
use crate::kernel::alarm;

static RUNNING: Mutex<Vec<Weak<Child>>> = Mutex::new(Vec::new());

/// The list is cleared of those that are gone when it has grown to twice this.
const FEW: usize = 64;

/// How long the end of all may take without a word.
const MOMENT: Duration = Duration::from_secs(1);

/// How often the end of all is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Adds one.
pub(super) fn add(child: &Arc<Child>) {
    let mut running = RUNNING.lock();
    if running.len() >= 2 * FEW && running.len() == running.capacity() {
        running.retain(|child| child.strong_count() > 0);
    }
    running.push(Arc::downgrade(child));
}

/// Those that somebody still holds a handle of.
pub(super) fn all() -> Vec<Arc<Child>> {
    RUNNING.lock().iter().filter_map(Weak::upgrade).collect()
}

/// Ends everything that orch started: TERM, and after `grace`, or as soon as it is urgent, KILL. To be called when the
/// program is over; comes back when nothing is left but what belongs to somebody else (as what `sudo` runs), which is told.
/// `slow` hears who is still there after [`MOMENT`].
pub fn end_everything(grace: Duration, is_urgent: impl Fn() -> bool, slow: impl Fn(&[Stat])) -> Vec<Stat> {
    if !guard::is_needed() {
        return Vec::new();
    }
    let spared: Vec<u32> = guard::pid().into_iter().collect();
    let (mut waited, mut told) = (Duration::ZERO, false);
    loop {
        leader::reap_all();
        if glimpse_of_everything(&spared).is_empty() && nothing_is_left() {
            return Vec::new();
        }
        let kills = waited >= grace || is_urgent();
        // One TERM: a second one makes some programs leave without clearing up.
        if kills || !std::mem::replace(&mut told, true) {
            let left = everything(&spared);
            let refused = send_to(&left, if kills { Signal::KILL } else { Signal::TERM });
            if kills && !left.is_empty() && refused.len() == left.len() {
                guard::dismiss();
                return refused;
            }
        }
        alarm::wait(LOOK);
        waited += LOOK;
        if waited == MOMENT {
            slow(&everything(&spared));
        }
    }
}

/// A quick look has found nobody; it may have missed a process while another ended. The guard goes now, so that having no
/// children at all says for certain that nobody is left.
fn nothing_is_left() -> bool {
    guard::dismiss();
    leader::has_no_children() || (has_strangers() && everything(&[]).is_empty())
}

//! The commands that run now: who they are, and how they all end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;

use super::child::Child;
use super::tree::{everything, send_to};
use super::{guard, leader};
use crate::kernel::alarm;

static RUNNING: Mutex<Vec<Weak<Child>>> = Mutex::new(Vec::new());

/// The list is cleared of those that are gone when it has grown to twice this.
const FEW: usize = 64;

/// How often the end of all is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Two looks in a row that find nobody are believed: one alone may miss a process while another ends.
const BELIEVED: u32 = 2;

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

/// Ends everything that orch started: TERM, and after `grace` KILL. To be called when the program is over; comes back when
/// nothing is left.
pub fn end_everything(grace: Duration) {
    if !guard::is_needed() {
        return;
    }
    let spared: Vec<u32> = guard::pid().into_iter().collect();
    let (mut waited, mut quiet, mut told) = (Duration::ZERO, 0, false);
    loop {
        let left = everything(&spared);
        if left.is_empty() {
            quiet += 1;
            if quiet == BELIEVED {
                break;
            }
            continue;
        }
        quiet = 0;
        if waited >= grace {
            send_to(&left, Signal::KILL);
        } else if !std::mem::replace(&mut told, true) {
            send_to(&left, Signal::TERM);
        }
        alarm::wait(LOOK);
        waited += LOOK;
        leader::reap_all();
    }
    leader::reap_all();
    guard::dismiss();
}

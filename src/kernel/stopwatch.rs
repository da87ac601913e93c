//! The clock of this process, which stands still while the process is stopped, as by Ctrl-Z: a wait with a time limit has after
//! `fg` what it had left, and no command is ended for time in which nobody could work.
//!
//! Invariant: no reading is of the time in which the process was stopped, also for whoever is stopped between looking at one
//! part of the clock and another: the number of stops is looked at before and after ([a sequence lock]), and while it is odd the
//! clock stands.
//!
//! [a sequence lock]: https://docs.kernel.org/locking/seqlock.html

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::os;

/// How often the process was stopped and let go on, together; odd while it is stopped.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What the clock says while it stands.
static STANDS_AT: AtomicU64 = AtomicU64::new(0);

/// For how many nanoseconds it has stood in all.
static STOOD: AtomicU64 = AtomicU64::new(0);

/// The time: as [`os::monotonic`], without what the process was stopped for.
pub fn now() -> Duration {
    loop {
        let before = CHANGES.load(Ordering::SeqCst);
        let reading = match before % 2 {
            0 => os::monotonic() - STOOD.load(Ordering::SeqCst),
            _ => STANDS_AT.load(Ordering::SeqCst),
        };
        if CHANGES.load(Ordering::SeqCst) == before {
            return Duration::from_nanos(reading);
        }
    }
}

/// Stops this process, with all its threads; comes back when it is let go on. Does nothing while another thread does this.
pub fn stop_here() {
    static STOPPING: Mutex<()> = Mutex::new(());
    let Some(_stopping) = STOPPING.try_lock() else {
        return;
    };
    let began = os::monotonic();
    STANDS_AT.store(began - STOOD.load(Ordering::SeqCst), Ordering::SeqCst);
    CHANGES.fetch_add(1, Ordering::SeqCst);
    os::stop_here();
    STOOD.fetch_add(os::monotonic() - began, Ordering::SeqCst);
    CHANGES.fetch_add(1, Ordering::SeqCst);
}

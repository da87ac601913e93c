//! Calls at a later moment of real time, in the simulated world too: what is done to commands that run for real (their
//! time is up, the grace after TERM is over) cannot wait for a clock that stands still meanwhile.
//!
//! One thread for all alarms of the process, started with the first. An alarm that is dropped does not ring.

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{stopwatch, threads};

type Call = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Table {
    calls: BTreeMap<(Duration, u64), Call>,
    issued: u64,
    /// The thread sleeps until this; `None` while it does not sleep, or has not been started.
    sleeps_until: Option<Duration>,
    runs: bool,
}

#[derive(Default)]
struct Clock {
    table: Mutex<Table>,
    sooner: Condvar,
}

fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(Clock::default)
}

/// A call that is still to come, unless this is dropped.
#[derive(Debug)]
pub struct Alarm(Option<(Duration, u64)>);

/// Sees to it that alarms ring. To be called before something is begun that needs them to end.
///
/// # Errors
/// When the system cannot start the thread for them.
pub fn prepare() -> io::Result<()> {
    let clock = clock();
    let mut table = clock.table.lock();
    if !table.runs {
        threads::run(Box::new(|| serve(self::clock())))?;
        table.runs = true;
    }
    Ok(())
}

/// Calls `call` after `delay` on a thread of its own kind, on which it must not block for long.
///
/// A delay beyond what the clock can tell never comes. Where alarms were not prepared and the system cannot start the thread,
/// `call` is called at once: alarms end things, and better too soon than never.
pub fn after(delay: Duration, call: impl FnOnce() + Send + 'static) -> Alarm {
    let Some(when) = stopwatch::now().checked_add(delay) else {
        return Alarm(None);
    };
    if prepare().is_err() {
        call();
        return Alarm(None);
    }
    let clock = clock();
    let mut table = clock.table.lock();
    table.issued += 1;
    let key = (when, table.issued);
    table.calls.insert(key, Box::new(call));
    if table.sleeps_until.is_none_or(|until| when < until) {
        clock.sooner.notify_one();
    }
    Alarm(Some(key))
}

/// Stops this OS thread for a time. For what is no task and has no program to serve: helpers, and the end of orch.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.0 {
            let cancelled = clock().table.lock().calls.remove(&key);
            drop(cancelled); // what it holds is let go after the lock
        }
    }
}

fn serve(clock: &Clock) {
    let mut table = clock.table.lock();
    loop {
        let now = stopwatch::now();
        let next = table.calls.first_key_value().map(|(key, _)| *key);
        match next {
            Some(key) if key.0 <= now => {
                if let Some(call) = table.calls.remove(&key) {
                    parking_lot::MutexGuard::unlocked(&mut table, call);
                }
            }
            Some((when, _)) => {
                table.sleeps_until = Some(when);
                clock.sooner.wait_for(&mut table, when - now);
                table.sleeps_until = None;
            }
            None => {
                table.sleeps_until = None;
                clock.sooner.wait(&mut table);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn alarms_ring_in_order_and_not_when_dropped() {
        let (said, heard) = mpsc::channel();
        let say = |what: u32| {
            let said = said.clone();
            move || _ = said.send(what)
        };
        // The one that rings first is set last, however late that is.
        let _late = after(Duration::from_secs(2), say(2));
        let _soon = after(Duration::from_millis(20), say(1));
        drop(after(Duration::from_secs(1), say(3)));
        let _never = after(Duration::MAX, say(4));
        assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok(1));
        assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok(2));
        assert!(heard.try_recv().is_err());
    }
}

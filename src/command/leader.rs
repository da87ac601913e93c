//! The processes that orch itself started, and who reaps them.
//!
//! Invariant: a process that is in the table has not been reaped, so its number is its own. It is reaped once, by whoever
//! looks first; the table keeps it until then, also when nobody waits for it any more. Orphans that were handed to orch, as
//! the subreaper of all it starts, are reaped by the way.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};

use super::completed::End;
use super::processes;
use crate::kernel::alarm::{self, Alarm};
use crate::kernel::events::Usage;
use crate::kernel::os;

/// How often children are looked for that ended without anybody waiting for them.
const SWEEP: Duration = Duration::from_secs(1);

/// A process that was started.
#[derive(Debug)]
pub struct Leader {
    pid: u32,
    pidfd: Arc<OwnedFd>,
    starter: Starter,
    end: OnceLock<End>,
    usage: OnceLock<Usage>,
}

/// Who started a process, and so has to reap it.
#[derive(Debug)]
enum Starter {
    Duct(Box<duct::Handle>),
    /// A copy of another child, which was born as a child of orch's; one reaps it at a time.
    Sibling(Mutex<()>),
}

/// Whether anybody wants to know what processes have used.
static MEASURES: AtomicBool = AtomicBool::new(false);

/// From now on it is measured what processes have used.
pub fn measure() {
    MEASURES.store(true, Ordering::Relaxed);
}

#[derive(Default)]
struct Table {
    leaders: Mutex<HashMap<u32, Arc<Leader>>>,
    /// Held, shared, from before a process is started until it is in the table.
    starting: RwLock<()>,
    sweep: Mutex<Option<Alarm>>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::default)
}

impl Leader {
    /// Starts one process and puts it into the table. To be called within [`starting`].
    ///
    /// # Errors
    /// Those of `start`, and when there is no descriptor left to watch it with (it is killed then).
    pub fn start(start: impl FnOnce() -> io::Result<duct::Handle>) -> io::Result<Arc<Leader>> {
        let handle = start()?;
        let pid = handle.pids().first().copied().unwrap_or_default();
        let opened = Pid::from_raw(pid.cast_signed()).ok_or(Errno::SRCH).and_then(open);
        match opened {
            Ok(pidfd) => Ok(Leader::begin(pid, pidfd, Starter::Duct(Box::new(handle)))),
            Err(error) => {
                handle.kill()?;
                handle.wait()?;
                Err(error.into())
            }
        }
    }

    /// Puts a child of this process into the table that another child has started as its sibling. To be called within
    /// [`starting`], which the child's start has to be too.
    ///
    /// # Errors
    /// As [`Leader::start`].
    pub fn adopt(child: Pid) -> io::Result<Arc<Leader>> {
        match open(child) {
            Ok(pidfd) => {
                let pid = child.as_raw_nonzero().get().cast_unsigned();
                Ok(Leader::begin(pid, pidfd, Starter::Sibling(Mutex::new(()))))
            }
            Err(error) => {
                kill_process(child, Signal::KILL)?;
                waitid(WaitId::Pid(child), WaitIdOptions::EXITED)?;
                Err(error.into())
            }
        }
    }

    fn begin(pid: u32, pidfd: OwnedFd, starter: Starter) -> Arc<Leader> {
        let table = table();
        let (end, usage) = (OnceLock::new(), OnceLock::new());
        let leader = Arc::new(Leader { pid, pidfd: Arc::new(pidfd), starter, end, usage });
        table.leaders.lock().insert(pid, leader.clone());
        let mut sweep = table.sweep.lock();
        if sweep.is_none() {
            *sweep = Some(alarm::after(SWEEP, sweep_again));
        }
        leader
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once it has ended.
    pub fn pidfd(&self) -> &Arc<OwnedFd> {
        &self.pidfd
    }

    /// What it has used, once it has ended; where that is measured.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.get().copied()
    }

    /// How it ended, if it has; it is reaped then.
    pub fn try_reap(&self) -> Option<End> {
        if let Some(end) = self.end.get() {
            return Some(*end);
        }
        // Before it is reaped: afterwards nobody can tell.
        if MEASURES.load(Ordering::Relaxed)
            && let Some(usage) = os::usage_of_ended(self.pidfd.as_fd())
        {
            self.usage.get_or_init(|| usage);
        }
        let end = self.starter.reap(&self.pidfd, &self.end)?;
        table().leaders.lock().remove(&self.pid);
        Some(*self.end.get_or_init(|| end))
    }
}

impl Starter {
    /// Reaps the process, if it has ended and nobody has noted its `end` yet.
    fn reap(&self, pidfd: &OwnedFd, end: &OnceLock<End>) -> Option<End> {
        match self {
            Starter::Duct(handle) => match handle.try_wait() {
                Ok(None) => None,
                Ok(Some(output)) => Some(End::of(output.status)),
                // A checked failure comes as an error; all are started unchecked. Somebody else reaped it.
                Err(_) => Some(End::Signal(0)),
            },
            Starter::Sibling(one_at_a_time) => {
                let _one_at_a_time = one_at_a_time.lock();
                if let Some(end) = end.get() {
                    return Some(*end);
                }
                let reaped = match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                    Ok(None) => return None,
                    Ok(Some(status)) => status
                        .exit_status()
                        .map_or_else(|| End::Signal(status.terminating_signal().unwrap_or(0)), End::Code),
                    Err(_) => End::Signal(0),
                };
                Some(*end.get_or_init(|| reaped))
            }
        }
    }
}

fn open(pid: Pid) -> rustix::io::Result<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty())
}

/// Runs `body`, which starts processes; nobody is reaped meanwhile. A process group that a new process should join is
/// there as long as its leader was not reaped.
pub fn starting<R>(body: impl FnOnce() -> R) -> R {
    let _not_swept = table().starting.read();
    body()
}

/// The numbers of the processes in the table.
pub fn unreaped() -> Vec<u32> {
    table().leaders.lock().keys().copied().collect()
}

fn sweep_again() {
    let table = table();
    reap_all();
    let next = alarm::after(SWEEP, sweep_again);
    let rung = table.sweep.lock().replace(next);
    drop(rung);
}

/// Reaps every child that has ended.
pub fn reap_all() {
    {
        let Some(_nobody_starts) = table().starting.try_write() else {
            return;
        };
        reap_leaders();
    }
    reap_orphans();
}

/// True when orch has no children, not even some that have ended and were not reaped.
pub fn has_no_children() -> bool {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, peek), Err(Errno::CHILD))
}

fn reap_leaders() {
    let leaders: Vec<Arc<Leader>> = table().leaders.lock().values().cloned().collect();
    leaders.iter().for_each(|leader| _ = leader.try_reap());
}

/// Reaps those that orch did not start itself. Skipped while a process is being started, which is not in the table yet.
pub fn reap_orphans() {
    let Some(_nobody_starts) = table().starting.try_write() else {
        return;
    };
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // One that has ended is shown first and hides the others, so known ones are passed by with the list of all.
    let Ok(Some(_)) = waitid(WaitId::All, peek) else {
        return;
    };
    let me = std::process::id().cast_signed();
    let known = unreaped();
    for process in processes::all() {
        let number = Pid::from_raw(process.pid);
        if process.parent == me
            && process.state == 'Z'
            && !known.contains(&process.pid.cast_unsigned())
            && let Some(number) = number
        {
            // Gone already is what is wanted.
            let _gone = waitid(WaitId::Pid(number), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }
}

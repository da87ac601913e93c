//! Running things on tasks: threads, pools of them, timers, groups.

pub mod errands;
pub mod group;
pub mod pool;
pub mod thread;
pub mod timer;

pub use group::Group;
pub use pool::Pool;
pub use thread::Thread;
pub use timer::Timer;

use std::fmt;

use crate::sync::Fault;

/// What a task's body gives.
pub trait Outcome: Send + 'static {
    /// What an [`errands::Agent`] hands over.
    type Errand: Send + Sync;

    /// The outcome of a body that panicked: a bug of orch's, with what the panic said.
    fn from_panic(message: String) -> Self;

    /// True when it stands for an error (a cancellation is none).
    fn is_failure(&self) -> bool;
}

/// A body whose result nobody asks for.
impl Outcome for () {
    type Errand = ();

    fn from_panic(_message: String) {}

    fn is_failure(&self) -> bool {
        false
    }
}

/// What can go wrong in starting and joining.
#[derive(Debug)]
pub enum ExecFault {
    /// A wait failed.
    Sync(Fault),
    /// Started a second time.
    AlreadyStarted(String),
    /// Joined before it was started.
    NotStarted(String),
    /// A thread that waits for its own end.
    JoinsItself(String),
    /// Something that can be set only before the start.
    TooLate(String, &'static str),
    /// Closed while it runs.
    StillRuns(String),
    /// The system can't start a thread.
    NoThread(std::io::Error),
    /// The system can't start a process.
    NoProcess(std::io::Error),
    /// The pool takes no more work, and why.
    PoolClosed(String),
    /// `join()` of a pool that was not closed before.
    PoolOpen(String),
}

impl From<Fault> for ExecFault {
    fn from(fault: Fault) -> Self {
        ExecFault::Sync(fault)
    }
}

impl fmt::Display for ExecFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecFault::Sync(fault) => fault.fmt(f),
            ExecFault::AlreadyStarted(name) => {
                write!(f, "{name} was started already; it can be started once only")
            }
            ExecFault::NotStarted(name) => write!(f, "{name} was not started yet"),
            ExecFault::JoinsItself(name) => write!(f, "{name} cannot join itself"),
            ExecFault::TooLate(name, what) => {
                write!(f, "{what} of {name} can be set only before it is started")
            }
            ExecFault::StillRuns(name) => {
                write!(f, "{name} still runs: join() it, or end it, before close()")
            }
            ExecFault::NoProcess(error) => {
                write!(f, "the system cannot start another process: {error}")
            }
            ExecFault::NoThread(error) => {
                write!(f, "the system cannot start another thread: {error}")
            }
            ExecFault::PoolClosed(why) => f.write_str(why),
            ExecFault::PoolOpen(pool) => write!(f, "{pool} is still open: close() or terminate() it before join()"),
        }
    }
}

/// Runs `body`; a panic in it becomes an outcome.
pub fn run_caught<R: Outcome>(body: impl FnOnce() -> R) -> R {
    caught(body).unwrap_or_else(R::from_panic)
}

/// Runs `body`; `Err`: what a panic in it said.
fn caught<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).map_err(|panic| {
        panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "an unknown panic".to_string())
    })
}

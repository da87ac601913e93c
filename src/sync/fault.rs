//! What can go wrong in a primitive.

use std::fmt;

use crate::kernel::Stop;

/// Why a call on a primitive failed.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The wait was ended before it came to its goal.
    Stopped(Stop),
    /// The last owner ended without releasing; the caller owns the lock now.
    Abandoned(String),
    /// The lock is not held by anybody.
    NotHeld(String),
    /// The lock is held by another task, whose name this is.
    NotOwner(String, String),
    /// A bounded semaphore was released too often.
    ReleasedTooOften(String, usize),
    /// The barrier is broken, and why.
    BrokenBarrier(String),
    /// Put into a full queue, or not in time.
    Full(String),
    /// Taken from an empty queue, or not in time.
    Empty(String),
    /// Put into a closed queue, or taken from a closed and drained one.
    Closed(String),
    /// The item does not compare with those in the priority queue.
    Incomparable(String),
    /// `task_done()` was called more often than items were put.
    DoneTooOften(String),
    /// The future was cancelled before it ran.
    CancelledFuture(String),
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Fault {
        Fault::Stopped(stop)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Stopped(Stop::TimedOut) => f.write_str("the time was up"),
            Fault::Stopped(Stop::Cancelled) => f.write_str("the task was cancelled"),
            Fault::Stopped(Stop::Interrupted(signal)) => {
                write!(f, "interrupted by signal {signal}")
            }
            Fault::Stopped(Stop::Deadlock(_)) => f.write_str("deadlock"),
            Fault::Stopped(Stop::Handler(_)) => f.write_str("the handler of a signal failed"),
            Fault::Stopped(Stop::Ended) => f.write_str("the program is over"),
            Fault::Abandoned(lock) => {
                write!(f, "the last owner of {lock} ended without releasing it; you hold it now")
            }
            Fault::NotHeld(lock) => write!(f, "{lock} is not held by anybody"),
            Fault::NotOwner(lock, owner) => {
                write!(f, "{lock} is held by {owner:?}, not by this thread")
            }
            Fault::ReleasedTooOften(semaphore, bound) => {
                write!(f, "{semaphore} was released too often: it has only {bound} permits")
            }
            Fault::BrokenBarrier(why) => write!(f, "the barrier is broken: {why}"),
            Fault::Full(queue) => write!(f, "{queue} is full"),
            Fault::Empty(queue) => write!(f, "{queue} is empty"),
            Fault::Closed(queue) => write!(f, "{queue} is closed"),
            Fault::Incomparable(why) => f.write_str(why),
            Fault::DoneTooOften(queue) => {
                write!(f, "task_done() was called more often than items were put into {queue}")
            }
            Fault::CancelledFuture(future) => write!(f, "{future} was cancelled"),
        }
    }
}

//! The kernel: tasks, and the one door at which they wait.
//!
//! Everything above is a small state machine over this room: *try; if that is not possible, enlist with a waker; wait at
//! the door; try again* ([`door::Operation`]). Timeouts, Ctrl-C, cancellation, deadlock detection, thread dumps, simulated
//! time and schedule exploration are written here once and hold for every primitive.
//!
//! ```text
//!   sync, exec …        Operation { poll, abandon, target }
//!        │ block(op, limit)
//!        ▼
//!   door ──── parks the current Task ────► World: Real (OS threads) or Sim (one at a time, virtual clock)
//!        │ Wait record                          ▲
//!        ▼                                      │ Waker::wake
//!   deadlock: who could end this wait?     whoever makes progress possible
//! ```
//!
//! The kernel knows nothing of Rhai, of processes or of the command line. Nothing outside it reads a clock, starts a
//! thread or sleeps.

pub mod alarm;
pub mod deadlock;
pub mod departure;
pub mod door;
pub mod events;
pub mod explore;
pub mod fiber;
pub mod handling;
pub mod lull;
pub mod object;
pub mod offload;
pub mod os;
pub mod per_program;
pub mod program;
pub mod readiness;
pub mod real;
pub mod schedule;
pub mod sim;
pub mod site;
pub mod stopwatch;
pub mod task;
pub mod threads;
pub mod waiters;
pub mod world;

pub use door::{Operation, Stop, block, point, sleep};
pub use object::{Enders, Handle, Holder, Object, ObjectCore, Waitable};
pub use program::{Kernel, Setup};
pub use readiness::Source;
pub use site::Site;
pub use task::{Role, Task, TaskId, current, try_current, with_current};
pub use waiters::{Ticket, WaitQueue, Waker};

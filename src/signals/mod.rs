//! What the signals of the system do to a program.
//!
//! By itself the first INT, TERM or HUP asks: the main task's current call ends with `Interrupted`, all other tasks are
//! cancelled, all commands are told to end. A second one ends the program at once, with the same status. QUIT asks for a
//! dump of all tasks and changes nothing. A program may handle or ignore any signal instead ([`Rules`]); a handler runs in
//! the main task ([`crate::kernel::handling`]).
//!
//! ```text
//!   the system ── system ──┐
//!                          ▼
//!   raise_signal ──────► Rules ──► Handling (the main task runs a handler), interrupt, dump, end
//! ```

pub mod inherited;
pub mod names;
pub mod rules;
pub mod system;

pub use names::Signal;
pub use rules::{Handler, Rules};
pub use system::ignore_requests_to_end;

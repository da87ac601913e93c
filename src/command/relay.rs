//! What stands in for the terminal where a person types: what runs in the background writes there, and somebody who knows
//! where the prompt is passes it on.
//!
//! Invariant: as long as there is a relay, only the main task's commands have the terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread, read};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::kernel::{Role, threads, try_current};

/// How much is read at once.
const PIECE: usize = 1 << 16;

static RELAY: OnceLock<Relay> = OnceLock::new();

struct Relay {
    reader: OwnedFd,
    writer: OwnedFd,
    /// Something was read and has not been passed on yet.
    is_busy: AtomicBool,
}

/// Makes the relay of this process, whose words go to `pass_on` from now on.
///
/// # Errors
/// Those of the system.
pub fn begin(pass_on: impl Fn(&[u8]) + Send + 'static) -> io::Result<()> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // The first one counts.
    let relay = RELAY.get_or_init(|| Relay { reader, writer, is_busy: AtomicBool::new(false) });
    threads::run(Box::new(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match poll(&mut [PollFd::new(&relay.reader, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            // Before it is taken out, or it would be nowhere for a moment.
            relay.is_busy.store(true, Ordering::SeqCst);
            match read(&relay.reader, &mut piece) {
                Ok(0) => return,
                Ok(n) => pass_on(&piece[..n]),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
            relay.is_busy.store(false, Ordering::SeqCst);
        }
    }))
}

/// Where a process in the background writes, if it is not to write where orch does.
///
/// # Errors
/// Those of the system.
pub fn for_processes() -> io::Result<Option<OwnedFd>> {
    RELAY.get().map(|relay| relay.writer.as_fd().try_clone_to_owned()).transpose()
}

/// The same for a command of the current task.
///
/// # Errors
/// Those of the system.
pub fn for_commands() -> io::Result<Option<OwnedFd>> {
    if is_for_current() { for_processes() } else { Ok(None) }
}

/// True when the current task has nothing to do with the terminal.
pub fn is_for_current() -> bool {
    RELAY.get().is_some() && try_current().is_some_and(|task| task.role() != Role::Main)
}

/// True when all that was written so far was passed on.
pub fn is_empty() -> bool {
    // In this order: see where it is taken out.
    RELAY.get().is_none_or(|relay| {
        ioctl_fionread(&relay.reader).is_ok_and(|left| left == 0) && !relay.is_busy.load(Ordering::SeqCst)
    })
}

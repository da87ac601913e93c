//! The calls of the system that no safe library has.

use rustix::process::{Pid, Signal};

/// A signal by its number; `None` where the system has none of this number.
pub fn signal(number: i32) -> Option<Signal> {
    Signal::from_named_raw(number)
}

/// Makes `group` the foreground group of the terminal, from a background group too.
///
/// # Errors
/// When it is not the terminal of this session, or the group is gone.
pub fn set_foreground_group(terminal: rustix::fd::BorrowedFd<'_>, group: Pid) -> rustix::io::Result<()> {
    without_ttou(|| rustix::termios::tcsetpgrp(terminal, group))
}

/// Runs `body` with SIGTTOU blocked in this thread: who changes the terminal from the background is stopped by it, unless
/// it is blocked (POSIX, `tcsetpgrp`).
pub fn without_ttou<R>(body: impl FnOnce() -> R) -> R {
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are initialised by the calls before they are read, and live on this stack; the mask is that of this
    // thread only and is put back below.
    unsafe {
        libc::sigemptyset(blocked.as_mut_ptr());
        libc::sigaddset(blocked.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let result = body();
    // SAFETY: `before` was filled in by the call above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    result
}

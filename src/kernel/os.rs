//! The calls of the system that no safe library has.

use std::cell::Cell;
use std::ffi::CStr;

use corosensei::Yielder;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{Pid, Signal};

use super::events::Usage;
use super::fiber::Rest;

thread_local! {
    /// What stops the fiber that runs on this thread now; null while none does.
    static SUSPENDER: Cell<*const Yielder<(), Rest>> = const { Cell::new(std::ptr::null()) };
}

/// Runs `body`, the inside of a fiber, in which [`suspend`] stops it by `suspender`.
pub(super) fn with_suspender(suspender: &Yielder<(), Rest>, body: impl FnOnce()) {
    SUSPENDER.set(suspender);
    body();
    SUSPENDER.set(std::ptr::null());
}

/// Stops the fiber that runs on this thread, until its keeper resumes it.
///
/// # Panics
/// Where no fiber runs: only tasks that have a keeper come here.
pub(super) fn suspend(rest: Rest) {
    let suspender = SUSPENDER.replace(std::ptr::null());
    // SAFETY: it is not null only between the moment in which a fiber begins or is resumed on this thread and the moment
    // in which it stops or ends, and so while `with_suspender` of that very fiber has the reference it was made from.
    let this = unsafe { suspender.as_ref() }.expect("invariant: only fibers stop here");
    this.suspend(rest);
    // Resumed, on the same thread.
    SUSPENDER.set(suspender);
}

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

/// The same for a process that is in the foreground itself. Where it no longer is, it is stopped, as everybody is who wants the
/// terminal in the background, until it is there again.
///
/// # Errors
/// As [`set_foreground_group`].
pub fn give_foreground_to(terminal: rustix::fd::BorrowedFd<'_>, group: Pid) -> rustix::io::Result<()> {
    with_mask(libc::SIG_UNBLOCK, libc::SIGTTOU, || rustix::termios::tcsetpgrp(terminal, group))
}

/// Runs `body` with SIGTTOU blocked in this thread: who changes the terminal from the background is stopped by it, unless
/// it is blocked (POSIX, `tcsetpgrp`).
pub fn without_ttou<R>(body: impl FnOnce() -> R) -> R {
    with_mask(libc::SIG_BLOCK, libc::SIGTTOU, body)
}

/// Stops this process; comes back when it is let go on. Sent to this very thread: a signal for the process as a whole may be
/// taken by another thread, while this one still runs on. STOP and not TSTP, which orch hears itself.
pub fn stop_here() {
    // SAFETY: raises a signal that nobody can catch and whose effect is to stop all threads; no memory is touched.
    unsafe {
        libc::raise(libc::SIGSTOP);
    }
}

/// Runs `body` with one signal blocked or not blocked in this thread.
fn with_mask<R>(how: libc::c_int, signal: libc::c_int, body: impl FnOnce() -> R) -> R {
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut changed = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are initialised by the calls before they are read, and live on this stack; the mask is that of this
    // thread only and is put back below.
    unsafe {
        libc::sigemptyset(changed.as_mut_ptr());
        libc::sigaddset(changed.as_mut_ptr(), signal);
        libc::pthread_sigmask(how, changed.as_ptr(), before.as_mut_ptr());
    }
    let result = body();
    // SAFETY: `before` was filled in by the call above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    result
}

/// What a process has used that has ended and was not reaped; `None` while it runs.
pub fn usage_of_ended(pidfd: BorrowedFd<'_>) -> Option<Usage> {
    let mut about = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut used = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the system writes to the two places only, which are as large as it expects and live on this stack; all zeros are
    // valid for both. `WNOWAIT` leaves the process as it is.
    let (result, about, used) = unsafe {
        let result = libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            about.as_mut_ptr(),
            flags,
            used.as_mut_ptr(),
        );
        (result, about.assume_init(), used.assume_init())
    };
    // SAFETY: filled in by `waitid`, or all zeros.
    let pid = unsafe { about.si_pid() };
    if result != 0 || pid == 0 {
        return None;
    }
    Some(Usage {
        user: duration(used.ru_utime),
        system: duration(used.ru_stime),
        peak_kib: u64::try_from(used.ru_maxrss).unwrap_or(0),
    })
}

/// What became of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// This is the process that was there; the copy has this number.
    Original(Pid),
    /// This is the copy.
    Copy,
}

/// Copies this process, which has one thread: the copy is not its child but its sibling (clone(2), `CLONE_PARENT`).
///
/// # Errors
/// Those of the system; where this process has more threads, whose locks the copy would find taken for ever; with a C library
/// other than glibc, whose own notes about a process nobody could put right, and on processors other than x86-64 and ARM64.
pub fn fork_sibling() -> io::Result<Forked> {
    let is_known = cfg!(all(target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")));
    let (threads, mut tid) = (std::fs::read_dir("/proc/self/task")?.count(), std::ptr::null_mut::<libc::pid_t>());
    if threads != 1 || !is_known {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: the system writes one address to a place on this stack.
    if unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut tid) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // glibc's note of its own thread's number lies there, which its own `fork` has the system write in the same way.
    let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    let (flags, none) = (libc::c_ulong::from(flags.cast_unsigned()), std::ptr::null_mut::<libc::c_void>());
    // SAFETY: without `CLONE_VM` the copy has its own memory and goes on here, on its own copy of this stack. No other thread
    // was there to be lost in the middle of anything. The system writes the copy's number to where glibc has told it, when the
    // process began, that the number of this thread is kept. (Not `clone3`, which some containers refuse.)
    let result = unsafe {
        #[cfg(target_arch = "x86_64")]
        let result = libc::syscall(libc::SYS_clone, flags, none, none, tid, none);
        #[cfg(not(target_arch = "x86_64"))]
        let result = libc::syscall(libc::SYS_clone, flags, none, none, none, tid);
        result
    };
    match result {
        0 => Ok(Forked::Copy),
        number => match i32::try_from(number).ok().and_then(Pid::from_raw) {
            Some(pid) if number > 0 => Ok(Forked::Original(pid)),
            _ => Err(io::Error::last_os_error()),
        },
    }
}

/// Puts another value where this process was given that of a variable, so that `/proc/PID/environ` shows it too: true if there
/// was room. To be called while there is one thread.
pub fn overwrite_variable(name: &CStr, value: &CStr) -> bool {
    // SAFETY: there is one thread, so nobody changes or reads the environment meanwhile. What is found ends with a zero, lies in
    // memory that belongs to this process and may be written, and is not written beyond its old end.
    unsafe {
        let place = libc::getenv(name.as_ptr());
        if place.is_null() {
            return false;
        }
        let room = libc::strlen(place);
        let has_room = value.count_bytes() <= room;
        if has_room {
            std::ptr::write_bytes(place, 0, room);
            std::ptr::copy_nonoverlapping(value.as_ptr(), place, value.count_bytes());
        }
        has_room
    }
}

/// The system's clock that never goes back, which all processes share, in nanoseconds.
pub fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the system fills in the place, which lives on this stack. (rustix would look for the clock by itself, which ends
    // the program under valgrind.)
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

/// What a process has used, and how often the system switched its threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnUsage {
    /// Time on processors, in its own code.
    pub user: Duration,
    /// Time on processors, in the system for it.
    pub system: Duration,
    /// The most memory it had at a time, in KiB.
    pub peak_kib: u64,
    /// Switches of all kinds.
    pub switches: u64,
    /// Switches that no thread had asked for.
    pub forced: u64,
}

/// What this process has used.
pub fn own_usage() -> Option<OwnUsage> {
    usage(libc::RUSAGE_SELF)
}

/// What its children have used that were waited for, and theirs.
pub fn usage_of_children() -> Option<OwnUsage> {
    usage(libc::RUSAGE_CHILDREN)
}

fn usage(whose: libc::c_int) -> Option<OwnUsage> {
    let mut used = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the system fills in the place, which is as large as it expects and lives on this stack; all zeros are valid too.
    let (result, used) = unsafe { (libc::getrusage(whose, used.as_mut_ptr()), used.assume_init()) };
    let count = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
    (result == 0).then(|| OwnUsage {
        user: duration(used.ru_utime),
        system: duration(used.ru_stime),
        peak_kib: count(used.ru_maxrss),
        switches: count(used.ru_nvcsw) + count(used.ru_nivcsw),
        forced: count(used.ru_nivcsw),
    })
}

fn duration(time: libc::timeval) -> Duration {
    let (seconds, micros) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_usec).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// How many bytes a word has.
pub const WORD: usize = size_of::<u64>();

/// A memory file that other processes may have before them too, as words of eight bytes. There is no other way to touch it
/// than by atomic operations on whole words, so it is no data race whatever others do at the same moment.
pub struct Mapping {
    words: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is reached by atomics only, and belongs to this value until it is dropped; no thread is special to it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first `count` words of a memory file that cannot shrink any more.
    ///
    /// # Errors
    /// When it is not sealed against shrinking, or is too short; those of the system.
    pub fn of(file: BorrowedFd<'_>, count: usize) -> io::Result<Mapping> {
        let bytes = count.max(1).checked_mul(WORD).filter(|bytes| isize::try_from(*bytes).is_ok());
        let bytes = bytes.ok_or(io::ErrorKind::OutOfMemory)?;
        let size = usize::try_from(fstat(file)?.st_size).map_err(io::Error::other)?;
        if size < bytes || !fcntl_get_seals(file)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no shared memory"));
        }
        // SAFETY: the system chooses an address where nothing lies; the file has at least `bytes` bytes and its seal keeps
        // it so, so every access hits a page of it. The address is that of a page, hence aligned for words.
        let start = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)?
        };
        let words = NonNull::new(start.cast::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { words, count })
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `count` words lie there, aligned, as long as `self` lives; any bytes are a valid word, and others change
        // them by atomics of the same size only: this type gives no other access, here and in the processes that share it.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is that of the call above, and no reference to it outlives `self`.
        let _unmapped = unsafe { munmap(self.words.as_ptr().cast(), self.count.max(1) * WORD) };
    }
}

//! The terminal, lent to a command: an editor, `less` and `top` work, and Ctrl-C is theirs.
//!
//! A command has its own process group, so that all of it can be signalled; on a terminal only the foreground group may
//! read. While a command that reads from orch's terminal runs, its group is the foreground group. One command at a time; one
//! for which nobody waits (between two of its lines) gives way to the next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process_group, waitid};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

use super::leader::Leader;
use super::pause::pause;
use super::processes::{self, Stat};
use crate::kernel::os::{give_foreground_to, set_foreground_group, without_ttou};
use crate::kernel::threads;

/// Who of this program has the terminal.
static HOLDER: Mutex<Holder> = Mutex::new(Holder::Nobody);

enum Holder {
    Nobody,
    /// Orch reads from it itself.
    Orch,
    Command(Arc<Loan>),
}

impl Holder {
    fn is(&self, loan: &Arc<Loan>) -> bool {
        matches!(self, Holder::Command(holder) if Arc::ptr_eq(holder, loan))
    }
}

/// Takes the terminal from a command that nobody waits for, and is the holder for another to be written into; `None`
/// while it is needed where it is.
fn claim() -> Option<MutexGuard<'static, Holder>> {
    let mut holder = HOLDER.lock();
    match &*holder {
        Holder::Nobody => {}
        Holder::Command(loan) if loan.rests.load(Ordering::Acquire) => loan.evict(),
        Holder::Orch | Holder::Command(_) => return None,
    }
    *holder = Holder::Nobody;
    Some(holder)
}

/// True when orch's input is a terminal that it could lend: it is in the foreground there, or a command is for which nobody
/// waits.
pub fn is_ours() -> bool {
    isatty(stdin())
        && match &*HOLDER.lock() {
            Holder::Nobody => is_in_front(getpgrp()),
            Holder::Command(loan) => {
                loan.rests.load(Ordering::Acquire) && (is_in_front(loan.borrower) || is_in_front(loan.ours))
            }
            Holder::Orch => false,
        }
}

/// True when orch's input is a terminal that some command needs, or from which orch reads itself. Another one that read from it
/// would be stopped for that, with nobody to let it go on.
pub fn is_lent() -> bool {
    let needed = match &*HOLDER.lock() {
        Holder::Nobody => false,
        Holder::Orch => true,
        Holder::Command(loan) => !loan.rests.load(Ordering::Acquire),
    };
    needed && isatty(stdin())
}

/// The terminal as long as orch reads from it itself: nobody can borrow it.
pub struct Kept(());

impl Kept {
    /// Keeps the terminal; `None` while a command needs it.
    pub fn keep() -> Option<Kept> {
        let mut holder = claim()?;
        *holder = Holder::Orch;
        Some(Kept(()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        *HOLDER.lock() = Holder::Nobody;
    }
}

/// The terminal as long as it is lent.
pub struct Foreground(Arc<Loan>);

/// What is to be known of a terminal that is lent.
struct Loan {
    /// How it was before.
    modes: Option<Termios>,
    ours: Pid,
    borrower: Pid,
    /// The first process of the group.
    leader: Arc<Leader>,
    /// False while orch has it back: when somebody else needed it more, or when both were stopped, and let go on in the background.
    is_lent: AtomicBool,
    /// Nobody waits for the borrower, so whoever needs the terminal may take it.
    rests: AtomicBool,
}

impl Foreground {
    /// Lends the terminal to the group of this process, which leads it; `None` where orch has none to lend.
    pub fn lend(leader: &Arc<Leader>) -> Option<Foreground> {
        let group = Pid::from_raw(leader.pid().cast_signed())?;
        if !isatty(stdin()) {
            return None;
        }
        let mut holder = claim()?;
        if !is_in_front(getpgrp()) {
            return None;
        }
        let loan = Arc::new(Loan {
            modes: tcgetattr(stdin()).ok(),
            ours: getpgrp(),
            borrower: group,
            leader: leader.clone(),
            is_lent: AtomicBool::new(false),
            rests: AtomicBool::new(false),
        });
        *holder = Holder::Command(loan.clone());
        loan.hand_over();
        Some(Foreground(loan))
    }

    /// The first process of the group, which says when it is stopped.
    pub fn leader(&self) -> &Arc<OwnedFd> {
        self.0.leader.pidfd()
    }

    /// Nobody waits for it for now: whoever needs the terminal takes it.
    pub fn rest(&self) {
        self.0.rests.store(true, Ordering::Release);
    }

    /// Somebody waits for it: nobody takes the terminal from it, and if somebody did and has given it back, it has it again.
    pub fn resume(&self) {
        let mut holder = HOLDER.lock();
        self.0.rests.store(false, Ordering::Release);
        if matches!(*holder, Holder::Nobody) && is_in_front(self.0.ours) {
            *holder = Holder::Command(self.0.clone());
            self.0.hand_over();
        }
    }

    /// The borrower was stopped, as by Ctrl-Z. From whom the terminal was taken stays so until it is waited for.
    fn stopped(&self, by: i32) {
        let holder = HOLDER.lock();
        if holder.is(&self.0) {
            self.0.stopped(by);
        }
    }
}

impl Loan {
    fn hand_over(&self) {
        self.is_lent.store(true, Ordering::Release);
        // If it is stopped now, it has tried to read too soon. If it stops from now on, that may be for Ctrl-Z, and is looked into.
        let too_soon = processes::stat(self.leader.pid().cast_signed()).is_some_and(|leader| leader.is_stopped());
        // It may have ended already: then there is nobody to lend it to, and `drop` takes it back.
        let _lent = give_foreground_to(stdin(), self.borrower);
        if too_soon {
            self.go_on();
        }
    }

    /// All of the group go on, wherever they were.
    fn go_on(&self) {
        let _gone = kill_process_group(self.borrower, Signal::CONT);
    }

    fn take_back(&self) {
        // In the background it belongs to the shell, or to whom that has given it.
        if !self.is_lent.swap(false, Ordering::AcqRel) {
            return;
        }
        // Where the terminal is gone there is nothing to take back.
        let _gone = set_foreground_group(stdin(), self.ours);
        if let Some(modes) = &self.modes {
            let _gone = without_ttou(|| tcsetattr(stdin(), OptionalActions::Drain, modes));
        }
    }

    /// Takes it back although the borrower may be in the middle of reading, from where the system would let it take what is
    /// typed for others: interrupted, it reads anew, and then it is stopped until it has the terminal again.
    fn evict(&self) {
        self.take_back();
        let _gone = kill_process_group(self.borrower, Signal::STOP);
        self.go_on();
    }

    /// The borrower was stopped, as by Ctrl-Z: orch stops too, with whoever waits for it, and when it is let go on, so is
    /// the borrower, with the terminal as it had left it.
    fn stopped(&self, by: i32) {
        if by == libc::SIGTTIN || by == libc::SIGTTOU {
            if self.is_lent.load(Ordering::Acquire) {
                // It has tried to read just before it was lent the terminal.
                return self.go_on();
            }
            if is_in_front(self.ours) {
                // Both went on in the background, then orch was brought to the front: now the borrower wants to read.
                self.hand_over();
                return self.go_on();
            }
        }
        let modes = tcgetattr(stdin()).ok();
        self.take_back();
        // Those beside orch in a pipeline of the shell, then orch: all its threads stop in here.
        let me = std::process::id().cast_signed();
        let beside = |p: &Stat| p.group == self.ours.as_raw_nonzero().get() && p.pid != me;
        processes::all().iter().filter(|p| beside(p)).for_each(|p| _ = processes::send(p, Signal::TSTP));
        pause();
        if is_in_front(self.ours) {
            self.hand_over();
            if let Some(modes) = &modes {
                let _gone = without_ttou(|| tcsetattr(stdin(), OptionalActions::Drain, modes));
            }
        }
        self.go_on();
    }
}

fn is_in_front(group: Pid) -> bool {
    tcgetpgrp(stdin()).is_ok_and(|front| front == group)
}

/// Looks out for the borrower to be stopped, until it ends; `with_terminal` runs on the terminal while it is still lent.
///
/// # Errors
/// When the system can't start a thread.
pub fn watch_for_stops(
    borrower: Arc<OwnedFd>,
    with_terminal: impl Fn(&dyn Fn(&Foreground)) + Send + 'static,
) -> io::Result<()> {
    threads::run(Box::new(move || {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Ok(Some(status)) = waitid(WaitId::PidFd(borrower.as_fd()), options) {
            if !status.stopped() {
                return;
            }
            let seen = waitid(WaitId::PidFd(borrower.as_fd()), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
            let Ok(seen) = seen else {
                return;
            };
            if let Some(signal) = seen.and_then(|status| status.stopping_signal()) {
                with_terminal(&|foreground: &Foreground| foreground.stopped(signal));
            }
        }
    }))
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let mut holder = HOLDER.lock();
        if holder.is(&self.0) {
            self.0.take_back();
            *holder = Holder::Nobody;
        }
    }
}

//! Waiting for many commands at once, on one task.
//!
//! All their descriptors are polled together, and only those commands are looked at that have something new: with eight
//! running, looking at all of them each time would cost more than starting one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::launcher::Launcher;
use crate::command::child::Child;
use crate::command::completed::Completed;
use crate::command::fault::CommandFault;
use crate::command::stream::Which;
use crate::kernel::readiness::ready_now;
use crate::kernel::{Enders, ObjectCore, Operation, Source, Task, Ticket, Waitable, Waker};

/// How often an output is read that is passed on as it comes, before others get their turn: each read may give a mebibyte.
const LIVE_READS: usize = 2;

/// A running command, and what is new about it.
pub struct Watched {
    child: Arc<Child>,
    notice: Arc<Notice>,
    ticket: Ticket,
    sources: Vec<Source>,
    /// Takes what it writes while it runs.
    live: bool,
    /// What it has written since it was looked at.
    pub written: [Vec<u8>; 2],
    /// Its result.
    pub over: Option<Result<Arc<Completed>, CommandFault>>,
}

/// How a command says that there is something new which no descriptor shows: an alarm rang, a mocked one has ended.
#[derive(Default)]
struct Notice {
    news: AtomicBool,
    /// It is being looked at, so it is nothing new that is told.
    looking: AtomicBool,
}

impl Watched {
    /// Watches a command for the task; with `live`, what it writes is taken as it comes.
    pub fn new(child: Arc<Child>, task: &Arc<Task>, live: bool) -> Watched {
        let notice = Arc::new(Notice { news: AtomicBool::new(true), looking: AtomicBool::new(false) });
        let (told, task) = (notice.clone(), task.clone());
        let waker = Waker::Call(Arc::new(move || {
            if !told.looking.load(Ordering::Acquire) {
                told.news.store(true, Ordering::Release);
                task.wake();
            }
        }));
        let mut ticket = Ticket::default();
        {
            let mut state = child.state.lock();
            state.waiters.enlist(&mut ticket, &waker, ());
            if live {
                state.reads = LIVE_READS;
            }
        }
        let sources = child.sources(false);
        Watched { child, notice, ticket, sources, live, written: [Vec::new(), Vec::new()], over: None }
    }

    /// The command.
    pub fn child(&self) -> &Arc<Child> {
        &self.child
    }

    /// Takes in what has happened; true when somebody should hear of it.
    fn look(&mut self) -> bool {
        let mut state = self.child.state.lock();
        self.notice.looking.store(true, Ordering::Release);
        self.child.advance(&mut state, None);
        let mut some = false;
        if self.live {
            for (which, written) in [Which::Stdout, Which::Stderr].into_iter().zip(&mut self.written) {
                if let Err(error) = state.stream(which).store.move_to(written) {
                    // Its result tells that its output was lost.
                    state.broken = Some(error);
                }
                some |= !written.is_empty();
            }
        }
        self.over = self.child.finished(&mut state);
        self.notice.looking.store(false, Ordering::Release);
        drop(state);
        self.sources = self.child.sources(false);
        some || self.over.is_some()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.child.state.lock().waiters.remove(&mut self.ticket);
    }
}

/// What is waited for, as dumps show it.
pub struct Crowd {
    core: Arc<ObjectCore>,
}

impl Crowd {
    /// The commands of one call.
    pub fn new() -> Arc<Crowd> {
        Arc::new(Crowd { core: ObjectCore::new("commands") })
    }
}

impl Waitable for Crowd {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    /// Commands do as they like.
    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

/// Waits until there is something new about any of them.
pub struct News<'a> {
    crowd: Arc<Crowd>,
    running: &'a mut [Watched],
    launcher: Option<&'a Launcher>,
    /// The first look is only for what no descriptor shows: the wait that follows polls them anyway.
    first: bool,
}

impl<'a> News<'a> {
    /// Of these, and of what is being started.
    pub fn new(crowd: &Arc<Crowd>, running: &'a mut [Watched], launcher: Option<&'a Launcher>) -> News<'a> {
        News { crowd: crowd.clone(), running, launcher, first: true }
    }
}

impl Operation for News<'_> {
    type Output = ();

    fn poll(&mut self, _waker: &Waker) -> Poll<()> {
        let mut some = self.launcher.is_some_and(Launcher::has_arrivals);
        if !std::mem::take(&mut self.first) {
            let ready = ready_now(&self.sources());
            let (mut ready, mut at) = (ready.into_iter().peekable(), 0);
            for watched in self.running.iter_mut() {
                at += watched.sources.len();
                if ready.next_if(|i| *i < at).is_some() {
                    while ready.next_if(|i| *i < at).is_some() {}
                    watched.notice.news.store(true, Ordering::Release);
                }
            }
        }
        for watched in self.running.iter_mut() {
            if watched.notice.news.swap(false, Ordering::AcqRel) {
                some |= watched.look();
            }
        }
        if some { Poll::Ready(()) } else { Poll::Pending }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.crowd.clone()
    }

    fn verb(&self) -> &'static str {
        "run_all"
    }

    fn sources(&self) -> Vec<Source> {
        self.running.iter().flat_map(|watched| watched.sources.iter().cloned()).collect()
    }

    /// With nothing to run it only waits for time, and nobody has to end that.
    fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

//! Waiting for descriptors: a child's end, a line of its output, room in its input.
//!
//! A task that waits for descriptors sleeps in `poll(2)` itself, so that no other thread has to see that something is
//! there and pass it on. Whoever wakes it rings its bell, an eventfd that is polled with the rest.
//!
//! Invariant: a descriptor is open while it is polled, since the waiter holds it too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A descriptor and what it should be ready for.
#[derive(Clone, Debug)]
pub struct Source {
    descriptor: Arc<OwnedFd>,
    flags: PollFlags,
}

impl Source {
    /// Something to read, or the end; for a pidfd, the end of the process.
    pub fn readable(descriptor: &Arc<OwnedFd>) -> Source {
        Source { descriptor: descriptor.clone(), flags: PollFlags::IN }
    }

    /// Room to write, or nobody who reads.
    pub fn writable(descriptor: &Arc<OwnedFd>) -> Source {
        Source { descriptor: descriptor.clone(), flags: PollFlags::OUT }
    }

    /// Something outside of the program that tells by a wake-up: it is never ready, but simulated time stands still while
    /// somebody waits for it. `None` when there are no descriptors left.
    pub fn elsewhere() -> Option<Source> {
        static NEVER: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);
        let mut never = NEVER.lock();
        if never.is_none() {
            *never = eventfd(0, EventfdFlags::CLOEXEC).ok().map(Arc::new);
        }
        never.as_ref().map(Source::readable)
    }
}

/// The numbers of the sources that are ready now; all of them where the system cannot tell.
pub fn ready_now(sources: &[Source]) -> Vec<usize> {
    let mut polled = polled(sources);
    match poll(&mut polled, Some(&Timespec::default())) {
        Ok(_) => ready(&polled),
        Err(_) => (0..sources.len()).collect(),
    }
}

fn polled(sources: &[Source]) -> Vec<PollFd<'_>> {
    sources.iter().map(|s| PollFd::from_borrowed_fd(s.descriptor.as_fd(), s.flags)).collect()
}

fn ready(polled: &[PollFd<'_>]) -> Vec<usize> {
    (0..polled.len()).filter(|&i| !polled[i].revents().is_empty()).collect()
}

/// How long a task sleeps at a time that could get no bell, since the program has no descriptors left.
const WITHOUT_BELL: Duration = Duration::from_millis(10);

/// What wakes a task out of `poll`.
#[derive(Default)]
pub(super) struct Bell {
    eventfd: Mutex<Option<Arc<OwnedFd>>>,
    listens: AtomicBool,
    /// Something was written to it. Set after that: what is seen too late is taken back the next time.
    rung: AtomicBool,
}

impl Bell {
    /// To be called before the task's state says that it waits.
    pub(super) fn listen(&self) {
        // Whoever rings from here on finds it.
        self.descriptor();
        self.listens.store(true, Ordering::SeqCst);
    }

    /// To be called when the wait is over; takes back what was rung.
    pub(super) fn stop_listening(&self) {
        self.listens.store(false, Ordering::SeqCst);
        if self.rung.swap(false, Ordering::SeqCst)
            && let Some(fd) = &*self.eventfd.lock()
        {
            // Nothing to read is what is wanted.
            let _silent = rustix::io::read(fd, &mut [0u8; 8]);
        }
    }

    /// Wakes whoever polls with this bell.
    pub(super) fn ring(&self) {
        if self.listens.load(Ordering::SeqCst)
            && let Some(fd) = &*self.eventfd.lock()
        {
            // It fails when the counter is full, and then it has been rung.
            let _rung = rustix::io::write(fd, &1u64.to_ne_bytes());
            self.rung.store(true, Ordering::SeqCst);
        }
    }

    fn descriptor(&self) -> Option<Arc<OwnedFd>> {
        let mut kept = self.eventfd.lock();
        if kept.is_none() {
            *kept = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
        }
        kept.clone()
    }

    /// Waits until a source is ready, the bell was rung or the time is up. Gives the numbers of the sources that are ready.
    pub(super) fn wait(&self, sources: &[Source], limit: Option<Duration>) -> Vec<usize> {
        let bell = self.descriptor();
        let limit = match bell {
            Some(_) => limit,
            None => Some(limit.map_or(WITHOUT_BELL, |l| l.min(WITHOUT_BELL))),
        };
        let mut polled = polled(sources);
        polled.extend(bell.as_ref().map(|bell| PollFd::new(bell, PollFlags::IN)));
        let limit = limit.and_then(|l| Timespec::try_from(l).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) => {}
            // A signal came; what it means is told by other ways.
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => return Vec::new(),
            // Too many descriptors, no memory: the caller looks at everything and comes again.
            Err(_) => {
                std::thread::sleep(WITHOUT_BELL);
                return (0..sources.len()).collect();
            }
        }
        ready(&polled[..sources.len()])
    }
}

//! Where the calls of other processes come in: one line for each process that was given a handle.
//!
//! Invariants: a line is looked at by the one who serves all of them; what a process said before its end is heard before its
//! line is over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::{Shutdown, shutdown};

use super::ask::{Ask, Told};
use super::pipe::{Incoming, Outgoing};
use super::wire::{Descriptors, Letter};
use crate::kernel::fiber::Fibers;
use crate::kernel::{
    Enders, Handle, Holder, Kernel, ObjectCore, Operation, Site, Source, Task, TaskId, Waitable, Waker,
};
use crate::sync::Event;

/// How long to look for the next call before sleeping.
const PATIENCE: Duration = Duration::from_micros(100);

struct Traffic {
    incoming: Incoming,
    outgoing: Outgoing,
    /// How many answers were sent.
    answers: u64,
    /// It is watched for room to write, too.
    full: bool,
}

/// The line of one process.
pub struct Line {
    core: Arc<ObjectCore>,
    number: u64,
    socket: Arc<OwnedFd>,
    traffic: Mutex<Traffic>,
    holders: Mutex<Holders>,
    over: Arc<Event>,
    /// Held until then: whoever waits for that, when the process has ended, waits for no other task.
    clearing: Mutex<Option<Handle<Event>>>,
    /// The sources whose numbers it was told.
    sources: Mutex<BTreeSet<String>>,
}

/// Who can use what the process was given.
#[derive(Default)]
struct Holders {
    /// Its tasks that have called.
    tasks: BTreeMap<TaskId, Handle<Line>>,
    /// Anybody in it, unless all of it waits for answers.
    anybody: Option<Handle<Line>>,
    /// Nobody ever again.
    is_left: bool,
}

impl Line {
    /// The object that stands for the process in the search for deadlocks: it holds what the process was given.
    pub fn holder(&self) -> Holder {
        Holder::Object(self.core.clone())
    }

    /// True the first time that it hears of this source.
    pub fn is_new(&self, source: &str) -> bool {
        let mut sources = self.sources.lock();
        !sources.contains(source) && sources.insert(source.to_string())
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it asks next, if it has asked.
    pub fn next(&self) -> Option<Letter<Ask>> {
        // Who does not speak the language is not listened to any more: that is the end of the line.
        self.traffic.lock().incoming.take().ok().flatten()
    }

    /// True when something that it has asked is here already.
    pub fn has_more(&self) -> bool {
        self.traffic.lock().incoming.has_message()
    }

    /// True when nothing more will be asked.
    pub fn has_ended(&self) -> bool {
        self.traffic.lock().incoming.has_ended()
    }

    /// Raised when everything of the process here is cleared up.
    pub fn over(&self) -> &Arc<Event> {
        &self.over
    }

    /// A task of the process has called, and stands here as `task`.
    pub fn admit(self: &Arc<Self>, task: &Task) {
        let handle = Handle::for_holder(self.clone(), Holder::Task(task.id()));
        self.holders.lock().tasks.insert(task.id(), handle);
    }

    /// It makes no more calls.
    pub fn dismiss(&self, task: TaskId) {
        let gone = self.holders.lock().tasks.remove(&task);
        drop(gone);
    }

    /// The process says that it waits for answers only, when so many had come.
    pub fn is_quiet_after(&self, answers: u64) {
        let mut anybody = None;
        let traffic = self.traffic.lock();
        if traffic.answers == answers {
            anybody = self.holders.lock().anybody.take();
        }
        drop(traffic);
        // Its end may be what a search waits for.
        drop(anybody);
    }

    /// The process is told something that may throw it out of its waits. Until it has heard of that it is not quiet, and what it
    /// hears counts as an answer on its side too. One that gets a signal is not heard to be quiet any more.
    pub fn stir(self: &Arc<Self>) {
        self.traffic.lock().answers += 1;
        self.may_act();
    }

    /// It has ended, and nobody waits for what it does any more.
    pub fn leave(&self) {
        // It holds itself through them.
        let gone = std::mem::replace(&mut *self.holders.lock(), Holders { is_left: true, ..Holders::default() });
        drop(gone);
    }

    fn may_act(self: &Arc<Self>) {
        let mut holders = self.holders.lock();
        if holders.anybody.is_none() && !holders.is_left {
            holders.anybody = Some(Handle::for_holder(self.clone(), Holder::Outside));
        }
    }
}

impl Waitable for Line {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }
}

/// See the module.
pub struct Switchboard {
    core: Arc<ObjectCore>,
    epoll: Arc<OwnedFd>,
    lines: Mutex<BTreeMap<u64, Arc<Line>>>,
    next: AtomicU64,
}

impl Switchboard {
    /// One without lines.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(kernel: &Arc<Kernel>) -> io::Result<Arc<Switchboard>> {
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let core = ObjectCore::new_in(kernel, "Switchboard", Site::NONE);
        Ok(Arc::new(Switchboard { core, epoll, lines: Mutex::default(), next: AtomicU64::new(1) }))
    }

    /// A new line, and the end that the process called `name` gets.
    ///
    /// # Errors
    /// Those of the system.
    pub fn connect(&self, name: &str) -> io::Result<(Arc<Line>, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket: Arc<OwnedFd> = Arc::new(ours.into());
        let core = ObjectCore::new_in(self.core.kernel(), "Process", Site::NONE);
        core.set_name(name);
        let traffic = Traffic {
            incoming: Incoming::new(socket.clone()),
            outgoing: Outgoing::new(socket.clone()),
            answers: 0,
            full: false,
        };
        let over = Event::new();
        let line = Arc::new(Line {
            core,
            number: self.next.fetch_add(1, Ordering::Relaxed),
            socket,
            traffic: Mutex::new(traffic),
            holders: Mutex::default(),
            clearing: Mutex::new(Some(Handle::for_holder(over.clone(), Holder::Outside))),
            over,
            sources: Mutex::default(),
        });
        line.may_act();
        self.lines.lock().insert(line.number, line.clone());
        epoll::add(&self.epoll, &line.socket, epoll::EventData::new_u64(line.number), epoll::EventFlags::IN)?;
        Ok((line, theirs.into()))
    }

    /// The line of this number.
    pub fn line(&self, number: u64) -> Option<Arc<Line>> {
        self.lines.lock().get(&number).cloned()
    }

    /// Answers on a line, or tells something else.
    pub fn tell(&self, line: &Arc<Line>, told: &Told, descriptors: Descriptors) {
        let is_answer = matches!(told, Told::Answer(..));
        if is_answer {
            line.may_act();
        }
        let mut traffic = line.traffic.lock();
        traffic.answers += u64::from(is_answer);
        // None of the messages can fail to be written down.
        let _written = traffic.outgoing.put(told, descriptors);
        drop(traffic);
        self.flush(line);
    }

    /// Sends what the process takes now; the rest goes out when it takes more.
    pub fn flush(&self, line: &Line) {
        let mut traffic = line.traffic.lock();
        let full = !traffic.outgoing.flush();
        if full != traffic.full {
            traffic.full = full;
            let flags = if full { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
            // It is watched as long as it is listed.
            let _watched = epoll::modify(&self.epoll, &line.socket, epoll::EventData::new_u64(line.number), flags);
        }
    }

    /// The process is gone, or not listened to any more.
    pub fn disconnect(&self, line: &Arc<Line>) {
        // It is watched as long as it is listed.
        let _watched = epoll::delete(&self.epoll, &line.socket);
        // If it runs all the same, it is to hear that nobody answers any more.
        let _gone = shutdown(&*line.socket, Shutdown::Both);
        self.lines.lock().remove(&line.number);
        // The process itself is about to end, and so is whatever waits for that.
        line.may_act();
        let tasks = std::mem::take(&mut line.holders.lock().tasks);
        drop(tasks);
        line.over.set();
        let cleared = line.clearing.lock().take();
        drop(cleared);
    }

    /// Nobody listens any more.
    pub fn disconnect_all(&self) {
        let lines: Vec<Arc<Line>> = self.lines.lock().values().cloned().collect();
        lines.iter().for_each(|line| self.disconnect(line));
    }

    /// An operation that waits until something comes in, or one of `fibers` can go on: the numbers of the lines.
    /// Who was asked something just now looks for more a moment before it sleeps: `is_busy`.
    pub fn listening<'a>(self: &Arc<Self>, fibers: &'a Fibers, is_busy: bool) -> Listening<'a> {
        Listening { switchboard: self.clone(), fibers, is_busy }
    }
}

impl Waitable for Switchboard {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

/// See [`Switchboard::listening`].
pub struct Listening<'a> {
    switchboard: Arc<Switchboard>,
    fibers: &'a Fibers,
    is_busy: bool,
}

impl Operation for Listening<'_> {
    type Output = Vec<u64>;

    fn poll(&mut self, _waker: &Waker) -> Poll<Vec<u64>> {
        let mut events = Vec::with_capacity(64);
        // It fails when a signal comes, and then this is asked again.
        let _count = epoll::wait(&self.switchboard.epoll, spare_capacity(&mut events), Some(&Timespec::default()));
        if events.is_empty() && !self.fibers.has_ready() && !self.fibers.has_news() {
            return Poll::Pending;
        }
        Poll::Ready(events.iter().map(|event| event.data.u64()).collect())
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.switchboard.clone()
    }

    fn verb(&self) -> &'static str {
        "listen"
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        if self.is_busy { PATIENCE } else { Duration::ZERO }
    }

    fn sources(&self) -> Vec<Source> {
        let mut sources = self.fibers.sources();
        sources.push(Source::readable(&self.switchboard.epoll));
        sources
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::super::wire::write;
    use super::*;
    use crate::kernel::{Role, Setup, sleep};

    #[test]
    fn garbage_ends_its_own_line_and_no_other() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("main", || {
            let switchboard = Switchboard::new(&kernel).unwrap();
            let mut fast = fastrand::Rng::with_seed(1);
            let (good, to_good) = switchboard.connect("good").unwrap();
            for _ in 0..50 {
                let (bad, to_bad) = switchboard.connect("bad").unwrap();
                let mut to_bad = UnixStream::from(to_bad);
                let mut bytes: Vec<u8> = (0..fast.usize(13..200)).map(|_| fast.u8(..)).collect();
                // What it was before is heard; then a length that is none.
                let mut said = Vec::new();
                write(&mut said, &Ask::Dropped(7), 0).unwrap();
                bytes[5] = 255;
                to_bad.write_all(&[said, bytes].concat()).unwrap();
                assert_eq!(bad.next().map(|letter| letter.message), Some(Ask::Dropped(7)));
                assert!(!bad.has_ended() && bad.next().is_none() && bad.has_ended());
                switchboard.disconnect(&bad);
                assert!(bad.over().is_set() && switchboard.line(bad.number()).is_none());
                // It hears that nobody listens, and nothing is left of its line.
                assert_eq!(to_bad.read(&mut [0; 8]).unwrap_or(0), 0);
                switchboard.tell(&bad, &Told::Task(1, 2), Descriptors::new());
                bad.leave();
                assert_eq!(Arc::strong_count(&bad), 1);
            }
            let mut said = Vec::new();
            write(&mut said, &Ask::Quiet(0), 0).unwrap();
            UnixStream::from(to_good).write_all(&said).unwrap();
            assert_eq!(good.next().map(|letter| letter.message), Some(Ask::Quiet(0)));
        });
    }

    #[test]
    fn a_process_is_quiet_only_when_it_has_heard_all_that_it_was_told() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("main", || {
            let switchboard = Switchboard::new(&kernel).unwrap();
            let (line, _theirs) = switchboard.connect("process").unwrap();
            let may_act = || line.holders.lock().anybody.is_some();
            line.is_quiet_after(1);
            assert!(may_act());
            line.is_quiet_after(0);
            assert!(!may_act());
            line.stir();
            line.is_quiet_after(0);
            assert!(may_act());
            line.is_quiet_after(1);
            assert!(!may_act());
        });
    }

    /// Whoever waits for the end of a line is let go on by the broker, which is no task that a search for deadlocks could know.
    #[test]
    fn nobody_who_waits_until_all_is_cleared_up_is_stuck() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("main", || {
            let switchboard = Switchboard::new(&kernel).unwrap();
            let (line, _theirs) = switchboard.connect("process").unwrap();
            let (searches, seen) = (Arc::new(AtomicU64::new(0)), kernel.clone());
            let counts = searches.clone();
            kernel.detector().after_search(move || {
                counts.fetch_add(1, Ordering::AcqRel);
                seen.detector().look_again(&seen);
            });
            let clearing = line.clone();
            let broker = kernel.new_task("broker", Role::Service, true);
            let clears = move || {
                // The first may have begun before the wait.
                while searches.load(Ordering::Acquire) < 3 {
                    let _slept = sleep(Some(Duration::from_millis(1)));
                }
                switchboard.disconnect(&clearing);
            };
            kernel.start(&broker, clears).unwrap();
            assert!(crate::kernel::block(&mut line.over().waiting(), None).is_ok());
        });
    }
}

//! The way from a process to the one that its handles come from.
//!
//! Who waits for an answer polls the socket itself, takes in whatever comes and wakes those it is for: nothing is read by a
//! thread that nobody asked for.
//!
//! Invariants: each call has one answer, and one task that takes it; a task that has called is made known before, and made
//! known to be over when it ends.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use parking_lot::Mutex;
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use serde_bytes::ByteBuf;

use super::answering::Answering;
use super::ask::{Answer, Ask, Call, Exported, Spot, Told};
use super::far_object::FarObject;
use super::pipe::{Incoming, Outgoing};
use super::wire::{Descriptors, Letter};
use crate::kernel::door::block_through;
use crate::kernel::{
    Enders, Kernel, ObjectCore, Site, Source, Stop, Task, TaskId, Waitable, Waker, block, current, with_current,
};
use crate::sync::loan::LoanWord;
use crate::sync::lock_state::Slab;

/// So many calls may be posted before one waits.
const POSTS: u64 = 256;

/// What was looked up last.
struct Last {
    /// The link, how often tasks were forgotten by then, and the task.
    key: (usize, u64, TaskId),
    source: String,
    me: u64,
    number: u16,
}

thread_local! {
    static LAST: RefCell<Last> =
        const { RefCell::new(Last { key: (0, 0, TaskId(0)), source: String::new(), me: 0, number: 0 }) };
}

struct State {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The calls that are not answered yet, or whose answers nobody has taken.
    open: HashMap<u64, Open>,
    /// How many answers have come, and other news that they count as.
    answers: u64,
    /// After how many of them it was said last that nobody can do anything.
    quiet_after: Option<u64>,
    /// The tasks that are known on the other side, with their numbers there, once these have come.
    known: HashMap<TaskId, Option<u64>>,
    /// The numbers of sources on the other side.
    sources: HashMap<String, u16>,
    /// The errors of calls that were posted, which the tasks have not heard of yet.
    failed: HashMap<TaskId, Letter<ByteBuf>>,
    /// The queues that are closed.
    closed: HashSet<u64>,
    /// What may be taken of queues without asking.
    lent: HashMap<u64, LentItems>,
}

/// Items on loan: the place of the loan's state, its number, and the items.
struct LentItems {
    place: u32,
    number: u64,
    copies: Vec<ByteBuf>,
}

struct Open {
    caller: TaskId,
    waker: Option<Waker>,
    answer: Option<Letter<Answer>>,
}

/// See the module.
pub struct Link {
    core: Arc<ObjectCore>,
    /// Where the states of locks lie.
    slab: Option<Arc<Slab>>,
    state: Mutex<State>,
    calls: AtomicU64,
    /// How often a task was forgotten.
    changes: AtomicU64,
    /// Something was said that is not known to be done.
    unsettled: AtomicBool,
    /// There are posted calls among that.
    posted: AtomicBool,
    /// How many calls were posted, and how many of them are known to be done.
    posts: AtomicU64,
    posts_done: AtomicU64,
}

/// A call to be made.
pub struct Asking<'a> {
    /// The function, by Rhai's name.
    pub function: &'static str,
    /// The arguments.
    pub args: Vec<u8>,
    /// The descriptors among them.
    pub descriptors: Descriptors,
    /// The handles among them.
    pub handles: Vec<u64>,
    /// Where it stands.
    pub spot: Spot,
    /// What it is about, for reports.
    pub about: &'a Arc<FarObject>,
}

/// What became of a call, and whether the task was told to stop meanwhile.
pub struct Answered {
    /// What became of it.
    pub answer: Answer,
    /// The descriptors that belong to it.
    pub descriptors: Descriptors,
    /// What the task was told, if it was.
    pub stop: Option<Stop>,
}

impl Asking<'_> {
    fn by(self, task: &Task, number: u64) -> (Call, Descriptors) {
        let call = Call {
            number,
            task: task.id().0,
            function: self.function.to_string(),
            args: ByteBuf::from(self.args),
            handles: self.handles,
            spot: self.spot,
        };
        (call, self.descriptors)
    }
}

impl Answered {
    fn of(letter: Letter<Answer>, stop: Option<Stop>) -> Answered {
        Answered { answer: letter.message, descriptors: letter.descriptors, stop }
    }
}

impl Link {
    /// The link of this process, by this socket, and with this slab, without which all is done by calls.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(kernel: &Arc<Kernel>, socket: Arc<OwnedFd>, slab: Option<Arc<Slab>>) -> io::Result<Arc<Link>> {
        ioctl_fionbio(&socket, true)?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        let state = State {
            incoming: Incoming::new(socket.clone()),
            outgoing: Outgoing::new(socket),
            open: HashMap::new(),
            answers: 0,
            quiet_after: None,
            known: HashMap::new(),
            sources: HashMap::new(),
            failed: HashMap::new(),
            closed: HashSet::new(),
            lent: HashMap::new(),
        };
        let link = Arc::new(Link {
            core: ObjectCore::new_in(kernel, "Link", Site::NONE),
            slab,
            state: Mutex::new(state),
            calls: AtomicU64::new(1),
            changes: AtomicU64::new(0),
            unsettled: AtomicBool::new(false),
            posted: AtomicBool::new(false),
            posts: AtomicU64::new(0),
            posts_done: AtomicU64::new(0),
        });
        let listed: Arc<dyn Waitable> = link.clone();
        kernel.list(&listed);
        let (weak, program) = (Arc::downgrade(&link), Arc::downgrade(kernel));
        kernel.detector().after_search(move || {
            if let (Some(link), Some(kernel)) = (weak.upgrade(), program.upgrade()) {
                link.look_for_rest(&kernel);
            }
        });
        Ok(link)
    }

    /// The link, as something that calls are about.
    pub fn itself(self: &Arc<Self>) -> Arc<FarObject> {
        FarObject::link_itself(self.core.clone(), self)
    }

    /// A stand-in for what was exported.
    pub fn stand_in(self: &Arc<Self>, exported: &Exported, kind: &'static str) -> Arc<FarObject> {
        let core = ObjectCore::of_elsewhere(self.core.kernel(), exported.object, kind);
        if let Some(name) = &exported.name {
            core.set_name(name);
        }
        FarObject::new(core, self, exported)
    }

    /// Makes a call and waits for the answer. A task that is told to stop meanwhile gives the call up, if that is still
    /// possible.
    ///
    /// # Errors
    /// [`Stop`], when nothing was asked, or nobody answers.
    pub fn call(self: &Arc<Self>, asking: Asking) -> Result<Answered, Stop> {
        let mut answering = self.ask_for(asking);
        match block(&mut answering, None) {
            Ok(answer) => answer.map(|letter| Answered::of(letter, None)),
            Err(Stop::Ended) => {
                answering.forget();
                Err(Stop::Ended)
            }
            Err(stop) => answering.stop().map(|letter| Answered::of(letter, Some(stop))),
        }
    }

    /// Makes a call whose answer is waited for later.
    pub fn ask_for(self: &Arc<Self>, asking: Asking) -> Answering {
        let me = current();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let (function, about) = (asking.function, asking.about.clone());
        let mut state = self.state.lock();
        state.make_known(&me);
        state.open_for(number, me.id());
        let (call, descriptors) = asking.by(&me, number);
        state.say_with(&Ask::Call(call), descriptors);
        Answering::new(self, about, number, verb_of(function))
    }

    /// Makes a call for whose answer nobody waits. What it fails with is told by [`Link::take_failure`]. False when nobody hears
    /// it any more.
    pub fn post(self: &Arc<Self>, asking: Asking) -> bool {
        let me = current();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let is_out = {
            let mut state = self.state.lock();
            state.make_known(&me);
            let (call, descriptors) = asking.by(&me, number);
            state.say_with(&Ask::Post(call), descriptors);
            state.outgoing.source().is_none()
        };
        self.is_posted(number, is_out)
    }

    /// The same for putting a value that is nothing but bytes into the queue that is entry `entry`, from `site` in `source`. `None`
    /// when it has to be a call: the other side does not know who and where this is yet, or the task has to hear of a failure.
    pub(super) fn post_item(self: &Arc<Self>, entry: u64, item: Vec<u8>, source: &str, site: Site) -> Option<bool> {
        let (_, source) = self.me_and_source(Some(source))?;
        let site = Site::new(source, site.line(), site.column()).to_bits();
        let task = with_current(|task| task.id().0);
        let (number, is_out) = {
            let mut state = self.state.lock();
            if !state.failed.is_empty() {
                return None;
            }
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            state.say(&Ask::Put { number, task, entry, item: ByteBuf::from(item), site });
            (number, state.outgoing.source().is_none())
        };
        Some(self.is_posted(number, is_out))
    }

    fn is_posted(self: &Arc<Self>, number: u64, is_out: bool) -> bool {
        self.posts.fetch_add(1, Ordering::AcqRel);
        self.posted.store(true, Ordering::Release);
        self.unsettled.store(true, Ordering::Release);
        // The other side is not to be left behind, nor a task to run ahead of its own failures.
        (is_out && !number.is_multiple_of(POSTS)) || self.settle()
    }

    /// The error of a call that the current task has posted.
    pub fn take_failure(&self) -> Option<Letter<ByteBuf>> {
        let mut state = self.state.lock();
        if state.failed.is_empty() { None } else { state.failed.remove(&current().id()) }
    }

    /// The errors of posted calls of tasks that have ended since: nobody else will hear of them.
    pub fn take_failures(&self) -> Vec<Letter<ByteBuf>> {
        std::mem::take(&mut self.state.lock().failed).into_values().collect()
    }

    /// Waits until all that was said before is done, if there is anything: false when it cannot be known what became of calls that
    /// were posted.
    pub fn settle(self: &Arc<Self>) -> bool {
        if !self.unsettled.swap(false, Ordering::AcqRel) {
            return true;
        }
        let posted = self.posted.swap(false, Ordering::AcqRel);
        self.ask(Ask::Settle) || !posted
    }

    /// True when all that was posted is done, for which it waits, and there is no failure of it to be told.
    pub fn posts_are_done(self: &Arc<Self>) -> bool {
        let posts = self.posts.load(Ordering::Acquire);
        if self.posts_done.load(Ordering::Acquire) >= posts {
            return true;
        }
        let is_known = self.ask(Ask::Settle);
        self.posts_done.fetch_max(posts, Ordering::AcqRel);
        is_known && self.state.lock().failed.is_empty()
    }

    /// Keeps these entries on the other side for the reply to errand `errand`, whatever becomes of this process.
    pub fn lend(self: &Arc<Self>, errand: u64, entries: Vec<u64>) {
        self.unsettled.store(false, Ordering::Release);
        // Where it cannot be known the handles do not come either, and whoever has the reply says so.
        let _known = self.ask(|number| Ask::Lend(number, errand, entries));
    }

    fn ask(self: &Arc<Self>, ask: impl FnOnce(u64) -> Ask) -> bool {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            state.open_for(number, current().id());
            state.say(&ask(number));
        }
        let about = self.itself();
        // The end of the program ends this too, and then nobody asks.
        matches!(block_through(&mut Answering::new(self, about, number, "settle"), None), Ok(Ok(_)))
    }

    /// Says so when every task waits for an answer, so that the other side knows whom to look for in a search for deadlocks. An
    /// answer that has not been taken in yet is one more than is said here.
    fn look_for_rest(&self, kernel: &Kernel) {
        let mut state = self.state.lock();
        let is_new = state.quiet_after != Some(state.answers);
        if is_new && !state.open.is_empty() && !kernel.may_act(|task| state.awaits(task)) {
            state.quiet_after = Some(state.answers);
            let answers = state.answers;
            state.say(&Ask::Quiet(answers));
        }
    }

    /// The number of the current task on the other side, and that of a source; nearly always those asked for last in this thread.
    pub(super) fn me_and_source(&self, source: Option<&str>) -> Option<(u64, u16)> {
        let task = with_current(|task| task.id());
        let key = (std::ptr::from_ref(self).addr(), self.changes.load(Ordering::Acquire), task);
        LAST.with_borrow_mut(|last| {
            if last.key == key && source.is_none_or(|source| last.source == source) {
                return Some((last.me, last.number));
            }
            let state = self.state.lock();
            let me = state.known.get(&task).copied().flatten()?;
            let number = source.map_or(Some(0), |source| state.sources.get(source).copied())?;
            last.key = key;
            source.unwrap_or_default().clone_into(&mut last.source);
            (last.me, last.number) = (me, number);
            Some((me, number))
        })
    }

    /// A task, which stands here for one of another process, is about to be ended with that process.
    pub fn is_killed(&self, task: TaskId) {
        self.say_over(task, &Ask::TaskKilled(task.0));
    }

    /// This process was told something that may have thrown it out of its waits, which counts as an answer on the other side too.
    pub fn is_stirred(&self) {
        self.state.lock().answers += 1;
        let kernel = self.core.kernel();
        kernel.detector().look_again(kernel);
    }

    fn say_over(&self, task: TaskId, over: &Ask) {
        let mut state = self.state.lock();
        if state.known.remove(&task).is_some() {
            self.changes.fetch_add(1, Ordering::AcqRel);
            state.say(over);
            self.unsettled.store(true, Ordering::Release);
        }
    }

    pub(super) fn say(&self, ask: &Ask) {
        self.state.lock().say(ask);
    }

    /// The answer to a call, for whoever polls for it; once it was taken nobody asks again.
    ///
    /// # Errors
    /// [`Stop::Ended`], when nobody answers any more.
    pub(super) fn poll_answer(&self, number: u64, waker: &Waker) -> Poll<Result<Letter<Answer>, Stop>> {
        let mut state = self.state.lock();
        state.take_in();
        if let Some(answer) = state.open.get_mut(&number).and_then(|open| open.answer.take()) {
            state.open.remove(&number);
            return Poll::Ready(Ok(answer));
        }
        if state.incoming.has_ended() {
            // The other process is gone, and this one is about to end too. If not, it has lost its tasks there, and with them its
            // place in the memory of locks.
            state.known.clear();
            self.changes.fetch_add(1, Ordering::AcqRel);
            return Poll::Ready(Err(Stop::Ended));
        }
        if let Some(open) = state.open.get_mut(&number) {
            open.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Nobody wants the answer to this call.
    pub(super) fn forget_call(&self, number: u64) {
        self.state.lock().open.remove(&number);
    }

    /// What to wait for, for an answer to come.
    pub(super) fn sources(&self) -> Vec<Source> {
        let state = self.state.lock();
        [state.incoming.source(), state.outgoing.source()].into_iter().flatten().collect()
    }

    /// True when this entry is a queue that is closed.
    pub(super) fn is_closed(&self, entry: u64) -> bool {
        self.state.lock().closed.contains(&entry)
    }

    /// Where the states of locks lie.
    pub(super) fn slab(&self) -> Option<&Slab> {
        self.slab.as_deref()
    }

    /// The next item of what is on loan here of the queue that this entry is. None where the task has to hear of a failure
    /// first.
    pub(super) fn take_lent(&self, entry: u64) -> Option<ByteBuf> {
        let mut state = self.state.lock();
        if !state.failed.is_empty() {
            return None;
        }
        let lent = state.lent.get_mut(&entry)?;
        let word = self.slab()?.word(lent.place)?;
        let item = LoanWord::of(word).take(lent.number).and_then(|i| lent.copies.get_mut(i)).map(std::mem::take);
        if item.is_none() {
            // All of it was taken, or it was called back.
            state.lent.remove(&entry);
        }
        item
    }

    pub(super) fn dropped(&self, entry: u64) {
        self.state.lock().lent.remove(&entry);
        self.say(&Ask::Dropped(entry));
        self.unsettled.store(true, Ordering::Release);
    }
}

impl State {
    fn say(&mut self, ask: &Ask) {
        self.say_with(ask, Descriptors::new());
    }

    fn say_with(&mut self, ask: &Ask, descriptors: Descriptors) {
        // None of the messages can fail to be written down; what is not out yet goes out while somebody waits.
        let _written = self.outgoing.put(ask, descriptors);
        self.outgoing.flush();
    }

    fn open_for(&mut self, number: u64, caller: TaskId) {
        self.open.insert(number, Open { caller, waker: None, answer: None });
    }

    /// True when this task waits for an answer that has not come.
    fn awaits(&self, task: TaskId) -> bool {
        self.open.values().any(|open| open.caller == task && open.answer.is_none())
    }

    fn make_known(&mut self, task: &Task) {
        if let Entry::Vacant(vacant) = self.known.entry(task.id()) {
            vacant.insert(None);
            // So that its end is told to the link, as to any object that it owns.
            task.took();
            self.say(&Ask::Task(task.id().0, task.name().to_string()));
        }
    }

    /// Takes in what has come.
    fn take_in(&mut self) {
        self.outgoing.flush();
        while let Ok(Some(Letter { message, descriptors })) = self.incoming.take() {
            match message {
                Told::Answer(number, message) => self.answered(number, Letter { message, descriptors }),
                Told::Task(task, number) => {
                    if let Some(known) = self.known.get_mut(&TaskId(task)) {
                        *known = Some(number);
                    }
                }
                Told::Source(source, number) => _ = self.sources.insert(source, number),
                Told::PostFailed(task, message) => {
                    // The first is the one to be told.
                    self.failed.entry(TaskId(task)).or_insert(Letter { message, descriptors });
                }
                Told::Closed(entry) => _ = self.closed.insert(entry),
                Told::Lent { entry, place, number, copies } => {
                    self.lent.insert(entry, LentItems { place, number, copies });
                }
            }
        }
    }

    fn answered(&mut self, number: u64, answer: Letter<Answer>) {
        self.answers += 1;
        if let Some(open) = self.open.get_mut(&number) {
            open.answer = Some(answer);
            if let Some(waker) = open.waker.take() {
                waker.wake();
            }
        }
    }
}

/// The word for people: `value.x` is `get$x` for Rhai.
fn verb_of(function: &'static str) -> &'static str {
    match function.split_once('$') {
        Some(("get" | "set", property)) => property,
        Some(_) => "index",
        None => function,
    }
}

impl Waitable for Link {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }

    fn owner_ended(&self, task: TaskId) {
        self.say_over(task, &Ask::TaskOver(task.0));
    }
}

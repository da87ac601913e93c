//! A result that will be there later, and sets of them.
//!
//! Invariants: a future goes from pending to running to done, or from pending to cancelled, and never back; its result is
//! set once; whoever waits goes on when it is done or cancelled; callbacks are called once each, in the order in which
//! they were added; one that is lent to somebody elsewhere is not cancelled before it is known that it has not begun there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use crate::kernel::door::block_through;
use crate::kernel::{
    Enders, Kernel, ObjectCore, Operation, Site, TaskId, Ticket, WaitQueue, Waitable, Waker, block, current, door,
};

/// Who could run a future that is pending.
pub type Runners = Arc<dyn Fn() -> Enders + Send + Sync>;

/// Asks whoever a future is lent to whether it has begun there.
pub type AskBack = Arc<dyn Fn() + Send + Sync>;

/// How long a cancellation waits for the answer of whoever the future is lent to.
const ANSWER: Duration = Duration::from_secs(1);

type Callback<T> = Box<dyn FnOnce(&Arc<Future<T>>) + Send>;

/// How far a future has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Not begun.
    Pending,
    /// Run by this task.
    Running(TaskId),
    /// It has its result.
    Done,
    /// It will never run.
    Cancelled,
}

impl Stage {
    /// True for the last two.
    pub fn is_over(self) -> bool {
        matches!(self, Stage::Done | Stage::Cancelled)
    }
}

struct State<T> {
    stage: Stage,
    result: Option<T>,
    waiters: WaitQueue,
    callbacks: Vec<Callback<T>>,
    /// By whom it was lent, and how to have it back.
    lent: Option<(TaskId, AskBack)>,
    /// It is to stop, or to be cancelled when it comes back.
    unwanted: bool,
    /// Those who wait for it to come back, or to begin.
    asking: WaitQueue,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        State {
            stage: Stage::Pending,
            result: None,
            waiters: WaitQueue::default(),
            callbacks: Vec::new(),
            lent: None,
            unwanted: false,
            asking: WaitQueue::default(),
        }
    }
}

/// See the module.
pub struct Future<T> {
    core: Arc<ObjectCore>,
    runners: Option<Runners>,
    state: Mutex<State<T>>,
}

impl<T: Send + 'static> Future<T> {
    /// A pending future; `runners` says who could run it, for the deadlock search.
    pub fn new(kind: &'static str, runners: Option<Runners>) -> Arc<Future<T>> {
        Self::around(ObjectCore::new(kind), runners)
    }

    /// A pending future that nobody in particular could run, in `kernel`, made at `born`.
    pub fn new_in(kernel: &Arc<Kernel>, kind: &'static str, born: Site) -> Arc<Future<T>> {
        Self::around(ObjectCore::new_in(kernel, kind, born), None)
    }

    fn around(core: Arc<ObjectCore>, runners: Option<Runners>) -> Arc<Future<T>> {
        Arc::new(Future { core, runners, state: Mutex::default() })
    }

    /// `task` begins to run it: false when it was cancelled before.
    pub fn begin(&self, task: TaskId) -> bool {
        let mut state = self.state.lock();
        let pending = state.stage == Stage::Pending;
        if pending {
            state.stage = Stage::Running(task);
            state.lent = None;
            state.asking.grant_all();
        }
        pending
    }

    /// `task` lends it to somebody elsewhere, who may begin to run it at any time: false when it was cancelled before. What
    /// `task` runs already can be lent again.
    pub fn lend(&self, task: TaskId, ask_back: AskBack) -> bool {
        let mut state = self.state.lock();
        match state.stage {
            Stage::Pending => state.lent = Some((task, ask_back)),
            Stage::Running(by) => return by == task,
            Stage::Done | Stage::Cancelled => return false,
        }
        true
    }

    /// It has come back, and had not begun: true when it is still wanted.
    pub fn is_back(self: &Arc<Self>) -> bool {
        let wanted = {
            let mut state = self.state.lock();
            state.lent = None;
            !state.unwanted && state.asking.is_empty()
        };
        if !wanted {
            self.settle(Stage::Cancelled, None);
        }
        self.state.lock().asking.grant_all();
        wanted
    }

    /// Cancels it if it has not begun; where it is lent, as soon as it comes back.
    pub fn cancel_later(self: &Arc<Self>) {
        let lent = {
            let mut state = self.state.lock();
            state.unwanted = true;
            state.lent.clone()
        };
        match lent {
            Some((_, ask_back)) => ask_back(),
            None => _ = self.cancel(),
        }
    }

    /// Waits for whoever it is lent to, who says whether it has begun.
    fn ask_back(self: &Arc<Self>) {
        let lent = self.state.lock().lent.clone();
        match lent {
            None => {}
            // Who would hear the answer cannot wait for it.
            Some((lender, _)) if lender == current().id() => self.cancel_later(),
            Some((_, ask_back)) => {
                ask_back();
                // Without an answer it may have begun.
                let _answer =
                    block_through(&mut Asking { future: self.clone(), ticket: Ticket::default() }, Some(ANSWER));
            }
        }
    }

    /// Sets the result, lets all go on that wait, and calls the callbacks in this task.
    pub fn finish(self: &Arc<Self>, result: T) {
        self.settle(Stage::Done, Some(result));
    }

    /// Cancels it if it has not begun: true when it is cancelled (now or before). Where it is lent and nobody says whether it
    /// has begun, it may have.
    pub fn cancel(self: &Arc<Self>) -> bool {
        door::point();
        self.ask_back();
        match self.stage() {
            Stage::Cancelled => true,
            Stage::Pending => self.settle(Stage::Cancelled, None),
            Stage::Running(_) | Stage::Done => false,
        }
    }

    fn settle(self: &Arc<Self>, stage: Stage, result: Option<T>) -> bool {
        let callbacks = {
            let mut state = self.state.lock();
            let can_be_cancelled = state.stage == Stage::Pending && state.lent.is_none();
            if state.stage.is_over() || (stage == Stage::Cancelled && !can_be_cancelled) {
                return state.stage == stage;
            }
            state.stage = stage;
            state.result = result;
            state.waiters.grant_all();
            std::mem::take(&mut state.callbacks)
        };
        callbacks.into_iter().for_each(|callback| callback(self));
        true
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.state.lock().stage
    }

    /// Cancels it, also while it runs: its task is asked to stop at its current or next blocking call; also where it is lent
    /// and nobody says whether it has begun. True unless it was done already.
    pub fn stop(self: &Arc<Self>) -> bool {
        if self.cancel() {
            return true;
        }
        // With the state locked the runner cannot go on to its next job, which would be hit instead.
        let mut state = self.state.lock();
        let task = match (state.stage, &state.lent) {
            (Stage::Running(task), _) => task,
            (Stage::Pending, Some((lender, _))) => *lender,
            _ => return false,
        };
        state.unwanted = true;
        self.core.kernel().task(task).map(|task| task.cancel()).is_some()
    }

    /// True when somebody wanted it to stop, or to be cancelled when it comes back.
    pub fn is_unwanted(&self) -> bool {
        self.state.lock().unwanted
    }

    /// True when it is done or cancelled.
    pub fn is_over(&self) -> bool {
        self.stage().is_over()
    }

    /// Calls `callback` when it is over, in the task that brings that about; at once if it is over already.
    pub fn when_over(self: &Arc<Self>, callback: impl FnOnce(&Arc<Future<T>>) + Send + 'static) {
        {
            let mut state = self.state.lock();
            if !state.stage.is_over() {
                state.callbacks.push(Box::new(callback));
                return;
            }
        }
        callback(self);
    }

    /// Waits until it is over, at most `limit`.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<(), Fault> {
        self.wait_as("result", limit)
    }

    /// The same, under the name of the call that waits.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn wait_as(self: &Arc<Self>, verb: &'static str, limit: Option<Duration>) -> Result<(), Fault> {
        door::enter()?;
        if self.is_over() {
            return Ok(());
        }
        Ok(block(&mut self.waiting_as(verb), limit)?)
    }

    /// Looks at the result, which is there when it is done.
    ///
    /// # Errors
    /// [`Fault::CancelledFuture`].
    pub fn look<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> Result<R, Fault> {
        let state = self.state.lock();
        match state.stage {
            Stage::Cancelled => Err(Fault::CancelledFuture(self.core.label())),
            _ => Ok(look(state.result.as_ref())),
        }
    }

    /// Takes something out of the result, for the only one who wants it. Nothing when it was cancelled.
    pub fn take<R>(&self, take: impl FnOnce(&mut T) -> Option<R>) -> Option<R> {
        self.state.lock().result.as_mut().and_then(take)
    }

    /// An operation that waits until it is over.
    pub fn waiting(self: &Arc<Self>) -> WaitOver<T> {
        WaitOver { future: self.clone(), ticket: Ticket::default(), verb: "result" }
    }

    /// The same, under the name of the call that waits.
    pub fn waiting_as(self: &Arc<Self>, verb: &'static str) -> WaitOver<T> {
        WaitOver { future: self.clone(), ticket: Ticket::default(), verb }
    }
}

impl<T: Send + 'static> Waitable for Future<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        let Some(state) = self.state.try_lock() else {
            return Enders::Somebody;
        };
        match (state.stage, &self.runners) {
            (Stage::Running(task), _) => Enders::Tasks(vec![task]),
            (Stage::Pending, Some(runners)) => runners(),
            (Stage::Pending, None) => Enders::Holders,
            (Stage::Done | Stage::Cancelled, _) => Enders::Somebody,
        }
    }

    fn state(&self) -> String {
        let Some(state) = self.state.try_lock() else {
            return String::new();
        };
        match state.stage {
            Stage::Pending => "pending".into(),
            Stage::Running(_) => "running".into(),
            Stage::Done => "done".into(),
            Stage::Cancelled => "cancelled".into(),
        }
    }
}

/// The calls `result()`, `wait()`, `join()`.
pub struct WaitOver<T: Send + 'static> {
    future: Arc<Future<T>>,
    ticket: Ticket,
    verb: &'static str,
}

impl<T: Send + 'static> Operation for WaitOver<T> {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.future.state.lock();
        if state.stage.is_over() {
            return Poll::Ready(());
        }
        state.waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.future.state.lock().waiters.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.future.clone()
    }

    fn verb(&self) -> &'static str {
        self.verb
    }
}

/// A cancellation that waits for whoever the future is lent to.
struct Asking<T: Send + 'static> {
    future: Arc<Future<T>>,
    ticket: Ticket,
}

impl<T: Send + 'static> Operation for Asking<T> {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.future.state.lock();
        if state.lent.is_none() {
            state.asking.remove(&mut self.ticket);
            return Poll::Ready(());
        }
        state.asking.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.future.state.lock().asking.remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.future.clone()
    }

    fn verb(&self) -> &'static str {
        "cancel"
    }
}

#[derive(Default)]
struct Finished {
    /// How many are over, those included that `next` has given out.
    total: usize,
    order: VecDeque<usize>,
    waiters: WaitQueue,
}

impl Finished {
    /// Two may end before the first waiter runs; it then passes the wake-up on.
    fn wake_next(&self) {
        if !self.order.is_empty() {
            self.waiters.nudge();
        }
    }
}

/// Futures in the order in which they end. Waiting for the next one costs the same however many there are.
pub struct Completions<T> {
    core: Arc<ObjectCore>,
    futures: Vec<Arc<Future<T>>>,
    finished: Mutex<Finished>,
}

impl<T: Send + 'static> Completions<T> {
    /// Watches `futures`.
    pub fn new(futures: Vec<Arc<Future<T>>>) -> Arc<Completions<T>> {
        let core = ObjectCore::new("futures");
        let all = Arc::new(Completions { core, futures, finished: Mutex::default() });
        for (index, future) in all.futures.iter().enumerate() {
            let set = Arc::downgrade(&all);
            future.when_over(move |_| {
                if let Some(set) = set.upgrade() {
                    let mut finished = set.finished.lock();
                    finished.total += 1;
                    finished.order.push_back(index);
                    finished.wake_next();
                }
            });
        }
        all
    }

    /// The index of the next future that is over, waiting at most `limit`. Each index comes once; asking for more than
    /// there are is a mistake of the caller's and waits for ever.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn next(self: &Arc<Self>, limit: Option<Duration>) -> Result<usize, Fault> {
        door::enter()?;
        Ok(block(&mut NextOver { set: self.clone(), ticket: Ticket::default() }, limit)?)
    }
}

impl<T: Send + 'static> Waitable for Completions<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        let open = |f: &&Arc<Future<T>>| {
            let over = f.state.try_lock().map(|s| s.stage.is_over());
            over != Some(true)
        };
        let open: Vec<_> = self.futures.iter().filter(open).collect();
        match self.finished.try_lock() {
            // Else one is over and whoever ended it has yet to say so here.
            Some(finished) if finished.total + open.len() == self.futures.len() => {
                Enders::AnyOf(open.into_iter().map(|f| f.clone() as Arc<dyn Waitable>).collect())
            }
            _ => Enders::Somebody,
        }
    }
}

/// One step of `as_completed` or `wait`.
struct NextOver<T: Send + 'static> {
    set: Arc<Completions<T>>,
    ticket: Ticket,
}

impl<T: Send + 'static> Operation for NextOver<T> {
    type Output = usize;

    fn poll(&mut self, waker: &Waker) -> Poll<usize> {
        let mut finished = self.set.finished.lock();
        if let Some(index) = finished.order.pop_front() {
            finished.waiters.remove(&mut self.ticket);
            finished.wake_next();
            return Poll::Ready(index);
        }
        finished.waiters.enlist(&mut self.ticket, waker, ());
        Poll::Pending
    }

    fn abandon(&mut self) {
        let mut finished = self.set.finished.lock();
        finished.waiters.remove(&mut self.ticket);
        finished.wake_next();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.set.clone()
    }

    fn verb(&self) -> &'static str {
        "wait"
    }
}

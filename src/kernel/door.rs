//! The one door at which tasks wait.
//!
//! Invariant: a task is stopped by [`block`] (or [`sleep`], which uses it) and by nothing else; and whatever ends the
//! wait, the operation has either succeeded or left no trace in the object it waited for.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::deadlock::Report;
use super::handling::HandlerError;
use super::object::{Enders, ObjectCore, Waitable};
use super::readiness::Source;
use super::task::{Task, Wait, alert, current, with_current};
use super::waiters::Waker;

/// Why a wait ended without what was waited for.
#[derive(Clone, Debug)]
pub enum Stop {
    /// Its time was up.
    TimedOut,
    /// Somebody cancelled the task.
    Cancelled,
    /// The program got this signal.
    Interrupted(u32),
    /// Nobody could have ended it.
    Deadlock(Arc<Report>),
    /// The program is over.
    Ended,
    /// The handler of a signal failed with this.
    Handler(HandlerError),
}

impl Stop {
    /// How a wait in `verb` ended, in a few words; nothing where that is its usual end.
    fn how(&self, verb: &'static str) -> &'static str {
        match self {
            Stop::TimedOut if verb == Sleep.verb() => "",
            Stop::TimedOut => "timed out",
            Stop::Cancelled => "cancelled",
            Stop::Interrupted(_) => "interrupted",
            Stop::Deadlock(_) => "deadlock",
            Stop::Ended => "the program is over",
            Stop::Handler(_) => "the handler of a signal failed",
        }
    }
}

/// A call that may have to wait, as a small state machine.
pub trait Operation {
    /// What it gives.
    type Output;

    /// Tries. When that is not possible now, enlists `waker` (once, whatever the number of polls) with what it waits for.
    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output>;

    /// Gives up: leaves the queue it stands in, and passes on what was granted to it.
    fn abandon(&mut self);

    /// A handler is about to run in the waiting task, and may wait for the same thing: stands back for others where it
    /// can begin anew with the next poll.
    fn pause(&mut self) {}

    /// What it waits for.
    fn target(&self) -> Arc<dyn Waitable>;

    /// The call, as the script's author knows it.
    fn verb(&self) -> &'static str;

    /// True when waiting for ever in it is nobody's mistake.
    fn is_idle(&self) -> bool {
        false
    }

    /// True when it waits in place of tasks elsewhere, which are told what it would be told.
    fn is_for_others(&self) -> bool {
        false
    }

    /// How long to try again and again before it sleeps, in the real world: where the answer is likely to be on its way, and to
    /// be woken costs more than that.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Descriptors whose readiness is a reason to poll again. Asked for after each poll that did not succeed.
    fn sources(&self) -> Vec<Source> {
        Vec::new()
    }
}

/// An operation that somebody else still has when the wait is over.
impl<O: Operation + ?Sized> Operation for &mut O {
    type Output = O::Output;

    fn poll(&mut self, waker: &Waker) -> Poll<O::Output> {
        (**self).poll(waker)
    }

    fn abandon(&mut self) {
        (**self).abandon();
    }

    fn pause(&mut self) {
        (**self).pause();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        (**self).target()
    }

    fn verb(&self) -> &'static str {
        (**self).verb()
    }

    fn is_idle(&self) -> bool {
        (**self).is_idle()
    }

    fn is_for_others(&self) -> bool {
        (**self).is_for_others()
    }

    fn patience(&self) -> Duration {
        (**self).patience()
    }

    fn sources(&self) -> Vec<Source> {
        (**self).sources()
    }
}

/// The end of the simulated clock, some 584 years: who waits longer waits for ever.
const NEVER: Duration = Duration::from_nanos(u64::MAX);

/// Runs an operation, waiting for it at most `limit` (no limit: `None`).
///
/// # Errors
/// [`Stop`] says why it was given up. A pending cancellation or interruption ends it even if it need not have waited.
pub fn block<O: Operation>(op: &mut O, limit: Option<Duration>) -> Result<O::Output, Stop> {
    let task = current();
    task.forget_wakes();
    check(&task)?;
    if limit == Some(Duration::ZERO) {
        // It only asks, perhaps in a loop.
        task.kernel().world().query(&task);
    } else {
        task.kernel().world().point(&task);
    }
    run(&task, op, limit, true)
}

/// As [`block`], but only the end of the program or a deadlock ends it: for what must be done whatever happens, as a
/// condition that takes its lock back.
///
/// # Errors
/// [`Stop::Ended`] and [`Stop::Deadlock`] only, and [`Stop::TimedOut`] with a limit.
pub fn block_through<O: Operation>(op: &mut O, limit: Option<Duration>) -> Result<O::Output, Stop> {
    let task = current();
    task.forget_wakes();
    run(&task, op, limit, false)
}

fn run<O: Operation>(
    task: &Arc<Task>,
    op: &mut O,
    limit: Option<Duration>,
    interruptible: bool,
) -> Result<O::Output, Stop> {
    let waker = Waker::Task(task.clone());
    if let Poll::Ready(output) = op.poll(&waker) {
        return Ok(output);
    }
    let kernel = task.kernel();
    let world = kernel.world();
    let mut sources = op.sources();
    if limit != Some(Duration::ZERO)
        && sources.is_empty()
        && world.spin(task)
        && let Poll::Ready(output) = op.poll(&waker)
    {
        return Ok(output);
    }
    if limit != Some(Duration::ZERO)
        && let Some(output) = world.insist(task, op.patience(), || op.poll(&waker))
    {
        return Ok(output);
    }
    let since = world.now();
    let deadline = limit.and_then(|l| since.checked_add(l)).filter(|d| *d < NEVER);
    let wait = Wait {
        target: op.target(),
        verb: op.verb(),
        site: task.site(),
        since,
        deadline,
        idle: op.is_idle() || op.is_for_others(),
        for_others: op.is_for_others(),
        hears: if interruptible { alert::WHILE_RUNNING } else { alert::ENDED | alert::HANDLE },
        order: 0,
    };
    task.begin_wait(wait.clone());
    let mut untold = None;
    let outcome = loop {
        if has_to_handle(task) && untold.is_none() {
            task.finish_wait("a signal is handled");
            op.pause();
            match task.kernel().handling().run(task) {
                Ok(()) => {}
                Err(error) if interruptible => {
                    op.abandon();
                    return Err(Stop::Handler(error));
                }
                Err(error) => untold = Some(error),
            }
            // What came meanwhile may have woken a wait of the handler's: this one has to look for itself.
            task.forget_wakes();
            task.begin_wait(wait.clone());
            match op.poll(&waker) {
                Poll::Ready(output) => break Ok(output),
                Poll::Pending => {
                    sources = op.sources();
                    continue;
                }
            }
        }
        // Before it parks, too: the wake-up that came with an alert may have been used up by a wait before this one.
        let stopped = if interruptible { check_stop(task) } else { check_ended(task) };
        if let Err(stop) = stopped.and_then(|()| time_left(deadline, world.now())) {
            op.abandon();
            break Err(stop);
        }
        if deadline.is_none() {
            kernel.detector().look_again(kernel);
        }
        world.park(task, deadline, &sources);
        // The end of the program and a signal come first: what they end elsewhere may be what just ended this wait.
        if task.alerts() & alert::ENDED != 0 {
            op.abandon();
            break Err(Stop::Ended);
        }
        if interruptible && let Some(signal) = task.take_interrupt() {
            op.abandon();
            break Err(Stop::Interrupted(signal));
        }
        if let Poll::Ready(output) = op.poll(&waker) {
            break Ok(output);
        }
        sources = op.sources();
    };
    task.finish_wait(outcome.as_ref().err().map_or("", |stop| stop.how(wait.verb)));
    if let Some(error) = untold {
        task.kernel().handling().fail(task, error);
    }
    outcome
}

fn time_left(deadline: Option<Duration>, now: Duration) -> Result<(), Stop> {
    match deadline {
        Some(deadline) if now >= deadline => Err(Stop::TimedOut),
        _ => Ok(()),
    }
}

/// What a task has to hear before it waits, in this order: the end of the program, a signal, a cancellation, a deadlock.
/// Signals that the program handles come first: their handlers are run, here.
///
/// # Errors
/// The first of them that is pending; it is then no longer pending (but for the end, which stays). What a handler failed
/// with.
pub fn check(task: &Arc<Task>) -> Result<(), Stop> {
    if has_to_handle(task) {
        task.kernel().handling().run(task).map_err(Stop::Handler)?;
    }
    check_stop(task)
}

/// No handler is begun when the program is over.
fn has_to_handle(task: &Task) -> bool {
    task.alerts() & (alert::HANDLE | alert::ENDED) == alert::HANDLE
}

fn check_stop(task: &Arc<Task>) -> Result<(), Stop> {
    if task.alerts() == 0 {
        return Ok(());
    }
    if task.alerts() & alert::ENDED != 0 {
        return Err(Stop::Ended);
    }
    if let Some(signal) = task.take_interrupt() {
        return Err(Stop::Interrupted(signal));
    }
    if task.take_cancel() {
        return Err(Stop::Cancelled);
    }
    check_ended(task)
}

fn check_ended(task: &Arc<Task>) -> Result<(), Stop> {
    if task.alerts() & alert::ENDED != 0 {
        return Err(Stop::Ended);
    }
    match task.take_verdict() {
        Some(report) => Err(Stop::Deadlock(report)),
        None => Ok(()),
    }
}

/// The quick way through: what every blocking call does before it tries without waiting.
///
/// # Errors
/// As [`check`].
#[inline]
pub fn enter() -> Result<(), Stop> {
    let told = with_current(|task| {
        let told = task.alerts() != 0;
        if !told && task.kernel().preempts() {
            task.kernel().world().point(task);
        }
        told
    });
    if told {
        check(&current())?;
        point();
    }
    Ok(())
}

/// How often to look for a change before standing in line for it: never where nobody else runs meanwhile.
#[inline]
pub fn pauses() -> u32 {
    if with_current(|task| task.kernel().is_sim()) { 0 } else { super::real::pauses() }
}

/// A place where the simulated world may let another task go on; nothing in the real one.
#[inline]
pub fn point() {
    with_current(|task| {
        if task.kernel().preempts() {
            task.kernel().world().point(task);
        }
    });
}

/// To be called by functions that only ask for state (`is_set`, `active_count`): a loop around them must not stop
/// simulated time for ever.
#[inline]
pub fn query() {
    with_current(|task| {
        if task.kernel().is_sim() {
            task.kernel().world().query(task);
        }
    });
}

/// Stops the current task for `time`; for ever with `None`. That is until a signal or a cancellation comes: in the real
/// world nobody's mistake, in the simulated one a deadlock once no task is left that could go on.
///
/// # Errors
/// [`Stop`], but never [`Stop::TimedOut`].
pub fn sleep(time: Option<Duration>) -> Result<(), Stop> {
    match block(&mut Sleep, time) {
        Err(Stop::TimedOut) => Ok(()),
        Err(stop) => Err(stop),
        Ok(never) => match never {},
    }
}

struct Sleep;

enum Never {}

impl Operation for Sleep {
    type Output = Never;

    fn poll(&mut self, _waker: &Waker) -> Poll<Never> {
        Poll::Pending
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        Arc::new(Time(with_current(|task| ObjectCore::of_time(task.kernel()))))
    }

    fn verb(&self) -> &'static str {
        "sleep"
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// Time, as something to wait for.
struct Time(Arc<ObjectCore>);

impl Waitable for Time {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.0
    }

    fn enders(&self) -> Enders {
        Enders::Nobody
    }
}

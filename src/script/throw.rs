//! Errors on their way through a script.
//!
//! A script sees an error as a map with `kind`, `message`, `line`, `source` and the fields of its kind. What cannot be
//! caught (the end of the program, `exit`, a cancellation that a loop did not hear) travels as Rhai's `ErrorTerminated`
//! with an [`Ending`].

use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, Map, NativeCallContext, Position};

use super::arguments::called;
use super::handler::Raised;
use super::host::{mark, with_host};
use crate::exec::ExecFault;
use crate::io::fault::FileFault;
use crate::kernel::deadlock::Report;
use crate::kernel::{Site, Stop};
use crate::signals::Signal;
use crate::sync::Fault;
use crate::worker::connection::ConnectionFault;
use crate::worker::listener::ListenFault;

/// An error of Rhai's.
pub type Thrown = Box<EvalAltResult>;

/// What a function of the script's vocabulary returns.
pub type Outcome<T> = Result<T, Thrown>;

/// Why a script ends without an error that it could catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The program is over.
    Over,
    /// `exit(n)` was called in this task.
    Exit(i32),
    /// It was cancelled and did not listen.
    Cancelled,
    /// The program got this signal and the main script did not listen.
    Interrupted(u32),
}

impl Ending {
    /// As an error that `try` does not catch.
    pub fn thrown(self, position: Position) -> Thrown {
        EvalAltResult::ErrorTerminated(Dynamic::from(self), position).into()
    }

    /// The ending that an error stands for.
    pub fn of(error: &EvalAltResult) -> Option<Ending> {
        match innermost(error) {
            EvalAltResult::ErrorTerminated(token, _) => token.clone().try_cast::<Ending>(),
            _ => None,
        }
    }
}

/// The error inside the calls it came through.
pub fn innermost(mut error: &EvalAltResult) -> &EvalAltResult {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    error
}

/// An error that is made field by field.
pub struct Problem {
    map: Map,
    position: Position,
}

impl Problem {
    /// An error of `kind` at the place of the call.
    pub fn new(ctx: &NativeCallContext, kind: &str, message: impl Into<String>) -> Problem {
        Self::at(ctx.call_source(), ctx.call_position(), kind, message)
    }

    /// An error of `kind` at a place.
    pub fn at(source: Option<&str>, position: Position, kind: &str, message: impl Into<String>) -> Problem {
        let mut map = Map::new();
        map.insert("kind".into(), kind.into());
        map.insert("message".into(), message.into().into());
        if let Some(line) = position.line() {
            map.insert("line".into(), Dynamic::from(i64::try_from(line).unwrap_or(i64::MAX)));
        }
        map.insert("source".into(), source.unwrap_or("").into());
        Problem { map, position }
    }

    /// An error that was caught, to be thrown again from this call.
    pub fn again(ctx: &NativeCallContext, map: Map) -> Problem {
        Problem { map, position: ctx.call_position() }
    }

    /// One more field.
    pub fn with(mut self, field: &str, value: impl Into<Dynamic>) -> Problem {
        self.map.insert(field.into(), value.into());
        self
    }

    /// More fields, which take the place of those that are there.
    pub fn with_all(mut self, fields: Map) -> Problem {
        self.map.extend(fields);
        self
    }

    /// As an error of Rhai's.
    pub fn thrown(self) -> Thrown {
        EvalAltResult::ErrorRuntime(self.map.into(), self.position).into()
    }
}

/// Throws an error of `kind`.
///
/// # Errors
/// Always that one.
pub fn throw<T>(ctx: &NativeCallContext, kind: &str, message: impl Into<String>) -> Outcome<T> {
    Err(Problem::new(ctx, kind, message).thrown())
}

/// Something that can go wrong below, and how a script sees it.
pub trait IntoThrown {
    /// The error for the call `ctx`, which was given `limit` to wait.
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown;
}

impl IntoThrown for Thrown {
    fn into_thrown(self, _ctx: &NativeCallContext, _limit: Option<Duration>) -> Thrown {
        self
    }
}

impl IntoThrown for Stop {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let problem = match self {
            Stop::Ended => return Ending::Over.thrown(ctx.call_position()),
            Stop::TimedOut => {
                let waited = limit.map_or_else(String::new, |l| format!(" after {} s", l.as_secs_f64()));
                Problem::new(ctx, "TimeoutError", format!("{}() timed out{waited}", called(ctx)))
            }
            Stop::Cancelled => {
                let message = format!("this thread was cancelled in {}()", called(ctx));
                Problem::new(ctx, "Cancelled", message).with("what", "thread")
            }
            Stop::Interrupted(signal) => Problem::new(ctx, "Interrupted", "").with_all(interruption(signal)),
            Stop::Handler(error) => return Raised::of_stop(&error).thrown(ctx.call_position()),
            Stop::Deadlock(report) => deadlock(ctx, &report),
        };
        problem.thrown()
    }
}

/// What is said of a signal, without its place.
pub fn interruption(signal: u32) -> Map {
    let signal = i32::try_from(signal).ok().and_then(Signal::numbered);
    let name = signal.map_or("a signal", |signal| signal.name);
    Map::from([
        ("kind".into(), "Interrupted".into()),
        ("message".into(), format!("interrupted by {name}").into()),
        ("signal".into(), name.into()),
    ])
}

fn deadlock(ctx: &NativeCallContext, report: &Arc<Report>) -> Problem {
    let mut text = with_host(|host| report.text(|site| host.kernel().place(site)));
    if report.tasks.first().is_some_and(|told| told.verb == "sleep") {
        text.push_str("\nin simulated time no signal comes from outside; on the real clock it waits for one");
    }
    let tasks: rhai::Array = report.tasks.iter().map(describe_stuck).collect();
    Problem::new(ctx, "DeadlockError", text).with("tasks", tasks)
}

fn describe_stuck(stuck: &crate::kernel::deadlock::Stuck) -> Dynamic {
    let line = |site: Site| Dynamic::from(i64::from(site.line()));
    let pair = |name: &str, site: Site| -> Dynamic {
        Map::from([("name".into(), name.into()), ("line".into(), line(site))]).into()
    };
    let held_by: rhai::Array = stuck.owners.iter().map(|(name, site)| pair(name, *site)).collect();
    let holds: rhai::Array = stuck.holds.iter().map(|(name, site)| pair(name, *site)).collect();
    Map::from([
        ("task".into(), (&*stuck.name).into()),
        ("waits_in".into(), stuck.verb.into()),
        ("object".into(), stuck.object.clone().into()),
        ("line".into(), line(stuck.site)),
        ("since".into(), stuck.since.as_secs_f64().into()),
        ("held_by".into(), held_by.into()),
        ("holds".into(), holds.into()),
    ])
    .into()
}

impl IntoThrown for Fault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let kind = match &self {
            Fault::Stopped(stop) => return stop.clone().into_thrown(ctx, limit),
            Fault::Abandoned(_) => "AbandonedLock",
            Fault::NotHeld(_) | Fault::NotOwner(..) => "LockError",
            Fault::ReleasedTooOften(..) => "SemaphoreError",
            Fault::BrokenBarrier(_) => "BrokenBarrierError",
            Fault::Full(_) => "Full",
            Fault::Empty(_) => "Empty",
            Fault::Closed(_) => "Closed",
            Fault::CancelledFuture(_) => "Cancelled",
            Fault::Incomparable(_) => "TypeError",
            Fault::DoneTooOften(_) => "ValueError",
        };
        let mut message = self.to_string();
        if kind == "LockError" && ["wait", "wait_for", "notify", "notify_all"].contains(&ctx.fn_name()) {
            message = format!("{}() needs the condition's lock: {message}", called(ctx));
        }
        Problem::new(ctx, kind, message).thrown()
    }
}

impl IntoThrown for ExecFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let kind = match self {
            ExecFault::Sync(fault) => return fault.into_thrown(ctx, limit),
            ExecFault::PoolClosed(_) => "Closed",
            ExecFault::PoolOpen(_) => "ValueError",
            ExecFault::AlreadyStarted(_)
            | ExecFault::NotStarted(_)
            | ExecFault::JoinsItself(_)
            | ExecFault::TooLate(..)
            | ExecFault::StillRuns(_)
            | ExecFault::NoThread(_)
            | ExecFault::NoProcess(_) => "ThreadError",
        };
        Problem::new(ctx, kind, self.to_string()).thrown()
    }
}

impl IntoThrown for ConnectionFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let kind = match &self {
            ConnectionFault::Stopped(stop) => return stop.clone().into_thrown(ctx, limit),
            ConnectionFault::EndOfFile(_) => "EndOfFile",
            ConnectionFault::Closed(_) | ConnectionFault::Moved(_) => "Closed",
            ConnectionFault::System(..) => "IoError",
        };
        Problem::new(ctx, kind, format!("{}(): {self}", called(ctx))).thrown()
    }
}

impl IntoThrown for ListenFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let kind = match &self {
            ListenFault::Stopped(stop) => return stop.clone().into_thrown(ctx, limit),
            ListenFault::Closed(_) => "Closed",
            ListenFault::WrongKey(_) => "AuthenticationError",
            ListenFault::System(..) => "IoError",
        };
        Problem::new(ctx, kind, format!("{}(): {self}", called(ctx))).thrown()
    }
}

impl IntoThrown for FileFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let kind = match &self {
            FileFault::Stopped(stop) => return stop.clone().into_thrown(ctx, limit),
            FileFault::Closed(_) => "Closed",
            FileFault::EndOfInput => "EndOfFile",
            FileFault::System(..) if self.is_missing() => "NotFound",
            FileFault::System(..) => "IoError",
            FileFault::NotText(..) | FileFault::Invalid(_) => "ValueError",
        };
        Problem::new(ctx, kind, format!("{}(): {self}", called(ctx))).thrown()
    }
}

/// An error of a primitive, or of the script function that it calls.
pub enum CallbackError {
    /// The primitive's.
    Fault(Fault),
    /// The function's.
    Script(Thrown),
}

impl From<Fault> for CallbackError {
    fn from(fault: Fault) -> Self {
        CallbackError::Fault(fault)
    }
}

impl From<Thrown> for CallbackError {
    fn from(thrown: Thrown) -> Self {
        CallbackError::Script(thrown)
    }
}

impl IntoThrown for CallbackError {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        match self {
            CallbackError::Fault(fault) => fault.into_thrown(ctx, limit),
            CallbackError::Script(thrown) => thrown,
        }
    }
}

/// Runs one call of a script into the rooms below.
///
/// # Errors
/// What went wrong there, as the script sees it.
#[inline]
pub fn call<T, E: IntoThrown>(ctx: &NativeCallContext, body: impl FnOnce() -> Result<T, E>) -> Outcome<T> {
    call_within(ctx, None, |_| body())
}

/// The same for a call that waits at most `limit`.
///
/// # Errors
/// As [`call`].
#[inline]
pub fn call_within<T, E: IntoThrown>(
    ctx: &NativeCallContext,
    limit: Option<Duration>,
    body: impl FnOnce(Option<Duration>) -> Result<T, E>,
) -> Outcome<T> {
    mark(ctx);
    body(limit).map_err(|e| e.into_thrown(ctx, limit))
}

//! Script functions as bodies of tasks.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Map};

use super::done::Done;
use super::failure::Failure;
use super::function::Callable;
use super::host::{Host, host, run_in};
use super::parcel::{Parcel, is_plain, make_content_over};
use super::statements::kind_of;
use super::throw::{Ending, IntoThrown, Outcome, Problem, Thrown, innermost};
use crate::kernel::events::Event;
use crate::kernel::task::alert;
use crate::kernel::{Holder, ObjectCore, Stop, Task, current};

/// A function with its arguments, to be run by another task.
pub struct Job {
    /// The function.
    pub function: Callable,
    /// `this`, for an object with a `run` function.
    pub this: Option<Dynamic>,
    /// The arguments.
    pub args: Vec<Dynamic>,
}

impl Job {
    /// Runs it in the current task; what it returns will be held by `result`.
    pub fn run(self, host: &Arc<Host>, result: &Arc<ObjectCore>) -> Done {
        let source = self.function.source().map(str::to_string);
        run_in(host, || conclude(self.call(), result, source.as_deref()))
    }

    /// Runs it in the current task, whose holder takes over what the function captured and is given.
    ///
    /// # Errors
    /// Those of the function.
    pub fn call(mut self) -> Outcome<Dynamic> {
        let me = Holder::current();
        let _told = Told::begin(&self.function);
        self.function.move_here();
        self.args.iter_mut().for_each(|arg| make_content_over(arg, &me));
        let result = match &mut self.this {
            None => self.function.call(self.args),
            Some(this) => {
                make_content_over(this, &me);
                self.function.call_on(this, self.args)
            }
        };
        forget_task();
        result
    }
}

/// Tells that the current task runs a function of the script, until it is dropped.
struct Told(Option<Arc<Task>>);

impl Told {
    fn begin(function: &Callable) -> Told {
        let task = current();
        let events = task.kernel().events();
        if !events.on() {
            return Told(None);
        }
        let site = host().site_at(function.source(), function.position());
        events.emit(|| Event::Calls { task: &task, function: function.name(), site });
        Told(Some(task))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.kernel().events().emit(|| Event::Returns { task });
        }
    }
}

/// The current task is over: what it kept for itself goes.
pub fn forget_task() {
    super::local::forget_task();
    super::constants::forget_task();
}

/// What became of a task whose function, from `source`, gave this.
pub fn conclude(result: Outcome<Dynamic>, holder: &Arc<ObjectCore>, source: Option<&str>) -> Done {
    match result {
        Err(error) => failed(error, source),
        Ok(mut value) => match pack(&mut value, holder) {
            Ok(parcel) => Done::Value(parcel),
            Err(error) => failed(error, source),
        },
    }
}

fn pack(value: &mut Dynamic, holder: &Arc<ObjectCore>) -> Outcome<Parcel> {
    if !value.is_shared() && is_plain(value) {
        return Ok(Parcel::plain(std::mem::take(value)));
    }
    let holder = Holder::Object(holder.clone());
    super::iterate::Place::of_loop("return").call(|ctx| Parcel::pack(ctx, std::mem::take(value), &holder))
}

/// What became of a task whose wait was stopped before its function ran.
pub fn stopped(stop: Stop) -> Done {
    failed(super::iterate::Place::of_loop("wait").call(|ctx| stop.into_thrown(ctx, None)), None)
}

/// What became of a task that failed so.
pub fn failed(error: Thrown, source: Option<&str>) -> Done {
    match Ending::of(&error) {
        Some(Ending::Exit(status)) => {
            let kernel = host().kernel().clone();
            match super::process::numbered(&kernel, current().process()) {
                Some(process) => _ = process.end_process(status),
                None => kernel.request_exit(status),
            }
            Done::Over
        }
        Some(Ending::Over) => Done::Over,
        Some(Ending::Cancelled | Ending::Interrupted(_)) => {
            let error = super::iterate::Place::of_loop("this thread").call(|ctx| {
                Problem::new(ctx, "Cancelled", "this thread was cancelled, and ended where it made no blocking call")
                    .with("what", "thread")
                    .thrown()
            });
            Done::Cancelled(Failure::untold(error, source))
        }
        None if is_own_cancellation(&error) || is_aftermath(&error) => Done::Cancelled(Failure::untold(error, source)),
        None => Done::Failed(Failure::of(error, source)),
    }
}

/// The task was told to stop, and before it heard that it met what others left behind that were told the same.
pub fn is_aftermath(error: &EvalAltResult) -> bool {
    let told = current().alerts() & alert::STOPPING != 0;
    told && matches!(
        kind_of(error).as_deref(),
        Some("Cancelled" | "DeadlockError" | "AbandonedLock" | "BrokenBarrierError")
    )
}

/// Not the cancellation of something it waited for.
fn is_own_cancellation(error: &EvalAltResult) -> bool {
    let EvalAltResult::ErrorRuntime(value, _) = innermost(error) else {
        return false;
    };
    let Some(map) = value.read_lock::<Map>() else {
        return false;
    };
    let is = |field: &str, text: &str| map.get(field).is_some_and(|v| v.to_string() == text);
    is("kind", "Cancelled") && is("what", "thread") && !map.contains_key("task")
}

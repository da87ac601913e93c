//! `Future`, `as_completed`, `wait`.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::kernel::{Holder, Stop, Waitable, current, door, with_current};
use crate::script::arguments::{Options, list, seconds, type_for_people};
use crate::script::done::Done;
use crate::script::done_calls;
use crate::script::far;
use crate::script::function::Callable;
use crate::script::futures_of_both;
use crate::script::handles::Future as FutureHandle;
use crate::script::host::{Host, host, mark, run_in};
use crate::script::iterate::{Place, Stream};
use crate::script::parcel::Parcel;
use crate::script::progress::Progress;
use crate::script::throw::{IntoThrown, Outcome, Problem, call, call_within, throw};
use crate::sync;
use crate::sync::Fault;
use crate::sync::future::{Completions, Stage};

/// The result of a future that is over.
pub fn result_of(ctx: &NativeCallContext, future: &Arc<sync::Future<Done>>) -> Outcome<Dynamic> {
    match future.look(|done| done.cloned()) {
        Ok(Some(Done::Value(parcel))) => Ok(Parcel::unpack(parcel)),
        Ok(Some(Done::Failed(failure) | Done::Cancelled(failure))) => Err(failure.thrown(ctx.call_position())),
        Ok(Some(Done::Over) | None) => Ok(Dynamic::UNIT),
        Err(fault) => Err(cancelled(ctx, fault)),
    }
}

/// The same for a future that nobody else asks: a value is moved, however large it is.
///
/// # Errors
/// As [`result_of`].
pub fn only_result_of(ctx: &NativeCallContext, future: &Arc<sync::Future<Done>>) -> Outcome<Dynamic> {
    let value = future.take(|done| match done {
        Done::Value(parcel) => Some(std::mem::replace(parcel, Parcel::plain(Dynamic::UNIT))),
        _ => None,
    });
    match value {
        Some(parcel) => Ok(parcel.unpack()),
        None => result_of(ctx, future),
    }
}

fn cancelled(ctx: &NativeCallContext, fault: Fault) -> crate::script::throw::Thrown {
    match fault {
        Fault::CancelledFuture(_) => {
            Problem::new(ctx, "Cancelled", "this future was cancelled").with("what", "future").thrown()
        }
        fault => fault.into_thrown(ctx, None),
    }
}

/// The error of a future that is over; `()` when it has none.
fn error_of(ctx: &NativeCallContext, future: &FutureHandle) -> Outcome<Dynamic> {
    match future.look(|done| done.cloned()) {
        Ok(Some(Done::Failed(failure) | Done::Cancelled(failure))) => Ok(failure.ask().into()),
        Ok(_) => Ok(Dynamic::UNIT),
        Err(fault) => Err(cancelled(ctx, fault)),
    }
}

/// Futures in a list.
fn futures_in(ctx: &NativeCallContext, value: Dynamic) -> Outcome<Vec<FutureHandle>> {
    list(ctx, "futures", value)?
        .into_iter()
        .map(|item| {
            let given = item.type_name().to_string();
            item.try_cast::<FutureHandle>().map_or_else(
                || {
                    let given = type_for_people(&given);
                    throw(ctx, "TypeError", format!("{}(): futures must be Futures, not {given}", ctx.fn_name()))
                },
                Ok,
            )
        })
        .collect()
}

/// The same without those that are in it twice, as Python has it.
fn distinct(futures: Vec<FutureHandle>) -> Vec<FutureHandle> {
    let mut seen = std::collections::HashSet::new();
    futures.into_iter().filter(|f| seen.insert(f.core().id())).collect()
}

fn objects(futures: &[FutureHandle]) -> Vec<Arc<sync::Future<Done>>> {
    futures.iter().map(|f| f.0.object().clone()).collect()
}

fn stream_completed(
    ctx: &NativeCallContext,
    futures: Vec<FutureHandle>,
    limit: Option<Duration>,
    mut progress: Progress,
) -> Stream {
    let completions = Completions::new(objects(&futures));
    let deadline = limit.map(|l| current().kernel().now().saturating_add(l));
    let place = Place::of(ctx, "as_completed");
    let mut left = futures.len();
    let total = left;
    Stream::new(move || {
        if left == 0 {
            return None;
        }
        let wait = deadline.map(|d| d.saturating_sub(current().kernel().now()));
        let next = place.call(|ctx| match completions.next(wait) {
            Err(Fault::Stopped(Stop::TimedOut)) => {
                throw(ctx, "TimeoutError", format!("{left} (of {total}) futures are not done"))
            }
            other => call(ctx, || other),
        });
        left -= 1;
        progress.advance();
        Some(next.map(|index| Dynamic::from(futures[index].clone())))
    })
}

/// The same for futures that live in another process: it is asked for the next ones again and again.
fn as_completed_far(ctx: &NativeCallContext, futures: Dynamic, options: Map) -> Outcome<Stream> {
    let of_both = futures_of_both::are_of_both(&futures);
    let mut left = list(ctx, "futures", futures)?;
    let mut options = Options::new(options);
    let limit = options.seconds(ctx, "timeout")?;
    let mut progress = Progress::from_options(ctx, &mut options, Some(left.len()))?;
    options.finish(ctx)?;
    let deadline = limit.map(|l| current().kernel().now().saturating_add(l));
    let (place, total) = (Place::of(ctx, "as_completed"), left.len());
    let mut ready: Array = Array::new();
    Ok(Stream::new(move || {
        if ready.is_empty() && !left.is_empty() {
            let rest = deadline.map(|d| d.saturating_sub(current().kernel().now()));
            let options = Map::from([
                ("return_when".into(), "first".into()),
                ("timeout".into(), rest.map_or(Dynamic::UNIT, |rest| rest.as_secs_f64().into())),
            ]);
            let next = place.call(|ctx| {
                let mut found = if of_both {
                    futures_of_both::wait(ctx, left.clone(), rest, &ReturnWhen::First)?
                } else {
                    let found = far::call(ctx, "wait", vec![left.clone().into(), options.into()])?;
                    found.try_cast::<Map>().unwrap_or_default()
                };
                let mut part = |name: &str| found.remove(name).and_then(Dynamic::try_cast::<Array>).unwrap_or_default();
                match (part("done"), part("not_done")) {
                    (done, open) if done.is_empty() => {
                        throw(ctx, "TimeoutError", format!("{} (of {total}) futures are not done", open.len()))
                    }
                    parts => Ok(parts),
                }
            });
            match next {
                Ok((done, open)) => (ready, left) = (done, open),
                Err(error) => {
                    left.clear();
                    return Some(Err(error));
                }
            }
        }
        if ready.is_empty() {
            return None;
        }
        progress.advance();
        Some(Ok(ready.remove(0)))
    }))
}

/// When `wait(futures)` returns.
pub enum ReturnWhen {
    /// When all are over.
    All,
    /// When one is.
    First,
    /// When one has failed, or all are over.
    FirstError,
}

fn return_when(ctx: &NativeCallContext, options: &mut Options) -> Outcome<ReturnWhen> {
    match options.text(ctx, "return_when")?.as_deref() {
        None | Some("all") => Ok(ReturnWhen::All),
        Some("first") => Ok(ReturnWhen::First),
        Some("first_error") => Ok(ReturnWhen::FirstError),
        Some(other) => {
            let message = format!("wait(): return_when must be \"all\", \"first\" or \"first_error\", not {other:?}");
            throw(ctx, "ValueError", message)
        }
    }
}

fn wait_for_futures(
    ctx: &NativeCallContext,
    futures: Vec<FutureHandle>,
    limit: Option<Duration>,
    until: &ReturnWhen,
) -> Outcome<Map> {
    mark(ctx);
    let completions = Completions::new(objects(&futures));
    let deadline = limit.map(|l| current().kernel().now().saturating_add(l));
    for _ in 0..futures.len() {
        let wait = deadline.map(|d| d.saturating_sub(current().kernel().now()));
        let index = match completions.next(wait) {
            Err(Fault::Stopped(Stop::TimedOut)) => break,
            other => call(ctx, || other)?,
        };
        let failed = futures[index].look(|done| matches!(done, Some(Done::Failed(_)))).unwrap_or(false);
        if matches!(until, ReturnWhen::First) || (matches!(until, ReturnWhen::FirstError) && failed) {
            break;
        }
    }
    let (done, not_done): (Vec<_>, Vec<_>) = futures.into_iter().partition(|f| f.is_over());
    let array =
        |futures: Vec<FutureHandle>| -> Dynamic { futures.into_iter().map(Dynamic::from).collect::<Array>().into() };
    Ok(Map::from([("done".into(), array(done)), ("not_done".into(), array(not_done))]))
}

/// Runs a callback in the task that completes a future. Its errors are nobody's to catch: they are told.
pub fn run_callback(host: &Arc<Host>, function: &Callable, argument: Dynamic) {
    run_in(host, || {
        let mut function = function.clone();
        function.move_here();
        if let Err(error) = function.call([argument]) {
            // Dropped unasked: it is told at once.
            drop(crate::script::failure::Failure::of(error, function.source()));
        }
    });
}

#[export_module]
pub mod functions {
    /// Waits for the future and returns its result.
    ///
    /// # Errors
    /// The error of the function; `Cancelled` when it was cancelled; `DeadlockError` when all workers of its pool wait
    /// for futures of the same pool; `Interrupted`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     assert(pool.submit(|| 42).result() == 42);
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn result(ctx: NativeCallContext, future: &mut FutureHandle) -> Outcome<Dynamic> {
        call(&ctx, || future.wait(None))?;
        result_of(&ctx, future)
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `result()`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let f = pool.submit(|| sleep(0.2));
    ///     try { f.result(0.01); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// }
    /// ```
    #[rhai_fn(name = "result", return_raw, pure)]
    pub fn result_within(ctx: NativeCallContext, future: &mut FutureHandle, timeout: Dynamic) -> Outcome<Dynamic> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| future.wait(limit))?;
        result_of(&ctx, future)
    }

    /// Waits for the future and returns its error, or `()` when it has none.
    ///
    /// # Errors
    /// `Cancelled` when it was cancelled; `DeadlockError`, `Interrupted`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     assert(pool.submit(|| 1 / 0).exception().kind == "ErrorArithmetic");
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn exception(ctx: NativeCallContext, future: &mut FutureHandle) -> Outcome<Dynamic> {
        call(&ctx, || future.wait_as("exception", None))?;
        error_of(&ctx, future)
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `exception()`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     assert(pool.submit(|| 1).exception(5) == ());
    /// }
    /// ```
    #[rhai_fn(name = "exception", return_raw, pure)]
    pub fn exception_within(ctx: NativeCallContext, future: &mut FutureHandle, timeout: Dynamic) -> Outcome<Dynamic> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| future.wait_as("exception", limit))?;
        error_of(&ctx, future)
    }

    /// Waits until the future is done or cancelled; returns true. Its error is not thrown.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled` (of this thread), `Interrupted`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool { assert(pool.submit(|| 1).wait()); }
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_future(ctx: NativeCallContext, future: &mut FutureHandle) -> Outcome<bool> {
        call(&ctx, || future.wait_as("wait", None)).map(|()| true)
    }

    /// The same, waiting at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     assert(!pool.submit(|| sleep(0.2)).wait(0.01));
    /// }
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_future_within(ctx: NativeCallContext, future: &mut FutureHandle, timeout: Dynamic) -> Outcome<bool> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        call(&ctx, || match future.wait_as("wait", limit) {
            Err(Fault::Stopped(Stop::TimedOut)) => Ok(false),
            other => other.map(|()| true),
        })
    }

    /// True when it has its result or was cancelled.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let f = pool.submit(|| 1);
    ///     f.wait();
    ///     assert(f.done());
    /// }
    /// ```
    #[rhai_fn(pure)]
    pub fn done(future: &mut FutureHandle) -> bool {
        door::query();
        future.is_over()
    }

    /// True while a worker runs it.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let f = pool.submit(|| 1);
    ///     f.wait();
    ///     assert(!f.running());
    /// }
    /// ```
    #[rhai_fn(pure)]
    pub fn running(future: &mut FutureHandle) -> bool {
        door::query();
        matches!(future.stage(), Stage::Running(_))
    }

    /// True when it was cancelled before it ran.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     pool.submit(|| sleep(0.1));
    ///     let f = pool.submit(|| 1);
    ///     f.cancel();
    ///     assert(f.cancelled());
    /// }
    /// ```
    #[rhai_fn(pure)]
    pub fn cancelled(future: &mut FutureHandle) -> bool {
        door::query();
        future.stage() == Stage::Cancelled
    }

    /// Cancels the future if it does not run yet: true when it is cancelled, now or before. `result()` then throws
    /// `Cancelled`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let first = pool.submit(|| sleep(0.1));
    ///     let second = pool.submit(|| 1);
    ///     assert(second.cancel());
    /// }
    /// ```
    #[rhai_fn(pure)]
    pub fn cancel(future: &mut FutureHandle) -> bool {
        future.cancel()
    }

    /// Cancels the future, also while it runs: its current or next blocking call throws `Cancelled`. A process that goes on for
    /// five seconds after that is killed, and replaced. True unless it was done already.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let f = pool.submit(|| sleep(1000));
    ///     f.stop();
    ///     try { f.result(); } catch (e) { assert(e.kind == "Cancelled"); }
    /// }
    /// ```
    #[rhai_fn(pure)]
    pub fn stop(future: &mut FutureHandle) -> bool {
        future.stop()
    }

    /// Calls `f` with the future when it is done or cancelled, in the thread that brings that about; at once when it is
    /// already. An error of `f` is printed. Given by another process than that of the future, `f` runs in a thread of the process
    /// that gave it, which does not end before.
    ///
    /// # Errors
    /// `CaptureError`, `TypeError` as `Thread(f)`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     let f = pool.submit(|| 42);
    ///     f.add_done_callback(|f| print(f.result()));
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add_done_callback(ctx: NativeCallContext, future: &mut FutureHandle, f: Dynamic) -> Outcome<()> {
        mark(&ctx);
        if with_current(|task| task.kernel().is_sim() && task.process() != future.core().home()) {
            return done_calls::add(&ctx, &Dynamic::from(future.clone()), f);
        }
        let function = Callable::for_other(&ctx, "f", f, &Holder::Outside)?;
        let host = host();
        future.when_over(move |future| {
            run_callback(&host, &function, Dynamic::from(FutureHandle::of(future.clone())));
        });
        Ok(())
    }

    /// Runs over futures in the order in which they end.
    ///
    /// # Errors
    /// `TypeError` when one is no future; then those of waiting.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     let futures = [pool.submit(|| { sleep(0.1); "slow" }), pool.submit(|| "quick")];
    ///     for f in as_completed(futures) { print(f.result()); }
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn as_completed(ctx: NativeCallContext, futures: Dynamic) -> Outcome<Stream> {
        as_completed_opts(ctx, futures, Map::new())
    }

    /// The same with options: `timeout`, seconds for all of them, and `progress`, the label of a progress bar.
    ///
    /// # Errors
    /// `TimeoutError` when not all were done in time, else as `as_completed(futures)`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool {
    ///     for f in as_completed([pool.submit(|| 1)], #{timeout: 5}) { print(f.result()); }
    /// }
    /// ```
    #[rhai_fn(name = "as_completed", return_raw)]
    pub fn as_completed_opts(ctx: NativeCallContext, futures: Dynamic, options: Map) -> Outcome<Stream> {
        mark(&ctx);
        if far::first_in(&futures).is_some() {
            return as_completed_far(&ctx, futures, options);
        }
        let futures = distinct(futures_in(&ctx, futures)?);
        let mut options = Options::new(options);
        let limit = options.seconds(&ctx, "timeout")?;
        let progress = Progress::from_options(&ctx, &mut options, Some(futures.len()))?;
        options.finish(&ctx)?;
        Ok(stream_completed(&ctx, futures, limit, progress))
    }

    /// Waits until all futures are done; returns a map with the arrays `done` and `not_done`.
    ///
    /// # Errors
    /// `TypeError` when one is no future; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     let r = wait([pool.submit(|| 1), pool.submit(|| 2)]);
    ///     assert(r.done.len() == 2 && r.not_done.len() == 0);
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait(ctx: NativeCallContext, futures: Dynamic) -> Outcome<Map> {
        wait_opts(ctx, futures, Map::new())
    }

    /// The same with options: `timeout` in seconds (what is not done by then is in `not_done`), and `return_when`: `"all"`,
    /// `"first"`, or `"first_error"`.
    ///
    /// # Errors
    /// `ValueError` for another `return_when`, else as `wait(futures)`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     let r = wait([pool.submit(|| sleep(0.2)), pool.submit(|| 1)], #{return_when: "first"});
    ///     assert(r.done.len() == 1);
    /// }
    /// ```
    #[rhai_fn(name = "wait", return_raw)]
    pub fn wait_opts(ctx: NativeCallContext, futures: Dynamic, options: Map) -> Outcome<Map> {
        if futures_of_both::are_of_both(&futures) {
            let mut options = Options::new(options);
            let limit = options.seconds(&ctx, "timeout")?;
            let until = return_when(&ctx, &mut options)?;
            options.finish(&ctx)?;
            return futures_of_both::wait(&ctx, list(&ctx, "futures", futures)?, limit, &until);
        }
        if far::first_in(&futures).is_some() {
            let found = far::call(&ctx, "wait", vec![futures, options.into()])?;
            return Ok(found.try_cast::<Map>().unwrap_or_default());
        }
        let futures = distinct(futures_in(&ctx, futures)?);
        let mut options = Options::new(options);
        let limit = options.seconds(&ctx, "timeout")?;
        let until = return_when(&ctx, &mut options)?;
        options.finish(&ctx)?;
        wait_for_futures(&ctx, futures, limit, &until)
    }
}

//! The results of calls over a whole list, as one future of an array.
//!
//! Where nobody says how many calls a job has, a pool of processes is given a few jobs at a time, and more as they are done:
//! chunks grow while the calls are short, so that many short ones cost little and few long ones are shared evenly.

use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{Array, Dynamic, NativeCallContext};

use super::calls::Calls;
use super::chunks::Chunks;
use super::done::Done;
use super::failure::Failure;
use super::function::Callable;
use super::host::{Host, host, run_in};
use super::iterate::Place;
use super::jobs::{JobFuture, JobPool, Mapping, chunk_result, count_as_seen, submit_chunk};
use super::progress::Progress;
use super::tasks::conclude;
use super::throw::{Outcome, Thrown};
use crate::kernel::{Enders, Waitable, current};
use crate::sync::Future;
use crate::sync::future::Stage;

/// What is left, and what became of the rest.
struct State {
    calls: Calls,
    chunks: Chunks,
    /// In the order of the calls; those that are being handed over are missing.
    parts: Vec<Option<JobFuture>>,
    /// How many of the parts are not over.
    open: usize,
    is_over: bool,
    /// No more are handed over, since nobody wants them, or this happened.
    stopped: Option<Option<Thrown>>,
    progress: Progress,
}

/// Calls on their way.
struct Gathering {
    host: Arc<Host>,
    place: Place,
    pool: Arc<JobPool>,
    function: Callable,
    whole: JobFuture,
    state: Mutex<State>,
}

/// Hands the calls to the pool.
///
/// # Errors
/// `Closed`; what cannot be handed over.
pub fn gather(ctx: &NativeCallContext, pool: &Arc<JobPool>, mapping: Mapping, calls: Calls) -> Outcome<JobFuture> {
    let chunks = match mapping.chunk {
        Some(size) => Chunks::of(size),
        None if pool.on.is_processes() => Chunks::growing(pool.size(), current().kernel().now()),
        None => Chunks::of(1),
    };
    if chunks.is_growing() {
        // What is handed over later must not be what cannot be.
        super::errand::check_calls(ctx, &mapping.function, &calls, || pool.inspection())?;
    }
    let whole = Arc::new_cyclic(|gathering: &std::sync::Weak<Gathering>| {
        let seen = gathering.clone();
        let runners = Arc::new(move || seen.upgrade().map_or(Enders::Nobody, |gathering| gathering.enders()));
        Gathering {
            host: host(),
            place: Place::of(ctx, "map"),
            pool: pool.clone(),
            function: mapping.function,
            whole: Future::new("Future", Some(runners)),
            state: Mutex::new(State {
                calls,
                chunks,
                parts: Vec::new(),
                open: 0,
                is_over: false,
                stopped: None,
                progress: mapping.progress,
            }),
        }
    });
    whole.feed(ctx, false)?;
    whole.finish_if_over();
    Ok(whole.whole.clone())
}

impl Gathering {
    fn enders(&self) -> Enders {
        let Some(state) = self.state.try_lock() else {
            return Enders::Somebody;
        };
        // Whoever makes a part, or all of it, goes on.
        if state.is_over || state.parts.iter().any(Option::is_none) {
            return Enders::Somebody;
        }
        Enders::AnyOf(state.parts.iter().flatten().map(|part| part.clone() as Arc<dyn Waitable>).collect())
    }

    /// Hands over as many chunks as may be on their way.
    fn feed(self: &Arc<Self>, ctx: &NativeCallContext, late: bool) -> Outcome<()> {
        loop {
            let (at, chunk) = {
                let mut state = self.state.lock();
                if state.stopped.is_some() || state.open >= state.chunks.most_open() {
                    return Ok(());
                }
                let size = state.chunks.next(state.calls.len());
                let chunk = state.calls.take(size);
                if chunk.is_empty() {
                    return Ok(());
                }
                state.open += 1;
                state.parts.push(None);
                (state.parts.len() - 1, chunk)
            };
            let count = chunk.len();
            match submit_chunk(ctx, &self.pool, &self.function, chunk, late) {
                Ok(part) => {
                    self.state.lock().parts[at] = Some(part.clone());
                    let gathering = self.clone();
                    part.when_over(move |part| gathering.is_over(part, count));
                }
                Err(error) => {
                    self.state.lock().open -= 1;
                    return Err(error);
                }
            }
        }
    }

    /// A part of so many calls is over.
    fn is_over(self: &Arc<Self>, part: &JobFuture, count: usize) {
        {
            let mut state = self.state.lock();
            state.open -= 1;
            (0..count).for_each(|_| state.progress.advance());
            state.chunks.is_done(count, self.host.kernel().now());
            if part.stage() == Stage::Cancelled {
                state.stopped.get_or_insert(None);
            }
        }
        let fed = run_in(&self.host, || self.place.call(|ctx| self.feed(ctx, true)));
        if let Err(error) = fed {
            self.state.lock().stopped.get_or_insert(Some(error));
        }
        self.finish_if_over();
    }

    fn finish_if_over(self: &Arc<Self>) {
        let (parts, error) = {
            let mut state = self.state.lock();
            let is_stopped = state.stopped.is_some();
            if state.open > 0 || (!state.calls.is_empty() && !is_stopped) || state.is_over {
                return;
            }
            state.is_over = true;
            let parts: Vec<JobFuture> = std::mem::take(&mut state.parts).into_iter().flatten().collect();
            (parts, state.stopped.take().flatten())
        };
        let first_failure = parts.iter().find_map(|part| part.look(failure_in).unwrap_or_default());
        if let (Some(failure), true) = (first_failure, parts.iter().all(|part| part.stage() != Stage::Cancelled)) {
            // As it is: where this task was made, which happens to be the last, has nothing to do with it.
            count_as_seen(parts.iter().filter(|part| !has_failed_with(part, &failure)));
            self.whole.finish(Done::Failed(failure));
            return;
        }
        let results: Outcome<Array> = run_in(&self.host, || {
            self.place.call(|ctx| {
                let mut all = Array::new();
                for part in &parts {
                    all.append(&mut chunk_result(ctx, part, None)?);
                }
                error.map_or(Ok(all), Err)
            })
        });
        if results.is_err() {
            count_as_seen(parts.iter());
        }
        let whole = &self.whole;
        whole.finish(run_in(&self.host, || -> Done { conclude(results.map(Dynamic::from_array), whole.core(), None) }));
    }
}

fn has_failed_with(part: &JobFuture, failure: &Arc<Failure>) -> bool {
    matches!(part.look(failure_in), Ok(Some(its)) if Arc::ptr_eq(&its, failure))
}

fn failure_in(done: Option<&Done>) -> Option<Arc<Failure>> {
    match done {
        Some(Done::Failed(failure)) => Some(failure.clone()),
        _ => None,
    }
}

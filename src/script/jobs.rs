//! Script functions as jobs of a thread pool: one by one, over lists, as streams of results.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::api::future::only_result_of;
use super::arguments::{Options, list};
use super::calls::Calls;
use super::done::Done;
use super::encode::{Inspection, Way};
use super::errand;
use super::function::{Callable, pack_arguments};
use super::host::{host, mark, run_in};
use super::iterate::{Place, Stream};
use super::luggage::Packed;
use super::parcel::Parcel;
use super::progress::Progress;
use super::series::Series;
use super::tasks::{Job, conclude, forget_task};
use super::team::Team;
use super::throw::{Outcome, call, throw};
use crate::exec::Pool;
use crate::exec::errands::Errand;
use crate::exec::pool::{Agents, Body, Plan};
use crate::kernel::{Holder, ObjectCore, Stop, Waitable, current};
use crate::sync::future::Completions;
use crate::sync::{Fault, Future};

/// A pool of script functions, on threads or on processes.
pub struct JobPool {
    threads: Arc<Pool<Done>>,
    /// Who does the jobs.
    pub(super) on: On,
    /// A job whose process died is done again.
    tries_again: bool,
}

impl JobPool {
    /// Looks at what goes to a process of it. What would move there is not there any more for another try.
    pub(super) fn inspection(&self) -> Inspection<'static> {
        let mut inspection = Inspection::of(Way::Down);
        inspection.copies_only(self.tries_again);
        inspection
    }
}

impl std::ops::Deref for JobPool {
    type Target = Pool<Done>;

    fn deref(&self) -> &Pool<Done> {
        &self.threads
    }
}

impl Waitable for JobPool {
    fn core(&self) -> &Arc<ObjectCore> {
        self.threads.core()
    }

    fn state(&self) -> String {
        self.threads.state()
    }
}

/// A future of one.
pub type JobFuture = Arc<Future<Done>>;

/// Hands `f` with these arguments to the pool.
///
/// # Errors
/// `CaptureError`, `TypeError` as for threads; `Closed`.
pub fn submit(ctx: &NativeCallContext, pool: &JobPool, f: Dynamic, args: Array) -> Outcome<JobFuture> {
    mark(ctx);
    // Who waits for its turn may get it at any time.
    let function = Callable::for_other(ctx, "f", f, &Holder::Outside)?;
    let args = pack_arguments(ctx, args, &Holder::Outside)?;
    submit_packed(ctx, pool, function, args)
}

/// The same with what is packed already.
///
/// # Errors
/// `Closed`.
pub fn submit_packed(
    ctx: &NativeCallContext,
    pool: &JobPool,
    function: Callable,
    args: Vec<Dynamic>,
) -> Outcome<JobFuture> {
    let future = pool.new_future();
    let (host, core) = (host(), future.core().clone());
    let job = Job { function, this: None, args };
    let body = match pool.on {
        On::Processes => Body::Elsewhere(Errand {
            name: job.function.name().to_string(),
            content: errand::pack(ctx, &job, pool.inspection())?,
        }),
        On::Threads => Body::Here(Box::new(move || job.run(&host, &core))),
    };
    call(ctx, || pool.submit_for(future.clone(), body))?;
    Ok(future)
}

/// Hands many calls to the pool as one job, whose result is the array of the results; also when it is closed,
/// where `late`.
pub(super) fn submit_chunk(
    ctx: &NativeCallContext,
    pool: &JobPool,
    function: &Callable,
    chunk: Calls,
    late: bool,
) -> Outcome<JobFuture> {
    let future = pool.new_future();
    let hand = |body| {
        call(ctx, || if late { pool.submit_late(future.clone(), body) } else { pool.submit_for(future.clone(), body) })
    };
    if pool.on.is_processes() {
        let errand = Errand {
            name: function.name().to_string(),
            content: errand::pack_each(ctx, function, &chunk, pool.inspection())?,
        };
        hand(Body::Elsewhere(errand))?;
        return Ok(future);
    }
    let (host, core, mut function) = (host(), future.core().clone(), function.clone());
    let body = move || {
        run_in(&host, || {
            function.move_here();
            let results = Series::of(&function, &chunk).call_all(chunk);
            forget_task();
            conclude(results.map(Dynamic::from_array), &core, function.source())
        })
    };
    hand(Body::Here(Box::new(body)))?;
    Ok(future)
}

/// What `map` and its kind are asked for.
pub struct Mapping {
    pub(super) function: Callable,
    /// How many calls a job has, where that was asked for.
    pub(super) chunk: Option<usize>,
    /// Time for all of it.
    limit: Option<Duration>,
    pub(super) progress: Progress,
}

impl Mapping {
    /// A function and options: `chunksize`, `progress`, and where `timed`, `timeout`.
    ///
    /// # Errors
    /// `CaptureError`, `TypeError`, `ValueError`.
    pub fn new(
        ctx: &NativeCallContext,
        f: Dynamic,
        mut options: Options,
        timed: bool,
        total: Option<usize>,
    ) -> Outcome<Mapping> {
        mark(ctx);
        let chunk = options.count(ctx, "chunksize", 1)?;
        let limit = if timed { options.seconds(ctx, "timeout")? } else { None };
        let progress = Progress::from_options(ctx, &mut options, total)?;
        options.finish(ctx)?;
        let function = Callable::for_other(ctx, "f", f, &Holder::Outside)?;
        Ok(Mapping { function, chunk, limit, progress })
    }

    /// Hands all of it to the pool at once.
    ///
    /// # Errors
    /// `Closed`.
    fn submit_all(&self, ctx: &NativeCallContext, pool: &JobPool, calls: Vec<Array>) -> Outcome<Vec<JobFuture>> {
        let mut calls = calls.into_iter();
        let mut futures = Vec::new();
        loop {
            let chunk: Vec<Array> = calls.by_ref().take(self.chunk.unwrap_or(1)).collect();
            if chunk.is_empty() {
                return Ok(futures);
            }
            let chunk = Calls::of_lists(ctx, chunk)?;
            futures.push(submit_chunk(ctx, pool, &self.function, chunk, false)?);
        }
    }
}

/// The argument lists of `f(a, b)` over several lists, as far as the shortest goes.
///
/// # Errors
/// `TypeError` when one is no list.
pub fn zipped(ctx: &NativeCallContext, lists: Vec<Dynamic>) -> Outcome<Vec<Array>> {
    let lists = lists.into_iter().map(|l| list(ctx, "list", l)).collect::<Outcome<Vec<_>>>()?;
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    let mut columns: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    Ok((0..shortest).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect())
}

/// Futures that are cancelled when nobody wants their results any more.
struct Open(VecDeque<JobFuture>);

impl Drop for Open {
    fn drop(&mut self) {
        for future in &self.0 {
            future.cancel();
        }
    }
}

/// All is handed over at once; the results come in order.
///
/// # Errors
/// `Closed`; the stream throws what the functions threw, and `TimeoutError`.
pub fn stream_in_order(
    ctx: &NativeCallContext,
    pool: &JobPool,
    mut mapping: Mapping,
    calls: Vec<Array>,
) -> Outcome<Stream> {
    let mut open = Open(mapping.submit_all(ctx, pool, calls)?.into());
    let deadline = mapping.limit.map(|l| current().kernel().now().saturating_add(l));
    let place = Place::of(ctx, "map");
    let mut ready = VecDeque::new();
    Ok(Stream::new(move || {
        loop {
            if let Some(value) = ready.pop_front() {
                mapping.progress.advance();
                return Some(Ok(value));
            }
            let future = open.0.pop_front()?;
            let left = deadline.map(|d| d.saturating_sub(current().kernel().now()));
            match place.call(|ctx| chunk_result(ctx, &future, left)) {
                Ok(values) => ready.extend(values),
                Err(error) => {
                    let rest = Open(std::mem::take(&mut open.0));
                    if future.is_over() {
                        count_as_seen(&rest.0);
                    }
                    return Some(Err(error));
                }
            }
        }
    }))
}

/// One of them has failed and that was thrown, for all of them: nobody is told of the failures that come after it.
pub(super) fn count_as_seen<'a>(rest: impl IntoIterator<Item = &'a JobFuture>) {
    for future in rest {
        future.when_over(|future| {
            if let Ok(Some(Done::Failed(failure))) = future.look(|done| done.cloned()) {
                failure.count_as_seen();
            }
        });
    }
}

pub(super) fn chunk_result(ctx: &NativeCallContext, future: &JobFuture, left: Option<Duration>) -> Outcome<Array> {
    super::throw::call_within(ctx, left, |left| future.wait(left))?;
    Ok(only_result_of(ctx, future)?.try_cast::<Array>().unwrap_or_default())
}

/// Results as they are asked for, in order or as they come, with a bounded number of jobs ahead; the input is read as
/// needed.
///
/// # Errors
/// `TypeError` when `items` is no list; `Closed`.
pub fn stream_ahead(
    ctx: &NativeCallContext,
    pool: &Arc<JobPool>,
    mut mapping: Mapping,
    items: Dynamic,
    in_order: bool,
) -> Outcome<Stream> {
    let given = items.type_name().to_string();
    let Some(mut input) = super::iterate::over(ctx, items) else {
        return throw(ctx, "TypeError", super::arguments::wrong_type(ctx, "list", "a list", &given));
    };
    let place = Place::of(ctx, "imap");
    let pool = pool.clone();
    let ahead = pool.size().saturating_mul(2).saturating_add(2);
    let chunk_size = mapping.chunk.unwrap_or(1);
    let mut open = Open(VecDeque::new());
    let mut exhausted = false;
    let mut ready = VecDeque::new();
    let mut fill = move |ctx: &NativeCallContext, open: &mut Open, mapping: &Mapping| -> Outcome<()> {
        while !exhausted && open.0.len() < ahead {
            let chunk = input.by_ref().take(chunk_size).collect::<Outcome<Vec<_>>>()?;
            exhausted = chunk.len() < chunk_size;
            if chunk.is_empty() {
                break;
            }
            let chunk = Calls::of_one(ctx, chunk)?;
            open.0.push_back(submit_chunk(ctx, &pool, &mapping.function, chunk, false)?);
        }
        Ok(())
    };
    // The work begins before anybody asks for a result.
    fill(ctx, &mut open, &mapping)?;
    Ok(Stream::new(move || {
        loop {
            if let Some(value) = ready.pop_front() {
                mapping.progress.advance();
                return Some(Ok(value));
            }
            let step = place.call(|ctx| {
                fill(ctx, &mut open, &mapping)?;
                let Some(future) = next_over(ctx, &mut open, in_order)? else {
                    return Ok(None);
                };
                let result = chunk_result(ctx, &future, None);
                if result.is_err() && future.is_over() {
                    count_as_seen(&open.0);
                }
                result.map(Some)
            });
            match step {
                Ok(Some(values)) => ready.extend(values),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }))
}

fn next_over(ctx: &NativeCallContext, open: &mut Open, in_order: bool) -> Outcome<Option<JobFuture>> {
    if in_order || open.0.is_empty() {
        return Ok(open.0.pop_front());
    }
    let at = match open.0.iter().position(|f| f.is_over()) {
        Some(at) => at,
        None => call(ctx, || Completions::new(open.0.iter().cloned().collect()).next(None))?,
    };
    Ok(open.0.remove(at))
}

/// What a pool is made of, from the options of the contract.
///
/// # Errors
/// `TypeError`, `ValueError`, `CaptureError`.
pub fn make_pool(
    ctx: &NativeCallContext,
    on: On,
    kind: &'static str,
    size: Option<Dynamic>,
    options: Map,
) -> Outcome<Arc<JobPool>> {
    mark(ctx);
    let size = match size {
        Some(size) => super::arguments::count(ctx, "n", &size, 1)?,
        None if on.is_processes() => std::thread::available_parallelism().map_or(1, |n| n.get()),
        None => std::thread::available_parallelism().map_or(1, |n| n.get()).saturating_add(4).min(32),
    };
    let mut options = Options::new(options);
    let name = options.text(ctx, "name")?;
    let initializer = options.take("initializer").filter(|f| !f.is_unit());
    let initargs = options.take("initargs").filter(|a| !a.is_unit());
    let jobs_per_worker = options.count(ctx, "max_tasks_per_child", 1)?;
    let retries = options.count(ctx, "retries", 0)?.unwrap_or(0);
    options.finish(ctx)?;
    let broken: fn(&Done) -> Done = Clone::clone;
    if !on.is_processes() {
        // A thread does not die of itself, so there is nothing to try again.
        let initializer = initializer.map(|f| initializer_job(ctx, f, initargs)).transpose()?;
        let plan = Plan { kind, size, name, initializer, agents: None, jobs_per_worker, broken };
        return Ok(Arc::new(JobPool { threads: Pool::new(plan), on, tries_again: false }));
    }
    let initializer = initializer.map(|f| initializer_errand(ctx, f, initargs)).transpose()?;
    let team = Team { host: host(), initializer, retries };
    let agents: Agents<Done> = Arc::new(move || team.agent());
    let plan = Plan { kind, size, name, initializer: None, agents: Some(agents), jobs_per_worker, broken };
    Ok(Arc::new(JobPool { threads: Pool::new(plan), on, tries_again: retries > 0 }))
}

/// What does the jobs of a pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Threads.
    Threads,
    /// Processes.
    Processes,
}

impl On {
    pub(super) fn is_processes(self) -> bool {
        self == On::Processes
    }
}

fn initializer_errand(ctx: &NativeCallContext, f: Dynamic, args: Option<Dynamic>) -> Outcome<Packed> {
    let function = Callable::for_other(ctx, "option initializer", f, &Holder::Outside)?;
    let args = args.map_or(Ok(Array::new()), |a| list(ctx, "option initargs", a))?;
    let args = pack_arguments(ctx, args, &Holder::Outside)?;
    errand::pack_for_all(ctx, &Job { function, this: None, args })
}

type Initializer = Arc<dyn Fn() -> Done + Send + Sync>;

fn initializer_job(ctx: &NativeCallContext, f: Dynamic, args: Option<Dynamic>) -> Outcome<Initializer> {
    let function = Callable::for_other(ctx, "option initializer", f, &Holder::Outside)?;
    let args = args.map_or(Ok(Array::new()), |a| list(ctx, "option initargs", a))?;
    let args = pack_arguments(ctx, args, &Holder::Outside)?;
    let host = host();
    Ok(Arc::new(move || {
        let (mut function, args) = (function.clone(), args.clone());
        run_in(&host, || {
            function.move_here();
            match function.call(args) {
                // Nobody asks for what an initializer returns.
                Ok(_) => Done::Value(Parcel::plain(Dynamic::UNIT)),
                Err(error) => super::tasks::failed(error, function.source()),
            }
        })
    }))
}

/// Waits for one future after the other, at most `limit` in all: false when the time was up.
///
/// # Errors
/// Those of waiting.
pub fn wait_for_all(ctx: &NativeCallContext, futures: &[JobFuture], limit: Option<Duration>) -> Outcome<bool> {
    mark(ctx);
    let deadline = limit.map(|l| current().kernel().now().saturating_add(l));
    for future in futures {
        let left = deadline.map(|d| d.saturating_sub(current().kernel().now()));
        match future.wait_as("wait", left) {
            Err(Fault::Stopped(Stop::TimedOut)) => return Ok(false),
            other => call(ctx, || other)?,
        }
    }
    Ok(true)
}

//! `ThreadPoolExecutor`; what it has, `ProcessPoolExecutor` has too (`script::process_pools`).

use rhai::plugin::*;
use rhai::{Array, Dynamic, FuncRegistration, Map, Module, NativeCallContext};

use crate::script::arguments::Options;
use crate::script::handles::{Executor as ExecutorHandle, Future as FutureHandle, ProcessExecutor};
use crate::script::host::mark;
use crate::script::iterate::Stream;
use crate::script::jobs::{self, Mapping, On, zipped};
use crate::script::throw::{Outcome, call};

fn submit_to(ctx: &NativeCallContext, pool: &ExecutorHandle, f: Dynamic, args: Array) -> Outcome<FutureHandle> {
    jobs::submit(ctx, pool, f, args).map(FutureHandle::of)
}

/// The last argument is the options if it is a map, which is no list.
fn map_over(ctx: &NativeCallContext, pool: &ExecutorHandle, f: Dynamic, mut lists: Vec<Dynamic>) -> Outcome<Stream> {
    let options = match lists.last() {
        Some(last) if last.is_map() && lists.len() > 1 => lists.pop().and_then(Dynamic::try_cast::<Map>),
        _ => None,
    };
    let calls = zipped(ctx, lists)?;
    let mapping = Mapping::new(ctx, f, Options::new(options.unwrap_or_default()), true, Some(calls.len()))?;
    jobs::stream_in_order(ctx, pool, mapping, calls)
}

fn shut_down(ctx: &NativeCallContext, pool: &ExecutorHandle, options: Map) -> Outcome<()> {
    mark(ctx);
    let mut options = Options::new(options);
    let wait = options.flag(ctx, "wait")?.unwrap_or(true);
    let cancel = options.flag(ctx, "cancel_futures")?.unwrap_or(false);
    options.finish(ctx)?;
    pool.close();
    if cancel {
        pool.cancel_pending();
    }
    if wait { call(ctx, || pool.join(None)) } else { Ok(()) }
}

macro_rules! with_more_arguments {
    ($module:ident, $name:literal, $more:ident, $call:ident, $($arg:ident)+) => {{
        let params = ["pool: &mut ThreadPoolExecutor", "f: Dynamic", $(concat!(stringify!($arg), ": Dynamic")),+, "Dynamic"];
        FuncRegistration::new($name)
            .with_purity(true)
            .with_params_info(params)
            .with_comments($more)
            .set_into_module(
                $module,
                |ctx: NativeCallContext, pool: &mut ExecutorHandle, f: Dynamic, $($arg: Dynamic),+| {
                    $call(&ctx, pool, f, vec![$($arg),+])
                },
            );
    }};
}

/// What stands in the reference for all forms with several arguments, and with several lists.
const MORE: &[&str] = &[
    "/// The same with several arguments for `f`, up to six.",
    "///",
    "/// # Errors",
    "/// As `submit(f)`.",
    "///",
    "/// ```rhai",
    "/// with ThreadPoolExecutor(1) as pool { assert(pool.submit(|a, b| a - b, 44, 2).result() == 42); }",
    "/// ```",
];
const LISTS: &[&str] = &[
    "/// The same over several lists, up to five: `f` gets an item of each, as far as the shortest goes. The last may be",
    "/// the options instead.",
    "///",
    "/// # Errors",
    "/// As `map(f, list)`.",
    "///",
    "/// ```rhai",
    "/// with ThreadPoolExecutor(2) as pool {",
    "///     assert(pool.map(|a, b| a + b, [1, 2], [10, 20]).to_array() == [11, 22]);",
    "/// }",
    "/// ```",
];

/// The forms with several arguments and several lists.
pub fn register(module: &mut Module) {
    const NONE: &[&str] = &[];
    with_more_arguments!(module, "submit", MORE, submit_to, a b);
    with_more_arguments!(module, "submit", NONE, submit_to, a b c);
    with_more_arguments!(module, "submit", NONE, submit_to, a b c d);
    with_more_arguments!(module, "submit", NONE, submit_to, a b c d e);
    with_more_arguments!(module, "submit", NONE, submit_to, a b c d e g);
    with_more_arguments!(module, "map", LISTS, map_over, a b);
    with_more_arguments!(module, "map", NONE, map_over, a b c);
    with_more_arguments!(module, "map", NONE, map_over, a b c d);
    with_more_arguments!(module, "map", NONE, map_over, a b c d e);
}

#[export_module]
pub mod functions {
    /// Makes a pool of threads, at most as many as there are processors and four more.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor() as pool { print(pool.submit(|| 1).result()); }
    /// ```
    #[rhai_fn(name = "ThreadPoolExecutor", return_raw)]
    pub fn new_executor(ctx: NativeCallContext) -> Outcome<ExecutorHandle> {
        jobs::make_pool(&ctx, On::Threads, "ThreadPoolExecutor", None, Map::new()).map(ExecutorHandle::of)
    }

    /// Makes a pool of at most `n` threads, which are started as they are needed. `with pool { … }` shuts it down at the
    /// end and waits for its work.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(3) as pool {
    ///     let futures = [4, 1, 2].map(|n| pool.submit(|n| n * n, n));
    ///     for f in futures { print(f.result()); }
    /// }
    /// ```
    #[rhai_fn(name = "ThreadPoolExecutor", return_raw)]
    pub fn new_executor_of(ctx: NativeCallContext, n: Dynamic) -> Outcome<ExecutorHandle> {
        jobs::make_pool(&ctx, On::Threads, "ThreadPoolExecutor", Some(n), Map::new()).map(ExecutorHandle::of)
    }

    /// Makes a pool with options: `name` of its threads, `initializer` (a function each thread runs first) with
    /// `initargs`, `max_tasks_per_child` (after so many jobs a thread is replaced).
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1 or an option is not known.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2, #{name: "cook"}) as pool {
    ///     print(pool.submit(|| current_thread().name).result());
    /// }
    /// ```
    #[rhai_fn(name = "ThreadPoolExecutor", return_raw)]
    pub fn new_executor_opts(ctx: NativeCallContext, n: Dynamic, options: Map) -> Outcome<ExecutorHandle> {
        jobs::make_pool(&ctx, On::Threads, "ThreadPoolExecutor", Some(n), options).map(ExecutorHandle::of)
    }

    /// Makes an executor on processes, one for each of the system's CPUs; else as `ThreadPoolExecutor()`. A process that dies
    /// fails the job that it ran, and only that one, with `WorkerDied`, and is replaced.
    ///
    /// # Errors
    /// As `ThreadPoolExecutor(n)`.
    ///
    /// ```rhai
    /// with ProcessPoolExecutor() as pool { assert(pool.submit(|| 6 * 7).result() == 42); }
    /// ```
    #[rhai_fn(name = "ProcessPoolExecutor", return_raw)]
    pub fn new_process_executor(ctx: NativeCallContext) -> Outcome<ProcessExecutor> {
        jobs::make_pool(&ctx, On::Processes, "ProcessPoolExecutor", None, Map::new()).map(ProcessExecutor::of)
    }

    /// The same with at most `n` processes.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1.
    ///
    /// ```rhai
    /// with ProcessPoolExecutor(2) as pool {
    ///     assert(pool.map(|x| x * x, 1..=3).to_array() == [1, 4, 9]);
    /// }
    /// ```
    #[rhai_fn(name = "ProcessPoolExecutor", return_raw)]
    pub fn new_process_executor_of(ctx: NativeCallContext, n: Dynamic) -> Outcome<ProcessExecutor> {
        jobs::make_pool(&ctx, On::Processes, "ProcessPoolExecutor", Some(n), Map::new()).map(ProcessExecutor::of)
    }

    /// The same with options: `name`, `initializer` and `initargs` (run by each process first), `max_tasks_per_child` (a
    /// process is replaced after so many jobs), `retries` (how often a job is run again whose process died;
    /// `tries` of the `WorkerDied` says how often it was tried in all; a `Connection`, which moves to one process, cannot be
    /// given to such jobs).
    ///
    /// # Errors
    /// As `ThreadPoolExecutor(n, options)`; `SendError` when the initializer cannot cross.
    ///
    /// ```rhai
    /// with ProcessPoolExecutor(1, #{max_tasks_per_child: 1}) as pool {
    ///     assert(pool.submit(|| getpid()).result() != pool.submit(|| getpid()).result());
    /// }
    /// ```
    #[rhai_fn(name = "ProcessPoolExecutor", return_raw)]
    pub fn new_process_executor_opts(ctx: NativeCallContext, n: Dynamic, options: Map) -> Outcome<ProcessExecutor> {
        jobs::make_pool(&ctx, On::Processes, "ProcessPoolExecutor", Some(n), options).map(ProcessExecutor::of)
    }

    /// Has one of the threads run `f`; returns a future at once.
    ///
    /// # Errors
    /// `Closed` after the shutdown; `CaptureError`, `TypeError` as `Thread(f)`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool { assert(pool.submit(|| 42).result() == 42); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn submit(ctx: NativeCallContext, pool: &mut ExecutorHandle, f: Dynamic) -> Outcome<FutureHandle> {
        submit_to(&ctx, pool, f, Array::new())
    }

    /// The same with an argument for `f`.
    ///
    /// # Errors
    /// As `submit(f)`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(1) as pool { assert(pool.submit(|n| n + 1, 41).result() == 42); }
    /// ```
    #[rhai_fn(name = "submit", return_raw, pure)]
    pub fn submit_one(
        ctx: NativeCallContext,
        pool: &mut ExecutorHandle,
        f: Dynamic,
        arg: Dynamic,
    ) -> Outcome<FutureHandle> {
        submit_to(&ctx, pool, f, vec![arg])
    }

    /// Has the threads run `f` for each item of a list; returns an iterator over the results in order. All is submitted
    /// at once. Options, as the last argument: `chunksize` (items a job), `timeout` (seconds for all), `progress`.
    ///
    /// # Errors
    /// `Closed` after the shutdown; the iterator throws what `f` threw, and `TimeoutError`.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     for square in pool.map(|n| n * n, 1..4) { print(square); }
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn map(ctx: NativeCallContext, pool: &mut ExecutorHandle, f: Dynamic, list: Dynamic) -> Outcome<Stream> {
        map_over(&ctx, pool, f, vec![list])
    }

    /// Takes no more work and waits for what it has.
    ///
    /// # Errors
    /// `ThreadError` in one of its own threads; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let pool = ThreadPoolExecutor(1);
    /// pool.shutdown();
    /// try { pool.submit(|| 1); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn shutdown(ctx: NativeCallContext, pool: &mut ExecutorHandle) -> Outcome<()> {
        shut_down(&ctx, pool, Map::new())
    }

    /// The same with options: `wait: false` does not wait, `cancel_futures: true` cancels what has not begun.
    ///
    /// # Errors
    /// As `shutdown()`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let pool = ThreadPoolExecutor(1);
    /// pool.shutdown(#{wait: false, cancel_futures: true});
    /// ```
    #[rhai_fn(name = "shutdown", return_raw, pure)]
    pub fn shutdown_opts(ctx: NativeCallContext, pool: &mut ExecutorHandle, options: Map) -> Outcome<()> {
        shut_down(&ctx, pool, options)
    }

    /// All results of an iterator, as an array.
    ///
    /// # Errors
    /// Those of the iterator.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     assert(pool.map(|n| n * n, [1, 2]).to_array() == [1, 4]);
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn to_array(ctx: NativeCallContext, iterator: &mut Stream) -> Outcome<Array> {
        mark(&ctx);
        iterator.clone().collect()
    }

    /// The next result of an iterator; `()` after the last.
    ///
    /// # Errors
    /// Those of the iterator.
    ///
    /// ```rhai
    /// with ThreadPoolExecutor(2) as pool {
    ///     let results = pool.map(|n| n * n, [3]);
    ///     assert(results.next() == 9 && results.next() == ());
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn next(ctx: NativeCallContext, iterator: &mut Stream) -> Outcome<Dynamic> {
        mark(&ctx);
        iterator.clone().next().unwrap_or(Ok(Dynamic::UNIT))
    }
}

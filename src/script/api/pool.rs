//! `ThreadPool`: the pool of `multiprocessing.pool`, on threads, and the requests of the `threadpool` module. What it has, `Pool`
//! has too (`script::process_pools`).

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::kernel::{Holder, door};
use crate::script::api::future::{only_result_of, run_callback};
use crate::script::arguments::{Options, list, seconds};
use crate::script::calls::Calls;
use crate::script::done::Done;
use crate::script::function::{Callable, pack_arguments};
use crate::script::gather::gather;
use crate::script::handles::{Future as FutureHandle, Pool as PoolHandle, ProcessPool};
use crate::script::host::{host, mark};
use crate::script::iterate::Stream;
use crate::script::jobs::{self, JobFuture, Mapping, On};
use crate::script::parcel::Parcel;
use crate::script::requests::RequestPool;
use crate::script::throw::{Outcome, call};

fn make(ctx: &NativeCallContext, on: On, size: Option<Dynamic>, options: Map) -> Outcome<Arc<RequestPool>> {
    let size = size.or_else(|| Some(crate::script::api::time::functions::cpu_count().into()));
    let pool = jobs::make_pool(ctx, on, if on == On::Threads { "ThreadPool" } else { "Pool" }, size, options)?;
    Ok(Arc::new(RequestPool { pool, open: parking_lot::Mutex::default() }))
}

/// What `apply_async` and `map_async` call when it is over.
struct Callbacks {
    callback: Option<Callable>,
    error_callback: Option<Callable>,
}

impl Callbacks {
    /// Those that the options ask for. Read before anything is handed to the pool, so that a wrong option starts nothing.
    fn from_options(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Callbacks> {
        let callback = options.take("callback").filter(|f| !f.is_unit());
        let error_callback = options.take("error_callback").filter(|f| !f.is_unit());
        let packed = |name: &str, f: Dynamic| Callable::for_other(ctx, name, f, &Holder::Outside);
        let callback = callback.map(|f| packed("option callback", f)).transpose()?;
        let error_callback = error_callback.map(|f| packed("option error_callback", f)).transpose()?;
        Ok(Callbacks { callback, error_callback })
    }

    /// Has them called; an error that a callback hears of has been asked about.
    fn add_to(self, future: &JobFuture) {
        let Callbacks { callback, error_callback } = self;
        let host = host();
        future.when_over(move |future| match (future.look(|done| done.cloned()), callback, error_callback) {
            (Ok(Some(Done::Value(value))), Some(callback), _) => run_callback(&host, &callback, Parcel::unpack(value)),
            (Ok(Some(Done::Failed(failure))), _, Some(callback)) => {
                run_callback(&host, &callback, failure.ask().into());
            }
            _ => {}
        });
    }
}

fn map_all(ctx: &NativeCallContext, pool: &PoolHandle, f: Dynamic, list: Dynamic, options: Map) -> Outcome<JobFuture> {
    let items = self::list(ctx, "list", list)?;
    let mut options = Options::new(options);
    let callbacks = Callbacks::from_options(ctx, &mut options)?;
    let mapping = Mapping::new(ctx, f, options, false, Some(items.len()))?;
    let whole = gather(ctx, &pool.pool, mapping, Calls::of_one(ctx, items)?)?;
    callbacks.add_to(&whole);
    Ok(whole)
}

fn star(ctx: &NativeCallContext, pool: &PoolHandle, f: Dynamic, list: Dynamic, options: Map) -> Outcome<Array> {
    let calls = self::list(ctx, "list", list)?
        .into_iter()
        .map(|args| self::list(ctx, "each item of list", args))
        .collect::<Outcome<Vec<_>>>()?;
    let mapping = Mapping::new(ctx, f, Options::new(options), false, Some(calls.len()))?;
    let whole = gather(ctx, &pool.pool, mapping, Calls::of_lists(ctx, calls)?)?;
    array_of(ctx, &whole)
}

fn array_of(ctx: &NativeCallContext, whole: &JobFuture) -> Outcome<Array> {
    call(ctx, || whole.wait_as("map", None))?;
    Ok(only_result_of(ctx, whole)?.try_cast::<Array>().unwrap_or_default())
}

fn stream(
    ctx: &NativeCallContext,
    pool: &PoolHandle,
    f: Dynamic,
    list: Dynamic,
    options: Map,
    in_order: bool,
) -> Outcome<Stream> {
    let mapping = Mapping::new(ctx, f, Options::new(options), false, None)?;
    jobs::stream_ahead(ctx, &pool.pool, mapping, list, in_order)
}

/// A call that is to be made, as `make_requests` makes it.
#[derive(Clone)]
pub struct Request {
    function: Callable,
    args: Vec<Dynamic>,
}

#[export_module]
pub mod functions {
    /// Makes a pool of as many threads as there are processors.
    ///
    /// ```rhai
    /// with ThreadPool() as pool { assert(pool.apply(|| 1, []) == 1); }
    /// ```
    #[rhai_fn(name = "ThreadPool", return_raw)]
    pub fn new_pool(ctx: NativeCallContext) -> Outcome<PoolHandle> {
        make(&ctx, On::Threads, None, Map::new()).map(PoolHandle::of)
    }

    /// Makes a pool of `n` threads. `with pool { … }` closes it at the end and waits for its work.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.map(|n| n * n, [1, 2, 3]) == [1, 4, 9]); }
    /// ```
    #[rhai_fn(name = "ThreadPool", return_raw)]
    pub fn new_pool_of(ctx: NativeCallContext, n: Dynamic) -> Outcome<PoolHandle> {
        make(&ctx, On::Threads, Some(n), Map::new()).map(PoolHandle::of)
    }

    /// Makes a pool with the options of `ThreadPoolExecutor`.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1 or an option is not known.
    ///
    /// ```rhai
    /// with ThreadPool(2, #{name: "worker"}) as pool { pool.apply(|| print(current_thread().name), []); }
    /// ```
    #[rhai_fn(name = "ThreadPool", return_raw)]
    pub fn new_pool_opts(ctx: NativeCallContext, n: Dynamic, options: Map) -> Outcome<PoolHandle> {
        make(&ctx, On::Threads, Some(n), options).map(PoolHandle::of)
    }

    /// Makes a pool of processes, one for each of the system's CPUs; else as `ThreadPool()`. A process that dies fails the
    /// job that it ran, and only that one, with `WorkerDied`, and is replaced.
    ///
    /// # Errors
    /// As `ThreadPool()`.
    ///
    /// ```rhai
    /// with Pool() as pool { assert(pool.map(|x| x * x, 1..=3) == [1, 4, 9]); }
    /// ```
    #[rhai_fn(name = "Pool", return_raw)]
    pub fn new_process_pool(ctx: NativeCallContext) -> Outcome<ProcessPool> {
        make(&ctx, On::Processes, None, Map::new()).map(ProcessPool::of)
    }

    /// The same with at most `n` processes.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1.
    ///
    /// ```rhai
    /// let pool = Pool(2);
    /// let jobs = [1, 2, 3].map(|n| pool.apply_async(|n| [n, getpid()], [n]));
    /// pool.close();
    /// pool.join();
    /// assert(jobs[2].result()[0] == 3);
    /// ```
    #[rhai_fn(name = "Pool", return_raw)]
    pub fn new_process_pool_of(ctx: NativeCallContext, n: Dynamic) -> Outcome<ProcessPool> {
        make(&ctx, On::Processes, Some(n), Map::new()).map(ProcessPool::of)
    }

    /// The same with options, as `ProcessPoolExecutor(n, options)`.
    ///
    /// # Errors
    /// As `ProcessPoolExecutor(n, options)`.
    ///
    /// ```rhai
    /// with Pool(1, #{retries: 1}) as pool {
    ///     try { pool.apply(|| exit(3), []); } catch (e) { assert(e.kind == "WorkerDied" && e.exit_code == 3); }
    ///     assert(pool.apply(|| "it goes on", []) == "it goes on");
    /// }
    /// ```
    #[rhai_fn(name = "Pool", return_raw)]
    pub fn new_process_pool_opts(ctx: NativeCallContext, n: Dynamic, options: Map) -> Outcome<ProcessPool> {
        make(&ctx, On::Processes, Some(n), options).map(ProcessPool::of)
    }

    /// Has a thread run `f` with these arguments and waits for the result.
    ///
    /// # Errors
    /// The error of `f`; `Closed`; those of waiting.
    ///
    /// ```rhai
    /// with ThreadPool(1) as pool { assert(pool.apply(|a, b| a + b, [1, 2]) == 3); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn apply(ctx: NativeCallContext, pool: &mut PoolHandle, f: Dynamic, args: Array) -> Outcome<Dynamic> {
        let future = jobs::submit(&ctx, &pool.pool, f, args)?;
        call(&ctx, || future.wait_as("apply", None))?;
        only_result_of(&ctx, &future)
    }

    /// Has a thread run `f` with these arguments; returns a future at once.
    ///
    /// # Errors
    /// `Closed`; `CaptureError`, `TypeError` as `Thread(f)`.
    ///
    /// ```rhai
    /// with ThreadPool(1) as pool { assert(pool.apply_async(|n| n, [1]).result() == 1); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn apply_async(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        args: Array,
    ) -> Outcome<FutureHandle> {
        jobs::submit(&ctx, &pool.pool, f, args).map(FutureHandle::of)
    }

    /// The same with options: `callback` is called with the result, `error_callback` with the error.
    ///
    /// # Errors
    /// As `apply_async(f, args)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// with ThreadPool(1) as pool {
    ///     pool.apply_async(|| 42, [], #{callback: |r| print(r)});
    /// }
    /// ```
    #[rhai_fn(name = "apply_async", return_raw, pure)]
    pub fn apply_async_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<FutureHandle> {
        let mut options = Options::new(options);
        let callbacks = Callbacks::from_options(&ctx, &mut options)?;
        options.finish(&ctx)?;
        let future = jobs::submit(&ctx, &pool.pool, f, args)?;
        callbacks.add_to(&future);
        Ok(FutureHandle::of(future))
    }

    /// Has the threads run `f` for each item and waits for the array of results.
    ///
    /// # Errors
    /// The first error, in the order of the items; `Closed`; those of waiting.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.map(|n| n + 1, 0..3) == [1, 2, 3]); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn map(ctx: NativeCallContext, pool: &mut PoolHandle, f: Dynamic, list: Dynamic) -> Outcome<Array> {
        let whole = map_all(&ctx, pool, f, list, Map::new())?;
        array_of(&ctx, &whole)
    }

    /// The same with options: `chunksize` (items a job), `progress`. Without `chunksize` a job is one item on threads; on
    /// processes jobs grow while the calls are short, up to some milliseconds of work each. When a call fails or its process
    /// dies, the calls behind it in the same job are not made.
    ///
    /// # Errors
    /// As `map(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.map(|n| n, 0..9, #{chunksize: 3}).len() == 9); }
    /// ```
    #[rhai_fn(name = "map", return_raw, pure)]
    pub fn map_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
        options: Map,
    ) -> Outcome<Array> {
        let whole = map_all(&ctx, pool, f, list, options)?;
        array_of(&ctx, &whole)
    }

    /// Has the threads run `f` for each item; returns a future of the array of results.
    ///
    /// # Errors
    /// `Closed`; `CaptureError`, `TypeError` as `Thread(f)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.map_async(|n| n, [1, 2]).result() == [1, 2]); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn map_async(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
    ) -> Outcome<FutureHandle> {
        map_all(&ctx, pool, f, list, Map::new()).map(FutureHandle::of)
    }

    /// The same with options: `chunksize`, `progress`, `callback`, `error_callback`.
    ///
    /// # Errors
    /// As `map_async(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { pool.map_async(|n| n, [1, 2], #{callback: |all| print(all)}); }
    /// ```
    #[rhai_fn(name = "map_async", return_raw, pure)]
    pub fn map_async_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
        options: Map,
    ) -> Outcome<FutureHandle> {
        map_all(&ctx, pool, f, list, options).map(FutureHandle::of)
    }

    /// Has the threads run `f` for each array of arguments and waits for the array of results.
    ///
    /// # Errors
    /// As `map(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.starmap(|a, b| a * b, [[1, 2], [3, 4]]) == [2, 12]); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn starmap(ctx: NativeCallContext, pool: &mut PoolHandle, f: Dynamic, list: Dynamic) -> Outcome<Array> {
        star(&ctx, pool, f, list, Map::new())
    }

    /// The same with options: `chunksize`, `progress`.
    ///
    /// # Errors
    /// As `starmap(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { assert(pool.starmap(|a| a, [[1], [2]], #{chunksize: 2}) == [1, 2]); }
    /// ```
    #[rhai_fn(name = "starmap", return_raw, pure)]
    pub fn starmap_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
        options: Map,
    ) -> Outcome<Array> {
        star(&ctx, pool, f, list, options)
    }

    /// An iterator over the results in order, with a few items ahead; the list is read as needed and may be endless.
    ///
    /// # Errors
    /// `Closed`; the iterator throws what `f` threw.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { for r in pool.imap(|n| n, 0..3) { print(r); } }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn imap(ctx: NativeCallContext, pool: &mut PoolHandle, f: Dynamic, list: Dynamic) -> Outcome<Stream> {
        stream(&ctx, pool, f, list, Map::new(), true)
    }

    /// The same with options: `chunksize`, `progress`.
    ///
    /// # Errors
    /// As `imap(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { for r in pool.imap(|n| n, 0..3, #{chunksize: 2}) { print(r); } }
    /// ```
    #[rhai_fn(name = "imap", return_raw, pure)]
    pub fn imap_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
        options: Map,
    ) -> Outcome<Stream> {
        stream(&ctx, pool, f, list, options, true)
    }

    /// An iterator over the results as they come, with a few items ahead.
    ///
    /// # Errors
    /// As `imap(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { for r in pool.imap_unordered(|n| n, 0..3) { print(r); } }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn imap_unordered(ctx: NativeCallContext, pool: &mut PoolHandle, f: Dynamic, list: Dynamic) -> Outcome<Stream> {
        stream(&ctx, pool, f, list, Map::new(), false)
    }

    /// The same with options: `chunksize`, `progress`.
    ///
    /// # Errors
    /// As `imap(f, list)`.
    ///
    /// ```rhai
    /// with ThreadPool(2) as pool { for r in pool.imap_unordered(|n| n, 0..3, #{chunksize: 2}) { print(r); } }
    /// ```
    #[rhai_fn(name = "imap_unordered", return_raw, pure)]
    pub fn imap_unordered_opts(
        ctx: NativeCallContext,
        pool: &mut PoolHandle,
        f: Dynamic,
        list: Dynamic,
        options: Map,
    ) -> Outcome<Stream> {
        stream(&ctx, pool, f, list, options, false)
    }

    /// The pool takes no more work; what it has is still done.
    ///
    /// ```rhai
    /// let pool = ThreadPool(1);
    /// pool.close();
    /// pool.join();
    /// ```
    #[rhai_fn(pure)]
    pub fn close(pool: &mut PoolHandle) {
        door::point();
        pool.pool.close();
    }

    /// The pool takes no more work; what has not begun is cancelled, and what runs is asked to stop at its current or
    /// next blocking call.
    ///
    /// ```rhai
    /// let pool = ThreadPool(1);
    /// let f = pool.apply_async(|| sleep(1000), []);
    /// pool.terminate();
    /// pool.join();
    /// ```
    #[rhai_fn(pure)]
    pub fn terminate(pool: &mut PoolHandle) {
        door::point();
        pool.pool.close();
        pool.pool.cancel_pending();
        pool.pool.cancel_running();
    }

    /// Waits until the pool has done its work and its threads have ended.
    ///
    /// # Errors
    /// `ValueError` when it was neither closed nor terminated; those of waiting.
    ///
    /// ```rhai
    /// let pool = ThreadPool(1);
    /// try { pool.join(); } catch (e) { assert(e.kind == "ValueError"); }
    /// pool.close();
    /// pool.join();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn join(ctx: NativeCallContext, pool: &mut PoolHandle) -> Outcome<()> {
        call(&ctx, || pool.pool.join(None))
    }

    /// Makes a request of `f` with each item of a list, for `put_request`.
    ///
    /// # Errors
    /// `CaptureError`, `TypeError` as `Thread(f)`.
    ///
    /// ```rhai
    /// let requests = make_requests(|name| print(name), ["a", "b"]);
    /// assert(requests.len() == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn make_requests(ctx: NativeCallContext, f: Dynamic, list: Dynamic) -> Outcome<Array> {
        mark(&ctx);
        let function = Callable::for_other(&ctx, "f", f, &Holder::Outside)?;
        self::list(&ctx, "list", list)?
            .into_iter()
            .map(|item| {
                let args = pack_arguments(&ctx, vec![item], &Holder::Outside)?;
                Ok(Dynamic::from(Request { function: function.clone(), args }))
            })
            .collect()
    }

    /// Has a thread of the pool deal with a request; returns its future.
    ///
    /// # Errors
    /// `Closed`.
    ///
    /// ```rhai
    /// let pool = ThreadPool(2);
    /// for r in make_requests(|name| print(name), ["a", "b"]) { pool.put_request(r); }
    /// pool.wait();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn put_request(ctx: NativeCallContext, pool: &mut PoolHandle, request: Request) -> Outcome<FutureHandle> {
        mark(&ctx);
        let future = jobs::submit_packed(&ctx, &pool.pool, request.function, request.args)?;
        pool.open.lock().push(future.clone());
        Ok(FutureHandle::of(future))
    }

    /// Waits until all requests that were put have been dealt with; returns true. Errors in them are printed.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(ThreadPool(1).wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_requests(ctx: NativeCallContext, pool: &mut PoolHandle) -> Outcome<bool> {
        wait_requests_within(ctx, pool, Dynamic::UNIT)
    }

    /// The same, waiting at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// let pool = ThreadPool(1);
    /// for r in make_requests(|t| sleep(t), [0.2]) { pool.put_request(r); }
    /// assert(!pool.wait(0.01));
    /// assert(pool.wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_requests_within(ctx: NativeCallContext, pool: &mut PoolHandle, timeout: Dynamic) -> Outcome<bool> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        let open = pool.open.lock().clone();
        let all = jobs::wait_for_all(&ctx, &open, limit)?;
        // What is over needs no waiting for any more.
        let over = {
            let mut open = pool.open.lock();
            let (over, still): (Vec<_>, Vec<_>) = std::mem::take(&mut *open).into_iter().partition(|f| f.is_over());
            *open = still;
            over
        };
        drop(over);
        Ok(all)
    }
}

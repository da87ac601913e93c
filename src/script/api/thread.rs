//! `Thread`.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::exec;
use crate::kernel::{Holder, Role, Task, door, with_current};
use crate::script::arguments::{Options, seconds};
use crate::script::capture;
use crate::script::done::Done;
use crate::script::function::{Callable, pack_arguments};
use crate::script::handles::Thread as ThreadHandle;
use crate::script::host::{host, mark};
use crate::script::local::Local as LocalMap;
use crate::script::parcel::{Parcel, detach};
use crate::script::tasks::Job;
use crate::script::throw::{Outcome, call, call_within, throw};

/// What a thread gets to do: a function with arguments, or an object with `run`.
///
/// # Errors
/// `TypeError`, `CaptureError`, `ValueError`.
pub fn job(ctx: &NativeCallContext, f: Dynamic, args: Array, holder: &Holder) -> Outcome<Job> {
    let f = f.flatten();
    if !f.is_map() {
        let function = Callable::for_other(ctx, "f", f, holder)?;
        return Ok(Job { function, this: None, args: pack_arguments(ctx, args, holder)? });
    }
    let object = detach(ctx, f, holder)?;
    let run = object.read_lock::<Map>().and_then(|fields| fields.get("run").filter(|r| r.is_fnptr()).cloned());
    let Some(run) = run else {
        return throw(ctx, "TypeError", format!("{}(): the object has no function `run`", ctx.fn_name()));
    };
    // Its other functions may be called from `run`.
    capture::check(ctx, &object)?;
    let function = Callable::for_other(ctx, "run", run, holder)?;
    Ok(Job { function, this: Some(object), args: pack_arguments(ctx, args, holder)? })
}

/// Makes a thread that is not started.
pub fn make(ctx: &NativeCallContext, f: Dynamic, args: Array, options: Map) -> Outcome<ThreadHandle> {
    mark(ctx);
    let mut options = Options::new(options);
    let name = options.text(ctx, "name")?.unwrap_or_default();
    let daemon = options.flag(ctx, "daemon")?.unwrap_or(false);
    options.finish(ctx)?;
    let kernel = with_current(|task| task.kernel().clone());
    let thread = exec::Thread::new(&kernel, &name, Role::Thread, daemon);
    // The task is not known to the deadlock search before it runs, and counts as able to do anything.
    let job = job(ctx, f, args, &Holder::Task(thread.task().id()))?;
    let (host, future) = (host(), thread.future().clone());
    thread.give(move || job.run(&host, crate::kernel::Waitable::core(&*future)));
    Ok(ThreadHandle::of(thread))
}

/// Makes a thread and starts it.
fn make_and_start(ctx: &NativeCallContext, f: Dynamic, args: Array, options: Map) -> Outcome<ThreadHandle> {
    let thread = make(ctx, f, args, options)?;
    call(ctx, || thread.start())?;
    Ok(thread)
}

/// What the thread returned; its error is thrown.
pub fn outcome(ctx: &NativeCallContext, thread: &exec::Thread<Done>) -> Outcome<Dynamic> {
    match thread.future().look(|done| done.cloned()) {
        Ok(Some(Done::Value(parcel))) => Ok(Parcel::unpack(parcel)),
        Ok(Some(Done::Failed(failure) | Done::Cancelled(failure))) => Err(failure.thrown(ctx.call_position())),
        _ => Ok(Dynamic::UNIT),
    }
}

/// The thread that a task runs.
fn thread_of(task: &Arc<Task>) -> ThreadHandle {
    ThreadHandle::of(exec::Thread::of(task).unwrap_or_else(|| exec::Thread::adopt(task)))
}

#[export_module]
pub mod functions {
    /// Makes a thread that will run `f`; `start()` starts it. `f` is a closure or a function; what a closure captured is
    /// copied, handles in it are shared. Or an object map with a function `run`: a copy of it is `this` there.
    ///
    /// # Errors
    /// `CaptureError` when the closure assigns to a variable that it captured; `TypeError` when `f` is no function.
    ///
    /// ```rhai
    /// let t = Thread(|| print("in the thread"));
    /// t.start();
    /// t.join();
    /// ```
    #[rhai_fn(name = "Thread", return_raw)]
    pub fn new_thread(ctx: NativeCallContext, f: Dynamic) -> Outcome<ThreadHandle> {
        make(&ctx, f, Array::new(), Map::new())
    }

    /// Makes a thread that will run `f` with these arguments.
    ///
    /// # Errors
    /// As `Thread(f)`.
    ///
    /// ```rhai
    /// let t = Thread(|a, b| a + b, [1, 2]);
    /// t.start();
    /// assert(t.join() == 3);
    /// ```
    #[rhai_fn(name = "Thread", return_raw)]
    pub fn new_thread_with(ctx: NativeCallContext, f: Dynamic, args: Array) -> Outcome<ThreadHandle> {
        make(&ctx, f, args, Map::new())
    }

    /// Makes a thread with options: `name`, and `daemon` (the program does not wait for it).
    ///
    /// # Errors
    /// As `Thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let t = Thread(|| 1, #{name: "worker"});
    /// assert(t.name == "worker");
    /// ```
    #[rhai_fn(name = "Thread", return_raw)]
    pub fn new_thread_opts(ctx: NativeCallContext, f: Dynamic, options: Map) -> Outcome<ThreadHandle> {
        make(&ctx, f, Array::new(), options)
    }

    /// Makes a thread with arguments and options.
    ///
    /// # Errors
    /// As `Thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let t = Thread(|n| n, [1], #{daemon: true});
    /// assert(t.daemon);
    /// ```
    #[rhai_fn(name = "Thread", return_raw)]
    pub fn new_thread_with_opts(
        ctx: NativeCallContext,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ThreadHandle> {
        make(&ctx, f, args, options)
    }

    /// Makes a thread and starts it; else as `Thread(f)`.
    ///
    /// # Errors
    /// As `Thread(f)`; `ThreadError` when the system can't start another thread.
    ///
    /// ```rhai
    /// let t = spawn_thread(|| 6 * 7);
    /// assert(t.join() == 42);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn spawn_thread(ctx: NativeCallContext, f: Dynamic) -> Outcome<ThreadHandle> {
        make_and_start(&ctx, f, Array::new(), Map::new())
    }

    /// Makes a thread with arguments and starts it.
    ///
    /// # Errors
    /// As `spawn_thread(f)`.
    ///
    /// ```rhai
    /// fn double(x) { x * 2 }
    /// assert(spawn_thread(double, [21]).join() == 42);
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw)]
    pub fn spawn_thread_with(ctx: NativeCallContext, f: Dynamic, args: Array) -> Outcome<ThreadHandle> {
        make_and_start(&ctx, f, args, Map::new())
    }

    /// Makes a thread with options and starts it.
    ///
    /// # Errors
    /// As `spawn_thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// spawn_thread(|| print("hi"), #{name: "greeter"}).join();
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw)]
    pub fn spawn_thread_opts(ctx: NativeCallContext, f: Dynamic, options: Map) -> Outcome<ThreadHandle> {
        make_and_start(&ctx, f, Array::new(), options)
    }

    /// Makes a thread with arguments and options and starts it.
    ///
    /// # Errors
    /// As `spawn_thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// spawn_thread(|n| print(n), [1], #{name: "printer"}).join();
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw)]
    pub fn spawn_thread_with_opts(
        ctx: NativeCallContext,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ThreadHandle> {
        make_and_start(&ctx, f, args, options)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// `ThreadError` when it was started before, or the system can't start another thread.
    ///
    /// ```rhai
    /// let t = Thread(|| ());
    /// t.start();
    /// try { t.start(); } catch (e) { assert(e.kind == "ThreadError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn start(ctx: NativeCallContext, thread: &mut ThreadHandle) -> Outcome<()> {
        call(&ctx, || thread.start())
    }

    /// Waits for the end of the thread and returns what its function returned.
    ///
    /// # Errors
    /// The error of the thread, with its name in `task`; `Cancelled` when it was cancelled; `ThreadError` when it was not
    /// started or is this thread itself; `DeadlockError`, `Interrupted`.
    ///
    /// ```rhai
    /// let t = spawn_thread(|| throw "no");
    /// try { t.join(); } catch (e) { assert(e.kind == "Thrown" && e.value == "no"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn join(ctx: NativeCallContext, thread: &mut ThreadHandle) -> Outcome<Dynamic> {
        call(&ctx, || thread.join(None))?;
        outcome(&ctx, thread)
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `join()`.
    ///
    /// ```rhai
    /// let t = spawn_thread(|| sleep(0.2));
    /// try { t.join(0.01); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// t.join();
    /// ```
    #[rhai_fn(name = "join", return_raw, pure)]
    pub fn join_within(ctx: NativeCallContext, thread: &mut ThreadHandle, timeout: Dynamic) -> Outcome<Dynamic> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| thread.join(limit))?;
        outcome(&ctx, thread)
    }

    /// Waits for the end of the thread; returns true. Its own error is not thrown.
    ///
    /// # Errors
    /// `ThreadError` when it was not started or is this thread itself; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(spawn_thread(|| 1).wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_thread(ctx: NativeCallContext, thread: &mut ThreadHandle) -> Outcome<bool> {
        call(&ctx, || thread.join(None)).map(|()| true)
    }

    /// Waits for the end of the thread at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// let t = spawn_thread(|| sleep(0.2));
    /// assert(!t.wait(0.01));
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_thread_within(ctx: NativeCallContext, thread: &mut ThreadHandle, timeout: Dynamic) -> Outcome<bool> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        call(&ctx, || match thread.join(limit) {
            Err(exec::ExecFault::Sync(crate::sync::Fault::Stopped(crate::kernel::Stop::TimedOut))) => Ok(false),
            other => other.map(|()| true),
        })
    }

    /// True while it runs.
    ///
    /// ```rhai
    /// assert(!Thread(|| 1).is_alive());
    /// ```
    #[rhai_fn(pure)]
    pub fn is_alive(thread: &mut ThreadHandle) -> bool {
        door::query();
        thread.is_alive()
    }

    /// Asks the thread to stop: its current or next blocking call throws `Cancelled`, once for each `cancel()`. A loop
    /// that makes no blocking call is ended. `join()` then throws `Cancelled`, which is not a failure.
    ///
    /// ```rhai
    /// let t = spawn_thread(|| sleep(1000));
    /// t.cancel();
    /// try { t.join(); } catch (e) { assert(e.kind == "Cancelled"); }
    /// ```
    #[rhai_fn(pure)]
    pub fn cancel(thread: &mut ThreadHandle) {
        door::point();
        thread.cancel();
    }

    /// The thread's name.
    ///
    /// ```rhai
    /// let t = Thread(|| 1);
    /// t.name = "worker";
    /// assert(t.name == "worker");
    /// ```
    #[rhai_fn(get = "name", pure)]
    pub fn get_name(thread: &mut ThreadHandle) -> String {
        thread.task().name().to_string()
    }

    /// Names the thread, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let t = Thread(|| 1);
    /// t.name = "worker";
    /// ```
    #[rhai_fn(set = "name", return_raw, pure)]
    pub fn set_name(ctx: NativeCallContext, thread: &mut ThreadHandle, name: &str) -> Outcome<()> {
        call(&ctx, || thread.set_name(name))
    }

    /// The thread's number in this program; never used twice.
    ///
    /// ```rhai
    /// assert(Thread(|| 1).id > 1);
    /// ```
    #[rhai_fn(get = "id", pure)]
    pub fn get_id(thread: &mut ThreadHandle) -> i64 {
        i64::try_from(thread.task().id().0).unwrap_or(i64::MAX)
    }

    /// The system's number of the thread while it runs, else `()`. Simulated under `--sim`.
    ///
    /// ```rhai
    /// assert(Thread(|| 1).native_id == ());
    /// ```
    #[rhai_fn(get = "native_id", pure)]
    pub fn get_native_id(thread: &mut ThreadHandle) -> Dynamic {
        match thread.is_alive() {
            true => Dynamic::from(i64::try_from(thread.task().native_id()).unwrap_or(i64::MAX)),
            false => Dynamic::UNIT,
        }
    }

    /// True when the program does not wait for it.
    ///
    /// ```rhai
    /// let t = Thread(|| 1);
    /// t.daemon = true;
    /// assert(t.daemon);
    /// ```
    #[rhai_fn(get = "daemon", pure)]
    pub fn get_daemon(thread: &mut ThreadHandle) -> bool {
        thread.task().is_daemon()
    }

    /// Says whether the program waits for it, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let t = Thread(|| 1);
    /// t.daemon = true;
    /// ```
    #[rhai_fn(set = "daemon", return_raw, pure)]
    pub fn put_daemon(ctx: NativeCallContext, thread: &mut ThreadHandle, daemon: bool) -> Outcome<()> {
        call(&ctx, || thread.set_daemon(daemon))
    }

    /// Says whether the program waits for it, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let t = Thread(|| 1);
    /// t.set_daemon(true);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_daemon(ctx: NativeCallContext, thread: &mut ThreadHandle, daemon: bool) -> Outcome<()> {
        call(&ctx, || thread.set_daemon(daemon))
    }

    /// The thread that runs this.
    ///
    /// ```rhai
    /// assert(current_thread().name == "main");
    /// ```
    pub fn current_thread() -> ThreadHandle {
        with_current(thread_of)
    }

    /// The main thread.
    ///
    /// ```rhai
    /// assert(main_thread().id == current_thread().id);
    /// ```
    pub fn main_thread() -> ThreadHandle {
        let kernel = with_current(|task| task.kernel().clone());
        let main = kernel.tasks().into_iter().find(|t| t.role() == Role::Main);
        main.map_or_else(|| with_current(thread_of), |task| thread_of(&task))
    }

    /// How many threads run: the main one and those of the script, without the workers of pools.
    ///
    /// ```rhai
    /// assert(active_count() == 1);
    /// ```
    pub fn active_count() -> i64 {
        door::query();
        let active = with_current(|task| exec::thread::active(task.kernel()).len());
        i64::try_from(active).unwrap_or(i64::MAX)
    }

    /// The threads that run: the main one and those of the script.
    ///
    /// ```rhai
    /// for t in threads() { print(t.name); }
    /// ```
    pub fn threads() -> Array {
        door::query();
        with_current(|task| exec::thread::active(task.kernel()).iter().map(|t| Dynamic::from(thread_of(t))).collect())
    }

    /// Makes a map of which every thread has its own: `local.x = 1` in one is not seen in another.
    ///
    /// ```rhai
    /// let mine = Local();
    /// mine.n = 1;
    /// spawn_thread(|| assert(mine.n == ())).join();
    /// assert(mine.n == 1);
    /// ```
    #[rhai_fn(name = "Local")]
    pub fn new_local() -> LocalMap {
        LocalMap(with_current(|task| task.kernel().next_number()))
    }

    /// This thread's value of a key; `()` when there is none.
    ///
    /// ```rhai
    /// let mine = Local();
    /// assert(mine["n"] == ());
    /// ```
    #[rhai_fn(index_get, pure)]
    pub fn get_local(local: &mut LocalMap, key: &str) -> Dynamic {
        local.get(key)
    }

    /// Sets this thread's value of a key.
    ///
    /// ```rhai
    /// let mine = Local();
    /// mine["n"] = 1;
    /// assert(mine.n == 1);
    /// ```
    #[rhai_fn(index_set, pure)]
    pub fn set_local(local: &mut LocalMap, key: &str, value: Dynamic) {
        local.set(key, value);
    }

    /// This thread's map.
    ///
    /// ```rhai
    /// let mine = Local();
    /// mine.n = 1;
    /// assert(mine.snapshot() == #{n: 1});
    /// ```
    #[rhai_fn(name = "snapshot", pure)]
    pub fn local_snapshot(local: &mut LocalMap) -> Map {
        local.map()
    }
}

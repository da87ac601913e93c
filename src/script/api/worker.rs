//! `Process`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::exec;
use crate::kernel::{Holder, door, with_current};
use crate::script::api::thread::{job, outcome};
use crate::script::arguments::{Options, seconds};
use crate::script::encode::{Inspection, Way};
use crate::script::errand;
use crate::script::handles::Process as ProcessHandle;
use crate::script::host::{host, mark};
use crate::script::identity;
use crate::script::process::{Process, simulated_pid};
use crate::script::throw::{Outcome, call, call_within};

/// Makes a process that is not started.
pub fn make(ctx: &NativeCallContext, f: Dynamic, args: Array, options: Map) -> Outcome<ProcessHandle> {
    mark(ctx);
    let mut options = Options::new(options);
    let name = options.text(ctx, "name")?.unwrap_or_default();
    let daemon = options.flag(ctx, "daemon")?.unwrap_or(false);
    options.finish(ctx)?;
    let errand = errand::pack(ctx, &job(ctx, f, args, &Holder::Outside)?, Inspection::of(Way::Down))?;
    let process = Process::new(&host(), &name, daemon);
    process.give(errand);
    Ok(ProcessHandle::of(process))
}

/// After `close()` nobody may ask about a process.
fn open(ctx: &NativeCallContext, process: &ProcessHandle) -> Outcome<()> {
    call(ctx, || process.check_open())
}

/// Makes a process and starts it.
fn make_and_start(ctx: &NativeCallContext, f: Dynamic, args: Array, options: Map) -> Outcome<ProcessHandle> {
    let process = make(ctx, f, args, options)?;
    call(ctx, || process.start())?;
    Ok(process)
}

#[export_module]
pub mod functions {
    /// Makes a process that will run `f`; `start()` starts it. The process is orch, started again: it knows the functions of
    /// the script, runs nothing of its top level, and gets copies of what a closure captured and of its arguments. A handle
    /// (a lock, queue, event, value, future, command …) stays what it is and is used from there as from a thread; what the process
    /// itself makes stays with it, its threads and the processes that it starts.
    /// `f` may also be an object map with a function `run`: a copy of it is `this` there.
    ///
    /// # Errors
    /// `CaptureError` when the closure assigns to a variable that it captured; `SendError` when something cannot cross to
    /// another process, which says where it sits; `TypeError` when `f` is no function.
    ///
    /// ```rhai
    /// let p = Process(|| print("in the process"));
    /// p.start();
    /// p.join();
    /// ```
    #[rhai_fn(name = "Process", return_raw)]
    pub fn new_process(ctx: NativeCallContext, f: Dynamic) -> Outcome<ProcessHandle> {
        make(&ctx, f, Array::new(), Map::new())
    }

    /// Makes a process that will run `f` with these arguments.
    ///
    /// # Errors
    /// As `Process(f)`.
    ///
    /// ```rhai
    /// let p = Process(|a, b| a + b, [1, 2]);
    /// p.start();
    /// assert(p.join() == 3);
    /// ```
    #[rhai_fn(name = "Process", return_raw)]
    pub fn new_process_with(ctx: NativeCallContext, f: Dynamic, args: Array) -> Outcome<ProcessHandle> {
        make(&ctx, f, args, Map::new())
    }

    /// Makes a process with options: `name`, and `daemon` (the program does not wait for it).
    ///
    /// # Errors
    /// As `Process(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let p = Process(|| 1, #{name: "worker"});
    /// assert(p.name == "worker");
    /// ```
    #[rhai_fn(name = "Process", return_raw)]
    pub fn new_process_opts(ctx: NativeCallContext, f: Dynamic, options: Map) -> Outcome<ProcessHandle> {
        make(&ctx, f, Array::new(), options)
    }

    /// Makes a process with arguments and options.
    ///
    /// # Errors
    /// As `Process(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let p = Process(|n| n, [1], #{daemon: true});
    /// assert(p.daemon);
    /// ```
    #[rhai_fn(name = "Process", return_raw)]
    pub fn new_process_with_opts(
        ctx: NativeCallContext,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ProcessHandle> {
        make(&ctx, f, args, options)
    }

    /// Makes a process and starts it; else as `Process(f)`.
    ///
    /// # Errors
    /// As `Process(f)`; `ThreadError` when the system can't start another process.
    ///
    /// ```rhai
    /// let p = spawn_process(|| 6 * 7);
    /// assert(p.join() == 42);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn spawn_process(ctx: NativeCallContext, f: Dynamic) -> Outcome<ProcessHandle> {
        make_and_start(&ctx, f, Array::new(), Map::new())
    }

    /// Makes a process with arguments and starts it.
    ///
    /// # Errors
    /// As `spawn_process(f)`.
    ///
    /// ```rhai
    /// fn double(x) { x * 2 }
    /// assert(spawn_process(double, [21]).join() == 42);
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw)]
    pub fn spawn_process_with(ctx: NativeCallContext, f: Dynamic, args: Array) -> Outcome<ProcessHandle> {
        make_and_start(&ctx, f, args, Map::new())
    }

    /// Makes a process with options and starts it.
    ///
    /// # Errors
    /// As `spawn_process(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// spawn_process(|| print("hi"), #{name: "greeter"}).join();
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw)]
    pub fn spawn_process_opts(ctx: NativeCallContext, f: Dynamic, options: Map) -> Outcome<ProcessHandle> {
        make_and_start(&ctx, f, Array::new(), options)
    }

    /// Makes a process with arguments and options and starts it.
    ///
    /// # Errors
    /// As `spawn_process(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// spawn_process(|n| print(n), [1], #{name: "printer"}).join();
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw)]
    pub fn spawn_process_with_opts(
        ctx: NativeCallContext,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ProcessHandle> {
        make_and_start(&ctx, f, args, options)
    }

    /// Starts the process.
    ///
    /// # Errors
    /// `ThreadError` when it was started before, or the system can't start another process.
    ///
    /// ```rhai
    /// let p = Process(|| ());
    /// p.start();
    /// try { p.start(); } catch (e) { assert(e.kind == "ThreadError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn start(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<()> {
        open(&ctx, process)?;
        call(&ctx, || process.start())
    }

    /// Waits for the end of the process and returns what its function returned; `()` when it called `exit`, or this script
    /// ended it.
    ///
    /// # Errors
    /// The error of its function, with the name of the process in `task`; `WorkerDied` when somebody else killed it, with
    /// `exit_code` and `signal`; `Cancelled` when it was cancelled; `ThreadError` when it was not started;
    /// `DeadlockError`, `Interrupted`.
    ///
    /// ```rhai
    /// let p = spawn_process(|| throw "no");
    /// try { p.join(); } catch (e) { assert(e.kind == "Thrown" && e.value == "no"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn join(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<Dynamic> {
        open(&ctx, process)?;
        call(&ctx, || process.thread().join(None))?;
        outcome(&ctx, process.thread())
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `join()`.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(0.2));
    /// try { p.join(0.01); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// p.join();
    /// ```
    #[rhai_fn(name = "join", return_raw, pure)]
    pub fn join_within(ctx: NativeCallContext, process: &mut ProcessHandle, timeout: Dynamic) -> Outcome<Dynamic> {
        open(&ctx, process)?;
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| process.thread().join(limit))?;
        outcome(&ctx, process.thread())
    }

    /// Waits for the end of the process; returns true. Its own error is not thrown.
    ///
    /// # Errors
    /// `ThreadError` when it was not started; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(spawn_process(|| 1).wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_process(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<bool> {
        open(&ctx, process)?;
        call(&ctx, || process.thread().join(None)).map(|()| true)
    }

    /// Waits for the end of the process at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(0.2));
    /// assert(!p.wait(0.01));
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_process_within(ctx: NativeCallContext, process: &mut ProcessHandle, timeout: Dynamic) -> Outcome<bool> {
        open(&ctx, process)?;
        let limit = seconds(&ctx, "timeout", &timeout)?;
        call(&ctx, || match process.thread().join(limit) {
            Err(exec::ExecFault::Sync(crate::sync::Fault::Stopped(crate::kernel::Stop::TimedOut))) => Ok(false),
            other => other.map(|()| true),
        })
    }

    /// True while it runs.
    ///
    /// # Errors
    /// `Closed` after `close()`.
    ///
    /// ```rhai
    /// assert(!Process(|| 1).is_alive());
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn is_alive(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<bool> {
        door::query();
        open(&ctx, process)?;
        Ok(process.thread().is_alive())
    }

    /// Asks the function of the process to stop, as `cancel()` of a thread does. `join()` then throws `Cancelled`, and the
    /// exit code is 0.
    ///
    /// # Errors
    /// `Closed` after `close()`.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(1000));
    /// p.cancel();
    /// try { p.join(); } catch (e) { assert(e.kind == "Cancelled"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn cancel(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<()> {
        door::point();
        open(&ctx, process)?;
        process.thread().cancel();
        Ok(())
    }

    /// Ends the process with the signal TERM: it leaves its `with` blocks, and what it started is ended. `join()` then
    /// returns `()`, and the exit code is -15.
    ///
    /// # Errors
    /// `ThreadError` when it was not started.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(1000));
    /// p.terminate();
    /// assert(p.join() == () && p.exit_code == -15);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn terminate(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<()> {
        open(&ctx, process)?;
        call(&ctx, || process.terminate())
    }

    /// Ends the process with the signal KILL, with all that it started, at once.
    ///
    /// # Errors
    /// `ThreadError` when it was not started.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(1000));
    /// p.kill();
    /// assert(p.join() == () && p.exit_code == -9);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn kill(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<()> {
        open(&ctx, process)?;
        call(&ctx, || process.kill())
    }

    /// The number of the process; `()` before it is started. Simulated under `--sim`.
    ///
    /// # Errors
    /// `Closed` after `close()`.
    ///
    /// ```rhai
    /// let p = Process(|| getpid());
    /// assert(p.pid == ());
    /// p.start();
    /// assert(p.join() == p.pid);
    /// ```
    #[rhai_fn(get = "pid", return_raw, pure)]
    pub fn get_pid(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<Dynamic> {
        open(&ctx, process)?;
        Ok(process.pid().map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// How it ended: 0; 1 after an error; what it gave to `exit`; negative for a signal. `()` before its end.
    ///
    /// # Errors
    /// `Closed` after `close()`.
    ///
    /// ```rhai
    /// let p = spawn_process(|| exit(3));
    /// assert(p.join() == () && p.exit_code == 3);
    /// ```
    #[rhai_fn(get = "exit_code", return_raw, pure)]
    pub fn get_exit_code(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<Dynamic> {
        open(&ctx, process)?;
        Ok(process.exit_code().map_or(Dynamic::UNIT, |code| i64::from(code).into()))
    }

    /// The name of the process.
    ///
    /// ```rhai
    /// let p = Process(|| 1);
    /// p.name = "worker";
    /// assert(p.name == "worker");
    /// ```
    #[rhai_fn(get = "name", pure)]
    pub fn get_name(process: &mut ProcessHandle) -> String {
        process.thread().task().name().to_string()
    }

    /// Names the process, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let p = Process(|| 1);
    /// p.name = "worker";
    /// ```
    #[rhai_fn(set = "name", return_raw, pure)]
    pub fn set_name(ctx: NativeCallContext, process: &mut ProcessHandle, name: &str) -> Outcome<()> {
        call(&ctx, || process.thread().set_name(name))
    }

    /// True when the program does not wait for it, and ends it when it ends itself.
    ///
    /// ```rhai
    /// let p = Process(|| 1);
    /// p.daemon = true;
    /// assert(p.daemon);
    /// ```
    #[rhai_fn(get = "daemon", pure)]
    pub fn get_daemon(process: &mut ProcessHandle) -> bool {
        process.thread().task().is_daemon()
    }

    /// Says whether the program waits for it, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let p = Process(|| 1);
    /// p.daemon = true;
    /// ```
    #[rhai_fn(set = "daemon", return_raw, pure)]
    pub fn put_daemon(ctx: NativeCallContext, process: &mut ProcessHandle, daemon: bool) -> Outcome<()> {
        call(&ctx, || process.thread().set_daemon(daemon))
    }

    /// Says whether the program waits for it, before it is started.
    ///
    /// # Errors
    /// `ThreadError` after the start.
    ///
    /// ```rhai
    /// let p = Process(|| 1);
    /// p.set_daemon(true);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_daemon(ctx: NativeCallContext, process: &mut ProcessHandle, daemon: bool) -> Outcome<()> {
        call(&ctx, || process.thread().set_daemon(daemon))
    }

    /// Lets go of a process that has ended, or was not started. Its methods throw `Closed` from then on; closing again does
    /// nothing.
    ///
    /// # Errors
    /// `ThreadError` while it runs.
    ///
    /// ```rhai
    /// let p = spawn_process(|| 1);
    /// p.join();
    /// p.close();
    /// try { p.join(); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(name = "close", return_raw, pure)]
    pub fn close_process(ctx: NativeCallContext, process: &mut ProcessHandle) -> Outcome<()> {
        call(&ctx, || process.close())
    }

    /// The process that runs this, as a map: `name` (`MainProcess` for the first), `pid`, `daemon`.
    ///
    /// ```rhai
    /// assert(current_process().name == "MainProcess");
    /// assert(spawn_process(|| current_process().name, #{name: "worker"}).join() == "worker");
    /// ```
    pub fn current_process() -> Map {
        identity::of_this()
    }

    /// The process that started this one, as a map: `name`, `pid`. `()` in the first.
    ///
    /// ```rhai
    /// assert(parent_process() == ());
    /// assert(spawn_process(|| parent_process().pid).join() == getpid());
    /// ```
    pub fn parent_process() -> Dynamic {
        identity::of_parent().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The processes that this one has started with `Process` or `spawn_process` and that still run.
    ///
    /// ```rhai
    /// let p = spawn_process(|| sleep(1000));
    /// assert(active_children().len() == 1);
    /// for child in active_children() { child.terminate(); child.join(); }
    /// assert(active_children().is_empty());
    /// ```
    pub fn active_children() -> Array {
        identity::children().into_iter().map(|process| Dynamic::from(ProcessHandle::of(process))).collect()
    }

    /// The number of the process that runs this. Simulated under `--sim`.
    ///
    /// ```rhai
    /// assert(spawn_process(|| getpid()).join() != getpid());
    /// ```
    pub fn getpid() -> i64 {
        with_current(|task| match task.kernel().is_sim() {
            true => simulated_pid(task.process()),
            false => i64::from(std::process::id()),
        })
    }

    /// The number of the process that started this one. Simulated under `--sim`.
    ///
    /// ```rhai
    /// assert(spawn_process(|| getppid()).join() == getpid());
    /// ```
    pub fn getppid() -> i64 {
        with_current(|task| match (task.kernel().is_sim(), task.parent_process()) {
            (true, Some(parent)) => simulated_pid(parent),
            // As if the system's first had started it.
            (true, None) => 1,
            (false, _) => rustix::process::getppid().map_or(0, |pid| i64::from(pid.as_raw_nonzero().get())),
        })
    }
}

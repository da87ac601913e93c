//! `TaskGroup`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::exec;
use crate::script::handles::{Process as ProcessHandle, TaskGroup as GroupHandle, Thread as ThreadHandle};
use crate::script::throw::{Outcome, call};

fn start(ctx: &NativeCallContext, group: &GroupHandle, f: Dynamic, args: Array, options: Map) -> Outcome<ThreadHandle> {
    let thread = crate::script::api::thread::make(ctx, f, args, options)?;
    call(ctx, || group.start(&thread))?;
    Ok(thread)
}

fn start_process(
    ctx: &NativeCallContext,
    group: &GroupHandle,
    f: Dynamic,
    args: Array,
    options: Map,
) -> Outcome<ProcessHandle> {
    let process = crate::script::api::worker::make(ctx, f, args, options)?;
    call(ctx, || group.start_by(process.thread(), || process.start()))?;
    Ok(process)
}

#[export_module]
pub mod functions {
    /// Makes a group of tasks for `with TaskGroup() as g { … }`: the block ends when all that was started in it has ended.
    /// The first failure, of a task or of the block itself, cancels the rest and is thrown; further real errors are in
    /// its `others`.
    ///
    /// ```rhai
    /// with TaskGroup() as g {
    ///     for i in 0..3 { g.spawn_thread(|| print(i)); }
    /// }
    /// print("all three have ended");
    /// ```
    #[rhai_fn(name = "TaskGroup")]
    pub fn new_group() -> GroupHandle {
        GroupHandle::of(exec::Group::new())
    }

    /// Starts a thread in the group, as `spawn_thread(f)`.
    ///
    /// # Errors
    /// `Closed` outside the block; as `spawn_thread(f)`.
    ///
    /// ```rhai
    /// try {
    ///     with TaskGroup() as g {
    ///         g.spawn_thread(|| throw "no");
    ///         g.spawn_thread(|| sleep(1000));
    ///     }
    /// } catch (e) { assert(e.value == "no"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn spawn_thread(ctx: NativeCallContext, group: &mut GroupHandle, f: Dynamic) -> Outcome<ThreadHandle> {
        start(&ctx, group, f, Array::new(), Map::new())
    }

    /// Starts a thread with arguments in the group.
    ///
    /// # Errors
    /// As `spawn_thread(f)`.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_thread(|n| print(n), [1]); }
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw, pure)]
    pub fn spawn_thread_with(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        args: Array,
    ) -> Outcome<ThreadHandle> {
        start(&ctx, group, f, args, Map::new())
    }

    /// Starts a thread with options in the group.
    ///
    /// # Errors
    /// As `spawn_thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_thread(|| print("hi"), #{name: "greeter"}); }
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw, pure)]
    pub fn spawn_thread_opts(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        options: Map,
    ) -> Outcome<ThreadHandle> {
        start(&ctx, group, f, Array::new(), options)
    }

    /// Starts a thread with arguments and options in the group.
    ///
    /// # Errors
    /// As `spawn_thread(f)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_thread(|n| print(n), [1], #{name: "printer"}); }
    /// ```
    #[rhai_fn(name = "spawn_thread", return_raw, pure)]
    pub fn spawn_thread_with_opts(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ThreadHandle> {
        start(&ctx, group, f, args, options)
    }

    /// Starts a process in the group, as `spawn_process(f)`.
    ///
    /// # Errors
    /// `Closed` outside the block; as `spawn_process(f)`.
    ///
    /// ```rhai
    /// try {
    ///     with TaskGroup() as g {
    ///         g.spawn_process(|| throw "no");
    ///         g.spawn_process(|| sleep(1000));
    ///     }
    /// } catch (e) { assert(e.value == "no"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn spawn_process(ctx: NativeCallContext, group: &mut GroupHandle, f: Dynamic) -> Outcome<ProcessHandle> {
        start_process(&ctx, group, f, Array::new(), Map::new())
    }

    /// Starts a process with arguments in the group.
    ///
    /// # Errors
    /// As `spawn_process(f)`.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_process(|n| print(n), [1]); }
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw, pure)]
    pub fn spawn_process_with(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        args: Array,
    ) -> Outcome<ProcessHandle> {
        start_process(&ctx, group, f, args, Map::new())
    }

    /// Starts a process with options in the group.
    ///
    /// # Errors
    /// As `spawn_process(f)`.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_process(|| print("hi"), #{name: "greeter"}); }
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw, pure)]
    pub fn spawn_process_opts(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        options: Map,
    ) -> Outcome<ProcessHandle> {
        start_process(&ctx, group, f, Array::new(), options)
    }

    /// Starts a process with arguments and options in the group.
    ///
    /// # Errors
    /// As `spawn_process(f)`.
    ///
    /// ```rhai
    /// with TaskGroup() as g { g.spawn_process(|n| print(n), [1], #{name: "printer"}); }
    /// ```
    #[rhai_fn(name = "spawn_process", return_raw, pure)]
    pub fn spawn_process_with_opts(
        ctx: NativeCallContext,
        group: &mut GroupHandle,
        f: Dynamic,
        args: Array,
        options: Map,
    ) -> Outcome<ProcessHandle> {
        start_process(&ctx, group, f, args, options)
    }
}

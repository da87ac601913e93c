//! `Event`, `Latch` and `Barrier`.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Map, NativeCallContext};

use crate::exec;
use crate::kernel::{Holder, Role, Waitable, current};
use crate::script::arguments::{Options, count, seconds};
use crate::script::barrier::ActionBarrier;
use crate::script::function::Callable;
use crate::script::handles::{Barrier as BarrierHandle, Event as EventHandle, Latch as LatchHandle};
use crate::script::host::host;
use crate::script::tasks::Job;
use crate::script::throw::{CallbackError, Outcome, call, call_within};
use crate::sync;

fn pass(ctx: &NativeCallContext, barrier: &BarrierHandle, limit: Option<std::time::Duration>) -> Outcome<i64> {
    let action = || match &barrier.action {
        // Who came last has no thread here that could run a script.
        Some(action) if current().role() == Role::Far => run_beside(ctx, action).map_err(CallbackError::Script),
        Some(action) => action.call([]).map(drop).map_err(CallbackError::Script),
        None => Ok(()),
    };
    let index = call_within(ctx, limit, |limit| barrier.barrier.wait(limit, action))?;
    Ok(i64::try_from(index).unwrap_or(i64::MAX))
}

/// Runs `action` on a thread of its own, and waits for it.
fn run_beside(ctx: &NativeCallContext, action: &Callable) -> Outcome<()> {
    let thread = exec::Thread::new(current().kernel(), "barrier action", Role::Thread, true);
    let job = Job { function: action.clone(), this: None, args: Vec::new() };
    let (host, core) = (host(), thread.future().core().clone());
    thread.give(move || job.run(&host, &core));
    call(ctx, || thread.start())?;
    call(ctx, || thread.join(None))?;
    super::thread::outcome(ctx, &thread).map(drop)
}

#[export_module]
pub mod functions {
    /// Makes an event: a flag that threads wait for. It is not set.
    ///
    /// ```rhai
    /// let green = Event();
    /// let car = spawn_thread(|| { green.wait(); "drives" });
    /// green.set();
    /// assert(car.join() == "drives");
    /// ```
    #[rhai_fn(name = "Event")]
    pub fn new_event() -> EventHandle {
        EventHandle::of(sync::Event::new())
    }

    /// Sets the flag; all threads that wait go on.
    ///
    /// ```rhai
    /// let e = Event();
    /// e.set();
    /// assert(e.is_set());
    /// ```
    #[rhai_fn(pure)]
    pub fn set(event: &mut EventHandle) {
        event.set();
    }

    /// Clears the flag.
    ///
    /// ```rhai
    /// let e = Event();
    /// e.set();
    /// e.clear();
    /// assert(!e.is_set());
    /// ```
    #[rhai_fn(pure)]
    pub fn clear(event: &mut EventHandle) {
        event.clear();
    }

    /// True when the flag is set.
    ///
    /// ```rhai
    /// assert(!Event().is_set());
    /// ```
    #[rhai_fn(pure)]
    pub fn is_set(event: &mut EventHandle) -> bool {
        event.is_set()
    }

    /// Waits until the flag is set; returns true.
    ///
    /// # Errors
    /// `DeadlockError` when nobody is left who could set it; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let e = Event();
    /// e.set();
    /// assert(e.wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_event(ctx: NativeCallContext, event: &mut EventHandle) -> Outcome<bool> {
        call(&ctx, || event.wait(None))
    }

    /// Waits until the flag is set, at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(!Event().wait(0.1));
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_event_within(ctx: NativeCallContext, event: &mut EventHandle, timeout: Dynamic) -> Outcome<bool> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| event.wait(limit))
    }

    /// Makes a latch that opens after `n` calls of `count_down()`, and then stays open.
    ///
    /// # Errors
    /// `ValueError` when `n` is negative.
    ///
    /// ```rhai
    /// let ready = Latch(3);
    /// for i in 0..3 { spawn_thread(|| ready.count_down()); }
    /// ready.wait();
    /// ```
    #[rhai_fn(name = "Latch", return_raw)]
    pub fn new_latch(ctx: NativeCallContext, n: Dynamic) -> Outcome<LatchHandle> {
        Ok(LatchHandle::of(sync::Latch::new(count(&ctx, "n", &n, 0)?)))
    }

    /// One less to wait for; nothing happens when the latch is open.
    ///
    /// ```rhai
    /// let l = Latch(1);
    /// l.count_down();
    /// assert(l.wait(0));
    /// ```
    #[rhai_fn(pure)]
    pub fn count_down(latch: &mut LatchHandle) {
        latch.count_down();
    }

    /// Waits until the latch is open; returns true.
    ///
    /// # Errors
    /// `DeadlockError` when nobody is left who could open it; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(Latch(0).wait());
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_latch(ctx: NativeCallContext, latch: &mut LatchHandle) -> Outcome<bool> {
        call(&ctx, || latch.wait(None))
    }

    /// Waits until the latch is open, at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(!Latch(1).wait(0.1));
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_latch_within(ctx: NativeCallContext, latch: &mut LatchHandle, timeout: Dynamic) -> Outcome<bool> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| latch.wait(limit))
    }

    /// Makes a barrier for `n` threads: they wait for each other and pass together.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1.
    ///
    /// ```rhai
    /// let start = Barrier(3);
    /// let runners = [];
    /// for i in 0..3 { runners.push(spawn_thread(|| start.wait())); }
    /// let indices = runners.map(|r| r.join());
    /// indices.sort();
    /// assert(indices == [0, 1, 2]);
    /// ```
    #[rhai_fn(name = "Barrier", return_raw)]
    pub fn new_barrier(ctx: NativeCallContext, n: Dynamic) -> Outcome<BarrierHandle> {
        new_barrier_with(ctx, n, Map::new())
    }

    /// Makes a barrier with options: `action`, a function that the last of each group runs before all go on, and
    /// `timeout`, the seconds a `wait()` without a timeout of its own lasts at most.
    ///
    /// # Errors
    /// `ValueError` when `n` is less than 1 or an option is not known.
    ///
    /// ```rhai
    /// let rounds = Value(0);
    /// let b = Barrier(1, #{action: || rounds.add(1)});
    /// b.wait();
    /// assert(rounds.value == 1);
    /// ```
    #[rhai_fn(name = "Barrier", return_raw)]
    pub fn new_barrier_with(ctx: NativeCallContext, n: Dynamic, options: Map) -> Outcome<BarrierHandle> {
        let parties = count(&ctx, "n", &n, 1)?;
        let mut options = Options::new(options);
        let action = options.take("action").filter(|a| !a.is_unit());
        let timeout = options.seconds(&ctx, "timeout")?;
        options.finish(&ctx)?;
        let barrier = sync::Barrier::new(parties);
        let holder = Holder::Object(barrier.core().clone());
        let action = action.map(|a| Callable::for_other(&ctx, "option action", a, &holder)).transpose()?;
        Ok(BarrierHandle::of(Arc::new(ActionBarrier { barrier, action, timeout })))
    }

    /// Waits for the others; returns which of the group it is, from 0.
    ///
    /// # Errors
    /// `BrokenBarrierError` for all when one gives up, or `abort()` or `reset()` is called; in the one that ran the
    /// action, its error. `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// assert(Barrier(1).wait() == 0);
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_barrier(ctx: NativeCallContext, barrier: &mut BarrierHandle) -> Outcome<i64> {
        pass(&ctx, barrier, barrier.timeout)
    }

    /// Waits for the others at most `timeout` seconds; when the time is up the barrier is broken for all.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// let b = Barrier(2);
    /// try { b.wait(0.1); } catch (e) { assert(e.kind == "BrokenBarrierError"); }
    /// assert(b.broken);
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_barrier_within(ctx: NativeCallContext, barrier: &mut BarrierHandle, timeout: Dynamic) -> Outcome<i64> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        pass(&ctx, barrier, limit)
    }

    /// Makes the barrier as new; those who wait get `BrokenBarrierError`.
    ///
    /// ```rhai
    /// let b = Barrier(2);
    /// b.abort();
    /// b.reset();
    /// assert(!b.broken);
    /// ```
    #[rhai_fn(pure)]
    pub fn reset(barrier: &mut BarrierHandle) {
        barrier.barrier.reset();
    }

    /// Breaks the barrier for all until `reset()`.
    ///
    /// ```rhai
    /// let b = Barrier(2);
    /// b.abort();
    /// assert(b.broken);
    /// ```
    #[rhai_fn(pure)]
    pub fn abort(barrier: &mut BarrierHandle) {
        barrier.barrier.abort();
    }

    /// How many threads pass together.
    ///
    /// ```rhai
    /// assert(Barrier(3).parties == 3);
    /// ```
    #[rhai_fn(get = "parties", pure)]
    pub fn get_parties(barrier: &mut BarrierHandle) -> i64 {
        i64::try_from(barrier.barrier.parties()).unwrap_or(i64::MAX)
    }

    /// How many threads wait now.
    ///
    /// ```rhai
    /// assert(Barrier(3).n_waiting == 0);
    /// ```
    #[rhai_fn(get = "n_waiting", pure)]
    pub fn get_n_waiting(barrier: &mut BarrierHandle) -> i64 {
        i64::try_from(barrier.barrier.n_waiting()).unwrap_or(i64::MAX)
    }

    /// True when the barrier is broken.
    ///
    /// ```rhai
    /// assert(!Barrier(3).broken);
    /// ```
    #[rhai_fn(get = "broken", pure)]
    pub fn get_broken(barrier: &mut BarrierHandle) -> bool {
        barrier.barrier.broken()
    }
}

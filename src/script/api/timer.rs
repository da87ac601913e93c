//! `Timer` and `interval`.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::exec::Timer;
use crate::exec::timer::Rounds;
use crate::kernel::{Holder, Waitable, current};
use crate::script::arguments::seconds;
use crate::script::done::Done;
use crate::script::function::Callable;
use crate::script::handles::{Thread as ThreadHandle, Timer as TimerHandle};
use crate::script::host::{host, mark, run_in};
use crate::script::parcel::Parcel;
use crate::script::tasks::{conclude, stopped};
use crate::script::throw::{Outcome, call, throw};

fn make(ctx: &NativeCallContext, secs: &Dynamic, f: Dynamic, repeat: bool) -> Outcome<TimerHandle> {
    mark(ctx);
    let Some(delay) = seconds(ctx, "secs", secs)? else {
        return throw(ctx, "ValueError", format!("{}(): secs must be a number of seconds", ctx.fn_name()));
    };
    // Who could start it, and with that run it, may be anybody.
    let mut function = Callable::for_other(ctx, "f", f, &Holder::Outside)?;
    let host = host();
    let after = host.clone();
    let mut own = false;
    let body = move || {
        run_in(&host, || {
            if !std::mem::replace(&mut own, true) {
                function.move_here();
            }
            let thread = crate::exec::Thread::<Done>::of(&current());
            let core = thread.map_or_else(|| crate::kernel::ObjectCore::new("Timer"), |t| t.core().clone());
            conclude(function.call([]), &core, function.source())
        })
    };
    let conclude = move |rounds| {
        run_in(&after, || match rounds {
            Rounds::Ran(done) => done,
            Rounds::Cancelled => Done::Value(Parcel::plain(Dynamic::UNIT)),
            Rounds::Stopped(stop) => stopped(stop),
        })
    };
    Ok(TimerHandle::of(Timer::new(delay, repeat, body, conclude)))
}

#[export_module]
pub mod functions {
    /// Makes a timer: a thread that runs `f` after `secs` seconds, once it is started.
    ///
    /// # Errors
    /// `CaptureError`, `TypeError` as `Thread(f)`; `ValueError` for a negative time.
    ///
    /// ```rhai
    /// let t = Timer(0.01, || print("ring"));
    /// t.start();
    /// t.join();
    /// ```
    #[rhai_fn(name = "Timer", return_raw)]
    pub fn new_timer(ctx: NativeCallContext, secs: Dynamic, f: Dynamic) -> Outcome<TimerHandle> {
        make(&ctx, &secs, f, false)
    }

    /// Makes a timer that runs `f` every `secs` seconds, once it is started, until it is cancelled or `f` fails.
    ///
    /// # Errors
    /// As `Timer(secs, f)`.
    ///
    /// ```rhai
    /// let ticks = Value(0);
    /// let clock = interval(0.01, || ticks.add(1));
    /// clock.start();
    /// sleep(0.1);
    /// clock.cancel();
    /// clock.join();
    /// assert(ticks.value > 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn interval(ctx: NativeCallContext, secs: Dynamic, f: Dynamic) -> Outcome<TimerHandle> {
        make(&ctx, &secs, f, true)
    }

    /// Starts the timer.
    ///
    /// # Errors
    /// `ThreadError` when it was started before.
    ///
    /// ```rhai
    /// let t = Timer(0, || print("at once"));
    /// t.start();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn start(ctx: NativeCallContext, timer: &mut TimerHandle) -> Outcome<()> {
        call(&ctx, || timer.start())
    }

    /// Stops the timer: `f` is not begun any more. Not a failure.
    ///
    /// ```rhai
    /// let t = Timer(1000, || print("never"));
    /// t.start();
    /// t.cancel();
    /// t.join();
    /// ```
    #[rhai_fn(pure)]
    pub fn cancel(timer: &mut TimerHandle) {
        timer.cancel();
    }

    /// Waits until the timer has run or was cancelled, and returns what `f` returned.
    ///
    /// # Errors
    /// The error of `f`; else as `join()` of a thread.
    ///
    /// ```rhai
    /// let t = Timer(0, || 42);
    /// t.start();
    /// assert(t.join() == 42);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn join(ctx: NativeCallContext, timer: &mut TimerHandle) -> Outcome<Dynamic> {
        let thread = ThreadHandle::of(timer.thread().clone());
        call(&ctx, || thread.join(None))?;
        crate::script::api::thread::outcome(&ctx, &thread)
    }

    /// True while it waits or runs.
    ///
    /// ```rhai
    /// assert(!Timer(1, || 1).is_alive());
    /// ```
    #[rhai_fn(pure)]
    pub fn is_alive(timer: &mut TimerHandle) -> bool {
        crate::kernel::door::query();
        timer.thread().is_alive()
    }
}

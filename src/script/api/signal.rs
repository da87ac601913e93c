//! `on_signal` and its like.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::kernel::{Stop, current, door};
use crate::script::api::child::signal_of;
use crate::script::arguments::text;
use crate::script::handler;
use crate::script::host::host;
use crate::script::throw::{Outcome, call, throw};
use crate::signals::{Rules, Signal};

fn signal(ctx: &NativeCallContext, name: &Dynamic) -> Outcome<Signal> {
    let name = text(ctx, "name", name)?;
    let number = signal_of(ctx, &name)?;
    Ok(Signal::numbered(number).expect("invariant: every name has a signal"))
}

fn catchable(ctx: &NativeCallContext, name: &Dynamic) -> Outcome<Signal> {
    let signal = signal(ctx, name)?;
    if signal.can_be_caught() {
        return Ok(signal);
    }
    throw(ctx, "ValueError", format!("{}(): {signal} cannot be caught or ignored", ctx.fn_name()))
}

fn change(ctx: &NativeCallContext, change: impl FnOnce(&Rules) -> std::io::Result<()>) -> Outcome<()> {
    call(ctx, door::enter)?;
    match change(host().signals()) {
        Ok(()) => Ok(()),
        Err(error) => throw(ctx, "IoError", format!("{}(): the system refuses: {error}", ctx.fn_name())),
    }
}

#[export_module]
pub mod functions {
    /// From now on `f` runs when the signal comes, in place of what the signal does by itself and of an earlier `f`. It is
    /// called with the name of the signal if it takes an argument (Python gives a number and a frame), else with none.
    ///
    /// `f` always runs in the main thread, at once: between two steps of the script, or while the main thread waits, which
    /// then goes on waiting with the time it has left. What `f` throws is thrown from there, and `exit(n)` in it ends the
    /// program. While `f` runs, the same signal waits; several of it that come in the meantime are one. Any thread may
    /// call `on_signal`, not only the main one as in Python. As long as there is an `f`, the main thread is never told
    /// that it waits in vain: a signal could end that.
    ///
    /// `name` is `"INT"` (Ctrl-C), `"TERM"`, `"HUP"`, `"QUIT"`, `"USR1"`, `"USR2"`, `"ALRM"`, `"WINCH"`, `"CHLD"`,
    /// `"CONT"`, `"TSTP"`, `"PIPE"` or another of the system's, in capitals or not, with `SIG` before it or without. By
    /// themselves the first `INT`, `TERM` or `HUP` throws `Interrupted` in the main thread and cancels all other threads,
    /// and the second ends the program at once; `QUIT` shows what every thread does. What orch was told to ignore when it
    /// was started (`nohup` does that with `HUP`) it ignores until the script says otherwise.
    ///
    /// # Errors
    /// `ValueError` when there is no such signal, or when it cannot be caught: `KILL`, `STOP`, and `SEGV`, `BUS`, `FPE`
    /// and `ILL`, which say that orch itself is broken. `TypeError` when `f` takes more than one argument; `CaptureError`
    /// as `Thread(f)`.
    ///
    /// ```rhai
    /// let stop = Event();
    /// on_signal("TERM", |name| { print(`${name}: finishing`); stop.set(); });
    /// Timer(0.01, || raise_signal("TERM")).start();
    /// stop.wait();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn on_signal(ctx: NativeCallContext, name: Dynamic, f: Dynamic) -> Outcome<()> {
        let signal = catchable(&ctx, &name)?;
        let handler = handler::make(&ctx, signal, f)?;
        change(&ctx, |rules| rules.handle(signal, handler))
    }

    /// From now on the signal does what it does by itself; see `on_signal(name, f)`.
    ///
    /// # Errors
    /// `ValueError` as `on_signal(name, f)`.
    ///
    /// ```rhai
    /// on_signal("INT", || print("not now"));
    /// raise_signal("INT");
    /// reset_signal("INT");
    /// try { raise_signal("INT"); } catch (e) { assert(e.kind == "Interrupted"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn reset_signal(ctx: NativeCallContext, name: Dynamic) -> Outcome<()> {
        let signal = catchable(&ctx, &name)?;
        change(&ctx, |rules| rules.reset(signal))
    }

    /// From now on nothing happens when the signal comes. Commands that are started do not inherit that.
    ///
    /// # Errors
    /// `ValueError` as `on_signal(name, f)`.
    ///
    /// ```rhai
    /// ignore_signal("HUP");
    /// raise_signal("HUP");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ignore_signal(ctx: NativeCallContext, name: Dynamic) -> Outcome<()> {
        let signal = catchable(&ctx, &name)?;
        change(&ctx, |rules| rules.ignore(signal))
    }

    /// Sends the signal to this program. In the main thread its function, if it has one, has run when this returns (but
    /// within that very function it runs afterwards); from another thread the main thread is told to run it. A signal
    /// without a function does what it does by itself: `TERM` interrupts the program, `KILL` ends it. Under `--sim` the
    /// system has no part in it, and a signal that would stop the process does nothing.
    ///
    /// # Errors
    /// `ValueError` when there is no such signal; what its function throws; `Interrupted` for the first `INT`, `TERM` or
    /// `HUP`, in another thread than the main one `Cancelled`.
    ///
    /// ```rhai
    /// let seen = Value(0);
    /// on_signal("USR1", || seen.add(1));
    /// raise_signal("USR1");
    /// assert(seen.value == 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn raise_signal(ctx: NativeCallContext, name: Dynamic) -> Outcome<()> {
        let signal = signal(&ctx, &name)?;
        change(&ctx, |rules| rules.raise(signal))?;
        call(&ctx, || {
            let task = current();
            match task.kernel().is_over() {
                true => Err(Stop::Ended),
                false => door::check(&task),
            }
        })
    }
}

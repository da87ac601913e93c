//! Time.

use rhai::plugin::*;
use rhai::{Dynamic, Module, NativeCallContext};

use crate::kernel::{door, sleep as sleep_at_the_door, with_current};
use crate::script::arguments::{seconds, text};
use crate::script::host::mark;
use crate::script::throw::{Outcome, call_within, throw};

fn zoned_now() -> jiff::Zoned {
    let (wall, sim) = with_current(|task| (task.kernel().world().wall_clock(), task.kernel().is_sim()));
    let timestamp = jiff::Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(wall)).unwrap_or_default();
    // A simulated run says the same everywhere.
    let zone = if sim { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    timestamp.to_zoned(zone)
}

/// Rhai's own `sleep` is for ints and floats, which come before any type: so these are for the same.
pub fn register(module: &mut Module) {
    module.set_native_fn("sleep", |ctx: NativeCallContext, secs: i64| functions::sleep(ctx, secs.into()));
    module.set_native_fn("sleep", |ctx: NativeCallContext, secs: f64| functions::sleep(ctx, secs.into()));
}

#[export_module]
pub mod functions {
    /// Stops this thread for `secs` seconds; with `()` until a signal or a cancellation comes. In simulated time no signal
    /// comes from outside: there `sleep(())` is a deadlock once no other thread is left that could go on.
    ///
    /// # Errors
    /// `Cancelled`, `Interrupted`; `DeadlockError`, under `--sim` only; `ValueError` for a negative time.
    ///
    /// ```rhai
    /// sleep(0.01);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep(ctx: NativeCallContext, secs: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "secs", &secs)?, sleep_at_the_door)
    }

    /// Seconds since 1970-01-01 UTC, as a float.
    ///
    /// ```rhai
    /// assert(time() > 900_000_000.0);
    /// ```
    pub fn time() -> f64 {
        door::query();
        with_current(|task| task.kernel().world().wall_clock())
    }

    /// Seconds since the program's start, as a float; never goes back. For measuring. While orch is stopped (Ctrl-Z) it stands
    /// still, and so do all time limits.
    ///
    /// ```rhai
    /// let start = monotonic();
    /// sleep(0.01);
    /// assert(monotonic() - start >= 0.01);
    /// ```
    pub fn monotonic() -> f64 {
        door::query();
        with_current(|task| task.kernel().now().as_secs_f64())
    }

    /// The local date and time by a format as of `strftime(3)`.
    ///
    /// # Errors
    /// `ValueError` when the format is not understood.
    ///
    /// ```rhai
    /// assert(strftime("%Y-%m-%d").len() == 10);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn strftime(ctx: NativeCallContext, format: Dynamic) -> Outcome<String> {
        mark(&ctx);
        let format = text(&ctx, "format", &format)?;
        jiff::fmt::strtime::format(format.as_str(), &zoned_now())
            .or_else(|error| throw(&ctx, "ValueError", format!("strftime(): {error}")))
    }

    /// How many processors this program may use. A number, also under `--sim`.
    ///
    /// ```rhai
    /// assert(cpu_count() >= 1);
    /// ```
    pub fn cpu_count() -> i64 {
        std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(i64::MAX))
    }
}

//! `Semaphore` and `BoundedSemaphore`.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::script::arguments::{count, seconds};
use crate::script::handles::Semaphore as SemaphoreHandle;
use crate::script::throw::{Outcome, call, call_within};
use crate::sync;

#[export_module]
pub mod functions {
    /// Makes a semaphore with `n` permits. Waiters are served in order of arrival. `with semaphore { … }` takes a permit
    /// and gives it back.
    ///
    /// # Errors
    /// `ValueError` when `n` is negative.
    ///
    /// ```rhai
    /// let pumps = Semaphore(5);
    /// with pumps { assert(pumps.value == 4); }
    /// ```
    #[rhai_fn(name = "Semaphore", return_raw)]
    pub fn new_semaphore(ctx: NativeCallContext, n: Dynamic) -> Outcome<SemaphoreHandle> {
        Ok(SemaphoreHandle::of(sync::Semaphore::new(count(&ctx, "n", &n, 0)?)))
    }

    /// Makes a semaphore that must not be released more often than it was taken.
    ///
    /// # Errors
    /// `ValueError` when `n` is negative.
    ///
    /// ```rhai
    /// let pumps = BoundedSemaphore(1);
    /// try { pumps.release(); } catch (e) { assert(e.kind == "SemaphoreError"); }
    /// ```
    #[rhai_fn(name = "BoundedSemaphore", return_raw)]
    pub fn new_bounded(ctx: NativeCallContext, n: Dynamic) -> Outcome<SemaphoreHandle> {
        Ok(SemaphoreHandle::of(sync::Semaphore::bounded(count(&ctx, "n", &n, 0)?)))
    }

    /// Takes a permit, waiting until there is one.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let s = Semaphore(1);
    /// s.acquire();
    /// s.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn acquire(ctx: NativeCallContext, semaphore: &mut SemaphoreHandle) -> Outcome<()> {
        call(&ctx, || semaphore.acquire(None))
    }

    /// Takes a permit, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `acquire()`.
    ///
    /// ```rhai
    /// let s = Semaphore(0);
    /// try { s.acquire(0.1); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "acquire", return_raw, pure)]
    pub fn acquire_within(ctx: NativeCallContext, semaphore: &mut SemaphoreHandle, timeout: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| semaphore.acquire(limit))
    }

    /// Takes a permit if there is one: true when it did.
    ///
    /// ```rhai
    /// let s = Semaphore(1);
    /// assert(s.try_acquire());
    /// assert(!s.try_acquire());
    /// ```
    #[rhai_fn(pure)]
    pub fn try_acquire(semaphore: &mut SemaphoreHandle) -> bool {
        semaphore.try_acquire()
    }

    /// Gives a permit back. Any thread may.
    ///
    /// # Errors
    /// `SemaphoreError` when a bounded one is released too often.
    ///
    /// ```rhai
    /// let s = Semaphore(0);
    /// s.release();
    /// assert(s.value == 1);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn release(ctx: NativeCallContext, semaphore: &mut SemaphoreHandle) -> Outcome<()> {
        call(&ctx, || semaphore.release(1))
    }

    /// Gives `k` permits back at once.
    ///
    /// # Errors
    /// `SemaphoreError`, and then none is given back; `ValueError` when `k` is less than 1.
    ///
    /// ```rhai
    /// let s = Semaphore(0);
    /// s.release(3);
    /// assert(s.value == 3);
    /// ```
    #[rhai_fn(name = "release", return_raw, pure)]
    pub fn release_many(ctx: NativeCallContext, semaphore: &mut SemaphoreHandle, k: Dynamic) -> Outcome<()> {
        let k = count(&ctx, "k", &k, 1)?;
        call(&ctx, || semaphore.release(k))
    }

    /// How many permits are free.
    ///
    /// ```rhai
    /// assert(Semaphore(2).value == 2);
    /// ```
    #[rhai_fn(get = "value", pure)]
    pub fn get_value(semaphore: &mut SemaphoreHandle) -> i64 {
        i64::try_from(semaphore.value()).unwrap_or(i64::MAX)
    }

    /// True when no permit is free.
    ///
    /// ```rhai
    /// assert(Semaphore(0).locked());
    /// ```
    #[rhai_fn(pure)]
    pub fn locked(semaphore: &mut SemaphoreHandle) -> bool {
        semaphore.locked()
    }
}

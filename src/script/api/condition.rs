//! `Condition`.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::kernel::Waitable;
use crate::script::arguments::{count, seconds};
use crate::script::function::Callable;
use crate::script::handles::{Condition as ConditionHandle, Lock as LockHandle};
use crate::script::throw::{Outcome, call, call_within};
use crate::sync;

/// Waits until `predicate` holds: the loop that every use of a condition needs.
fn wait_until(
    ctx: &NativeCallContext,
    condition: &ConditionHandle,
    predicate: &Callable,
    limit: Option<std::time::Duration>,
) -> Outcome<bool> {
    let kernel = condition.core().kernel().clone();
    let deadline = limit.map(|l| kernel.now().saturating_add(l));
    // Also where the predicate holds at once: it may only be looked at under the lock.
    call(ctx, || condition.must_be_held())?;
    loop {
        if truth(ctx, &predicate.call([])?)? {
            return Ok(true);
        }
        let left = deadline.map(|d| d.saturating_sub(kernel.now()));
        if left.is_some_and(|l| l.is_zero()) || !call_within(ctx, left, |left| condition.wait(left))? {
            return truth(ctx, &predicate.call([])?);
        }
    }
}

fn truth(ctx: &NativeCallContext, value: &Dynamic) -> Outcome<bool> {
    value.as_bool().or_else(|_| {
        let given = crate::script::arguments::type_for_people(value.type_name());
        crate::script::throw::throw(ctx, "TypeError", format!("wait_for(): pred must return a bool, not {given}"))
    })
}

#[export_module]
pub mod functions {
    /// Makes a condition on an `RLock` of its own: threads wait until another one says that something has changed. It has
    /// the methods of its lock, and `with condition { … }` holds that.
    ///
    /// ```rhai
    /// let cond = Condition();
    /// let ready = Value(false);
    /// let t = spawn_thread(|| { with cond { cond.wait_for(|| ready.value); } "went on" });
    /// with cond { ready.value = true; cond.notify(); }
    /// assert(t.join() == "went on");
    /// ```
    #[rhai_fn(name = "Condition")]
    pub fn new_condition() -> ConditionHandle {
        let lock = LockHandle::of(sync::Lock::reentrant());
        ConditionHandle::of(sync::Condition::new(&lock.0))
    }

    /// Makes a condition on `lock`, which several conditions may share.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// let not_empty = Condition(lock);
    /// let not_full = Condition(lock);
    /// ```
    #[rhai_fn(name = "Condition")]
    pub fn new_condition_on(lock: LockHandle) -> ConditionHandle {
        ConditionHandle::of(sync::Condition::new(&lock.0))
    }

    /// Takes the condition's lock.
    ///
    /// # Errors
    /// As `acquire()` of a lock.
    ///
    /// ```rhai
    /// let c = Condition();
    /// c.acquire();
    /// c.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn acquire(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<()> {
        call(&ctx, || condition.lock().acquire(None))
    }

    /// Takes the condition's lock, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// As `acquire(timeout)` of a lock.
    ///
    /// ```rhai
    /// let c = Condition();
    /// c.acquire(1);
    /// c.release();
    /// ```
    #[rhai_fn(name = "acquire", return_raw, pure)]
    pub fn acquire_within(ctx: NativeCallContext, condition: &mut ConditionHandle, timeout: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| condition.lock().acquire(limit))
    }

    /// Takes the condition's lock if that is possible at once.
    ///
    /// # Errors
    /// `AbandonedLock`, as `acquire()`.
    ///
    /// ```rhai
    /// let c = Condition();
    /// assert(c.try_acquire());
    /// c.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn try_acquire(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<bool> {
        call(&ctx, || condition.lock().try_acquire())
    }

    /// Gives the condition's lock back.
    ///
    /// # Errors
    /// `LockError` when it is not held, or by another thread.
    ///
    /// ```rhai
    /// try { Condition().release(); } catch (e) { assert(e.kind == "LockError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn release(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<()> {
        call(&ctx, || condition.lock().release())
    }

    /// True when somebody holds the condition's lock.
    ///
    /// ```rhai
    /// assert(!Condition().locked());
    /// ```
    #[rhai_fn(pure)]
    pub fn locked(condition: &mut ConditionHandle) -> bool {
        condition.lock().locked()
    }

    /// Lets go of the lock, waits to be notified, and takes the lock back; returns true. There are no spurious wake-ups,
    /// but what was true when the other thread notified may have changed again: prefer `wait_for`.
    ///
    /// # Errors
    /// `LockError` without the lock; `DeadlockError` when nobody is left who could notify; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let c = Condition();
    /// try { c.wait(); } catch (e) { assert(e.kind == "LockError"); }
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_notified(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<bool> {
        call(&ctx, || condition.wait(None))
    }

    /// The same, waiting at most `timeout` seconds: false when the time was up.
    ///
    /// # Errors
    /// As `wait()`.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { assert(!c.wait(0.1)); }
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_notified_within(
        ctx: NativeCallContext,
        condition: &mut ConditionHandle,
        timeout: Dynamic,
    ) -> Outcome<bool> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| condition.wait(limit))
    }

    /// Waits until `pred` returns true, looking again after each notification; returns true.
    ///
    /// # Errors
    /// As `wait()`; whatever `pred` throws; `TypeError` when it returns no bool.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { assert(c.wait_for(|| true)); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn wait_for(ctx: NativeCallContext, condition: &mut ConditionHandle, pred: Dynamic) -> Outcome<bool> {
        let pred = Callable::here(&ctx, "pred", pred)?;
        wait_until(&ctx, condition, &pred, None)
    }

    /// The same, waiting at most `timeout` seconds: returns what `pred` says last.
    ///
    /// # Errors
    /// As `wait_for(pred)`.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { assert(!c.wait_for(|| false, 0.1)); }
    /// ```
    #[rhai_fn(name = "wait_for", return_raw, pure)]
    pub fn wait_for_within(
        ctx: NativeCallContext,
        condition: &mut ConditionHandle,
        pred: Dynamic,
        timeout: Dynamic,
    ) -> Outcome<bool> {
        let pred = Callable::here(&ctx, "pred", pred)?;
        let limit = seconds(&ctx, "timeout", &timeout)?;
        wait_until(&ctx, condition, &pred, limit)
    }

    /// Lets the thread go on that waits longest, once it gets the lock.
    ///
    /// # Errors
    /// `LockError` without the lock.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { c.notify(); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn notify(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<()> {
        call(&ctx, || condition.notify(1))
    }

    /// Lets the `n` threads go on that wait longest.
    ///
    /// # Errors
    /// `LockError` without the lock; `ValueError` when `n` is negative.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { c.notify(2); }
    /// ```
    #[rhai_fn(name = "notify", return_raw, pure)]
    pub fn notify_many(ctx: NativeCallContext, condition: &mut ConditionHandle, n: Dynamic) -> Outcome<()> {
        let n = count(&ctx, "n", &n, 0)?;
        call(&ctx, || condition.notify(n))
    }

    /// Lets all threads go on that wait, one after the other.
    ///
    /// # Errors
    /// `LockError` without the lock.
    ///
    /// ```rhai
    /// let c = Condition();
    /// with c { c.notify_all(); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn notify_all(ctx: NativeCallContext, condition: &mut ConditionHandle) -> Outcome<()> {
        call(&ctx, || condition.notify_all())
    }
}

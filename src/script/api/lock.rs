//! `Lock` and `RLock`.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::script::arguments::seconds;
use crate::script::handles::Lock as LockHandle;
use crate::script::throw::{Outcome, call, call_within};
use crate::sync;

#[export_module]
pub mod functions {
    /// Makes a lock. It has an owner: the thread that took it, and only that one, releases it; taking it again is a
    /// deadlock. For a hand-over from one thread to another use `Semaphore(1)`. `with lock { … }` takes and releases it.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// with lock {
    ///     assert(lock.locked());
    /// }
    /// assert(!lock.locked());
    /// ```
    #[rhai_fn(name = "Lock")]
    pub fn new_lock() -> LockHandle {
        LockHandle::of(sync::Lock::new())
    }

    /// Makes a lock that its owner may take again; it is free when it was released as often.
    ///
    /// ```rhai
    /// let lock = RLock();
    /// with lock { with lock { print("twice"); } }
    /// assert(!lock.locked());
    /// ```
    #[rhai_fn(name = "RLock")]
    pub fn new_rlock() -> LockHandle {
        LockHandle::of(sync::Lock::reentrant())
    }

    /// Takes the lock, waiting until it is free.
    ///
    /// # Errors
    /// `AbandonedLock` when the last owner ended without releasing it: the lock is held all the same, look at what it
    /// protects. `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// lock.acquire();
    /// lock.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn acquire(ctx: NativeCallContext, lock: &mut LockHandle) -> Outcome<()> {
        call(&ctx, || lock.acquire(None))
    }

    /// Takes the lock, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `acquire()`.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// lock.acquire(0.5);
    /// let other = spawn_thread(|| lock.acquire(0.5));
    /// try { other.join(); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// lock.release();
    /// ```
    #[rhai_fn(name = "acquire", return_raw, pure)]
    pub fn acquire_within(ctx: NativeCallContext, lock: &mut LockHandle, timeout: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| lock.acquire(limit))
    }

    /// Takes the lock if that is possible at once: true when it did.
    ///
    /// # Errors
    /// `AbandonedLock`, as `acquire()`.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// assert(lock.try_acquire());
    /// assert(!lock.try_acquire());
    /// lock.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn try_acquire(ctx: NativeCallContext, lock: &mut LockHandle) -> Outcome<bool> {
        call(&ctx, || lock.try_acquire())
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// `LockError` when it is not held, or by another thread.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// try { lock.release(); } catch (e) { assert(e.kind == "LockError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn release(ctx: NativeCallContext, lock: &mut LockHandle) -> Outcome<()> {
        call(&ctx, || lock.release())
    }

    /// True when somebody holds it.
    ///
    /// ```rhai
    /// let lock = Lock();
    /// assert(!lock.locked());
    /// ```
    #[rhai_fn(pure)]
    pub fn locked(lock: &mut LockHandle) -> bool {
        lock.locked()
    }
}

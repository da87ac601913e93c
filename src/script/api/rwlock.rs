//! `RwLock` and its two sides.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::script::arguments::seconds;
use crate::script::handles::{RwLock as RwLockHandle, RwSide};
use crate::script::rwside::LockSide;
use crate::script::throw::{Outcome, call, call_within};
use crate::sync;
use crate::sync::rwlock::Side;

#[export_module]
pub mod functions {
    /// Makes a lock that many threads may hold to read, or one to write. `with lock.read() { … }`,
    /// `with lock.write() { … }`. Served in order of arrival, so neither side starves the other.
    ///
    /// ```rhai
    /// let lock = RwLock();
    /// with lock.read() { print("reading"); }
    /// with lock.write() { print("writing"); }
    /// ```
    #[rhai_fn(name = "RwLock")]
    pub fn new_rwlock() -> RwLockHandle {
        RwLockHandle::of(sync::RwLock::new())
    }

    /// The side for reading.
    ///
    /// ```rhai
    /// let side = RwLock().read();
    /// side.acquire();
    /// side.release();
    /// ```
    #[rhai_fn(pure)]
    pub fn read(lock: &mut RwLockHandle) -> RwSide {
        RwSide::of(Arc::new(LockSide { lock: lock.0.object().clone(), side: Side::Read }))
    }

    /// The side for writing.
    ///
    /// ```rhai
    /// let side = RwLock().write();
    /// side.acquire();
    /// side.release();
    /// ```
    #[rhai_fn(pure)]
    pub fn write(lock: &mut RwLockHandle) -> RwSide {
        RwSide::of(Arc::new(LockSide { lock: lock.0.object().clone(), side: Side::Write }))
    }

    /// Takes this side. A thread that reads may read again; one that reads and wants to write is in a deadlock.
    ///
    /// # Errors
    /// `AbandonedLock` when the last writer ended without releasing; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let side = RwLock().read();
    /// side.acquire();
    /// side.release();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn acquire(ctx: NativeCallContext, side: &mut RwSide) -> Outcome<()> {
        call(&ctx, || side.lock.acquire(side.side, None))
    }

    /// Takes this side, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `acquire()`.
    ///
    /// ```rhai
    /// let lock = RwLock();
    /// with lock.write() {
    ///     let t = spawn_thread(|| lock.read().acquire(0.1));
    ///     try { t.join(); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// }
    /// ```
    #[rhai_fn(name = "acquire", return_raw, pure)]
    pub fn acquire_within(ctx: NativeCallContext, side: &mut RwSide, timeout: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| side.lock.acquire(side.side, limit))
    }

    /// Takes this side if that is possible at once.
    ///
    /// # Errors
    /// `AbandonedLock`, as `acquire()`.
    ///
    /// ```rhai
    /// let lock = RwLock();
    /// assert(lock.read().try_acquire());
    /// assert(!lock.write().try_acquire());
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn try_acquire(ctx: NativeCallContext, side: &mut RwSide) -> Outcome<bool> {
        call(&ctx, || side.lock.try_acquire(side.side))
    }

    /// Gives this side back.
    ///
    /// # Errors
    /// `LockError` when this thread does not hold it.
    ///
    /// ```rhai
    /// try { RwLock().read().release(); } catch (e) { assert(e.kind == "LockError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn release(ctx: NativeCallContext, side: &mut RwSide) -> Outcome<()> {
        call(&ctx, || side.lock.release(side.side))
    }

    /// True when somebody holds this side.
    ///
    /// ```rhai
    /// assert(!RwLock().write().locked());
    /// ```
    #[rhai_fn(pure)]
    pub fn locked(side: &mut RwSide) -> bool {
        side.lock.locked(side.side)
    }
}

//! What the rewriting of the source calls (see `script::source`), and of what functions that call script code back are put
//! together for objects of another process (see `script::callbacks`). Not for scripts, so without examples.

use rhai::plugin::*;
use rhai::{Array, Dynamic, NativeCallContext};

use crate::kernel::{Holder, Waitable};
use crate::script::api::child::functions::stderr_lines;
use crate::script::arguments::seconds;
use crate::script::handles::{Child, Condition, SharedList, SharedMap, Value};
use crate::script::parcel::{Parcel, detach};
use crate::script::throw::{Outcome, call};
use crate::script::{first, flights, futures_of_both, iterate, statements};
use crate::sync::Cell;

fn begin(ctx: &NativeCallContext, cell: &Cell<Parcel>) -> Outcome<Dynamic> {
    call(ctx, || cell.begin_update())?;
    Ok(cell.peek(Parcel::copy))
}

fn finish(ctx: &NativeCallContext, cell: &Cell<Parcel>, new: Dynamic) -> Outcome<()> {
    let new = Parcel::pack(ctx, new, &Holder::Object(cell.core().clone()))?;
    finish_with(ctx, cell, |parcel| Some(std::mem::replace(parcel, new)))
}

fn finish_with(
    ctx: &NativeCallContext,
    cell: &Cell<Parcel>,
    change: impl FnOnce(&mut Parcel) -> Option<Parcel>,
) -> Outcome<()> {
    // Only who began it: a process can ask for anything.
    call(ctx, || cell.must_update())?;
    let before = cell.replace(change);
    drop(before);
    call(ctx, || cell.end_update())
}

#[export_module]
pub mod functions {
    /// Notes where a `for` begins and passes on what it runs over.
    pub fn __each(ctx: NativeCallContext, list: Dynamic) -> Dynamic {
        iterate::begin_loop(&ctx);
        list
    }

    /// Stands in an empty loop.
    pub fn __idle() {}

    /// What `with … as` or `catch (…)` binds.
    pub fn __held() -> Dynamic {
        statements::bound_value()
    }

    /// Keeps handles that go through a `Pipe`: the number under which they are, and what is to go with them.
    ///
    /// # Errors
    /// `SendError` when one of them was made in a process.
    #[rhai_fn(return_raw)]
    pub fn __send_off(ctx: NativeCallContext, handles: Array) -> Outcome<Array> {
        flights::send_off(&ctx, handles)
    }

    /// How far futures are.
    ///
    /// # Errors
    /// `TypeError` when one is none.
    #[rhai_fn(return_raw)]
    pub fn __stages(ctx: NativeCallContext, futures: Array) -> Outcome<Array> {
        futures_of_both::stages(&ctx, &futures)
    }

    /// The handles that are kept under a number.
    ///
    /// # Errors
    /// `ValueError` when there are none.
    #[rhai_fn(return_raw)]
    pub fn __arrive(ctx: NativeCallContext, number: i64) -> Outcome<Array> {
        flights::arrive(&ctx, number)
    }

    /// Takes the first of several things that is ready, as `select()`; `()` when none is.
    ///
    /// # Errors
    /// As `select()`.
    #[rhai_fn(return_raw)]
    pub fn __take_ready(ctx: NativeCallContext, sources: Array) -> Outcome<Dynamic> {
        Ok(first::take_ready(&ctx, &sources)?.map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// Waits until one of several things is ready, at most `timeout` seconds, and takes nothing.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    #[rhai_fn(return_raw)]
    pub fn __await_ready(ctx: NativeCallContext, sources: Array, timeout: Dynamic) -> Outcome<bool> {
        first::await_ready(&ctx, sources, seconds(&ctx, "timeout", &timeout)?)
    }

    /// Throws unless the caller has the condition's lock.
    ///
    /// # Errors
    /// `LockError`.
    #[rhai_fn(return_raw, pure)]
    pub fn __must_hold(ctx: NativeCallContext, condition: &mut Condition) -> Outcome<()> {
        call(&ctx, || condition.must_be_held())
    }

    /// Begins an update of a value: what it is now.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    #[rhai_fn(name = "__begin", return_raw, pure)]
    pub fn begin_value(ctx: NativeCallContext, value: &mut Value) -> Outcome<Dynamic> {
        begin(&ctx, value)
    }

    /// Begins an update of a list: what it is now.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    #[rhai_fn(name = "__begin", return_raw, pure)]
    pub fn begin_list(ctx: NativeCallContext, list: &mut SharedList) -> Outcome<Dynamic> {
        begin(&ctx, list.cell())
    }

    /// Begins an update of a map: what it is now.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    #[rhai_fn(name = "__begin", return_raw, pure)]
    pub fn begin_map(ctx: NativeCallContext, map: &mut SharedMap) -> Outcome<Dynamic> {
        begin(&ctx, map.cell())
    }

    /// Begins an update of an entry of a map.
    ///
    /// # Errors
    /// `DeadlockError`, `Cancelled`, `Interrupted`.
    #[rhai_fn(return_raw, pure)]
    pub fn __begin_entry(ctx: NativeCallContext, map: &mut SharedMap) -> Outcome<()> {
        call(&ctx, || map.cell().begin_update())
    }

    /// Ends an update with the new value.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__finish", return_raw, pure)]
    pub fn finish_value(ctx: NativeCallContext, value: &mut Value, new: Dynamic) -> Outcome<()> {
        finish(&ctx, value, new)
    }

    /// Ends an update with the new content.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__finish", return_raw, pure)]
    pub fn finish_list(ctx: NativeCallContext, list: &mut SharedList, new: Dynamic) -> Outcome<()> {
        finish(&ctx, list.cell(), new)
    }

    /// Ends an update with the new content.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__finish", return_raw, pure)]
    pub fn finish_map(ctx: NativeCallContext, map: &mut SharedMap, new: Dynamic) -> Outcome<()> {
        finish(&ctx, map.cell(), new)
    }

    /// Ends an update of an entry with the new value.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(return_raw, pure)]
    pub fn __finish_entry(ctx: NativeCallContext, map: &mut SharedMap, key: &str, new: Dynamic) -> Outcome<()> {
        let cell = map.cell();
        let new = detach(&ctx, new, &Holder::Object(cell.core().clone()))?;
        finish_with(&ctx, cell, |parcel| {
            let mut fields = parcel.peek_mut().write_lock::<rhai::Map>();
            fields.as_mut().and_then(|fields| fields.insert(key.into(), new)).map(Parcel::plain)
        })
    }

    /// Ends an update that changes nothing.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__leave", return_raw, pure)]
    pub fn leave_value(ctx: NativeCallContext, value: &mut Value) -> Outcome<()> {
        call(&ctx, || value.end_update())
    }

    /// Ends an update that changes nothing.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__leave", return_raw, pure)]
    pub fn leave_list(ctx: NativeCallContext, list: &mut SharedList) -> Outcome<()> {
        call(&ctx, || list.cell().end_update())
    }

    /// Ends an update that changes nothing.
    ///
    /// # Errors
    /// `LockError` when the caller has begun none.
    #[rhai_fn(name = "__leave", return_raw, pure)]
    pub fn leave_map(ctx: NativeCallContext, map: &mut SharedMap) -> Outcome<()> {
        call(&ctx, || map.cell().end_update())
    }

    /// The next line of a command's standard error; `()` at the end.
    ///
    /// # Errors
    /// As `stderr_lines()`.
    #[rhai_fn(return_raw, pure)]
    pub fn __stderr_line(ctx: NativeCallContext, child: &mut Child) -> Outcome<Dynamic> {
        let mut lines = stderr_lines(ctx, child);
        lines.next().unwrap_or(Ok(Dynamic::UNIT))
    }

    /// What `with` does at the end of a block that has a command.
    ///
    /// # Errors
    /// Those of a wait.
    #[rhai_fn(return_raw, pure)]
    pub fn __end(ctx: NativeCallContext, child: &mut Child) -> Outcome<()> {
        child.terminate();
        call(&ctx, || child.wait_through().map(drop))
    }

    /// Passes an object on as a temporary.
    pub fn __at(object: Dynamic) -> Dynamic {
        object
    }
}

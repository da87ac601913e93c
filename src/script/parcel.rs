//! Values on their way from one task to another.
//!
//! Invariant: a parcel shares nothing with the task it came from but handles, and each of those is held by whoever holds
//! the parcel. [`detach`] is the only way to make one; nothing crosses between tasks but through it.

use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext};

use super::encode::{Inspection, Way};
use super::handles::make_over;
use super::throw::{Outcome, Problem, throw};
use crate::kernel::{Holder, with_current};

/// How deep values may nest. A closure that holds itself nests without end.
const DEEPEST: usize = 200;

/// A value that another task may take.
#[derive(Clone, Debug)]
pub struct Parcel(Dynamic);

impl Parcel {
    /// Packs `value` for `holder`.
    ///
    /// # Errors
    /// `ValueError` when it nests too deep.
    pub fn pack(ctx: &NativeCallContext, value: Dynamic, holder: &Holder) -> Outcome<Parcel> {
        Ok(Parcel(detach(ctx, value, holder)?))
    }

    /// Packs a value that is known not to nest.
    pub fn plain(value: Dynamic) -> Parcel {
        Parcel(value)
    }

    /// Takes the value out for the current task.
    pub fn unpack(mut self) -> Dynamic {
        if !is_plain(&self.0) {
            let holder = Holder::current();
            // It was packed, so it does not nest too deep.
            let _within_depth = own(&mut self.0, &holder, 0);
        }
        self.0
    }

    /// A copy for the current task.
    pub fn copy(&self) -> Dynamic {
        self.clone().unpack()
    }

    /// The value, to look at.
    pub fn peek(&self) -> &Dynamic {
        &self.0
    }

    /// The value, to change in place; what is put in must have been detached for the same holder.
    pub fn peek_mut(&mut self) -> &mut Dynamic {
        &mut self.0
    }
}

/// A copy of `value` that shares nothing with its task but handles, which `holder` holds.
///
/// # Errors
/// `ValueError` when it nests too deep.
pub fn detach(ctx: &NativeCallContext, mut value: Dynamic, holder: &Holder) -> Outcome<Dynamic> {
    if !value.is_shared() && is_plain(&value) {
        return Ok(value);
    }
    stays_in_its_process(ctx, &value, holder)?;
    match own(&mut value, holder, 0) {
        Ok(()) => Ok(value),
        Err(TooDeep) => throw(
            ctx,
            "ValueError",
            format!("this {} nests more than {DEEPEST} levels deep, or holds itself", value.type_name()),
        ),
    }
}

/// A simulated process cannot put what it has made into an object that it was given, as a real one cannot.
fn stays_in_its_process(ctx: &NativeCallContext, value: &Dynamic, holder: &Holder) -> Outcome<()> {
    let Holder::Object(core) = holder else {
        return Ok(());
    };
    let process = if core.kernel().is_sim() { with_current(|task| task.process()) } else { 0 };
    if process == core.home() {
        return Ok(());
    }
    Inspection::of(Way::UpFrom(process))
        .check(value, "args[0]")
        .map_err(|refused| Problem::new(ctx, "SendError", format!("{}(): {refused}", ctx.fn_name())).thrown())
}

/// Makes a parcel's content over to `holder`, in place.
pub fn make_content_over(value: &mut Dynamic, holder: &Holder) {
    // Content of a parcel was packed, so it does not nest too deep.
    let _within_depth = own(value, holder, 0);
}

#[derive(Debug)]
struct TooDeep;

/// Numbers, strings and the like hold nothing. Strings are immutable and may be shared.
#[inline]
pub fn is_plain(value: &Dynamic) -> bool {
    value.is_int() || value.is_string() || value.is_float() || value.is_bool() || value.is_unit() || value.is_char()
}

fn own(value: &mut Dynamic, holder: &Holder, depth: usize) -> Result<(), TooDeep> {
    if value.is_shared() {
        *value = std::mem::take(value).flatten();
    }
    if is_plain(value) {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(TooDeep);
    }
    if let Some(mut items) = value.write_lock::<Array>() {
        let mut others = items.iter_mut().filter(|item| item.is_shared() || !is_plain(item));
        return others.try_for_each(|item| own(item, holder, depth + 1));
    }
    if let Some(mut fields) = value.write_lock::<Map>() {
        return fields.values_mut().try_for_each(|field| own(field, holder, depth + 1));
    }
    if let Some(mut function) = value.write_lock::<FnPtr>() {
        return function.iter_curry_mut().try_for_each(|captured| own(captured, holder, depth + 1));
    }
    make_over(value, holder);
    Ok(())
}

//! `Value`.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::kernel::{Holder, Waitable};
use crate::script::function::Callable;
use crate::script::handles::Value as ValueHandle;
use crate::script::host::mark;
use crate::script::number;
use crate::script::parcel::Parcel;
use crate::script::shared;
use crate::script::throw::{CallbackError, Outcome, call};
use crate::sync::number_word::NumberWord;

fn holder_of(value: &ValueHandle) -> Holder {
    Holder::Object(value.core().clone())
}

/// What can be done with a number that other processes have too, where it lies; `None` when there is none.
fn at_once<R>(
    ctx: &NativeCallContext,
    value: &ValueHandle,
    action: impl FnOnce(NumberWord<'_>) -> Option<R>,
) -> Option<R> {
    let word = value.number()?;
    mark(ctx);
    action(word)
}

/// Puts `new` in.
fn put(ctx: &NativeCallContext, value: &ValueHandle, new: Dynamic) -> Outcome<()> {
    match at_once(ctx, value, |word| number::set(word, &new)) {
        Some(()) => Ok(()),
        None => exchange(ctx, value, new).map(drop),
    }
}

/// Puts `new` in; returns what was there.
fn exchange(ctx: &NativeCallContext, value: &ValueHandle, new: Dynamic) -> Outcome<Parcel> {
    let new = Parcel::pack(ctx, new, &holder_of(value))?;
    call(ctx, || value.write(|old| std::mem::replace(old, new)))
}

/// `a + b` as Rhai adds, for numbers and strings and whatever else has a `+`.
fn sum(ctx: &NativeCallContext, a: Dynamic, b: Dynamic) -> Outcome<Dynamic> {
    if let (Ok(x), Ok(y)) = (a.as_int(), b.as_int())
        && let Some(total) = x.checked_add(y)
    {
        return Ok(total.into());
    }
    let (mut a, mut b) = (a, b);
    ctx.call_native_fn_raw("+", true, &mut [&mut a, &mut b])
}

/// Ints are by far the most common: no script code runs, so the sum is made in place.
fn add_int(ctx: &NativeCallContext, value: &ValueHandle, n: i64) -> Outcome<Option<i64>> {
    call(ctx, || {
        value.write(|parcel| {
            let total = parcel.peek().as_int().ok()?.checked_add(n)?;
            *parcel = Parcel::plain(total.into());
            Some(total)
        })
    })
}

fn equal(ctx: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Outcome<bool> {
    let (mut a, mut b) = (a.clone(), b.clone());
    let same = ctx.call_native_fn_raw("==", true, &mut [&mut a, &mut b])?;
    Ok(same.as_bool().unwrap_or(false))
}

/// Values of different types are not equal, which Rhai's `==` already says for the simple ones.
fn compare_and_exchange(ctx: &NativeCallContext, value: &ValueHandle, old: &Dynamic, new: Dynamic) -> Outcome<bool> {
    let new = Parcel::pack(ctx, new, &holder_of(value))?;
    call(ctx, || {
        value.update(|| {
            let now = value.peek(Parcel::copy);
            let same = equal(ctx, &now, old)?;
            if same {
                let before = value.replace(|parcel| std::mem::replace(parcel, new));
                drop(before);
            }
            Ok::<_, CallbackError>(same)
        })
    })
}

fn run_update(ctx: &NativeCallContext, value: &ValueHandle, f: &Callable) -> Outcome<Dynamic> {
    call(ctx, || {
        value.update(|| {
            let new = f.call([value.peek(Parcel::copy)])?;
            let result = new.clone();
            let new = Parcel::pack(ctx, new, &holder_of(value))?;
            let before = value.replace(|parcel| std::mem::replace(parcel, new));
            drop(before);
            Ok::<_, CallbackError>(result)
        })
    })
}

#[export_module]
pub mod functions {
    /// Makes a value that threads share. Reading and writing it are atomic, each by itself: `v.value += 1` is a read and
    /// a write, between which another thread may write; use `add`, `update` or a lock.
    ///
    /// # Errors
    /// `ValueError` when `x` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let n = Value(100);
    /// let t = spawn_thread(|| n.add(-1));
    /// t.join();
    /// assert(n.value == 99);
    /// ```
    #[rhai_fn(name = "Value", return_raw)]
    pub fn new_value(ctx: NativeCallContext, x: Dynamic) -> Outcome<ValueHandle> {
        Ok(ValueHandle::of(shared::make(&ctx, "Value", x)?))
    }

    /// The value, or a new one for it.
    ///
    /// ```rhai
    /// let v = Value("a");
    /// v.value = "b";
    /// assert(v.value == "b");
    /// ```
    #[rhai_fn(get = "value", pure)]
    pub fn get_value(value: &mut ValueHandle) -> Dynamic {
        value.read(Parcel::copy)
    }

    /// Writes the value.
    ///
    /// # Errors
    /// `ValueError` when `x` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let v = Value(1);
    /// v.value = 2;
    /// assert(v.value == 2);
    /// ```
    #[rhai_fn(set = "value", return_raw, pure)]
    pub fn set_value(ctx: NativeCallContext, value: &mut ValueHandle, x: Dynamic) -> Outcome<()> {
        put(&ctx, value, x)
    }

    /// The value.
    ///
    /// ```rhai
    /// assert(Value(1).get() == 1);
    /// ```
    #[rhai_fn(pure)]
    pub fn get(value: &mut ValueHandle) -> Dynamic {
        value.read(Parcel::copy)
    }

    /// Writes the value.
    ///
    /// # Errors
    /// `ValueError` when `x` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let v = Value(1);
    /// v.set(2);
    /// assert(v.get() == 2);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set(ctx: NativeCallContext, value: &mut ValueHandle, x: Dynamic) -> Outcome<()> {
        put(&ctx, value, x)
    }

    /// Adds `n` in one atomic step and returns the new value. Works for whatever `+` works for.
    ///
    /// # Errors
    /// Those of `+`.
    ///
    /// ```rhai
    /// let v = Value(1);
    /// assert(v.add(2) == 3);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add(ctx: NativeCallContext, value: &mut ValueHandle, n: Dynamic) -> Outcome<Dynamic> {
        if let Some(total) = at_once(&ctx, value, |word| number::add(word, &n)) {
            return Ok(total);
        }
        if let Ok(n) = n.as_int()
            && let Some(total) = add_int(&ctx, value, n)?
        {
            return Ok(total.into());
        }
        call(&ctx, || {
            value.update(|| {
                let total = sum(&ctx, value.peek(Parcel::copy), n)?;
                let packed = Parcel::pack(&ctx, total.clone(), &holder_of(value))?;
                let before = value.replace(|parcel| std::mem::replace(parcel, packed));
                drop(before);
                Ok::<_, CallbackError>(total)
            })
        })
    }

    /// Writes the value and returns the one before.
    ///
    /// # Errors
    /// `ValueError` when `x` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let v = Value(1);
    /// assert(v.swap(2) == 1);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn swap(ctx: NativeCallContext, value: &mut ValueHandle, x: Dynamic) -> Outcome<Dynamic> {
        match at_once(&ctx, value, |word| number::swap(word, &x)) {
            Some(before) => Ok(before),
            None => Ok(exchange(&ctx, value, x)?.unpack()),
        }
    }

    /// Writes `new` if the value is `old`, in one atomic step: true when it did.
    ///
    /// # Errors
    /// `ValueError` when `new` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let v = Value(1);
    /// assert(v.compare_and_set(1, 2));
    /// assert(!v.compare_and_set(1, 3));
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn compare_and_set(
        ctx: NativeCallContext,
        value: &mut ValueHandle,
        old: Dynamic,
        new: Dynamic,
    ) -> Outcome<bool> {
        match at_once(&ctx, value, |word| number::compare_and_set(word, &old, &new)) {
            Some(same) => Ok(same),
            None => compare_and_exchange(&ctx, value, &old, new),
        }
    }

    /// Writes what `f` makes of the value, and returns it. Nobody else writes meanwhile; `f` may wait. When `f` fails,
    /// the value stays.
    ///
    /// # Errors
    /// Whatever `f` throws; `DeadlockError` when `f` changes the same value.
    ///
    /// ```rhai
    /// let v = Value(3);
    /// assert(v.update(|x| x * x) == 9);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn update(ctx: NativeCallContext, value: &mut ValueHandle, f: Dynamic) -> Outcome<Dynamic> {
        let f = Callable::here(&ctx, "f", f)?;
        run_update(&ctx, value, &f)
    }
}

//! Values that are numbers, which tasks of several processes change without asking each other ([`crate::sync::number_word`]).

use rhai::Dynamic;

use super::parcel::Parcel;
use crate::sync::cell::AsNumber;
use crate::sync::number_word::{Number, NumberWord};

/// What a cell of a script wants to know of them.
pub const AS_NUMBER: AsNumber<Parcel> = (|parcel| of(parcel.peek()), |number| Parcel::plain(value(number)));

/// The number that a value is.
fn of(value: &Dynamic) -> Option<Number> {
    if let Ok(n) = value.as_int() {
        return Some(Number::Int(n));
    }
    match (value.as_float(), value.as_bool()) {
        (Ok(x), _) => Some(Number::Float(x)),
        (_, Ok(flag)) => Some(Number::Bool(flag)),
        _ => value.is_unit().then_some(Number::Unit),
    }
}

fn value(number: Number) -> Dynamic {
    match number {
        Number::Unit => Dynamic::UNIT,
        Number::Bool(flag) => flag.into(),
        Number::Int(n) => n.into(),
        Number::Float(x) => x.into(),
    }
}

/// The number.
pub fn get(word: NumberWord) -> Option<Dynamic> {
    word.get().map(value)
}

/// Writes a number.
pub fn set(word: NumberWord, new: &Dynamic) -> Option<()> {
    word.swap(of(new)?).map(|_| ())
}

/// Writes a number: the one before.
pub fn swap(word: NumberWord, new: &Dynamic) -> Option<Dynamic> {
    word.swap(of(new)?).map(value)
}

/// Adds to the number: the sum.
pub fn add(word: NumberWord, more: &Dynamic) -> Option<Dynamic> {
    word.increase(of(more)?).map(value)
}

/// Writes `new` if the number is `old`: whether it was.
pub fn compare_and_set(word: NumberWord, old: &Dynamic, new: &Dynamic) -> Option<bool> {
    word.compare_and_set(of(old)?, of(new)?)
}

//! Reading the arguments of a call: durations, numbers, option maps, lists.

use std::borrow::Cow;
use std::time::Duration;

use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use super::api::is_module;
use super::throw::{Outcome, throw};

/// What a script calls the function that was called: `put`, `json::parse`.
pub fn called<'a>(ctx: &'a NativeCallContext) -> Cow<'a, str> {
    match ctx.fn_source() {
        Some(module) if is_module(module) => format!("{module}::{}", ctx.fn_name()).into(),
        _ => ctx.fn_name().into(),
    }
}

/// `put(): timeout must be a number, not a string`.
pub fn wrong_type(ctx: &NativeCallContext, argument: &str, wanted: &str, given: &str) -> String {
    format!("{}(): {argument} must be {wanted}, not {}", called(ctx), type_for_people(given))
}

/// A type's name with its article.
pub fn type_for_people(name: &str) -> String {
    let name = match name {
        "i64" => "int",
        "f64" => "float",
        range if range.contains("::Range") => "range",
        "()" => return "()".into(),
        name => name.rsplit("::").next().unwrap_or(name),
    };
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// A duration in seconds, int or float; `()` and what is too large to matter mean no limit.
///
/// # Errors
/// `TypeError`; `ValueError` for negative numbers and NaN.
pub fn seconds(ctx: &NativeCallContext, argument: &str, value: &Dynamic) -> Outcome<Option<Duration>> {
    let value = value.flatten_clone();
    if value.is_unit() {
        return Ok(None);
    }
    let number = match (value.as_float(), value.as_int()) {
        (Ok(number), _) => number,
        // Whole seconds beyond 2^53 are too large to matter anyway.
        (_, Ok(number)) => number as f64,
        _ => {
            return throw(ctx, "TypeError", wrong_type(ctx, argument, "a number of seconds", value.type_name()));
        }
    };
    if number.is_nan() || number < 0.0 {
        let message = format!("{}(): {argument} must be a number of seconds, 0 or more, not {value}", called(ctx));
        return throw(ctx, "ValueError", message);
    }
    Ok(Duration::try_from_secs_f64(number).ok().filter(|d| d.as_secs() < 100 * 365 * 86_400))
}

/// A whole number of at least `least`.
///
/// # Errors
/// `TypeError`, `ValueError`.
pub fn count(ctx: &NativeCallContext, argument: &str, value: &Dynamic, least: usize) -> Outcome<usize> {
    let value = value.flatten_clone();
    let Ok(number) = value.as_int() else {
        return throw(ctx, "TypeError", wrong_type(ctx, argument, "an int", value.type_name()));
    };
    match usize::try_from(number) {
        Ok(number) if number >= least => Ok(number),
        _ => throw(ctx, "ValueError", format!("{}(): {argument} must be {least} or more, not {number}", called(ctx))),
    }
}

/// The options at the end of a call. Every option is taken out by name; what is left at the end is unknown.
pub struct Options {
    map: Map,
    known: Vec<&'static str>,
}

impl Options {
    /// No options.
    pub fn none() -> Options {
        Options { map: Map::new(), known: Vec::new() }
    }

    /// The options in `map`.
    pub fn new(map: Map) -> Options {
        Options { map, known: Vec::new() }
    }

    /// Takes one option.
    pub fn take(&mut self, name: &'static str) -> Option<Dynamic> {
        self.known.push(name);
        self.map.remove(name).map(Dynamic::flatten)
    }

    /// Takes a text.
    ///
    /// # Errors
    /// `TypeError`.
    pub fn text(&mut self, ctx: &NativeCallContext, name: &'static str) -> Outcome<Option<String>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.clone().into_immutable_string() {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => {
                throw(ctx, "TypeError", wrong_type(ctx, &format!("option {name}"), "a string", value.type_name()))
            }
        }
    }

    /// Takes a yes or no.
    ///
    /// # Errors
    /// `TypeError`.
    pub fn flag(&mut self, ctx: &NativeCallContext, name: &'static str) -> Outcome<Option<bool>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.as_bool() {
            Ok(flag) => Ok(Some(flag)),
            Err(_) => throw(ctx, "TypeError", wrong_type(ctx, &format!("option {name}"), "a bool", value.type_name())),
        }
    }

    /// Takes a duration; `None` when it is absent or has no limit.
    ///
    /// # Errors
    /// As [`seconds`].
    pub fn seconds(&mut self, ctx: &NativeCallContext, name: &'static str) -> Outcome<Option<Duration>> {
        self.take(name).map_or(Ok(None), |value| seconds(ctx, &format!("option {name}"), &value))
    }

    /// Takes a number of at least `least`.
    ///
    /// # Errors
    /// As [`count`].
    pub fn count(&mut self, ctx: &NativeCallContext, name: &'static str, least: usize) -> Outcome<Option<usize>> {
        let Some(value) = self.take(name).filter(|v| !v.is_unit()) else {
            return Ok(None);
        };
        count(ctx, &format!("option {name}"), &value, least).map(Some)
    }

    /// Refuses what was not taken.
    ///
    /// # Errors
    /// `ValueError` that names the nearest known option.
    pub fn finish(self, ctx: &NativeCallContext) -> Outcome<()> {
        let Some(unknown) = self.map.keys().next() else {
            return Ok(());
        };
        let hint = did_you_mean(unknown, self.known.iter().copied());
        let known = self.known.join(", ");
        let hint = if hint.is_empty() { format!("; it knows: {known}") } else { hint };
        throw(ctx, "ValueError", format!("{}() has no option {unknown:?}{hint}", called(ctx)))
    }
}

/// `; did you mean "acquire"?`, or nothing when nothing is near.
pub fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// The known word nearest to `word`, if it is near at all: a third of its letters may differ, as in rustc.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(word, known, |letters| letters / 3)
}

/// The same among a few words, one of which is likely to be meant: so `push` finds `put`.
pub fn nearest_of_few<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(word, known, |letters| letters.div_ceil(3))
}

fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>, limit: fn(usize) -> usize) -> Option<String> {
    let rate = |candidate: &str| match candidate.eq_ignore_ascii_case(word) {
        true => 0,
        false => strsim::damerau_levenshtein(word, candidate),
    };
    known
        .filter(|candidate| *candidate != word)
        .map(|candidate| (rate(candidate), candidate))
        .filter(|(distance, candidate)| {
            let letters = candidate.chars().count().max(word.chars().count());
            *distance <= limit(letters) && *distance < word.chars().count()
        })
        .min()
        .map(|(_, candidate)| candidate.to_string())
}

/// All that `for` would run over.
///
/// # Errors
/// `TypeError` when it is no list; whatever the iterator throws.
pub fn list(ctx: &NativeCallContext, argument: &str, value: Dynamic) -> Outcome<Array> {
    let value = value.flatten();
    if value.is_array() {
        return Ok(value.cast::<Array>());
    }
    let given = value.type_name().to_string();
    match super::iterate::over(ctx, value) {
        Some(items) => items.collect(),
        None => throw(ctx, "TypeError", wrong_type(ctx, argument, "a list", &given)),
    }
}

/// A text.
///
/// # Errors
/// `TypeError`.
pub fn text(ctx: &NativeCallContext, argument: &str, value: &Dynamic) -> Outcome<ImmutableString> {
    let value = value.flatten_clone();
    let given = value.type_name().to_string();
    value.into_immutable_string().or_else(|_| throw(ctx, "TypeError", wrong_type(ctx, argument, "a string", &given)))
}

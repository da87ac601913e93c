//! `regex::`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::script::arguments::called;
use crate::script::patterns::with_pattern;
use crate::script::throw::{Outcome, throw};

fn matching<R>(ctx: &NativeCallContext, pattern: &str, use_it: impl FnOnce(&::regex::Regex) -> R) -> Outcome<R> {
    with_pattern(pattern, use_it).or_else(|reason| {
        throw(ctx, "ValueError", format!("{}(): {pattern:?} is no regular expression: {reason}", called(ctx)))
    })
}

/// What the groups of a match are, by number and by name.
fn groups(regex: &::regex::Regex, found: &::regex::Captures) -> Map {
    let part = |found: Option<::regex::Match>| found.map_or(Dynamic::UNIT, |part| part.as_str().into());
    let numbered = (0..regex.captures_len()).map(|i| (i.to_string().into(), part(found.get(i))));
    let named = regex.capture_names().flatten().map(|name| (name.into(), part(found.name(name))));
    numbered.chain(named).collect()
}

#[export_module]
pub mod functions {
    /// True when the pattern fits anywhere in the text. Patterns are those of the Rust crate `regex`: as Python's, but without
    /// backreferences and looking around, and in linear time. Backquotes spare doubling the backslashes.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert(regex::is_match(`^\d+ items?$`, "12 items"));
    /// assert(!regex::is_match(`(?i)error`, "all is well"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn is_match(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<bool> {
        matching(&ctx, &pattern, |regex| regex.is_match(&text))
    }

    /// The first piece of the text that fits the pattern; `()` when none does.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert(regex::find(`\d+`, "take 2 or 3") == "2");
    /// assert(regex::find(`\d+`, "none") == ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<Dynamic> {
        matching(&ctx, &pattern, |regex| regex.find(&text).map_or(Dynamic::UNIT, |found| found.as_str().into()))
    }

    /// All pieces of the text that fit the pattern, as an array of strings.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert(regex::find_all(`\w+@\w+`, "a@b, c@d") == ["a@b", "c@d"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find_all(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<Array> {
        matching(&ctx, &pattern, |regex| regex.find_iter(&text).map(|found| found.as_str().into()).collect())
    }

    /// The groups of the first match as a map, by number (`"0"` is the whole match) and, where they have one, by name; a group that
    /// took no part is `()`. `()` when nothing fits.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// let m = regex::captures(`(?P<user>\w+)@(\w+)`, "mail ann@home");
    /// assert(m["0"] == "ann@home" && m["2"] == "home" && m.user == "ann");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn captures(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<Dynamic> {
        matching(&ctx, &pattern, |regex| {
            regex.captures(&text).map_or(Dynamic::UNIT, |found| groups(regex, &found).into())
        })
    }

    /// The groups of all matches, as an array of such maps.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// let all = regex::captures_all(`(?<key>\w+)=(?<value>\w*)`, "a=1 b=2");
    /// assert(all.map(|m| m.value) == ["1", "2"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn captures_all(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<Array> {
        matching(&ctx, &pattern, |regex| regex.captures_iter(&text).map(|found| groups(regex, &found).into()).collect())
    }

    /// The text with `with` in the place of all that fits the pattern. `$1` and `${name}` in `with` stand for groups, `$$` for
    /// a dollar.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert(regex::replace(`(\w+), (\w+)`, "$2 $1", "Doe, Ann") == "Ann Doe");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn replace(
        ctx: NativeCallContext,
        pattern: ImmutableString,
        with: ImmutableString,
        text: ImmutableString,
    ) -> Outcome<String> {
        matching(&ctx, &pattern, |regex| regex.replace_all(&text, with.as_str()).into_owned())
    }

    /// The pieces of the text between what fits the pattern.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert(regex::split(`\s*,\s*`, "a , b,c") == ["a", "b", "c"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn split(ctx: NativeCallContext, pattern: ImmutableString, text: ImmutableString) -> Outcome<Array> {
        matching(&ctx, &pattern, |regex| regex.split(&text).map(Into::into).collect())
    }

    /// A text as a pattern that fits this text only.
    ///
    /// ```rhai
    /// assert(regex::is_match(regex::escape("1+1=2"), "so 1+1=2"));
    /// ```
    pub fn escape(text: ImmutableString) -> String {
        ::regex::escape(&text)
    }
}

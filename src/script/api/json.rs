//! `json::`.

use rhai::plugin::*;
use rhai::{Dynamic, ImmutableString, NativeCallContext};

use crate::script::arguments::called;
use crate::script::json::{parse as read_json, write};
use crate::script::throw::{Outcome, Problem, throw};

fn written(ctx: &NativeCallContext, value: &Dynamic, pretty: bool) -> Outcome<String> {
    write(value, pretty).or_else(|unsayable| {
        let kind = if unsayable.is_type { "TypeError" } else { "ValueError" };
        throw(ctx, kind, format!("{}(): {}", called(ctx), unsayable.message))
    })
}

#[export_module]
pub mod functions {
    /// The value of a JSON text: maps, arrays, strings, ints, floats, bools and `()` for `null`. An int that needs more than 64
    /// bits becomes a float; of a name that is there twice the last one counts.
    ///
    /// # Errors
    /// `ValueError` when it is no JSON, with `text_line` and `text_column`; when it nests more than 127 levels deep.
    ///
    /// ```rhai
    /// let m = json::parse(`{"name": "orch", "sizes": [1, 2.5, null]}`);
    /// assert(m.name == "orch" && m.sizes[1] == 2.5 && m.sizes[2] == ());
    /// try { json::parse("{\"a\": 1,}"); } catch (e) { assert(e.kind == "ValueError" && e.text_column == 9); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse(ctx: NativeCallContext, text: ImmutableString) -> Outcome<Dynamic> {
        let int = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        read_json(&text).map_err(|malformed| {
            Problem::new(&ctx, "ValueError", format!("{}(): {}", called(&ctx), malformed.message))
                .with("text_line", int(malformed.line))
                .with("text_column", int(malformed.column))
                .thrown()
        })
    }

    /// A value as JSON, on one line. The fields of maps are sorted by name.
    ///
    /// # Errors
    /// `TypeError` for a handle, a function, a blob or whatever else JSON has nothing for; `ValueError` for numbers that are
    /// not finite and for more than 127 levels. Both name where in the value it sits.
    ///
    /// ```rhai
    /// assert(json::stringify(#{b: [1, ()], a: "x"}) == `{"a":"x","b":[1,null]}`);
    /// try { json::stringify(#{jobs: [1, Queue()]}); } catch (e) { assert(e.message.contains("value.jobs[1] is a Queue")); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stringify(ctx: NativeCallContext, value: Dynamic) -> Outcome<String> {
        written(&ctx, &value, false)
    }

    /// The same for people: a line for each item, and two spaces for each level.
    ///
    /// # Errors
    /// As `json::stringify(value)`.
    ///
    /// ```rhai
    /// assert(json::stringify_pretty([1, 2]) == "[\n  1,\n  2\n]");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stringify_pretty(ctx: NativeCallContext, value: Dynamic) -> Outcome<String> {
        written(&ctx, &value, true)
    }
}

//! The arguments of the script.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::script::arguments::{Options, called, count, list, wrong_type};
use crate::script::command_line::{CommandLine, Item, Read, Takes};
use crate::script::host::{host, with_host};
use crate::script::throw::{Ending, Outcome, throw};

fn what(ctx: &NativeCallContext, name: &str, value: &Dynamic) -> Outcome<Takes> {
    if value.is_bool() {
        Ok(Takes::Flag)
    } else if value.is_int() {
        Ok(Takes::Int)
    } else if value.is_float() {
        Ok(Takes::Float)
    } else if value.is_string() || value.is_char() || value.is_unit() {
        Ok(Takes::Text)
    } else {
        let wanted = "a string, a number, a bool, () or an array of those";
        throw(ctx, "TypeError", wrong_type(ctx, &format!("the value of {name}"), wanted, value.type_name()))
    }
}

/// What the script says of one option: the value it has when it was not typed, or a map with more.
fn item(ctx: &NativeCallContext, name: &str, said: Dynamic) -> Outcome<Item> {
    if name == "help" || name.starts_with('-') || name.contains(['=', ' ']) || name.is_empty() {
        return throw(ctx, "ValueError", format!("{}(): no option can be called {name:?}", called(ctx)));
    }
    let mut options = match said.clone().try_cast::<Map>() {
        Some(map) => Options::new(map),
        None => Options::new(Map::from([("value".into(), said)])),
    };
    let value = options.take("value").unwrap_or(Dynamic::UNIT);
    let help = options.text(ctx, "help")?.unwrap_or_default();
    let short = options.text(ctx, "short")?;
    let required = options.flag(ctx, "required")?.unwrap_or(false);
    let choices = options.take("choices").map_or(Ok(Array::new()), |choices| list(ctx, "choices", choices))?;
    let position = options.take("position").map(|at| count(ctx, "position", &at, 1)).transpose()?;
    options.finish(ctx)?;
    let mut letters = short.iter().flat_map(|short| short.chars());
    let letter = letters.next();
    if short.is_some() && (letter.is_none_or(|letter| letter == '-') || letters.next().is_some()) {
        let shown = short.unwrap_or_default();
        return throw(
            ctx,
            "ValueError",
            format!("{}(): short of {name} must be one letter, not {shown:?}", called(ctx)),
        );
    }
    let is_list = value.is_array();
    let sample = match value.read_lock::<Array>() {
        Some(items) => items.first().or(choices.first()).cloned().unwrap_or(Dynamic::UNIT),
        None if value.is_unit() => choices.first().cloned().unwrap_or(Dynamic::UNIT),
        None => value.clone(),
    };
    let takes = what(ctx, name, &sample)?;
    if position.is_some() && takes == Takes::Flag {
        return throw(ctx, "ValueError", format!("{}(): {name} is a bool and can have no position", called(ctx)));
    }
    Ok(Item {
        name: name.into(),
        takes,
        list: is_list,
        value,
        help,
        short: letter,
        required,
        choices: choices.into_iter().map(Dynamic::flatten).collect(),
        position,
    })
}

fn command_line(ctx: &NativeCallContext, options: Map) -> Outcome<CommandLine> {
    let mut items = Vec::new();
    for (name, said) in options {
        items.push(item(ctx, &name, said.flatten())?);
    }
    let twice = |i: usize| {
        let item: &Item = &items[i];
        items[..i].iter().any(|other| {
            (item.short.is_some() && other.short == item.short)
                || (item.position.is_some() && other.position == item.position)
        })
    };
    if let Some(i) = (0..items.len()).find(|i| twice(*i)) {
        let name = &items[i].name;
        return throw(ctx, "ValueError", format!("{}(): {name} has the letter or position of another", called(ctx)));
    }
    Ok(CommandLine { items })
}

fn script_name() -> String {
    let path = with_host(|host| host.origin().script.clone());
    path.as_deref().and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or("script").to_string()
}

#[export_module]
pub mod functions {
    /// The arguments of the script, as they were typed.
    ///
    /// ```rhai
    /// for a in args() { print(a); }
    /// ```
    #[rhai_fn(name = "args")]
    pub fn script_args() -> Array {
        with_host(|host| host.args().iter().map(|a| a.clone().into()).collect())
    }

    /// The arguments of the script as a map of values by name. `options` says what there is: `#{threads: 4, deep: false}` means
    /// that `--threads 8` (or `--threads=8`) gives another int and `--deep` (or `--no-deep`) a bool; what is not typed has
    /// the value said there. A value tells the type: bool, int, float, string; `()` is text that may be absent; an array
    /// means that the option may be given several times. `_` in a name is typed as `-`.
    ///
    /// In place of the value a map can say more: `value`, `help` (a text), `short` (a letter), `required`, `choices`, and
    /// `position` for an argument without a name, counted from 1; an array takes all that are left.
    ///
    /// A leading `--` is skipped; after a later one no options follow. `--help` prints what there is and ends the program with
    /// status 0; arguments that make no sense are told on the standard error, with status 2.
    ///
    /// # Errors
    /// `TypeError` and `ValueError` when `options` itself makes no sense.
    ///
    /// ```rhai
    /// let o = parse_args(#{
    ///     threads: #{value: 4, help: "how many at once", short: "t"},
    ///     mode: #{value: "fast", choices: ["fast", "safe"]},
    ///     dry_run: false,
    ///     files: #{value: [], position: 1},
    /// });
    /// assert(o.threads == 4 && o.mode == "fast" && !o.dry_run && o.files == []);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse_args(ctx: NativeCallContext, options: Map) -> Outcome<Map> {
        let line = command_line(&ctx, options)?;
        let host = host();
        let ending = match line.read(host.args()) {
            Ok(Read::Values(values)) => return Ok(values),
            Ok(Read::Help) => {
                // Nobody is left to tell when nobody reads it.
                let _unread = host.print(&line.help(&script_name()));
                Ending::Exit(0)
            }
            Err(wrong) => {
                let usage = line.usage(&script_name());
                host.say(&format!("error: {wrong}\n{usage}\nTry --help.\n"));
                Ending::Exit(2)
            }
        };
        Err(ending.thrown(ctx.call_position()))
    }
}

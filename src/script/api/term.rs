//! `term::`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::io::fault::FileFault;
use crate::io::input;
use crate::kernel::with_current;
use crate::script::arguments::{Options, called, list, text, wrong_type};
use crate::script::host::host;
use crate::script::style::{Cell, is_plain, styled, table as drawn};
use crate::script::throw::{Outcome, call, throw};

/// Says something without a line end and waits for a line.
fn answer(ctx: &NativeCallContext, question: &str) -> Outcome<String> {
    let separator = if question.is_empty() || question.ends_with(char::is_whitespace) { "" } else { " " };
    host().say(&format!("{question}{separator}"));
    call(ctx, || {
        // A simulated process has what a real one has: nothing.
        if with_current(|task| task.kernel().is_sim() && task.process() != 0) {
            return Err(FileFault::EndOfInput);
        }
        input::read_line()
    })
}

fn cell(ctx: &NativeCallContext, value: &Dynamic) -> Cell {
    let value = value.flatten_clone();
    let right = value.is_int() || value.is_float();
    let text = match value.is_unit() {
        true => String::new(),
        false => match value.clone().into_immutable_string() {
            Ok(text) => text.into(),
            Err(_) => ctx.call_native_fn::<String>("to_string", (value.clone(),)).unwrap_or_else(|_| value.to_string()),
        },
    };
    Cell { text: text.replace(['\n', '\r', '\t'], " "), right }
}

fn table_of(ctx: &NativeCallContext, rows: Dynamic, options: Map) -> Outcome<String> {
    let mut options = Options::new(options);
    let columns = options.take("columns").map(|columns| list(ctx, "option columns", columns)).transpose()?;
    options.finish(ctx)?;
    let titles = |columns: Array| -> Outcome<Vec<String>> {
        columns.iter().map(|title| text(ctx, "each of option columns", title).map(Into::into)).collect()
    };
    let mut header = columns.map(titles).transpose()?;
    let rows: Vec<Dynamic> = list(ctx, "rows", rows)?.into_iter().map(Dynamic::flatten).collect();
    if header.is_none() && rows.iter().any(Dynamic::is_map) {
        let mut names: Vec<String> = Vec::new();
        for row in rows.iter().filter_map(|row| row.read_lock::<Map>()) {
            let new = row.keys().filter(|name| !names.iter().any(|known| known == name.as_str()));
            names.extend(new.map(ToString::to_string).collect::<Vec<_>>());
        }
        header = Some(names);
    }
    let mut cells = Vec::new();
    for row in &rows {
        if let Some(map) = row.read_lock::<Map>() {
            let names = header.iter().flatten();
            cells.push(names.map(|name| cell(ctx, map.get(name.as_str()).unwrap_or(&Dynamic::UNIT))).collect());
        } else if let Some(items) = row.read_lock::<Array>() {
            cells.push(items.iter().map(|item| cell(ctx, item)).collect());
        } else {
            return throw(ctx, "TypeError", wrong_type(ctx, "each row", "a map or an array", row.type_name()));
        }
    }
    Ok(drawn(header.as_deref(), &cells))
}

#[export_module]
pub mod functions {
    /// The text in colour or otherwise set off, for a terminal: some of `bold`, `dim`, `italic`, `underline`, `blink`, `reverse`, `strike`,
    /// the colours `black`, `red`, `green`, `yellow`, `blue`, `magenta`, `cyan`, `white`, each also as `bright_red` and behind the text as
    /// `on_red`. Where the output is no terminal, or `NO_COLOR` is set, the text stays as it is.
    ///
    /// # Errors
    /// `ValueError` for a word that means nothing, with the nearest.
    ///
    /// ```rhai
    /// print(term::style("done", "bold green"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn style(ctx: NativeCallContext, text: ImmutableString, style: ImmutableString) -> Outcome<String> {
        styled(&text, &style, is_plain()).or_else(|(word, near)| {
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            throw(&ctx, "ValueError", format!("{}(): {word:?} is no style{hint}", called(&ctx)))
        })
    }

    /// Rows as a table: a text of lines whose columns stand below each other, also where letters are wide or coloured. Rows are maps,
    /// whose names are the header, or arrays. Numbers stand to the right.
    ///
    /// # Errors
    /// `TypeError` when a row is neither.
    ///
    /// ```rhai
    /// let rows = [#{file: "a.txt", size: 12}, #{file: "b.txt", size: 3}];
    /// assert(term::table(rows) == "file   size\n-----  ----\na.txt    12\nb.txt     3");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn table(ctx: NativeCallContext, rows: Dynamic) -> Outcome<String> {
        table_of(&ctx, rows, Map::new())
    }

    /// The same with the option `columns`: which fields of the maps to show and in which order, or the header above arrays.
    ///
    /// # Errors
    /// As `term::table(rows)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// assert(term::table([[1, "x"]], #{columns: ["n", "what"]}) == "n  what\n-  ----\n1  x");
    /// ```
    #[rhai_fn(name = "table", return_raw)]
    pub fn table_opts(ctx: NativeCallContext, rows: Dynamic, options: Map) -> Outcome<String> {
        table_of(&ctx, rows, options)
    }

    /// Asks the person at the terminal: shows the question on the standard error and waits for a line of the standard input, also
    /// where that is no terminal.
    ///
    /// # Errors
    /// `EndOfFile` when the input has ended, as it has in a process of the script; `ValueError` when the line is not valid UTF-8;
    /// `IoError`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// try { let name = term::ask("Your name?"); } catch (e) { assert(e.kind == "EndOfFile"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ask(ctx: NativeCallContext, question: ImmutableString) -> Outcome<String> {
        answer(&ctx, &question)
    }

    /// Asks for a yes or no, again until the answer is `y`, `yes`, `n` or `no`; an empty line means no.
    ///
    /// # Errors
    /// As `term::ask(question)`.
    ///
    /// ```rhai
    /// try { if term::confirm("Go on?") { print("on"); } } catch (e) { assert(e.kind == "EndOfFile"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn confirm(ctx: NativeCallContext, question: ImmutableString) -> Outcome<bool> {
        loop {
            match answer(&ctx, &format!("{question} [y/N]"))?.trim().to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" | "" => return Ok(false),
                _ => host().say("Please answer y or n.\n"),
            }
        }
    }

    /// How many columns the terminal has: what the variable `COLUMNS` says, else the terminal; 80 when there is none.
    ///
    /// ```rhai
    /// assert(term::width() > 0);
    /// ```
    pub fn width() -> i64 {
        i64::try_from(input::width()).unwrap_or(i64::MAX)
    }
}

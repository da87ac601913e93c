//! What a script sees of an error: one map, whatever the error was.
//!
//! `kind`, `message`, `line`, `source`; `stack` (the calls it came through) and `task` once it has crossed to another
//! task. Errors of Rhai itself have Rhai's name as their kind, but for two that are named by the reference: a call that fits
//! no function is a `TypeError`, which says what does not fit, and an index that is out of range an `IndexError`.

use rhai::{Array, Dynamic, EvalAltResult, Map, Position};

use super::arguments::type_for_people;
use super::host::Host;
use super::mismatch;
use super::throw::Thrown;
use crate::kernel::Role;

/// The value that `catch (e)` binds. A thrown plain value stays what it is.
pub fn caught_value(host: &Host, error: &mut Thrown, source: Option<&str>) -> Dynamic {
    let (_, inner_source) = frames_of(error, source.unwrap_or(""));
    match innermost_mut(error) {
        EvalAltResult::ErrorRuntime(value, _) => value.clone(),
        error => engine_error(host, error, &inner_source).into(),
    }
}

/// The map of an error that ends a task: whoever asks for the task's result gets it.
pub fn crossing_map(host: &Host, mut error: Thrown, source: Option<&str>) -> Map {
    let (mut stack, inner_source) = frames_of(&error, source.unwrap_or(""));
    let error = innermost_mut(&mut error);
    let mut map = match error {
        EvalAltResult::ErrorRuntime(value, position) => match value.clone().try_cast::<Map>() {
            Some(map) => with_place(map, *position, &inner_source),
            None => thrown_plain(value, *position, &inner_source),
        },
        error => engine_error(host, error, &inner_source),
    };
    if let Some(frame) = birth_frame(host) {
        stack.push(frame);
    }
    // An error that comes from yet another task brings its own stack, and ours continues it.
    if let Some(mut inner) = map.remove("stack").and_then(|s| s.try_cast::<Array>()) {
        inner.append(&mut stack);
        stack = inner;
    }
    map.insert("stack".into(), stack.into());
    if let Some(name) = crate::kernel::try_current().map(|t| t.name()) {
        map.entry("task".into()).or_insert_with(|| (*name).into());
    }
    map
}

fn with_place(mut map: Map, position: Position, source: &str) -> Map {
    // A script's own map without a message: all of it is the message.
    if !map.contains_key("message") {
        let shown = format!("{:?}", Dynamic::from(map.clone()));
        map.insert("message".into(), shown.into());
    }
    map.entry("kind".into()).or_insert_with(|| "Thrown".into());
    if let Some(line) = position.line() {
        map.entry("line".into()).or_insert_with(|| int(line));
    }
    map.entry("source".into()).or_insert_with(|| source.into());
    if let Some(column) = position.position() {
        map.entry("column".into()).or_insert_with(|| int(column));
    }
    map
}

fn thrown_plain(value: &Dynamic, position: Position, source: &str) -> Map {
    let map = Map::from([
        ("kind".into(), "Thrown".into()),
        ("message".into(), if value.is_unit() { "()".into() } else { value.to_string().into() }),
        ("value".into(), value.clone()),
    ]);
    with_place(map, position, source)
}

fn engine_error(host: &Host, error: &mut EvalAltResult, source: &str) -> Map {
    let position = error.take_position();
    let shown = format!("{error:?}");
    let mut kind = shown.split('(').next().unwrap_or("Error").to_string();
    let mut message = error.to_string();
    let mut map = Map::new();
    match error {
        EvalAltResult::ErrorFunctionNotFound(call, _) => {
            map.insert("function".into(), call.as_str().into());
            let mismatch = mismatch::explain(host, call);
            message = mismatch.message;
            if mismatch.is_type_error {
                kind = "TypeError".into();
            }
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            map.insert("variable".into(), name.as_str().into());
            if let Some(what) = host.why_absent(name) {
                kind = "SendError".into();
                message =
                    format!("the constant {name} is not in this process: it is or holds {what}, which cannot cross");
            } else {
                message =
                    format!("there is no variable {name:?} here{}", mismatch::hint_for_variable(host, name, source));
            }
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => {
            let hint = mismatch::hint_for_module(name);
            message = format!("there is no module {name:?} here{hint}");
        }
        EvalAltResult::ErrorDotExpr(said, _) => {
            if let Some(better) = mismatch::property(host, said) {
                message = better;
            }
        }
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            (kind, message) = ("IndexError".into(), out_of_range(&mut map, *index, "array", *length, "item"));
        }
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            (kind, message) = ("IndexError".into(), out_of_range(&mut map, *index, "string", *length, "character"));
        }
        EvalAltResult::ErrorBitFieldBounds(length, index, _) => {
            (kind, message) = ("IndexError".into(), out_of_range(&mut map, *index, "int", *length, "bit"));
        }
        EvalAltResult::ErrorMismatchDataType(wanted, given, _) if !wanted.is_empty() && !given.is_empty() => {
            message = format!("{} is needed here, not {}", type_for_people(wanted), type_for_people(given));
        }
        EvalAltResult::ErrorIndexingType(said, _) => {
            if let Some((indexed, index)) = said.strip_suffix(']').and_then(|said| said.rsplit_once(" [")) {
                message = format!("{} has no index that is {}", type_for_people(indexed), type_for_people(index));
            }
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            message = format!("Stack overflow: calls nest more than {} deep", super::engine::MAX_CALLS)
        }
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            map.insert("variable".into(), name.as_str().into());
            // A handle that a closure captured is taken out of its variable, which is read-only for that reason.
            message = format!(
                "cannot assign to {name:?}: it is a constant, or a handle that a closure captured; take a new variable, \
                 or a Value that holds it"
            );
        }
        _ => {}
    }
    map.insert("kind".into(), kind.into());
    map.insert("message".into(), message.into());
    with_place(map, position, source)
}

/// What is said when there is no such place in something that has so many, and its fields.
pub fn out_of_range(map: &mut Map, index: i64, of: &str, length: usize, part: &str) -> String {
    map.insert("length".into(), int(length));
    map.insert("index".into(), Dynamic::from(index));
    let plural = if length == 1 { "" } else { "s" };
    format!("index {index} is out of range: the {of} has {length} {part}{plural}")
}

fn int(number: usize) -> Dynamic {
    Dynamic::from(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The error inside the calls it came through.
pub fn innermost_mut(mut error: &mut EvalAltResult) -> &mut EvalAltResult {
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
                error = inner;
            }
            other => return other,
        }
    }
}

/// The calls an error came through, innermost first, and the source in which it happened.
fn frames_of(mut error: &EvalAltResult, outermost_source: &str) -> (Array, String) {
    let mut frames = Array::new();
    let mut source = outermost_source.to_string();
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, inner_source, inner, position) => {
                frames.push(frame(name, &source, *position));
                if !inner_source.is_empty() {
                    source = inner_source.clone();
                }
                error = inner;
            }
            EvalAltResult::ErrorInModule(name, inner, position) => {
                frames.push(import_frame(name, &source, *position));
                source = name.clone();
                error = inner;
            }
            _ => break,
        }
    }
    frames.reverse();
    (frames, source)
}

fn frame(function: &str, source: &str, position: Position) -> Dynamic {
    let function = if function.starts_with("anon$") { "closure" } else { function };
    Map::from([
        ("function".into(), function.into()),
        ("source".into(), source.into()),
        ("line".into(), int(position.line().unwrap_or(0))),
        ("column".into(), int(position.position().unwrap_or(0))),
    ])
    .into()
}

/// The import of a module that failed while it was loaded, as a frame.
fn import_frame(module: &str, source: &str, position: Position) -> Dynamic {
    Map::from([
        ("module".into(), module.into()),
        ("source".into(), source.into()),
        ("line".into(), int(position.line().unwrap_or(0))),
        ("column".into(), int(position.position().unwrap_or(0))),
    ])
    .into()
}

/// Where the current task was made, as a frame; one of a process says so.
pub fn birth_frame(host: &Host) -> Option<Dynamic> {
    let task = crate::kernel::try_current()?;
    let site = task.born();
    if site.is_none() {
        return None;
    }
    let mut frame = Map::from([
        ("task".into(), (*task.name()).into()),
        ("source".into(), (*host.kernel().source(site.source())).into()),
        ("line".into(), Dynamic::from(i64::from(site.line()))),
        ("column".into(), Dynamic::from(i64::from(site.column()))),
    ]);
    if matches!(task.role(), Role::Process | Role::Workman) {
        frame.insert("process".into(), true.into());
    }
    Some(frame.into())
}

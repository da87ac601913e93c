//! Calls that fit no function: what was meant, and what does not fit.

use rhai::{Engine, NativeCallContext};

use super::arguments::{did_you_mean, type_for_people};
use super::host::Host;

/// What to say about a call.
pub struct Mismatch {
    /// The sentence.
    pub message: String,
    /// True when there is such a function, but not for these arguments.
    pub is_type_error: bool,
}

/// One way to call a function.
struct Signature {
    /// Name and type of each parameter.
    parameters: Vec<(String, String)>,
}

/// Explains why `call`, as Rhai shows it (`put (Queue, string)`), fits no function.
pub fn explain(host: &Host, call: &str) -> Mismatch {
    let (name, given) = parse(call);
    let signatures = signatures_of(host.engine(), name);
    if signatures.is_empty() {
        return unknown(host, name, &given);
    }
    Mismatch { message: describe(name, &given, &signatures), is_type_error: true }
}

/// `; did you mean …?` for a variable that is not there.
pub fn hint_for_variable(host: &Host, name: &str) -> String {
    did_you_mean(name, names(host.engine()).iter().map(String::as_str))
}

fn parse(call: &str) -> (&str, Vec<String>) {
    let Some((name, rest)) = call.split_once('(') else {
        return (call.trim(), Vec::new());
    };
    let types = rest.trim_end().trim_end_matches(')');
    let types = split_types(types).into_iter().map(|t| t.trim_start_matches("&mut ").to_string()).collect();
    (name.trim(), types)
}

/// Splits at commas outside angle brackets.
fn split_types(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|p| !p.is_empty());
    parts
}

fn names(engine: &Engine) -> Vec<String> {
    let mut names = engine.collect_fn_metadata(None::<&NativeCallContext>, |f| Some(f.metadata.name.to_string()), true);
    names.retain(|n| n.starts_with(|c: char| c.is_alphabetic()) && !n.contains('$'));
    names.sort_unstable();
    names.dedup();
    names
}

fn signatures_of(engine: &Engine, name: &str) -> Vec<Signature> {
    let all = engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| (f.metadata.name == name).then(|| f.metadata.params_info.iter().map(|p| parameter(p)).collect::<Vec<_>>()),
        true,
    );
    all.into_iter().map(|parameters| Signature { parameters }).collect()
}

/// Name and type of a parameter, as scripts know it.
pub fn parameter(info: &str) -> (String, String) {
    let (name, kind) = info.split_once(':').unwrap_or((info, "Dynamic"));
    (name.trim().trim_start_matches("mut ").to_string(), simple_type(kind))
}

/// Rust's name of a type as a script knows it.
fn simple_type(kind: &str) -> String {
    let kind = kind.trim().trim_start_matches("&mut ").trim_start_matches('&').trim();
    match kind {
        "ImmutableString" | "String" | "&str" | "str" | "SmartString" => "string".into(),
        "INT" | "i64" => "int".into(),
        "FLOAT" | "f64" => "float".into(),
        "FnPtr" => "function".into(),
        "Array" => "array".into(),
        "Map" => "map".into(),
        other => own_type(other.rsplit("::").next().unwrap_or(other)).to_string(),
    }
}

/// orch's own types: what the sources call them, and what scripts do.
fn own_type(name: &str) -> &str {
    match name {
        "ExecutorHandle" => "ThreadPoolExecutor",
        "PoolHandle" => "ThreadPool",
        "GroupHandle" => "TaskGroup",
        "ListHandle" => "SharedList",
        "MapHandle" => "SharedMap",
        "RwSide" => "RwLockSide",
        "Stream" => "Iterator",
        "LocalMap" => "Local",
        name => name.strip_suffix("Handle").unwrap_or(name),
    }
}

fn matches(wanted: &str, given: &str) -> bool {
    wanted == "Dynamic" || wanted == simple_type(given) || wanted == given || (wanted == "function" && given == "Fn")
}

/// Blames, of the signature that fits furthest, the first argument that does not fit, or the count.
fn describe(name: &str, given: &[String], signatures: &[Signature]) -> String {
    let fits = |s: &&Signature| s.parameters.iter().zip(given).take_while(|((_, w), g)| matches(w, g)).count();
    let same_count: Vec<&Signature> = signatures.iter().filter(|s| s.parameters.len() == given.len()).collect();
    if let Some(best) = same_count.iter().copied().max_by_key(fits) {
        let at = fits(&best);
        if let Some((parameter, wanted)) = best.parameters.get(at) {
            let wanted = type_for_people(wanted);
            return match at {
                0 => format!("{name}() wants {wanted} first, not {}", type_for_people(&given[0])),
                _ => format!("{name}(): {parameter} must be {wanted}, not {}", type_for_people(&given[at])),
            };
        }
    }
    let Some(nearest) = signatures.iter().max_by_key(fits) else {
        return format!("{name}() cannot be called so");
    };
    let receiver = nearest.parameters.first().filter(|(_, w)| given.first().is_some_and(|g| matches(w, g)));
    let skip = usize::from(receiver.is_some_and(|(_, w)| w.starts_with(char::is_uppercase) && w != "Dynamic"));
    let mut counts: Vec<usize> = signatures
        .iter()
        .filter(|s| skip == 0 || s.parameters.first().map(|p| &p.1) == receiver.map(|r| &r.1))
        .map(|s| s.parameters.len() - skip.min(s.parameters.len()))
        .collect();
    counts.sort_unstable();
    counts.dedup();
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    let plural = if counts == ["1"] { "" } else { "s" };
    format!("{name}() takes {} argument{plural}, not {}", counts.join(" or "), given.len().saturating_sub(skip))
}

fn unknown(host: &Host, name: &str, given: &[String]) -> Mismatch {
    if name.starts_with("anon$") {
        // Rhai does not tell a wrong count from a closure that a function of another module made and returned.
        let message = format!(
            "this closure cannot be called with {} here: it takes another count, or was made in an imported module",
            arguments(given.len())
        );
        return Mismatch { message, is_type_error: true };
    }
    if let Some(takes) = host.script_function(name) {
        if takes.contains(&given.len()) {
            let message =
                format!("{name}() is a function of an imported module: call it by module::{name}(…), from a closure");
            return Mismatch { message, is_type_error: true };
        }
        let takes: Vec<String> = takes.iter().map(usize::to_string).collect();
        let plural = if takes == ["1"] { "" } else { "s" };
        let message = format!("{name}() takes {} argument{plural}, not {}", takes.join(" or "), given.len());
        return Mismatch { message, is_type_error: true };
    }
    let mut known = names(host.engine());
    known.extend(host.script_function_names());
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    Mismatch { message: format!("there is no function {name:?}{hint}"), is_type_error: false }
}

/// `1 argument`, `2 arguments`.
fn arguments(n: usize) -> String {
    format!("{n} argument{}", if n == 1 { "" } else { "s" })
}

//! Calls that fit no function: what was meant, and what does not fit.

use rhai::{Engine, FuncInfo, NativeCallContext};

use super::api::{is_module, module_names};
use super::arguments::{did_you_mean, nearest_of_few, type_for_people};
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
    let of_script = if name.starts_with("anon$") { None } else { host.script_function(name) };
    if let Some(counts) = of_script.filter(|counts| !counts.contains(&given.len())) {
        return Mismatch { message: takes(&format!("{name}()"), &counts, given.len()), is_type_error: true };
    }
    let signatures = signatures_of(host.engine(), name);
    if signatures.is_empty() {
        return unknown(host, name, &given);
    }
    Mismatch { message: describe(host, name, &given, &signatures), is_type_error: true }
}

/// `; did you mean …?` for a variable that is not there, used in `source`.
pub fn hint_for_variable(host: &Host, name: &str, source: &str) -> String {
    let functions = names(host.engine());
    if functions.iter().any(|f| f == name) {
        return format!("; to pass the function {name}, write a closure that calls it: || {name}(…)");
    }
    let text = host.source(source);
    let variables = text.as_ref().map_or_else(Vec::new, |text| variables(text.original()));
    did_you_mean(name, variables.into_iter().chain(functions.iter().map(String::as_str)))
}

/// `; did you mean …?` for a module that was neither imported nor is there anyway.
pub fn hint_for_module(name: &str) -> String {
    match did_you_mean(name, module_names()) {
        hint if hint.is_empty() => "; modules of scripts are imported first: import \"name\" as name;".into(),
        hint => hint,
    }
}

/// The names that a script gives to variables, wherever they hold.
fn variables(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    words.windows(2).filter(|pair| matches!(pair[0], "let" | "const" | "for" | "as")).map(|pair| pair[1]).collect()
}

/// What Rhai says of a property that a type does not have, in words for people.
pub fn property(host: &Host, said: &str) -> Option<String> {
    let mut quoted = said.split('\'').skip(1).step_by(2);
    let (name, kind) = (quoted.next()?, quoted.next()?);
    let kind = simple_type(kind);
    let known = properties(host.engine(), "get$", &kind);
    let missing = |what: &str| format!("{} has no property {name:?}{what}", type_for_people(&kind));
    let is_known = known.iter().any(|k| k == name);
    let people = type_for_people(&kind);
    if said.starts_with("Unknown property") {
        return Some(missing(&did_you_mean(name, known.iter().map(String::as_str))));
    }
    if !said.starts_with("No writable property") {
        return None;
    }
    if !is_known {
        return Some(missing(" that can be set"));
    }
    if !properties(host.engine(), "set$", &kind).iter().any(|k| k == name) {
        return Some(format!("the property {name:?} of {people} can only be read"));
    }
    let given = type_for_people(&simple_type(quoted.next()?));
    Some(format!("the property {name:?} of {people} cannot be {given}"))
}

/// The properties of a type that can be read (`get$`) or written (`set$`).
fn properties(engine: &Engine, access: &str, kind: &str) -> Vec<String> {
    engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let property = f.metadata.name.strip_prefix(access)?;
            let of = f.metadata.params_info.first().map(|p| parameter(p).1);
            (of.as_deref() == Some(kind)).then(|| property.to_string())
        },
        true,
    )
}

fn parse(call: &str) -> (&str, Vec<String>) {
    let Some((name, rest)) = call.split_once('(') else {
        return (call.trim(), Vec::new());
    };
    let types = rest.trim_end();
    let types = types.strip_suffix(')').unwrap_or(types);
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
    let mut names = engine.collect_fn_metadata(None::<&NativeCallContext>, |f| Some(full_name(&f)), true);
    names.retain(|n| n.starts_with(|c: char| c.is_alphabetic()) && !n.contains('$'));
    names.sort_unstable();
    names.dedup();
    names
}

/// A function's name with its module, if it is in one.
fn full_name(function: &FuncInfo) -> String {
    match function.namespace.as_str() {
        "" => function.metadata.name.to_string(),
        module => format!("{module}::{}", function.metadata.name),
    }
}

fn signatures_of(engine: &Engine, name: &str) -> Vec<Signature> {
    let all = engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            (full_name(&f) == name).then(|| {
                let parameters: Vec<_> = f.metadata.params_info.iter().map(|p| parameter(p)).collect();
                (f.metadata.num_params <= parameters.len(), parameters)
            })
        },
        true,
    );
    // Variants for many arguments say nothing of their parameters: the others speak for them.
    let told = all.iter().any(|(told, _)| *told);
    all.into_iter().filter(|(of_these, _)| *of_these == told).map(|(_, parameters)| Signature { parameters }).collect()
}

/// Name and type of a parameter, as scripts know it.
pub fn parameter(info: &str) -> (String, String) {
    let (name, kind) = info.split_once(':').unwrap_or((info, "Dynamic"));
    (name.trim().trim_start_matches("mut ").to_string(), simple_type(kind))
}

/// Rust's name of a type as a script knows it.
pub fn simple_type(kind: &str) -> String {
    let kind = kind.trim().trim_start_matches("&mut ").trim_start_matches('&').trim();
    match kind {
        "ImmutableString" | "String" | "&str" | "str" | "SmartString" => "string".into(),
        "INT" | "i64" => "int".into(),
        "FLOAT" | "f64" => "float".into(),
        "FnPtr" => "function".into(),
        "Array" => "array".into(),
        "Map" => "map".into(),
        // What Rhai calls a string that does not fit.
        texts if texts.contains("ImmutableString") => "string".into(),
        other => own_type(other.rsplit("::").next().unwrap_or(other)).to_string(),
    }
}

/// orch's own types: what the sources call them, and what scripts do.
fn own_type(name: &str) -> &str {
    match name {
        "ExecutorHandle" => "ThreadPoolExecutor",
        "PoolHandle" => "ThreadPool",
        "ProcessExecutorHandle" => "ProcessPoolExecutor",
        "ProcessPoolHandle" => "Pool",
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
fn describe(host: &Host, name: &str, given: &[String], signatures: &[Signature]) -> String {
    let people = |kind: &String| type_for_people(&simple_type(kind));
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        let between = given.iter().map(people).collect::<Vec<_>>().join(" and ");
        return format!("{name} does not work with {between}");
    }
    if let Some(message) = no_method(host.engine(), name, given, signatures) {
        return message;
    }
    let fits = |s: &&Signature| s.parameters.iter().zip(given).take_while(|((_, w), g)| matches(w, g)).count();
    let same_count: Vec<&Signature> = signatures.iter().filter(|s| s.parameters.len() == given.len()).collect();
    if let Some(best) = same_count.iter().copied().max_by_key(fits) {
        let at = fits(&best);
        if let Some((parameter, wanted)) = best.parameters.get(at) {
            // Rhai's own functions do not always name their parameters.
            let parameter = if parameter == "_" { "an argument" } else { parameter };
            return format!("{name}(): {parameter} must be {}, not {}", type_for_people(wanted), people(&given[at]));
        }
    }
    let Some(nearest) = signatures.iter().max_by_key(fits) else {
        return format!("{name}() cannot be called so");
    };
    let receiver = nearest.parameters.first().filter(|(_, w)| given.first().is_some_and(|g| matches(w, g)));
    let skip = usize::from(receiver.is_some_and(|(_, w)| is_method_of(w)));
    let mut counts: Vec<usize> = signatures
        .iter()
        .filter(|s| skip == 0 || s.parameters.first().map(|p| &p.1) == receiver.map(|r| &r.1))
        .map(|s| s.parameters.len() - skip.min(s.parameters.len()))
        .collect();
    counts.sort_unstable();
    counts.dedup();
    takes(&format!("{name}()"), &counts, given.len().saturating_sub(skip))
}

/// True for the types whose functions are methods: orch's own.
fn is_method_of(kind: &str) -> bool {
    kind.starts_with(char::is_uppercase) && kind != "Dynamic"
}

/// The first argument is a handle, or the functions of this name are methods of handles, and none of them is of its type.
fn no_method(engine: &Engine, name: &str, given: &[String], signatures: &[Signature]) -> Option<String> {
    let first = given.first()?;
    let mut owners: Vec<&str> = signatures.iter().filter_map(|s| Some(s.parameters.first()?.1.as_str())).collect();
    if owners.iter().any(|kind| matches(kind, first)) || owners.is_empty() {
        return None;
    }
    let first = simple_type(first);
    let is_handle = is_method_of(&first) && first != "Fn";
    let hint = if is_handle { hint_for_method(engine, name, &first) } else { String::new() };
    let are_methods = owners.iter().all(|kind| is_method_of(kind));
    if !are_methods && !is_handle {
        return None;
    }
    let hint = if hint.is_empty() && are_methods {
        owners.sort_unstable();
        owners.dedup();
        format!("; it is for {}", owners.join(", "))
    } else if hint.is_empty() {
        list_of_methods(engine, "it", &first)
    } else {
        hint
    };
    Some(format!("{} has no {name}(){hint}", type_for_people(&first)))
}

/// `; did you mean …?` among the methods of a type.
fn hint_for_method(engine: &Engine, name: &str, kind: &str) -> String {
    let near = nearest_of_few(name, methods_of(engine, kind).iter().map(String::as_str));
    near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// All that could have been meant of a type of orch's.
fn list_of_methods(engine: &Engine, subject: &str, kind: &str) -> String {
    match methods_of(engine, kind) {
        none if none.is_empty() => String::new(),
        methods => format!("; {subject} has {}", methods.join(", ")),
    }
}

/// What there is in a module of orch's, when nothing of that is near to `function`.
fn hint_for_member(engine: &Engine, module: &str, function: &str) -> String {
    let prefix = format!("{module}::");
    let all = names(engine);
    let members: Vec<&str> = all.iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
    match nearest_of_few(function, members.iter().copied()) {
        Some(near) => format!("; did you mean \"{module}::{near}\"?"),
        None => format!("; {module} has {}", members.join(", ")),
    }
}

/// The names of a type's methods.
fn methods_of(engine: &Engine, kind: &str) -> Vec<String> {
    let mut methods = engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let of = f.metadata.params_info.first().map(|p| parameter(p).1);
            (of.as_deref() == Some(kind)).then(|| f.metadata.name.to_string())
        },
        true,
    );
    // Functions with a large initial make another thing of it.
    methods.retain(|name| name.starts_with(char::is_lowercase) && !name.contains('$'));
    methods.sort_unstable();
    methods.dedup();
    methods
}

/// `put() takes 1 or 2 arguments, not 3`.
fn takes(name: &str, counts: &[usize], given: usize) -> String {
    let plural = if counts == [1] { "" } else { "s" };
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    format!("{name} takes {} argument{plural}, not {given}", counts.join(" or "))
}

fn unknown(host: &Host, name: &str, given: &[String]) -> Mismatch {
    if name.starts_with("anon$") {
        // How many of both are captured variables is not known here.
        let counts = host.script_function(name).unwrap_or_default();
        let message = match counts.iter().max() {
            // Rhai does not find a closure that a function of another module made and returned.
            Some(_) if counts.contains(&given.len()) => {
                "this closure was made in an imported module and cannot be called here".to_string()
            }
            Some(most) if *most < given.len() => "this closure was called with too many arguments".to_string(),
            _ => "this closure was called with too few arguments".to_string(),
        };
        return Mismatch { message, is_type_error: true };
    }
    if let Some(counts) = host.script_function(name) {
        let message = if counts.contains(&given.len()) {
            format!("{name}() is a function of an imported module: call it by module::{name}(…), from a closure")
        } else {
            takes(&format!("{name}()"), &counts, given.len())
        };
        return Mismatch { message, is_type_error: true };
    }
    let of_scripts = host.script_function_names();
    // A function of a module that was imported is known by its own name only.
    let hint = match name.rsplit_once("::") {
        Some((module, function)) if !is_module(module) => did_you_mean(function, of_scripts.iter().map(String::as_str)),
        Some((module, function)) => hint_for_member(host.engine(), module, function),
        None => {
            let kind = given.first().map(|kind| simple_type(kind)).filter(|kind| is_method_of(kind));
            let known = names(host.engine());
            let hints: [&dyn Fn() -> String; 3] = [
                &|| kind.as_ref().map_or_else(String::new, |kind| hint_for_method(host.engine(), name, kind)),
                &|| did_you_mean(name, known.iter().chain(&of_scripts).map(String::as_str)),
                &|| {
                    let list = |kind: &String| list_of_methods(host.engine(), &type_for_people(kind), kind);
                    kind.as_ref().map_or_else(String::new, list)
                },
            ];
            hints.iter().map(|hint| hint()).find(|hint| !hint.is_empty()).unwrap_or_default()
        }
    };
    Mismatch { message: format!("there is no function {name:?}{hint}"), is_type_error: false }
}

//! The reference: every function a script can call, from the doc comments where it is written.

use rhai::{Engine, Module, NativeCallContext};

use super::api::{self, Chapter};

/// One way to call one function.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The chapter it stands in.
    pub chapter: &'static str,
    /// The name as a script writes it.
    pub name: String,
    /// For methods and properties, the type they belong to.
    pub of: Option<String>,
    /// How it is called: `lock.acquire(timeout)`.
    pub usage: String,
    /// The documentation without the examples.
    pub text: String,
    /// The examples.
    pub examples: Vec<Example>,
    /// Names and types of the parameters.
    pub parameters: Vec<(String, String)>,
}

/// Rhai code that shows how an entry is used.
#[derive(Clone, Debug)]
pub struct Example {
    /// The code.
    pub code: String,
    /// False for what is shown only: it would end the program, say.
    pub runs: bool,
}

/// All entries, in reading order.
pub fn entries() -> Vec<Entry> {
    api::CHAPTERS.iter().flat_map(chapter).collect()
}

fn chapter(chapter: &Chapter) -> Vec<Entry> {
    let mut engine = Engine::new_raw();
    let mut module = Module::new();
    (chapter.register)(&mut module);
    engine.register_global_module(module.into());
    let found = engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let metadata = f.metadata;
            // What has no comment is a form of something that has one.
            if metadata.comments.is_empty() {
                return None;
            }
            let parameters = metadata.params_info.iter().map(|p| super::mismatch::parameter(p)).collect();
            let comments = metadata.comments.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            Some((metadata.name.to_string(), parameters, comments))
        },
        true,
    );
    let mut entries: Vec<Entry> =
        found.into_iter().map(|(raw, parameters, text)| entry(chapter, &raw, parameters, &text)).collect();
    entries.sort_by_key(place);
    entries
}

/// The chapter of what Rhai brings.
const RHAIS_OWN: Chapter = Chapter { title: "Rhai's own", module: None, register: |_| {} };

/// What Rhai itself brings: functions of numbers, texts, arrays and maps, in the order of their names.
pub fn of_rhai() -> Vec<Entry> {
    let mut engine = Engine::new_raw();
    super::engine::register_packages(&mut engine);
    let found = engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let metadata = f.metadata;
            let parameters: Vec<_> = metadata.params_info.iter().map(|p| super::mismatch::parameter(p)).collect();
            let is_word = metadata.name.starts_with(char::is_alphabetic);
            if metadata.comments.is_empty() || !is_word || metadata.name.contains(['$', '=']) {
                return None;
            }
            let comments = metadata.comments.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            Some((metadata.name.to_string(), parameters, comments))
        },
        true,
    );
    let mut entries: Vec<Entry> = found.into_iter().map(|(raw, p, text)| entry(&RHAIS_OWN, &raw, p, &text)).collect();
    for entry in &mut entries {
        let names: Vec<&str> = entry.parameters.iter().map(|p| p.0.as_str()).collect();
        entry.text = entry.text.trim_end_matches("# Example").trim_end().to_string();
        entry.of = entry.parameters.first().map(|p| p.1.clone());
        if let [receiver, arguments @ ..] = names.as_slice() {
            entry.usage = format!("{receiver}.{}({})", entry.name, arguments.join(", "));
        }
    }
    entries.sort_by_key(place);
    entries
}

/// Where an entry stands in its chapter: what makes the types first, then functions, then each type's own; of each name
/// the short forms first.
fn place(entry: &Entry) -> (Option<String>, bool, String, usize, String) {
    let makes_no_type = !entry.name.starts_with(char::is_uppercase);
    (entry.of.clone(), makes_no_type, entry.name.clone(), entry.parameters.len(), entry.usage.clone())
}

fn entry(chapter: &Chapter, raw: &str, parameters: Vec<(String, String)>, comments: &str) -> Entry {
    let (text, examples) = split(comments);
    let of = parameters.first().map(|p| p.1.clone()).filter(|t| is_own_type(t) && !raw.starts_with(char::is_uppercase));
    let receiver = of.as_deref().map(|_| parameters[0].0.clone());
    let names: Vec<&str> = parameters.iter().skip(usize::from(of.is_some())).map(|p| p.0.as_str()).collect();
    let (name, usage) = match (raw.split_once('$'), receiver) {
        (Some(("get", property)), Some(it)) => (property.to_string(), format!("{it}.{property}")),
        (Some(("set", property)), Some(it)) => {
            (property.to_string(), format!("{it}.{property} = {}", names.join(", ")))
        }
        (Some(("index", "get$")), Some(it)) => ("[]".into(), format!("{it}[{}]", names.join(", "))),
        (Some(("index", "set$")), Some(it)) => ("[]".into(), format!("{it}[{}] = {}", names[0], names[1..].join(", "))),
        (_, Some(it)) => (raw.to_string(), format!("{it}.{raw}({})", names.join(", "))),
        (_, None) => {
            let name = chapter.module.map_or_else(|| raw.to_string(), |module| format!("{module}::{raw}"));
            (name.clone(), format!("{name}({})", names.join(", ")))
        }
    };
    Entry { chapter: chapter.title, name, of, usage, text, examples, parameters }
}

/// Types of orch's own; the others are Rhai's.
fn is_own_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name != "Dynamic"
}

/// Takes the examples out of a comment.
pub fn split(comments: &str) -> (String, Vec<Example>) {
    let (mut text, mut examples) = (Vec::new(), Vec::new());
    let mut example: Option<(bool, Vec<&str>)> = None;
    for line in comments.lines() {
        let line = line.trim_start().trim_start_matches("///");
        let line = line.strip_prefix(' ').unwrap_or(line);
        match (&mut example, line.trim_start().starts_with("```")) {
            (None, true) => example = Some((!line.contains("norun"), Vec::new())),
            (Some((runs, lines)), true) => {
                examples.push(Example { code: lines.join("\n"), runs: *runs });
                example = None;
            }
            (Some((_, lines)), false) => lines.push(line),
            (None, false) => text.push(line),
        }
    }
    (text.join("\n").trim().to_string(), examples)
}

/// The whole reference as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Reference\n\nMade from the sources by `orch doc`; every example is run by the tests.\nDurations are in seconds, int or float; options are a map, the last argument.\n",
    );
    let mut title = "";
    for entry in entries() {
        if entry.chapter != title {
            title = entry.chapter;
            page.push_str(&format!("\n## {title}\n"));
        }
        page.push_str(&one(&entry));
    }
    page
}

/// One entry as Markdown.
pub fn one(entry: &Entry) -> String {
    let text = entry.text.replace("# Errors\n", "**Errors:** ");
    let mut page = format!("\n### `{}`\n\n{text}\n", entry.usage);
    for example in &entry.examples {
        page.push_str(&format!("\n```rhai\n{}\n```\n", example.code));
    }
    page
}

/// The entries that `word` means: a name, a type, `Type.name`, a module, or a name within a module.
pub fn find(word: &str) -> Vec<Entry> {
    let fits = |e: &Entry| {
        e.name == word
            || e.name.split_once("::").is_some_and(|(module, name)| module == word || name == word)
            || e.of.as_deref() == Some(word)
            || e.of.as_ref().is_some_and(|of| format!("{of}.{}", e.name) == word)
    };
    let mut found: Vec<Entry> = entries().into_iter().filter(fits).collect();
    found.sort_by_key(|e| e.of.is_some());
    found
}

/// The word nearest to one that means nothing.
pub fn nearest(word: &str) -> Option<String> {
    let entries = entries();
    let modules = api::CHAPTERS.iter().filter_map(|chapter| chapter.module);
    let words = entries.iter().flat_map(|e| [Some(e.name.as_str()), e.of.as_deref()]).flatten().chain(modules);
    super::arguments::nearest(word, words)
}

/// Writes definitions for editors into `folder`.
///
/// # Errors
/// Those of the system.
pub fn write_definitions(folder: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    super::engine::assemble(false).definitions().write_to_dir(folder)
}

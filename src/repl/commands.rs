//! What can be said at the prompt and is no script: `:load`, `:time` and the like, and `help`.

use std::sync::Arc;

use super::page::flowed;
use super::words::{self, comment, type_of};
use super::{Next, Shared, show};
use crate::kernel::current;
use crate::observe::dump;
use crate::script::arguments::nearest;
use crate::script::entry::{Ran, Session, functions_of};
use crate::script::reference::{self, Entry};

/// A command.
pub struct Command {
    /// Its name, without the colon.
    pub name: &'static str,
    /// What it takes.
    takes: &'static str,
    /// What it does.
    pub about: &'static str,
    run: fn(&Arc<Shared>, &str) -> Next,
}

/// All of them.
pub const COMMANDS: &[Command] = &[
    Command { name: "help", takes: "[NAME]", about: "what this is, or what NAME means", run: help },
    Command { name: "load", takes: "FILE", about: "run a file as if it were typed here", run: load },
    Command { name: "quit", takes: "", about: "leave, as Ctrl-D does", run: |_, _| Next::End },
    Command { name: "tasks", takes: "", about: "what every thread and process is doing", run: tasks },
    Command { name: "time", takes: "EXPR", about: "run it, and say how long it took", run: time },
    Command { name: "type", takes: "EXPR", about: "run it, and say of what type its value is", run: kind },
    Command { name: "vars", takes: "", about: "the variables, with their types", run: variables },
];

/// Whether a text is for this module.
pub fn is_command(text: &str) -> bool {
    let text = text.trim();
    let is_help = text == "help" || text.strip_prefix("help ").is_some_and(|word| is_topic(word.trim()));
    !text.contains('\n') && (text.starts_with(':') || is_help)
}

fn is_topic(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_alphanumeric() || "_.:()[]".contains(c))
        && !word.starts_with(['(', '.'])
}

/// Does what a text says for which [`is_command`] holds.
pub fn run(shared: &Arc<Shared>, text: &str) -> Next {
    let text = text.trim();
    let words = text.strip_prefix(':').unwrap_or(text).trim_start();
    let (name, argument) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) if command.takes.starts_with(char::is_alphabetic) && argument.trim().is_empty() => {
            shared.complain(&format!("error: how to use it: :{name} {}\n", command.takes))
        }
        Some(command) => (command.run)(shared, argument.trim()),
        None => {
            let near = nearest(name, COMMANDS.iter().map(|command| command.name));
            let hint = near.map_or_else(|| "; :help shows all".to_string(), |near| format!("; did you mean :{near}?"));
            shared.complain(&format!("error: there is no command :{name}{hint}\n"))
        }
    }
}

fn load(shared: &Arc<Shared>, file: &str) -> Next {
    let text = match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return shared.complain(&format!("error: {file} is not valid UTF-8\n")),
        Err(error) => return shared.complain(&format!("error: cannot read {file}: {error}\n")),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let ran = shared.session.lock().run_as(&shared.host, file.to_string(), text);
    shared.after(ran, true)
}

fn time(shared: &Arc<Shared>, code: &str) -> Next {
    let kernel = current().kernel().clone();
    let begun = kernel.now();
    let ran = shared.session.lock().run(&shared.host, code);
    let took = kernel.now().saturating_sub(begun);
    let next = shared.after(ran, false);
    shared.print(&format!("{:.6} s\n", took.as_secs_f64()));
    next
}

fn kind(shared: &Arc<Shared>, code: &str) -> Next {
    let ran = shared.session.lock().run(&shared.host, code);
    if let Ran::Value(value) = &ran {
        let kind = if value.is_unit() { "()".to_string() } else { type_of(&shared.host, value) };
        shared.print(&format!("{kind}\n"));
    }
    shared.after(ran, true)
}

fn tasks(shared: &Arc<Shared>, _: &str) -> Next {
    shared.print(&dump::text(shared.host.kernel()));
    Next::GoOn
}

fn variables(shared: &Arc<Shared>, _: &str) -> Next {
    let mut text = String::new();
    for (name, value) in shared.session.lock().variables() {
        text.push_str(&format!("{name}: {}\n", type_of(&shared.host, value)));
    }
    shared.print(&text);
    Next::GoOn
}

fn help(shared: &Arc<Shared>, word: &str) -> Next {
    let word = word.trim_end_matches("()").trim_end_matches("::");
    if word.is_empty() {
        shared.print(&flowed(&overview(), shared.window().columns));
        return Next::GoOn;
    }
    if let Some(text) = of_session(shared, word) {
        shared.print(&text);
        return Next::GoOn;
    }
    let found = words::find(word);
    if found.is_empty() {
        let entries = words::entries();
        let known = entries.iter().flat_map(|entry| [Some(entry.name.as_str()), entry.of.as_deref()]).flatten();
        let hint = nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        return shared.complain(&format!("error: there is nothing called {word:?}{hint}\n"));
    }
    shared.print(&flowed(&pages(&found, word), shared.window().columns));
    Next::GoOn
}

/// What is said of what was defined here.
fn of_session(shared: &Arc<Shared>, word: &str) -> Option<String> {
    let session = shared.session.lock();
    if let Some((name, parameters, comments)) = session.functions().into_iter().find(|(name, ..)| name == word) {
        return Some(format!("{name}({})\n\n{}\n", parameters.join(", "), comment(&comments)));
    }
    if let Some(text) = of_import(&session, word) {
        return Some(text);
    }
    let (name, value) = session.variables().find(|(name, _)| *name == word)?;
    let kind = type_of(&shared.host, value);
    let (name, value) = (name.to_string(), value.flatten_clone());
    drop(session);
    let shown = show::value(&shared.host, &value, shared.window());
    let members: Vec<&Entry> = words::entries().iter().filter(|entry| entry.of.as_deref() == Some(&kind)).collect();
    Some(format!("{name}: {kind}\n{shown}\n\n{}", list(&members)))
}

/// What is said of an imported module, or of a function of one.
fn of_import(session: &Session, word: &str) -> Option<String> {
    let (module, function) = word.split_once("::").map_or((word, None), |(module, function)| (module, Some(function)));
    let (_, imported) = session.imports().iter().find(|(name, _)| name == module)?;
    let mut functions = functions_of(std::iter::once(imported.as_ref()));
    functions.sort();
    let usage = |name: &str, parameters: &[String]| format!("{module}::{name}({})", parameters.join(", "));
    match function {
        Some(wanted) => {
            let (name, parameters, comments) = functions.into_iter().find(|(name, ..)| name == wanted)?;
            Some(format!("{}\n\n{}\n", usage(&name, &parameters), comment(&comments)))
        }
        None => {
            let line = |(name, parameters, comments): (String, Vec<String>, String)| {
                format!("  {}  {}", usage(&name, &parameters), words::first_line(&comment(&comments)))
                    .trim_end()
                    .to_string()
                    + "\n"
            };
            Some(functions.into_iter().map(line).collect())
        }
    }
}

/// Of one thing all there is to say; of a type or a module, a line for each of its own.
fn pages(found: &[&Entry], word: &str) -> String {
    let (whole, members): (Vec<&Entry>, Vec<&Entry>) =
        found.iter().partition(|entry| entry.name == word || word.ends_with(&format!(".{}", entry.name)));
    let mut text: String = whole.iter().map(|entry| reference::one(entry).trim().to_string() + "\n\n").collect();
    if !members.is_empty() {
        text.push_str(&list(&members));
    }
    text.trim_end().to_string() + "\n"
}

fn list(entries: &[&Entry]) -> String {
    let line = |entry: &&Entry| format!("  {}  {}\n", entry.usage, words::first_line(&entry.text));
    entries.iter().map(line).collect()
}

/// The names first, since they may be more than fit on the screen, and last what is asked for most.
fn overview() -> String {
    let mut text = String::from(
        "`help NAME` explains a function, a type (`help Queue`), a method (`help Queue.put`) or a module (`help fs`):\n",
    );
    let mut chapters: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in words::entries().iter().filter(|entry| entry.chapter != "Rhai's own" && entry.of.is_none()) {
        let (title, name) = entry.name.split_once("::").unwrap_or((entry.chapter, &entry.name));
        match chapters.last_mut().filter(|(last, _)| *last == title) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => chapters.push((title, vec![name])),
        }
    }
    for (title, names) in chapters {
        text.push_str(&format!("\n  {title}: {}", names.join(", ")));
    }
    text.push_str(
        "\n\nType a line of script: it runs, and its value is shown. `_` is the last value; a `;` at the end keeps it quiet.\n\
         Tab completes; Ctrl-R looks in what was typed; Alt-Enter begins a new line; Ctrl-C stops what runs; Ctrl-D leaves.\n",
    );
    for command in COMMANDS {
        let call = format!("{} {}", command.name, command.takes);
        text.push_str(&format!("\n  :{:<14} {}", call.trim_end(), command.about));
    }
    text + "\n"
}

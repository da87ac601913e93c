//! What could be meant by what is typed so far: names, methods of a value, keys of a map, functions of a module, files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use reedline::{Completer, Span, Suggestion};
use rhai::{Dynamic, Map};

use super::Shared;
use super::commands::COMMANDS;
use super::words::{self, KEYWORDS, comment, first_line, type_of};
use crate::script::entry::{Session, functions_of};
use crate::script::tokens::{Kind, Tokens, tokens};

/// No more are shown of files or keys.
const MOST: usize = 300;

/// See the module.
pub struct Finder(Arc<Shared>);

impl Finder {
    /// Finds in the words of this session.
    pub fn new(shared: Arc<Shared>) -> Finder {
        Finder(shared)
    }
}

impl Completer for Finder {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let typed = &line[..pos];
        let found = {
            let session = self.0.session.lock();
            candidates(&self.0, &session, typed)
        };
        *self.0.completed_at.lock() = Some(self.0.host.kernel().now());
        let suggest = |(value, description): (String, String)| Suggestion {
            value,
            description: (!description.is_empty()).then_some(description),
            span: Span::new(found.from, pos),
            ..Suggestion::default()
        };
        found.words.into_iter().take(MOST).map(suggest).collect()
    }
}

/// What could stand at the end of a text, from a byte on: each with what is said of it.
struct Candidates {
    from: usize,
    words: BTreeMap<String, String>,
}

/// What is being typed.
enum Place<'a> {
    /// A path in a text.
    File(&'a str),
    /// A member of what these names lead to; of something that is not known when there are none.
    Member(Vec<&'a str>, &'a str),
    /// The same for a value of this type.
    MemberOf(&'static str, &'a str),
    /// A function of a module.
    Module(&'a str, &'a str),
    /// A name.
    Name(&'a str),
    /// Nothing that could be completed.
    Nothing,
}

fn candidates(shared: &Shared, session: &Session, typed: &str) -> Candidates {
    let line = typed.rsplit('\n').next().unwrap_or(typed);
    if let Some(command) = line.trim_start().strip_prefix(':') {
        return of_command(shared, session, typed, command);
    }
    if let Some(word) = line.trim_start().strip_prefix("help ") {
        let word = word.trim_start();
        return Candidates { from: typed.len() - word.len(), words: topics(session, word) };
    }
    let place = place(typed);
    let (prefix, words) = match place {
        Place::File(path) => files(path),
        Place::Member(path, prefix) => (prefix, members(shared, session, &path, prefix)),
        Place::MemberOf(kind, prefix) => (prefix, methods(Some(kind), prefix)),
        Place::Module(module, prefix) => (prefix, of_module(session, module, prefix)),
        Place::Name("") | Place::Nothing => ("", BTreeMap::new()),
        Place::Name(prefix) => (prefix, names(shared, session, prefix)),
    };
    Candidates { from: typed.len() - prefix.len(), words }
}

fn of_command(shared: &Shared, session: &Session, typed: &str, command: &str) -> Candidates {
    match command.split_once(' ') {
        None => {
            let fits = COMMANDS.iter().filter(|known| known.name.starts_with(command));
            let words = fits.map(|known| (known.name.to_string(), known.about.to_string())).collect();
            Candidates { from: typed.len() - command.len(), words }
        }
        Some(("load", path)) => {
            let (prefix, words) = files(path.trim_start());
            Candidates { from: typed.len() - prefix.len(), words }
        }
        Some(("help", word)) => Candidates { from: typed.len() - word.len(), words: topics(session, word) },
        Some((_, code)) if !code.starts_with(':') => {
            let found = candidates(shared, session, code);
            Candidates { from: typed.len() - code.len() + found.from, words: found.words }
        }
        Some(_) => Candidates { from: typed.len(), words: BTreeMap::new() },
    }
}

fn place(typed: &str) -> Place<'_> {
    let lexed = tokens(typed);
    let end = lexed.list.last().map_or(0, |token| token.end);
    let rest = typed[end..].trim_start();
    if let Some(path) = rest.strip_prefix(['"', '`']) {
        return Place::File(path);
    }
    if !rest.is_empty() || (typed[end..].is_empty() && lexed.is_kind(lexed.list.len().wrapping_sub(1), Kind::Number)) {
        return Place::Nothing;
    }
    // The word under the cursor, and what stands before it.
    let last = lexed.list.len().wrapping_sub(1);
    let (word, before) = match typed[end..].is_empty() && lexed.is_kind(last, Kind::Word) {
        true => (lexed.text_of(last), last),
        false => ("", lexed.list.len()),
    };
    let Some(mark) = before.checked_sub(1) else {
        return Place::Name(word_of(typed, word));
    };
    if lexed.is(mark, "::") {
        let module = mark.checked_sub(1).filter(|at| lexed.is_kind(*at, Kind::Word));
        return module.map_or(Place::Nothing, |at| Place::Module(piece(typed, &lexed, at), word_of(typed, word)));
    }
    if !lexed.is_any(mark, &[".", "?."]) {
        return Place::Name(word_of(typed, word));
    }
    let mut path = Vec::new();
    let mut at = mark;
    while let Some(name) = at.checked_sub(1) {
        match lexed.list[name].kind {
            Kind::Word => path.push(piece(typed, &lexed, name)),
            Kind::Text if path.is_empty() => return Place::MemberOf("string", word_of(typed, word)),
            _ => return Place::Member(Vec::new(), word_of(typed, word)),
        }
        match name.checked_sub(1) {
            Some(dot) if lexed.is_any(dot, &[".", "?."]) => at = dot,
            // Of something in a module nothing is known.
            Some(mark) if lexed.is(mark, "::") => return Place::Member(Vec::new(), word_of(typed, word)),
            _ => break,
        }
    }
    path.reverse();
    Place::Member(path, word_of(typed, word))
}

/// The same piece, which lives as long as the text.
fn piece<'a>(typed: &'a str, lexed: &Tokens, at: usize) -> &'a str {
    &typed[lexed.list[at].start..lexed.list[at].end]
}

fn word_of<'a>(typed: &'a str, word: &str) -> &'a str {
    &typed[typed.len() - word.len()..]
}

/// What is said of a word: how it goes on where it is used, and the first sentence about it.
fn described(usage: &str, text: &str) -> String {
    let arguments = usage.find('(').map_or("", |at| &usage[at..]);
    let gap = if arguments.is_empty() { "" } else { "  " };
    format!("{arguments}{gap}{}", first_line(text))
}

/// Names that mean something by themselves.
fn names(shared: &Shared, session: &Session, prefix: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for entry in words::entries().iter().filter(|entry| entry.name.starts_with(prefix)) {
        match entry.name.split_once("::") {
            Some((module, _)) => drop(words.insert(format!("{module}::"), "module".to_string())),
            None if entry.of.is_none() => {
                words.entry(entry.name.clone()).or_insert_with(|| described(&entry.usage, &entry.text));
            }
            None => {}
        }
    }
    words.extend(
        KEYWORDS.iter().filter(|word| word.starts_with(prefix)).map(|word| ((*word).to_string(), String::new())),
    );
    for (name, _) in session.imports().iter().filter(|(name, _)| name.starts_with(prefix)) {
        words.insert(format!("{name}::"), "imported module".to_string());
    }
    for (name, parameters, comments) in session.functions() {
        if name.starts_with(prefix) {
            words.insert(name.clone(), described(&format!("{name}({})", parameters.join(", ")), &comment(&comments)));
        }
    }
    for (name, value) in session.variables().filter(|(name, _)| name.starts_with(prefix)) {
        words.insert(name.to_string(), type_of(&shared.host, value));
    }
    words
}

/// What there is help about.
fn topics(session: &Session, prefix: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for entry in words::entries().iter() {
        let types = entry.of.iter().filter(|of| of.starts_with(prefix)).map(|of| (of.clone(), "type".to_string()));
        for (word, about) in types {
            words.entry(word).or_insert(about);
        }
        if entry.name.starts_with(prefix) {
            words.insert(entry.name.clone(), described(&entry.usage, &entry.text));
        }
    }
    for (name, parameters, comments) in session.functions() {
        if name.starts_with(prefix) {
            words.insert(name.clone(), described(&format!("{name}({})", parameters.join(", ")), &comment(&comments)));
        }
    }
    for (name, _) in session.imports().iter().filter(|(name, _)| name.starts_with(prefix)) {
        words.insert(name.to_string(), "imported module".to_string());
    }
    words
}

fn of_module(session: &Session, module: &str, prefix: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for entry in words::entries() {
        if let Some((of, name)) = entry.name.split_once("::")
            && of == module
            && name.starts_with(prefix)
        {
            words.entry(name.to_string()).or_insert_with(|| described(&entry.usage, &entry.text));
        }
    }
    let imported = session.imports().iter().filter(|(name, _)| name == module).map(|(_, module)| module.as_ref());
    for (name, parameters, comments) in functions_of(imported) {
        if name.starts_with(prefix) {
            words.insert(name.clone(), described(&format!("{name}({})", parameters.join(", ")), &comment(&comments)));
        }
    }
    words
}

/// What can follow the dot after a value.
fn members(shared: &Shared, session: &Session, path: &[&str], prefix: &str) -> BTreeMap<String, String> {
    let known = path.split_first().and_then(|(name, keys)| {
        let value = session.variable(name)?;
        follow(value, keys, &mut |value| {
            let kind = type_of(&shared.host, value);
            let mut words = methods(Some(&kind), prefix);
            if let Some(map) = value.read_lock::<Map>() {
                for (key, value) in map.iter().filter(|(key, _)| key.starts_with(prefix)).take(MOST) {
                    words.insert(key.to_string(), type_of(&shared.host, value));
                }
            }
            words
        })
    });
    known.unwrap_or_else(|| if prefix.is_empty() { BTreeMap::new() } else { methods(None, prefix) })
}

/// What keys lead to, from one value, shown to `look` where it lies.
fn follow<R>(value: &Dynamic, keys: &[&str], look: &mut dyn FnMut(&Dynamic) -> R) -> Option<R> {
    match keys.split_first() {
        None => Some(look(value)),
        Some((key, keys)) => follow(value.read_lock::<Map>()?.get(*key)?, keys, look),
    }
}

/// The methods and properties of a type, or of any.
fn methods(kind: Option<&str>, prefix: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for entry in words::entries() {
        let is_member = match (&entry.of, kind) {
            // What every value has is shown to those who ask for it.
            (Some(of), Some(kind)) => of == kind || (of == "Dynamic" && !prefix.is_empty()),
            (Some(of), None) => of.starts_with(char::is_uppercase) && of != "Dynamic",
            (None, _) => false,
        };
        if is_member && entry.name != "[]" && entry.name.starts_with(prefix) {
            words.entry(entry.name.clone()).or_insert_with(|| described(&entry.usage, &entry.text));
        }
    }
    words
}

/// The files that a path could become, and what of it is their names' beginning.
fn files(path: &str) -> (&str, BTreeMap<String, String>) {
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (folder, prefix) = path.split_at(at);
    let folder = if folder.is_empty() { Path::new(".") } else { Path::new(folder) };
    let mut words = BTreeMap::new();
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        // Hidden ones are shown to those who ask for them.
        if !name.starts_with(prefix) || (name.starts_with('.') && !prefix.starts_with('.')) {
            continue;
        }
        match file.path().is_dir() {
            true => drop(words.insert(format!("{name}/"), String::new())),
            false => drop(words.insert(name, String::new())),
        }
    }
    (prefix, words)
}

//! The rules of the house as a test: the order of rooms, "one crate, one room", and what is written
//! nowhere. Every breach of the whole tree is reported at once, as `file:line: rule`.
//!
//! The tables below are the rules; under them they are applied to what `tidy/reading.rs` reads of each
//! file. The last part plants breaches of every rule in memory and sees that each is found.

#[path = "tidy/reading.rs"]
mod reading;

use reading::{PathUse, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

// --------------------------------------------------------------------------------------- the rules

/// The rooms, low to high. A room uses itself and the rooms above it in this list.
const ROOMS: &[&str] =
    &["kernel", "sync", "exec", "command", "worker", "io", "signals", "script", "observe", "repl", "cli"];

/// Rooms that may use less than their place in the list allows.
const ONLY: &[(&str, &[&str])] = &[("observe", &["kernel"])];

/// Files of the crate root. They put the rooms together and are bound by no order.
const ROOT_FILES: &[&str] = &["src/lib.rs", "src/main.rs"];

/// One crate, one room.
const CRATES: &[(&str, &[&str])] = &[
    ("rhai", &["src/script/", "src/repl/"]),
    ("clap", &["src/cli/"]),
    ("duct", &["src/command/"]),
    ("signal_hook", &["src/signals/"]),
    ("hmac", &["src/worker/"]),
    // Keys are proved with it there, and files summed here.
    ("sha2", &["src/worker/", "src/io/"]),
    ("md5", &["src/io/"]),
    ("regex", &["src/script/"]),
    ("serde_json", &["src/script/", "src/observe/"]),
    ("unicode_width", &["src/script/", "src/repl/"]),
    ("encoding_rs", &["src/io/"]),
    ("rusqlite", &["src/io/"]),
    ("scraper", &["src/io/"]),
    ("ureq", &["src/io/"]),
    ("url", &["src/io/"]),
    ("reedline", &["src/repl/"]),
    ("nu_ansi_term", &["src/repl/"]),
    ("clap_mangen", &["src/cli/"]),
];

/// Paths of the standard library that belong to a room. Unit tests may use them anywhere.
const PATHS: &[(&str, &[&str])] = &[
    ("Instant::now", &["src/kernel/"]),
    ("SystemTime::now", &["src/kernel/"]),
    ("thread::spawn", &["src/kernel/"]),
    ("thread::Builder", &["src/kernel/"]),
    ("thread::sleep", &["src/kernel/"]),
    ("process::Command", &["src/command/", "src/worker/"]),
    ("process::exit", &["src/main.rs"]),
];

/// Macros that belong to a room. Unit tests may use them anywhere.
const PRINTS: &[&str] = &["print", "println", "eprint", "eprintln"];
const PRINTING: &[&str] = &["src/cli/", "src/repl/", "src/main.rs"];

/// Macros that are left behind nowhere, tests and benches included.
const LEFT_BEHIND: &[&str] = &["todo", "unimplemented", "dbg"];

/// A word that stands nowhere, not even in a comment. (In two halves, because it would stand here.)
const FORBIDDEN_WORD: &str = concat!("FIX", "ME");

/// The files that may hold `unsafe`.
const UNSAFE_FILES: &[&str] = &["src/kernel/os.rs"];

/// The longest a source file may be, and the files that may be longer, each with its reason.
const MAX_LINES: usize = 600;
const LONG_FILES: &[(&str, &str)] = &[];

// ---------------------------------------------------------------------------------- the whole tree

/// What the rules look at: the text of every file by its path from the top of the package, with `/`.
type Tree = BTreeMap<String, String>;

#[test]
fn the_tree_is_tidy() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    for folder in ["src", "tests", "benches", "scripts"] {
        collect(top, folder, &mut tree);
    }
    for file in ["Cargo.toml", "README.md", "build.rs"] {
        if let Ok(text) = fs::read_to_string(top.join(file)) {
            tree.insert(file.to_string(), text);
        }
    }
    assert!(tree.contains_key("src/main.rs"), "found no sources under {}", top.display());
    let found = check(&tree);
    assert!(found.is_empty(), "{} breach(es) of the rules in tests/tidy.rs:\n{}\n", found.len(), found.join("\n"));
}

/// Reads every `.rs` and `.rhai` file under `folder`, in depth.
fn collect(top: &Path, folder: &str, tree: &mut Tree) {
    let Ok(entries) = fs::read_dir(top.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            collect(top, &path, tree);
        } else if name.ends_with(".rs") || name.ends_with(".rhai") {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|e| panic!("{path}: {e}"));
            tree.insert(path, text);
        }
    }
}

/// Every breach in the tree, as `file:line: rule`, in the order of files and lines.
fn check(tree: &Tree) -> Vec<String> {
    let sources: Vec<Source> =
        tree.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| Source::read(path, text)).collect();
    let test_files = test_modules(&sources);
    let mut found = Breaches::default();
    for source in &sources {
        let all_test = test_files.iter().any(|stem| is_module(&source.path, stem));
        check_everywhere(source, &mut found);
        if source.path.starts_with("src/") {
            check_source(source, all_test, &mut found);
        }
    }
    for (path, reason) in LONG_FILES {
        let lines = tree.get(*path).map_or(0, |text| text.lines().count());
        if lines <= MAX_LINES || reason.is_empty() {
            found.add(path, 1, "listed in LONG_FILES, but not long, or without a reason".into());
        }
    }
    check_readme(tree, &mut found);
    check_dependencies(tree, &sources, &mut found);
    found.0.into_iter().map(|(path, line, rule)| format!("{path}:{line}: {rule}")).collect()
}

#[derive(Default)]
struct Breaches(BTreeSet<(String, usize, String)>);

impl Breaches {
    fn add(&mut self, path: &str, line: usize, rule: String) {
        self.0.insert((path.to_string(), line, rule));
    }
}

// ------------------------------------------------------------------------------ the rules, applied

/// What holds for every Rust file: sources, tests and benches.
fn check_everywhere(source: &Source, found: &mut Breaches) {
    let path = &source.path;
    for (i, line) in source.text.lines().enumerate() {
        if line.contains(FORBIDDEN_WORD) {
            found.add(path, i + 1, format!("`{FORBIDDEN_WORD}` is written nowhere"));
        }
    }
    for (i, token) in source.tokens.iter().enumerate() {
        if LEFT_BEHIND.contains(&token.text.as_str()) && source.is_macro_call(i) {
            found.add(path, token.line, format!("`{}!` is left behind nowhere", token.text));
        }
        if source.reads(i, &["#", "[", "allow", "("]) || source.reads(i, &["#", "!", "[", "allow", "("]) {
            found.add(path, token.line, "`allow` attributes are written nowhere: mend the cause".into());
        }
    }
}

/// What holds for the files under `src/`.
fn check_source(source: &Source, all_test: bool, found: &mut Breaches) {
    let path = &source.path;
    let in_test = |line: usize| all_test || source.is_test(line);
    let own_room = room_of(path);
    if let Some(room) = own_room
        && !ROOMS.contains(&room)
    {
        found.add(path, 1, format!("`{room}` is not a room of the table"));
    }
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!")) {
        found.add(path, 1, "starts with a `//!` comment that says what the file is for".into());
    }
    // Tests at the end of a file do not count.
    let lines = source.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    if lines > MAX_LINES && !LONG_FILES.iter().any(|(long, _)| long == path) {
        found.add(path, lines, format!("is over {MAX_LINES} lines"));
    }
    for used in &source.paths {
        check_path(source, used, own_room, in_test(used.line), found);
    }
    for (i, token) in source.tokens.iter().enumerate() {
        let tested = in_test(token.line);
        if !tested && source.reads(i, &[".", "unwrap", "(", ")"]) {
            found.add(path, token.line, "`.unwrap()` only in tests".into());
        }
        if token.text == "unsafe" && !UNSAFE_FILES.contains(&path.as_str()) {
            found.add(path, token.line, format!("`unsafe` only in {}", UNSAFE_FILES.join(", ")));
        }
        let print = PRINTS.contains(&token.text.as_str()) && source.is_macro_call(i);
        if print && !tested && !lies_in(path, PRINTING) {
            found.add(path, token.line, format!("`{}!` only in {}", token.text, PRINTING.join(", ")));
        }
    }
}

/// One path, such as `crate::sync::Lock` or `std::thread::spawn`, against the order of rooms and the
/// tables of crates and paths.
fn check_path(source: &Source, used: &PathUse, own_room: Option<&str>, tested: bool, found: &mut Breaches) {
    let path = &source.path;
    if let Some(own) = own_room
        && let Some(other) = room_used(path, used, tested)
        && !may_use(own, other)
    {
        found.add(path, used.line, format!("room `{own}` may not use room `{other}`"));
    }
    for (name, rooms) in CRATES {
        if used.names_crate(name) && !lies_in(path, rooms) {
            found.add(path, used.line, format!("crate `{name}` only in {}", rooms.join(", ")));
        }
    }
    for (tail, rooms) in PATHS {
        let tail_parts: Vec<&str> = tail.split("::").collect();
        let hit = used.parts.windows(tail_parts.len()).any(|window| window == tail_parts);
        if hit && !tested && !lies_in(path, rooms) {
            found.add(path, used.line, format!("`{tail}` only in {}", rooms.join(", ")));
        }
    }
}

fn may_use(own: &str, other: &str) -> bool {
    if own == other {
        return true;
    }
    if let Some((_, only)) = ONLY.iter().find(|(room, _)| *room == own) {
        return only.contains(&other);
    }
    let place = |room: &str| ROOMS.iter().position(|r| *r == room);
    place(other) < place(own)
}

/// The room a file lies in: `src/ROOM/…` or `src/ROOM.rs`. The files of the root lie in none.
fn room_of(path: &str) -> Option<&str> {
    if ROOT_FILES.contains(&path) {
        return None;
    }
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// The room that a path leads into from the crate root, by `crate::` or by enough `super::`.
fn room_used(file: &str, used: &PathUse, tested: bool) -> Option<&'static str> {
    let supers = used.parts.iter().take_while(|part| *part == "super").count();
    let name = if used.parts.first().is_some_and(|part| part == "crate") {
        used.parts.get(1)
    } else if supers >= depth(file) + usize::from(tested) {
        used.parts.get(supers)
    } else {
        None
    }?;
    ROOMS.iter().find(|room| *room == name).copied()
}

/// How many modules deep a file is: 1 for `src/kernel/mod.rs`, 2 for `src/kernel/door.rs`.
fn depth(file: &str) -> usize {
    let parts = file.split('/').skip(1).count();
    if file.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// Whether a file is one of these files, or lies in one of these folders (which end in `/`).
fn lies_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        let as_file = place.strip_suffix('/').map(|folder| format!("{folder}.rs"));
        path == *place || (place.ends_with('/') && path.starts_with(place)) || as_file.as_deref() == Some(path)
    })
}

/// Modules declared as `#[cfg(test)] mod NAME;`, as paths without `.rs`: their files are test code.
fn test_modules(sources: &[Source]) -> Vec<String> {
    let mut stems = Vec::new();
    for source in sources {
        let folder = match source.path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_string(),
            None if ROOT_FILES.contains(&source.path.as_str()) => "src".to_string(),
            None => source.path.trim_end_matches(".rs").to_string(),
        };
        stems.extend(source.test_mods.iter().map(|name| format!("{folder}/{name}")));
    }
    stems
}

fn is_module(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn check_readme(tree: &Tree, found: &mut Breaches) {
    let readme = tree.get("README.md").map_or("", String::as_str);
    let words: BTreeSet<&str> = readme
        .split(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)))
        .map(|word| word.trim_matches('.'))
        .collect();
    for script in tree.keys().filter(|path| path.ends_with(".rhai") && path.starts_with("scripts/")) {
        let name = script.rsplit('/').next().unwrap_or(script);
        if !words.contains(name) {
            found.add("README.md", 1, format!("names every script: `{name}` is missing"));
        }
    }
}

/// Every dependency of Cargo.toml starts some path in the sources, tests or benches.
fn check_dependencies(tree: &Tree, sources: &[Source], found: &mut Breaches) {
    let manifest = tree.get("Cargo.toml").map_or("", String::as_str);
    for (line, name) in dependencies(manifest) {
        let ident = name.replace('-', "_");
        if !sources.iter().any(|source| source.paths.iter().any(|used| used.names_crate(&ident))) {
            found.add("Cargo.toml", line, format!("dependency `{name}` is used nowhere"));
        }
    }
}

/// The dependencies of every kind, with their lines, in both spellings: a line in a section of
/// dependencies, and a section of its own.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut inside = false;
    for (i, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or(section);
            inside = section.ends_with("dependencies");
            if let Some((before, name)) = section.rsplit_once('.')
                && before.ends_with("dependencies")
            {
                all.push((i + 1, name.to_string()));
            }
        } else if inside && !line.starts_with('#') {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            let rest = line[name.len()..].trim_start();
            if !name.is_empty() && (rest.starts_with('=') || rest.starts_with('.')) {
                all.push((i + 1, name));
            }
        }
    }
    all
}

// -------------------------------------------------------------------------- the rules can fail too

/// A tree with nothing to complain about.
fn clean_tree() -> Tree {
    let files = [
        ("src/main.rs", "//! Start.\nfn main() { std::process::exit(orch::cli::main()) }\n"),
        ("src/lib.rs", "//! The rooms.\npub mod kernel;\npub use crate::script::run;\n"),
        ("src/kernel/mod.rs", "//! Kernel.\npub fn now() -> Instant { Instant::now() }\n"),
        ("src/kernel/os.rs", "//! The system.\npub fn f() { unsafe { g() } }\n"),
        ("src/script/mod.rs", "//! Rhai.\nuse crate::{kernel::now, sync::Lock};\nuse rhai::Engine;\n"),
        ("src/cli/mod.rs", "//! Command line.\nuse clap::Parser;\nfn f() { println!(\"x\"); }\n"),
        ("scripts/lock.rhai", "// A lock.\n"),
        ("README.md", "`scripts/lock.rhai`.\n"),
        ("Cargo.toml", "[dependencies]\nrhai = \"1\"\nclap = { version = \"4\" }\n\n[profile.release]\nlto = true\n"),
    ];
    files.into_iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

/// What the rules say when `text` is added to (or replaces) the file `path` of the clean tree.
fn planted(path: &str, text: &str) -> Vec<String> {
    let mut tree = clean_tree();
    tree.insert(path.to_string(), text.to_string());
    check(&tree)
}

#[test]
fn a_clean_tree_passes() {
    assert_eq!(check(&clean_tree()), Vec::<String>::new());
}

/// One breach a line: the file it is planted in, its text (`⏎` is a new line), and what is reported, with
/// its line.
const PLANTS: &str = r##"
src/sync/a.rs | //! S.⏎use crate::exec::Pool; | 2: room `sync` may not use room `exec`
src/sync/a.rs | //! S.⏎use crate::{⏎    kernel::Task,⏎    cli::{self, Args},⏎}; | 4: room `sync` may not use room `cli`
src/sync/a.rs | //! S.⏎fn f() -> crate::script::X { g() } | 2: room `sync` may not use room `script`
src/sync/a.rs | //! S.⏎use super::super::exec::Pool; | 2: room `sync` may not use room `exec`
src/sync.rs | //! S.⏎use crate::exec; | 2: room `sync` may not use room `exec`
src/observe/a.rs | //! O.⏎use crate::sync::Lock; | 2: room `observe` may not use room `sync`
src/script/a.rs | //! S.⏎use crate::observe::Bar; | 2: room `script` may not use room `observe`
src/attic/mod.rs | //! Old things. | 1: `attic` is not a room of the table
src/kernel/a.rs | //! K.⏎use rhai::Dynamic; | 2: crate `rhai` only in src/script/, src/repl/
src/kernel/a.rs | //! K.⏎use {std::fmt, rhai::Dynamic}; | 2: crate `rhai` only in src/script/, src/repl/
src/repl/a.rs | //! R.⏎#[derive(clap::Parser)]⏎struct A; | 2: crate `clap` only in src/cli/
src/worker/a.rs | //! W.⏎fn f() { duct::cmd("a") } | 2: crate `duct` only in src/command/
src/kernel/a.rs | //! K.⏎use signal_hook::consts::*; | 2: crate `signal_hook` only in src/signals/
src/sync/a.rs | //! S.⏎fn f() { Instant::now() } | 2: `Instant::now` only in src/kernel/
src/sync/a.rs | //! S.⏎fn f() { std::time::SystemTime::now() } | 2: `SystemTime::now` only in src/kernel/
src/exec/a.rs | //! E.⏎use std::thread::{self, spawn}; | 2: `thread::spawn` only in src/kernel/
src/exec/a.rs | //! E.⏎fn f() { thread::Builder::new() } | 2: `thread::Builder` only in src/kernel/
src/exec/a.rs | //! E.⏎fn f() {⏎    thread::sleep(d)⏎} | 3: `thread::sleep` only in src/kernel/
src/exec/a.rs | //! E.⏎use std::process::{Command, Stdio}; | 2: `process::Command` only in src/command/, src/worker/
src/cli/a.rs | //! C.⏎fn f() { std::process::exit(1) } | 2: `process::exit` only in src/main.rs
src/lib.rs | //! L.⏎fn f() { println!("x") } | 2: `println!` only in src/cli/, src/repl/, src/main.rs
src/exec/a.rs | //! E.⏎fn f() { eprint!("x") } | 2: `eprint!` only in src/cli/, src/repl/, src/main.rs
src/exec/a.rs | //! E.⏎fn f() { todo! {} } | 2: `todo!` is left behind nowhere
src/exec/a.rs | //! E.⏎fn f() { unimplemented![] } | 2: `unimplemented!` is left behind nowhere
benches/a.rs | fn f() { dbg!(1) } | 1: `dbg!` is left behind nowhere
tests/a.rs | #![allow(unused)] | 1: `allow` attributes are written nowhere: mend the cause
src/exec/a.rs | //! E.⏎#[allow(unused)]⏎fn f() {} | 2: `allow` attributes are written nowhere: mend the cause
src/exec/a.rs | //! E.⏎fn f() {⏎    g()⏎        .unwrap()⏎} | 4: `.unwrap()` only in tests
src/exec/a.rs | //! E.⏎#[cfg(test)]⏎use x::y;⏎fn f() { g().unwrap() } | 4: `.unwrap()` only in tests
src/exec/a.rs | //! E.⏎fn f() { unsafe { g() } } | 2: `unsafe` only in src/kernel/os.rs
src/exec/a.rs | // E. | 1: starts with a `//!` comment that says what the file is for
scripts/queue.rhai | // A queue. | 1: names every script: `queue.rhai` is missing
README.md | `scripts/no_lock.rhai`. | 1: names every script: `lock.rhai` is missing
Cargo.toml | [dependencies]⏎rhai = "1"⏎signal-hook = "0" | 3: dependency `signal-hook` is used nowhere
Cargo.toml | [dev-dependencies.insta]⏎version = "1" | 1: dependency `insta` is used nowhere
"##;

#[test]
fn every_planted_breach_is_found() {
    let mut rows = 0;
    for row in PLANTS.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [path, text, rule] = cells[..] else {
            panic!("not three cells: {row}");
        };
        assert_found(path, &format!("{}\n", text.replace('⏎', "\n")), rule);
        rows += 1;
    }
    assert!(rows > 30, "only {rows} rows were read");
    let word = format!("//! S.\n// {FORBIDDEN_WORD}: later\n");
    assert_found("src/exec/a.rs", &word, &format!("2: `{FORBIDDEN_WORD}` is written nowhere"));
    let long = format!("//! S.\n{}", "\n".repeat(MAX_LINES));
    assert_found("src/exec/a.rs", &long, "601: is over 600 lines");
}

fn assert_found(path: &str, text: &str, rule: &str) {
    let is_script = path.ends_with(".rhai");
    let file = if is_script { "README.md" } else { path };
    let found = planted(path, text);
    assert!(found.contains(&format!("{file}:{rule}")), "planted in {path}:\n{text}\nwanted `{rule}`, found {found:#?}");
}

#[test]
fn all_breaches_are_reported_at_once() {
    let found = planted("src/sync/a.rs", "//! S.\nuse rhai::{Dynamic};\nfn f() { dbg!(a.unwrap()) }\n");
    let wanted = [
        "src/sync/a.rs:2: crate `rhai` only in src/script/, src/repl/",
        "src/sync/a.rs:3: `.unwrap()` only in tests",
        "src/sync/a.rs:3: `dbg!` is left behind nowhere",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn comments_texts_and_tests_cause_no_false_hits() {
    let innocent = [
        "//! Not rhai::Engine.\n/// crate::cli::x, println!(), a.unwrap()\n/* unsafe /* todo!() */ rhai::x */\nfn f() {}\n",
        "//! S.\nconst A: &str = \"rhai::Engine \\\" crate::cli::x\";\nconst B: &str = r#\"println!(\" unsafe \")\"#;\n",
        "//! S.\nconst A: char = '\"'; const B: char = '\\''; fn f<'a>(x: &'a str) {}\nconst C: u8 = b'\"';\n",
        "//! S.\nfn f(rhai: u8) -> bool { rhai != 1 && print != x && self.clap::<u8>() && my_thread::spawned() }\n",
        "//! S.\nuse crate::kernel::{self, Task};\nuse super::queue::Queue;\nfn f() { x.unwrap_or(1); }\n",
        "//! S.\nfn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { h().unwrap(); thread::spawn(h); println!(); }\n}\n",
        "//! S.\nfn f<'a>(x: &'a str) -> impl Iterator<Item = u8> + use<'a> { x.bytes() }\n",
        "//! S.\n#[cfg(test)]\nfn f(a: [u8; 2]) { h().unwrap(); }\nfn g() {}\n",
    ];
    for text in innocent {
        assert_eq!(planted("src/sync/a.rs", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_file_of_tests_counts_as_test_code() {
    let mut tree = clean_tree();
    tree.insert("src/sync/mod.rs".into(), "//! S.\n#[cfg(test)]\nmod cases;\n".into());
    tree.insert("src/sync/cases.rs".into(), "//! Cases.\nfn f() { g().unwrap(); }\n".into());
    assert_eq!(check(&tree), Vec::<String>::new());
    tree.insert("src/sync/mod.rs".into(), "//! S.\nmod cases;\n".into());
    assert_eq!(check(&tree), ["src/sync/cases.rs:2: `.unwrap()` only in tests"]);
}

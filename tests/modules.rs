//! The modules that every script has, and those that it imports: what they give, and what they say when the input is bad.

mod whole;

#[path = "modules/arguments.rs"]
mod arguments;
#[path = "modules/files.rs"]
mod files;
#[path = "modules/imports.rs"]
mod imports;
#[path = "modules/leaving.rs"]
mod leaving;
#[path = "modules/surroundings.rs"]
mod surroundings;
#[path = "modules/terminal.rs"]
mod terminal;
#[path = "modules/values.rs"]
mod values;

use whole::program::{Program, Seen};

/// A script in which each line that begins with `? ` is an expression whose value is printed, or its error: kind and message.
fn asking(text: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix("? ") {
        Some(code) => format!("try {{ print({code}); }} catch (e) {{ print(e.kind + \": \" + e.message); }}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Runs such a script; it ends well and says nothing else.
#[track_caller]
fn answers(text: &str, wanted: &[&str]) {
    answered(Program::script(&asking(text)).run(), wanted);
}

/// What each expression prints, or how it is refused, after `before`.
#[track_caller]
fn each_answers(before: &str, pairs: &[(&str, &str)]) {
    let asked: String = pairs.iter().map(|(expression, _)| format!("? {expression}\n")).collect();
    let wanted: Vec<&str> = pairs.iter().map(|(_, wanted)| *wanted).collect();
    answers(&format!("{before}\n{asked}"), &wanted);
}

#[track_caller]
fn answered(seen: Seen, wanted: &[&str]) {
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines, wanted, "{}", seen.for_people());
    assert!(seen.status == 0 && seen.stderr.is_empty(), "{}", seen.for_people());
}

//! How an error looks to the person at the terminal: what, where in the script, through which calls.

use rhai::{Array, Dynamic, Map, ParseError, ParseErrorType};

use super::host::Host;
use super::source::{EACH, Source};

/// No more is shown of a line of the script.
const WIDEST: usize = 96;

/// The exit status of a program that nobody saved from this error: 3 for a deadlock, 128 + n for a signal, else 1.
pub fn status_of(map: &Map) -> i32 {
    match text(map, "kind").as_str() {
        "DeadlockError" => 3,
        "Interrupted" => match text(map, "signal").as_str() {
            "HUP" => 129,
            "TERM" => 143,
            _ => 130,
        },
        _ => 1,
    }
}

/// The whole report of an error that nobody caught.
pub fn uncaught(host: &Host, map: &Map) -> String {
    let mut report = format!("error: {}: {}\n", text(map, "kind"), text(map, "message"));
    let source = text(map, "source");
    report.push_str(&excerpt(host, &source, number(map, "line"), number(map, "column"), &in_task(map)));
    for frame in map.get("stack").and_then(|s| s.clone().try_cast::<Array>()).unwrap_or_default() {
        if let Some(frame) = frame.try_cast::<Map>() {
            report.push_str(&describe_frame(&frame));
        }
    }
    for other in map.get("others").and_then(|s| s.clone().try_cast::<Array>()).unwrap_or_default() {
        if let Some(other) = other.try_cast::<Map>() {
            report.push_str(&format!("and also {}", uncaught(host, &other)));
        }
    }
    report
}

/// The report of a script that does not parse.
pub fn unparsed(host: &Host, name: &str, error: &ParseError) -> String {
    let position = error.position();
    let (line, column) = (position.line().unwrap_or(0), position.position().unwrap_or(0));
    let Some(source) = host.source(name) else {
        return format!("error: {}\n{}", error.err_type(), excerpt(host, name, line, column, ""));
    };
    // Only the end of a script is blank for the parser.
    let at_end = source.line(line).is_none_or(|code| code.trim().is_empty());
    let note = if at_end { ", the end of the script" } else { "" };
    let Complaint { message, culprit } = complaint(&source, error);
    let column = source.original_column(line, column.max(1));
    // A name that was moved is shown where its author wrote it.
    let column = culprit.and_then(|word| before(&source, line, column, &word)).unwrap_or(column);
    format!("error: {message}\n{}", excerpt_at(host, name, line, column, note))
}

/// What the parser does not like, in words that know nothing of the rewrite.
pub struct Complaint {
    /// The sentence.
    pub message: String,
    /// The word that it is about.
    culprit: Option<String>,
}

/// Words that orch makes keywords, which the parser only finds to be no name.
const KEYWORDS: [&str; 2] = ["with", "try"];

/// What the parser does not like about a source.
pub fn complaint(source: &Source, error: &ParseError) -> Complaint {
    let (line, column) = (error.position().line().unwrap_or(0), error.position().position().unwrap_or(0));
    let error = error.err_type();
    let word = word_at(source.rewritten().lines().nth(line.saturating_sub(1)).unwrap_or(""), column);
    let plain = Complaint { message: error.to_string(), culprit: None };
    match error {
        ParseErrorType::Reserved(word) => Complaint { culprit: Some(word.clone()), ..plain },
        ParseErrorType::VariableExpected
        | ParseErrorType::FnMissingName
        | ParseErrorType::FnMissingParams(_)
        | ParseErrorType::PropertyExpected
        | ParseErrorType::MissingToken(..)
            if KEYWORDS.contains(&word) && !may_start_here(error) =>
        {
            Complaint { message: format!("'{word}' is a reserved keyword"), culprit: Some(word.to_string()) }
        }
        ParseErrorType::MissingToken(_, what) if what.contains(EACH) => {
            Complaint { message: "Expecting '{' to start the block of this 'for'".into(), ..plain }
        }
        ParseErrorType::MissingToken(token, _) if token == "{" && word == "as" => {
            Complaint { message: "Expecting one name and then '{' after 'as'".into(), ..plain }
        }
        _ => plain,
    }
}

/// True where a statement could begin, if the one before had ended.
fn may_start_here(error: &ParseErrorType) -> bool {
    matches!(error, ParseErrorType::MissingToken(token, _) if token != ")")
}

/// The word that begins at a column, counted from 1.
fn word_at(line: &str, column: usize) -> &str {
    let rest = line.char_indices().nth(column.saturating_sub(1)).map_or("", |(at, _)| &line[at..]);
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

/// The column at which `word` last begins up to `column`.
fn before(source: &Source, line: usize, column: usize, word: &str) -> Option<usize> {
    let line = source.line(line)?;
    (1..=column).rev().find(|&at| word_at(line, at) == word)
}

fn in_task(map: &Map) -> String {
    match text(map, "task").as_str() {
        "" | "main" => String::new(),
        // It is no place in that process, and the message has named it.
        _ if text(map, "kind") == "WorkerDied" => String::new(),
        task => format!(", in {} {task:?}", thread_or_process(map, task)),
    }
}

/// What the task of an error is, which the frame that says where it was made knows.
fn thread_or_process(map: &Map, task: &str) -> &'static str {
    let stack = map.get("stack").and_then(|stack| stack.read_lock::<Array>());
    let frames = stack.iter().flat_map(|stack| stack.iter()).filter_map(|frame| frame.read_lock::<Map>());
    let mut its = frames.filter(|frame| text(frame, "task") == task);
    kind_of_task(its.next().as_deref())
}

fn kind_of_task(frame: Option<&Map>) -> &'static str {
    if frame.is_some_and(|frame| frame.contains_key("process")) { "process" } else { "thread" }
}

fn excerpt(host: &Host, name: &str, line: usize, column: usize, note: &str) -> String {
    let column = host.source(name).map_or(column, |s| s.original_column(line, column.max(1)));
    excerpt_at(host, name, line, column, note)
}

/// The line with a caret at a column of the original.
fn excerpt_at(host: &Host, name: &str, line: usize, column: usize, note: &str) -> String {
    let shown_name = if name.is_empty() { "script" } else { name };
    if line == 0 {
        return if note.is_empty() { String::new() } else { format!("  --> {shown_name}{note}\n") };
    }
    let source = host.source(name);
    let mut text = format!("  --> {shown_name}:{line}:{column}{note}\n");
    if let Some(code) = source.as_deref().and_then(|s: &Source| s.line(line)).filter(|code| !code.trim().is_empty()) {
        let margin = " ".repeat(line.to_string().len());
        let (code, column) = window(code.trim_end(), column.max(1));
        // Tabs keep their width if the blanks before the caret are tabs too.
        let indent: String = code.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        text.push_str(&format!("{margin} |\n{line} | {code}\n{margin} | {indent}^\n"));
    }
    text
}

/// What is shown of a line, and the column in that: of a long one, which a terminal would wrap so that the caret points
/// nowhere, the part around the column.
fn window(code: &str, column: usize) -> (String, usize) {
    let letters: Vec<char> = code.chars().collect();
    if letters.len() <= WIDEST {
        return (code.to_string(), column);
    }
    let start = (column - 1).saturating_sub(WIDEST / 2).min(letters.len() - WIDEST);
    let end = start + WIDEST;
    let (before, after) = (if start > 0 { "…" } else { "" }, if end < letters.len() { "…" } else { "" });
    let part: String = letters[start..end].iter().collect();
    (format!("{before}{part}{after}"), column - start + before.chars().count())
}

fn describe_frame(frame: &Map) -> String {
    let (source, line) = (text(frame, "source"), number(frame, "line"));
    let place = if source.is_empty() { format!("line {line}") } else { format!("{source}:{line}") };
    match text(frame, "task").as_str() {
        "" if frame.contains_key("module") => format!("  in {}, imported at {place}\n", text(frame, "module")),
        "" => format!("  in {}(), called at {place}\n", text(frame, "function")),
        task => format!("  in {} {task:?}, made at {place}\n", kind_of_task(Some(frame))),
    }
}

fn text(map: &Map, field: &str) -> String {
    map.get(field).filter(|v| !v.is_unit()).map_or_else(String::new, Dynamic::to_string)
}

fn number(map: &Map, field: &str) -> usize {
    map.get(field).and_then(|v| v.as_int().ok()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

//! The words that a script can say, for completion and help: orch's own and Rhai's, from the comments where they are
//! written.

use std::sync::OnceLock;

use rhai::Dynamic;

use crate::script::Host;
use crate::script::mismatch::simple_type;
use crate::script::reference::{self, Entry};

/// Words with a meaning of their own.
pub const KEYWORDS: &[&str] = &[
    "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn", "for", "if", "import", "in",
    "let", "loop", "private", "return", "switch", "this", "throw", "true", "try", "until", "while", "with",
];

/// All entries: orch's in reading order, then Rhai's.
pub fn entries() -> &'static [Entry] {
    static MADE: OnceLock<Vec<Entry>> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut entries = reference::entries();
        entries.extend(reference::of_rhai());
        entries
    })
}

/// What a word means: a name, a type, `Type.name`, or the name of a chapter's module.
pub fn find(word: &str) -> Vec<&'static Entry> {
    let fits = |entry: &&Entry| {
        let of = entry.of.as_deref();
        entry.name == word
            || of == Some(word)
            || entry.name.strip_prefix(word).is_some_and(|rest| rest.starts_with("::"))
            || of.is_some_and(|of| word.strip_prefix(of).and_then(|rest| rest.strip_prefix('.')) == Some(&*entry.name))
    };
    let mut found: Vec<&Entry> = entries().iter().filter(fits).collect();
    found.sort_by_key(|entry| entry.name != word);
    found
}

/// The first sentence of a text, on one line.
pub fn first_line(text: &str) -> String {
    let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let text = paragraph.join(" ");
    match text.find(". ") {
        Some(at) => text[..=at].to_string(),
        None => text,
    }
}

/// What a comment in a script says, without its marks.
pub fn comment(comments: &str) -> String {
    let lines = comments.lines().map(|line| {
        let line = line.trim().trim_start_matches("///").trim_start_matches("/**");
        line.trim_end_matches("*/").trim_start_matches('*').trim()
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_string()
}

/// The type of a value, as scripts know it.
pub fn type_of(host: &Host, value: &Dynamic) -> String {
    simple_type(host.engine().map_type_name(value.type_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_orch_and_of_rhai_are_found() {
        let push = find("array.push");
        assert!(!push.is_empty() && push.iter().all(|entry| entry.usage.contains(".push(")), "{push:?}");
        assert!(find("Lock.acquire").iter().any(|entry| !entry.text.is_empty()));
        assert!(find("Queue").iter().any(|entry| entry.of.as_deref() == Some("Queue")));
        assert!(find("no such word").is_empty());
        let undescribed: Vec<&str> =
            entries().iter().filter(|e| first_line(&e.text).is_empty()).map(|e| e.usage.as_str()).collect();
        assert!(undescribed.is_empty(), "{undescribed:?}");
    }
}

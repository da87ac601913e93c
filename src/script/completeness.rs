//! Whether a text that is typed line by line is worth running yet, or has to go on.

use super::host::Host;
use super::source::{Source, TYPED};
use super::tokens::{Kind, Tokens, tokens};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is a piece of a script, or will never be one, whatever comes after it.
    Complete,
    /// A bracket, a text or a comment is open at its end.
    Open,
    /// It ends too early: after an operator, say.
    Short,
}

/// What comes after the last token.
enum Rest {
    /// Blanks and comments.
    Nothing,
    /// A text or a comment that begins here and does not end.
    Open(usize),
    /// Something that is no token.
    Mistake,
}

/// Whether a text is worth running.
pub fn of(host: &Host, text: &str) -> Completeness {
    let lexed = tokens(text);
    let rest = rest(&lexed);
    let has_bracket = lexed.list.iter().any(|token| token.kind == Kind::Open && token.partner.is_none());
    let (frontier, is_open) = match rest {
        Rest::Mistake => return Completeness::Complete,
        Rest::Open(at) => (at, true),
        Rest::Nothing => (last_end(&lexed), has_bracket),
    };
    let source = Source::of_script(TYPED, text);
    let Err(error) = host.engine().compile(source.rewritten()) else {
        // To the parser a comment may end with the text.
        return if is_open { Completeness::Open } else { Completeness::Complete };
    };
    let is_early = error.position().line().is_some_and(|line| {
        let column = error.position().position().unwrap_or(0).max(1);
        (line, source.original_column(line, column)) < place_of(text, frontier)
    });
    match (is_early, is_open) {
        (true, _) => Completeness::Complete,
        (false, true) => Completeness::Open,
        (false, false) => Completeness::Short,
    }
}

fn last_end(lexed: &Tokens) -> usize {
    lexed.list.last().map_or(0, |token| token.end)
}

fn rest(lexed: &Tokens) -> Rest {
    let mut at = last_end(lexed);
    if let Some(text) = unfinished_template(lexed) {
        return Rest::Open(text);
    }
    loop {
        let left = lexed.text[at..].trim_start();
        at = lexed.text.len() - left.len();
        if left.is_empty() {
            return Rest::Nothing;
        } else if left.starts_with("//") || (at == 0 && left.starts_with("#!")) {
            at += left.find('\n').unwrap_or(left.len());
        } else if left.starts_with("/*") {
            match comment_length(left) {
                Some(length) => at += length,
                None => return Rest::Open(at),
            }
        } else if left.starts_with('`') || left.trim_start_matches('#').starts_with('"') && left.starts_with('#') {
            return Rest::Open(at);
        } else if left.starts_with('"') && left.trim_end_matches(['\r', '\n']).ends_with('\\') {
            // The backslash joins the next line to it.
            return Rest::Open(at);
        } else {
            return Rest::Mistake;
        }
    }
}

/// Where the template text begins whose interpolation has ended and which itself has not.
fn unfinished_template(lexed: &Tokens) -> Option<usize> {
    let last = lexed.list.last().filter(|token| token.kind == Kind::Close)?;
    let head = last.partner?.checked_sub(1)?;
    lexed.is_kind(head, Kind::TextHead).then(|| lexed.list[head].start)
}

/// How long the comment is that begins here, if it ends. Comments nest, and `/**/` does not end there.
fn comment_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = if text.starts_with("/**") { 3 } else { 2 };
    let mut level = 1_usize;
    while level > 0 {
        match bytes.get(at..at + 2)? {
            b"/*" => (level, at) = (level + 1, at + 2),
            b"*/" => (level, at) = (level - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// Line and column, from 1, of a byte of a text.
fn place_of(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernel, Setup};
    use std::io;

    struct Nowhere;

    impl super::super::Output for Nowhere {
        fn print(&self, _text: &str) -> io::Result<()> {
            Ok(())
        }

        fn say(&self, _text: &str) {}
    }

    fn check(wanted: Completeness, texts: &[&str]) {
        let host = Host::new(Kernel::new(Setup::Real), Box::new(Nowhere), Vec::new());
        let wrong: Vec<_> = texts.iter().map(|text| (text, of(&host, text))).filter(|(_, is)| *is != wanted).collect();
        assert!(wrong.is_empty(), "not {wanted:?}: {wrong:?}");
    }

    #[test]
    fn what_is_whole_is_run() {
        check(
            Completeness::Complete,
            &[
                "1",
                "1;",
                "let x = 1",
                "fn f() { 1 }",
                "with a as b { c }",
                "try { a } catch (e) { b }",
                "`a${1}b`",
                "`a\nb`",
                "#\"a\"#",
                "// nothing",
                "1 /* c */ // d",
                "",
                "_ + 1",
                "switch 1 { 1 => 2, _ => 3 }",
                "#{a: 1}",
                "let f = |x| x",
                "for x in [1] { }",
                "throw",
            ],
        );
    }

    #[test]
    fn what_is_open_goes_on() {
        check(
            Completeness::Open,
            &[
                "fn f() {",
                "fn f() {\n  1\n",
                "f(",
                "f(1,",
                "[1, 2",
                "#{a: 1,",
                "if a { b } else {",
                "with a as b {",
                "try { a } catch (e) {",
                "for x in [1] {\n",
                "`abc",
                "`abc\n",
                "`a${1} b",
                "`a${f(",
                "`a${ if x { 1",
                "#\"abc\n",
                "/* abc",
                "/* /* */",
                "1 /* abc\n",
                "\"abc\\\n",
                "let f = |x| {",
                "switch 1 { 1 =>",
                "fn f() { // }",
            ],
        );
    }

    #[test]
    fn what_ends_too_early_goes_on() {
        check(
            Completeness::Short,
            &[
                "let x =",
                "1 +",
                "a.",
                "let",
                "fn f()",
                "fn",
                "if a",
                "try { a }",
                "for x in",
                "import",
                "/// Of a function.",
            ],
        );
    }

    #[test]
    fn a_mistake_is_told_at_once() {
        check(
            Completeness::Complete,
            &[
                "let 5",
                "let 5 = {",
                "1 2",
                "a b {",
                ")",
                "f(]",
                "{ f( }",
                "\"abc",
                "\"abc\n",
                "'",
                "1 = 2; {",
                "let x = 5 5 (",
                "@",
                "a $ b",
                "fn f( { }",
                "if { {",
                "with = {",
            ],
        );
    }
}

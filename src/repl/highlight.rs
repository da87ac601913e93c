//! Colours for what is typed: keywords, texts, numbers, comments.

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use super::words::KEYWORDS;
use crate::script::tokens::{Kind, tokens};

/// See the module.
pub struct Colours;

impl Highlighter for Colours {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        for (style, piece) in pieces(line) {
            styled.push((style, piece.to_string()));
        }
        styled
    }
}

/// What is typed, as it is, without colours.
pub struct Plain;

impl Highlighter for Plain {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        styled.push((Style::new(), line.to_string()));
        styled
    }
}

fn pieces(line: &str) -> Vec<(Style, &str)> {
    let lexed = tokens(line);
    let mut pieces = Vec::new();
    let mut at = 0;
    for (i, token) in lexed.list.iter().enumerate() {
        // Between tokens there are blanks and comments.
        pieces.push((comment(), &line[at..token.start]));
        let text = &line[token.start..token.end];
        let style = match token.kind {
            Kind::Word if KEYWORDS.contains(&text) && !lexed.is_plain_name(i) => Style::new().fg(Color::Purple),
            Kind::Word if lexed.is(i + 1, "(") => Style::new().fg(Color::Blue),
            Kind::Number => Style::new().fg(Color::Cyan),
            Kind::Text | Kind::TextHead => text_style(),
            Kind::Word | Kind::Open | Kind::Close | Kind::Op => Style::new(),
        };
        pieces.push((style, text));
        at = token.end;
    }
    let rest = &line[at..];
    let begins = rest.trim_start();
    let style = match begins.starts_with(['"', '`', '\'']) {
        true => text_style(),
        false if begins.starts_with('/') => comment(),
        false => Style::new(),
    };
    pieces.push((style, rest));
    pieces.retain(|(_, text)| !text.is_empty());
    pieces
}

fn comment() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn text_style() -> Style {
    Style::new().fg(Color::Green)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_each_thing_has_its_colour() {
        for line in ["let x = \"a\" + 1; // b", "`a${x}b`", "\"open", "/* open", "f(1", "é → ?", "", "a # b"] {
            let whole: String = pieces(line).into_iter().map(|(_, text)| text).collect();
            assert_eq!(whole, line);
        }
        let styled = pieces("let x = \"a\" + 1; // b");
        let of =
            |wanted: &str| styled.iter().find(|(_, text)| text.trim() == wanted).map(|(style, _)| style.foreground);
        assert_eq!(of("let"), Some(Some(Color::Purple)));
        assert_eq!(of("x"), Some(None));
        assert_eq!(of("\"a\""), Some(Some(Color::Green)));
        assert_eq!(of("1"), Some(Some(Color::Cyan)));
        assert_eq!(of("// b"), Some(Some(Color::DarkGray)));
    }
}

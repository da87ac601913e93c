//! Text for terminals: colours, and tables whose columns stand below each other.

use std::io::IsTerminal;

use unicode_width::UnicodeWidthStr;

use super::arguments::nearest;
use crate::command::environment;

/// The words for how text looks, with the codes that terminals know them by.
const WORDS: &[(&str, u8)] =
    &[("bold", 1), ("dim", 2), ("italic", 3), ("underline", 4), ("blink", 5), ("reverse", 7), ("strike", 9)];

const COLORS: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// The code of a word: `bold`, `red`, `bright_red`, `on_red`, `on_bright_red`.
fn code(word: &str) -> Option<u8> {
    if let Some((_, code)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Some(*code);
    }
    let (ground, color) = word.strip_prefix("on_").map_or((30, word), |color| (40, color));
    let (ground, color) = color.strip_prefix("bright_").map_or((ground, color), |color| (ground + 60, color));
    let at = COLORS.iter().position(|known| *known == color)?;
    u8::try_from(at).ok().map(|at| ground + at)
}

/// The text in a style, a few words; as it is when `plain`.
///
/// # Errors
/// The word that is none, and the nearest.
pub fn styled(text: &str, style: &str, plain: bool) -> Result<String, (String, Option<String>)> {
    let mut codes = Vec::new();
    for word in style.split_whitespace() {
        match code(word) {
            Some(code) => codes.push(code.to_string()),
            None => return Err((word.into(), nearest(word, WORDS.iter().map(|(known, _)| *known).chain(COLORS)))),
        }
    }
    if plain || codes.is_empty() || text.is_empty() {
        return Ok(text.into());
    }
    Ok(format!("\x1b[{}m{text}\x1b[0m", codes.join(";")))
}

/// True when colours would be in somebody's way: the output is no terminal, or `NO_COLOR` is set.
pub fn is_plain() -> bool {
    environment::get("NO_COLOR").is_some_and(|said| !said.is_empty()) || !std::io::stdout().is_terminal()
}

/// How many columns a text takes, without the codes for its looks.
fn width(text: &str) -> usize {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\x1b[") {
        shown.push_str(before);
        rest = behind.split_once('m').map_or("", |(_, behind)| behind);
    }
    (shown + rest).width()
}

/// One cell of a table.
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// It stands to the right, as numbers do.
    pub right: bool,
}

/// Rows as lines, with a line below the header, if there is one.
pub fn table(header: Option<&[String]>, rows: &[Vec<Cell>]) -> String {
    let count = rows.iter().map(Vec::len).chain(header.map(<[String]>::len)).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for (at, title) in header.unwrap_or_default().iter().enumerate() {
        widths[at] = width(title);
    }
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            widths[at] = widths[at].max(width(&cell.text));
        }
    }
    let line = |cells: Vec<(&str, bool)>| {
        let mut line = String::new();
        for (at, (text, right)) in cells.into_iter().enumerate() {
            let space = " ".repeat(widths[at] - width(text));
            line += if at == 0 { "" } else { "  " };
            line += &if right { format!("{space}{text}") } else { format!("{text}{space}") };
        }
        line.trim_end().to_string()
    };
    let mut lines = Vec::new();
    if let Some(header) = header {
        // A title stands as most of its column does: as the first cell.
        let right = |at: usize| rows.first().and_then(|row| row.get(at)).is_some_and(|cell| cell.right);
        lines.push(line(header.iter().enumerate().map(|(at, title)| (title.as_str(), right(at))).collect()));
        lines.push(widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  "));
    }
    lines.extend(rows.iter().map(|row| line(row.iter().map(|cell| (cell.text.as_str(), cell.right)).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_codes_unless_plain() {
        assert_eq!(styled("x", "bold red on_bright_blue", false).unwrap(), "\x1b[1;31;104mx\x1b[0m");
        assert_eq!(styled("x", "bold red", true).unwrap(), "x");
        assert_eq!(styled("x", "", false).unwrap(), "x");
        assert_eq!(styled("x", "bold rde", true).unwrap_err(), ("rde".into(), Some("red".into())));
        assert!(styled("x", "on_", true).is_err() && styled("x", "bright_bold", true).is_err());
    }

    #[test]
    fn columns_stand_below_each_other_whatever_is_in_them() {
        let cell = |text: &str, right| Cell { text: text.into(), right };
        let red = styled("red", "red", false).unwrap();
        let rows = [vec![cell("日本", false), cell("1", true)], vec![cell(&red, false), cell("1000", true)], vec![]];
        let header = ["name".to_string(), "n".to_string()];
        let text = table(Some(&header), &rows);
        assert_eq!(text, format!("name     n\n----  ----\n日本     1\n{red}   1000\n"));
        assert_eq!(table(None, &[]), "");
    }
}

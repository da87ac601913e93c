//! What stands before the line that is typed, and where on the screen that leaves the cursor.

use std::borrow::Cow;

use nu_ansi_term::Color as Ansi;
use reedline::{Color, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus};
use unicode_width::UnicodeWidthStr;

/// Before the first line.
pub const FIRST: &str = "orch> ";
/// Before the lines after it.
pub const NEXT: &str = "  ... ";

/// See the module.
pub struct Before;

impl Prompt for Before {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(FIRST)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(NEXT)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing like ",
        };
        Cow::Owned(format!("(history: {failing}{}) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        Color::Reset
    }

    fn get_indicator_color(&self) -> Color {
        Color::Reset
    }

    fn get_prompt_multiline_color(&self) -> Ansi {
        Ansi::Default
    }
}

/// How many rows above the cursor the prompt begins, on a screen of so many columns, where `typed` stands before the
/// cursor.
pub fn rows_above(typed: &str, columns: usize) -> usize {
    let columns = columns.max(1);
    let lines: Vec<&str> = typed.split('\n').collect();
    let last = lines.len() - 1;
    let rows = |(i, line): (usize, &&str)| {
        let width = if i == 0 { FIRST.len() } else { NEXT.len() } + line.width();
        // A cursor behind the last column is still in that row.
        let wraps = width.saturating_sub(1) / columns;
        if i == last { wraps } else { wraps + 1 }
    };
    lines.iter().enumerate().map(rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_a_terminal_wraps() {
        let cases = [("", 0), ("abcd", 0), ("abcde", 1), ("ab\n", 1), ("ab\ncd\nef", 2), ("abcde\nabcde", 3)];
        for (typed, rows) in cases {
            assert_eq!(rows_above(typed, 10), rows, "{typed:?}");
        }
    }
}

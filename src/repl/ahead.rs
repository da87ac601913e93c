//! What was typed while an entry ran.
//!
//! Then the terminal is the system's, which makes a line feed of the Enter key; and all of that is there at once when the
//! editor comes back, which would take the first line and forget the others. So a line feed only adds a line, and is noted:
//! the lines are then taken one entry after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reedline::{
    EditCommand, EditMode, Emacs, KeyCode, KeyModifiers, Keybindings, PromptEditMode, ReedlineEvent, ReedlineRawEvent,
};

use super::console::Console;

/// What a line feed is bound to, to be known again.
const LINE_FEED: &str = "line feed";

/// Keys as of Emacs, but for line feeds.
pub struct Keys {
    emacs: Emacs,
    console: Arc<Console>,
    has_come: Arc<AtomicBool>,
}

impl Keys {
    /// Sets `has_come`, and knocks at the console, when a line feed comes.
    pub fn new(mut bindings: Keybindings, console: Arc<Console>, has_come: Arc<AtomicBool>) -> Keys {
        let noted = ReedlineEvent::ExecuteHostCommand(LINE_FEED.to_string());
        bindings.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), noted);
        Keys { emacs: Emacs::new(bindings), console, has_come }
    }
}

impl EditMode for Keys {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        match self.emacs.parse_event(event) {
            ReedlineEvent::ExecuteHostCommand(noted) if noted == LINE_FEED => {
                self.has_come.store(true, Ordering::Release);
                self.console.knock().store(true, Ordering::Release);
                ReedlineEvent::Edit(vec![EditCommand::InsertNewline])
            }
            event => event,
        }
    }

    fn edit_mode(&self) -> PromptEditMode {
        self.emacs.edit_mode()
    }
}

/// The first entry of a text that goes on over several lines, and what follows it; `None` while it is not whole.
pub fn first_entry(text: &str, is_whole: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        let entry = text[..end].strip_suffix('\n')?;
        if is_whole(entry) {
            return Some((entry.to_string(), text[end..].to_string()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_one_by_one() {
        let whole = |entry: &str| !entry.ends_with('{');
        assert_eq!(first_entry("a\nb\nc", whole), Some(("a".into(), "b\nc".into())));
        assert_eq!(first_entry("f {\nb\nc", whole), Some(("f {\nb".into(), "c".into())));
        assert_eq!(first_entry("f {\n", whole), None);
        assert_eq!(first_entry("c", whole), None);
    }
}

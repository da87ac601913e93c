//! The line that is being typed, on a terminal.
//!
//! What is printed meanwhile goes above it: the editor leaves its line, wipes it off, lets the words be printed, and begins
//! anew below them with the same text and the cursor at the same place. The terminal stays raw all the time, so that no
//! key that comes in between is echoed by the system.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, EditCommand, History, HistoryItem, KeyCode, KeyModifiers, MenuBuilder, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::Shared;
use super::ahead::{Keys, first_entry};
use super::commands;
use super::complete::Finder;
use super::highlight::{Colours, Plain};
use super::history::Remembered;
use super::prompt::{Before, FIRST, NEXT, rows_above};
use crate::kernel::alarm::{self, Alarm};
use crate::kernel::os::without_ttou;
use crate::script::completeness::{self, Completeness};

/// How often the editor looks whether something is to be printed.
const LOOK: Duration = Duration::from_millis(50);

/// How long a menu of completions is left in peace, whatever is printed.
const CHOOSING: Duration = Duration::from_secs(3);

/// The menu of completions.
const MENU: &str = "completions";

/// What a person did at the prompt.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// An entry.
    Entry(String),
    /// Ctrl-C: the line is to be forgotten.
    Cleared,
    /// Ctrl-D, or there is no terminal any more.
    End,
}

/// See the module.
pub struct Editor {
    shared: Arc<Shared>,
    history: Remembered,
    /// What was typed ahead and has not been taken yet.
    ahead: String,
    /// Some of it has come.
    has_come: Arc<AtomicBool>,
    /// When what is printed meanwhile is shown.
    later: Option<Alarm>,
}

impl Editor {
    /// An editor that has not begun yet.
    pub fn new(shared: Arc<Shared>, history: Remembered) -> Editor {
        Editor { shared, history, ahead: String::new(), has_come: Arc::default(), later: None }
    }

    /// Shows the prompt until a person has done something; `None` when it was to be left.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn read(&mut self) -> io::Result<Option<Typed>> {
        if self.shared.host.kernel().is_over() {
            return Ok(None);
        }
        let raw = Raw::enter()?;
        self.shared.console.begin_prompt();
        let result = self.edit();
        drop(raw);
        self.shared.console.end_prompt();
        // An entry is in the file before it runs: it may be the last one.
        let kept = self.history.write_down();
        let result = result?;
        kept.map(|()| result)
    }

    fn edit(&mut self) -> io::Result<Option<Typed>> {
        let mut line = self.fresh();
        loop {
            if let Some(entry) = self.take_ahead()? {
                return Ok(Some(Typed::Entry(entry)));
            }
            if !self.ahead.is_empty() {
                line.run_edit_commands(&[EditCommand::InsertString(mem::take(&mut self.ahead))]);
            }
            if self.shared.console.is_asked_to_leave() {
                return Ok(None);
            }
            match line.read_line(&Before)? {
                Signal::Success(text) => return Ok(Some(Typed::Entry(text))),
                Signal::CtrlC => return Ok(Some(Typed::Cleared)),
                Signal::CtrlD => return Ok(Some(Typed::End)),
                Signal::ExternalBreak(text) => {
                    let at = line.current_insertion_point();
                    let leaves = self.shared.console.is_asked_to_leave();
                    if !leaves && let Some(left) = self.chooses_for() {
                        let knock = self.shared.console.knock().clone();
                        self.later = Some(alarm::after(left, move || knock.store(true, Ordering::Release)));
                        continue;
                    }
                    make_room(&text[..at.min(text.len())], &self.shared.console.take_lines())?;
                    if leaves {
                        return Ok(None);
                    }
                    line = self.fresh();
                    if self.has_come.swap(false, Ordering::AcqRel) {
                        self.ahead = text;
                        continue;
                    }
                    line.run_edit_commands(&[
                        EditCommand::InsertString(text),
                        EditCommand::MoveToPosition { position: at, select: false },
                    ]);
                }
                _ => {}
            }
        }
    }

    /// The next entry of what was typed ahead, shown as if it were typed now.
    fn take_ahead(&mut self) -> io::Result<Option<String>> {
        let shared = &self.shared;
        let Some((entry, rest)) = first_entry(&self.ahead, |entry| is_whole(shared, entry)) else {
            return Ok(None);
        };
        self.ahead = rest;
        let lines: Vec<&str> = entry.split('\n').collect();
        print_raw(format!("{FIRST}{}\n", lines.join(&format!("\n{NEXT}"))).as_bytes(), Vec::new())?;
        if !entry.trim().is_empty() && !entry.starts_with(' ') {
            self.history.save(HistoryItem::from_command_line(&entry)).map_err(io::Error::other)?;
        }
        Ok(Some(entry))
    }

    /// How long a menu that was asked for is to stand still yet.
    fn chooses_for(&self) -> Option<Duration> {
        let until = (*self.shared.completed_at.lock())?.saturating_add(CHOOSING);
        until.checked_sub(self.shared.host.kernel().now()).filter(|left| !left.is_zero())
    }

    fn fresh(&self) -> Reedline {
        let colours = self.shared.colours;
        let mut keys = default_emacs_keybindings();
        let next = vec![ReedlineEvent::Menu(MENU.to_string()), ReedlineEvent::MenuNext];
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(next));
        keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
        let newline = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline);
        let menu = ColumnarMenu::default()
            .with_name(MENU)
            .with_marker(FIRST)
            .with_text_style(Style::new())
            .with_match_text_style(Style::new())
            .with_selected_match_text_style(Style::new().reverse())
            .with_selected_text_style(Style::new().reverse())
            .with_description_text_style(if colours { Style::new().fg(Color::DarkGray) } else { Style::new() });
        let line = Reedline::create()
            .use_bracketed_paste(true)
            .with_ansi_colors(true)
            .with_edit_mode(Box::new(Keys::new(keys, self.shared.console.clone(), self.has_come.clone())))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_completer(Box::new(Finder::new(self.shared.clone())))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_validator(Box::new(Whole(self.shared.clone())))
            .with_history(Box::new(self.history.clone()))
            .with_history_exclusion_prefix(Some(" ".to_string()))
            .with_poll_interval(LOOK)
            .with_break_signal(self.shared.console.knock().clone());
        match colours {
            true => line
                .with_highlighter(Box::new(Colours))
                .with_hinter(Box::new(DefaultHinter::default().with_style(Style::new().fg(Color::DarkGray)))),
            false => line.with_highlighter(Box::new(Plain)).disable_hints(),
        }
    }
}

/// Wipes the prompt off, with `typed` before the cursor, and prints `words` where it was.
fn make_room(typed: &str, words: &[u8]) -> io::Result<()> {
    let size = tcgetwinsize(rustix::stdio::stderr())?;
    let rows = rows_above(typed, usize::from(size.ws_col)).min(usize::from(size.ws_row).saturating_sub(1));
    let mut bytes = Vec::with_capacity(words.len() + 32);
    bytes.push(b'\r');
    if rows > 0 {
        bytes.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
    }
    bytes.extend_from_slice(b"\x1b[J");
    print_raw(words, bytes)
}

/// Prints words on a terminal that makes nothing of them, after `bytes`.
fn print_raw(words: &[u8], mut bytes: Vec<u8>) -> io::Result<()> {
    for line in words.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(b"\r\n");
            }
            None => bytes.extend_from_slice(line),
        }
    }
    let mut out = io::stderr().lock();
    out.write_all(&bytes)?;
    out.flush()
}

/// Goes on with a line that is not whole yet; an empty line ends what only stops too early.
struct Whole(Arc<Shared>);

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        if is_whole(&self.0, text) { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

fn is_whole(shared: &Shared, text: &str) -> bool {
    let ends_empty = text.rsplit('\n').next().is_some_and(|last| last.trim().is_empty());
    commands::is_command(text)
        || match completeness::of(&shared.host, text) {
            Completeness::Complete => true,
            Completeness::Short => ends_empty,
            Completeness::Open => false,
        }
}

/// The terminal as long as each key comes as it is typed, and none is echoed.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Raw> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        without_ttou(|| tcsetattr(stdin(), OptionalActions::Now, &raw))?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to give back.
        let _gone = without_ttou(|| tcsetattr(stdin(), OptionalActions::Drain, &self.0));
    }
}

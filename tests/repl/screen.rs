//! `orch repl` at a terminal with a screen: keys go in, and what is asked about is what a person would see.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use super::whole::program::{LIMIT, Seen};
use super::whole::pty::Pty;

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// What the program asks the terminal for the place of the cursor with.
const WHERE: &[u8] = b"\x1b[6n";

/// See the module.
pub struct Screen {
    pty: Pty,
    parser: vt100::Parser,
    /// What came and may be the beginning of a question.
    unread: Vec<u8>,
    /// All that came.
    pub written: String,
    folder: tempfile::TempDir,
}

/// A REPL in a folder of its own, with a history of its own, at a terminal of 24 lines of 80 characters.
pub fn repl() -> Screen {
    Screen::start(&[], &[], (24, 80), tempfile::tempdir().unwrap())
}

impl Screen {
    /// The same with more words, variables and another size. A folder may be that of another one.
    pub fn start(words: &[&str], env: &[(&str, &str)], size: (u16, u16), folder: tempfile::TempDir) -> Screen {
        let history = folder.path().join("history");
        let mut all = vec![("ORCH_HISTORY", history.to_str().unwrap())];
        all.extend(env);
        let words: Vec<&str> = [ORCH, "repl"].into_iter().chain(words.iter().copied()).collect();
        let pty = Pty::start_with(&words, folder.path(), &all, size);
        let parser = vt100::Parser::new(at_least_one(size.0), at_least_one(size.1), 10_000);
        let mut screen = Screen { pty, parser, unread: Vec::new(), written: String::new(), folder };
        screen.at_prompt();
        screen
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.pty.types(keys);
    }

    /// Types a line, and waits until its result is there and the prompt is back.
    #[track_caller]
    pub fn enters(&mut self, line: &str) {
        self.types(line);
        // What is typed while the line is drawn anew is seen late; until then the prompt looks empty.
        let typed: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let all = |screen: &Screen| screen.before_cursor().chars().filter(|c| !c.is_whitespace()).collect::<String>();
        self.until(&format!("{line:?} on the screen"), |screen| all(screen).ends_with(&typed));
        let prompts = self.prompts();
        self.types("\r");
        self.until(&format!("the prompt after {line:?}"), |screen| screen.prompts() > prompts && screen.is_at_prompt());
    }

    /// How many prompts were answered: each is followed by one more.
    fn prompts(&self) -> usize {
        self.written.matches(BEGINS).count()
    }

    /// Makes the terminal as large as this.
    pub fn resize(&mut self, lines: u16, columns: u16) {
        self.parser.screen_mut().set_size(at_least_one(lines), at_least_one(columns));
        self.pty.resize(lines, columns);
    }

    /// What stands on the screen, without blanks at the end of lines.
    pub fn text(&self) -> String {
        let screen = self.parser.screen();
        let mut lines: Vec<String> =
            screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_string()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.join("\n")
    }

    /// What stands before the cursor: behind it there may be a rest that is only proposed.
    fn before_cursor(&self) -> String {
        let (row, column) = self.parser.screen().cursor_position();
        let mut rows: Vec<String> = self.parser.screen().rows(0, column).take(usize::from(row) + 1).collect();
        let last = rows.pop().unwrap_or_default();
        let above: Vec<String> = self.text().lines().take(usize::from(row)).map(str::to_string).collect();
        above.join("\n") + &last
    }

    /// The line the cursor is in.
    pub fn line(&self) -> String {
        let (row, _) = self.parser.screen().cursor_position();
        self.text().lines().nth(usize::from(row)).unwrap_or("").to_string()
    }

    /// True while the cursor stands after an empty prompt.
    pub fn is_at_prompt(&self) -> bool {
        self.line() == "orch>"
    }

    /// The number of the program.
    pub fn pid(&self) -> u32 {
        self.pty.pid()
    }

    /// True while lines are echoed and edited by the terminal.
    pub fn is_cooked(&self) -> bool {
        self.pty.is_cooked()
    }

    /// Waits for an empty prompt.
    #[track_caller]
    pub fn at_prompt(&mut self) {
        self.until("an empty prompt", Screen::is_at_prompt);
    }

    /// Waits until this stands on the screen.
    #[track_caller]
    pub fn shows(&mut self, wanted: &str) {
        self.until(&format!("{wanted:?}"), |screen| screen.text().contains(wanted));
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Screen) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < LIMIT,
                "{what} did not come; the cursor is at {:?}, on the screen:\n{}\n---\n{:?}",
                self.parser.screen().cursor_position(),
                self.text(),
                self.written
            );
            self.look(Duration::from_millis(200));
        }
    }

    /// Takes in what was written.
    pub fn look(&mut self, limit: Duration) {
        let Some(bytes) = self.pty.take(limit) else {
            return;
        };
        self.written.push_str(&String::from_utf8_lossy(&bytes));
        self.unread.extend_from_slice(&bytes);
        while let Some(at) = self.unread.windows(WHERE.len()).position(|window| window == WHERE) {
            let before: Vec<u8> = self.unread.drain(..at + WHERE.len()).collect();
            self.parser.process(&before[..at]);
            let (row, column) = self.parser.screen().cursor_position();
            self.pty.types(&format!("\x1b[{};{}R", row + 1, column + 1));
        }
        // The beginning of a question waits for its end.
        let kept = (1..WHERE.len()).rev().find(|n| self.unread.ends_with(&WHERE[..*n])).unwrap_or(0);
        let whole: Vec<u8> = self.unread.drain(..self.unread.len() - kept).collect();
        self.parser.process(&whole);
    }

    /// The end of the program, with all that was written as its output, and the folder.
    #[track_caller]
    pub fn end(mut self) -> (Seen, tempfile::TempDir) {
        // What it says last may be a question.
        let begun = Instant::now();
        while !self.pty.has_ended() && begun.elapsed() < LIMIT {
            self.look(Duration::from_millis(50));
        }
        let mut seen = self.pty.end();
        seen.stdout = self.written + &seen.stdout;
        (seen, self.folder)
    }

    /// The terminal is closed: the end.
    #[track_caller]
    pub fn hangs_up(self) -> Seen {
        self.pty.hang_up()
    }

    /// Ctrl-D, and the end.
    #[track_caller]
    pub fn leaves(mut self) -> (Seen, tempfile::TempDir) {
        self.types(super::whole::pty::CTRL_D);
        self.end()
    }
}

fn at_least_one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}

/// With what each prompt begins on the wire.
const BEGINS: &str = "\x1b[?2004h";

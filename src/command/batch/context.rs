//! Where in a shell text one stands: outside quotes, within single or double quotes, in a comment. What is inserted there
//! has to be quoted accordingly, or a file name with a space, a quote or a `;` becomes code.
//!
//! This is no parser of the shell: it follows quotes, `$( )`, backticks and comments, and [`Scanner::trouble`] says so where
//! that is not enough to know.

use crate::command::quote::shell_quote;

/// How what is inserted has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    place: Place,
    /// Within backticks, where backslashes are read once more.
    ticks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Bare,
    Single,
    Double,
    Comment,
}

impl Context {
    /// Outside of everything.
    pub const BARE: Context = Context { place: Place::Bare, ticks: false };

    /// `values`, one word each where words are separate, such that the shell reads them as they are.
    pub fn quote<'a>(self, values: impl Iterator<Item = &'a str>) -> String {
        let quoted: Vec<String> = values.map(|value| self.quote_one(value)).collect();
        quoted.join(" ")
    }

    fn quote_one(self, value: &str) -> String {
        let quoted = match self.place {
            Place::Bare => shell_quote(value),
            Place::Single => value.replace('\'', r"'\''"),
            Place::Double => escape(value, "\\\"$`"),
            Place::Comment => value.replace('\n', " "),
        };
        if self.ticks { escape(&quoted, "\\$`") } else { quoted }
    }
}

fn escape(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Double,
    Parenthesis,
    Tick,
}

/// Follows a shell text, one character at a time.
pub struct Scanner {
    frames: Vec<Frame>,
    place: Place,
    escaped: bool,
    before: char,
    word: String,
    here_document: bool,
    trouble: Option<&'static str>,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner {
            frames: Vec::new(),
            place: Place::Bare,
            escaped: false,
            before: ' ',
            word: String::new(),
            here_document: false,
            trouble: None,
        }
    }
}

impl Scanner {
    /// Where it stands.
    pub fn context(&self) -> Context {
        Context { place: self.place, ticks: self.frames.contains(&Frame::Tick) }
    }

    /// True right behind a backslash.
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Why it cannot tell how to quote from here on.
    pub fn trouble(&self) -> Option<&'static str> {
        self.trouble
    }

    /// True where quotes, parentheses and backticks are all closed.
    pub fn is_closed(&self) -> bool {
        self.frames.is_empty() && self.place != Place::Single && !self.escaped
    }

    /// Goes on behind something inserted.
    pub fn skip_inserted(&mut self) {
        self.escaped = false;
        self.before = 'x';
        self.word.clear();
    }

    /// Goes on behind this character.
    pub fn step(&mut self, c: char) {
        let before = std::mem::replace(&mut self.before, c);
        if self.escaped {
            self.escaped = false;
            if c == '`' && self.frames.contains(&Frame::Tick) {
                self.trouble = Some("within backticks within backticks; write $( ) instead");
            }
            return;
        }
        match self.place {
            Place::Single if c == '\'' => self.place = Place::Bare,
            Place::Comment if c == '\n' => self.place = Place::Bare,
            Place::Single | Place::Comment => return,
            Place::Bare => self.step_bare(c, before),
            Place::Double => self.step_double(c, before),
        }
        if self.here_document && c == '\n' {
            self.trouble = Some("behind a here-document; write printf '%s\\n' instead");
        }
        self.note_word(c);
    }

    fn step_bare(&mut self, c: char, before: char) {
        match c {
            '\\' => self.escaped = true,
            '\'' => self.place = Place::Single,
            '"' => self.enter(Frame::Double),
            '`' => self.tick(),
            '(' => self.enter(Frame::Parenthesis),
            ')' if self.frames.last() == Some(&Frame::Parenthesis) => self.leave(),
            '#' if before.is_whitespace() || ";&|()`".contains(before) => self.place = Place::Comment,
            '<' if before == '<' => self.here_document = true,
            _ => {}
        }
    }

    fn step_double(&mut self, c: char, before: char) {
        match c {
            '\\' => self.escaped = true,
            '"' => self.leave(),
            '`' => self.tick(),
            '(' if before == '$' => self.enter(Frame::Parenthesis),
            _ => {}
        }
    }

    fn tick(&mut self) {
        match self.frames.iter().rposition(|frame| *frame == Frame::Tick) {
            Some(at) => {
                self.frames.truncate(at + 1);
                self.leave();
            }
            None if self.frames.contains(&Frame::Double) => {
                self.trouble = Some("within backticks within double quotes; write $( ) instead");
                self.enter(Frame::Tick);
            }
            None => self.enter(Frame::Tick),
        }
    }

    fn enter(&mut self, frame: Frame) {
        self.frames.push(frame);
        self.place = if frame == Frame::Double { Place::Double } else { Place::Bare };
    }

    fn leave(&mut self) {
        self.frames.pop();
        self.place = if self.frames.last() == Some(&Frame::Double) { Place::Double } else { Place::Bare };
    }

    /// A `)` of `case` looks like the end of `$(`.
    fn note_word(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || c == '_' {
            self.word.push(c);
            return;
        }
        if self.word == "case" && self.frames.contains(&Frame::Parenthesis) {
            self.trouble = Some("behind `case` within parentheses");
        }
        self.word.clear();
    }
}

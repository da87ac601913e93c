//! Reads a Rust file far enough for the rules of `tests/tidy.rs`: comments and texts are blanked out,
//! what is left is cut into words and signs, `use` trees are unfolded into paths, and the parts that
//! are test code are known.

/// A Rust file, read far enough for the rules.
pub struct Source {
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
    pub paths: Vec<PathUse>,
    /// Lines of test code, first and last.
    tests: Vec<(usize, usize)>,
    /// Names of modules declared as `#[cfg(test)] mod NAME;`.
    pub test_mods: Vec<String>,
}

pub struct Token {
    pub line: usize,
    pub text: String,
}

/// A path as it is used: `use a::{b, c::d};` gives `a::b` and `a::c::d`, each with its own line.
pub struct PathUse {
    pub line: usize,
    pub parts: Vec<String>,
    /// It stands in a `use`, where a single name is a crate too.
    imported: bool,
}

impl PathUse {
    pub fn names_crate(&self, name: &str) -> bool {
        self.parts.first().is_some_and(|first| first == name) && (self.imported || self.parts.len() > 1)
    }
}

impl Source {
    pub fn read(path: &str, text: &str) -> Source {
        let tokens = tokens(&strip(text));
        let paths = paths(&tokens);
        let mut source =
            Source { path: path.into(), text: text.into(), tokens, paths, tests: Vec::new(), test_mods: Vec::new() };
        source.find_tests();
        source
    }

    /// Whether the tokens from `i` on are these.
    pub fn reads(&self, i: usize, wanted: &[&str]) -> bool {
        let there = self.tokens.get(i..i + wanted.len());
        there.is_some_and(|tokens| tokens.iter().zip(wanted).all(|(token, want)| token.text == *want))
    }

    pub fn is_macro_call(&self, i: usize) -> bool {
        ["(", "[", "{"].iter().any(|open| self.reads(i + 1, &["!", open]))
    }

    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// `#[cfg(test)]` before `mod NAME {` makes everything to the end of the file test code; before
    /// anything else only that one item, so that a helper at the top of a file exempts nothing below.
    fn find_tests(&mut self) {
        const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        for i in 0..self.tokens.len() {
            if !self.reads(i, &MARK) {
                continue;
            }
            let mut at = i + MARK.len();
            while self.reads(at, &["#", "["]) {
                at = self.after_item(at + 1);
            }
            while ["pub", "(", "crate", "super", ")"].iter().any(|word| self.reads(at, &[word])) {
                at += 1;
            }
            let is_mod = self.reads(at, &["mod"]);
            let last = if is_mod && self.reads(at + 2, &["{"]) {
                self.tokens.len()
            } else {
                if is_mod && let Some(name) = self.tokens.get(at + 1) {
                    self.test_mods.push(name.text.clone());
                }
                self.after_item(at)
            };
            let last_line = match self.tokens.get(last) {
                Some(_) => self.tokens[last - 1].line,
                None => usize::MAX,
            };
            self.tests.push((self.tokens[i].line, last_line));
        }
    }

    /// The index after an item that starts at `at`: after its `;` or the bracket that closes its body.
    fn after_item(&self, at: usize) -> usize {
        let mut open = 0usize;
        for (i, token) in self.tokens.iter().enumerate().skip(at) {
            match token.text.as_str() {
                "(" | "[" | "{" => open += 1,
                ")" => open = open.saturating_sub(1),
                "]" | "}" => {
                    open = open.saturating_sub(1);
                    if open == 0 && (token.text == "}" || self.reads(at, &["["])) {
                        return i + 1;
                    }
                }
                ";" if open == 0 => return i + 1,
                _ => {}
            }
        }
        self.tokens.len()
    }
}

/// The text with comments, strings and characters blanked out; lines stay where they are.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => find(&chars, i, |c| c == '\n'),
            '/' if chars.get(i + 1) == Some(&'*') => end_of_comment(&chars, i),
            '"' => end_of_string(&chars, i),
            '\'' => end_of_char(&chars, i),
            c if c.is_alphabetic() || c == '_' => {
                let end = find(&chars, i, |c| !(c.is_alphanumeric() || c == '_'));
                let word: String = chars[i..end].iter().collect();
                if matches!(word.as_str(), "r" | "br" | "cr")
                    && let Some(end) = end_of_raw_string(&chars, end)
                {
                    end
                } else {
                    out.push_str(&word);
                    i = end;
                    continue;
                }
            }
            _ => i,
        };
        if end == i {
            out.push(chars[i]);
            i += 1;
        } else {
            out.extend(chars[i..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|i| wanted(chars[*i])).unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    i
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// From after the `r`: `"…"` or `#"…"#` with any number of `#`. A raw name such as `r#type` is none.
fn end_of_raw_string(chars: &[char], from: usize) -> Option<usize> {
    let quote = find(chars, from, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - from;
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|k| chars.get(i + k) == Some(&'#'));
    Some((quote + 1..chars.len()).find(|i| closes(*i)).map_or(chars.len(), |i| i + 1 + hashes))
}

/// The end of a character; a lifetime is left alone (its end is its start).
fn end_of_char(chars: &[char], from: usize) -> usize {
    if chars.get(from + 1) == Some(&'\\') {
        return (find(chars, from + 3, |c| c == '\'') + 1).min(chars.len());
    }
    if chars.get(from + 2) == Some(&'\'') { from + 3 } else { from }
}

/// Words and single signs; `::` is one sign.
fn tokens(code: &str) -> Vec<Token> {
    let mut all = Vec::new();
    for (i, line) in code.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let end = match chars[at] {
                c if c.is_whitespace() => {
                    at += 1;
                    continue;
                }
                c if is_word(c) => find(&chars, at, |c| !is_word(c)),
                ':' if chars.get(at + 1) == Some(&':') => at + 2,
                _ => at + 1,
            };
            all.push(Token { line: i + 1, text: chars[at..end].iter().collect() });
            at = end;
        }
    }
    all
}

/// Every path in the code, `use` trees unfolded.
fn paths(tokens: &[Token]) -> Vec<PathUse> {
    let mut all = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let before = |n: usize| i.checked_sub(n).map_or("", |at| tokens[at].text.as_str());
        let imported = before(1) == "use" || (before(2) == "extern" && before(1) == "crate");
        let name = is_name(&tokens[i]) && before(1) != ".";
        let tree = imported && matches!(tokens[i].text.as_str(), "{" | "::");
        i = if name || tree { one_path(tokens, i, &[], imported, &mut all) } else { i + 1 };
    }
    all
}

/// Reads the path or `use` tree at `i` under `prefix`; returns the index after it.
fn one_path(tokens: &[Token], mut i: usize, prefix: &[String], imported: bool, all: &mut Vec<PathUse>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut parts = prefix.to_vec();
    let mut line = tokens[i].line;
    if text(i) == "::" {
        i += 1;
    }
    while let Some(token) = tokens.get(i) {
        if token.text == "{" {
            i += 1;
            while i < tokens.len() && text(i) != "}" {
                i = if text(i) == "," { i + 1 } else { one_path(tokens, i, &parts, imported, all).max(i + 1) };
            }
            return i + 1;
        }
        if !is_name(token) && token.text != "*" {
            break;
        }
        line = if parts.len() == prefix.len() { token.line } else { line };
        parts.push(token.text.clone());
        i += 1;
        let goes_on = text(i) == "::" && (tokens.get(i + 1).is_some_and(is_name) || matches!(text(i + 1), "{" | "*"));
        if !goes_on {
            break;
        }
        i += 1;
    }
    if imported && text(i) == "as" {
        i += 2;
    }
    all.push(PathUse { line, parts, imported });
    i
}

fn is_name(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

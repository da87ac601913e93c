//! Why: the rewrite of a script (`source`) must know code from comments and strings, and which
//! bracket closes which, exactly as Rhai's tokenizer does; Rhai's own gives no byte offsets and
//! needs an engine and a parser to drive it.

/// What a token is, as far as the rewrite cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word,
    /// A number, without its sign.
    Number,
    /// A string or character, or the last piece of a template string.
    Text,
    /// A piece of a template string up to and with the `$` of `${`; the `{` comes next.
    TextHead,
    /// `(` `[` `?[` `{` or `#{`.
    Open,
    /// `)` `]` or `}`.
    Close,
    /// Everything else.
    Op,
}

/// One token: its bytes in the text, and for a bracket the index of the other one.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The bracket that belongs to this one.
    pub partner: Option<usize>,
}

/// The tokens of a text, up to the first place where Rhai would refuse it.
pub struct Tokens<'a> {
    /// The text.
    pub text: &'a str,
    /// The tokens, in order.
    pub list: Vec<Token>,
    /// Where a template string has the `$` of `\${`: Rhai forgets to count it as a column.
    pub uncounted: Vec<usize>,
}

impl Tokens<'_> {
    /// The text of a token that exists.
    pub fn text_of(&self, i: usize) -> &str {
        let Token { start, end, .. } = self.list[i];
        &self.text[start..end]
    }

    /// Whether token `i` exists and reads so; likewise below.
    pub fn is(&self, i: usize, wanted: &str) -> bool {
        i < self.list.len() && self.text_of(i) == wanted
    }

    pub fn is_any(&self, i: usize, wanted: &[&str]) -> bool {
        wanted.iter().any(|wanted| self.is(i, wanted))
    }

    pub fn is_kind(&self, i: usize, kind: Kind) -> bool {
        self.list.get(i).is_some_and(|token| token.kind == kind)
    }

    /// Whether the token before is one of these.
    pub fn follows(&self, i: usize, wanted: &[&str]) -> bool {
        i > 0 && self.is_any(i - 1, wanted)
    }

    /// A property, a name in a module or a key of a map: never a keyword, never a path's root.
    pub fn is_plain_name(&self, i: usize) -> bool {
        self.follows(i, &[".", "?.", "::"]) || self.is(i + 1, ":")
    }

    /// Whether this `while` belongs to the `do` block that ends before it, so has no block.
    pub fn ends_do(&self, i: usize) -> bool {
        let before = i.checked_sub(1).and_then(|i| self.list[i].partner);
        self.follows(i, &["}"]) && before.is_some_and(|open| self.follows(open, &["do"]))
    }

    /// Lone semicolons are nothing to Rhai.
    pub fn is_empty_block(&self, open: usize) -> bool {
        let mut end = open + 1;
        while self.is(end, ";") {
            end += 1;
        }
        self.list[open].partner == Some(end)
    }

    /// The token after a closure's parameters, if they are such.
    pub fn after_parameters(&self, open: usize) -> Option<usize> {
        let mut i = open + 1;
        while self.is_kind(i, Kind::Word) || self.is(i, ",") {
            i += 1;
        }
        self.is(i, "|").then_some(i + 1)
    }

    /// Whether this is `variable.method(…)` with so many words as arguments, and nothing after it in its statement.
    pub fn is_whole_call(&self, i: usize, method: &str, words: usize) -> bool {
        let end = i + 4 + words;
        self.is(i + 1, ".")
            && self.is(i + 2, method)
            && self.is(i + 3, "(")
            && (i + 4..end).all(|word| self.is_kind(word, Kind::Word) || self.is_kind(word, Kind::Number))
            && self.is(end, ")")
            && self.is_any(end + 1, &[";", "}"])
    }

    /// In `root.prop[index].method(` the last token before `.method`, and `method`.
    pub fn path(&self, root: usize) -> Option<(usize, usize)> {
        let mut last = root;
        loop {
            let next = last + 1;
            if self.is_any(next, &["[", "?["]) {
                last = self.list[next].partner?;
            } else if !self.is_any(next, &[".", "?."]) || !self.is_kind(next + 1, Kind::Word) {
                return None;
            } else if self.is(next + 2, "(") {
                return (last > root).then_some((last, next + 1));
            } else {
                last = next + 1;
            }
        }
    }
}

/// Operators of two or three characters that must not be seen as several, longest first.
const LONG: [&str; 12] = ["..=", "...", "..", "::", "=>", "==", "<=", ">=", "!=", "||", "?.", "??"];

/// Cuts a text into tokens; stops without complaint where the text is malformed.
pub fn tokens(text: &str) -> Tokens<'_> {
    let mut lexer = Lexer { text, at: 0, list: Vec::new(), open: Vec::new(), uncounted: Vec::new() };
    if text.starts_with("#!") {
        lexer.line_comment();
    }
    while lexer.token().is_some() {}
    Tokens { text, list: lexer.list, uncounted: lexer.uncounted }
}

/// A first letter of an identifier. Rhai takes letters beyond ASCII only with a feature; without
/// it the script is refused at that letter, so being generous here does no harm.
fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    list: Vec<Token>,
    /// The brackets not closed yet, as indices into `list`.
    open: Vec<usize>,
    uncounted: Vec<usize>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Steps over `wanted` if it is next.
    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let end = self.at;
        self.list.push(Token { kind, start, end, partner: None });
    }

    /// Reads one token; `None` at the end of the text or where it is malformed.
    fn token(&mut self) -> Option<()> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = match self.peek()? {
            c if c.is_ascii_digit() => self.number(),
            c if starts_word(c) => self.word(),
            '"' | '\'' => self.quoted()?,
            '`' => {
                self.at += 1;
                self.template_piece()?
            }
            '(' | '[' | '{' => return self.open_bracket(1),
            '#' if self.rest().starts_with("#{") => return self.open_bracket(2),
            '?' if self.rest().starts_with("?[") => return self.open_bracket(2),
            ')' | ']' | '}' => return self.close_bracket(),
            '#' => self.raw_string()?,
            _ => self.operator()?,
        };
        self.push(kind, start);
        Some(())
    }

    /// Steps over blanks and comments; `None` if a comment does not end.
    fn skip_blanks(&mut self) -> Option<()> {
        loop {
            self.skip_while(|c| c.is_ascii_whitespace());
            if self.rest().starts_with("//") {
                self.line_comment();
            } else if self.eat("/*") {
                self.block_comment()?;
            } else {
                return Some(());
            }
        }
    }

    /// Rhai ends a line comment at a carriage return, too.
    fn line_comment(&mut self) {
        self.skip_while(|c| c != '\n' && c != '\r');
    }

    /// Comments nest. Rhai takes the second star of `/**` as part of the opening, so that `/**/`
    /// does not end there.
    fn block_comment(&mut self) -> Option<()> {
        self.eat("*");
        let mut level = 1;
        while level > 0 {
            self.skip_while(|c| c != '/' && c != '*');
            if self.eat("/*") {
                level += 1;
            } else if self.eat("*/") {
                level -= 1;
            } else {
                self.next_char()?;
            }
        }
        Some(())
    }

    fn word(&mut self) -> Kind {
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        Kind::Word
    }

    fn number(&mut self) -> Kind {
        let prefixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
        let prefix = prefixes.iter().find(|prefix| self.eat(prefix.0));
        let radix = prefix.map_or(10, |prefix| prefix.1);
        self.digits(radix);
        if radix == 10 {
            self.fraction();
        }
        Kind::Number
    }

    fn digits(&mut self, radix: u32) {
        self.skip_while(|c| c.is_digit(radix) || c == '_');
    }

    /// A dot belongs to the number unless a name, `_` or a second dot follows it.
    fn fraction(&mut self) {
        let mut rest = self.rest().chars();
        if rest.next() == Some('.')
            && let Some(c) = rest.next()
            && c != '.'
            && !starts_word(c)
        {
            self.at += 1;
            self.digits(10);
        }
        let mut rest = self.rest().chars();
        let is_e = matches!(rest.next(), Some('e' | 'E'));
        if is_e && matches!(rest.next(), Some('0'..='9' | '+' | '-')) {
            self.at += 2;
            self.digits(10);
        }
    }

    /// A "string" or a 'character'; a doubled quote stands for itself, a backslash joins lines.
    fn quoted(&mut self) -> Option<Kind> {
        let quote = self.next_char()?;
        loop {
            match self.next_char()? {
                '\\' => {
                    self.eat("\r");
                    self.next_char()?;
                }
                '\n' => return None,
                c if c == quote && self.peek() != Some(quote) => return Some(Kind::Text),
                c if c == quote => self.at += 1,
                _ => (),
            }
        }
    }

    /// The text of a template string up to its end or to the next `${`.
    fn template_piece(&mut self) -> Option<Kind> {
        loop {
            self.skip_while(|c| c != '`' && c != '$' && c != '\\');
            if self.eat("``") {
                continue;
            }
            if self.eat("\\${") {
                self.uncounted.push(self.at - 2);
                continue;
            }
            match (self.next_char()?, self.peek()) {
                ('`', _) => return Some(Kind::Text),
                ('$', Some('{')) => return Some(Kind::TextHead),
                _ => (),
            }
        }
    }

    /// `#"…"#` with any number of `#`. A `#` that starts nothing is an error in Rhai.
    fn raw_string(&mut self) -> Option<Kind> {
        let start = self.at;
        self.skip_while(|c| c == '#');
        let hashes = self.at - start;
        if !self.eat("\"") {
            return None;
        }
        loop {
            self.skip_while(|c| c != '"');
            self.next_char()?;
            let found = self.rest().bytes().take(hashes);
            let found = found.take_while(|byte| *byte == b'#').count();
            self.at += found;
            if found == hashes {
                return Some(Kind::Text);
            }
        }
    }

    fn operator(&mut self) -> Option<Kind> {
        if LONG.iter().any(|long| self.eat(long)) {
            return Some(Kind::Op);
        }
        let known = |c: &char| c.is_ascii_punctuation() && *c != '\\';
        self.next_char().filter(known).map(|_| Kind::Op)
    }

    fn open_bracket(&mut self, length: usize) -> Option<()> {
        let start = self.at;
        self.at += length;
        self.open.push(self.list.len());
        self.push(Kind::Open, start);
        Some(())
    }

    /// Ends a bracket, and with an interpolation's `}` goes on in the template string's text.
    fn close_bracket(&mut self) -> Option<()> {
        let opener = self.open.pop()?;
        let wanted = match self.text.as_bytes()[self.list[opener].end - 1] {
            b'(' => ")",
            b'[' => "]",
            _ => "}",
        };
        let start = self.at;
        if !self.eat(wanted) {
            return None;
        }
        self.list[opener].partner = Some(self.list.len());
        self.push(Kind::Close, start);
        if let Some(last) = self.list.last_mut() {
            last.partner = Some(opener);
        }
        let start = self.at;
        let before = opener.checked_sub(1).map(|i| self.list[i].kind);
        if before == Some(Kind::TextHead) {
            let kind = self.template_piece()?;
            self.push(kind, start);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text, told apart by a blank between them.
    fn cut(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let texts = (0..tokens.list.len()).map(|i| tokens.text_of(i).to_owned());
        texts.collect()
    }

    #[test]
    fn texts_are_cut_as_rhai_cuts_them() {
        let cases: [(&str, &[&str]); 20] = [
            ("a_1?.b ?[c]", &["a_1", "?.", "b", "?[", "c", "]"]),
            ("1..5", &["1", "..", "5"]),
            ("1.5.a 2.", &["1.5", ".", "a", "2", "."]),
            ("1.a 2.;", &["1", ".", "a", "2.", ";"]),
            ("1_0e-3 0x1f..=0b12", &["1_0e-3", "0x1f", "..=", "0b1", "2"]),
            ("|| a | b", &["||", "a", "|", "b"]),
            ("a ?? [b]", &["a", "??", "[", "b", "]"]),
            ("// x\na // y", &["a"]),
            ("// x\ra", &["a"]),
            ("/* /* */ x */ a", &["a"]),
            ("/***/ a /**/ b */ c", &["a", "c"]),
            (r#""a\"b" "c""d""#, &[r#""a\"b""#, r#""c""d""#]),
            ("\"a\\\r\n b\" c", &["\"a\\\r\n b\"", "c"]),
            (r"'\'' '\u0041'", &[r"'\''", r"'\u0041'"]),
            ("##\"a\"# b\"## c", &["##\"a\"# b\"##", "c"]),
            ("`a``b` c", &["`a``b`", "c"]),
            ("`a${b}c${#{}}`", &["`a$", "{", "b", "}", "c$", "{", "#{", "}", "}", "`"]),
            ("`${`${a}`}`", &["`$", "{", "`$", "{", "a", "}", "`", "}", "`"]),
            (r"`\${a}\` b", &[r"`\${a}\`", "b"]),
            ("fn ñ(é) {}", &["fn", "ñ", "(", "é", ")", "{", "}"]),
        ];
        for (text, expected) in cases {
            assert_eq!(cut(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_text_ends_the_tokens() {
        let texts = ["a \"b\nc", "a `b", "a `${b", "a /* b", "a #\"b", "a (]", "a )", "a → b", "a # b", "a 'b"];
        for text in texts {
            assert_eq!(cut(text)[0], "a", "{text}");
            assert!(!cut(text).iter().any(|token| token == "c"), "{text}");
        }
        assert_eq!(cut("a (] c"), ["a", "("]);
    }

    #[test]
    fn brackets_know_each_other() {
        let tokens = tokens("(`${[a]}`)");
        let partners: Vec<_> = tokens.list.iter().map(|token| token.partner).collect();
        let expected = [Some(8), None, Some(6), Some(5), None, Some(3), Some(2), None, Some(0)];
        assert_eq!(partners, expected);
    }
}

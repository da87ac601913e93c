//! Why: some things a script may say are beyond Rhai's parser or lose something in its evaluator
//! (names bound by `with` in closures, a `with` block before a line that starts with a bracket,
//! errors of iterators under an empty `for` body, guards held through a path of properties). A
//! rewrite of the tokens before parsing cures them; lines stay, and columns can be mapped back.

use super::tokens::{Kind, Token, Tokens, tokens};

/// Answers what the innermost `with` block has just acquired, or `catch` block caught.
pub const HELD: &str = "__held";
/// Wraps what a `for` runs over.
pub const EACH: &str = "__each";
/// Stands in an otherwise empty `for` body, so that Rhai does not drop the iterator's errors.
pub const IDLE: &str = "__idle";
/// Passes a handle found at a path on as a temporary, so that no guard is held during its method.
pub const AT: &str = "__at";

/// What the names of all that was typed at the REPL begin with.
pub const TYPED: &str = "repl:";
/// Holds the last value at the REPL.
pub const LAST: &str = "_it";

/// Methods that are given closures, which may look at the very variable the path to the method's object starts from.
const TAKES_CLOSURES: &str = "wait_for submit apply apply_async map map_async starmap imap imap_unordered update \
    put try_put send swap set add_done_callback spawn_thread spawn_process start";
/// How many tokens are looked through for a closure among the arguments: calls may nest as deep as a script likes.
const FARTHEST: usize = 1_000;
/// What could go on the expression that a `with` block is, but starts a statement on a new line.
const CONTINUES: [&str; 6] = ["[", "(", "-", "+", "|", "||"];

/// A script's text as its author wrote it, and as Rhai is given it.
#[derive(Debug)]
pub struct Source {
    original: String,
    rewritten: String,
    /// Where each line of the original starts.
    starts: Vec<usize>,
    /// Where columns change, in order.
    shifts: Vec<Shift>,
}

/// From a column of the rewritten text on, which column of the original it stands for.
#[derive(Debug)]
struct Shift {
    line: usize,
    new_column: usize,
    old_column: usize,
    /// The columns from here to the next shift all stand for `old_column`.
    inserted: bool,
}

impl Source {
    /// Rewrites a script. Text that makes no sense is left as it is from there on, so that Rhai
    /// reports it.
    pub fn prepare(text: &str) -> Source {
        Self::rendered(text, edits(text))
    }

    /// The same for the script of this name: what was typed at the REPL may say `_` for the last value.
    pub fn of_script(name: &str, text: &str) -> Source {
        if !name.starts_with(TYPED) {
            return Self::prepare(text);
        }
        let mut edits = edits(text);
        edits.extend(last_values(text));
        edits.sort_by_key(|edit| edit.at);
        Self::rendered(text, edits)
    }

    fn rendered(text: &str, edits: Vec<Edit>) -> Source {
        let (rewritten, shifts) = render(text, edits);
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Source { original: text.to_owned(), rewritten, starts: std::iter::once(0).chain(newlines).collect(), shifts }
    }

    /// The text as it was given.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The text to give to Rhai. It has as many lines as the original.
    pub fn rewritten(&self) -> &str {
        &self.rewritten
    }

    /// A line of the original, counted from 1, without its line end.
    pub fn line(&self, line: usize) -> Option<&str> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let end = self.starts.get(line).copied();
        let text = &self.original[start..end.unwrap_or(self.original.len())];
        let text = text.strip_suffix('\n').unwrap_or(text);
        Some(text.strip_suffix('\r').unwrap_or(text))
    }

    /// The column of the original that a position in the rewritten text, as Rhai reports it,
    /// stands for. Both count characters from 1. Inserted text stands for the place it is put at.
    pub fn original_column(&self, line: usize, column: usize) -> usize {
        let before = |shift: &Shift| (shift.line, shift.new_column) <= (line, column);
        let index = self.shifts.partition_point(before);
        match index.checked_sub(1).map(|index| &self.shifts[index]) {
            Some(shift) if shift.line != line => column,
            Some(shift) if shift.inserted => shift.old_column,
            Some(shift) => shift.old_column + column - shift.new_column,
            None => column,
        }
    }
}

/// Puts `text` in the place of the bytes from `at` to `end`, all on one line.
struct Edit {
    at: usize,
    end: usize,
    text: String,
    /// How many columns Rhai counts for `text`.
    width: usize,
}

impl Edit {
    fn new(at: usize, end: usize, text: String) -> Edit {
        let width = text.chars().count();
        Edit { at, end, text, width }
    }
}

/// All edits of a text, in order.
fn edits(text: &str) -> Vec<Edit> {
    let lexed = tokens(text);
    let mut walker = Walker {
        code: &lexed,
        frames: Vec::new(),
        place: Place::Statement,
        edits: shebang(text).into_iter().collect(),
    };
    walker.walk();
    let mut edits = walker.edits;
    // The text stays; the edit only records that Rhai counts no column for this `$`.
    edits.extend(lexed.uncounted.into_iter().map(|at| Edit { width: 0, ..Edit::new(at, at + 1, "$".to_owned()) }));
    // Stable: of two insertions at one place the one made first, the outer one, stays outside.
    edits.sort_by_key(|edit| edit.at);
    edits
}

/// Puts the variable that holds the last value in the place of each `_` that is no pattern of a `switch`.
fn last_values(text: &str) -> Vec<Edit> {
    let lexed = tokens(text);
    let is_value = |i: &usize| lexed.is(*i, "_") && !lexed.is_any(i + 1, &["=>", "if"]);
    let of = |i: usize| Edit::new(lexed.list[i].start, lexed.list[i].end, LAST.to_owned());
    (0..lexed.list.len()).filter(is_value).map(of).collect()
}

/// Makes a `#!` line a comment. A third slash would make it a doc comment, which Rhai accepts
/// before a `fn` only.
fn shebang(text: &str) -> Option<Edit> {
    let end = if text.starts_with("#!/") { 3 } else { 2 };
    let comment = "// "[..end].to_owned();
    text.starts_with("#!").then(|| Edit::new(0, end, comment))
}

/// Applies the edits and notes where they move columns.
fn render(text: &str, edits: Vec<Edit>) -> (String, Vec<Shift>) {
    let mut out = Output::default();
    let mut done = 0;
    for edit in edits {
        // Nonsense such as `for x in as y {` could make edits overlap: the first one wins.
        if let Some(kept) = text.get(done..edit.at) {
            out.copy(kept);
            out.replace(&text[edit.at..edit.end], &edit);
            done = edit.end;
        }
    }
    out.copy(&text[done..]);
    (out.text, out.shifts)
}

/// The rewritten text so far.
#[derive(Default)]
struct Output {
    text: String,
    shifts: Vec<Shift>,
    /// Where it ends, counted from 0, and the column of the original that this is.
    line: usize,
    new_column: usize,
    old_column: usize,
}

impl Output {
    fn copy(&mut self, piece: &str) {
        self.text.push_str(piece);
        let newlines = piece.bytes().filter(|byte| *byte == b'\n').count();
        if newlines > 0 {
            self.line += newlines;
            self.new_column = 0;
            self.old_column = 0;
        }
        let columns = piece.chars().rev().take_while(|c| *c != '\n').count();
        self.new_column += columns;
        self.old_column += columns;
    }

    fn replace(&mut self, old: &str, edit: &Edit) {
        self.shift(true);
        self.text.push_str(&edit.text);
        self.new_column += edit.width;
        self.old_column += old.chars().count();
        self.shift(false);
    }

    fn shift(&mut self, inserted: bool) {
        self.shifts.push(Shift {
            line: self.line + 1,
            new_column: self.new_column + 1,
            old_column: self.old_column + 1,
            inserted,
        });
    }
}

/// What may come next in the script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A statement, or a value.
    Statement,
    /// A value.
    Value,
    /// An operator, a call's arguments, an index or a construct's block.
    Operator,
}

/// A bracket that is open, or a construct whose block has not been reached.
#[derive(Clone, Copy)]
enum Frame {
    /// Any bracket but a block's.
    Bracket,
    /// From `if`, `for`, `with` … to the block's `{`; whether that started a statement.
    Header(Head, bool),
    /// A block: whether a `with` or `catch` has it, and whether what has it started a statement.
    Block(bool, bool),
}

impl Frame {
    fn is_header(&self) -> bool {
        matches!(self, Frame::Header(..))
    }
}

/// The construct a header belongs to.
#[derive(Clone, Copy)]
enum Head {
    /// One that nothing is done about.
    Plain,
    /// `catch (`…, with the token `catch`.
    Catch(usize),
    /// `for`…, with the first token after `in` and the edit kept free for `__each(`.
    For(Option<(usize, usize)>),
    /// `with`…, with the name's token after `as`.
    With(Option<usize>),
}

/// Follows the structure of a script token by token and collects the edits. It keeps its own
/// stack, for scripts may nest deeper than a thread's stack reaches.
struct Walker<'a> {
    code: &'a Tokens<'a>,
    frames: Vec<Frame>,
    place: Place,
    edits: Vec<Edit>,
}

impl Walker<'_> {
    fn walk(&mut self) {
        let mut i = 0;
        while i < self.code.list.len() {
            i = self.step(i);
        }
    }

    /// Takes in one token, or a closure's parameters at once; answers where to go on.
    fn step(&mut self, i: usize) -> usize {
        match self.code.list[i].kind {
            Kind::Word if !self.code.is_plain_name(i) => self.word(i),
            Kind::Open => self.open(i),
            Kind::Close => self.close(i),
            Kind::Op => return self.operator(i),
            _ => self.place = Place::Operator,
        }
        i + 1
    }

    fn expect(&mut self, statement: bool) {
        let place = [Place::Value, Place::Statement];
        self.place = place[usize::from(statement)];
    }

    fn insert(&mut self, at: usize, text: String) {
        self.edits.push(Edit::new(at, at, text));
    }

    /// Takes a token and the blanks before it out.
    fn remove(&mut self, i: usize) {
        let Token { start, end, .. } = self.code.list[i];
        let at = self.code.text[..start].trim_end_matches([' ', '\t']).len();
        self.edits.push(Edit::new(at, end, String::new()));
    }

    fn word(&mut self, i: usize) {
        let starts = self.place != Place::Operator;
        match self.code.text_of(i) {
            "with" if starts => self.header(Head::With(None)),
            "for" if starts => {
                self.header(Head::For(None));
                self.place = Place::Operator;
            }
            "if" | "switch" if starts => self.header(Head::Plain),
            "while" if starts && !self.code.ends_do(i) => self.header(Head::Plain),
            "catch" => {
                let named = self.code.is(i + 1, "(");
                self.header(Head::Catch(i));
                self.place = if named { Place::Value } else { Place::Operator };
            }
            "fn" => {
                self.header(Head::Plain);
                self.place = Place::Operator;
            }
            "loop" | "do" | "try" | "else" if self.place == Place::Statement => (),
            "private" => (),
            "loop" | "do" | "try" | "else" | "if" | "while" | "until" | "return" | "throw" | "break" | "import" => {
                self.place = Place::Value
            }
            "in" => self.each(i),
            "as" => self.name(i),
            _ => {
                self.path(i);
                self.place = Place::Operator;
            }
        }
    }

    fn header(&mut self, head: Head) {
        let statement = self.place == Place::Statement;
        self.frames.push(Frame::Header(head, statement));
        self.place = Place::Value;
    }

    /// Keeps an edit free at the start of what a `for` runs over: made now it stays outside those
    /// of the expression, but whether it is needed shows at the block.
    fn each(&mut self, i: usize) {
        self.place = Place::Value;
        let next = self.code.list.get(i + 1).map(|next| next.start);
        if let Some(Frame::Header(head, _)) = self.frames.last_mut()
            && let (Head::For(from @ None), Some(at)) = (head, next)
        {
            *from = Some((i + 1, self.edits.len()));
            self.insert(at, String::new());
        }
    }

    /// Notes the name that an `as` gives to a `with` block's handle.
    fn name(&mut self, i: usize) {
        let named = self.code.is_kind(i + 1, Kind::Word) && self.code.is(i + 2, "{");
        if let Some(Frame::Header(head, _)) = self.frames.last_mut()
            && let (Head::With(name), true) = (head, named && self.place == Place::Operator)
        {
            *name = Some(i + 1);
        }
        self.place = Place::Operator;
    }

    /// Wraps `root.prop[index]` of `root.prop[index].method(|| …)`: Rhai would hold a guard on `root` during the call.
    fn path(&mut self, root: usize) {
        if let Some((last, method)) = self.code.path(root)
            && !self.code.is(root, "this")
            && TAKES_CLOSURES.split(' ').any(|name| self.code.is(method, name))
            && self.is_given_a_closure(method + 1)
        {
            self.insert(self.code.list[root].start, format!("{AT}("));
            self.insert(self.code.list[last].end, ")".to_owned());
        }
    }

    /// True when one of the arguments after this `(` begins with the bar of a closure.
    fn is_given_a_closure(&self, open: usize) -> bool {
        let mut depth = 0_usize;
        for i in open..self.code.list.len().min(open + FARTHEST) {
            match self.code.list[i].kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return false;
            }
            let begins = self.code.is(i, "(") || self.code.is(i, ",");
            if depth == 1 && begins && self.code.is_any(i + 1, &["|", "||"]) {
                return true;
            }
        }
        false
    }

    fn open(&mut self, i: usize) {
        let block = self.code.is(i, "{");
        let interpolation = i > 0 && self.code.is_kind(i - 1, Kind::TextHead);
        let frame = if block && !interpolation { self.block(i) } else { Frame::Bracket };
        self.frames.push(frame);
        self.expect(block);
    }

    /// A `{` after a complete value belongs to the construct that waits for its block.
    fn block(&mut self, i: usize) -> Frame {
        if self.place != Place::Operator {
            let statement = self.place == Place::Statement;
            return Frame::Block(false, statement);
        }
        let Some(Frame::Header(head, statement)) = self.frames.pop_if(|f| f.is_header()) else {
            return Frame::Block(false, false);
        };
        match head {
            Head::Catch(catch) => self.catch_block(i, catch),
            Head::For(Some((first, edit))) => self.for_block(i, first, edit),
            Head::With(Some(name)) => self.with_block(i, name),
            _ => (),
        }
        Frame::Block(matches!(head, Head::With(_) | Head::Catch(_)), statement)
    }

    fn catch_block(&mut self, i: usize, catch: usize) {
        if i == catch + 4 && self.code.is_kind(catch + 2, Kind::Word) {
            (catch + 1..=catch + 3).for_each(|token| self.remove(token));
            let text = format!("let {}={HELD}();", self.code.text_of(catch + 2));
            self.insert(self.code.list[i].end, text);
        }
    }

    fn for_block(&mut self, i: usize, first: usize, edit: usize) {
        let range = self.code.is_kind(first, Kind::Number) && self.code.is_any(first + 1, &["..", "..="]);
        if !range {
            let at = self.edits[edit].at;
            let glued = self.code.list[first - 1].end == at; // `in[1, 2]`
            let blank = if glued { " " } else { "" };
            self.edits[edit] = Edit::new(at, at, format!("{blank}{EACH}("));
            self.insert(self.code.list[i - 1].end, ")".to_owned());
        }
        if self.code.is_empty_block(i) {
            self.insert(self.code.list[i].end, format!("{IDLE}();"));
        }
    }

    fn with_block(&mut self, i: usize, name: usize) {
        self.remove(name - 1);
        self.remove(name);
        let text = format!("let {}={HELD}();", self.code.text_of(name));
        self.insert(self.code.list[i].end, text);
    }

    fn close(&mut self, i: usize) {
        self.drop_headers();
        self.place = Place::Operator;
        if let Some(Frame::Block(with, true)) = self.frames.pop() {
            self.end_statement(i, with);
        }
    }

    /// After the block of a statement comes another one. To Rhai `with` and `try` are expressions
    /// and may go on, so it is ended when the next line could be taken for more of it.
    fn end_statement(&mut self, i: usize, with: bool) {
        self.place = Place::Statement;
        if with && self.code.is_any(i + 1, &CONTINUES) {
            let Token { end, .. } = self.code.list[i];
            if self.code.text[end..self.code.list[i + 1].start].contains('\n') {
                self.insert(end, ";".to_owned());
            } else {
                self.place = Place::Operator;
            }
        }
    }

    /// Forgets constructs that ended without a block.
    fn drop_headers(&mut self) {
        while self.frames.pop_if(|frame| frame.is_header()).is_some() {}
    }

    fn operator(&mut self, i: usize) -> usize {
        let closure = self.place != Place::Operator && self.code.is(i, "|");
        if self.code.is_any(i, &[";", ",", "=>"]) {
            self.drop_headers();
        }
        self.expect(self.code.is(i, ";"));
        if closure {
            // Where parameters make no sense, Rhai stops, and so does the walk.
            return self.code.after_parameters(i).unwrap_or(self.code.list.len());
        }
        i + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each first text must become the second, with as many lines.
    fn check(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let source = Source::prepare(text);
            assert_eq!(source.rewritten(), *expected, "from {text:?}");
            assert_eq!(source.original(), *text);
            assert_eq!(expected.lines().count(), text.lines().count());
        }
    }

    fn check_same(texts: &[&str]) {
        let cases: Vec<_> = texts.iter().map(|text| (*text, *text)).collect();
        check(&cases);
    }

    #[test]
    fn with_binds_its_name_in_the_block() {
        check(&[
            ("with a as b { c }", "with a {let b=__held(); c }"),
            ("with(a)as b{c}", "with(a){let b=__held();c}"),
            (
                "x = || with f(|q| { #{k: `}${1}`} })\n  as // as z {\n b\n {}",
                "x = || with f(|q| { #{k: `}${1}`} })\n // as z {\n\n {let b=__held();}",
            ),
            (
                "with if a { b } else { c } as d { with e as f {} }",
                "with if a { b } else { c } {let d=__held(); with e {let f=__held();} }",
            ),
            ("if x == with a as b { c } { d }", "if x == with a {let b=__held(); c } { d }"),
            ("do { } while with a as b { c };", "do { } while with a {let b=__held(); c };"),
            (
                "switch a { 1 | 2 if b => with c as d {}, _ => with e as f {} }",
                "switch a { 1 | 2 if b => with c {let d=__held();}, _ => with e {let f=__held();} }",
            ),
            ("with a as b { // open", "with a {let b=__held(); // open"),
            ("with a as b { ( }", "with a {let b=__held(); ( }"),
            ("`${with a as b { `${b}` }} with c as d {`", "`${with a {let b=__held(); `${b}` }} with c as d {`"),
        ]);
        check_same(&[
            "with a { b }",
            "with [a as b] { c }",
            "x.with(a) as b {}",
            "let with = a as b {",
            "import \"a\" as b; { c }",
            "#{with: a as b {}}",
            "with as b { c }",
            "with a as b",
            "// with a as b {}\n/* /* */ with a as b {} */",
            "\"\\\"with a as b {}\" ##\"\"# with a as b {}\"## '\\''",
            "\"open\nwith a as b {}",
        ]);
    }

    #[test]
    fn with_ends_at_its_block() {
        check(&[
            ("with a {}\n[1].len()", "with a {};\n[1].len()"),
            ("with a {} // x\n\n-1", "with a {}; // x\n\n-1"),
            ("fn f() { with a { b }\n|| c }", "fn f() { with a { b };\n|| c }"),
            ("with a {}\n(b)\n.c();with d {}\n|e| f", "with a {};\n(b)\n.c();with d {};\n|e| f"),
        ]);
        check_same(&[
            "with a {} [1]",
            "with a {}\n.b()",
            "with a {}\nb",
            "let x = with a { b }\n + 1;",
            "[with a { b }\n - 1]",
            "if a {}\n[1]",
        ]);
    }

    #[test]
    fn for_runs_over_each() {
        check(&[
            ("for a in b { c }", "for a in __each(b) { c }"),
            ("for (a, i) in b.c(|d| { e }) { f }", "for (a, i) in __each(b.c(|d| { e })) { f }"),
            ("for a in[1]{ c }", "for a in __each([1]){ c }"),
            ("for a in (0..9).rev() { c }", "for a in __each((0..9).rev()) { c }"),
            ("for a in b { for c in d // e\n {} }", "for a in __each(b) { for c in __each(d) // e\n {__idle();} }"),
            ("for a in b { /* c */ }", "for a in __each(b) {__idle(); /* c */ }"),
            ("for a in 0..9 {}", "for a in 0..9 {__idle();}"),
            ("for a in b.c.map(|x| x) { f in g }", "for a in __each(__at(b.c).map(|x| x)) { f in g }"),
        ]);
        check_same(&[
            "for a in 0..n { b }",
            "for a in 0x0..=n.m { b }",
            "for a in b",
            "for a in f(",
            "x.for in y {}",
            "if a in b {}",
        ]);
    }

    #[test]
    fn catch_turns_errors_into_values() {
        check(&[
            ("try { a } catch (e) { e }", "try { a } catch {let e=__held(); e }"),
            ("try{}\ncatch\n(e)\n{", "try{}\ncatch\n\n{let e=__held();"),
            ("try {} catch {}\n[1]", "try {} catch {};\n[1]"),
            ("try {} catch (e) {}\n(1)", "try {} catch {let e=__held();};\n(1)"),
        ]);
        check_same(&["try {} catch {}", "a.catch(e) {}", "catch (e) + (f) {}"]);
    }

    #[test]
    fn paths_are_read_before_blocking_methods() {
        check(&[
            ("a.b.put(|| 1)", "__at(a.b).put(|| 1)"),
            ("a[0].wait_for(|| x)", "__at(a[0]).wait_for(|| x)"),
            ("a?.b\n ?[c]\n .submit(|x| x)", "__at(a?.b\n ?[c])\n .submit(|x| x)"),
            ("x = !a.b?.wait_for(|| y, 1);", "x = !__at(a.b)?.wait_for(|| y, 1);"),
            ("a.b.submit(f, |x| a.b.put(|| 1))", "__at(a.b).submit(f, |x| __at(a.b).put(|| 1))"),
        ]);
        check_same(&[
            "a.put(|| 1)",
            "a.b.put(1 | 2)",
            "a.b.put((1) || (2))",
            "this.b.put(|| 1)",
            "m::a.b.put(|| 1)",
            "f().a.put(|| 1)",
            "a.f().b.put(|| 1)",
            "a.b.push(|| 1)",
            "a.b.put",
            "a.b[c",
            "|a.b.put(|| 1)|",
        ]);
    }

    #[test]
    fn first_line_may_name_the_interpreter() {
        check(&[
            ("#!/usr/bin/orch\na", "// usr/bin/orch\na"),
            ("#! orch `\nwith a as b {}", "// orch `\nwith a {let b=__held();}"),
        ]);
        check_same(&["", " #!/a", "a\n#!b"]);
    }

    #[test]
    fn lines_are_the_original_ones() {
        let source = Source::prepare("with a as b {\r\n\n}\n");
        let lines: Vec<_> = (0..6).map(|line| source.line(line)).collect();
        assert_eq!(lines, [None, Some("with a as b {"), Some(""), Some("}"), Some(""), None]);
    }

    #[test]
    fn columns_map_back() {
        let source = Source::prepare("é; with a as b { c }\n  for x in y { z }");
        assert_eq!(source.line(1), Some("é; with a as b { c }"));
        // é; with a {let b=__held(); c }
        let columns = [1, 9, 10, 11, 12, 26, 27, 28, 30].map(|c| source.original_column(1, c));
        assert_eq!(columns, [1, 9, 15, 16, 17, 17, 17, 18, 20]);
        // …for x in __each(y) { z }
        let columns = [11, 12, 18, 19, 20, 21, 22].map(|c| source.original_column(2, c));
        assert_eq!(columns, [11, 12, 12, 12, 13, 13, 14]);
        assert_eq!(source.original_column(9, 7), 7);
        // Rhai counts no column for the `$` of `\${`.
        let source = Source::prepare("`\\${a}` b");
        assert_eq!([2, 3, 8].map(|c| source.original_column(1, c)), [2, 4, 9]);
    }

    const SOUP: [&str; 56] = [
        "with ",
        "as ",
        "b ",
        "{",
        "}",
        "(",
        ")",
        "[",
        "?[",
        "]",
        "#{",
        "for ",
        "x ",
        "in ",
        "catch",
        "try ",
        "if ",
        "else ",
        "do ",
        "while ",
        "switch ",
        "=>",
        "fn ",
        "a.b",
        ".get(",
        ".put(1)",
        "?.",
        "::",
        ":",
        ";",
        ",",
        "|",
        "||",
        "-",
        "..",
        "0..",
        "1.5",
        "\n",
        "\r\n",
        "\t",
        " ",
        "// c\n",
        "/*",
        "*/",
        "\"",
        "\"s\"",
        "`",
        "${",
        "'",
        "'\\''",
        "#\"",
        "\"#",
        "\\",
        "é",
        "→",
        "with a.b as c {}\n",
    ];

    /// Every character that is kept must map to itself; only `as` and names may vanish.
    fn check_columns(source: &Source) {
        for (index, new) in source.rewritten().split('\n').enumerate() {
            let new: Vec<char> = new.chars().collect();
            let old = source.original().split('\n').nth(index).unwrap_or("");
            let old: Vec<char> = old.chars().collect();
            let mut expected = 1;
            for column in 1..=new.len() {
                let mapped = source.original_column(index + 1, column);
                if mapped < source.original_column(index + 1, column + 1) {
                    let gone: String = old[expected - 1..mapped - 1].iter().collect();
                    let words = gone.split_whitespace().count();
                    assert!(words <= 2 && !gone.contains('{'), "{gone:?} {source:?}");
                    assert_eq!(new[column - 1], old[mapped - 1], "{source:?}");
                    expected = mapped + 1;
                }
            }
        }
    }

    #[test]
    fn no_soup_of_tokens_upsets_it() {
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let length = random(40);
            let text: String = (0..length).map(|_| SOUP[random(SOUP.len())]).collect();
            let source = Source::prepare(&text);
            let newlines = |text: &str| text.matches('\n').count();
            assert_eq!(newlines(source.rewritten()), newlines(&text), "{text:?}");
            if !text.contains("\\${") {
                check_columns(&source);
            }
        }
    }

    #[test]
    fn nesting_and_size_do_not_matter() {
        let depth = std::env::var("ORCH_DEPTH").map_or(20_000, |number| number.parse().unwrap());
        for piece in ["with a.b.get() as c { for x in [", "`${", "a.b[", "|x| ", "a.", "/*", "#"] {
            let source = Source::prepare(&piece.repeat(depth));
            assert!(source.rewritten().len() >= piece.len() * depth);
        }
        let nested = "a.b.put(|| ".repeat(depth);
        let source = Source::prepare(&nested);
        assert_eq!(source.rewritten().matches(AT).count(), depth);
    }
}

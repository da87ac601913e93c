//! Templates of commands: `gzip {}`, `convert {} {.}.png`, `ping {1} -p {2}`.
//!
//! A template is shell text. What stands for an argument is replaced by the argument, quoted for the place where it stands,
//! so that the shell reads it as it is, whatever it holds; also within quotes, where GNU parallel inserts code. A template
//! without any placeholder gets ` {}` at its end. One that is nothing but `{}` runs its argument as a command.
//!
//! | | |
//! |---|---|
//! | `{}` | the argument; of several lists, all of them, separated by spaces |
//! | `{.}` `{/}` `{//}` `{/.}` | without its extension; its last name; its folder; its last name without extension |
//! | `{2}` `{2.}` `{2/}` … `{-1}` | the argument of the second list; of the last |
//! | `{#}` `{%}` | the number of the job; of the slot it runs in (1 to `jobs`) |
//! | `\{}` | is no placeholder |
//!
//! A template that needs no shell (words, placeholders, no quotes) is run without one.

use std::fmt;
use std::ops::Range;

use super::context::{Context, Scanner};

/// See the module.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
    runs_arguments: bool,
    needs_shell: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Hole(Hole, Context),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    Arguments(Which, Form),
    Number,
    Slot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Nth(usize),
    NthFromEnd(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    NoExtension,
    Name,
    Folder,
    NameNoExtension,
}

/// A template that cannot be filled safely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTemplate {
    template: String,
    why: String,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the template {:?} {}", self.template, self.why)
    }
}

/// A template with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Shell text.
    pub text: String,
    /// The program and its arguments, where no shell is needed.
    pub words: Option<Vec<String>>,
}

impl Template {
    /// Understands a template.
    ///
    /// # Errors
    /// When a placeholder stands where it is not known how to quote.
    pub fn parse(template: &str) -> Result<Template, BadTemplate> {
        let bad = |why: String| BadTemplate { template: template.to_string(), why };
        let trimmed = template.trim();
        if trimmed.is_empty() || trimmed == "{}" {
            let source = template.to_string();
            return Ok(Template { source, pieces: Vec::new(), runs_arguments: true, needs_shell: true });
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut scanner = Scanner::default();
        let mut rest = template;
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("{=") && rest.contains("=}") {
                return Err(bad("has a Perl expression, {= … =}, which orch does not run".into()));
            }
            if let Some((hole, length)) = hole_at(rest) {
                if scanner.is_escaped() {
                    text.pop(); // the backslash
                    let literal = &rest[..length];
                    literal.chars().for_each(|c| scanner.step(c));
                    text.push_str(literal);
                } else {
                    if let Some(why) = scanner.trouble() {
                        return Err(bad(format!("has a placeholder {why}")));
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Hole(hole, scanner.context()));
                    scanner.skip_inserted();
                }
                rest = &rest[length..];
            } else {
                scanner.step(c);
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        let has_holes = !pieces.is_empty();
        if has_holes {
            pieces.push(Piece::Text(text));
        } else {
            if !scanner.is_closed() || scanner.trouble().is_some() {
                return Err(bad("does not end outside of quotes, so its argument cannot be added; write {}".into()));
            }
            pieces.push(Piece::Text(format!("{text} ")));
            pieces.push(Piece::Hole(Hole::Arguments(Which::All, Form::Whole), scanner.context()));
        }
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Template { source: template.to_string(), needs_shell: needs_shell(&pieces), pieces, runs_arguments: false })
    }

    /// Whether a job of `count` arguments has all that the template names: one list too many is a slip of the author's, and
    /// nothing in its place would go unnoticed.
    ///
    /// # Errors
    /// The first placeholder that never stands for anything.
    pub fn must_fit(&self, count: usize) -> Result<(), BadTemplate> {
        let mut numbers = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(Hole::Arguments(Which::Nth(n), _), _) => Some((*n, "")),
            Piece::Hole(Hole::Arguments(Which::NthFromEnd(n), _), _) => Some((*n, "-")),
            _ => None,
        });
        let Some((n, sign)) = numbers.find(|(n, _)| !(1..=count).contains(n)) else {
            return Ok(());
        };
        let lists = if count == 1 { "only one".to_string() } else { count.to_string() };
        let why = format!("has a placeholder for argument {sign}{n}, and a job has {lists}");
        Err(BadTemplate { template: self.source.clone(), why })
    }

    /// The command for these arguments and this number. Without a slot, `{%}` stays as it is: the job log wants a text that
    /// is the same in every run.
    pub fn fill(&self, arguments: &[&str], number: usize, slot: Option<usize>) -> Filled {
        if self.runs_arguments {
            return Filled { text: arguments.join(" "), words: None };
        }
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Hole(Hole::Slot, _) if slot.is_none() => text.push_str("{%}"),
                Piece::Hole(hole, context) => {
                    let values = hole.values(arguments, number, slot);
                    text.push_str(&context.quote(values.iter().map(String::as_str)));
                }
            }
        }
        let words = (!self.needs_shell).then(|| self.words(arguments, number, slot));
        Filled { text, words }
    }

    /// True when the text depends on the slot.
    pub fn has_slot(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Hole(Hole::Slot, _)))
    }

    /// The words that a shell would make of the text.
    fn words(&self, arguments: &[&str], number: usize, slot: Option<usize>) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut in_word = false;
        let mut add = |part: &str, in_word: &mut bool| {
            match words.last_mut() {
                Some(word) if *in_word => word.push_str(part),
                _ => words.push(part.to_string()),
            }
            *in_word = true;
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    for (i, part) in text.split(' ').enumerate() {
                        in_word &= i == 0;
                        if !part.is_empty() {
                            add(part, &mut in_word);
                        }
                    }
                }
                Piece::Hole(hole, _) => {
                    for (i, value) in hole.values(arguments, number, slot).iter().enumerate() {
                        in_word &= i == 0;
                        add(value, &mut in_word);
                    }
                }
            }
        }
        words
    }
}

impl Hole {
    fn values(self, arguments: &[&str], number: usize, slot: Option<usize>) -> Vec<String> {
        match self {
            Hole::Number => vec![number.to_string()],
            Hole::Slot => vec![slot.map_or_else(|| "{%}".to_string(), |slot| slot.to_string())],
            Hole::Arguments(which, form) => {
                let chosen = arguments.get(which.range(arguments.len())).unwrap_or_default();
                chosen.iter().map(|argument| form.of(argument).to_string()).collect()
            }
        }
    }
}

impl Which {
    fn range(self, count: usize) -> Range<usize> {
        let one = |at: Option<usize>| at.filter(|at| *at < count).map_or(0..0, |at| at..at + 1);
        match self {
            Which::All => 0..count,
            Which::Nth(n) => one(n.checked_sub(1)),
            Which::NthFromEnd(n) => one(count.checked_sub(n)),
        }
    }
}

impl Form {
    fn of(self, argument: &str) -> &str {
        match self {
            Form::Whole => argument,
            Form::NoExtension => without_extension(argument),
            Form::Name => name(argument),
            Form::Folder => folder(argument),
            Form::NameNoExtension => without_extension(name(argument)),
        }
    }
}

/// `a/b.c` is `a/b`; a dot at the end of the text is no extension, as GNU parallel has it.
fn without_extension(path: &str) -> &str {
    match path.rfind(['.', '/']) {
        Some(at) if path[at..].starts_with('.') && at + 1 < path.len() => &path[..at],
        _ => path,
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// As dirname(1).
fn folder(path: &str) -> &str {
    let whole = path.trim_end_matches('/');
    match whole.rfind('/') {
        _ if whole.is_empty() && !path.is_empty() => "/",
        Some(at) => match whole[..at].trim_end_matches('/') {
            "" => "/",
            folder => folder,
        },
        None => ".",
    }
}

/// The placeholder at the start of `text`, and how long it is.
fn hole_at(text: &str) -> Option<(Hole, usize)> {
    let inside = text.strip_prefix('{')?;
    let length = inside.find('}')?;
    let inside = &inside[..length];
    let hole = match inside {
        "#" => Hole::Number,
        "%" => Hole::Slot,
        _ => {
            let digits = inside.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(inside.len());
            let (position, form) = inside.split_at(digits);
            let which = match (position, position.strip_prefix('-')) {
                ("", _) => Which::All,
                (_, Some(position)) => Which::NthFromEnd(position.parse().ok().filter(|n| *n > 0)?),
                (position, None) => Which::Nth(position.parse().ok().filter(|n| *n > 0)?),
            };
            let form = match form {
                "" => Form::Whole,
                "." => Form::NoExtension,
                "/" => Form::Name,
                "//" => Form::Folder,
                "/." => Form::NameNoExtension,
                _ => return None,
            };
            Hole::Arguments(which, form)
        }
    };
    Some((hole, length + 2))
}

/// Words that a shell takes for itself, and commands that it has in itself and that differ from the programs of that name.
const OF_THE_SHELL: &str = " . : ! { } case do done elif else esac fi for if in then until while function select time alias \
    bg break builtin cd chdir command continue declare echo eval exec exit export fc fg getopts hash help jobs kill let \
    local logout printf pwd read readonly return set shift source suspend test times trap type typeset ulimit umask \
    unalias unset wait ";

fn needs_shell(pieces: &[Piece]) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " _-./:,+@%=".contains(c);
    let all_plain = pieces.iter().all(|piece| match piece {
        Piece::Text(text) => text.chars().all(plain),
        Piece::Hole(_, context) => *context == Context::BARE,
    });
    let Some(Piece::Text(first)) = pieces.first() else {
        return true;
    };
    // The program must stand there as a whole word.
    match first.trim_start_matches(' ').split_once(' ') {
        Some((program, _)) => !all_plain || program.contains('=') || OF_THE_SHELL.contains(&format!(" {program} ")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn text(template: &str, arguments: &[&str]) -> String {
        match Template::parse(template) {
            Ok(template) => template.fill(arguments, 7, Some(3)).text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_list_that_is_named_must_be_there() {
        let fits = |template: &str, count| Template::parse(template).unwrap().must_fit(count).is_ok();
        let rows = [("{}", 0), ("{2} {-2}", 2), ("{1}", 1), ("{#} {%} {/}", 0), ("\\{3} x", 1)];
        rows.iter().for_each(|(template, count)| assert!(fits(template, *count), "{template}"));
        let rows = [("{3}", 2), ("{} {-2}", 1), ("{2/.}", 1), ("{1}", 0)];
        rows.iter().for_each(|(template, count)| assert!(!fits(template, *count), "{template}"));
    }

    #[test]
    fn forms_are_those_of_gnu_parallel() {
        // Argument, {.}, {/}, {//}, {/.}: what GNU parallel 20221122 says.
        let rows = [
            ["a/b.c.d", "a/b.c", "b.c.d", "a", "b.c"],
            ["b.c", "b", "b.c", ".", "b"],
            ["/x", "/x", "x", "/", "x"],
            ["/x/", "/x/", "", "/", ""],
            ["a/b/", "a/b/", "", "a", ""],
            [".hid", "", ".hid", ".", ""],
            ["a/.hid", "a/", ".hid", "a", ""],
            ["a.b/c", "a.b/c", "c", "a.b", "c"],
            ["", "", "", ".", ""],
            ["../x.y", "../x", "x.y", "..", "x"],
            ["a.", "a.", "a.", ".", "a."],
        ];
        for [argument, no_extension, name, folder, bare] in rows {
            let got = text("\"{.}|{/}|{//}|{/.}\"", &[argument]);
            assert_eq!(got, format!("\"{no_extension}|{name}|{folder}|{bare}\""), "{argument}");
        }
        assert_eq!(folder("//a"), "/");
        assert_eq!(folder("a//b"), "a");
    }

    #[test]
    fn positions_numbers_and_what_is_none() {
        let two = ["a/b.c", "d e"];
        assert_eq!(text("p {2} {1.} {-1} {1/} {3} {01}", &two), "p 'd e' a/b 'd e' b.c  a/b.c");
        assert_eq!(text("p {#} {%}", &two), "p 7 3");
        assert_eq!(text("p x{}y", &two), "p xa/b.c 'd e'y");
        assert_eq!(text("p {0} {a} { } {1//.} ${x} {", &["v"]), "p {0} {a} { } {1//.} ${x} { v");
        assert_eq!(text(r"find {} -exec wc \{} \;", &["v"]), r"find v -exec wc {} \;");
        assert_eq!(text("gzip -9", &two), "gzip -9 a/b.c 'd e'");
        assert_eq!(text("{}", &["echo a | wc"]), "echo a | wc");
        assert_eq!(text("", &["echo a | wc"]), "echo a | wc");
        assert_eq!(
            text("p {= s/a/b/ =}", &["v"]),
            "the template \"p {= s/a/b/ =}\" has a Perl expression, {= … =}, which orch does not run"
        );
    }

    #[test]
    fn the_slot_stays_open_where_it_is_not_known() {
        let template = Template::parse("p {%} {}").unwrap();
        assert!(template.has_slot());
        assert_eq!(template.fill(&["v"], 1, None).text, "p {%} v");
    }

    const NASTY: &[&str] = &[
        "a b",
        "it's",
        "\"q\"",
        "$HOME",
        "`id`",
        "$(id)",
        "\\",
        "\\\\n",
        "a\nb",
        "; exit 9",
        "*",
        "",
        "'; exit 9; '",
        "#",
        "~",
        "-n",
    ];

    /// Every shell there is reads the inserted argument as it is, wherever it stands.
    #[test]
    fn arguments_come_through_every_kind_of_quotes() {
        let templates = [
            "printf '%s.' {}",
            "printf '%s.' '{}'",
            "printf '%s.' \"{}\"",
            "printf '%s.' \"$(printf '%s.' {})\"; :",
            "printf '%s.' \"$(printf '%s.' \"{}\")\"; :",
            "printf '%s.' \"$(printf '%s.' '{}')\"; :",
            "x=`printf '%s.' {}`; printf '%s' \"$x\"",
            "x=`printf '%s.' '{}'`; printf '%s' \"$x\"",
            "x=`printf '%s.' \"{}\"`; printf '%s' \"$x\"",
            "(printf '%s.' {}) # it's {}",
            "printf '%s.' {} #\"{}\n",
        ];
        for template in templates {
            let filled = Template::parse(template).unwrap();
            for nasty in NASTY {
                let filled = filled.fill(&[nasty], 1, Some(1));
                for shell in ["/bin/sh", "/bin/bash"] {
                    let Ok(output) = Command::new(shell).arg("-c").arg(&filled.text).output() else {
                        assert_ne!(shell, "/bin/sh");
                        continue;
                    };
                    let got = String::from_utf8_lossy(&output.stdout).into_owned();
                    let got = got.strip_suffix("..").or(got.strip_suffix('.')).map(str::to_string).unwrap_or(got);
                    assert_eq!(got, *nasty, "{shell} on {}: {}", filled.text, String::from_utf8_lossy(&output.stderr));
                }
            }
        }
    }

    #[test]
    fn where_quoting_is_not_known_is_an_error() {
        for template in [
            "cat <<E\n{}\nE",
            "x=\"`echo {}`\"",
            "x=`echo \\`echo {}\\``",
            "echo \"$(case $x in a) echo {};; esac)\"",
            "echo 'open",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        assert!(Template::parse("cat <<<{}").is_ok());
    }

    #[test]
    fn words_are_those_that_the_shell_makes() {
        for template in ["printf %s.  x{}y {1}:{2}  {3} {.} -{/}- {#}", "printf %s. a", " printf %s. {} "] {
            let template = Template { needs_shell: false, ..Template::parse(template).unwrap() };
            for arguments in [&["a b", "it's"][..], &["", "$x"], &["/a/b.c", "\n"]] {
                let filled = template.fill(arguments, 1, Some(1));
                let words = filled.words.unwrap();
                let direct = Command::new(&words[0]).args(&words[1..]).output().unwrap();
                let shell = Command::new("/bin/sh").arg("-c").arg(&filled.text).output().unwrap();
                assert_eq!(direct.stdout, shell.stdout, "{}", filled.text);
            }
        }
    }

    #[test]
    fn a_shell_is_used_where_one_is_needed() {
        let direct = ["gzip -9 {}", "true", "cp {} {.}.bak", "/usr/bin/env A=b x {}", "make -C {//} V=1"];
        let shell = [
            "echo {}", "a; b", "a|b", "A=b x", "~/x {}", "a 'b'", "{} x", "if x", "a $b", "x{} y", "a > b", "a *.c",
            "cd {}",
        ];
        for (templates, wanted) in [(&direct[..], true), (&shell[..], false)] {
            for template in templates {
                let filled = Template::parse(template).unwrap().fill(&["v"], 1, Some(1));
                assert_eq!(filled.words.is_some(), wanted, "{template}");
            }
        }
    }
}

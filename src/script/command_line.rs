//! What a script's own arguments mean: options that the script has named, each with a value that tells its type.
//!
//! Nothing here prints or ends anything: what was typed gives a map, or what to show instead.

use rhai::{Array, Dynamic, Map};

use super::arguments::did_you_mean;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is there or not.
    Flag,
    /// An int.
    Int,
    /// A float.
    Float,
    /// Text.
    Text,
}

/// An option, or an argument without a name before it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name in the script.
    pub name: String,
    /// What it takes; of a list, each time.
    pub takes: Takes,
    /// It may be given several times, and gives an array.
    pub list: bool,
    /// What it is when it was not typed.
    pub value: Dynamic,
    /// What it is for.
    pub help: String,
    /// The letter of its short form.
    pub short: Option<char>,
    /// It has to be typed.
    pub required: bool,
    /// The values it may have; all when empty.
    pub choices: Vec<Dynamic>,
    /// Its place among the arguments without names, from 1.
    pub position: Option<usize>,
}

impl Item {
    /// As it is typed: `--dry-run`.
    fn option(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// As messages call it.
    fn shown(&self) -> String {
        if self.position.is_some() { self.name.to_uppercase() } else { self.option() }
    }

    fn placeholder(&self) -> String {
        if !self.choices.is_empty() {
            let choices: Vec<String> = self.choices.iter().map(ToString::to_string).collect();
            return format!("{{{}}}", choices.join(","));
        }
        match (self.position.is_some(), self.takes) {
            (true, _) => self.name.to_uppercase(),
            (_, Takes::Int) => "INT".into(),
            (_, Takes::Float) => "FLOAT".into(),
            _ => "TEXT".into(),
        }
    }

    /// What a word means for it.
    fn read(&self, word: &str) -> Result<Dynamic, String> {
        let wrong = |wanted: &str| format!("{} takes {wanted}, not {word:?}", self.shown());
        let value: Dynamic = match self.takes {
            Takes::Int => word.parse::<i64>().map_err(|_| wrong("an int"))?.into(),
            Takes::Float => word.parse::<f64>().map_err(|_| wrong("a float"))?.into(),
            Takes::Text => word.into(),
            Takes::Flag => match word {
                "true" | "yes" | "on" | "1" => true.into(),
                "false" | "no" | "off" | "0" => false.into(),
                _ => return Err(wrong("true or false")),
            },
        };
        let shown = value.to_string();
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.to_string() == shown) {
            return Ok(value);
        }
        let choices: Vec<String> = self.choices.iter().map(ToString::to_string).collect();
        let hint = did_you_mean(&shown, choices.iter().map(String::as_str));
        Err(format!("{} must be one of {}, not {shown:?}{hint}", self.shown(), choices.join(", ")))
    }
}

/// What became of the arguments.
#[derive(Debug)]
pub enum Read {
    /// The values by name.
    Values(Map),
    /// `--help` was among them.
    Help,
}

/// All that a script can be told.
#[derive(Debug)]
pub struct CommandLine {
    /// The options and arguments.
    pub items: Vec<Item>,
}

impl CommandLine {
    fn by_option(&self, name: &str) -> Option<&Item> {
        let name = name.replace('-', "_");
        self.items.iter().find(|item| item.position.is_none() && item.name.replace('-', "_") == name)
    }

    fn by_letter(&self, letter: char) -> Option<&Item> {
        self.items.iter().find(|item| item.short == Some(letter))
    }

    /// Reads the arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(&self, args: &[String]) -> Result<Read, String> {
        let mut words = args.iter().map(String::as_str).peekable();
        // As many programs that start others put it before what is not theirs.
        if words.peek() == Some(&"--") {
            words.next();
        }
        let (mut found, mut plain, mut ended): (Vec<(&Item, Dynamic)>, Vec<&str>, bool) = Default::default();
        while let Some(word) = words.next() {
            if ended || word == "-" || !word.starts_with('-') {
                plain.push(word);
            } else if word == "--" {
                ended = true;
            } else if let Some(option) = word.strip_prefix("--") {
                let (name, typed) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
                match self.by_option(name) {
                    Some(item) => found.push((item, self.value(item, typed, &mut words)?)),
                    None if name == "help" => return Ok(Read::Help),
                    None => match name.strip_prefix("no-").and_then(|name| self.by_option(name)) {
                        Some(item) if item.takes == Takes::Flag && typed.is_none() => found.push((item, false.into())),
                        _ => return Err(self.unknown(name)),
                    },
                }
            } else if is_number(word) && self.by_letter(word.chars().nth(1).unwrap_or('-')).is_none() {
                plain.push(word);
            } else if self.letters(&word[1..], &mut words, &mut found)? {
                return Ok(Read::Help);
            }
        }
        self.place(&plain, &mut found)?;
        self.values(found).map(Read::Values)
    }

    /// The value of an option: behind its `=`, or the next word.
    fn value<'a>(
        &self,
        item: &Item,
        typed: Option<&str>,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<Dynamic, String> {
        match (typed, item.takes) {
            (Some(word), _) => item.read(word),
            (None, Takes::Flag) => Ok(true.into()),
            (None, _) => match words.next() {
                Some(word) => item.read(word),
                None => Err(format!("{} needs a value", item.shown())),
            },
        }
    }

    /// `-vn5`: flags, and at the end one that takes a value. True for `-h` that stands for help.
    fn letters<'a, 's>(
        &'s self,
        letters: &str,
        words: &mut impl Iterator<Item = &'a str>,
        found: &mut Vec<(&'s Item, Dynamic)>,
    ) -> Result<bool, String> {
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            match self.by_letter(letter) {
                Some(item) if item.takes == Takes::Flag => found.push((item, true.into())),
                Some(item) => {
                    let typed = Some(rest.strip_prefix('=').unwrap_or(rest)).filter(|rest| !rest.is_empty());
                    found.push((item, self.value(item, typed, words)?));
                    return Ok(false);
                }
                None if letter == 'h' => return Ok(true),
                None => return Err(format!("there is no option -{letter}")),
            }
        }
        Ok(false)
    }

    fn unknown(&self, name: &str) -> String {
        let options: Vec<String> = self.items.iter().filter(|item| item.position.is_none()).map(Item::option).collect();
        let typed = format!("--{name}");
        let hint = did_you_mean(&typed, options.iter().map(String::as_str).chain(["--help"]));
        format!("there is no option {typed}{}", hint.replace('"', ""))
    }

    fn positions(&self) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.items.iter().filter(|item| item.position.is_some()).collect();
        items.sort_by_key(|item| item.position);
        items
    }

    /// Gives the words without names to those who want them, in order.
    fn place<'s>(&'s self, plain: &[&str], found: &mut Vec<(&'s Item, Dynamic)>) -> Result<(), String> {
        let mut words = plain.iter();
        for item in self.positions() {
            let count = if item.list { plain.len() } else { 1 };
            for word in words.by_ref().take(count) {
                found.push((item, item.read(word)?));
            }
        }
        match words.next() {
            Some(word) => Err(format!("nothing was expected where {word:?} is")),
            None => Ok(()),
        }
    }

    fn values(&self, found: Vec<(&Item, Dynamic)>) -> Result<Map, String> {
        let mut values = Map::new();
        for item in &self.items {
            let mut typed = found.iter().filter(|(it, _)| std::ptr::eq(*it, item)).map(|(_, value)| value.clone());
            let value = if item.list {
                let all: Array = typed.collect();
                if all.is_empty() { None } else { Some(all.into()) }
            } else {
                // The last one counts, so that what is typed later overrules what an alias had.
                typed.next_back()
            };
            match value {
                Some(value) => drop(values.insert(item.name.as_str().into(), value)),
                None if item.required => return Err(format!("{} is needed", item.shown())),
                None => drop(values.insert(item.name.as_str().into(), item.value.clone())),
            }
        }
        Ok(values)
    }

    /// One line: how the script is called.
    pub fn usage(&self, script: &str) -> String {
        let mut words = vec![format!("usage: {script}")];
        let mut options: Vec<&Item> = self.items.iter().filter(|item| item.position.is_none()).collect();
        options.sort_by_key(|item| !item.required);
        if options.iter().any(|item| !item.required) {
            words.push("[OPTIONS]".into());
        }
        words.extend(
            options.iter().filter(|item| item.required).map(|item| format!("{} {}", item.option(), item.placeholder())),
        );
        words.extend(self.positions().into_iter().map(|item| {
            let word = format!("{}{}", item.name.to_uppercase(), if item.list { "..." } else { "" });
            if item.required { word } else { format!("[{word}]") }
        }));
        words.join(" ")
    }

    /// The whole help.
    pub fn help(&self, script: &str) -> String {
        let mut text = format!("{}\n", self.usage(script));
        let positions = self.positions();
        let mut rows = Vec::new();
        for item in &positions {
            rows.push((item.name.to_uppercase(), describe(item)));
        }
        if !rows.is_empty() {
            text += "\narguments:\n";
            text += &columns(&rows);
        }
        let mut rows = vec![("-h, --help".to_string(), "show this and end".to_string())];
        if self.by_letter('h').is_some() {
            rows[0].0 = "    --help".into();
        }
        for item in self.items.iter().filter(|item| item.position.is_none()) {
            let short = item.short.map_or_else(|| "    ".to_string(), |letter| format!("-{letter}, "));
            let value = if item.takes == Takes::Flag { String::new() } else { format!(" {}", item.placeholder()) };
            let no = if item.takes == Takes::Flag && item.value.as_bool() == Ok(true) { "no-" } else { "" };
            let option = item.option();
            let option = option.strip_prefix("--").unwrap_or(&option);
            rows.push((format!("{short}--{no}{option}{value}"), describe(item)));
        }
        text += "\noptions:\n";
        text += &columns(&rows);
        text
    }
}

/// What an item is for, and what it is when it was not typed.
fn describe(item: &Item) -> String {
    let mut notes = Vec::new();
    if item.required {
        notes.push("needed".to_string());
    }
    if item.list && item.position.is_none() {
        notes.push("may be given several times".to_string());
    }
    let worth_saying = !item.required && item.takes != Takes::Flag && !item.value.is_unit();
    let shown = item.value.to_string();
    if worth_saying && !shown.is_empty() && shown != "[]" {
        notes.push(format!("otherwise {shown}"));
    }
    match (item.help.is_empty(), notes.is_empty()) {
        (_, true) => item.help.clone(),
        (true, _) => format!("({})", notes.join("; ")),
        (false, _) => format!("{} ({})", item.help, notes.join("; ")),
    }
}

fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0).min(30);
    let line = |(left, right): &(String, String)| format!("  {left:width$}  {right}").trim_end().to_string() + "\n";
    rows.iter().map(line).collect()
}

fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

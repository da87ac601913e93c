//! The words of `orch map`, which are GNU parallel's where it has such words.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::command::batch::admission::{Limits, parse_bytes};
use crate::command::batch::halt::{Enough, Policy, When};

const HELP: &str = "Placeholders in COMMAND: {} the argument, {.} without extension, {/} last name, {//} folder,
{/.} last name without extension, {1} {2.} … of several lists, {#} number, {%} slot.
Without any, the arguments are appended. COMMAND is shell text; arguments are quoted.

Where the arguments come from:
  ::: A B C      from the command line; several ::: are combined
  :::+ 1 2 3     go along with the list before
  :::: FILE      the lines of a file (- is the standard input); ::::+ as :::+
Without any of these, the lines of the standard input. Without COMMAND, each line is one.

Examples:
  orch map gzip -9 {} ::: *.log
  orch map -j8 --tag --joblog jobs.tsv --resume convert {} {.}.png ::: *.jpg
  find . -name '*.c' -print0 | orch map -0 wc -l
  orch map --halt now,fail=1 make -C {} ::: lib app doc

Exit status: 0; the number of jobs that failed, 101 for more than 100; with --halt …,fail=1
that job's own; 255 for another error.";

/// Options of `orch map`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct MapOptions {
    /// So many jobs at once: N, +N or -N (of the processors), N%, 0: all
    #[arg(short, long, value_name = "N", default_value = "100%", value_parser = parse_jobs, allow_hyphen_values = true)]
    pub jobs: Jobs,
    /// Begin each line with the job's arguments and a tab
    #[arg(long)]
    pub tag: bool,
    /// Whole outputs, in the order of the arguments
    #[arg(short, long, overrides_with_all = ["line_buffer", "ungroup", "group"])]
    pub keep_order: bool,
    /// Whole lines, as they come
    #[arg(long, visible_alias = "lb", overrides_with_all = ["keep_order", "ungroup", "group"])]
    pub line_buffer: bool,
    /// Output goes through as it comes, mixed
    #[arg(short, long, overrides_with_all = ["keep_order", "line_buffer", "group"])]
    pub ungroup: bool,
    /// Whole outputs, as jobs finish (this is what happens anyway)
    #[arg(long, overrides_with_all = ["keep_order", "line_buffer", "ungroup"])]
    pub group: bool,
    /// Write a line for each finished job into this file
    #[arg(long, value_name = "FILE")]
    pub joblog: Option<PathBuf>,
    /// Run only what the job log does not call done; failed jobs run again
    #[arg(long, visible_alias = "resume-failed", requires = "joblog")]
    pub resume: bool,
    /// When to stop: never, soon (start no more), now (end the running ones); now,fail=1; soon,fail=20%; now,success=1
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = parse_halt)]
    halt: Policy,
    /// How many failures it takes to halt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    halt_after: Option<u64>,
    /// So many tries in all for a job that fails
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub retries: u64,
    /// Wait so long before the second try, twice as long before each further one
    #[arg(long, value_name = "SECS", default_value = "0", value_parser = parse_duration)]
    pub retry_delay: Duration,
    /// End a job that takes longer: seconds, or 5m, 2h, 1d
    #[arg(long, value_name = "SECS", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Keep each job's output in DIR/NUMBER/stdout and stderr
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// Draw a progress bar on a terminal
    #[arg(long, visible_aliases = ["progress", "eta"])]
    pub bar: bool,
    /// Only print the commands
    #[arg(long, visible_alias = "dryrun")]
    pub dry_run: bool,
    /// Start no job while the load average is this or more: a number, or N% of the processors
    #[arg(long, value_name = "MAX", value_parser = parse_load)]
    load: Option<f64>,
    /// Start no job while less memory is available: bytes, 500M, 2G
    #[arg(long, value_name = "BYTES", value_parser = parse_memory)]
    memfree: Option<u64>,
    /// Arguments read end with a NUL, not with a newline
    #[arg(short = '0', long)]
    pub null: bool,
    /// Read arguments from this file (- is the standard input); again for one more list
    #[arg(short, long, value_name = "FILE")]
    pub arg_file: Vec<PathBuf>,
    /// So many arguments for each job
    #[arg(short = 'n', short_alias = 'N', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_args: Option<u64>,
    /// Pass over empty arguments
    #[arg(short = 'r', long)]
    pub no_run_if_empty: bool,
    /// The command, then ::: and arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// How many jobs at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jobs {
    /// As many as there are.
    All,
    /// So many.
    Count(usize),
    /// So many more (or fewer) than processors.
    Beside(i64),
    /// So many of a hundred processors.
    Percent(f64),
}

impl Jobs {
    /// The number, on a machine with so many processors: at least 1.
    pub fn on(self, processors: usize) -> usize {
        match self {
            Jobs::All => usize::MAX,
            Jobs::Count(count) => count,
            Jobs::Beside(more) => {
                let processors = i64::try_from(processors).unwrap_or(i64::MAX);
                usize::try_from(processors.saturating_add(more)).unwrap_or(0)
            }
            // Rounded down; what is too large is as many as there are.
            Jobs::Percent(percent) => (processors as f64 * percent / 100.0) as usize,
        }
        .max(1)
    }
}

/// Where the arguments of one list come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Goes along with the list before it.
    pub linked: bool,
    /// Words, or a file of lines.
    pub from: Origin,
}

/// See [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Words(Vec<String>),
    /// A file; `-` is the standard input.
    File(PathBuf),
}

impl MapOptions {
    /// When to stop.
    pub fn policy(&self) -> Policy {
        let after = self.halt_after.map(|count| Enough::Count(usize::try_from(count).unwrap_or(usize::MAX)));
        // As in scripts, saying how many is saying that it should.
        let when = if after.is_some() && self.halt.when == When::Never { When::Soon } else { self.halt.when };
        Policy { when, enough: after.unwrap_or(self.halt.enough), ..self.halt }
    }

    /// What a machine needs to have.
    pub fn limits(&self) -> Limits {
        Limits { load: self.load, memfree: self.memfree }
    }

    /// The command, as shell text; empty where the arguments are commands.
    pub fn command(&self) -> String {
        self.words[..self.first_separator()].join(" ")
    }

    /// The lists of arguments.
    pub fn sources(&self) -> Vec<Source> {
        let file = |path: PathBuf, linked| Source { linked, from: Origin::File(path) };
        let mut sources: Vec<Source> = self.arg_file.iter().map(|path| file(path.clone(), false)).collect();
        let mut files = None;
        for word in &self.words[self.first_separator()..] {
            match (separator(word), files) {
                (Some(Separator { of_files, linked }), _) => {
                    files = of_files.then_some(linked);
                    if !of_files {
                        sources.push(Source { linked, from: Origin::Words(Vec::new()) });
                    }
                }
                (None, Some(linked)) => sources.push(file(word.into(), linked)),
                (None, None) => {
                    if let Some(Source { from: Origin::Words(words), .. }) = sources.last_mut() {
                        words.push(word.clone());
                    }
                }
            }
        }
        if sources.is_empty() && self.first_separator() == self.words.len() {
            sources.push(file("-".into(), false));
        }
        sources
    }

    fn first_separator(&self) -> usize {
        self.words.iter().position(|word| separator(word).is_some()).unwrap_or(self.words.len())
    }
}

struct Separator {
    of_files: bool,
    linked: bool,
}

fn separator(word: &str) -> Option<Separator> {
    let (colons, linked) = word.strip_suffix('+').map_or((word, false), |colons| (colons, true));
    match colons {
        ":::" => Some(Separator { of_files: false, linked }),
        "::::" => Some(Separator { of_files: true, linked }),
        _ => None,
    }
}

fn parse_jobs(word: &str) -> Result<Jobs, String> {
    let wrong = || "N, +N, -N, N% or 0".to_string();
    if let Some(percent) = word.strip_suffix('%') {
        let percent = percent.parse().ok().filter(|p: &f64| p.is_finite() && *p > 0.0);
        return percent.map(Jobs::Percent).ok_or_else(wrong);
    }
    if word.starts_with(['+', '-']) {
        return word.parse().map(Jobs::Beside).map_err(|_| wrong());
    }
    match word.parse() {
        Ok(0) => Ok(Jobs::All),
        Ok(count) => Ok(Jobs::Count(count)),
        Err(_) => Err(wrong()),
    }
}

fn parse_halt(word: &str) -> Result<Policy, String> {
    Policy::parse(word).ok_or_else(|| "never, soon, now, or as in now,fail=1 and soon,fail=20%".to_string())
}

/// Seconds, or with s, m, h, d.
fn parse_duration(word: &str) -> Result<Duration, String> {
    let wrong = || "a number of seconds, or as in 30s, 5m, 2h, 1d".to_string();
    let factor = match word.chars().last() {
        Some('s') => 1.0,
        Some('m') => 60.0,
        Some('h') => 3600.0,
        Some('d') => 86400.0,
        _ => return parse_seconds(word, 1.0).ok_or_else(wrong),
    };
    parse_seconds(&word[..word.len() - 1], factor).ok_or_else(wrong)
}

/// A time beyond what can be told is as good as the longest there is.
fn parse_seconds(number: &str, factor: f64) -> Option<Duration> {
    let seconds: f64 = number.parse().ok().filter(|n: &f64| *n >= 0.0)?;
    Some(Duration::try_from_secs_f64(seconds * factor).unwrap_or(Duration::MAX))
}

fn parse_load(word: &str) -> Result<f64, String> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (number, factor) = match word.strip_suffix('%') {
        Some(percent) => (percent, processors as f64 / 100.0),
        None => (word, 1.0),
    };
    match number.parse::<f64>() {
        Ok(load) if load.is_finite() && load >= 0.0 => Ok(load * factor),
        _ => Err("a number, or N%".to_string()),
    }
}

fn parse_memory(word: &str) -> Result<u64, String> {
    parse_bytes(word).ok_or_else(|| "a number of bytes, or as in 500M, 2G".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::batch::halt::Why;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: MapOptions,
    }

    fn parsed(line: &[&str]) -> MapOptions {
        let words = ["map"].iter().chain(line);
        match Line::try_parse_from(words) {
            Ok(line) => line.options,
            Err(error) => panic!("{error}"),
        }
    }

    fn refused(line: &[&str]) -> bool {
        Line::try_parse_from(["map"].iter().chain(line)).is_err()
    }

    fn words(list: &[&str]) -> Origin {
        Origin::Words(list.iter().map(|word| (*word).to_string()).collect())
    }

    #[test]
    fn a_line_of_gnu_parallel_is_understood() {
        let line =
            "-j8 --tag --joblog jobs.tsv --resume --halt now,fail=1 -k --timeout 2m gzip -9 --keep {} ::: a -b c";
        let line: Vec<&str> = line.split(' ').collect();
        let options = parsed(&line);
        assert_eq!(options.jobs, Jobs::Count(8));
        assert!(options.tag && options.resume && options.keep_order && !options.line_buffer);
        assert_eq!(options.joblog, Some("jobs.tsv".into()));
        assert_eq!(options.policy(), Policy::after_failures(When::Now, 1));
        assert_eq!(options.timeout, Some(Duration::from_secs(120)));
        assert_eq!(options.command(), "gzip -9 --keep {}");
        assert_eq!(options.sources(), [Source { linked: false, from: words(&["a", "-b", "c"]) }]);
    }

    #[test]
    fn lists_come_from_words_files_and_the_standard_input() {
        let stdin = Source { linked: false, from: Origin::File("-".into()) };
        for line in [&["wc"][..], &[]] {
            assert_eq!(parsed(line).sources(), std::slice::from_ref(&stdin));
        }
        assert_eq!(parsed(&[]).command(), "");
        let options = parsed(&["-a", "x", "echo", ":::", "1", "2", ":::+", "a", "::::", "f", "g", "::::+", "h", ":::"]);
        let file = |path: &str| Origin::File(path.into());
        let wanted = [
            (false, file("x")),
            (false, words(&["1", "2"])),
            (true, words(&["a"])),
            (false, file("f")),
            (false, file("g")),
            (true, file("h")),
            (false, words(&[])),
        ];
        assert_eq!(options.sources(), wanted.map(|(linked, from)| Source { linked, from }));
        let commands = parsed(&[":::", "echo a", "echo b"]);
        assert_eq!(
            (commands.command().as_str(), commands.sources()[0].from.clone()),
            ("", words(&["echo a", "echo b"]))
        );
    }

    #[test]
    fn jobs_are_counted_as_gnu_parallel_does() {
        let on_four = |word: &str| parse_jobs(word).map(|jobs| jobs.on(4));
        let rows = [("3", 3), ("+2", 6), ("-1", 3), ("-9", 1), ("50%", 2), ("1%", 1), ("200%", 8), ("0", usize::MAX)];
        for (word, count) in rows {
            assert_eq!(on_four(word), Ok(count), "{word}");
        }
        for word in ["", "x", "1.5", "%", "-5%", "NaN%", "+"] {
            assert!(parse_jobs(word).is_err(), "{word}");
        }
        assert_eq!(parsed(&["-j-1", "x"]).jobs, Jobs::Beside(-1));
        assert_eq!(parsed(&["-j", "-1", "x"]).jobs, Jobs::Beside(-1));
        assert_eq!(parsed(&["x"]).jobs.on(4), 4);
    }

    #[test]
    fn halting_in_both_spellings() {
        assert_eq!(
            parsed(&["--halt", "soon", "--halt-after", "3", "x"]).policy(),
            Policy::after_failures(When::Soon, 3)
        );
        assert_eq!(parsed(&["--halt-after", "3", "x"]).policy(), Policy::after_failures(When::Soon, 3));
        assert_eq!(parsed(&["x"]).policy().when, When::Never);
        let success = parsed(&["--halt", "now,success=20%", "x"]).policy();
        assert_eq!((success.why, success.enough), (Why::Success, Enough::Percent(20.0)));
    }

    #[test]
    fn the_last_word_on_order_counts() {
        let options = parsed(&["-k", "--lb", "x"]);
        assert!(options.line_buffer && !options.keep_order);
        let options = parsed(&["-u", "-k", "x"]);
        assert!(options.keep_order && !options.ungroup);
        assert!(parsed(&["-k0", "x"]).null);
    }

    #[test]
    fn times_loads_and_sizes() {
        for (word, seconds) in
            [("10", 10.0), ("0.5", 0.5), ("1.5m", 90.0), ("2h", 7200.0), ("1d", 86400.0), ("3s", 3.0)]
        {
            assert_eq!(parse_duration(word), Ok(Duration::from_secs_f64(seconds)), "{word}");
        }
        assert_eq!(parse_duration("1e300"), Ok(Duration::MAX));
        for word in ["", "s", "-1", "200%", "x", "NaN"] {
            assert!(parse_duration(word).is_err(), "{word}");
        }
        let limits = parsed(&["--load", "3.5", "--memfree", "2G", "x"]).limits();
        assert_eq!(limits, Limits { load: Some(3.5), memfree: Some(2 << 30) });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(refused(&["--resume", "x"]), "without a job log");
        assert!(refused(&["--halt", "later", "x"]));
        assert!(refused(&["--halt-after", "0", "x"]));
        assert!(refused(&["--retries", "0", "x"]));
        assert!(refused(&["--memfree", "much", "x"]));
        assert!(refused(&["--no-such-option", "x"]));
    }
}

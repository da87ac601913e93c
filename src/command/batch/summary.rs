//! What is said at the end when jobs failed: which, how, and what they said last.

use std::fmt::Write;
use std::time::Duration;

use crate::command::completed::{Completed, End};
use crate::command::quote::shortened;
use crate::command::signal::signal_name;

/// How many failures are told one by one, and how much of what each said.
const TOLD: usize = 10;
const LINES: usize = 3;

/// How much of the end of its standard error is kept of a job.
pub const KEPT: usize = 2_000;

/// How much of a command is shown.
const LONGEST: usize = 120;

/// One job that failed.
#[derive(Clone, Debug)]
struct Failure {
    number: usize,
    command: String,
    how: String,
    said: String,
}

/// The failures of many jobs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    failures: Vec<Failure>,
    failed: usize,
    ended: usize,
    not_started: usize,
}

/// `exit code 2`, `killed by KILL`, `timed out after 5 s`.
pub fn how(done: &Completed, limit: Option<Duration>) -> String {
    if done.timed_out {
        return limit.map_or("timed out".into(), |limit| format!("timed out after {} s", limit.as_secs_f64()));
    }
    match done.decisive().end {
        End::Code(code) => format!("exit code {code}"),
        End::Signal(number) => format!("killed by {}", signal_name(number)),
    }
}

impl Summary {
    /// A job failed; `said` is the end of its standard error.
    pub fn failed(&mut self, number: usize, command: &str, how: String, said: &[u8]) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            let said = String::from_utf8_lossy(said).into_owned();
            self.failures.push(Failure { number, command: command.to_string(), how, said });
        }
    }

    /// A job was ended because of the failures of others.
    pub fn ended(&mut self) {
        self.ended += 1;
    }

    /// So many were not started for the same reason.
    pub fn not_started(&mut self, count: usize) {
        self.not_started = count;
    }

    /// How many failed.
    pub fn count(&self) -> usize {
        self.failed
    }

    /// All of it, of so many jobs; nothing when none failed.
    pub fn text(&self, jobs: usize) -> Option<String> {
        if self.failed == 0 {
            return None;
        }
        let of = if jobs == 1 { "job" } else { "jobs" };
        let mut text = format!("{} of {jobs} {of} failed:\n", self.failed);
        let mut failures = self.failures.clone();
        failures.sort_by_key(|failure| failure.number);
        for failure in failures {
            let command = on_one_line(&failure.command);
            // Writing to a string cannot fail.
            let _ok = writeln!(text, "  {} `{command}`: {}", failure.number, failure.how);
            let lines: Vec<&str> = failure.said.lines().filter(|line| !line.trim().is_empty()).collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                let _ok = writeln!(text, "      {}", on_one_line(line));
            }
        }
        let told = self.failures.len();
        if self.failed > told {
            let _ok = writeln!(text, "  and {} more", self.failed - told);
        }
        let rest = [(self.ended, "ended before it was over"), (self.not_started, "not started")];
        let rest: Vec<String> =
            rest.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if !rest.is_empty() {
            let _ok = writeln!(text, "  {}", rest.join(", "));
        }
        Some(text)
    }
}

/// On one line, and not too long for it.
fn on_one_line(text: &str) -> String {
    shortened(&text.replace('\n', " "), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_order_with_what_they_said_last() {
        let mut summary = Summary::default();
        assert_eq!(summary.text(5), None);
        summary.failed(4, "sleep 9", "timed out after 5 s".into(), b"");
        summary.failed(2, "make\nall", "exit code 2".into(), b"one\ntwo\n\nthree\nfour\n");
        summary.ended();
        summary.not_started(3);
        let text = summary.text(5).unwrap();
        let wanted = "2 of 5 jobs failed:\n  2 `make all`: exit code 2\n      two\n      three\n      four\n  \
            4 `sleep 9`: timed out after 5 s\n  1 ended before it was over, 3 not started\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn many_failures_are_counted() {
        let mut summary = Summary::default();
        (1..=25).for_each(|number| summary.failed(number, &"x".repeat(500), "exit code 1".into(), b"\xff"));
        let text = summary.text(30).unwrap();
        assert_eq!(text.lines().count(), 1 + 2 * TOLD + 1);
        assert!(text.ends_with("  and 15 more\n") && text.lines().all(|line| line.chars().count() < 160), "{text}");
        assert_eq!(summary.count(), 25);
    }
}

//! Commands and what became of them, as scripts see them. Both are values, not handles: they never change, so they may
//! cross to other tasks as they are, and to other processes in parts (`parts`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Array, Blob, Dynamic, ImmutableString, Map, NativeCallContext};

use super::throw::{IntoThrown, Outcome, Problem, Thrown, throw};
use crate::command::completed::{Captured, Completed as Done, End, StageEnd};
use crate::command::fault::CommandFault;
use crate::command::quote::shortened;
use crate::command::signal::signal_name;
use crate::command::spec::Spec;
use crate::command::stream::Which;

/// How many lines, and how many bytes, of the standard error an error quotes.
const QUOTED_LINES: usize = 5;
const QUOTED_BYTES: usize = 2_000;

/// How much of a command line an error shows.
const LONGEST: usize = 120;

/// A command that is not running.
#[derive(Clone, Debug, PartialEq)]
pub struct Command(pub Arc<Spec>);

impl Command {
    /// A command that `change` makes of this one.
    pub fn with(&self, change: impl FnOnce(&mut Spec)) -> Command {
        let mut spec = (*self.0).clone();
        change(&mut spec);
        Command(Arc::new(spec))
    }
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct Completed(pub Arc<Done>);

/// Output as text; the bytes only where they are something else.
struct Text {
    text: ImmutableString,
    bytes: Option<Blob>,
}

impl Text {
    fn of(bytes: Vec<u8>) -> Text {
        match String::from_utf8(bytes) {
            Ok(text) => Text { text: text.into(), bytes: None },
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned().into();
                Text { text, bytes: Some(error.into_bytes()) }
            }
        }
    }
}

fn text_of(captured: &Captured) -> io::Result<Arc<Text>> {
    captured.rendition(Text::of)
}

impl Completed {
    /// What it wrote there, as text; what is not UTF-8 shows as U+FFFD.
    ///
    /// # Errors
    /// `IoError` when captured output cannot be read back.
    pub fn text(&self, ctx: &NativeCallContext, which: Which) -> Outcome<ImmutableString> {
        text_of(self.0.captured(which)).map(|text| text.text.clone()).or_else(|error| unreadable(ctx, &error))
    }

    /// The bytes it wrote there.
    ///
    /// # Errors
    /// As [`Completed::text`].
    pub fn bytes(&self, ctx: &NativeCallContext, which: Which) -> Outcome<Blob> {
        self.written(which).or_else(|error| unreadable(ctx, &error))
    }

    /// The same where no script asks for it.
    ///
    /// # Errors
    /// When captured output cannot be read back.
    pub fn written(&self, which: Which) -> io::Result<Blob> {
        let text = text_of(self.0.captured(which))?;
        Ok(text.bytes.clone().unwrap_or_else(|| text.text.as_bytes().to_vec()))
    }

    /// The exit code of the stage that decides; negative for a signal.
    pub fn code(&self) -> i64 {
        i64::from(self.0.decisive().end.code())
    }

    /// The name of the signal that ended the stage that decides; `()` when none did.
    pub fn signal(&self) -> Dynamic {
        signal_of(self.0.decisive().end)
    }

    /// Its stages, each as a map.
    pub fn stages(&self) -> Array {
        self.0.stages.iter().map(stage_map).collect()
    }

    /// The note, or `()`.
    pub fn note(&self) -> Dynamic {
        self.0.note.as_ref().map_or(Dynamic::UNIT, |note| note.as_str().into())
    }

    /// The result itself where it is no failure.
    ///
    /// # Errors
    /// `TimeoutError` when its time was up; `CommandError` when it failed and that was not to be ignored.
    pub fn judged(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Outcome<Completed> {
        if self.0.timed_out {
            let limit = limit.map_or_else(String::new, |limit| format!(" than {} s", limit.as_secs_f64()));
            let what = format!("`{}` took longer{limit} and was ended", shortened(&self.0.command, LONGEST));
            return Err(self.problem(ctx, "TimeoutError", what)?);
        }
        if !self.0.is_failure() {
            return Ok(self);
        }
        let stage = self.0.decisive();
        let mut what = format!("`{}` {}", shortened(&stage.command, LONGEST), how_it_failed(stage));
        if self.0.stages.len() > 1 {
            what.push_str(&format!(" in `{}`", shortened(&self.0.command, LONGEST)));
        }
        Err(self.problem(ctx, "CommandError", what)?)
    }

    /// An error with all there is to know; `message` begins what it says.
    ///
    /// # Errors
    /// As [`Completed::text`].
    pub fn problem(&self, ctx: &NativeCallContext, kind: &str, mut message: String) -> Outcome<Thrown> {
        let stage = self.0.decisive();
        let said = self.text(ctx, Which::Stderr)?;
        let from = said.len().saturating_sub(QUOTED_BYTES);
        let tail = said.char_indices().find(|(at, _)| *at >= from).map_or("", |(at, _)| &said[at..]);
        let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
        let quoted = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        if !quoted.is_empty() {
            message.push_str(&format!("; it said:\n  {}", quoted.join("\n  ")));
        }
        if let Some(note) = &self.0.note {
            message.push_str(&format!("\n  note: {note}"));
        }
        Ok(Problem::new(ctx, kind, message)
            .with("code", self.code())
            .with("signal", self.signal())
            .with("stdout", self.text(ctx, Which::Stdout)?)
            .with("stderr", said.clone())
            .with("stdout_bytes", Dynamic::from_blob(self.bytes(ctx, Which::Stdout)?))
            .with("stderr_bytes", Dynamic::from_blob(self.bytes(ctx, Which::Stderr)?))
            .with("ok", false)
            .with("seconds", self.0.seconds)
            .with("pid", i64::from(stage.pid))
            .with("command", self.0.command.clone())
            .with("stages", self.stages())
            .with("note", self.note())
            .thrown())
    }
}

fn unreadable<T>(ctx: &NativeCallContext, error: &io::Error) -> Outcome<T> {
    throw(ctx, "IoError", format!("cannot read captured output back: {error}"))
}

fn signal_of(end: End) -> Dynamic {
    match end {
        End::Code(_) => Dynamic::UNIT,
        End::Signal(number) => signal_name(number).into(),
    }
}

/// `failed with exit code 2`, `was killed by KILL`.
pub fn how_it_failed(stage: &StageEnd) -> String {
    match stage.end {
        End::Code(code) => format!("failed with exit code {code}"),
        End::Signal(number) => format!("was killed by {}", signal_name(number)),
    }
}

fn stage_map(stage: &StageEnd) -> Dynamic {
    Map::from([
        ("command".into(), stage.command.clone().into()),
        ("pid".into(), i64::from(stage.pid).into()),
        ("code".into(), i64::from(stage.end.code()).into()),
        ("signal".into(), signal_of(stage.end)),
        ("ok".into(), stage.end.ok().into()),
        ("unchecked".into(), stage.unchecked.into()),
        ("seconds".into(), stage.seconds.into()),
    ])
    .into()
}

impl IntoThrown for CommandFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let not_found =
            |error: &io::Error| if error.kind() == io::ErrorKind::NotFound { "NotFound" } else { "IoError" };
        let message = self.to_string();
        match self {
            CommandFault::Stopped(stop) => return stop.into_thrown(ctx, limit),
            CommandFault::NotFound { program, searched } => {
                let hint = match program.contains(char::is_whitespace) {
                    true => "; give the arguments one by one, or use sh() for a line of shell",
                    false => "",
                };
                let searched = searched.map_or(Dynamic::UNIT, Into::into);
                let problem = Problem::new(ctx, "NotFound", format!("{message}{hint}"));
                problem.with("program", program).with("path", searched)
            }
            CommandFault::NotExecutable { program, .. } => {
                Problem::new(ctx, "IoError", message).with("program", program.clone()).with("path", program)
            }
            CommandFault::BadFolder { dir, error } => Problem::new(ctx, not_found(&error), message).with("path", dir),
            CommandFault::File { path, error } => Problem::new(ctx, not_found(&error), message).with("path", path),
            CommandFault::Invalid(_) => Problem::new(ctx, "ValueError", message),
            CommandFault::System { .. } => Problem::new(ctx, "IoError", message),
            CommandFault::InputClosed(_) => Problem::new(ctx, "Closed", message),
        }
        .thrown()
    }
}

//! `run_all`: what a script says about many commands, for the engine that runs them.

use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Array, Dynamic, EvalAltResult, Map, NativeCallContext};

use super::api::command::word;
use super::arguments::{Options, list, type_for_people, wrong_type};
use super::command::{Command, Completed};
use super::function::Callable;
use super::host::{Host, host, mark};
use super::progress::Progress;
use super::throw::{IntoThrown, Outcome, Problem, Thrown, throw};
use crate::command::batch::admission::{Limits, parse_bytes};
use crate::command::batch::arrange::{Order, Sink};
use crate::command::batch::combine::{Combinations, List};
use crate::command::batch::halt::{Enough, Policy, When};
use crate::command::batch::job::Job;
use crate::command::batch::joblog::LogFault;
use crate::command::batch::retry::Retries;
use crate::command::batch::run;
use crate::command::batch::settings::{BatchFault, Report, Settings};
use crate::command::batch::summary;
use crate::command::batch::template::Template;
use crate::command::completed::Completed as Done;
use crate::command::spec::Spec;
use crate::command::stream::Which;

/// What a call of `run_all` wants.
pub struct Batch {
    jobs: Vec<Job>,
    settings: Settings,
    check: bool,
    dry_run: bool,
    progress: Progress,
    on_done: Option<Callable>,
}

impl Batch {
    /// From the arguments of a call: commands, or a template and its lists; then options.
    ///
    /// # Errors
    /// `TypeError`, `ValueError`.
    pub fn new(ctx: &NativeCallContext, mut args: Vec<Dynamic>) -> Outcome<Batch> {
        let options = match args.last().map(Dynamic::flatten_clone).and_then(|last| last.try_cast::<Map>()) {
            Some(options) if args.len() > 1 => {
                args.pop();
                options
            }
            _ => Map::new(),
        };
        let mut args = args.into_iter();
        let first = args.next().map(Dynamic::flatten).unwrap_or_default();
        let jobs = match (first.clone().into_immutable_string(), args.len()) {
            (Ok(template), _) => filled(ctx, &template, args)?,
            (Err(_), 0) => commands(ctx, first)?,
            (Err(given), _) => {
                let message = wrong_type(ctx, "the first of several arguments", "a template (a string)", given);
                return throw(ctx, "TypeError", message);
            }
        };
        Batch::with_options(ctx, jobs, Options::new(options))
    }

    fn with_options(ctx: &NativeCallContext, jobs: Vec<Job>, mut options: Options) -> Outcome<Batch> {
        let path = |text: Option<String>| text.map(PathBuf::from);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = options.count(ctx, "jobs", 0)?.unwrap_or(processors);
        let settings = Settings {
            at_once: if at_once == 0 { usize::MAX } else { at_once },
            order: order(ctx, &mut options)?,
            tagged: options.flag(ctx, "tag")?.unwrap_or(false),
            retries: Retries {
                more: options.count(ctx, "retries", 0)?.unwrap_or(0),
                delay: options.seconds(ctx, "retry_delay")?.unwrap_or_default(),
            },
            timeout: options.seconds(ctx, "timeout")?,
            halt: halt(ctx, &mut options)?,
            joblog: path(options.text(ctx, "joblog")?),
            resume: options.flag(ctx, "resume")?.unwrap_or(false),
            results: path(options.text(ctx, "results")?),
            limits: Limits { load: load(ctx, &mut options)?, memfree: memfree(ctx, &mut options)? },
            keeps: true,
        };
        let check = options.flag(ctx, "check")?.unwrap_or(false);
        let dry_run = options.flag(ctx, "dry_run")?.unwrap_or(false);
        let on_done = options.take("on_done").filter(|f| !f.is_unit());
        let on_done = on_done.map(|f| Callable::here(ctx, "option on_done", f)).transpose()?;
        let progress = Progress::from_options(ctx, &mut options, Some(jobs.len()))?;
        options.finish(ctx)?;
        if settings.resume && settings.joblog.is_none() {
            return throw(ctx, "ValueError", "run_all(): option resume needs a joblog");
        }
        Ok(Batch { jobs, settings, check, dry_run, progress, on_done })
    }

    /// Runs all of it.
    ///
    /// # Errors
    /// Those of the job log, of the folder for results, of `on_done`; with `check`, `CommandError` when a job failed.
    pub fn run(mut self, ctx: &NativeCallContext) -> Outcome<Array> {
        mark(ctx);
        let host = host();
        if self.dry_run {
            return self.show(ctx, &host);
        }
        let thrown: RefCell<Option<Thrown>> = RefCell::default();
        let mut over = |_, done: &Arc<Done>| {
            self.progress.advance();
            let told = self.on_done.as_ref().map(|f| f.call([Dynamic::from(Completed(done.clone()))]));
            match told {
                Some(Err(error)) => {
                    thrown.replace(Some(error));
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        };
        let outcome = run::run(&self.jobs, &self.settings, Passed(host.clone()), &mut over);
        if let Some(error) = thrown.take() {
            return Err(error);
        }
        let report = outcome.map_err(|fault| fault.into_thrown(ctx, self.settings.timeout))?;
        self.judge(ctx, &host, &report)?;
        let result = |done: Option<Arc<Done>>| done.map_or(Dynamic::UNIT, |done| Dynamic::from(Completed(done)));
        Ok(report.results.into_iter().map(result).collect())
    }

    /// Says, or throws, what failed.
    fn judge(&self, ctx: &NativeCallContext, host: &Host, report: &Report) -> Outcome<()> {
        let Some(text) = report.summary.text(self.jobs.len() - report.skipped) else {
            return Ok(());
        };
        let failure = |done: &&Arc<Done>| done.timed_out || done.is_failure();
        match report.results.iter().flatten().find(failure) {
            Some(first) if self.check => {
                let how = summary::how(first, None);
                let problem = Completed(first.clone()).problem(ctx, "CommandError", how)?;
                Err(with_message(problem, text.trim_end()))
            }
            _ => {
                if self.settings.order.is_some() {
                    host.say(&text);
                }
                Ok(())
            }
        }
    }

    fn show(&self, ctx: &NativeCallContext, host: &Host) -> Outcome<Array> {
        let jobs = run::would_run(&self.jobs, &self.settings).map_err(|fault| fault.into_thrown(ctx, None))?;
        let tag = |job: &Job| if self.settings.tagged { format!("{}\t", job.tag) } else { String::new() };
        let lines: String = jobs.iter().map(|job| format!("{}{}\n", tag(job), job.text())).collect();
        host.say(&lines);
        Ok(vec![Dynamic::UNIT; self.jobs.len()])
    }
}

/// Outputs of jobs go where the script prints.
struct Passed(Arc<Host>);

impl Sink for Passed {
    fn put(&mut self, which: Which, bytes: &[u8]) -> io::Result<()> {
        self.0.pass_on(which, bytes)
    }
}

fn with_message(mut thrown: Thrown, message: &str) -> Thrown {
    if let EvalAltResult::ErrorRuntime(value, _) = &mut *thrown
        && let Some(mut map) = value.write_lock::<Map>()
    {
        map.insert("message".into(), message.into());
    }
    thrown
}

/// A template with all combinations of its lists.
fn filled(ctx: &NativeCallContext, template: &str, lists: impl Iterator<Item = Dynamic>) -> Outcome<Vec<Job>> {
    let template = match Template::parse(template) {
        Ok(template) => Arc::new(template),
        Err(bad) => return throw(ctx, "ValueError", format!("run_all(): {bad}")),
    };
    let mut all = Vec::new();
    for (i, value) in lists.enumerate() {
        let items = list(ctx, &format!("list {}", i + 1), value)?;
        all.push(List::new(items.iter().map(|item| word(ctx, item)).collect::<Outcome<_>>()?));
    }
    if all.is_empty() {
        return throw(ctx, "TypeError", "run_all(): a template needs a list of arguments");
    }
    if let Err(bad) = template.must_fit(all.len()) {
        return throw(ctx, "ValueError", format!("run_all(): {bad}"));
    }
    let arguments = Combinations::new(&all).map(|job| job.into_iter().map(str::to_string).collect());
    Ok(arguments.zip(1..).map(|(arguments, number)| Job::of_template(&template, arguments, number)).collect())
}

/// Commands as they are; a text is a line for the shell.
fn commands(ctx: &NativeCallContext, value: Dynamic) -> Outcome<Vec<Job>> {
    let job = |value: Dynamic| {
        let value = value.flatten();
        if let Some(command) = value.clone().try_cast::<Command>() {
            return Ok(Job::of_command(command.0));
        }
        match value.clone().into_immutable_string() {
            Ok(text) => Ok(Job::of_command(Arc::new(Spec::shell(text.into())))),
            Err(_) => {
                let given = type_for_people(value.type_name());
                throw(ctx, "TypeError", format!("run_all(): each command must be a Command or a string, not {given}"))
            }
        }
    };
    list(ctx, "commands", value)?.into_iter().map(job).collect()
}

fn order(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Option<Order>> {
    match options.text(ctx, "order")?.as_deref() {
        None | Some("group") => Ok(Some(Order::Group)),
        Some("line") => Ok(Some(Order::Line)),
        Some("input") => Ok(Some(Order::Input)),
        Some("none") => Ok(None),
        Some(other) => {
            let message = format!("run_all(): option order must be group, line, input or none, not {other:?}");
            throw(ctx, "ValueError", message)
        }
    }
}

fn halt(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Policy> {
    let text = options.text(ctx, "halt")?;
    let after = options.count(ctx, "halt_after", 1)?;
    let policy = match text.as_deref().map(Policy::parse) {
        None if after.is_some() => Policy::after_failures(When::Soon, 1),
        None => Policy::default(),
        Some(Some(policy)) => policy,
        Some(None) => {
            let given = text.unwrap_or_default();
            let message = format!("run_all(): option halt must be never, soon or now, not {given:?}");
            return throw(ctx, "ValueError", message);
        }
    };
    Ok(Policy { enough: after.map_or(policy.enough, Enough::Count), ..policy })
}

fn load(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Option<f64>> {
    let Some(value) = options.take("load").filter(|value| !value.is_unit()) else {
        return Ok(None);
    };
    // Loads are small.
    match value.as_float().or_else(|_| value.as_int().map(|load| load as f64)) {
        Ok(load) if load.is_finite() && load >= 0.0 => Ok(Some(load)),
        Ok(load) => throw(ctx, "ValueError", format!("run_all(): option load must be 0 or more, not {load}")),
        Err(given) => throw(ctx, "TypeError", wrong_type(ctx, "option load", "a number", given)),
    }
}

fn memfree(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Option<u64>> {
    let Some(value) = options.take("memfree").filter(|value| !value.is_unit()) else {
        return Ok(None);
    };
    let bytes = match (value.as_int(), value.clone().into_immutable_string()) {
        (Ok(bytes), _) => u64::try_from(bytes).ok(),
        (_, Ok(text)) => parse_bytes(&text),
        (_, Err(given)) => {
            return throw(
                ctx,
                "TypeError",
                wrong_type(ctx, "option memfree", "a number of bytes, or as \"2G\"", given),
            );
        }
    };
    match bytes {
        Some(bytes) => Ok(Some(bytes)),
        None => throw(
            ctx,
            "ValueError",
            format!("run_all(): option memfree is a number of bytes, or as \"2G\", not {value}"),
        ),
    }
}

fn of_file(ctx: &NativeCallContext, path: &std::path::Path, error: &io::Error, message: String) -> Thrown {
    let kind = if error.kind() == io::ErrorKind::NotFound { "NotFound" } else { "IoError" };
    Problem::new(ctx, kind, message).with("path", path.display().to_string()).thrown()
}

impl IntoThrown for LogFault {
    fn into_thrown(self, ctx: &NativeCallContext, _limit: Option<Duration>) -> Thrown {
        of_file(ctx, &self.path, &self.error, self.to_string())
    }
}

impl IntoThrown for BatchFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let message = self.to_string();
        match self {
            BatchFault::Log(fault) => fault.into_thrown(ctx, limit),
            BatchFault::Results(fault) => of_file(ctx, &fault.path, &fault.error, message),
            BatchFault::Output(_) => Problem::new(ctx, "IoError", message).thrown(),
            BatchFault::Command(fault) => fault.into_thrown(ctx, limit),
            BatchFault::Stopped(stop) => stop.into_thrown(ctx, limit),
            BatchFault::GivenUp => Problem::new(ctx, "Cancelled", message).thrown(),
        }
    }
}

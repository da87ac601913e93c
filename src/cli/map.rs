//! `orch map`.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::doc::write_out;
use super::map_args::{MapOptions, Origin, Source};
use super::run::clear_up;
use super::terminal::Terminal;
use crate::command::batch::arrange::{Order, Sink};
use crate::command::batch::combine::{Combinations, List};
use crate::command::batch::job::Job;
use crate::command::batch::retry::Retries;
use crate::command::batch::run;
use crate::command::batch::settings::{BatchFault, Settings};
use crate::command::batch::template::Template;
use crate::command::signal::signal_name;
use crate::command::stream::Which;
use crate::kernel::{Kernel, Role, Setup, Stop};
use crate::observe::dump;
use crate::script::Output;
use crate::signals::Rules;

/// The exit status for what is no failure of a job, as GNU parallel has it.
const OTHER_ERROR: i32 = 255;

/// Runs the command for all arguments.
pub fn run(options: &MapOptions) -> i32 {
    let jobs = match jobs(options) {
        Ok(jobs) => jobs,
        Err(message) => {
            eprintln!("error: {message}");
            return OTHER_ERROR;
        }
    };
    let settings = settings(options);
    if options.dry_run {
        return dry_run(&jobs, &settings);
    }
    let kernel = Kernel::new(Setup::Real);
    let terminal = Arc::new(Terminal::default());
    let speaker = terminal.clone();
    let rules = Rules::new(&kernel);
    let (dumped, shown) = (Arc::downgrade(&kernel), terminal.clone());
    let main = kernel.new_task("main", Role::Main, false);
    let (running, bar) = (kernel.clone(), options.bar);
    let show = move || _ = dumped.upgrade().map(|kernel| shown.say(&dump::text(&kernel)));
    let started = rules
        .listen(show)
        .and_then(|()| kernel.start(&main, move || running.request_exit(run_all(&jobs, &settings, &terminal, bar))));
    if let Err(error) = started {
        eprintln!("error: cannot start: {error}");
        return OTHER_ERROR;
    }
    let status = kernel.wait_exit(None).unwrap_or(OTHER_ERROR);
    clear_up(&kernel, |note| speaker.say(note));
    status
}

struct Passed(Arc<Terminal>);

impl Sink for Passed {
    fn put(&mut self, which: Which, bytes: &[u8]) -> io::Result<()> {
        self.0.pass_on(which, bytes)
    }
}

fn run_all(jobs: &[Job], settings: &Settings, terminal: &Arc<Terminal>, bar: bool) -> i32 {
    let mut bar = if bar { terminal.bar("jobs", Some(jobs.len())) } else { None };
    let mut advance = |_, _: &_| {
        bar.iter_mut().for_each(|bar| bar.advance());
        ControlFlow::Continue(())
    };
    let outcome = run::run(jobs, settings, Passed(terminal.clone()), &mut advance);
    drop(bar);
    match outcome {
        Ok(report) => {
            if let Some(text) = report.summary.text(jobs.len() - report.skipped) {
                terminal.say(&text);
            }
            report.status
        }
        Err(BatchFault::Stopped(Stop::Interrupted(signal))) => {
            let signal = i32::try_from(signal).unwrap_or(0);
            terminal.say(&format!("error: interrupted by {}\n", signal_name(signal)));
            128 + signal
        }
        // Whoever read it has had enough, as with any program that writes into a pipe.
        Err(BatchFault::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 128 + libc::SIGPIPE,
        Err(fault) => {
            terminal.say(&format!("error: {fault}\n"));
            OTHER_ERROR
        }
    }
}

fn settings(options: &MapOptions) -> Settings {
    let order = match options {
        MapOptions { keep_order: true, .. } => Order::Input,
        MapOptions { line_buffer: true, .. } => Order::Line,
        // Mixed outputs with tags would be nothing: who wrote what has to be seen.
        MapOptions { ungroup: true, tag: false, .. } => Order::Mixed,
        MapOptions { ungroup: true, .. } => Order::Line,
        _ => Order::Group,
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let more = usize::try_from(options.retries.saturating_sub(1)).unwrap_or(usize::MAX);
    Settings {
        at_once: options.jobs.on(processors),
        order: Some(order),
        tagged: options.tag,
        retries: Retries { more, delay: options.retry_delay },
        timeout: options.timeout,
        halt: options.policy(),
        joblog: options.joblog.clone(),
        resume: options.resume,
        results: options.results.clone(),
        limits: options.limits(),
        keeps: false,
    }
}

/// The commands go to the standard output, from where a shell could take them.
fn dry_run(jobs: &[Job], settings: &Settings) -> i32 {
    match run::would_run(jobs, settings) {
        Ok(jobs) => {
            let tag = |job: &Job| if settings.tagged { format!("{}\t", job.tag) } else { String::new() };
            let lines: String = jobs.iter().map(|job| format!("{}{}\n", tag(job), job.text())).collect();
            write_out(&lines)
        }
        Err(fault) => {
            eprintln!("error: {fault}");
            OTHER_ERROR
        }
    }
}

fn jobs(options: &MapOptions) -> Result<Vec<Job>, String> {
    let template = Arc::new(Template::parse(&options.command()).map_err(|bad| bad.to_string())?);
    let mut lists = options.sources().iter().map(|source| list(source, options)).collect::<Result<Vec<_>, _>>()?;
    if options.no_run_if_empty {
        lists.iter_mut().for_each(|list| list.items.retain(|item| !item.trim().is_empty()));
    }
    let most = options.max_args.map_or(lists.len(), |most| usize::try_from(most).unwrap_or(usize::MAX));
    template.must_fit(most).map_err(|bad| bad.to_string())?;
    let arguments: Vec<Vec<String>> = match (options.max_args, lists.as_mut_slice()) {
        (Some(_), [list]) => list.items.chunks(most).map(<[String]>::to_vec).collect(),
        (Some(_), _) => return Err("-n takes one list of arguments, and here are several".into()),
        (None, [list]) => std::mem::take(&mut list.items).into_iter().map(|item| vec![item]).collect(),
        (None, lists) => Combinations::new(lists).map(|job| job.into_iter().map(str::to_string).collect()).collect(),
    };
    let numbered = arguments.into_iter().zip(1..);
    Ok(numbered.map(|(arguments, number)| Job::of_template(&template, arguments, number)).collect())
}

fn list(source: &Source, options: &MapOptions) -> Result<List, String> {
    let items = match &source.from {
        Origin::Words(words) => words.clone(),
        Origin::File(path) => read(path, if options.null { 0 } else { b'\n' })?,
    };
    Ok(List { items, linked: source.linked })
}

/// The lines of a file, or what a NUL ends.
fn read(path: &Path, end: u8) -> Result<Vec<String>, String> {
    let mut bytes = Vec::new();
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "the standard input".to_string() } else { path.display().to_string() };
    if is_stdin && io::stdin().is_terminal() {
        eprintln!("orch map: the arguments are read from the terminal; Ctrl-D ends them");
    }
    let outcome = if is_stdin {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    outcome.map_err(|error| format!("cannot read {name}: {error}"))?;
    if bytes.last() == Some(&end) {
        bytes.pop();
    } else if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let lines = bytes.split(|byte| *byte == end).zip(1..);
    let text = |(line, number): (&[u8], usize)| match std::str::from_utf8(line) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(format!("argument {number} of {name} is not valid UTF-8: {}", String::from_utf8_lossy(line))),
    };
    lines.map(text).collect()
}

//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use super::map_args::MapOptions;
use clap::{Args, CommandFactory, Parser, Subcommand};

const EXAMPLES: &str = "Examples:
  orch run scripts/traffic_light.rhai        run a script
  orch run --sim --seed 7 script.rhai        simulated time, repeatable to the byte
  orch run --until 45 script.rhai            end it after 45 seconds
  orch repl                                  type one line after the other
  orch run --trace t.json script.rhai        write what happens, for Perfetto
  orch eval '(1..4).map(|n| n * n)'          run a line and print its value
  orch map -j8 gzip {} ::: *.log              run a command for each of many arguments
  orch dump PID; orch top PID                what a running orch does, once or live
  orch doc Queue                             look something up
  orch doc --definitions defs                definitions for editors

Exit status: 0; 1 the script failed; 2 wrong command line or no such script; 3 deadlock;
128+n ended by signal n; or what the script's exit(n) said.";

/// Runs scripts that orchestrate threads, processes and external commands.
#[derive(Parser)]
#[command(name = "orch", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run a script; all that follows SCRIPT belongs to the script
    #[command(after_help = "A script whose first line is `#!/usr/bin/env -S orch run` can be started by its name.")]
    Run(RunOptions),
    /// Run a line and print its value
    Eval(EvalOptions),
    /// Type one line after the other; each is run, and its value shown
    #[command(after_help = REPL_HELP)]
    Repl(ReplOptions),
    /// Run a command for each of many arguments, several at once
    Map(Box<MapOptions>),
    /// What a running orch does, asked from another terminal
    Dump(DumpOptions),
    /// A live view of a running orch: q quits, k ends a process after asking
    Top(TopOptions),
    /// The reference, or one entry of it with its examples
    Doc(DocOptions),
    /// The manual page, as troff: `orch man | man -l -`, or into a file `orch.1`
    Man,
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of `orch run`.
#[derive(Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub world: WorldOptions,
    /// End the run after so many seconds (simulated ones under --sim), orderly, with status 0
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub until: Option<f64>,
    #[command(flatten)]
    pub see: SeeOptions,
    /// Look in this folder, too, for modules that a script imports; before those of ORCH_PATH
    #[arg(long, value_name = "DIR")]
    pub path: Vec<PathBuf>,
    /// The script; `-` reads it from the standard input
    pub script: PathBuf,
    /// The script's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// What is written down of a run.
#[derive(Args)]
pub struct SeeOptions {
    /// Write what happens, for https://ui.perfetto.dev or chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write a page that shows what happened: timeline, waits, contended locks, slow commands
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Print a short table at the end, on the standard error
    #[arg(long)]
    pub stats: bool,
}

/// Options of `orch dump`.
#[derive(Args)]
pub struct DumpOptions {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// The process of the orch to ask
    pub pid: u32,
}

/// Options of `orch top`.
#[derive(Args)]
pub struct TopOptions {
    /// Look again after so many seconds
    #[arg(long, value_name = "SECS", value_parser = seconds, default_value = "1")]
    pub every: f64,
    /// The process of the orch to watch
    pub pid: u32,
}

/// The world to run in.
#[derive(Args)]
pub struct WorldOptions {
    /// Simulated time and a repeatable schedule
    #[arg(long)]
    pub sim: bool,
    /// Which schedule, and which chance, under --sim
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sim")]
    pub seed: u64,
}

/// Options of `orch eval`.
#[derive(Args)]
pub struct EvalOptions {
    #[command(flatten)]
    pub world: WorldOptions,
    /// The code
    pub code: String,
}

const REPL_HELP: &str = "`help` at the prompt says the rest.

Environment: ORCH_HISTORY, the file in which what was typed is kept (empty: none); NO_COLOR.

Exit status: 0, or what exit(n) said; 128+n ended by signal n. Where the input is no terminal, also 1 when an entry
failed and 3 when one met a deadlock.";

/// Options of `orch repl`.
#[derive(Args)]
pub struct ReplOptions {
    #[command(flatten)]
    pub world: WorldOptions,
}

/// Options of `orch doc`.
#[derive(Args)]
pub struct DocOptions {
    /// What to look up: `acquire`, `Lock.acquire`, `Lock`
    pub name: Option<String>,
    /// Write definitions for editors (`.d.rhai`) into this folder
    #[arg(long, value_name = "DIR")]
    pub definitions: Option<PathBuf>,
}

fn seconds(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("a number of seconds, 0 or more".to_string()),
    }
}

/// A command line that was understood.
pub struct Parsed {
    /// What to do.
    pub command: Command,
    /// What belongs to the script.
    pub script_args: Vec<String>,
}

/// Something to show instead of running.
pub enum Message {
    /// From clap: help, version, mistakes.
    Clap(clap::Error),
    /// A mistake of ours to explain.
    Usage(String),
}

impl Message {
    /// Shows it; returns the exit status.
    pub fn show(self) -> i32 {
        match self {
            Message::Clap(error) => {
                // When nobody reads it there is nobody to tell.
                let _unread = error.print();
                error.exit_code()
            }
            Message::Usage(text) => {
                eprintln!("error: {text}");
                2
            }
        }
    }
}

/// Understands a command line.
///
/// # Errors
/// What to show instead.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Parsed, Message> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    // All behind the script is the script's, as typed; clap would look at it.
    let script_args = match script_position(&words) {
        Some(at) => words.split_off(at + 1),
        None => Vec::new(),
    };
    let script_args = script_args
        .into_iter()
        .enumerate()
        .map(|(i, word)| {
            let number = i + 1;
            word.into_string().map_err(|word| {
                Message::Usage(format!("argument {number} of the script is not valid UTF-8: {}", word.display()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let cli = Cli::try_parse_from(words).map_err(Message::Clap)?;
    Ok(Parsed { command: cli.command, script_args })
}

/// Where SCRIPT stands in `orch run [OPTIONS] SCRIPT …`.
fn script_position(words: &[OsString]) -> Option<usize> {
    if words.get(1)? != "run" {
        return None;
    }
    let command = Cli::command();
    let run = command.find_subcommand("run")?;
    let takes_value = |word: &str| {
        let known = run.get_arguments().find(|a| a.get_long().is_some_and(|long| word == format!("--{long}")));
        known.is_some_and(|a| a.get_action().takes_values())
    };
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let text = word.to_string_lossy();
        if text == "--" {
            return Some(at + 1).filter(|at| *at < words.len());
        }
        if text == "-" || !text.starts_with('-') {
            return Some(at);
        }
        at += if takes_value(&text) { 2 } else { 1 };
    }
    None
}

/// The manual page: orch, then each of its commands.
pub fn manual() -> String {
    let mut command = Cli::command();
    command.build();
    let mut page = rendered(|text| clap_mangen::Man::new(command.clone()).render(text));
    for part in command.get_subcommands().filter(|part| part.get_name() != "help") {
        let man = clap_mangen::Man::new(part.clone());
        let sections = rendered(|text| {
            man.render_synopsis_section(text)?;
            man.render_description_section(text)?;
            man.render_options_section(text)?;
            man.render_extra_section(text)
        });
        page.push_str(&format!(".SH ORCH {}\n", part.get_name().to_uppercase()));
        page.push_str(&sections.replace(".SH ", ".SS "));
    }
    page
}

fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    // Memory takes all that is written.
    let _written = render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "orch", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

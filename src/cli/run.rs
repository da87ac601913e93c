//! `orch run` and `orch eval`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{EvalOptions, RunOptions, WorldOptions};
use super::leaving::still_there;
use super::see::Files;
use super::terminal::Terminal;
use crate::command::running::end_everything;
use crate::io::temporary;
use crate::kernel::lull::wait_for_others;
use crate::kernel::{Kernel, Role, Setup, Stop, sleep};
use crate::observe::dump;
use crate::script::{Host, Origin, run};
use crate::worker::address::remove_files;
use crate::worker::fork_server;

/// How long threads may take to leave their blocks when `--until` ends the run, and commands to end.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a script from a file or the standard input.
pub fn file(options: &RunOptions, args: Vec<String>) -> i32 {
    let name = options.script.display().to_string();
    match read(&options.script) {
        Ok(text) => match Files::open(&options.see) {
            Ok(files) => {
                let origin = origin(Some(&options.script), &options.path);
                let manner = Manner { until: options.until, show: false, files, origin };
                program(&options.world, run::Script { name, text }, args, manner)
            }
            Err(message) => {
                eprintln!("error: {message}");
                2
            }
        },
        Err(message) => {
            eprintln!("error: {message}");
            2
        }
    }
}

/// Runs a line and prints its value.
pub fn code(options: &EvalOptions) -> i32 {
    let script = run::Script { name: "<eval>".into(), text: options.code.clone() };
    let manner = Manner { until: None, show: true, files: Files::default(), origin: origin(None, &[]) };
    program(&options.world, script, Vec::new(), manner)
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no script {}", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    })?;
    // Some editors begin a file with a mark that is no part of the text.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        format!("{} is not valid UTF-8 (line {line})", path.display())
    })
}

/// Where the program comes from, wherever it goes from here. Modules are looked for in the folders of `first`, then in those
/// that ORCH_PATH lists.
pub(super) fn origin(script: Option<&Path>, first: &[PathBuf]) -> Origin {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string();
    let listed = std::env::var_os("ORCH_PATH").unwrap_or_default();
    let folders = first.iter().cloned().chain(std::env::split_paths(&listed));
    Origin {
        script: script.filter(|script| *script != Path::new("-")).map(full),
        // Where it cannot be told, paths go from wherever we are.
        folder: std::env::current_dir().unwrap_or_default().display().to_string(),
        path: folders.filter(|folder| !folder.as_os_str().is_empty()).map(|folder| full(&folder)).collect(),
    }
}

/// How a script is run beside what it says itself.
struct Manner {
    until: Option<f64>,
    /// Its value is printed.
    show: bool,
    files: Files,
    origin: Origin,
}

fn program(world: &WorldOptions, script: run::Script, args: Vec<String>, manner: Manner) -> i32 {
    let Manner { until, show, files, origin } = manner;
    let setup = if world.sim { Setup::Sim { seed: world.seed } } else { Setup::Real };
    let kernel = Kernel::new(setup);
    let host = Host::new(kernel.clone(), Box::new(Terminal::default()), args);
    host.comes_from(origin);
    let said = Arc::downgrade(&host);
    let say = move |note: &str| said.upgrade().into_iter().for_each(|host| host.say(note));
    let seeing = match files.start(&kernel, &script.name, say) {
        Ok(seeing) => seeing,
        Err(error) => {
            host.say(&format!("error: cannot start: {error}\n"));
            return 1;
        }
    };
    let clock = kernel.clone();
    let started = run::parse(&host, &script).and_then(|ast| {
        watch_signals(&host)
            .and_then(|()| run::start(&host, ast, show, move || end_after(&clock, until)))
            .map_err(|error| format!("error: cannot start: {error}\n"))
    });
    if let Err(report) = started {
        host.say(&report);
        seeing.finish(&kernel);
        return 1;
    }
    let status = seeing.until_over(&kernel);
    host.show_status("");
    clear_up(&kernel, |note| host.say(note));
    seeing.finish(&kernel);
    status
}

/// What the program started ends with it. Whoever asked twice does not want to wait.
pub fn clear_up(kernel: &Kernel, say: impl Fn(&str)) {
    remove_files();
    fork_server::dismiss();
    for left in end_everything(GRACE, || kernel.is_urgent(), |left| say(&still_there(left))) {
        say(&format!("note: process {} ({}) belongs to somebody else and was left\n", left.pid, left.name));
    }
    // What was started may have used them until now.
    temporary::remove_all();
}

pub(super) fn watch_signals(host: &Arc<Host>) -> std::io::Result<()> {
    let shown = Arc::downgrade(host);
    host.signals().listen(move || {
        if let Some(host) = shown.upgrade() {
            host.say(&dump::text(host.kernel()));
        }
    })
}

/// `--until`: first the threads leave their blocks and end, then the main script does.
fn end_after(kernel: &Arc<Kernel>, seconds: Option<f64>) -> std::io::Result<()> {
    let Some(limit) = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()) else {
        return Ok(());
    };
    let clock = kernel.new_task("--until", Role::Service, true);
    let kernel = kernel.clone();
    let begun = kernel.clone();
    begun.start(&clock, move || {
        if sleep(Some(limit)).is_err() {
            return;
        }
        let (main, others): (Vec<_>, Vec<_>) = kernel.tasks().into_iter().partition(|t| t.role() == Role::Main);
        let threads: Vec<_> = others.into_iter().filter(|t| matches!(t.role(), Role::Thread | Role::Process)).collect();
        kernel.end(&threads);
        // Whoever does not end in time is cut off.
        let _in_time: Result<(), Stop> = wait_for_others(Some(GRACE));
        kernel.end(&main);
    })
}

//! Running a script from beginning to end.
//!
//! The top level runs as the main task. Its variables are gone before the program waits for the threads it left behind,
//! so that a thread which waits for something only the main script held is told.

use std::sync::Arc;

use rhai::{AST, Dynamic, EvalAltResult, Position, Scope};

use super::caught::{crossing_map, innermost_mut};
use super::handler::{Raised, settled};
use super::host::{Host, run_in};
use super::report;
use super::source::Source;
use super::tasks::{forget_task, is_aftermath};
use super::throw::{Ending, Thrown, interruption};
use crate::kernel::lull::wait_for_others;
use crate::kernel::{Role, Stop, current};

/// What to run.
pub struct Script {
    /// The path, or what stands for it in reports.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Parses a script.
///
/// # Errors
/// The report for the person at the terminal.
pub fn parse(host: &Host, script: &Script) -> Result<AST, String> {
    let source = Arc::new(Source::of_script(&script.name, &script.text));
    host.add_source(&script.name, source.clone());
    match host.engine().compile(source.rewritten()) {
        Ok(mut ast) => {
            ast.set_source(&script.name);
            host.add_functions(&ast);
            Ok(ast)
        }
        Err(error) => Err(report::unparsed(host, &script.name, &error)),
    }
}

/// Starts the script as the main task. The program's end and status are told by [`crate::kernel::Kernel::wait_exit`].
/// With `echo` the value of the top level is printed, unless it is `()`. `before` is run first, in the main task: what it
/// starts has its fixed place in a repeatable schedule.
///
/// # Errors
/// When the system can't start a thread.
pub fn start(
    host: &Arc<Host>,
    ast: AST,
    echo: bool,
    before: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<()> {
    let kernel = host.kernel().clone();
    let main = kernel.new_task("main", Role::Main, false);
    let host = host.clone();
    kernel.start(&main, move || {
        run_in(&host, || {
            let status = match before() {
                Ok(()) => main_task(&host, &ast, echo),
                Err(error) => {
                    host.say(&format!("error: cannot start: {error}\n"));
                    1
                }
            };
            // This thread may serve another program of the process next.
            forget_task();
            host.kernel().request_exit(status);
        });
    })
}

fn main_task(host: &Arc<Host>, ast: &AST, echo: bool) -> i32 {
    let result = top_level(host, ast, echo);
    if let Err(error) = result
        && let Some(status) = failed(host, ast.source(), error)
    {
        return status;
    }
    current().abandon_held();
    // What the threads have to say about their own end they say themselves.
    while let Some(error) = outlast_threads(host) {
        if let Some(status) = failed(host, ast.source(), error) {
            return status;
        }
    }
    host.tell_unasked();
    host.status()
}

/// Waits in the main task for the threads that the script left behind. `Some`: the handler of a signal failed meanwhile, and
/// the wait is to go on.
pub fn outlast_threads(host: &Host) -> Option<Thrown> {
    loop {
        match wait_for_others(None) {
            Err(Stop::Interrupted(signal)) => {
                host.note_status(128 + i32::try_from(signal).unwrap_or(0));
                host.kernel().cancel_others();
            }
            Err(Stop::Handler(error)) => return Some(Raised::of_stop(&error).thrown(Position::NONE)),
            Err(Stop::TimedOut | Stop::Cancelled | Stop::Deadlock(_) | Stop::Ended) | Ok(()) => break,
        }
    }
    // It may have ended the last of them before it was heard.
    if let Some(signal) = current().take_interrupt() {
        host.note_status(128 + i32::try_from(signal).unwrap_or(0));
    }
    None
}

fn top_level(host: &Host, ast: &AST, echo: bool) -> Result<(), Thrown> {
    let value = host.engine().eval_ast_with_scope::<Dynamic>(&mut Scope::new(), ast).map_err(settled)?;
    if echo && !value.is_unit() {
        let shown = host.engine().eval_with_scope::<String>(Scope::new().push_dynamic("it", value), "it.to_debug()")?;
        // What cannot be printed cannot be told either.
        let _unread = host.print(&format!("{shown}\n"));
    }
    Ok(())
}

/// The main script failed: says so; `Some` when the program is over at once.
pub(super) fn failed(host: &Host, source: Option<&str>, error: Thrown) -> Option<i32> {
    match Ending::of(&error) {
        Some(Ending::Exit(status)) => return Some(status),
        Some(Ending::Over) => return Some(host.status()),
        Some(Ending::Interrupted(signal)) => {
            tell_interrupted(host, source, error, signal);
            return None;
        }
        Some(Ending::Cancelled) | None => {}
    }
    // The signal was still to be heard: what it ended elsewhere came first.
    if is_aftermath(&error)
        && let Some(signal) = current().take_interrupt()
    {
        tell_interrupted(host, source, error, signal);
        return None;
    }
    let map = crossing_map(host, error, source);
    host.note_status(report::status_of(&map));
    host.say(&report::uncaught(host, &map));
    None
}

/// A signal ended the main script where this error was thrown: says so in the same words as a call that heard it.
pub(super) fn tell_interrupted(host: &Host, source: Option<&str>, mut error: Thrown, signal: u32) {
    let inner = innermost_mut(&mut error);
    *inner = EvalAltResult::ErrorRuntime(interruption(signal).into(), inner.position());
    let map = crossing_map(host, error, source);
    host.note_status(report::status_of(&map));
    host.say(&report::uncaught(host, &map));
}

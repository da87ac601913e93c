//! `orch repl`: one entry after the other, each run in what those before it have left.
//!
//! ```text
//!   terminal ─ editor ─┐ (a thread that is no task)
//!                      ├─► entry ─► main task: script::entry::Session ─► show ─► console
//!   pipe ── plain ─────┘                                                          ▲
//!                               threads, commands, processes, told failures ──────┘ above the prompt
//! ```
//!
//! The main task waits at the door for what is typed, as for anything else: so signals, dumps and the search for deadlocks
//! find it where they look for every task. A person at the prompt may still do something about any wait.

mod ahead;
mod commands;
mod complete;
mod console;
mod editor;
mod highlight;
mod history;
mod page;
mod plain;
mod prompt;
mod show;
mod words;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::termios::{isatty, tcgetattr, tcgetwinsize};

use crate::command::relay;
use crate::command::stream::Which;
use crate::command::terminal::Kept;
use crate::kernel::offload::{OffloadFault, offload};
use crate::kernel::{Kernel, ObjectCore, Role, Stop, Task, current, sleep};
use crate::script::completeness::{self, Completeness};
use crate::script::entry::{self, Ran, Session};
use crate::script::host::run_in;
use crate::script::run::outlast_threads;
use crate::script::tasks::forget_task;
use crate::script::{Host, Output};
use console::Console;
use editor::{Editor, Typed};
use history::Remembered;
use show::Window;

/// How often the prompt looks whether a command has given the terminal back.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often in a row the terminal may fail.
const MOST_FAILURES: usize = 3;

/// How often, and how many times, it is looked whether all that processes have written was passed on.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: usize = 50;

/// How often the editor is asked to leave, a moment each.
const MOST_KNOCKS: usize = 100;

/// The window where there is none.
const NO_WINDOW: Window = Window { columns: 80, lines: 40 };

/// What the parts of a REPL share.
struct Shared {
    host: Arc<Host>,
    console: Arc<Console>,
    session: Mutex<Session>,
    colours: bool,
    /// When completions were last asked for, in time since the start.
    completed_at: Mutex<Option<Duration>>,
}

/// What comes after an entry.
pub(crate) enum Next {
    /// Another one.
    GoOn,
    /// The end, once all threads are done.
    End,
    /// The end, with this status.
    Exit(i32),
}

/// A REPL that runs.
pub struct Repl {
    shared: Arc<Shared>,
    editor: Option<Arc<Mutex<Editor>>>,
}

impl Repl {
    /// A REPL in a new program. Words go to `output` while nobody types.
    ///
    /// # Errors
    /// What is wrong with the history, as a sentence.
    pub fn new(kernel: &Arc<Kernel>, output: Box<dyn Output>) -> Repl {
        let streams =
            [isatty(rustix::stdio::stdin()), isatty(rustix::stdio::stdout()), isatty(rustix::stdio::stderr())];
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let by_person = streams[0] && streams[2] && !is_dumb;
        let at_terminal = [by_person && streams[1], by_person];
        let console = Arc::new(Console::new(output, at_terminal));
        let shared = Arc::new(Shared {
            host: Host::new(kernel.clone(), Box::new(console.clone()), Vec::new()),
            console,
            session: Mutex::default(),
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            completed_at: Mutex::default(),
        });
        let editor = by_person.then(|| {
            let history = Remembered::open(history::file()).or_else(|error| {
                shared.host.say(&format!("note: what you type will not be remembered: {error}\n"));
                Remembered::open(None)
            });
            history.map(|history| Arc::new(Mutex::new(Editor::new(shared.clone(), history))))
        });
        // Without a file there is nothing that could go wrong.
        Repl { shared, editor: editor.and_then(Result::ok) }
    }

    /// What its entries share with scripts.
    pub fn host(&self) -> &Arc<Host> {
        &self.shared.host
    }

    /// Starts it as the main task. Its end and status are told by [`Kernel::wait_exit`].
    ///
    /// # Errors
    /// When the system can't start a thread.
    pub fn start(&self) -> io::Result<()> {
        let kernel = self.shared.host.kernel().clone();
        let main = kernel.new_task("main", Role::Main, false);
        let (shared, editor) = (self.shared.clone(), self.editor.clone());
        kernel.start(&main, move || {
            run_in(&shared.host, || {
                let status = match &editor {
                    Some(editor) => by_person(&shared, editor),
                    None => by_pipe(&shared),
                };
                let status = status.unwrap_or_else(|| last_words(&shared, editor.is_some()));
                forget_task();
                shared.host.kernel().request_exit(status);
            });
        })
    }

    /// Takes the prompt away, if it is there, so that the terminal is as it was.
    pub fn leave(&self) {
        if let Some(editor) = &self.editor {
            leave(&self.shared, editor);
        }
    }
}

fn leave(shared: &Shared, editor: &Mutex<Editor>) {
    // Whoever edits holds the lock until it has heard. Where the terminal is gone it never does: its library asks for the
    // next key without end. Then there is nothing to give back.
    for _ in 0..MOST_KNOCKS {
        match editor.try_lock_for(PATIENCE) {
            Some(_left) => return,
            None => shared.console.ask_to_leave(),
        }
    }
}

impl Shared {
    fn print(&self, text: &str) {
        self.hear_the_background();
        // What cannot be printed cannot be told either.
        let _unread = self.host.print(text);
    }

    /// What processes have written before now comes before what is said next.
    fn hear_the_background(&self) {
        let mut looks_left = LOOKS;
        while looks_left > 0 && !relay::is_empty() {
            looks_left -= 1;
            if sleep(Some(LOOK)).is_err() {
                return;
            }
        }
    }

    /// Something was wrong with what was typed.
    fn complain(&self, text: &str) -> Next {
        self.host.say(text);
        self.host.note_status(1);
        Next::GoOn
    }

    fn window(&self) -> Window {
        match tcgetwinsize(rustix::stdio::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Window { columns: usize::from(size.ws_col), lines: usize::from(size.ws_row).saturating_sub(3).max(5) }
            }
            _ => NO_WINDOW,
        }
    }

    /// What follows from what became of an entry, whose value is shown or not.
    fn after(&self, ran: Ran, quiet: bool) -> Next {
        match ran {
            Ran::Failed => Next::GoOn,
            Ran::Over(status) => Next::Exit(status),
            Ran::Value(value) if value.is_unit() => Next::GoOn,
            Ran::Value(value) => {
                if !quiet {
                    self.print(&format!("{}\n", show::value(&self.host, &value, self.window())));
                }
                self.session.lock().set_last(value);
                Next::GoOn
            }
        }
    }
}

/// Runs what was typed.
fn run(shared: &Arc<Shared>, text: &str) -> Next {
    if text.trim().is_empty() {
        return Next::GoOn;
    }
    if commands::is_command(text) {
        return commands::run(shared, text);
    }
    let ran = shared.session.lock().run(&shared.host, text);
    shared.after(ran, entry::is_quiet(text))
}

/// At a terminal: the status with which the program is over, or `None` when it ends as a script does.
fn by_person(shared: &Arc<Shared>, editor: &Arc<Mutex<Editor>>) -> Option<i32> {
    let console = shared.console.clone();
    shared.session.lock().is_at_terminal();
    // Where there is no relay they write as they like.
    let _without = relay::begin(move |bytes| {
        // When nobody reads it there is nobody to tell.
        let _unread = console.pass_on(Which::Stdout, bytes);
    });
    shared.print(&format!("orch {}: `help` says what can be said here\n", env!("CARGO_PKG_VERSION")));
    let prompt = ObjectCore::new("Prompt");
    let mut failures = 0;
    while !shared.host.kernel().is_over() {
        shared.host.tell_unasked();
        // Who types has seen what failed so far.
        shared.host.forget_status();
        entry::forget_interrupts();
        shared.host.signals().begin_entry();
        let kept = match keep_terminal() {
            Ok(kept) => kept,
            Err(stop) => match stopped(shared, &stop) {
                Some(status) => return status,
                None => continue,
            },
        };
        let reading = editor.clone();
        let read = offload(&prompt, "prompt", None, || leave(shared, editor), move || reading.lock().read());
        drop(kept);
        shared.host.signals().begin_entry();
        let next = match read {
            Ok(Ok(Some(Typed::Entry(text)))) => run(shared, &text),
            Ok(Ok(Some(Typed::Cleared) | None)) => Next::GoOn,
            Ok(Ok(Some(Typed::End))) => Next::End,
            Ok(Err(error)) if is_hang_up(&error) => return hung_up(shared),
            // It may only have been slow to say where its cursor is.
            Ok(Err(error)) if failures < MOST_FAILURES && error.raw_os_error().is_none() => {
                failures += 1;
                continue;
            }
            Ok(Err(error)) => {
                shared.host.say(&format!("error: cannot read from the terminal: {error}\n"));
                return Some(1);
            }
            Err(OffloadFault::NoThread(error)) => {
                shared.host.say(&format!("error: cannot show the prompt: {error}\n"));
                return Some(1);
            }
            Err(OffloadFault::Stop(stop)) => match stopped(shared, &stop) {
                Some(status) => return status,
                None => Next::GoOn,
            },
        };
        failures = 0;
        match next {
            // What the entry did not catch was meant for all of it.
            Next::GoOn if was_ended_by(&shared.host, &[libc::SIGTERM, libc::SIGHUP]) => return None,
            Next::GoOn => {}
            Next::End => {
                shared.host.forget_status();
                return None;
            }
            Next::Exit(status) => return Some(status),
        }
    }
    Some(shared.host.status())
}

/// What a wait for the next entry was stopped by: `Some` when there is to be none.
fn stopped(shared: &Shared, stop: &Stop) -> Option<Option<i32>> {
    match stop {
        Stop::Interrupted(signal) if *signal == libc::SIGINT.unsigned_abs() => None,
        Stop::Interrupted(signal) => {
            shared.host.note_status(128 + i32::try_from(*signal).unwrap_or(0));
            Some(None)
        }
        Stop::Ended if shared.host.kernel().is_over() => Some(Some(shared.host.status())),
        Stop::Handler(error) => {
            entry::tell_handler(&shared.host, error);
            None
        }
        Stop::Ended | Stop::TimedOut | Stop::Cancelled | Stop::Deadlock(_) => None,
    }
}

/// True when this comes of the terminal's end, however the library words it.
fn is_hang_up(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
        || tcgetattr(rustix::stdio::stdin()).is_err_and(|errno| errno == rustix::io::Errno::IO)
}

/// The terminal is gone, which the system tells by a signal too, perhaps a moment later.
fn hung_up(shared: &Shared) -> Option<i32> {
    if let Err(stop) = sleep(Some(Duration::from_secs(1)))
        && let Some(status) = stopped(shared, &stop)
    {
        return status;
    }
    Some(128 + libc::SIGHUP)
}

/// True when the last entry failed with one of these signals.
fn was_ended_by(host: &Host, signals: &[i32]) -> bool {
    signals.iter().any(|signal| host.status() == 128 + signal)
}

/// Waits until no command has the terminal, which is the prompt's then.
fn keep_terminal() -> Result<Kept, Stop> {
    loop {
        if let Some(kept) = Kept::keep() {
            return Ok(kept);
        }
        sleep(Some(PATIENCE))?;
    }
}

/// Without a terminal.
fn by_pipe(shared: &Arc<Shared>) -> Option<i32> {
    let input = ObjectCore::new("Input");
    let mut text = String::new();
    loop {
        shared.host.tell_unasked();
        let line = match offload(&input, "read", None, || {}, plain::line) {
            Ok(Ok(line)) => line,
            Ok(Err(error)) | Err(OffloadFault::NoThread(error)) => {
                shared.host.say(&format!("error: cannot read the input: {error}\n"));
                return Some(1);
            }
            Err(OffloadFault::Stop(stop)) => match stop {
                Stop::Interrupted(signal) => return stopped(shared, &Stop::Interrupted(signal)).unwrap_or(Some(130)),
                stop => match stopped(shared, &stop) {
                    Some(status) => return status,
                    None => continue,
                },
            },
        };
        let at_end = line.is_none();
        let blank = line.as_ref().is_some_and(|line| line.trim().is_empty());
        text.push_str(line.as_deref().unwrap_or(""));
        let goes_on = !at_end
            && !commands::is_command(&text)
            && match completeness::of(&shared.host, &text) {
                Completeness::Complete => false,
                Completeness::Open => true,
                Completeness::Short => !blank,
            };
        if goes_on {
            continue;
        }
        match run(shared, text.trim_end_matches(['\r', '\n'])) {
            Next::GoOn if was_ended_by(&shared.host, &[libc::SIGINT, libc::SIGTERM, libc::SIGHUP]) => return None,
            Next::GoOn => {}
            Next::End => return None,
            Next::Exit(status) => return Some(status),
        }
        text.clear();
        if at_end {
            return None;
        }
    }
}

/// The end: variables go, then the threads are waited for, as at the end of a script.
fn last_words(shared: &Shared, by_person: bool) -> i32 {
    // From here on Ctrl-C is for all of them.
    entry::forget_interrupts();
    shared.host.signals().no_more_entries();
    let session = std::mem::take(&mut *shared.session.lock());
    drop(session);
    current().abandon_held();
    let tasks = shared.host.kernel().tasks();
    let is_awaited = |task: &&Arc<Task>| matches!(task.role(), Role::Thread | Role::Process) && !task.is_daemon();
    let waits_for = tasks.iter().filter(is_awaited).count();
    if by_person && waits_for > 0 {
        let threads =
            if waits_for == 1 { "1 thread or process".into() } else { format!("{waits_for} threads or processes") };
        shared.host.say(&format!("note: waiting for {threads} to end; Ctrl-C cancels\n"));
    }
    while let Some(error) = outlast_threads(&shared.host) {
        entry::tell(&shared.host, error);
    }
    shared.host.tell_unasked();
    shared.host.status()
}

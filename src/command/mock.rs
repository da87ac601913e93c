//! Commands of a simulated program that do not run: what they would print, how they would end, and how long they would
//! take in simulated time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::child::Child;
use super::completed::End;
use super::fault::CommandFault;
use crate::kernel::per_program::PerProgram;
use crate::kernel::{Kernel, Role};
use crate::sync::Event;

/// What stands for a command.
#[derive(Clone, Debug)]
pub struct Mock {
    /// Which commands: a glob on the command line.
    pub pattern: glob::Pattern,
    /// What it prints.
    pub stdout: Vec<u8>,
    /// The same on standard error.
    pub stderr: Vec<u8>,
    /// How it ends.
    pub end: End,
    /// How long it takes.
    pub takes: Duration,
}

static MOCKS: PerProgram<Mock> = PerProgram::empty();

impl Mock {
    /// From now on the commands of `kernel` that match are this one. The latest that matches counts.
    pub fn install(self, kernel: &Arc<Kernel>) {
        MOCKS.add(kernel, self);
    }

    /// The one that stands for this command line.
    pub fn find(kernel: &Arc<Kernel>, command: &str) -> Option<Mock> {
        MOCKS.latest(kernel, |mock| mock.pattern.matches(command))
    }
}

/// How a mocked command hears that it is to end.
#[derive(Clone)]
pub struct MockRun {
    asked: Arc<Event>,
    how: Arc<Mutex<Option<End>>>,
}

impl Default for MockRun {
    fn default() -> Self {
        MockRun { asked: Event::new(), how: Arc::default() }
    }
}

impl MockRun {
    /// Ends it, unless it has been told before.
    pub fn end_with(&self, end: End) {
        self.how.lock().get_or_insert(end);
        self.asked.set();
    }
}

/// Plays the command, as a task of its own.
///
/// # Errors
/// When the system can't start a thread.
pub(super) fn play(kernel: &Arc<Kernel>, child: &Arc<Child>, mock: Mock) -> Result<(), CommandFault> {
    let Some(run) = child.mock_run() else {
        return Ok(());
    };
    child.mocked_output(&mock.stdout, &mock.stderr);
    let limit = child.spec().timeout.filter(|limit| *limit < mock.takes);
    let task = kernel.new_task("command", Role::Service, true);
    let child = child.clone();
    let started = kernel.start(&task, move || match run.asked.wait(Some(limit.unwrap_or(mock.takes))) {
        Ok(false) if limit.is_some() => {
            child.mocked_time_is_up();
            child.mocked_end(End::Signal(libc::SIGTERM));
        }
        Ok(false) => child.mocked_end(mock.end),
        Ok(true) | Err(_) => {
            let end = run.how.lock().unwrap_or(End::Signal(libc::SIGTERM));
            child.mocked_end(end);
        }
    });
    started.map_err(|error| CommandFault::System { what: "cannot start a mocked command".into(), error })
}

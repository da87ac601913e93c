//! What orch says when its end takes longer than a moment.

use std::time::{Duration, Instant};

use super::family::{Member, family};
use crate::command::processes::Stat;
use crate::kernel::task::{Wait, alert};
use crate::kernel::{Kernel, Role, Task};

/// How long the end may take without a word.
pub const MOMENT: Duration = Duration::from_secs(1);

/// So many are named.
const NAMED: usize = 10;

/// Says once what the end of a program waits for.
#[derive(Default)]
pub struct Leaving {
    told: bool,
}

impl Leaving {
    /// When to look next, and `None` when there is nothing to say.
    pub fn next_look(&self, kernel: &Kernel) -> Option<Duration> {
        let asked = kernel.asked_to_end().filter(|_| !self.told && !kernel.is_sim())?;
        Some((asked + MOMENT).saturating_duration_since(now(asked)).max(Duration::from_millis(50)))
    }

    /// What to say now, if it is time.
    pub fn look(&mut self, kernel: &Kernel) -> Option<String> {
        let asked = kernel.asked_to_end().filter(|_| !self.told && !kernel.is_sim())?;
        if asked.elapsed() < MOMENT {
            return None;
        }
        let tasks = kernel.tasks();
        // A script that has caught the signal and goes on does not end.
        let main = tasks.iter().find(|task| task.role() == Role::Main)?;
        main.waiting().filter(is_last_wait)?;
        self.told = true;
        let mut left: Vec<String> =
            tasks.iter().filter(|task| counts(task)).map(|task| describe(kernel, task)).collect();
        left.extend(family(std::process::id()).into_iter().map(shown));
        Some(list(&left, "; ask again to end it at once"))
    }
}

/// What to say of processes that were told to end.
pub fn still_there(left: &[Stat]) -> String {
    let named: Vec<String> = left.iter().map(|stat| format!("process {} ({})", stat.pid, stat.name)).collect();
    list(&named, "")
}

fn now(asked: Instant) -> Instant {
    asked + asked.elapsed()
}

/// It waits for the end of the others, or for something that it has to wait for whatever happens, as the end of a command.
fn is_last_wait(wait: &Wait) -> bool {
    wait.verb == "end of the program" || wait.hears & alert::INTERRUPTED == 0
}

fn counts(task: &Task) -> bool {
    matches!(task.role(), Role::Thread | Role::Process) && !task.is_daemon()
}

fn describe(kernel: &Kernel, task: &Task) -> String {
    let what = if task.role() == Role::Process { "process" } else { "thread" };
    let name = task.name();
    match task.waiting() {
        Some(wait) => {
            let (verb, label, place) = (wait.verb, wait.target.core().label(), kernel.place(wait.site));
            format!("{what} {name:?}, which waits in {verb}() of {label} at {place}")
        }
        None => format!("{what} {name:?}, which runs, last seen at {}", kernel.place(task.site())),
    }
}

fn shown(member: Member) -> String {
    let command: String = member.command.chars().take(60).collect();
    format!("process {} ({command})", member.pid)
}

fn list(left: &[String], advice: &str) -> String {
    let mut text = format!("note: still waiting for the end{advice}\n");
    for one in left.iter().take(NAMED) {
        text.push_str(&format!("  {one}\n"));
    }
    if left.len() > NAMED {
        text.push_str(&format!("  and {} more\n", left.len() - NAMED));
    }
    text
}

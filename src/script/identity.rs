//! Who a process is, who started it, and whom it started.

use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Map};

use super::host::with_host;
use super::process::{Process, simulated_pid};
use crate::kernel::{Task, with_current};

/// What a process knows of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The program does not wait for it.
    pub daemon: bool,
    /// The name of the process that started it; `None` for the first.
    pub parent: Option<String>,
}

impl Identity {
    /// The process in which the program began.
    pub fn first() -> &'static Identity {
        static FIRST: OnceLock<Identity> = OnceLock::new();
        FIRST.get_or_init(|| Identity { name: "MainProcess".into(), daemon: false, parent: None })
    }
}

fn shown(name: &str, pid: i64, daemon: bool) -> Map {
    Map::from([("name".into(), name.into()), ("pid".into(), pid.into()), ("daemon".into(), daemon.into())])
}

/// A simulated process, by its number within the program.
fn simulated(task: &Task, number: u64) -> Map {
    let stands_for = |t: &Arc<Task>| number != 0 && t.stands_for() == number;
    match task.kernel().tasks().iter().find(|t| stands_for(t)) {
        Some(process) => shown(&process.name(), simulated_pid(number), process.is_daemon()),
        None => shown(&Identity::first().name, simulated_pid(number), false),
    }
}

/// The process in which the current task runs.
pub fn of_this() -> Map {
    with_current(|task| match task.kernel().is_sim() {
        true => simulated(task, task.process()),
        false => with_host(|host| {
            let me = host.identity();
            shown(&me.name, i64::from(std::process::id()), me.daemon)
        }),
    })
}

/// The one that started it, if it was one of the program.
pub fn of_parent() -> Option<Map> {
    with_current(|task| match task.kernel().is_sim() {
        true => task.parent_process().map(|parent| simulated(task, parent)),
        false => with_host(|host| {
            let name = host.identity().parent.clone()?;
            let pid = rustix::process::getppid().map_or(0, |pid| i64::from(pid.as_raw_nonzero().get()));
            Some(Map::from([("name".into(), name.into()), ("pid".into(), Dynamic::from(pid))]))
        }),
    })
    .map(|mut map| {
        // What the parent is to its own parent, its children are not told.
        map.remove("daemon");
        map
    })
}

/// The processes that the process of the current task has started and that run now.
pub fn children() -> Vec<Arc<Process>> {
    let mine = |process: &Arc<Process>| {
        let task = process.thread().task();
        let parent = if task.process() == task.stands_for() { task.parent_process() } else { Some(task.process()) };
        with_current(|me| !me.kernel().is_sim() || parent == Some(me.process()))
    };
    let mut children = with_host(|host| host.children());
    children.retain(|process| process.thread().is_alive() && mine(process));
    children
}

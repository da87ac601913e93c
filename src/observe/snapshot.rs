//! What every task of a program is doing at one moment: what QUIT prints, and what `orch dump` and `orch top` are told.

use serde::{Deserialize, Serialize};

use crate::kernel::task::Task;
use crate::kernel::{Kernel, Role, Waitable};

/// A program at one moment.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Snapshot {
    /// The process.
    pub pid: u32,
    /// What it runs.
    pub program: String,
    /// Seconds since it began; simulated ones under simulated time.
    pub seconds: f64,
    /// The tasks, oldest first.
    pub tasks: Vec<TaskState>,
    /// Queues, pools, locks, oldest first.
    pub objects: Vec<ObjectState>,
}

/// One task.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct TaskState {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it is for: `main`, `thread`, `process`, `service`, `caller`.
    pub role: String,
    /// The program does not wait for it.
    pub daemon: bool,
    /// Where in the script it was last seen.
    pub at: String,
    /// What it waits for; nothing while it runs.
    pub waits: Option<WaitState>,
    /// What it holds.
    pub holds: Vec<Hold>,
}

/// A wait.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct WaitState {
    /// The call: `acquire`.
    pub call: String,
    /// What for: `Lock(#2)`.
    pub object: String,
    /// Where in the script.
    pub at: String,
    /// For how long it has waited.
    pub seconds: f64,
    /// In how many seconds it gives up.
    pub gives_up_in: Option<f64>,
    /// Who owns what it waits for.
    pub owners: Vec<Owner>,
}

/// Something that is held.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Hold {
    /// What.
    pub object: String,
    /// Since which place.
    pub since: String,
}

/// Who holds something.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Owner {
    /// The name of the task.
    pub name: String,
    /// Since which place.
    pub since: String,
}

/// One object.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct ObjectState {
    /// `Queue(#3)`.
    pub object: String,
    /// Its state in a few words.
    pub state: String,
    /// How many items are in it.
    pub items: Option<usize>,
    /// Where it was made.
    pub made_at: String,
}

impl Snapshot {
    /// Takes one of `kernel`, which runs `program`.
    pub fn take(kernel: &Kernel, program: &str) -> Snapshot {
        let objects = kernel.objects();
        Snapshot {
            pid: std::process::id(),
            program: program.to_string(),
            seconds: kernel.now().as_secs_f64(),
            tasks: kernel.tasks().iter().map(|task| state_of(kernel, task)).collect(),
            objects: objects
                .iter()
                .map(|object| ObjectState {
                    object: object.core().label(),
                    state: object.state(),
                    items: object.depth(),
                    made_at: kernel.place(object.core().born()),
                })
                .collect(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("--- {} tasks, {:.3} s after the start\n", self.tasks.len(), self.seconds);
        for task in &self.tasks {
            task.describe(&mut text);
        }
        for object in &self.objects {
            text.push_str(&format!("{} {}\n", object.object, object.state));
        }
        text.push_str("---\n");
        text
    }
}

impl TaskState {
    fn describe(&self, text: &mut String) {
        let daemon = if self.daemon { ", daemon" } else { "" };
        text.push_str(&format!("#{} {:?}{daemon}: ", self.id, self.name));
        match &self.waits {
            None => text.push_str(&format!("runs, last seen at {}\n", self.at)),
            Some(wait) => {
                let until = wait.gives_up_in.map_or_else(String::new, |left| format!(", gives up in {left:.3} s"));
                let WaitState { call, object, at, seconds, .. } = wait;
                text.push_str(&format!("waits in {call}() of {object} at {at} for {seconds:.3} s{until}\n"));
                for Owner { name, since } in &wait.owners {
                    text.push_str(&format!("    held by {name:?} since {since}\n"));
                }
            }
        }
        for Hold { object, since } in &self.holds {
            text.push_str(&format!("    holds {object} since {since}\n"));
        }
    }
}

fn state_of(kernel: &Kernel, task: &Task) -> TaskState {
    let waits = task.waiting().map(|wait| WaitState {
        call: wait.verb.to_string(),
        object: wait.target.core().label(),
        at: kernel.place(wait.site),
        seconds: kernel.now().saturating_sub(wait.since).as_secs_f64(),
        gives_up_in: wait.deadline.map(|deadline| deadline.saturating_sub(kernel.now()).as_secs_f64()),
        owners: owners(kernel, &*wait.target),
    });
    let holds = kernel.held_by(task.id());
    TaskState {
        id: task.id().0,
        name: task.name().to_string(),
        role: role(task.role()).to_string(),
        daemon: task.is_daemon(),
        at: kernel.place(task.site()),
        waits,
        holds: holds.into_iter().map(|(object, site)| Hold { object, since: kernel.place(site) }).collect(),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Main => "main",
        Role::Thread => "thread",
        Role::Process | Role::Workman => "process",
        Role::Service => "service",
        Role::Far => "caller",
    }
}

fn owners(kernel: &Kernel, target: &dyn Waitable) -> Vec<Owner> {
    let owner = |(id, site)| Owner {
        name: kernel.task(id).map_or_else(|| "a thread that ended".into(), |task| task.name().to_string()),
        since: kernel.place(site),
    };
    target.owners().into_iter().map(owner).collect()
}

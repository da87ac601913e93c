//! What every task is doing, for people: what QUIT prints.

use crate::kernel::task::Task;
use crate::kernel::{Kernel, Waitable};

/// Every task with its script line, what it waits for since when, and what it holds; then the queues and pools.
pub fn text(kernel: &Kernel) -> String {
    let tasks = kernel.tasks();
    let mut text = format!("--- {} tasks, {:.3} s after the start\n", tasks.len(), kernel.now().as_secs_f64());
    for task in &tasks {
        text.push_str(&describe(kernel, task));
    }
    for object in kernel.objects() {
        text.push_str(&format!("{} {}\n", object.core().label(), object.state()));
    }
    text.push_str("---\n");
    text
}

fn describe(kernel: &Kernel, task: &Task) -> String {
    let daemon = if task.is_daemon() { ", daemon" } else { "" };
    let mut text = format!("#{} {:?}{daemon}: ", task.id().0, task.name());
    match task.waiting() {
        None => text.push_str(&format!("runs, last seen at {}\n", kernel.place(task.site()))),
        Some(wait) => {
            let since = kernel.now().saturating_sub(wait.since).as_secs_f64();
            let until = wait.deadline.map_or_else(String::new, |d| {
                format!(", gives up in {:.3} s", d.saturating_sub(kernel.now()).as_secs_f64())
            });
            let label = wait.target.core().label();
            let place = kernel.place(wait.site);
            text.push_str(&format!("waits in {}() of {label} at {place} for {since:.3} s{until}\n", wait.verb));
            text.push_str(&owners(kernel, &*wait.target));
        }
    }
    for (object, site) in kernel.held_by(task.id()) {
        text.push_str(&format!("    holds {object} since {}\n", kernel.place(site)));
    }
    text
}

fn owners(kernel: &Kernel, target: &dyn Waitable) -> String {
    let owner = |(id, site)| {
        let name = kernel.task(id).map_or_else(|| "a thread that ended".into(), |t| t.name());
        format!("    held by {name:?} since {}\n", kernel.place(site))
    };
    target.owners().into_iter().map(owner).collect()
}

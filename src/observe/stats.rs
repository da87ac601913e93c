//! The table of `--stats`: what a run came to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::kernel::events::Event;
use crate::kernel::{Kernel, Role, os};

/// So many objects are counted by themselves; those that come later are counted by their kind.
const MOST_OBJECTS: usize = 10_000;

/// So many lines of waits are shown.
const SHOWN: usize = 12;

#[derive(Default)]
struct Waits {
    count: u64,
    total: Duration,
    longest: Duration,
}

impl Waits {
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
    }
}

#[derive(Default)]
struct Count {
    tasks: u64,
    processes: u64,
    alive: u64,
    most_alive: u64,
    waits: BTreeMap<String, Waits>,
    items: u64,
    commands: BTreeMap<u64, (Duration, String)>,
    commands_ended: Waits,
    failed: u64,
    slowest: Option<(Duration, String)>,
}

/// What is counted while a program runs.
pub struct Stats {
    count: Mutex<Count>,
}

impl Stats {
    /// Counts what happens in `kernel` from now on.
    pub fn start(kernel: &Kernel) -> Arc<Stats> {
        let stats = Arc::new(Stats { count: Mutex::default() });
        let heard = stats.clone();
        kernel.events().listen(Arc::new(move |event| heard.hear(event)));
        stats
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Started { task, .. } => {
                let mut count = self.count.lock();
                match task.role() {
                    Role::Process | Role::Workman => count.processes += 1,
                    Role::Main | Role::Thread | Role::Service => count.tasks += 1,
                    Role::Far => return,
                }
                count.alive += 1;
                count.most_alive = count.most_alive.max(count.alive);
            }
            Event::Ended { task } if task.role() != Role::Far => {
                let mut count = self.count.lock();
                count.alive = count.alive.saturating_sub(1);
            }
            Event::Wakes { task, wait, .. } => {
                let took = task.kernel().now().saturating_sub(wait.since);
                let core = wait.target.core();
                let name =
                    if core.id().0 == 0 { wait.verb.to_string() } else { format!("{} {}", wait.verb, core.label()) };
                let mut count = self.count.lock();
                let many = count.waits.len() >= MOST_OBJECTS && !count.waits.contains_key(&name);
                let name = if many { format!("{} {}s", wait.verb, core.kind()) } else { name };
                count.waits.entry(name).or_default().add(took);
            }
            Event::Put { .. } => self.count.lock().items += 1,
            Event::ChildStarted { task, object, command, .. } => {
                let now = task.kernel().now();
                self.count.lock().commands.insert(object.id().0, (now, (*command).to_string()));
            }
            Event::ChildEnded { object, code, .. } => {
                let mut count = self.count.lock();
                let Some((began, text)) = count.commands.remove(&object.id().0) else {
                    return;
                };
                let took = object.kernel().now().saturating_sub(began);
                count.commands_ended.add(took);
                count.failed += u64::from(*code != 0);
                if count.slowest.as_ref().is_none_or(|(most, _)| took > *most) {
                    count.slowest = Some((took, text));
                }
            }
            _ => {}
        }
    }

    /// The table. Under simulated time it says only what is simulated, and is repeatable.
    pub fn table(&self, kernel: &Kernel) -> String {
        let count = self.count.lock();
        let mut lines = vec![clock(kernel)];
        lines.push(format!(
            "tasks      {}, processes {}, at most {} at once",
            count.tasks, count.processes, count.most_alive
        ));
        let all: u64 = count.waits.values().map(|waits| waits.count).sum();
        let mut switches = format!("switches   waits {all}");
        if !kernel.is_sim()
            && let Some(own) = os::own_usage()
        {
            switches.push_str(&format!("; the system switched {} times, {} of them unasked", own.switches, own.forced));
        }
        lines.push(switches);
        lines.push(format!("items      {} put into queues", count.items));
        let Waits { count: ended, total, .. } = count.commands_ended;
        let mut commands = format!("commands   {ended}, {} failed, {}", count.failed, seconds(total));
        if let Some((took, text)) = &count.slowest {
            let text: String = text.chars().take(60).collect();
            commands.push_str(&format!("; slowest {}: {}", seconds(*took), text.replace('\n', " ")));
        }
        lines.push(commands);
        let mut waits: Vec<(&String, &Waits)> = count.waits.iter().collect();
        waits.sort_by(|(one, a), (other, b)| b.total.cmp(&a.total).then_with(|| one.cmp(other)));
        if !waits.is_empty() {
            lines.push(format!("{:<40} {:>9} {:>12} {:>12}", "waits", "count", "total", "longest"));
        }
        for (name, waits) in waits.iter().take(SHOWN) {
            let (total, longest) = (seconds(waits.total), seconds(waits.longest));
            lines.push(format!("  {:<38} {:>9} {total:>12} {longest:>12}", name, waits.count));
        }
        if waits.len() > SHOWN {
            lines.push(format!("  and {} more", waits.len() - SHOWN));
        }
        lines.push("---\n".into());
        lines.join("\n")
    }
}

fn clock(kernel: &Kernel) -> String {
    let took = seconds(kernel.now());
    if kernel.is_sim() {
        return format!("--- {took}, simulated");
    }
    let (own, children) = (os::own_usage().unwrap_or_default(), os::usage_of_children().unwrap_or_default());
    let (own_time, theirs) = (own.user + own.system, children.user + children.system);
    let mib = own.peak_kib / 1024;
    format!(
        "--- {took}; on processors {}, and what it started {}; at most {mib} MiB",
        seconds(own_time),
        seconds(theirs)
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

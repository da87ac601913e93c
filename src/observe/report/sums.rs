//! The tables of the page.

use super::path::{self, Step};
use super::read::{Run, Sum};

/// So many rows has each table.
const ROWS: usize = 25;

/// A table: its name, what it says, its columns (a leading `>`: numbers) and rows.
pub struct Table {
    /// Its heading.
    pub title: &'static str,
    /// A line for whoever wonders.
    pub about: &'static str,
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// How many rows there would be.
    pub of: usize,
}

/// All tables.
pub fn tables(run: &Run) -> Vec<Table> {
    let steps = path::critical(run);
    vec![incidents(run), critical(run, &steps), by_object(run), longest(run), locks(run), commands(run), tasks(run)]
}

fn incidents(run: &Run) -> Table {
    let worth = |what: &str| !what.starts_with("starts process") && !what.ends_with("exit code 0");
    let minor = |what: &str| ["timed out: ", "cancelled: ", "interrupted: "].iter().any(|how| what.starts_with(how));
    let mut minors = 0;
    let mut all: Vec<_> = run.incidents.iter().filter(|incident| worth(&incident.what)).collect();
    let of = all.len();
    // Loops that look into a queue now and then are not to hide the rest.
    all.retain(|incident| {
        minors += usize::from(minor(&incident.what));
        minors <= ROWS || !minor(&incident.what)
    });
    let row = |incident: &&super::read::Incident| vec![time(incident.at), incident.who.clone(), incident.what.clone()];
    Table {
        title: "What went wrong, and what came from outside",
        about: "Deadlocks, time limits, failed commands, processes that were killed, signals, and what orch said.",
        columns: &[">at", "task", "what"],
        rows: all.iter().take(4 * ROWS).map(row).collect(),
        of,
    }
}

/// Steps that follow each other in one task with the same doing are one row.
fn critical(run: &Run, steps: &[Step]) -> Table {
    let mut sums: Vec<(usize, String, f64, usize)> = Vec::new();
    for step in steps {
        let what = match (step.what.is_empty(), step.at.is_empty()) {
            (true, _) => "runs".to_string(),
            (false, true) => step.what.clone(),
            (false, false) => format!("{} at {}", step.what, step.at),
        };
        match sums.iter_mut().find(|(task, did, ..)| *task == step.task && *did == what) {
            Some((_, _, total, count)) => {
                *total += step.to - step.from;
                *count += 1;
            }
            None => sums.push((step.task, what, step.to - step.from, 1)),
        }
    }
    let whole: f64 = sums.iter().map(|sum| sum.2).sum();
    sums.sort_by(|one, other| other.2.total_cmp(&one.2));
    let of = sums.len();
    let rows = sums.into_iter().take(ROWS).map(|(task, what, total, count)| {
        let share = if whole > 0.0 { format!("{:.0} %", 100.0 * total / whole) } else { String::new() };
        vec![run.tasks[task].name.clone(), what, time(total), share, count.to_string()]
    });
    Table {
        title: "Critical path",
        about: "What the duration of the run was made of: shorten one of these and the run is shorter.",
        columns: &["task", "does", ">time", ">share", ">pieces"],
        rows: rows.collect(),
        of,
    }
}

fn by_object(run: &Run) -> Table {
    let mut all: Vec<(&String, &Sum)> = run.by_object.iter().collect();
    all.sort_by(|(one, a), (other, b)| b.total.total_cmp(&a.total).then_with(|| one.cmp(other)));
    let row = |(what, sum): &(&String, &Sum)| {
        vec![(*what).clone(), sum.count.to_string(), time(sum.total), time(sum.longest), worst(sum)]
    };
    Table {
        title: "Waits, by what was waited for",
        about: "Who made it wait: whoever held it, or whoever ended most of the waiting.",
        columns: &["wait", ">count", ">total", ">longest", "made to wait by"],
        rows: all.iter().take(ROWS).map(row).collect(),
        of: all.len(),
    }
}

fn worst(sum: &Sum) -> String {
    let most = sum.by.iter().max_by(|(one, a), (other, b)| a.total_cmp(b).then_with(|| other.cmp(one)));
    most.map_or_else(String::new, |(who, took)| match sum.by.len() {
        1 => who.clone(),
        n => format!("{who} ({}), {} more", time(*took), n - 1),
    })
}

fn longest(run: &Run) -> Table {
    let mut all: Vec<&super::read::Wait> = run.waits.iter().filter(|wait| !wait.idle).collect();
    all.sort_by(|one, other| (other.to - other.from).total_cmp(&(one.to - one.from)));
    let row = |wait: &&super::read::Wait| {
        let by = match (&wait.waker, wait.held_by.is_empty()) {
            (_, false) => format!("held by {} since {}", wait.held_by, wait.held_since),
            (Some((task, _)), true) => format!("woken by {}", run.tasks[*task].name),
            (None, true) => String::new(),
        };
        let took = time(wait.to - wait.from);
        vec![took, run.tasks[wait.task].name.clone(), wait.what.clone(), wait.at.clone(), wait.how.clone(), by]
    };
    Table {
        title: "Longest waits",
        about: "",
        columns: &[">time", "task", "wait", "at", "ended", "by"],
        rows: all.iter().take(ROWS).map(row).collect(),
        of: all.len(),
    }
}

fn locks(run: &Run) -> Table {
    let waited = |object: &str| {
        let of =
            run.by_object.iter().filter(|(what, _)| what.split_once(' ').is_some_and(|(_, label)| label == object));
        of.fold((0, 0.0), |(count, total), (_, sum)| (count + sum.count, total + sum.total))
    };
    let mut all: Vec<_> = run.by_lock.iter().map(|(object, sum)| (object, sum, waited(object))).collect();
    all.sort_by(|(one, a, (_, x)), (other, b, (_, y))| {
        y.total_cmp(x).then(b.total.total_cmp(&a.total)).then_with(|| one.cmp(other))
    });
    let of = all.len();
    let rows = all.into_iter().take(ROWS).map(|(object, sum, (count, total))| {
        let (held, longest) = (time(sum.total), time(sum.longest));
        vec![object.clone(), count.to_string(), time(total), sum.count.to_string(), held, longest]
    });
    Table {
        title: "Most contended locks",
        about: "",
        columns: &["lock", ">waits", ">waited", ">held, times", ">held", ">longest hold"],
        rows: rows.collect(),
        of,
    }
}

fn commands(run: &Run) -> Table {
    let mut all: Vec<&super::read::Command> = run.commands.iter().collect();
    all.sort_by(|one, other| (other.to - other.from).total_cmp(&(one.to - one.from)));
    let row = |command: &&super::read::Command| {
        let status = match (command.code, command.ended.is_empty()) {
            (0, true) => "0".to_string(),
            (0, false) => command.ended.clone(),
            (code, true) => code.to_string(),
            (code, false) => format!("{code}, {}", command.ended),
        };
        let text: String = command.text.chars().take(200).collect();
        vec![
            time(command.to - command.from),
            text,
            status,
            command.pid.to_string(),
            time(command.user),
            time(command.system),
            format!("{} MiB", command.peak_kib / 1024),
        ]
    };
    Table {
        title: "Slowest commands",
        about: "The most memory includes what orch itself had when it started the command.",
        columns: &[">time", "command", "status", ">pid", ">user", ">system", ">memory"],
        rows: all.iter().take(ROWS).map(row).collect(),
        of: all.len(),
    }
}

fn tasks(run: &Run) -> Table {
    let mut all: Vec<&super::read::Task> = run.tasks.iter().collect();
    all.sort_by(|one, other| (other.ended - other.began).total_cmp(&(one.ended - one.began)));
    let row = |task: &&super::read::Task| {
        let life = task.ended - task.began;
        let (ran, waited) = (time((life - task.waited).max(0.0)), time(task.waited));
        let functions = task.functions.join(", ");
        vec![task.name.clone(), time(life), ran, waited, functions, task.made_at.clone()]
    };
    Table {
        title: "Tasks",
        about: "",
        columns: &["task", ">lived", ">ran", ">waited", "functions", "made at"],
        rows: all.iter().take(4 * ROWS).map(row).collect(),
        of: all.len(),
    }
}

/// A duration, for people.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => String::new(),
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 0.99995 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s if s > 0.0 => format!("{:.0} µs", s * 1e6),
        _ => "0".to_string(),
    }
}

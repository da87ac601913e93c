//! A trace, read again.
//!
//! All lines are those that [`super::super::trace`] writes; what cannot be read, as the last line of a program that was killed,
//! is passed over. So that pages of long runs can be opened, only so many waits are kept one by one: the longest.

use std::collections::HashMap;
use std::io::{self, BufRead};

use serde::Deserialize;

use super::super::trace::COMMANDS;

/// So many waits and holds are kept one by one before the shorter half is let go.
const MOST_KEPT: usize = 400_000;

/// The track of a task: process and number.
pub type Track = (u64, u64);

/// One line of a trace.
#[derive(Deserialize)]
struct Line {
    ph: String,
    pid: u64,
    tid: u64,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    id2: Local,
    #[serde(default)]
    args: Args,
}

#[derive(Deserialize, Default)]
struct Local {
    #[serde(default)]
    local: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Args {
    name: String,
    at: String,
    r#for: String,
    call: String,
    #[serde(rename = "held by")]
    held_by: String,
    #[serde(rename = "held since")]
    held_since: String,
    since: String,
    ended: String,
    command: String,
    #[serde(rename = "made at")]
    made_at: String,
    text: String,
    code: i32,
    idle: u8,
    exit_code: Option<i32>,
    pid: u64,
    user_s: f64,
    system_s: f64,
    peak_kib: u64,
}

/// A program that has run.
#[derive(Default)]
pub struct Run {
    /// When its last event was, in seconds.
    pub end: f64,
    /// The names of its processes.
    pub processes: HashMap<u64, String>,
    /// Its tasks, in the order in which they began.
    pub tasks: Vec<Task>,
    /// The waits that were kept, each at its end.
    pub waits: Vec<Wait>,
    /// Sums of all waits, by call and object.
    pub by_object: HashMap<String, Sum>,
    /// Its commands, in the order in which they began.
    pub commands: Vec<Command>,
    /// Who held what.
    pub holds: Vec<Held>,
    /// Sums of all holds, by object.
    pub by_lock: HashMap<String, Sum>,
    /// What a person looks for.
    pub incidents: Vec<Incident>,
}

/// A task.
#[derive(Clone, Default)]
pub struct Task {
    /// Where it is found in the trace.
    pub track: Track,
    /// What it is called there.
    pub name: String,
    /// Where in the script it was made.
    pub made_at: String,
    /// When it began and ended, in seconds.
    pub began: f64,
    /// As above.
    pub ended: f64,
    /// How long it waited.
    pub waited: f64,
    /// Who started it, and when.
    pub starter: Option<(usize, f64)>,
    /// The functions that it ran, at most so many that somebody might read them.
    pub functions: Vec<String>,
}

/// A wait.
#[derive(Clone, Default)]
pub struct Wait {
    /// Whose.
    pub task: usize,
    /// The call and the object: `acquire Lock(#2)`.
    pub what: String,
    /// The object.
    pub object: String,
    /// Where in the script.
    pub at: String,
    /// When it began and ended.
    pub from: f64,
    /// As above.
    pub to: f64,
    /// How it ended; empty for its usual end.
    pub how: String,
    /// Who held what was waited for, and since which place.
    pub held_by: String,
    /// As above.
    pub held_since: String,
    /// Who ended it, and when.
    pub waker: Option<(usize, f64)>,
    /// It may have waited for as long as it liked: an idle worker, the end of the program.
    pub idle: bool,
}

/// A command.
#[derive(Clone, Default)]
pub struct Command {
    /// Its row in the trace.
    pub row: u64,
    /// Its text.
    pub text: String,
    /// Its process.
    pub pid: u64,
    /// When it began and ended.
    pub from: f64,
    /// As above.
    pub to: f64,
    /// Its exit code; negative for a signal.
    pub code: i32,
    /// Who ended it.
    pub ended: String,
    /// Seconds on processors, in its own code and in the system.
    pub user: f64,
    /// As above.
    pub system: f64,
    /// The most memory.
    pub peak_kib: u64,
}

/// Something that was held.
#[derive(Clone, Default)]
pub struct Held {
    /// What.
    pub object: String,
    /// By whom.
    pub by: String,
    /// Since which place.
    pub at: String,
    /// When.
    pub from: f64,
    /// As above.
    pub to: f64,
}

/// Something that went wrong, or came from outside.
#[derive(Clone, Default)]
pub struct Incident {
    /// When.
    pub at: f64,
    /// Who.
    pub who: String,
    /// What, in a line.
    pub what: String,
    /// All of it.
    pub text: String,
}

/// How much of something there was.
#[derive(Clone, Default)]
pub struct Sum {
    /// How often.
    pub count: u64,
    /// Seconds in all.
    pub total: f64,
    /// The longest.
    pub longest: f64,
    /// Who made others wait, and for how long.
    pub by: HashMap<String, f64>,
}

impl Sum {
    fn add(&mut self, took: f64) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
    }
}

#[derive(Default)]
struct Reader {
    run: Run,
    tracks: HashMap<Track, usize>,
    names: HashMap<Track, String>,
    open: HashMap<Track, Vec<Open>>,
    commands: HashMap<Track, usize>,
    holds: HashMap<(u64, String), Held>,
    arrows: HashMap<String, (Track, f64)>,
    /// The last wait of a task that was kept, and when it ended.
    last: HashMap<usize, (usize, f64)>,
    /// When a process ended.
    gone: HashMap<u64, f64>,
}

enum Open {
    Life(usize),
    Function,
    Runs,
    Wait(Box<Wait>),
}

/// Reads a trace.
///
/// # Errors
/// Those of the system.
pub fn run(lines: impl BufRead) -> io::Result<Run> {
    let mut reader = Reader::default();
    for line in lines.split(b'\n') {
        let line = line?;
        let line = line.strip_suffix(b",").unwrap_or(&line);
        if let Ok(line) = serde_json::from_slice::<Line>(line) {
            reader.take(line);
        }
    }
    Ok(reader.finish())
}

impl Reader {
    fn take(&mut self, line: Line) {
        let at = line.ts / 1e6;
        self.run.end = self.run.end.max(at);
        let track = (line.pid, line.tid);
        let is_command = line.tid >= COMMANDS;
        match line.ph.as_str() {
            "M" if line.name == "process_name" => _ = self.run.processes.insert(line.pid, line.args.name),
            "M" if line.name == "thread_name" => _ = self.names.insert(track, line.args.name),
            "B" if is_command => {
                let args = line.args;
                let command = Command {
                    row: line.tid,
                    text: args.command,
                    pid: args.pid,
                    from: at,
                    to: f64::NAN,
                    ..Command::default()
                };
                self.commands.insert(track, self.run.commands.len());
                self.run.commands.push(command);
            }
            "E" if is_command => {
                if let Some(command) = self.commands.remove(&track).and_then(|i| self.run.commands.get_mut(i)) {
                    (command.to, command.code, command.ended) = (at, line.args.code, line.args.ended);
                    (command.user, command.system) = (line.args.user_s, line.args.system_s);
                    command.peak_kib = line.args.peak_kib;
                }
            }
            "B" => self.begin(track, at, line.name, line.args),
            "E" => self.end(track, at, line.args.ended),
            "b" => {
                let object = line.name.strip_prefix("holds ").unwrap_or(&line.name).to_string();
                let held = Held { object, by: line.args.held_by, at: line.args.since, from: at, to: at };
                self.holds.insert((line.pid, line.id2.local), held);
            }
            "e" => {
                if let Some(held) = self.holds.remove(&(line.pid, line.id2.local)) {
                    self.held(held, at);
                }
            }
            "s" => _ = self.arrows.insert(line.id, (track, at)),
            "f" => self.arrow(&line.id, &line.name, track, at),
            "i" => {
                if line.args.pid != 0 && line.args.exit_code.is_some() {
                    self.gone.insert(line.args.pid, at);
                }
                let who = self.tracks.get(&track).map_or_else(String::new, |task| self.run.tasks[*task].name.clone());
                self.run.incidents.push(Incident { at, who, what: line.name, text: line.args.text });
            }
            _ => {}
        }
    }

    fn begin(&mut self, track: Track, at: f64, name: String, args: Args) {
        let open = self.open.entry(track).or_default();
        if open.is_empty() {
            let task = self.run.tasks.len();
            let name = self.names.get(&track).cloned().unwrap_or(name);
            self.tracks.insert(track, task);
            let began = Task { track, name, made_at: args.made_at, began: at, ended: f64::NAN, ..Task::default() };
            self.run.tasks.push(began);
            open.push(Open::Life(task));
        } else if name == "runs" {
            open.push(Open::Runs);
        } else if args.call.is_empty() {
            open.push(Open::Function);
            if let Some(task) = self.tracks.get(&track).and_then(|i| self.run.tasks.get_mut(*i))
                && task.functions.len() < 4
                && !task.functions.contains(&name)
            {
                task.functions.push(name);
            }
        } else {
            let what = if args.r#for == "time(#0)" { args.call } else { format!("{} {}", args.call, args.r#for) };
            open.push(Open::Wait(Box::new(Wait {
                task: self.tracks.get(&track).copied().unwrap_or(0),
                what,
                object: args.r#for,
                at: args.at,
                from: at,
                to: at,
                held_by: args.held_by,
                held_since: args.held_since,
                idle: args.idle != 0,
                ..Wait::default()
            })));
        }
    }

    fn end(&mut self, track: Track, at: f64, how: String) {
        match self.open.get_mut(&track).and_then(Vec::pop) {
            Some(Open::Life(task)) => self.run.tasks[task].ended = at,
            Some(Open::Wait(wait)) => self.waited(Wait { to: at, how, ..*wait }),
            Some(Open::Function | Open::Runs) | None => {}
        }
    }

    fn waited(&mut self, wait: Wait) {
        let took = wait.to - wait.from;
        let task = wait.task;
        if let Some(task) = self.run.tasks.get_mut(task) {
            task.waited += took;
        }
        if !wait.idle {
            let sum = self.run.by_object.entry(wait.what.clone()).or_default();
            sum.add(took);
            if !wait.held_by.is_empty() {
                *sum.by.entry(wait.held_by.clone()).or_default() += took;
            }
        }
        self.last.insert(task, (self.run.waits.len(), wait.to));
        self.run.waits.push(wait);
        if self.run.waits.len() > MOST_KEPT {
            keep_longest(&mut self.run.waits, |wait| wait.to - wait.from);
            self.last.clear();
        }
    }

    fn held(&mut self, mut held: Held, at: f64) {
        held.to = at;
        self.run.by_lock.entry(held.object.clone()).or_default().add(at - held.from);
        self.run.holds.push(held);
        if self.run.holds.len() > MOST_KEPT {
            keep_longest(&mut self.run.holds, |held| held.to - held.from);
        }
    }

    fn arrow(&mut self, id: &str, name: &str, to: Track, at: f64) {
        let (Some((from, when)), Some(task)) = (self.arrows.remove(id), self.tracks.get(&to).copied()) else {
            return;
        };
        let Some(source) = self.tracks.get(&from).copied() else {
            return;
        };
        match name {
            "start" => self.run.tasks[task].starter = Some((source, when)),
            "wake" => {
                if let Some((wait, _)) = self.last.get(&task).filter(|(_, ended)| *ended == at)
                    && let Some(wait) = self.run.waits.get_mut(*wait)
                {
                    wait.waker = Some((source, when));
                    if wait.held_by.is_empty() && !wait.idle {
                        let by = self.run.tasks[source].name.clone();
                        let sum = self.run.by_object.entry(wait.what.clone()).or_default();
                        *sum.by.entry(by).or_default() += wait.to - wait.from;
                    }
                }
            }
            _ => {}
        }
    }

    /// What is still open ends with the last event: so it was when the program ended, or was killed.
    fn finish(mut self) -> Run {
        let end = self.run.end;
        let open: Vec<(Track, Vec<Open>)> = self.open.drain().collect();
        for (track, stack) in open {
            // Those of a process that was killed end with it.
            let end = self.gone.get(&track.0).copied().unwrap_or(end);
            for one in stack {
                match one {
                    Open::Wait(wait) => self.waited(Wait { to: end.max(wait.from), how: "not ended".into(), ..*wait }),
                    Open::Life(task) => self.run.tasks[task].ended = end.max(self.run.tasks[task].began),
                    Open::Function | Open::Runs => {}
                }
            }
        }
        let holds: Vec<Held> = self.holds.drain().map(|(_, held)| held).collect();
        holds.into_iter().for_each(|held| self.held(held, end));
        let mut run = self.run;
        for command in run.commands.iter_mut().filter(|command| command.to.is_nan()) {
            command.to = end;
            command.ended = "not ended".into();
        }
        run.waits.sort_by(|one, other| one.to.total_cmp(&other.to).then(one.task.cmp(&other.task)));
        run.incidents.sort_by(|one, other| one.at.total_cmp(&other.at));
        run
    }
}

fn keep_longest<T>(all: &mut Vec<T>, took: impl Fn(&T) -> f64) {
    all.sort_by(|one, other| took(other).total_cmp(&took(one)));
    all.truncate(MOST_KEPT / 2);
}

//! A trace in the JSON that Chrome has made up and Perfetto opens.
//!
//! The file is an array of which each line is one event. The closing bracket may be missing, so a trace can be read whenever
//! the program was killed; workers write their lines into the same file, each line whole.
//!
//! ```text
//!   a track per task:   ┌ life of the task ───────────────────────────────┐
//!                       │ ┌ function of the script ─────────────┐         │
//!                       │ │ runs │ waits: acquire Lock(#2) │runs│ runs    │
//!   a row per lock:     holds, from acquire to release
//!   rows of commands:   one slice a command, as many rows as commands ran at once
//!   counters:           items in queues, permits, running tasks
//!   arrows:             put → get, and from whoever woke a task to where it goes on
//! ```
//!
//! Invariants: slices of a track nest; times on a track do not go back; an arrow is written when both of its ends are known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;

use super::json::Arg;
use super::levels::{Count, Levels};
use super::lines::{Lines, Say};
use super::tape::{Entry, Fact};
use crate::kernel::events::Usage;
use crate::kernel::{Kernel, Role, Site};

/// The number of the first row of commands, as a thread of the process.
pub const COMMANDS: u64 = 1_000_000_000;

/// The numbers of simulated processes begin here, as scripts see them.
pub const SIMULATED: u64 = 10_000_000;

/// So many items whose getting was not seen are remembered in each queue.
const REMEMBERED: usize = 4_096;

/// See the module.
pub struct Trace {
    lines: Lines,
    is_worker: bool,
    pid: u64,
    /// What is added to times, so that those of all processes are of one clock.
    offset: u64,
    processes: HashSet<u64>,
    lanes: HashMap<u64, Lane>,
    /// Who made the next waking of a task, and when.
    woken: HashMap<u64, Point>,
    /// What is held: by task, then by object.
    held: BTreeSet<(u64, u64)>,
    /// Items in queues: by queue and number, who put it when.
    items: HashMap<u64, BTreeMap<u64, Point>>,
    levels: Levels,
    commands: HashMap<u64, Command>,
    rows: Vec<Option<u64>>,
    row_times: Vec<u64>,
    arrows: u64,
    running: usize,
    last: u64,
}

/// The track of a task.
struct Lane {
    pid: u64,
    name: Box<str>,
    last: u64,
    /// For each function that it runs, whether it was written.
    functions: Vec<bool>,
    top: Top,
    /// What it waits for.
    what: String,
}

/// Where an arrow begins or ends: a track, by its process and task, which may end before the arrow is written.
#[derive(Clone, Copy)]
struct Point {
    track: (u64, u64),
    at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    Runs,
    Waits(u64),
}

/// A wait that begins.
struct Waiting<'a> {
    verb: &'a str,
    object: &'a str,
    place: &'a str,
    order: u64,
    by: Option<(Box<str>, String)>,
    idle: bool,
}

struct Command {
    row: usize,
    pid: u32,
    text: Box<str>,
    home: u64,
}

impl Trace {
    /// A trace of a program that people know as `name`, in `file`, which is empty. `say` tells people that it cannot be
    /// written.
    pub fn new(file: File, name: &str, pid: u64, say: Say) -> Trace {
        let mut trace = Trace::continued(file, name, pid, 0, say);
        trace.is_worker = false;
        trace.lines.begin();
        trace
    }

    /// The part of a worker in the trace of a program, which has begun `offset` nanoseconds before the worker.
    pub fn continued(file: File, name: &str, pid: u64, offset: u64, say: Say) -> Trace {
        let mut trace = Trace {
            lines: Lines::new(file, say),
            is_worker: true,
            pid,
            offset,
            processes: HashSet::new(),
            lanes: HashMap::new(),
            woken: HashMap::new(),
            held: BTreeSet::new(),
            items: HashMap::new(),
            levels: Levels::default(),
            commands: HashMap::new(),
            rows: Vec::new(),
            row_times: Vec::new(),
            arrows: 0,
            running: 0,
            last: 0,
        };
        trace.name_process(pid, name);
        trace
    }

    fn name_process(&mut self, pid: u64, name: &str) {
        if self.processes.insert(pid) {
            self.lines.event("M", (pid, 0), None, "process_name", &[("name", Arg::Text(name))], "");
        }
    }

    /// Adds an event. They come in the order of their times, but for beginnings of waits.
    pub(super) fn take(&mut self, entry: Entry, kernel: &Kernel) {
        let Entry { at, process, task, fact } = entry;
        let mut at = at.saturating_add(self.offset);
        if task != 0 {
            let lane = self.lane(task, process, at);
            // Each event of a track has a time of its own, so that arrows find their slice.
            at = at.max(lane.last + 1);
            lane.last = at;
        }
        self.last = self.last.max(at);
        match fact {
            Fact::Started { name, role, site, by } => self.started(task, at, &name, role, &kernel.place(site), by),
            Fact::Ended => self.ended(task, at),
            Fact::Calls { function, site, shown } => self.calls(task, at, &function, &kernel.place(site), shown),
            Fact::Returns => self.returns(task, at),
            Fact::Waits { verb, object, site, order, by, idle } => {
                let by = by.map(|(owner, site)| (self.name_of(owner), kernel.place(site)));
                let wait = Waiting { verb, object: &object, place: &kernel.place(site), order, by, idle };
                self.waits(task, at, &wait);
            }
            Fact::Wakes { order, how } => self.wakes(task, at, order, how),
            Fact::Woke { task: other } => {
                self.instant_slice(task, at, &format!("wakes #{other}"));
                self.woken.insert(other, self.point(task, at));
            }
            Fact::Acquired { object, label, site } => self.acquired(task, at, object, &label, site, kernel),
            Fact::Released { object } => self.released(task, at, object),
            Fact::Put { object, label, item, size } => {
                self.instant_slice(task, at, &format!("put {label}"));
                let put = self.point(task, at);
                let items = self.items.entry(object).or_default();
                items.insert(item, put);
                if items.len() > REMEMBERED {
                    items.pop_first();
                }
                self.count(object, at, size, &label);
            }
            Fact::Got { object, label, item, size } => {
                self.instant_slice(task, at, &format!("get {label}"));
                let put = self.items.get_mut(&object).and_then(|items| items.remove(&item));
                if let Some(put) = put {
                    self.arrow("put", put, self.point(task, at));
                }
                self.count(object, at, size, &label);
            }
            Fact::Level { object, label, level } => self.count(object, at, level, &label),
            Fact::ChildStarted { object, pid, command } => self.command(task, at, object, pid, command),
            Fact::ChildEnded { object, code, note, usage } => self.command_ended(at, object, code, note, usage),
            Fact::WorkerStarted { pid } => {
                self.instant(task, at, &format!("starts process {pid}"), &[("pid", Arg::Number(pid.into()))]);
            }
            Fact::WorkerEnded { pid, code } => {
                let how = if code < 0 { format!("killed by signal {}", -code) } else { format!("exit code {code}") };
                let args = [("pid", Arg::Number(pid.into())), ("exit_code", Arg::Number(code.into()))];
                self.instant(task, at, &format!("process {pid} ended: {how}"), &args);
            }
            Fact::Noted { what, text } => {
                let short: String = text.lines().next().unwrap_or_default().chars().take(100).collect();
                self.instant(task, at, &format!("{what}: {short}"), &[("text", Arg::Text(&text))]);
            }
        }
        self.lines.flush_if_many();
    }

    /// The track of a task, which is there from the first that is heard of it.
    fn lane(&mut self, task: u64, process: u64, at: u64) -> &mut Lane {
        let pid = if self.pid == SIMULATED { SIMULATED + process } else { self.pid };
        if pid != self.pid {
            self.name_process(pid, &format!("process {process}"));
        }
        self.lanes.entry(task).or_insert_with(|| Lane {
            pid,
            name: format!("#{task}").into(),
            last: at.saturating_sub(1),
            functions: Vec::new(),
            top: Top::Runs,
            what: String::new(),
        })
    }

    /// The name of a task, as it is told of it when it begins.
    fn name_of(&self, task: u64) -> Box<str> {
        self.lanes.get(&task).map_or_else(|| format!("#{task}").into(), |lane| lane.name.clone())
    }

    /// A point of the track of a task that has not ended.
    fn point(&self, task: u64, at: u64) -> Point {
        Point { track: (self.pid_of(task), task), at }
    }

    fn pid_of(&self, task: u64) -> u64 {
        self.lanes.get(&task).map_or(self.pid, |lane| lane.pid)
    }

    fn started(&mut self, task: u64, at: u64, name: &str, role: Role, born: &str, by: u64) {
        let pid = self.pid_of(task);
        if let Some(lane) = self.lanes.get_mut(&task) {
            lane.name = name.into();
        }
        let shown = match role {
            Role::Main => name.to_string(),
            Role::Thread | Role::Service => format!("thread {name}"),
            Role::Process | Role::Workman => format!("process {name}"),
            Role::Far => format!("{name}, from its process"),
        };
        self.lines.event("M", (pid, task), None, "thread_name", &[("name", Arg::Text(&shown))], "");
        let index = i64::try_from(task).unwrap_or(i64::MAX);
        self.lines.event("M", (pid, task), None, "thread_sort_index", &[("sort_index", Arg::Number(index))], "");
        let args = [("task", Arg::Number(index)), ("made at", Arg::Text(born))];
        self.lines.event("B", (pid, task), Some(at), &shown, &args, "");
        self.lines.event("B", (pid, task), Some(at), "runs", &[], "");
        if let Some(lane) = self.lanes.get_mut(&by) {
            let when = at.max(lane.last + 1);
            lane.last = when;
            self.instant_slice(by, when, &format!("starts {shown}"));
            self.arrow("start", self.point(by, when), self.point(task, at.max(when)));
        }
        self.running += 1;
        self.count_running(at);
    }

    fn ended(&mut self, task: u64, at: u64) {
        let held: Vec<u64> = self.held.range((task, 0)..=(task, u64::MAX)).map(|(_, object)| *object).collect();
        held.into_iter().for_each(|object| self.released(task, at, object));
        let Some(lane) = self.lanes.remove(&task) else {
            return;
        };
        self.running -= usize::from(lane.top == Top::Runs && self.running > 0);
        let open = 2 + lane.functions.iter().filter(|shown| **shown).count();
        for _ in 0..open {
            self.lines.event("E", (lane.pid, task), Some(at), "", &[], "");
        }
        self.woken.remove(&task);
        self.count_running(at);
    }

    fn calls(&mut self, task: u64, at: u64, function: &str, place: &str, shown: bool) {
        let pid = self.pid_of(task);
        if let Some(lane) = self.lanes.get_mut(&task) {
            lane.functions.push(shown);
        }
        if shown {
            self.lines.event("E", (pid, task), Some(at), "", &[], "");
            self.lines.event("B", (pid, task), Some(at), function, &[("given at", Arg::Text(place))], "");
            self.lines.event("B", (pid, task), Some(at), "runs", &[], "");
        }
    }

    fn returns(&mut self, task: u64, at: u64) {
        let pid = self.pid_of(task);
        let shown = self.lanes.get_mut(&task).and_then(|lane| lane.functions.pop());
        if shown == Some(true) {
            self.lines.event("E", (pid, task), Some(at), "", &[], "");
            self.lines.event("E", (pid, task), Some(at), "", &[], "");
            self.lines.event("B", (pid, task), Some(at), "runs", &[], "");
        }
    }

    fn waits(&mut self, task: u64, at: u64, wait: &Waiting) {
        let Waiting { verb, object, place, order, by, idle } = wait;
        let order = *order;
        let Some(lane) = self.lanes.get_mut(&task) else {
            return;
        };
        if let Top::Waits(before) = lane.top {
            if before == order {
                return; // a tick had seen it
            }
            self.wakes(task, at, before, "");
        }
        let Some(lane) = self.lanes.get_mut(&task) else {
            return;
        };
        lane.top = Top::Waits(order);
        lane.what = if *object == "time(#0)" { verb.to_string() } else { format!("{verb} {object}") };
        let pid = lane.pid;
        self.running = self.running.saturating_sub(1);
        self.lines.event("E", (pid, task), Some(at), "", &[], "");
        let name = if *object == "time(#0)" { verb.to_string() } else { format!("waits: {verb} {object}") };
        let mut args = vec![("at", Arg::Text(place)), ("for", Arg::Text(object)), ("call", Arg::Text(verb))];
        if let Some((owner, since)) = by {
            args.extend([("held by", Arg::Text(owner)), ("held since", Arg::Text(since))]);
        }
        if *idle && *verb != "sleep" {
            args.push(("idle", Arg::Number(1)));
        }
        self.lines.event("B", (pid, task), Some(at), &name, &args, "");
        self.count_running(at);
    }

    fn wakes(&mut self, task: u64, at: u64, order: u64, how: &'static str) {
        let Some(lane) = self.lanes.get_mut(&task).filter(|lane| lane.top == Top::Waits(order)) else {
            self.woken.remove(&task);
            return;
        };
        lane.top = Top::Runs;
        let (pid, what) = (lane.pid, std::mem::take(&mut lane.what));
        self.running += 1;
        let args: &[(&str, Arg)] = if how.is_empty() { &[] } else { &[("ended", Arg::Text(how))] };
        self.lines.event("E", (pid, task), Some(at), "", args, "");
        self.lines.event("B", (pid, task), Some(at), "runs", &[], "");
        if !how.is_empty() {
            self.instant(task, at, &format!("{how}: {what}"), &[]);
        }
        if let Some(by) = self.woken.remove(&task) {
            self.arrow("wake", by, self.point(task, at));
        }
        self.count_running(at);
    }

    fn acquired(&mut self, task: u64, at: u64, object: u64, label: &str, site: Site, kernel: &Kernel) {
        if self.held.insert((task, object)) {
            let (pid, place) = (self.pid_of(task), kernel.place(site));
            let extra = hold(object, task);
            let name = self.name_of(task);
            let args = [("held by", Arg::Text(&name)), ("since", Arg::Text(&place))];
            self.lines.event("b", (pid, task), Some(at), &format!("holds {label}"), &args, &extra);
        }
    }

    fn released(&mut self, task: u64, at: u64, object: u64) {
        if self.held.remove(&(task, object)) {
            let pid = self.pid_of(task);
            self.lines.event("e", (pid, task), Some(at), "", &[], &hold(object, task));
        }
    }

    /// An arrow between two points of tracks. Its ends bind to the slices that are there.
    fn arrow(&mut self, name: &str, from: Point, to: Point) {
        self.arrows += 1;
        let id = format!(",\"cat\":\"flow\",\"id\":\"0x{:x}\"", self.pid << 32 | self.arrows);
        self.lines.event("s", from.track, Some(from.at), name, &[], &id);
        self.lines.event("f", to.track, Some(to.at), name, &[], &format!("{id},\"bp\":\"e\""));
    }

    fn instant_slice(&mut self, task: u64, at: u64, name: &str) {
        let pid = self.pid_of(task);
        self.lines.event("X", (pid, task), Some(at), name, &[], ",\"dur\":0");
    }

    fn instant(&mut self, task: u64, at: u64, name: &str, args: &[(&str, Arg)]) {
        let scope = if task == 0 { ",\"s\":\"p\"" } else { ",\"s\":\"t\"" };
        let pid = self.pid_of(task);
        self.lines.event("i", (pid, task), Some(at), name, args, scope);
    }

    fn command(&mut self, task: u64, at: u64, object: u64, pid: u32, text: Box<str>) {
        let home = self.pid_of(task);
        let row = match self.rows.iter().position(Option::is_none) {
            Some(row) => row,
            None => {
                self.rows.push(None);
                self.row_times.push(0);
                let (row, number) = (self.rows.len() - 1, self.rows.len());
                let tid = COMMANDS + row as u64;
                let name = format!("commands {number}");
                self.lines.event("M", (home, tid), None, "thread_name", &[("name", Arg::Text(&name))], "");
                row
            }
        };
        self.rows[row] = Some(object);
        let began = at.max(self.row_times[row] + 1);
        self.row_times[row] = began;
        let tid = COMMANDS + row as u64;
        let args = [("command", Arg::Text(&text)), ("pid", Arg::Number(pid.into()))];
        self.lines.event("B", (home, tid), Some(began), &text, &args, "");
        self.commands.insert(object, Command { row, pid, text, home });
    }

    fn command_ended(&mut self, at: u64, object: u64, code: i32, note: &str, usage: Option<Usage>) {
        let Some(Command { row, pid, text, home }) = self.commands.remove(&object) else {
            return;
        };
        let tid = COMMANDS + row as u64;
        let at = at.max(self.row_times[row] + 1);
        let mut args = vec![("code", Arg::Number(code.into())), ("pid", Arg::Number(pid.into()))];
        if !note.is_empty() {
            args.push(("ended", Arg::Text(note)));
        }
        if let Some(usage) = usage {
            args.extend([
                ("user_s", Arg::Seconds(usage.user.as_secs_f64())),
                ("system_s", Arg::Seconds(usage.system.as_secs_f64())),
                ("peak_kib", Arg::Number(i64::try_from(usage.peak_kib).unwrap_or(i64::MAX))),
            ]);
        }
        self.lines.event("E", (home, tid), Some(at), "", &args, "");
        if code != 0 {
            let how = if code < 0 { format!("signal {}", -code) } else { format!("exit code {code}") };
            let how = if note.is_empty() { how } else { format!("{how}, {note}") };
            let name = format!("failed ({how}): {text}");
            self.lines.event("i", (home, tid), Some(at), &name, &[("code", Arg::Number(code.into()))], ",\"s\":\"t\"");
        }
        self.row_times[row] = at;
        self.rows[row] = None;
    }

    fn count_running(&mut self, at: u64) {
        let running = self.running;
        self.count(0, at, running, "");
    }

    fn count(&mut self, object: u64, at: u64, value: usize, label: &str) {
        let due = self.levels.count(object, at, value, label);
        self.write_counts(due);
    }

    fn write_counts(&mut self, counts: Vec<Count>) {
        for Count { name, at, value } in counts {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            self.lines.event("C", (self.pid, 0), Some(at), &name, &[("value", Arg::Number(value))], "");
        }
    }

    /// Writes what has come together.
    pub(super) fn write_out(&mut self) {
        self.lines.flush();
    }

    /// Ends it: tasks that still run end with the program.
    pub(super) fn finish(&mut self) {
        let last = self.levels.flush();
        self.write_counts(last);
        let mut left: Vec<u64> = self.lanes.keys().copied().collect();
        left.sort_unstable();
        for task in left {
            self.ended(task, self.last + 1);
        }
        let mut left: Vec<u64> = self.rows.iter().flatten().copied().collect();
        left.sort_unstable();
        for object in left {
            self.command_ended(self.last + 1, object, 0, "still ran at the end of the program", None);
        }
        if self.is_worker {
            self.lines.flush();
        } else {
            self.lines.end();
        }
    }
}

/// The ends of a hold find each other by the object and the task.
fn hold(object: u64, task: u64) -> String {
    format!(",\"cat\":\"hold\",\"id2\":{{\"local\":\"0x{:x}\"}}", object << 24 | task & 0xff_ffff)
}

//! Everything that one command started.
//!
//! Its processes are found three ways: by descent from its own processes, by its process groups, and by a mark in the
//! environment, which also those keep that left group and session and whose parents ended. orch is the subreaper of all it
//! starts, so nobody escapes to `init`.
//!
//! The mark is one variable, `ORCH_TREE`: the names of the trees a process belongs to, outermost first. A command of an orch
//! that runs in an orch belongs to trees of both.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::process::Signal;

use super::processes::{self, Sent, Stat, all, descendants, descendants_of};

/// The variable that marks what a command started.
pub const MARK: &str = "ORCH_TREE";

/// The random name of this run of orch, of which the names of its trees are made.
pub fn run_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("{:016x}", fastrand::Rng::new().u64(..)))
}

/// See the module.
#[derive(Debug)]
pub struct Tree {
    name: String,
    /// The numbers of its first processes, as long as they are surely theirs.
    leaders: Mutex<Vec<i32>>,
    /// The groups that these led.
    groups: Mutex<Vec<i32>>,
}

impl Tree {
    /// A tree without processes.
    pub fn new() -> Tree {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Tree { name: format!("{}.{number}", run_name()), leaders: Mutex::default(), groups: Mutex::default() }
    }

    /// The value of [`MARK`] for its processes.
    pub fn mark(&self) -> String {
        static OUTER: OnceLock<Option<String>> = OnceLock::new();
        match OUTER.get_or_init(|| std::env::var(MARK).ok().filter(|outer| !outer.is_empty())) {
            Some(outer) => format!("{outer}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// One more process that leads a group of its own. It must not have been reaped yet.
    pub fn add_leader(&self, pid: u32) {
        self.leaders.lock().push(pid.cast_signed());
        self.groups.lock().push(pid.cast_signed());
    }

    /// A leader was reaped: its number may belong to somebody else from now on.
    pub fn forget_leader(&self, pid: u32) {
        self.leaders.lock().retain(|leader| *leader != pid.cast_signed());
    }

    /// Its processes that have not ended: all of them.
    pub fn members(&self) -> Vec<Stat> {
        let me = std::process::id().cast_signed();
        self.members_of(descendants(&all(), |p| p.pid == me))
    }

    /// Its processes that have not ended, as far as a quick look finds them: one may be missed while another ends.
    pub fn glimpse(&self) -> Vec<Stat> {
        self.members_of(descendants_of(std::process::id().cast_signed()))
    }

    /// Those of `all`, which descend from orch, that belong to it.
    fn members_of(&self, all: Vec<Stat>) -> Vec<Stat> {
        let leaders = self.leaders.lock().clone();
        let groups = self.groups.lock().clone();
        let is_root = |p: &Stat| {
            match processes::variable(p.pid, MARK) {
                Some(mark) if belongs(&mark, &self.name) => true,
                Some(_) => false,
                // It has cleared its environment. A group's number may have gone to a command that came later.
                None => leaders.contains(&p.pid) || (groups.contains(&p.group) && !self.is_of_another(p.group)),
            }
        };
        let roots: HashSet<i32> = all.iter().filter(|p| is_root(p)).map(|p| p.pid).collect();
        // Parents first: a shell whose child ends before it hears of its own end has something to say about it.
        let mut members: Vec<Stat> = all.iter().filter(|p| roots.contains(&p.pid)).cloned().collect();
        members.extend(descendants(&all, |p| roots.contains(&p.pid)));
        let mut seen = HashSet::new();
        members.retain(|p| p.state != 'Z' && seen.insert(p.pid));
        members
    }

    fn is_of_another(&self, pid: i32) -> bool {
        processes::variable(pid, MARK).is_some_and(|mark| !belongs(&mark, &self.name))
    }

    /// Sends a signal to all its processes. One that was stopped gets to see it.
    pub fn signal(&self, signal: Signal) {
        send_to(&self.members(), signal);
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends a signal to each; a process that is stopped is let go on, or it would not hear. Returns those that belong to
/// somebody else and cannot be sent signals.
pub fn send_to(processes: &[Stat], signal: Signal) -> Vec<Stat> {
    let refused = processes.iter().filter(|p| processes::send(p, signal) == Sent::Refused).cloned().collect();
    if signal != Signal::KILL && signal != Signal::STOP && signal != Signal::TSTP {
        processes.iter().filter(|p| p.state == 'T').for_each(|p| _ = processes::send(p, Signal::CONT));
    }
    refused
}

/// True when a mark names the tree.
fn belongs(mark: &str, name: &str) -> bool {
    mark.split('/').any(|part| part == name)
}

/// Children that orch had before it started any, as a shell leaves them that became orch: no concern of orch's.
static STRANGERS: OnceLock<Vec<Stat>> = OnceLock::new();

/// Whoever is a child of orch now is none of its commands. To be called before the first is started.
pub fn note_strangers() {
    let children = processes::children(std::process::id().cast_signed()).unwrap_or_default();
    let _noted_before = STRANGERS.set(children.into_iter().filter_map(processes::stat).collect());
}

/// True when orch has children that it did not start.
pub fn has_strangers() -> bool {
    STRANGERS.get().is_some_and(|strangers| !strangers.is_empty())
}

/// Every process that this run of orch started and that has not ended, but for those in `spared`.
pub fn everything(spared: &[u32]) -> Vec<Stat> {
    without(spared, descendants(&all(), |p| p.pid == std::process::id().cast_signed()))
}

/// The same, as far as a quick look finds them: one may be missed while another ends.
pub fn glimpse_of_everything(spared: &[u32]) -> Vec<Stat> {
    without(spared, descendants_of(std::process::id().cast_signed()))
}

fn without(spared: &[u32], mut found: Vec<Stat>) -> Vec<Stat> {
    if let Some(strangers) = STRANGERS.get().filter(|strangers| !strangers.is_empty()) {
        let is_stranger = |p: &Stat| strangers.iter().any(|s| s.pid == p.pid && s.started == p.started);
        let theirs: HashSet<i32> = descendants(&found, is_stranger).iter().map(|p| p.pid).collect();
        found.retain(|p| !is_stranger(p) && !theirs.contains(&p.pid));
    }
    found.retain(|p| p.state != 'Z' && !spared.contains(&p.pid.cast_unsigned()));
    found
}

/// Every process that a run of orch started which is no more: they are found by the mark alone, with what descends from
/// them and what is in the groups they lead.
pub fn left_behind(run: &str) -> Vec<Stat> {
    let all = all();
    let of_run = |p: &Stat| {
        processes::variable(p.pid, MARK)
            .is_some_and(|mark| mark.split('/').any(|part| part.split('.').next() == Some(run)))
    };
    let me = std::process::id().cast_signed();
    let roots: HashSet<i32> = all.iter().filter(|p| p.pid != me && of_run(p)).map(|p| p.pid).collect();
    let mut found = descendants(&all, |p| roots.contains(&p.pid));
    let in_group = |p: &&Stat| p.pid != me && (roots.contains(&p.pid) || roots.contains(&p.group));
    found.extend(all.iter().filter(in_group).cloned());
    let mut seen = HashSet::new();
    found.retain(|p| p.state != 'Z' && p.pid != me && seen.insert(p.pid));
    found
}

//! Finding waits that nobody can end, without ever accusing one that somebody can.
//!
//! A task waits *for ever* when its wait has no deadline and every task that could end it waits for ever too. Who could
//! end a wait is what [`super::object::Waitable::enders`] says: owners of a lock, the thread that is joined, or whoever
//! can reach the object by handles, however many containers lie between. Everything that runs, waits with a deadline or
//! belongs to the world outside is alive; whatever the living can reach is not stuck; the rest is.
//!
//! The search runs beside the program in the real world, 10 ms after a task began to wait, so that a short wait pays
//! nothing for it; in the simulated world whenever all tasks wait, before the clock moves. It is exact in this sense:
//! changes of handles are held back while it looks, and a set of stuck tasks counts only if each of them was waiting, and
//! not yet woken, at both ends of the search. Nothing can change that set any more but a member of it.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLockReadGuard, RwLockWriteGuard};

use super::object::{Enders, Holder, ObjectCore, ObjectId, Waitable};
use super::task::{Role, Task, TaskId, Wait};
use super::threads;
use super::{Kernel, Site};

/// How long a wait may last before anybody asks whether it can end.
const DELAY: Duration = Duration::from_millis(10);

/// The search may take this part of one processor at most.
const SHARE: u32 = 20;

/// A set of tasks that wait for each other, or for nobody, for ever.
#[derive(Debug)]
pub struct Report {
    /// The task that is told: the one that began to wait last.
    pub victim: TaskId,
    /// True when no task of the program can go on.
    pub whole_program: bool,
    /// The tasks, the victim first.
    pub tasks: Vec<Stuck>,
}

/// One task of a [`Report`].
#[derive(Debug)]
pub struct Stuck {
    /// Its number.
    pub task: TaskId,
    /// Its name.
    pub name: Arc<str>,
    /// The call in which it waits: `acquire`.
    pub verb: &'static str,
    /// The object it waits for: `Lock(#3)`.
    pub object: String,
    /// Where it waits.
    pub site: Site,
    /// Since when, in time since the program's start.
    pub since: Duration,
    /// Who holds that object since which line.
    pub owners: Vec<(Arc<str>, Site)>,
    /// What it holds itself, since which line.
    pub holds: Vec<(String, Site)>,
}

/// Looks for stuck tasks when there is reason to.
pub struct Detector {
    pending: Arc<Pending>,
    started: AtomicBool,
    told: AtomicUsize,
}

#[derive(Default)]
struct Pending {
    look: AtomicBool,
    over: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
    /// Whom to tell that the search has looked.
    onlooker: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Detector {
    pub(super) fn new() -> Detector {
        Detector { pending: Arc::default(), started: AtomicBool::new(false), told: AtomicUsize::new(0) }
    }

    /// How many tasks have been told so far. A primitive that loses a wake-up shows here and nowhere else: the task that
    /// is told tries once more, and succeeds.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::Acquire)
    }

    /// A task began to wait, ended, or let go of a handle while others wait.
    pub fn look_again(&self, kernel: &Arc<Kernel>) {
        if kernel.waiting_for_ever() == 0 || self.pending.look.swap(true, Ordering::AcqRel) || kernel.is_sim() {
            return;
        }
        if !self.started.swap(true, Ordering::AcqRel) {
            let (kernel, pending) = (Arc::downgrade(kernel), self.pending.clone());
            // Without a thread to spare there is no search; nothing else depends on it.
            let _no_search = threads::run(Box::new(move || watch(&kernel, &pending)));
        }
        let _held = self.pending.lock.lock();
        self.pending.changed.notify_one();
    }

    /// In the simulated world, when nobody is ready: true when a task was told and is ready now.
    pub(super) fn look_in_sim(&self, kernel: &Arc<Kernel>) -> bool {
        if !self.pending.look.swap(false, Ordering::AcqRel) {
            return false;
        }
        let outcome = search(kernel);
        if !matches!(outcome, Outcome::Nothing) {
            // There may be another knot, and nobody would ask for it.
            self.pending.look.store(true, Ordering::Release);
        }
        matches!(outcome, Outcome::Told)
    }

    /// Has `look` called in the real world after each search, on a thread that is no task: some time after tasks began to wait, or
    /// ended, and everything has come to rest that was about to. Only the first that is given here.
    pub fn after_search(&self, look: impl Fn() + Send + Sync + 'static) {
        // The first word counts.
        let _already_set = self.pending.onlooker.set(Box::new(look));
    }

    pub(super) fn count_told(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn stop(&self) {
        self.pending.over.store(true, Ordering::Release);
        let _held = self.pending.lock.lock();
        self.pending.changed.notify_one();
    }
}

fn watch(kernel: &Weak<Kernel>, pending: &Pending) {
    loop {
        {
            let mut held = pending.lock.lock();
            while !pending.look.load(Ordering::Acquire) && !pending.over.load(Ordering::Acquire) {
                pending.changed.wait(&mut held);
            }
        }
        if pending.over.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(DELAY);
        pending.look.store(false, Ordering::Release);
        let begun = Instant::now();
        let Some(kernel) = kernel.upgrade() else {
            return;
        };
        if !matches!(search(&kernel), Outcome::Nothing) {
            pending.look.store(true, Ordering::Release);
        }
        if let Some(look) = pending.onlooker.get() {
            look();
        }
        drop(kernel);
        std::thread::sleep(begun.elapsed() * SHARE);
    }
}

enum Outcome {
    Nothing,
    Unclear,
    Told,
}

fn search(kernel: &Arc<Kernel>) -> Outcome {
    let frozen = Frozen::new(kernel);
    let graph = Graph::draw(kernel);
    let stuck = graph.stuck();
    let victim = graph.victim(&stuck).or_else(|| if kernel.is_sim() { graph.sleeper(&stuck) } else { None });
    let Some(victim) = victim else {
        return match graph.unsettled {
            true => Outcome::Unclear,
            false => Outcome::Nothing,
        };
    };
    if !graph.still_waiting(&stuck) {
        return Outcome::Unclear;
    }
    let report = Arc::new(graph.report(kernel, &stuck, victim));
    drop(frozen);
    let order = graph.order(victim).unwrap_or_default();
    match graph.tasks[victim].convict(order, report) {
        true => Outcome::Told,
        false => Outcome::Unclear,
    }
}

thread_local! {
    static SEARCHES: Cell<bool> = const { Cell::new(false) };
}

/// Holds back changes of handles while it lives.
struct Frozen<'a> {
    _changes: RwLockWriteGuard<'a, ()>,
}

impl Frozen<'_> {
    fn new(kernel: &Kernel) -> Frozen<'_> {
        let changes = kernel.refs().write();
        SEARCHES.set(true);
        Frozen { _changes: changes }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        SEARCHES.set(false);
    }
}

/// Waits until no search looks, for who changes handles. The search itself may: it can be left with the last reference to
/// an object whose wait ended meanwhile, and with that to the handles that lie in it.
pub(super) fn change_handles(kernel: &Kernel) -> Option<RwLockReadGuard<'_, ()>> {
    (!SEARCHES.get()).then(|| kernel.refs().read())
}

/// Who could end whose wait. Nodes are tasks first, then objects ("whoever holds it").
struct Graph {
    tasks: Vec<Arc<Task>>,
    /// For tasks that wait without a deadline: the wait and its number.
    waits: Vec<Option<(Wait, u64)>>,
    /// Some task is on its way into such a wait or out of it: it counts as alive, and the search has to be done again.
    unsettled: bool,
    edges: Vec<Vec<usize>>,
    /// How many of a node's edges must lead to the living before it counts as one of them.
    needs: Vec<usize>,
    alive: Vec<bool>,
    by_owner: Vec<bool>,
    by_nobody: Vec<bool>,
    task_nodes: HashMap<TaskId, usize>,
    object_nodes: HashMap<ObjectId, usize>,
}

impl Graph {
    fn draw(kernel: &Kernel) -> Graph {
        let tasks = kernel.tasks();
        let mut unsettled = false;
        // A handler may do anything in the main task, even throw it out of its wait.
        let may_handle = kernel.handling().may_act();
        let waits: Vec<_> = tasks
            .iter()
            .map(|task| {
                let (number, parked) = task.wait_state();
                let wait = task.waiting().filter(|wait| wait.deadline.is_none());
                // One that has been told to stop is about to be woken.
                let parked = parked && wait.as_ref().is_none_or(|wait| task.alerts() & wait.hears == 0);
                unsettled |= wait.is_some() && !parked;
                let stops = parked && !(may_handle && task.role() == Role::Main);
                wait.filter(|_| stops).map(|wait| (wait, number))
            })
            .collect();
        let mut graph = Graph {
            edges: vec![Vec::new(); tasks.len()],
            needs: vec![1; tasks.len()],
            alive: waits.iter().map(Option::is_none).collect(),
            by_owner: vec![false; tasks.len()],
            by_nobody: vec![false; tasks.len()],
            task_nodes: tasks.iter().enumerate().map(|(i, t)| (t.id(), i)).collect(),
            object_nodes: HashMap::new(),
            waits,
            unsettled,
            tasks,
        };
        for node in 0..graph.tasks.len() {
            if let Some((wait, _)) = &graph.waits[node] {
                let target = wait.target.clone();
                graph.connect(node, &target);
            }
        }
        graph
    }

    fn connect(&mut self, node: usize, target: &Arc<dyn Waitable>) {
        match target.enders() {
            Enders::Nobody => self.by_nobody[node] = true,
            Enders::Somebody => self.alive[node] = true,
            Enders::Holders => self.connect_object(node, target.core()),
            // A node for each, since each has its own way to count.
            Enders::AnyOf(targets) => targets.iter().for_each(|target| {
                let way = self.add_node();
                self.edges[node].push(way);
                self.connect(way, target);
            }),
            Enders::Tasks(ids) => {
                self.by_owner[node] = true;
                ids.into_iter().for_each(|id| self.connect_task(node, id));
            }
            // A lock that nobody owns just now is about to be taken.
            Enders::AllOf(ids) if ids.iter().any(|id| !self.task_nodes.contains_key(id)) || ids.is_empty() => {
                self.alive[node] = true;
            }
            Enders::AllOf(ids) => {
                self.by_owner[node] = true;
                self.needs[node] = ids.len();
                ids.into_iter().for_each(|id| self.connect_task(node, id));
            }
        }
    }

    fn add_node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.needs.push(1);
        self.alive.push(false);
        self.by_owner.push(false);
        self.by_nobody.push(false);
        self.edges.len() - 1
    }

    /// A task that is not known has just ended, and its end ends the wait: count it as alive.
    fn connect_task(&mut self, node: usize, task: TaskId) {
        match self.task_nodes.get(&task) {
            Some(&other) => self.edges[node].push(other),
            None => self.alive[node] = true,
        }
    }

    /// One node an object, however many wait for it: the holders are listed once. Containers are followed with a list
    /// of what is still to do, since they can nest as deep as a script likes.
    fn connect_object(&mut self, node: usize, core: &Arc<ObjectCore>) {
        let mut todo: Vec<(usize, Arc<ObjectCore>)> = vec![(node, core.clone())];
        while let Some((from, core)) = todo.pop() {
            if let Some(&known) = self.object_nodes.get(&core.id()) {
                self.edges[from].push(known);
                continue;
            }
            let here = self.add_node();
            self.object_nodes.insert(core.id(), here);
            self.edges[from].push(here);
            match core.try_holders() {
                None => self.alive[here] = true,
                Some(holders) => {
                    for holder in holders {
                        match holder {
                            Holder::Outside => self.alive[here] = true,
                            Holder::Task(id) => self.connect_task(here, id),
                            Holder::Object(container) => todo.push((here, container)),
                        }
                    }
                }
            }
        }
    }

    fn reverse(&self) -> Vec<Vec<usize>> {
        let mut reverse = vec![Vec::new(); self.edges.len()];
        for (from, tos) in self.edges.iter().enumerate() {
            tos.iter().for_each(|&to| reverse[to].push(from));
        }
        reverse
    }

    /// The nodes that cannot reach enough of the living.
    fn stuck(&self) -> Vec<bool> {
        let reverse = self.reverse();
        let mut saved = self.alive.clone();
        let mut needs = self.needs.clone();
        let mut todo: Vec<usize> = (0..saved.len()).filter(|&n| saved[n]).collect();
        while let Some(node) = todo.pop() {
            for &waiter in &reverse[node] {
                needs[waiter] = needs[waiter].saturating_sub(1);
                if !saved[waiter] && needs[waiter] == 0 {
                    saved[waiter] = true;
                    todo.push(waiter);
                }
            }
        }
        saved.iter().map(|saved| !saved).collect()
    }

    /// The number of the wait of a task.
    fn order(&self, node: usize) -> Option<u64> {
        self.waits[node].as_ref().map(|(wait, _)| wait.order)
    }

    /// The task that closed a knot: the last to wait of a set of stuck tasks that depends on no other. Who merely waits
    /// for something that hangs on the knot is spared, since telling one inside may let it go on.
    ///
    /// Idle tasks wait for ever by design; a daemon that nobody feeds any more harms nobody, it goes with the program,
    /// unless it is in a knot of owners. Neither is told.
    fn victim(&self, stuck: &[bool]) -> Option<usize> {
        let blamed: Vec<usize> = (0..self.tasks.len())
            .filter(|&n| {
                stuck[n]
                    && self.waits[n].as_ref().is_some_and(|(wait, _)| !wait.idle)
                    && (self.by_owner[n] || !self.tasks[n].is_daemon())
            })
            .collect();
        let last = blamed.iter().copied().max_by_key(|&n| self.order(n))?;
        let below = reached(&self.edges, last, stuck);
        // Walks back from one after the other; where the last walk starts is a knot that depends on nobody outside, since
        // a walk from whomever it depends on would have come by.
        let (reverse, mut found, mut inside) = (self.reverse(), vec![false; stuck.len()], last);
        for &n in blamed.iter().filter(|&&n| below[n]) {
            if !found[n] {
                inside = n;
                let back = reached(&reverse, n, stuck);
                found.iter_mut().zip(back).for_each(|(f, b)| *f |= b);
            }
        }
        let knot = reached(&self.edges, inside, stuck);
        let members = blamed.into_iter().filter(|&n| knot[n]);
        members.max_by_key(|&n| self.order(n))
    }

    /// The last that went to sleep without end, when nobody is left who could cancel it. In the simulated world that is a
    /// mistake: no signal comes from outside, and a clock on which nothing is due stands still.
    fn sleeper(&self, stuck: &[bool]) -> Option<usize> {
        let sleepers = (0..self.tasks.len()).filter(|&n| self.by_nobody[n] && !self.tasks[n].is_daemon());
        let all = stuck.iter().take(self.tasks.len()).all(|stuck| *stuck);
        sleepers.filter(|_| all).max_by_key(|&n| self.order(n))
    }

    fn still_waiting(&self, stuck: &[bool]) -> bool {
        (0..self.tasks.len()).filter(|&n| stuck[n]).all(|n| {
            let number = self.waits[n].as_ref().map(|(_, number)| *number);
            self.tasks[n].wait_state() == (number.unwrap_or(0), true)
        })
    }

    fn report(&self, kernel: &Kernel, stuck: &[bool], victim: usize) -> Report {
        let idle = |n: usize| self.waits[n].as_ref().is_some_and(|(wait, _)| wait.idle);
        let whole_program = (0..self.tasks.len()).all(|n| stuck[n]);
        let mut involved =
            if whole_program { vec![true; self.edges.len()] } else { reached(&self.edges, victim, stuck) };
        involved.truncate(self.tasks.len());
        let mut nodes: Vec<usize> = (0..self.tasks.len()).filter(|&n| n != victim && involved[n] && stuck[n]).collect();
        // An idle task belongs in the report only where somebody waits for what it holds.
        nodes.retain(|&n| !idle(n) || self.tasks[n].holding() > 0);
        nodes.insert(0, victim);
        Report {
            victim: self.tasks[victim].id(),
            whole_program,
            tasks: nodes.into_iter().filter_map(|n| self.describe(kernel, n)).collect(),
        }
    }

    fn describe(&self, kernel: &Kernel, node: usize) -> Option<Stuck> {
        let task = &self.tasks[node];
        let (wait, _) = self.waits[node].as_ref()?;
        let name_of = |id: TaskId| self.task_nodes.get(&id).map_or_else(|| "?".into(), |&n| self.tasks[n].name());
        Some(Stuck {
            task: task.id(),
            name: task.name(),
            verb: wait.verb,
            object: wait.target.core().label(),
            site: wait.site,
            since: wait.since,
            owners: wait.target.owners().into_iter().map(|(id, site)| (name_of(id), site)).collect(),
            holds: kernel.held_by(task.id()),
        })
    }
}

/// The nodes that a way through stuck ones leads to.
fn reached(edges: &[Vec<usize>], from: usize, stuck: &[bool]) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut todo = vec![from];
    while let Some(node) = todo.pop() {
        if stuck[node] && !std::mem::replace(&mut seen[node], true) {
            todo.extend(&edges[node]);
        }
    }
    seen
}

impl Report {
    /// The report for people; `place` turns a site into `file:line`.
    pub fn text(&self, place: impl Fn(Site) -> String) -> String {
        let mut text = match (self.tasks.len(), self.whole_program) {
            (1, _) => "this wait can never end: nobody is left who could end it".to_string(),
            (n, true) => format!("all {n} tasks wait for each other, or for nobody"),
            (n, false) => format!("{n} tasks wait for each other, or for nobody"),
        };
        for stuck in &self.tasks {
            text.push_str(&format!(
                "\n  {:?} waits in {}() of {} at {}",
                stuck.name,
                stuck.verb,
                stuck.object,
                place(stuck.site)
            ));
            for (owner, site) in &stuck.owners {
                let owner = if *owner == stuck.name { "itself".to_string() } else { format!("{owner:?}") };
                text.push_str(&format!(", held by {owner} since {}", place(*site)));
            }
            for (object, site) in &stuck.holds {
                text.push_str(&format!("\n      holds {object} since {}", place(*site)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Setup, current};

    struct Thing(Arc<ObjectCore>);

    impl Waitable for Thing {
        fn core(&self) -> &Arc<ObjectCore> {
            &self.0
        }
    }

    /// Between the words "I wait" and the stop itself a task counts as alive, and nobody asks again once it has stopped.
    #[test]
    fn a_search_that_meets_a_task_on_its_way_into_a_wait_is_done_again() {
        let kernel = Kernel::new(Setup::Real);
        kernel.run_here("main", || {
            assert!(matches!(search(&kernel), Outcome::Nothing));
            let (task, target) = (current(), Arc::new(Thing(ObjectCore::new("Thing"))));
            let since = kernel.now();
            let (deadline, site) = (None, Site::NONE);
            task.begin_wait(Wait {
                target,
                verb: "wait",
                site,
                since,
                deadline,
                idle: false,
                for_others: false,
                hears: 0,
                order: 0,
            });
            assert!(matches!(search(&kernel), Outcome::Unclear));
            task.finish_wait("");
            assert!(matches!(search(&kernel), Outcome::Nothing));
        });
    }
}

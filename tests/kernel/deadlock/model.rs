//! Random situations, and a naive model that says what the search must find.

use std::collections::BTreeSet;
use std::sync::Arc;

use orch::kernel::explore::run_once;
use orch::kernel::{Handle, Holder, Setup, Waitable, current, sleep};
use orch::sync::{Cell, Event, Fault, Lock};
use parking_lot::Mutex;

use super::told;
use crate::support::{Own, join_all, ms, spawn};

/// Some tasks own locks, and each then wants one, in this order; those with a limit give up after a second.
#[derive(Debug, Clone)]
struct Owners {
    /// Who owns each lock at the start.
    owner: Vec<Option<usize>>,
    /// Which lock each task wants, and whether for ever.
    wants: Vec<(usize, bool)>,
    /// Whether the world comes to rest between the waits.
    slowly: bool,
}

impl Owners {
    fn random(chance: &mut fastrand::Rng) -> Owners {
        let (tasks, locks) = (chance.usize(2..7), chance.usize(1..7));
        let owner = |c: &mut fastrand::Rng| (c.u8(..8) > 0).then(|| c.usize(..tasks));
        Owners {
            owner: (0..locks).map(|_| owner(chance)).collect(),
            wants: (0..tasks).map(|_| (chance.usize(..locks), chance.u8(..5) > 0)).collect(),
            slowly: chance.bool(),
        }
    }

    /// Each ring of owners is told once: to its last.
    fn expected(&self) -> BTreeSet<usize> {
        let next = |task: usize| {
            let (lock, endless) = self.wants[task];
            self.owner[lock].filter(|_| endless)
        };
        let ring_of = |start: usize| {
            let mut ring = vec![start];
            let mut at = next(start)?;
            while at != start {
                if ring.len() > self.wants.len() {
                    return None; // leads to a ring elsewhere
                }
                ring.push(at);
                at = next(at)?;
            }
            ring.into_iter().max()
        };
        (0..self.wants.len()).filter_map(ring_of).collect()
    }

    fn found(&self) -> BTreeSet<usize> {
        let plan = self.clone();
        run_once(Setup::Sim { seed: 0 }, move || {
            let locks: Vec<_> = plan.owner.iter().map(|_| Own::new(Lock::new())).collect();
            let tasks: Vec<_> = (0..plan.wants.len())
                .map(|i| {
                    let plan = plan.clone();
                    spawn(|me| {
                        let locks: Vec<_> = locks.iter().map(|l| l.to(me)).collect();
                        move || {
                            let owned = |l: &usize| plan.owner[*l] == Some(i);
                            let mine: Vec<usize> = (0..locks.len()).filter(owned).collect();
                            mine.iter().for_each(|l| locks[*l].acquire(None).unwrap());
                            sleep(ms(1 + if plan.slowly { i as u64 } else { 0 })).unwrap();
                            let (want, endless) = plan.wants[i];
                            let limit = if endless { None } else { ms(1_000) };
                            let outcome = locks[want].acquire(limit);
                            if outcome.is_ok() {
                                locks[want].release().unwrap();
                            }
                            mine.iter().for_each(|l| locks[*l].release().unwrap());
                            told(outcome).map(|report| {
                                assert_eq!(report.victim, current().id());
                                i
                            })
                        }
                    })
                })
                .collect();
            join_all(tasks).into_iter().flatten().collect()
        })
    }
}

#[test]
fn random_owners_are_told_as_the_model_says() {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut some = 0;
    for _ in 0..400 {
        let plan = Owners::random(&mut chance);
        let expected = plan.expected();
        assert_eq!(plan.found(), expected, "{plan:?}");
        some += usize::from(!expected.is_empty());
    }
    assert!(some > 50, "{some}");
}

/// Tasks that wait for events; handles of the events lie with tasks and in boxes, and the boxes with tasks.
#[derive(Debug, Clone)]
struct Reach {
    /// Which event each task waits for; none: it sleeps for a second and then sets all it can reach.
    waits: Vec<Option<usize>>,
    /// Which tasks hold each event.
    held: Vec<Vec<usize>>,
    /// The event that lies in each box, and who holds the box.
    boxes: Vec<(usize, Vec<usize>)>,
}

impl Reach {
    fn random(chance: &mut fastrand::Rng) -> Reach {
        let (tasks, events) = (chance.usize(2..8), chance.usize(1..6));
        let some = |c: &mut fastrand::Rng| -> Vec<usize> { (0..tasks).filter(|_| c.u8(..5) == 0).collect() };
        Reach {
            waits: (0..tasks).map(|_| (chance.u8(..6) > 0).then(|| chance.usize(..events))).collect(),
            held: (0..events).map(|_| some(chance)).collect(),
            boxes: (0..chance.usize(..4)).map(|_| (chance.usize(..events), some(chance))).collect(),
        }
    }

    /// What a task can set.
    fn can_set(&self, task: usize, event: usize) -> bool {
        self.held[event].contains(&task) || self.boxes.iter().any(|(e, holders)| *e == event && holders.contains(&task))
    }

    /// All that nobody saves: whoever is told here helps nobody.
    fn expected(&self) -> BTreeSet<usize> {
        let tasks = 0..self.waits.len();
        let mut saved: BTreeSet<usize> = tasks.clone().filter(|t| self.waits[*t].is_none()).collect();
        loop {
            let more: Vec<usize> = tasks
                .clone()
                .filter(|t| !saved.contains(t))
                .filter(|t| self.waits[*t].is_some_and(|e| saved.iter().any(|s| self.can_set(*s, e))))
                .collect();
            if more.is_empty() {
                return tasks.filter(|t| !saved.contains(t)).collect();
            }
            saved.extend(more);
        }
    }

    fn found(&self) -> BTreeSet<usize> {
        let plan = self.clone();
        run_once(Setup::Sim { seed: 0 }, move || {
            let events: Vec<_> = plan.held.iter().map(|_| Own::new(Event::new())).collect();
            let boxes: Vec<_> = plan
                .boxes
                .iter()
                .map(|(e, _)| {
                    let event = (*events[*e]).clone();
                    Own::new(Cell::new("Value", |core| Handle::for_holder(event, Holder::Object(core.clone()))))
                })
                .collect();
            let log = Arc::new(Mutex::new(Vec::new()));
            let tasks: Vec<_> = (0..plan.waits.len())
                .map(|i| {
                    let (plan, log) = (plan.clone(), log.clone());
                    spawn(|me| {
                        let held = plan.held.iter().enumerate();
                        let held = held.filter(|(_, who)| who.contains(&i));
                        let mine: Vec<_> = held.map(|(e, _)| events[e].to(me)).collect();
                        let mine_too = plan.boxes.iter().zip(&boxes);
                        let mine_too = mine_too.filter(|((_, who), _)| who.contains(&i));
                        let mine_too: Vec<_> = mine_too.map(|(_, b)| b.to(me)).collect();
                        let target = plan.waits[i].map(|e| (*events[e]).clone());
                        move || {
                            let outcome = match &target {
                                Some(event) => event.wait(None),
                                None => sleep(ms(1_000)).map(|()| true).map_err(Fault::from),
                            };
                            match told(outcome) {
                                Some(report) => log.lock().push((i, report)),
                                None => {
                                    mine.iter().for_each(|e| e.set());
                                    mine_too.iter().for_each(|b| b.peek(|e| e.set()));
                                }
                            }
                        }
                    })
                })
                .collect();
            drop((events, boxes));
            let first = tasks[0].task.id().0;
            join_all(tasks);
            let log = log.lock();
            for (i, report) in log.iter() {
                assert_eq!(report.victim.0, first + *i as u64);
                let stuck = plan.expected();
                let named = report.tasks.iter().map(|t| t.task.0);
                // The main task, which joins, may be among them when all are stuck.
                let named = named.filter(|t| *t >= first).map(|t| (t - first) as usize);
                assert!(named.into_iter().all(|t| stuck.contains(&t)));
            }
            assert_eq!(log.len(), current().kernel().detector().told());
            log.iter().map(|(i, _)| *i).collect()
        })
    }
}

#[test]
fn random_reach_is_judged_as_the_model_says() {
    let mut chance = fastrand::Rng::with_seed(2);
    let (mut some, mut none) = (0, 0);
    for _ in 0..600 {
        let plan = Reach::random(&mut chance);
        let expected = plan.expected();
        assert_eq!(plan.found(), expected, "{plan:?}");
        match expected.is_empty() {
            true => none += 1,
            false => some += 1,
        }
    }
    assert!(some > 50 && none > 50, "{some} {none}");
}

#[test]
fn the_waits_of_a_task_that_ended_are_gone() {
    run_once(Setup::Sim { seed: 0 }, || {
        let lock = Own::new(Lock::new());
        let task = spawn(|me| {
            let lock = lock.to(me);
            move || lock.acquire(None).unwrap()
        });
        let watched = task.task.clone();
        task.join();
        sleep(ms(1)).unwrap();
        assert!(watched.waiting().is_none() && watched.has_ended());
        assert_eq!(lock.state(), "free");
    });
}

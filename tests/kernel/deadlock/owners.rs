//! Knots of owners: locks, joins, pools.

use std::sync::Arc;

use orch::kernel::deadlock::Report;
use orch::kernel::explore::run_once;
use orch::kernel::{Enders, Setup, Site, Stop, Waitable, block, current, sleep};
use orch::sync::rwlock::Side;
use orch::sync::select::Select;
use orch::sync::{Event, Fault, Future, Latch, Lock, Order, Queue, RwLock};

use super::{among_others, everywhere, line, reports, told};
use crate::support::{Own, Spawned, join_all, ms, spawn, spawn_as};

/// A task that takes `first`, meets the others, waits a while, takes `second`, and gives both back.
fn takes_two(
    name: &str,
    at: u32,
    first: &Own<Lock>,
    second: &Own<Lock>,
    meet: &Own<Latch>,
    wait: u64,
) -> Spawned<Option<Arc<Report>>> {
    spawn_as(name, false, |me| {
        let (first, second, meet) = (first.to(me), second.to(me), meet.to(me));
        move || {
            line(at);
            first.acquire(None).unwrap();
            meet.count_down();
            meet.wait(None).unwrap();
            sleep(ms(wait)).unwrap();
            line(at + 1);
            let outcome = second.acquire(None);
            if outcome.is_ok() {
                second.release().unwrap();
            }
            first.release().unwrap();
            told(outcome)
        }
    })
}

fn ring(count: usize) -> Vec<Arc<Report>> {
    let locks: Vec<_> = (0..count).map(|_| Own::new(Lock::new())).collect();
    let meet = Own::new(Latch::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|i| {
            let (first, second) = (&locks[i], &locks[(i + 1) % count]);
            let at = 10 * (i as u32 + 1);
            takes_two(&format!("task {i}"), at, first, second, &meet, 5 * i as u64)
        })
        .collect();
    reports(tasks)
}

#[test]
fn a_ring_of_locks_is_told_to_one_of_its_owners() {
    for count in [2, 3, 7] {
        everywhere(move || {
            let reports = ring(count);
            assert_eq!(reports.len(), 1);
            assert_eq!(reports[0].tasks.len() - count, usize::from(reports[0].whole_program));
        });
    }
}

#[test]
fn the_report_names_who_waits_where_and_who_holds_what_since_where() {
    let report = run_once(Setup::Sim { seed: 0 }, || among_others(|| ring(2).remove(0)));
    assert!(!report.whole_program);
    let last = &report.tasks[0];
    assert_eq!((last.task, &*last.name), (report.victim, "task 1"));
    let rows: Vec<_> = report
        .tasks
        .iter()
        .map(|t| {
            let (owner, since) = &t.owners[0];
            let (held, since_too) = &t.holds[0];
            assert_eq!((t.verb, t.owners.len(), t.holds.len()), ("acquire", 1, 1));
            let lines = [t.site, *since, *since_too].map(Site::line);
            (&*t.name, &*t.object, &**owner, &**held, lines)
        })
        .collect();
    let (a, b) = (rows[1].3, rows[0].3);
    assert_eq!(rows, [("task 1", a, "task 0", b, [21, 10, 20]), ("task 0", b, "task 1", a, [11, 20, 10]),]);
    assert!(report.tasks[0].since > report.tasks[1].since);
    let text = report.text(|site| format!("line {}", site.line()));
    let wanted = format!(
        "2 tasks wait for each other, or for nobody\
         \n  \"task 1\" waits in acquire() of {a} at line 21, held by \"task 0\" since line 10\
         \n      holds {b} since line 20\
         \n  \"task 0\" waits in acquire() of {b} at line 11, held by \"task 1\" since line 20\
         \n      holds {a} since line 10"
    );
    assert_eq!(text, wanted);
}

#[test]
fn when_all_wait_the_report_covers_all() {
    let report = run_once(Setup::Sim { seed: 0 }, || ring(2).remove(0));
    assert!(report.whole_program);
    let mut names: Vec<_> = report.tasks.iter().map(|t| &*t.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["main", "task 0", "task 1"]);
    let main = report.tasks.iter().find(|t| &*t.name == "main").unwrap();
    assert_eq!((main.verb, main.holds.len()), ("result", 0));
}

#[test]
fn a_lock_taken_twice_by_its_owner_is_told() {
    everywhere(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let report = told(lock.acquire(None)).unwrap();
        assert_eq!(report.victim, current().id());
        assert_eq!(report.tasks.len(), 1);
        assert!(report.text(|_| String::new()).contains("held by itself"));
        lock.release().unwrap();
    });
}

#[test]
fn a_reader_that_wants_to_write_is_told() {
    everywhere(|| {
        let lock = Own::new(RwLock::new());
        lock.acquire(Side::Read, None).unwrap();
        let report = told(lock.acquire(Side::Write, None)).unwrap();
        assert_eq!(report.tasks[0].verb, "write().acquire");
        lock.release(Side::Read).unwrap();
        lock.acquire(Side::Write, None).unwrap();
        assert!(told(lock.acquire(Side::Read, None)).is_some());
        lock.release(Side::Write).unwrap();
    });
}

#[test]
fn two_readers_that_both_want_to_write_are_told_once() {
    everywhere(|| {
        let (lock, meet) = (Own::new(RwLock::new()), Own::new(Latch::new(2)));
        let upgrades = [0, 1].map(|i| {
            spawn(|me| {
                let (lock, meet) = (lock.to(me), meet.to(me));
                move || {
                    lock.acquire(Side::Read, None).unwrap();
                    meet.count_down();
                    meet.wait(None).unwrap();
                    sleep(ms(5 * i)).unwrap();
                    let outcome = lock.acquire(Side::Write, None);
                    if outcome.is_ok() {
                        lock.release(Side::Write).unwrap();
                    }
                    lock.release(Side::Read).unwrap();
                    told(outcome)
                }
            })
        });
        // Each waits for itself, too: the second to go is told as well.
        assert_eq!(reports(upgrades).len(), 2);
    });
}

#[test]
fn tasks_that_join_each_other_are_told() {
    everywhere(|| {
        let (a, b) = (Future::<()>::new("Thread", None), Future::<()>::new("Thread", None));
        let joins = |mine: &Arc<Future<()>>, other: &Arc<Future<()>>, wait| {
            let (mine, other) = (mine.clone(), other.clone());
            spawn(|_| {
                move || {
                    assert!(mine.begin(current().id()));
                    sleep(ms(wait)).unwrap();
                    let outcome = block(&mut other.waiting_as("join"), None);
                    mine.finish(());
                    told(outcome.map_err(Fault::from))
                }
            })
        };
        let reports = reports([joins(&a, &b, 2), joins(&b, &a, 4)]);
        assert_eq!(reports.len(), 1);
        assert!(reports[0].tasks.iter().any(|t| t.verb == "join"));
    });
    everywhere(|| {
        let mine: Arc<Future<()>> = Future::new("Thread", None);
        mine.begin(current().id());
        assert!(told(mine.wait(None)).is_some(), "itself");
    });
}

#[test]
fn a_join_of_one_who_waits_for_the_joiner_is_told() {
    everywhere(|| {
        let lock = Own::new(Lock::new());
        lock.acquire(None).unwrap();
        let other = spawn_as("other", false, |me| {
            let lock = lock.to(me);
            move || {
                let outcome = lock.acquire(None);
                if outcome.is_ok() {
                    lock.release().unwrap();
                }
                told(outcome)
            }
        });
        let mine = told(other.wait());
        lock.release().unwrap();
        assert_ne!(mine.is_some(), other.join().is_some());
    });
}

#[test]
fn a_pool_whose_workers_all_wait_for_its_own_futures_is_told() {
    everywhere(|| {
        let jobs = Own::new(Queue::new("jobs", Order::Fifo, None));
        let kernel = current().kernel().clone();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                spawn_as("worker", true, |me| {
                    let jobs: Own<Queue<Job>> = jobs.to(me);
                    move || {
                        while let Ok(job) = jobs.get(None) {
                            job();
                        }
                    }
                })
            })
            .collect();
        let ids: Vec<_> = workers.iter().map(|w| w.task.id()).collect();
        let runners = move || Enders::Tasks(ids.clone());
        let submit = |job: Box<dyn FnOnce() -> u32 + Send>| {
            let runners: Arc<dyn Fn() -> Enders + Send + Sync> = Arc::new(runners.clone());
            let future = Future::new("Future", Some(runners));
            let result = future.clone();
            let run = move || {
                if result.begin(current().id()) {
                    result.finish(job());
                }
            };
            (future, Box::new(run) as Job)
        };
        // Two jobs that each wait for one more.
        let outer: Vec<_> = (0..2)
            .map(|i| {
                let (inner, inner_job) = submit(Box::new(move || i));
                let inside = jobs.to(&orch::kernel::Holder::Outside);
                let (outer, job) = submit(Box::new(move || {
                    sleep(ms(5)).unwrap(); // so that both workers have one
                    inside.put(inner_job, None).unwrap();
                    drop(inside);
                    match told(inner.wait(None)) {
                        Some(_) => 100,
                        None => inner.look(|r| *r.unwrap()).unwrap(),
                    }
                }));
                jobs.put(job, None).unwrap();
                outer
            })
            .collect();
        let results: Vec<_> = outer
            .iter()
            .map(|f| {
                f.wait(None).unwrap();
                f.look(|r| *r.unwrap()).unwrap()
            })
            .collect();
        // One is told, ends, and does the work the other waits for.
        assert_eq!(results.iter().filter(|r| **r == 100).count(), 1, "{results:?}");
        assert_eq!(kernel.detector().told(), 1);
        jobs.close();
        join_all(workers);
    });
}

type Job = Box<dyn FnOnce() + Send>;

#[test]
fn a_lock_held_by_one_who_sleeps_for_ever_is_told() {
    everywhere(|| {
        let lock = Own::new(Lock::new());
        let sleeper = spawn_as("sleeper", false, |me| {
            let lock = lock.to(me);
            move || {
                line(7);
                lock.acquire(None).unwrap();
                drop(sleep(None));
                lock.release().unwrap();
            }
        });
        while !lock.locked() {}
        let report = told(lock.acquire(None)).unwrap();
        assert_eq!(report.victim, current().id());
        let sleeper_too = report.tasks.iter().find(|t| &*t.name == "sleeper");
        assert_eq!(sleeper_too.unwrap().holds[0].1.line(), 7);
        sleeper.task.cancel();
        sleeper.join();
    });
}

#[test]
fn an_owner_that_ended_is_no_deadlock() {
    everywhere(|| {
        let (lock, rwlock) = (Own::new(Lock::new()), Own::new(RwLock::new()));
        let owner = spawn(|me| {
            let (lock, rwlock) = (lock.to(me), rwlock.to(me));
            move || {
                lock.acquire(None).unwrap();
                rwlock.acquire(Side::Write, None).unwrap();
                sleep(ms(5)).unwrap();
            }
        });
        while !rwlock.locked(Side::Write) {}
        assert!(matches!(lock.acquire(None), Err(Fault::Abandoned(_))));
        let read = rwlock.acquire(Side::Read, None);
        assert!(matches!(read, Err(Fault::Abandoned(_))));
        owner.join();
        assert_eq!(current().kernel().detector().told(), 0);
    });
}

#[test]
fn a_select_is_told_when_no_arm_can_end() {
    everywhere(|| {
        let (lock, event) = (Own::new(Lock::new()), Own::new(Event::new()));
        lock.acquire(None).unwrap();
        let mut select = Select::new(vec![
            Box::new(orch::sync::select::Mapped::new(lock.acquiring(), drop)) as _,
            Box::new(event.waiting()),
        ]);
        let Err(Stop::Deadlock(report)) = block(&mut select, None) else {
            panic!("it ended");
        };
        assert_eq!(report.tasks[0].verb, "select");
        lock.release().unwrap();
        assert_eq!((lock.state(), event.state()), ("free".into(), "not set".into()));
        // One arm is enough.
        let other = spawn(|me| {
            let event = event.to(me);
            move || {
                sleep(ms(20)).unwrap();
                event.set();
            }
        });
        lock.acquire(None).unwrap();
        assert!(matches!(block(&mut select, None), Ok((1, ()))));
        lock.release().unwrap();
        other.join();
    });
}

/// Only who is in the knot is told, even if somebody outside began to wait later.
#[test]
fn who_merely_waits_for_one_in_the_knot_is_spared() {
    everywhere(|| {
        let locks = [0, 1].map(|_| Own::new(Lock::new()));
        let meet = Own::new(Latch::new(2));
        let knot =
            [takes_two("a", 10, &locks[0], &locks[1], &meet, 3), takes_two("b", 20, &locks[1], &locks[0], &meet, 3)];
        let late = spawn(|me| {
            let lock = locks[0].to(me);
            move || {
                sleep(ms(3)).unwrap();
                let outcome = lock.acquire(None);
                if outcome.is_ok() {
                    lock.release().unwrap();
                }
                told(outcome)
            }
        });
        assert_eq!(reports(knot).len(), 1);
        assert!(late.join().is_none());
    });
}

#[test]
fn two_knots_at_once_are_both_told() {
    everywhere(|| {
        let pairs = [0, 1].map(|_| {
            let locks = [0, 1].map(|_| Own::new(Lock::new()));
            let meet = Own::new(Latch::new(2));
            let at = |i: usize| takes_two("", 1, &locks[i], &locks[1 - i], &meet, 3);
            (at(0), at(1))
        });
        // Whoever is told goes on, and waits no more without a limit.
        let [first, second] = pairs.map(|(a, b)| reports([a, b]).len());
        assert_eq!((first, second), (1, 1));
    });
    run_once(Setup::Sim { seed: 0 }, || {
        let doomed = [0, 1].map(|_| {
            spawn(|_| {
                || {
                    let lock = Own::new(Lock::new());
                    lock.acquire(None).unwrap();
                    sleep(ms(1)).unwrap();
                    let report = told(lock.acquire(None));
                    sleep(ms(1_000)).unwrap();
                    report.map(|_| current().kernel().now())
                }
            })
        });
        let times = join_all(doomed).into_iter().flatten();
        assert_eq!(times.map(|t| t.as_millis()).collect::<Vec<_>>(), [1_001; 2]);
    });
}

#[test]
fn readers_behind_a_writer_are_in_the_knot() {
    everywhere(|| {
        let (rwlock, event) = (Own::new(RwLock::new()), Own::new(Event::new()));
        rwlock.acquire(Side::Read, None).unwrap();
        let writer = spawn(|me| {
            let rwlock = rwlock.to(me);
            move || {
                let outcome = rwlock.acquire(Side::Write, None);
                if outcome.is_ok() {
                    rwlock.release(Side::Write).unwrap();
                }
                told(outcome)
            }
        });
        // It would set the event, but has to wait behind the writer.
        let reader = spawn(|me| {
            let (rwlock, event) = (rwlock.to(me), event.to(me));
            move || {
                sleep(ms(5)).unwrap();
                let outcome = rwlock.acquire(Side::Read, None);
                if outcome.is_ok() {
                    rwlock.release(Side::Read).unwrap();
                }
                event.set();
                told(outcome)
            }
        });
        let mine = told(event.wait(None));
        rwlock.release(Side::Read).unwrap();
        let all = [mine, writer.join(), reader.join()];
        assert_eq!(all.iter().flatten().count(), 1);
    });
}

#[test]
fn deadlocks_of_many_moments_are_all_found() {
    // In the real world, where a search may begin at the very moment at which a task has not quite stopped yet.
    let programs: Vec<_> = (0..4u64)
        .map(|n| {
            std::thread::spawn(move || {
                run_once(Setup::Real, move || {
                    for round in 0..25 {
                        let lock = Own::new(Lock::new());
                        let early = spawn(|me| {
                            let lock = lock.to(me);
                            move || {
                                lock.acquire(None).unwrap();
                                assert!(told(lock.acquire(None)).is_some());
                                sleep(Some(std::time::Duration::from_micros(50 * (round + n)))).unwrap();
                                assert!(told(lock.acquire(None)).is_some());
                            }
                        });
                        early.join();
                    }
                    current().kernel().detector().told()
                })
            })
        })
        .collect();
    for program in programs {
        assert_eq!(program.join().unwrap(), 50);
    }
}

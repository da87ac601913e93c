//! Deadlocks in scripts: each is an error that says who holds what since which line and who waits where; and whatever
//! somebody can still end is none.

use crate::harness::{Ran, run_in, sim};
use crate::whole::number;
use orch::kernel::Setup;

/// What the deadlocks below say, when one is caught in the main script.
const TOLD: &str = "\nfn told(e) { `${e.kind}: ${e.message}` }\n";

/// Runs a script that deadlocks unasked.
fn stuck(setup: Setup, text: &str) -> Ran {
    let ran = run_in(setup, text);
    assert!(ran.err.contains("DeadlockError"), "no deadlock found in\n{text}\n{ran:?}");
    ran
}

/// The report of a deadlock without the excerpt of the source.
fn report(err: &str) -> String {
    let told = err.lines().take_while(|line| !line.trim_start().starts_with("-->"));
    told.map(|line| format!("{line}\n")).collect()
}

/// The rows of the table of what other languages find, and more: a script and the whole report.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "two locks in opposite order, main joins",
        "let a = Lock(); let b = Lock();\n\
         let one = spawn_thread(|| {\n  with a { sleep(1);\n    with b { } } }, #{name: \"one\"});\n\
         let two = spawn_thread(|| {\n  with b { sleep(2);\n    with a { } } }, #{name: \"two\"});\n\
         one.join();\ntwo.wait();",
        "error: DeadlockError: all 3 tasks wait for each other, or for nobody\n\
         \x20 \"two\" waits in acquire() of Lock(#1) at script:7, held by \"one\" since script:3\n\
         \x20     holds Lock(#2) since script:6\n\
         \x20 \"main\" waits in join() of Thread(#3 \"one\") at script:8\n\
         \x20 \"one\" waits in acquire() of Lock(#2) at script:4, held by \"two\" since script:6\n\
         \x20     holds Lock(#1) since script:3\n",
    ),
    (
        "a lock taken twice by its owner",
        "let l = Lock();\nl.acquire();\nl.acquire();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in acquire() of Lock(#1) at script:3, held by itself since script:2\n\
         \x20     holds Lock(#1) since script:2\n",
    ),
    (
        "a queue that nobody fills",
        "let q = Queue();\nq.get();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in get() of Queue(#1) at script:2\n",
    ),
    (
        "an event that nobody sets",
        "let e = Event();\nlet t = spawn_thread(|| e.wait());\nt.join();",
        "error: DeadlockError: all 2 tasks wait for each other, or for nobody\n\
         \x20 \"Thread-1\" waits in wait() of Event(#1) at script:2\n\
         \x20 \"main\" waits in join() of Thread(#2 \"Thread-1\") at script:3\n",
    ),
    (
        "a permit that nobody gives",
        "let s = Semaphore(0);\ns.acquire();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in acquire() of Semaphore(#1) at script:2\n",
    ),
    (
        "a condition that nobody notifies",
        "let c = Condition();\nwith c {\n  c.wait();\n}",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in wait() of Condition(#2) at script:3\n",
    ),
    (
        "a barrier with too few",
        "let b = Barrier(2);\nb.wait();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in wait() of Barrier(#1) at script:2\n",
    ),
    (
        "a latch that nobody counts down",
        "let l = Latch(1);\nl.wait();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in wait() of Latch(#1) at script:2\n",
    ),
    (
        "items that nobody marks as done",
        "let q = Queue();\nq.put(1);\nq.join();",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in join() of Queue(#1) at script:3\n",
    ),
    (
        "a full queue that nobody empties",
        "let q = Queue(1);\nq.put(1);\nq.put(2);",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in put() of Queue(#1) at script:3\n",
    ),
    (
        "a loop over a queue that nobody closes",
        "let q = Queue();\nq.put(1);\nfor x in q {\n}",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in get() of Queue(#1) at script:3\n",
    ),
    (
        "select over what nobody can make ready",
        "let q = Queue(); let e = Event();\nselect([q, e]);",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in select() of select(#3) at script:2\n",
    ),
    (
        "a read lock that wants to become a write lock",
        "let rw = RwLock();\nwith rw.read() {\n  with rw.write() { }\n}",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in write().acquire() of RwLock(#1) at script:3, held by itself since script:2\n\
         \x20     holds RwLock(#1) since script:2\n",
    ),
    (
        "a pool of one that waits for itself",
        "let pool = ThreadPoolExecutor(1);\nlet f = pool.submit(|| {\n  pool.submit(|| 1).result() });\nf.result();",
        "error: DeadlockError: all 2 tasks wait for each other, or for nobody\n\
         \x20 \"ThreadPoolExecutor_0\" waits in result() of Future(#5) at script:3\n\
         \x20 \"main\" waits in result() of Future(#3) at script:4\n",
    ),
    (
        "two threads that join each other",
        "let q = Queue();\nlet one = spawn_thread(|| q.get().join(), #{name: \"one\"});\n\
         let two = spawn_thread(|| one.join(), #{name: \"two\"});\nq.put(two);\ntwo.join();",
        "error: DeadlockError: all 3 tasks wait for each other, or for nobody\n\
         \x20 \"two\" waits in join() of Thread(#2 \"one\") at script:3\n\
         \x20 \"main\" waits in join() of Thread(#3 \"two\") at script:5\n\
         \x20 \"one\" waits in join() of Thread(#3 \"two\") at script:2\n",
    ),
    (
        "two queues, each waits for the other",
        "let a = Queue(); let b = Queue();\nlet t = spawn_thread(|| { b.put(a.get()); });\na.put(b.get());",
        "error: DeadlockError: all 2 tasks wait for each other, or for nobody\n\
         \x20 \"Thread-1\" waits in get() of Queue(#1) at script:2\n\
         \x20 \"main\" waits in get() of Queue(#2) at script:3\n",
    ),
    (
        "two semaphores in opposite order",
        "let a = Semaphore(1); let b = Semaphore(1);\nlet t = spawn_thread(|| { a.acquire(); sleep(1); b.acquire(); a.release(); b.release(); });\n\
         b.acquire(); sleep(1); a.acquire(); b.release(); a.release();",
        "error: DeadlockError: all 2 tasks wait for each other, or for nobody\n\
         \x20 \"Thread-1\" waits in acquire() of Semaphore(#2) at script:2\n\
         \x20 \"main\" waits in acquire() of Semaphore(#1) at script:3\n",
    ),
    (
        "an update that updates itself",
        "let v = Value(1);\nv.update(|x| v.update(|y| y));",
        "error: DeadlockError: this wait can never end: nobody is left who could end it\n\
         \x20 \"main\" waits in acquire() of Lock(#2) at script:2, held by itself since script:2\n\
         \x20     holds Lock(#2) since script:2\n",
    ),
];

#[test]
fn every_row_is_reported_in_simulated_time() {
    for (what, text, wanted) in ROWS {
        let ran = stuck(Setup::Sim { seed: 0 }, text);
        assert_eq!(ran.status, 3, "{what}: {}", ran.err);
        assert_eq!(report(&ran.err), *wanted, "{what}");
    }
}

#[test]
fn every_row_is_reported_under_every_schedule() {
    for (what, text, _) in ROWS {
        for seed in 1..8 {
            // Two locks are taken in opposite order at the same time in some schedules only.
            let ran = run_in(Setup::Sim { seed }, text);
            assert_eq!(ran.status, 3, "{what}, seed {seed}: {}", ran.err);
        }
    }
}

#[test]
fn every_row_is_reported_in_real_time_while_others_sleep_and_work() {
    // `live` and `work` hold none of the handles: they could not end these waits.
    let others = "fn live() { loop { sleep(0.05); } } fn work() { let n = 0; loop { n += 1; sleep(0); } } \
                  spawn_thread(live, #{daemon: true}); spawn_thread(work, #{daemon: true}); ";
    // A few at a time: each has a thread that takes a processor, and who is to be first must come to it within its sleep.
    for some in ROWS.chunks(5) {
        std::thread::scope(|scope| {
            for (what, text, _) in some {
                scope.spawn(move || {
                    let short = text.replace("sleep(1)", "sleep(0.5)").replace("sleep(2)", "sleep(1)");
                    let run = || run_in(Setup::Real, &format!("{others}{short}"));
                    // Where one was held up for so long that they did not meet, there was no deadlock to be told.
                    let ran = (0..4).map(|_| run()).find(|ran| ran.status != 0).unwrap_or_else(run);
                    assert_eq!(ran.status, 3, "{what}: {}", ran.err);
                });
            }
        });
    }
}

#[test]
fn a_deadlock_is_an_error_like_others_and_breaks_the_knot() {
    let text = r#"
        let a = Lock(); let b = Lock();
        let one = spawn_thread(|| { with a { sleep(1); with b { } } "one" });
        let two = spawn_thread(|| {
            try { with b { sleep(2); with a { } } } catch (e) {
                print(`${e.kind} ${e.tasks.len()} ${e.tasks[0].task} ${e.tasks[0].waits_in} ${e.tasks[0].line}`);
                print(`${e.tasks[0].held_by[0].name} ${e.tasks[0].held_by[0].line} ${e.tasks[0].holds[0].name}`);
            }
            "two"
        });
        print(one.join());
        print(two.join());
    "#;
    assert_eq!(sim(text), "DeadlockError 3 Thread-2 acquire 5\nThread-1 3 Lock(#2)\none\ntwo\n");
}

#[test]
fn a_knot_is_reported_while_unrelated_threads_go_on() {
    let text = r#"
        spawn_thread(|| { for i in 0..5 { sleep(10); } print("worker ends"); });
        let t = Timer(30, || print("rings"));
        t.start();
        let l = Lock();
        let stuck = spawn_thread(|| { l.acquire(); l.acquire(); });
        try { stuck.join(); } catch (e) { print(`${e.kind} at ${monotonic()}`); }
    "#;
    assert_eq!(sim(text), "DeadlockError at 0.0\nrings\nworker ends\n");
}

/// Programs that do end: none of them is a deadlock. Each prints `ok` when it is done.
const INNOCENT: &[&str] = &[
    // Timers.
    "let e = Event(); let t = Timer(5, || e.set()); t.start(); e.wait();",
    "let q = Queue(); let clock = interval(1, || q.put(1)); clock.start(); for i in 0..3 { q.get(); } clock.cancel();",
    "let e = Event(); Timer(5, || e.set()).start(); e.wait();",
    // Threads that will do it.
    "let e = Event(); spawn_thread(|| { sleep(100); e.set(); }, #{daemon: true}); e.wait();",
    "let e = Event(); let t = spawn_thread(|| e.wait()); sleep(1000); e.set(); t.join();",
    "let q = Queue(); let t = spawn_thread(|| q.get()); let n = 0; while n < 2000 { n += 1; } sleep(1); q.put(1); t.join();",
    // Handles on their way.
    "let way = Queue(); let e = Event(); way.put(e); spawn_thread(|| { sleep(5); way.get().set(); }); e.wait();",
    "let way = Queue(); let t = { let e = Event(); way.put(e); spawn_thread(|| e.wait()) }; sleep(5); way.get().set(); t.join();",
    "let v = Value(()); let t = { let e = Event(); v.value = #{deep: [e]}; spawn_thread(|| e.wait()) }; sleep(5); v.value.deep[0].set(); t.join();",
    "let m = SharedMap(); let t = { let e = Event(); m.e = e; spawn_thread(|| e.wait()) }; sleep(5); m.e.set(); t.join();",
    "let l = SharedList(); let t = { let e = Event(); l.push([e]); spawn_thread(|| e.wait()) }; sleep(5); l[0][0].set(); t.join();",
    "let f = (); let t = { let e = Event(); f = || e.set(); spawn_thread(|| e.wait()) }; sleep(5); f.call(); t.join();",
    "let q = Queue(); let t = { let e = Event(); q.put(|| e.set()); spawn_thread(|| e.wait()) }; sleep(5); q.get().call(); t.join();",
    "let t = (); let later = { let e = Event(); t = spawn_thread(|| e.wait()); Thread(|| e.set()) }; sleep(5); later.start(); t.join();",
    "let r = spawn_thread(|| Event()); let e = r.join(); let t = spawn_thread(|| e.wait()); sleep(1); e.set(); t.join();",
    "let t = (); let giver = { let e = Event(); t = spawn_thread(|e| e.wait(), [e]); spawn_thread(|| [e]) }; sleep(1); giver.join()[0].set(); t.join();",
    // Jobs that have not begun, and callbacks.
    "let e = Event(); let p = ThreadPoolExecutor(1); p.submit(|| sleep(5)); p.submit(|| e.set()); e.wait();",
    "let e = Event(); let p = ThreadPoolExecutor(1); let f = p.submit(|| sleep(5)); f.add_done_callback(|f| e.set()); e.wait();",
    "let e = Event(); let p = ThreadPool(1); p.apply_async(|| sleep(5), [], #{callback: |x| e.set()}); e.wait();",
    "let e = Event(); let p = ThreadPool(1); p.apply_async(|| { sleep(5); throw 1 }, [], #{error_callback: |x| e.set()}); e.wait();",
    "let p = ThreadPoolExecutor(2); p.submit(|| p.submit(|| 1).result()).result();",
    "let p = ThreadPoolExecutor(1); let f = p.submit(|| p.submit(|| 1)); f.result().result();",
    "let p = ThreadPoolExecutor(1); let e = Event(); let f = p.submit(|| e.wait()); p.submit(|| 1); sleep(1); e.set(); f.result();",
    // Waits with a time.
    "Event().wait(0.2); Lock().acquire(0.2); Barrier(1).wait(0.2); try { Queue().get(0.2); } catch { }",
    "let l = Lock(); l.acquire(); try { l.acquire(0.2); } catch (e) { assert(e.kind == \"TimeoutError\"); }",
    "let l = Lock(); l.acquire(); let t = spawn_thread(|| l.acquire()); sleep(50); l.release(); t.join();",
    "let a = Lock(); let b = Lock(); let held = Event(); b.acquire(); \
     let t = spawn_thread(|| { with a { held.set(); b.acquire(); b.release(); } }); \
     held.wait(); try { a.acquire(0.3); } catch { } b.release(); t.join();",
    // Conditions, barriers, locks that pass from hand to hand.
    "let c = Condition(); let held = Event(); let t = spawn_thread(|| { with c { held.set(); c.wait(); } }); held.wait(); with c { c.notify(); } t.join();",
    "let b = Barrier(3); for i in 0..2 { spawn_thread(|n| { sleep(n); b.wait(); }, [i]); } sleep(9); b.wait();",
    "let l = Lock(); for i in 0..5 { spawn_thread(|| { with l { sleep(3); } }); } with l { sleep(1); }",
    "let rw = RwLock(); for i in 0..3 { spawn_thread(|| { with rw.read() { sleep(2); } }); } with rw.write() { sleep(1); }",
    // An owner that ends leaves the lock.
    "let l = Lock(); let held = Event(); let t = spawn_thread(|| { l.acquire(); held.set(); sleep(3); }); held.wait(); try { l.acquire(); } catch (e) { assert(e.kind == \"AbandonedLock\"); }",
    // Daemons that wait for ever harm nobody.
    "let q = Queue(); spawn_thread(|| { for x in q { } }, #{daemon: true}); q.put(1); sleep(1);",
    "let e = Event(); spawn_thread(|| e.wait(), #{daemon: true}); sleep(5);",
    // Idle workers of pools, also when the pool is forgotten.
    "let p = ThreadPoolExecutor(3); p.submit(|| 1).result(); sleep(5);",
    "for i in 0..5 { let p = ThreadPoolExecutor(2); p.submit(|| 1).result(); } sleep(1);",
    "let p = ThreadPool(2); let q = Queue(2); spawn_thread(|| { for i in 0..9 { q.put(i); } q.close(); }); for x in p.imap(|n| n, q) { }",
    "with TaskGroup() as g { let q = Queue(); g.spawn_thread(|| { for x in q { } }); g.spawn_thread(|| { q.put(1); sleep(1); q.close(); }); }",
    "let s = Semaphore(1); for i in 0..4 { spawn_thread(|| { with s { sleep(1); } }); }",
    "let q = Queue(); let t = spawn_thread(|| select([q, Event()]).value); sleep(5); q.put(1); t.join();",
];

#[test]
fn what_somebody_can_end_is_no_deadlock() {
    for text in INNOCENT {
        for seed in 0..5 {
            let ran = run_in(Setup::Sim { seed }, &format!("{text} print(\"ok\");"));
            assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "ok\n", ""), "seed {seed}: {text}");
        }
    }
}

/// A second of the programs above is five milliseconds here.
const NAP: &str = "fn nap(secs) { sleep(secs / 200.0) } ";

#[test]
fn nor_is_it_one_in_real_time() {
    std::thread::scope(|scope| {
        for some in INNOCENT.chunks(6) {
            scope.spawn(move || {
                for text in some {
                    let text = format!("{NAP}{} print(\"ok\");", text.replace("sleep(", "nap("));
                    let text = text.replace("Timer(5,", "Timer(0.05,").replace("interval(1,", "interval(0.01,");
                    let ran = run_in(Setup::Real, &text);
                    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "ok\n", ""), "{text}");
                }
            });
        }
    });
}

/// A random program of threads that pass items, take locks in one order and wait for each other: it always ends.
fn random_program(seed: u64) -> String {
    let mut chance = fastrand::Rng::with_seed(seed);
    let workers = chance.usize(2..5);
    let items = chance.usize(1..12);
    let mut text = format!(
        "let jobs = Queue({}); let done = Queue(); let low = Lock(); let high = Lock(); let start = Latch(1);\n\
         let gate = Semaphore({}); let cond = Condition(); let n = Value(0); let meet = Barrier({workers});\n",
        chance.usize(0..4),
        chance.usize(1..3)
    );
    let steps = [
        "with low { with high { n.value += 1; } }",
        "with low { sleep(0.1); }",
        "with gate { sleep(0.2); with high { } }",
        "with cond { n.add(0); cond.notify_all(); }",
        "sleep(0.01);",
        "with TaskGroup() as g { g.spawn_thread(|| with low { 1 }); }",
        "ThreadPoolExecutor(1).submit(|| with high { 1 }).result();",
        "let reply = Queue(); spawn_thread(|| reply.put(1)); reply.get();",
        "let e = Event(); Timer(0.1, || e.set()).start(); e.wait();",
        "try { with high { throw 1 } } catch { }",
        "high.acquire(5); high.release();",
    ];
    for worker in 0..workers {
        let body: String =
            (0..chance.usize(1..4)).map(|_| steps[chance.usize(..steps.len())]).collect::<Vec<_>>().join(" ");
        let meets = if chance.bool() { "" } else { "sleep(0.5);" };
        text += &format!(
            "spawn_thread(|| {{ start.wait(); {meets} meet.wait(); for x in jobs {{ {body} done.put(x); }} done.put(\"end\"); }}, #{{name: \"w{worker}\"}});\n"
        );
    }
    text += &format!(
        "spawn_thread(|| {{ for i in 0..{items} {{ jobs.put(i); }} jobs.close(); }});\nstart.count_down();\n\
         let ends = 0; let got = 0; while ends < {workers} {{ if done.get() == \"end\" {{ ends += 1; }} else {{ got += 1; }} }}\nprint(got == {items});"
    );
    text
}

#[test]
fn random_programs_that_end_are_never_accused() {
    for seed in 0..number("ORCH_SEEDS", 100) {
        let text = random_program(seed);
        let ran = run_in(Setup::Sim { seed }, &text);
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "true\n", ""), "seed {seed}:\n{text}");
    }
}

#[test]
fn a_deadlock_that_was_caught_leaves_status_0_and_an_unasked_one_3() {
    let caught =
        run_in(Setup::Sim { seed: 0 }, &format!("try {{ Queue().get(); }} catch (e) {{ print(told(e)); }}{TOLD}"));
    assert_eq!(caught.status, 0, "{}", caught.err);
    assert!(caught.out.starts_with("DeadlockError: "), "{}", caught.out);
    assert_eq!(run_in(Setup::Sim { seed: 0 }, "spawn_thread(|| Queue().get()); sleep(1);").status, 3);
}

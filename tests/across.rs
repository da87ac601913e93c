//! Handles in processes: what threads do with them, processes do alike, real and simulated; deadlocks over several processes;
//! and what is left when a process is killed with something in its hands.

mod whole;

use whole::program::Program;

/// What is done with every kind of object, by whatever `SPAWN` starts.
const ALIKE: &str = include_str!("across/alike.rhai");

#[test]
fn processes_do_with_handles_what_threads_do() {
    let threads = Program::script(&ALIKE.replace("SPAWN", "spawn_thread")).run();
    assert!(threads.status == 0 && threads.stdout.lines().count() > 35, "{}", threads.for_people());
    let processes = ALIKE.replace("SPAWN", "spawn_process");
    Program::script(&processes).run().prints(&threads.stdout);
    for seed in ["0", "1", "2"] {
        Program::script_with(&["run", "--sim", "--seed", seed], &processes).run().prints(&threads.stdout);
    }
}

#[track_caller]
fn both(script: &str, expected: &str) {
    Program::script(script).run().prints(expected);
    Program::sim(script).run().prints(expected);
}

#[test]
fn a_grandchild_uses_what_main_has() {
    both(
        r#"
        let q = Queue();
        let lock = Lock();
        let v = Value(0);
        let r = spawn_process(|q, lock, v| {
            let own = Queue();
            let g = spawn_process(|q, lock, v, own| {
                for i in 0..10 { with lock { v.value += 1; } }
                q.put("from the grandchild");
                own.put("to the child");
                lock.acquire();
                "left it locked"
            }, [q, lock, v, own]);
            [g.join(), own.get()]
        }, [q, lock, v]).join();
        print(r);
        print(v.value);
        print(q.get());
        try { lock.acquire(); } catch (e) { print(e.kind); }
        "#,
        "[\"left it locked\", \"to the child\"]\n10\nfrom the grandchild\nAbandonedLock\n",
    );
}

#[test]
fn what_a_process_makes_stays_with_it() {
    both(
        r#"
        fn told(f) { try { print(f.call()); } catch (e) { print(`${e.kind}: ${e.message}`); } }
        let q = Queue();
        told(|| spawn_process(|| #{mine: [Queue()]}).join());
        told(|| spawn_process(|q| q.put([1, Lock()]), [q]).join());
        // But its own threads and processes use it.
        told(|| spawn_process(|| { let v = Value(1); spawn_process(|v| v.add(2), [v]).join(); v.value }).join());
        "#,
        "SendError: the result.mine[0] is a Queue that was made in this process, which cannot cross to another process\n\
         SendError: put(): args[0][1] is a Lock that was made in this process, which cannot cross to another process\n\
         3\n",
    );
}

#[test]
fn pools_of_processes_use_handles() {
    both(
        r#"
        let q = Queue();
        let v = Value(0);
        const LOCK = Lock();
        fn guarded(v) { with global::LOCK { v.value += 1; v.value } }
        with Pool(2, #{initializer: |v| v.add(0), initargs: [v]}) as pool {
            print(pool.map(|x| { v.add(x); x * 2 }, 0..5));
            let f = pool.apply_async(|q| q.get(), [q]);
            q.put("for the pool");
            print(f.result());
            print(pool.apply(|q| q, [q]) == q);
            let both = pool.starmap(guarded, [[v], [v]]);
            both.sort();
            print(both);
        }
        print(v.value);
        "#,
        "[0, 2, 4, 6, 8]\nfor the pool\ntrue\n[11, 12]\n12\n",
    );
}

#[test]
fn a_deadlock_over_processes_is_told_with_lines_and_names() {
    let script = r#"
        let a = Lock();
        let b = Lock();
        let ready = Barrier(2);
        let p1 = spawn_process(|| { with a { ready.wait(); with b { } } }, #{name: "one"});
        let p2 = spawn_process(|| { with b { ready.wait(); with a { } } }, #{name: "two"});
        let told = 0;
        for p in [p1, p2] {
            try { p.join(); } catch (e) { told += 1; print(e.kind); for t in e.tasks { print(`${t.task} ${t.waits_in} ${t.line}`); } }
        }
        print(told);
        let lock = Lock();
        try { with lock { spawn_process(|l| l.acquire(), [lock], #{name: "three"}).join(); } } catch (e) { print(e.message) }
        let q = Queue();
        let stuck = spawn_process(|q| q.get(), [q], #{name: "four"});
        try { stuck.join() } catch (e) { print(e.kind); }
        stuck.kill();
    "#;
    for seen in [Program::script(script).run(), Program::sim(script).run()] {
        let text = &seen.stdout;
        assert!(text.contains("one acquire 5\n") && text.contains("two acquire 6\n"), "{}", seen.for_people());
        assert!(text.contains("\n1\n") && text.contains("held by \"main\" since"), "{}", seen.for_people());
        assert!(text.ends_with("DeadlockError\n") && seen.status == 0, "{}", seen.for_people());
    }
}

/// Each line: what is made, what the process does with it before it says that it is ready, and what is seen after its death.
const KILLED: &[(&str, &str, &str, &str)] = &[
    ("Lock()", "x.acquire();", "try { x.acquire(1) } catch (e) { print(e.kind) } x.release();", "AbandonedLock"),
    ("RLock()", "x.acquire(); x.acquire();", "try { x.acquire(1) } catch (e) { print(e.kind) }", "AbandonedLock"),
    ("Semaphore(1)", "x.acquire();", "print(x.acquire(1))", ""),
    ("Condition()", "x.acquire();", "try { x.acquire(1) } catch (e) { print(e.kind) }", "AbandonedLock"),
    ("RwLock()", "x.write().acquire();", "try { x.read().acquire(1) } catch (e) { print(e.kind) }", "AbandonedLock"),
    ("RwLock()", "x.read().acquire();", "x.write().acquire(1); print(\"free\")", "free"),
    ("Value(1)", "x.update(|v| { ready.set(); sleep(100); 7 });", "print(x.update(|v| v + 1))", "2"),
    ("SharedMap(#{k: 1})", "x.update(\"k\", 0, |v| { ready.set(); sleep(100); 7 });", "x.k += 1; print(x.k)", "2"),
    (
        "SharedList([2, 1])",
        "x.sort(|a, b| { ready.set(); sleep(100); 0 });",
        "x.push(0); print(x.snapshot())",
        "[2, 1, 0]",
    ),
    ("Queue(1)", "x.put(1); ready.set(); x.put(2);", "print(x.get()); print(x.qsize())", "1\n0"),
    ("Queue()", "ready.set(); x.get();", "x.put(1); print(x.get(1))", "1"),
    ("Event()", "ready.set(); x.wait();", "x.set(); print(x.wait(1))", "true"),
    ("Barrier(2)", "ready.set(); x.wait();", "print(x.n_waiting)", "0"),
    ("Latch(1)", "ready.set(); x.wait();", "x.count_down(); print(x.wait(1))", "true"),
    ("Semaphore(0)", "ready.set(); x.acquire();", "x.release(); print(x.value)", "1"),
];

#[test]
fn a_killed_process_leaves_nothing_locked_and_nothing_lost() {
    for (made, done, after, expected) in KILLED {
        let script = format!(
            "let x = {made}; let ready = Event();\n\
             let p = spawn_process(|x, ready| {{ {done} ready.set(); sleep(100); }}, [x, ready]);\n\
             ready.wait(); sleep(0.05); p.kill(); p.join();\n{after}\n"
        );
        let seen = Program::script(&script).run();
        assert_eq!((seen.stdout.trim(), seen.status), (*expected, 0), "{script}{}", seen.for_people());
    }
}

#[test]
fn what_is_given_is_counted_and_freed() {
    // A thousand handles cross and come back; the process that had them tells when it is done with them.
    both(
        r#"
        let q = Queue();
        let p = spawn_process(|q| { let n = 0; for item in q { n += item.add(1); } n }, [q]);
        let sum = 0;
        for i in 0..1000 { q.put(Value(i)); sum += i + 1; }
        q.close();
        print(p.join() == sum);
        "#,
        "true\n",
    );
}

#[test]
fn who_puts_into_a_closed_queue_is_told_at_once_or_at_the_end() {
    both(
        r#"
        let q = Queue();
        let start = Event();
        let p = spawn_process(|q, start| { q.put(1); start.wait(); try { q.put(2); } catch (e) { return e.kind } "?" }, [q, start]);
        print(q.get());
        q.close();
        start.set();
        print(p.join());
        "#,
        "1\nClosed\n",
    );
    // Nothing has told the process that the queue is closed, and it asks for nothing more.
    let late = r#"
        let q = Queue();
        let p = spawn_process(|q| { q.put(1); sleep(0.3); q.put(2); "done" }, [q]);
        q.get();
        q.close();
        try { print(p.join()); } catch (e) { print(`${e.kind} ${e.line}`); }
        with Pool(1) as pool {
            let q = Queue();
            let f = pool.apply_async(|q| { q.put(1); sleep(0.3); q.put(2); }, [q]);
            q.get();
            q.close();
            try { f.result(); print("?"); } catch (e) { print(e.kind); }
            print(pool.apply(|| "goes on", []));
        }
    "#;
    both(late, "Closed 3\nClosed\ngoes on\n");
}

#[test]
fn what_was_put_before_a_process_died_is_there_in_order() {
    let script = r#"
        let q = Queue();
        let p = spawn_process(|q| { for i in 0..3000 { q.put(i); } kill(getpid(), "KILL"); }, [q]);
        try { p.join(); } catch (e) { print(e.kind); }
        let wanted = 0;
        while !q.empty() { if q.get() != wanted { throw "out of order"; } wanted += 1; }
        print(wanted);
    "#;
    Program::script(script).run().prints("WorkerDied\n3000\n");
}

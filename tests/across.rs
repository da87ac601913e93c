//! Handles in processes: what threads do with them, processes do alike, real and simulated; deadlocks over several processes;
//! and what is left when a process is killed with something in its hands.

#[path = "across/callbacks.rs"]
mod callbacks;
#[path = "across/flights.rs"]
mod flights;
#[path = "across/numbers.rs"]
mod numbers;
#[path = "across/select.rs"]
mod select;
mod whole;

use whole::live::Live;
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
fn what_a_process_has_dropped_is_freed_while_it_lives() {
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
    // The dump lists every lock that there is.
    let script = r#"
        let q = Queue();
        let ready = Event();
        let stop = Event();
        let p = spawn_process(|q, ready, stop| { for lock in q { lock.locked(); } ready.set(); stop.wait(); }, [q, ready, stop]);
        for i in 0..300 { q.put(Lock()); }
        q.close();
        ready.wait();
        raise_signal("QUIT");
        stop.set();
        p.join();
    "#;
    let seen = Program::script(script).run();
    let listed = seen.stderr.lines().filter(|line| line.starts_with("Lock(#")).count();
    assert!(seen.status == 0 && seen.stderr.contains("Queue(#") && listed <= 3, "{listed} {}", seen.for_people());
}

#[test]
fn a_thread_of_a_process_that_fails_after_its_end_is_told_of() {
    let script = r#"
        let q = Queue();
        let p = spawn_process(|q| { spawn_thread(|| { q.put(1); while !fs::exists("closed") { sleep(0.01); } q.put(2); }); }, [q]);
        q.get();
        q.close();
        fs::write("closed", "");
        p.wait();
        print(p.exit_code);
    "#;
    let seen = Program::script(script).run();
    assert!(seen.stdout == "1\n" && seen.stderr.contains("Closed"), "{}", seen.for_people());
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
        let p = spawn_process(|q| { q.put(1); while !fs::exists("one") { sleep(0.01); } q.put(2); "done" }, [q]);
        q.get();
        q.close();
        fs::write("one", "");
        try { print(p.join()); } catch (e) { print(`${e.kind} ${e.line}`); }
        with Pool(1) as pool {
            let q = Queue();
            let f = pool.apply_async(|q| { q.put(1); while !fs::exists("two") { sleep(0.01); } q.put(2); }, [q]);
            q.get();
            q.close();
            fs::write("two", "");
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

#[test]
fn killed_at_any_moment_with_everything_in_their_hands() {
    let script = include_str!("across/kill.rhai");
    Program::script(script).arg("7").run().prints("all is there\n");
}

#[test]
fn a_worker_that_is_stopped_keeps_what_it_has_and_holds_up_nobody_else() {
    let script = r#"
        let lock = Lock();
        let q = Queue();
        let go_on = Event();
        let p = spawn_process(|lock, q, e| { with lock { q.put("has it"); e.wait(); } 1 }, [lock, q, go_on]);
        print(q.get());
        kill(p.pid, "STOP");
        // It stops a moment after it was told, thread by thread.
        while sh(`grep -qv ') T ' /proc/${p.pid}/task/*/stat`).unchecked().run().ok { sleep(0.01); }
        go_on.set();
        let other = spawn_process(|lock, q| {
            try { lock.acquire(0.1); } catch (e) { q.put(e.kind); }
            with lock { q.put("at last"); }
        }, [lock, q]);
        print(q.get());
        print(q.qsize());
        kill(p.pid, "CONT");
        print(q.get());
        print(`${p.join()} ${other.join()}`);
    "#;
    Program::script(script).run().prints("has it\nTimeoutError\n0\nat last\n1 \n");
}

#[test]
fn many_handles_and_many_waits_take_no_threads_and_no_descriptors() {
    let script = r#"
        fn count(what) { parse_int(cmd("sh", "-c", what).read()) }
        fn threads() { count(`ls /proc/${getpid()}/task | wc -l`) }
        fn open() { count(`ls /proc/${getpid()}/fd | wc -l`) }
        let events = [];
        for i in 0..50 { events.push(Event()); }
        let values = [];
        for i in 0..1000 { values.push(Value(i)); }
        let here = Semaphore(0);
        let q = Queue();
        spawn_process(|q| q.qsize(), [q]).join();
        let idle = spawn_process(|q| q.get(), [q]);
        let before = [threads(), open()];
        q.put(1);
        idle.join();
        // What join() has waited for is put away a moment later, whoever keeps it.
        for i in 0..3000 { if open() < before[1] { break; } sleep(0.02); }
        let p = spawn_process(|events, values, here| {
            let ts = [];
            for e in events { ts.push(spawn_thread(|| { here.release(); e.wait(); 1 })); }
            let sum = 0;
            for v in values { sum += v.value; }
            for t in ts { sum += t.join(); }
            sum
        }, [events, values, here]);
        for e in events { here.acquire(); }
        // Each look has a thread and a few descriptors for a moment; threads that are kept for the next task have one.
        let now = [threads(), open()];
        for i in 0..3000 { if now[0] <= before[0] { break; } sleep(0.02); now = [threads(), open()]; }
        if now[0] > before[0] || now[1] > before[1] + 8 { print(`${before}, then ${now}`); }
        for e in events { e.set(); }
        print(p.join());
    "#;
    Program::script(script).run().prints("499550\n");
}

#[test]
fn a_handler_may_call_while_its_task_waits_for_an_answer() {
    let script = r#"
        let e = Event();
        let q = Queue();
        let h = Queue();
        let p = spawn_process(|e, q, h| {
            on_signal("USR1", |name| { q.put("begins"); q.put(h.get()); });
            q.put("ready");
            e.wait();
            "woken"
        }, [e, q, h]);
        print(q.get());
        kill(p.pid, "USR1");
        print(q.get());
        e.set();
        h.put("has waited");
        print(q.get());
        print(p.join());
    "#;
    Program::script(script).run().prints("ready\nbegins\nhas waited\nwoken\n");
}

#[test]
fn permits_return_from_a_grandchild_that_was_killed() {
    let script = r#"
        let s = Semaphore(1);
        print(spawn_process(|s| {
            let g = spawn_process(|s| { s.acquire(); sleep(100); }, [s]);
            while s.value > 0 { sleep(0.01); }
            g.kill();
            g.join();
            s.acquire(5);
            s.release();
            "returned"
        }, [s]).join());
    "#;
    Program::script(script).run().prints("returned\n");
    Program::sim(script).run().prints("returned\n");
}

#[test]
fn which_permits_return_is_the_same_in_simulated_time() {
    let script = r#"
        let s = BoundedSemaphore(4);
        let ready = Queue();
        // One that ends by itself may have meant to leave its permit to others.
        spawn_process(|s| s.acquire(), [s]).join();
        print(s.value);
        let p = spawn_process(|s, ready| {
            s.acquire();
            s.acquire();
            s.release();
            let t = spawn_thread(|| { assert(s.try_acquire()); ready.put(1); sleep(100); });
            t.join();
        }, [s, ready]);
        ready.get();
        print(s.value);
        p.kill();
        p.join();
        for i in 0..6000 { if s.value == 3 { break; } sleep(0.01); }
        print(s.value);
        s.release();
        print(s.value);
    "#;
    Program::script(script).run().prints("3\n1\n3\n4\n");
    Program::sim(script).run().prints("3\n1\n3\n4\n");
}

#[test]
fn one_that_has_yet_to_hear_that_it_is_to_stop_is_in_no_deadlock() {
    let script = r#"
        let e = Event();
        let q = Queue();
        let p = spawn_process(|e, q| { try { e.wait(); } catch (x) { q.put(x.kind); } e.wait(); }, [e, q]);
        // Long enough that it has said that it can do nothing by itself.
        sleep(0.5);
        kill(p.pid, "STOP");
        p.cancel();
        let later = cmd("sh", "-c", `sleep 0.7; kill -CONT ${p.pid}`).start();
        print(q.get());
        // And then it is quiet again.
        try { p.join(); } catch (x) { print(x.kind); }
        p.kill();
        later.wait();
    "#;
    Program::script(script).run().prints("Cancelled\nDeadlockError\n");
}

#[test]
fn a_message_that_takes_too_many_files_is_told_and_the_way_stays_open() {
    let script = r#"
        let q = Queue();
        let ready = Event();
        let p = spawn_process(|q, ready| {
            let many = [];
            for i in 0..60 { many.push(SharedMemory(8)); }
            ready.set();
            q.get();
            let refused = 0;
            for one in many {
                try { q.put(one); q.qsize(); q.empty(); } catch (e) { refused += 1; if refused == 1 { q.put(`${e.kind}: ${e.message}`); } }
            }
            q.put(refused);
            "all said"
        }, [q, ready]);
        ready.wait();
        cmd("prlimit", "--pid", getpid().to_string(), "--nofile=30:100").run();
        q.put(1);
        print(p.join());
        q.close();
        let came = 0;
        for x in q {
            if type_of(x) == "string" { print(x); }
            if type_of(x) == "i64" { assert(x > 20 && x + came == 60, `${x} refused, ${came} came`); }
            if type_of(x) == "SharedMemory" { came += 1; }
        }
    "#;
    Program::script(script).run().prints(
        "all said\nSendError: put(): the arguments cannot be read where they came to: a part of it did not come: a process that it \
         goes through has too many files open\n",
    );
}

#[test]
fn processes_leave_no_descriptors() {
    let script = r#"
        fn open() { parse_int(cmd("sh", "-c", `ls /proc/${getpid()}/fd | wc -l`).read()) }
        let n = Value(0);
        fn pooled(n) {
            let pool = Pool(1);
            let pid = pool.apply(|n| { n.add(1); getpid() }, [n]);
            kill(pid, "KILL");
            while pid_alive(pid) { sleep(0.01); }
            pool.apply(|n| n.add(1), [n]);
            pool.close();
            pool.join();
            spawn_process(|n| n.add(1), [n]).join();
        }
        pooled(n);
        let before = open();
        for i in 0..3 { pooled(n); }
        // What join() has waited for is put away a moment later.
        let now = open();
        for i in 0..3000 { if now <= before { break; } sleep(0.02); now = open(); }
        assert(now <= before, `open: ${before}, then ${now}`);
        print(n.value);
    "#;
    Program::script(script).run().prints("12\n");
}

#[test]
fn stand_ins_are_printed_and_compared_as_what_they_stand_for() {
    both(
        r#"
        let q = Queue();
        let l = Lock();
        spawn_process(|q, l| {
            print(q);
            print(`${l} ${type_of(l)} ${q == q} ${q != l} ${q == l}`);
            q.put([q, l]);
            print([q, l]);
            print(q.get()[0] == q);
        }, [q, l]).join();
        "#,
        "Queue(#1, 0 items)\nLock(#2, free) Lock true true false\n[Queue(#1, 1 item), Lock(#2, free)]\ntrue\n",
    );
}

#[test]
fn the_dump_names_who_waits_elsewhere() {
    let script = r#"
        let q = Queue();
        let ready = Event();
        let p = spawn_process(|q, ready| { ready.set(); q.get() }, [q, ready]);
        ready.wait();
        print("ready");
        while !fs::exists("go") { sleep(0.05); }
        q.put(1);
        p.join();
    "#;
    let mut live = Live::ready(script);
    // It is on its way there: ask until it has come.
    while !live.seen_stderr().contains("\"Process-1\": waits in get() of Queue(#1) at ") {
        live.signal("QUIT");
        live.reports_again("---\n");
    }
    live.put_file("go");
    assert_eq!(live.end().status, 0);
}

#[test]
fn what_a_process_has_not_taken_is_still_in_the_queue() {
    let script = r#"
        let q = Queue();
        for i in 0..500 { q.put(if i % 10 == 9 { [i, #{ text: "a" }] } else { i }); }
        let half = Event();
        let on = Event();
        let p = spawn_process(|q, half, on| {
            let got = [];
            for i in 0..100 { got.push(q.get()); }
            half.set();
            on.wait();
            for x in q { got.push(x); if got.len() == 200 { break; } }
            got
        }, [q, half, on]);
        half.wait();
        // It has some before it that it has not taken: they count, and they come first, also when it stands still.
        kill(p.pid, "STOP");
        print(`${q.qsize()} ${q.get()} ${q.try_get()} ${q.empty()}`);
        kill(p.pid, "CONT");
        on.set();
        let got = p.join();
        print(`${got[99]} ${got[100]} ${got[199]} ${q.qsize()}`);
        q.close();
        let rest = 0;
        for x in q { rest += 1; }
        print(rest);
    "#;
    let expected = "400 100 101 false\n[99, #{\"text\": \"a\"}] 102 201 298\n298\n";
    Program::script(script).run().prints(expected);
}

#[test]
fn a_taker_killed_at_any_moment_takes_nothing_with_it_but_what_it_had_taken() {
    let script = r#"
        let n = 3000;
        for round in 0..6 {
            let q = Queue();
            let seen = SharedList();
            for i in 0..n { q.put(i); }
            let p = spawn_process(|q, seen| {
                // It never takes all, however late it is killed.
                for x in q { if x % 50 == 0 { seen.push(x); if x == 2000 { sleep(1000); } } }
            }, [q, seen]);
            while seen.len() <= randint(0, 20) { sleep(0.001); }
            p.kill();
            p.wait();
            let left = q.qsize();
            let next = q.get();
            assert(next == n - left, `${left} are left, and the next is ${next}`);
            // It noted every 50th: what it had taken begins there.
            assert(next > seen[-1] && next <= seen[-1] + 51, `noted ${seen[-1]}, the next is ${next}`);
            q.close();
            let last = next;
            for x in q { assert(x == last + 1); last = x; }
            assert(last == n - 1);
        }
        print("whole");
    "#;
    Program::script(script).run().prints("whole\n");
}

#[test]
fn takers_here_and_there_get_each_item_once() {
    let script = r#"
        fn take(q) { let got = []; for x in q { got.push(x); } got }
        let q = Queue();
        let processes = [spawn_process(take, [q]), spawn_process(take, [q])];
        let other = spawn_thread(take, [q]);
        let makers = [];
        for m in 0..2 {
            makers.push(spawn_process(|q, m| { for i in 0..2000 { q.put([m, i]); } }, [q, m]));
        }
        for maker in makers { maker.join(); }
        q.close();
        let counts = [0, 0];
        for taker in processes + [other] {
            let last = [-1, -1];
            for x in taker.join() {
                assert(x[1] > last[x[0]], "out of order");
                last[x[0]] = x[1];
                counts[x[0]] += 1;
            }
        }
        print(`${counts} ${q.qsize()}`);
    "#;
    Program::script(script).run().prints("[2000, 2000] 0\n");
}

#[test]
fn of_many_queues_each_gives_what_is_in_it() {
    let script = r#"
        let queues = [];
        for i in 0..40 {
            let q = Queue();
            for n in 0..10 { q.put(i * 10 + n); }
            queues.push(q);
        }
        let take = |queues| { let sum = 0; for q in queues { for n in 0..4 { sum += q.get(); } } sum };
        print(spawn_process(take, [queues]).join());
        print(spawn_process(take, [queues]).join());
        let rest = 0;
        for q in queues { rest += q.get() + q.get() + q.qsize(); }
        print(rest);
    "#;
    let sum = |from: u32, to: u32| (0..40).map(|i| (from..to).map(|n| i * 10 + n).sum::<u32>()).sum::<u32>();
    let expected = format!("{}\n{}\n{}\n", sum(0, 4), sum(4, 8), sum(8, 10));
    Program::script(script).run().prints(&expected);
}

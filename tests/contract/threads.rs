//! What the contract says of threads, sentence by sentence: small scripts in simulated time, with their exact output.

use crate::harness::{Ran, run_in, sim};
use orch::kernel::Setup;

fn ran(text: &str) -> Ran {
    run_in(Setup::Sim { seed: 0 }, text)
}

/// Each line of `text` that begins with `? ` is a statement of its own whose error is printed: kind and message.
fn errors(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("? ") {
        Some(code) => {
            format!("try {{ {code}; print(\"no error\"); }} catch (e) {{ print(told(e)); }}\n")
        }
        None => format!("{line}\n"),
    });
    let told = "fn told(e) { if type_of(e) == \"map\" { `${e.kind}: ${e.message}` } else { `thrown: ${e}` } }\n";
    sim(&(lines.collect::<String>() + told))
}

#[test]
fn with_releases_however_the_block_is_left() {
    let text = r#"
        let lock = Lock();
        fn returns(lock) { with lock { return lock.locked(); } }
        print(returns(lock));
        print(lock.locked());
        for i in 0..3 { with lock { if i == 0 { continue; } break; } }
        print(lock.locked());
        try { with lock { throw "no"; } } catch (e) { print(e); }
        print(lock.locked());
        let t = spawn_thread(|| { with lock { sleep(100); } });
        sleep(1);
        print(lock.locked());
        t.cancel();
        t.wait();
        print(lock.locked());
        with lock { with lock.locked_twice() { } }
    "#;
    let text = text.replace("with lock { with lock.locked_twice() { } }", "");
    assert_eq!(sim(&text), "true\nfalse\nfalse\nno\nfalse\ntrue\nfalse\n");
}

#[test]
fn with_works_for_everything_that_is_held() {
    let text = r#"
        let rlock = RLock();
        with rlock { with rlock { print(rlock.locked()); } print(rlock.locked()); }
        print(rlock.locked());
        let sem = Semaphore(2);
        with sem { print(sem.value); }
        print(sem.value);
        let bounded = BoundedSemaphore(1);
        with bounded { print(bounded.value); }
        let cond = Condition();
        with cond { print(cond.locked()); cond.notify(); }
        print(cond.locked());
        let rw = RwLock();
        with rw.read() { with rw.read() { print(rw.read().locked()); } }
        with rw.write() { print(rw.write().locked()); }
        print(rw.write().locked());
        let done = Value(0);
        with ThreadPoolExecutor(2) as pool { for i in 0..4 { pool.submit(|| { sleep(1); done.add(1); }); } }
        print(done.value);
        with ThreadPool(2) as pool { pool.apply_async(|| { sleep(1); done.add(1); }, []); }
        print(done.value);
        with TaskGroup() as g { g.spawn_thread(|| { sleep(1); done.add(1); }); }
        print(done.value);
        let bound = || { with Lock() as l { with Semaphore(1) as s { `${l.locked()} ${s.value}` } } };
        print(spawn_thread(|| { let inner = || { with Lock() as l { return l.locked(); } }; inner.call() }).join());
    "#;
    let wanted = "true\ntrue\nfalse\n1\n2\n0\ntrue\nfalse\ntrue\ntrue\nfalse\n4\n5\n6\ntrue\n";
    assert_eq!(sim(text), wanted);
    assert_eq!(errors("? with 5 { }\n? with \"x\" as y { }"), {
        "TypeError: with needs a lock, a pool or the like, not an int\n\
         TypeError: with needs a lock, a pool or the like, not a string\n"
    });
}

#[test]
fn an_abandoned_lock_is_told_once_and_then_held() {
    let text = r#"
        fn leave_it(lock) { lock.acquire(); }
        for lock in [Lock(), RLock(), Condition(), RwLock().write()] {
            spawn_thread(|| lock.acquire()).join();
            try { lock.acquire(); } catch (e) { print(`${e.kind} ${lock.locked()}`); }
            lock.release();
            spawn_thread(|| lock.acquire()).join();
            try { lock.acquire(5); } catch (e) { print(`${e.kind} ${lock.locked()}`); }
            lock.release();
            spawn_thread(|| lock.acquire()).join();
            try { lock.try_acquire(); } catch (e) { print(`${e.kind} ${lock.locked()}`); }
            lock.release();
            spawn_thread(|| lock.acquire()).join();
            try { with lock { print("never"); } } catch (e) { print(`${e.kind} ${lock.locked()}`); }
            lock.acquire();
            lock.release();
        }
        let lock = Lock();
        try { spawn_thread(|| { lock.acquire(); throw "no"; }).join(); } catch (e) { print(e.value); }
        try { lock.acquire(); } catch (e) { print(e.kind); }
        lock.release();
        let t = spawn_thread(|| { lock.acquire(); sleep(1000); });
        sleep(1);
        t.cancel();
        try { lock.acquire(); } catch (e) { print(e.kind); }
    "#;
    let each = "AbandonedLock true\nAbandonedLock true\nAbandonedLock true\nAbandonedLock false\n";
    assert_eq!(sim(text), format!("{}no\nAbandonedLock\nAbandonedLock\n", each.repeat(4)));
}

#[test]
fn a_thread_is_started_once_and_joined_from_outside() {
    let text = r#"
        let t = Thread(|| 42, #{name: "worker"});
        print(`${t.name} ${t.is_alive()} ${t.daemon} ${t.native_id == ()}`);
        ? t.join()
        ? t.wait()
        ? t.join(1)
        t.start();
        print(t.join());
        print(t.join());
        print(`${t.wait()} ${t.wait(1)} ${t.is_alive()}`);
        ? t.start()
        ? t.daemon = true
        ? t.set_daemon(true)
        ? t.name = "late"
        ? current_thread().join()
        ? spawn_thread(|| current_thread().join()).join()
        let d = Thread(|| 1);
        d.daemon = true;
        d.name = "d";
        print(`${d.daemon} ${d.name}`);
        d.set_daemon(false);
        print(d.daemon);
        let slow = spawn_thread(|| { sleep(10); throw #{kind: "Odd", message: "odd", extra: 7}; }, #{name: "slow"});
        print(slow.wait(1));
        ? slow.join(1)
        print(slow.wait());
        try { slow.join(); } catch (e) { print(`${e.kind} ${e.message} ${e.extra} ${e.task} ${e.line > 0}`); }
        print(`${current_thread().name} ${main_thread().name} ${active_count()} ${threads().len()}`);
        print(spawn_thread(|| `${current_thread().name} ${main_thread().name} ${active_count()}`, #{name: "x"}).join());
    "#;
    let wanted = "worker false false true\n\
        ThreadError: thread \"worker\" was not started yet\nThreadError: thread \"worker\" was not started yet\n\
        ThreadError: thread \"worker\" was not started yet\n42\n42\ntrue true false\n\
        ThreadError: thread \"worker\" was started already; it can be started once only\n\
        ThreadError: daemon of thread \"worker\" can be set only before it is started\n\
        ThreadError: daemon of thread \"worker\" can be set only before it is started\n\
        ThreadError: the name of thread \"worker\" can be set only before it is started\n\
        ThreadError: thread \"main\" cannot join itself\nThreadError: thread \"Thread-2\" cannot join itself\n\
        true d\nfalse\nfalse\nTimeoutError: join() timed out after 1 s\ntrue\nOdd odd 7 slow true\nmain main 1 1\n\
        x main 2\n";
    assert_eq!(errors(text), wanted);
}

#[test]
fn cancel_is_heard_once_for_each_cancel() {
    let text = r#"
        let t = spawn_thread(|| {
            try { sleep(100); } catch (e) { print(e.kind); }
            sleep(1);
            print("slept");
            try { Event().wait(50); } catch (e) { print(e.kind); }
            "result"
        });
        sleep(0.5);
        t.cancel();
        sleep(3);
        t.cancel();
        print(t.join());
        // Before it begins to wait.
        let t = spawn_thread(|| { let n = 0; while n < 1000 { n += 1; } sleep(0); print("never"); });
        t.cancel();
        try { t.join(); } catch (e) { print(e.kind); }
        // Twice.
        let t = spawn_thread(|| {
            for i in 0..2 { try { sleep(100); } catch (e) { print(`${i} ${e.kind}`); } }
            sleep(1);
            7
        });
        sleep(1);
        t.cancel();
        t.cancel();
        print(t.join());
        // A loop that blocks nowhere; with is left properly, try catches nothing.
        let lock = Lock();
        let t = spawn_thread(|| { with lock { try { loop { } } catch (e) { print("never"); } } });
        sleep(1);
        t.cancel();
        try { t.join(); } catch (e) { print(`${e.kind} ${lock.locked()}`); }
    "#;
    let wanted = "Cancelled\nslept\nCancelled\nresult\nCancelled\n0 Cancelled\n1 Cancelled\n7\n";
    // In simulated time a loop that calls nothing lets nobody else run: the last part needs the real world.
    let at = text.find("// A loop").expect("it is there");
    assert_eq!(sim(&text[..at]), wanted);
    let busy = r#"
        let lock = Lock();
        let q = Queue();
        let begun = Event();
        for body in [
            || { with lock { try { begun.set(); loop { } } catch (e) { print("never"); } } },
            || { with lock { try { begun.set(); loop { lock.locked(); q.qsize(); } } catch (e) { print("never"); } } },
        ] {
            begun.clear();
            let t = spawn_thread(body);
            begun.wait();
            t.cancel();
            try { t.join(); } catch (e) { print(`${e.kind} ${lock.locked()}`); }
        }
    "#;
    let ran = run_in(Setup::Real, busy);
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.status), ("Cancelled false\nCancelled false\n", "", 0));
}

#[test]
fn being_cancelled_is_no_failure_and_a_failure_is_told_once() {
    let ran = ran("let t = spawn_thread(|| sleep(100)); sleep(1); t.cancel();");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for (text, times, status) in [
        ("spawn_thread(|| throw \"no\"); sleep(1); print(\"later\");", 1, 1),
        ("let t = spawn_thread(|| throw \"no\"); sleep(1); t.wait();", 1, 1),
        ("let t = spawn_thread(|| throw \"no\"); try { t.join(); } catch { }", 0, 0),
        ("let t = spawn_thread(|| throw \"no\"); t.join();", 1, 1),
        ("with ThreadPoolExecutor(1) as p { p.submit(|| throw \"no\"); }", 1, 1),
        ("with ThreadPoolExecutor(1) as p { let f = p.submit(|| throw \"no\"); f.exception(); }", 0, 0),
        ("with ThreadPoolExecutor(1) as p { let f = p.submit(|| throw \"no\"); f.wait(); }", 1, 1),
        ("with ThreadPool(1) as p { p.apply_async(|| throw \"no\", [], #{error_callback: |e| ()}); }", 0, 0),
        ("with ThreadPool(1) as p { p.apply_async(|| throw \"no\", []); }", 1, 1),
        ("let t = spawn_thread(|| throw \"no\"); for i in 0..2 { try { t.join(); } catch { } }", 0, 0),
        ("Timer(1, || throw \"no\").start();", 1, 1),
        ("let t = Thread(|| throw \"no\"); t.daemon = true; t.start(); sleep(1);", 1, 1),
        ("with TaskGroup() as g { g.spawn_thread(|| throw \"no\"); }", 1, 1),
        ("try { with TaskGroup() as g { g.spawn_thread(|| throw \"no\"); } } catch { }", 0, 0),
        ("spawn_thread(|| throw \"no\"); throw \"yes\";", 2, 1),
    ] {
        let ran = self::ran(text);
        assert_eq!((ran.err.matches("error: ").count(), ran.status), (times, status), "{text}\n{}", ran.err);
    }
}

#[test]
fn errors_cross_with_their_fields() {
    let text = r#"
        fn inner() { throw #{kind: "Mine", n: 5} }
        fn outer() { inner() }
        let t = spawn_thread(outer, #{name: "w"});
        try { t.join(); } catch (e) {
            print(`${e.kind} ${e.n} ${e.task} ${e.line} ${e.stack.len()}`);
        }
        try { spawn_thread(|| throw "x").join(); } catch (e) { print(`${e.kind} ${e.value} ${e.message}`); }
        try { spawn_thread(|| throw [1, 2]).join(); } catch (e) { print(`${e.kind} ${e.value}`); }
        try { throw "x"; } catch (e) { print(e); }
        try { spawn_thread(|| 1 / 0).join(); } catch (e) { print(e.kind); }
        try { 1 / 0; } catch (e) { print(`${e.kind} ${e.line}`); }
        try { let a = [1]; a[5]; } catch (e) { print(`${e.kind}`); }
        try { nothing_here(); } catch (e) { print(`${e.kind}`); }
        fn deep(n) { deep(n + 1) }
        try { spawn_thread(|| deep(0)).join(); } catch (e) { print(e.message.contains("Stack overflow")); }
        fn sum(n) { if n == 0 { 0 } else { 1 + sum(n - 1) } }
        print(sum(500));
        print(spawn_thread(|| sum(500)).join());
    "#;
    let wanted = "Mine 5 w 2 3\nThrown x x\nThrown [1, 2]\nx\nErrorArithmetic\nErrorArithmetic 12\n\
                  IndexError\nErrorFunctionNotFound\ntrue\n500\n500\n";
    assert_eq!(sim(text), wanted);
}

#[test]
fn a_group_ends_when_all_of_it_has_ended_and_the_first_failure_cancels_the_rest() {
    let text = r#"
        with TaskGroup() as g {
            for i in 0..3 { g.spawn_thread(|n| { sleep(3 - n); print(n); }, [i]); }
        }
        print("all");
        try {
            with TaskGroup() as g {
                g.spawn_thread(|| { sleep(1); throw "first"; }, #{name: "a"});
                g.spawn_thread(|| { try { sleep(100); } catch (e) { print(`rest ${e.kind}`); throw "second"; } });
                g.spawn_thread(|| { sleep(100); print("never"); });
                try { sleep(50); } catch (e) { print(`block ${e.kind}`); throw; }
            }
        } catch (e) {
            print(`${e.value} ${e.task} ${e.others.len()} ${e.others[0].value}`);
        }
        try {
            with TaskGroup() as g {
                g.spawn_thread(|| { try { sleep(100); } catch (e) { print(`rest ${e.kind}`); } });
                sleep(1);
                throw "block";
            }
        } catch (e) { print(e); }
        print(monotonic() < 10.0);
        let kept = ();
        with TaskGroup() as g { kept = g; }
        ? kept.spawn_thread(|| 1)
        // The group's cancellation does not outlive it.
        try { with TaskGroup() as g { g.spawn_thread(|| throw "x"); g.spawn_thread(|| sleep(5)); } } catch { }
        sleep(1);
        print("slept");
        // Being cancelled is not a failure of the group.
        with TaskGroup() as g { let t = g.spawn_thread(|| sleep(100)); sleep(1); t.cancel(); }
        print("end");
        let outer = spawn_thread(|| {
            with TaskGroup() as g { g.spawn_thread(|| { try { sleep(100); } catch (e) { print(`in ${e.kind}`); throw; } }); }
        });
        sleep(1);
        outer.cancel();
        try { outer.join(); } catch (e) { print(`out ${e.kind}`); }
    "#;
    let wanted = "2\n1\n0\nall\nrest Cancelled\nblock Cancelled\nfirst a 1 second\nrest Cancelled\nblock\ntrue\n\
                  Closed: a TaskGroup takes tasks only within its `with` block\nslept\nend\nin Cancelled\nout Cancelled\n";
    assert_eq!(errors(text), wanted);
}

#[test]
fn timers_and_intervals() {
    let text = r#"
        let t = Timer(2, || print(`rang at ${monotonic()}`));
        t.start();
        t.join();
        ? t.start()
        let c = Timer(2, || print("never"));
        c.start();
        sleep(1);
        c.cancel();
        c.join();
        print(monotonic());
        let n = Value(0);
        let clock = interval(1, || { print(`tick ${n.add(1)}`); });
        clock.start();
        sleep(3.5);
        clock.cancel();
        clock.join();
        let bad = interval(1, || throw "no");
        bad.start();
        ? bad.join()
        ? Timer(-1, || 1)
        ? Timer((), || 1)
    "#;
    let wanted = "rang at 2.0\nThreadError: \"Timer-2\" was started before\n3.0\ntick 1\ntick 2\ntick 3\nThrown: no\n\
                  ValueError: Timer(): secs must be a number of seconds, 0 or more, not -1\n\
                  ValueError: Timer(): secs must be a number of seconds\n";
    let out = errors(text);
    let named = out
        .lines()
        .map(|l| if l.starts_with("ThreadError") { "ThreadError: \"Timer-2\" was started before" } else { l });
    assert_eq!(named.map(|l| format!("{l}\n")).collect::<String>(), wanted);
}

#[test]
fn locks_and_semaphores_and_their_misuse() {
    let text = r#"
        for lock in [Lock(), RLock(), RwLock().write()] {
            ? lock.release()
            lock.acquire();
            print(spawn_thread(|| lock.try_acquire()).join());
            ? spawn_thread(|| lock.acquire(1)).join()
            ? spawn_thread(|| lock.release()).join()
            lock.release();
            print(lock.try_acquire());
            lock.release();
        }
        let r = RLock();
        r.acquire(); r.acquire(); r.release();
        print(r.locked());
        r.release();
        print(r.locked());
        let s = Semaphore(0);
        print(s.try_acquire());
        ? s.acquire(1)
        s.release(2);
        print(s.value);
        s.acquire(); s.acquire();
        print(s.locked());
        ? Semaphore(-1)
        ? BoundedSemaphore(-1)
        let b = BoundedSemaphore(2);
        ? b.release()
        b.acquire();
        ? b.release(2)
        b.release();
        print(b.value);
        ? s.release(0)
        ? s.release(-1)
    "#;
    let out = errors(text);
    let kinds: Vec<&str> = out.lines().map(|l| l.split(':').next().unwrap_or(l)).collect();
    let lock = ["LockError", "false", "TimeoutError", "LockError", "true"];
    let rest = [
        "true",
        "false",
        "false",
        "TimeoutError",
        "2",
        "true",
        "ValueError",
        "ValueError",
        "SemaphoreError",
        "SemaphoreError",
        "2",
        "ValueError",
        "ValueError",
    ];
    assert_eq!(kinds, [&lock[..], &lock[..], &lock[..], &rest[..]].concat(), "{out}");
}

#[test]
fn readers_share_and_writers_exclude() {
    let text = r#"
        let rw = RwLock();
        let log = SharedList();
        for i in 0..2 { spawn_thread(|n| { with rw.read() { sleep(1); log.push(`r${n} ${monotonic()}`); } }, [i]); }
        spawn_thread(|| { sleep(0.5); with rw.write() { sleep(1); log.push(`w ${monotonic()}`); } });
        sleep(5);
        for line in log { print(line); }
        let r = rw.read();
        let w = rw.write();
        r.acquire();
        print(w.try_acquire());
        ? w.acquire()
        ? w.acquire(1)
        r.release();
        w.acquire();
        print(spawn_thread(|| r.try_acquire()).join());
        w.release();
        ? r.release()
    "#;
    let out = errors(text);
    assert!(out.starts_with("r0 1.0\nr1 1.0\nw 2.0\nfalse\nDeadlockError: "), "{out}");
    assert!(
        out.ends_with("false\nLockError: RwLock(#1) is not held\n") || out.contains("\nfalse\nLockError: "),
        "{out}"
    );
}

#[test]
fn events_latches_and_conditions() {
    let text = r#"
        let e = Event();
        print(e.is_set());
        print(e.wait(1));
        let t = spawn_thread(|| { sleep(1); e.set(); });
        print(e.wait());
        print(e.wait(0));
        e.clear();
        print(e.is_set());
        let l = Latch(2);
        for i in 0..2 { spawn_thread(|n| { sleep(n); l.count_down(); }, [i]); }
        print(l.wait(0.5));
        print(l.wait());
        l.count_down();
        print(l.wait(0));
        print(Latch(0).wait());
        let c = Condition();
        ? c.wait()
        ? c.notify()
        ? c.notify_all()
        ? c.wait_for(|| true)
        ? c.release()
        with c { print(c.wait(1)); print(c.wait_for(|| false, 1)); print(c.wait_for(|| true, 0)); }
        let n = Value(0);
        let got = SharedList();
        for i in 0..4 { spawn_thread(|k| { with c { c.wait_for(|| n.value > 0); n.add(-1); got.push(k); } }, [i]); }
        sleep(1);
        with c { n.value = 1; c.notify(); }
        sleep(1);
        print(got.len());
        with c { n.value = 3; c.notify(2); }
        sleep(1);
        print(got.len());
        with c { c.notify_all(); }
        sleep(1);
        print(got.len());
        let lock = Lock();
        let on = Condition(lock);
        with on { print(lock.locked()); }
        let r = RLock();
        let on_r = Condition(r);
        with r { with r { print(on_r.wait(1)); print(r.locked()); } print(r.locked()); }
        ? with c { c.wait_for(|| throw "pred") }
    "#;
    let out = errors(text);
    let kinds: Vec<&str> = out.lines().map(|l| l.split(':').next().unwrap_or(l)).collect();
    let wanted = "false false true true false false true true true LockError LockError LockError LockError LockError \
                  false false true 1 3 4 true false true true";
    assert_eq!(kinds[..24].join(" "), wanted, "{out}");
}

#[test]
fn barriers() {
    let text = r#"
        let runs = Value(0);
        let b = Barrier(3, #{action: || runs.add(1)});
        print(`${b.parties} ${b.n_waiting} ${b.broken}`);
        let seen = SharedList();
        with TaskGroup() as g {
            for i in 0..3 { g.spawn_thread(|| { for round in 0..2 { seen.push(b.wait()); } }); }
        }
        seen.sort();
        print(`${seen.snapshot()} ${runs.value}`);
        let b = Barrier(2);
        let t = spawn_thread(|| b.wait());
        sleep(1);
        print(b.n_waiting);
        b.abort();
        ? t.join()
        print(b.broken);
        ? b.wait()
        b.reset();
        print(b.broken);
        let t = spawn_thread(|| b.wait());
        sleep(1);
        b.reset();
        ? t.join()
        print(b.broken);
        ? b.wait(1)
        print(b.broken);
        let slow = Barrier(2, #{timeout: 2});
        let before = monotonic();
        ? slow.wait()
        print(monotonic() - before);
        // The one that ran the action gets its error, the others a broken barrier.
        let bad = Barrier(2, #{action: || throw "action"});
        let t = spawn_thread(|| bad.wait());
        sleep(1);
        ? bad.wait()
        ? t.join()
        ? Barrier(0)
        ? Barrier(2, #{acton: || 1})
        print(Barrier(1).wait());
    "#;
    let out = errors(text);
    let shown: Vec<&str> = out.lines().map(|l| if l.starts_with("Broken") { "Broken" } else { l }).collect();
    let wanted = [
        "3 0 false",
        "[0, 0, 1, 1, 2, 2] 2",
        "1",
        "Broken",
        "true",
        "Broken",
        "false",
        "Broken",
        "false",
        "Broken",
        "true",
        "Broken",
        "2.0",
        "thrown: action",
        "Broken",
        "ValueError: Barrier(): n must be 1 or more, not 0",
        "ValueError: Barrier() has no option \"acton\"; did you mean \"action\"?",
        "0",
    ];
    assert_eq!(shown, wanted, "{out}");
}

#[test]
fn exit_ends_everything_from_any_thread() {
    let main = ran("let l = Lock(); try { with l { exit(4); } } catch { print(\"never\"); } print(\"never\");");
    assert_eq!((main.status, main.out.as_str(), main.err.as_str()), (4, "", ""));
    let other = ran(
        "let t = spawn_thread(|| { sleep(1); exit(5); }); try { t.join(); } catch { } sleep(100); print(\"never\");",
    );
    assert_eq!((other.status, other.out.as_str(), other.err.as_str()), (5, "", ""));
    let job = ran("with ThreadPoolExecutor(1) as p { p.submit(|| exit(6)).result(); print(\"never\"); }");
    assert_eq!((job.status, job.out.as_str(), job.err.as_str()), (6, "", ""));
    let within = ran("with ThreadPoolExecutor(1) as p { p.submit(|| sleep(1000)); exit(7); }");
    assert_eq!((within.status, within.out.as_str(), within.err.as_str()), (7, "", ""));
    let group = ran("with TaskGroup() as g { g.spawn_thread(|| sleep(1000)); exit(); }");
    assert_eq!((group.status, group.out.as_str(), group.err.as_str()), (0, "", ""));
    let callback = ran("let v = Value(1); v.update(|x| exit(8)); print(\"never\");");
    assert_eq!((callback.status, callback.out.as_str(), callback.err.as_str()), (8, "", ""));
}

#[test]
fn the_program_waits_for_threads_but_not_for_daemons() {
    assert_eq!(sim("spawn_thread(|| { sleep(5); print(\"end\"); });"), "end\n");
    assert_eq!(sim("spawn_thread(|| { sleep(5); print(\"never\"); }, #{daemon: true}); print(\"main\");"), "main\n");
    let failed = ran("spawn_thread(|| { sleep(5); print(\"end\"); }); throw \"no\";");
    assert_eq!((failed.out.as_str(), failed.status), ("end\n", 1));
    assert_eq!(sim("let d = spawn_thread(|| { sleep(5); print(\"end\"); }, #{daemon: true}); d.join();"), "end\n");
}

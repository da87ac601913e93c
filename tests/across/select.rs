//! `select` over what lives here and what lives in another process: exactly one thing is taken, nothing is lost.

use crate::both;
use crate::whole::program::Program;

#[test]
fn things_of_both_processes_are_waited_for_at_once() {
    both(
        r#"
        let q = Queue();
        let out = Queue();
        let e = Event();
        let p = spawn_process(|q, out, e| {
            let mine = Queue();
            let seen = [];
            for limit in [0.05, 0] { try { select([mine, q], limit); } catch (x) { seen.push(x.message); } }
            mine.put("own");
            seen.push(select([q, mine]).value);
            q.put("far");
            seen.push(select([mine, q]).value);
            // Of several that are ready, the first listed.
            for i in 0..2 { q.put(`far ${i}`); mine.put(`own ${i}`); }
            for list in [[q, mine], [mine, q], [e, mine, q], [mine, e, q]] {
                let r = select(list, 20);
                seen.push([r.value, r.index, r.source == list[r.index]]);
            }
            spawn_thread(|| { sleep(0.02); mine.put("later"); });
            seen.push(select([e, q, mine]).value);
            out.put("set it");
            seen.push(select([mine, e, q]).index);
            let lock = Lock();
            seen.push(select([Queue(), q, lock]).index);
            lock.release();
            for sources in [[mine, q, 5], [], [Thread(|| 1), q]] {
                try { select(sources, 1); } catch (x) { seen.push(`${x.kind}: ${x.message}`); }
            }
            mine.close();
            try { select([q, mine], 1); } catch (x) { seen.push(x.kind); }
            q.close();
            try { select([q, Queue()], 1); } catch (x) { seen.push(x.kind); }
            seen
        }, [q, out, e]);
        out.get();
        e.set();
        for line in p.join() { print(line); }
        "#,
        "select() timed out after 0.05 s\nselect() timed out after 0 s\nown\nfar\n\
         [\"far 0\", 0, true]\n[\"own 0\", 0, true]\n[\"own 1\", 1, true]\n[\"far 1\", 2, true]\nlater\n1\n2\n\
         TypeError: select() waits for queues, connections, events, locks, futures, threads, processes and commands, not for an int\n\
         ValueError: select() needs at least one thing to wait for\n\
         ThreadError: thread \"Thread-2\" was not started yet\nClosed\nClosed\n",
    );
}

#[test]
fn every_kind_of_thing_is_looked_at_and_then_taken() {
    // What it is, how it becomes ready, and how it is seen that it was taken.
    for (made, become_ready, taken) in [
        ("Queue()", "x.put(7)", "x.qsize()"),
        ("Semaphore(0)", "x.release()", "x.value"),
        ("Event()", "x.set()", "0"),
        ("Lock()", "x.release()", "if x.locked() { 0 } else { 1 }"),
        ("RwLock().write()", "x.release()", "if x.locked() { 0 } else { 1 }"),
        ("RwLock().read()", "()", "if x.locked() { 0 } else { 1 }"),
        ("pool.submit(|| sleep(0.1))", "()", "0"),
        ("spawn_thread(|| sleep(0.1))", "()", "0"),
        ("cmd(\"sleep\", \"0.1\").start()", "()", "0"),
    ] {
        let held = if made.contains("Lock()") && become_ready != "()" { "x.acquire();" } else { "" };
        both(
            &format!(
                r#"
                let pool = ThreadPoolExecutor(1);
                let x = {made};
                {held}
                let told = Queue();
                let p = spawn_process(|x, told| {{
                    let mine = Queue();
                    // It has looked in vain, when there was anything to wait for, and what was quicker was taken.
                    mine.put(1);
                    let first = select([mine, x]).index;
                    told.put(1);
                    let r = select([mine, x]);
                    told.put(2);
                    told.join();
                    [first, r.index, r.source == x]
                }}, [x, told]);
                told.get();
                {become_ready};
                told.get();
                print({taken});
                told.task_done(); told.task_done();
                print(p.join());
                "#
            ),
            "0\n[0, 1, true]\n",
        );
    }
}

#[test]
fn what_waits_in_both_processes_is_in_deadlocks_and_out_of_them() {
    both(
        r#"
        let q = Queue();
        let e = Event();
        let p = spawn_process(|q| { let own = Queue(); select([own, q]) }, [q]);
        try { p.join(); } catch (x) { print(x.kind); }
        p.terminate();
        // One of its own feeds it, at once or when it is told to.
        for wait in [|e| sleep(0.1), |e| e.wait()] {
            let p = spawn_process(|q, e, wait| {
                let own = Queue();
                spawn_thread(|| { wait.call(e); own.put("fed"); });
                select([own, q]).value
            }, [q, e, wait]);
            spawn_thread(|| { sleep(0.2); e.set(); });
            print(p.join());
        }
        // From two processes above.
        let p = spawn_process(|q| {
            let mid = Queue();
            let g = spawn_process(|q, mid| {
                let own = Queue();
                [select([own, mid, q]).value, select([q, own, mid]).value, select([own, q, mid]).index]
            }, [q, mid]);
            mid.put("from the middle");
            g.join()
        }, [q]);
        while q.qsize() > 0 { sleep(0.01); }
        sleep(0.1);
        q.put("from above");
        q.put("again");
        print(p.join());
        // Cancelled, and used on.
        let ready = Event();
        let p = spawn_process(|q, ready| {
            let own = Queue();
            ready.set();
            try { select([own, q]) } catch (x) { q.put(1); return [x.kind, select([own, q]).value]; }
        }, [q, ready]);
        ready.wait();
        p.cancel();
        print(p.join());
        print(q.qsize());
        "#,
        "DeadlockError\nfed\nfed\n[\"from the middle\", \"from above\", 1]\n[\"Cancelled\", 1]\n0\n",
    );
}

#[test]
fn a_handler_uses_what_its_task_waits_for_in_both() {
    let script = r#"
        let q = Queue();
        let ready = Event();
        let p = spawn_process(|q, ready| {
            let own = Queue();
            on_signal("USR1", |name| { q.put(1); own.put(`handler got ${select([q, own]).value}`); });
            ready.set();
            select([own, q]).value
        }, [q, ready]);
        ready.wait();
        kill(p.pid, "USR1");
        print(p.join());
    "#;
    Program::script(script).run().prints("handler got 1\n");
}

#[test]
fn nothing_is_lost_or_there_twice_whoever_is_killed_while_it_selects() {
    let script = r#"
        let q = Queue();
        let marks = SharedArray("i64", 2000);
        let s = BoundedSemaphore(2);
        let l = Lock();
        fn body(q, marks, s, l) {
            let mine = Queue();
            spawn_thread(|| { let i = 0; loop { mine.put(i); i += 1; sleep(0.002); } }, [], #{daemon: true});
            loop {
                let r = try_select([mine, q, l, s]);
                if r.index == 1 { marks[r.value] = marks[r.value] + 1; }
                if r.index == 2 { l.release(); }
                if r.index == 3 { s.release(); }
            }
        }
        // Who dies with the lock leaves it to the next one, who is told.
        fn try_select(sources) {
            try { return select(sources, 20); } catch (e) { if e.kind != "AbandonedLock" { throw e; } }
            #{index: 2}
        }
        let ps = [];
        for i in 0..2 { ps.push(spawn_process(body, [q, marks, s, l])); }
        let n = 0;
        let kills = 0;
        for k in 0..10 {
            for i in 0..40 { q.put(n); n += 1; }
            sleep(0.03 + (k % 4).to_float() / 50.0);
            ps[k % 2].kill();
            ps[k % 2].join();
            kills += 1;
            ps[k % 2] = spawn_process(body, [q, marks, s, l]);
        }
        while q.qsize() > 0 { sleep(0.01); }
        for p in ps { p.kill(); p.join(); kills += 1; }
        let lost = 0;
        for i in 0..n { if marks[i] == 0 { lost += 1; } else if marks[i] > 1 { throw `${i} came ${marks[i]} times`; } }
        // Each had one in its hands when it was killed, at most.
        if lost > kills { throw `${lost} are missing after ${kills} kills`; }
        for i in 0..500 { if s.value == 2 { break; } sleep(0.01); }
        print(s.value);
        try { l.acquire(5); } catch (e) { if e.kind != "AbandonedLock" { throw e; } }
        print("done");
    "#;
    Program::script(script).run().prints("2\ndone\n");
}

#[test]
fn futures_of_both_processes_are_waited_for_at_once() {
    both(
        r#"
        let pool = ThreadPoolExecutor(3);
        let e = Event();
        let fs = [pool.submit(|e| { e.wait(); "far" }, e), pool.submit(|| throw "far fails"), pool.submit(|e| { e.wait(); "far too" }, e)];
        fs[1].exception();
        print(spawn_process(|fs, e| {
            let own = ThreadPoolExecutor(2);
            let mine = Event();
            let g = own.submit(|| "own");
            let late = own.submit(|mine| { mine.wait(); "own, late" }, mine);
            g.wait();
            let seen = [];
            let told = |r| [r.done.len(), r.not_done.len()];
            // In the order in which they are listed, and each once.
            seen.push(told.call(wait([fs[0], g, fs[0], g, late], #{return_when: "first"})));
            seen.push(told.call(wait([fs[0], g, fs[1]], #{return_when: "first_error"})));
            seen.push(told.call(wait([fs[0], late], #{timeout: 0.05})));
            seen.push(told.call(wait([late, fs[0], fs[2]], #{timeout: 0})));
            for wrong in [[fs[0], g, 1], [g, fs[0], Queue()]] { try { wait(wrong); } catch (x) { seen.push(x.message); } }
            try { for f in as_completed([late, fs[0]], #{timeout: 0.05}) { } } catch (x) { seen.push(x.message); }
            let order = [];
            for f in as_completed([fs[0], late, g]) { order.push(f.result()); if order.len() == 1 { mine.set(); } else { e.set(); } }
            seen.push(order);
            let r = wait([fs[0], late, fs[2], g]);
            seen.push(told.call(r));
            seen.push(r.done.map(|f| f.result()));
            seen
        }, [fs, e]).join());
        "#,
        "[[1, 2], [2, 1], [0, 2], [0, 3], \"wait(): futures must be Futures, not an int\", \
         \"wait(): futures must be Futures, not a Queue\", \"2 (of 2) futures are not done\", \
         [\"own\", \"own, late\", \"far\"], [4, 0], [\"far\", \"own, late\", \"far too\", \"own\"]]\n",
    );
}

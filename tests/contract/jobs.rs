//! What the contract says of queues, pools and futures, sentence by sentence: small scripts in simulated time.

use crate::harness::{run_in, sim};
use orch::kernel::Setup;

/// As [`sim`]; each line that begins with `? ` is a statement of its own whose error's kind is printed.
fn kinds(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("? ") {
        Some(code) => format!(
            "try {{ {code}; print(\"no error\"); }} catch (e) {{ print(if type_of(e) == \"map\" {{ e.kind }} else {{ e }}); }}\n"
        ),
        None => format!("{line}\n"),
    });
    sim(&lines.collect::<String>())
}

#[test]
fn queues_are_bounded_and_ordered() {
    let text = r#"
        let q = Queue(2);
        print(`${q.maxsize} ${q.qsize()} ${q.empty()} ${q.full()}`);
        q.put(1); q.put(2);
        print(`${q.qsize()} ${q.empty()} ${q.full()} ${q.try_put(3)}`);
        ? q.put(3, 1)
        ? q.put(3, 0)
        print(q.get());
        print(q.try_get());
        ? q.try_get()
        ? q.get(1)
        ? q.get(-1)
        let t = spawn_thread(|| { sleep(1); q.put("late"); });
        print(q.get());
        print(Queue().maxsize);
        print(Queue(0).full());
        ? Queue(-1)
        let l = LifoQueue();
        for i in 0..3 { l.put(i); }
        print(`${l.get()} ${l.get()} ${l.get()}`);
        let p = PriorityQueue();
        for x in [[2, "b"], [1, "z"], [2, "a"], [1, "a", 5], [1, "a"]] { p.put(x); }
        print(`${p.get()} ${p.get()} ${p.get()} ${p.get()} ${p.get()}`);
        let stable = PriorityQueue();
        for x in [1.0, 1, 0, 1.0] { stable.put(x); }
        print(`${stable.get()} ${stable.get()} ${stable.get()} ${stable.get()}`);
        // What stands behind the first difference is not compared.
        p.put([1, #{}]);
        p.put([2, || 1]);
        ? p.put([1, #{}])
        ? p.put("text")
        ? p.try_put(#{})
        print(p.qsize());
    "#;
    let wanted = "2 0 true false\n2 false true false\nFull\nFull\n1\n2\nEmpty\nEmpty\nValueError\nlate\n0\nfalse\n\
        ValueError\n2 1 0\n[1, \"a\"] [1, \"a\", 5] [1, \"z\"] [2, \"a\"] [2, \"b\"]\n0 1.0 1 1.0\n\
        TypeError\nTypeError\nTypeError\n2\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn a_closed_queue_is_drained_and_then_closed() {
    let text = r#"
        let q = Queue();
        for i in 0..3 { q.put(i); }
        q.close();
        q.close();
        ? q.put(1)
        ? q.try_put(1)
        print(q.get());
        print(q.try_get());
        for x in q { print(`for ${x}`); }
        for x in q { print("never"); }
        ? q.get()
        ? q.try_get()
        ? q.get(1)
        let full = Queue(1);
        full.put(1);
        let t = spawn_thread(|| full.put(2));
        sleep(1);
        full.close();
        ? t.join()
        let waiting = Queue();
        let t = spawn_thread(|| { for x in waiting { print(x); } "drained" });
        sleep(1);
        waiting.put("item");
        sleep(1);
        waiting.close();
        print(t.join());
        let t = spawn_thread(|| Queue().get(5));
        ? t.join()
        let work = Queue();
        work.put(1); work.put(2);
        work.close();
        ? work.join(1)
        work.get(); work.task_done();
        work.get(); work.task_done();
        work.join();
        work.join(1);
        ? work.task_done()
    "#;
    let wanted =
        "Closed\nClosed\n0\n1\nfor 2\nClosed\nClosed\nClosed\nClosed\nitem\ndrained\nEmpty\nTimeoutError\nValueError\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn an_error_while_a_loop_waits_ends_it_also_without_a_body() {
    for body in ["", "print(x);"] {
        let text = format!(
            "let q = Queue();\nlet t = spawn_thread(|| {{ for x in q {{ {body} }} print(\"never\"); }});\n\
             sleep(1); t.cancel();\ntry {{ t.join(); }} catch (e) {{ print(e.kind); }}\n\
             let t = spawn_thread(|| {{ try {{ for x in q {{ {body} }} }} catch (e) {{ print(`caught ${{e.kind}} ${{e.line}}`); }} }});\n\
             sleep(1); t.cancel(); t.join(); q.put(1);"
        );
        assert_eq!(sim(&text), "Cancelled\ncaught Cancelled 5\n", "{body}");
    }
}

#[test]
fn select_waits_for_everything() {
    let text = r#"
        let q = Queue(); let e = Event(); let l = Lock(); let s = Semaphore(0);
        let pool = ThreadPoolExecutor(1);
        fn show(r) { print(`${r.index} ${r.value}`); }
        ? select([q, e], 1)
        ? select([])
        ? select([5])
        ? select([Thread(|| 1)])
        q.put("item");
        let r = select([e, q]);
        show(r);
        print(`${r.source == q} ${q.qsize()}`);
        e.set();
        show(select([q, e]));
        e.clear();
        show(select([q, l]));
        print(l.locked());
        l.release();
        s.release();
        show(select([e, s], 1));
        print(s.value);
        let f = pool.submit(|| { sleep(1); 42 });
        show(select([e, f]));
        let t = spawn_thread(|| { sleep(1); "done" });
        show(select([e, q, t], 5));
        ? select([spawn_thread(|| throw "failed")])
        ? select([pool.submit(|| throw "job")])
        let rw = RwLock();
        show(select([rw.read()]));
        rw.read().release();
        // Nothing is taken from those that were not first.
        let a = Queue(); let b = Queue();
        a.put(1); b.put(2);
        show(select([a, b]));
        print(`${a.qsize()} ${b.qsize()}`);
        spawn_thread(|| { sleep(1); a.put("late"); });
        show(select([a, e]));
        a.close();
        ? select([a, e])
        let cancelled = ThreadPoolExecutor(1);
        cancelled.submit(|| sleep(5));
        let waits = cancelled.submit(|| 1);
        waits.cancel();
        ? select([waits])
    "#;
    let wanted = "TimeoutError\nValueError\nTypeError\nThreadError\n1 item\ntrue 0\n1 true\n1 true\ntrue\n1 true\n0\n\
        1 42\n2 done\nThrown\nThrown\n0 true\n0 1\n0 1\n0 late\nClosed\nCancelled\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn futures() {
    let text = r#"
        let pool = ThreadPoolExecutor(1);
        let f = pool.submit(|n| { sleep(2); n }, 7);
        let g = pool.submit(|| throw "no");
        let h = pool.submit(|| 1);
        sleep(1);
        print(`${f.running()} ${f.done()} ${f.cancelled()} ${g.running()} ${g.done()}`);
        ? f.result(0.5)
        ? f.exception(0.1)
        print(f.wait(0.1));
        print(`${f.cancel()} ${h.cancel()} ${h.cancel()} ${h.cancelled()} ${h.done()}`);
        ? h.result()
        ? h.exception()
        print(f.result());
        print(f.exception() == ());
        print(f.cancel());
        ? g.result()
        print(g.exception().value);
        print(h.wait());
        // stop
        let running = pool.submit(|| sleep(100));
        let pending = pool.submit(|| 1);
        sleep(1);
        running.stop();
        pending.stop();
        ? running.result()
        ? pending.result()
        print(pool.submit(|| "goes on").result());
        // callbacks run in the thread that completes it, at once if it is done
        let f = pool.submit(|| sleep(1));
        f.add_done_callback(|it| print(`${current_thread().name == "main"} ${it.done()}`));
        f.add_done_callback(|it| print("second"));
        f.wait();
        f.add_done_callback(|it| print(`${current_thread().name == "main"} ${it.done()}`));
        let c = pool.submit(|| sleep(1));
        let d = pool.submit(|| 1);
        d.add_done_callback(|it| print(`cancelled ${it.cancelled()} ${current_thread().name}`));
        d.cancel();
        pool.shutdown();
        ? pool.submit(|| 1)
        ? pool.map(|x| x, [1])
        pool.shutdown();
    "#;
    let wanted = "true false false false false\nTimeoutError\nTimeoutError\nfalse\nfalse true true true true\nCancelled\n\
        Cancelled\n7\ntrue\nfalse\nThrown\nno\ntrue\nCancelled\nCancelled\ngoes on\nfalse true\nsecond\ntrue true\n\
        cancelled true main\nClosed\nClosed\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn as_completed_and_wait() {
    let text = r#"
        let pool = ThreadPoolExecutor(4);
        let fs = [3, 1, 2].map(|n| pool.submit(|n| { sleep(n); n }, n));
        for f in as_completed(fs) { print(f.result()); }
        for f in as_completed([fs[0], fs[1], fs[0]]) { print(f.result()); }
        let fs = [3, 1, 2].map(|n| pool.submit(|n| { sleep(n); if n == 2 { throw "two" } n }, n));
        let r = wait(fs, #{return_when: "first"});
        print(`${r.done.len()} ${r.not_done.len()} ${r.done[0].result()}`);
        let r = wait(fs, #{return_when: "first_error"});
        print(`${r.done.len()} ${r.not_done.len()}`);
        let r = wait(fs, #{timeout: 0.5});
        print(`${r.done.len()} ${r.not_done.len()}`);
        let r = wait(fs);
        print(`${r.done.len()} ${r.not_done.len()} ${fs[2].exception().value}`);
        let r = wait([]);
        print(`${r.done} ${r.not_done}`);
        let slow = pool.submit(|| sleep(10));
        ? for f in as_completed([slow], #{timeout: 1}) { }
        ? as_completed([1])
        ? wait(5)
        ? as_completed([slow], #{timeout: -1})
        for f in as_completed([]) { print("never"); }
        pool.shutdown();
    "#;
    let wanted = "1\n2\n3\n3\n1\n1 2 1\n2 1\n2 1\n3 0 two\n[] []\nTimeoutError\nTypeError\nTypeError\nValueError\n";
    let out = kinds(text);
    // Those that are done already come in the order in which they are listed.
    assert_eq!(out, wanted);
}

#[test]
fn executors_map_in_order_and_stop_at_the_first_error() {
    let text = r#"
        let pool = ThreadPoolExecutor(3);
        for x in pool.map(|n| { sleep(5 - n); n * n }, 0..4) { print(x); }
        print(pool.map(|a, b| a + b, [1, 2, 3], [10, 20]).to_array());
        print(pool.map(|a, b| a + b, [1, 2, 3], [10, 20, 30], #{chunksize: 2}).to_array());
        print(pool.map(|c| c, "abc").to_array());
        let it = pool.map(|n| { if n == 1 { throw "one" } n }, 0..4);
        print(it.next());
        ? it.next()
        print(it.next() == ());
        ? pool.map(|n| sleep(n), [1, 5], #{timeout: 2}).to_array()
        ? pool.map(|n| n, 5)
        print(pool.map(|n| n, []).to_array());
        let q = Queue();
        q.put(1); q.put(2); q.close();
        print(pool.map(|n| n * 2, q).to_array());
        print(pool.map(|n| n * 2, SharedList([5])).to_array());
        print(pool.map(|x, y, z| x + y + z, [1], [2], [3]).to_array());
        print(pool.submit(|a, b, c, d, e| a + b + c + d + e, 1, 2, 3, 4, 5).result());
        for x in pool.map(|n| n, [1, 2], #{progress: "numbers"}) { print(x); }
        let begun = monotonic();
        let late = pool.submit(|| sleep(3));
        let never = [1, 2, 3, 4].map(|n| pool.submit(|| sleep(3)));
        pool.shutdown(#{wait: false, cancel_futures: true});
        print(monotonic() - begun);
        print(never[3].cancelled());
    "#;
    let wanted = "0\n1\n4\n9\n[11, 22]\n[11, 22, 33]\n[a, b, c]\n0\nThrown\ntrue\nTimeoutError\nTypeError\n[]\n\
        [2, 4]\n[10]\n[6]\n15\n1\n2\n0.0\ntrue\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn pools() {
    let text = r#"
        let pool = ThreadPool(2);
        print(pool.apply(|a, b| a + b, [1, 2]));
        ? pool.apply(|| throw "no", [])
        let f = pool.apply_async(|a| a * 2, [4], #{callback: |x| print(`callback ${x}`), error_callback: |e| print("never")});
        print(f.result());
        let f = pool.apply_async(|| throw "no", [], #{callback: |x| print("never"), error_callback: |e| print(`error ${e.value}`)});
        f.wait();
        print(pool.map(|n| { sleep(3 - n); n }, [0, 1, 2]));
        ? pool.map(|n| if n == 1 { throw "one" } else { n }, [0, 1, 2])
        print(pool.map_async(|n| n, [1, 2], #{callback: |all| print(`all ${all}`), chunksize: 2}).result());
        print(pool.starmap(|a, b| a - b, [[5, 1], [7, 2]]));
        ? pool.starmap(|a, b| a - b, [5])
        for x in pool.imap(|n| { sleep(3 - n); n }, 0..3) { print(x); }
        for x in pool.imap_unordered(|n| { sleep(2 - n); n }, 0..2) { print(x); }
        print(pool.map(|n| n, []));
        print(pool.imap(|n| n, [], #{chunksize: 3}).to_array());
        ? pool.join()
        pool.close();
        pool.join();
        ? pool.apply(|| 1, [])
        ? pool.imap(|n| n, [1])
        let pool = ThreadPool(1);
        let a = pool.apply_async(|| sleep(100), []);
        let b = pool.apply_async(|| 1, []);
        sleep(1);
        pool.terminate();
        pool.join();
        ? a.result()
        ? b.result()
        print(monotonic() < 50.0);
        let pool = ThreadPool(2);
        let seen = SharedList();
        for r in make_requests(|name| { sleep(1); seen.push(name); }, ["a", "b"]) { pool.put_request(r); }
        print(pool.wait(0.5));
        print(pool.wait());
        print(seen.len());
    "#;
    let wanted = "3\nThrown\ncallback 8\n8\nerror no\n[0, 1, 2]\nThrown\nall [1, 2]\n[1, 2]\n[4, 5]\nTypeError\n\
        0\n1\n2\n1\n0\n[]\n[]\nValueError\nClosed\nClosed\nCancelled\nCancelled\ntrue\nfalse\ntrue\n2\n";
    assert_eq!(kinds(text), wanted);
}

#[test]
fn imap_reads_an_endless_list_only_as_needed() {
    let text = r#"
        let q = Queue(3);
        let made = Value(0);
        let source = spawn_thread(|| { loop { q.put(made.add(1)); } }, #{daemon: true});
        let pool = ThreadPool(2);
        let n = 0;
        for x in pool.imap(|n| n * 10, q) { n += 1; if n == 5 { print(x); break; } }
        print(made.value < 30);
        let n = 0;
        for x in pool.imap_unordered(|n| n * 10, q, #{chunksize: 2}) { n += 1; if n == 5 { break; } }
        print(made.value < 60);
    "#;
    assert_eq!(sim(text), "50\ntrue\ntrue\n");
}

#[test]
fn workers_have_names_initializers_and_an_end() {
    let text = r#"
        let ready = SharedList();
        let names = SharedList();
        with ThreadPoolExecutor(2, #{name: "cook", initializer: |x| ready.push(x), initargs: ["go"]}) as pool {
            for i in 0..4 { pool.submit(|| { sleep(1); names.push(current_thread().name); }); }
        }
        names.sort();
        names.dedup();
        print(`${ready.snapshot()} ${names.snapshot()}`);
        let ids = SharedList();
        with ThreadPool(1, #{max_tasks_per_child: 2}) as pool {
            for i in 0..4 { pool.apply(|| ids.push(current_thread().id), []); }
        }
        ids.dedup();
        print(ids.len());
        let bad = ThreadPoolExecutor(1, #{initializer: || throw "initializer"});
        let f = bad.submit(|| 1);
        ? f.result()
        ? bad.submit(|| 1)
        bad.shutdown();
    "#;
    assert_eq!(kinds(text), "[\"go\", \"go\"] [\"cook_0\", \"cook_1\"]\n2\nThrown\nClosed\n");
}

#[test]
fn an_executor_whose_block_fails_still_waits_and_a_cancelled_one_stops_its_jobs() {
    let text = r#"
        let done = Value(0);
        ? with ThreadPoolExecutor(1) as p { p.submit(|| { sleep(2); done.add(1); }); throw "block" }
        print(`${done.value} ${monotonic()}`);
        let t = spawn_thread(|| { with ThreadPoolExecutor(1) as p { p.submit(|| sleep(100)); sleep(50); } });
        sleep(1);
        t.cancel();
        ? t.join()
        print(monotonic());
    "#;
    assert_eq!(kinds(text), "block\n1 2.0\nCancelled\n3.0\n");
}

#[test]
fn a_callback_that_fails_is_told_and_harms_nobody() {
    let text = "with ThreadPoolExecutor(1) as p { let f = p.submit(|| 1); f.add_done_callback(|f| throw \"callback\"); print(f.result()); }";
    let ran = run_in(Setup::Sim { seed: 0 }, text);
    assert_eq!((ran.out.as_str(), ran.status, ran.err.matches("error: Thrown: callback").count()), ("1\n", 1, 1));
}

/// Whatever the way, the first failure of a map is thrown for all of them.
#[test]
fn the_first_failure_of_a_map_is_thrown_for_all() {
    for way in [
        "for x in pool.map(bad, 0..9) { }",
        "pool.map(bad, 0..9).to_array()",
        "threads.map(bad, 0..9)",
        "threads.map_async(bad, 0..9).result()",
        "threads.starmap(bad, [[0], [1], [2]])",
        "for x in threads.imap(bad, 0..9) { }",
        "for x in threads.imap_unordered(bad, 0..9) { }",
    ] {
        let out = sim(&format!(
            "let pool = ThreadPoolExecutor(3); let threads = ThreadPool(3);
             let bad = |n| {{ sleep(0.1 * n); throw `bad ${{n}}` }};
             try {{ {way}; }} catch (e) {{ print(e.value); }}"
        ));
        assert_eq!(out, "bad 0\n", "{way}");
    }
}

#[test]
fn failures_of_a_map_that_nobody_has_looked_at_are_told() {
    let text = "let pool = ThreadPoolExecutor(1);
        for x in pool.map(|n| { if n > 0 { throw `bad ${n}` } n }, 0..3) { print(x); break; }
        sleep(1);
        try { for x in pool.map(|n| { sleep(2); throw \"late\" }, [0], #{timeout: 1}) { } } catch (e) { print(e.kind); }
        sleep(5);";
    let ran = run_in(Setup::Sim { seed: 0 }, text);
    assert_eq!((ran.status, ran.out.as_str()), (1, "0\nTimeoutError\n"), "{}", ran.err);
    assert!(["bad 1", "late"].iter().all(|f| ran.err.contains(f)), "{}", ran.err);
}

/// Many calls in one job share what can be shared and nothing else: a call finds its arguments as they were given, whatever
/// the one before it has made of its own, and all kinds of values come and go beside each other.
#[test]
fn many_calls_in_one_job_are_as_each_by_itself() {
    let text = |pool: &str, size: usize| {
        let text = r#"
            fn listed(n, f) { let all = []; for i in 0..n { all.push(f.call(i)); } all }
            fn own(x) { x += 1; let f = || x; x += 1; f.call() }
            fn same(x) { let inner = [x]; x = (); inner[0] }
            fn two(a, b) { a += b; a }
            fn fails(x) { if x == 18 { throw `at ${x}` } x }
            let pool = POOL(2);
            let options = #{chunksize: SIZE};
            print(pool.map(own, 0..20, options));
            let long = "y";
            for i in 0..8 { long += long; }
            let items = [0, -1, 127, 128, -32, -33, 9223372036854775807, -9223372036854775807 - 1, 2147483648, 0.5, true,
                (), "", "text", long, 'c', [1, [2]], #{a: 1}, 1..3, blob(2, 7), [long, 300]];
            print(pool.map(same, items, options).to_debug());
            print(pool.starmap(two, listed(20, |i| [i, i * i]), options));
            try { pool.map(fails, 0..20, options); } catch (e) { print(`${e.message} ${e.line}`); }
            try { pool.starmap(two, listed(20, |i| if i == 17 { [i] } else { [i, 1] }), options); }
            catch (e) { print(e.message); }
            pool.close();
            pool.join();
        "#;
        sim(&text.replace("POOL", pool).replace("SIZE", &size.to_string()))
    };
    let each = text("ThreadPool", 1);
    assert!(each.contains("[2, 3, 4") && each.contains("at 18 6"), "{each}");
    for (pool, size) in [("ThreadPool", 40), ("Pool", 1), ("Pool", 40), ("Pool", 19)] {
        assert_eq!(text(pool, size), each, "{pool}, {size} a job");
    }
}

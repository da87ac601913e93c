//! What crosses to another thread: values are copied, handles are shared, and a write that would be lost is refused.

use crate::harness::{run_in, sim};
use orch::kernel::Setup;

/// What every script below begins with, on one line.
const VARIABLES: &str = "let n = 0; let m = #{k: 1, in_it: #{list: []}}; let list = [[1]]; let s = \"\"; let v = Value(1); let q = Queue(); let pool = ThreadPoolExecutor(1); let old = ThreadPool(1);";

/// Hands a closure with this body over in `place`, where `BODY` stands for it; what became of that.
fn handed_over(place: &str, body: &str) -> String {
    let call = place.replace("BODY", &format!("{{\n    let before = 1;\n    {body}\n}}"));
    sim(&format!(
        "{VARIABLES}\ntry {{ {call}; print(\"accepted\"); }} catch (e) {{\n    print(`${{e.kind}} ${{e.variable}} ${{e.assigned_at}}`);\n    \
         let words = `Value(${{e.variable}})`;\n    \
         assert(e.message.contains(words) && e.message.contains(`line ${{e.assigned_at}}`), e.message);\n}}"
    ))
}

#[test]
fn every_lost_write_is_refused() {
    for (body, variable) in [
        ("n += 1", "n"),
        ("n = n + 1", "n"),
        ("n -= 1", "n"),
        ("m.k = 1", "m"),
        ("m.k += 1", "m"),
        ("m[\"k\"] = 1", "m"),
        ("m.new_one = 1", "m"),
        ("m.in_it.list.push(1)", "m"),
        ("m.in_it.list = 1", "m"),
        ("m.remove(\"k\")", "m"),
        ("m.set(\"k\", 1)", "m"),
        ("list.push(1)", "list"),
        ("list[0] = 1", "list"),
        ("list[0][0] += 1", "list"),
        ("list[0].push(1)", "list"),
        ("list += 1", "list"),
        ("list.pop()", "list"),
        ("let x = list.pop() + [1]", "list"),
        ("let x = list.shift().len", "list"),
        ("list.split(1)", "list"),
        ("list.sort(|a, b| 1)", "list"),
        ("push(list, 1)", "list"),
        ("s += \"x\"", "s"),
        ("s.trim()", "s"),
        ("s.make_upper()", "s"),
        ("n.set_bit(1, true)", "n"),
        ("v = Value(1)", "v"),
        ("let f = || { n += 1 }; f.call()", "n"),
        ("let f = || { let g = || list.push(1); g.call() }; f.call()", "list"),
        ("if before == 2 { n = 1; }", "n"),
        ("if before == 1 { let n = 5; print(n); } n = 1;", "n"),
        ("while before == 2 { n = 1; }", "n"),
        ("for i in 0..2 { n += i; }", "n"),
        ("for n in 0..2 { print(n); } n += 1;", "n"),
        ("switch before { 1 => n = 1, _ => () }", "n"),
        ("try { n = 1; } catch { }", "n"),
        ("try { } catch (e) { n = 1; }", "n"),
        ("with Lock() { n = 1; }", "n"),
        ("with Lock() as l { n = 1; }", "n"),
        ("print(`${list.pop()}`)", "list"),
        ("let x = if before == 1 { n = 1; 2 } else { 3 };", "n"),
        ("return list.pop();", "list"),
        ("throw list.pop();", "list"),
        ("print(list.pop())", "list"),
        ("v.value = list.pop()", "list"),
        ("n += 1; let n = 2;", "n"),
        ("print(m[list.pop()])", "list"),
        ("print(m[list.len()][list.pop()].len())", "list"),
    ] {
        // Line 1 are the variables; the body begins on line 4.
        assert_eq!(handed_over("Thread(|| BODY)", body), format!("CaptureError {variable} 4\n"), "{body}");
    }
}

#[test]
fn what_loses_nothing_is_accepted() {
    for body in [
        "v.value = 1",
        "v.value += 1",
        "v.set(2)",
        "v.update(|x| x + 1)",
        "q.put(1)",
        "let n = 0; n += 1",
        "let list = []; list.push(1); list[0] = 2",
        "for n in 0..3 { n += 1; }",
        "for (x, n) in 0..3 { n += 1; }",
        "print(n + m.k + list.len() + s.len())",
        "let x = m.in_it.list; x.push(1)",
        "let x = list; x.push(1)",
        "list.map(|x| x).push(1)",
        "list.filter(|x| true).sort(|a, b| 1)",
        "s.split(\",\").pop()",
        "m.keys().sort()",
        "let f = |n| { n += 1 }; f.call(1)",
        "let f = || { let n = 1; n += 1 }; f.call()",
        "list.contains(1) && m.contains(\"k\")",
        "if before == 1 { let n = 5; n += 1; }",
        "try { throw 1 } catch (n) { n += 1; }",
        "with Lock() as n { n.locked(); }",
        "let n; n = 1",
        "const n = 1; print(n)",
        // A function of a module is not the method of that name, and an index is only read.
        "fs::remove(s); fs::append(s, s); regex::split(s, s); regex::replace(s, s, s)",
        "list[n].contains(s)",
    ] {
        assert_eq!(handed_over("Thread(|| BODY)", body), "accepted\n", "{body}");
    }
}

#[test]
fn handles_inside_of_values_may_be_used_as_ever() {
    let start = "let v = Value(1); let list = SharedList([0]); let map = SharedMap(); let mine = Local(); \
                 let state = #{v: v, list: list, deep: #{map: map}, plain: #{}}; let all = [v, [list, #{v: v}]]; \
                 let k = \"list\"; let one = 1;\n";
    for body in [
        "state.v.value = 5",
        "state.v.value += 5",
        "state[\"v\"].value = 5",
        "state.v.set(5)",
        "state.list.push(1)",
        "state.list[0] = 1",
        "state.deep.map.k = 1",
        "state.deep.map.remove(\"k\")",
        "all[0].value = 5",
        "all[1][0].push(1)",
        "all[1][1].v.value = 5",
        "state[k].push(1)",
        "state[k].remove(0)",
        "all[one][one].v.set(one)",
        "mine.x = 1",
        "mine[\"x\"] = 1",
    ] {
        assert_eq!(sim(&format!("{start} spawn_thread(|| {{ {body}; }}).join(); print(\"ok\");")), "ok\n", "{body}");
    }
    for (body, variable) in [
        ("state.v = Value(2)", "state"),
        ("state.plain.k = 1", "state"),
        ("state.v.value = 1; state.x = 1", "state"),
        ("all[0] = 1", "all"),
        ("all[1].push(1)", "all"),
    ] {
        let text = format!(
            "{start} try {{ Thread(|| {{ {body}; }}); }} catch (e) {{ print(`${{e.kind}} ${{e.variable}}`); }}"
        );
        assert_eq!(sim(&text), format!("CaptureError {variable}\n"), "{body}");
    }
}

#[test]
fn wherever_a_closure_is_handed_over() {
    for place in [
        "Thread(|| BODY)",
        "Thread(|| BODY, #{name: \"x\"})",
        "Thread(|a| BODY, [1])",
        "Thread(|a| BODY, [1], #{})",
        "spawn_thread(|| BODY)",
        "spawn_thread(|| BODY, #{})",
        "Thread(#{run: || BODY})",
        "spawn_thread(#{x: 1, run: || BODY})",
        "Thread(#{helper: || BODY, run: || this.helper()})",
        "Thread(|f| f.call(), [|| BODY])",
        "Thread(|f| f[0].call(), [[|| BODY]])",
        "Thread(|f| f.f.call(), [#{f: || BODY}])",
        "with TaskGroup() as g { g.spawn_thread(|| BODY) }",
        "pool.submit(|| BODY)",
        "pool.submit(|a| BODY, 1)",
        "pool.submit(|a| a, || BODY)",
        "pool.submit(|a, b| b, 1, || BODY)",
        "pool.map(|a| BODY, [1])",
        "pool.map(|a, b| BODY, [1], [2])",
        "pool.map(|a| BODY, [1], #{chunksize: 2})",
        "pool.map(|f| f, [|| BODY])",
        "ThreadPoolExecutor(1, #{initializer: || BODY})",
        "ThreadPoolExecutor(1, #{initializer: |f| f, initargs: [|| BODY]})",
        "old.apply(|| BODY, [])",
        "old.apply(|f| f, [|| BODY])",
        "old.apply_async(|| BODY, [])",
        "old.apply_async(|| 1, [], #{callback: |x| BODY})",
        "old.apply_async(|| 1, [], #{error_callback: |x| BODY})",
        "old.map(|x| BODY, [1])",
        "old.map_async(|x| BODY, [1])",
        "old.map_async(|x| 1, [1], #{callback: |x| BODY})",
        "old.starmap(|x| BODY, [[1]])",
        "old.imap(|x| BODY, [1])",
        "old.imap_unordered(|x| BODY, [1])",
        "make_requests(|x| BODY, [1])",
        "Timer(1, || BODY)",
        "interval(1, || BODY)",
        "pool.submit(|| 1).add_done_callback(|f| BODY)",
        "Barrier(1, #{action: || BODY})",
        "{ let f = || BODY; Thread(|| f.call()) }",
        "{ let f = |x, y| BODY; Thread(f.curry(1).curry(2)) }",
        "{ let object = #{f: || BODY}; Thread(|| object.f()) }",
        "{ let fs = [|| BODY]; Thread(|| fs[0].call()) }",
    ] {
        assert_eq!(handed_over(place, "n += 1"), "CaptureError n 4\n", "{place}");
    }
}

#[test]
fn within_one_thread_and_through_a_queue_closures_are_what_they_are_in_rhai() {
    let text = r#"
        let n = 0;
        let add = || n += 1;
        add.call();
        add.call();
        print(n);
        let q = Queue();
        q.put(add);
        q.get().call();
        print(n);
        [1, 2].for_each(|| n += 10);
        print(n);
        let v = Value(0);
        v.update(|x| { n += 100; x });
        print(n);
    "#;
    assert_eq!(sim(text), "2\n2\n22\n122\n");
}

#[test]
fn a_copy_is_made_when_it_is_handed_over() {
    let text = r#"
        let list = [1];
        let map = #{deep: #{x: 1}};
        let text = "a";
        let first = Thread(|| `${list} ${map} ${text}`);
        let given = Thread(|list, map| { sleep(1); `${list} ${map}` }, [list, map]);
        given.start();
        list.push(2);
        map.deep.x = 2;
        text += "b";
        first.start();
        print(first.join());
        print(given.join());

        // The other way round too: what a thread returns, what lies in a queue or a value.
        let shown = Value(#{list: [1]});
        let got = shown.value;
        got.list.push(2);
        print(shown.value);
        let q = Queue();
        q.put(list);
        list.push(3);
        print(q.get());
        let kept = SharedList([list]);
        list.push(4);
        let got = kept[0];
        got.push(9);
        print(kept[0]);

        let object = #{n: 1, run: || { this.n += 1; this.n }};
        print(spawn_thread(object).join());
        print(object.n);
    "#;
    let wanted = "[1] #{\"deep\": #{\"x\": 1}} a\n[1] #{\"deep\": #{\"x\": 1}}\n#{\"list\": [1]}\n[1, 2]\n\
                  [1, 2, 3]\n2\n1\n";
    assert_eq!(sim(text), wanted);
}

#[test]
fn a_loop_variable_keeps_its_value() {
    let wanted: String = (0..10).map(|i| format!("{i}\n")).collect();
    assert_eq!(sim("for i in 0..10 { spawn_thread(|| print(i)) }"), wanted);
    let mut lines: Vec<String> =
        run_in(Setup::Real, "for i in 0..10 { spawn_thread(|| print(i)) }").out.lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, (0..10).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_holds_itself_or_nests_too_deep_is_a_clear_error() {
    let text = r#"
        let f = ();
        f = || f;
        try { Thread(f); } catch (e) { print(`${e.kind}: ${e.message}`); }
        let me = #{};
        me.f = || me;
        try { Queue().put(me); } catch (e) { print(`${e.kind}: ${e.message}`); }
        let deep = [];
        for i in 0..150 { deep = [deep]; }
        print(spawn_thread(|| deep.len()).join());
        for i in 0..100 { deep = [deep]; }
        try { Thread(|| deep); } catch (e) { print(`${e.kind}: ${e.message}`); }
        try { Value(deep); } catch (e) { print(`${e.kind}: ${e.message}`); }
        try { spawn_thread(|| { let f = (); f = || f; f }).join(); } catch (e) { print(`${e.kind}: ${e.message}`); }
    "#;
    let too_deep = |what: &str| format!("ValueError: this {what} nests more than 200 levels deep, or holds itself\n");
    let wanted = [too_deep("Fn"), too_deep("map"), "1\n".into(), too_deep("Fn"), too_deep("array"), too_deep("Fn")];
    assert_eq!(sim(text), wanted.concat());
}

#[test]
fn large_values_cross() {
    let text = r#"
        let big = [];
        for i in 0..100000 { big.push(i); }
        print(spawn_thread(|| big.len()).join());
        print(spawn_thread(|x| x[99999], [big]).join());
        print(spawn_thread(|x| x, [big]).join().len());
        let q = Queue();
        q.put(big);
        print(q.get().len());
        print(Value(big).value.len());
    "#;
    assert_eq!(sim(text), "100000\n99999\n100000\n100000\n100000\n");
}

#[test]
fn each_thread_has_its_own_local() {
    let text = r#"
        let mine = Local();
        mine.n = "main";
        fn count(mine, i) { mine.n = i; sleep(1); mine["k"] = i * 2; print(`${mine.n} ${mine.k} ${mine.other}`); }
        let threads = [];
        for i in 0..3 { threads.push(spawn_thread(count, [mine, i])); }
        for t in threads { t.join(); }
        with ThreadPoolExecutor(1) as pool {
            pool.submit(|| { mine.n = 1; }).result();
            print(pool.submit(|| mine.n == ()).result());
        }
        print(`${mine.n} ${mine.snapshot()}`);
    "#;
    assert_eq!(sim(text), "0 0 \n1 2 \n2 4 \ntrue\nmain #{\"n\": \"main\"}\n");
}

/// Ways to use captured handles that Rhai's own shared cells could not stand.
const USES: &str = r#"
    import "words" as words;
    fn seven() { 7 }
    fn uses(pool, cond, state, v, list) {
        print(pool.submit(|| pool.submit(seven).result()).result());
        with cond { cond.wait_for(|| { cond.locked() }); }
        with state.cond { state.cond.wait_for(|| state.n.value > 0); }
        print(v.update(|x| v.get() + x));
        list.sort(|a, b| { list.len(); a - b });
        print(list.snapshot());
        let map = SharedMap(#{a: 1});
        print(map.update("a", 0, |x| map.len() + map.a + x));
        let f = pool.submit(seven);
        f.add_done_callback(|it| { f.done(); it.result(); });
        f.wait();
        let outer = || { let inner = || { state.n.value += 1; pool.submit(|| state.n.get()).result() }; inner.call() };
        print(outer.call());
        let held = #{deep: [#{v: v}]};
        (|| { held.deep[0].v.value = 100; }).call();
        print(v.value);
        words::hand_to(state.q, 5);
        print(words::double(state.q.get()));
        print(words::in_thread(|x| words::double(x) + v.value, 4));
        print(words::adder(1));
        let reach = || { state.q.put(v); let it = state.q.get(); it.value += 1; it.value };
        print(reach.call());
    }
    let pool = ThreadPoolExecutor(2);
    let cond = Condition();
    let state = #{cond: cond, n: Value(1), q: Queue()};
    let v = Value(1);
    let list = SharedList([3, 1, 2]);
"#;

const OF_USES: &str = "7\n2\n[1, 2, 3]\n3\n2\n100\n10\n108\n21\n101\n";

#[test]
fn captured_handles_are_used_by_methods_in_every_place() {
    let here = format!("{USES} uses(pool, cond, state, v, list); pool.shutdown();");
    assert_eq!(sim(&here), OF_USES);
    let there = format!("{USES} spawn_thread(|| uses(pool, cond, state, v, list)).join(); pool.shutdown();");
    assert_eq!(sim(&there), OF_USES);
    let ran = run_in(Setup::Real, &there);
    assert_eq!((ran.status, ran.out.as_str()), (0, OF_USES), "{}", ran.err);
}

#[test]
fn sixty_four_threads_use_captured_handles_and_none_sees_a_data_race() {
    let text = r#"
        let q = Queue();
        let lock = Lock();
        let n = Value(0);
        let state = #{q: q, lock: lock, n: n, list: SharedList(), map: SharedMap()};
        let all = [state, #{inner: || state.n.value}];
        with TaskGroup() as g {
            for i in 0..64 {
                g.spawn_thread(|| {
                    for round in 0..25 {
                        state.q.put(i);
                        with state.lock { state.n.value += 1; }
                        state.list.push(round);
                        state.map.update("k", 0, |x| x + 1);
                        all[0].q.get();
                        all[1].inner();
                        n.update(|x| { lock.locked(); x });
                    }
                });
            }
        }
        print(`${n.value} ${state.list.len()} ${state.map.k} ${q.qsize()}`);
    "#;
    let ran = run_in(Setup::Real, text);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    // Additions under the lock and whole updates do not exclude each other: only the rest is exact.
    assert!(ran.out.ends_with(" 1600 1600 0\n"), "{}", ran.out);
}

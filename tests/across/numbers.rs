//! Numbers of values that processes have: what comes out is what comes out among threads, whoever is killed when.

use crate::whole::program::Program;

/// Every kind of number, what becomes of it where it does not fit, and what is no number: here and in a process.
const NUMBERS: &str = r#"
    let v = Value(1);
    let told = Queue();
    fn kind(f) { try { f.call(); } catch (e) { return e.kind } "none" }
    fn all(v, told) {
        let seen = [v.value, v.add(1), v.swap(2.5), v.add(1), v.add(0.5), v.get(), v.compare_and_set(4.0, true)];
        told.put(seen);
        told.put([v.value, kind(|| v.add(1)), v.value, v.compare_and_set(1, 2), v.compare_and_set(true, false), v.value]);
        v.value = 2251799813685246;
        told.put([v.add(1), v.add(1), v.add(1), v.add(-1), v.add(-2), v.value]);
        v.set(-2251799813685247);
        told.put([v.add(-1), v.add(-1), v.add(5)]);
        v.value = 9223372036854775807;
        told.put([v.value, kind(|| v.add(1)), v.swap(()), v.value == (), v.swap("text"), v.add(" more"), v.value]);
        told.put([v.swap([1]), v.value, v.swap('c'), v.value, v.swap(-0.0), v.value]);
        v.value = 1.0 / 0.0;
        told.put([v.value, v.add(-v.value) == v.value, v.value]);
        v.value = 1;
        told.put([v.compare_and_set(1.0, 3), v.value, v.update(|x| x + 1), v.value]);
    }
    WHERE
    told.close();
    for line in told { print(line); }
    print(v.value);
"#;

#[test]
fn numbers_of_values_are_the_same_in_a_process() {
    let here = Program::script(&NUMBERS.replace("WHERE", "all(v, told);")).run();
    assert!(here.status == 0 && here.stdout.lines().count() == 9, "{}", here.for_people());
    let away = NUMBERS.replace("WHERE", "spawn_process(Fn(\"all\"), [v, told]).join();");
    Program::script(&away).run().prints(&here.stdout);
    Program::sim(&away).run().prints(&here.stdout);
    let further = NUMBERS
        .replace("WHERE", "spawn_process(|v, told| spawn_process(Fn(\"all\"), [v, told]).join(), [v, told]).join();");
    Program::script(&further).run().prints(&here.stdout);
}

#[test]
fn what_is_written_to_a_value_is_seen_after_what_was_put_before() {
    let script = r#"
        let q = Queue();
        let v = Value(0);
        let p = spawn_process(|q, v| { v.value = 0; for i in 1..301 { q.put(i); v.value = i; } }, [q, v]);
        let seen = 0;
        while seen < 300 {
            seen = v.value;
            if seen > 0 && q.qsize() < seen { throw `${q.qsize()} items, and the value is ${seen}`; }
        }
        p.join();
        // A put that fails is told by the next thing that is done.
        let closed = Queue();
        let p = spawn_process(|q, v| {
            q.put(1);
            while v.value == 300 { sleep(0.001); }
            try { q.put(2); v.value = 5; } catch (e) { return [e.kind, v.value]; }
            "not told"
        }, [closed, v]);
        closed.get();
        closed.close();
        v.value = 3;
        print(p.join());
    "#;
    Program::script(script).run().prints("[\"Closed\", 3]\n");
}

#[test]
fn values_of_processes_that_are_killed_count_what_was_counted() {
    let script = r#"
        let v = Value(0);
        let marks = SharedArray("i64", 3);
        let body = |v, marks, who| loop {
            let before = marks[who];
            switch before % 50 {
                17 => v.update(|x| x + 1),
                33 => { let done = false; while !done { let x = v.value; done = v.compare_and_set(x, x + 1); } }
                _ => v.add(1),
            }
            marks[who] = before + 1;
        };
        let ps = [];
        for i in 0..3 { ps.push(spawn_process(body, [v, marks, i])); }
        let kills = 0;
        for i in 0..24 {
            sleep(0.02 + (i * 7 % 5).to_float() / 500.0);
            ps[i % 3].kill();
            ps[i % 3].join();
            kills += 1;
            // It moves to and fro meanwhile.
            v.update(|x| x);
            ps[i % 3] = spawn_process(body, [v, marks, i % 3]);
        }
        for p in ps { p.kill(); p.join(); kills += 1; }
        let noted = marks[0] + marks[1] + marks[2];
        // Of each killed one, at most what it did last was not noted any more.
        if v.value < noted || v.value > noted + kills { throw `${v.value} counted, ${noted} noted, ${kills} killed`; }
        if noted < 1000 { throw `only ${noted}`; }
        v.update(|x| "no number");
        print(spawn_process(|v| v.value, [v]).join());
    "#;
    Program::script(script).run().prints("no number\n");
}

//! `import`: where modules are looked for, circles, and their functions in threads and processes.

use std::fs;

use crate::whole::program::{Program, orch};

#[test]
fn modules_lie_beside_the_script_or_in_the_search_path() {
    let script = r#"
        import "near" as near;
        import "both" as both;
        import "listed" as listed;
        import "deep/far" as far;
        print([near::it(), both::it(), listed::it(), far::it()]);
        print(spawn_thread(|| listed::it()).join());
        print(spawn_process(|| listed::it() + far::it()).join());
        print(spawn_process(|| { import "only" as only; only::it() }).join());
        print(ProcessPoolExecutor(2).map(|x| listed::twice(x), [1, 2]).collect());
    "#
    .replace(".collect()", "");
    let program = Program::script_with(
        &["run", "--path", "first", "--path=second"],
        &script.replace(
            "print(ProcessPoolExecutor(2).map(|x| listed::twice(x), [1, 2]));",
            "with ProcessPoolExecutor(2) as pool { for n in pool.map(|x| listed::twice(x), [1, 2]) { print(n); } }",
        ),
    );
    let top = program.own_folder();
    let put = |path: &str, what: &str| {
        fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
        fs::write(top.join(path), format!("fn it() {{ \"{what}\" }} fn twice(x) {{ 2 * x }}")).unwrap();
    };
    put("near.rhai", "near");
    put("both.rhai", "beside");
    put("first/both.rhai", "in the path");
    put("first/listed.rhai", "first");
    put("second/listed.rhai", "second");
    put("variable/listed.rhai", "variable");
    put("variable/deep/far.rhai", "far");
    put("variable/only.rhai", "only");
    program.env("ORCH_PATH", ":variable:/nowhere").run().is(
        0,
        "[\"near\", \"beside\", \"first\", \"far\"]\nfirst\nfirstfar\nonly\n2\n4\n",
        "",
    );
}

#[test]
fn a_module_that_is_nowhere_is_told_with_where_it_was_looked_for() {
    let program = Program::script_with(
        &["run", "--path", "/a"],
        "try { import \"gone\" as m; } catch (e) { print(e.kind); print(e.message); } import \"./gone\" as m;",
    );
    let seen = program.env("ORCH_PATH", "/b").run();
    let wanted = "NotFound\nthere is no module \"gone\": looked for gone.rhai, /a/gone.rhai, /b/gone.rhai\n";
    assert_eq!((seen.status, seen.stdout.as_str()), (1, wanted), "{}", seen.for_people());
    let told = "NotFound: there is no module \"./gone\": looked for gone.rhai\n";
    assert!(seen.stderr.contains(told), "{}", seen.for_people());
}

#[test]
fn a_circle_is_told_with_all_who_are_in_it() {
    let program = Program::script("import \"a\" as a;").file("a.rhai", b"import \"b\" as b;");
    let seen = program.file("b.rhai", b"import \"c\" as c;").file("c.rhai", b"import \"./a\" as a;").run();
    let told = "module \"./a\" imports itself: a imports b imports c imports ./a";
    assert!(seen.status == 1, "{}", seen.for_people());
    assert!(seen.stderr.contains(told), "{}", seen.for_people());
}

/// Each begins with one of two modules that import each other: either one of them is told, or the first has both loaded before
/// the other comes.
#[test]
fn threads_that_import_the_same_wait_for_each_other() {
    let script = r#"
        let loads = [];
        for i in 0..8 { loads.push(spawn_thread(|| { import "slow" as slow; slow::it() })); }
        print(loads.map(|t| t.join()));
    "#;
    for before in [&["run"][..], &["run", "--sim", "--seed", "3"]] {
        let program = Program::script_with(before, script);
        program.file("slow.rhai", b"print(\"loading\"); sleep(0.05); fn it() { 1 }").run().is(
            0,
            "loading\n[1, 1, 1, 1, 1, 1, 1, 1]\n",
            "",
        );
    }
}

#[test]
fn a_circle_over_two_threads_is_a_deadlock_that_is_told() {
    let script = r#"
        let threads = [
            spawn_thread(|| { import "left" as m; }),
            spawn_thread(|| { import "right" as m; }),
        ];
        let kinds = [];
        for t in threads { try { t.join(); } catch (e) { kinds.push(e.kind); } }
        print(kinds);
    "#;
    let program = Program::sim(script).file("left.rhai", b"sleep(1); import \"right\" as right;");
    program.file("right.rhai", b"sleep(1); import \"left\" as left;").run().is(
        0,
        "[\"ValueError\", \"DeadlockError\"]\n",
        "",
    );
}

#[test]
fn a_module_that_is_no_text_is_told() {
    let program = Program::script("import \"odd\" as odd;").file("odd.rhai", b"let a = 1;\n\xff\n");
    let seen = program.run();
    assert!(seen.stderr.contains("ValueError: module odd.rhai is not valid UTF-8 (line 2)"), "{}", seen.for_people());
}

#[test]
fn a_module_of_ones_own_comes_before_one_that_is_there_anyway() {
    let program = Program::script("import \"mine\" as json; print(json::parse(1));");
    program.file("mine.rhai", b"fn parse(x) { x + 1 }").run().prints("2\n");
    orch(["eval", "json::parse(\"[1]\")[0]"]).is(0, "1\n", "");
}

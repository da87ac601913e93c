//! `run_all` in scripts.

use super::logged;
use super::whole::program::Program;

#[test]
fn results_are_in_the_order_of_the_list_and_filled_in() {
    Program::script(
        r#"
        let done = run_all([sh("sleep 0.2; echo a"), cmd("echo", "b c"), "echo d >&2; exit 3"], #{ order: "none" });
        print(done.map(|d| [d.code, d.ok, d.stdout, d.stderr]));
        print(type_of(done[0]));
        print(run_all([]));
        "#,
    )
    .is(
        0,
        "[[0, true, \"a\\n\", \"\"], [0, true, \"b c\\n\", \"\"], [3, false, \"\", \"d\\n\"]]\nCompleted\n[]\n",
        "",
    );
}

#[test]
fn templates_fill_in_items_of_several_lists() {
    Program::script(
        r#"
        let show = |done| print(done.map(|d| d.stdout));
        show.call(run_all("printf '%s' {}", ["a b", "it's", 7], #{ order: "none" }));
        show.call(run_all("printf '%s,%s' {2.} '{1}'", ["x.c", "$y"], 1..3, #{ order: "none" }));
        show.call(run_all("printf '%s' {1}{2}{3}{#}", ["a"], ["b"], ["c", "d"], #{ order: "none" }));
        show.call(run_all("{}", ["echo 1 | tr 1 2"], #{ order: "none" }));
        "#,
    )
    .is(
        0,
        "[\"a b\", \"it's\", \"7\"]\n[\"1,x.c\", \"2,x.c\", \"1,$y\", \"2,$y\"]\n[\"abc1\", \"abd2\"]\n[\"2\\n\"]\n",
        "",
    );
}

#[test]
fn outputs_are_printed_in_order_and_failures_told_at_the_end() {
    Program::script(
        r#"
        run_all("sleep {}; echo {}; echo e{} >&2", ["0.3", "0"], #{ order: "input", jobs: 2 });
        run_all("echo {}", ["x y", "z"], #{ tag: true, order: "input" });
        run_all("echo {}; echo why >&2; exit {}", [0, 2], #{ order: "input" });
        "#,
    )
    .is(
        0,
        "0.3\n0\nx y\tx y\nz\tz\n0\n2\n",
        "e0.3\ne0\nwhy\nwhy\n1 of 2 jobs failed:\n  2 `echo 2; echo why >&2; exit 2`: exit code 2\n      why\n",
    );
}

#[test]
fn checked_runs_throw_at_the_end() {
    Program::script(
        r#"
        try { run_all("echo {}; exit {}", [0, 4, 5], #{ check: true, order: "none" }); }
        catch (e) { print(`${e.kind} ${e.code} ${e.command} ${e.stdout}${e.message}`); }
        assert(run_all(["true"], #{ check: true })[0].ok);
        run_all([sh("exit 1").unchecked()], #{ check: true });
        "#,
    )
    .is(
        0,
        "CommandError 4 echo 4; exit 4 4\n2 of 3 jobs failed:\n  2 `echo 4; exit 4`: exit code 4\n  3 `echo 5; exit 5`: exit code 5\n",
        "",
    );
}

#[test]
fn jobs_that_were_not_started_are_nothing() {
    Program::script(
        r#"
        let done = run_all("exit {}", [0, 1, 0, 1, 0], #{ jobs: 1, halt: "soon", halt_after: 2, order: "none" });
        print(done.map(|d| if type_of(d) == "()" { "-" } else { `${d.code}` }));
        let done = run_all(["sleep 60", "sleep 0.2; exit 1"], #{ jobs: 2, halt: "now", order: "none" });
        print(done.map(|d| d.code));
        "#,
    )
    .is(0, "[\"0\", \"1\", \"0\", \"1\", \"-\"]\n[-15, 1]\n", "");
}

#[test]
fn who_is_told_of_each_may_end_all() {
    Program::script(
        r#"
        let seen = [];
        run_all("exit {}", 0..4, #{ jobs: 1, order: "none", on_done: |d| seen.push(d.code) });
        print(seen);
        try { run_all(["exit 1", "sleep 60", "echo never"], #{ jobs: 2, on_done: |d| throw "stop" }); }
        catch (e) { print(e); }
        "#,
    )
    .is(0, "[0, 1, 2, 3]\nstop\n", "");
}

#[test]
fn tries_timeouts_and_programs_that_are_not_there() {
    Program::script(
        r#"
        let done = run_all(["sleep 60", "no-such-program", "/etc"], #{ timeout: 0.5, order: "none" });
        print(done.map(|d| d.code)); print(done.map(|d| d.signal));
        print(run_all([cmd("no-such-program")], #{ order: "none" })[0].stderr);
        let tries = run_all("echo x >> tries; test $(wc -l < tries) -eq {}", [3], #{ retries: 5, retry_delay: 0.01 });
        print(tries[0].ok);
        print(run_all([sh("echo y >> more; test $(wc -l < more) -eq 2").retries(1)])[0].ok);
        "#,
    )
    .is(
        0,
        "[-15, 127, 126]\n[\"TERM\", (), ()]\norch: there is no program \"no-such-program\"\n\ntrue\ntrue\n",
        "",
    );
}

#[test]
fn dry_runs_are_told_on_standard_error() {
    Program::script(
        r#"
        print(run_all("rm -rf {}", ["/a b", "/c"], #{ dry_run: true }));
        run_all([cmd("rm", "-rf", "/d e"), sh("rm /f")], #{ dry_run: true, tag: true });
        "#,
    )
    .is(0, "[(), ()]\n", "rm -rf '/a b'\nrm -rf /c\n-rf /d e\trm -rf '/d e'\nrm /f\trm /f\n");
}

#[test]
fn logs_results_and_resuming() {
    let program = Program::script(
        r#"
        let run = |list| run_all("echo {}; test {} != bad", list, #{
            joblog: "log", resume: true, results: "out", order: "none",
        }).map(|d| if type_of(d) == "()" { "-" } else { d.stdout });
        print(run.call(["a", "bad"]));
        print(run.call(["a", "bad", "c"]));
        run_all([cmd("env").dir("/").env("A", "1 2").env_clear().env("B", "3")], #{ joblog: "log2", order: "none" });
        print(cmd("cat", "out/3/stdout", "out/1/stdout").read());
        "#,
    );
    let folder = program.own_folder();
    let mut child = program.command().spawn().unwrap();
    drop(child.stdin.take());
    let seen = super::whole::program::finish(child, "script".into());
    assert_eq!(seen.status, 0, "{}", seen.for_people());
    assert_eq!(seen.stdout, "[\"a\\n\", \"bad\\n\"]\n[\"-\", \"bad\\n\", \"c\\n\"]\nc\na\n");
    let log = |name| logged(&std::fs::read_to_string(folder.join(name)).unwrap());
    let bad = "2 1 0 echo bad; test bad != bad";
    assert_eq!(log("log"), ["1 0 0 echo a; test a != bad", bad, bad, "3 0 0 echo c; test c != bad"]);
    assert_eq!(log("log2"), ["1 0 0 cd / && env -i B=3 env"]);
}

#[test]
fn simulated_commands_take_simulated_time() {
    Program::sim(
        r#"
        mock_cmd("build *", #{ stdout: "built\n", seconds: 100 });
        mock_cmd("fail *", #{ stderr: "no\n", code: 2, seconds: 5 });
        let start = time();
        let since = || time() - start;
        print(run_all("build {}", ["a", "b", "c"], #{ jobs: 2, tag: true }).map(|d| d.ok));
        print(since.call());
        print(run_all("fail {}", ["x"], #{ retries: 2, retry_delay: 10, order: "none" }).map(|d| d.code));
        print(since.call());
        print(run_all("build {}", ["x"], #{ timeout: 30, order: "none" }).map(|d| d.ok));
        print(run_all([cmd("build", "x"), cmd("fail", "y")], #{ jobs: 2, halt: "now", order: "none" }).map(|d| d.code));
        print(since.call());
        "#,
    )
    .is(0, "a\tbuilt\nb\tbuilt\nc\tbuilt\n[true, true, true]\n200.0\n[2]\n245.0\n[false]\n[-15, 2]\n280.0\n", "");
}

#[test]
fn cancelling_the_thread_ends_the_commands() {
    Program::script(
        r#"
        let t = spawn_thread(|| run_all("echo up > up{}; sleep 100", 1..5, #{ jobs: 4 }));
        while run_all("test -e up{}", 1..5, #{ order: "none" }).some(|d| !d.ok) { sleep(0.05); }
        t.cancel();
        try { t.join(); } catch (e) { print(e.kind); }
        "#,
    )
    .is(0, "Cancelled\n", "");
}

#[test]
fn wrong_arguments_are_explained() {
    let rows = [
        ("run_all(\"gzip {}\")", "TypeError: run_all(): a template needs a list of arguments"),
        ("run_all([1])", "TypeError: run_all(): each command must be a Command or a string, not an int"),
        (
            "run_all([\"a\"], [\"b\"])",
            "TypeError: run_all(): the first of several arguments must be a template (a string), not an array",
        ),
        ("run_all([], #{ ordr: 1 })", "ValueError: run_all() has no option \"ordr\"; did you mean \"order\"?"),
        (
            "run_all([], #{ order: \"x\" })",
            "ValueError: run_all(): option order must be group, line, input or none, not \"x\"",
        ),
        ("run_all([], #{ halt: \"x\" })", "ValueError: run_all(): option halt must be never, soon or now, not \"x\""),
        ("run_all([], #{ jobs: -1 })", "ValueError: run_all(): option jobs must be 0 or more, not -1"),
        ("run_all([], #{ resume: true })", "ValueError: run_all(): option resume needs a joblog"),
        (
            "run_all([], #{ memfree: \"x\" })",
            "ValueError: run_all(): option memfree is a number of bytes, or as \"2G\", not x",
        ),
        ("run_all([], #{ load: \"x\" })", "TypeError: run_all(): option load must be a number, not a string"),
        (
            "run_all([], #{ timeout: -1 })",
            "ValueError: run_all(): option timeout must be a number of seconds, 0 or more, not -1",
        ),
        ("run_all([], #{ joblog: \"/no/log\" })", "NotFound: job log /no/log: No such file or directory (os error 2)"),
        ("run_all([], #{ results: \"/dev/null/x\" })", "IoError: results /dev/null/x: Not a directory (os error 20)"),
        (
            "run_all(\"cat <<E\\n{}\\nE\", [1])",
            "ValueError: run_all(): the template \"cat <<E\\n{}\\nE\" has a placeholder behind a here-document; write printf '%s\\n' instead",
        ),
    ];
    let tries: String = rows
        .iter()
        .map(|(call, _)| {
            format!("try {{ {call}; print(\"nothing\"); }} catch (e) {{ print(`${{e.kind}}: ${{e.message}}`); }}\n")
        })
        .collect();
    let wanted: String = rows.iter().map(|(_, message)| format!("{message}\n")).collect();
    Program::script(&tries).is(0, &wanted, "");
}

//! External commands, sentence by sentence of what is promised: how they are built, what they give back, how they are
//! talked to. Whole programs, whole outputs.

use crate::whole::program::{Program, Seen};

/// What every script here may call: prints the kind and the message of what `f` throws, or what it returns.
const ATTEMPT: &str = "fn attempt(f) { try { print(f.call()); } catch (e) { print(e.kind + \": \" + e.message); } }\n\
    fn times(text, n) { let all = \"\"; all.pad(n, text); all }\n";

/// Runs a script that may call `attempt`.
fn run(script: &str) -> Seen {
    Program::script(&format!("{ATTEMPT}{script}")).run()
}

/// Runs a script that may call `attempt`, and compares all it says.
#[track_caller]
fn prints(script: &str, wanted: &str) {
    run(script).prints(wanted);
}

// ---- building

#[test]
fn arguments_are_passed_as_they_are() {
    prints(
        r#"
        let show = cmd("printf", "[%s]", "two words", "*", "$HOME", "it's", "", "a\nb", "-n", "\\", "é€");
        print(show.read());
        print(show);
        print(cmd(["printf", "[%s]", "x", 1, 2.5, true, 'c']).read());
        print(cmd("printf", ["[%s]", "x"], 3).read());
        print(cmd("printf", "%s-%s-%s-%s-%s-%s-%s-%s-%s-%s-%s-%s-%s-%s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14).read());
        let base = cmd("echo", "a");
        let more = base.arg("b").args(["c", 4]);
        print(base.read() + " / " + more.read());
        print(sh("echo \"$0 $1 $# $*\"").arg("it's").args(["b c"]).read());
        print(sh("echo hi | tr a-z A-Z; false; echo $?").read());
        attempt(|| cmd("echo", #{}));
        attempt(|| cmd("echo").arg(()));
        attempt(|| cmd("echo", ["a", ["b"]]));
        "#,
        "[two words][*][$HOME][it's][][a\nb][-n][\\][é€]\n\
         printf '[%s]' 'two words' '*' '$HOME' 'it'\\''s' '' 'a\nb' -n '\\' 'é€'\n\
         [x][1][2.5][true][c]\n\
         [x][3]\n\
         1-2-3-4-5-6-7-8-9-10-11-12-13-14\n\
         a / a b c 4\n\
         sh it's 2 it's b c\n\
         HI\n1\n\
         TypeError: cmd(): an argument of a command must be a string or a number, not a map\n\
         TypeError: arg(): an argument of a command must be a string or a number, not ()\n\
         TypeError: cmd(): an argument of a command must be a string or a number, not an array\n",
    );
}

#[test]
fn folder_and_environment() {
    prints(
        r#"
        print(cmd("pwd").dir("/usr").read());
        print(sh("echo $A-$B").env("A", 1).env("B", "x y").read());
        print(sh("echo $A").env("A", 1).env("A", 2).read());
        print(sh("echo ${HOME-none}").env_remove("HOME").read());
        print(sh("echo ${HOME-none}").env_remove("HOME").env("HOME", "back").read());
        print(sh("echo ${HOME-none}").env("HOME", "gone").env_remove("HOME").read());
        print(cmd("/usr/bin/env").env("BEFORE", 1).env_clear().env("AFTER", 2).read().split("\n").filter(|l| !l.starts_with("ORCH_TREE=")));
        let here = cmd("pwd").read();
        sh("printf '#!/bin/sh\\necho mine\\n' > mine; chmod +x mine; mkdir sub; printf '#!/bin/sh\\necho sub\\n' > sub/mine; chmod +x sub/mine").run();
        print(cmd("mine").env("PATH", here).read());
        print(cmd("mine").env("PATH", "sub:.").read());
        print(cmd("./mine").dir("sub").read());
        print(cmd("sh", "-c", "echo $0").env_clear().env("A", 1).env_remove("A").read());
        print(cmd("/usr/bin/env").env_clear().env("A", 1).env("A", 2).env("B", 1).env_remove("B").read().split("\n").filter(|l| !l.starts_with("ORCH_TREE=")));
        "#,
        "/usr\n1-x y\n2\nnone\nback\nnone\n[\"AFTER=2\"]\nmine\nsub\nsub\nsh\n[\"A=2\"]\n",
    );
}

#[test]
fn input_and_output() {
    prints(
        r#"
        print(cmd("cat").stdin("text é").read());
        print(cmd("od", "-An", "-tx1").stdin(blob(2, 255)).read());
        print(cmd("cat").stdin("").read() + "|" + cmd("cat").stdin_null().read() + "|");
        print(cmd("wc", "-c").stdin(times("x", 3000000)).read());
        cmd("echo", "one").stdout_file("out").run();
        cmd("echo", "two").stdout_file("out").run();
        cmd("echo", "three").stdout_append("out").run();
        print(cmd("cat").stdin_file("out").read());
        sh("echo hidden; echo shown >&2").stdout_null().stderr_file("err").run();
        print(cmd("cat", "err").read());
        print(sh("echo out; echo err >&2; echo out").stderr_to_stdout().read());
        sh("echo out; echo err >&2").stderr_to_stdout().stdout_file("both").run();
        sh("echo out; echo err >&2").stdout_append("both").stderr_to_stdout().run();
        print(cmd("cat", "both").read());
        let done = sh("echo out; echo err >&2").stderr_null().capture();
        print([done.stdout, done.stderr]);
        let done = sh("echo out; echo err >&2").stdout_file("out").capture();
        print([done.stdout, done.stderr, cmd("cat", "out").read()]);
        let done = sh("echo out; echo err >&2").stderr_to_stdout().capture();
        print([done.stdout, done.stderr]);
        cmd("pwd").dir("/").stdout_file("here").run();
        print(cmd("cat", "here").read());
        "#,
        "text é\n ff ff\n||\n3000000\ntwo\nthree\nshown\nout\nerr\nout\nout\nerr\nout\nerr\n\
         [\"out\\n\", \"\"]\n[\"\", \"err\\n\", \"out\"]\n[\"out\\nerr\\n\", \"\"]\n/\n",
    );
}

#[test]
fn run_and_read_show_what_is_not_taken() {
    let seen = run("sh(\"echo shown; echo told >&2\").run();\n\
                    print(\"[\" + sh(\"echo taken; echo told >&2\").read() + \"]\");\n\
                    for l in sh(\"echo line; echo told >&2\").lines() { print(\"<\" + l + \">\"); }\n\
                    print(sh(\"echo kept; echo kept >&2\").capture().stderr.len);\n");
    seen.is(0, "shown\n[taken]\n<line>\n5\n", "told\ntold\ntold\n");
}

#[test]
fn read_cuts_one_newline() {
    prints(
        r#"
        for text in ["a", "a\\n", "a\\n\\n", "\\n", "", "a\\r\\n", "a\\nb\\n"] { print([cmd("printf", text).read()]); }
        "#,
        "[\"a\"]\n[\"a\"]\n[\"a\\n\"]\n[\"\"]\n[\"\"]\n[\"a\"]\n[\"a\\nb\"]\n",
    );
}

// ---- what comes back

#[test]
fn completed_has_all_its_fields() {
    prints(
        r#"
        let done = sh("echo out; echo err >&2; exit 3").unchecked().capture();
        print([done.code, done.signal, done.ok, done.stdout, done.stderr, done.command, done.note]);
        print([done.stdout_bytes.len, done.stderr_bytes.len, done.pid > 0, done.seconds > 0.0 && done.seconds < 50.0]);
        let stage = done.stages[0];
        print(stage.keys());
        print([done.stages.len, stage.command, stage.code, stage.signal, stage.ok, stage.unchecked, stage.pid == done.pid]);
        let done = sh("kill -9 $$").unchecked().run();
        print([done.code, done.signal, done.ok, done.stdout]);
        for name in ["HUP", "INT", "TERM", "SEGV", "USR1", "PIPE"] {
            let done = sh("kill -" + name + " $$").unchecked().run();
            print([done.code, done.signal]);
        }
        for code in [0, 1, 2, 127, 255] { print(sh("exit " + code).unchecked().run().code); }
        let bytes = cmd("printf", "a\\377b\\0c").capture();
        print([bytes.stdout == "a\ufffdb\x00c", bytes.stdout_bytes]);
        print(cmd("true").run().to_string().split(",")[0]);
        "#,
        "[3, (), false, \"out\\n\", \"err\\n\", \"echo out; echo err >&2; exit 3\", ()]\n\
         [4, 4, true, true]\n\
         [\"code\", \"command\", \"ok\", \"pid\", \"seconds\", \"signal\", \"unchecked\"]\n\
         [1, \"echo out; echo err >&2; exit 3\", 3, (), false, true, true]\n\
         [-9, \"KILL\", false, \"\"]\n\
         [-1, \"HUP\"]\n[-2, \"INT\"]\n[-15, \"TERM\"]\n[-11, \"SEGV\"]\n[-10, \"USR1\"]\n[-13, \"PIPE\"]\n\
         0\n1\n2\n127\n255\n\
         [true, [61ff620063]]\n\
         Completed(`true`\n",
    );
}

#[test]
fn a_failure_is_an_error_with_all_there_is_to_know() {
    prints(
        r#"
        try { sh("echo out; echo one >&2; echo two >&2; exit 3").capture(); } catch (e) {
            print([e.kind, e.message, e.code, e.signal, e.stdout, e.stderr, e.ok, e.command, e.note, e.stages.len]);
            print([e.stdout_bytes.len, e.stderr_bytes.len, e.pid > 0, e.seconds > 0.0]);
        }
        attempt(|| cmd("false").run());
        attempt(|| sh("kill -9 $$").read());
        attempt(|| { for l in sh("echo a; exit 4").lines() { print(l); } });
        attempt(|| { let c = sh("exit 5").start(); c.wait() });
        attempt(|| sh("exit 6").start().communicate(""));
        attempt(|| sh("for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 1").capture());
        attempt(|| cmd("echo", times("x", 200)).pipe(cmd("false")).unchecked().pipe(cmd("false")).stdout_null().run());
        "#,
        "[\"CommandError\", \"`echo out; echo one >&2; echo two >&2; exit 3` failed with exit code 3; it said:\\n  one\\n  two\", \
         3, (), \"out\\n\", \"one\\ntwo\\n\", false, \"echo out; echo one >&2; echo two >&2; exit 3\", (), 1]\n\
         [4, 8, true, true]\n\
         CommandError: `false` failed with exit code 1\n\
         CommandError: `kill -9 $$` was killed by KILL\n\
         a\nCommandError: `echo a; exit 4` failed with exit code 4\n\
         CommandError: `exit 5` failed with exit code 5\n\
         CommandError: `exit 6` failed with exit code 6\n\
         CommandError: `for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 1` failed with exit code 1; it said:\n  \
         line 3\n  line 4\n  line 5\n  line 6\n  line 7\n\
         CommandError: `false` failed with exit code 1 in `echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`\n",
    );
}

// ---- pipelines

#[test]
fn a_pipeline_gives_each_stage_its_part() {
    prints(
        r#"
        print(cmd("printf", "b\na\nc\n").pipe(cmd("sort")).pipe(cmd("head", "-1")).read());
        print(cmd("tr", "a", "b").pipe(cmd("tr", "b", "c")).stdin("aaa").read());
        print(cmd("cat").pipe(cmd("cat")).stdin_null().read() + "|");
        cmd("echo", "filed").pipe(cmd("cat")).stdout_file("out").run();
        print(cmd("cat", "out").read());
        print(sh("pwd").pipe(sh("cat; pwd")).dir("/").read());
        print(sh("pwd").dir("/usr").pipe(sh("cat; pwd")).dir("/").read());
        print(sh("echo $A").env("A", "own").pipe(sh("cat; echo $A")).env("A", "all").read());
        print(sh("echo one >&2; echo x").pipe(sh("echo two >&2; cat")).stderr_null().capture().stderr + "|");
        let done = sh("echo one >&2; echo x").pipe(sh("cat; echo two >&2")).capture();
        print([done.stdout, done.stderr]);
        let done = sh("echo one >&2; echo x").pipe(sh("cat; echo two >&2")).stderr_to_stdout().capture();
        print([done.stdout, done.stderr]);
        print(cmd("echo", "a").stdin("ignored").pipe(cmd("cat")).read());
        let long = cmd("echo", "x");
        for i in 0..40 { long = long.pipe(cmd("cat")); }
        let done = long.capture();
        print([done.stdout, done.stages.len, done.ok]);
        print(cmd("echo", "a b").pipe(cmd("tr", "a", "b")));
        let two = cmd("echo", 1).pipe(cmd("cat")).start();
        print(two.wait().pid == two.pid);
        "#,
        "a\nccc\n|\nfiled\n/\n/\n/usr\n/\nown\nall\n|\n\
         [\"x\\n\", \"one\\ntwo\\n\"]\n[\"x\\ntwo\\n\", \"one\\n\"]\n\
         a\n[\"x\\n\", 41, true]\necho 'a b' | tr a b\ntrue\n",
    );
}

#[test]
fn the_rightmost_checked_failure_of_a_pipeline_counts() {
    prints(
        r#"
        fn codes(done) { [done.code, done.ok, done.stages.map(|s| s.code)] }
        attempt(|| codes(sh("exit 1").pipe(sh("exit 2")).pipe(cmd("true")).run()));
        attempt(|| codes(sh("exit 1").pipe(sh("exit 2").unchecked()).pipe(cmd("true")).run()));
        attempt(|| codes(sh("exit 1").unchecked().pipe(sh("exit 2").unchecked()).pipe(cmd("true")).run()));
        attempt(|| codes(sh("exit 1").pipe(sh("exit 2")).unchecked().run()));
        attempt(|| codes(sh("exit 1").pipe(sh("exit 2").unchecked()).run()));
        attempt(|| codes(sh("exit 1").unchecked().pipe(sh("exit 2")).run()));
        attempt(|| codes(cmd("yes").pipe(cmd("head", "-1")).stdout_null().run()));
        attempt(|| codes(sh("kill -TERM $$").pipe(cmd("cat")).run()));
        attempt(|| codes(cmd("echo").pipe(sh("kill -PIPE $$")).run()));
        "#,
        "CommandError: `exit 2` failed with exit code 2 in `exit 1 | exit 2 | true`\n\
         CommandError: `exit 1` failed with exit code 1 in `exit 1 | exit 2 | true`\n\
         [2, false, [1, 2, 0]]\n\
         [2, false, [1, 2]]\n\
         CommandError: `exit 1` failed with exit code 1 in `exit 1 | exit 2`\n\
         CommandError: `exit 2` failed with exit code 2 in `exit 1 | exit 2`\n\
         [0, true, [-13, 0]]\n\
         CommandError: `kill -TERM $$` was killed by TERM in `kill -TERM $$ | cat`\n\
         CommandError: `kill -PIPE $$` was killed by PIPE in `echo | kill -PIPE $$`\n",
    );
}

// ---- tries and time

#[test]
fn retries_and_timeouts() {
    prints(
        r#"
        // Gives more and more time, until the command has come so far that it has said this.
        fn once_it_says(text, f) {
            for seconds in [0.3, 3.0, 30.0] {
                try { f.call(seconds); } catch (e) { if e.stdout == text { e.message.replace(`${seconds} s`, "N s"); return e; } }
            }
        }
        sh("echo try >> log; test $(wc -l < log) -ge 3").retries(5).run();
        print(cmd("wc", "-l").stdin_file("log").read());
        attempt(|| sh("echo try >> log2; false").retries(2).run());
        print(cmd("wc", "-l").stdin_file("log2").read());
        print(sh("echo try >> log3; false").retries(2).unchecked().run().code);
        print(cmd("wc", "-l").stdin_file("log3").read());
        let e = once_it_says("out\n", |seconds| sh("echo err >&2; echo out; sleep 600").timeout(seconds).capture());
        print([e.kind, e.message, e.code, e.signal, e.stdout, e.stderr, e.ok, e.command, e.seconds >= 0.3]);
        attempt(|| cmd("sleep", 600).timeout(0.1).unchecked().run());
        attempt(|| sh("trap '' TERM; sleep 600 & wait; wait").timeout(0.2).kill_after(0.2).stderr_null().run());
        let deaf = sh("trap '' TERM; echo deaf; while :; do sleep 0.01; done").kill_after(0).stderr_null();
        print(once_it_says("deaf\n", |seconds| deaf.timeout(seconds).capture()).signal);
        print(sh("trap 'exit 0' TERM; while :; do sleep 0.01; done").timeout(0.2).kill_after(()).start().wait(20));
        for seconds in [0.3, 3.0, 30.0] {
            let lines = [];
            try { for l in sh("echo line; sleep 600").timeout(seconds).stderr_null().lines() { lines.push(l); } }
            catch (e) { if lines == ["line"] { print(e.kind); break; } }
        }
        attempt(|| cmd("sleep", 600).pipe(cmd("cat")).timeout(0.1).run());
        attempt(|| cmd("sleep", 600).timeout(0.1).pipe(cmd("cat")).read());
        attempt(|| cmd("true").timeout(30).run().code);
        attempt(|| cmd("true").timeout(()).run().code);
        attempt(|| cmd("true").timeout(-1));
        attempt(|| cmd("true").timeout("x"));
        attempt(|| cmd("true").retries(-1));
        "#,
        "3\n\
         CommandError: `echo try >> log2; false` failed with exit code 1\n3\n1\n3\n\
         [\"TimeoutError\", \"`echo err >&2; echo out; sleep 600` took longer than N s and was ended; it said:\\n  err\", \
         -15, \"TERM\", \"out\\n\", \"err\\n\", false, \"echo err >&2; echo out; sleep 600\", true]\n\
         TimeoutError: `sleep 600` took longer than 0.1 s and was ended\n\
         TimeoutError: `trap '' TERM; sleep 600 & wait; wait` took longer than 0.2 s and was ended\n\
         KILL\ntrue\n\
         TimeoutError\n\
         TimeoutError: `sleep 600 | cat` took longer than 0.1 s and was ended\n\
         TimeoutError: `sleep 600 | cat` took longer than 0.1 s and was ended\n\
         0\n0\n\
         ValueError: timeout(): secs must be a number of seconds, 0 or more, not -1\n\
         TypeError: timeout(): secs must be a number of seconds, not a string\n\
         ValueError: retries(): n must be 0 or more, not -1\n",
    );
}

// ---- in other processes

/// Commands and what became of them are values: they go to processes and come back whole, however big.
#[test]
fn commands_and_what_became_of_them_cross_to_processes() {
    let script = r#"
        const SHOUT = cmd("tr", "a-z", "A-Z");
        let done = spawn_process(|| sh("printf out; printf 'a\\377' >&2; exit 3").unchecked().capture()).join();
        print([done.stdout, done.stderr_bytes, done.code, done.signal, done.ok, done.stages.len()]);
        print([type_of(done), done.command]);
        let back = spawn_process(|d| [d, d.seconds == done.seconds], [done]).join();
        print([back[0].stdout, back[0].stderr_bytes, back[0].pid == done.pid, back[1]]);
        // Built here, run there, and changed there, run here.
        let greet = cmd("cat").stdin("hello ").env("A", 1).timeout(30).pipe(sh("cat; printf $B").env("B", "there"));
        print(spawn_process(|c| c.read(), [greet]).join());
        let more = spawn_process(|| greet.pipe(global::SHOUT)).join();
        print(more);
        print([more.read(), `${more}` == `${greet.pipe(SHOUT)}`]);
        // Big input, and bigger output.
        let big = cmd("cat").stdin(blob(300_000, 0xfe));
        print(spawn_process(|| big.capture()).join().stdout_bytes.len());
        print(spawn_process(|d| d.stdout.len(), [sh("head -c 1000000 /dev/zero").capture()]).join());
        // Pools, pipes, and queues of another process.
        with Pool(2) as pool {
            print(pool.map(|n| cmd("expr", n, "*", n).capture(), 1..=3).map(|d| d.stdout));
            print(pool.imap(|c| c.read(), [cmd("echo", 1), SHOUT.stdin("x")]).to_array());
        }
        let ends = Pipe();
        ends[0].send([greet, done]);
        let got = ends[1].recv();
        print([got[0].read() == greet.read(), got[1].stdout]);
        let todo = Queue();
        let results = Queue();
        let p = spawn_process(|| { results.put(todo.get().capture()); results.put(cmd("echo", "next")) });
        todo.put(greet);
        print([results.get().stdout, results.get().read()]);
        p.join();
        // Errors have all their fields, and what else was put into them.
        let failing = sh("printf part; printf why >&2; exit 7");
        try { spawn_process(|| failing.capture()).join() } catch (e) {
            print([e.kind, e.code, e.stdout, e.stderr, e.stderr_bytes.len(), e.ok, e.stages[0].code, e.command == `${failing}`]);
        }
        try { spawn_process(|| throw #{kind: "Own", of: failing.unchecked().capture()}).join() } catch (e) {
            print([e.kind, e.of.code, e.of.stdout]);
        }
        // One that was killed, and one whose time was up.
        let killed = spawn_process(|| sh("kill -KILL $$").unchecked().run()).join();
        print([killed.code, killed.signal]);
        try { spawn_process(|| cmd("sleep", 60).timeout(0.05).run()).join() } catch (e) { print([e.kind, e.code < 0]) }
    "#;
    let wanted = "[\"out\", [61ff], 3, (), false, 1]\n\
         [\"Completed\", \"printf out; printf 'a\\\\377' >&2; exit 3\"]\n\
         [\"out\", [61ff], true, true]\n\
         hello there\n\
         cat | (cat; printf $B) | tr a-z A-Z\n\
         [\"HELLO THERE\", true]\n\
         300000\n1000000\n\
         [\"1\\n\", \"4\\n\", \"9\\n\"]\n[\"1\", \"X\"]\n\
         [true, \"out\"]\n[\"hello there\", \"next\"]\n\
         [\"CommandError\", 7, \"part\", \"why\", 3, false, 7, true]\n[\"Own\", 7, \"part\"]\n\
         [-9, \"KILL\"]\n[\"TimeoutError\", true]\n";
    run(script).prints(wanted);
    Program::sim(script).run().prints(wanted);
}

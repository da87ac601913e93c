//! Commands of simulated programs that do not run: patterns, outputs, statuses, simulated durations, ends by timeout and by
//! the script, pipelines; and the whole output repeats itself for a seed.

use crate::whole::program::{Program, Seen, orch};

const ATTEMPT: &str = "fn attempt(f) { try { print(f.call()); } catch (e) { print(e.kind + \": \" + e.message); } }\n";

fn sim(script: &str, seed: &str) -> Seen {
    let script = format!("{ATTEMPT}{script}");
    Program::script_with(&["run", "--sim", "--seed", seed], &script).run()
}

#[track_caller]
fn prints(script: &str, wanted: &str) {
    sim(script, "1").prints(wanted);
}

#[test]
fn patterns_and_results() {
    prints(
        r#"
        mock_cmd("make *", #{stdout: "built\n", stderr: "warned\n", seconds: 30});
        mock_cmd("make clean", #{stdout: "cleaned\n"});
        mock_cmd("git push*", #{code: 128, stderr: "denied\n", seconds: 1.5});
        mock_cmd("crash", #{code: -11});
        mock_cmd("raw", #{stdout: blob(2, 255)});
        mock_cmd("cp 'a b' ?", #{stdout: "copied"});
        mock_cmd("deploy | tee *", #{stdout: "piped\n", seconds: 2});
        let begun = monotonic();
        let done = cmd("make", "all").capture();
        print([done.stdout, done.stderr, done.code, done.ok, done.seconds, monotonic() - begun, done.command]);
        print(cmd("make", "clean").read());
        attempt(|| cmd("git", "push", "origin").run());
        print(cmd("git", "push").unchecked().run().code);
        let crashed = cmd("crash").unchecked().run();
        print([crashed.code, crashed.signal]);
        print(cmd("raw").capture().stdout_bytes);
        print(cmd("cp", "a b", "c").read());
        let piped = cmd("deploy").pipe(cmd("tee", "log")).capture();
        print([piped.stdout, piped.stages.map(|s| s.code)]);
        print(sh("make it").read());
        mock_cmd("make *", #{stdout: "newer\n"});
        print(cmd("make", "all").read());
        for line in cmd("make", "all").lines() { print("line " + line); }
        print(cmd("echo", "this one runs").read());
        "#,
        "[\"built\\n\", \"warned\\n\", 0, true, 30.0, 30.0, \"make all\"]\n\
         cleaned\n\
         CommandError: `git push origin` failed with exit code 128; it said:\n  denied\n\
         128\n[-11, \"SEGV\"]\n[ffff]\ncopied\n[\"piped\\n\", [0, 0]]\nbuilt\nnewer\nline newer\nthis one runs\n",
    );
}

#[test]
fn ends_by_time_and_by_the_script() {
    prints(
        r#"
        mock_cmd("long*", #{stdout: "partly\n", seconds: 100});
        let begun = monotonic();
        try { cmd("long").timeout(10).capture(); } catch (e) { print([e.kind, e.message, e.signal, e.stdout, monotonic() - begun]); }
        attempt(|| cmd("long").timeout(1000).read());
        let child = cmd("long").start();
        print([child.poll(), child.wait(5)]);
        child.terminate();
        print(child.wait().signal);
        let child = cmd("long").start();
        child.kill();
        print(child.wait().code);
        let child = cmd("long").start();
        child.signal("HUP");
        print(child.wait().signal);
        let child = cmd("long", "talk").start();
        child.write("input");
        child.close_stdin();
        let begun = monotonic();
        print([child.read_line(), monotonic() - begun, child.read_line(), monotonic() - begun]);
        let begun = monotonic();
        with cmd("long").start() as child { }
        print(monotonic() - begun);
        let tries = monotonic();
        attempt(|| cmd("long").timeout(10).retries(3).run());
        print(monotonic() - tries);
        "#,
        "[\"TimeoutError\", \"`long` took longer than 10 s and was ended\", \"TERM\", \"partly\\n\", 10.0]\n\
         partly\n[(), false]\nTERM\n-9\nHUP\n[\"partly\", 0.0, (), 100.0]\n0.0\n\
         TimeoutError: `long` took longer than 10 s and was ended\n40.0\n",
    );
}

#[test]
fn the_same_seed_gives_the_same_output() {
    let script = r#"
        mock_cmd("job *", #{stdout: "done\n", seconds: 3});
        mock_cmd("slow *", #{code: 1, seconds: 7});
        let threads = [];
        for i in 0..10 {
            threads.push(spawn_thread(|| {
                let c = cmd(if i % 3 == 0 { "slow" } else { "job" }, i).unchecked().start();
                print("start " + i + " pid " + c.pid);
                let done = c.wait();
                print("end " + i + " " + done.code + " at " + monotonic());
            }));
        }
        for t in threads { t.join(); }
    "#;
    let first = sim(script, "7");
    assert!(first.status == 0 && first.stdout.lines().count() == 20, "{}", first.for_people());
    for _ in 0..3 {
        assert_eq!(sim(script, "7"), first);
    }
    let others: Vec<Seen> = ["8", "9", "10", "11"].iter().map(|seed| sim(script, seed)).collect();
    assert!(others.iter().any(|other| other.stdout != first.stdout), "the schedule does not depend on the seed");
}

#[test]
fn a_mock_that_cannot_be() {
    prints(
        r#"
        attempt(|| mock_cmd("a", #{codes: 1}));
        attempt(|| mock_cmd("a", #{code: 256}));
        attempt(|| mock_cmd("a", #{code: "x"}));
        attempt(|| mock_cmd("a", #{seconds: -1}));
        attempt(|| mock_cmd("a", #{stdout: 7}));
        attempt(|| mock_cmd("[", #{}));
        "#,
        "ValueError: mock_cmd() has no option \"codes\"; did you mean \"code\"?\n\
         ValueError: mock_cmd(): option code must be 0 to 255, or a signal as -1 to -64\n\
         ValueError: mock_cmd(): option code must be 0 to 255, or a signal as -1 to -64\n\
         ValueError: mock_cmd(): option seconds must be a number of seconds, 0 or more, not -1\n\
         TypeError: mock_cmd(): option stdout must be a string or a blob, not an int\n\
         ValueError: mock_cmd(): bad pattern \"[\": Pattern syntax error near position 0: invalid range pattern\n",
    );
    orch(["eval", "mock_cmd(\"a\", #{})"]).run().is(1, "", "error: ValueError: mock_cmd() is for simulated runs: `orch run --sim`\n  --> <eval>:1:1\n  |\n1 | mock_cmd(\"a\", #{})\n  | ^\n");
}

/// Waiting for a mocked command is waiting for simulated time: no deadlock is reported, and others go on meanwhile.
#[test]
fn time_goes_on_while_a_mocked_command_runs() {
    prints(
        r#"
        mock_cmd("job", #{seconds: 10});
        let log = Queue();
        let t = spawn_thread(|| { for i in 0..3 { sleep(4); log.put(monotonic()); } });
        cmd("job").run();
        print(log.qsize());
        print(select([cmd("job").start(), log]).value);
        t.join();
        "#,
        "2\n4.0\n",
    );
}

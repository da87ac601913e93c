//! A command that was started: every method of `Child`, several threads at one, `select`, `with`, and what is around
//! commands (`which`, `shell_quote`, `kill`, `pid_alive`, `exec`).

use crate::whole::program::{Program, Seen};

/// What every script here may call: prints the kind and the message of what `f` throws, or what it returns.
const ATTEMPT: &str = "fn attempt(f) { try { print(f.call()); } catch (e) { print(e.kind + \": \" + e.message); } }\n\
    fn times(text, n) { let all = \"\"; all.pad(n, text); all }\n";

fn run(script: &str) -> Seen {
    Program::script(&format!("{ATTEMPT}{script}")).run()
}

#[track_caller]
fn prints(script: &str, wanted: &str) {
    run(script).prints(wanted);
}

#[test]
fn it_is_asked_and_waited_for() {
    prints(
        r#"
        let child = sh("read line; exit 3").start();
        print([child.poll(), child.wait(0.05), child.pid > 0]);
        child.write("go\n");
        attempt(|| child.wait());
        print([child.poll().code, child.wait(0), child.wait(5)]);
        attempt(|| child.wait());
        let child = sh("exit 4").unchecked().start();
        print(child.wait().code);
        let quick = cmd("true").start();
        while quick.poll() == () { sleep(0.01); }
        print(quick.poll().ok);
        print(cmd("sleep", 600).start().named("server").to_string().contains("server"));
        "#,
        "[(), false, true]\n\
         CommandError: `read line; exit 3` failed with exit code 3\n\
         [3, true, true]\n\
         CommandError: `read line; exit 3` failed with exit code 3\n\
         4\ntrue\ntrue\n",
    );
}

#[test]
fn it_is_ended() {
    prints(
        r#"
        for end in [|c| c.terminate(), |c| c.kill(), |c| c.signal("TERM"), |c| c.signal("SIGHUP")] {
            let child = cmd("sleep", 600).start();
            end.call(child);
            let done = child.wait();
            print([done.code, done.signal, done.ok]);
            end.call(child);
        }
        let stubborn = sh("trap '' TERM; echo ready; while :; do sleep 0.01; done").kill_after(0.2).start();
        stubborn.read_line();
        stubborn.terminate();
        stubborn.terminate();
        print(stubborn.wait().signal);
        let polite = sh("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done").start();
        polite.read_line();
        polite.terminate();
        let done = polite.wait();
        print([done.stdout, done.code]);
        let handled = sh("trap 'echo got' USR1; echo ready; while :; do sleep 0.01; done").start();
        handled.read_line();
        handled.signal("USR1");
        print(handled.read_line());
        handled.kill();
        let stopped = cmd("sleep", 600).start();
        stopped.signal("STOP");
        sleep(0.1);
        stopped.terminate();
        print(stopped.wait().signal);
        let held = cmd("cat").start();
        held.signal("STOP");
        held.write("x\n");
        attempt(|| held.read_line(0.1));
        held.signal("CONT");
        print(held.read_line());
        attempt(|| held.signal("NO"));
        attempt(|| held.signal(""));
        "#,
        "[-15, \"TERM\", false]\n[-9, \"KILL\", false]\n[-15, \"TERM\", false]\n[-1, \"HUP\", false]\n\
         KILL\n[\"bye\\n\", 7]\ngot\nTERM\n\
         TimeoutError: read_line() timed out after 0.1 s\nx\n\
         ValueError: signal(): there is no signal \"NO\"\n\
         ValueError: signal(): there is no signal \"\"\n",
    );
}

#[test]
fn it_is_talked_to() {
    prints(
        r#"
        let cat = cmd("cat").start();
        cat.write("one\n");
        print(cat.read_line());
        cat.write(blob(2, 65));
        cat.write("\n\nlast");
        cat.close_stdin();
        cat.close_stdin();
        print([cat.read_line(), cat.read_line(), cat.read_line(), cat.read_line(), cat.read_line()]);
        attempt(|| cat.write("late"));
        print(cat.wait().stdout + "|");
        attempt(|| cat.write("later"));
        attempt(|| cat.write(7));

        let both = sh("echo o1; echo e1 >&2; echo o2; echo e2 >&2").start();
        let errors = []; for l in both.stderr_lines() { errors.push(l); }
        let lines = []; for l in both.lines() { lines.push(l); }
        print([errors, lines]);
        print(both.wait().ok);

        let rest = sh("echo taken; echo rest; echo err >&2").start();
        print(rest.read_line());
        let done = rest.wait();
        print([done.stdout, done.stderr, rest.read_line(), rest.read_line()]);

        print(cmd("tr", "a-z", "A-Z").start().communicate("loud").stdout);
        print(cmd("wc", "-c").start().communicate(times("x", 1000000)).stdout);
        print(cmd("cat").start().communicate(times("x", 1000000)).stdout.len);
        print(cmd("true").start().communicate(times("x", 1000000)).ok);
        print(cmd("head", "-c", 3).start().communicate("abcdef").stdout);
        print(cmd("cat").stdin("given").start().wait().stdout);
        attempt(|| cmd("cat").stdin("given").start().write("more"));
        let pair = cmd("cat").pipe(cmd("tr", "a-z", "A-Z")).start();
        pair.write("both ends\n");
        pair.close_stdin();
        print(pair.read_line());
        "#,
        "one\n[\"AA\", \"\", \"last\", (), ()]\n\
         Closed: the input of `cat` is closed\n|\nClosed: the input of `cat` is closed\n\
         TypeError: write(): data must be a string or a blob, not an int\n\
         [[\"e1\", \"e2\"], [\"o1\", \"o2\"]]\ntrue\n\
         taken\n[\"rest\\n\", \"err\\n\", (), ()]\n\
         LOUD\n1000000\n\n1000000\ntrue\nabc\ngiven\n\
         Closed: the input of `cat` is closed\nBOTH ENDS\n",
    );
}

/// Whoever waits reads: full pipes never keep a command from what it is waited for.
#[test]
fn full_pipes_keep_nobody() {
    prints(
        r#"
        let child = sh("head -c 2000000 /dev/zero >&2; echo done").start();
        print(child.read_line());
        print(child.wait().stderr.len);
        let child = sh("head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2; exit 0").start();
        let done = child.wait();
        print([done.stdout.len, done.stderr.len]);
        let echo = cmd("cat").start();
        echo.write(times("y", 3000000));
        echo.close_stdin();
        print(echo.wait().stdout.len);
        let quiet = sh("exec >&-; read line; exit 5").start();
        print([quiet.read_line()]);
        quiet.write("x\n");
        attempt(|| quiet.wait());
        "#,
        "done\n2000000\n[2000000, 2000000]\n3000000\n[()]\nCommandError: `exec >&-; read line; exit 5` failed with exit code 5\n",
    );
}

#[test]
fn an_input_that_nobody_could_write_is_at_its_end() {
    prints("print(cmd(\"cat\").start().wait().ok);\n", "true\n");
}

#[test]
fn several_threads_at_one_child() {
    prints(
        r#"
        let child = cmd("cat").start();
        let reader = spawn_thread(|| { let n = 0; for l in child.lines() { n += 1; } n });
        let waiter = spawn_thread(|| child.wait().ok);
        let writer = spawn_thread(|| { for i in 0..20000 { child.write(i + "\n"); } child.close_stdin(); });
        writer.join();
        print([reader.join(), waiter.join()]);
        let child = cmd("sleep", 600).start();
        let waiters = []; for i in 0..8 { waiters.push(spawn_thread(|| child.wait().signal)); }
        sleep(0.1);
        child.terminate();
        print(waiters.map(|w| w.join()));
        "#,
        "[20000, true]\n[\"TERM\", \"TERM\", \"TERM\", \"TERM\", \"TERM\", \"TERM\", \"TERM\", \"TERM\"]\n",
    );
}

#[test]
fn select_takes_whatever_comes_first() {
    prints(
        r#"
        let queue = Queue();
        let event = Event();
        let child = sh("read x").start();
        attempt(|| select([child, queue, event], 0.05));
        queue.put("item");
        print(select([child, queue, event]));
        event.set();
        print(select([child, queue, event]).index);
        event.clear();
        child.write("x\n");
        let got = select([child, queue, event]);
        print([got.index, type_of(got.value), got.value.code]);
        "#,
        "TimeoutError: select() timed out after 0.05 s\n#{\"index\": 1, \"source\": Queue(#1, 0 items), \"value\": \"item\"}\n2\n[0, \"Completed\", 0]\n",
    );
}

#[test]
fn with_ends_what_is_left() {
    prints(
        r#"
        let pid = 0;
        with cmd("sleep", 600).start() as child { pid = child.pid; print(pid_alive(pid)); }
        sleep(0.0);
        print(pid_alive(pid));
        attempt(|| { with cmd("sleep", 600).start() as child { pid = child.pid; throw #{kind: "Mine", message: "own"}; } });
        print(pid_alive(pid));
        with cmd("echo", "hi").start() as child { print(child.read_line()); }
        "#,
        "true\nfalse\nMine: own\nfalse\nhi\n",
    );
}

#[test]
fn around_commands() {
    prints(
        r#"
        print([which("sh").ends_with("/sh"), which("no such program"), which(""), which("/bin/sh"), which("/etc/passwd"), which("/")]);
        for text in ["plain", "", "two words", "it's", "'", "\"", "$HOME `x` \\", "a\nb", "*", "-n", "~", "é", "!", "a=b", "{1..3}", "a #", "&;|<>()"] {
            let got = sh("printf %s " + shell_quote(text)).read();
            if got != text { print(["differs", text, got]); }
        }
        print(shell_quote("plain/file.txt") + " " + shell_quote("") + " " + shell_quote("it's"));
        let child = cmd("sleep", 600).start();
        print(pid_alive(child.pid));
        kill(child.pid, "TERM");
        attempt(|| child.wait());
        print(pid_alive(child.pid));
        try { kill(child.pid, "TERM"); } catch (e) { print(e.kind); }
        attempt(|| kill(0, "TERM"));
        attempt(|| kill(-1, "KILL"));
        attempt(|| kill(child.pid, "KILLL"));
        attempt(|| pid_alive(0));
        print(pid_alive(1));
        "#,
        "[true, (), (), \"/bin/sh\", (), ()]\n\
         plain/file.txt '' 'it'\\''s'\n\
         true\nCommandError: `sleep 600` was killed by TERM\nfalse\nNotFound\n\
         ValueError: kill(): pid must be the number of a process, not 0\n\
         ValueError: kill(): pid must be the number of a process, not -1\n\
         ValueError: kill(): there is no signal \"KILLL\"; did you mean \"KILL\"?\n\
         ValueError: pid_alive(): pid must be the number of a process, not 0\n\
         true\n",
    );
}

#[test]
fn exec_replaces_orch() {
    let exec = |script: &str| run(script);
    exec("print(\"before\"); sh(\"echo became; echo told >&2; exit 7\").exec(); print(\"never\");").is(
        7,
        "before\nbecame\n",
        "told\n",
    );
    exec("sh(\"kill -KILL $$\").exec();").is(-9, "", "");
    exec("cmd(\"cat\").stdin(\"given\").env(\"A\", 1).dir(\"/\").exec();").is(0, "given", "");
    exec("sh(\"pwd; echo $A; echo x >&2\").env(\"A\", 1).dir(\"/usr\").stderr_to_stdout().exec();").is(
        0,
        "/usr\n1\nx\n",
        "",
    );
    exec("cmd(\"/usr/bin/env\").env_clear().env(\"A\", 1).exec();").is(0, "A=1\n", "");
    exec("attempt(|| cmd(\"no such\").exec()); attempt(|| cmd(\"a\").pipe(cmd(\"b\")).exec()); attempt(|| cmd(\"pwd\").dir(\"/none\").exec());")
        .run_says(&[
            "NotFound: there is no program \"no such\"",
            "exec() cannot become a pipeline; use sh()",
            "NotFound: cannot run in folder \"/none\": No such file or directory (os error 2)",
        ]);
    // What it had started is ended before.
    let seen = exec(
        "let c = cmd(\"sleep\", 600).start(); cmd(\"sh\", \"-c\", \"kill -0 $0 2>/dev/null && echo alive || echo gone\", c.pid).exec();",
    );
    seen.is(0, "gone\n", "");
    // The process is the same, and it has the signals as orch had got them.
    exec("cmd(\"grep\", \"-E\", \"^Sig(Blk|Ign|Cgt)\", \"/proc/self/status\").exec();")
        .run_says(&["SigBlk:\t0000000000000000"]);
}

impl Seen {
    /// Ended with 0, said nothing on stderr, and each of these is a part of a line of stdout.
    #[track_caller]
    fn run_says(&self, parts: &[&str]) {
        let all = parts.iter().all(|part| self.stdout.lines().any(|line| line.contains(part)));
        assert!(all && self.status == 0 && self.stderr.is_empty(), "{parts:?} not in {}", self.for_people());
    }
}

#[test]
fn how_long_it_took_does_not_depend_on_when_it_is_waited_for() {
    let script = r#"
        let early = cmd("sleep", 0.1).pipe(cmd("cat")).start();
        let late = cmd("cat").start();
        while pid_alive(early.pid) { sleep(0.01); }
        sleep(0.5);
        late.close_stdin();
        let last = late.wait();
        let first = early.wait();
        print(first.seconds < last.seconds && first.stages.all(|stage| stage.seconds < last.seconds));
    "#;
    Program::script(script).run().prints("true\n");
}

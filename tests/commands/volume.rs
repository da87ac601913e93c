//! Much of everything: output of hundreds of megabytes, lines without number and without end, commands by the thousand.
//! Memory, descriptors and processes stay bounded.

use std::fs;
use std::process::{Command, Stdio};

use crate::whole::program::{Program, Seen, finish};

/// What each measuring script calls last: the most memory that orch ever had, in megabytes.
const PEAK: &str =
    "fn peak() { parse_int(sh(\"awk '/VmHWM/ { print int($2 / 1024) }' /proc/$PPID/status\").read()) }\n";

fn run(script: &str) -> Seen {
    Program::script(&format!("{PEAK}{script}")).run()
}

#[track_caller]
fn prints(script: &str, wanted: &str) {
    run(script).prints(wanted);
}

/// 700 MB are captured in a file past the first 256 MiB, and nobody asks for them as text.
#[test]
fn captured_output_spills_to_a_file() {
    prints(
        r#"
        let done = cmd("head", "-c", 700000000, "/dev/zero").capture();
        print([done.ok, done.code]);
        let peak = peak();
        print(if peak < 400 { "bounded" } else { `${peak} MB` });
        "#,
        "[true, 0]\nbounded\n",
    );
}

/// All of it comes back, whole.
#[test]
fn what_spilled_comes_back() {
    prints(
        r#"
        let done = sh("echo first; head -c 299999989 /dev/zero | tr '\\0' x; echo last").capture();
        let text = done.stdout;
        print([text.len, text.starts_with("first\nx"), text.ends_with("xlast\n")]);
        "#,
        "[300000000, true, true]\n",
    );
}

#[test]
fn lines_without_number_in_bounded_memory() {
    prints(
        r#"
        let n = 0;
        for line in cmd("seq", 1000000).lines() { n += 1; if n == 654321 && line != "654321" { print("wrong " + line); } }
        print(n);
        let peak = peak();
        print(if peak < 150 { "bounded" } else { `${peak} MB` });
        "#,
        "1000000\nbounded\n",
    );
}

/// A line of 100 MB comes in pieces; one that never ends too, until nobody wants more.
#[test]
fn lines_without_end_in_bounded_memory() {
    prints(
        r#"
        let pieces = 0; let bytes = 0;
        for line in sh("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo next").lines() {
            pieces += 1; bytes += line.len;
            if line == "next" { print("next came"); }
        }
        print([pieces, bytes]);
        let pieces = 0;
        for line in sh("tr '\\0' x < /dev/zero").lines() { pieces += 1; if pieces == 5 { break; } }
        let child = sh("tr '\\0' x < /dev/zero").start();
        print([pieces, child.read_line().len]);
        child.kill();
        let peak = peak();
        print(if peak < 250 { "bounded" } else { `${peak} MB` });
        "#,
        "next came\n[7, 100000004]\n[5, 16777216]\nbounded\n",
    );
}

/// A command whose lines nobody takes waits; it does not fill the memory.
#[test]
fn nobody_takes_the_lines() {
    prints(
        r#"
        let n = 0;
        for line in cmd("yes").lines() { n += 1; if n == 10 { sleep(1); } if n == 20 { break; } }
        print(n);
        let peak = peak();
        // A turn takes 64 reads of a mebibyte at most, when the writer keeps up.
        print(if peak < 200 { "bounded" } else { `${peak} MB` });
        "#,
        "20\nbounded\n",
    );
}

/// A thousand commands of every kind leave no descriptor and no zombie.
#[test]
fn a_thousand_commands_leave_nothing() {
    prints(
        r#"
        fn open() { sh("ls /proc/$PPID/fd | wc -l").read() }
        // What orch itself needs for commands, it keeps.
        cmd("true").capture();
        cmd("true").start().wait();
        let before = open();
        for i in 0..200 {
            cmd("true").run();
            cmd("echo", "x").capture();
            cmd("cat").stdin("x").read();
            for l in sh("echo a; echo b").lines() { break; }
            let c = cmd("cat").start();
            c.kill();
            try { cmd("no such program").run(); } catch { }
        }
        for i in 0..50 { cmd("true").start(); cmd("echo", 1).pipe(cmd("cat")).read(); cmd("true").timeout(50).run(); }
        // Those that nobody waits for are reaped by and by.
        let left = ""; let now = "";
        for i in 0..600 {
            left = sh("grep -l '^PPid:.'$PPID'$' /proc/[0-9]*/status 2>/dev/null | xargs grep -l '^State:.Z' 2>/dev/null").unchecked().read();
            now = open();
            if left == "" && now == before { break; }
            sleep(0.1);
        }
        print([left, if now == before { "same" } else { before + " were open, now " + now }]);
        "#,
        "[\"\", \"same\"]\n",
    );
}

/// Children that nobody waits for are reaped while the script goes on, also orphans that came to orch.
#[test]
fn zombies_do_not_stay() {
    prints(
        r#"
        for i in 0..20 { cmd("true").start(); }
        cmd("sh", "-c", "for i in 1 2 3 4 5; do setsid sh -c '(sleep 0.3; exit 0) & exit 0' & done; wait").run();
        let zombies = 0;
        for i in 0..600 {
            sleep(0.1);
            zombies = parse_int(sh("cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '$PPID' '").unchecked().read());
            if zombies == 0 { break; }
        }
        print(zombies);
        "#,
        "0\n",
    );
}

/// Output that orch itself cannot get rid of: nobody reads it any more.
#[test]
fn nobody_reads_what_orch_shows() {
    let script = "for i in 0..100000 { print(\"line \" + i); }\ncmd(\"seq\", 100000).run();\n";
    let program = Program::script(script);
    let mut orch = program.command().stderr(Stdio::piped()).spawn().unwrap();
    let reader = orch.stdout.take().unwrap();
    let first = Command::new("head").arg("-1").stdin(reader).output().unwrap();
    assert_eq!(first.stdout, b"line 0\n");
    let seen = finish(orch, "run … | head -1".into());
    assert!(seen.status != 0 && seen.stderr.lines().count() <= 3, "{}", seen.for_people());
}

/// What a child inherits: what orch was given by whoever started it, and nothing of orch's own, also while other commands
/// run and are read.
#[test]
fn no_descriptor_leaks_into_a_child() {
    // What a child of this test has: the test may have been given some itself.
    let given = Command::new("ls").arg("/proc/self/fd").stderr(Stdio::null()).output().unwrap();
    let given = String::from_utf8(given.stdout).unwrap();
    prints(
        r#"
        let cats = []; for i in 0..10 { cats.push(cmd("cat").start()); }
        let t = spawn_thread(|| { for i in 0..100 { cmd("true").capture(); } });
        let seen = [];
        for i in 0..100 {
            let fds = cmd("ls", "/proc/self/fd").capture().stdout;
            if !seen.contains(fds) { seen.push(fds); }
        }
        t.join();
        for fds in [cmd("true").pipe(cmd("ls", "/proc/self/fd")).read() + "\n", cmd("ls", "/proc/self/fd").stdin("x").stderr_null().read() + "\n",
                    cmd("ls", "/proc/self/fd").pipe(cmd("cat")).read() + "\n", spawn_thread(|| cmd("ls", "/proc/self/fd").start().wait().stdout).join()] {
            if !seen.contains(fds) { seen.push(fds); }
        }
        cmd("ls", "/proc/self/fd").stdout_file("out").run();
        for fds in seen { print(fds); }
        print(cmd("cat", "out").read());
        "#,
        &format!("{given}\n{given}"),
    );
}

/// A file that orch was given on a higher number is the child's as well, as from a shell.
#[test]
fn a_descriptor_that_orch_was_given_is_passed_on_as_by_a_shell() {
    let program = Program::script("print(sh(\"cat <&7\").read());\n");
    let folder = program.own_folder();
    fs::write(folder.join("seven"), "seventh\n").unwrap();
    let orch = env!("CARGO_BIN_EXE_orch");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" run script.rhai 7<seven", orch]).current_dir(&folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let seen = finish(shell.spawn().unwrap(), "run script.rhai 7<seven".into());
    seen.prints("seventh\n");
}

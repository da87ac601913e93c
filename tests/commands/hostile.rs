//! A system that refuses: no descriptors, no processes, no room on the disk, no standard streams. A command then does not
//! run and says why, in one sentence; nothing hangs, nothing is left, and what had been started is ended.

use std::fs;
use std::process::{Command, Stdio};

use crate::whole::family::Family;
use crate::whole::program::{Program, Seen, finish};

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// Runs a script by a line of shell, in which `$ORCH` runs it, within the limits that the line sets.
fn within(line: &str, script: &str) -> Seen {
    let program = Program::script(script);
    // A user who is not root comes by.
    let folder = program.own_folder();
    drop(Command::new("chmod").args(["-R", "a+rwX"]).arg(&folder).status());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line.replace("$ORCH", "\"$0\" run script.rhai"), ORCH]).current_dir(&folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(shell.spawn().unwrap(), line.to_string())
}

/// What cannot be tried here, with the reason.
fn skipped(what: &str, why: &str) {
    println!("not tried: {what}: {why}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0)
}

// ---- descriptors

/// However few there are: either the command runs, or it says that there are none. Then it runs again.
#[test]
fn no_descriptors_left() {
    let mut refused = 0;
    for limit in 8..32 {
        let mut family = Family::new();
        let script = format!(
            "let kept = []; let told = 0;\n\
             for i in 0..10 {{ try {{ kept.push(cmd(\"{0}\", \"{1}\").start()); }} catch (e) {{ told += 1; if told == 1 {{ print(e.kind); print(e.message); }} }} }}\n\
             kept.clear();\nprint(\"end\");\n",
            "sleep",
            family.sleep().split(' ').next_back().unwrap()
        );
        let seen = within(&format!("ulimit -n {limit}; exec $ORCH"), &script);
        if seen.stderr.starts_with("error: cannot start: ") {
            assert!(seen.status == 1 && seen.stderr.contains("Too many open files"), "{limit}: {}", seen.for_people());
        } else {
            let lines: Vec<&str> = seen.stdout.lines().collect();
            let good = match lines.as_slice() {
                ["end"] => true,
                ["IoError", message, "end"] => {
                    refused += 1;
                    message.ends_with("Too many open files (os error 24)")
                }
                _ => false,
            };
            assert!(seen.status == 0 && good && seen.stderr.is_empty(), "{limit}: {}", seen.for_people());
        }
        family.is_gone();
    }
    assert!(refused > 3, "the limits were never too small");
}

/// After a refusal everything is given back.
#[test]
fn descriptors_come_back_after_a_refusal() {
    let script = "let kept = [];\n\
                  let refusals = 0;\n\
                  for i in 0..30 { try { kept.push(cmd(\"cat\").start()); } catch (e) { refusals += 1; } }\n\
                  for c in kept { c.kill(); c.wait(); }\n\
                  print(refusals > 0);\n\
                  kept.clear();\n\
                  for i in 0..30 { if cmd(\"echo\", i).capture().stdout != i + \"\\n\" { print(\"wrong\"); } }\n\
                  print(cmd(\"echo\", \"a\").pipe(cmd(\"cat\")).pipe(cmd(\"cat\")).read());\n";
    within("ulimit -n 48; exec $ORCH", script).prints("true\na\n");
}

// ---- processes

/// As a user who may have few processes. (Root is never refused.)
#[test]
fn no_processes_left() {
    if !is_root() {
        return skipped("ulimit -u", "only root can become a user without other processes");
    }
    let mut told = 0;
    // A user number that has no processes but these.
    for (i, limit) in [3, 4, 5, 6, 8, 10, 12, 16].iter().enumerate() {
        let mut family = Family::new();
        let uid = 54_321 + i + 100 * std::process::id() as usize % 5_000_000;
        let script = format!(
            "let kept = []; let told = 0;\n\
             for i in 0..20 {{ try {{ kept.push(cmd(\"sleep\", \"{}\").start()); }} catch (e) {{ told += 1; if told == 1 {{ print(e.kind); print(e.message); }} }} }}\n\
             print(\"end\");\n",
            family.sleep().split(' ').next_back().unwrap()
        );
        let line = format!(
            "exec setpriv --reuid={uid} --regid=54321 --clear-groups prlimit --nproc={limit} \"$0\" run script.rhai"
        );
        let seen = within(&line, &script);
        if seen.status == 1 {
            let cannot =
                ["error: cannot start: ", "error: IoError: cannot start"].iter().any(|s| seen.stderr.starts_with(s));
            assert!(
                cannot && seen.stderr.contains("Resource temporarily unavailable"),
                "{limit}: {}",
                seen.for_people()
            );
        } else {
            let lines: Vec<&str> = seen.stdout.lines().collect();
            let good = match lines.as_slice() {
                ["IoError", message, "end"] => {
                    told += 1;
                    message.ends_with("Resource temporarily unavailable (os error 11)")
                }
                _ => false,
            };
            assert!(seen.status == 0 && good && seen.stderr.is_empty(), "{limit}: {}", seen.for_people());
        }
        family.is_gone();
    }
    assert!(told > 1, "the limits were never too small for a command alone");
}

// ---- disk

/// What is captured past the memory goes to a file; where that cannot grow, the command is ended and the reason told.
#[test]
fn the_disk_is_full_while_capturing() {
    let script = "try { cmd(\"head\", \"-c\", 600000000, \"/dev/zero\").capture(); } catch (e) { print(e.kind); print(e.message); }\n\
                  print(cmd(\"echo\", \"on\").capture().stdout);\n";
    // The largest file is 100 MB; the signal for that is ignored, as by a shell that has set a trap.
    let seen = within("trap '' XFSZ; ulimit -f 200000; exec $ORCH", script);
    seen.prints(
        "IoError\ncannot keep the output of `head -c 600000000 /dev/zero`: File too large (os error 27)\non\n\n",
    );
    let mount = "mkdir small && unshare -m sh -c 'mount -t tmpfs -o size=50m none small && TMPDIR=$PWD/small \"$0\" run script.rhai' \"$0\"";
    let seen = within(mount, script);
    if seen.stderr.contains("unshare") || seen.stderr.contains("mount") {
        return skipped("a small tmpfs", seen.stderr.trim());
    }
    seen.prints("IoError\ncannot keep the output of `head -c 600000000 /dev/zero`: No space left on device (os error 28)\non\n\n");
    let nowhere = within("TMPDIR=/no/such/folder; export TMPDIR; exec $ORCH", script);
    nowhere.prints(
        "IoError\ncannot keep the output of `head -c 600000000 /dev/zero`: cannot keep captured output in /no/such/folder: \
         No such file or directory (os error 2)\non\n\n",
    );
}

#[test]
fn the_disk_is_full_while_writing() {
    let script = "try { cmd(\"seq\", 100000).stdout_file(\"/dev/full\").capture(); } catch (e) { print(e.kind + \" \" + e.code); print(e.stderr); }\n\
                  print(cmd(\"seq\", 3).pipe(cmd(\"cat\")).stdout_file(\"/dev/full\").stderr_null().unchecked().run().stages.map(|s| s.ok));\n";
    within("LC_ALL=C exec $ORCH", script)
        .prints("CommandError 1\nseq: write error: No space left on device\n\n[true, false]\n");
}

// ---- standard streams

#[test]
fn closed_streams() {
    let script = "print(cmd(\"cat\").read() + \"|\");\nprint(sh(\"echo out; echo err >&2\").capture().stdout);\ncmd(\"true\").run();\n\
                  let c = cmd(\"cat\").start(); c.write(\"x\\n\"); print(c.read_line());\n";
    within("exec $ORCH <&-", script).prints("|\nout\n\nx\n");
    within("exec $ORCH 2>&-", script).is(0, "|\nout\n\nx\n", "");
    let quiet = within("exec $ORCH >&- <&-", "cmd(\"echo\", \"x\").run();\nsh(\"exit 3\").exec();\n");
    assert_eq!((quiet.stdout.as_str(), quiet.status), ("", 3), "{}", quiet.for_people());
    // A file that is opened where a stream should be must not become one.
    let seen = within(
        "exec $ORCH <&- >&- 2>&-",
        "let c = cmd(\"cat\").start(); c.write(\"x\\n\");\n\
         if c.read_line() == \"x\" && sh(\"echo y\").capture().stdout == \"y\\n\" { exit(9); }\n",
    );
    seen.is(9, "", "");
}

#[test]
fn the_reader_of_orch_is_gone() {
    let mut family = Family::new();
    let script = format!("let child = sh(`{}`).start();\nfor i in 0..1000000 {{ print(i); }}\n", family.everyone());
    let seen = within("$ORCH | head -2", &script).without_waiting();
    assert!(seen.stdout == "0\n1\n" && seen.stderr.lines().count() <= 6, "{}", seen.for_people());
    family.is_gone();
    let seen = within(
        "$ORCH | head -1",
        &format!("sh(`echo first; {} & wait`).run();\n", family.sleep()).replace(" & wait", " & yes"),
    );
    assert_eq!(seen.stdout, "first\n");
    family.is_gone();
}

// ---- memory

/// A start does not copy what orch holds.
#[test]
fn much_data_in_the_script() {
    let script = "let kept = []; for i in 0..8 { kept.push(cmd(\"head\", \"-c\", 134217728, \"/dev/zero\").capture().stdout); }\n\
                  for i in 0..20 { cmd(\"true\").run(); }\nprint(kept.len);\nprint(cmd(\"wc\", \"-c\").stdin(kept[0]).read());\n";
    Program::script(script).run().prints("8\n134217728\n");
}

/// A limit of the address space is an error or works, and nothing worse.
#[test]
fn little_address_space() {
    let script = "let done = cmd(\"head\", \"-c\", 100000000, \"/dev/zero\").capture();\nprint(done.stdout.len);\n";
    let seen = within("ulimit -v 1500000; exec $ORCH", script);
    seen.prints("100000000\n");
}

// ---- somebody else's processes

/// What runs as another user, as under `sudo`, cannot be ended: orch says so and ends all the same.
#[test]
fn what_cannot_be_ended() {
    if !is_root() {
        return skipped("a setuid program", "only root can make one");
    }
    let mut family = Family::new();
    let number = family.sleep().split(' ').next_back().unwrap().to_string();
    let script = format!(
        "let theirs = cmd(\"./become\", \"--reuid=0\", \"--regid=0\", \"--clear-groups\", \"sleep\", \"{number}\").start();\n\
         let mine = cmd(\"sleep\", 1000).start();\nprint(\"ready\");\n\
         while pid_alive(theirs.pid) && fs::read(`/proc/${{theirs.pid}}/comm`) != \"sleep\\n\" {{ sleep(0.01); }}\n\
         print(pid_alive(theirs.pid));\n"
    );
    let line = "cp \"$(which setpriv)\" become && chmod 4755 become && \
                exec setpriv --reuid=54321 --regid=54321 --clear-groups \"$0\" run script.rhai";
    let seen = within(line, &script).without_waiting();
    if seen.stdout != "ready\ntrue\n" {
        return skipped("a setuid program", seen.for_people().as_str());
    }
    let told = seen.stderr.starts_with("note: process ")
        && seen.stderr.ends_with(" (sleep) belongs to somebody else and was left\n");
    assert!(seen.status == 0 && told, "{}", seen.for_people());
    assert_eq!(family.alive().len(), 1);
    family.end();
    family.is_gone();
}

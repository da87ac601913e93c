//! Nothing is left behind: whatever a command started is ended with it, and everything with orch, however that ends; and
//! nobody else is. In real time, with processes that try everything to escape.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use crate::whole;
use crate::whole::family::{EVERYONE, Family, eventually, processes};
use crate::whole::live::Live;
use crate::whole::program::{Program, Seen};

/// A script that starts everyone as `child`, says "ready", and goes on with `then`.
fn with_everyone(family: &Family, then: &str) -> String {
    format!("let child = sh(`{}`).kill_after(0.2).start();\nprint(\"ready\");\n{then}\n", family.everyone())
}

/// Runs `then` beside everyone, once all are there, and waits for the end.
#[track_caller]
fn ended_by(then: &str) -> Seen {
    let mut family = Family::new();
    let live = Live::ready(&with_everyone(
        &family,
        &format!("while !sh(\"test -e go\").unchecked().run().ok {{ sleep(0.05); }}\n{then}"),
    ));
    family.wait_for(EVERYONE);
    live.put_file("go");
    let seen = live.end();
    family.is_gone();
    seen.without_waiting()
}

#[test]
fn terminate_ends_all() {
    ended_by("child.terminate(); print(child.wait().signal);").prints("ready\nTERM\n");
}

#[test]
fn kill_ends_all() {
    ended_by("child.kill(); print(child.wait().signal);").prints("ready\nKILL\n");
}

#[test]
fn leaving_a_block_ends_all() {
    ended_by("with child { }\nprint(\"left\");").prints("ready\nleft\n");
}

#[test]
fn the_end_of_the_script_ends_all() {
    ended_by("print(\"over\");").prints("ready\nover\n");
}

#[test]
fn an_error_of_the_script_ends_all() {
    let seen = ended_by("throw \"broken\";");
    assert!(seen.status == 1 && seen.stderr.starts_with("error: Thrown: broken\n"), "{}", seen.for_people());
}

#[test]
fn exit_ends_all() {
    ended_by("exit(7);").is(7, "ready\n", "");
}

/// While the script runs on, those that the command started are gone already.
#[test]
fn timeout_ends_all_while_the_script_goes_on() {
    let mut family = Family::new();
    let script = format!(
        "print(\"ready\");\ntry {{ sh(`{}`).timeout(1.5).kill_after(0.5).run(); }} catch (e) {{ print(e.kind); }}\nsleep(1000);\n",
        family.everyone()
    );
    let mut live = Live::ready(&script);
    live.says("TimeoutError");
    family.is_gone();
    live.signal("KILL");
    live.end();
}

/// Section 6, 3 of the plan: as it stands there.
#[test]
fn a_timeout_leaves_no_sleeper() {
    let mut family = Family::new();
    let sleep = family.sleep();
    let script = format!("cmd(\"sh\", \"-c\", \"{sleep} & setsid {sleep} & {sleep}\").timeout(0.2).run();\n");
    let seen = Program::script(&script).run();
    assert!(seen.status == 1 && seen.stderr.starts_with("error: TimeoutError: `sh -c '"), "{}", seen.for_people());
    family.is_gone();
}

#[test]
fn signals_end_all() {
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        // At once, since each mostly waits for the grace of those who are deaf.
        thread::scope(|scope| {
            for then in ["child.wait();", "sleep(1000);", "let n = 0; loop { n += 1; }"] {
                scope.spawn(move || {
                    let mut family = Family::new();
                    let live = Live::ready(&with_everyone(&family, then));
                    family.wait_for(EVERYONE);
                    if then.ends_with(");") {
                        live.waits("\"main\": waits in ", 1);
                    }
                    live.signal(signal);
                    let seen = live.end();
                    let reports = seen.stderr.matches("error:").count();
                    assert!(seen.status == status && reports == 1, "{signal} {then}: {}", seen.for_people());
                    family.is_gone();
                });
            }
        });
    }
}

/// Section 6, 4: the guard ends them, and then itself.
#[test]
fn killing_orch_ends_all() {
    let mut family = Family::new();
    let script = format!(
        "let all = []; for i in 0..4 {{ all.push(sh(`{}`).start()); }}\nprint(\"ready\");\nsleep(1000);\n",
        family.everyone()
    );
    let live = Live::ready(&script);
    family.wait_for(4 * EVERYONE);
    let guards = guards_of(live.pid());
    assert_eq!(guards.len(), 1, "{guards:?}");
    live.signal("KILL");
    assert_eq!(live.end().status, -9);
    family.is_gone();
    eventually(|| (!processes().iter().any(|p| guards.contains(p))).then_some(()), || "the guard is left".into());
}

fn guards_of(orch: u32) -> Vec<(u32, String)> {
    let parent = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|l| l.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    processes().into_iter().filter(|(pid, line)| line.contains(" __guard ") && parent(*pid) == Some(orch)).collect()
}

/// The guard goes with orch, and its end harms nobody: orch goes on without it.
#[test]
fn the_guard_comes_and_goes() {
    let mut live = Live::ready(
        "print(\"ready\");\ncmd(\"true\").run();\nprint(\"guarded\");\n\
                                for i in 0..600 { sleep(0.1); if sh(\"test -e go\").unchecked().run().ok { break; } }\n\
                                print(cmd(\"echo\", \"still\").read());\n",
    );
    live.says("guarded");
    let guards = guards_of(live.pid());
    assert_eq!(guards.len(), 1, "{guards:?}");
    let (guard, _) = guards[0];
    for signal in ["-INT", "-TERM", "-HUP", "-KILL"] {
        assert!(Command::new("kill").args([signal, &guard.to_string()]).status().unwrap().success());
    }
    live.put_file("go");
    live.end().prints("ready\nguarded\nstill\n");
}

/// A leader that is gone leaves those behind that do not hear TERM: they are waited for, and killed.
#[test]
fn those_whose_leader_is_gone_are_ended_too() {
    for how in ["timeout(0.3).kill_after(0.3).run()", "timeout(0.3).kill_after(0.3).capture()"] {
        let mut family = Family::new();
        let sleep = family.sleep();
        let script = format!(
            "try {{ sh(`(trap '' TERM; exec {sleep}) & (trap '' TERM; exec setsid {sleep}) & sleep 60`).{how}; }} \
             catch (e) {{ print(e.kind); }}\nprint(\"ready\");\nsleep(1000);\n"
        );
        let live = Live::ready(&script);
        family.is_gone();
        live.signal("KILL");
        assert_eq!(live.end().stdout, "TimeoutError\nready\n");
    }
}

/// Section 6, 5.
#[test]
fn one_report_however_many_wait() {
    let mut family = Family::new();
    let script = format!(
        "let q = Queue();\nlet feeder = spawn_thread(|| {{ sleep(1000); q.put(1); }});\n\
         for i in 0..100 {{ spawn_thread(|| q.get()); }}\n\
         for i in 0..10 {{ spawn_thread(|| feeder.join()); }}\n\
         let children = []; for i in 0..4 {{ children.push(sh(`{}`).start()); }}\nprint(\"ready\");\nfeeder.join();\n",
        family.sleep()
    );
    let live = Live::ready(&script);
    family.wait_for(4);
    // The main script and all the others are in their last calls then.
    live.waits(": waits in get()", 100);
    live.waits(": waits in join()", 11);
    live.signal("INT");
    let seen = live.end();
    let one = seen.stderr.starts_with("error: Interrupted: interrupted by INT\n")
        && seen.stderr.matches("error:").count() == 1;
    assert!(seen.status == 130 && one, "{}", seen.for_people());
    family.is_gone();
}

/// The second one does not wait for a command that was given all the time of the world, wherever the first has got to.
#[test]
fn the_second_signal_ends_at_once() {
    let said = "print(\"interrupted\");";
    for wait in [
        "child.wait();".to_string(),
        format!("try {{ child.wait(); }} catch {{ {said} }} sleep(1000);"),
        format!("loop {{ try {{ sleep(1000); }} catch {{ {said} }} }}"),
    ] {
        let mut family = Family::new();
        let deaf = format!("trap '' TERM INT; echo ready; exec {}", family.sleep());
        let script = format!("let child = sh(`{deaf}`).kill_after(1000).start();\nprint(child.read_line());\n{wait}\n");
        let mut live = Live::ready(&script);
        family.wait_for(1);
        live.signal("INT");
        // Two that come before the first was taken are one.
        if wait.contains(said) {
            live.says("interrupted");
        } else {
            live.reports("note: still waiting for the end");
        }
        live.signal("INT");
        let seen = live.end();
        assert_eq!(seen.status, 130, "{wait}: {}", seen.for_people());
        family.is_gone();
    }
}

/// Section 6, 17.
#[test]
fn a_child_has_the_signals_that_orch_was_given_and_a_group_of_its_own() {
    // As this test has got them, so has orch.
    let given = |before: &str| {
        let line = format!("{before}grep -E '^Sig(Blk|Ign)' /proc/self/status");
        let output = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let script = "\
        fn masks() { sh(\"grep -E '^Sig(Blk|Ign)' /proc/self/status\").read() }\n\
        let here = masks();\n\
        print(here);\n\
        for i in 0..8 { if spawn_thread(|| masks()).join() != here { print(\"another in a thread\"); } }\n\
        with ThreadPoolExecutor(2) as pool { if pool.submit(|| masks()).result() != here { print(\"another in a pool\"); } }\n\
        if sh(\"grep -E '^Sig(Blk|Ign)' /proc/self/status\").pipe(cmd(\"cat\")).read() != here { print(\"another in a pipe\"); }\n\
        let child = spawn_thread(|| cmd(\"sleep\", 1000).start()).join();\n\
        sleep(0.2);\n\
        print(child.poll() == ());\n\
        print(parse_int(sh(\"cut -d' ' -f5 /proc/$1/stat\").arg(child.pid).read()) == child.pid);\n";
    Program::script(script).run().prints(&format!("{}true\ntrue\n", given("")));
    // What orch was told to ignore, as by nohup, its children ignore too.
    let program = Program::script("print(sh(\"grep -E '^Sig(Blk|Ign)' /proc/self/status\").read());\n");
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' USR1; exec \"$0\" run script.rhai", env!("CARGO_BIN_EXE_orch")]);
    shell.current_dir(program.own_folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let seen = whole::program::finish(shell.spawn().unwrap(), "trap '' USR1".into());
    seen.prints(&given("trap '' USR1; "));
    assert_ne!(given("trap '' USR1; "), given(""));
}

/// Each of them holds both outputs.
#[test]
fn two_who_hold_the_output_are_named_once() {
    let mut family = Family::new();
    let sleep = family.sleep();
    let seen = Program::script(&format!("print(sh(`{sleep} & {sleep} & echo hi`).capture().note);\n")).run();
    let holders = seen.stdout.matches(&format!("({sleep})")).count();
    assert!(seen.status == 0 && holders == 2, "{}", seen.for_people());
    family.is_gone();
}

/// Section 6, 20.
#[test]
fn who_holds_the_output_is_named() {
    let mut family = Family::new();
    let sleep = family.sleep();
    let script = format!(
        "let done = sh(`{sleep} & echo hi`).capture();\nprint(done.stdout);\nprint(done.note);\nprint(sh(`{sleep} & echo $!`).capture().stdout.len > 1);\n\
         for l in sh(`{sleep} & echo line`).lines() {{ print(l); }}\nprint(sh(`{sleep} & echo last`).read());\n\
         let c = sh(`{sleep} 2>&1 & echo started`).start();\nprint(c.wait().note.contains(\"({sleep})\"));\n\
         try {{ sh(`{sleep} & exit 3`).capture(); }} catch (e) {{ print(e.message); }}\n"
    );
    let seen = Program::script(&script).run();
    let wanted = format!(
        "hi\n\nits output was still held open by process N ({sleep})\ntrue\nline\nlast\ntrue\n\
         `{sleep} & exit 3` failed with exit code 3\n  note: its output was still held open by process N ({sleep})\n"
    );
    let mut stdout = String::new();
    for line in seen.stdout.lines() {
        let (before, after) = line.split_once("process ").unwrap_or((line, ""));
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        stdout += &if rest.len() < after.len() { format!("{before}process N{rest}\n") } else { format!("{line}\n") };
    }
    assert!(seen.status == 0 && stdout == wanted && seen.stderr.is_empty(), "{}", seen.for_people());
    family.is_gone();
}

/// An orch that is a command of another one is ended with it, with all of its own; and one that is killed has its own guard.
#[test]
fn an_orch_in_an_orch() {
    let outer = |family: &Family, then: &str| {
        let inner = format!("let child = sh(`{}`).start();\nchild.wait();\n", family.everyone());
        let script = format!(
            "let inner = cmd(\"{}\", \"run\", \"inner.rhai\").kill_after(20).start();\nprint(\"ready\");\n{then}\n",
            env!("CARGO_BIN_EXE_orch")
        );
        let mut live = Live::start(Program::script(&script).file("inner.rhai", inner.as_bytes()));
        live.says("ready");
        family.wait_for(EVERYONE);
        live
    };
    let mut family = Family::new();
    let live = outer(&family, "sleep(1000);");
    live.signal("INT");
    assert_eq!(live.end().status, 130);
    family.is_gone();

    let live = outer(&family, "sleep(1000);");
    live.signal("KILL");
    assert_eq!(live.end().status, -9);
    family.is_gone();

    let live = outer(
        &family,
        "while !sh(\"test -e go\").unchecked().run().ok { sleep(0.05); }\nkill(inner.pid, \"KILL\");\n\
                               try { inner.wait(); } catch (e) { print(e.signal); }\nprint(\"on\"); sleep(1000);",
    );
    live.put_file("go");
    let mut live = live;
    live.says("on");
    family.is_gone();
    live.signal("KILL");
    assert_eq!(live.end().stdout, "ready\nKILL\non\n");
}

/// Somebody who was there before orch is no concern of orch's: a shell leaves its children to the program it becomes.
#[test]
fn children_of_a_shell_that_became_orch_stay() {
    let mut family = Family::new();
    let mut other = Family::new();
    let program = Program::script(&format!("let child = sh(`{}`).start();\nsleep(0.3);\n", family.everyone()));
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &format!("{} >/dev/null 2>&1 & exec \"$0\" run script.rhai", other.sleep()),
        env!("CARGO_BIN_EXE_orch"),
    ]);
    shell.current_dir(program.own_folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let seen = whole::program::finish(shell.spawn().unwrap(), "exec".into());
    seen.without_waiting().prints("");
    family.is_gone();
    assert_eq!(other.alive().len(), 1);
    other.end();
    other.is_gone();
}

//! What runs while somebody types, and how it is stopped.

use super::screen::{Screen, repl};
use super::whole::pty::{CTRL_C, CTRL_D};

/// Types an entry that does not come to its end, waits until it says that it has begun, and stops it.
#[track_caller]
fn is_stopped(screen: &mut Screen, entry: &str, keys: &str) {
    screen.types(entry);
    screen.types("\r");
    screen.until("the entry to run", |screen| screen.text().lines().last() == Some("runs"));
    screen.types(keys);
    screen.at_prompt();
    screen.shows("error: Interrupted: interrupted by INT");
    screen.enters("\"after\" + 1");
    screen.shows("\n\"after1\"\n");
    screen.types("\x0c");
    screen.until("a clear screen", |screen| !screen.text().contains("Interrupted") && screen.is_at_prompt());
}

#[test]
fn ctrl_c_stops_what_runs_and_not_the_repl() {
    let mut screen = repl();
    screen.enters("let l = Lock(); let held = Event();");
    screen.enters("let owner = spawn_thread(|| { l.acquire(); held.set(); sleep(10000); }); held.wait()");
    is_stopped(&mut screen, "print(\"ru\" + \"ns\"); loop { }", CTRL_C);
    is_stopped(&mut screen, "print(\"ru\" + \"ns\"); l.acquire()", CTRL_C);
    is_stopped(&mut screen, "print(\"ru\" + \"ns\"); sleep(10000)", CTRL_C);
    is_stopped(&mut screen, "sh(\"echo ru'n's; exec sleep 10000\").run()", CTRL_C);
    is_stopped(
        &mut screen,
        "with ThreadPool(2) as p { print(\"ru\" + \"ns\"); p.map(|n| sleep(n), [10000, 10000]) }",
        CTRL_C,
    );
    // One that does not want to hear.
    let deaf = "fn deaf() { loop { try { print(\"ru\" + \"ns\"); sleep(10000) } catch (e) { } } } deaf()";
    screen.types(deaf);
    screen.types("\r");
    screen.until("the entry to run", |screen| screen.text().lines().last() == Some("runs"));
    screen.types(CTRL_C);
    screen.until("it to go on", |screen| screen.text().matches("runs").count() == 2);
    screen.types(CTRL_C);
    screen.at_prompt();
    screen.shows("error: Interrupted: interrupted by INT");
    // What was started before has not heard of any of it.
    screen.enters("owner.is_alive()");
    screen.shows("\ntrue\n");
    screen.enters("owner.cancel()");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn threads_print_above_the_line_that_is_typed() {
    let mut screen = Screen::start(&[], &[], (60, 50), tempfile::tempdir().unwrap());
    screen.enters("let stop = Event(); let t = spawn_thread(|| { let i = 0; while !stop.is_set() { i += 1; print(`tick ${i} `); sleep(0.002); } });");
    screen.until("some words", |screen| screen.text().contains("tick 30\n"));
    // A line that wraps, typed key by key, with the cursor moved back into it.
    let entry = "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"bbbbbbbbbbbbbbbbbbbbbb\"].len()";
    for key in entry.chars() {
        screen.types(&key.to_string());
        screen.look(std::time::Duration::from_millis(5));
        let text = screen.text();
        assert!(text.matches("orch> [").count() <= 1, "{text}");
    }
    screen.types("\x1b[D\x1b[D + 1\x1b[F");
    screen.until("the whole line", |screen| screen.text().replace('\n', "").contains("bbbb\"].len + 1()"));
    screen.types("\x1b[D\x1b[D\x7f\x7f\x7f\x7f\x1b[F\r");
    screen.until("the result", |screen| screen.text().lines().any(|line| line == "2"));
    screen.types("stop.set()\r");
    screen.until("silence", |screen| screen.is_at_prompt() && screen.text().contains("stop.set()"));
    screen.enters("t.join()");
    // Each line stands by itself.
    let torn =
        screen.text().lines().any(|line| line.contains("tick") && !line.contains("${i}") && !line.starts_with("tick"));
    assert!(!torn, "{}", screen.text());
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn processes_know_what_was_typed_and_print_above_the_prompt() {
    let mut screen = repl();
    screen.enters("const BASE = 100; fn double(n) { n * 2 }");
    screen.enters("fn work(n) { print(`in a process ${n}`); double(n) + global::BASE }");
    screen.enters("let q = Queue(); let k = 5");
    screen.enters("let p = spawn_process(work, [4]); p.join()");
    screen.shows("in a process 4\n108\n");
    screen.enters("spawn_process(|| { q.put(double(k)); double(k) }).join()");
    screen.shows("\n10\n");
    screen.enters("q.get() + 1");
    screen.shows("\n11\n");
    screen.enters("with Pool(2) as pool { pool.map(work, [1, 2]) }");
    screen.shows("[102, 104]");
    // One that prints while somebody types.
    screen.enters("let late = spawn_process(|| { for i in 0..3 { sleep(0.1); print(`late ${i}`); } });");
    screen.types("let typed = 1");
    screen.shows("late 2\norch> let typed = 1");
    screen.enters("");
    screen.enters("fn bad() { no_such_thing } spawn_process(bad).join()");
    screen.shows("--> repl:10:1:12, in process \"Process-4\"");
    // Nobody asks about this one: it is told before the next prompt, once.
    screen.enters("let failing = spawn_thread(bad); while failing.is_alive() { sleep(0.01); }");
    screen.shows("error: ErrorVariableNotFound: there is no variable \"no_such_thing\" here\n  --> repl:10:1:12, in thread \"Thread-1\"");
    screen.enters("1 + 1");
    let seen = screen.leaves().0;
    assert_eq!(seen.status, 0, "{}", seen.for_people());
    assert_eq!(seen.stdout.matches("in thread \"Thread-1\", made").count(), 1, "{}", seen.for_people());
}

#[test]
fn a_command_has_the_terminal_and_gives_it_back() {
    let mut screen = repl();
    screen.types("cmd(\"cat\").run();\r");
    screen.until("the terminal to be lent", |screen| screen.is_cooked());
    screen.types("typed into cat\n");
    screen.until("what cat says", |screen| screen.text().matches("typed into cat").count() == 2);
    screen.types(CTRL_D);
    screen.at_prompt();
    screen.enters("sh(\"stty -a | tr ' ;' '\\n\\n' | grep -x -e -icanon -e icanon\").run();");
    screen.shows("\nicanon\n");
    // In the background there is no terminal to read from.
    screen.enters("let t = spawn_thread(|| cmd(\"cat\").run());");
    screen.enters("t.join()");
    screen.shows("Completed(`cat`, ok");
    screen.enters("let t = spawn_thread(|| sh(\"sleep 0.1; echo from a command\").run());");
    screen.types("1 + ");
    screen.shows("from a command\norch> 1 +");
    screen.types("1\r");
    screen.shows("\n2\n");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn a_command_whose_lines_nobody_takes_gives_way_to_the_prompt() {
    let mut screen = repl();
    screen.enters("let ended = cmd(\"seq\", 3).lines()");
    screen.enters("let reads = sh(\"read x; echo got $x\").lines()");
    // The reader was interrupted in its reading: what is typed now is not its.
    screen.enters("6 * 7");
    screen.shows("\n42\n");
    screen.types("sh(\"read y; echo had $y\").run();\r");
    screen.until("the terminal to be lent", |screen| screen.is_cooked());
    screen.types("for run\n");
    screen.shows("had for run\n");
    screen.at_prompt();
    screen.enters("for line in ended { print(`<${line}>`) }");
    screen.shows("\n<1>\n<2>\n<3>\n");
    // It is waited for, so it has the terminal again.
    screen.types("for line in reads { print(line) }\r");
    screen.until("the terminal to be lent", |screen| screen.is_cooked());
    screen.types("for lines\n");
    screen.shows("got for lines\n");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn a_deadlock_is_told_and_what_could_still_be_done_is_none() {
    let mut screen = repl();
    screen.enters("let l = Lock(); l.acquire()");
    screen.enters("let t = spawn_thread(|| { l.acquire(); \"has it\" });");
    screen.enters("l.acquire()");
    screen.shows("error: DeadlockError: ");
    screen.enters("t.is_alive()");
    screen.shows("\ntrue\n");
    screen.enters("l.release()");
    screen.enters("t.join()");
    screen.shows("\n\"has it\"\n");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn the_end_waits_for_threads_and_ctrl_c_ends_the_wait() {
    let mut screen = repl();
    screen.enters("let t = spawn_thread(|| { while !fs::exists(\"go\") { sleep(0.05); } print(\"do\" + \"ne\"); });");
    screen.types(CTRL_D);
    screen.shows("note: waiting for 1 thread or process to end; Ctrl-C cancels");
    std::fs::write(screen.folder().join("go"), "").unwrap();
    let (seen, folder) = screen.end();
    assert!(seen.status == 0 && seen.stdout.contains("\r\ndone"), "{}", seen.for_people());
    let mut screen = Screen::start(&[], &[], (24, 80), folder);
    screen.enters("let t = spawn_thread(|| sleep(10000));");
    screen.types(CTRL_D);
    screen.shows("note: waiting for 1 thread");
    screen.types(CTRL_C);
    assert_eq!(screen.end().0.status, 130);
}

#[test]
fn signals_and_exit_leave_the_terminal_as_it_was() {
    let mut screen = repl();
    screen.types("half a li");
    screen.shows("half a li");
    kill(screen.pid(), "TERM");
    screen.until("the terminal as it was", Screen::is_cooked);
    assert_eq!(screen.end().0.status, 143);
    let mut screen = repl();
    screen.enters("let t = spawn_thread(|| { sleep(0.2); exit(5); });");
    screen.until("the terminal as it was", Screen::is_cooked);
    assert_eq!(screen.end().0.status, 5);
    let mut screen = repl();
    screen.enters("let handled = 0; on_signal(\"USR1\", || print(\"ha\" + \"ndled\"))");
    kill(screen.pid(), "USR1");
    screen.shows("\nhandled\norch>");
    screen.types("junk");
    screen.until("the junk", |screen| screen.line() == "orch> junk");
    kill(screen.pid(), "INT");
    screen.at_prompt();
    screen.enters("1 + 1");
    screen.shows("\n2\n");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn it_ends_with_its_terminal() {
    for entry in [
        "",
        "print(\"ru\" + \"ns\"); sleep(1000)\r",
        "print(\"ru\" + \"ns\"); loop { }\r",
        "spawn_thread(|| sleep(1000));\r",
    ] {
        let mut screen = repl();
        screen.types(entry);
        if entry.contains("ru") {
            screen.shows("\nruns");
        }
        assert_eq!(screen.hangs_up().status, 129, "{entry}");
    }
}

fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn what_is_typed_while_an_entry_runs_is_run_after_it() {
    let mut screen = repl();
    screen.types("sh(\"echo ru'n's; until test -e go; do sleep 0.05; done\").run();\r");
    screen.until("the entry to run", |screen| screen.text().lines().last() == Some("runs"));
    screen.types("fn f(n) {\r  n * 3\r}\rf(5)\r`and ${f(6)}`\r1 + ");
    std::fs::write(screen.folder().join("go"), "").unwrap();
    screen.until("what was typed ahead", |screen| screen.line() == "orch> 1 +");
    let text = screen.text();
    let wanted = "orch> fn f(n) {\n  ...   n * 3\n  ... }\norch> f(5)\n15\norch> `and ${f(6)}`\n\"and 18\"\norch> 1 +";
    assert!(text.ends_with(wanted), "{text}");
    screen.enters("1");
    screen.shows("\n2\n");
    let folder = screen.leaves().1;
    let kept = std::fs::read_to_string(folder.path().join("history")).unwrap();
    assert!(kept.ends_with("fn f(n) {<\\n>  n * 3<\\n>}\nf(5)\n`and ${f(6)}`\n1 + 1\n"), "{kept}");
}

//! The command line as a person meets it: what is run and how, what is printed where, and every exit status.

use std::process::{Command, Stdio};

use crate::whole::program::{Program, Seen, finish, orch};

/// Runs a script in both worlds: it has to behave the same.
#[track_caller]
fn both(script: &str, status: i32, stdout: &str, stderr: &str) {
    Program::script(script).is(status, stdout, stderr);
    Program::sim(script).is(status, stdout, stderr);
}

#[track_caller]
fn refuses(seen: &Seen, words: &[&str]) {
    let fits = seen.status == 2 && seen.stdout.is_empty() && words.iter().all(|w| seen.stderr.contains(w));
    assert!(fits, "wanted a refusal with {words:?}: {}", seen.for_people());
}

// ------------------------------------------------------------------------------------------- run

#[test]
fn arguments_come_as_typed() {
    let script = "for a in args() { print(`[${a}]`); }\nprint(args().len());\n";
    let given = ["-x", "--sim", "--", "--seed", "a b", "", "ü", "--help"];
    let program = given.iter().fold(Program::script(script), |p, word| p.arg(word));
    program.is(0, "[-x]\n[--sim]\n[--]\n[--seed]\n[a b]\n[]\n[ü]\n[--help]\n8\n", "");
}

#[test]
fn two_dashes_end_the_options() {
    let program = Program::script_with(&["run", "--sim", "--"], "print(args());\n").arg("--").arg("-v");
    program.is(0, "[\"--\", \"-v\"]\n", "");
}

#[test]
fn a_dash_reads_the_standard_input() {
    let program = orch(["run", "--seed", "3", "--sim", "-", "a", "-"]).stdin("print(args());\nthrow \"here\";\n");
    let report = "error: Thrown: here\n  --> -:2:1\n  |\n2 | throw \"here\";\n  | ^\n";
    program.is(1, "[\"a\", \"-\"]\n", report);
}

#[test]
fn a_first_line_for_the_system_is_no_code() {
    Program::script("#!/usr/bin/env -S orch run\nprint(\"a\");\nthrow 1;\n").is(
        1,
        "a\n",
        "error: Thrown: 1\n  --> script.rhai:3:1\n  |\n3 | throw 1;\n  | ^\n",
    );
}

#[test]
fn a_script_can_be_started_by_its_name() {
    use std::os::unix::fs::PermissionsExt;
    let text = format!("#!{} run\nprint(args());\n", env!("CARGO_BIN_EXE_orch"));
    let program = Program::script(&text);
    let path = program.own_folder().join("script.rhai");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let child = Command::new(&path).arg("--sim").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(child, "script.rhai".into()).is(0, "[\"--sim\"]\n", "");
}

#[test]
fn what_cannot_be_read_is_status_2() {
    orch(["run", "nowhere.rhai"]).is(2, "", "error: there is no script nowhere.rhai\n");
    orch(["run", "src"]).is(2, "", "error: cannot read src: Is a directory (os error 21)\n");
    let program = orch(["run", "x.rhai"]).file("x.rhai", b"print(1);\n// \xff\n").in_its_folder();
    program.is(2, "", "error: x.rhai is not valid UTF-8 (line 2)\n");
}

#[test]
fn odd_files_run() {
    both("", 0, "", "");
    both("print(\"a\");\r\nprint(\"b\");\r\n", 0, "a\nb\n", "");
    both("\u{feff}print(\"a\");\n", 0, "a\n", "");
    both("print(\"no newline at the end\")", 0, "no newline at the end\n", "");
    let long = format!("let s = \"{}\"; print(s.len());\n", "x".repeat(1 << 20));
    both(&long, 0, "1048576\n", "");
}

#[test]
fn an_error_in_a_file_with_carriage_returns_is_shown_without_them() {
    both("let a = 1;\r\nthrow 1;\r\n", 1, "", "error: Thrown: 1\n  --> script.rhai:2:1\n  |\n2 | throw 1;\n  | ^\n");
}

#[test]
fn until_ends_a_run_in_order() {
    let endless = "print(\"a\");\nloop { sleep(10); }\n";
    Program::script_with(&["run", "--sim", "--until", "45"], endless).is(0, "a\n", "");
    Program::script_with(&["run", "--until", "0.2"], endless).is(0, "a\n", "");
    for world in [&["run", "--until", "0"][..], &["run", "--sim", "--until", "0"]] {
        let seen = Program::script_with(world, endless).run();
        assert!(seen.status == 0 && seen.stderr.is_empty(), "{}", seen.for_people());
    }
    for huge in ["1e300", "inf", "99999999999999999999"] {
        Program::script_with(&["run", "--until", huge], "print(1);\n").is(0, "1\n", "");
        Program::script_with(&["run", "--sim", "--until", huge], "sleep(1e9);\nprint(1);\n").is(0, "1\n", "");
    }
}

#[test]
fn until_ends_threads_that_hold_what_others_wait_for() {
    let script = r#"
let lock = Lock();
for i in 0..20 { spawn_thread(|| { lock.acquire(); sleep(1000); }); }
sleep(1000);
"#;
    Program::script_with(&["run", "--sim", "--until", "5"], script).is(0, "", "");
    Program::script_with(&["run", "--until", "0.3"], script).is(0, "", "");
}

#[test]
fn until_lets_blocks_be_left() {
    let script = r#"
with ThreadPoolExecutor(2) as pool {
    pool.submit(|| sleep(1000));
    with Lock() as lock { loop { sleep(1); } }
}
"#;
    Program::script_with(&["run", "--sim", "--until", "5"], script).is(0, "", "");
    Program::script_with(&["run", "--until", "0.3"], script).is(0, "", "");
}

#[test]
fn wrong_options_are_status_2() {
    refuses(&orch(["run", "--seed", "3", "x.rhai"]).run(), &["--sim"]);
    refuses(&orch(["run", "--sim", "--seed", "many", "x.rhai"]).run(), &["many", "--seed"]);
    refuses(&orch(["run", "--until", "-1", "x.rhai"]).run(), &["-1"]);
    refuses(&orch(["run", "--until=-1", "x.rhai"]).run(), &["-1", "0 or more"]);
    refuses(&orch(["run", "--until", "soon", "x.rhai"]).run(), &["soon", "a number of seconds"]);
    refuses(&orch(["run", "--until", "nan", "x.rhai"]).run(), &["nan"]);
    refuses(&orch(["run", "--fast", "x.rhai"]).run(), &["--fast"]);
    refuses(&orch(["run"]).run(), &["<SCRIPT>"]);
    refuses(&orch(["jump"]).run(), &["jump"]);
    refuses(&orch(["eval"]).run(), &["<CODE>"]);
    refuses(&orch([]).run(), &["Usage"]);
}

// ------------------------------------------------------------------------------------------ eval

#[test]
fn eval_shows_the_value() {
    orch(["eval", "1 + 1"]).is(0, "2\n", "");
    orch(["eval", "\"a\""]).is(0, "\"a\"\n", "");
    orch(["eval", "[1, \"b\", 2.5, ()]"]).is(0, "[1, \"b\", 2.5, ()]\n", "");
    orch(["eval", "#{a: \"x\"}"]).is(0, "#{\"a\": \"x\"}\n", "");
    orch(["eval", "()"]).is(0, "", "");
    orch(["eval", "let a = 1;"]).is(0, "", "");
    orch(["eval", "print(\"a\"); 5"]).is(0, "a\n5\n", "");
    orch(["eval", "--sim", "sleep(1000); spawn_thread(|| 6 * 7).join()"]).is(0, "42\n", "");
}

#[test]
fn eval_reports_errors() {
    let report = "error: ErrorArithmetic: Division by zero: 1 / 0\n  --> <eval>:1:3\n  |\n1 | 1 / 0\n  |   ^\n";
    orch(["eval", "1 / 0"]).is(1, "", report);
    let seen = orch(["eval", "1 +"]).run();
    assert!(seen.status == 1 && seen.stderr.contains("<eval>:1"), "{}", seen.for_people());
    assert_eq!(orch(["eval", "Queue().get()"]).run().status, 3);
    orch(["eval", "exit(5)"]).is(5, "", "");
}

// ------------------------------------------------------------------ doc, completions, help, version

#[test]
fn doc_shows_one_entry_or_says_what_is_near() {
    let seen = orch(["doc", "RLock"]).run();
    let begins = seen.stdout.starts_with("### `RLock()`\n") && seen.stdout.contains("```rhai\n");
    assert!(seen.status == 0 && begins && seen.stderr.is_empty(), "{}", seen.for_people());
    for word in ["Lock.acquire", "acquire()", "Queue", "value"] {
        assert_eq!(orch(["doc", word]).run().status, 0, "{word}");
    }
    orch(["doc", "aquire"]).is(1, "", "error: there is nothing called \"aquire\"; did you mean \"acquire\"?\n");
    orch(["doc", "xyzxyzxyz"]).is(1, "", "error: there is nothing called \"xyzxyzxyz\"\n");
}

#[test]
fn doc_writes_definitions() {
    let program = orch(["doc", "--definitions", "new/defs"]).in_its_folder();
    let folder = program.own_folder().join("new/defs");
    let seen = finish(program.command().spawn().unwrap(), "doc".into());
    seen.is(0, "", "");
    let written: String =
        std::fs::read_dir(folder).unwrap().map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
    assert!(written.contains("fn Queue(") && written.contains("fn spawn_thread("), "{written}");
}

#[test]
fn completions_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        let seen = orch(["completions", shell]).run();
        let whole = ["orch", "run", "eval", "doc", "until", "sim"].iter().all(|w| seen.stdout.contains(w));
        assert!(seen.status == 0 && whole && seen.stderr.is_empty(), "{shell}: {}", seen.for_people());
    }
    refuses(&orch(["completions", "cmd.exe"]).run(), &["cmd.exe", "bash"]);
}

#[test]
fn the_manual_has_a_part_for_each_command() {
    let seen = orch(["man"]).run();
    assert!(seen.status == 0 && seen.stdout.contains(".TH orch 1"), "{}", seen.for_people());
    for part in [".SH ORCH RUN", ".SH ORCH MAP", ".SH ORCH REPL", ".SS OPTIONS", "ORCH_HISTORY", "repeatable schedule"]
    {
        assert!(seen.stdout.contains(part), "{part}: {}", seen.stdout);
    }
}

#[test]
fn bash_takes_its_completions() {
    let seen = orch(["completions", "bash"]).run();
    let checked = Command::new("bash").args(["-n", "-c", &seen.stdout]).status();
    // Where there is no bash there is nothing to check.
    assert!(checked.map_or(true, |status| status.success()));
}

#[test]
fn version_and_help() {
    orch(["--version"]).is(0, &format!("orch {}\n", env!("CARGO_PKG_VERSION")), "");
    let help = orch(["--help"]).run();
    let whole = ["Examples:", "orch run --sim", "Exit status: 0;"].iter().all(|w| help.stdout.contains(w));
    assert!(help.status == 0 && whole && help.stderr.is_empty(), "{}", help.for_people());
    let run = orch(["run", "--help"]).run();
    assert!(run.status == 0 && run.stdout.contains("#!/usr/bin/env -S orch run"), "{}", run.for_people());
}

// -------------------------------------------------------------------------------- the end of a run

#[test]
fn exit_ends_the_program_from_anywhere() {
    both("exit(4);\nprint(\"never\");\n", 4, "", "");
    both("exit();\n", 0, "", "");
    both("exit(256 + 7);\n", 7, "", "");
    both("try { exit(4); } catch (e) { print(\"never\"); }\n", 4, "", "");
    both("spawn_thread(|| exit(5));\nsleep(1000);\n", 5, "", "");
    both("fn f() { exit(6); }\nlet t = spawn_thread(f);\nt.join();\nprint(\"never\");\n", 6, "", "");
    both("let p = ThreadPoolExecutor(2);\np.submit(|| exit(9));\nsleep(1000);\n", 9, "", "");
    both("with ThreadPool(2) as p { p.map(|n| exit(n), [3]); }\n", 3, "", "");
    both("with TaskGroup() as g { g.spawn_thread(|| exit(8)); sleep(1000); }\n", 8, "", "");
    both("Timer(0.01, || exit(2)).start();\nsleep(1000);\n", 2, "", "");
}

#[test]
fn exit_leaves_the_blocks_of_its_thread_without_waiting() {
    both(
        "let lock = Lock();\nwith TaskGroup() as g { g.spawn_thread(|| sleep(1000)); with lock { exit(7); } }\n",
        7,
        "",
        "",
    );
    both("with ThreadPoolExecutor(1) as p { p.submit(|| sleep(1000)); exit(7); }\n", 7, "", "");
}

#[test]
fn threads_are_waited_for_and_daemons_are_not() {
    both("spawn_thread(|| { sleep(0.1); print(\"thread\"); });\nprint(\"main\");\n", 0, "main\nthread\n", "");
    both("spawn_thread(|| { sleep(100); print(\"never\"); }, #{daemon: true});\nprint(\"main\");\n", 0, "main\n", "");
    let failing = "spawn_thread(|| { sleep(0.1); print(\"thread\"); });\nthrow \"main\";\n";
    both(failing, 1, "thread\n", "error: Thrown: main\n  --> script.rhai:2:1\n  |\n2 | throw \"main\";\n  | ^\n");
}

#[test]
fn a_failure_that_nobody_asked_about_is_told_once() {
    let script = "let t = spawn_thread(|| throw \"no\");\nt.wait();\nlet other = t;\nprint(\"end\");\n";
    let report = "error: Thrown: no\n  --> script.rhai:1:25, in thread \"Thread-1\"\n  |\n\
                  1 | let t = spawn_thread(|| throw \"no\");\n  |                         ^\n  \
                  in closure(), called at script.rhai:1\n  in thread \"Thread-1\", made at script.rhai:1\n";
    both(script, 1, "end\n", report);
    both("let t = spawn_thread(|| throw \"no\");\ntry { t.join(); } catch { print(\"ok\"); }\n", 0, "ok\n", "");
    both("let p = ThreadPoolExecutor(1);\nlet f = p.submit(|| throw 1);\nf.exception();\n", 0, "", "");
}

#[test]
fn a_deadlock_is_status_3() {
    for script in
        ["Queue().get();\n", "spawn_thread(|| Event().wait());\n", "let l = Lock(); l.acquire(); l.acquire();\n"]
    {
        for seen in [Program::script(script).run(), Program::sim(script).run()] {
            let told = seen.stderr.matches("error: DeadlockError").count();
            assert!(seen.status == 3 && told == 1 && seen.stdout.is_empty(), "{}", seen.for_people());
        }
    }
    both("try { Queue().get(); } catch (e) { print(e.kind); }\n", 0, "DeadlockError\n", "");
}

#[test]
fn stdout_is_the_scripts_alone() {
    let script = "print(\"out\");\ndebug(\"err\");\nspawn_thread(|| throw \"x\");\n";
    for seen in [Program::script(script).run(), Program::sim(script).run()] {
        let fits = seen.stdout == "out\n" && seen.stderr.starts_with("script.rhai:2: \"err\"\n");
        assert!(fits && seen.status == 1, "{}", seen.for_people());
    }
}

#[test]
fn nobody_reads_the_output() {
    let endless = Program::script("loop { print(\"line\"); }\n");
    for (program, wanted) in [(endless, 141), (orch(["doc"]), 0), (orch(["completions", "bash"]), 0)] {
        let mut child = program.command().spawn().unwrap();
        // The reader goes away at once.
        drop(child.stdout.take());
        let seen = finish(child, "…".into());
        assert!(seen.status == wanted && seen.stderr.is_empty(), "{}", seen.for_people());
    }
}

//! `orch map` as a user of GNU parallel knows it.

use std::process::Command;

use super::logged;
use super::whole::program::{Program, orch};

/// `orch map` with these words, in a folder of its own.
fn map(words: &[&str]) -> Program {
    orch(["map"].into_iter().chain(words.iter().copied())).in_its_folder()
}

#[test]
fn arguments_come_from_the_line_from_files_and_from_the_standard_input() {
    map(&["-k", "echo", ":::", "a", "b c", "$d"]).is(0, "a\nb c\n$d\n", "");
    map(&["-k", "echo", "{2}-{1}", ":::", "A", "B", ":::", "1", "2"]).is(0, "1-A\n2-A\n1-B\n2-B\n", "");
    map(&["-k", "echo", "{1}{2}", ":::", "A", "B", ":::+", "1", "2"]).is(0, "A1\nB2\n", "");
    map(&["-k", "echo", "{#}:"]).stdin("x\n\n y \nz").is(0, "1:\n2:\n3:\n4:\n", "");
    map(&["-k", "echo", "[{}]"]).stdin("x\n\n y \nz").is(0, "[x]\n[]\n[ y ]\n[z]\n", "");
    map(&["-0", "-k", "echo"]).stdin("x\ny\0z\0").is(0, "x\ny\nz\n", "");
    map(&["-k", "-a", "list", "echo"]).file("list", b"p\nq\n").is(0, "p\nq\n", "");
    map(&["-k", "echo", "::::", "list", "-"]).file("list", b"p\n").stdin("1\n2\n").is(0, "p 1\np 2\n", "");
    map(&["-k", "-n2", "echo"]).stdin("1\n2\n3\n").is(0, "1 2\n3\n", "");
    map(&["-k", "-r", "echo"]).stdin("\n1\n \n").is(0, "1\n", "");
    map(&["echo"]).is(0, "", "");
}

#[test]
fn without_a_command_the_arguments_are_commands() {
    map(&["-k", ":::", "echo a | tr a b", "echo c; exit 0"]).is(0, "b\nc\n", "");
    map(&["-k"]).stdin("echo 1\necho 2\n").is(0, "1\n2\n", "");
}

#[test]
fn names_of_files_cannot_become_code() {
    let nasty = "a'; touch broken; '\" $(touch broken) `touch broken`";
    let seen = map(&["-k", "--tag", "printf", "'%s\\n'", "{} '{}' \"{}\" \"$(echo {})\"", ":::", nasty]).run();
    assert_eq!(seen.stdout, format!("{nasty}\t{nasty}\n").repeat(4), "{}", seen.stderr);
}

#[test]
fn the_status_is_the_number_of_failures_or_that_of_the_one_that_halted() {
    let failing = |count: usize| (0..count).map(|n| format!("exit {}\n", n % 7 + 1)).collect::<String>();
    assert_eq!(map(&[]).stdin(failing(3)).run().status, 3);
    assert_eq!(map(&["-j0"]).stdin(failing(130)).run().status, 101);
    assert_eq!(map(&["-j1", "--halt", "now,fail=1", ":::", "true", "exit 42", "exit 1"]).run().status, 42);
    assert_eq!(map(&["-j1", "--halt", "soon,fail=1", ":::", "kill -9 $$", "true"]).run().status, 137);
    assert_eq!(map(&["-j1", "--halt", "now,fail=50%", ":::", "true", "false", "false", "false"]).run().status, 50);
    assert_eq!(map(&["--halt", "now,success=1", "-j1", ":::", "false", "true", "false"]).run().status, 0);
    assert_eq!(map(&["no-such-program", ":::", "1"]).run().status, 1);
    assert_eq!(map(&["--no-such-option"]).run().status, 2);
    assert_eq!(map(&["echo", "::::", "no such file"]).run().status, 255);
    assert_eq!(map(&["--resume", "echo"]).run().status, 2);
}

#[test]
fn halting_now_ends_what_runs_and_soon_lets_it_end() {
    let jobs =
        [":::", "until test -e two; do sleep 0.02; done; exit 5", "touch two; sleep 50; echo late", "echo never"];
    let now = map(&["-j2", "--halt", "now,fail=1"].into_iter().chain(jobs).collect::<Vec<_>>()).run();
    let told = "1 of 3 jobs failed:\n  1 `until test -e two; do sleep 0.02; done; exit 5`: exit code 5\n  1 ended before it was over, 1 not started\n";
    now.is(5, "", told);
    let jobs =
        [":::", "until test -e two; do sleep 0.02; done; exit 5", "touch two; sleep 0.3; echo late", "echo never"];
    let soon = map(&["-j2", "--halt", "soon", "--halt-after", "1"].into_iter().chain(jobs).collect::<Vec<_>>()).run();
    soon.is(
        5,
        "late\n",
        "1 of 3 jobs failed:\n  1 `until test -e two; do sleep 0.02; done; exit 5`: exit code 5\n  1 not started\n",
    );
}

#[test]
fn the_job_log_is_that_of_gnu_parallel() {
    let jobs = ["echo hi", "exit 3", "kill -9 $$", "no-such-program-here", "sleep 60", "printf '%s' 'a\nb\tc'"];
    let words: Vec<&str> = ["--joblog", "log", "--timeout", "5", ":::"].into_iter().chain(jobs).collect();
    let program = map(&words);
    let log = program.own_folder().join("log");
    let mut child = program.command().spawn().unwrap();
    drop(child.stdin.take());
    let seen = super::whole::program::finish(child, "map".into());
    assert_eq!(seen.status, 4, "{}", seen.for_people());
    let text = std::fs::read_to_string(log).unwrap();
    let wanted = [
        "1 0 0 echo hi",
        "2 3 0 exit 3",
        "3 0 9 kill -9 $$",
        "4 127 0 no-such-program-here",
        "5 -1 15 sleep 60",
        "6 0 0 printf '%s' 'a\0b\tc'",
    ];
    assert_eq!(logged(&text), wanted);
    let received: Vec<String> =
        super::log_lines(&text).into_iter().filter(|l| l[0] == "6").map(|l| l[5].clone()).collect();
    assert_eq!(received, ["5"]);
}

/// Runs `orch map` in a folder, and gives its status and output.
fn map_in(folder: &std::path::Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    let output =
        command.arg("map").args(words).current_dir(folder).stdin(std::process::Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn resume_runs_what_is_not_done_and_goes_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |words: &[&str]| map_in(folder.path(), words);
    let job = "echo {}; test ! -e stop{}";
    std::fs::write(folder.path().join("stop2"), "").unwrap();
    let line = ["-k", "--joblog", "log", "--resume", job, ":::"];
    let with = |words: &[&'static str]| -> Vec<&str> { line.into_iter().chain(words.iter().copied()).collect() };
    assert_eq!(in_folder(&with(&["1", "2", "3"])), (Some(1), "1\n2\n3\n".into()));
    assert_eq!(in_folder(&with(&["1", "2", "3"])), (Some(1), "2\n".into()));
    std::fs::remove_file(folder.path().join("stop2")).unwrap();
    // The list has changed: numbers mean nothing, and of two equal jobs one is done.
    assert_eq!(in_folder(&with(&["0", "1", "1", "2", "3"])), (Some(0), "0\n1\n2\n".into()));
    assert_eq!(in_folder(&with(&["3", "2", "1", "1", "0"])), (Some(0), String::new()));
    let dry = ["--dry-run", "--joblog", "log", "--resume", job, ":::", "3", "4"];
    assert_eq!(in_folder(&dry), (Some(0), "echo 4; test ! -e stop4\n".into()));
    // Another command is another job, and a run without --resume begins anew.
    assert_eq!(in_folder(&["--joblog", "log", "--resume", "echo", ":::", "1"]), (Some(0), "1\n".into()));
    assert_eq!(in_folder(&["--joblog", "log", "echo", ":::", "1"]), (Some(0), "1\n".into()));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(logged(&log), ["1 0 0 echo 1"]);
    // Elsewhere it is another job too.
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    assert_eq!(map_in(&inside, &["--joblog", "../log", "--resume", "echo", ":::", "1"]), (Some(0), "1\n".into()));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let there = inside.canonicalize().unwrap();
    assert_eq!(super::log_lines(&log)[1][8], format!("cd {} && echo 1", there.display()));
}

#[test]
fn failed_jobs_are_tried_again_and_only_the_last_try_counts() {
    let folder = tempfile::tempdir().unwrap();
    let job = "echo try {} >> tries{}; test $(wc -l < tries{}) -ge {}";
    let line = ["--joblog", "log", "--retries", "3", "--retry-delay", "0.05", "-k", job, ":::", "1", "3", "9"];
    assert_eq!(map_in(folder.path(), &line).0, Some(1));
    let tries = |n: u32| std::fs::read_to_string(folder.path().join(format!("tries{n}"))).unwrap().lines().count();
    assert_eq!([tries(1), tries(3), tries(9)], [1, 3, 3]);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let ends: Vec<String> = logged(&log).iter().map(|line| line[..5].to_string()).collect();
    assert_eq!(ends, ["1 0 0", "2 0 0", "3 1 0"]);
}

#[test]
fn results_are_kept_in_a_folder() {
    for order in [&["-k"][..], &["--lb"], &["-u"]] {
        let folder = tempfile::tempdir().unwrap();
        let words = ["--results", "out/put", "echo {}; echo e{} >&2; printf x", ":::", "a", "b"];
        let line: Vec<&str> = order.iter().copied().chain(words).collect();
        let (status, stdout) = map_in(folder.path(), &line);
        assert_eq!(status, Some(0));
        let mut lines: Vec<&str> = stdout.split_terminator('\n').collect();
        if order[0] != "-k" {
            // The lines of the two may come in any order.
            lines.sort_unstable();
            assert!(lines.concat().len() == 4 && stdout.contains('a') && stdout.contains('b'), "{order:?} {stdout:?}");
        } else {
            assert_eq!(stdout, "a\nxb\nx");
        }
        let read = |path: &str| std::fs::read_to_string(folder.path().join("out/put").join(path)).unwrap();
        assert_eq!(["1/stdout", "1/stderr", "2/stdout", "2/stderr"].map(read), ["a\nx", "ea\n", "b\nx", "eb\n"]);
    }
}

#[test]
fn slots_are_those_that_are_free() {
    let seen = map(&["-j3", "sleep 0.02; echo {%}"]).stdin("x\n".repeat(30)).run();
    assert_eq!(seen.status, 0);
    let mut slots: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(slots.len(), 30);
    slots.sort_unstable();
    slots.dedup();
    assert!(slots.len() > 1 && slots.iter().all(|slot| ["1", "2", "3"].contains(slot)), "{slots:?}");
}

#[test]
fn a_script_without_its_first_line_runs_as_a_shell_would_run_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("plain");
    std::fs::write(&script, "echo \"plain $1\"\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(map_in(folder.path(), &["./plain", ":::", "a"]), (Some(0), "plain a\n".into()));
}

#[test]
fn outputs_that_nobody_takes_end_it() {
    let program = map(&["--lb", "yes", ":::", "a", "b"]);
    let mut child = program.command().spawn().unwrap();
    drop((child.stdin.take(), child.stdout.take()));
    let seen = super::whole::program::finish(child, "map yes".into());
    assert_eq!(seen.status, 128 + 13, "{}", seen.stderr);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = map(&["echo", ":::", "a"]).command().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("No space left on device"), "{said}");
}

#[test]
fn a_full_disk_under_the_job_log_is_told_with_its_path() {
    map(&["--joblog", "/dev/full", "echo", ":::", "a"]).is(
        255,
        "",
        "error: job log /dev/full: No space left on device (os error 28)\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().to_str().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "none", disk]).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("no tmpfs can be mounted here: /dev/full has to do");
        return;
    }
    let log = folder.path().join("log");
    let numbers: String = (0..400).map(|n| format!("{n}\n")).collect();
    let seen = map(&["--joblog", log.to_str().unwrap(), "-j2", "true"]).stdin(numbers).run();
    let text = std::fs::read_to_string(&log);
    let unmounted = Command::new("umount").arg(disk).status();
    assert_eq!(seen.status, 255, "{}", seen.for_people());
    assert!(seen.stderr.contains(&format!("job log {}: ", log.display())), "{}", seen.stderr);
    let lines = super::log_lines(&text.unwrap()).len();
    assert!((10..400).contains(&lines), "{lines} lines");
    assert!(unmounted.unwrap().success());
}

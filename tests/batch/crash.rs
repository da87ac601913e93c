//! orch is ended at a random moment, by every kind of signal: the job log is whole, what it calls done is not run again, and
//! a few resumed runs later everything was run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{log_lines, whole};

const JOBS: usize = 40;

/// Each job notes that it has run, as the last thing that it does.
fn start(folder: &Path) -> Child {
    let jobs: Vec<String> = (0..JOBS).map(|job| job.to_string()).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    command.args(["map", "-j4", "--joblog", "log", "--resume", "sleep 0.02; echo {} >> ran", ":::"]).args(&jobs);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// How often each job has run.
fn ran(folder: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(folder.join("ran")).unwrap_or_default();
    let mut count = BTreeMap::new();
    text.lines().for_each(|job| *count.entry(job.to_string()).or_default() += 1);
    count
}

/// The jobs that the log calls done.
fn done(folder: &Path) -> BTreeSet<String> {
    let Ok(text) = std::fs::read_to_string(folder.join("log")) else {
        return BTreeSet::new();
    };
    let lines = if text.is_empty() { Vec::new() } else { log_lines(&text) };
    let done = lines.into_iter().filter(|line| line[6] == "0" && line[7] == "0");
    done.map(|line| line[8].split(' ').nth(3).unwrap().to_string()).collect()
}

fn killed_and_resumed(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut interrupted = 0;
    for round in 0.. {
        assert!(round < 200, "it does not come to an end");
        let before = done(folder);
        let ran_before = ran(folder);
        let child = start(folder);
        let pid = child.id().to_string();
        // Early enough to meet it at work, most of the time.
        let moment = Duration::from_micros(fastrand::u64(..250_000));
        std::thread::sleep(moment);
        drop(Command::new("kill").args([&format!("-{signal}"), &pid]).stderr(Stdio::null()).status());
        let seen = whole::program::finish(child, format!("map, {signal} after {moment:?}"));
        let ran_now = ran(folder);
        for job in &before {
            assert_eq!(ran_before[job], ran_now[job], "{job} was done and ran again: {}", seen.for_people());
        }
        let is_done = done(folder);
        assert!(before.is_subset(&is_done), "the log has lost something");
        interrupted += u32::from(seen.status != 0);
        if seen.status == 0 {
            assert_eq!(is_done.len(), JOBS);
            break;
        }
    }
    assert!(interrupted > 0, "it was never met at work");
    let ran = ran(folder);
    assert!((0..JOBS).all(|job| ran.contains_key(&job.to_string())));
}

#[test]
fn killed_by_kill() {
    killed_and_resumed("KILL");
}

#[test]
fn killed_by_term() {
    killed_and_resumed("TERM");
}

#[test]
fn killed_by_int() {
    killed_and_resumed("INT");
}

/// The processes whose command line holds this.
fn processes_with(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(text) && !line.contains("orch")).collect()
}

#[test]
fn nothing_survives_an_interruption() {
    let word = format!("300.{}77", std::process::id());
    let job = format!("echo ready; sleep {word}");
    let program = whole::program::orch(["map", "-j3", "--lb", ":::", &job, &job, &job, &job]);
    let mut child = program.command().spawn().unwrap();
    drop(child.stdin.take());
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    (0..3).for_each(|_| _ = std::io::BufRead::read_line(&mut reader, &mut line).unwrap());
    assert_eq!(line, "ready\n".repeat(3));
    drop(Command::new("kill").args(["-INT", &child.id().to_string()]).status());
    let seen = whole::program::finish(child, "map".into());
    assert_eq!((seen.status, seen.stderr.as_str()), (130, "error: interrupted by INT\n"));
    assert_eq!(processes_with(&word), Vec::<String>::new());
}

//! One line that is longer than any memory should be: what `orch map` passes on it does not keep, and what it must keep until
//! it is its turn goes to a file.
//!
//! `ORCH_LINE_MB` says how long the line is; 4096 is the one that the comparison of parallel programs asks for.

use std::io::Read;

use super::whole::program::orch;

const LINE_MB: u64 = 60;

/// What orch may take while it passes a line on.
const PASSING_MB: u64 = 48;
/// What it keeps of a command's output before it takes a file, and some more.
const KEEPING_MB: u64 = 256 + PASSING_MB;

/// In bytes, without the newline.
fn length() -> u64 {
    std::env::var("ORCH_LINE_MB").map_or(LINE_MB, |number| number.parse().unwrap()) << 20
}

/// Shell text that writes the line.
fn line(length: u64) -> String {
    format!("head -c {length} /dev/zero | tr '\\0' x; echo")
}

/// Shell text that notes the most memory that orch ever had, in megabytes.
const PEAK: &str = "awk '/VmHWM/ { print int($2 / 1024) }' /proc/$PPID/status > peak";

/// What a run gave: its bytes by their value, and orch's peak.
struct Passed {
    counts: [u64; 256],
    peak_mb: u64,
}

/// Runs `orch map` with two jobs, in this way. Its output is counted, not kept.
fn passed(how: &[&str], jobs: [&str; 2]) -> Passed {
    // By number, so that the text of a job is not in the tags.
    let words = how.iter().copied().chain([". ./job{}", ":::", "1", "2"]);
    let program = orch(["map"].into_iter().chain(words)).in_its_folder();
    let program = program.file("job1", jobs[0].as_bytes()).file("job2", jobs[1].as_bytes());
    let mut child = program.command().stderr(std::process::Stdio::inherit()).spawn().unwrap();
    drop(child.stdin.take());
    let mut stdout = child.stdout.take().unwrap();
    let mut counts = [0; 256];
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = stdout.read(&mut piece).unwrap();
        if n == 0 {
            break;
        }
        piece[..n].iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    }
    assert!(child.wait().unwrap().success());
    let peak = std::fs::read_to_string(program.own_folder().join("peak")).unwrap();
    Passed { counts, peak_mb: peak.trim().parse().unwrap() }
}

/// So many letters of the line and so many newlines came, in no more memory than this.
#[track_caller]
fn is_whole(how: &[&str], passed: &Passed, wanted: [u64; 2], most_mb: u64) {
    assert_eq!([b'x', b'\n'].map(|byte| passed.counts[usize::from(byte)]), wanted, "{how:?}");
    assert!(passed.peak_mb < most_mb, "{how:?}: {} MB", passed.peak_mb);
}

#[test]
fn a_line_that_is_passed_on_is_not_kept() {
    let line = line(length());
    for how in [&["-j1"][..], &["-j1", "-k"], &["-j1", "--lb"], &["-j1", "-u"], &["-j1", "--lb", "--tag"]] {
        is_whole(how, &passed(how, [&line, PEAK]), [length(), 1], PASSING_MB);
    }
}

/// The first job ends after the second, whose line has to wait until then.
#[test]
fn a_line_whose_turn_has_not_come_goes_to_a_file() {
    let first = format!("until test -e written; do sleep 0.02; done; {PEAK}; echo first");
    let length = length().max((KEEPING_MB + PASSING_MB) << 20);
    let second = format!("{}; touch written", line(length));
    let how = ["-j2", "-k"];
    is_whole(&how, &passed(&how, [&first, &second]), [length, 2], KEEPING_MB);
}

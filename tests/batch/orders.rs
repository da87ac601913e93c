//! Eight noisy commands at once: what they write does not end up in each other.

use std::collections::BTreeMap;

use super::whole::program::{Seen, orch};

const JOBS: usize = 8;
const LINES: usize = 300;

/// Each line is written in three pieces, to both outputs in turn; the last one has no newline.
const NOISE: &str = "i=0; while [ $i -lt 300 ]; do printf 'job {} '; printf \"line $i\"; printf ' end\\n'; \
    i=$((i+1)); done; printf 'job {} last'";

fn noisy(order: &[&str]) -> Seen {
    let jobs: Vec<String> = (0..JOBS).map(|job| job.to_string()).collect();
    let words = ["map", "-j8"].into_iter().chain(order.iter().copied()).chain([NOISE, ":::"]);
    let seen = orch(words.chain(jobs.iter().map(String::as_str))).run();
    assert_eq!((seen.status, seen.stderr.as_str()), (0, ""));
    seen
}

/// What one job writes.
fn written(job: usize) -> String {
    let lines: String = (0..LINES).map(|line| format!("job {job} line {line} end\n")).collect();
    format!("{lines}job {job} last")
}

/// The lines of each job, in their order; panics where one is torn.
fn by_job(text: &str) -> BTreeMap<usize, Vec<String>> {
    let mut lines: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let whole = matches!(words[..], ["job", _, "line", _, "end"] | ["job", _, "last"]);
        assert!(whole, "torn: {line:?}");
        lines.entry(words[1].parse().unwrap()).or_default().push(line.to_string());
    }
    lines
}

#[test]
fn in_groups_each_output_is_whole() {
    let mut rest = noisy(&[]).stdout;
    for job in 0..JOBS {
        let whole = written(job);
        let at = rest.find(&whole).unwrap_or_else(|| panic!("job {job} is not in one piece"));
        rest.replace_range(at..at + whole.len(), "");
    }
    assert_eq!(rest, "");
}

#[test]
fn in_the_order_of_the_input() {
    let wanted: String = (0..JOBS).map(written).collect();
    assert!(noisy(&["-k"]).stdout == wanted);
}

#[test]
fn line_by_line_none_is_torn() {
    let lines = by_job(&noisy(&["--line-buffer"]).stdout);
    for job in 0..JOBS {
        assert!(lines[&job].join("\n") == written(job), "job {job}");
    }
}

#[test]
fn with_tags_each_line_has_one() {
    for order in ["-k", "--lb", "--group", "-u"] {
        let text = noisy(&[order, "--tag"]).stdout;
        let untagged: Vec<String> = text
            .lines()
            .map(|line| {
                let (tag, line) = line.split_once('\t').unwrap_or_else(|| panic!("no tag: {line:?}"));
                assert!(line.starts_with(&format!("job {tag} ")), "{tag:?} on {line:?}");
                line.to_string()
            })
            .collect();
        let lines = by_job(&untagged.join("\n"));
        assert_eq!(lines.values().map(Vec::len).sum::<usize>(), JOBS * (LINES + 1), "{order}");
    }
}

#[test]
fn lines_come_while_the_job_runs() {
    // The second job waits until the first line of the first has arrived at the reader of all.
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let first = format!("echo early; read x < {}; echo $x", fifo.display());
    let program = orch(["map", "--lb", ":::", &first]);
    let mut child = program.command().spawn().unwrap();
    drop(child.stdin.take());
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert_eq!(line, "early\n");
    std::fs::write(&fifo, "late\n").unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert_eq!(line, "late\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn bytes_that_are_no_text_come_through() {
    for order in ["-k", "--lb", "-u"] {
        let program = orch(["map", order, "printf", "'\\377\\000\\n{}'", ":::", "a"]);
        let output = program.command().output().unwrap();
        let wanted: &[u8] = if order == "--lb" { b"\xff\0\na\n" } else { b"\xff\0\na" };
        assert_eq!(output.stdout, wanted, "{order}");
    }
}

//! orch is ended at random moments, by every kind of signal: nothing survives it, the job log is whole, what it calls done is
//! not run again, and a few resumed runs later everything was run.
//!
//! `ORCH_KILLS` says how often, all in all; few by default, since each takes about a third of a second.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::whole::family::{Family, eventually};
use super::{log_lines, whole};

const JOBS: usize = 40;
const KILLS: usize = 24;
const SIGNALS: [&str; 3] = ["INT", "TERM", "KILL"];

/// All that a run starts has this in its environment, with the number of its family.
const MARK: &str = "ORCH_TEST_CRASH";

/// Each job notes that it has run, as the last thing that it does. Some leave somebody behind in a session of its own.
const JOB: &str = r#"
case $1 in *3|*7) setsid "$2" "$3" >/dev/null 2>&1 & ;; esac
sleep 0.0$(($1 % 4))
echo $1 >> ran
"#;

/// How one asks for many commands.
#[derive(Clone, Copy)]
enum By {
    Map,
    Script,
}

/// A folder with jobs, the log of what was done, and those who are started from there.
struct Site {
    files: tempfile::TempDir,
    family: Family,
    by: By,
    /// How often orch was ended there.
    ended: u64,
}

impl Site {
    fn new(by: By) -> Site {
        let site = Site { files: tempfile::tempdir().unwrap(), family: Family::new(), by, ended: 0 };
        std::fs::write(site.folder().join("job"), JOB).unwrap();
        let template = site.template();
        let options = "#{ jobs: 4, joblog: \"log\", resume: true, order: \"none\" }";
        let script = format!("run_all(\"{template}\", 0..{JOBS}, {options});\n");
        std::fs::write(site.folder().join("many.rhai"), script).unwrap();
        site
    }

    fn folder(&self) -> &Path {
        self.files.path()
    }

    /// The last two words are how the family tells who belongs to it.
    fn template(&self) -> String {
        format!("sh job {{}} {}", self.family.sleep())
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
        match self.by {
            By::Map => {
                let jobs = (0..JOBS).map(|job| job.to_string());
                command.args(["map", "-j4", "--joblog", "log", "--resume", &self.template(), ":::"]).args(jobs)
            }
            By::Script => command.args(["run", "many.rhai"]),
        };
        command.current_dir(self.folder()).env(MARK, self.family.sleep());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// How often each job has run.
    fn ran(&self) -> BTreeMap<String, usize> {
        let text = std::fs::read_to_string(self.folder().join("ran")).unwrap_or_default();
        let mut count = BTreeMap::new();
        text.lines().for_each(|job| *count.entry(job.to_string()).or_default() += 1);
        count
    }

    /// The jobs that the log calls done.
    fn done(&self) -> BTreeSet<String> {
        let Ok(text) = std::fs::read_to_string(self.folder().join("log")) else {
            return BTreeSet::new();
        };
        let lines = if text.is_empty() { Vec::new() } else { log_lines(&text) };
        let done = lines.into_iter().filter(|line| line[6] == "0" && line[7] == "0");
        done.map(|line| line[8].split(' ').nth(2).unwrap().to_string()).collect()
    }

    /// Nobody is left of those who were started, orch's own helpers among them.
    #[track_caller]
    fn is_empty(&mut self, after: &str) {
        let mark = format!("{MARK}={}", self.family.sleep());
        let left = || marked(&mark);
        eventually(|| left().is_empty().then_some(()), || format!("after {after} somebody is left: {:?}", left()));
        self.family.is_gone();
    }

    /// Runs once, with an end at a random moment; says whether orch was met at work.
    fn run_and_end(&mut self) -> bool {
        let before = self.done();
        let ran_before = self.ran();
        let child = self.start();
        let pid = child.id().to_string();
        let signal = SIGNALS[fastrand::usize(..SIGNALS.len())];
        // Early enough to meet it at work, most of the time; later and later where it comes to nothing in so short a time.
        let moment = Duration::from_micros(fastrand::u64(..300_000) * (1 + self.ended / 8));
        std::thread::sleep(moment);
        drop(Command::new("kill").args([&format!("-{signal}"), &pid]).stderr(Stdio::null()).status());
        let after = format!("{signal} after {moment:?}");
        let seen = whole::program::finish(child, after.clone());
        self.is_empty(&after);
        let ran_now = self.ran();
        for job in &before {
            assert_eq!(ran_before[job], ran_now[job], "{job} was done and ran again: {after} {}", seen.for_people());
        }
        let is_done = self.done();
        assert!(before.is_subset(&is_done), "the log has lost something: {after}");
        assert!(seen.status != 0 || is_done.len() == JOBS, "{after} {}", seen.for_people());
        self.ended += u64::from(seen.status != 0);
        seen.status != 0
    }
}

/// The processes with this word in their environment. Zombies have none.
fn marked(mark: &str) -> Vec<String> {
    let has_it = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|word| word == mark.as_bytes())
    };
    let all = whole::family::processes().into_iter();
    all.filter(|(pid, _)| has_it(pid)).map(|(pid, line)| format!("{pid} {line}")).collect()
}

/// From nothing to everything done, again and again, until orch was ended so many times.
fn ended_and_resumed(by: By) {
    let wanted = std::env::var("ORCH_KILLS").map_or(KILLS, |number| number.parse().unwrap()) / 2;
    let (mut ended, mut rounds) = (0, 0);
    while ended < wanted {
        let mut site = Site::new(by);
        while site.run_and_end() {
            ended += 1;
            assert!(ended < wanted + 200, "it does not come to an end");
        }
        let ran = site.ran();
        assert!((0..JOBS).all(|job| ran.contains_key(&job.to_string())));
        rounds += 1;
        assert!(rounds < wanted + 20, "it is never met at work");
    }
    println!("ended {ended} times, everything done {rounds} times");
}

#[test]
fn map_is_ended_at_any_moment_and_resumed() {
    ended_and_resumed(By::Map);
}

#[test]
fn run_all_is_ended_at_any_moment_and_resumed() {
    ended_and_resumed(By::Script);
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

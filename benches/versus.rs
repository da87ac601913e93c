//! Runs the workloads in `benches/versus/` as scripts of orch and as CPython programs, in turn, and
//! prints a table. How to run it and how to read it: `benches/versus/README.md`.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// A program that takes longer than this is killed and has failed.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a program's output may stay open after its end.
const OUTPUT_LIMIT: Duration = Duration::from_secs(10);
const USAGE: &str = "usage: cargo bench --bench versus [-- NAME… --reps N]";

struct Workload {
    name: &'static str,
    /// Operations in one program.
    n: u64,
    /// The ratio orch / CPython that we want at most.
    target: Option<f64>,
    /// What CPython only starts and times: it is compared with in CPython's place, where it is at hand.
    rival: Option<&'static str>,
}

const fn workload(name: &'static str, n: u64, target: Option<f64>) -> Workload {
    Workload { name, n, target, rival: None }
}

const fn beside(rival: &'static str, name: &'static str, n: u64, target: Option<f64>) -> Workload {
    Workload { name, n, target, rival: Some(rival) }
}

static WORKLOADS: [Workload; 32] = [
    workload(STARTUP, 1, Some(0.4)),
    workload("threads", 10_000, Some(0.5)),
    workload("threads_1000", 1_000, None),
    workload("lock_uncontended", 1_000_000, None),
    workload("lock_contended", 1_000_000, Some(1.0)),
    workload("event_pingpong", 100_000, Some(0.8)),
    workload("queue_spsc", 1_000_000, Some(0.3)),
    workload("queue_mpmc", 500_000, Some(0.3)),
    workload("pool_submit", 20_000, Some(0.3)),
    workload("pool_map", 100_000, None),
    workload(SLEEPERS, 1_000, None),
    workload("shared_add", 400_000, Some(1.0)),
    workload("commands", 2_000, Some(1.0)),
    workload("commands_8", 2_000, Some(0.55)),
    beside("xargs", "commands_8_xargs", 2_000, Some(1.0)),
    beside("parallel", "commands_8_parallel", 2_000, Some(0.12)),
    beside("rust-parallel", "commands_8_rust_parallel", 2_000, Some(1.0)),
    workload("capture", 209_715_200, Some(1.05)),
    workload("pipeline", 5_000_000, Some(1.05)),
    workload("lines", 2_000_000, Some(3.0)),
    workload(COUNT_1T, 20_000_000, None),
    workload(COUNT_2T, 20_000_000, None),
    workload(COUNT_2P, 20_000_000, None),
    workload("processes", 200, Some(1.5)),
    workload("processes_spawn", 200, Some(0.15)),
    workload("process_pool_1", 20_000, Some(0.5)),
    workload("process_pool_100", 200_000, Some(0.7)),
    workload("process_pool_1mb", 200, Some(0.7)),
    workload("process_queue", 200_000, Some(0.5)),
    workload("process_lock", 200_000, Some(1.0)),
    workload("process_lock_contended", 200_000, Some(1.0)),
    workload("process_value", 100_000, None),
];

/// Prints nothing: the runner times it from outside.
const STARTUP: &str = "startup";
const STARTUP_RUNS_PER_REP: usize = 4;

/// Its programs sleep this long, which is not counted.
const SLEEPERS: &str = "sleepers";
const SLEEP: f64 = 1.0;

/// These run in turn, so that their quotients compare neighbouring runs.
const COUNT_1T: &str = "count_1t";
const COUNT_2T: &str = "count_2t";
const COUNT_2P: &str = "count_2p";
const COUNT_TARGET: f64 = 0.55;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` runs this program too; `cargo bench` adds `--bench`.
        eprintln!("versus: nothing to test ({USAGE})");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("versus: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runner = Runner::new();
    println!(
        "{:<24} {:>10} {:>11} {:>13} {:>7} {:>7} {:<4} {:>8} {:>10}",
        "workload", "n", "orch µs/op", "CPython µs/op", "ratio", "target", "", "orch MB", "CPython MB"
    );
    let mut failed = false;
    for batch in batches(&options.workloads) {
        for rival in batch.iter().filter_map(|workload| workload.rival).filter(|rival| !at_hand(rival)) {
            println!("{rival} is not at hand: the next row has only orch's figures");
        }
        let results = runner.run_batch(&batch, options.reps);
        for (workload, result) in batch.iter().zip(&results) {
            match result {
                Ok(series) => println!("{}", series.row(workload)),
                Err(message) => {
                    failed = true;
                    println!("{:<24} FAILED", workload.name);
                    eprintln!("versus: {}: {message}", workload.name);
                }
            }
        }
        if let Some((Ok(one), others)) = results.split_first() {
            for (workload, two) in batch.iter().skip(1).zip(others) {
                if let Ok(two) = two {
                    println!("{}", count_row(workload, one, two));
                }
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Options {
    workloads: Vec<&'static Workload>,
    reps: usize,
}

impl Options {
    fn parse(args: Vec<String>) -> Result<Self, String> {
        let mut reps = 5;
        let mut wanted = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--bench" {
                continue;
            }
            if arg == "--reps" || arg.starts_with("--reps=") {
                let value = match arg.split_once('=') {
                    Some((_, value)) => value.to_owned(),
                    None => args.next().unwrap_or_default(),
                };
                reps = match value.parse() {
                    Ok(number) if number > 0 => number,
                    _ => return Err(format!("--reps needs a number above 0, not '{value}'")),
                };
            } else if arg.starts_with('-') {
                return Err(format!("unknown option '{arg}'"));
            } else {
                wanted.push(arg);
            }
        }
        if let Some(name) = wanted.iter().find(|name| !WORKLOADS.iter().any(|w| w.is_meant_by(name))) {
            let names: Vec<_> = WORKLOADS.iter().map(|w| w.name).collect();
            return Err(format!("no workload '{name}'; there are: {}", names.join(", ")));
        }
        let workloads =
            WORKLOADS.iter().filter(|w| wanted.is_empty() || wanted.iter().any(|name| w.is_meant_by(name))).collect();
        Ok(Self { workloads, reps })
    }
}

impl Workload {
    /// A whole name means that workload alone, the first letters all that begin so.
    fn is_meant_by(&self, name: &str) -> bool {
        let whole = WORKLOADS.iter().any(|w| w.name == name);
        if whole { self.name == name } else { self.name.starts_with(name) }
    }

    fn runs(&self, reps: usize) -> usize {
        if self.name == STARTUP { reps * STARTUP_RUNS_PER_REP } else { reps }
    }

    /// The seconds that count, from what the program printed.
    fn seconds(&self, run: &Finished) -> Result<f64, String> {
        if self.name == STARTUP {
            return if run.stdout.is_empty() {
                Ok(run.wall.as_secs_f64())
            } else {
                Err(format!("unexpected output: {}", run.stdout))
            };
        }
        let line = run.stdout.trim();
        let wrong = || format!("wrong output: '{line}'");
        let report: serde_json::Value = serde_json::from_str(line).map_err(|_| wrong())?;
        if report["workload"] != self.name || report["n"] != self.n {
            return Err(wrong());
        }
        let idle = if self.name == SLEEPERS { SLEEP } else { 0.0 };
        match report["seconds"].as_f64() {
            Some(seconds) if seconds > idle => Ok(seconds - idle),
            _ => Err(wrong()),
        }
    }
}

/// Workloads whose runs alternate: each alone, but the counts together.
fn batches(workloads: &[&'static Workload]) -> Vec<Vec<&'static Workload>> {
    let mut batches: Vec<Vec<&'static Workload>> = Vec::new();
    for &workload in workloads {
        match batches.last_mut() {
            Some(last) if [COUNT_2T, COUNT_2P].contains(&workload.name) && last[0].name == COUNT_1T => {
                last.push(workload);
            }
            _ => batches.push(vec![workload]),
        }
    }
    batches
}

/// What the runs of one workload gave, in their order; `python` stays empty without an interpreter.
#[derive(Default)]
struct Series {
    orch: Vec<Sample>,
    python: Vec<Sample>,
}

struct Sample {
    seconds: f64,
    peak_mb: Option<f64>,
}

impl Series {
    fn row(&self, workload: &Workload) -> String {
        let ratio = (!self.python.is_empty()).then(|| median_ratio(&self.orch, &self.python));
        row(
            workload.name,
            workload.n,
            [&self.orch, &self.python].map(|samples| micros(samples, workload.n)),
            ratio,
            workload.target,
            [&self.orch, &self.python].map(|samples| peak(samples)),
        )
    }
}

fn count_row(workload: &Workload, one: &Series, two: &Series) -> String {
    let ratio = median_ratio(&two.orch, &one.orch);
    let name = if workload.name == COUNT_2P { "count 2p/1t (orch)" } else { "count 2t/1t (orch)" };
    let blank = || [None, None];
    row(name, workload.n, blank(), Some(ratio), Some(COUNT_TARGET), blank())
}

fn row(
    name: &str,
    n: u64,
    micros: [Option<f64>; 2],
    ratio: Option<f64>,
    target: Option<f64>,
    peaks: [Option<f64>; 2],
) -> String {
    let verdict = match (ratio, target) {
        (Some(ratio), Some(target)) if ratio <= target => "ok",
        (Some(_), Some(_)) => "MISS",
        _ => "",
    };
    format!(
        "{name:<24} {n:>10} {:>11} {:>13} {:>7} {:>7} {verdict:<4} {:>8} {:>10}",
        cell(micros[0], three_digits),
        cell(micros[1], three_digits),
        cell(ratio, |x| format!("{x:.2}")),
        cell(target, |x| format!("{x:.2}")),
        cell(peaks[0], |x| format!("{x:.1}")),
        cell(peaks[1], |x| format!("{x:.1}")),
    )
}

fn cell(number: Option<f64>, text: impl Fn(f64) -> String) -> String {
    number.map_or_else(|| "-".to_owned(), text)
}

/// Three digits that count: 0.0123, 1.23, 12.3, 1234.
fn three_digits(x: f64) -> String {
    let limits = [100.0, 10.0, 1.0, 0.1, 0.01];
    let decimals = limits.iter().take_while(|&&limit| x < limit).count();
    format!("{x:.decimals$}")
}

fn micros(samples: &[Sample], n: u64) -> Option<f64> {
    let seconds = samples.iter().map(|sample| sample.seconds).collect();
    median(seconds).map(|seconds| seconds / n as f64 * 1e6)
}

fn peak(samples: &[Sample]) -> Option<f64> {
    samples.iter().filter_map(|sample| sample.peak_mb).reduce(f64::max)
}

fn median_ratio(over: &[Sample], under: &[Sample]) -> f64 {
    let pairs = over.iter().zip(under);
    median(pairs.map(|(a, b)| a.seconds / b.seconds).collect()).unwrap_or(f64::NAN)
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        len if len % 2 == 1 => Some(numbers[middle]),
        _ => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
    }
}

/// Asks an interpreter for its real path (what is in PATH may be a slow wrapper), its version, and
/// whether packages slow its start. `_distutils_hack` comes with setuptools and costs nothing.
const PROBE: &str = r#"
import sys
files = {name: getattr(module, "__file__", "") or "" for name, module in sys.modules.items()}
extra = [name for name, file in files.items() if "-packages" in file and name != "_distutils_hack"]
import platform
print(sys.executable)
print(platform.python_implementation(), platform.python_version())
if extra:
    print("note: its startup row is slower for what its packages load:", ", ".join(extra))
"#;

struct Runner {
    folder: PathBuf,
    python: Option<OsString>,
}

impl Runner {
    fn new() -> Self {
        let program = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let answer = Command::new(&program).args(["-c", PROBE]).output();
        let python = match answer {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                let (executable, about) = text.split_once('\n').unwrap_or_default();
                println!("{executable}: {}", about.trim_end());
                Some(executable.into())
            }
            _ => {
                let name = program.display();
                println!("{name} does not run: only orch's figures follow");
                None
            }
        };
        Self { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/versus"), python }
    }

    fn run_batch(&self, batch: &[&Workload], reps: usize) -> Vec<Result<Series, String>> {
        let mut results: Vec<Result<Series, String>> = batch.iter().map(|_| Ok(Series::default())).collect();
        let runs = batch.iter().map(|w| w.runs(reps)).max().unwrap_or(0);
        for _ in 0..runs {
            for (workload, result) in batch.iter().zip(&mut results) {
                if let Ok(series) = result
                    && let Err(message) = self.run_pair(workload, series)
                {
                    *result = Err(message);
                }
            }
        }
        results
    }

    fn run_pair(&self, workload: &Workload, series: &mut Series) -> Result<(), String> {
        let script = self.folder.join(format!("{}.rhai", workload.name));
        let orch = OsStr::new(env!("CARGO_BIN_EXE_orch"));
        let args = [OsStr::new("run"), script.as_os_str()];
        series.orch.push(sample(workload, orch, &args)?);
        if let Some(python) = &self.python
            && workload.rival.is_none_or(at_hand)
        {
            let program = self.folder.join(format!("{}.py", workload.name));
            let args = [program.as_os_str()];
            series.python.push(sample(workload, python, &args)?);
        }
        Ok(())
    }
}

/// Whether a folder of PATH has it.
fn at_hand(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn sample(workload: &Workload, program: &OsStr, args: &[&OsStr]) -> Result<Sample, String> {
    let run = finish(Command::new(program).args(args));
    let sample = run.and_then(|run| Ok(Sample { seconds: workload.seconds(&run)?, peak_mb: run.peak_mb }));
    sample.map_err(|message| format!("{}: {message}", program.display()))
}

/// A program that ended with status 0.
struct Finished {
    stdout: String,
    wall: Duration,
    peak_mb: Option<f64>,
}

fn finish(command: &mut Command) -> Result<Finished, String> {
    let io_error = |error: std::io::Error| error.to_string();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().map_err(io_error)?;
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let ended = end_of(child, started).map_err(io_error)?;
    let text = |receiver: Option<Receiver<String>>| match receiver {
        Some(receiver) => {
            receiver.recv_timeout(OUTPUT_LIMIT).map_err(|_| "its output stayed open after its end".to_owned())
        }
        None => Ok(String::new()),
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    if ended.killed {
        let seconds = LIMIT.as_secs();
        return Err(format!("killed after {seconds} s\n{}", last_lines(&stderr, 20)));
    }
    if !ended.status.success() {
        return Err(format!("{}\n{}", ended.status, last_lines(&stderr, 20)));
    }
    Ok(Finished { stdout, wall: ended.wall, peak_mb: ended.peak_mb })
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn read_all(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error of reading is judged as the output.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

struct Ended {
    status: ExitStatus,
    wall: Duration,
    peak_mb: Option<f64>,
    killed: bool,
}

/// Waits on another thread, so that the time is exact and a program that hangs can be killed.
fn end_of(mut child: Child, started: Instant) -> std::io::Result<Ended> {
    let (sender, receiver) = mpsc::channel();
    let pid = child.id();
    thread::scope(|scope| {
        scope.spawn(move || {
            let end = reap::wait(pid);
            let _ = sender.send((end, started.elapsed()));
        });
        let mut killed = false;
        let (end, wall) = if let Ok(end) = receiver.recv_timeout(LIMIT) {
            end
        } else {
            child.kill()?;
            killed = true;
            receiver.recv().map_err(std::io::Error::other)?
        };
        let (status, peak_mb) = end?;
        Ok(Ended { status, wall, peak_mb, killed })
    })
}

/// `wait4`, the only call that tells the peak memory of a child that has ended.
mod reap {
    use std::io::{Error, ErrorKind, Result};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    /// `struct rusage` where words have 64 bits; long enough for every other layout.
    #[repr(C)]
    #[derive(Default)]
    struct Usage {
        times: [isize; 4],
        max_rss: isize,
        others: [isize; 32],
    }

    const UNITS_PER_MB: f64 = if cfg!(target_vendor = "apple") { 1_048_576.0 } else { 1024.0 };

    unsafe extern "C" {
        fn wait4(pid: i32, status: *mut i32, options: i32, usage: *mut Usage) -> i32;
    }

    /// The status, and the peak memory in MB.
    pub fn wait(pid: u32) -> Result<(ExitStatus, Option<f64>)> {
        let pid = i32::try_from(pid).map_err(Error::other)?;
        let mut status = 0;
        let mut usage = Usage::default();
        loop {
            // SAFETY: both pointers are to live values; `Usage` has room for all that is written.
            if unsafe { wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
                let peak_mb = cfg!(target_pointer_width = "64").then_some(usage.max_rss as f64 / UNITS_PER_MB);
                return Ok((ExitStatus::from_raw(status), peak_mb));
            }
            let error = Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

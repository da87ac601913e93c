//! Many commands: `orch map` and `run_all`, with real processes.

mod whole;

#[path = "batch/crash.rs"]
mod crash;
#[path = "batch/frugal.rs"]
mod frugal;
#[path = "batch/map.rs"]
mod map;
#[path = "batch/orders.rs"]
mod orders;
#[path = "batch/script.rs"]
mod script;
#[path = "batch/volume.rs"]
mod volume;

/// The columns of a job log, line by line, without the header; every line must be whole.
#[track_caller]
fn log_lines(log: &str) -> Vec<Vec<String>> {
    let header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
    let lines = log.strip_prefix(header).unwrap_or_else(|| panic!("no header: {log:?}"));
    assert!(lines.is_empty() || lines.ends_with('\n'), "the last line is torn: {log:?}");
    let lines: Vec<Vec<String>> =
        lines.lines().map(|line| line.splitn(9, '\t').map(str::to_string).collect()).collect();
    for line in &lines {
        let numbers = [0, 2, 4, 5, 6, 7].map(|column| line[column].parse::<f64>());
        assert!(line.len() == 9 && line[1] == ":" && numbers.iter().all(Result::is_ok), "{line:?}");
        assert!(line[3].len() >= 10 && line[3].trim().parse::<f64>().is_ok(), "{line:?}");
    }
    lines
}

/// Number, exit value, signal and command of each line, in the order of the numbers.
#[track_caller]
fn logged(log: &str) -> Vec<String> {
    let mut lines = log_lines(log);
    lines.sort_by_key(|line| line[0].parse::<u64>().unwrap());
    lines.iter().map(|line| [0, 6, 7, 8].map(|column| line[column].as_str()).join(" ")).collect()
}

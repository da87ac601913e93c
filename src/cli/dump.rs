//! `orch dump`: what a running orch does, asked from another terminal.

use serde::Serialize;

use super::args::DumpOptions;
use super::family::{Member, family};
use crate::observe::counter::{NoAnswer, ask};
use crate::observe::snapshot::Snapshot;

/// What `--json` prints.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    program: Snapshot,
    /// All that it started and that still runs, parents first.
    processes: Vec<Member>,
    /// What the processes of the script say of themselves.
    workers: Vec<Snapshot>,
}

/// Asks and prints: the exit status.
pub fn show(options: &DumpOptions) -> i32 {
    let program = match ask(options.pid) {
        Ok(program) => program,
        Err(why) => {
            eprintln!("error: {}", reason(options.pid, &why));
            return 1;
        }
    };
    let processes = family(options.pid);
    // A process that ends in this moment has nothing to say.
    let workers =
        processes.iter().filter(|member| member.is_worker).filter_map(|member| ask(member.pid).ok()).collect();
    let whole = Whole { program, processes, workers };
    let text = if options.json { as_json(&whole) } else { for_people(&whole) };
    super::doc::write_out(&text)
}

/// Why there is no answer, for people.
pub fn reason(pid: u32, why: &NoAnswer) -> String {
    match why {
        NoAnswer::NoProcess => format!("there is no process {pid}"),
        NoAnswer::NotYours => format!("process {pid} belongs to another user"),
        NoAnswer::NotOrch => format!("process {pid} is not an orch that runs a script"),
        NoAnswer::Failed(error) => format!("process {pid} does not answer: {error}"),
    }
}

fn as_json(whole: &Whole) -> String {
    // Texts and numbers: nothing in it can fail to be written.
    serde_json::to_string_pretty(whole).map_or_else(|error| format!("{error}\n"), |text| text + "\n")
}

fn for_people(whole: &Whole) -> String {
    let mut text = format!("process {}: {}\n{}", whole.program.pid, whole.program.program, whole.program.text());
    for member in &whole.processes {
        let indent = "  ".repeat(member.depth);
        let Member { pid, command, state, cpu_seconds, memory_kib, .. } = member;
        let memory = mib(*memory_kib);
        text.push_str(&format!(
            "{indent}process {pid}: {command} ({state}, {cpu_seconds:.2} s on processors, {memory})\n"
        ));
    }
    for worker in &whole.workers {
        text.push_str(&format!("process {}: {}\n{}", worker.pid, worker.program, worker.text()));
    }
    text
}

/// An amount of memory, for people.
pub fn mib(kib: u64) -> String {
    match kib {
        0..10_240 => format!("{kib} KiB"),
        _ => format!("{} MiB", kib / 1024),
    }
}

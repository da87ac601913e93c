//! What a job's end, or its failure to begin, means for the batch.

use std::io;

use crate::command::completed::{Captured, Completed, End, StageEnd};
use crate::command::fault::CommandFault;
use crate::command::spec::Spec;
use crate::command::store::Store;

/// The exit status of a job whose time was up, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// True for a job that failed where that was not to be ignored, or took too long.
pub fn is_failure(done: &Completed) -> bool {
    done.timed_out || done.is_failure()
}

/// How a shell would tell the end of a job; 0 for none that is a failure.
pub fn status(done: &Completed) -> i32 {
    match done.decisive().end {
        _ if done.timed_out => TIMED_OUT,
        _ if !done.is_failure() => 0,
        End::Code(code) => code,
        End::Signal(number) => 128 + number,
    }
}

/// The system may have room for it later.
pub fn passes(error: &io::Error) -> bool {
    let busy = [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| busy.contains(&code))
}

/// The result of a job that could not be started, as a shell has it: 127 for no such program, else 126.
pub fn unstartable(spec: &Spec, fault: &CommandFault) -> Completed {
    let code = if matches!(fault, CommandFault::NotFound { .. }) { 127 } else { 126 };
    let mut said = Store::default();
    // It is short, and stays in memory.
    let why = match fault {
        CommandFault::NotFound { program, .. } => format!("there is no program {program:?}"),
        fault => fault.to_string(),
    };
    let _in_memory = said.push(format!("orch: {why}\n").as_bytes());
    let command = spec.text();
    let stage = StageEnd { command: command.clone(), pid: 0, end: End::Code(code), unchecked: false, seconds: 0.0 };
    Completed {
        command,
        stages: vec![stage],
        seconds: 0.0,
        timed_out: false,
        note: None,
        stdout: Captured::new(Store::default()),
        stderr: Captured::new(said),
    }
}

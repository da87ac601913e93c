//! Commands, and what became of them, in parts (see [`super::parts`]): the first says what it is, the others are the input of a
//! command's stages, or what a command has written.

use std::sync::Arc;

use rhai::{Array, Dynamic};
use serde::{Deserialize, Serialize};

use super::command::{Command, Completed};
use super::parts::{blobs, head, read};
use crate::command::completed::{Captured, Completed as Done, End, StageEnd};
use crate::command::spec::{Input, Spec};
use crate::command::store::Store;
use crate::command::stream::Which;

/// What is said first of what became of a command.
#[derive(Serialize, Deserialize)]
struct Head {
    command: String,
    stages: Vec<StageEnd>,
    seconds: f64,
    timed_out: bool,
    note: Option<String>,
}

/// The parts of a command.
///
/// # Errors
/// What went wrong.
pub fn of_command(command: &Command) -> Result<Array, String> {
    let mut spec = (*command.0).clone();
    let inputs: Vec<Dynamic> = inputs_of(&mut spec).map(|bytes| Dynamic::from_blob(std::mem::take(bytes))).collect();
    Ok([vec![head(&spec)?], inputs].concat())
}

/// The command of these parts.
///
/// # Errors
/// What is wrong with them.
pub fn command(parts: Dynamic) -> Result<Command, String> {
    let mut parts = blobs(parts);
    let mut spec: Spec = read(parts.next())?;
    if spec.stages.is_empty() || spec.stages.iter().any(|stage| stage.argv.is_empty()) {
        return Err("it has nothing to run".into());
    }
    for input in inputs_of(&mut spec) {
        *input = parts.next().ok_or("its input is not there")?;
    }
    Ok(Command(Arc::new(spec)))
}

/// The parts of what became of a command.
///
/// # Errors
/// When captured output cannot be read back.
pub fn of_completed(completed: &Completed) -> Result<Array, String> {
    let Done { command, stages, seconds, timed_out, note, stdout: _, stderr: _ } = &*completed.0;
    let (command, stages, note) = (command.clone(), stages.clone(), note.clone());
    let head = head(&Head { command, stages, seconds: *seconds, timed_out: *timed_out, note })?;
    let written = |which| match completed.written(which) {
        Ok(bytes) => Ok(Dynamic::from_blob(bytes)),
        Err(error) => Err(format!("cannot read captured output back: {error}")),
    };
    Ok(vec![head, written(Which::Stdout)?, written(Which::Stderr)?])
}

/// What became of a command, of these parts.
///
/// # Errors
/// What is wrong with them.
pub fn completed(parts: Dynamic) -> Result<Completed, String> {
    let mut parts = blobs(parts);
    let Head { command, stages, seconds, timed_out, note } = read(parts.next())?;
    let is_possible = |stage: &StageEnd| match stage.end {
        End::Code(code) => (0..=255).contains(&code),
        End::Signal(number) => (0..=127).contains(&number),
    };
    if stages.is_empty() || !stages.iter().all(is_possible) {
        return Err("no command ends so".into());
    }
    let mut captured =
        || parts.next().map(|bytes| Captured::new(Store::of_bytes(bytes))).ok_or("its output is not there");
    let (stdout, stderr) = (captured()?, captured()?);
    Ok(Completed(Arc::new(Done { command, stages, seconds, timed_out, note, stdout, stderr })))
}

fn inputs_of(spec: &mut Spec) -> impl Iterator<Item = &mut Vec<u8>> {
    spec.stages.iter_mut().filter_map(|stage| match &mut stage.stdin {
        Input::Bytes(bytes) => Some(bytes),
        Input::Default | Input::File(_) | Input::Null => None,
    })
}

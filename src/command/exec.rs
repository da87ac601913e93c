//! Becoming a command.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::environment;
use super::fault::CommandFault;
use super::launch;
use super::running::end_everything;
use super::spec::{Input, Output, Spec};

/// Ends all that orch started and becomes this command. Comes back only with the reason why it could not.
pub fn replace(spec: &Spec) -> CommandFault {
    let [stage] = spec.stages.as_slice() else {
        return CommandFault::Invalid("exec() cannot become a pipeline; use sh()".into());
    };
    match prepare(spec) {
        Ok(mut command) => {
            // What belongs to somebody else outlives orch in any case.
            let _not_ours = end_everything(spec.kill_after, || false, |_| {});
            let error = command.exec();
            CommandFault::System { what: format!("cannot become `{}`", stage.text()), error }
        }
        Err(fault) => fault,
    }
}

fn prepare(spec: &Spec) -> Result<Command, CommandFault> {
    let stage = &spec.stages[0];
    let mut command = Command::new(launch::check(stage)?);
    command.arg0(&stage.argv[0]).args(&stage.argv[1..]);
    if let Some(dir) = &stage.dir {
        command.current_dir(dir);
    }
    if stage.env_clear {
        command.env_clear();
    } else {
        environment::apply(&mut command);
    }
    for (name, value) in &stage.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    match &stage.stdin {
        Input::Default => {}
        Input::Null => _ = command.stdin(Stdio::null()),
        Input::File(path) => _ = command.stdin(open(path, OpenOptions::new().read(true))?),
        Input::Bytes(bytes) => _ = command.stdin(launch::in_memory(bytes)?),
    }
    let stdout = output(&stage.stdout)?;
    if stage.stderr == Output::SameAsStdout {
        let shared = match &stdout {
            Some(file) => file.try_clone(),
            None => rustix::io::dup(rustix::stdio::stdout()).map(File::from).map_err(Into::into),
        };
        let failed = |error| CommandFault::System { what: "cannot share the output".into(), error };
        command.stderr(shared.map_err(failed)?);
    } else if let Some(file) = output(&stage.stderr)? {
        command.stderr(file);
    }
    if let Some(file) = stdout {
        command.stdout(file);
    }
    Ok(command)
}

fn output(chosen: &Output) -> Result<Option<File>, CommandFault> {
    match chosen {
        Output::Default | Output::SameAsStdout => Ok(None),
        Output::Null => Ok(Some(open("/dev/null".as_ref(), OpenOptions::new().write(true))?)),
        Output::File(path) => Ok(Some(open(path, OpenOptions::new().write(true).create(true).truncate(true))?)),
        Output::Append(path) => Ok(Some(open(path, OpenOptions::new().append(true).create(true))?)),
    }
}

fn open(path: &std::path::Path, options: &OpenOptions) -> Result<File, CommandFault> {
    options.open(path).map_err(|error| CommandFault::File { path: path.display().to_string(), error })
}

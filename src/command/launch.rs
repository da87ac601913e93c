//! Starting the processes of a command.
//!
//! duct starts each stage; the pipes between the stages and to orch are made here, so that each stage keeps its own result
//! and orch reads without a thread. All stages of a pipeline share one process group.
//!
//! Nothing here uses `pre_exec`: it would make the start a `fork`, which takes long where orch holds much memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};

use super::fault::CommandFault;
use super::leader::{self, Leader};
use super::pty;
use super::relay;
use super::search::find_program;
use super::spec::{Input, Output, Spec, Stage};
use super::terminal::Foreground;
use super::tree::{MARK, Tree};
use super::{environment, guard, quote};
use crate::kernel::alarm;

/// What becomes of a stream that the command has not said anything about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It is orch's own.
    Inherit,
    /// It is orch's own, the terminal, which is lent to the command as soon as its first process is there: a stop for reading
    /// too soon is sent to the whole group, and a process that is about to be started in it could not even begin.
    Lent,
    /// It is a pipe to orch.
    Pipe,
    /// It is nothing.
    Null,
}

/// What becomes of all three.
#[derive(Clone, Copy, Debug)]
pub struct Wiring {
    /// The input of the first stage.
    pub stdin: Wire,
    /// The output of the last stage.
    pub stdout: Wire,
    /// The standard error of all stages.
    pub stderr: Wire,
}

/// A command whose processes have been started.
pub struct Started {
    /// The process of each stage.
    pub leaders: Vec<Arc<Leader>>,
    /// Where to write its input; does not block.
    pub stdin: Option<Arc<OwnedFd>>,
    /// Where its output comes from; does not block.
    pub stdout: Option<Arc<OwnedFd>>,
    /// Where its standard error comes from; does not block.
    pub stderr: Option<Arc<OwnedFd>>,
    /// The terminal, if it was lent.
    pub foreground: Option<Foreground>,
}

/// A started command with its tree.
pub struct Launched {
    /// Its processes and pipes.
    pub started: Started,
    /// What it is told by, and ended through.
    pub tree: Tree,
    /// When it began.
    pub began: Duration,
}

/// Starts a command as a tree of its own; `now` is the time.
///
/// # Errors
/// As [`start`].
pub fn launch(spec: &Spec, wiring: Wiring, now: Duration) -> Result<Launched, CommandFault> {
    let tree = Tree::new();
    let started = start(spec, wiring, &tree)?;
    Ok(Launched { started, tree, began: now })
}

/// One end of a stream, for a process to be started.
enum End {
    Inherit,
    Null,
    Of(OwnedFd),
    /// The same as its output.
    SameAsStdout,
}

/// Starts all stages, or none.
///
/// # Errors
/// [`CommandFault`]: nothing runs then.
pub fn start(spec: &Spec, wiring: Wiring, tree: &Tree) -> Result<Started, CommandFault> {
    let programs = spec.stages.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    alarm::prepare().map_err(|error| CommandFault::System { what: "cannot watch over a command".into(), error })?;
    guard::watch_over_this_run();
    let mut started = Started { leaders: Vec::new(), stdin: None, stdout: None, stderr: None, foreground: None };
    let result = leader::starting(|| start_stages(spec, wiring, tree, &programs, &mut started));
    if result.is_err() {
        tree.signal(rustix::process::Signal::KILL);
    }
    result.map(|()| started)
}

fn start_stages(
    spec: &Spec,
    wiring: Wiring,
    tree: &Tree,
    programs: &[PathBuf],
    started: &mut Started,
) -> Result<(), CommandFault> {
    let last = spec.stages.len() - 1;
    let terminal = if spec.pty { Some(pty::open()?) } else { None };
    let mut piped: Option<OwnedFd> = None;
    let mut stderr: Option<OwnedFd> = None;
    for (i, stage) in spec.stages.iter().enumerate() {
        let reads = match piped.take() {
            Some(pipe) => End::Of(pipe),
            None => match &terminal {
                Some(terminal) if stage.stdin == Input::Default => End::Of(terminal.user()?),
                _ => input(stage, wiring.stdin, &mut started.stdin)?,
            },
        };
        let writes = if i < last {
            let (reader, writer) = pipe()?;
            piped = Some(reader);
            End::Of(writer)
        } else {
            match &terminal {
                Some(terminal) if stage.stdout == Output::Default => End::Of(terminal.user()?),
                _ => output(&stage.stdout, wiring.stdout, &mut started.stdout)?,
            }
        };
        let complains = match (&stage.stderr, &terminal) {
            (Output::Default, Some(terminal)) => End::Of(terminal.user()?),
            // One pipe for all stages.
            (Output::Default, None) if wiring.stderr == Wire::Pipe => {
                let writer = match stderr.take() {
                    Some(writer) => writer,
                    None => {
                        let (reader, writer) = pipe()?;
                        started.stderr = Some(reading(reader)?);
                        writer
                    }
                };
                if i < last {
                    stderr = Some(writer.try_clone().map_err(no_pipe)?);
                }
                End::Of(writer)
            }
            (chosen, _) => output(chosen, wiring.stderr, &mut None)?,
        };
        let group = started.leaders.first().map_or(0, |first| first.pid());
        let own_session = terminal.is_some();
        let expression = expression(stage, &programs[i], tree, [reads, writes, complains], group, own_session)?;
        let leader = Leader::start(|| expression.start()).map_err(|error| refused(stage, &programs[i], error))?;
        tree.add_leader(leader.pid());
        if i == 0 && wiring.stdin == Wire::Lent {
            started.foreground = Foreground::lend(&leader);
        }
        started.leaders.push(leader);
    }
    if let Some(terminal) = terminal {
        let side = reading(terminal.into_ours())?;
        started.stdin = Some(side.clone());
        started.stdout.get_or_insert(side);
    }
    Ok(())
}

/// The file of a stage's program, if all of it can be started as it is said.
///
/// # Errors
/// [`CommandFault`].
pub(super) fn check(stage: &Stage) -> Result<PathBuf, CommandFault> {
    let Some(program) = stage.argv.first().filter(|program| !program.is_empty()) else {
        return Err(CommandFault::Invalid("a command needs a program".into()));
    };
    if let Some(word) = stage.argv.iter().find(|word| word.contains('\0')) {
        let shown = quote::shell_quote(&word.replace('\0', "\\0"));
        return Err(CommandFault::Invalid(format!("an argument of a command cannot hold a NUL byte: {shown}")));
    }
    for (name, value) in &stage.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(CommandFault::Invalid(format!("the environment cannot hold a variable {name:?}")));
        }
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(CommandFault::Invalid(format!("the environment cannot hold a NUL byte, as in {name:?}")));
        }
    }
    if let Some(dir) = &stage.dir {
        let shown = || dir.display().to_string();
        match std::fs::metadata(dir) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                let error = io::Error::from(io::ErrorKind::NotADirectory);
                return Err(CommandFault::BadFolder { dir: shown(), error });
            }
            Err(error) => return Err(CommandFault::BadFolder { dir: shown(), error }),
        }
    }
    let path = match stage.chosen_env("PATH") {
        Some(path) => path.map(Into::into),
        None => environment::get("PATH"),
    };
    find_program(program, path, stage.dir.as_deref())
}

fn expression(
    stage: &Stage,
    program: &Path,
    tree: &Tree,
    [input, output, error]: [End; 3],
    group: u32,
    own_session: bool,
) -> Result<duct::Expression, CommandFault> {
    let name = stage.argv[0].clone();
    let mut expression = if own_session {
        let (helper, words) = pty::through_helper(program, &stage.argv)?;
        duct::cmd(helper, words)
    } else {
        duct::cmd(program, &stage.argv[1..])
    };
    // The innermost redirection acts last in duct, so "same as the output" has to come before the output is chosen.
    if matches!(error, End::SameAsStdout) {
        expression = expression.stderr_to_stdout();
    }
    expression = match input {
        End::Of(file) => expression.stdin_file(file),
        End::Null => expression.stdin_null(),
        End::Inherit | End::SameAsStdout => expression,
    };
    expression = match output {
        End::Of(file) => expression.stdout_file(file),
        End::Null => expression.stdout_null(),
        End::Inherit | End::SameAsStdout => expression,
    };
    expression = match error {
        End::Of(file) => expression.stderr_file(file),
        End::Null => expression.stderr_null(),
        End::Inherit | End::SameAsStdout => expression,
    };
    if let Some(dir) = &stage.dir {
        expression = expression.dir(dir);
    }
    if stage.env_clear {
        let names = stage.env.iter().map(|(name, _)| name);
        let chosen = names.filter_map(|name| Some((name.clone(), stage.chosen_env(name)??.to_string())));
        expression = expression.env(MARK, tree.mark()).full_env(chosen);
    } else {
        // Outer settings are made first in duct, so the last change has to be the innermost.
        for (name, value) in stage.env.iter().rev() {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
        for (name, value) in environment::changes() {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
    }
    let mark = tree.mark();
    Ok(expression.unchecked().before_spawn(move |command| {
        command.env(MARK, &mark);
        if !own_session {
            command.process_group(group.cast_signed()).arg0(&name);
        }
        Ok(())
    }))
}

fn refused(stage: &Stage, program: &Path, error: io::Error) -> CommandFault {
    // As it was written, where that says which file it is.
    let named = || match stage.argv.first() {
        Some(word) if word.contains('/') => word.clone(),
        _ => program.display().to_string(),
    };
    match error.kind() {
        io::ErrorKind::NotFound => CommandFault::NotExecutable {
            program: named(),
            why: "the interpreter that its first line names is missing",
        },
        io::ErrorKind::PermissionDenied => {
            CommandFault::NotExecutable { program: named(), why: "it has no permission to be executed" }
        }
        _ if error.raw_os_error() == Some(libc::ENOEXEC) => CommandFault::NotExecutable {
            program: named(),
            why: "the system does not know its format (does a script lack its #! line?)",
        },
        _ => CommandFault::System { what: format!("cannot start `{}`", quote::shortened(&stage.text(), 60)), error },
    }
}

fn input(stage: &Stage, wire: Wire, ours: &mut Option<Arc<OwnedFd>>) -> Result<End, CommandFault> {
    match (&stage.stdin, wire) {
        (Input::Bytes(bytes), _) => Ok(End::Of(in_memory(bytes)?)),
        (Input::File(path), _) => opened(path, OpenOptions::new().read(true)),
        (Input::Null, _) | (Input::Default, Wire::Null) => Ok(End::Null),
        (Input::Default, Wire::Inherit | Wire::Lent) => Ok(End::Inherit),
        (Input::Default, Wire::Pipe) => {
            let (reader, writer) = pipe()?;
            *ours = Some(reading(writer)?);
            Ok(End::Of(reader))
        }
    }
}

fn output(chosen: &Output, wire: Wire, ours: &mut Option<Arc<OwnedFd>>) -> Result<End, CommandFault> {
    match (chosen, wire) {
        (Output::File(path), _) => opened(path, OpenOptions::new().write(true).create(true).truncate(true)),
        (Output::Append(path), _) => opened(path, OpenOptions::new().append(true).create(true)),
        (Output::SameAsStdout, _) => Ok(End::SameAsStdout),
        (Output::Null, _) | (Output::Default, Wire::Null) => Ok(End::Null),
        (Output::Default, Wire::Inherit | Wire::Lent) => {
            Ok(relay::for_commands().map_err(no_pipe)?.map_or(End::Inherit, End::Of))
        }
        (Output::Default, Wire::Pipe) => {
            let (reader, writer) = pipe()?;
            *ours = Some(reading(reader)?);
            Ok(End::Of(writer))
        }
    }
}

fn opened(path: &Path, options: &OpenOptions) -> Result<End, CommandFault> {
    match options.open(path) {
        Ok(file) => Ok(End::Of(file.into())),
        Err(error) => Err(CommandFault::File { path: path.display().to_string(), error }),
    }
}

/// A file in memory: it can be read without anybody who writes it meanwhile.
pub(super) fn in_memory(bytes: &[u8]) -> Result<OwnedFd, CommandFault> {
    let failed = |error: io::Error| CommandFault::System { what: "cannot keep the input of a command".into(), error };
    let memory = memfd_create("orch-input", MemfdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let mut file = File::from(memory);
    file.write_all(bytes).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
    Ok(file.into())
}

fn pipe() -> Result<(OwnedFd, OwnedFd), CommandFault> {
    pipe_with(PipeFlags::CLOEXEC).map_err(no_pipe)
}

fn no_pipe(error: impl Into<io::Error>) -> CommandFault {
    CommandFault::System { what: "cannot make a pipe to a command".into(), error: error.into() }
}

/// orch's side of a pipe or terminal that was made here, without flags: it must not block there.
fn reading(fd: OwnedFd) -> Result<Arc<OwnedFd>, CommandFault> {
    fcntl_setfl(fd.as_fd(), OFlags::NONBLOCK).map_err(no_pipe)?;
    Ok(Arc::new(fd))
}

//! Commands: building them and running them.

use std::any::TypeId;
use std::path::PathBuf;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, FuncRegistration, ImmutableString, Module, NativeCallContext, Shared};

use crate::command::call::{self, CAPTURED, PIPED, READ, SHOWN};
use crate::command::child::Child as Running;
use crate::command::exec;
use crate::command::fault::CommandFault;
use crate::command::spec::{Input, Output, Spec};
use crate::command::stream::Which;
use crate::script::arguments::{count, seconds, type_for_people, wrong_type};
use crate::script::command::{Command, Completed};
use crate::script::handles::Child;
use crate::script::iterate::{Place, Stream};
use crate::script::throw::{Outcome, call as calling, throw};

/// How many arguments `cmd()` takes one by one; more come in an array.
const MOST_ARGUMENTS: usize = 16;

/// A word of a command line: text as it is, numbers and the like as they print.
///
/// # Errors
/// `TypeError` for anything else.
pub fn word(ctx: &NativeCallContext, value: &Dynamic) -> Outcome<String> {
    let value = value.flatten_clone();
    if value.is_string() || value.is_int() || value.is_float() || value.is_bool() || value.is_char() {
        return Ok(value.to_string());
    }
    let message = format!(
        "{}(): an argument of a command must be a string or a number, not {}",
        ctx.fn_name(),
        type_for_people(value.type_name())
    );
    throw(ctx, "TypeError", message)
}

/// Words one by one, or in arrays.
fn words(ctx: &NativeCallContext, values: &[Dynamic]) -> Outcome<Vec<String>> {
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        match value.flatten_clone().try_cast::<Array>() {
            Some(several) => {
                for one in &several {
                    words.push(word(ctx, one)?);
                }
            }
            None => words.push(word(ctx, value)?),
        }
    }
    Ok(words)
}

fn build(ctx: &NativeCallContext, values: &[Dynamic]) -> Outcome<Command> {
    let words = words(ctx, values)?;
    if words.first().is_none_or(String::is_empty) {
        return throw(ctx, "ValueError", format!("{}() needs a program", ctx.fn_name()));
    }
    Ok(Command(Arc::new(Spec::new(words))))
}

/// `cmd("gcc", "-c", file)`: any number of arguments.
pub fn register(module: &mut Module) {
    for n in 3..=MOST_ARGUMENTS {
        let types = vec![TypeId::of::<Dynamic>(); n];
        let function = |ctx: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let ctx = ctx.expect("invariant: it is registered as wanting a context");
            let values: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
            build(&ctx, &values).map(Dynamic::from)
        };
        let function =
            RhaiFunc::Pure { func: Shared::new(function), has_context: true, is_pure: true, is_volatile: true };
        FuncRegistration::new("cmd").in_global_namespace().set_into_module_raw(module, types, function);
    }
}

fn path(ctx: &NativeCallContext, argument: &str, value: &Dynamic) -> Outcome<PathBuf> {
    match value.flatten_clone().into_immutable_string() {
        Ok(text) if !text.is_empty() => Ok(PathBuf::from(text.as_str())),
        Ok(_) => throw(ctx, "ValueError", format!("{}(): {argument} must not be empty", ctx.fn_name())),
        Err(_) => throw(ctx, "TypeError", wrong_type(ctx, argument, "a string", value.type_name())),
    }
}

/// The bytes of a text or a blob.
pub fn bytes(ctx: &NativeCallContext, argument: &str, value: Dynamic) -> Outcome<Vec<u8>> {
    let value = value.flatten();
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_bytes().to_vec());
    }
    let shown = value.type_name();
    match value.try_cast::<Blob>() {
        Some(bytes) => Ok(bytes),
        None => throw(ctx, "TypeError", wrong_type(ctx, argument, "a string or a blob", shown)),
    }
}

/// The lines of an output as they come; at the end, `over` has the last word.
pub fn lines(
    place: Place,
    child: Arc<Running>,
    which: Which,
    mut over: Option<impl FnOnce(&NativeCallContext) -> Outcome<()> + Send + 'static>,
    left_early: Option<Ended>,
) -> Stream {
    let mut left_early = left_early;
    child.rest();
    Stream::new(move || {
        child.resume();
        let next = match place.call(|ctx| calling(ctx, || child.read_line(which, None))) {
            Ok(Some(line)) => Some(Ok(String::from_utf8_lossy(&line).into_owned().into())),
            Ok(None) => {
                let verdict = over.take().map_or(Ok(()), |over| place.call(|ctx| over(ctx)));
                left_early.take();
                verdict.err().map(Err)
            }
            Err(thrown) => Some(Err(thrown)),
        };
        child.rest();
        next
    })
}

/// Ends a command that nobody reads to its end.
pub struct Ended(Arc<Running>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end_with_program();
    }
}

#[export_module]
pub mod functions {
    /// Makes a command: a program with its arguments, one by one or in arrays. Nothing runs yet, and no shell is involved:
    /// an argument is passed on as it is, spaces, quotes and stars included. Numbers are passed as they print.
    ///
    /// # Errors
    /// `ValueError` without a program; `TypeError` for an argument that is no text or number. What is wrong with the program
    /// itself shows when it is run.
    ///
    /// ```rhai
    /// print(cmd("echo", "two words", 3).read());
    /// print(cmd(["ls", "-d", "/"]).read());
    /// ```
    #[rhai_fn(name = "cmd", return_raw)]
    pub fn cmd_alone(ctx: NativeCallContext, program: Dynamic) -> Outcome<Command> {
        build(&ctx, &[program])
    }

    /// The same with an argument; more follow in the same way.
    ///
    /// # Errors
    /// As `cmd(program)`.
    ///
    /// ```rhai
    /// assert(cmd("printf", "%s-%s", "a", "b").read() == "a-b");
    /// ```
    #[rhai_fn(name = "cmd", return_raw)]
    pub fn cmd_with(ctx: NativeCallContext, program: Dynamic, arg: Dynamic) -> Outcome<Command> {
        build(&ctx, &[program, arg])
    }

    /// Makes a command of a text for the shell: `/bin/sh -c text`. Arguments added with `arg()` are `$1`, `$2` … in it, which
    /// is the safe way to give it file names.
    ///
    /// ```rhai
    /// assert(sh("echo one; echo two | tr a-z A-Z").read() == "one\nTWO");
    /// assert(sh("echo \"$1\"").arg("it's safe").read() == "it's safe");
    /// ```
    pub fn sh(text: &str) -> Command {
        Command(Arc::new(Spec::shell(text.to_string())))
    }

    /// One more argument. Like all that change a command, it returns a new command and leaves the old one as it is.
    ///
    /// # Errors
    /// `TypeError` when it is no text or number.
    ///
    /// ```rhai
    /// let echo = cmd("echo");
    /// assert(echo.arg("hi").read() == "hi");
    /// assert(echo.read() == "");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn arg(ctx: NativeCallContext, command: &mut Command, arg: Dynamic) -> Outcome<Command> {
        let arg = word(&ctx, &arg)?;
        Ok(command.with(|spec| spec.arg(arg)))
    }

    /// More arguments, in an array.
    ///
    /// # Errors
    /// `TypeError` as `arg(arg)`.
    ///
    /// ```rhai
    /// assert(cmd("echo").args(["a", 2]).read() == "a 2");
    /// ```
    #[rhai_fn(name = "args", return_raw, pure)]
    pub fn more_args(ctx: NativeCallContext, command: &mut Command, list: Array) -> Outcome<Command> {
        let words = words(&ctx, &[list.into()])?;
        Ok(command.with(|spec| words.into_iter().for_each(|word| spec.arg(word))))
    }

    /// Runs in this folder. In a pipeline: all stages that have not chosen their own. File names given to `stdout_file` and
    /// the like are meant from where orch is.
    ///
    /// # Errors
    /// `NotFound` or `IoError` when it is run and there is no such folder.
    ///
    /// ```rhai
    /// assert(cmd("pwd").dir("/").read() == "/");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn dir(ctx: NativeCallContext, command: &mut Command, dir: Dynamic) -> Outcome<Command> {
        let dir = path(&ctx, "dir", &dir)?;
        Ok(command.with(|spec| spec.dir(dir)))
    }

    /// Sets a variable of its environment.
    ///
    /// # Errors
    /// `TypeError` when the value is no text or number; `ValueError` when it is run and the name is empty or has a `=`.
    ///
    /// ```rhai
    /// assert(sh("echo $GREETING").env("GREETING", "hello").read() == "hello");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn env(ctx: NativeCallContext, command: &mut Command, name: &str, value: Dynamic) -> Outcome<Command> {
        let value = word(&ctx, &value)?;
        Ok(command.with(|spec| spec.env(name, Some(&value))))
    }

    /// Runs without a variable of the environment.
    ///
    /// ```rhai
    /// assert(sh("echo ${HOME:-none}").env_remove("HOME").read() == "none");
    /// ```
    #[rhai_fn(pure)]
    pub fn env_remove(command: &mut Command, name: &str) -> Command {
        command.with(|spec| spec.env(name, None))
    }

    /// Runs with an empty environment, but for what is set afterwards and one variable of orch's own, `ORCH_TREE`.
    ///
    /// ```rhai
    /// assert(cmd("/usr/bin/env").env_clear().env("A", 1).read().contains("A=1"));
    /// ```
    #[rhai_fn(pure)]
    pub fn env_clear(command: &mut Command) -> Command {
        command.with(Spec::env_clear)
    }

    /// Gives it this input: a text or a blob.
    ///
    /// # Errors
    /// `TypeError` when it is neither.
    ///
    /// ```rhai
    /// assert(cmd("tr", "a-z", "A-Z").stdin("loud").read() == "LOUD");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn stdin(ctx: NativeCallContext, command: &mut Command, input: Dynamic) -> Outcome<Command> {
        let input = bytes(&ctx, "input", input)?;
        Ok(command.with(|spec| spec.first().stdin = Input::Bytes(input)))
    }

    /// Reads its input from a file.
    ///
    /// # Errors
    /// `NotFound` or `IoError` when it is run and the file cannot be opened.
    ///
    /// ```rhai
    /// assert(cmd("wc", "-c").stdin_file("/dev/null").read().contains("0"));
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn stdin_file(ctx: NativeCallContext, command: &mut Command, file: Dynamic) -> Outcome<Command> {
        let file = path(&ctx, "file", &file)?;
        Ok(command.with(|spec| spec.first().stdin = Input::File(file)))
    }

    /// Gives it no input.
    ///
    /// ```rhai
    /// assert(cmd("cat").stdin_null().read() == "");
    /// ```
    #[rhai_fn(pure)]
    pub fn stdin_null(command: &mut Command) -> Command {
        command.with(|spec| spec.first().stdin = Input::Null)
    }

    /// Writes its output to a file, which is emptied first.
    ///
    /// # Errors
    /// `NotFound` or `IoError` when it is run and the file cannot be opened.
    ///
    /// ```rhai
    /// cmd("echo", "hi").stdout_file("/dev/null").run();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn stdout_file(ctx: NativeCallContext, command: &mut Command, file: Dynamic) -> Outcome<Command> {
        let file = path(&ctx, "file", &file)?;
        Ok(command.with(|spec| spec.last().stdout = Output::File(file)))
    }

    /// Writes its output to the end of a file.
    ///
    /// # Errors
    /// As `stdout_file(file)`.
    ///
    /// ```rhai
    /// cmd("echo", "hi").stdout_append("/dev/null").run();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn stdout_append(ctx: NativeCallContext, command: &mut Command, file: Dynamic) -> Outcome<Command> {
        let file = path(&ctx, "file", &file)?;
        Ok(command.with(|spec| spec.last().stdout = Output::Append(file)))
    }

    /// Throws its output away.
    ///
    /// ```rhai
    /// cmd("echo", "hi").stdout_null().run();
    /// ```
    #[rhai_fn(pure)]
    pub fn stdout_null(command: &mut Command) -> Command {
        command.with(|spec| spec.last().stdout = Output::Null)
    }

    /// Writes its standard error to a file, which is emptied first. In a pipeline: that of its last stage.
    ///
    /// # Errors
    /// As `stdout_file(file)`.
    ///
    /// ```rhai
    /// sh("echo oops >&2").stderr_file("/dev/null").run();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn stderr_file(ctx: NativeCallContext, command: &mut Command, file: Dynamic) -> Outcome<Command> {
        let file = path(&ctx, "file", &file)?;
        Ok(command.with(|spec| spec.last().stderr = Output::File(file)))
    }

    /// Throws its standard error away. In a pipeline: that of all its stages.
    ///
    /// ```rhai
    /// sh("echo oops >&2").stderr_null().run();
    /// ```
    #[rhai_fn(pure)]
    pub fn stderr_null(command: &mut Command) -> Command {
        command.with(|spec| spec.stages.iter_mut().for_each(|stage| stage.stderr = Output::Null))
    }

    /// Sends its standard error where its output goes.
    ///
    /// ```rhai
    /// assert(sh("echo oops >&2").stderr_to_stdout().read() == "oops");
    /// ```
    #[rhai_fn(pure)]
    pub fn stderr_to_stdout(command: &mut Command) -> Command {
        command.with(|spec| spec.last().stderr = Output::SameAsStdout)
    }

    /// A pipeline: the output of this command is the input of `next`. Pipelines may be of any length. What is said of one later, as
    /// `timeout`, `dir` and `stderr_null`, is for all its stages; `unchecked` belongs to the stage it is said of: of a whole
    /// pipeline, to the last one.
    ///
    /// ```rhai
    /// let top = cmd("printf", "b\na\nc\n").pipe(cmd("sort")).pipe(cmd("head", "-1"));
    /// assert(top.read() == "a");
    /// ```
    #[rhai_fn(pure)]
    pub fn pipe(command: &mut Command, next: Command) -> Command {
        Command(Arc::new(command.0.pipe(&next.0)))
    }

    /// Ends it, with all that it started, when it takes longer than this: TERM, then KILL after the time of `kill_after`.
    /// `run` and the like then throw `TimeoutError`. The seconds are real ones, under `--sim` too, unless it is mocked.
    ///
    /// # Errors
    /// `TypeError`, `ValueError` for a bad number of seconds.
    ///
    /// ```rhai
    /// try { cmd("sleep", 60).timeout(0.05).run(); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn timeout(ctx: NativeCallContext, command: &mut Command, secs: Dynamic) -> Outcome<Command> {
        let limit = seconds(&ctx, "secs", &secs)?;
        Ok(command.with(|spec| spec.timeout = limit))
    }

    /// How long after TERM comes KILL, when it is ended: 5 seconds unless said otherwise. 0 means KILL at once; `()` means
    /// never.
    ///
    /// # Errors
    /// As `timeout(secs)`.
    ///
    /// ```rhai
    /// let stubborn = sh("trap '' TERM; sleep 60").timeout(0.05).kill_after(0.05);
    /// try { stubborn.run(); } catch (e) { assert(e.signal == "KILL"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn kill_after(ctx: NativeCallContext, command: &mut Command, secs: Dynamic) -> Outcome<Command> {
        let grace = seconds(&ctx, "secs", &secs)?.unwrap_or(std::time::Duration::MAX);
        Ok(command.with(|spec| spec.kill_after = grace))
    }

    /// A failure of it is not an error: look at `ok` or `code`. In a pipeline it belongs to the stage it was said of.
    ///
    /// ```rhai
    /// assert(cmd("false").unchecked().run().code == 1);
    /// ```
    #[rhai_fn(pure)]
    pub fn unchecked(command: &mut Command) -> Command {
        command.with(|spec| spec.stages.iter_mut().for_each(|stage| stage.unchecked = true))
    }

    /// Gives it `n` more tries when it fails or takes too long.
    ///
    /// # Errors
    /// `TypeError`, `ValueError` when `n` is no number of tries.
    ///
    /// ```rhai
    /// let file = cmd("mktemp", "-u").read();
    /// sh("test -e \"$1\" || { touch \"$1\"; false; }").arg(file).retries(1).run();
    /// cmd("rm", file).run();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn retries(ctx: NativeCallContext, command: &mut Command, n: Dynamic) -> Outcome<Command> {
        let n = count(&ctx, "n", &n, 0)?;
        Ok(command.with(|spec| spec.retries = n))
    }

    /// Runs it in a terminal of its own, for programs that behave otherwise without one (colours, progress, prompts). What
    /// it writes on both outputs comes as one, with `\r\n` at the ends of lines. What is typed does not reach it: it reads what
    /// `write()` gives it.
    ///
    /// ```rhai,no_run
    /// print(cmd("ls", "--color=auto").pty().read());
    /// ```
    #[rhai_fn(pure)]
    pub fn pty(command: &mut Command) -> Command {
        command.with(|spec| spec.pty = true)
    }

    /// Runs it to its end; what it writes goes to the terminal. A command that reads from the terminal has it meanwhile:
    /// editors and pagers work, and Ctrl-C goes to them.
    ///
    /// # Errors
    /// `CommandError` with the fields of `Completed` when it fails; `TimeoutError` with the same; `NotFound` when there is
    /// no such program; `IoError`; `Cancelled`, `Interrupted`. A run that is cancelled or interrupted ends the command first.
    ///
    /// ```rhai
    /// cmd("echo", "hi").run();
    /// try { cmd("false").run(); } catch (e) { assert(e.kind == "CommandError" && e.code == 1); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn run(ctx: NativeCallContext, command: &mut Command) -> Outcome<Completed> {
        let done = calling(&ctx, || call::run(&command.0, SHOWN))?;
        Completed(done).judged(&ctx, command.0.timeout)
    }

    /// Runs it to its end and keeps what it writes. Of each output, 256 MiB are kept in memory, more in a file that has no
    /// name in the folder for temporary files.
    ///
    /// # Errors
    /// As `run()`.
    ///
    /// ```rhai
    /// let done = sh("echo out; echo err >&2; exit 3").unchecked().capture();
    /// assert(done.stdout == "out\n" && done.stderr == "err\n" && done.code == 3);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn capture(ctx: NativeCallContext, command: &mut Command) -> Outcome<Completed> {
        let done = calling(&ctx, || call::run(&command.0, CAPTURED))?;
        Completed(done).judged(&ctx, command.0.timeout)
    }

    /// Runs it to its end and returns what it writes, without the last newline. Its standard error goes to the terminal.
    ///
    /// # Errors
    /// As `run()`.
    ///
    /// ```rhai
    /// assert(cmd("echo", "hi").read() == "hi");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn read(ctx: NativeCallContext, command: &mut Command) -> Outcome<ImmutableString> {
        let done = calling(&ctx, || call::run(&command.0, READ))?;
        let text = Completed(done).judged(&ctx, command.0.timeout)?.text(&ctx, Which::Stdout)?;
        Ok(match text.strip_suffix('\n') {
            Some(line) => line.strip_suffix('\r').unwrap_or(line).into(),
            None => text,
        })
    }

    /// Runs it and gives the lines it writes as they come, without their newlines; the command waits while nobody takes
    /// them. A line of more than 16 MiB comes in pieces. Leaving the loop early ends the command.
    ///
    /// # Errors
    /// As `run()`, at the end of the loop.
    ///
    /// ```rhai
    /// for line in sh("echo one; echo two").lines() { print(line); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn lines(ctx: NativeCallContext, command: &mut Command) -> Outcome<Stream> {
        let child = calling(&ctx, || call::start_in_front(&command.0, READ))?;
        let (last, limit) = (child.clone(), command.0.timeout);
        let over = move |ctx: &NativeCallContext| {
            let done = calling(ctx, || call::finish(&last))?;
            Completed(done).judged(ctx, limit).map(drop)
        };
        let ended = Ended(child.clone());
        Ok(super::lines(Place::of(&ctx, "lines"), child, Which::Stdout, Some(over), Some(ended)))
    }

    /// Starts it and goes on; its input and its outputs are pipes, unless they were sent elsewhere.
    ///
    /// # Errors
    /// `NotFound` when there is no such program; `IoError`.
    ///
    /// ```rhai
    /// let cat = cmd("cat").start();
    /// cat.write("hello\n");
    /// assert(cat.read_line() == "hello");
    /// cat.close_stdin();
    /// assert(cat.wait().ok);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn start(ctx: NativeCallContext, command: &mut Command) -> Outcome<Child> {
        let child = calling(&ctx, || Running::start(&command.0, PIPED))?;
        child.note_its_end();
        Ok(Child::of(child))
    }

    /// Ends all that runs and becomes this command: nothing of the script goes on, and the exit status is the command's.
    ///
    /// # Errors
    /// `NotFound`, `IoError` as `run()`; `ValueError` for a pipeline.
    ///
    /// ```rhai,no_run
    /// cmd("bash").exec();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn exec(ctx: NativeCallContext, command: &mut Command) -> Outcome<()> {
        calling(&ctx, || -> Result<(), CommandFault> { Err(super::exec::replace(&command.0)) })
    }

    /// The command line, as a shell would take it.
    ///
    /// ```rhai
    /// assert(cmd("echo", "two words").to_string() == "echo 'two words'");
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn command_to_string(command: &mut Command) -> String {
        command.0.text()
    }
}

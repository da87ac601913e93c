//! Commands that run, and what became of them.

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, ImmutableString, NativeCallContext};

use crate::command::signal::{SIGNALS, plain_name, signal_number};
use crate::command::stream::Which;
use crate::kernel::Waitable;
use crate::script::api::command::{bytes, lines};
use crate::script::arguments::{did_you_mean, seconds};
use crate::script::command::{Completed, how_it_failed};
use crate::script::handles::Child;
use crate::script::iterate::{Place, Stream};
use crate::script::throw::{Outcome, call, call_within, throw};

/// The number of a signal by its name.
///
/// # Errors
/// `ValueError` with the nearest name.
pub fn signal_of(ctx: &NativeCallContext, name: &str) -> Outcome<i32> {
    match signal_number(name) {
        Some(number) => Ok(number),
        None => {
            let hint = did_you_mean(&plain_name(name), SIGNALS.iter().map(|(name, _)| *name));
            throw(ctx, "ValueError", format!("{}(): there is no signal {name:?}{hint}", ctx.fn_name()))
        }
    }
}

/// A command that the script itself ended, or sent a signal, has not failed.
///
/// # Errors
/// As [`Completed::judged`].
pub fn judged(ctx: &NativeCallContext, child: &Child, done: Completed) -> Outcome<Completed> {
    match child.ended_by_request() {
        true => Ok(done),
        false => done.judged(ctx, child.spec().timeout),
    }
}

fn line(line: Option<Vec<u8>>) -> Dynamic {
    line.map_or(Dynamic::UNIT, |line| String::from_utf8_lossy(&line).into_owned().into())
}

type Over = fn(&NativeCallContext) -> Outcome<()>;

#[export_module]
pub mod functions {
    /// The number of its process; of a pipeline, that of its last stage.
    ///
    /// ```rhai
    /// let child = cmd("true").start();
    /// assert(child.pid > 0);
    /// child.wait();
    /// ```
    #[rhai_fn(get = "pid", pure)]
    pub fn get_pid(child: &mut Child) -> i64 {
        i64::from(child.pid())
    }

    /// What became of it if it has ended, else `()`.
    ///
    /// # Errors
    /// `IoError` when its output cannot be kept.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// assert(child.poll() == ());
    /// child.kill();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn poll(ctx: NativeCallContext, child: &mut Child) -> Outcome<Dynamic> {
        let done = call(&ctx, || child.poll())?;
        Ok(done.map_or(Dynamic::UNIT, |done| Dynamic::from(Completed(done))))
    }

    /// Waits for its end and keeps what it writes meanwhile. When no other thread knows the child, its input is closed
    /// first, since nobody could write to it any more.
    ///
    /// # Errors
    /// `CommandError`, `TimeoutError` as `run()`, but not after this script's own `terminate()`, `kill()` or `signal()`;
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let child = cmd("echo", "hi").start();
    /// assert(child.wait().stdout == "hi\n");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn wait(ctx: NativeCallContext, child: &mut Child) -> Outcome<Completed> {
        let done = call(&ctx, || child.wait(None))?;
        judged(&ctx, child, Completed(done))
    }

    /// Waits for its end, at most `timeout` seconds: true when it has ended. It throws nothing for a failure.
    ///
    /// # Errors
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// assert(!child.wait(0.01));
    /// child.kill();
    /// ```
    #[rhai_fn(name = "wait", return_raw, pure)]
    pub fn wait_within(ctx: NativeCallContext, child: &mut Child, timeout: Dynamic) -> Outcome<bool> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        call_within(&ctx, limit, |limit| match child.wait(limit) {
            Ok(_) => Ok(true),
            Err(fault) if fault.is_timeout() => Ok(false),
            Err(fault) => Err(fault),
        })
    }

    /// Ends it and all that it started: TERM now, KILL after the time of `kill_after`. Does nothing when it has ended.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// child.terminate();
    /// assert(child.wait().signal == "TERM");
    /// ```
    #[rhai_fn(pure)]
    pub fn terminate(child: &mut Child) {
        child.terminate();
    }

    /// Ends it and all that it started with KILL. Does nothing when it has ended.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// child.kill();
    /// assert(child.wait().code == -9);
    /// ```
    #[rhai_fn(pure)]
    pub fn kill(child: &mut Child) {
        child.kill();
    }

    /// Sends a signal to its process group: `"HUP"`, `"STOP"`, `"CONT"`. Does nothing when it has ended.
    ///
    /// # Errors
    /// `ValueError` when there is no such signal.
    ///
    /// ```rhai
    /// let child = sh("trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done").start();
    /// child.read_line();
    /// child.signal("USR1");
    /// assert(child.wait().code == 7);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn signal(ctx: NativeCallContext, child: &mut Child, name: &str) -> Outcome<()> {
        child.signal(signal_of(&ctx, name)?);
        Ok(())
    }

    /// Writes a text or a blob to its input, waiting while there is no room. What it writes meanwhile is kept.
    ///
    /// # Errors
    /// `Closed` when its input is closed or it reads no more; `TypeError`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let sort = cmd("sort").start();
    /// sort.write("b\na\n");
    /// assert(sort.communicate("").stdout == "a\nb\n");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn write(ctx: NativeCallContext, child: &mut Child, data: Dynamic) -> Outcome<()> {
        let data = bytes(&ctx, "data", data)?;
        call(&ctx, || child.write(&data, None))
    }

    /// Closes its input: it reads the end there. Closing again does nothing.
    ///
    /// ```rhai
    /// let cat = cmd("cat").start();
    /// cat.close_stdin();
    /// assert(cat.wait().ok);
    /// ```
    #[rhai_fn(pure)]
    pub fn close_stdin(child: &mut Child) {
        child.close_stdin();
    }

    /// The next line it writes, without the newline; `()` at the end. A line of more than 16 MiB comes in pieces.
    ///
    /// # Errors
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let child = sh("echo one; echo two").start();
    /// assert(child.read_line() == "one");
    /// assert(child.read_line() == "two");
    /// assert(child.read_line() == ());
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn read_line(ctx: NativeCallContext, child: &mut Child) -> Outcome<Dynamic> {
        Ok(line(call(&ctx, || child.read_line(Which::Stdout, None))?))
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `read_line()`.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// try { child.read_line(0.01); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// child.kill();
    /// ```
    #[rhai_fn(name = "read_line", return_raw, pure)]
    pub fn read_line_within(ctx: NativeCallContext, child: &mut Child, timeout: Dynamic) -> Outcome<Dynamic> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        Ok(line(call_within(&ctx, limit, |limit| child.read_line(Which::Stdout, limit))?))
    }

    /// The lines it writes as they come, without their newlines.
    ///
    /// ```rhai
    /// for line in sh("echo one; echo two").start().lines() { print(line); }
    /// ```
    #[rhai_fn(name = "lines", pure)]
    pub fn child_lines(ctx: NativeCallContext, child: &mut Child) -> Stream {
        lines(Place::of(&ctx, "lines"), (**child).clone(), Which::Stdout, None::<Over>, None)
    }

    /// The lines of its standard error as they come, without their newlines.
    ///
    /// ```rhai
    /// for line in sh("echo oops >&2").start().stderr_lines() { print(line); }
    /// ```
    #[rhai_fn(pure)]
    pub fn stderr_lines(ctx: NativeCallContext, child: &mut Child) -> Stream {
        lines(Place::of(&ctx, "stderr_lines"), (**child).clone(), Which::Stderr, None::<Over>, None)
    }

    /// Writes all of `input`, closes its input and waits for its end.
    ///
    /// # Errors
    /// As `wait()`. That it does not read all of its input is no error.
    ///
    /// ```rhai
    /// assert(cmd("tr", "a-z", "A-Z").start().communicate("loud").stdout == "LOUD");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn communicate(ctx: NativeCallContext, child: &mut Child, input: Dynamic) -> Outcome<Completed> {
        let input = bytes(&ctx, "input", input)?;
        call(&ctx, || match child.write(&input, None) {
            Err(fault) if !fault.is_closed_input() => Err(fault),
            _ => Ok(()),
        })?;
        child.close_stdin();
        let done = call(&ctx, || child.wait(None))?;
        judged(&ctx, child, Completed(done))
    }

    /// Gives the child a name, which reports and `print` show; returns the child.
    ///
    /// ```rhai
    /// let server = cmd("sleep", 60).start().named("server");
    /// server.kill();
    /// ```
    #[rhai_fn(name = "named", pure)]
    pub fn named_child(child: &mut Child, name: &str) -> Child {
        child.core().set_name(name);
        child.clone()
    }

    // ---- Completed

    /// The exit code; negative for a signal. Of a pipeline, that of the rightmost stage that failed.
    ///
    /// ```rhai
    /// assert(sh("exit 3").unchecked().run().code == 3);
    /// ```
    #[rhai_fn(get = "code", pure)]
    pub fn get_code(done: &mut Completed) -> i64 {
        done.code()
    }

    /// The name of the signal that ended it, as `"KILL"`; `()` when none did.
    ///
    /// ```rhai
    /// assert(sh("kill -9 $$").unchecked().run().signal == "KILL");
    /// ```
    #[rhai_fn(get = "signal", pure)]
    pub fn get_signal(done: &mut Completed) -> Dynamic {
        done.signal()
    }

    /// True when no stage failed.
    ///
    /// ```rhai
    /// assert(cmd("true").run().ok);
    /// ```
    #[rhai_fn(get = "ok", pure)]
    pub fn get_ok(done: &mut Completed) -> bool {
        done.0.ok()
    }

    /// What it wrote, as text; bytes that are not UTF-8 show as `\u{FFFD}` and are found in `stdout_bytes`. Empty when it
    /// was not captured.
    ///
    /// # Errors
    /// `IoError` when captured output cannot be read back.
    ///
    /// ```rhai
    /// assert(cmd("echo", "hi").capture().stdout == "hi\n");
    /// ```
    #[rhai_fn(get = "stdout", return_raw, pure)]
    pub fn get_stdout(ctx: NativeCallContext, done: &mut Completed) -> Outcome<ImmutableString> {
        done.text(&ctx, Which::Stdout)
    }

    /// What it wrote on its standard error, as text.
    ///
    /// # Errors
    /// `IoError` when captured output cannot be read back.
    ///
    /// ```rhai
    /// assert(sh("echo oops >&2").capture().stderr == "oops\n");
    /// ```
    #[rhai_fn(get = "stderr", return_raw, pure)]
    pub fn get_stderr(ctx: NativeCallContext, done: &mut Completed) -> Outcome<ImmutableString> {
        done.text(&ctx, Which::Stderr)
    }

    /// The bytes it wrote.
    ///
    /// # Errors
    /// `IoError` when captured output cannot be read back.
    ///
    /// ```rhai
    /// assert(sh("printf '\\377'").capture().stdout_bytes[0] == 255);
    /// ```
    #[rhai_fn(get = "stdout_bytes", return_raw, pure)]
    pub fn get_stdout_bytes(ctx: NativeCallContext, done: &mut Completed) -> Outcome<Blob> {
        done.bytes(&ctx, Which::Stdout)
    }

    /// The bytes it wrote on its standard error.
    ///
    /// # Errors
    /// `IoError` when captured output cannot be read back.
    ///
    /// ```rhai
    /// assert(cmd("true").capture().stderr_bytes.len == 0);
    /// ```
    #[rhai_fn(get = "stderr_bytes", return_raw, pure)]
    pub fn get_stderr_bytes(ctx: NativeCallContext, done: &mut Completed) -> Outcome<Blob> {
        done.bytes(&ctx, Which::Stderr)
    }

    /// How long it ran, in seconds.
    ///
    /// ```rhai
    /// assert(cmd("true").run().seconds >= 0.0);
    /// ```
    #[rhai_fn(get = "seconds", pure)]
    pub fn get_seconds(done: &mut Completed) -> f64 {
        done.0.seconds
    }

    /// The number its process had; of a pipeline, that of its last stage.
    ///
    /// ```rhai
    /// assert(cmd("true").run().pid > 0);
    /// ```
    #[rhai_fn(get = "pid", pure)]
    pub fn get_completed_pid(done: &mut Completed) -> i64 {
        done.0.stages.last().map_or(0, |stage| i64::from(stage.pid))
    }

    /// The command line, as a shell would take it.
    ///
    /// ```rhai
    /// assert(cmd("true").run().command == "true");
    /// ```
    #[rhai_fn(get = "command", pure)]
    pub fn get_command(done: &mut Completed) -> String {
        done.0.command.clone()
    }

    /// The stages of a pipeline, each a map with `command`, `pid`, `code`, `signal`, `ok`, `unchecked` and `seconds`.
    ///
    /// ```rhai
    /// let stages = sh("exit 2").unchecked().pipe(cmd("cat")).run().stages;
    /// assert(stages[0].code == 2 && stages[1].ok);
    /// ```
    #[rhai_fn(get = "stages", pure)]
    pub fn get_stages(done: &mut Completed) -> Array {
        done.stages()
    }

    /// A note, as who still held its output open when it had ended; `()` when there is none.
    ///
    /// ```rhai
    /// assert(cmd("true").run().note == ());
    /// ```
    #[rhai_fn(get = "note", pure)]
    pub fn get_note(done: &mut Completed) -> Dynamic {
        done.note()
    }

    /// How it ended, in a few words.
    ///
    /// ```rhai
    /// print(cmd("true").run());
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn completed_to_string(done: &mut Completed) -> String {
        let how = if done.0.ok() { "ok".to_string() } else { how_it_failed(done.0.decisive()) };
        format!("Completed(`{}`, {how}, {:.3} s)", done.0.command, done.0.seconds)
    }
}

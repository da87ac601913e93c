//! Around commands: finding programs, quoting, processes by their number, mocks.

use std::time::Duration;

use rhai::plugin::*;
use rhai::{Dynamic, Map, NativeCallContext};

use crate::command::completed::End;
use crate::command::mock::Mock;
use crate::command::{environment, processes, quote, search};
use crate::kernel::door;
use crate::script::api::child::signal_of;
use crate::script::api::command::bytes;
use crate::script::arguments::Options;
use crate::script::host::host;
use crate::script::process::simulated;
use crate::script::throw::{Outcome, throw};
use crate::signals::Signal;
use crate::signals::names::Usual;

fn pid_of(ctx: &NativeCallContext, pid: i64) -> Outcome<i32> {
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => throw(ctx, "ValueError", format!("{}(): pid must be the number of a process, not {pid}", ctx.fn_name())),
    }
}

fn output(ctx: &NativeCallContext, options: &mut Options, name: &'static str) -> Outcome<Vec<u8>> {
    options.take(name).map_or(Ok(Vec::new()), |value| bytes(ctx, &format!("option {name}"), value))
}

/// True for a signal that ends a program which has said nothing about it.
fn ends_by_itself(number: i32) -> bool {
    Signal::numbered(number).is_some_and(|signal| matches!(signal.usual(), Usual::Asks | Usual::Ends))
}

#[export_module]
pub mod functions {
    /// The file that runs as `name`: what the folders of `PATH` have first. `()` when there is none.
    ///
    /// ```rhai
    /// assert(which("sh").ends_with("/sh"));
    /// assert(which("no such program") == ());
    /// ```
    pub fn which(name: &str) -> Dynamic {
        let found = search::find_program(name, environment::get("PATH"), None);
        found.map_or(Dynamic::UNIT, |path| path.display().to_string().into())
    }

    /// The text as one word of a shell.
    ///
    /// ```rhai
    /// assert(shell_quote("it's") == "'it'\\''s'");
    /// assert(sh("echo " + shell_quote("a  b")).read() == "a  b");
    /// ```
    pub fn shell_quote(text: &str) -> String {
        quote::shell_quote(text)
    }

    /// Sends a signal to a process by its number: `"TERM"`, `"KILL"`, `"HUP"`. For a command of this script, the methods of
    /// `Child` are better: they know all that it started.
    ///
    /// # Errors
    /// `NotFound` when there is no such process; `IoError` when it is somebody else's; `ValueError`.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// kill(child.pid, "TERM");
    /// try { child.wait(); } catch (e) { assert(e.signal == "TERM"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn kill(ctx: NativeCallContext, pid: i64, signal: &str) -> Outcome<()> {
        let (pid, number) = (pid_of(&ctx, pid)?, signal_of(&ctx, signal)?);
        if let Some(process) = simulated(host().kernel(), i64::from(pid)) {
            if ends_by_itself(number) {
                door::point();
                process.end_process(number.saturating_neg());
            }
            return Ok(());
        }
        match processes::signal_by_number(pid, number) {
            Ok(()) => Ok(()),
            Err(error) if error == rustix::io::Errno::SRCH => {
                throw(&ctx, "NotFound", format!("there is no process {pid}"))
            }
            Err(error) => {
                let error = std::io::Error::from(error);
                throw(&ctx, "IoError", format!("cannot send {signal} to process {pid}: {error}"))
            }
        }
    }

    /// True while there is a process of this number that has not ended.
    ///
    /// # Errors
    /// `ValueError` when it can be no number of a process.
    ///
    /// ```rhai
    /// let child = cmd("sleep", 60).start();
    /// assert(pid_alive(child.pid));
    /// child.kill();
    /// child.wait();
    /// assert(!pid_alive(child.pid));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pid_alive(ctx: NativeCallContext, pid: i64) -> Outcome<bool> {
        let pid = pid_of(&ctx, pid)?;
        door::query();
        if simulated(host().kernel(), i64::from(pid)).is_some() {
            return Ok(true);
        }
        Ok(processes::stat(pid).is_some_and(|process| process.state != 'Z'))
    }

    /// Under `--sim`: commands whose command line matches `pattern` do not run from now on; they print `stdout` and
    /// `stderr` at once, take `seconds` of simulated time, and end with `code` (negative for a signal). In the pattern, `*` stands
    /// for any text and `?` for any character. Of several that match, the last one made counts.
    ///
    /// # Errors
    /// `ValueError` outside `--sim`, and for a bad pattern or option.
    ///
    /// ```rhai,sim
    /// mock_cmd("make *", #{stdout: "built\n", seconds: 30});
    /// let begun = monotonic();
    /// assert(cmd("make", "all").read() == "built");
    /// assert(monotonic() - begun == 30.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mock_cmd(ctx: NativeCallContext, pattern: &str, result: Map) -> Outcome<()> {
        let mut options = Options::new(result);
        let (stdout, stderr) = (output(&ctx, &mut options, "stdout")?, output(&ctx, &mut options, "stderr")?);
        let code = options.take("code").map_or(Ok(0), |code| code.as_int()).ok().and_then(|c| i32::try_from(c).ok());
        let Some(code) = code.filter(|code| (-64..256).contains(code)) else {
            return throw(&ctx, "ValueError", "mock_cmd(): option code must be 0 to 255, or a signal as -1 to -64");
        };
        let takes = options.seconds(&ctx, "seconds")?.unwrap_or(Duration::ZERO);
        options.finish(&ctx)?;
        let kernel = host().kernel().clone();
        if !kernel.is_sim() {
            return throw(&ctx, "ValueError", "mock_cmd() is for simulated runs: `orch run --sim`");
        }
        let pattern = match glob::Pattern::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return throw(&ctx, "ValueError", format!("mock_cmd(): bad pattern {pattern:?}: {error}")),
        };
        let end = if code < 0 { End::Signal(-code) } else { End::Code(code) };
        Mock { pattern, stdout, stderr, end, takes }.install(&kernel);
        Ok(())
    }
}

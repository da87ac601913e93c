//! A program that is watched while it runs: wait for a line, send a signal, wait for its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::family::eventually;
use super::program::{LIMIT, Program, Seen, finish, orch};

/// See the module.
pub struct Live {
    /// Until it was waited for.
    child: Option<Child>,
    call: String,
    stdout: Stream,
    stderr: Stream,
    /// Holds the folder of the script.
    program: Program,
}

/// Lines as they come.
struct Stream {
    lines: Receiver<String>,
    seen: String,
}

impl Stream {
    fn of(stream: impl Read + Send + 'static) -> Stream {
        let (tell, lines) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if tell.send(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned()).is_err() {
                    return;
                }
            }
        });
        Stream { lines, seen: String::new() }
    }

    fn until(&mut self, wanted: &str) -> bool {
        if self.seen.lines().any(|l| l.contains(wanted)) {
            return true;
        }
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.seen.push_str(&line);
            if line.contains(wanted) {
                return true;
            }
        }
        false
    }

    fn until_another(&mut self, wanted: &str) -> bool {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.seen.push_str(&line);
            if line == wanted {
                return true;
            }
        }
        false
    }

    fn until_the_end(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.seen.push_str(&line);
        }
        std::mem::take(&mut self.seen)
    }
}

impl Live {
    /// Starts it.
    pub fn start(program: Program) -> Live {
        let command = program.command();
        Self::spawn(program, command)
    }

    /// Starts it with signals that whoever starts it wants it to ignore.
    pub fn start_ignoring(program: Program, signals: &[&str]) -> Live {
        let plain = program.command();
        let mut command = Command::new("env");
        command.args(signals.iter().map(|name| format!("--ignore-signal={name}")));
        command.arg(plain.get_program()).args(plain.get_args());
        command.current_dir(plain.get_current_dir().unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(program, command)
    }

    fn spawn(program: Program, mut command: Command) -> Live {
        let mut child = command.spawn().unwrap();
        let stdout = Stream::of(child.stdout.take().unwrap());
        let stderr = Stream::of(child.stderr.take().unwrap());
        drop(child.stdin.take());
        Live { child: Some(child), call: "…".into(), stdout, stderr, program }
    }

    /// A script in real time, once it has printed `ready`.
    #[track_caller]
    pub fn ready(script: &str) -> Live {
        let mut live = Live::start(Program::script(script));
        live.says("ready");
        live
    }

    /// Waits for a line of stdout that contains this.
    #[track_caller]
    pub fn says(&mut self, wanted: &str) {
        if !self.stdout.until(wanted) {
            self.give_up(wanted);
        }
    }

    /// The line of stdout that contains this, once it is there.
    #[track_caller]
    pub fn line_with(&mut self, wanted: &str) -> String {
        self.says(wanted);
        self.stdout.seen.lines().find(|line| line.contains(wanted)).unwrap_or_default().to_string()
    }

    /// Waits for one more line of stdout that is this.
    #[track_caller]
    pub fn says_again(&mut self, wanted: &str) {
        if !self.stdout.until_another(wanted) {
            self.give_up(wanted);
        }
    }

    /// Waits for a line of stderr that contains this.
    #[track_caller]
    pub fn reports(&mut self, wanted: &str) {
        if !self.stderr.until(wanted) {
            self.give_up(wanted);
        }
    }

    /// Waits for one more line of stderr that is this.
    #[track_caller]
    pub fn reports_again(&mut self, wanted: &str) {
        if !self.stderr.until_another(wanted) {
            self.give_up(wanted);
        }
    }

    /// Waits until so many lines of what `orch dump` says of it contain this.
    #[track_caller]
    pub fn waits(&self, wanted: &str, times: usize) {
        let dump = || orch(["dump", &self.pid().to_string()]).run().stdout;
        eventually(
            || (dump().matches(wanted).count() >= times).then_some(()),
            || format!("{wanted:?} is not there {times} times:\n{}", dump()),
        );
    }

    /// What came on stdout so far.
    pub fn seen_stdout(&self) -> &str {
        &self.stdout.seen
    }

    /// The same on standard error.
    pub fn seen_stderr(&self) -> &str {
        &self.stderr.seen
    }

    #[track_caller]
    fn give_up(&mut self, wanted: &str) -> ! {
        self.signal("KILL");
        let (out, err) = (self.stdout.until_the_end(), self.stderr.until_the_end());
        panic!("no line with {wanted:?} came\n--- stdout\n{out}--- stderr\n{err}---");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Makes an empty file in the folder of the script, as a sign to it.
    pub fn put_file(&self, name: &str) {
        std::fs::write(self.program.own_folder().join(name), "").unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end. Both streams are given as they were from the beginning.
    pub fn end(mut self) -> Seen {
        let mut seen = finish(self.child.take().unwrap(), std::mem::take(&mut self.call));
        seen.stdout = self.stdout.until_the_end();
        seen.stderr = self.stderr.until_the_end();
        seen
    }
}

impl Drop for Live {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop((child.kill(), child.wait()));
        }
    }
}

//! Runs the program and says what was to be seen: everything it printed and its status, or a panic that shows both.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// A program that is still there after so long is killed, and the test fails.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A call of `orch`, built step by step.
pub struct Program {
    args: Vec<String>,
    stdin: Vec<u8>,
    env: Vec<(String, String)>,
    folder: PathBuf,
    files: tempfile::TempDir,
}

/// `orch` with these arguments.
pub fn orch<'a>(args: impl IntoIterator<Item = &'a str>) -> Program {
    Program {
        args: args.into_iter().map(str::to_string).collect(),
        stdin: Vec::new(),
        env: Vec::new(),
        folder: super::top().to_path_buf(),
        files: tempfile::tempdir().unwrap(),
    }
}

impl Program {
    /// The same with a script that is written to `script.rhai` in a folder of its own, where it runs.
    pub fn script(text: &str) -> Program {
        Self::script_with(&["run"], text)
    }

    /// The same under simulated time.
    pub fn sim(text: &str) -> Program {
        Self::script_with(&["run", "--sim"], text)
    }

    /// The same with words before the name of the script.
    pub fn script_with(before: &[&str], text: &str) -> Program {
        orch(before.iter().copied().chain(["script.rhai"])).file("script.rhai", text.as_bytes()).in_its_folder()
    }

    /// One more argument.
    pub fn arg(mut self, word: &str) -> Program {
        self.args.push(word.to_string());
        self
    }

    /// What it reads.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Program {
        self.stdin = text.as_ref().to_vec();
        self
    }

    /// A variable of its environment, which all that it starts inherit.
    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.env.push((name.to_string(), value.to_string()));
        self
    }

    /// A file in the folder of its own.
    pub fn file(self, name: &str, content: &[u8]) -> Program {
        std::fs::write(self.files.path().join(name), content).unwrap();
        self
    }

    /// Runs in the folder of its own.
    pub fn in_its_folder(mut self) -> Program {
        self.folder = self.files.path().to_path_buf();
        self
    }

    /// The folder of its own.
    pub fn own_folder(&self) -> PathBuf {
        self.files.path().to_path_buf()
    }

    /// The call, for those who want to run it in another way. The folder of its own lasts as long as the program.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
        command.args(&self.args).current_dir(&self.folder).envs(self.env.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn run(self) -> Seen {
        let mut child = self.command().spawn().unwrap();
        // A program that does not read what it is given is no matter.
        let mut stdin = child.stdin.take().unwrap();
        let given = self.stdin.clone();
        thread::spawn(move || drop(stdin.write_all(&given)));
        finish(child, self.args.join(" "))
    }

    /// Runs it and compares everything; see [`Seen::is`].
    #[track_caller]
    pub fn is(self, status: i32, stdout: &str, stderr: &str) {
        self.run().is(status, stdout, stderr);
    }
}

/// Waits for a child that somebody started, at most [`LIMIT`]. What orch says when its end takes more than a second is left out,
/// since that depends on the machine.
pub fn finish(mut child: Child, call: String) -> Seen {
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let (tell, told) = channel();
    let pid = child.id();
    thread::spawn(move || tell.send(child.wait()));
    let status = match told.recv_timeout(LIMIT) {
        Ok(status) => Some(status.unwrap()),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            drop(Command::new("kill").args(["-KILL", &pid.to_string()]).status());
            None
        }
    };
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.map_or_else(String::new, |r| String::from_utf8_lossy(&r.join().unwrap()).into_owned())
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Seen { call, status: number(status), stdout, stderr }.without_waiting(),
        None => panic!("`orch {call}` did not end in {LIMIT:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"),
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The exit status; negative when a signal ended it.
fn number(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|s| -s)).unwrap()
}

/// What was to be seen of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The arguments.
    pub call: String,
    /// The exit status; negative when a signal ended it.
    pub status: i32,
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
}

impl Seen {
    /// Compares everything, but what orch says where the machine was held up while it ended.
    #[track_caller]
    pub fn is(&self, status: i32, stdout: &str, stderr: &str) {
        let said = self.stderr == stderr || self.besides_waiting() == stderr;
        let same = self.status == status && self.stdout == stdout && said;
        assert!(
            same,
            "wanted status {status}\n--- stdout\n{stdout}--- stderr\n{stderr}---\nbut it was {}",
            self.for_people()
        );
    }

    /// Ended with 0 and said nothing but this on stdout.
    #[track_caller]
    pub fn prints(&self, stdout: &str) {
        self.is(0, stdout, "");
    }

    /// Without what orch says when its end takes more than a second, as where somebody does not listen to TERM.
    pub fn without_waiting(mut self) -> Seen {
        self.stderr = self.besides_waiting();
        self
    }

    fn besides_waiting(&self) -> String {
        let mut names = false;
        let mut kept = String::new();
        for line in self.stderr.split_inclusive('\n') {
            names = line.starts_with("note: still waiting for the end") || (names && line.starts_with("  process "));
            kept.push_str(if names { "" } else { line });
        }
        kept
    }

    /// All of it, to show to people or to keep in a file.
    pub fn for_people(&self) -> String {
        format!("status {}\n--- stdout\n{}--- stderr\n{}---\n", self.status, self.stdout, self.stderr)
    }
}

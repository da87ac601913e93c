//! What to run: one command or a pipeline of them, before anything runs.
//!
//! A [`Spec`] is a value; each builder returns another. Builders of a pipeline act where a shell would: input belongs to
//! its first stage, output to its last, folder and environment to all that have not chosen their own.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quote::shell_quote;

/// How long after TERM comes KILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// Where a command's input comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Not said: orch's own, or a pipe for a command that is started to be written to.
    Default,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file.
    File(PathBuf),
    /// Nothing.
    Null,
}

/// Where a command's output goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Not said: orch's own, or captured, as the call wants it.
    Default,
    /// A file, emptied first.
    File(PathBuf),
    /// The end of a file.
    Append(PathBuf),
    /// Nowhere.
    Null,
    /// Where the standard output goes; for the standard error only.
    SameAsStdout,
}

/// One variable of the environment: another value, or none.
pub type EnvChange = (String, Option<String>);

/// One command of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The text given to the shell, which then stands for the command in what people read.
    pub shell: Option<String>,
    /// Where it runs; orch's own folder when `None`.
    pub dir: Option<PathBuf>,
    /// Begins with an empty environment.
    pub env_clear: bool,
    /// Changes of the environment, in order.
    pub env: Vec<EnvChange>,
    /// Its input, unless it is piped.
    pub stdin: Input,
    /// Its output, unless it is piped.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// A failure is not an error.
    pub unchecked: bool,
}

impl Stage {
    fn new(argv: Vec<String>, shell: Option<String>) -> Stage {
        Stage {
            argv,
            shell,
            dir: None,
            env_clear: false,
            env: Vec::new(),
            stdin: Input::Default,
            stdout: Output::Default,
            stderr: Output::Default,
            unchecked: false,
        }
    }

    /// The command as a shell would take it.
    pub fn text(&self) -> String {
        match &self.shell {
            Some(text) => text.clone(),
            None => self.argv.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" "),
        }
    }

    /// The same between two bars, where the text of a shell may need brackets to stay one stage.
    fn text_in_pipeline(&self) -> String {
        let text = self.text();
        match &self.shell {
            Some(shell) if shell.contains(['#', '\n']) => format!("({text}\n)"),
            Some(shell) if shell.contains([';', '&', '|']) => format!("({text})"),
            _ => text,
        }
    }

    /// The value that the environment for it has for a name, if the command itself says so.
    pub fn chosen_env(&self, name: &str) -> Option<Option<&str>> {
        let change = self.env.iter().rev().find(|(key, _)| key == name);
        change.map(|(_, value)| value.as_deref()).or_else(|| self.env_clear.then_some(None))
    }
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// At least one.
    pub stages: Vec<Stage>,
    /// How long all of it may take.
    pub timeout: Option<Duration>,
    /// How long after TERM comes KILL.
    pub kill_after: Duration,
    /// How many more tries a failure gets.
    pub retries: usize,
    /// Runs in a pseudo-terminal of its own.
    pub pty: bool,
}

impl Spec {
    /// A program with its arguments.
    pub fn new(argv: Vec<String>) -> Spec {
        Spec::of(Stage::new(argv, None))
    }

    /// A text for `/bin/sh -c`.
    pub fn shell(text: String) -> Spec {
        Spec::of(Stage::new(vec!["/bin/sh".into(), "-c".into(), text.clone()], Some(text)))
    }

    fn of(stage: Stage) -> Spec {
        Spec { stages: vec![stage], timeout: None, kill_after: GRACE, retries: 0, pty: false }
    }

    /// The command as a shell would take it.
    pub fn text(&self) -> String {
        match self.stages.as_slice() {
            [only] => only.text(),
            stages => stages.iter().map(Stage::text_in_pipeline).collect::<Vec<_>>().join(" | "),
        }
    }

    /// The first stage, which reads the input.
    pub fn first(&mut self) -> &mut Stage {
        self.stages.first_mut().expect("invariant: a command has at least one stage")
    }

    /// The last stage, which writes the output.
    pub fn last(&mut self) -> &mut Stage {
        self.stages.last_mut().expect("invariant: a command has at least one stage")
    }

    /// One more argument, for the last stage.
    pub fn arg(&mut self, arg: String) {
        let last = self.last();
        if let Some(text) = &mut last.shell {
            // `sh -c TEXT NAME ARG…`: the first word after the text is `$0`.
            if last.argv.len() == 3 {
                last.argv.push("sh".into());
            }
            *text = format!("{text} {}", shell_quote(&arg));
        }
        last.argv.push(arg);
    }

    /// Runs in this folder, where no stage has chosen its own.
    pub fn dir(&mut self, dir: PathBuf) {
        match self.stages.as_mut_slice() {
            [only] => only.dir = Some(dir),
            stages => stages.iter_mut().filter(|s| s.dir.is_none()).for_each(|s| s.dir = Some(dir.clone())),
        }
    }

    /// Sets a variable, or removes it.
    pub fn env(&mut self, name: &str, value: Option<&str>) {
        let several = self.stages.len() > 1;
        for stage in &mut self.stages {
            if !several || !stage.env.iter().any(|(key, _)| key == name) {
                stage.env.push((name.to_string(), value.map(str::to_string)));
            }
        }
    }

    /// Begins with an empty environment.
    pub fn env_clear(&mut self) {
        for stage in &mut self.stages {
            stage.env_clear = true;
            stage.env.clear();
        }
    }

    /// The output of this goes into `next`.
    pub fn pipe(&self, next: &Spec) -> Spec {
        Spec {
            stages: self.stages.iter().chain(&next.stages).cloned().collect(),
            timeout: match (self.timeout, next.timeout) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            kill_after: self.kill_after.max(next.kill_after),
            retries: self.retries.max(next.retries),
            pty: self.pty || next.pty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Spec {
        Spec::new(text.split(' ').map(str::to_string).collect())
    }

    #[test]
    fn a_shell_takes_the_text_of_a_pipeline_as_its_stages() {
        let stages = ["echo 1; echo 2; exit 3", "cat # all | of it", "wc -l"].map(|text| Spec::shell(text.into()));
        let whole = stages[0].pipe(&stages[1]).pipe(&stages[2]);
        assert_eq!(whole.text(), "(echo 1; echo 2; exit 3) | (cat # all | of it\n) | wc -l");
        assert_eq!(stages[0].text(), "echo 1; echo 2; exit 3");
        let out = std::process::Command::new("sh").args(["-c", &whole.text()]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "2");
    }

    #[test]
    fn a_pipeline_reads_first_writes_last_and_keeps_what_each_chose() {
        let mut left = words("cat a");
        left.dir("/left".into());
        left.env("A", Some("1"));
        let mut both = left.pipe(&words("sort"));
        both.dir("/both".into());
        both.env("A", Some("2"));
        assert_eq!(both.text(), "cat a | sort");
        assert_eq!(both.stages[0].dir.as_deref(), Some("/left".as_ref()));
        assert_eq!(both.stages[1].dir.as_deref(), Some("/both".as_ref()));
        assert_eq!(both.stages[0].chosen_env("A"), Some(Some("1")));
        assert_eq!(both.stages[1].chosen_env("A"), Some(Some("2")));
        both.env_clear();
        assert_eq!(both.stages[0].chosen_env("A"), Some(None));
        assert_eq!(left.stages[0].chosen_env("B"), None);
    }

    #[test]
    fn arguments_of_a_shell_text_are_its_positional_parameters() {
        let mut spec = Spec::shell("echo \"$1\"".into());
        spec.arg("a b".into());
        assert_eq!(spec.stages[0].argv, ["/bin/sh", "-c", "echo \"$1\"", "sh", "a b"]);
        assert_eq!(spec.text(), "echo \"$1\" 'a b'");
    }
}

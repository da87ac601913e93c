//! One of many commands: what to run, what its lines are tagged with, and what the job log calls it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::template::Template;
use crate::command::quote::shell_quote;
use crate::command::spec::{Spec, Stage};

/// See the module.
#[derive(Clone, Debug)]
pub struct Job {
    what: What,
    /// What its lines begin with, where they are tagged.
    pub tag: String,
}

#[derive(Clone, Debug)]
enum What {
    Command(Arc<Spec>),
    Filled { template: Arc<Template>, arguments: Vec<String>, number: usize },
}

/// What a job runs.
pub struct Runnable {
    /// The command.
    pub spec: Spec,
    /// The same through a shell, where the program might be a script that only a shell knows how to run.
    pub by_shell: Option<Spec>,
}

impl Job {
    /// A command; its tag is its arguments, or the text given to a shell.
    pub fn of_command(spec: Arc<Spec>) -> Job {
        let words = |stage: &Stage| match &stage.shell {
            Some(text) => text.clone(),
            None => stage.argv.get(1..).unwrap_or_default().join(" "),
        };
        let tag = one_line(&spec.stages.iter().map(words).collect::<Vec<_>>().join(" | "));
        Job { what: What::Command(spec), tag }
    }

    /// A template with its arguments and its number, from 1.
    pub fn of_template(template: &Arc<Template>, arguments: Vec<String>, number: usize) -> Job {
        let tag = one_line(&arguments.join(" "));
        Job { what: What::Filled { template: template.clone(), arguments, number }, tag }
    }

    /// What to run in this slot.
    pub fn runnable(&self, slot: usize) -> Runnable {
        match &self.what {
            What::Command(spec) => Runnable { spec: (**spec).clone(), by_shell: None },
            What::Filled { template, arguments, number } => {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let filled = template.fill(&arguments, *number, Some(slot));
                let by_shell = Spec::shell(filled.text);
                match filled.words {
                    Some(words) => Runnable { spec: Spec::new(words), by_shell: Some(by_shell) },
                    None => Runnable { spec: by_shell, by_shell: None },
                }
            }
        }
    }

    /// The command as a shell would take it; `{%}` stands for its slot.
    pub fn text(&self) -> String {
        match &self.what {
            What::Command(spec) => spec.text(),
            What::Filled { template, arguments, number } => {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                template.fill(&arguments, *number, None).text
            }
        }
    }

    /// How many more tries the command itself asks for.
    pub fn retries(&self) -> usize {
        match &self.what {
            What::Command(spec) => spec.retries,
            What::Filled { .. } => 0,
        }
    }

    /// What the job log calls it: the command, with its folder in front where that is not the one the log lies in, and the
    /// environment that was chosen for it. So two jobs are the same to the log when they do the same.
    pub fn log_text(&self, home: &Home) -> String {
        let stages = match &self.what {
            What::Filled { .. } => return format!("{}{}", home.prefix(None), self.text()),
            What::Command(spec) => &spec.stages,
        };
        let prefixes: Vec<String> = stages.iter().map(|stage| home.prefix(stage.dir.as_deref())).collect();
        let common = prefixes.first().filter(|first| prefixes.iter().all(|prefix| prefix == *first));
        let texts = stages.iter().zip(&prefixes).map(|(stage, prefix)| {
            let text = with_environment(stage);
            if common.is_some() || prefix.is_empty() { text } else { format!("({prefix}{text})") }
        });
        format!("{}{}", common.map_or("", String::as_str), texts.collect::<Vec<_>>().join(" | "))
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// `A=1 program`, `env -i A=1 program`, `env -u B sh -c 'text'`.
fn with_environment(stage: &Stage) -> String {
    let changes: BTreeMap<&str, Option<&str>> =
        stage.env.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    if changes.is_empty() && !stage.env_clear {
        return stage.text();
    }
    let mut words: Vec<String> = Vec::new();
    let removed: Vec<&str> = changes.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    if stage.env_clear {
        words.push("env -i".into());
    } else if !removed.is_empty() {
        words.push("env".into());
        words.extend(removed.iter().map(|name| format!("-u {}", shell_quote(name))));
    }
    let set = changes.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    words.extend(set.map(|(name, value)| format!("{name}={}", shell_quote(value))));
    let program = match &stage.shell {
        Some(text) if stage.argv.len() == 3 => format!("sh -c {}", shell_quote(text)),
        _ => stage.argv.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" "),
    };
    words.push(program);
    words.join(" ")
}

/// The folders that decide how a job's own is written.
#[derive(Clone, Debug)]
pub struct Home {
    /// Where the job log lies.
    log: PathBuf,
    /// Where orch runs.
    here: PathBuf,
    /// What stands before a command that runs there.
    prefix: String,
}

impl Home {
    /// For a job log at this path.
    pub fn of_log(path: &Path) -> Home {
        let here = std::env::current_dir().unwrap_or_default();
        let folder = here.join(path.parent().unwrap_or(Path::new("")));
        Home::new(folder.canonicalize().unwrap_or(folder), here)
    }

    fn new(log: PathBuf, here: PathBuf) -> Home {
        let mut home = Home { log, here, prefix: String::new() };
        home.prefix = home.prefix_of(Path::new(""));
        home
    }

    fn prefix(&self, dir: Option<&Path>) -> String {
        dir.map_or_else(|| self.prefix.clone(), |dir| self.prefix_of(dir))
    }

    fn prefix_of(&self, dir: &Path) -> String {
        let dir = self.here.join(dir);
        let dir = dir.canonicalize().unwrap_or(dir);
        if dir == self.log { String::new() } else { format!("cd {} && ", shell_quote(&dir.display().to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &str) -> Spec {
        Spec::new(words.split(' ').map(str::to_string).collect())
    }

    fn home() -> Home {
        Home::new("/".into(), "/".into())
    }

    fn logged(spec: Spec) -> String {
        Job::of_command(Arc::new(spec)).log_text(&home())
    }

    #[test]
    fn folder_and_environment_are_part_of_what_a_job_is() {
        assert_eq!(logged(command("make all")), "make all");
        let mut spec = command("make all");
        spec.dir("/dev".into());
        spec.env("CC", Some("old"));
        spec.env("CC", Some("a b"));
        spec.env("A", Some("1"));
        assert_eq!(logged(spec.clone()), "cd /dev && A=1 CC='a b' make all");
        spec.env("A", None);
        assert_eq!(logged(spec.clone()), "cd /dev && env -u A CC='a b' make all");
        spec.env_clear();
        spec.env("B", Some("2"));
        assert_eq!(logged(spec), "cd /dev && env -i B=2 make all");
        let mut shell = Spec::shell("a | b".into());
        assert_eq!(logged(shell.clone()), "a | b");
        shell.env("A", Some("1"));
        assert_eq!(logged(shell), "A=1 sh -c 'a | b'");
    }

    #[test]
    fn pipelines_name_one_folder_or_each_its_own() {
        let both = command("cat x").pipe(&command("sort"));
        assert_eq!(logged(both.clone()), "cat x | sort");
        let mut elsewhere = both.clone();
        elsewhere.dir("/dev".into());
        assert_eq!(logged(elsewhere), "cd /dev && cat x | sort");
        let mut second = command("sort");
        second.dir("/dev".into());
        assert_eq!(logged(command("cat x").pipe(&second)), "cat x | (cd /dev && sort)");
    }

    #[test]
    fn where_orch_runs_counts_when_the_log_lies_elsewhere() {
        let template = Arc::new(Template::parse("gzip {} {%}").unwrap());
        let job = Job::of_template(&template, vec!["a b".into()], 3);
        assert_eq!(job.log_text(&home()), "gzip 'a b' {%}");
        let elsewhere = Home::new("/tmp".into(), "/dev".into());
        assert_eq!(job.log_text(&elsewhere), "cd /dev && gzip 'a b' {%}");
        assert_eq!(job.runnable(2).spec.text(), "gzip 'a b' 2");
        assert_eq!(job.tag, "a b");
    }

    #[test]
    fn tags_are_arguments_on_one_line() {
        assert_eq!(Job::of_command(Arc::new(command("ping -c 1 host"))).tag, "-c 1 host");
        assert_eq!(Job::of_command(Arc::new(Spec::shell("echo a\necho b".into()))).tag, "echo a echo b");
    }
}

//! What the README shows is true: its scripts run, and the commands and files it names are there.

use std::path::PathBuf;

use crate::whole::program::{Program, orch};
use crate::whole::top;

fn readme() -> String {
    std::fs::read_to_string(top().join("README.md")).unwrap()
}

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_string()).collect()
}

#[test]
fn its_scripts_run() {
    let docs = std::fs::read_dir(top().join("docs")).unwrap().map(|page| page.unwrap().path());
    // The others are run with what they show, and the reference by a test of its own.
    let elsewhere =
        |page: &PathBuf| page.ends_with("docs/reference.md") || LESSONS.iter().any(|lesson| page.ends_with(lesson));
    let pages: Vec<PathBuf> = docs.filter(|page| !elsewhere(page)).chain([top().join("README.md")]).collect();
    assert!(pages.len() >= 5, "{pages:?}");
    let scripts: Vec<String> =
        pages.iter().flat_map(|page| blocks(&std::fs::read_to_string(page).unwrap(), "rhai")).collect();
    assert!(scripts.len() >= 10);
    for script in scripts {
        for seed in ["0", "1", "2"] {
            let seen = Program::script_with(&["run", "--sim", "--seed", seed], &script).run();
            assert!(seen.status == 0 && seen.stderr.is_empty(), "{script}\n{}", seen.for_people());
        }
    }
}

/// Pages whose scripts stand before what they print, in a block of text; those without one print nothing and do not fail.
const LESSONS: [&str; 2] = ["docs/tutorial.md", "docs/what-can-go-wrong.md"];

#[test]
fn what_its_lessons_show_is_what_comes() {
    for lesson in LESSONS {
        let page = std::fs::read_to_string(top().join(lesson)).unwrap();
        let mut parts = page.split("```rhai\n");
        let mut seen = parts.next().unwrap().to_string();
        for part in parts {
            let (script, rest) = part.split_once("```\n").unwrap();
            let (_shown, rest) = match rest.strip_prefix("```text\n") {
                Some(rest) => rest.split_once("```\n").unwrap(),
                None => ("", rest),
            };
            let printed = Program::sim(script).run();
            let printed = printed.stdout + &printed.stderr;
            let printed = if printed.is_empty() { printed } else { format!("```text\n{printed}```\n") };
            seen += &format!("```rhai\n{script}```\n{printed}{rest}");
        }
        if std::env::var_os("ORCH_UPDATE").is_some() {
            std::fs::write(top().join(lesson), &seen).unwrap();
        }
        for (is, should) in page.lines().zip(seen.lines()) {
            assert_eq!(is, should, "in {lesson}; ORCH_UPDATE=1 writes what comes now");
        }
        assert_eq!(page, seen, "{lesson}");
    }
}

#[test]
fn the_first_script_counts_all_its_squares() {
    Program::sim(&blocks(&readme(), "rhai")[0]).run().prints("20\n");
}

#[test]
fn its_commands_are_there() {
    let page = readme();
    let mut commands = 0;
    for line in page.lines().filter(|l| l.starts_with("    ")) {
        let line = line.trim().trim_start_matches("$ ");
        let Some(words) = line.strip_prefix("orch ") else {
            continue;
        };
        commands += 1;
        let words: Vec<&str> = words.split("   ").next().unwrap().split_whitespace().collect();
        let seen = orch([words[0], "--help"]).run();
        assert!(seen.status == 0 && seen.stderr.is_empty(), "{line}\n{}", seen.for_people());
        for option in words.iter().filter(|w| w.starts_with("--")) {
            assert!(seen.stdout.contains(option), "`orch {}` has no {option}", words[0]);
        }
    }
    assert!(commands >= 7, "only {commands} commands were found");
}

#[test]
fn its_examples_of_eval_and_doc_work() {
    orch(["eval", "Queue(5)"]).is(0, "Queue(#1, 0 items)\n", "");
    let seen = orch(["doc", "Queue"]).run();
    assert!(seen.status == 0 && seen.stderr.is_empty() && seen.stdout.contains("Queue(maxsize)"));
}

#[test]
fn its_links_lead_somewhere() {
    let page = readme();
    let targets = page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let missing: Vec<&str> = targets.filter(|t| !t.starts_with("http")).filter(|t| !top().join(t).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn its_deadlock_is_the_one_that_comes() {
    let page = readme();
    let shown = page.split("$ orch run scripts/rlock_as_lock.rhai\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let seen = orch(["run", "--sim", "scripts/rlock_as_lock.rhai"]).run();
    for line in shown.lines().map(str::trim).filter(|l| *l != "…") {
        // Which of the threads is first is the schedule's affair.
        let line = line.split("Thread-").next().unwrap();
        assert!(seen.stderr.contains(line), "{line:?} is not in\n{}", seen.stderr);
    }
}

#[test]
fn the_session_at_the_prompt_goes_as_shown() {
    let page = std::fs::read_to_string(top().join("docs/repl.md")).unwrap();
    let sessions: Vec<&str> = page.split("```\n").filter(|block| block.starts_with("orch> ")).collect();
    assert_eq!(sessions.len(), 1);
    for session in sessions {
        let typed: Vec<&str> = session.lines().filter_map(|line| line.strip_prefix("orch> ")).collect();
        let shown: Vec<&str> = session.lines().filter(|line| !line.starts_with("orch> ")).collect();
        orch(["repl"]).stdin(typed.join("\n")).is(0, &format!("{}\n", shown.join("\n")), "");
    }
}

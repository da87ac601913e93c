//! What a person sees when a script fails: the whole report, for every kind of error, in simulated time.
//!
//! `tests/errors/GROUP.cases` holds scripts, each under a line `=== what it shows`; further files for it follow under
//! `--- NAME`. What they print is in `tests/golden/errors/GROUP.out`.

use crate::whole::program::Program;
use crate::whole::{files, golden, stem};

/// A script with its further files.
struct Case {
    name: String,
    script: String,
    others: Vec<(String, String)>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.into(), script: String::new(), others: Vec::new() });
            continue;
        }
        let case = cases.last_mut().expect("a file of cases begins with `=== `");
        if let Some(name) = line.strip_prefix("--- ") {
            case.others.push((name.into(), String::new()));
            continue;
        }
        let file = case.others.last_mut().map_or(&mut case.script, |(_, text)| text);
        file.push_str(line);
        file.push('\n');
    }
    cases
}

fn run(case: &Case) -> String {
    let script = format!("{}\n", case.script.trim_end());
    let program = case.others.iter().fold(Program::sim(&script), |p, (name, text)| p.file(name, text.as_bytes()));
    program.run().for_people()
}

#[test]
fn every_error_is_reported_well() {
    let mut wrong = Vec::new();
    for path in files("tests/errors", "cases") {
        let text = std::fs::read_to_string(&path).unwrap();
        let reports = cases(&text).iter().map(|case| format!("=== {}\n{}\n", case.name, run(case))).collect::<String>();
        golden::compare(&format!("errors/{}.out", stem(&path)), &reports, &mut wrong);
    }
    golden::all_right(&wrong);
}

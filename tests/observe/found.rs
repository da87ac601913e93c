//! What a person looks for is easy to find, in the trace and on the page.

use std::time::Instant;

use super::asked::dump;
use super::events::{check, named};
use super::whole::live::Live;
use super::whole::program::{LIMIT, Program};

/// Runs a script and finds each of these words in an instant of the trace and in the table of what went wrong.
#[track_caller]
fn finds(before: &[&str], script: &str, status: i32, wanted: &[&str]) {
    let words = [&["run", "--trace", "t.json", "--report", "r.html"], before].concat();
    let program = Program::script_with(&words, script);
    let folder = program.own_folder();
    let output = program.command().output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    holds(&folder, wanted);
}

#[track_caller]
fn holds(folder: &std::path::Path, wanted: &[&str]) {
    let trace = std::fs::read_to_string(folder.join("t.json")).unwrap();
    let events: Vec<serde_json::Value> = serde_json::from_str(&trace).unwrap();
    check(&events, false);
    let page = std::fs::read_to_string(folder.join("r.html")).unwrap();
    let table = page.split("What went wrong").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
    for word in wanted {
        let found = named(&events, word);
        assert!(found.iter().any(|event| event["ph"] == "i"), "no instant with {word:?} in the trace");
        assert!(table.contains(&word.replace('"', "&quot;")), "{word:?} is not in the table: {table}");
    }
}

#[test]
fn a_deadlock() {
    let script = "let l = Lock(); l.acquire(); l.acquire();\n";
    finds(
        &["--sim"],
        script,
        3,
        &["deadlock: this wait can never end", "deadlock: acquire Lock(", "orch says: error: DeadlockError"],
    );
}

#[test]
fn a_worker_that_was_killed() {
    let script = "let p = spawn_process(|| sleep(600)); p.kill(); try { p.join(); } catch (e) { }\n";
    finds(&[], script, 0, &["ended: killed by signal 9"]);
}

#[test]
fn a_time_limit_and_a_failed_command() {
    let script = "try { Queue().get(0.01); } catch (e) { }\n\
        try { cmd(\"sleep\", \"600\").timeout(0.05).run(); } catch (e) { }\n\
        sh(\"exit 3\").unchecked().run();\n";
    finds(
        &[],
        script,
        0,
        &["timed out: get Queue(", "failed (signal 15, timed out): sleep 600", "failed (exit code 3): exit 3"],
    );
}

#[test]
fn a_ctrl_c() {
    // The folder of the program goes with it.
    let folder = tempfile::tempdir().unwrap();
    let [trace, report] = ["t.json", "r.html"].map(|name| folder.path().join(name).display().to_string());
    let script = "spawn_thread(|| sleep(600)); print(\"ready\"); sleep(600);\n";
    let mut live = Live::start(Program::script_with(&["run", "--trace", &trace, "--report", &report], script));
    live.says("ready");
    // Both are to be hit in their sleep.
    let begun = Instant::now();
    while dump(live.pid(), false).stdout.matches("waits in sleep()").count() < 2 {
        assert!(begun.elapsed() < LIMIT, "they do not come to sleep");
    }
    live.signal("INT");
    let seen = live.end();
    assert_eq!(seen.status, 130, "{}", seen.for_people());
    holds(folder.path(), &["signal: INT", "interrupted: sleep", "cancelled: sleep"]);
}

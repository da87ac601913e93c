//! The reference: every example runs, every entry says what a reader needs, and the page in `docs/` is the one that
//! `orch doc` prints.

mod whole;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::script::reference::{Entry, entries};
use whole::program::{Program, orch};
use whole::{files, golden};

/// The contract's names about threads, each by how the reference calls it.
const PROMISED: &[(&str, &[&str])] = &[
    ("", &["Thread", "spawn_thread", "current_thread", "main_thread", "active_count", "threads", "Timer", "interval"]),
    ("", &["Local", "sleep", "time", "monotonic", "strftime", "cpu_count", "TaskGroup", "print", "args", "exit"]),
    ("", &["run_all"]),
    ("", &["random", "randint", "choice", "shuffle", "select", "as_completed", "wait", "make_requests"]),
    ("", &["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier", "RwLock", "Latch"]),
    ("", &["Value", "SharedList", "SharedMap", "Queue", "LifoQueue", "PriorityQueue"]),
    ("", &["ThreadPoolExecutor", "ThreadPool"]),
    ("Thread", &["start", "join", "wait", "is_alive", "name", "id", "native_id", "daemon", "set_daemon", "cancel"]),
    ("Process", &["start", "join", "wait", "is_alive", "name", "daemon", "set_daemon", "cancel", "terminate", "kill"]),
    ("Process", &["pid", "exit_code"]),
    ("", &["Process", "spawn_process", "Pool", "ProcessPoolExecutor", "getpid", "getppid"]),
    ("Timer", &["start", "cancel"]),
    ("TaskGroup", &["spawn_thread", "spawn_process"]),
    ("Lock", &["acquire", "try_acquire", "release", "locked"]),
    ("Semaphore", &["acquire", "try_acquire", "release", "locked", "value"]),
    ("Event", &["set", "clear", "is_set", "wait"]),
    ("Condition", &["acquire", "try_acquire", "release", "locked", "wait", "wait_for", "notify", "notify_all"]),
    ("Barrier", &["wait", "reset", "abort", "parties", "n_waiting", "broken"]),
    ("RwLock", &["read", "write"]),
    ("RwLockSide", &["acquire", "try_acquire", "release", "locked"]),
    ("Latch", &["count_down", "wait"]),
    ("Value", &["value", "get", "set", "add", "swap", "compare_and_set", "update"]),
    ("SharedList", &["push", "pop", "len", "insert", "remove", "contains", "sort", "map", "filter", "clear"]),
    ("SharedMap", &["update", "get", "set", "keys", "values", "len", "contains", "remove", "clear"]),
    ("Queue", &["put", "try_put", "get", "try_get", "qsize", "empty", "full", "maxsize", "task_done", "join", "close"]),
    ("ThreadPoolExecutor", &["submit", "map", "shutdown"]),
    ("Future", &["result", "exception", "done", "running", "cancelled", "cancel", "stop", "wait", "add_done_callback"]),
    ("ThreadPool", &["apply", "apply_async", "map", "map_async", "starmap", "imap", "imap_unordered", "close"]),
    ("ThreadPool", &["terminate", "join", "put_request", "wait"]),
    ("", &["fs::open", "fs::read", "fs::read_bytes", "fs::write", "fs::append", "fs::glob", "fs::walk", "fs::list"]),
    (
        "",
        &[
            "fs::mkdir",
            "fs::temp_dir",
            "fs::temp_file",
            "fs::copy",
            "fs::move",
            "fs::remove",
            "fs::exists",
            "fs::is_dir",
        ],
    ),
    (
        "",
        &["fs::stat", "fs::mkfifo", "fs::watch", "path::join", "path::parent", "path::name", "path::stem", "path::ext"],
    ),
    (
        "",
        &[
            "path::absolute",
            "path::relative",
            "env::get",
            "env::set",
            "env::vars",
            "env::home",
            "env::cwd",
            "env::chdir",
        ],
    ),
    ("", &["env::script", "parse_args", "json::parse", "json::stringify", "json::stringify_pretty", "regex::is_match"]),
    ("", &["regex::find", "regex::find_all", "regex::captures", "regex::replace", "regex::split", "hash::md5"]),
    ("", &["hash::sha256", "term::style", "term::table", "term::ask", "term::confirm", "term::width"]),
    ("File", &["read", "read_line", "lines", "write", "seek", "close"]),
];

/// Functions that say something on the standard error.
const SAY: &[&str] = &["debug", "term::ask", "term::confirm"];

/// Functions that return an `Outcome` for the sake of the machinery and never fail.
const NEVER_FAIL: &[&str] =
    &["debug", "exit_well", "new_executor", "new_pool", "new_list", "new_map", "new_condition", "new_queue"];

fn show(entry: &Entry) -> String {
    match &entry.of {
        Some(of) => format!("{of}: {}", entry.usage),
        None => entry.usage.clone(),
    }
}

#[test]
fn every_example_runs() {
    let examples: Vec<(String, String)> = entries()
        .iter()
        .flat_map(|e| e.examples.iter().filter(|x| x.runs).map(|x| (show(e), x.code.clone())).collect::<Vec<_>>())
        .collect();
    assert!(examples.len() > 200, "only {} examples were found", examples.len());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((usage, code)) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let seen = Program::sim(code).run();
                    let says = SAY.iter().any(|name| usage.starts_with(name));
                    if seen.status != 0 || (!seen.stderr.is_empty() && !says) {
                        wrong.lock().unwrap().push(format!("{usage}\n{code}\n{}", seen.for_people()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} examples fail:\n{}", wrong.len(), examples.len(), wrong.join("\n"));
}

#[test]
fn every_entry_has_a_summary_and_an_example() {
    let mut wrong = Vec::new();
    for entry in entries() {
        let summary = entry.text.split("\n\n").next().unwrap_or_default();
        if !summary.ends_with('.') || !summary.starts_with(|c: char| c.is_uppercase() || c == '`') {
            wrong.push(format!("{}: no sentence: {summary:?}", show(&entry)));
        }
        if entry.examples.is_empty() {
            wrong.push(format!("{}: no example", show(&entry)));
        }
        for section in entry.text.split("\n\n").skip(1) {
            if !section.ends_with('.') {
                wrong.push(format!("{}: no full stop: {section:?}", show(&entry)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_there_twice() {
    let mut seen = BTreeSet::new();
    let twice: Vec<String> = entries().iter().map(show).filter(|usage| !seen.insert(usage.clone())).collect();
    assert!(twice.is_empty(), "{}", twice.join("\n"));
}

/// The signature and comment of each function of the vocabulary that can fail, read from the sources.
fn failing_functions() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for path in files("src/script/api", "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some((_, functions)) = text.split_once("#[export_module]") else {
            continue;
        };
        for piece in functions.split("\n    }\n") {
            let comment: String =
                piece.lines().filter(|l| l.trim_start().starts_with("///")).map(|l| format!("{l}\n")).collect();
            let Some((_, signature)) = piece.split_once("pub fn ") else {
                continue;
            };
            let (name, rest) = signature.split_once('(').unwrap();
            if rest.split('{').next().unwrap().contains("-> Outcome<") {
                found.push((path.display().to_string(), name.to_string(), comment));
            }
        }
    }
    found
}

#[test]
fn what_can_fail_says_how() {
    let functions = failing_functions();
    assert!(functions.len() > 80, "only {} functions were found", functions.len());
    let silent: Vec<String> = functions
        .iter()
        .filter(|(_, name, comment)| !comment.contains("# Errors") && !NEVER_FAIL.contains(&name.as_str()))
        .map(|(path, name, _)| format!("{path}: {name}"))
        .collect();
    assert!(silent.is_empty(), "no `# Errors`:\n{}", silent.join("\n"));
}

#[test]
fn every_promised_name_is_there() {
    let entries = entries();
    let missing: Vec<String> = PROMISED
        .iter()
        .flat_map(|(of, names)| names.iter().map(move |name| (of, name)))
        .filter(|(of, name)| !entries.iter().any(|e| e.of.as_deref().unwrap_or("") == **of && e.name == **name))
        .map(|(of, name)| format!("{of}.{name}"))
        .collect();
    assert!(missing.is_empty(), "not in the reference: {}", missing.join(", "));
}

#[test]
fn the_page_is_what_doc_prints() {
    let seen = orch(["doc"]).run();
    assert_eq!((seen.status, seen.stderr.as_str()), (0, ""));
    let mut wrong = Vec::new();
    golden::compare_file("docs/reference.md", &seen.stdout, &mut wrong);
    golden::all_right(&wrong);
}

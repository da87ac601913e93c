//! Every function of the reference with arguments it was not made for: each call is a success that makes sense or a
//! catchable error that names the function; never a panic, a hang or an error of the machinery underneath.

mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{run_in, sim};
use orch::kernel::Setup;
use orch::script::reference::{Entry, entries};

/// Values that fit nowhere, or almost.
const VALUES: &[&str] = &[
    "()",
    "true",
    "0",
    "-1",
    "-1.5",
    "(0.0 / 0.0)",
    "1e300",
    "-1e300",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "\"words\"",
    "\"\"",
    "'c'",
    "[]",
    "[1, \"a\"]",
    "#{}",
    "#{zzz: 1}",
    "0..3",
    "blob(2)",
    "|| 1",
    "|a, b, c, d| 1",
    "Fn(\"nowhere\")",
    "Queue()",
    "Lock()",
    "Local()",
];

/// Kinds that a wrong argument may have.
const KINDS: &[&str] = &[
    "TypeError",
    "ValueError",
    "IndexError",
    "NotFound",
    "ThreadError",
    "LockError",
    "SemaphoreError",
    "BrokenBarrierError",
    "TimeoutError",
    "Closed",
    "Empty",
    "DeadlockError",
    "AssertionError",
    // A handle cannot cross to another process.
    "SendError",
    // Nobody is at the other end, nobody listens, and no machine has so much memory.
    "EndOfFile",
    "IoError",
    // What a script's own function does.
    "Thrown",
    // Rhai's own: a sum that is too large, an index or a property that takes no such value.
    "ErrorArithmetic",
    "ErrorIndexingType",
    "ErrorDotExpr",
];

/// Calls that are not for this test: one ends the program, one replaces it, one has a form of Rhai's own.
/// One takes the test elsewhere, one leaves what blocks others, two read what the person who tests has typed.
const LEFT_OUT: &[&str] = &["exit", "exec", "debug", "env::chdir", "fs::mkfifo", "term::ask", "term::confirm"];

/// Names under which there is no function.
const NAMELESS: &[&str] = &["\"nowhere\"", "\"words\"", "\"\""];

/// A value that fits a parameter.
fn fitting(entry: &Entry, parameter: &str) -> &'static str {
    match (entry.name.as_str(), parameter) {
        ("update" | "imap" | "imap_unordered" | "map" | "map_async" | "make_requests", "f") => "|x| x",
        ("sort" | "reduce", "f") => "|a, b| 0",
        ("filter" | "find" | "some" | "all" | "retain" | "drain" | "add_done_callback", "f") => "|x| true",
        ("starmap", "list") => "[[]]",
        ("wait_for", _) => "|| true",
        (_, "f") => "|| 1",
        ("as_completed" | "wait", "futures") => "[]",
        ("select", "sources") => "[Event()]",
        ("write", "bytes") => "blob(2)",
        (_, "kind") => "\"i64\"",
        (_, "address") => "\"localhost:0\"",
        (_, "args" | "list" | "items" | "array" | "range") => "[]",
        (_, "options" | "map") => "#{}",
        (_, "timeout" | "secs") => "0",
        ("on_signal" | "reset_signal" | "ignore_signal" | "raise_signal", "name") => "\"WINCH\"",
        ("kill", "pid") => "999999999",
        ("kill" | "signal", "name" | "signal") => "\"TERM\"",
        (_, "pattern" | "program" | "text" | "input" | "data" | "value" | "file" | "dir") => "\"a\"",
        (_, "result") => "#{}",
        (_, "next") => "cmd(\"next\")",
        (_, "key" | "name" | "format" | "message") => "\"a\"",
        (_, "path" | "from" | "to" | "base" | "style" | "with") => "\"a\"",
        (_, "url") => "\"http://127.0.0.1:9/\"",
        (_, "sql") => "\"select 1\"",
        (_, "css" | "html") => "\"a\"",
        (_, "condition" | "daemon") => "true",
        (_, "lock") => "Lock()",
        (_, "request") => "make_requests(|x| x, [1])[0]",
        _ => "1",
    }
}

/// An object of a type.
fn object(of: &str) -> &'static str {
    match of {
        "Thread" => "Thread(|| 1)",
        "Process" => "Process(|| 1)",
        "Timer" => "Timer(1, || 1)",
        "Lock" => "Lock()",
        "Semaphore" => "Semaphore(1)",
        "Event" => "Event()",
        "Condition" => "Condition()",
        "Barrier" => "Barrier(1)",
        "RwLock" => "RwLock()",
        "RwSide" | "RwLockSide" => "RwLock().read()",
        "Latch" => "Latch(1)",
        "Value" => "Value(1)",
        "SharedList" => "SharedList([1, 2])",
        "SharedMap" => "SharedMap(#{a: 1})",
        "Queue" => "Queue()",
        "Future" => "ThreadPoolExecutor(1).submit(|| 1)",
        "Executor" | "ThreadPoolExecutor" => "ThreadPoolExecutor(1)",
        "Pool" | "ThreadPool" => "ThreadPool(1)",
        "TaskGroup" => "TaskGroup()",
        "Local" => "Local()",
        "Stream" | "Iterator" => "ThreadPoolExecutor(1).map(|x| x, [1])",
        // Nothing runs here: a command without a mock would be one of the machine's.
        "Command" => "{ mock_cmd(\"*\", #{}); cmd(\"mocked\") }",
        "Child" => "{ mock_cmd(\"*\", #{}); cmd(\"mocked\").start() }",
        "Completed" => "{ mock_cmd(\"*\", #{}); cmd(\"mocked\").run() }",
        "SharedMemory" => "SharedMemory(16)",
        "SharedArray" => "SharedArray(\"i64\", 4)",
        "Connection" => "Pipe()[0]",
        "Listener" => "Listener(\"localhost:0\")",
        "Response" => "{ mock_http(\"*\", \"{}\"); http::get(\"http://mocked/\") }",
        "Database" => "sqlite::open(\":memory:\")",
        "File" => "fs::open(\"/dev/null\", \"r+\")",
        other => panic!("the test knows no object of type {other}"),
    }
}

/// The call of an entry with these arguments.
fn call(entry: &Entry, args: &[String]) -> String {
    let Some(of) = &entry.of else {
        return format!("{}({})", entry.name, args.join(", "));
    };
    let it = handle_type(of);
    match (entry.name.as_str(), entry.usage.contains(" = "), entry.usage.ends_with(')')) {
        ("[]", true, _) => format!("let it = {}; it[{}] = {}", object(it), args[0], args[1]),
        ("[]", false, _) => format!("let it = {}; it[{}]", object(it), args[0]),
        (name, true, _) => format!("let it = {}; it.{name} = {}", object(it), args[0]),
        (name, _, false) => format!("let it = {}; it.{name}", object(it)),
        (name, ..) => format!("let it = {}; it.{name}({})", object(it), args.join(", ")),
    }
}

/// The reference shows Rust's names of the types here and there.
fn handle_type(of: &str) -> &str {
    of.strip_suffix("Handle").or_else(|| of.strip_suffix("Map").filter(|of| *of == "Local")).unwrap_or(of)
}

/// All calls of an entry with one argument that does not fit, and with one too many or too few.
fn calls(entry: &Entry, all: &[Entry]) -> Vec<(String, bool)> {
    let parameters = &entry.parameters[usize::from(entry.of.is_some())..];
    let good: Vec<String> = parameters.iter().map(|(name, _)| fitting(entry, name).to_string()).collect();
    let mut calls = vec![(call(entry, &good), false)];
    for at in 0..parameters.len() {
        for value in VALUES {
            // A sleep without a limit ends with the program only.
            if entry.name == "sleep" && ["()", "1e300", "9223372036854775807"].contains(value) {
                continue;
            }
            let mut args = good.clone();
            args[at] = (*value).to_string();
            calls.push((call(entry, &args), false));
        }
    }
    let is_function = entry.usage.ends_with(')') && !entry.usage.contains(" = ");
    let counts: Vec<usize> = all
        .iter()
        .filter(|e| e.name == entry.name && e.of == entry.of)
        .map(|e| e.parameters.len() - usize::from(e.of.is_some()))
        .collect();
    // `submit`, `map`, `cmd` and SharedList's own take more than the reference lists one by one.
    if is_function && !matches!(entry.name.as_str(), "submit" | "map" | "cmd") {
        for args in [[good.clone(), vec!["1".into()]].concat(), good.iter().skip(1).cloned().collect()] {
            if !counts.contains(&args.len()) {
                calls.push((call(entry, &args), true));
            }
        }
    }
    calls
}

/// Makes the calls of one entry; what is wrong with what came of them.
fn complaints(entry: &Entry, all: &[Entry]) -> Vec<String> {
    let calls = calls(entry, all);
    let mut text = String::new();
    for (i, (call, _)) in calls.iter().enumerate() {
        text += &format!(
            "try {{ {call}; print(\"{i}|\"); }} catch (e) {{ if type_of(e) != \"map\" {{ e = #{{kind: \"Thrown\", message: \"\"}}; }} \
             print(`{i}|${{e.kind}}|${{e.message.split(\"\\n\")[0]}}`); }}\n"
        );
    }
    let ran = run_in(Setup::Sim { seed: 0 }, &text);
    let mut seen = vec![false; calls.len()];
    let mut wrong = Vec::new();
    for line in ran.out.lines() {
        let mut parts = line.splitn(3, '|');
        let Some(i) = parts.next().and_then(|i| i.parse::<usize>().ok()).filter(|i| *i < calls.len()) else {
            // What the calls themselves print.
            continue;
        };
        let (Some(kind), message) = (parts.next(), parts.next().unwrap_or("")) else {
            continue;
        };
        seen[i] = true;
        let (call, wrong_count) = &calls[i];
        let named = message.contains(entry.name.as_str()) || message.contains("closure") || message.contains("nowhere");
        if *wrong_count && (kind != "TypeError" || !named) {
            wrong.push(format!("{call}: wrong count gives {line}"));
        } else if kind == "ErrorFunctionNotFound" && NAMELESS.iter().any(|name| message.contains(name)) {
            // The function that was to be called is not there, and the message names it.
        } else if !kind.is_empty() && !KINDS.contains(&kind) {
            wrong.push(format!("{call}: {line}"));
        } else if matches!(kind, "TypeError" | "ValueError") && !named && !["[]", "add"].contains(&entry.name.as_str())
        {
            wrong.push(format!("{call}: does not name the function: {line}"));
        }
    }
    for ((call, _), _) in calls.iter().zip(&seen).filter(|(_, seen)| !**seen) {
        wrong.push(format!("{call}: never came to an end; {} {}", ran.status, ran.err));
    }
    if ran.err.contains("InternalError") || ran.err.contains("panicked") {
        wrong.push(format!("{}: {}", entry.usage, ran.err));
    }
    wrong
}

#[test]
fn every_function_stands_every_argument() {
    // What is written by name is written there.
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let all: Vec<Entry> = entries().into_iter().filter(|e| !LEFT_OUT.contains(&e.name.as_str())).collect();
    assert!(all.len() > 200, "the reference has shrunk to {} entries", all.len());
    let next = AtomicUsize::new(0);
    let wrong = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(entry) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    wrong.lock().extend(complaints(entry, &all));
                }
            });
        }
    });
    orch::io::temporary::remove_all();
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{} calls went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// As [`sim`]; each line that begins with `? ` is a statement of its own whose error is printed: kind and message.
fn errors(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("? ") {
        Some(code) => {
            format!("try {{ {code}; print(\"no error\"); }} catch (e) {{ print(`${{e.kind}}: ${{e.message}}`); }}\n")
        }
        None => format!("{line}\n"),
    });
    sim(&lines.collect::<String>())
}

#[test]
fn what_is_closed_says_so() {
    let text = r#"
        let q = Queue();
        q.close();
        ? q.put(1)
        ? q.get()
        ? q.get(1)
        ? q.try_get()
        ? q.try_put(1)
        let p = ThreadPoolExecutor(1);
        p.shutdown();
        ? p.submit(|| 1)
        ? p.map(|x| x, [1])
        p.shutdown();
        let o = ThreadPool(1);
        o.close();
        o.close();
        ? o.apply(|| 1, [])
        ? o.apply_async(|| 1, [])
        ? o.map(|x| x, [1])
        ? o.map_async(|x| x, [1])
        ? o.starmap(|x| x, [[1]])
        ? o.imap(|x| x, [1])
        ? o.imap_unordered(|x| x, [1])
        ? o.put_request(make_requests(|x| x, [1])[0])
        o.terminate();
        o.join();
        o.join();
        let g = TaskGroup();
        ? g.spawn_thread(|| 1)
    "#;
    let out = errors(text);
    assert!(out.lines().all(|line| line.starts_with("Closed: ")) && out.lines().count() == 16, "{out}");
}

#[test]
fn options_that_do_not_exist_name_the_nearest() {
    let text = r#"
        ? Thread(|| 1, #{nme: "x"})
        ? Thread(|| 1, #{name: 5})
        ? Thread(|| 1, #{daemon: 1})
        ? spawn_thread(|| 1, #{deamon: true})
        ? ThreadPoolExecutor(1, #{initialiser: || 1})
        ? ThreadPoolExecutor(0)
        ? ThreadPoolExecutor(1, #{max_tasks_per_child: 0})
        ? ThreadPool(1, #{zzz: 1})
        let p = ThreadPoolExecutor(1);
        ? p.map(|x| x, [1], #{chunk_size: 1})
        ? p.map(|x| x, [1], #{chunksize: 0})
        ? p.shutdown(#{waitt: true})
        ? as_completed([], #{timout: 1})
        ? wait([], #{return_when: "some"})
        let o = ThreadPool(1);
        ? o.apply_async(|| print("never"), [], #{calback: |x| 1})
        ? o.map_async(|x| print("never"), [1], #{error_calback: |x| 1})
        ? o.imap(|x| x, [1], #{timeout: 1})
    "#;
    let wanted = "ValueError: Thread() has no option \"nme\"; did you mean \"name\"?\n\
        TypeError: Thread(): option name must be a string, not an int\n\
        TypeError: Thread(): option daemon must be a bool, not an int\n\
        ValueError: spawn_thread() has no option \"deamon\"; did you mean \"daemon\"?\n\
        ValueError: ThreadPoolExecutor() has no option \"initialiser\"; did you mean \"initializer\"?\n\
        ValueError: ThreadPoolExecutor(): n must be 1 or more, not 0\n\
        ValueError: ThreadPoolExecutor(): option max_tasks_per_child must be 1 or more, not 0\n\
        ValueError: ThreadPool() has no option \"zzz\"; it knows: name, initializer, initargs, max_tasks_per_child, retries\n\
        ValueError: map() has no option \"chunk_size\"; did you mean \"chunksize\"?\n\
        ValueError: map(): option chunksize must be 1 or more, not 0\n\
        ValueError: shutdown() has no option \"waitt\"; did you mean \"wait\"?\n\
        ValueError: as_completed() has no option \"timout\"; did you mean \"timeout\"?\n\
        ValueError: wait(): return_when must be \"all\", \"first\" or \"first_error\", not \"some\"\n\
        ValueError: apply_async() has no option \"calback\"; did you mean \"callback\"?\n\
        ValueError: map_async() has no option \"error_calback\"; did you mean \"error_callback\"?\n\
        ValueError: imap() has no option \"timeout\"; it knows: chunksize, progress\n";
    assert_eq!(errors(text), wanted);
}

//! A running orch is asked from outside: `orch dump`, `orch top`; and what it says itself when its end takes long.

use std::time::{Duration, Instant};

use super::whole::live::Live;
use super::whole::program::{LIMIT, Seen, orch};
use super::whole::pty::{CTRL_C, Pty};

const BUSY: &str = "let q = Queue(); q.put(1); let l = Lock(); let held = Event();\n\
    spawn_thread(|| { with l { held.set(); sleep(600); } }); held.wait();\n\
    let ex = ThreadPoolExecutor(1); ex.submit(|| { l.acquire(); }); ex.submit(|| 4);\n\
    let p = spawn_process(|| { print(\"ready\"); sh(\"sleep 600; true\").run(); });\n\
    p.join();\n";

/// What `orch dump` says of it.
pub fn dump(pid: u32, json: bool) -> Seen {
    let pid = pid.to_string();
    if json { orch(["dump", "--json", &pid]).run() } else { orch(["dump", &pid]).run() }
}

#[test]
fn a_dump_shows_tasks_queues_pools_children_and_workers() {
    let live = Live::ready(BUSY);
    let wanted = [
        "orch run script.rhai\n---",
        "#1 \"main\": waits in join() of Process(",
        "held by \"Thread-1\" since script.rhai:2",
        "    holds Lock(",
        "1 item\n",
        "ThreadPoolExecutor(",
        " workers at the most, 1 item\n",
        "__worker (sleeping, ",
        ": sleep 600 (",
        "process \"Process-1\" of a script\n---",
    ];
    // Some of it comes to be a moment later.
    let mut seen = dump(live.pid(), false);
    let begun = Instant::now();
    while begun.elapsed() < LIMIT / 2 && !wanted.iter().all(|words| seen.stdout.contains(words)) {
        seen = dump(live.pid(), false);
    }
    for words in wanted {
        assert!(seen.stdout.contains(words), "no {words:?}: {}", seen.for_people());
    }
    let json = dump(live.pid(), true);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json["pid"].as_u64(), json["tasks"][0]["name"].as_str()), (Some(live.pid().into()), Some("main")));
    assert!(json["tasks"][0]["waits"]["seconds"].as_f64().is_some());
    let items: Vec<u64> = json["objects"].as_array().unwrap().iter().filter_map(|o| o["items"].as_u64()).collect();
    assert!(items.starts_with(&[1]), "{json}");
    assert_eq!(json["workers"][0]["tasks"][0]["name"], "Process-1");
    assert!(json["processes"].as_array().unwrap().iter().any(|p| p["command"] == "sleep 600" && p["depth"] == 3));
    // Whoever asked did not disturb it.
    live.signal("TERM");
    assert_eq!(live.end().status, 143);
}

#[test]
fn who_is_no_orch_is_told_apart() {
    let me = std::process::id();
    dump(me, false).is(1, "", &format!("error: process {me} is not an orch that runs a script\n"));
    dump(4_194_304, false).is(1, "", "error: there is no process 4194304\n");
    assert_eq!(orch(["dump", "me"]).run().status, 2);
    let live = Live::ready(BUSY);
    let pid = live.pid().to_string();
    orch(["top", &pid]).is(2, "", &format!("error: orch top needs a terminal; orch dump {pid} prints the same once\n"));
    live.signal("KILL");
    live.end();
    assert_eq!(orch(["top", &pid]).run().status, 1);
}

#[test]
fn top_shows_it_ends_a_child_and_gives_the_terminal_back() {
    let mut live = Live::ready(
        "let c = cmd(\"sleep\", \"600\").start(); print(`ready ${c.pid}`);\n\
         try { c.wait(); } catch (e) { print(`gone by ${e.signal}`); } sleep(600);\n",
    );
    let child = live.line_with("ready ").split(' ').nth(1).unwrap().to_string();
    let pid = live.pid().to_string();
    let mut top = Pty::start(&[env!("CARGO_BIN_EXE_orch"), "top", "--every", "0.2", &pid], std::path::Path::new("/"));
    top.shows("q quits, k ends a process");
    top.shows(&child);
    top.shows("wait Child(");
    assert!(!top.is_cooked());
    // No: nothing is ended.
    top.types("k");
    top.shows("end which process?");
    top.types(&format!("{child}\r"));
    top.shows("with TERM? y/n");
    top.types("n\r");
    top.shows("nothing was ended");
    top.types("k1\r");
    top.shows("1 is no process of this program");
    top.types(&format!("k{child}\r"));
    top.shows("with TERM? y/n");
    top.types("y\r");
    top.shows("sent TERM to");
    live.says("gone by TERM");
    top.types("q");
    // The last thing that is shown, and the last thing that is done.
    top.shows("\x1b[?1049l");
    while !top.is_cooked() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(top.end().status, 0);
    // Ctrl-C leaves it too, and it ends with the program.
    let mut top = Pty::start(&[env!("CARGO_BIN_EXE_orch"), "top", "--every", "0.2", &pid], std::path::Path::new("/"));
    top.shows("q quits");
    top.types(CTRL_C);
    assert_eq!(top.end().status, 0);
    let mut top = Pty::start(&[env!("CARGO_BIN_EXE_orch"), "top", "--every", "0.2", &pid], std::path::Path::new("/"));
    top.shows("q quits");
    live.signal("KILL");
    live.end();
    top.shows("has ended");
    assert_eq!(top.end().status, 0);
}

#[test]
fn an_end_that_takes_long_is_explained() {
    let script = "sh(\"trap '' TERM; echo ready; sleep 600 & wait; sleep 600\").kill_after(2).run();\n";
    let mut live = Live::ready(script);
    live.signal("TERM");
    live.reports("note: still waiting for the end; ask again to end it at once");
    live.reports("sleep 600");
    assert_eq!(live.end().status, 143);
    // Who ends in a moment says nothing.
    let live = Live::ready("print(\"ready\"); sleep(600);\n");
    let begun = Instant::now();
    live.signal("TERM");
    let seen = live.end();
    let was_held_up = begun.elapsed() > Duration::from_secs(1);
    assert!(was_held_up || !seen.stderr.contains("still waiting"), "{}", seen.for_people());
}

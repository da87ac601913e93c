//! Traces: of every script, repeatable, of programs that are killed, where they cannot be written, with processes.

use super::events::{check, cut, named, number, whole};
use super::whole::live::Live;
use super::whole::program::{Program, orch};
use super::whole::{files, stem};

/// What is put before and behind the name of a script that needs more than its name.
const CALLS: &[(&str, &[&str], &[&str])] = &[
    ("traffic_light", &["--until", "45"], &[]),
    ("gil_threads", &[], &["1000"]),
    ("gil_processes", &[], &["1000"]),
    ("io_vs_cpu", &[], &["1000"]),
    ("context_switch", &[], &["100"]),
];

fn trace_of(name: &str) -> String {
    let call = CALLS.iter().find(|(n, ..)| *n == name);
    let (before, behind): (&[&str], &[&str]) = call.map_or((&[], &[]), |(_, before, behind)| (before, behind));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json").display().to_string();
    let path = format!("scripts/{name}.rhai");
    let words = ["run", "--sim", "--trace", &file].into_iter().chain(before.iter().copied());
    let seen = orch(words.chain([path.as_str()]).chain(behind.iter().copied())).run();
    assert!(seen.status == 0 || name == "rlock_as_lock", "{}", seen.for_people());
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn the_trace_of_every_script_is_a_good_one_and_repeatable() {
    for name in files("scripts", "rhai").iter().map(|path| stem(path)) {
        let text = trace_of(&name);
        let events = whole(&text);
        assert_eq!(named(&events, "process_name")[0]["args"]["name"], format!("orch run scripts/{name}.rhai"));
        // What real commands use is outside of the promise.
        if !text.contains("user_s") {
            assert_eq!(text, trace_of(&name), "{name} has another trace the second time");
        }
    }
}

#[test]
fn items_wakings_and_starts_have_arrows_and_queues_a_depth() {
    let script = "let q = Queue(2); let l = Lock(); let e = Event();\n\
        let t = spawn_thread(|| { e.wait(); for n in q { with l { sleep(0.1); } } });\n\
        e.set(); for n in 0..5 { q.put(n); } q.close(); t.join();\n\
        with ThreadPoolExecutor(1) as pool { for i in 0..3 { pool.submit(|| sleep(1)); } }\n";
    let program = Program::script_with(&["run", "--sim", "--trace", "t.json"], script);
    let path = program.own_folder().join("t.json");
    let command = program.command().status().unwrap();
    assert!(command.success());
    let events = whole(&std::fs::read_to_string(path).unwrap());
    let arrows = |name: &str| events.iter().filter(|e| e["ph"] == "s" && e["name"] == name).count();
    // Five items of the queue, three jobs of the pool; the thread and the pool's worker.
    assert_eq!((arrows("put"), arrows("start")), (8, 2));
    assert_eq!(arrows("wake"), 5);
    let depth = |name: &str| {
        let all = events.iter().filter(|e| e["ph"] == "C" && e["name"].as_str().is_some_and(|n| n.contains(name)));
        all.map(|e| number(&e["args"], "value") as u64).max()
    };
    assert_eq!((depth("in Queue("), depth("in work queue(")), (Some(2), Some(2)));
    let waits = named(&events, "waits: put Queue(");
    assert!(!waits.is_empty() && waits[0]["args"]["at"] == "script.rhai:3", "{waits:?}");
    let held = named(&events, "holds Lock(");
    assert!(held.len() == 5 && held[0]["args"]["held by"] == "Thread-1" && held[0]["args"]["since"] == "script.rhai:2");
}

/// What is got from a process that has ended comes from where that was.
#[test]
fn arrows_begin_in_simulated_processes_that_have_ended() {
    let script = "let q = Queue(); spawn_process(|| { q.put(1); sleep(1); }).join(); sleep(1); q.get();\n";
    let program = Program::script_with(&["run", "--sim", "--trace", "t.json"], script);
    let path = program.own_folder().join("t.json");
    assert!(program.command().status().unwrap().success());
    let events = whole(&std::fs::read_to_string(path).unwrap());
    let put = events.iter().find(|event| event["ph"] == "s" && event["name"] == "put").unwrap();
    let got = events.iter().find(|event| event["ph"] == "f" && event["name"] == "put").unwrap();
    assert_ne!(put["pid"], got["pid"]);
}

#[test]
fn a_killed_program_leaves_a_trace_with_what_it_waited_for() {
    let script = "let l = Lock(); l.acquire();\nspawn_thread(|| l.acquire());\nprint(\"ready\"); sleep(600);\n";
    let program = Program::script_with(&["run", "--trace", "t.json"], script);
    let path = program.own_folder().join("t.json");
    let mut live = Live::start(program);
    live.says("ready");
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("\"sleep\"") && text.contains("waits: acquire") {
            break text;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    live.signal("KILL");
    cut(&text);
    let after = std::fs::read_to_string(&path).unwrap();
    let events = cut(&after);
    let wait = named(&events, "waits: acquire Lock(")[0];
    assert!(wait["args"]["held by"] == "main" && wait["args"]["held since"] == "script.rhai:1", "{wait}");
    assert_eq!(live.end().status, -9);
}

#[test]
fn processes_and_commands_write_into_the_same_trace() {
    let script = "let l = Lock();\n\
        let p = spawn_process(|| { with l { sleep(0.01); } sh(\"exit 7\").unchecked().run(); 1 });\n\
        p.join(); cmd(\"sleep\", \"0.01\").run();\n";
    let program = Program::script_with(&["run", "--trace", "t.json"], script);
    let path = program.own_folder().join("t.json");
    program.command().stdout(std::process::Stdio::null()).status().unwrap();
    let events = whole(&std::fs::read_to_string(path).unwrap());
    let pids = |name: &str| -> Vec<u64> { named(&events, name).iter().map(|e| e["pid"].as_u64().unwrap()).collect() };
    let (main, worker) = (pids("orch run script.rhai"), pids("closure"));
    assert!(main.is_empty() && worker.len() == 1);
    let commands: Vec<_> = events.iter().filter(|e| e["ph"] == "B" && e["args"]["command"].is_string()).collect();
    assert_eq!(commands.len(), 2);
    assert_eq!(commands.iter().filter(|c| c["pid"].as_u64() == Some(worker[0])).count(), 1);
    let ended: Vec<_> = events.iter().filter(|e| e["ph"] == "E" && e["args"]["user_s"].is_number()).collect();
    assert_eq!(ended.iter().map(|e| e["args"]["code"].as_i64().unwrap()).collect::<Vec<_>>(), [7, 0]);
    // One clock: what the worker did lies within its life here.
    let began = named(&events, "starts process")[0];
    let call = named(&events, "closure")[0];
    let over = named(&events, "ended: exit code 0")[0];
    assert!(number(began, "ts") < number(call, "ts") && number(call, "ts") < number(over, "ts"));
}

#[test]
fn a_trace_that_cannot_be_written_is_told_before_the_script_runs() {
    for option in ["--trace", "--report"] {
        let seen = Program::script_with(&["run", option, "no/such/folder/t"], "print(1);\n").run();
        assert_eq!((seen.status, seen.stdout.as_str()), (2, ""), "{}", seen.for_people());
        assert!(seen.stderr.contains("no/such/folder/t: No such file"), "{}", seen.for_people());
    }
    // And no file is emptied for a script that is not there.
    let program = orch(["run", "--trace", "t.json", "none.rhai"]).file("t.json", b"kept").in_its_folder();
    let path = program.own_folder().join("t.json");
    assert_eq!(program.command().output().unwrap().status.code(), Some(2));
    assert_eq!(std::fs::read(path).unwrap(), b"kept");
}

#[test]
fn a_full_disk_is_told_once_and_the_script_goes_on() {
    let script = "for i in 0..3000 { spawn_thread(|| 1).join(); } print(\"done\");\n";
    let seen = Program::script_with(&["run", "--sim", "--trace", "/dev/full"], script).run();
    let note = "note: the trace ends here, it cannot be written: No space left on device (os error 28)\n";
    seen.is(0, "done\n", note);
}

#[test]
fn a_script_that_is_no_script_has_a_trace_too() {
    let program = Program::script_with(&["run", "--trace", "t.json"], "let 1;\n");
    let path = program.own_folder().join("t.json");
    assert_eq!(program.command().output().unwrap().status.code(), Some(1));
    assert!(!named(&whole(&std::fs::read_to_string(path).unwrap()), "orch says: error").is_empty());
}

#[test]
fn what_happens_very_often_is_thinned_out_and_what_lasts_is_not() {
    let script = "let q = Queue(); let l = Lock();\n\
        let t = spawn_thread(|| { for i in 0..20000 { q.put(i); with l { } } l.acquire(); sleep(0.5); l.release(); });\n\
        for i in 0..20000 { q.get(); } with l { } t.join();\n";
    let program = Program::script_with(&["run", "--trace", "t.json"], script);
    let path = program.own_folder().join("t.json");
    program.command().status().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let events = whole(&text);
    check(&events, true);
    assert!(events.len() < 60_000, "{} events", events.len());
    // It was held for half a second, however often before.
    let mut longest: f64 = 0.0;
    let mut since = 0.0;
    for event in events.iter().filter(|e| e["cat"] == "hold") {
        match event["ph"].as_str().unwrap() {
            "b" => since = number(event, "ts"),
            _ => longest = longest.max(number(event, "ts") - since),
        }
    }
    assert!(longest > 200_000.0, "{longest} µs");
}

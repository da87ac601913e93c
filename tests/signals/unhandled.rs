//! INT, TERM, HUP and QUIT, in real time: where the main script may be when one comes, what it can make of it, and what
//! the threads hear.

use crate::whole::live::Live;
use crate::whole::program::Seen;

const SIGNALS: &[(&str, i32)] = &[("INT", 130), ("TERM", 143), ("HUP", 129)];

/// Sends each of the three to a fresh run of `script`, which has to end with its status and one report of it. (None when
/// the signal came just before the main script's last wait, and ended what that would have waited for.)
#[track_caller]
fn each_ends(script: &str) {
    for (signal, status) in SIGNALS {
        let live = Live::ready(script);
        live.signal(signal);
        one_report(&live.end(), signal, *status);
    }
}

#[track_caller]
fn one_report(seen: &Seen, signal: &str, status: i32) {
    let told = format!("error: Interrupted: interrupted by {signal}\n");
    let reported = seen.stderr.starts_with(&told) && seen.stderr.matches("error:").count() == 1;
    // The wait may end in the same moment, by what the signal ended elsewhere, and the script with it.
    assert!(seen.status == status && (reported || seen.stderr.is_empty()), "{signal}: {}", seen.for_people());
}

#[test]
fn while_main_sleeps() {
    each_ends("print(\"ready\");\nsleep(1000);\n");
}

#[test]
fn while_main_waits_for_an_item() {
    each_ends("let q = Queue();\nlet t = spawn_thread(|| { sleep(1000); q.put(1); });\nprint(\"ready\");\nq.get();\n");
}

#[test]
fn while_main_waits_for_a_lock() {
    each_ends(
        "let lock = Lock();\nlet held = Event();\n\
         spawn_thread(|| { with lock { held.set(); sleep(1000); } });\n\
         held.wait();\nprint(\"ready\");\nlock.acquire();\n",
    );
}

#[test]
fn while_main_joins() {
    each_ends("let t = spawn_thread(|| sleep(1000));\nprint(\"ready\");\nt.join();\n");
}

#[test]
fn while_main_waits_for_its_pool() {
    each_ends("with ThreadPoolExecutor(2) as pool {\n    pool.submit(|| sleep(1000));\n    print(\"ready\");\n}\n");
}

/// In a loop that blocks nowhere there is no call that could throw `Interrupted`: the script is ended, and that is told in
/// the same words.
#[test]
fn while_main_computes() {
    for script in [
        "print(\"ready\");\nlet n = 0;\nloop { n += 1; }\n",
        "fn spin() { let n = 0; loop { n += 1; } }\nprint(\"ready\");\nspin();\n",
        "print(\"ready\");\nlet n = 0;\ntry { loop { n += 1; } } catch (e) { print(e); }\n",
    ] {
        for (signal, status) in SIGNALS {
            let live = Live::ready(script);
            live.signal(signal);
            let seen = live.end();
            one_report(&seen, signal, *status);
            assert!(seen.stderr.contains("script.rhai:3:"), "{}", seen.for_people());
            assert_eq!(seen.stdout, "ready\n");
        }
    }
}

/// The main script is over, and the program waits for its threads.
#[test]
fn after_main_has_ended() {
    for (signal, status) in SIGNALS {
        let live = Live::ready("spawn_thread(|| { print(\"ready\"); sleep(1000); });\n");
        live.signal(signal);
        live.end().is(*status, "ready\n", "");
    }
}

#[test]
fn with_a_hundred_threads_in_a_queue_and_ten_in_join() {
    let script = r#"
let q = Queue();
let waiting = Latch(110);
let threads = [];
for i in 0..100 { threads.push(spawn_thread(|| { waiting.count_down(); q.get() })); }
for i in 0..10 {
    let t = threads[i];
    spawn_thread(|| { waiting.count_down(); t.join() });
}
waiting.wait();
print("ready");
sleep(1000);
"#;
    for _ in 0..5 {
        each_ends(script);
    }
}

#[test]
fn with_threads_that_wait_for_each_others_locks() {
    let script = r#"
let lock = Lock();
let waiting = Latch(50);
for i in 0..50 { spawn_thread(|| { waiting.count_down(); lock.acquire(); sleep(1000); }); }
waiting.wait();
print("ready");
sleep(1000);
"#;
    for _ in 0..5 {
        each_ends(script);
    }
}

#[test]
fn a_second_one_ends_at_once() {
    let mut live = Live::ready(
        r#"
spawn_thread(|| { loop { try { sleep(1000); } catch (e) { print(`ignores ${e.kind}`); } } });
print("ready");
sleep(1000);
"#,
    );
    live.signal("INT");
    live.says("ignores Cancelled");
    live.reports("Interrupted");
    live.signal("INT");
    let seen = live.end();
    assert_eq!((seen.status, seen.stdout.as_str()), (130, "ready\nignores Cancelled\n"), "{}", seen.for_people());
}

#[test]
fn a_script_that_catches_it_decides() {
    let live = Live::ready(
        r#"
try { print("ready"); sleep(1000); } catch (e) { print(`${e.kind} ${e.signal} line ${e.line}`); }
sleep(0.01);
print("goes on");
"#,
    );
    live.signal("TERM");
    live.end().is(0, "ready\nInterrupted TERM line 2\ngoes on\n", "");
}

#[test]
fn a_script_that_catches_it_may_say_its_status() {
    let live = Live::ready("try { print(\"ready\"); sleep(1000); } catch (e) { exit(7); }\n");
    live.signal("INT");
    live.end().is(7, "ready\n", "");
}

#[test]
fn with_blocks_are_left() {
    let live = Live::ready(
        r#"
let lock = Lock();
let done = Event();
let t = spawn_thread(|| {
    try {
        with lock { done.set(); sleep(1000); }
    } catch (e) {
        print(`${e.kind}, and the lock is held: ${lock.locked()}`);
    }
});
done.wait();
try {
    with Semaphore(1) as s { print("ready"); sleep(1000); }
} catch (e) {
    t.join();
    print(`${e.kind}, and the lock is held: ${lock.locked()}`);
}
"#,
    );
    live.signal("INT");
    let told = "Cancelled, and the lock is held: false\nInterrupted, and the lock is held: false\n";
    live.end().is(0, &format!("ready\n{told}"), "");
}

#[test]
fn quit_shows_what_every_thread_does() {
    let mut live = Live::ready(
        r#"let lock = Lock();
with lock {
    spawn_thread(|| { with lock { sleep(0); } }, #{name: "waiter"});
    print("ready");
    sleep(1000);
}
"#,
    );
    // The waiter may be on its way to the lock: ask until it is there.
    loop {
        live.signal("QUIT");
        live.reports_again("---\n");
        let seen = live.seen_stderr();
        if seen.contains("\"waiter\": waits in acquire()") && seen.contains("\"main\": waits in sleep()") {
            break;
        }
    }
    live.signal("INT");
    let seen = live.end();
    for wanted in [
        "tasks, ",
        "\"main\": waits in sleep() of ",
        "    holds Lock(#1) since script.rhai:2\n",
        "\"waiter\": waits in acquire() of Lock(#1) at script.rhai:3 for ",
        "    held by \"main\" since script.rhai:2\n",
    ] {
        assert!(seen.stderr.contains(wanted), "{wanted:?} is missing: {}", seen.for_people());
    }
    assert!(seen.status == 130 && seen.stdout == "ready\n", "{}", seen.for_people());
}

#[test]
fn quit_changes_nothing() {
    let mut live = Live::ready(
        "print(\"ready\");\nwhile !fs::exists(\"go\") { sleep(0.05); }\nprint(\"goes on\");\nsleep(0.05);\nprint(\"end\");\n",
    );
    live.signal("QUIT");
    live.reports("---");
    live.put_file("go");
    let seen = live.end();
    assert_eq!((seen.status, seen.stdout.as_str()), (0, "ready\ngoes on\nend\n"), "{}", seen.for_people());
}

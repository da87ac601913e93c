//! Handlers of signals that the system sends, in real time. (What they do in each kind of wait is in `handlers.rs`.)

use crate::whole::live::Live;
use crate::whole::program::Program;

#[test]
fn every_signal_is_handled_and_none_kills() {
    let mut live = Live::ready(
        r#"let stop = Event();
for name in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "CHLD", "CONT", "TSTP", "PIPE", "URG"] {
    on_signal(name, |name| print(`got ${name}`));
}
on_signal("XCPU", || stop.set());
print("ready");
stop.wait();
print("end");
"#,
    );
    let names = ["INT", "INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "CHLD", "CONT", "TSTP", "PIPE"];
    let mut wanted = "ready\n".to_string();
    for name in names {
        live.signal(name);
        live.says_again(&format!("got {name}\n"));
        wanted.push_str(&format!("got {name}\n"));
    }
    live.signal("XCPU");
    live.end().prints(&format!("{wanted}end\n"));
}

#[test]
fn a_wait_with_a_limit_goes_on_to_its_end() {
    let mut live = Live::ready(
        r#"on_signal("USR1", || print("got it"));
let begun = monotonic();
let q = Queue();
print("ready");
try { q.get(5); } catch (e) { print(`${e.kind} ${monotonic() - begun >= 5}`); }
"#,
    );
    for _ in 0..3 {
        live.signal("USR1");
        live.says_again("got it\n");
    }
    live.end().prints("ready\ngot it\ngot it\ngot it\nEmpty true\n");
}

#[test]
fn a_busy_loop_is_interrupted_by_a_handler() {
    let mut live = Live::ready(
        r#"on_signal("USR1", |name| print(name));
on_signal("INT", || throw "enough");
on_signal("TERM", || exit(7));
print("ready");
let n = 0;
try { loop { n += 1; } } catch (e) { print(e); }
loop { n += 1; }
"#,
    );
    live.signal("USR1");
    live.says("USR1");
    live.signal("INT");
    live.says("enough");
    live.signal("TERM");
    live.end().is(7, "ready\nUSR1\nenough\n", "");
}

/// Only the main thread runs handlers; what it holds is given back when it throws.
#[test]
fn a_handler_that_throws_leaves_the_with_blocks() {
    let mut live = Live::ready(
        r#"on_signal("INT", || throw "stop");
let lock = Lock();
let t = spawn_thread(|| sleep(1000), #{daemon: true});
try { with lock { print("ready"); t.join(); } } catch (e) { print(`${e}, held: ${lock.locked()}`); }
on_signal("INT", || { print(`in ${current_thread().name}`); });
spawn_thread(|| { print("thread"); sleep(1000); }, #{daemon: true});
let never = Event();
on_signal("TERM", || never.set());
never.wait();
"#,
    );
    live.signal("INT");
    live.says("stop, held: false");
    live.says("thread");
    live.signal("INT");
    live.says("in main");
    live.signal("TERM");
    live.end().is(0, "ready\nstop, held: false\nthread\nin main\n", "");
}

#[test]
fn a_signal_that_comes_during_its_handler_is_handled_after_it() {
    let mut live = Live::ready(
        r#"let go_on = Event(); let rounds = Value(0);
on_signal("USR2", || go_on.set());
on_signal("USR1", || {
    let round = rounds.add(1);
    print(`begins ${round}`);
    go_on.wait();
    go_on.clear();
    print(`ends ${round}`);
    if round == 2 { exit(0); }
});
print("ready");
sleep(1000);
"#,
    );
    live.signal("USR1");
    live.says("begins 1");
    live.signal("USR1");
    live.signal("USR2");
    live.says("begins 2");
    live.signal("USR2");
    live.end().prints("ready\nbegins 1\nends 1\nbegins 2\nends 2\n");
}

#[test]
fn what_is_reset_does_what_it_did() {
    for (name, status) in [("INT", 130), ("TERM", 143), ("USR1", -10), ("ALRM", -14)] {
        let live = Live::ready(&format!(
            "on_signal({name:?}, || 1);\nreset_signal({name:?});\nprint(\"ready\");\nsleep(1000);\n"
        ));
        live.signal(name);
        let seen = live.end();
        assert_eq!((seen.status, seen.stdout.as_str()), (status, "ready\n"), "{}", seen.for_people());
    }
}

#[test]
fn what_is_ignored_does_nothing() {
    let live = Live::ready(
        "for name in [\"INT\", \"TERM\", \"HUP\", \"USR1\", \"QUIT\"] { ignore_signal(name); }\n\
         on_signal(\"USR2\", || exit(0));\nprint(\"ready\");\nsleep(1000);\n",
    );
    for name in ["INT", "INT", "TERM", "HUP", "USR1", "QUIT", "USR2"] {
        live.signal(name);
    }
    live.end().prints("ready\n");
}

#[test]
fn raised_in_real_time_it_acts_as_it_does_by_itself() {
    for (name, status) in [("KILL", -9), ("USR1", -10), ("TERM", 143), ("ABRT", -6)] {
        for before in ["", "on_signal(NAME, || 1); reset_signal(NAME); "] {
            if name == "KILL" && !before.is_empty() {
                continue;
            }
            let before = before.replace("NAME", &format!("{name:?}"));
            let seen = Program::script(&format!("{before}raise_signal({name:?});\nprint(\"after\");\n")).run();
            assert_eq!((seen.status, seen.stdout.as_str()), (status, ""), "{}", seen.for_people());
        }
    }
}

#[test]
fn a_raised_signal_has_been_handled_when_the_call_returns() {
    Program::script(
        "let n = Value(0);\non_signal(\"USR1\", || n.add(1));\n\
         for i in 0..1000 { raise_signal(\"USR1\"); assert(n.value == i + 1); }\nprint(n.value);\n",
    )
    .run()
    .prints("1000\n");
}

/// As `nohup` does it, and shells with what they run behind.
#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let script = "if args().len() > 0 { on_signal(\"HUP\", || print(\"heard\")); }\n\
                  on_signal(\"USR1\", || print(\"still here\"));\nprint(\"ready\");\nsleep(1000);\n";
    let mut live = Live::start_ignoring(Program::script(script), &["HUP", "INT"]);
    live.says("ready");
    for name in ["HUP", "INT", "HUP", "USR1"] {
        live.signal(name);
    }
    live.says("still here");
    live.signal("TERM");
    let seen = live.end();
    assert_eq!((seen.status, seen.stdout.as_str()), (143, "ready\nstill here\n"), "{}", seen.for_people());

    let mut live = Live::start_ignoring(Program::script(script).arg("handle"), &["HUP"]);
    live.says("ready");
    live.signal("HUP");
    live.says("heard");
    live.signal("INT");
    assert_eq!(live.end().status, 130);
}

#[test]
fn under_simulated_time_the_system_is_heard_too() {
    let script = "let stop = Event();\non_signal(\"USR1\", |name| { print(name); stop.set(); });\n\
                  print(\"ready\");\nstop.wait();\nprint(\"end\");\n";
    let mut live = Live::start(Program::sim(script));
    live.says("ready");
    live.signal("USR1");
    live.end().prints("ready\nUSR1\nend\n");
}

/// A command is waited for as anything else is; the signal was sent to orch alone, and the command goes on too.
#[test]
fn a_command_is_waited_for_to_its_end() {
    let mut live = Live::ready(
        r#"on_signal("USR1", || { print("got it"); print(cmd("echo", "from the handler").read()); });
on_signal("INT", || throw "stop");
print("ready");
let done = sh("echo begun >&2; until test -e go; do sleep 0.05; done; echo done").capture();
print(done.stdout.len());
try { print("ready again"); cmd("sleep", 1000).run(); } catch (e) { print(e); }
"#,
    );
    live.signal("USR1");
    live.says("from the handler");
    live.put_file("go");
    live.says("ready again");
    live.signal("INT");
    let seen = live.end();
    seen.is(0, "ready\ngot it\nfrom the handler\n5\nready again\nstop\n", &seen.stderr);
}

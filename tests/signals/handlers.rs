//! Handlers of signals in simulated time, to the letter: where they run, what they do to what the main thread does there,
//! and what becomes of their errors. (Those the system sends are in `sent.rs`.)

use crate::harness::{Ran, run_in, sim};
use orch::kernel::Setup;

/// Before each script: a signal after a while, the time, and what is thrown.
const BEFORE: &str = r#"
    fn later(secs, name) { Timer(secs, || raise_signal(name)).start(); }
    fn now() { monotonic() }
    fn shown(e) { if type_of(e) == "map" { `${e.kind}: ${e.message}` } else { `${e}` } }
"#;

#[track_caller]
fn prints(script: &str, wanted: &[&str]) {
    let out = sim(&format!("{BEFORE}{script}"));
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted, "{script}");
}

fn ran(script: &str) -> Ran {
    run_in(Setup::Sim { seed: 0 }, &format!("{BEFORE}{script}"))
}

// ---- waits go on

/// Each waits for something that comes after 3 s, or gives up then; the signal comes after 1 s and is handled for 0.5 s.
const WAITS: &[(&str, &str)] = &[
    ("sleep(3)", "()"),
    ("let q = Queue(); try { q.get(3) } catch (e) { print(e.kind); }", "Empty"),
    ("let q = Queue(); spawn_thread(|| { sleep(3); q.put(7); }); q.get()", "7"),
    ("let q = Queue(); spawn_thread(|| { sleep(1.2); q.put(7); }); let x = q.get(); sleep(1.5); x", "7"),
    ("let q = Queue(1); q.put(1); spawn_thread(|| { sleep(3); q.get(); }); q.put(2)", "()"),
    ("let q = Queue(); q.put(1); spawn_thread(|| { sleep(3); q.task_done(); }); q.join()", "()"),
    ("spawn_thread(|| { sleep(3); 7 }).join()", "7"),
    ("let b = Barrier(2); spawn_thread(|| { sleep(3); b.wait(); }); b.wait()", "0"),
    ("let e = Event(); e.wait(3)", "false"),
    ("let e = Event(); spawn_thread(|| { sleep(3); e.set(); }); e.wait()", "true"),
    ("let l = Latch(1); spawn_thread(|| { sleep(3); l.count_down(); }); l.wait()", "true"),
    ("let s = Semaphore(0); spawn_thread(|| { sleep(3); s.release(); }); s.acquire()", "()"),
    ("let l = Lock(); spawn_thread(|| { with l { sleep(3); } }); sleep(0.1); l.acquire()", "()"),
    ("let l = RwLock(); spawn_thread(|| { with l.write() { sleep(3); } }); sleep(0.1); with l.read() { 7 }", "7"),
    ("let c = Condition(); spawn_thread(|| { sleep(3); with c { c.notify(); } }); with c { c.wait() }", "true"),
    ("let c = Condition(); with c { c.wait(3) }", "false"),
    ("let q = Queue(); let e = Event(); spawn_thread(|| { sleep(3); e.set(); }); select([q, e]).index", "1"),
    ("with ThreadPoolExecutor(1) as p { p.submit(|| sleep(3)); 7 }", "7"),
    ("ThreadPoolExecutor(1).submit(|| { sleep(3); 7 }).result()", "7"),
    ("with TaskGroup() as g { g.spawn_thread(|| sleep(3)); 7 }", "7"),
];

#[test]
fn a_wait_goes_on_with_the_time_it_has_left() {
    for (wait, wanted) in WAITS {
        let script = format!(
            "on_signal(\"INT\", |name| {{ print(`${{name}} ${{now()}}`); sleep(0.5); print(now()); }});\n\
             later(1, \"INT\");\nlet x = {{ {wait} }};\nif x != () || {:?} == \"()\" {{ print(if x == () {{ \"()\" }} else {{ x }}); }}\nprint(now());",
            wanted
        );
        let out = sim(&format!("{BEFORE}{script}"));
        assert_eq!(out.lines().collect::<Vec<_>>(), ["INT 1.0", "1.5", wanted, "3.0"], "{wait}");
    }
}

#[test]
fn a_wait_whose_time_is_up_when_the_handler_ends_is_over_then() {
    prints(
        r#"on_signal("INT", || sleep(5)); later(1, "INT");
           let q = Queue();
           try { q.get(2); } catch (e) { print(`${e.kind} ${now()}`); }
           later(1, "INT"); print(Event().wait(2)); print(now());"#,
        &["Empty 6.0", "false", "12.0"],
    );
}

#[test]
fn what_came_while_the_handler_ran_is_there_though_the_time_is_up() {
    prints(
        r#"let q = Queue();
           on_signal("INT", || sleep(5)); later(1, "INT");
           spawn_thread(|| { sleep(3); q.put(7); });
           print(q.get(2)); print(now());"#,
        &["7", "6.0"],
    );
}

#[test]
fn a_handler_may_end_the_wait() {
    prints(
        r#"let stop = Event(); let q = Queue(); let c = Condition();
           on_signal("TERM", || stop.set()); later(1, "TERM"); print(stop.wait());
           on_signal("TERM", || q.put(5)); later(1, "TERM"); print(q.get());
           on_signal("TERM", || with c { c.notify(); }); later(1, "TERM"); with c { print(c.wait()); }
           print(now());"#,
        &["true", "5", "true", "3.0"],
    );
}

/// The main thread stands back from what it waits for, or the handler would wait for the main thread.
#[test]
fn a_handler_may_wait_for_the_same_thing() {
    prints(
        r#"let lock = Lock(); let s = Semaphore(0); let q = Queue();
           on_signal("INT", || { with lock { print(`lock ${now()}`); } }); later(1, "INT");
           spawn_thread(|| { with lock { sleep(2); } }); sleep(0.5);
           with lock { print(`main ${now()}`); }
           on_signal("INT", || { s.acquire(); print(`permit ${now()}`); }); later(1, "INT");
           spawn_thread(|| { sleep(2); s.release(); sleep(1); s.release(); });
           s.acquire(); print(`main ${now()}`);
           on_signal("INT", || print(`item ${q.get()} ${now()}`)); later(1, "INT");
           spawn_thread(|| { sleep(2); q.put(1); sleep(1); q.put(2); });
           print(`main ${q.get()} ${now()}`);"#,
        &["lock 2.0", "main 2.0", "permit 4.0", "main 5.0", "item 1 7.0", "main 2 8.0"],
    );
}

#[test]
fn others_are_not_held_up_by_a_wait_that_a_handler_interrupts() {
    prints(
        r#"let lock = Lock(); let got = Event();
           spawn_thread(|| { with lock { sleep(2); } }); sleep(0.5);
           spawn_thread(|| { sleep(1); with lock { print(`thread ${now()}`); } got.set(); });
           on_signal("INT", || got.wait()); later(1, "INT");
           with lock { print(`main ${now()}`); }"#,
        &["thread 2.0", "main 2.0"],
    );
}

#[test]
fn a_condition_takes_its_lock_back_though_a_handler_runs_meanwhile() {
    prints(
        r#"let c = Condition();
           on_signal("INT", || { print(`handler ${now()}`); throw "from the handler"; });
           spawn_thread(|| { sleep(1); with c { c.notify(); sleep(2); } });
           later(2, "INT");
           try { with c { c.wait(); print("not told"); } } catch (e) { print(`${e} ${now()}`); }"#,
        &["handler 2.0", "from the handler 3.0"],
    );
}

// ---- errors

#[test]
fn an_error_comes_out_of_the_wait() {
    prints(
        r#"on_signal("INT", || throw "stop"); let q = Queue(); let lock = Lock();
           later(1, "INT"); try { sleep(10); } catch (e) { print(`${e} ${now()}`); }
           later(1, "INT"); try { q.get(); } catch (e) { print(`${e} ${now()}`); }
           later(1, "INT"); try { with lock { sleep(10); } } catch (e) { print(`${e} ${lock.locked()}`); }
           let b = Barrier(2);
           later(1, "INT"); try { b.wait(); } catch (e) { print(`${e} ${b.broken}`); }
           on_signal("INT", || #{}.x.y);
           later(1, "INT"); try { sleep(10); } catch (e) { print(e.kind); }
           on_signal("INT", |name| { let q = Queue(); q.close(); q.put(name); });
           later(1, "INT"); try { sleep(10); } catch (e) { print(e.kind); }
           print(now());"#,
        &["stop 1.0", "stop 2.0", "stop false", "stop true", "ErrorDotExpr", "Closed", "6.0"],
    );
}

#[test]
fn an_error_comes_out_between_two_operations() {
    prints(
        r#"fn busy(flag) { let n = 0; flag.set(); loop { n += 1; if n > 2000 { return flag.is_set(); } } }
           let flag = Event();
           on_signal("USR1", || throw #{kind: "Mine", message: "now"});
           spawn_thread(|| { flag.wait(); raise_signal("USR1"); });
           try { loop { busy(flag); } } catch (e) { print(shown(e)); }
           on_signal("USR1", || throw 42);
           spawn_thread(|| raise_signal("USR1"));
           let f = || { loop { flag.is_set(); } };
           try { try { f.call(); } catch (e) { print(e); throw; } } catch (e) { print(e + 1); }
           let lock = Lock();
           spawn_thread(|| raise_signal("USR1"));
           try { with lock { loop { flag.is_set(); } } } catch (e) { print(`${e} ${lock.locked()}`); }"#,
        &["Mine: now", "42", "43", "42 false"],
    );
}

/// Rhai asks for progress also where it makes nothing of an answer: within `sort`, and when it shows a value.
#[test]
fn an_error_is_not_lost_where_the_script_cannot_be_stopped() {
    prints(
        r#"let flag = Event();
           let sorted = || {
               spawn_thread(|| raise_signal("USR1"));
               let list = []; for i in 0..200 { list.push(-i); }
               list.sort(|a, b| { for i in 0..30 { flag.is_set(); } a - b });
               print("not told");
           };
           on_signal("USR1", || throw "now");
           try { sorted.call(); } catch (e) { print(e); }
           on_signal("USR1", || exit(0));
           sorted.call();"#,
        &["now"],
    );
}

#[test]
fn an_error_that_nobody_catches_ends_the_script() {
    let script = "on_signal(\"INT\", || {\n    throw \"too late\";\n});\nlater(1, \"INT\");\nsleep(10);\n";
    let seen = ran(script);
    assert_eq!((seen.out.as_str(), seen.status), ("", 1));
    assert!(seen.err.starts_with("error: Thrown: too late\n  --> script:6:5\n"), "{}", seen.err);
    let busy = "on_signal(\"INT\", || 1 / 0);\nspawn_thread(|| raise_signal(\"INT\"));\n\
                let e = Event();\nloop { e.is_set(); }\n";
    let seen = ran(busy);
    assert_eq!((seen.out.as_str(), seen.status), ("", 1));
    assert!(seen.err.starts_with("error: ErrorArithmetic: Division by zero: 1 / 0\n"), "{}", seen.err);
    assert_eq!(seen.err.matches("error:").count(), 1, "{}", seen.err);
}

#[test]
fn exit_in_a_handler_ends_the_program() {
    for main in ["sleep(10);", "let e = Event(); loop { e.is_set(); }", "raise_signal(\"INT\");", ""] {
        let seen = ran(&format!(
            "on_signal(\"INT\", || exit(5)); let t = spawn_thread(|| {{ sleep(0); raise_signal(\"INT\"); sleep(9); }});\n\
             try {{ {main} }} catch (e) {{ print(\"caught\"); }}"
        ));
        assert_eq!((seen.out.as_str(), seen.err.as_str(), seen.status), ("", "", 5), "{main}");
    }
}

#[test]
fn handlers_run_while_the_program_waits_for_its_threads() {
    let seen = ran(r#"on_signal("USR1", || { print(`${current_thread().name} ${now()}`); });
           on_signal("USR2", || throw "late");
           spawn_thread(|| { sleep(1); raise_signal("USR1"); sleep(1); raise_signal("USR2"); sleep(1); print(now()); });"#);
    assert_eq!((seen.out.as_str(), seen.status), ("main 1.0\n3.0\n", 1), "{}", seen.err);
    assert!(seen.err.starts_with("error: Thrown: late\n"), "{}", seen.err);
}

// ---- which, when, how often

#[test]
fn the_main_thread_runs_it_whoever_raises_the_signal() {
    prints(
        r#"on_signal("USR1", |name| print(`${name} in ${current_thread().name}`));
           raise_signal("USR1"); print("raised");
           spawn_thread(|| raise_signal("USR1")).join();
           spawn_thread(|| on_signal("USR1", || print("from a thread"))).join();
           raise_signal("USR1");"#,
        &["USR1 in main", "raised", "USR1 in main", "from a thread"],
    );
}

#[test]
fn a_name_may_be_written_in_several_ways() {
    prints(
        r#"on_signal("SIGUSR1", |name| print(name)); on_signal("cld", |name| print(name));
           raise_signal("usr1"); raise_signal("SigChld"); reset_signal("Usr1"); ignore_signal("usr1"); raise_signal("USR1");"#,
        &["USR1", "CHLD"],
    );
}

#[test]
fn f_may_be_any_function() {
    prints(
        r#"fn told(name) { print(`told ${name}`); }
           fn both() { print("none"); } fn both(name) { print(`one ${name}`); }
           fn with_more(q, name) { q.put(name); }
           let q = Queue();
           on_signal("HUP", told); raise_signal("HUP");
           on_signal("HUP", "told"); raise_signal("HUP");
           on_signal("HUP", Fn("both")); raise_signal("HUP");
           on_signal("HUP", Fn("with_more").curry(q)); raise_signal("HUP"); print(q.get());
           try { on_signal("HUP", |a, b| 1); } catch (e) { print(shown(e)); }
           let n = 0;
           try { on_signal("HUP", || { n += 1; }); } catch (e) { print(e.kind); }"#,
        &[
            "told HUP",
            "told HUP",
            "one HUP",
            "HUP",
            "TypeError: on_signal(): f is called with the name of the signal, or with nothing",
            "CaptureError",
        ],
    );
}

#[test]
fn what_cannot_be_caught_is_refused() {
    for name in ["KILL", "STOP", "SEGV", "BUS", "FPE", "ILL"] {
        for call in ["on_signal(\"?\", || 1)", "ignore_signal(\"?\")", "reset_signal(\"?\")"] {
            let wanted =
                format!("ValueError: {}(): {name} cannot be caught or ignored", &call[..call.find('(').unwrap()]);
            prints(&format!("try {{ {}; }} catch (e) {{ print(shown(e)); }}", call.replace('?', name)), &[&wanted]);
        }
    }
    prints(
        r#"for name in ["ITN", "SIGTREM", "", "15"] { try { raise_signal(name); } catch (e) { print(shown(e)); } }"#,
        &[
            "ValueError: raise_signal(): there is no signal \"ITN\"; did you mean \"INT\"?",
            "ValueError: raise_signal(): there is no signal \"SIGTREM\"; did you mean \"TERM\"?",
            "ValueError: raise_signal(): there is no signal \"\"",
            "ValueError: raise_signal(): there is no signal \"15\"",
        ],
    );
}

#[test]
fn a_handler_never_runs_within_itself() {
    prints(
        r#"let depth = Value(0); let rounds = Value(0);
           on_signal("USR1", || {
               depth.add(1); rounds.add(1);
               if rounds.value < 4 { raise_signal("USR1"); raise_signal("USR1"); sleep(1); }
               print(`round ${rounds.value}, ${depth.value} deep`);
               depth.add(-1);
           });
           raise_signal("USR1");
           print(now());"#,
        &["round 1, 1 deep", "round 2, 1 deep", "round 3, 1 deep", "round 4, 1 deep", "3.0"],
    );
}

#[test]
fn another_signal_interrupts_a_handler() {
    prints(
        r#"let rounds = Value(0);
           on_signal("USR1", || { print("1 begins"); raise_signal("USR2"); print("1 ends"); });
           on_signal("USR2", || { print("2 begins"); if rounds.add(1) == 1 { raise_signal("USR1"); } print("2 ends"); });
           later(1, "USR1"); sleep(2); print("over");"#,
        // What 2 raises has to wait for the end of 1.
        &["1 begins", "2 begins", "2 ends", "1 ends", "1 begins", "2 begins", "2 ends", "1 ends", "over"],
    );
}

#[test]
fn after_an_error_the_next_signal_is_still_handled() {
    prints(
        r#"let first = Value(true);
           on_signal("USR1", || { if first.swap(false) { raise_signal("USR1"); throw "one"; } print("again"); });
           on_signal("USR2", || print("two"));
           try { raise_signal("USR1"); } catch (e) { print(e); }
           raise_signal("USR2");"#,
        &["again", "one", "two"],
    );
}

#[test]
fn the_last_word_counts() {
    prints(
        r#"on_signal("INT", || print("a")); on_signal("INT", || print("b")); raise_signal("INT");
           ignore_signal("INT"); raise_signal("INT");
           on_signal("INT", || print("c")); raise_signal("INT"); raise_signal("INT");
           on_signal("INT", || { reset_signal("INT"); print("once"); }); raise_signal("INT");
           try { raise_signal("INT"); } catch (e) { print(`${e.kind} ${e.signal}`); }"#,
        &["b", "c", "c", "once", "Interrupted INT"],
    );
}

#[test]
fn the_calls_below_a_handler_count() {
    prints(
        r#"fn deep(n) { if n == 0 { 0 } else { 1 + deep(n - 1) } }
           fn below(n) { if n == 0 { raise_signal("USR1"); 0 } else { 1 + below(n - 1) } }
           on_signal("USR1", || { try { print(deep(700)); } catch (e) { print(e.kind); } });
           print(below(10)); print(below(700));"#,
        &["700", "10", "ErrorStackOverflow", "700"],
    );
}

// ---- what signals do by themselves

#[test]
fn without_a_handler_they_act() {
    for (name, status) in [("KILL", 137), ("USR1", 138), ("ALRM", 142), ("ABRT", 134), ("SEGV", 139)] {
        let seen = ran(&format!("raise_signal({name:?}); print(\"after\");"));
        assert_eq!((seen.out.as_str(), seen.err.as_str(), seen.status), ("", "", status), "{name}");
    }
    for (name, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let seen = ran(&format!("raise_signal({name:?}); print(\"after\");"));
        assert_eq!((seen.out.as_str(), seen.status), ("", status), "{name}");
        assert!(seen.err.starts_with(&format!("error: Interrupted: interrupted by {name}\n")), "{}", seen.err);
        // The second ends the program whatever the script makes of it.
        let twice = "try { raise_signal(?); } catch (e) { print(e.kind); }".replace('?', &format!("{name:?}"));
        let seen = ran(&format!("{twice} {twice} print(\"after\");"));
        assert_eq!((seen.out.as_str(), seen.status), ("Interrupted\n", status), "{name}");
    }
    let names = ["PIPE", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"];
    for name in names {
        prints(&format!("raise_signal({name:?}); print(\"after\");"), &["after"]);
    }
}

#[test]
fn a_thread_that_asks_the_program_to_stop_is_cancelled_with_it() {
    let seen = ran(r#"spawn_thread(|| { try { raise_signal("TERM"); } catch (e) { print(e.kind); } });
           try { sleep(10); } catch (e) { print(`${e.kind} ${now()}`); }"#);
    assert_eq!((seen.out.as_str(), seen.status), ("Cancelled\nInterrupted 0.0\n", 0), "{}", seen.err);
}

// ---- deadlocks

#[test]
fn who_may_be_woken_by_a_handler_waits_for_something() {
    prints(
        r#"let q = Queue(); on_signal("USR1", || q.put(1));
           let done = Event();
           spawn_thread(|| { done.wait(); raise_signal("USR1"); });
           spawn_thread(|| { sleep(1); done.set(); });
           print(q.get());
           let never = Event(); on_signal("USR2", || throw "enough"); later(1, "USR2");
           try { never.wait(); } catch (e) { print(e); }"#,
        &["1", "enough"],
    );
}

#[test]
fn a_thread_may_wait_for_what_a_handler_holds() {
    prints(
        r#"let t = { let q = Queue(); on_signal("USR1", || q.put(7)); spawn_thread(|| q.get()) };
           later(1, "USR1"); print(t.join());"#,
        &["7"],
    );
}

#[test]
fn without_a_handler_it_is_told_again() {
    prints(
        r#"let q = Queue(); on_signal("USR1", || q.put(1));
           spawn_thread(|| { sleep(1); reset_signal("USR1"); });
           try { q.get(); } catch (e) { print(`${e.kind} ${now()}`); }
           on_signal("USR1", || q.put(1)); spawn_thread(|| { sleep(1); ignore_signal("USR1"); });
           try { q.get(); } catch (e) { print(`${e.kind} ${now()}`); }"#,
        &["DeadlockError 1.0", "DeadlockError 2.0"],
    );
}

#[test]
fn a_handler_that_waits_for_what_its_own_thread_holds_is_told() {
    prints(
        r#"let lock = Lock(); on_signal("INT", || { with lock { print("never"); } }); later(1, "INT");
           try { with lock { sleep(5); } } catch (e) { print(`${e.kind} ${now()}`); }"#,
        &["DeadlockError 1.0"],
    );
}

#[test]
fn threads_that_wait_for_each_other_are_told_though_there_is_a_handler() {
    prints(
        r#"on_signal("INT", || 1);
           let a = Lock(); let b = Lock();
           let one = spawn_thread(|| { with a { sleep(1); with b { } } });
           let two = spawn_thread(|| { with b { sleep(1); with a { } } });
           for t in [one, two] { try { t.join(); print("well"); } catch (e) { print(e.kind); } }"#,
        &["well", "DeadlockError"],
    );
}

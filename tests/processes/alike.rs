//! Processes: one body of tests for threads and processes, real and simulated; what only processes have; and what is left
//! when somebody is killed.

use std::time::{Duration, Instant};

use crate::whole::live::Live;
use crate::whole::program::{Program, orch};

/// What a thread and a process do alike. `KIND` is `Thread` or `Process`, `spawn` starts one.
const ALIKE: &str = r#"
const LIMIT = 40;
fn add(a, b) { a + b }
fn above() { global::LIMIT + 2 }
fn deep(n) { if n == 0 { throw "deep" } deep(n - 1) }
fn shown(e) { `${e.kind}: ${e.message} (${e.line})` }

print(spawn(|| 6 * 7).join());
print(spawn(add, [1, 2]).join());
print(spawn("add", ["a", "b"]).join());
print(spawn(Fn("above")).join());
let n = 5;
let t = KIND(|x| x + n, [1], #{name: "six"});
print(t.name);
print(t.is_alive());
t.start();
print(t.join());
print(t.join());
print(t.is_alive());
let all = #{a: [1, -2, 2.5, 'ß', "text", (), true], "a b": 1..3, r: 1..=3, b: blob(3, 7), empty: #{}, f: |x| x * n};
let back = spawn(|| all).join();
print(back.to_debug());
print(back.f.call(3));
print(spawn(|x| { x.a.push(9); x.a.len() }, [all]).join());
print(all.a.len());
let object = #{n: 3, run: || { this.n += 1; this.n }};
print(KIND(object).wait_start());
print(object.n);
for i in 0..3 { print(spawn(|| i * i).join()); }

try { spawn(|| throw "plain").join() } catch (e) { print(shown(e) + e.value) }
try { spawn(|| throw #{kind: "Own", code: 7}).join() } catch (e) { print(shown(e) + e.code) }
try { spawn(|| 1 / 0).join() } catch (e) { print(shown(e)) }
try { spawn(|| deep(2)).join() } catch (e) { for f in e.stack { if "function" in f { print(`${f.function} ${f.line}`) } } }
try { spawn(|| nowhere).join() } catch (e) { print(shown(e)) }
try { spawn(|| n += 1) } catch (e) { print(shown(e)) }
try { spawn(7) } catch (e) { print(e.kind) }
try { t.start() } catch (e) { print(e.kind) }
try { KIND(|| 1).join() } catch (e) { print(e.kind) }
try { t.name = "x" } catch (e) { print(e.kind) }
try { t.daemon = true } catch (e) { print(e.kind) }
try { KIND(|| 1, #{nam: "x"}) } catch (e) { print(e.kind) }
let long = spawn(|| sleep(1000));
try { long.join(0.01) } catch (e) { print(e.kind) }
print(long.wait(0));
print(long.is_alive());
long.cancel();
try { long.join() } catch (e) { print(e.kind) }
print(long.wait());
let loops = spawn(|| { loop { } });
loops.cancel();
try { loops.join() } catch (e) { print(e.kind) }
let stubborn = spawn(|| { try { sleep(1000) } catch (e) { return e.kind } });
stubborn.cancel();
print(stubborn.join());
let quick = spawn(|| "quick");
let slow = spawn(|| sleep(1000));
let first = select([slow, quick]);
print(`${first.index} ${first.value}`);
slow.cancel();
slow.wait();
try {
    with TaskGroup() as g {
        g.SPAWN(|| sleep(1000));
        g.SPAWN(|| throw "group");
    }
} catch (e) { print(e.value) }
"#;

/// The body with the words of one kind.
fn alike(kind: &str) -> String {
    let spawn = format!("spawn_{}", kind.to_lowercase());
    let started = "fn wait_start() { this.start(); this.join() }\n".to_string();
    let text = ALIKE.replace("KIND", kind).replace("SPAWN", &spawn).replace(" spawn(", &format!(" {spawn}("));
    started + text.replace("(spawn(", &format!("({spawn}(")).as_str()
}

#[test]
fn threads_and_processes_do_the_same() {
    let wanted = Program::script(&alike("Thread")).run();
    assert_eq!((wanted.status, wanted.stderr.as_str()), (0, ""), "{}", wanted.for_people());
    assert!(wanted.stdout.lines().count() > 40, "{}", wanted.for_people());
    for seen in [
        Program::sim(&alike("Thread")).run(),
        Program::script(&alike("Process")).run(),
        Program::sim(&alike("Process")).run(),
    ] {
        seen.is(0, &wanted.stdout, "");
    }
}

/// The same script in real and in simulated time, and what both print.
#[track_caller]
fn both(script: &str, stdout: &str) {
    Program::script(script).run().prints(stdout);
    Program::sim(script).run().prints(stdout);
}

#[test]
fn exit_codes_follow_the_contract() {
    both(
        r#"
        let idle = Process(|| 1);
        print([idle.pid, idle.exit_code]);
        try { idle.terminate() } catch (e) { print(`${e.kind}: ${e.message}`) }
        let p = spawn_process(|| sleep(1000), #{name: "a"});
        print(p.exit_code);
        p.terminate();
        print([p.join(), p.exit_code]);
        p.kill();
        print(p.exit_code);
        let p = spawn_process(|| { loop { } });
        p.terminate();
        print([p.join(), p.exit_code]);
        let p = spawn_process(|| { loop { } });
        p.kill();
        print([p.join(), p.exit_code]);
        for f in [|| 1, || exit(), || exit(3), || exit(256 + 7)] {
            let p = spawn_process(f);
            print([p.join(), p.exit_code]);
        }
        let p = spawn_process(|| throw "no");
        p.wait();
        print(p.exit_code);
        try { p.join() } catch (e) { print(e.task) }
        let p = spawn_process(|| sleep(1000));
        p.cancel();
        p.wait();
        print(p.exit_code);
        "#,
        "[(), ()]\nThreadError: process \"Process-1\" was not started yet\n\n[(), -15]\n-15\n[(), -15]\n[(), -9]\n\
         [1, 0]\n[(), 0]\n[(), 3]\n[(), 7]\n1\nProcess-8\n0\n",
    );
}

#[test]
fn what_cannot_cross_is_named_with_its_place() {
    both(
        r#"
        fn shown(f) { try { f.call(); print("it crossed"); } catch (e) { print(`${e.kind}: ${e.message} [${e.path}]`) } }
        let pool = ThreadPool(1);
        let it = [1, #{ok: 1, "a b": [pool]}];
        shown(|| spawn_process(|x| x, [1, #{callback: [1, 2, pool]}]));
        shown(|| spawn_process(|| it));
        let inner = || pool.close();
        shown(|| spawn_process(|| inner.call()));
        shown(|| Process(#{run: || 1, timer: Timer(1, || 1)}));
        shown(|| spawn_process(|x| x, [Local()]));
        try { spawn_process(|| [0, Event()]).join() } catch (e) { print(`${e.kind}: ${e.message}`) }
        try { spawn_process(|| { throw #{kind: "Own", at: Event()} }).join() } catch (e) { print(type_of(e.at)) }
        "#,
        "SendError: spawn_process(): args[1].callback[2] is a ThreadPool, which cannot cross to another process \
         [args[1].callback[2]]\n\
         SendError: spawn_process(): it (captured by f)[1][\"a b\"][0] is a ThreadPool, which cannot cross to another process \
         [it (captured by f)[1][\"a b\"][0]]\n\
         SendError: spawn_process(): pool (captured by inner (captured by f)) is a ThreadPool, which cannot cross to another \
         process [pool (captured by inner (captured by f))]\n\
         SendError: Process(): the object.timer is a Timer, which cannot cross to another process [the object.timer]\n\
         SendError: spawn_process(): args[0] is a Local, which cannot cross to another process [args[0]]\n\
         SendError: the result[1] is an Event that was made in this process, which cannot cross to another process\n\
         string\n",
    );
}

#[test]
fn a_process_is_alone_and_knows_its_parent() {
    let script = r#"
        let p = spawn_process(|| [getpid(), getppid()]);
        let its = p.join();
        print(its[0] == p.pid && its[1] == getpid() && its[0] != getpid());
        let grandchild = spawn_process(|| spawn_process(|| getppid()).join() == getpid()).join();
        print(grandchild);
        print(spawn_process(|| spawn_thread(|| getpid()).join() == getpid()).join());
        print(spawn_process(|| cmd("echo", "from a command").read()).join());
        print(spawn_process(|| args()).join());
    "#;
    both(script, "true\ntrue\ntrue\nfrom a command\n[]\n");
    Program::sim("print([getpid(), getppid(), spawn_process(|| [getpid(), getppid()]).join()])")
        .run()
        .prints("[10000000, 1, [10000001, 10000000]]\n");
}

#[test]
fn modules_go_with_the_functions() {
    let run = |words: &[&str]| {
        Program::script_with(
            words,
            r#"
            import "tools" as tools;
            fn twice(x) { tools::double(x) }
            print(spawn_process(|| tools::double(4)).join());
            print(spawn_process(twice, [5]).join());
            print(tools::in_process(6));
            print(spawn_process(|| { import "tools" as t; t::double(7) }).join());
            try { spawn_process(|| tools::fails()).join() } catch (e) { print(`${e.source}:${e.line} ${e.message}`) }
            "#,
        )
        .file(
            "tools.rhai",
            b"fn double(x) { x * 2 }\nfn in_process(x) { spawn_process(|| double(x) + 1).join() }\nfn fails() { throw \"there\" }\n",
        )
        .run()
    };
    for words in [&["run"][..], &["run", "--sim"]] {
        run(words).prints("8\n10\n13\n14\ntools.rhai:3 there\n");
    }
}

#[test]
fn a_line_of_code_can_have_processes() {
    orch(["eval", "spawn_process(|| 6 * 7).join()"]).run().prints("42\n");
}

#[test]
fn failures_that_nobody_asks_about_are_told_with_the_stack_of_the_worker() {
    let script = "fn fails(n) {\n    n / 0\n}\nspawn_process(fails, [1], #{name: \"bad\"});\n";
    for seen in [Program::script(script).run(), Program::sim(script).run()] {
        assert_eq!(seen.status, 1);
        let told = &seen.stderr;
        assert!(told.contains("error: ErrorArithmetic: Division by zero"), "{told}");
        assert!(told.contains("script.rhai:2") && told.contains("script.rhai:4") && told.contains("bad"), "{told}");
        assert_eq!(told.matches("error:").count(), 1, "{told}");
    }
}

#[test]
fn daemons_end_with_the_program_and_others_are_waited_for() {
    let seen = Program::script(
        "spawn_process(|| { print(\"daemon\"); sleep(1000); print(\"never\") }, #{daemon: true}); sleep(1);\n\
         spawn_process(|| { sleep(0.2); print(\"last\") }); print(\"main\");",
    )
    .run();
    seen.prints("daemon\nmain\nlast\n");
    Program::sim(
        "spawn_process(|| { sleep(5); print(\"never\") }, #{daemon: true});\n\
         spawn_process(|| { sleep(3); print(\"last\") }); print(\"main\");",
    )
    .run()
    .prints("main\nlast\n");
}

#[test]
fn a_process_waits_for_its_own_threads() {
    Program::script("spawn_process(|| { spawn_thread(|| { sleep(0.3); print(\"thread\") }); print(\"function\") }).join(); print(\"joined\")")
        .run()
        .prints("function\nthread\njoined\n");
}

#[test]
fn lines_of_many_processes_never_mix() {
    let seen = Program::script(
        r#"
        fn write(c) { let line = ""; for i in 0..3000 { line += c } for i in 0..40 { print(line) } }
        let all = ["a", "b", "c", "d"].map(|c| spawn_process(write, [c]));
        for p in all { p.join() }
        "#,
    )
    .run();
    assert_eq!(seen.stdout.lines().count(), 160);
    let whole = |line: &str| line.len() == 3000 && line.bytes().all(|b| b == line.as_bytes()[0]);
    assert!(seen.stdout.lines().all(whole));
}

#[test]
fn large_values_cross() {
    both(
        "let big = blob(30_000_000, 7); let back = spawn_process(|b| { b[1] = 8; b }, [big]).join();\n\
         print([back.len(), back[0], back[1], back[29_999_999]])",
        "[30000000, 7, 8, 7]\n",
    );
}

#[test]
fn whoever_types_the_hidden_word_is_told() {
    for stdin in ["", "garbage that is no message of ours"] {
        let seen = orch(["__worker"]).stdin(stdin).run();
        assert_eq!(seen.status, 2, "{}", seen.for_people());
        assert!(seen.stderr.starts_with("error: this is no worker of orch's: "), "{}", seen.for_people());
    }
}

// ---- what is left when somebody is killed

/// The processes that have this in their environment.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("ORCH_TEST_MARK={mark}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.split(|b| *b == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " "));
        }
    }
    found
}

/// Waits until none is left.
#[track_caller]
fn all_gone(mark: &str) {
    let begun = Instant::now();
    while !marked(mark).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "still there: {:?}", marked(mark));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_killed_at_any_moment_is_a_right_error_and_leaves_nothing() {
    let mark = format!("worker-{}", std::process::id());
    let script = r#"
        fn work() {
            spawn_thread(|| cmd("sleep", 60).run());
            for i in 0..20 { print(i); sleep(0.002); }
            cmd("true").run();
            exit(0);
        }
        let (died, done) = (0, 0);
        for turn in 0..16 {
            let p = spawn_process(work);
            sleep(turn * 0.008);
            try { kill(p.pid, "KILL") } catch (e) { if e.kind != "NotFound" { throw e } }
            try {
                p.join();
                if p.exit_code != 0 { throw p.exit_code }
                done += 1;
            } catch (e) {
                if e.kind != "WorkerDied" || e.signal != "KILL" || e.exit_code != -9 || p.exit_code != -9 { throw e }
                died += 1;
            }
        }
        print(`${died + done} ${died > 0}`);
    "#;
    let script = script.replace("let (died, done) = (0, 0);", "let died = 0; let done = 0;");
    let seen = Program::script(&script).env("ORCH_TEST_MARK", &mark).run();
    assert_eq!((seen.status, seen.stderr.as_str()), (0, ""), "{}", seen.for_people());
    assert_eq!(seen.stdout.lines().last(), Some("16 true"));
    assert_eq!(marked(&mark), Vec::<String>::new());
}

/// Workers with workers and commands of their own, one of them in a loop.
const BUSY: &str = r#"
    fn nested() { print("ready"); spawn_thread(|| cmd("sleep", 60).run()); loop { } }
    let p = spawn_process(|| spawn_process(nested).join());
    spawn_process(|| { try { sleep(1000) } catch (e) { print(e.kind); throw e } });
    p.join();
"#;

#[test]
fn no_worker_survives_the_program() {
    for (signal, status) in [("KILL", -9), ("TERM", 143), ("INT", 130)] {
        let mark = format!("{signal}-{}", std::process::id());
        let mut live = Live::start(Program::script(BUSY).env("ORCH_TEST_MARK", &mark));
        live.says("ready");
        assert!(marked(&mark).len() >= 4, "{:?}", marked(&mark));
        live.signal(signal);
        let seen = live.end();
        assert_eq!(seen.status, status, "{}", seen.for_people());
        all_gone(&mark);
    }
}

#[test]
fn a_stopped_worker_does_not_outlive_its_time() {
    let mark = format!("stopped-{}", std::process::id());
    Program::script(
        r#"
        let p = spawn_process(|| sleep(1000));
        kill(p.pid, "STOP");
        try { p.join(0.1) } catch (e) { print(e.kind) }
        p.terminate();
        print([p.join(), p.exit_code]);
        let p = spawn_process(|| sleep(1000));
        kill(p.pid, "STOP");
        p.kill();
        print([p.join(), p.exit_code]);
        "#,
    )
    .env("ORCH_TEST_MARK", &mark)
    .run()
    .prints("TimeoutError\n[(), -15]\n[(), -9]\n");
    assert_eq!(marked(&mark), Vec::<String>::new());
}

// ---- pools

/// What pools of threads and of processes do alike. `POOL` and `EXECUTOR` are the words.
const POOLS: &str = r#"
fn square(x) { x * x }
fn shown(e) { `${e.kind}: ${e.message}` }
with POOL(2) as pool {
    print(pool.map(square, 1..=5));
    print(pool.map(|x| x + 1, [1, 2, 3, 4, 5], #{chunksize: 2}));
    print(pool.starmap(|a, b| a * b, [[1, 2], [3, 4]]));
    print(pool.imap(|x| x * 10, 0..7, #{chunksize: 3}).to_array());
    let them = pool.imap_unordered(|x| x, 0..5).to_array();
    them.sort();
    print(them);
    print(pool.apply(|a, b| a + b, [20, 22]));
    print(pool.map_async(square, [3]).result());
    let heard = Queue();
    pool.apply_async(|| "called", [], #{callback: |r| heard.put(r)}).wait();
    print(heard.get());
    try { pool.map(|x| 1 / x, [1, 0, 2]) } catch (e) { print(shown(e)) }
    try { pool.apply(|| throw #{kind: "Own", code: 7}, []) } catch (e) { print(e.code) }
    // The input is read as needed.
    let seen = Value(0);
    let endless = Queue();
    for i in 0..50 { endless.put(i) }
    endless.close();
    print(pool.imap(square, endless).next());
    print(endless.qsize() > 30);
}
with EXECUTOR(2, #{initializer: |x| x, initargs: [1]}) as pool {
    let f = pool.submit(|a, b| a - b, 5, 3);
    print(f.result());
    print(pool.map(|a, b| a + b, [1, 2], [3, 4]).to_array());
    let futures = [3, 1, 2].map(|n| pool.submit(|n| n, n));
    let sum = 0;
    for f in as_completed(futures) { sum += f.result() }
    print(sum);
    let long = pool.submit(|| sleep(1000));
    let other = pool.submit(|| sleep(1000));
    let queued = pool.submit(|| 1);
    while !long.running() || !other.running() { sleep(0.01) }
    print(queued.cancel());
    long.stop();
    try { long.result() } catch (e) { print(e.kind) }
    other.stop();
    print(pool.submit(|| "goes on").result());
}
let closed = POOL(1);
closed.close();
try { closed.apply(|| 1, []) } catch (e) { print(e.kind) }
closed.join();
let ended = POOL(1);
let open = [0, 0, 0].map(|x| ended.apply_async(|| sleep(1000), []));
while !open[0].running() { sleep(0.01) }
ended.terminate();
ended.join();
for f in open { try { f.result() } catch (e) { print(e.kind) } }
let bad = EXECUTOR(1, #{initializer: || throw "bad start"});
try { bad.submit(|| 1).result() } catch (e) { print(e.value) }
try { POOL(0) } catch (e) { print(e.kind) }
"#;

#[test]
fn pools_of_threads_and_of_processes_do_the_same() {
    let words = |pool, executor| POOLS.replace("POOL", pool).replace("EXECUTOR", executor);
    let (threads, processes) = (words("ThreadPool", "ThreadPoolExecutor"), words("Pool", "ProcessPoolExecutor"));
    let wanted = Program::script(&threads).run();
    assert_eq!((wanted.status, wanted.stderr.as_str()), (0, ""), "{}", wanted.for_people());
    for seen in [Program::sim(&threads).run(), Program::script(&processes).run(), Program::sim(&processes).run()] {
        seen.is(0, &wanted.stdout, "");
    }
}

#[test]
fn a_worker_of_a_pool_that_dies_fails_its_own_job_only() {
    both(
        r#"
        fn dies(n) { if n == 2 { exit(7) } n }
        with ProcessPoolExecutor(2) as pool {
            let all = [1, 2, 3, 4, 5].map(|n| pool.submit(dies, n));
            for f in all { try { print(f.result()) } catch (e) { print([e.kind, e.exit_code, e.signal, e.task]) } }
            print(pool.submit(|| "more").result());
        }
        "#,
        "1\n[\"WorkerDied\", 7, (), \"dies\"]\n3\n4\n5\nmore\n",
    );
    Program::script(
        r#"
        fn dies() { sleep(0.05); kill(getpid(), "KILL"); sleep(100) }
        with Pool(2) as pool {
            let other = pool.apply_async(|| { sleep(0.5); "done" }, []);
            try { pool.apply(dies, []) } catch (e) { print([e.kind, e.exit_code, e.signal, e.task]) }
            print(other.result());
            // One that is killed while it has nothing to do is nobody's failure.
            let pids = pool.map(|x| { sleep(0.1); getpid() }, [1, 2]);
            for pid in pids { kill(pid, "KILL") }
            for pid in pids { while pid_alive(pid) { sleep(0.01) } }
            print(pool.map(|x| x, [1, 2, 3]));
        }
        "#,
    )
    .run()
    .prints("[\"WorkerDied\", -9, \"KILL\", \"dies\"]\ndone\n[1, 2, 3]\n");
}

#[test]
fn what_somebody_else_kills_is_told_by_its_signal() {
    both(
        r#"
        fn shown(e) { [e.kind, e.exit_code, e.signal, e.task] }
        for signal in ["KILL", "TERM", "USR1"] {
            let p = spawn_process(|| sleep(1000), #{name: "p"});
            sleep(0.1);
            print(pid_alive(p.pid));
            kill(p.pid, signal);
            try { p.join() } catch (e) { print(shown(e)) }
            print([p.exit_code, pid_alive(p.pid)]);
            with Pool(1) as pool {
                try { pool.apply(|n| { kill(getpid(), n); sleep(1000) }, [signal]) } catch (e) { print(shown(e)) }
                print(pool.apply(|| "goes on", []));
            }
        }
        "#,
        &["KILL -9", "TERM -15", "USR1 -10"]
            .map(|it| it.split_once(' ').unwrap())
            .map(|(signal, code)| {
                format!(
                    "true\n[\"WorkerDied\", {code}, \"{signal}\", \"p\"]\n[{code}, false]\n\
                 [\"WorkerDied\", {code}, \"{signal}\", \"closure\"]\ngoes on\n"
                )
            })
            .concat(),
    );
}

#[test]
fn retries_and_replacement() {
    let mark = format!("pool-{}", std::process::id());
    Program::script(
        r#"
        fn once(file) {
            if cmd("test", "-e", file).unchecked().run().ok { return "second time" }
            cmd("touch", file).run();
            exit(1);
        }
        with Pool(1, #{retries: 1}) as pool { print(pool.apply(once, ["./tried"])) }
        with Pool(1, #{retries: 2}) as pool {
            try { pool.apply(|| exit(9), []) } catch (e) { print(`${e.kind} ${e.exit_code}`) }
        }
        with Pool(1, #{max_tasks_per_child: 2}) as pool {
            let pids = pool.map(|x| getpid(), 0..5);
            print([pids[0] == pids[1], pids[1] != pids[2], pids[2] == pids[3], pids[3] != pids[4]]);
        }
        "#,
    )
    .env("ORCH_TEST_MARK", &mark)
    .run()
    .prints("second time\nWorkerDied 9\n[true, true, true, true]\n");
    assert_eq!(marked(&mark), Vec::<String>::new());
}

#[test]
fn workers_of_a_pool_killed_at_any_moment_lose_nothing_else() {
    let mark = format!("storm-{}", std::process::id());
    let seen = Program::script(
        r#"
        with Pool(2) as pool {
            let jobs = [];
            for n in 0..60 { jobs.push(pool.apply_async(|n| { sleep(0.005); [n, getpid()] }, [n])) }
            let pids = SharedList([]);
            let killer = spawn_thread(|| {
                for turn in 0..12 {
                    sleep(0.02);
                    let pid = pids.pop();
                    if pid != () {
                        try { kill(pid, "KILL") } catch (e) { if e.kind != "NotFound" { throw e } }
                    }
                }
            });
            let kept = 0; let died = 0;
            for n in 0..60 {
                try {
                    let result = jobs[n].result();
                    if result[0] != n { throw "mixed up" }
                    pids.push(result[1]);
                    kept += 1;
                } catch (e) { if e.kind != "WorkerDied" || e.signal != "KILL" { throw e } died += 1 }
            }
            killer.join();
            print(`${kept + died} ${died <= 12}`);
            print(pool.map(|x| x, 0..4));
        }
        "#,
    )
    .env("ORCH_TEST_MARK", &mark)
    .run();
    seen.prints("60 true\n[0, 1, 2, 3]\n");
    assert_eq!(marked(&mark), Vec::<String>::new());
}

#[test]
fn no_worker_of_a_pool_survives_the_program() {
    for (signal, status) in [("KILL", -9), ("INT", 130)] {
        let mark = format!("pool-{signal}-{}", std::process::id());
        let script = "let pool = Pool(2); pool.map(|x| { print(\"ready\"); sleep(1000) }, [1, 2, 3]);";
        let mut live = Live::start(Program::script(script).env("ORCH_TEST_MARK", &mark));
        live.says("ready");
        live.signal(signal);
        let seen = live.end();
        assert_eq!(seen.status, status, "{}", seen.for_people());
        all_gone(&mark);
    }
}

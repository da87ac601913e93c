//! Pools of processes: jobs that are handed to workers ahead of their turn, chunks, streams without end, and what becomes of
//! a job whose worker does not listen or dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::whole::program::{Program, finish};

/// After many short jobs workers are given some ahead.
const WARM: &str = "fn warm(pool) { pool.map(|x| x, 0..200, #{chunksize: 1}); }\n";

#[track_caller]
fn prints(script: &str, wanted: &str) {
    Program::script(&format!("{WARM}{script}")).run().prints(wanted);
}

/// The lines that a script prints, in order of their text.
#[track_caller]
fn sorted(script: &str) -> Vec<String> {
    let seen = Program::script(&format!("{WARM}{script}")).run();
    assert_eq!((seen.status, seen.stderr.as_str()), (0, ""), "{}", seen.for_people());
    let mut lines: Vec<String> = seen.stdout.lines().map(str::to_string).collect();
    lines.sort();
    lines
}

fn numbered(jobs: impl Iterator<Item = usize>) -> Vec<String> {
    let mut lines: Vec<String> = jobs.map(|n| format!("job {n}")).collect();
    lines.sort();
    lines
}

/// Nothing is lost or done twice, whoever it was handed to first.
#[test]
fn what_waits_behind_a_long_job_is_done_once() {
    let lines = sorted(
        r#"
        with Pool(2) as pool {
            warm(pool);
            let jobs = [];
            for n in 0..100 {
                jobs.push(pool.apply_async(|n| { if n % 25 == 3 { sleep(0.2) } print(`job ${n}`); n }, [n]));
            }
            for n in 0..100 { if jobs[n].result() != n { throw "mixed up" } }
        }
        "#,
    );
    assert_eq!(lines, numbered(0..100));
}

/// The worker has them already, and gives them back.
#[test]
fn what_was_handed_ahead_can_be_cancelled() {
    let lines = sorted(
        r#"
        with Pool(1) as pool {
            warm(pool);
            let open = Event();
            let jobs = [pool.apply_async(|| { open.wait(); print("job 0") }, [])];
            for n in 1..40 { jobs.push(pool.apply_async(|n| print(`job ${n}`), [n])) }
            while !jobs[0].running() { sleep(0) }
            for n in 1..10 {
                if !jobs[n].cancel() || jobs[n].running() || !jobs[n].cancelled() { throw "not cancelled" }
                try { jobs[n].result(); throw "it came to something" } catch (e) { if e.kind != "Cancelled" { throw e } }
            }
            if jobs[0].cancel() { throw "it runs" }
            open.set();
        }
        "#,
    );
    assert_eq!(lines, numbered((0..1).chain(10..40)));
}

/// It fails its own job; those it had ahead are done by the next.
#[test]
fn what_a_worker_that_dies_had_ahead_is_done_by_the_next() {
    let lines = sorted(
        r#"
        with Pool(1) as pool {
            warm(pool);
            let jobs = [];
            for n in 0..60 {
                jobs.push(pool.apply_async(|n| {
                    if n == 5 { kill(getpid(), "KILL"); sleep(100) }
                    if n == 30 { exit(4) }
                    print(`job ${n}`);
                }, [n]));
            }
            for n in 0..60 {
                try { jobs[n].result() } catch (e) { if e.kind != "WorkerDied" || (n != 5 && n != 30) { throw e } }
            }
        }
        "#,
    );
    assert_eq!(lines, numbered((0..60).filter(|n| ![5, 30].contains(n))));
}

/// Whatever they had ahead.
#[test]
fn a_pool_is_terminated_while_workers_have_jobs_ahead() {
    prints(
        r#"
        let pool = Pool(2);
        warm(pool);
        let jobs = [];
        for n in 0..60 { jobs.push(pool.apply_async(|n| { if n == 20 || n == 23 { sleep(1000) } n }, [n])) }
        while !jobs[20].running() || !jobs[23].running() { sleep(0.01) }
        pool.terminate();
        pool.join();
        let kinds = #{};
        for job in jobs { kinds[try_result(job)] = true }
        print(kinds.keys().len());
        print(try_result(jobs[20]) + try_result(jobs[23]));
        fn try_result(job) { try { job.result() } catch (e) { return e.kind } "done" }
        "#,
        "2\nCancelledCancelled\n",
    );
}

/// Without a size, chunks grow as long as the calls are short; what comes of it is the same.
#[test]
fn chunks_grow_and_change_nothing() {
    prints(
        r#"
        fn counted(text) { text.len() }
        let pairs = []; for n in 0..500 { pairs.push([n, n]) }
        let texts = []; for n in 0..2000 { texts.push("x" + n) }
        with Pool(2) as pool {
            let all = pool.map(|n| [n, n * n], 0..3000);
            for n in 0..3000 { if all[n] != [n, n * n] { throw "mixed up" } }
            print(all.len());
            // What is long from the beginning is one a job: here each worker waits for the other one to have one too.
            let here = SharedMap();
            let pids = pool.map(|n| { here[getpid().to_string()] = n; while here.len() < 2 { sleep(0.01) } getpid() }, 0..8);
            let first = pids[0];
            print(pids.filter(|pid| pid == first).len() < 8);
            print(pool.starmap(|a, b| a + b, pairs).len());
            let later = pool.map_async(counted, texts);
            pool.close();
            print(later.result().len());
        }
        with Pool(2) as pool {
            try { pool.map(|n| if n == 1500 { throw "no" } else { n }, 0..2000) } catch (e) { print(e.value) }
            try { pool.map(|n| if n == 1500 { exit(3) } else { n }, 0..2000) } catch (e) { print(`${e.kind} ${e.exit_code}`) }
            try { pool.map(|n| n, [1, 2, ThreadPool(1)]) } catch (e) { print(`${e.kind}`) }
            print(pool.map(|n| n, []));
            let broken = pool.map_async(|n| { sleep(0.01); n }, 0..2000);
            sleep(0.1);
            pool.terminate();
            try { broken.result() } catch (e) { print(e.kind) }
        }
        "#,
        "3000\ntrue\n500\n2000\nno\nWorkerDied 3\nSendError\n[]\nCancelled\n",
    );
}

/// Many calls in one job are made in one go, and each is what it would be alone: what it sees, returns and throws, and what is
/// said of it.
#[test]
fn many_calls_in_one_job_are_as_alone() {
    let script = r#"
        const FACTOR = 3;
        fn returned(n) { if n % 2 == 0 { return "even" } for i in 0..3 { if i == 2 { return `odd ${n}` } } }
        fn deeper(n) { if n == 0 { 0 } else { 1 + deeper(n - 1) } }
        fn captured(n) { let add = |m| { n += m; n }; add.call(1); add.call(1); n }
        fn shadowed(n) { let n = n + 1; { let n = "inner"; } let m = n; m }
        fn nothing(n) {}
        fn two(a, b) { a * global::FACTOR + b }
        fn two(a) { "one" }
        fn failing(n) { if n == 20 { inner(n) } n }
        fn inner(n) { let list = [1]; list[n] }
        fn thrown(n) { if n == 20 { throw #{at: n} } n }
        fn endless(n) { if n == 20 { endless(n) } else { n } }
        fn leaves(n) { eval("let x = 1;"); import "beside" as beside; n + beside::one() }
        fn ended(n) { if n == 20 { unknown(n) } }
        let items = 0..30;
        let base = 100;
        let pool = KIND(1);
        for f in [returned, deeper, captured, shadowed, nothing, "two", failing, thrown, endless, leaves, |n| n + base] {
            try { print(pool.map(f, items, #{chunksize: SIZE})) } catch (e) { print(`failed: ${e}`) }
        }
        let pairs = []; for n in items { pairs.push([n, n]) }
        print(pool.starmap(two, pairs, #{chunksize: SIZE}));
        pairs[25] = [1];
        print(pool.starmap("two", pairs, #{chunksize: SIZE}));
        print(pool.imap(captured, items, #{chunksize: SIZE}).to_array());
        pool.map(ended, items, #{chunksize: SIZE});
    "#;
    for kind in ["Pool", "ThreadPool"] {
        // Jobs of ten have each of their calls made alone.
        let [alone, together] = ["10", "30"].map(|size| {
            let program = Program::sim(&script.replace("KIND", kind).replace("SIZE", size));
            program.file("beside.rhai", b"fn one() { 1 }").run()
        });
        assert_eq!((together.status, &together.stdout), (alone.status, &alone.stdout), "{kind}");
        assert_eq!(together.stderr, alone.stderr, "{kind}");
        assert!(alone.status == 1 && alone.stdout.lines().count() == 14, "{}", alone.for_people());
    }
}

/// The input is read as far as results are asked for, and a little further; nothing of it is kept.
#[test]
fn streams_without_end_take_no_more_memory_the_longer_they_run() {
    prints(
        r#"
        fn resident() { parse_int(cmd("awk", "/VmRSS/ { print $2 }", `/proc/${getpid()}/status`).read()) }
        fn after(stream, count) { for n in 0..count { if stream.next() != n * 2 { throw "mixed up" } } resident() }
        with Pool(2) as pool {
            let numbers = pool.imap(|n| n * 2, 0..4611686018427387904);
            let first = after(numbers, 2000);
            for n in 2000..8000 { if numbers.next() != n * 2 { throw "mixed up" } }
            let grown = resident() - first;
            print(if grown < 3000 { "flat" } else { `${grown} kB` });
            let seen = 0;
            for n in pool.imap_unordered(|n| n, 0..4611686018427387904, #{chunksize: 50}) { seen += 1; if seen == 2000 { break } }
            print(seen);
        }
        "#,
        "flat\n2000\n",
    );
}

/// Each of these jobs goes on when it is told to stop; only the end of its process helps.
const DEAF: [(&str, &str); 2] = [
    ("takes no notice", "loop { try { there.put(getpid()); sleep(1000) } catch { } }"),
    ("has stopped itself", "there.put(getpid()); kill(getpid(), \"STOP\"); sleep(1000)"),
];

/// Waits until both are at it.
const BOTH_ARE_DEAF: &str = "let pids = [there.get(), there.get()];\n\
    while !pids.some(|pid| sh(`grep -q ') T ' /proc/${pid}/stat`).unchecked().run().ok) { sleep(0.01) }\n";

#[test]
fn a_job_that_does_not_stop_is_killed_and_its_worker_replaced() {
    let jobs = DEAF.map(|(_, body)| format!("pool.apply_async(|| {{ {body} }}, [])")).join(", ");
    prints(
        &format!(
            r#"
            let there = Queue();
            with Pool(2) as pool {{
                let jobs = [{jobs}];
                {BOTH_ARE_DEAF}
                for job in jobs {{ try {{ job.result(0.01) }} catch (e) {{ print(e.kind) }} print(job.stop()) }}
                for job in jobs {{ try {{ job.result() }} catch (e) {{ print(`${{e.kind}}: ${{e.message}}`) }} }}
                print(pool.map(|n| n, [1, 2, 3]));
            }}
            "#
        ),
        &("TimeoutError\ntrue\n".repeat(2)
            + "Cancelled: this job was cancelled: its process did not stop when it was asked to, and was killed\n"
                .repeat(2)
                .as_str()
            + "[1, 2, 3]\n"),
    );
}

#[test]
fn a_pool_of_workers_that_do_not_listen_is_terminated() {
    let jobs = DEAF.map(|(_, body)| format!("pool.apply_async(|| {{ {body} }}, [])")).join(", ");
    prints(
        &format!(
            r#"
            let there = Queue();
            let pool = Pool(2);
            let jobs = [{jobs}];
            {BOTH_ARE_DEAF}
            pool.terminate();
            pool.join();
            for job in jobs {{ try {{ job.result() }} catch (e) {{ print(e.kind) }} }}
            "#
        ),
        "Cancelled\nCancelled\n",
    );
}

#[test]
fn a_job_that_keeps_ending_its_workers_is_given_up() {
    let script = r#"
        fn deadly() { print("try"); exit(4) }
        with Pool(2, #{retries: 2}) as pool {
            let others = pool.map_async(|n| { sleep(0.01); n }, 0..10, #{chunksize: 1});
            try { pool.apply(deadly, []) } catch (e) { print(e.message); print([e.kind, e.tries, e.exit_code]) }
            print(others.result());
        }
    "#;
    let wanted = "try\ntry\ntry\nthe worker of Pool_0 that ran deadly ended with exit code 4 before it was done; \
                  given up after 3 tries, each of which ended its process\n[\"WorkerDied\", 3, 4]\n\
                  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
    for seen in [Program::script(script).run(), Program::sim(script).run()] {
        // Which of the two has it is not said.
        let stdout = seen.stdout.replace("Pool_1", "Pool_0");
        assert_eq!((seen.status, stdout.as_str(), seen.stderr.as_str()), (0, wanted, ""));
    }
}

/// A control group whose processes may have so many bytes together; gone when it is dropped.
struct Narrow(PathBuf);

impl Narrow {
    fn of(bytes: u64) -> Option<Narrow> {
        let name = format!("orch-test-{}", std::process::id());
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")].iter().find_map(
            |(top, limit)| {
                let folder = Path::new(top).join(&name);
                fs::create_dir(&folder).ok()?;
                let narrow = Narrow(folder);
                fs::write(narrow.0.join(limit), bytes.to_string()).ok()?;
                // Else there may be room elsewhere.
                drop(fs::write(narrow.0.join("memory.memsw.limit_in_bytes"), bytes.to_string()));
                Some(narrow)
            },
        )
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn a_worker_that_the_system_ends_for_want_of_memory_is_said_to_be_such() {
    let Some(narrow) = Narrow::of(200 << 20) else {
        println!("not tried: no control group can be made here");
        return;
    };
    let program = Program::script(
        r#"
        with Pool(1) as pool {
            try { pool.apply(|| { let all = []; loop { all.push(blob(1000000, 1)) } }, []) } catch (e) { print(e.message); print(e.signal) }
            try { pool.apply(|| { kill(getpid(), "KILL"); sleep(100) }, []) } catch (e) { print(e.message) }
            print(pool.apply(|| "it goes on", []));
        }
        "#,
    );
    let mut shell = Command::new("sh");
    let groups = narrow.0.join("cgroup.procs");
    shell.args(["-c", "echo $$ > \"$1\" && exec \"$0\" run script.rhai", env!("CARGO_BIN_EXE_orch")]).arg(groups);
    shell.current_dir(program.own_folder()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let seen = finish(shell.spawn().unwrap(), "run script.rhai, in 200 MB".into());
    seen.prints(
        "the worker of Pool_0 that ran closure was killed by KILL, perhaps for want of memory: the system has ended a process \
         for that\nKILL\nthe worker of Pool_0 that ran closure was killed by KILL\nit goes on\n",
    );
}

/// What holds a handle stays where it is, and whoever wants it elsewhere hears why it is not there.
#[test]
fn a_constant_that_cannot_cross_is_missed_by_name() {
    let script = r#"
        const THREADS = ThreadPool(1);
        const LIMIT = 5;
        const MIXED = [1, Timer(1, || 1)];
        fn limit() { global::LIMIT }
        fn threads() { global::THREADS.close(); }
        fn mixed() { global::MIXED.len() }
        print(spawn_process(limit).join());
        with Pool(1) as pool {
            for f in [threads, mixed] {
                try { pool.apply(f, []) } catch (e) { print(`${e.kind}: ${e.message}`) }
            }
        }
        print(global::MIXED.len());
    "#;
    let wanted = "5\nSendError: the constant global::THREADS is not in this process: it is or holds a ThreadPool, which cannot cross\n\
                  SendError: the constant global::MIXED is not in this process: it is or holds a Timer, which cannot cross\n2\n";
    Program::script(script).run().prints(wanted);
    Program::sim(script).run().prints(wanted);
}

/// A thread of a process that calls `exit` ends its process, and no more.
#[test]
fn exit_in_a_thread_of_a_process_ends_that_process() {
    let script = r#"
        fn ends() { spawn_thread(|| exit(7)); sleep(1000); print("never") }
        let p = spawn_process(ends);
        print(p.join());
        print(p.exit_code);
        with Pool(1) as pool {
            try { pool.apply(ends, []) } catch (e) { print(`${e.kind} ${e.exit_code}`) }
            print(pool.apply(|| "goes on", []));
        }
    "#;
    let wanted = "\n7\nWorkerDied 7\ngoes on\n";
    Program::script(script).run().prints(wanted);
    Program::sim(script).run().prints(wanted);
}

/// No job is done by a worker that is not ready.
#[test]
fn an_initializer_that_fails_in_a_later_worker_fails_the_jobs() {
    prints(
        r#"
        fn first_only() {
            if cmd("test", "-e", "started").unchecked().run().ok { throw "bad start" }
            cmd("touch", "started").run();
        }
        with Pool(1, #{initializer: first_only}) as pool {
            print(pool.apply(|| "done", []));
            for job in [|| exit(3), || "never", || "never"] {
                try { print(pool.apply(job, [])) } catch (e) { print(if e.kind == "Thrown" { e.value } else { e.kind }) }
            }
        }
        "#,
        "done\nWorkerDied\nbad start\nbad start\n",
    );
}

/// Threads that its jobs left there are the worker's own affair, until the pool is terminated.
#[test]
fn a_worker_with_threads_of_its_own_is_waited_for_or_terminated() {
    prints(
        r#"
        with Pool(1) as pool { pool.apply(|| { spawn_thread(|| { sleep(0.3); print("in its own time") }); 1 }, []) }
        let pool = Pool(1);
        pool.apply(|| { spawn_thread(|| sleep(1000)); 1 }, []);
        pool.terminate();
        pool.join();
        let late = Pool(1);
        late.apply(|| { spawn_thread(|| sleep(1000)); 1 }, []);
        late.close();
        let ends = spawn_thread(|| { sleep(0.3); late.terminate(); });
        late.join();
        print("end");
        "#,
        "in its own time\nend\n",
    );
}

/// They have what pools of threads have, and names of their own.
#[test]
fn pools_of_processes_are_types_of_their_own() {
    let script = r#"
        fn attempt(f) { try { print(f.call()) } catch (e) { print(`${e.kind}: ${e.message} (${e.line})`) } }
        let pool = Pool(2);
        let executor = ProcessPoolExecutor(1);
        print([type_of(pool), type_of(executor), type_of(ThreadPool(1)), type_of(ThreadPoolExecutor(1))]);
        print(`${pool} ${executor}`);
        let same = pool;
        print([same == pool, same != pool, pool == Pool(1)]);
        let kept = #{pool: pool, executors: [executor]};
        print([kept.pool.map(|n| n + 1, [1, 2]), kept.executors[0].submit(|a, b| a - b, 9, 2).result()]);
        print(spawn_thread(|| pool.starmap(|a, b| a * b, [[2, 3]])).join());
        for r in make_requests(|n| n, [1, 2]) { pool.put_request(r) }
        print(pool.wait());
        attempt(|| pool.submit(|| 1));
        attempt(|| executor.apply(|| 1, []));
        attempt(|| pool.apply(|| 1));
        attempt(|| pool.apply(|| 1, 2));
        attempt(|| pool.map(7, [1]));
        attempt(|| pool.size);
        attempt(|| spawn_process(|x| x, [pool]));
        attempt(|| spawn_process(|x| x, [executor]));
        attempt(|| pool.join());
        with executor { print(executor.map(|a, b| a + b, [1, 2], [3, 4]).to_array()) }
        attempt(|| executor.submit(|| 1));
        with pool { }
        attempt(|| pool.imap(|n| n, [1]));
    "#;
    let wanted = r#"["Pool", "ProcessPoolExecutor", "ThreadPool", "ThreadPoolExecutor"]
Pool(#1, 2 workers at the most, 0 items) ProcessPoolExecutor(#3, 1 workers at the most, 0 items)
[true, false, false]
[[2, 3], 7]
[6]
true
TypeError: a Pool has no submit(); it is for ProcessPoolExecutor, ThreadPoolExecutor (14)
TypeError: a ProcessPoolExecutor has no apply(); it is for Pool, ThreadPool (15)
TypeError: apply() takes 2 arguments, not 1 (16)
TypeError: apply(): args must be an array, not an int (17)
TypeError: map(): f must be a function, not an int (18)
ErrorDotExpr: a Pool has no property "size" (19)
SendError: spawn_process(): args[0] is a Pool, which cannot cross to another process (20)
SendError: spawn_process(): args[0] is a ProcessPoolExecutor, which cannot cross to another process (21)
ValueError: Pool(#1) is still open: close() or terminate() it before join() (22)
[4, 6]
Closed: ProcessPoolExecutor(#3) takes no more work: it was shut down (24)
Closed: Pool(#1) takes no more work: it was shut down (26)
"#;
    Program::script(script).run().prints(wanted);
    Program::sim(script).run().prints(wanted);
}

/// Whichever worker was the last one, and finished the list, has nothing to do with where it failed.
#[test]
fn an_error_of_a_list_names_where_it_happened_once() {
    prints(
        r#"
        fn odd(x) { if x == 3 { sleep(0.1); throw "odd" } x }
        for pool in [Pool(2, #{name: "pool"}), ThreadPool(2, #{name: "pool"})] {
            for ask in [|| pool.apply(odd, [3]), || pool.map(odd, [3, 4, 5]), || pool.imap(odd, [3, 4]).to_array()] {
                try { ask.call(); } catch (e) {
                    let tasks = e.stack.map(|frame| frame.task);
                    print(`${e.stack.len()} ${tasks[0]} ${tasks[1] == e.task}`);
                }
            }
        }
        "#,
        &"2  true\n".repeat(6),
    );
}

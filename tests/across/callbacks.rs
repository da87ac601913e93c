//! Callbacks that a process gives to a future of another one: they run where they were given, in order, once.

use crate::both;
use crate::whole::program::Program;

#[test]
fn a_callback_runs_in_the_process_that_gave_it_in_order_and_once() {
    both(
        r#"
        let pool = ThreadPoolExecutor(2);
        let e = Event();
        let f = pool.submit(|e| { e.wait(); 42 }, e);
        let log = Queue();
        let here = getpid();
        let p = spawn_process(|f, log, e, here| {
            let me = getpid();
            f.add_done_callback(|f| log.put(`first ${f.result()} ${getpid() == me && me != here}`));
            f.add_done_callback(|f| { log.put(`second ${f.done()}`); f.add_done_callback(|f| log.put("given by the second")); });
            f.add_done_callback(|f| log.put(`third ${f == f}`));
            try { f.add_done_callback(1); } catch (x) { log.put(x.kind); }
            log.put("given");
            e.set();
            f.result();
            "returned"
        }, [f, log, e, here]);
        print(p.join());
        for i in 0..6 { print(log.get()); }
        // One that is over already, cancelled, failed.
        let stopped = pool.submit(|| sleep(100));
        stopped.stop();
        let failed = pool.submit(|| throw "no");
        failed.wait();
        print(spawn_process(|f, stopped, failed| {
            let seen = Queue();
            let name = current_thread().name;
            f.add_done_callback(|f| seen.put(current_thread().name == name));
            stopped.add_done_callback(|f| seen.put(f.done()));
            failed.add_done_callback(|f| seen.put(f.exception().message));
            [seen.get(), seen.get(), seen.get()]
        }, [f, stopped, failed]).join());
        "#,
        "returned\nTypeError\ngiven\nfirst 42 true\nsecond true\nthird true\ngiven by the second\n[true, true, \"no\"]\n",
    );
}

#[test]
fn a_callback_that_fails_is_told_and_the_next_one_is_called() {
    let script = r#"
        let pool = ThreadPoolExecutor(1);
        let e = Event();
        let f = pool.submit(|e| e.wait(), e);
        let q = Queue();
        let p = spawn_process(|f, q| {
            f.add_done_callback(|f| throw "in the callback");
            f.add_done_callback(|f| q.put("next"));
            // The process does not end before.
            q.put("given");
        }, [f, q]);
        print(q.get());
        e.set();
        print(q.get());
        p.join();
        print(p.exit_code);
        // One that has to wait for ever is given up with its process, or told.
        let never = pool.submit(|| Event().wait(30));
        let p = spawn_process(|f, q| { f.add_done_callback(|f| q.put("never")); q.put("given"); }, [never, q]);
        print(q.get());
        p.terminate();
        p.join();
        print(`${p.exit_code} ${q.qsize()}`);
        never.stop();
    "#;
    let seen = Program::script(script).run();
    assert_eq!((seen.stdout.as_str(), seen.status), ("given\nnext\n1\ngiven\n-15 0\n", 0), "{}", seen.for_people());
    assert!(seen.stderr.contains("in the callback") && seen.stderr.contains("script.rhai:7"), "{}", seen.for_people());
}

//! Handles through a `Pipe`: whoever receives them uses them, and what is never received is not kept.

use crate::both;
use crate::whole::program::Program;

#[test]
fn whoever_receives_a_handle_uses_it() {
    both(
        r#"
        let ends = Pipe();
        let p = spawn_process(|end| {
            let m = end.recv();
            m.q.put("through the pipe");
            with m.lock { m.v.value += 1; }
            m.list[0].set();
            end.send([m.q, m.lock]);
            end.recv().result()
        }, [ends[1]]);
        let q = Queue();
        let lock = Lock();
        let v = Value(1);
        let e = Event();
        ends[0].send(#{q: q, lock: lock, v: v, list: [e]});
        print(q.get());
        let back = ends[0].recv();
        print([back[0] == q, back[1] == lock, v.value, e.is_set()]);
        let pool = ThreadPoolExecutor(1);
        ends[0].send(pool.submit(|| "a future too"));
        print(p.join());
        // From a grandchild to a grandchild, which has nothing else.
        let between = Pipe();
        let a = spawn_process(|end, q| spawn_process(|end, q| { end.send([q, end.poll()]); end.recv().put(2); }, [end, q]).join(), [between[0], q]);
        let b = spawn_process(|end| spawn_process(|end| { let m = end.recv(); m[0].put(1); end.send(m[0]); "received" }, [end]).join(), [between[1]]);
        a.join();
        print([b.join(), q.get(), q.get()]);
        // Among threads, by select, and in an end that moves on with messages in it.
        let here = Pipe();
        let t = spawn_thread(|| { let r = select([here[1]]); r.value.acquire(); r.value });
        here[0].send(lock);
        print(t.join() == lock);
        try { lock.acquire(); } catch (x) { print(x.kind); }
        here[0].send([lock, blob(10_000, 7)]);
        here[0].send(q);
        let p = spawn_process(|end| { let m = end.recv(); end.recv().put([m[0].locked(), m[1].len()]); }, [here[1]]);
        print(q.get());
        p.join();
        "#,
        "through the pipe\n[true, true, 2, true]\na future too\n[\"received\", 1, 2]\ntrue\nAbandonedLock\n[true, 10000]\n",
    );
}

#[test]
fn what_a_process_makes_goes_through_no_pipe() {
    let script = r#"
        fn told(f) { try { f.call(); print("sent"); } catch (e) { print(`${e.kind}: ${e.message}`); } }
        let p = spawn_process(|| {
            let mine = Queue();
            let ends = Pipe();
            told(|| ends[0].send(#{a: [mine]}));
            // It was made in the process above, which says so.
            spawn_process(|end, mine| told(|| end.send(mine)), [ends[1], mine]).join();
        });
        p.join();
        let ends = Pipe();
        told(|| ends[0].send(ThreadPool(1)));
        // To another program go bytes, whatever it says.
        let listener = Listener("127.0.0.1:0", #{authkey: "k"});
        let t = spawn_thread(|| { let c = listener.accept(); told(|| c.send(Queue())); c.recv() });
        let c = Client(listener.address, #{authkey: "k"});
        told(|| c.send([Lock()]));
        c.send("end");
        t.join();
    "#;
    let wanted = "SendError: send(): x.a[0] is a Queue that was made in this process, which cannot cross to another process\nFROM\n\
        SendError: send(): x is a ThreadPool, which cannot cross to another process\n";
    let seen = Program::script(script).run();
    let from = "SendError: send(): x has a Queue that was made in process \"Process-1\", which cannot cross to every other process";
    let (first, programs) = seen.stdout.split_at(wanted.len() + from.len() - "FROM".len());
    assert_eq!((first, seen.status), (wanted.replace("FROM", from).as_str(), 0), "{}", seen.for_people());
    let mut programs: Vec<&str> = programs.lines().collect();
    programs.sort_unstable();
    let refused = ["x is a Queue", "x[0] is a Lock"]
        .map(|what| format!("SendError: send(): {what}, which cannot cross to another program"));
    assert_eq!(programs, refused);
    let sim = Program::sim(script).run();
    assert!(sim.stdout.lines().filter(|line| line.starts_with("SendError")).count() == 5, "{}", sim.for_people());
}

#[test]
fn what_is_never_received_is_not_kept() {
    let script = r#"
        fn open_files() { parse_int(cmd("sh", "-c", `ls /proc/${getpid()}/fd | wc -l`).read()) }
        let ready = Event();
        let stop = Event();
        let first = Pipe();
        first[0].send(Lock());
        first[1].recv();
        first = ();
        let pipe = Pipe();
        let p = spawn_process(|end, ready, stop| {
            for i in 0..30 { end.recv().locked(); }
            ready.set();
            stop.wait();
        }, [pipe[1], ready, stop]);
        for i in 0..30 { pipe[0].send(Lock()); }
        ready.wait();
        let before = open_files();
        for i in 0..200 { if open_files() >= before { break; } before = open_files(); }
        // These the process does not receive before it is killed, and those nobody does before the pipe is closed.
        for i in 0..30 { pipe[0].send([Lock(), i]); }
        let other = Pipe();
        for i in 0..30 { other[0].send([Lock(), i]); }
        print(open_files() >= before + 60);
        p.kill();
        p.join();
        other[0].close();
        other[1].close();
        for i in 0..300 { if open_files() <= before { break; } sleep(0.02); }
        print(open_files() <= before);
        kill(getpid(), "QUIT");
        sleep(0.3);
    "#;
    let seen = Program::script(script).run();
    let listed = seen.stderr.lines().filter(|line| line.starts_with("Lock(#")).count();
    assert!(
        seen.stdout == "true\ntrue\n" && listed == 0 && seen.stderr.contains("Connection(#"),
        "{listed} {}",
        seen.for_people()
    );
}

#[test]
fn too_many_on_their_way_are_refused_and_those_that_went_arrive() {
    let script = r#"
        let pipe = Pipe();
        let n = 0;
        try { loop { pipe[0].send([Lock(), n]); n += 1; } } catch (e) { print(`${e.kind} ${e.message.contains("Too many open files")}`); }
        let came = 0;
        for i in 0..n { if pipe[1].recv()[1] == i { came += 1; } }
        print(n > 10 && came == n);
        pipe[0].send(Lock());
        print(pipe[1].recv().locked());
    "#;
    let call = ["sh", "-c", "ulimit -n 100; exec \"$0\" eval \"$1\"", env!("CARGO_BIN_EXE_orch"), script];
    let seen = std::process::Command::new(call[0]).args(&call[1..]).output().unwrap();
    let printed = String::from_utf8_lossy(&seen.stdout);
    assert_eq!(printed, "SendError true\ntrue\nfalse\n", "{}", String::from_utf8_lossy(&seen.stderr));
}

#[test]
fn killed_at_any_moment_with_handles_on_their_way() {
    let script = r#"
        let made = SharedArray("i64", 1);
        let q = Queue();
        let echo = |end, q| loop { let m = end.recv(); m.v.add(1); end.send([m.v, m.n]); };
        let kills = 0;
        for k in 0..12 {
            let ends = Pipe();
            let p = spawn_process(echo, [ends[1], q]);
            let killer = spawn_thread(|| { sleep(0.01 + (k * 7 % 12).to_float() / 150.0); p.kill(); });
            let n = 0;
            try {
                loop {
                    let v = Value(n);
                    ends[0].send(#{v: v, n: n});
                    let r = ends[0].recv(20);
                    if r[0] != v || r[1] != n || v.value != n + 1 { throw `${r} for ${n}`; }
                    n += 1;
                }
            } catch (e) { if e.kind != "EndOfFile" { throw e; } kills += 1; }
            killer.join();
            p.join();
        }
        print(kills);
        kill(getpid(), "QUIT");
        sleep(0.2);
    "#;
    let seen = Program::script(script).run();
    assert!(seen.stdout == "12\n" && seen.status == 0, "{}", seen.for_people());
}

//! Connections: pipes between threads and processes, listeners and clients; what is refused, and what is left behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;

use crate::whole;
use crate::whole::live::Live;
use crate::whole::program::Program;

/// What every script here has.
const WORDS: &str = r#"
fn shown(f) { try { f.call(); print("nothing was wrong"); } catch (e) { print(`${e.kind}: ${e.message}`) } }
fn echo(end) { loop { let x = end.recv(); if x == "stop" { return end; } end.send(x); } }
"#;

/// Without the numbers of objects, which are not the same in real and in simulated time.
fn plain(text: &str) -> String {
    let mut parts = text.split("(#");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |all, part| all + part.split_once(')').map_or(part, |(_, rest)| rest))
}

#[track_caller]
fn check(program: Program, stdout: &str) {
    let seen = program.run();
    assert_eq!(
        (seen.status, plain(&seen.stdout).as_str(), seen.stderr.as_str()),
        (0, stdout, ""),
        "{}",
        seen.for_people()
    );
}

/// The same script in real and in simulated time, and what both print.
#[track_caller]
fn both(script: &str, stdout: &str) {
    check(Program::script(&format!("{WORDS}{script}")), stdout);
    check(Program::sim(&format!("{WORDS}{script}")), stdout);
}

#[track_caller]
fn real(script: &str, stdout: &str) {
    check(Program::script(&format!("{WORDS}{script}")), stdout);
}

#[test]
fn what_is_sent_comes_through_as_it_was_between_threads_and_between_processes() {
    for spawn in ["spawn_process", "spawn_thread"] {
        let script = r#"
        fn double(x) { x * 2 }
        let ends = Pipe();
        let t = SPAWN(echo, [ends[1]]);
        let a = ends[0];
        let n = 3;
        for x in [1, -2.5, "text", 'c', true, (), [1, [2]], #{a: #{b: ()}}, blob(3, 7), 1..4, ""] {
            a.send(x);
            print(a.recv().to_debug());
        }
        a.send([double, |x| x + n]);
        let f = a.recv();
        print([f[0].call(4), f[1].call(4)]);
        a.send(SharedArray("i64", 1));
        let numbers = a.recv();
        numbers[0] = 4;
        // A connection through a connection, with what is in it.
        let inner = Pipe();
        inner[0].send("before");
        inner[0].send(numbers);
        a.send(#{inner: inner[1]});
        let moved = a.recv().inner;
        print(moved.recv());
        print(moved.recv()[0]);
        inner[0].send("after");
        print([moved.poll(), moved.recv(), inner[1].closed]);
        moved.send("and back");
        print(inner[0].recv());
        // It gives its end back.
        a.send("stop");
        let theirs = t.join();
        theirs.send("from the end that came back");
        print(a.recv());
        theirs.close();
        shown(|| a.recv());
        "#;
        both(
            &script.replace("SPAWN", spawn),
            "1\n-2.5\n\"text\"\nc\ntrue\n()\n[1, [2]]\n#{\"a\": #{\"b\": ()}}\n[070707]\n1..4\n\"\"\n[8, 7]\nbefore\n4\n\
             [true, \"after\", true]\nand back\nfrom the end that came back\n\
             EndOfFile: recv(): the other end of Connection was closed, or its process has ended\n",
        );
    }
}

#[test]
fn bad_input_is_refused_in_words_and_leaves_the_connection_as_it_was() {
    both(
        r#"
        let ends = Pipe();
        let (a, b) = (ends[0], ends[1]);
        shown(|| a.send([1, #{x: ThreadPool(1)}]));
        shown(|| a.send(Local()));
        let spare = Pipe();
        shown(|| a.send([spare[0], spare[0]]));
        shown(|| a.send([spare[0], Timer(1, || 1)]));
        spare[0].send("still here");
        shown(|| a.recv(-1));
        shown(|| a.recv("x"));
        shown(|| a.poll("x"));
        shown(|| b.recv(0.01));
        shown(|| select([b], 0.01));
        shown(|| a.send());
        print(b.poll());
        spare[1].close();
        spare[1].close();
        shown(|| spare[1].recv());
        shown(|| spare[1].send(1));
        shown(|| spare[1].poll(1));
        shown(|| select([spare[1]]));
        shown(|| a.send([spare[1]]));
        shown(|| spare[0].send(1));
        print([spare[0].poll(), spare[0].poll(5)]);
        let p = spawn_process(|end| end.recv(), [b]);
        shown(|| b.recv());
        shown(|| b.send(1));
        shown(|| spawn_process(|| b));
        b.close();
        print(b.closed);
        a.send("fine");
        print(p.join());
        shown(|| a.send("nobody"));
        shown(|| with 7 { });
        shown(|| select([7]));
        "#
        .replace("let (a, b) = (ends[0], ends[1]);", "let a = ends[0]; let b = ends[1];")
        .as_str(),
        "SendError: send(): x[1].x is a ThreadPool, which cannot cross to another process\n\
         SendError: send(): x is a Local, which cannot cross to another process\n\
         SendError: send(): x[1] is a Connection that is there twice, which cannot cross to another process\n\
         SendError: send(): x[1] is a Timer, which cannot cross to another process\n\
         ValueError: recv(): timeout must be a number of seconds, 0 or more, not -1\n\
         TypeError: recv(): timeout must be a number of seconds, not a string\n\
         TypeError: poll(): timeout must be a number of seconds, not a string\n\
         TimeoutError: recv() timed out after 0.01 s\n\
         TimeoutError: select() timed out after 0.01 s\n\
         TypeError: send() takes 1 argument, not 0\nfalse\nClosed: recv(): Connection is closed\n\
         Closed: send(): Connection is closed\nClosed: poll(): Connection is closed\nClosed: select(): Connection is closed\n\
         SendError: send(): x[0] is a Connection that was closed, which cannot cross to another process\n\
         EndOfFile: send(): the other end of Connection was closed, or its process has ended\n[true, true]\n\
         Closed: recv(): Connection was passed on, and only whoever got it can use it\n\
         Closed: send(): Connection was passed on, and only whoever got it can use it\n\
         SendError: spawn_process(): b (captured by f) is a Connection that was passed on already, which cannot \
         cross to another process\ntrue\nfine\n\
         EndOfFile: send(): the other end of Connection was closed, or its process has ended\n\
         TypeError: with needs a lock, a pool or the like, not an int\n\
         TypeError: select() waits for queues, connections, events, locks, futures, threads, processes and commands, not \
         for an int\n",
    );
}

#[test]
fn the_end_of_a_process_is_the_end_of_what_it_held() {
    both(
        r#"
        for how in ["returns", "throws", "exits", "is killed", "is terminated"] {
            let ends = Pipe();
            let p = spawn_process(|end, how| {
                end.send("last words");
                if how == "throws" { throw "x" }
                if how == "exits" { exit(3) }
                if how != "returns" { sleep(1000) }
            }, [ends[1], how]);
            print(ends[0].recv());
            if how == "is killed" { p.kill() }
            if how == "is terminated" { p.terminate() }
            try { ends[0].recv() } catch (e) { print(`${how}: ${e.kind}`) }
            try { ends[0].send(1) } catch (e) { print(e.kind) }
            p.wait();
            try { p.join() } catch (e) { }
        }
        // One that was never started, and one whose end lies in a message that nobody receives.
        let ends = Pipe();
        let post = Pipe();
        post[0].send(ends[1]);
        post[0].close();
        post[1].close();
        try { ends[0].recv() } catch (e) { print(e.kind) }
        let ends = Pipe();
        let idle = Process(|end| end, [ends[1]]);
        idle = ();
        try { ends[0].recv() } catch (e) { print(e.kind) }
        "#,
        "last words\nreturns: EndOfFile\nEndOfFile\nlast words\nthrows: EndOfFile\nEndOfFile\nlast words\nexits: EndOfFile\n\
         EndOfFile\nlast words\nis killed: EndOfFile\nEndOfFile\nlast words\nis terminated: EndOfFile\nEndOfFile\n\
         EndOfFile\nEndOfFile\n",
    );
}

#[test]
fn messages_stay_whole_with_many_senders_and_many_receivers() {
    for spawn in ["spawn_process", "spawn_thread"] {
        let script = r#"
        fn send_all(end, from) {
            let senders = [];
            for s in 0..3 {
                senders.push(spawn_thread(|| {
                    for i in 0..60 {
                        let text = "";
                        text.pad(1 + i * i * 5, 'a');
                        end.send([from, s, i, text]);
                    }
                }));
            }
            for s in senders { s.join(); }
        }
        let ends = Pipe();
        let a = ends[0];
        let p = SPAWN(send_all, [ends[1], "p"]);
        let got = SharedList();
        let bad = Value(0);
        let readers = [];
        for r in 0..2 {
            readers.push(spawn_thread(|| {
                loop {
                    let m = try_recv(a);
                    if m == () { break; }
                    if m[3].len != 1 + m[2] * m[2] * 5 { bad.add(1); }
                    got.push(m[1] * 100 + m[2]);
                }
            }));
        }
        p.join();
        p = ();
        ends[1].close();
        for r in readers { r.join(); }
        let all = got.snapshot();
        all.sort();
        let wanted = [];
        for s in 0..3 { for i in 0..60 { wanted.push(s * 100 + i); } }
        print([all == wanted, bad.value]);
        "#;
        let words = "fn try_recv(c) { try { return c.recv() } catch (e) { if e.kind != \"EndOfFile\" { throw e } } }\n";
        both(&format!("{words}{}", script.replace("SPAWN", spawn)), "[true, 0]\n");
    }
}

#[test]
fn what_comes_of_a_sender_killed_at_any_moment_is_whole_messages_and_then_the_end() {
    real(
        r#"
        fn feed(end) {
            let list = [];
            list.pad(30_000, 7);
            loop { end.send(list); end.send(blob(100_000, 1)); end.send([SharedMemory(8), "x"]); }
        }
        let lengths = [2, 30_000, 100_000];
        for turn in 0..8 {
            let ends = Pipe();
            let p = spawn_process(feed, [ends[1]]);
            ends[0].recv();
            let t = spawn_thread(|| { sleep(0.003 * turn); p.kill(); });
            let bad = 0;
            try {
                loop { if !(ends[0].recv().len() in lengths) { bad += 1; } }
            } catch (e) { print(`${e.kind} ${bad}`); }
            t.join();
            p.wait();
        }
        "#,
        &"EndOfFile 0\n".repeat(8),
    );
}

#[test]
fn without_descriptors_left_all_is_said_and_nothing_is_lost() {
    let script = r#"
        fn shown(f) { try { f.call(); print("nothing was wrong"); } catch (e) { print(e.kind); } }
        let ends = Pipe();
        let echo = spawn_process(|end| { loop { end.recv(); } }, [ends[1]]);
        let kept = [];
        try { loop { let e = Pipe(); kept.push(e); ends[0].send(e[1]); } } catch (e) { print(e.kind); }
        let last = kept.pop();
        last[1].send("it stayed as it was");
        print(last[0].recv());
        // A pipe takes two, so one may be left.
        try { loop { kept.push(SharedMemory(8)); } } catch (e) { print(e.kind); }
        shown(|| Listener("127.0.0.1:0"));
        shown(|| Client("127.0.0.1:1"));
        kept = ();
        print(spawn_process(|| 1).join());
        echo.kill();
    "#;
    let program = Program::script(script);
    let orch = program.command();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 40; exec \"$@\"", "sh"]).arg(orch.get_program()).args(orch.get_args());
    let seen = limited.current_dir(orch.get_current_dir().unwrap()).output().unwrap();
    let (said, error) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    assert_eq!((&*said, &*error), ("SendError\nit stayed as it was\nIoError\nIoError\nIoError\n1\n", ""));
}

#[test]
fn two_ends_that_both_send_much_come_through_or_are_told() {
    // One big message each, at once, whatever it is made of.
    for big in ["blob(3_000_000, 1)", "{ let t = \"\"; t.pad(1_000_000, 'x'); t }"] {
        let script = r#"
        fn both_ways(end) { end.send(BIG); end.recv().len() }
        fn length(x) { if type_of(x) == "string" { x.len } else { x.len() } }
        let ends = Pipe();
        let p = spawn_process(both_ways, [ends[1]]);
        ends[0].send(BIG);
        print(ends[0].recv() == BIG);
        print(p.join() > 999_999);
        "#
        .replace("end.recv().len()", "length(end.recv())")
        .replace("BIG", big);
        both(&script, "true\ntrue\n");
    }
    // Within the program nobody is left to receive.
    both(
        r#"
        let ends = Pipe();
        let a = ends[0];
        let text = "";
        text.pad(60_000, 'x');
        let sent = 0;
        try { loop { a.send(text); sent += 1; } } catch (e) { print([e.kind, sent]); }
        print(ends[1].recv().len);
        a.send("short");
        "#,
        "[\"DeadlockError\", 1]\n60000\n",
    );
    // A sender waits until the other side, in another process, gets round to it.
    both(
        r#"
        let ends = Pipe();
        let p = spawn_process(|end| { sleep(0.2); let n = 0; loop { let x = end.recv(); if x == () { break; } n += x.len(); } n }, [ends[1]]);
        let list = [];
        list.pad(50_000, 7);
        for i in 0..8 { ends[0].send(list); }
        ends[0].send(());
        print(p.join());
        "#,
        "400000\n",
    );
}

#[test]
fn waits_end_as_all_waits_do() {
    both(
        r#"
        let ends = Pipe();
        let a = ends[0];
        shown(|| a.recv());
        let t = spawn_thread(|| a.recv());
        sleep(0.05);
        t.cancel();
        try { t.join() } catch (e) { print(e.kind) }
        let t = spawn_thread(|| a.recv());
        sleep(0.05);
        a.close();
        try { t.join() } catch (e) { print(e.kind) }
        // A reader here, while its end moves away.
        let ends = Pipe();
        let b = ends[1];
        let t = spawn_thread(|| b.recv());
        sleep(0.05);
        let p = spawn_process(|end| end.recv(), [b]);
        try { t.join() } catch (e) { print(e.kind) }
        ends[0].send("to the process");
        print(p.join());
        // A reader at the end that stays, while the other one moves away.
        let ends = Pipe();
        let a = ends[0];
        let t = spawn_thread(|| a.recv());
        sleep(0.05);
        let p = spawn_process(|end| end.send("from the process"), [ends[1]]);
        print(t.join());
        // The first that is ready.
        let ends = Pipe();
        let q = Queue();
        let p = spawn_process(|end| { end.send(5); end.recv() }, [ends[1]]);
        let r = select([q, ends[0]]);
        print([r.index, r.value, r.source == ends[0]]);
        q.put(6);
        print(select([ends[0], q], 5).value);
        with ends[0] as c { c.send("go"); }
        print([ends[0].closed, p.join()]);
        let ends = Pipe();
        ends[1].close();
        try { select([q, ends[0]]) } catch (e) { print(e.kind) }
        "#,
        "DeadlockError: this wait can never end: nobody is left who could end it\n  \"main\" waits in recv() of Connection at \
         script.rhai:7\nCancelled\nClosed\nClosed\nto the process\nfrom the process\n[1, 5, true]\n6\n[true, \"go\"]\nEndOfFile\n",
    );
}

#[test]
fn an_end_can_move_on_with_what_it_has_got() {
    both(
        r#"
        fn second(end) { [end.recv(), end.recv(), end.recv().len(), end] }
        fn first(end) { [end.recv(), spawn_process(second, [end]).join()] }
        let ends = Pipe();
        let list = [];
        list.pad(100_000, 1);
        let a = ends[0];
        a.send("one");
        a.send("two");
        let p = spawn_process(first, [ends[1]]);
        a.send("three");
        a.send(list);
        let got = p.join();
        print([got[0], got[1][0], got[1][1], got[1][2]]);
        got[1][3].send("all the way back");
        print(a.recv());
        "#,
        "[\"one\", \"two\", \"three\", 100000]\nall the way back\n",
    );
}

#[test]
fn a_pool_has_connections_too_and_nothing_stays_open() {
    let script = r#"
        fn open() { cmd("ls", "/proc/" + getpid() + "/fd").read().split("\n").len() }
        fn round() {
            let ends = Pipe();
            let p = spawn_process(echo, [ends[1]]);
            for i in 0..5 { ends[0].send([Pipe()[0], SharedMemory(8), blob(70_000)]); ends[0].recv(); }
            ends[0].send("stop");
            p.join();
            let post = Pipe();
            post[0].send(Pipe());
            spawn_process(|| Pipe()).join();
            try { spawn_process(|c| sleep(1000), [Pipe()[0]]).join(0.01) } catch { }
            with Listener("localhost:0") as l { try { l.accept(0) } catch { } }
        }
        fn ends() { for p in active_children() { p.kill(); p.join(); } }
        round();
        ends();
        round();
        ends();
        let before = open();
        for i in 0..4 { round(); ends(); }
        // The end of a process is seen a little later.
        for i in 0..3000 { if open() - before < 3 { break; } sleep(0.02); }
        print(open() - before < 3);
        let pool = Pool(2);
        let pipes = [Pipe(), Pipe()];
        print(pool.map(|c| { c.send("from the pool"); 1 }, pipes.map(|p| p[0])));
        print(pipes.map(|p| p[1].recv()));
        pool.close();
        pool.join();
    "#;
    real(&script.replace("catch { }", "catch (e) { }"), "true\n[1, 1]\n[\"from the pool\", \"from the pool\"]\n");
}

#[test]
fn what_many_processes_get_cannot_move_to_one_of_them() {
    both(
        r#"
        const ENDS = Pipe();
        fn sees() { try { return global::ENDS.len(); } catch (e) { return "not there"; } }
        print(spawn_process(sees).join());
        global::ENDS[0].send("still here");
        print(global::ENDS[1].recv());
        shown(|| Pool(2, #{initializer: |c| 1, initargs: [Pipe()[0]]}));
        // Nor to one that may do it again.
        let again = Pool(1, #{retries: 1});
        let end = Pipe();
        shown(|| again.apply(|c| c.send(1), [end[0]]));
        shown(|| again.apply_async(|| end[0].send(1), []));
        shown(|| again.map(|c| c.send(1), [end[0]]));
        shown(|| again.map(|c| c.send(1), [end[0]], #{chunksize: 1}));
        shown(|| again.put_request(make_requests(|c| c.send(1), [end[0]])[0]));
        let executor = ProcessPoolExecutor(1, #{retries: 1});
        shown(|| executor.submit(|c| c.send(1), end[0]));
        end[0].send("it did not move");
        print(end[1].recv());
        const NUMBERS = SharedArray("i64", 1);
        fn adds() { global::NUMBERS.add(0, 1) }
        let p = Pool(2, #{initializer: |a| a.add(0, 10), initargs: [NUMBERS]});
        p.map(|x| adds(), [1, 2, 3]);
        p.close();
        p.join();
        print([NUMBERS[0] > 12, NUMBERS[0] % 10]);
        "#,
        "not there\nstill here\n\
         SendError: Pool(): args[0] is a Connection, which can go to one process only, which cannot cross to another process\n\
         SendError: apply(): args[0] WHICH\n\
         SendError: apply_async(): end (captured by f)[0] WHICH\n\
         SendError: map(): args[0][0] WHICH\n\
         SendError: map(): args[0][0] WHICH\n\
         SendError: put_request(): args[0] WHICH\n\
         SendError: submit(): args[0] WHICH\n\
         it did not move\n[true, 3]\n"
            .replace("WHICH", "is a Connection, which can go to one process only, which cannot cross to another process")
            .as_str(),
    );
}

// ---- listeners and clients

#[test]
fn clients_come_in_by_port_and_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket").display().to_string();
    for address in ["localhost:0", "127.0.0.1:0", &path] {
        let script = r#"
        let listener = Listener("ADDRESS", #{authkey: "secret"});
        let address = listener.address;
        let t = spawn_thread(|| {
            let c = Client(address, #{authkey: "secret"});
            c.send(#{from: "the client", list: [1, 2]});
            let n = c.recv();
            c.send(n + 1);
            c.close();
        });
        let c = listener.accept();
        print(c.recv());
        c.send(41);
        print(c.recv());
        shown(|| c.recv());
        t.join();
        // A process as the client, and a connection that is handed on to another process.
        let p = spawn_process(|address| {
            let c = Client(address, #{authkey: "secret"});
            [c.recv(), c.recv()]
        }, [address]);
        let c = listener.accept(60);
        c.send("from here");
        spawn_process(|c| c.send("from a process"), [c]).join();
        print(p.join());
        // Only bytes go to what may be another program.
        let t = spawn_thread(|| { let c = Client(address, #{authkey: "secret"}); [c, c.recv().len()] });
        let c = listener.accept();
        shown(|| c.send([SharedMemory(8)]));
        shown(|| c.send(#{a: Pipe()[0]}));
        c.send(blob(3_000_000, 1));
        let theirs = t.join();
        print(theirs[1]);
        shown(|| Listener(address));
        shown(|| spawn_process(|l| l, [listener]));
        listener.close();
        listener.close();
        shown(|| listener.accept());
        print(listener.closed);
        theirs[0].send("connections stay");
        print(c.recv());
        try { Client(address) } catch (e) { print(e.kind); }
        "#
        .replace("ADDRESS", address);
        let printed = "#{\"from\": \"the client\", \"list\": [1, 2]}\n42\n\
             EndOfFile: recv(): the other end of Connection was closed, or its process has ended\n\
             [\"from here\", \"from a process\"]\n\
             SendError: send(): x[0] is a SharedMemory, which cannot cross to another program\n\
             SendError: send(): x.a is a Connection, which cannot cross to another program\n\
             3000000\n\
             IoError: Listener(): cannot listen at ADDRESS: Address already in use (os error 98)\n\
             SendError: spawn_process(): args[0] is a Listener, which cannot cross to another process\n\
             Closed: accept(): Listener is closed\ntrue\nconnections stay\nIoError\n";
        for program in [Program::script(&format!("{WORDS}{script}")), Program::sim(&format!("{WORDS}{script}"))] {
            let seen = program.run();
            let said = plain(&seen.stdout);
            // The port is any that is free.
            let lines = |text: &str| -> Vec<String> {
                text.lines()
                    .map(|line| line.split_once("listen at ").map_or(line, |(before, _)| before).to_string())
                    .collect()
            };
            assert_eq!((seen.status, lines(&said)), (0, lines(printed)), "{}", seen.for_people());
        }
        assert!(!std::path::Path::new(&path).exists());
    }
}

#[test]
fn a_wrong_key_is_heard_on_both_sides_and_the_next_client_comes_in() {
    both(
        r#"
        let listener = Listener("localhost:0", #{authkey: "right"});
        let open = Listener("127.0.0.1:0");
        let at = listener.address;
        let open_at = open.address;
        let tries = [|| Client(at, #{authkey: "wrong"}), || Client(at), || Client(at, #{authkey: blob(0)}), || Client(open_at, #{authkey: "right"})];
        for (f, i) in tries {
            let t = spawn_thread(f);
            let l = if i == 3 { open } else { listener };
            shown(|| l.accept());
            try { t.join() } catch (e) { print(`${e.kind} ${"the same authkey" in e.message}`) }
        }
        let key = blob(0);
        for b in [114, 105, 103, 104, 116] { key.push(b); }
        let t = spawn_thread(|| Client(at, #{authkey: key, timeout: 60}).recv());
        listener.accept().send("welcome");
        print(t.join());
        shown(|| Client(at, #{authkey: "right", timeout: 0.05}));
        shown(|| listener.accept(0.05));
        "#,
        &("AuthenticationError: accept(): a client does not have the same authkey\nAuthenticationError true\n"
            .repeat(4)
            + "welcome\nTimeoutError: Client() timed out after 0.05 s\nTimeoutError: accept() timed out after 0.05 s\n"),
    );
}

#[test]
fn under_other_schedules_nothing_else_comes_of_it() {
    let script = r#"
        fn try_recv(c) { try { return c.recv() } catch (e) { if e.kind != "EndOfFile" { throw e } } }
        fn send_all(end) {
            let senders = [];
            for s in 0..3 {
                senders.push(spawn_thread(|| {
                    for i in 0..8 {
                        let text = "";
                        text.pad(1 + i * i * 500, 'a');
                        end.send([s, i, text]);
                    }
                }));
            }
            for s in senders { s.join(); }
        }
        let ends = Pipe();
        let a = ends[0];
        let p = spawn_process(send_all, [ends[1]]);
        let got = SharedList();
        let readers = [1, 2].map(|r| spawn_thread(|| {
            loop {
                let m = try_recv(a);
                if m == () { break; }
                got.push(m[0] * 100 + m[1]);
            }
        }));
        p.join();
        p = ();
        for r in readers { r.join(); }
        let all = got.snapshot();
        all.sort();
        let wanted = [];
        for s in 0..3 { for i in 0..8 { wanted.push(s * 100 + i); } }
        let listener = Listener("localhost:0", #{authkey: "k"});
        let at = listener.address;
        let clients = ["k", "wrong", "k"].map(|key| spawn_process(|at, key| {
            try { let c = Client(at, #{authkey: key}); c.send(1); return c.recv(); } catch (e) { return e.kind; }
        }, [at, key]));
        let sum = 0;
        let wrong = 0;
        for i in 0..3 {
            try {
                let c = listener.accept();
                sum += c.recv();
                c.send("in");
            } catch (e) { if e.kind == "AuthenticationError" { wrong += 1 } else { throw e } }
        }
        print([all == wanted, sum, wrong, clients.map(|c| c.join())]);
    "#;
    for seed in 1..9 {
        let program = Program::script_with(&["run", "--sim", "--seed", &seed.to_string()], script);
        check(program, "[true, 2, 1, [\"in\", \"AuthenticationError\", \"in\"]]\n");
    }
}

#[test]
fn bad_addresses_and_options_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "mine").unwrap();
    let script = r#"
        for at in ["", "nowhere", "localhost:", "localhost:70000", "localhost:x", ":80"] { shown(|| Listener(at)); }
        shown(|| Client("nowhere"));
        shown(|| Client("127.0.0.1:1"));
        shown(|| Client("FOLDER/none"));
        shown(|| Listener("FOLDER/none/socket"));
        shown(|| Listener("FOLDER/file"));
        shown(|| Client("no-such-host.invalid:80"));
        shown(|| Listener("localhost:0", #{authkey: 7}));
        shown(|| Listener("localhost:0", #{autkey: "x"}));
        shown(|| Client("localhost:1", #{timeout: -1}));
        shown(|| Listener(7));
    "#
    .replace("FOLDER", &folder.path().display().to_string());
    let seen = Program::script(&format!("{WORDS}{script}")).run();
    let said = seen.stdout.replace(&folder.path().display().to_string(), "FOLDER");
    let lines: Vec<&str> = said.lines().collect();
    let address =
        |at: &str| format!("ValueError: Listener(): address must be \"host:port\" or a path with a /, not {at:?}");
    for (line, at) in lines.iter().zip(["", "nowhere", "localhost:", "localhost:70000", "localhost:x", ":80"]) {
        assert_eq!(*line, address(at));
    }
    assert_eq!(
        lines[6..11],
        [
            "ValueError: Client(): address must be \"host:port\" or a path with a /, not \"nowhere\"",
            "IoError: Client(): cannot connect to 127.0.0.1:1: Connection refused (os error 111)",
            "IoError: Client(): cannot connect to FOLDER/none: No such file or directory (os error 2)",
            "IoError: Listener(): cannot listen at FOLDER/none/socket: No such file or directory (os error 2)",
            "IoError: Listener(): cannot listen at FOLDER/file: Address already in use (os error 98)",
        ],
        "{said}"
    );
    assert!(lines[11].starts_with("IoError: Client(): cannot connect to no-such-host.invalid:80: "), "{said}");
    assert_eq!(lines[12], "TypeError: Listener(): option authkey must be a string or a blob, not an int");
    assert!(lines[13].starts_with("ValueError: Listener() has no option \"autkey\""), "{said}");
    assert!(lines[14].starts_with("ValueError: ") && lines[15].starts_with("TypeError: "), "{said}");
}

#[test]
fn a_listener_withstands_garbage_silence_and_half_a_handshake() {
    let mut live = Live::start(Program::script(
        r#"
        let listener = Listener("127.0.0.1:0", #{authkey: "k"});
        print(`at ${listener.address}.`);
        for i in 0..3 {
            let c = listener.accept();
            print(`came ${c.recv()}`);
        }
        "#,
    ));
    live.says("at ");
    let port: u16 = {
        let out = live.seen_stdout();
        out.trim().trim_end_matches('.').rsplit_once(':').unwrap().1.parse().unwrap()
    };
    let knock = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let comes_in = |word: &str| {
        let code = format!("Client(\"127.0.0.1:{port}\", #{{authkey: \"k\"}}).send(\"{word}\")");
        whole::program::orch(["eval", &code]).run()
    };
    // Silent, half of a prefix, a length that nobody has, half of a message, another language: all at once.
    let mut kept =
        vec![knock(b""), knock(&[9, 0, 0]), knock(&[255; 12]), knock(&[40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])];
    kept.push(knock(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(comes_in("one").status, 0);
    live.says("came one");
    // More of them than are let stand at the door.
    kept.extend((0..100).map(|_| knock(b"")));
    drop(knock(&[1; 5000]));
    assert_eq!(comes_in("two").status, 0);
    live.says("came two");
    // Who speaks another language is sent away.
    let mut said = Vec::new();
    kept[4].set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let _reset_or_end = kept[4].read_to_end(&mut said);
    drop(kept);
    assert_eq!(comes_in("three").status, 0);
    live.says("came three");
    assert_eq!(live.end().status, 0);
}

#[test]
fn a_client_withstands_a_listener_that_is_none_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = std::thread::spawn(move || {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[255; 64], b""] {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(bytes).unwrap();
        }
        listener
    });
    let script = r#"
        for i in 0..3 { try { Client("PATH", #{authkey: "k"}) } catch (e) { print(e.kind) } }
        try { Client("PATH", #{timeout: 0.05}) } catch (e) { print(e.kind) }
    "#
    .replace("PATH", &path.display().to_string());
    real(&script, "IoError\nIoError\nIoError\nTimeoutError\n");
    drop(answers.join().unwrap());
}

#[test]
fn socket_files_are_removed_however_orch_ends_and_stale_ones_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let at = path.display();
    let listen = format!("let l = Listener(\"{at}\"); ");
    for (end, status) in [
        ("exit(3)", 3),
        ("throw \"x\"", 1),
        ("()", 0),
        ("spawn_process(|at| { Listener(at + \"2\"); sleep(0) }, [l.address]).wait()", 0),
    ] {
        let seen = Program::script(&format!("{listen}{end}")).run();
        assert_eq!(seen.status, status, "{}", seen.for_people());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "after {end}");
    }
    for (signal, is_left) in [("TERM", false), ("INT", false), ("KILL", true)] {
        let live = Live::ready(&format!("{listen} print(\"ready\"); l.accept();"));
        live.signal(signal);
        live.end();
        assert_eq!(path.exists(), is_left, "after {signal}");
    }
    // What the killed one left is in nobody's way.
    let script =
        format!("{listen} let t = spawn_thread(|| Client(\"{at}\").send(1)); print(l.accept().recv()); t.join();");
    Program::script(&script).run().prints("1\n");
    assert!(!path.exists());
}

// ---- processes that know each other

#[test]
fn a_process_knows_itself_its_parent_and_its_children_and_can_be_closed() {
    both(
        r#"
        let me = current_process();
        print([me.name, me.pid == getpid(), me.daemon, parent_process()]);
        let gate = Pipe();
        let p = spawn_process(|end| {
            let me = current_process();
            end.send([me.name, me.pid == getpid(), me.daemon, parent_process().name, parent_process().pid == getppid()]);
            end.send(spawn_process(|| [current_process().name, parent_process().name], #{name: "grandchild"}).join());
            end.send(spawn_thread(|| current_process().name).join());
            end.send(active_children().len());
            end.recv()
        }, [gate[1]], #{name: "child", daemon: true});
        for i in 0..4 { print(gate[0].recv()); }
        print(active_children().map(|p| p.name));
        print(active_children()[0].pid == p.pid);
        shown(|| p.close());
        gate[0].send("end");
        print(p.join());
        print([active_children().len(), p.is_alive()]);
        p.close();
        p.close();
        for f in [|| p.join(), || p.wait(1), || p.is_alive(), || p.pid, || p.exit_code, || p.kill(), || p.cancel(), || p.start()] { shown(f); }
        print([p.name, p.daemon]);
        let idle = Process(|| 1, #{name: "idle"});
        idle.close();
        shown(|| idle.start());
        let kept = spawn_process(|| sleep(1000)).pid;
        print(active_children().map(|p| p.pid == kept));
        for p in active_children() { p.terminate(); p.join(); }
        "#,
        &("[\"MainProcess\", true, false, ()]\n[\"child\", true, true, \"MainProcess\", true]\n[\"grandchild\", \"child\"]\n\
           child\n0\n[\"child\"]\ntrue\nThreadError: process \"child\" still runs: join() it, or end it, before close()\nend\n\
           [0, false]\n"
            .to_string()
            + "Closed: process \"child\" is closed\n".repeat(8).as_str()
            + "[\"child\", true]\nClosed: process \"idle\" is closed\n[true]\n"),
    );
}

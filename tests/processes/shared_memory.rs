//! Memory that processes share: numbers and bytes in place, arrays of numbers; and big values, which travel by memory too.

use crate::whole::program::Program;

/// The same script in real and in simulated time, and what both print.
#[track_caller]
fn both(script: &str, stdout: &str) {
    Program::script(script).run().prints(stdout);
    Program::sim(script).run().prints(stdout);
}

#[test]
fn processes_see_what_others_write() {
    both(
        r#"
        const BYTES = { let b = blob(3, 1); b[1] = 2; b[2] = 3; b };
        let memory = SharedMemory(40);
        let numbers = SharedArray("i64", 4);
        let floats = SharedArray("f64", 2);
        fn work(memory, all) {
            memory.set_u8(0, 200);
            memory.set_i32(4, -5);
            memory.set_i64(8, -9_000_000_000);
            memory.set_f64(16, 0.25);
            memory.write(30, global::BYTES);
            all.ints[1] = 7;
            all.floats[0] = 2;
            all.floats[1] = 1.5;
            all.ints.add(1, 3)
        }
        print(spawn_process(work, [memory, #{ints: numbers, floats: floats}]).join());
        print([memory.get_u8(0), memory.get_i32(4), memory.get_i64(8), memory.get_f64(16)]);
        print(memory.read(29, 5));
        print([numbers.to_array(), floats.to_array()]);
        // What a process makes comes back as it is, and is the same for all who have it.
        let made = spawn_process(|| { let a = SharedArray("i64", 2); a[0] = 5; [a, a] }).join();
        made[0][1] = 6;
        print(made[1].to_array());
        // A captured one, and one of a thread.
        spawn_process(|| numbers.set(3, 9)).join();
        spawn_thread(|| numbers.add(3, 1)).join();
        print(numbers[-1]);
        // Closed here, it is still there elsewhere.
        let gate = Pipe();
        let p = spawn_process(|end, m| { end.recv(); m.get_u8(0) }, [gate[1], memory]);
        memory.close();
        gate[0].send("go");
        print([p.join(), memory.closed]);
        "#,
        "10\n[200, -5, -9000000000, 0.25]\n[0001020300]\n[[0, 10, 0, 0], [2.0, 1.5]]\n[5, 6]\n10\n[200, true]\n",
    );
}

#[test]
fn arrays_are_lists_of_numbers() {
    both(
        r#"
        let a = SharedArray("i64", 5);
        for i in 0..5 { a[i] = i * i; }
        let sum = 0;
        for x in a { sum += x; }
        print([sum, a.len(), a[-1], a.get(2)]);
        print([a.extract(1..3), a.extract(3..=9), a.extract(4..2), a.extract(-3..2)]);
        a[0] += 100;
        a.fill(3);
        print(a.to_array());
        print(SharedArray("f64", 0).to_array());
        let f = SharedArray("f64", 1);
        print([f.add(0, 0.5), f.add(0, 1), f[0]]);
        print(type_of(a) + " " + type_of(SharedMemory(1)));
        "#,
        "[30, 5, 16, 4]\n[[1, 4], [9, 16], [], [0, 1]]\n[3, 3, 3, 3, 3]\n[]\n[0.5, 1.5, 1.5]\nSharedArray SharedMemory\n",
    );
}

const REFUSED: &str = r#"ValueError: SharedMemory(): bytes must be 1 or more, not 0
ValueError: SharedMemory(): bytes must be 1 or more, not -1
TypeError: SharedMemory(): bytes must be an int, not a string
IoError: SharedMemory(): cannot get 1125899906842624 bytes of shared memory: there is not so much memory
IoError: SharedMemory(): cannot get 9223372036854775807 bytes of shared memory: there is not so much memory
IndexError: get_i64(): 8 bytes lie at offset 3, outside of the memory, which has 10 bytes
IndexError: get_u8(): 1 byte lies at offset 10, outside of the memory, which has 10 bytes
IndexError: get_u8(): 1 byte lies at offset -1, outside of the memory, which has 10 bytes
IndexError: set_f64(): 8 bytes lie at offset 9223372036854775807, outside of the memory, which has 10 bytes
ValueError: set_u8(): 256 does not fit in u8
ValueError: set_i32(): 2147483648 does not fit in i32
TypeError: set_f64(): x must be a number, not a string
IndexError: read(): 3 bytes lie at offset 8, outside of the memory, which has 10 bytes
ValueError: read(): len must be 0 or more, not -1
IndexError: write(): 2 bytes lie at offset 9, outside of the memory, which has 10 bytes
TypeError: get_i64(): offset must be an int, not a string
IndexError: index 2 is out of range: the array has 2 numbers
IndexError: index -3 is out of range: the array has 2 numbers
IndexError: index 2 is out of range: the array has 2 numbers
TypeError: set(): x must be an int, not a float
TypeError: add(): x must be an int, not a string
TypeError: fill(): x must be an int, not ()
ValueError: SharedArray(): kind must be "i64" or "f64", not "u8"
ValueError: SharedArray(): n must be 0 or more, not -1
IoError: SharedArray(): cannot get 281474976710656 numbers of shared memory: there is not so much memory
IoError: SharedArray(): cannot get 9223372036854775807 numbers of shared memory: there is not so much memory
ErrorArithmetic: add(): the sum of the number at 0 and 1 is too large
true
Closed: SharedMemory(#1) is closed
Closed: SharedMemory(#1) is closed
SendError: spawn_process(): args[0][0] is a SharedMemory that was closed, which cannot cross to another process
"#;

#[test]
fn bad_input_is_refused_in_words() {
    both(
        r#"
        fn shown(f) { try { f.call(); print("nothing was wrong"); } catch (e) { print(`${e.kind}: ${e.message}`) } }
        let m = SharedMemory(10);
        shown(|| SharedMemory(0));
        shown(|| SharedMemory(-1));
        shown(|| SharedMemory("a"));
        shown(|| SharedMemory(1 << 50));
        shown(|| SharedMemory(9223372036854775807));
        shown(|| m.get_i64(3));
        shown(|| m.get_u8(10));
        shown(|| m.get_u8(-1));
        shown(|| m.set_f64(9223372036854775807, 1.0));
        shown(|| m.set_u8(0, 256));
        shown(|| m.set_i32(0, 1 << 31));
        shown(|| m.set_f64(0, "x"));
        shown(|| m.read(8, 3));
        shown(|| m.read(0, -1));
        shown(|| m.write(9, blob(2, 0)));
        shown(|| m.get_i64("a"));
        let a = SharedArray("i64", 2);
        shown(|| a[2]);
        shown(|| a[-3]);
        shown(|| a.set(2, 1));
        shown(|| a.set(0, 1.5));
        shown(|| a.add(0, "x"));
        shown(|| a.fill(()));
        shown(|| SharedArray("u8", 1));
        shown(|| SharedArray("i64", -1));
        shown(|| SharedArray("f64", 1 << 48));
        shown(|| SharedArray("f64", 9223372036854775807));
        a[0] = 9223372036854775807;
        shown(|| a.add(0, 1));
        print(a[0] == 9223372036854775807);
        m.close();
        m.close();
        shown(|| m.get_u8(0));
        shown(|| m.write(0, blob(0)));
        shown(|| spawn_process(|x| x, [[m]]));
        "#,
        REFUSED,
    );
}

#[test]
fn big_values_cross_both_ways_without_being_held_many_times() {
    let script = r#"
        fn peak() {
            let line = cmd("grep", "VmHWM", "/proc/" + getpid() + "/status").read();
            parse_int(line.split(":")[1].split("kB")[0]) / 1024
        }
        let size = 120 << 20;
        let text = "";
        text.pad(100_000, 'x');
        let ends = Pipe();
        let p = spawn_process(|end| {
            let got = end.recv();
            got.list[0][0] = 9;
            end.send(got);
            peak()
        }, [ends[1]]);
        ends[0].send(#{list: [blob(size, 1), blob(1000, 2)], text: text});
        let back = ends[0].recv();
        let one = back.list[0];
        print([one.len(), one[0], one[size - 1], back.list[1].len(), back.text == text]);
        // The value, what Rhai copies to change it, and not much more; here the value was made twice.
        let (there, here) = (p.join(), peak());
        print(there < 3 * 120 + 60);
        print(here < 4 * 120 + 60);
    "#
    .replace("let (there, here) = (p.join(), peak());", "let there = p.join(); let here = peak();");
    Program::script(&script).run().prints("[125829120, 9, 1, 1000, true]\ntrue\ntrue\n");
}

#[test]
fn increments_of_many_processes_are_all_there() {
    both(
        r#"
        let hits = SharedArray("i64", 1);
        let memory = SharedMemory(8);
        let lowest = SharedArray("f64", 1);
        fn count(hits, memory, lowest, i) {
            for n in 0..500 { hits.add(0, 1); lowest.add(0, 0.5); memory.set_u8(i, n % 256); }
        }
        let all = [];
        for i in 0..4 { all.push(spawn_process(count, [hits, memory, lowest, i])); }
        for p in all { p.join(); }
        // Neighbours in a word do not undo each other.
        print([hits[0], lowest[0], memory.read(0, 8)]);
        "#,
        "[2000, 1000.0, [f3f3f3f300000000]]\n",
    );
}

#[test]
fn memory_is_given_back() {
    let script = r#"
        fn open() { cmd("ls", "/proc/" + getpid() + "/fd").lines().len() }
        fn round() {
            let m = SharedMemory(1 << 20);
            let a = SharedArray("i64", 100);
            let ends = Pipe();
            ends[0].send([m, a, blob(100_000, 1)]);
            ends[1].recv();
            spawn_process(|x, y| y[0] = x.get_u8(0), [m, a]).join();
            m.close();
        }
        round();
        round();
        let before = open();
        for i in 0..6 { round(); }
        // The end of a process is seen a little later.
        let is_back = false;
        for i in 0..3000 { if open() <= before { is_back = true; break } sleep(0.02) }
        print(is_back);
    "#
    .replace(".lines().len()", ".read().split(\"\\n\").len()");
    Program::script(&script).run().prints("true\n");
}

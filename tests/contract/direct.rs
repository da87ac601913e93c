//! Methods that are called past Rhai where they stand alone (`script::direct`): the same as anywhere else.

use crate::harness::sim;
use crate::threads::errors;

/// Methods that are called without Rhai where they stand alone are the same as anywhere else.
#[test]
fn methods_that_stand_alone_are_as_within_expressions() {
    let alone = |text: &str| errors(text);
    let within = |text: &str| {
        let calls = [".acquire()", ".release()", ".get()", ".put(1)", ".put(x)"];
        errors(&calls.iter().fold(text.to_string(), |text, call| text.replace(call, &format!("{call}.pass()"))))
            .replace(".pass()", "")
    };
    let text = r#"
        fn pass() { this }
        let lock = Lock(); let q = Queue(1); let x = [2]; const KEPT = Queue();
        ? lock.acquire()
        ? lock.acquire()
        ? lock.release()
        ? lock.release()
        ? q.put(x)
        x.push(3);
        ? print(q.qsize())
        let got = q.get();
        print(got);
        ? KEPT.put(1)
        let kept = KEPT.get();
        print(kept);
        ? q.put(missing)
        ? missing.get()
        ? x.get()
        let map = #{get: || "of the map"}; let called = map.get();
        print(called);
        fn of(q, x) { q.put(x); let y = q.get(); y }
        print(of(q, 5));
        let inner = || { q.put(6); let y = q.get(); y };
        print(inner.call());
        print(spawn_thread(|| { q.put(1); let y = q.get(); y }).join());
        for i in 0..3 { q.put(i); let i = q.get(); print(i); }
        q.close();
        ? q.put(1)
        ? q.get()
    "#;
    let shown = alone(text);
    assert_eq!(shown, within(text));
    assert!(shown.contains("of the map") && shown.contains("Closed"), "{shown}");
}

/// As for any method, a script's own comes first.
#[test]
fn methods_that_a_script_defines_for_handles_come_first() {
    let text = r#"
        fn Lock.acquire() { print("taken by the script"); }
        fn put(x) { print(`put into a ${type_of(this)}: ${x}`); }
        let lock = Lock();
        let q = Queue();
        lock.acquire();
        print(lock.locked());
        q.put(7);
        print(q.qsize());
    "#;
    assert_eq!(sim(text), "taken by the script\nfalse\nput into a Queue: 7\n0\n");
}

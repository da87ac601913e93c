//! Processes that are copies of one that waits, as all are from the second on: what they inherit is what orch would give them
//! now, each is its own, and nothing depends on the one that they were copied from.

use crate::whole::family::{eventually, processes};
use crate::whole::live::Live;
use crate::whole::program::Program;

/// How a copy names the program that it came from.
const FORKS: &str = "__worker forks";

/// What finds the numbers of these among the children of the process `me`, a line each.
const FIND: &str = r#"cmd("sh", "-c", `for p in $(cat /proc/${me}/task/*/children); do tr '\0' ' ' < /proc/$p/cmdline | grep -q '__worker [f]orks' && echo $p; done`).unchecked().read()"#;

#[test]
fn each_is_its_own_child_with_its_own_mark_and_group() {
    let script = r#"
        fn look() {
            let stat = fs::read("/proc/self/stat").split(") ")[1].split(" ");
            // Of the system's numbers those of the parent and the group; the mark as others see it, and as its commands do.
            let seen = fs::read_bytes("/proc/self/environ").as_string().split("\x00").filter(|v| v.starts_with("ORCH_TREE="));
            [getpid(), parse_int(stat[1]), parse_int(stat[2]), seen, env::get("ORCH_TREE"), fs::read("/proc/self/cmdline")]
        }
        let found = [];
        for i in 0..4 { found.push(spawn_process(look).join()); }
        let marks = #{};
        for one in found {
            assert(one[1] == getpid(), `the parent: ${one}`);
            assert(one[2] == one[0], `the group: ${one}`);
            assert(one[3] == ["ORCH_TREE=" + one[4]], `the mark: ${one}`);
            marks[one[4]] = true;
        }
        assert(marks.len() == 4, `${marks}`);
        print(found.map(|one| one[5].contains("forks")));
    "#;
    Program::script(script).run().prints("[false, true, true, true]\n");
}

#[test]
fn the_environment_and_the_folder_are_those_of_now() {
    let script = r#"
        fn look() { `${env::get("ORCH_TEST_V")} ${env::cwd()} ${cmd("sh", "-c", "echo $ORCH_TEST_V; pwd").read()}` }
        for i in 0..6 {
            if i == 3 { env::set("ORCH_TEST_V", "two"); }
            if i == 5 { env::chdir("/"); }
            print(spawn_process(look).join().replace_all("\n", " "));
        }
    "#;
    let script = script.replace("replace_all(\"\\n\", \" \")", "split(\"\\n\")[0]");
    let program = Program::script(&format!("env::chdir(\"/tmp\"); {script}")).env("ORCH_TEST_V", "one");
    program.run().prints("one /tmp one\none /tmp one\none /tmp one\ntwo /tmp two\ntwo /tmp two\ntwo / two\n");
}

#[test]
fn whoever_kills_the_one_that_waits_takes_nothing_from_the_script() {
    let script = r#"
        let me = getpid();
        for i in 0..3 { spawn_process(|x| x, [i]).join(); }
        let q = Queue();
        let p = spawn_process(|q| q.get(), [q]);
        let forks = FIND.split("\n").filter(|pid| pid != `${p.pid}`);
        assert(forks.len() == 1, `${forks}`);
        kill(parse_int(forks[0]), "KILL");
        q.put("lives on");
        print(p.join());
        for i in 0..3 { print(spawn_process(|x| x, [i]).join()); }
        with Pool(3) as pool { print(pool.map(|x| x * x, [1, 2, 3])); }
    "#;
    Program::script(&script.replace("FIND", FIND)).run().prints("lives on\n0\n1\n2\n[1, 4, 9]\n");
}

#[test]
fn when_orch_is_killed_the_one_that_waits_goes_too() {
    let script = r#"
        let me = getpid();
        for i in 0..3 { spawn_process(|x| x, [i]).join(); }
        print("ready " + FIND);
        sleep(1000);
    "#;
    let mut live = Live::start(Program::script(&script.replace("FIND", FIND)));
    let line = live.line_with("ready");
    let pid: u32 = line.trim_start_matches("ready ").trim().parse().unwrap();
    let is_there = || processes().into_iter().any(|(number, words)| number == pid && words.contains(FORKS));
    assert!(is_there(), "{line}");
    live.signal("KILL");
    eventually(|| (!is_there()).then_some(()), || format!("{pid} is still there"));
    drop(live);
}

/// A process that is asked to end at any moment of its beginning is ended by it: before orch hears signals in it, and after,
/// before its main thread is there.
#[test]
fn one_that_is_asked_to_end_while_it_begins_ends() {
    let script = r#"
        spawn_process(|| 1).join();
        let wrong = [];
        for i in 0..60 {
            let p = spawn_process(|| { loop { } });
            sleep(i * 0.0003);
            p.terminate();
            p.join();
            if p.exit_code != -15 { wrong.push([i, p.exit_code]); }
        }
        print(wrong);
    "#;
    Program::script(script).run().prints("[]\n");
}

//! Every script of `scripts/` under simulated time: all it prints, that it is repeatable to the byte, and that what it
//! promises holds under other schedules too.

mod whole;

use std::collections::BTreeMap;

use whole::program::{Seen, orch};
use whole::{files, golden, number, stem};

/// What is put before and behind the name of a script that needs more than its name.
const CALLS: &[(&str, &[&str], &[&str])] = &[
    ("traffic_light", &["--until", "45"], &[]),
    ("gil_threads", &[], &["100000"]),
    ("gil_processes", &[], &["100000"]),
    ("io_vs_cpu", &[], &["1000"]),
    ("context_switch", &[], &["100"]),
];

fn names() -> Vec<String> {
    files("scripts", "rhai").iter().map(|path| stem(path)).collect()
}

fn run(name: &str, seed: u64) -> Seen {
    let (before, behind): (&[&str], &[&str]) =
        CALLS.iter().find(|(n, ..)| *n == name).map_or((&[], &[]), |(_, before, behind)| (before, behind));
    let (seed, path) = (seed.to_string(), format!("scripts/{name}.rhai"));
    let words = ["run", "--sim", "--seed", &seed].into_iter().chain(before.iter().copied());
    orch(words.chain([path.as_str()]).chain(behind.iter().copied())).run()
}

#[test]
fn every_script_says_what_it_is_to_say() {
    let mut wrong = Vec::new();
    for name in names() {
        golden::compare(&format!("scripts/{name}.out"), &run(&name, 0).for_people(), &mut wrong);
    }
    for path in files("tests/golden/scripts", "out") {
        if !names().contains(&stem(&path)) {
            wrong.push(format!("{} belongs to no script", path.display()));
        }
    }
    golden::all_right(&wrong);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    // That of seed 0 is kept in a file: see above.
    let rounds = number("ORCH_ROUNDS", 2);
    let mut first = BTreeMap::new();
    for round in 0..rounds {
        for name in names() {
            let seen = run(&name, 7);
            let before = first.entry(name.clone()).or_insert_with(|| seen.for_people());
            assert_eq!(*before, seen.for_people(), "{name} differs in round {round}");
        }
    }
}

/// What is true of a script's output under every schedule.
fn promise(name: &str, seen: &Seen) -> Result<(), String> {
    let lines: Vec<&str> = seen.stdout.lines().collect();
    let deadlock = name == "rlock_as_lock";
    let quiet = deadlock || seen.stderr.is_empty();
    let kept = quiet
        && seen.status == if deadlock { 3 } else { 0 }
        && match name {
            "build_targets" => lines[0] == "parser: built" && lines[3] == "tests: not started",
            "context_switch" => {
                let came_back = |who: &str| format!("{who}: the ball came back 101 times, 0.0 microseconds a switch");
                lines == [came_back("threads"), came_back("processes"), "Ratio: -".into()]
            }
            "convert_folder" => lines[2..] == ["I AM ONE", "I AM THREE", "I AM TWO"],
            "crawler" => lines.len() == 9 && lines[8].starts_with("10 pages: 6 saved, 2 failed, 2 left out ("),
            "daemon" => lines.last() == Some(&"end") && !lines.contains(&"3s"),
            "daemon_join" => lines == ["task t1", "5s", "3s", "1s", "end"],
            "futures_as_completed" => numbers(&lines) == [1, 2, 4, 4],
            "futures_callback" => {
                numbers(&lines) == [1, 2, 4, 4] && lines.iter().filter(|l| **l == "callback").count() == 3
            }
            "futures_in_order" => numbers(&lines) == [4, 1, 2, 4],
            "gil_threads" | "gil_processes" => lines.len() == 3 && lines[2] == "Ratio: -",
            "ipc_tour" => lines.len() == 14 && lines[1] == "pipe: EndOfFile, the process is gone",
            "io_vs_cpu" => {
                lines[0] == "wait_for_io: alone 2.0 s, threads 0.5 s, processes 0.5 s"
                    && lines[1] == "compute: alone 0.0 s, threads 0.0 s, processes 0.0 s"
            }
            "main_guard" => lines == ["the top level runs", "process 1", "process 2", "and ends"],
            "pool_async" => ten_tasks_on_five_processes(&lines),
            "pool_callback" => called_back_in_the_main_process(&lines),
            "lock" => lines == ["0"],
            "no_lock" => numbers(&lines)[0] > 0,
            "queue" => in_order(&lines),
            "rlock" => {
                let turns = (1..=5).flat_map(|n| [n.to_string(), "enter func1".into(), "enter func2".into()]);
                lines == turns.collect::<Vec<_>>()
            }
            "rlock_as_lock" => {
                lines == ["1", "enter func1"]
                    && seen.stderr.matches("error: DeadlockError").count() == 1
                    && seen.stderr.matches("error: AbandonedLock").count() <= 4
            }
            "release" => lines.last() == Some(&"the archive holds version 0.0.1"),
            "semaphore" => never_more_than_five(&lines),
            "signals" => shuts_down(&lines),
            "subprocess" => lines.len() == 8 && lines[6] == "ended by TERM" && lines[7] == "42",
            "thread_basic" | "thread_object" | "process_basic" | "process_object" => {
                ["t1", "t2"].iter().all(|t| lines.contains(&&*format!("task {t}"))) && lines.len() == 8
            }
            "threadpool" => sorted(&lines) == ["hello: a", "hello: b", "hello: c"],
            "traffic_light" => lines.iter().filter(|l| l.contains('灯')).count() >= 44,
            "wait_for_server" => lines == ["the server is up", "two tests passed", "the server is gone"],
            "watch_log" => lines.last() == Some(&"it ended by TERM"),
            _ => return Err(format!("no promise is written down for {name}")),
        };
    if kept { Ok(()) } else { Err(format!("{name} breaks its promise: {}", seen.for_people())) }
}

/// The lines that are whole numbers.
fn numbers(lines: &[&str]) -> Vec<i64> {
    lines.iter().filter_map(|line| line.parse().ok()).collect()
}

/// Ten tasks began and ended on five processes, whose parent is the main one, in four seconds.
fn ten_tasks_on_five_processes(lines: &[&str]) -> bool {
    let begun: Vec<&&str> = lines.iter().filter(|l| l.starts_with("子进程") && l.contains("执行中")).collect();
    let processes: std::collections::BTreeSet<&str> = begun.iter().filter_map(|l| l.split("执行中").next()).collect();
    let ended = lines.iter().filter(|l| l.ends_with("终止")).count();
    begun.iter().all(|l| l.ends_with("父进程10000000"))
        && (begun.len(), processes.len(), ended) == (10, 5, 10)
        && lines.last() == Some(&"总耗时 4.0 秒")
}

/// All three callbacks ran in the main process, after the tasks of other processes.
fn called_back_in_the_main_process(lines: &[&str]) -> bool {
    let count = |wanted: &str| lines.iter().filter(|l| l.contains(wanted)).count();
    count("----callback func --pid=10000000") == 3
        && count("get result: 下载完成！") == 3
        && count("ppid=10000000") == 3
        && count("--文件--") == 9
        && lines.last() == Some(&"---end-----")
}

fn sorted<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}

/// The consumer took 0 to 9, one after the other.
fn in_order(lines: &[&str]) -> bool {
    let taken: Vec<&str> = lines.iter().filter_map(|l| l.strip_prefix("取出值:")).collect();
    taken == (0..10).map(|n| n.to_string()).collect::<Vec<_>>()
}

/// The settings were read twice; after the signal all that was begun was done.
fn shuts_down(lines: &[&str]) -> bool {
    let count = |wanted: &str| lines.iter().filter(|l| l.contains(wanted)).count();
    count("read the settings") == 2
        && count("TERM: no new jobs") == 1
        && count(" begins ") > 4
        && count(" begins ") == count(" has done ")
        && lines.last() == Some(&"stopped")
}

/// Twenty cars came and left, and never were more than five inside.
fn never_more_than_five(lines: &[&str]) -> bool {
    let (mut inside, mut came, mut most) = (0, 0, 0);
    for line in lines {
        if line.ends_with("停放加油") {
            (inside, came) = (inside + 1, came + 1);
        } else if line.ends_with("离开") {
            inside -= 1;
        }
        most = most.max(inside);
    }
    most == 5 && came == 20 && inside == 0 && lines.last().is_some_and(|l| l.contains("所有车辆完成加油"))
}

#[test]
fn promises_hold_under_other_schedules() {
    let seeds = number("ORCH_SEEDS", 4);
    let broken: Vec<String> = names()
        .iter()
        .flat_map(|name| (1..=seeds).map(move |seed| (name, seed)))
        .filter_map(|(name, seed)| promise(name, &run(name, seed)).err().map(|e| format!("seed {seed}: {e}")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

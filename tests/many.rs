//! Ten thousand tasks that sleep at once, in both worlds, and what memory they take. Alone in its process, so that nothing
//! else is measured.

mod support;

use std::time::{Duration, Instant};

use orch::kernel::explore::run_once;
use orch::kernel::{Setup, current, sleep};
use orch::sync::Cell;

use support::{Own, join_all, ms, spawn};

const MANY: usize = 10_000;

/// The most that one sleeping task may take: its record, the touched part of its stack, what the system keeps of a thread
/// in this process.
const KIB_EACH: usize = 25;

/// The memory of this process that is in use, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Starts them, and says how much memory they take while all of them sleep.
fn sleep_all(time: u64) -> usize {
    let before = resident();
    let tasks: Vec<_> = (0..MANY).map(|_| spawn(|_| move || sleep(ms(time)))).collect();
    while tasks.iter().any(|t| t.task.waiting().is_none()) {
        sleep(ms(1)).unwrap();
    }
    let used = resident().saturating_sub(before);
    tasks.iter().for_each(|t| t.cancel());
    let stopped = join_all(tasks).iter().filter(|r| r.is_err()).count();
    assert_eq!(stopped, MANY, "all slept until they were cancelled");
    used
}

#[test]
fn ten_thousand_tasks_sleep_at_once() {
    for (name, setup) in [("real", Setup::Real), ("simulated", Setup::Sim { seed: 0 })] {
        let begun = Instant::now();
        let used = run_once(setup, || sleep_all(3_600_000));
        println!("{name}: {} KiB each, {:?}", used / MANY, begun.elapsed());
        assert!(used < MANY * KIB_EACH, "{name}: {used} KiB");
    }
    let (time, sum) = run_once(Setup::Sim { seed: 0 }, || {
        let sum = Own::new(Cell::new("Value", |_| 0));
        join_all((0..1_000u64).map(|i| {
            spawn(|me| {
                let sum = sum.to(me);
                move || {
                    sleep(ms(1 + i % 10)).unwrap();
                    sum.write(|s| *s += i).unwrap();
                }
            })
        }));
        (current().kernel().now(), sum.read(|s| *s))
    });
    assert_eq!((time, sum), (Duration::from_millis(10), 499_500));
}

//! What a job costs beside its own work, as far as it can be told without a clock: one process a job, and of orch itself the
//! same few threads, descriptors, children and bytes after thousands of jobs as after a hundred. The time is measured by
//! `benches/versus`.

use super::whole::program::orch;

const JOBS: usize = 8;
/// Those who start jobs, the main thread, and some of the kernel's.
const THREADS: usize = 16;
/// Pipes and a pidfd a job, both ends while it is started, and some of orch's own.
const DESCRIPTORS: usize = 8 * JOBS + 16;
/// The jobs, the guard, and some who have ended just now.
const CHILDREN: usize = 2 * JOBS;
/// By so many kilobytes may the memory grow over all jobs, less than 1 kB each.
const GROWTH: usize = 2_000;

/// A job that says how many threads, descriptors and children orch has, and its kilobytes.
const LOOK: &str = "ls /proc/$PPID/task | wc -l; ls /proc/$PPID/fd | wc -l; \
    cat /proc/$PPID/task/*/children | wc -w; awk '/VmRSS/ { print $2 }' /proc/$PPID/status";

#[test]
fn thousands_of_jobs_take_no_more_of_orch_than_a_few() {
    let quick = |number: usize| "true\n".repeat(number);
    let jobs = [quick(100), format!("{LOOK}\n"), quick(2_500), format!("{LOOK}\n"), quick(8)].concat();
    let seen = orch(["map", &format!("-j{JOBS}")]).stdin(jobs).run();
    let numbers: Vec<usize> = seen.stdout.lines().map(|line| line.parse().unwrap()).collect();
    let [looks @ .., last] = numbers.as_slice() else { panic!("{}", seen.for_people()) };
    assert_eq!((seen.status, looks.len()), (0, 7), "{}", seen.for_people());
    for look in [&numbers[..3], &numbers[4..7]] {
        let limits = [THREADS, DESCRIPTORS, CHILDREN];
        assert!(look.iter().zip(limits).all(|(&number, limit)| (1..=limit).contains(&number)), "{numbers:?}");
    }
    assert!(*last < numbers[3] + GROWTH, "{numbers:?}");
}

/// Plain words are run without a shell, and nothing of orch's own stands between.
#[test]
fn a_job_of_plain_words_is_one_process() {
    let words = ["map", "-k", "awk", "-f", "parent.awk", ":::", "/proc/self/stat", "/proc/self/stat"];
    let program = orch(words).in_its_folder().file("parent.awk", b"{ print $4 }");
    let mut child = program.command().spawn().unwrap();
    drop(child.stdin.take());
    let pid = child.id();
    super::whole::program::finish(child, words.join(" ")).prints(&format!("{pid}\n").repeat(2));
}

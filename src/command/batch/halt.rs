//! When to stop before all jobs are through, and what the exit status says then: GNU parallel's `--halt`.

/// What is done once the condition is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Nothing: all jobs are run.
    Never,
    /// No more are started.
    Soon,
    /// The running ones are ended too.
    Now,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Jobs that failed.
    Failure,
    /// Jobs that did not.
    Success,
    /// Both.
    Done,
}

/// How many it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Enough {
    /// So many.
    Count(usize),
    /// So many of a hundred, of all jobs.
    Percent(f64),
}

/// When to stop; see the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What is done then.
    pub when: When,
    /// What is counted.
    pub why: Why,
    /// How many it takes.
    pub enough: Enough,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::after_failures(When::Never, 1)
    }
}

impl Policy {
    /// Stops after `count` failures.
    pub fn after_failures(when: When, count: usize) -> Policy {
        Policy { when, why: Why::Failure, enough: Enough::Count(count.max(1)) }
    }

    /// `never`, `soon`, `now` (at the first failure), `now,fail=1`, `soon,success=20%`, `now,done=3`.
    pub fn parse(text: &str) -> Option<Policy> {
        let (when, condition) = text.split_once(',').unwrap_or((text, "fail=1"));
        let when = match when {
            "never" => When::Never,
            "soon" => When::Soon,
            "now" => When::Now,
            _ => return None,
        };
        let (why, number) = condition.split_once('=')?;
        let why = match why {
            "fail" => Why::Failure,
            "success" => Why::Success,
            "done" => Why::Done,
            _ => return None,
        };
        let enough = match number.strip_suffix('%') {
            Some(percent) => Enough::Percent(percent.parse().ok().filter(|p| (0.0..=100.0).contains(p) && *p > 0.0)?),
            None => Enough::Count(number.parse().ok().filter(|count| *count > 0)?),
        };
        Some(Policy { when, why, enough })
    }
}

/// Counts jobs and says when it is enough.
#[derive(Clone, Debug)]
pub struct Halting {
    policy: Policy,
    total: usize,
    failed: usize,
    succeeded: usize,
    reached: bool,
    /// The exit status, as a shell shows it, of the failure that met the condition.
    decided_by: i32,
}

impl Halting {
    /// For so many jobs.
    pub fn new(policy: Policy, total: usize) -> Halting {
        Halting { policy, total, failed: 0, succeeded: 0, reached: false, decided_by: 0 }
    }

    /// A job ended with this status (as a shell shows it: 128 and more for signals). Says what to do from now on.
    pub fn ended(&mut self, status: i32) -> When {
        if status == 0 {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
        if !self.reached && self.policy.when != When::Never && self.is_enough() {
            self.reached = true;
            self.decided_by = status;
        }
        self.verdict()
    }

    /// What to do.
    pub fn verdict(&self) -> When {
        if self.reached { self.policy.when } else { When::Never }
    }

    /// How many jobs have failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// How many jobs have ended.
    pub fn ended_in_all(&self) -> usize {
        self.failed + self.succeeded
    }

    fn counted(&self) -> usize {
        match self.policy.why {
            Why::Failure => self.failed,
            Why::Success => self.succeeded,
            Why::Done => self.failed + self.succeeded,
        }
    }

    fn is_enough(&self) -> bool {
        match self.policy.enough {
            Enough::Count(count) => self.counted() >= count,
            Enough::Percent(percent) => {
                self.counted() as f64 * 100.0 >= percent * self.total as f64 && self.counted() > 0
            }
        }
    }

    /// GNU parallel's exit status: how many jobs failed, 101 for more than a hundred; halted by the first failure, that
    /// job's own; halted by a share of failures, that share; halted by success, 0.
    pub fn exit_status(&self) -> i32 {
        let capped = |count: usize| i32::try_from(count.min(101)).unwrap_or(101);
        match (self.reached, self.policy.why, self.policy.enough) {
            (true, Why::Failure, Enough::Count(1)) => self.decided_by,
            (true, Why::Failure, Enough::Percent(_)) => {
                capped((self.failed * 100).checked_div(self.total).unwrap_or(0))
            }
            (true, Why::Success, _) => 0,
            _ => capped(self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs jobs with these statuses; gives how many were needed to stop (0: none stopped it) and the exit status.
    fn run(policy: &str, statuses: &[i32]) -> (usize, i32) {
        let policy = Policy::parse(policy).unwrap_or_else(|| panic!("{policy}"));
        let mut halting = Halting::new(policy, statuses.len());
        for (i, status) in statuses.iter().enumerate() {
            let verdict = halting.ended(*status);
            assert_eq!(verdict, halting.verdict());
            if verdict != When::Never {
                assert_eq!(verdict, policy.when);
                return (i + 1, halting.exit_status());
            }
        }
        (0, halting.exit_status())
    }

    #[test]
    fn policies_stop_where_gnu_parallel_does_and_with_its_status() {
        // As GNU parallel 20221122 with -j1.
        assert_eq!(run("never", &[0, 3, 4, 5]), (0, 3));
        assert_eq!(run("now,fail=1", &[0, 3, 4, 5]), (2, 3));
        assert_eq!(run("soon,fail=1", &[0, 3, 4, 5]), (2, 3));
        assert_eq!(run("now,success=1", &[0, 3, 4, 5]), (1, 0));
        assert_eq!(run("now,done=1", &[0, 3, 4, 5]), (1, 0));
        assert_eq!(run("now,done=2", &[0, 3, 4, 5]), (2, 1));
        assert_eq!(run("now,fail=50%", &[0, 3, 4, 5]), (3, 50));
        assert_eq!(run("now,success=1", &[3, 4]), (0, 2));
        assert_eq!(run("now,fail=2", &[3, 4, 0]), (2, 2));
        assert_eq!(run("now,fail=1", &[137]), (1, 137));
        assert_eq!(run("soon", &[0, 0, 7]), (3, 7));
        assert_eq!(run("never,fail=1", &[1, 1]), (0, 2));
        assert_eq!(run("soon,fail=20%", &[0, 0, 0, 0, 1]), (5, 20));
    }

    #[test]
    fn many_failures_are_told_as_101() {
        assert_eq!(run("never", &[1; 100]).1, 100);
        assert_eq!(run("never", &[1; 101]).1, 101);
        assert_eq!(run("never", &[1; 1000]).1, 101);
    }

    #[test]
    fn jobs_that_end_after_the_halt_do_not_change_who_decided() {
        let mut halting = Halting::new(Policy::after_failures(When::Soon, 1), 4);
        assert_eq!(halting.ended(0), When::Never);
        assert_eq!(halting.ended(5), When::Soon);
        assert_eq!(halting.ended(6), When::Soon);
        assert_eq!(halting.ended(0), When::Soon);
        assert_eq!((halting.exit_status(), halting.failed(), halting.ended_in_all()), (5, 2, 4));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in [
            "",
            "later",
            "now,",
            "now,fail",
            "now,fail=",
            "now,fail=0",
            "now,fail=x",
            "soon,fail=0%",
            "soon,fail=101%",
            "now,win=1",
        ] {
            assert_eq!(Policy::parse(text), None, "{text}");
        }
    }
}

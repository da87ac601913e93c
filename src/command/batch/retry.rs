//! Jobs that failed and get another try, later each time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// How often, and after which delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// How many more tries a failed job gets.
    pub more: usize,
    /// How long it waits before the first of them; twice as long before each further one.
    pub delay: Duration,
}

impl Retries {
    /// How long to wait after so many failed tries (1 or more); `None` when it was the last.
    pub fn after(&self, failed_tries: usize) -> Option<Duration> {
        if failed_tries > self.more {
            return None;
        }
        let doublings = u32::try_from(failed_tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2u32.checked_pow(doublings).unwrap_or(u32::MAX);
        Some(self.delay.saturating_mul(factor))
    }
}

/// The jobs that wait for another try, soonest first.
#[derive(Debug, Default)]
pub struct Waiting(BinaryHeap<Reverse<(Duration, usize)>>);

impl Waiting {
    /// The job `job` is to be tried again at this time.
    pub fn add(&mut self, when: Duration, job: usize) {
        self.0.push(Reverse((when, job)));
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((when, _))| *when)
    }

    /// Takes a job that is due.
    pub fn take_due(&mut self, now: Duration) -> Option<usize> {
        self.next_due().filter(|when| *when <= now)?;
        self.0.pop().map(|Reverse((_, job))| job)
    }

    /// Takes all, those that are due later too, in the order of their numbers.
    pub fn take_all(&mut self) -> Vec<usize> {
        let mut jobs: Vec<usize> = self.0.drain().map(|Reverse((_, job))| job).collect();
        jobs.sort_unstable();
        jobs
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_end() {
        let second = Duration::from_secs(1);
        let retries = Retries { more: 3, delay: second };
        assert_eq!([1, 2, 3, 4].map(|n| retries.after(n)), [Some(second), Some(second * 2), Some(second * 4), None]);
        assert_eq!(Retries::default().after(1), None);
        let endless = Retries { more: usize::MAX, delay: second };
        assert_eq!(endless.after(33), endless.after(1_000_000));
        assert_eq!(Retries { more: 100, delay: Duration::MAX }.after(50), Some(Duration::MAX));
    }

    #[test]
    fn the_soonest_comes_first_and_none_too_soon() {
        let at = Duration::from_secs;
        let mut waiting = Waiting::default();
        waiting.add(at(5), 1);
        waiting.add(at(3), 2);
        waiting.add(at(3), 0);
        assert_eq!(waiting.take_due(at(2)), None);
        assert_eq!(waiting.next_due(), Some(at(3)));
        assert_eq!([0; 3].map(|_| waiting.take_due(at(4))), [Some(0), Some(2), None]);
        assert_eq!(waiting.take_all(), [1]);
        assert!(waiting.is_empty());
    }
}

//! How many calls go to a worker at once.
//!
//! Chunks that grow are to take about [`AIM`] each: long enough that sending one does not count, short enough that all
//! workers end at about the same time. How long a call takes is told by how quickly chunks come back from all workers
//! together, so whatever the calls and their sending cost is in it.

use std::time::Duration;

/// What a chunk is to take.
const AIM: Duration = Duration::from_millis(4);

/// How many chunks are on their way for each worker: the one it does, the next, and one that is being made.
const EACH: usize = 3;

/// When few calls are left, each worker is to have so many chunks of them still.
const AT_THE_END: usize = 4;

/// See the module.
pub struct Chunks {
    size: usize,
    growth: Option<Growth>,
}

struct Growth {
    workers: usize,
    /// What a call takes, once that is known.
    call: Option<Duration>,
    last: Duration,
}

impl Chunks {
    /// All of this size, and all at once.
    pub fn of(size: usize) -> Chunks {
        Chunks { size, growth: None }
    }

    /// Of one call at first, for so many workers; `now` is the time.
    pub fn growing(workers: usize, now: Duration) -> Chunks {
        Chunks { size: 1, growth: Some(Growth { workers, call: None, last: now }) }
    }

    /// True when they may grow.
    pub fn is_growing(&self) -> bool {
        self.growth.is_some()
    }

    /// How many may be on their way at once.
    pub fn most_open(&self) -> usize {
        self.growth.as_ref().map_or(usize::MAX, |growth| growth.workers.saturating_mul(EACH))
    }

    /// The size of the next, when so many calls are left.
    pub fn next(&self, left: usize) -> usize {
        match &self.growth {
            None => self.size,
            Some(growth) => self.size.min(left / growth.workers.saturating_mul(AT_THE_END)).max(1),
        }
    }

    /// A chunk of so many calls has come back.
    pub fn is_done(&mut self, count: usize, now: Duration) {
        let Some(growth) = &mut self.growth else {
            return;
        };
        let calls = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let workers = u32::try_from(growth.workers).unwrap_or(u32::MAX);
        let call = now.saturating_sub(growth.last).saturating_mul(workers) / calls;
        let call = growth.call.map_or(call, |before| (before + call) / 2);
        (growth.call, growth.last) = (Some(call), now);
        let fitting = AIM.as_nanos().checked_div(call.as_nanos()).unwrap_or(u128::MAX);
        let most = self.size.saturating_mul(2);
        self.size = usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does calls that take so many microseconds each, on so many workers; the sizes of the chunks.
    fn sizes(mut left: usize, workers: usize, micros: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut chunks = Chunks::growing(workers, Duration::ZERO);
        let (mut now, mut sizes) = (Duration::ZERO, Vec::new());
        while left > 0 {
            let size = chunks.next(left);
            assert!((1..=left).contains(&size));
            left -= size;
            now += Duration::from_micros(micros(left) * size as u64) / u32::try_from(workers).unwrap();
            chunks.is_done(size, now);
            sizes.push(size);
        }
        sizes
    }

    #[test]
    fn they_grow_while_calls_are_short() {
        let sizes = sizes(100_000, 2, |_| 10);
        assert_eq!(sizes[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 400]);
        assert_eq!(sizes[100], 400);
        assert!(sizes.len() < 400, "{}", sizes.len());
    }

    #[test]
    fn they_stay_small_where_calls_are_long() {
        assert!(sizes(100, 2, |_| 10_000).iter().all(|size| *size == 1));
    }

    #[test]
    fn they_shrink_when_calls_become_long() {
        let sizes = sizes(20_000, 2, |left| if left > 10_000 { 10 } else { 100_000 });
        assert!(sizes.contains(&400));
        assert_eq!(sizes[sizes.len() - 100], 1);
    }

    #[test]
    fn the_last_are_shared() {
        let sizes = sizes(10_000, 4, |_| 0);
        assert!(sizes.iter().all(|size| *size <= 10_000 / 16));
        assert_eq!(sizes[sizes.len() - 16..], [1; 16]);
    }

    #[test]
    fn those_of_a_given_size_are_of_that_size() {
        let mut chunks = Chunks::of(7);
        chunks.is_done(7, Duration::ZERO);
        assert_eq!((chunks.next(100), chunks.is_growing(), chunks.most_open()), (7, false, usize::MAX));
    }
}

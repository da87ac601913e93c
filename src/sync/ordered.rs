//! Items in order, by a comparison that may fail.
//!
//! Invariants: items come out smallest first, equal ones in the order they were put; an item is compared only when it is
//! put, with the items around its place, so taking one out cannot fail.
//!
//! Kept as a list of short sorted runs (as Python's `sortedcontainers`): a heap would compare again on the way out.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// Longest run before it is split.
const LONGEST: usize = 512;

/// See the module.
pub struct Ordered<T> {
    runs: VecDeque<VecDeque<T>>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered { runs: VecDeque::new() }
    }
}

impl<T> Ordered<T> {
    /// Puts `item` behind all that are not greater.
    ///
    /// # Errors
    /// Those of `compare`; nothing is put then.
    pub fn put<E>(&mut self, item: T, compare: impl Fn(&T, &T) -> Result<Ordering, E>) -> Result<(), E> {
        let run = first_greater(self.runs.len(), |i| match self.runs[i].back() {
            Some(last) => compare(last, &item),
            None => Ok(Ordering::Less),
        })?;
        // Behind everything: it belongs to the last run.
        let run = run.min(self.runs.len().saturating_sub(1));
        if self.runs.is_empty() {
            self.runs.push_back(VecDeque::new());
        }
        let place = first_greater(self.runs[run].len(), |i| compare(&self.runs[run][i], &item))?;
        self.runs[run].insert(place, item);
        if self.runs[run].len() > LONGEST {
            let tail = self.runs[run].split_off(LONGEST / 2);
            self.runs.insert(run + 1, tail);
        }
        Ok(())
    }

    /// Takes the smallest.
    pub fn take(&mut self) -> Option<T> {
        let item = self.runs.front_mut()?.pop_front();
        if self.runs.front().is_some_and(VecDeque::is_empty) {
            self.runs.pop_front();
        }
        item
    }
}

/// The first index whose item is greater, by `compare(index)`; `n` when none is.
fn first_greater<E>(n: usize, compare: impl Fn(usize) -> Result<Ordering, E>) -> Result<usize, E> {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(middle)? {
            Ordering::Greater => high = middle,
            Ordering::Less | Ordering::Equal => low = middle + 1,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_sorted_and_stable() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut ordered = Ordered::default();
        let items: Vec<(u8, usize)> = (0..5_000).map(|i| (rng.u8(..50), i)).collect();
        for item in &items {
            ordered.put(*item, |a, b| Ok::<_, ()>(a.0.cmp(&b.0))).unwrap();
        }
        let mut expected = items;
        expected.sort_by_key(|item| item.0); // a stable sort
        let got: Vec<_> = std::iter::from_fn(|| ordered.take()).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn what_does_not_compare_with_its_neighbours_is_refused() {
        let compare = |a: &(i32, &str), b: &(i32, &str)| match (a.0.cmp(&b.0), a.1.parse::<i32>(), b.1.parse::<i32>()) {
            (Ordering::Equal, Ok(a), Ok(b)) => Ok(a.cmp(&b)),
            (Ordering::Equal, Err(_), Err(_)) => Ok(a.1.cmp(b.1)),
            (Ordering::Equal, ..) => Err("number and text"),
            (other, ..) => Ok(other),
        };
        let mut ordered = Ordered::default();
        for item in [(1, "5"), (0, "a"), (1, "7"), (2, "b")] {
            assert_eq!(ordered.put(item, compare), Ok(()));
        }
        assert_eq!(ordered.put((1, "x"), compare), Err("number and text"));
        assert_eq!(std::iter::from_fn(|| ordered.take()).count(), 4);
    }
}

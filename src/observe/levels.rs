//! The counters of a trace: how full queues are, how many tasks run. Each is written at most once in a millisecond, and what it
//! was last is never lost.

use std::collections::HashMap;

/// A counter is written at most once in so many nanoseconds.
const SPACING: u64 = 1_000_000;

/// So many counters are remembered.
const REMEMBERED: usize = 4_096;

/// A value to write.
pub(super) struct Count {
    /// What counts.
    pub(super) name: String,
    /// When it was so, in nanoseconds.
    pub(super) at: u64,
    /// How many there were.
    pub(super) value: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Levels(HashMap<u64, Counter>);

struct Counter {
    name: String,
    /// When it was written last; 0 when never.
    written: u64,
    /// What it has been since then.
    pending: Option<(u64, usize)>,
}

impl Levels {
    /// What is to be written now that `object`, which people know as `label`, counts `value`. The object 0 is the program with its
    /// running tasks.
    pub(super) fn count(&mut self, object: u64, at: u64, value: usize, label: &str) -> Vec<Count> {
        let mut due = Vec::new();
        if self.0.len() > REMEMBERED {
            // Those that are forgotten begin anew.
            due = self.flush();
            self.0.clear();
        }
        let counter = self.0.entry(object).or_insert_with(|| Counter {
            name: if object == 0 { "running tasks".into() } else { format!("in {label}") },
            written: 0,
            pending: None,
        });
        let is_due = counter.written == 0 || at >= counter.written + SPACING;
        let before = counter.pending.take_if(|(when, _)| *when + SPACING <= at || is_due);
        if is_due {
            counter.written = at;
        } else {
            counter.pending = Some((at, value));
        }
        if let Some((when, before)) = before.filter(|(when, _)| *when < at) {
            due.push(Count { name: counter.name.clone(), at: when, value: before });
        }
        if is_due {
            due.push(Count { name: counter.name.clone(), at, value });
        }
        due
    }

    /// What was not written yet, by the number of the object.
    pub(super) fn flush(&mut self) -> Vec<Count> {
        let mut pending: Vec<(u64, Count)> = self
            .0
            .iter_mut()
            .filter_map(|(object, counter)| {
                let (at, value) = counter.pending.take()?;
                Some((*object, Count { name: counter.name.clone(), at, value }))
            })
            .collect();
        pending.sort_unstable_by_key(|(object, _)| *object);
        pending.into_iter().map(|(_, count)| count).collect()
    }
}

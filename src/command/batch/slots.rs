//! The slots that jobs run in: what `{%}` stands for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Numbers from 1, the lowest free one first.
#[derive(Default)]
pub struct Slots {
    free: BinaryHeap<Reverse<usize>>,
    made: usize,
}

impl Slots {
    /// Takes the lowest that is free.
    pub fn take(&mut self) -> usize {
        self.free.pop().map_or_else(
            || {
                self.made += 1;
                self.made
            },
            |Reverse(slot)| slot,
        )
    }

    /// It is free again.
    pub fn give_back(&mut self, slot: usize) {
        self.free.push(Reverse(slot));
    }
}

//! Which task goes on next in the simulated world.

use super::task::TaskId;

/// Chooses the next task. The one interface between the simulated world and every strategy (as shuttle's `Scheduler`).
pub trait Chooser: Send {
    /// The index in `ready` of the task that goes on. `current` is the index of the one that runs now, where it could.
    fn choose(&mut self, ready: &[TaskId], current: Option<usize>) -> usize;

    /// True when a task may be made to hand over at points where it need not wait.
    fn preempts(&self) -> bool;
}

/// First come, first served; nobody is interrupted: what seed 0 means.
pub struct InOrder;

impl Chooser for InOrder {
    fn choose(&mut self, _ready: &[TaskId], current: Option<usize>) -> usize {
        current.unwrap_or(0)
    }

    fn preempts(&self) -> bool {
        false
    }
}

/// Chance decides, the same for the same seed.
pub struct Seeded(fastrand::Rng);

impl Seeded {
    /// The schedule of this seed.
    pub fn new(seed: u64) -> Seeded {
        Seeded(fastrand::Rng::with_seed(seed))
    }
}

impl Chooser for Seeded {
    fn choose(&mut self, ready: &[TaskId], current: Option<usize>) -> usize {
        match current {
            // Hand over now and then only: tasks should also get some way.
            Some(current) if self.0.u8(..8) != 0 => current,
            _ => self.0.usize(..ready.len()),
        }
    }

    fn preempts(&self) -> bool {
        true
    }
}

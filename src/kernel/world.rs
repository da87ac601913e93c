//! The world a program runs in: where time, the next task and chance come from.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::fiber;
use super::readiness::Source;
use super::real::RealWorld;
use super::sim::SimWorld;
use super::task::Task;

/// The real world (OS clock, OS threads in parallel) or a simulated one (virtual clock, one task at a time).
pub enum World {
    /// Threads in parallel, the OS's clock.
    Real(RealWorld),
    /// One task at a time, a clock that jumps when all wait.
    Sim(SimWorld),
}

impl World {
    /// Time since the program's start. Never goes back.
    pub fn now(&self) -> Duration {
        match self {
            World::Real(w) => w.now(),
            World::Sim(w) => w.now(),
        }
    }

    /// Seconds since 1970-01-01 UTC.
    pub fn wall_clock(&self) -> f64 {
        match self {
            World::Real(w) => w.wall_clock(),
            World::Sim(w) => w.wall_clock(),
        }
    }

    /// When it has begun, in nanoseconds of the system's clock that never goes back; 0 in the simulated world.
    pub fn epoch(&self) -> u64 {
        match self {
            World::Real(w) => w.epoch(),
            World::Sim(_) => 0,
        }
    }

    /// True for the simulated world.
    pub fn is_sim(&self) -> bool {
        matches!(self, World::Sim(_))
    }

    /// True when tasks may have to hand over where they need not wait.
    pub(super) fn preempts(&self) -> bool {
        match self {
            World::Real(_) => false,
            World::Sim(w) => w.preempts(),
        }
    }

    /// Lets the task wait for a wake-up a very short time without the cost of sleeping: true when it came, and it is used
    /// up then.
    pub(super) fn spin(&self, task: &Task) -> bool {
        match self {
            World::Real(w) => w.spin(task),
            World::Sim(_) => false,
        }
    }

    /// Asks again and again for so long, in the real world, unless the task is told something.
    pub(super) fn insist<R>(&self, task: &Task, patience: Duration, ask: impl FnMut() -> Poll<R>) -> Option<R> {
        match self {
            World::Real(w) if !patience.is_zero() => w.insist(task, patience, ask),
            World::Real(_) | World::Sim(_) => None,
        }
    }

    /// Stops the current task until it is woken, one of `sources` is ready or `deadline` has come.
    pub(super) fn park(&self, task: &Arc<Task>, deadline: Option<Duration>, sources: &[Source]) {
        match self {
            World::Real(_) if task.parking.keeper.get().is_some() => fiber::rest(task, deadline, sources),
            World::Real(w) if sources.is_empty() => w.park(task, deadline),
            World::Real(w) => w.poll(task, deadline, sources),
            World::Sim(w) => w.park(task, deadline, sources),
        }
    }

    /// Lets a task go on that was parked.
    pub(super) fn unpark(&self, task: &Arc<Task>) {
        match self {
            World::Real(w) => w.unpark(task),
            World::Sim(w) => w.unpark(task),
        }
    }

    /// Runs `body` as `task` on a thread of its own.
    pub(super) fn start(&self, task: &Arc<Task>, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        match self {
            World::Real(w) => w.start(task, body),
            World::Sim(w) => w.start(task, body),
        }
    }

    /// A place where the simulated world may let another task go on.
    pub(super) fn point(&self, task: &Arc<Task>) {
        if let World::Sim(w) = self {
            w.point(task);
        }
    }

    /// The task asks for some state again and again, perhaps in a loop that waits for it to change.
    pub(super) fn query(&self, task: &Arc<Task>) {
        if let World::Sim(w) = self {
            w.query(task);
        }
    }
}

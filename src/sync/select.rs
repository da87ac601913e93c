//! Waiting for the first of several things.
//!
//! Invariant: exactly one arm takes effect; the others leave no trace (a lock that was granted at the same moment is
//! passed on, an item stays in its queue).

use std::sync::Arc;
use std::task::Poll;

use crate::kernel::{Enders, ObjectCore, Operation, Source, Waitable, Waker};

/// One thing to wait for.
pub type Arm<'a, R> = Box<dyn Operation<Output = R> + 'a>;

/// See the module. Gives the index of the arm and what it gave; where several are ready, the first listed.
pub struct Select<'a, R> {
    core: Arc<ObjectCore>,
    arms: Vec<Arm<'a, R>>,
}

impl<'a, R> Select<'a, R> {
    /// Waits for the first of `arms`.
    pub fn new(arms: Vec<Arm<'a, R>>) -> Select<'a, R> {
        Select { core: ObjectCore::new("select"), arms }
    }
}

impl<R> Operation for Select<'_, R> {
    type Output = (usize, R);

    fn poll(&mut self, waker: &Waker) -> Poll<(usize, R)> {
        for index in 0..self.arms.len() {
            if let Poll::Ready(result) = self.arms[index].poll(waker) {
                let others = self.arms.iter_mut().enumerate().filter(|(i, _)| *i != index);
                others.for_each(|(_, arm)| arm.abandon());
                return Poll::Ready((index, result));
            }
        }
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.arms.iter_mut().for_each(|arm| arm.abandon());
    }

    fn pause(&mut self) {
        self.arms.iter_mut().for_each(|arm| arm.pause());
    }

    fn target(&self) -> Arc<dyn Waitable> {
        Arc::new(Any { core: self.core.clone(), targets: self.arms.iter().map(|arm| arm.target()).collect() })
    }

    fn verb(&self) -> &'static str {
        "select"
    }

    fn sources(&self) -> Vec<Source> {
        self.arms.iter().flat_map(|arm| arm.sources()).collect()
    }
}

struct Any {
    core: Arc<ObjectCore>,
    targets: Vec<Arc<dyn Waitable>>,
}

impl Waitable for Any {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::AnyOf(self.targets.clone())
    }
}

/// An operation whose result is turned into something else.
pub struct Mapped<O, F> {
    inner: O,
    map: F,
}

impl<O: Operation, R, F: FnMut(O::Output) -> R> Mapped<O, F> {
    /// `inner`, with its result passed through `map`.
    pub fn new(inner: O, map: F) -> Mapped<O, F> {
        Mapped { inner, map }
    }
}

impl<O: Operation, R, F: FnMut(O::Output) -> R> Operation for Mapped<O, F> {
    type Output = R;

    fn poll(&mut self, waker: &Waker) -> Poll<R> {
        self.inner.poll(waker).map(&mut self.map)
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }

    fn pause(&mut self) {
        self.inner.pause();
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.inner.target()
    }

    fn verb(&self) -> &'static str {
        self.inner.verb()
    }

    fn sources(&self) -> Vec<Source> {
        self.inner.sources()
    }
}

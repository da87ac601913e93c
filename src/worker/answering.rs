//! A call that was made of the process that the handles come from, and whose answer has not come.
//!
//! Invariant: a task makes no other call before it has the answer, but from the handler of a signal: whoever does not want it any
//! more says so and waits for what became of the call.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::ask::{Answer, Ask};
use super::far_object::FarObject;
use super::link::Link;
use super::wire::Letter;
use crate::kernel::door::block_through;
use crate::kernel::{Operation, Source, Stop, Waitable, Waker};

/// How long to look for an answer before sleeping. To sleep and be woken takes as long, on both sides.
const PATIENCE: Duration = Duration::from_micros(50);

/// See the module. As something to wait for it gives the answer, or [`Stop::Ended`] when nobody answers.
pub struct Answering {
    link: Arc<Link>,
    about: Arc<FarObject>,
    number: u64,
    verb: &'static str,
    has_come: bool,
}

impl Answering {
    pub(super) fn new(link: &Arc<Link>, about: Arc<FarObject>, number: u64, verb: &'static str) -> Answering {
        Answering { link: link.clone(), about, number, verb, has_come: false }
    }

    /// Gives the call up, if that is still possible: what became of it.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn stop(&mut self) -> Result<Letter<Answer>, Stop> {
        self.link.say(&Ask::Stop(self.number));
        block_through(self, None)?
    }

    /// The same for one that does nothing, and only looks.
    pub fn let_be(mut self) {
        if !self.has_come {
            // Whatever it has seen, and when nobody answers whoever asks next is told.
            let _seen = self.stop();
        }
    }

    /// Nobody waits for the answer any more: the program is over.
    pub(super) fn forget(&self) {
        self.link.forget_call(self.number);
    }
}

impl Operation for Answering {
    type Output = Result<Letter<Answer>, Stop>;

    fn poll(&mut self, waker: &Waker) -> Poll<Self::Output> {
        let answer = self.link.poll_answer(self.number, waker);
        self.has_come = answer.is_ready();
        answer
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.about.clone()
    }

    fn verb(&self) -> &'static str {
        self.verb
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn sources(&self) -> Vec<Source> {
        self.link.sources()
    }
}

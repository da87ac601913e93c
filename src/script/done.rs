//! What became of a task of the script.

use std::sync::Arc;

use super::failure::Failure;
use super::luggage::Packed;
use super::parcel::Parcel;
use crate::exec::Outcome;

/// The outcome of a thread, a job, a timer.
#[derive(Clone)]
pub enum Done {
    /// It returned this.
    Value(Parcel),
    /// It failed with this error.
    Failed(Arc<Failure>),
    /// It was cancelled; asking for its result throws this error. Not a failure.
    Cancelled(Arc<Failure>),
    /// The program ended first.
    Over,
}

impl Outcome for Done {
    type Errand = Packed;

    fn from_panic(message: String) -> Done {
        Done::Failed(Failure::internal(&message))
    }

    fn is_failure(&self) -> bool {
        matches!(self, Done::Failed(_))
    }
}

//! What the contract says, sentence by sentence, and what the same operations do in CPython.

#[path = "contract/cpython.rs"]
mod cpython;
#[path = "contract/crossing.rs"]
mod crossing;
#[path = "contract/deadlocks.rs"]
mod deadlocks;
mod harness;
#[path = "contract/jobs.rs"]
mod jobs;
#[path = "contract/threads.rs"]
mod threads;
mod whole;

//! Seeing what a program does.

pub mod counter;
pub mod dump;
pub mod json;
mod levels;
mod lines;
pub mod progress;
pub mod report;
pub mod snapshot;
pub mod stats;
pub mod tape;
pub mod trace;

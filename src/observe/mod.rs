//! Seeing what a program does.

pub mod dump;
pub mod json;
pub mod progress;
pub mod tape;
pub mod trace;

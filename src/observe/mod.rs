//! Seeing what a program does.

pub mod dump;
pub mod progress;

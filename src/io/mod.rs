//! What lies outside of the program and is reached by calls that block: files, and sums of what they hold.

pub mod digest;

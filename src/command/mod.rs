//! External commands.

pub mod batch;
pub mod quote;

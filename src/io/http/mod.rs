//! HTTP: asking for a page and taking in what comes.
//!
//! One agent (ureq) serves all threads of the program, so that connections are used again. Redirects are followed here, hop
//! by hop, each a call beside the task ([`blocking`](super::blocking)); under simulated time a hop may be a mock instead.

pub mod address;
pub mod answer;
mod charset;
mod client;
pub mod fault;
mod fetch;
pub mod mock;
mod sink;
mod socket;

pub use answer::Answer;
pub use fault::HttpFault;
pub use fetch::{Method, Request, fetch, is_header};

/// Hears of bytes that have come, and of how many there will be, where that is known.
pub type Watch = Box<dyn FnMut(u64, Option<u64>) + Send>;

//! The kernel and the primitives, without scripts: under every schedule, in simulated and in real time, and the deadlock search.

#[path = "kernel/asked.rs"]
mod asked;
#[path = "kernel/deadlock/mod.rs"]
mod deadlock;
#[path = "kernel/explore/mod.rs"]
mod explore;
#[path = "kernel/simulated.rs"]
mod simulated;
#[path = "kernel/stress/mod.rs"]
mod stress;
mod support;

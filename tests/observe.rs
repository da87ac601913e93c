//! Seeing what a script does: `--trace`, `--report`, `--stats`, `orch dump`, `orch top`.

mod whole;

#[path = "observe/asked.rs"]
mod asked;
#[path = "observe/events.rs"]
mod events;
#[path = "observe/found.rs"]
mod found;
#[path = "observe/page.rs"]
mod page;
#[path = "observe/traces.rs"]
mod traces;

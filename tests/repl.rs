//! `orch repl`, as a person meets it: at a terminal, with a screen; and without one.

mod whole;

#[path = "repl/basics.rs"]
mod basics;
#[path = "repl/running.rs"]
mod running;
#[path = "repl/screen.rs"]
mod screen;

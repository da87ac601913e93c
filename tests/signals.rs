//! Signals: what each does by itself, and what handlers make of it.

#[path = "signals/handlers.rs"]
mod handlers;
mod harness;
#[path = "signals/sent.rs"]
mod sent;
#[path = "signals/unhandled.rs"]
mod unhandled;
mod whole;

//! External commands: what is promised of them, what is left behind of them, what a system that refuses does to them, and
//! what a terminal does.

#[path = "commands/child.rs"]
mod child;
#[path = "commands/errors.rs"]
mod errors;
#[path = "commands/hostile.rs"]
mod hostile;
#[path = "commands/mocks.rs"]
mod mocks;
#[path = "commands/promised.rs"]
mod promised;
#[path = "commands/terminal.rs"]
mod terminal;
#[path = "commands/trees.rs"]
mod trees;
#[path = "commands/volume.rs"]
mod volume;
mod whole;

//! What scripts can say: one file a concept. A function is written in exactly one place, with its documentation and an
//! example; the reference, `orch doc`, the definitions for editors and the tests of the examples are made from there.

use rhai::{Module, combine_with_exported_module};

pub mod basics;
pub mod condition;
pub mod event;
pub mod executor;
pub mod future;
pub mod group;
pub mod hidden;
pub mod lists;
pub mod lock;
pub mod pool;
pub mod queue;
pub mod rwlock;
pub mod select;
pub mod semaphore;
pub mod thread;
pub mod time;
pub mod timer;
pub mod value;

/// A chapter of the reference: title, and the module that holds its functions.
pub struct Chapter {
    /// The title.
    pub title: &'static str,
    /// Makes the module, alone.
    pub module: fn() -> Module,
}

macro_rules! chapters {
    ($($title:literal => $($module:ident)::+),* $(,)?) => {
        /// All chapters of the reference, in reading order.
        pub const CHAPTERS: &[Chapter] = &[
            $(Chapter { title: $title, module: || rhai::exported_module!($($module)::+) }),*
        ];

        /// Registers everything.
        pub fn register(module: &mut Module) {
            $(combine_with_exported_module!(module, $title, $($module)::+);)*
            combine_with_exported_module!(module, "hidden", hidden::functions);
            basics::register(module);
            executor::register(module);
            time::register(module);
            queue::register(module);
            lists::register(module);
        }
    };
}

chapters! {
    "Printing, chance, the end" => basics::functions,
    "Time" => time::functions,
    "Threads" => thread::functions,
    "Timers" => timer::functions,
    "Locks" => lock::functions,
    "Semaphores" => semaphore::functions,
    "Events, latches, barriers" => event::functions,
    "Conditions" => condition::functions,
    "Reading and writing" => rwlock::functions,
    "Shared values" => value::functions,
    "Shared lists and maps" => lists::functions,
    "Queues" => queue::functions,
    "Waiting for the first of several" => select::functions,
    "Futures" => future::functions,
    "Executors" => executor::functions,
    "Pools" => pool::functions,
    "Task groups" => group::functions,
}

//! What scripts can say: one file a concept. A function is written in exactly one place, with its documentation and an
//! example; the reference, `orch doc`, the definitions for editors and the tests of the examples are made from there.

use rhai::{Module, combine_with_exported_module};

pub mod basics;
pub mod child;
pub mod command;
pub mod condition;
pub mod connection;
pub mod event;
pub mod executor;
pub mod future;
pub mod group;
pub mod hidden;
pub mod listener;
pub mod lists;
pub mod lock;
pub mod memory;
pub mod pool;
pub mod process;
pub mod queue;
pub mod run_all;
pub mod rwlock;
pub mod select;
pub mod semaphore;
pub mod signal;
pub mod thread;
pub mod time;
pub mod timer;
pub mod value;
pub mod worker;

/// A chapter of the reference.
pub struct Chapter {
    /// The title.
    pub title: &'static str,
    /// Puts its functions into a module.
    pub register: fn(&mut Module),
}

macro_rules! chapters {
    ($($title:literal => $room:ident $(+ $more:ident)?),* $(,)?) => {
        /// All chapters of the reference, in reading order.
        pub const CHAPTERS: &[Chapter] = &[
            $(Chapter { title: $title, register: |module| {
                combine_with_exported_module!(module, $title, $room::functions);
                $($room::$more(module);)?
            } }),*
        ];
    };
}

/// Registers everything.
pub fn register(module: &mut Module) {
    CHAPTERS.iter().for_each(|chapter| (chapter.register)(module));
    combine_with_exported_module!(module, "hidden", hidden::functions);
}

chapters! {
    "Printing, chance, the end" => basics + register,
    "Time" => time + register,
    "Threads" => thread,
    "Processes" => worker,
    "Timers" => timer,
    "Locks" => lock,
    "Semaphores" => semaphore,
    "Events, latches, barriers" => event,
    "Conditions" => condition,
    "Reading and writing" => rwlock,
    "Shared values" => value,
    "Shared lists and maps" => lists + register,
    "Shared memory" => memory + register,
    "Pipes" => connection,
    "Listeners and clients" => listener,
    "Queues" => queue + register,
    "Waiting for the first of several" => select,
    "Futures" => future,
    "Executors" => executor + register,
    "Pools" => pool,
    "Task groups" => group,
    "Commands" => command + register,
    "Running commands and results" => child,
    "Many commands" => run_all + register,
    "Programs and processes" => process,
    "Signals" => signal,
}

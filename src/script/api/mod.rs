//! What scripts can say: one file a concept. A function is written in exactly one place, with its documentation and an
//! example; the reference, `orch doc`, the definitions for editors and the tests of the examples are made from there.

use std::collections::BTreeMap;

use rhai::{Module, Shared, combine_with_exported_module};

pub mod basics;
pub mod child;
pub mod command;
pub mod command_line;
pub mod condition;
pub mod connection;
pub mod env;
pub mod event;
pub mod executor;
pub mod file;
pub mod fs;
pub mod future;
pub mod group;
pub mod hash;
pub mod hidden;
pub mod json;
pub mod listener;
pub mod lists;
pub mod lock;
pub mod memory;
pub mod path;
pub mod pool;
pub mod process;
pub mod queue;
pub mod regex;
pub mod run_all;
pub mod rwlock;
pub mod select;
pub mod semaphore;
pub mod signal;
pub mod term;
pub mod thread;
pub mod time;
pub mod timer;
pub mod value;
pub mod worker;

/// A chapter of the reference.
pub struct Chapter {
    /// The title.
    pub title: &'static str,
    /// The module that its functions are in (`json::parse`); `None` for those that every script sees.
    pub module: Option<&'static str>,
    /// Puts its functions into a module.
    pub register: fn(&mut Module),
}

macro_rules! chapters {
    ($($title:literal => $room:ident $(+ $more:ident)? $(in $module:literal)?),* $(,)?) => {
        /// All chapters of the reference, in reading order.
        pub const CHAPTERS: &[Chapter] = &[
            $(Chapter {
                title: $title,
                module: [$(Some($module),)? None][0],
                register: |module| {
                    combine_with_exported_module!(module, $title, $room::functions);
                    $($room::$more(module);)?
                },
            }),*
        ];
    };
}

/// Registers everything that is in no module.
pub fn register(module: &mut Module) {
    CHAPTERS.iter().filter(|chapter| chapter.module.is_none()).for_each(|chapter| (chapter.register)(module));
    combine_with_exported_module!(module, "hidden", hidden::functions);
}

/// The modules that every script has without `import`, by name.
pub fn modules() -> BTreeMap<&'static str, Shared<Module>> {
    let mut made: BTreeMap<&'static str, Module> = BTreeMap::new();
    for chapter in CHAPTERS {
        if let Some(name) = chapter.module {
            (chapter.register)(made.entry(name).or_default());
        }
    }
    let finish = |(name, mut module): (&'static str, Module)| {
        module.set_id(name);
        module.build_index();
        (name, module.into())
    };
    made.into_iter().map(finish).collect()
}

/// Their names.
pub fn module_names() -> impl Iterator<Item = &'static str> {
    CHAPTERS.iter().filter_map(|chapter| chapter.module)
}

/// True for the name of a module that every script has.
pub fn is_module(name: &str) -> bool {
    module_names().any(|module| module == name)
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
    "The arguments of a script" => command_line,
    "fs: files and folders" => fs in "fs",
    "Open files" => file + register,
    "path: paths as text" => path in "path",
    "env: what is around the script" => env in "env",
    "json: values as text" => json in "json",
    "regex: patterns in text" => regex in "regex",
    "hash: sums of text and bytes" => hash in "hash",
    "term: the person at the terminal" => term in "term",
}

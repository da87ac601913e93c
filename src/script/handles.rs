//! The types that scripts hold by handle.
//!
//! Each is a newtype around a [`Handle`], so that Rhai tells them apart. All are listed once, in the macro call below:
//! that gives their type names, printing, equality, and how a handle is made over to another holder.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::OnceLock;

use rhai::{Dynamic, Engine, Module};

use super::done::Done;
use super::parcel::Parcel;
use crate::exec;
use crate::kernel::{Handle, Holder, ObjectCore, Waitable};
use crate::sync;

/// A function that makes the handle in a value over to another holder.
type MakeOver = fn(&mut Dynamic, &Holder);

/// How reports and `print` show a handle: `Queue(#3 "jobs", 2 items)`.
pub fn show(object: &dyn Waitable) -> String {
    show_core(object.core(), &object.state())
}

fn show_core(core: &ObjectCore, state: &str) -> String {
    let label = core.label();
    match state {
        "" => label,
        state => format!("{}, {state})", label.strip_suffix(')').unwrap_or(&label)),
    }
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident($object:ty) = $shown:literal),* $(,)?) => {
        $($(#[$doc])* #[derive(Clone, Debug)] pub struct $name(pub Handle<$object>);

        impl $name {
            /// A handle of the current task to a new object.
            pub fn of(object: std::sync::Arc<$object>) -> $name {
                $name(Handle::new(object))
            }
        }

        impl std::ops::Deref for $name {
            type Target = std::sync::Arc<$object>;
            fn deref(&self) -> &Self::Target {
                self.0.object()
            }
        })*

        /// Registers what all types can do: printing, equality; and what they are called.
        pub fn register(module: &mut Module) {
            $(module.set_custom_type::<$name>($shown);
            module.set_native_fn("to_string", |h: &mut $name| Ok(show(&***h)));
            module.set_native_fn("to_debug", |h: &mut $name| Ok(show(&***h)));
            module.set_native_fn("==", |a: $name, b: $name| Ok(a.0.same(&b.0)));
            module.set_native_fn("!=", |a: $name, b: $name| Ok(!a.0.same(&b.0)));)*
        }

        fn table() -> &'static HashMap<TypeId, MakeOver> {
            static TABLE: OnceLock<HashMap<TypeId, MakeOver>> = OnceLock::new();
            TABLE.get_or_init(|| HashMap::from([
                $((TypeId::of::<$name>(), (|value, holder| {
                    if let Some(mut handle) = value.write_lock::<$name>() {
                        let made_over = handle.0.held_by(holder);
                        handle.0 = made_over;
                    }
                }) as MakeOver)),*
            ]))
        }
    };
}

handles! {
    /// A thread of the script.
    Thread(exec::Thread<Done>) = "Thread",
    /// A process of the script.
    Process(super::process::Process) = "Process",
    /// A thread that begins later.
    Timer(exec::Timer<Done>) = "Timer",
    /// A `Lock` or an `RLock`.
    Lock(sync::Lock) = "Lock",
    /// A `Semaphore` or a `BoundedSemaphore`.
    Semaphore(sync::Semaphore) = "Semaphore",
    /// An `Event`.
    Event(sync::Event) = "Event",
    /// A `Condition`.
    Condition(sync::Condition) = "Condition",
    /// A `Barrier`, with its action and timeout.
    Barrier(super::barrier::ActionBarrier) = "Barrier",
    /// An `RwLock`.
    RwLock(sync::RwLock) = "RwLock",
    /// One side of an `RwLock`.
    RwSide(super::rwside::LockSide) = "RwLockSide",
    /// A `Latch`.
    Latch(sync::Latch) = "Latch",
    /// A `Value`.
    Value(sync::Cell<Parcel>) = "Value",
    /// A `SharedList`.
    SharedList(super::shared::List) = "SharedList",
    /// A `SharedMap`.
    SharedMap(super::shared::Table) = "SharedMap",
    /// A `SharedMemory`.
    SharedMemory(sync::Memory) = "SharedMemory",
    /// A `SharedArray`.
    SharedArray(sync::Numbers) = "SharedArray",
    /// One end of a `Pipe`, or of what `Client` and `Listener` have made.
    Connection(crate::worker::connection::Connection<super::luggage::Packed>) = "Connection",
    /// A `Listener`.
    Listener(crate::worker::listener::Listener<super::luggage::Packed>) = "Listener",
    /// A queue of any order.
    Queue(sync::Queue<Parcel>) = "Queue",
    /// A future.
    Future(sync::Future<Done>) = "Future",
    /// A pool of threads or processes under the executor's methods.
    Executor(super::jobs::JobPool) = "ThreadPoolExecutor",
    /// A pool of threads or processes under the pool's methods.
    Pool(super::requests::RequestPool) = "ThreadPool",
    /// A command that runs.
    Child(crate::command::child::Child) = "Child",
    /// A `TaskGroup`.
    TaskGroup(exec::Group<Done>) = "TaskGroup",
}

/// Tells an engine what the types are called that are used most. Rhai looks a type's name up in each call of a method, by
/// text, in the engine's own list first: so that is kept short, and the others stand in the list of the vocabulary.
pub fn name_types(engine: &mut Engine) {
    engine.register_type_with_name::<Lock>("Lock");
    engine.register_type_with_name::<Queue>("Queue");
    engine.register_type_with_name::<Value>("Value");
}

/// True when the value is a handle.
pub fn is_handle(value: &Dynamic) -> bool {
    table().contains_key(&value.type_id())
}

/// Makes the handle in `value` over to `holder`; false when it is none.
pub fn make_over(value: &mut Dynamic, holder: &Holder) -> bool {
    match table().get(&value.type_id()) {
        Some(make_over) => {
            make_over(value, holder);
            true
        }
        None => false,
    }
}

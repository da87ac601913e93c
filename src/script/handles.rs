//! The types that scripts hold by handle.
//!
//! Each is a newtype around a [`Handle`], so that Rhai tells them apart. All are listed once, in the macro call below:
//! that gives their type names, printing, equality, and how a handle is made over to another holder.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Engine, Module};

use super::callbacks;
use super::done::Done;
use super::far::Far;
use super::iterate::Place;
use super::parcel::Parcel;
use crate::exec;
use crate::kernel::{Handle, Holder, ObjectCore, Waitable};
use crate::sync;
use crate::worker::far_object::FarObject;

/// A function that makes the handle in a value over to another holder.
type MakeOver = fn(&mut Dynamic, &Holder);

/// A function that gives the core of the object behind the handle in a value.
type Core = fn(&Dynamic) -> Option<Arc<ObjectCore>>;

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

        /// Registers what stands in for each of them in another process: it is called the same.
        pub fn register_far(module: &mut Module) {
            $(module.set_custom_type::<Far<$name>>($shown);
            if callbacks::can_iterate($shown) {
                module.set_iter_result(TypeId::of::<Far<$name>>(), |value| {
                    callbacks::iterate(&value, Place::of_loop("get")).unwrap_or_else(|| Box::new(std::iter::empty()))
                });
            })*
        }

        /// What each type is called, and what stands in for it.
        fn kinds() -> &'static HashMap<TypeId, &'static Kind> {
            const KINDS: &[(fn() -> TypeId, Kind)] = &[$((TypeId::of::<$name>, Kind {
                name: $shown,
                far: TypeId::of::<Far<$name>>,
                stand_in: |object| Dynamic::from(Far::<$name>::of(object)),
                object: |value| value.read_lock::<Far<$name>>().map(|far| far.object().clone()),
            })),*];
            static TABLE: OnceLock<HashMap<TypeId, &'static Kind>> = OnceLock::new();
            TABLE.get_or_init(|| KINDS.iter().map(|(id, kind)| (id(), kind)).collect())
        }

        fn cores() -> &'static HashMap<TypeId, Core> {
            static TABLE: OnceLock<HashMap<TypeId, Core>> = OnceLock::new();
            TABLE.get_or_init(|| HashMap::from([
                $((TypeId::of::<$name>(), (|value| {
                    value.read_lock::<$name>().map(|handle| handle.core().clone())
                }) as Core)),*
            ]))
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
    /// A database.
    Database(crate::io::Database) = "Database",
    /// An open file.
    File(crate::io::file::File) = "File",
    /// A queue of any order.
    Queue(sync::Queue<Parcel>) = "Queue",
    /// A future.
    Future(sync::Future<Done>) = "Future",
    /// A pool of threads under the executor's methods.
    Executor(super::jobs::JobPool) = "ThreadPoolExecutor",
    /// A pool of threads under the pool's methods.
    Pool(super::requests::RequestPool) = "ThreadPool",
    /// A pool of processes under the executor's methods.
    ProcessExecutor(super::jobs::JobPool) = "ProcessPoolExecutor",
    /// A pool of processes under the pool's methods.
    ProcessPool(super::requests::RequestPool) = "Pool",
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

/// A type of handles, and what stands in for it in another process.
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    far: fn() -> TypeId,
    stand_in: fn(Arc<FarObject>) -> Dynamic,
    object: fn(&Dynamic) -> Option<Arc<FarObject>>,
}

/// The types that have no stand-ins: what they are for is to run something in their process, or they cross in their own way
/// (see `crossing`).
const HOME_ONLY: &[&str] = &[
    "Timer",
    "ThreadPoolExecutor",
    "ThreadPool",
    "ProcessPoolExecutor",
    "Pool",
    "TaskGroup",
    "Connection",
    "Listener",
    "SharedMemory",
    "SharedArray",
    "Database",
    "File",
];

impl Kind {
    /// The kind of a handle of this type.
    pub fn of_type(id: TypeId) -> Option<&'static Kind> {
        kinds().get(&id).copied()
    }

    /// The kind of a handle that may cross to another process.
    pub fn crossing(value: &Dynamic) -> Option<&'static Kind> {
        let kind = Self::of_type(value.type_id()).or_else(|| far_kinds().get(&value.type_id()).copied())?;
        (!HOME_ONLY.contains(&kind.name)).then_some(kind)
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<&'static Kind> {
        kinds().values().find(|kind| kind.name == name).copied()
    }

    /// A value that stands for `object`.
    pub fn stand_in(&self, object: Arc<FarObject>) -> Dynamic {
        (self.stand_in)(object)
    }

    /// What the value stands for, if it stands for one of this kind.
    pub fn object(&self, value: &Dynamic) -> Option<Arc<FarObject>> {
        (self.object)(value)
    }

    /// The type of what stands in for it.
    pub fn far_type(&self) -> TypeId {
        (self.far)()
    }
}

fn far_kinds() -> &'static HashMap<TypeId, &'static Kind> {
    static TABLE: OnceLock<HashMap<TypeId, &'static Kind>> = OnceLock::new();
    TABLE.get_or_init(|| kinds().values().map(|kind| (kind.far_type(), *kind)).collect())
}

/// The object of another process that the value stands for.
pub fn far_object(value: &Dynamic) -> Option<Arc<FarObject>> {
    far_kinds().get(&value.type_id()).and_then(|kind| (kind.object)(value))
}

/// Number and name of the object behind a handle, for reports.
pub fn identity(value: &Dynamic) -> (u64, Option<String>) {
    let core = match far_object(value) {
        Some(object) => Some(object.core().clone()),
        None => cores().get(&value.type_id()).and_then(|core| core(value)),
    };
    core.map_or((0, None), |core| (core.id().0, core.name().map(|name| name.to_string())))
}

/// In simulated time, the process that the object behind a handle was made in.
pub fn home(value: &Dynamic) -> Option<u64> {
    cores().get(&value.type_id()).and_then(|core| core(value)).map(|core| core.home())
}

/// True when the value is a handle, of this process or another.
pub fn is_handle(value: &Dynamic) -> bool {
    table().contains_key(&value.type_id()) || far_kinds().contains_key(&value.type_id())
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

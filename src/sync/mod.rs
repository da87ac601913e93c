//! The primitives: locks, signals, shared values, queues, futures.
//!
//! Each is a small state machine over the kernel's door and is generic over what it carries. Each states its invariant in
//! its first comment; `tests/kernel/explore/` tries it under every schedule of small cases.

pub mod barrier;
pub mod cell;
pub mod condition;
pub mod event;
pub mod fault;
pub mod future;
pub mod latch;
pub mod loan;
pub mod lock;
pub mod lock_state;
pub mod looking;
pub mod memory;
pub mod number_word;
pub mod numbers;
pub mod ordered;
pub mod queue;
pub mod rwlock;
pub mod select;
pub mod semaphore;

pub use barrier::Barrier;
pub use cell::Cell;
pub use condition::Condition;
pub use event::Event;
pub use fault::Fault;
pub use future::Future;
pub use latch::Latch;
pub use lock::Lock;
pub use memory::Memory;
pub use numbers::Numbers;
pub use queue::{Order, Queue};
pub use rwlock::RwLock;
pub use semaphore::Semaphore;

//! One side of an `RwLock`, with the methods of a lock.

use std::sync::Arc;

use crate::kernel::{Enders, ObjectCore, Waitable};
use crate::sync::RwLock;
use crate::sync::rwlock::Side;

/// See the module.
pub struct LockSide {
    /// The lock.
    pub lock: Arc<RwLock>,
    /// Which side.
    pub side: Side,
}

impl Waitable for LockSide {
    fn core(&self) -> &Arc<ObjectCore> {
        self.lock.core()
    }

    fn enders(&self) -> Enders {
        self.lock.enders()
    }

    fn state(&self) -> String {
        let side = match self.side {
            Side::Read => "read side",
            Side::Write => "write side",
        };
        format!("{side}, {}", self.lock.state())
    }
}

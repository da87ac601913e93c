//! What stands for things that this build was made without: types that nothing is of.

use std::sync::Arc;

use crate::kernel::{ObjectCore, Waitable};

/// A database, where there are none.
pub enum Database {}

impl Waitable for Database {
    fn core(&self) -> &Arc<ObjectCore> {
        match *self {}
    }
}

impl Database {
    /// Closes it.
    pub fn close(&self) {
        match *self {}
    }
}

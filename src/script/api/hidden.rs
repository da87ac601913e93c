//! What the rewriting of the source calls (see `script::source`). Not for scripts, so without examples.

use rhai::plugin::*;
use rhai::{Dynamic, NativeCallContext};

use crate::script::{iterate, statements};

#[export_module]
pub mod functions {
    /// Notes where a `for` begins and passes on what it runs over.
    pub fn __each(ctx: NativeCallContext, list: Dynamic) -> Dynamic {
        iterate::begin_loop(&ctx);
        list
    }

    /// Stands in an empty loop.
    pub fn __idle() {}

    /// What `with … as` or `catch (…)` binds.
    pub fn __held() -> Dynamic {
        statements::bound_value()
    }

    /// Passes an object on as a temporary.
    pub fn __at(object: Dynamic) -> Dynamic {
        object
    }
}

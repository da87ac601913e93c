//! The modules that this build was made without (see `[features]` in `Cargo.toml`): their functions say so.

use rhai::NativeCallContext;

use crate::script::arguments::called;
use crate::script::throw::{Outcome, throw};

fn left_out<T>(ctx: &NativeCallContext, feature: &str) -> Outcome<T> {
    throw(ctx, "NotFound", format!("{}(): this orch was built without the feature {feature:?}", called(ctx)))
}

/// Stands for methods of a type that nothing is of.
pub mod nothing {
    use rhai::plugin::*;

    #[export_module]
    pub mod functions {}
}

/// `sqlite::`.
#[cfg(not(feature = "sqlite"))]
pub mod sqlite {
    use rhai::plugin::*;
    use rhai::{Dynamic, NativeCallContext};

    use super::left_out;
    use crate::script::throw::Outcome;

    #[export_module]
    pub mod functions {
        /// Opens a database.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn open(ctx: NativeCallContext, _path: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "sqlite")
        }
    }
}

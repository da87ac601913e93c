//! The modules that this build was made without (see `[features]` in `Cargo.toml`): their functions say so.

use rhai::NativeCallContext;

use crate::script::arguments::called;
use crate::script::throw::{Outcome, throw};

fn left_out<T>(ctx: &NativeCallContext, feature: &str) -> Outcome<T> {
    throw(ctx, "NotFound", format!("{}(): this orch was built without the feature {feature:?}", called(ctx)))
}

macro_rules! absent {
    ($($(#[$doc:meta])* $feature:literal, $module:ident: $($name:literal $function:ident($($argument:ident),*))*;)*) => {
        $($(#[$doc])*
        #[cfg(not(feature = $feature))]
        pub mod $module {
            use rhai::plugin::*;
            use rhai::{Dynamic, NativeCallContext};

            use crate::script::throw::Outcome;

            #[export_module]
            pub mod functions {
                $(
                /// This build has it not.
                ///
                /// # Errors
                /// `NotFound`.
                #[rhai_fn(name = $name, return_raw)]
                pub fn $function(ctx: NativeCallContext, $($argument: Dynamic),*) -> Outcome<Dynamic> {
                    super::super::left_out(&ctx, $feature)
                }
                )*
            }
        })*
    };
}

//! The modules that this build was made without (see `[features]` in `Cargo.toml`): their functions say so.

use rhai::NativeCallContext;

use crate::script::arguments::called;
use crate::script::throw::{Outcome, throw};

fn left_out<T>(ctx: &NativeCallContext, feature: &str) -> Outcome<T> {
    throw(ctx, "NotFound", format!("{}(): this orch was built without the feature {feature:?}", called(ctx)))
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

/// `html::`.
#[cfg(not(feature = "html"))]
pub mod html {
    use rhai::plugin::*;
    use rhai::{Dynamic, NativeCallContext};

    use super::left_out;
    use crate::script::throw::Outcome;

    #[export_module]
    pub mod functions {
        /// The elements of a page.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn select(ctx: NativeCallContext, _text: Dynamic, _css: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "html")
        }

        /// The links of a page.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn links(ctx: NativeCallContext, _text: Dynamic, _base: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "html")
        }
    }
}

/// `http::`.
#[cfg(not(feature = "http"))]
pub mod http {
    use rhai::plugin::*;
    use rhai::{Dynamic, NativeCallContext};

    use super::left_out;
    use crate::script::throw::Outcome;

    #[export_module]
    pub mod functions {
        /// Fetches a page.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn get(ctx: NativeCallContext, _url: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "http")
        }

        /// The same with options.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(name = "get", return_raw)]
        pub fn get_opts(ctx: NativeCallContext, _url: Dynamic, _options: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "http")
        }

        /// Sends something.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn post(ctx: NativeCallContext, _url: Dynamic, _body: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "http")
        }

        /// The same with options.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(name = "post", return_raw)]
        pub fn post_opts(ctx: NativeCallContext, _url: Dynamic, _body: Dynamic, _options: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "http")
        }
    }
}

/// What belongs to answers of servers.
#[cfg(not(feature = "http"))]
pub mod response {
    use rhai::plugin::*;
    use rhai::{Dynamic, Module, NativeCallContext};

    use super::left_out;
    use crate::script::throw::Outcome;

    /// There is no type.
    pub fn register(_module: &mut Module) {}

    #[export_module]
    pub mod functions {
        /// Stands for a server.
        ///
        /// # Errors
        /// `NotFound`.
        #[rhai_fn(return_raw)]
        pub fn mock_http(ctx: NativeCallContext, _pattern: Dynamic, _response: Dynamic) -> Outcome<Dynamic> {
            left_out(&ctx, "http")
        }
    }
}

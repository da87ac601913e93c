//! `hash::`.

use rhai::plugin::*;
use rhai::{Blob, Dynamic, ImmutableString, NativeCallContext};

use crate::io::digest;
use crate::script::arguments::wrong_type;
use crate::script::throw::{Outcome, throw};

fn summed(ctx: &NativeCallContext, data: &Dynamic, sum: fn(&[u8]) -> String) -> Outcome<String> {
    if let Some(text) = data.read_lock::<ImmutableString>() {
        return Ok(sum(text.as_bytes()));
    }
    match data.read_lock::<Blob>() {
        Some(bytes) => Ok(sum(&bytes)),
        None => throw(ctx, "TypeError", wrong_type(ctx, "data", "a string or a blob", data.type_name())),
    }
}

#[export_module]
pub mod functions {
    /// The MD5 sum of a text (in UTF-8) or a blob, in hexadecimal digits. It protects against accidents, not against people.
    ///
    /// # Errors
    /// `TypeError`.
    ///
    /// ```rhai
    /// assert(hash::md5("") == "d41d8cd98f00b204e9800998ecf8427e");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn md5(ctx: NativeCallContext, data: Dynamic) -> Outcome<String> {
        summed(&ctx, &data, digest::md5)
    }

    /// The SHA-256 sum of a text (in UTF-8) or a blob, in hexadecimal digits.
    ///
    /// # Errors
    /// `TypeError`.
    ///
    /// ```rhai
    /// assert(hash::sha256("abc").starts_with("ba7816bf"));
    /// assert(hash::sha256(blob(3, 97)) == hash::sha256("aaa"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sha256(ctx: NativeCallContext, data: Dynamic) -> Outcome<String> {
        summed(&ctx, &data, digest::sha256)
    }
}

//! `term::status`.

use rhai::plugin::*;

use crate::script::host::with_host;

#[export_module]
pub mod functions {
    /// Shows a line on the terminal (on the standard error) that the next call takes the place of: how things are going. Lines that are
    /// printed go above it; an empty one takes it away, and so does the end of the program. Where there is no terminal it does
    /// nothing.
    ///
    /// ```rhai
    /// for n in 0..3 { term::status(`${n} of 3 are done`); }
    /// term::status("");
    /// ```
    pub fn status(text: &str) {
        with_host(|host| host.show_status(text));
    }
}

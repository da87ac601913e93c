//! `sqlite::`. What can be done with an open database stands in `database`.

use rhai::plugin::*;
use rhai::{ImmutableString, NativeCallContext};

use crate::io;
use crate::script::handles::Database;
use crate::script::throw::{Outcome, call};

#[export_module]
pub mod functions {
    /// Opens an SQLite database, and makes the file where there is none; `":memory:"` is a database of its own that is gone with
    /// its handle. The handle can be used by all threads at once: those who write stand in a line, the others read beside them.
    /// For this the file keeps a log (SQLite's WAL mode), in files beside it that are gone when it is closed. `with` closes it.
    ///
    /// # Errors
    /// `NotFound` when the folder is not there; `IoError` when the file cannot be opened, or is no database.
    ///
    /// ```rhai
    /// with sqlite::open(":memory:") as db {
    ///     db.execute("CREATE TABLE pages (url TEXT PRIMARY KEY, size INT)");
    ///     db.execute("INSERT INTO pages VALUES (?, ?)", ["http://localhost/", 512]);
    ///     for page in db.query("SELECT * FROM pages") {
    ///         print(`${page.url} has ${page.size} bytes`);
    ///     }
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn open(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Database> {
        call(&ctx, || io::Database::open(&path)).map(Database::of)
    }
}

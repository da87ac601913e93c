//! `path::`.

use std::path::{Path, PathBuf, absolute as from_here};

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, NativeCallContext};

use crate::script::arguments::{called, list, text};
use crate::script::paths;
use crate::script::throw::{Outcome, throw};

fn shown(path: &Path) -> String {
    // It was made of texts.
    path.to_string_lossy().into_owned()
}

fn joined(ctx: &NativeCallContext, parts: &[Dynamic]) -> Outcome<String> {
    let mut path = PathBuf::new();
    for (i, part) in parts.iter().enumerate() {
        path.push(text(ctx, &format!("part {}", i + 1), part)?.as_str());
    }
    Ok(shown(&path))
}

/// The path from the root, without `.` and `..`.
fn full(ctx: &NativeCallContext, path: &str) -> Outcome<PathBuf> {
    // The empty path is where we are.
    match from_here(if path.is_empty() { "." } else { path }) {
        Ok(path) => Ok(paths::normalized(&path)),
        Err(error) => throw(ctx, "IoError", format!("{}(): the current folder cannot be told: {error}", called(ctx))),
    }
}

fn full_text(ctx: &NativeCallContext, path: &Path) -> Outcome<String> {
    match path.to_str() {
        Some(path) => Ok(path.to_string()),
        None => {
            let shown = path.display();
            throw(ctx, "ValueError", format!("{}(): the current folder is not valid UTF-8: {shown}", called(ctx)))
        }
    }
}

fn part(part: Option<&std::ffi::OsStr>) -> String {
    part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
}

#[export_module]
pub mod functions {
    /// The path of `second` within the folder `first`; a `second` that begins with `/` stands for itself.
    ///
    /// # Errors
    /// `TypeError`.
    ///
    /// ```rhai
    /// assert(path::join("logs", "today.txt") == "logs/today.txt");
    /// assert(path::join("logs", "/etc") == "/etc");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn join(ctx: NativeCallContext, first: Dynamic, second: Dynamic) -> Outcome<String> {
        joined(&ctx, &[first, second])
    }

    /// The same for three parts.
    ///
    /// # Errors
    /// `TypeError`.
    ///
    /// ```rhai
    /// assert(path::join("a", "b", "c.txt") == "a/b/c.txt");
    /// ```
    #[rhai_fn(name = "join", return_raw)]
    pub fn join_three(ctx: NativeCallContext, first: Dynamic, second: Dynamic, third: Dynamic) -> Outcome<String> {
        joined(&ctx, &[first, second, third])
    }

    /// The same for a list of parts.
    ///
    /// # Errors
    /// `TypeError`.
    ///
    /// ```rhai
    /// assert(path::join(["a", "b", "c", "d"]) == "a/b/c/d");
    /// ```
    #[rhai_fn(name = "join", return_raw)]
    pub fn join_list(ctx: NativeCallContext, parts: Dynamic) -> Outcome<String> {
        let parts: Array = list(&ctx, "parts", parts)?;
        joined(&ctx, &parts)
    }

    /// The folder that a path is in; `""` when the path does not say.
    ///
    /// ```rhai
    /// assert(path::parent("/var/log/syslog") == "/var/log");
    /// assert(path::parent("syslog") == "");
    /// ```
    pub fn parent(path: ImmutableString) -> String {
        Path::new(path.as_str()).parent().map(shown).unwrap_or_default()
    }

    /// The last part of a path: the name of the file.
    ///
    /// ```rhai
    /// assert(path::name("/var/log/boot.log.gz") == "boot.log.gz");
    /// ```
    pub fn name(path: ImmutableString) -> String {
        part(Path::new(path.as_str()).file_name())
    }

    /// The name without what follows its last dot.
    ///
    /// ```rhai
    /// assert(path::stem("/var/log/boot.log.gz") == "boot.log");
    /// assert(path::stem(".profile") == ".profile");
    /// ```
    pub fn stem(path: ImmutableString) -> String {
        part(Path::new(path.as_str()).file_stem())
    }

    /// What follows the last dot of the name, without the dot; `""` when there is none.
    ///
    /// ```rhai
    /// assert(path::ext("photo.JPG") == "JPG");
    /// assert(path::ext(".profile") == "" && path::ext("Makefile") == "");
    /// ```
    pub fn ext(path: ImmutableString) -> String {
        part(Path::new(path.as_str()).extension())
    }

    /// The path from the root, without `.` and `..`. It is worked out from the text: links are not looked at.
    ///
    /// # Errors
    /// `IoError` when the current folder is gone.
    ///
    /// ```rhai
    /// assert(path::absolute("/a/b/../c/./d") == "/a/c/d");
    /// assert(path::absolute("x") == path::join(env::cwd(), "x"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn absolute(ctx: NativeCallContext, path: ImmutableString) -> Outcome<String> {
        full_text(&ctx, &full(&ctx, &path)?)
    }

    /// The path as seen from the current folder.
    ///
    /// # Errors
    /// As `path::absolute(path)`.
    ///
    /// ```rhai
    /// assert(path::relative(path::join(env::cwd(), "src", "main.rs")) == "src/main.rs");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn relative(ctx: NativeCallContext, path: ImmutableString) -> Outcome<String> {
        full_text(&ctx, &paths::relative(&full(&ctx, &path)?, &full(&ctx, "")?))
    }

    /// The path as seen from the folder `base`.
    ///
    /// # Errors
    /// As `path::absolute(path)`.
    ///
    /// ```rhai
    /// assert(path::relative("/a/b", "/a/c/d") == "../../b");
    /// ```
    #[rhai_fn(name = "relative", return_raw)]
    pub fn relative_to(ctx: NativeCallContext, path: ImmutableString, base: ImmutableString) -> Outcome<String> {
        full_text(&ctx, &paths::relative(&full(&ctx, &path)?, &full(&ctx, &base)?))
    }
}

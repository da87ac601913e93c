//! `env::`.

use rhai::plugin::*;
use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};

use super::fs::path_of;
use crate::command::environment;
use crate::script::arguments::called;
use crate::script::host::with_host;
use crate::script::throw::{Outcome, throw};

fn utf8(ctx: &NativeCallContext, what: &str, text: &std::ffi::OsStr) -> Outcome<String> {
    match text.to_str() {
        Some(text) => Ok(text.to_string()),
        None => throw(ctx, "ValueError", format!("{}(): {what} is not valid UTF-8: {}", called(ctx), text.display())),
    }
}

fn change(ctx: &NativeCallContext, name: &str, value: Option<&str>) -> Outcome<()> {
    if !environment::can_hold(name, value.unwrap_or("")) {
        let why = "a name is not empty and has no \"=\", and neither name nor value a NUL byte";
        return throw(ctx, "ValueError", format!("{}(): no environment can hold {name:?} so: {why}", called(ctx)));
    }
    environment::set(name, value);
    Ok(())
}

#[export_module]
pub mod functions {
    /// The value of a variable of the environment; `()` when there is none.
    ///
    /// # Errors
    /// `ValueError` when it is not valid UTF-8.
    ///
    /// ```rhai
    /// assert(env::get("PATH") != ());
    /// assert(env::get("NO SUCH VARIABLE") == ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(ctx: NativeCallContext, name: ImmutableString) -> Outcome<Dynamic> {
        match environment::get(&name) {
            Some(value) => utf8(&ctx, &format!("the variable {name:?}"), &value).map(Into::into),
            None => Ok(Dynamic::UNIT),
        }
    }

    /// The value of a variable; `fallback` when there is none.
    ///
    /// # Errors
    /// As `env::get(name)`.
    ///
    /// ```rhai
    /// assert(env::get("NO SUCH VARIABLE", "8080") == "8080");
    /// ```
    #[rhai_fn(name = "get", return_raw)]
    pub fn get_or(ctx: NativeCallContext, name: ImmutableString, fallback: Dynamic) -> Outcome<Dynamic> {
        let value = get(ctx, name)?;
        Ok(if value.is_unit() { fallback } else { value })
    }

    /// Sets a variable for all threads of this process and for all that is started from now on: commands and processes. A
    /// process that runs already has an environment of its own; only a simulated one, under `--sim`, shares this one.
    ///
    /// # Errors
    /// `ValueError` when no environment can hold such a name or value.
    ///
    /// ```rhai
    /// env::set("GREETING", "hello");
    /// assert(env::get("GREETING") == "hello");
    /// assert(sh("echo $GREETING").read() == "hello");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn set(ctx: NativeCallContext, name: ImmutableString, value: ImmutableString) -> Outcome<()> {
        change(&ctx, &name, Some(&value))
    }

    /// Takes a variable away. Doing it again does nothing.
    ///
    /// # Errors
    /// As `env::set(name, value)`.
    ///
    /// ```rhai
    /// env::set("GREETING", "hello");
    /// env::unset("GREETING");
    /// assert(env::get("GREETING") == ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn unset(ctx: NativeCallContext, name: ImmutableString) -> Outcome<()> {
        change(&ctx, &name, None)
    }

    /// All variables as a map. What is not valid UTF-8 is shown with marks in its place.
    ///
    /// ```rhai
    /// assert("PATH" in env::vars());
    /// ```
    pub fn vars() -> Map {
        let all = environment::all().into_iter();
        all.map(|(name, value)| (name.to_string_lossy().as_ref().into(), value.to_string_lossy().as_ref().into()))
            .collect()
    }

    /// The home folder: what `HOME` says, else what the system knows of the user.
    ///
    /// # Errors
    /// `NotFound` when neither knows one; `ValueError` when it is not valid UTF-8.
    ///
    /// ```rhai
    /// assert(env::home().starts_with("/"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn home(ctx: NativeCallContext) -> Outcome<String> {
        let said = environment::get("HOME").filter(|home| !home.is_empty());
        match said.or_else(|| std::env::home_dir().map(Into::into)) {
            Some(home) => utf8(&ctx, "the home folder", &home),
            None => throw(&ctx, "NotFound", "env::home(): HOME is not set, and the system knows no home folder"),
        }
    }

    /// The current folder, from which paths go that do not begin with `/`.
    ///
    /// # Errors
    /// `IoError` when it is gone; `ValueError` when it is not valid UTF-8.
    ///
    /// ```rhai
    /// assert(env::cwd().starts_with("/"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn cwd(ctx: NativeCallContext) -> Outcome<String> {
        match std::env::current_dir() {
            Ok(folder) => utf8(&ctx, "the current folder", folder.as_os_str()),
            Err(error) => throw(&ctx, "IoError", format!("env::cwd(): the current folder cannot be told: {error}")),
        }
    }

    /// Goes to another folder: this whole process with all its threads, and what is started from now on. A process that runs
    /// already stays where it is; only a simulated one, under `--sim`, comes along.
    ///
    /// # Errors
    /// `NotFound`; `IoError` when it is no folder, or nobody may go there.
    ///
    /// ```rhai
    /// env::chdir("/");
    /// assert(env::cwd() == "/");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn chdir(ctx: NativeCallContext, path: ImmutableString) -> Outcome<()> {
        environment::go_to(path_of(&ctx, &path)?).or_else(|error| {
            let kind = if error.kind() == std::io::ErrorKind::NotFound { "NotFound" } else { "IoError" };
            throw(&ctx, kind, format!("env::chdir(): cannot go to {path:?}: {error}"))
        })
    }

    /// The path of the script that was started, from the root; `()` when it came from the standard input or the command line.
    ///
    /// ```rhai
    /// let here = path::parent(env::script());   // the folder that the script is in
    /// assert(path::name(env::script()) != "");
    /// ```
    pub fn script() -> Dynamic {
        with_host(|host| host.origin().script.as_deref().map_or(Dynamic::UNIT, Into::into))
    }
}

//! The environment of the program: what orch was started with, and what the script has changed of it since; and the folder.
//!
//! The system's own list cannot be changed while threads run that may read it, so changes are kept here. Whatever starts a
//! process or looks something up in the environment asks here, and all that is started inherits the changes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

static CHANGES: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

/// How often anything was changed of what a process that is started inherits.
static VERSION: AtomicU64 = AtomicU64::new(0);

/// The value of a variable.
pub fn get(name: &str) -> Option<OsString> {
    match CHANGES.lock().get(name) {
        Some(change) => change.as_ref().map(Into::into),
        None => std::env::var_os(name),
    }
}

/// Gives a variable another value, or none. What cannot be the name of one or the value of one is not looked for here: see
/// [`can_hold`].
pub fn set(name: &str, value: Option<&str>) {
    CHANGES.lock().insert(name.to_string(), value.map(str::to_string));
    VERSION.fetch_add(1, Ordering::SeqCst);
}

/// Goes to another folder, with the whole process.
///
/// # Errors
/// Those of the system.
pub fn go_to(folder: impl AsRef<Path>) -> io::Result<()> {
    std::env::set_current_dir(folder)?;
    VERSION.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Another number after each change: what is started now inherits something else than what was started before.
pub fn version() -> u64 {
    VERSION.load(Ordering::SeqCst)
}

/// True when an environment can hold such a variable.
pub fn can_hold(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// All variables.
pub fn all() -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, change) in CHANGES.lock().iter() {
        match change {
            Some(value) => drop(all.insert(name.into(), value.into())),
            None => drop(all.remove(OsStr::new(name))),
        }
    }
    all
}

/// What has changed since orch was started.
pub fn changes() -> Vec<(String, Option<String>)> {
    CHANGES.lock().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Passes the changes on to a process that is about to be started.
pub fn apply(command: &mut Command) {
    for (name, value) in changes() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

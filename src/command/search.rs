//! Finding programs, as `execvp` does, but with an answer that says where was looked.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fault::CommandFault;

/// What is searched when there is no `PATH`, as glibc does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that `program` names: itself when it has a slash (relative to `dir`), else the first executable in `path`.
///
/// # Errors
/// [`CommandFault::NotFound`] with what was searched; [`CommandFault::NotExecutable`].
pub fn find_program(program: &str, path: Option<OsString>, dir: Option<&Path>) -> Result<PathBuf, CommandFault> {
    if program.contains('/') {
        // A relative program is meant from where orch is, as in Python; with a folder given, from there.
        let at = dir.map_or_else(|| PathBuf::from(program), |dir| dir.join(program));
        return match refusal(&at) {
            None => Ok(absolute(at)),
            Some(Refusal::Missing) => Err(CommandFault::NotFound { program: program.into(), searched: None }),
            Some(refusal) => Err(CommandFault::NotExecutable { program: program.into(), why: refusal.text() }),
        };
    }
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let mut refused = None;
    for folder in std::env::split_paths(&path) {
        let at = folder.join(program);
        match refusal(&at) {
            None => return Ok(absolute(at)),
            Some(Refusal::Missing) => {}
            Some(refusal) => refused = refused.or(Some((at, refusal))),
        }
    }
    Err(match refused {
        Some((at, refusal)) => CommandFault::NotExecutable { program: at.display().to_string(), why: refusal.text() },
        None => CommandFault::NotFound { program: program.into(), searched: Some(path.to_string_lossy().into_owned()) },
    })
}

/// A folder in `PATH` may be relative, and the command may run elsewhere.
fn absolute(at: PathBuf) -> PathBuf {
    std::path::absolute(&at).unwrap_or(at)
}

#[derive(Clone, Copy)]
enum Refusal {
    Missing,
    Folder,
    NoPermission,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Refusal::Missing => "it does not exist",
            Refusal::Folder => "it is a folder",
            Refusal::NoPermission => "it has no permission to be executed",
        }
    }
}

fn refusal(at: &Path) -> Option<Refusal> {
    match fs::metadata(at) {
        Err(_) => Some(Refusal::Missing),
        Ok(data) if data.is_dir() => Some(Refusal::Folder),
        Ok(data) if data.permissions().mode() & 0o111 == 0 => Some(Refusal::NoPermission),
        Ok(_) => None,
    }
}

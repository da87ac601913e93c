//! orch's own program, for the helpers it starts: the guard, what prepares a terminal, and workers.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::leader::{self, Leader};
use super::relay;
use super::tree::{MARK, Tree};
use super::{environment, guard};

static PATH: OnceLock<PathBuf> = OnceLock::new();

/// Says where the program is. Only `main` knows: in a program that embeds this library, the running program is another.
pub fn set_path(path: PathBuf) {
    // The first word counts.
    let _already_set = PATH.set(path);
}

/// Where the program is; `None` in a program that embeds this library.
pub fn path() -> Option<PathBuf> {
    PATH.get().cloned()
}

/// Starts the program as the helper that `words` name, with `socket` as its standard input, as the leader of a process
/// group of its own and the first of `tree`; `mark` marks what it starts.
///
/// # Errors
/// Those of the system; in a program that embeds this library, that there is no helper.
pub fn start(words: &[&str], socket: OwnedFd, tree: &Tree, mark: String) -> io::Result<Arc<Leader>> {
    let program = path().ok_or_else(|| io::Error::other("this program is not orch itself and has no workers"))?;
    guard::watch_over_this_run();
    let expression = duct::cmd(program, words).stdin_file(socket).unchecked();
    let expression = match relay::for_processes()? {
        Some(relay) => expression.stderr_file(relay.try_clone()?).stdout_file(relay),
        None => expression,
    };
    let expression = expression.before_spawn(move |command| {
        environment::apply(command);
        command.env(MARK, &mark).process_group(0);
        Ok(())
    });
    let leader = leader::starting(|| Leader::start(|| expression.start()))?;
    tree.add_leader(leader.pid());
    Ok(leader)
}

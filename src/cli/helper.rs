//! orch as its own helper: what it starts itself as, behind the back of whoever types.

use std::ffi::OsString;

use crate::command::{guard, helper, pty};
use crate::worker::fork_server;
use crate::{signals, worker};

/// Runs the helper that the command line asks for: its status, or `None` when it asks for none.
pub fn serve(words: &[OsString]) -> Option<i32> {
    match words.get(1)?.to_str()? {
        guard::WORD => {
            // It has to be there when everybody else is told to go.
            let deaf = signals::ignore_requests_to_end();
            if let (Ok(()), Some(run)) = (deaf, words.get(2).and_then(|run| run.to_str())) {
                guard::serve(run);
            }
            Some(0)
        }
        pty::WORD => {
            let error = pty::become_program(words.get(2..).unwrap_or_default());
            eprintln!("orch: cannot start it in a terminal: {error}");
            Some(127)
        }
        worker::WORD => {
            announce();
            match words.get(2) {
                Some(word) if word == fork_server::FORKS => Some(super::work::serve_forks()),
                _ => Some(super::work::serve()),
            }
        }
        _ => None,
    }
}

/// Says where the helpers are to be found.
pub fn announce() {
    if let Ok(program) = std::env::current_exe() {
        helper::set_path(program);
    }
}

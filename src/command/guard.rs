//! The guard: a small process that outlives orch by a moment, so that `kill -9` of orch leaves nothing running.
//!
//! It is orch, started with the first command, and reads from a pipe that nobody but orch holds. A word on the pipe means
//! that orch has cleared up by itself; its end without one means that orch was killed, and the guard ends what carries the
//! mark of the run, what descends from that, and what is in its groups. Nobody can be found who has cleared the environment,
//! left the group and lost the parent before the guard looks.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;

use super::tree::{left_behind, run_name, send_to};
use super::{helper, tree};

/// The word that makes orch the guard.
pub const WORD: &str = "__guard";

/// What orch says when it has cleared up.
const ALL_CLEAR: &[u8] = b"q";

/// How often the guard looks, and after how many times TERM becomes KILL.
const ROUND: Duration = Duration::from_millis(50);
const PATIENCE: u32 = 10;
const MOST_ROUNDS: u32 = 200;

enum State {
    NotNeededYet,
    /// There is none: it could not be started, or orch is a part of another program.
    None,
    On(Child, Option<ChildStdin>),
}

static GUARD: Mutex<State> = Mutex::new(State::NotNeededYet);

/// To be called before a command is started.
pub fn watch_over_this_run() {
    let mut guard = GUARD.lock();
    if !matches!(*guard, State::NotNeededYet) {
        return;
    }
    tree::note_strangers();
    // Orphans of what orch starts become its children.
    let me = rustix::process::Pid::from_raw(std::process::id().cast_signed());
    // Where that is refused, the mark alone finds them.
    let _refused = rustix::process::set_child_subreaper(me);
    *guard = match start() {
        Ok(Some(mut child)) => {
            let pipe = child.stdin.take();
            State::On(child, pipe)
        }
        Ok(None) | Err(_) => State::None,
    };
}

fn start() -> io::Result<Option<Child>> {
    let Some(program) = helper::path() else {
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args([WORD, run_name()]).env_remove(tree::MARK).process_group(0);
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(Some)
}

/// The number of the guard, if there is one.
pub fn pid() -> Option<u32> {
    match &*GUARD.lock() {
        State::On(child, _) => Some(child.id()),
        State::NotNeededYet | State::None => None,
    }
}

/// True once a command was started.
pub fn is_needed() -> bool {
    !matches!(*GUARD.lock(), State::NotNeededYet)
}

/// orch has cleared up: the guard goes.
pub fn dismiss() {
    let state = std::mem::replace(&mut *GUARD.lock(), State::None);
    if let State::On(mut child, Some(mut pipe)) = state {
        // A guard that was killed needs no word.
        let _killed = pipe.write_all(ALL_CLEAR);
        drop(pipe);
        let _reaped = child.wait();
    }
}

/// The guard's life; `run` is the name of the run it watches over.
pub fn serve(run: &str) {
    let mut word = [0; 1];
    if matches!(io::stdin().lock().read(&mut word), Ok(1)) {
        return;
    }
    for round in 0..MOST_ROUNDS {
        let left = left_behind(run);
        if left.is_empty() {
            return;
        }
        // One TERM: a second one makes some programs leave without clearing up.
        match round {
            0 => _ = send_to(&left, Signal::TERM),
            _ if round >= PATIENCE => _ = send_to(&left, Signal::KILL),
            _ => {}
        }
        crate::kernel::alarm::wait(ROUND);
    }
}

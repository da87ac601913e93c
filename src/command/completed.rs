//! What became of a command.

use std::any::Any;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::store::Store;
use super::stream::Which;

/// How one process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It returned this, 0 to 255.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
}

impl End {
    /// From what the system says.
    pub fn of(status: ExitStatus) -> End {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, signal) => End::Signal(signal.unwrap_or(0)),
        }
    }

    /// The exit code; negative for a signal, as in Python.
    pub fn code(self) -> i32 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => -signal,
        }
    }

    /// True for exit code 0.
    pub fn ok(self) -> bool {
        self == End::Code(0)
    }
}

/// What became of one stage of a pipeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageEnd {
    /// The command as a shell would take it.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// How it ended.
    pub end: End,
    /// A failure of it is not an error.
    pub unchecked: bool,
    /// How long it ran, in seconds.
    pub seconds: f64,
}

/// What became of a command.
#[derive(Debug)]
pub struct Completed {
    /// The command as a shell would take it.
    pub command: String,
    /// Its stages, at least one.
    pub stages: Vec<StageEnd>,
    /// From the start to the end of the last stage, in seconds.
    pub seconds: f64,
    /// Its time was up.
    pub timed_out: bool,
    /// What else there is to say: who still held its output.
    pub note: Option<String>,
    /// What it wrote and nobody has taken yet.
    pub stdout: Captured,
    /// The same of its standard error.
    pub stderr: Captured,
}

impl Completed {
    /// The stage that decides: the rightmost checked failure, else the rightmost failure, else the last.
    pub fn decisive(&self) -> &StageEnd {
        let checked = self.failures().find(|stage| !stage.unchecked);
        let decisive = checked.or_else(|| self.failures().next()).or(self.stages.last());
        decisive.expect("invariant: a command has at least one stage")
    }

    /// The stages that failed, the last first. One that ended by PIPE because its reader had enough, as in `yes | head`, did
    /// what was wanted of it.
    fn failures(&self) -> impl Iterator<Item = &StageEnd> {
        let last = self.stages.len() - 1;
        let had_enough = move |i: usize, stage: &StageEnd| i < last && stage.end == End::Signal(libc::SIGPIPE);
        let failed = self.stages.iter().enumerate().rev();
        failed.filter(move |(i, stage)| !stage.end.ok() && !had_enough(*i, stage)).map(|(_, stage)| stage)
    }

    /// True when no stage failed and the time was not up.
    pub fn ok(&self) -> bool {
        !self.timed_out && self.failures().next().is_none()
    }

    /// What it wrote there.
    pub fn captured(&self, which: Which) -> &Captured {
        match which {
            Which::Stdout => &self.stdout,
            Which::Stderr => &self.stderr,
        }
    }

    /// True when another try is wanted, where tries were granted: not only for a failure that is an error, but also when
    /// nothing of it was to be an error.
    pub fn calls_for_another_try(&self) -> bool {
        let nothing_is_an_error = self.stages.iter().all(|stage| stage.unchecked);
        self.timed_out || self.is_failure() || (nothing_is_an_error && !self.ok())
    }

    /// True when it failed and that was not to be ignored.
    pub fn is_failure(&self) -> bool {
        self.failures().any(|stage| !stage.unchecked)
    }
}

/// Captured output, taken to memory when somebody asks.
#[derive(Default)]
pub struct Captured {
    store: Mutex<Store>,
    /// What the room above has made of it.
    rendition: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Captured {
    /// Holds what is in `store`.
    pub fn new(store: Store) -> Captured {
        Captured { store: Mutex::new(store), rendition: Mutex::default() }
    }

    /// Holds what is in `store` from now on.
    pub fn refill(&self, store: Store) {
        *self.store.lock() = store;
    }

    /// Gives all of it, piece by piece, and keeps it.
    ///
    /// # Errors
    /// Those of the file that holds what was too much for the memory, and of `put`.
    pub fn copy_to(&self, put: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.store.lock().copy_to(put)
    }

    /// The last bytes, at most `most`.
    ///
    /// # Errors
    /// Those of the file.
    pub fn last(&self, most: usize) -> io::Result<Vec<u8>> {
        self.store.lock().last(most)
    }

    /// How many bytes it is.
    pub fn len(&self) -> u64 {
        self.store.lock().len()
    }

    /// True when it is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes it; it is empty then.
    ///
    /// # Errors
    /// Those of the file that holds what was too much for the memory.
    pub fn take(&self) -> io::Result<Vec<u8>> {
        self.store.lock().take()
    }

    /// What `make` makes of all of it, made once.
    ///
    /// # Errors
    /// As [`Captured::take`].
    ///
    /// # Panics
    /// When it is asked for as two types, which would be a mistake of the room above.
    pub fn rendition<T: Any + Send + Sync>(&self, make: impl FnOnce(Vec<u8>) -> T) -> io::Result<Arc<T>> {
        let mut kept = self.rendition.lock();
        let rendition = match &*kept {
            Some(rendition) => rendition.clone(),
            None => kept.insert(Arc::new(make(self.take()?))).clone(),
        };
        Ok(rendition.downcast().expect("invariant: one room asks for one type"))
    }

    /// Takes its next line, as [`Store::take_line`].
    ///
    /// # Errors
    /// Those of the file.
    pub fn take_line(&self, longest: usize) -> io::Result<Option<Vec<u8>>> {
        self.store.lock().take_line(longest, true)
    }

    /// The last bytes, at most `most`.
    pub fn tail(&self, most: usize) -> Vec<u8> {
        self.store.lock().tail(most)
    }
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

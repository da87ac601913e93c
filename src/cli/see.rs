//! `--trace`: what is written down while a script runs.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::args::SeeOptions;
use crate::command::leader;
use crate::kernel::Kernel;
use crate::kernel::program::Recording;
use crate::observe::tape::{TICK, Tape};
use crate::observe::trace::{SIMULATED, Trace};

/// The files that were asked for, open.
#[derive(Default)]
pub struct Files {
    trace: Option<File>,
}

/// What is written down.
#[derive(Default)]
pub struct Seeing {
    tape: Option<Arc<Tape>>,
}

impl Files {
    /// Opens them: whatever stands in the way is told before the script runs.
    ///
    /// # Errors
    /// What to say.
    pub fn open(options: &SeeOptions) -> Result<Files, String> {
        let trace = options.trace.as_deref().map(|path| anew(path, "trace")).transpose()?;
        Ok(Files { trace })
    }

    /// Begins to write down what happens in `kernel`, which runs the script `name`. `say` tells people what goes wrong.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(self, kernel: &Arc<Kernel>, name: &str, say: impl Fn(&str) + Send + 'static) -> io::Result<Seeing> {
        let Some(file) = self.trace else {
            return Ok(Seeing::default());
        };
        leader::measure();
        let pid = if kernel.is_sim() { SIMULATED } else { u64::from(std::process::id()) };
        if !kernel.is_sim() {
            kernel.record_in(Arc::new(file.try_clone()?.into()), kernel.epoch());
        }
        let trace = Trace::new(file, &format!("orch run {name}"), pid, Box::new(say));
        Ok(Seeing { tape: Some(Tape::start(kernel, trace)) })
    }
}

impl Seeing {
    /// Begins to write down, in a worker, where its program writes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn in_worker(kernel: &Arc<Kernel>, name: &str, recording: Option<Recording>) -> io::Result<Seeing> {
        let Some(Recording { file, epoch }) = recording else {
            return Ok(Seeing::default());
        };
        leader::measure();
        let own = File::from(file.try_clone()?);
        kernel.record_in(file, epoch);
        let offset = kernel.epoch().saturating_sub(epoch);
        let pid = u64::from(std::process::id());
        // Its program finds the same, and says so.
        let trace = Trace::continued(own, &format!("process {name}"), pid, offset, Box::new(|_| {}));
        Ok(Seeing { tape: Some(Tape::start(kernel, trace)) })
    }

    /// Waits until the program is over, and meanwhile writes out what happens: its status.
    pub fn until_over(&self, kernel: &Kernel) -> i32 {
        loop {
            if let Some(status) = kernel.wait_exit_or(&[], self.tape.as_ref().map(|_| TICK)) {
                return status;
            }
            if let Some(tape) = &self.tape {
                tape.tick();
            }
        }
    }

    /// To be called when all that the program started is gone.
    pub fn finish(&self) {
        if let Some(tape) = &self.tape {
            tape.finish();
        }
    }
}

/// Opens an empty file in which all that is written goes to the end, whoever writes.
fn anew(path: &Path, what: &str) -> Result<File, String> {
    let emptied = File::create(path).and_then(|_| OpenOptions::new().append(true).open(path));
    emptied.map_err(|error| format!("cannot write the {what} {}: {error}", path.display()))
}

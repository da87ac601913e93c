//! What is seen of a script while it runs: `--trace`, `--stats`, whoever asks from another terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::SeeOptions;
use super::leaving::Leaving;
use crate::command::leader;
use crate::kernel::Kernel;
use crate::kernel::program::Recording;
use crate::observe::counter::Counter;
use crate::observe::report;
use crate::observe::stats::Stats;
use crate::observe::tape::{TICK, Tape};
use crate::observe::trace::{SIMULATED, Trace};

type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The files that were asked for, open.
#[derive(Default)]
pub struct Files {
    trace: Option<File>,
    report: Option<(PathBuf, File)>,
    stats: bool,
}

/// What is seen.
pub struct Seeing {
    program: Arc<str>,
    say: Say,
    tape: Option<Arc<Tape>>,
    /// Where the report goes, and what it is made of.
    report: Option<(PathBuf, File, File)>,
    stats: Option<Arc<Stats>>,
    counter: Option<Counter>,
}

impl Files {
    /// Opens them: whatever stands in the way is told before the script runs.
    ///
    /// # Errors
    /// What to say.
    pub fn open(options: &SeeOptions) -> Result<Files, String> {
        let mut files = Files { stats: options.stats, ..Files::default() };
        if let Some(path) = &options.trace {
            let cannot = |error: io::Error| format!("cannot write the trace {}: {error}", path.display());
            files.trace = Some(anew(path).map_err(cannot)?);
        }
        if let Some(path) = &options.report {
            let cannot = |error: io::Error| format!("cannot write the report {}: {error}", path.display());
            files.report = Some((path.clone(), File::create(path).map_err(cannot)?));
            if files.trace.is_none() {
                files.trace = Some(nameless().map_err(|error| format!("cannot keep what the report needs: {error}"))?);
            }
        }
        Ok(files)
    }

    /// Begins to see what happens in `kernel`, which runs the script `name`. `say` tells people what goes wrong.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(
        self,
        kernel: &Arc<Kernel>,
        name: &str,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Seeing> {
        let mut seeing = Seeing::of(format!("orch run {name}"), Arc::new(say));
        seeing.stats = self.stats.then(|| Stats::start(kernel));
        if let Some(file) = self.trace {
            leader::measure();
            let pid = if kernel.is_sim() { SIMULATED } else { u64::from(std::process::id()) };
            if !kernel.is_sim() {
                kernel.record_in(Arc::new(file.try_clone()?.into()), kernel.epoch());
            }
            if let Some((path, page)) = self.report {
                seeing.report = Some((path, page, file.try_clone()?));
            }
            let said = seeing.say.clone();
            let trace = Trace::new(file, &seeing.program, pid, Box::new(move |note| said(note)));
            seeing.tape = Some(Tape::start(kernel, trace));
        }
        Ok(seeing)
    }
}

impl Seeing {
    fn of(program: String, say: Say) -> Seeing {
        Seeing { program: program.into(), say, tape: None, report: None, stats: None, counter: Counter::open() }
    }

    /// Begins to see what happens in a worker, and writes it down where its program does.
    ///
    /// # Errors
    /// Those of the system.
    pub fn in_worker(kernel: &Arc<Kernel>, name: &str, recording: Option<Recording>, say: Say) -> io::Result<Seeing> {
        let mut seeing = Seeing::of(format!("process {name:?} of a script"), say);
        if let Some(Recording { file, epoch }) = recording {
            leader::measure();
            let own = File::from(file.try_clone()?);
            kernel.record_in(file, epoch);
            let offset = kernel.epoch().saturating_sub(epoch);
            let pid = u64::from(std::process::id());
            // Its program finds the same, and says so.
            let trace = Trace::continued(own, &format!("process {name}"), pid, offset, Box::new(|_| {}));
            seeing.tape = Some(Tape::start(kernel, trace));
        }
        Ok(seeing)
    }

    /// Waits until the program is over, and meanwhile answers whoever asks and writes out what happens: its status.
    pub fn until_over(&self, kernel: &Arc<Kernel>) -> i32 {
        let sources: Vec<_> = self.counter.iter().map(Counter::source).collect();
        let mut leaving = Leaving::default();
        loop {
            let tick = self.tape.as_ref().filter(|_| !kernel.is_sim()).map(|_| TICK);
            let limit = [tick, leaving.next_look(kernel)].into_iter().flatten().min();
            if let Some(status) = kernel.wait_exit_or(&sources, limit) {
                return status;
            }
            if let Some(tape) = &self.tape {
                tape.tick();
            }
            if let Some(counter) = &self.counter {
                counter.serve(kernel, &self.program);
            }
            if let Some(note) = leaving.look(kernel) {
                (self.say)(&note);
            }
        }
    }

    /// To be called when all that the program started is gone: writes the rest, and what is made of it.
    pub fn finish(&self, kernel: &Kernel) {
        if let Some(tape) = &self.tape {
            tape.finish();
        }
        if let Some((path, page, events)) = &self.report
            && let Err(error) = report::write(events, page, &self.program)
        {
            (self.say)(&format!("note: cannot write the report {}: {error}\n", path.display()));
        }
        if let Some(stats) = &self.stats {
            (self.say)(&stats.table(kernel));
        }
    }
}

/// Opens an empty file in which all that is written goes to the end, whoever writes.
fn anew(path: &Path) -> io::Result<File> {
    File::create(path)?;
    OpenOptions::new().read(true).append(true).open(path).or_else(|_| OpenOptions::new().append(true).open(path))
}

/// A file that nobody else sees, gone when it is closed.
fn nameless() -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let folder = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    match open(&folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system can do that.
        Err(_) => {
            let path = folder.join(format!("orch-{}-{:x}", std::process::id(), fastrand::u64(..)));
            let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
    }
}

//! The folder in which each job leaves what it wrote: `DIR/NUMBER/stdout` and `DIR/NUMBER/stderr`.
//!
//! Where outputs are passed on when jobs are over, the jobs write these files themselves: nothing is copied, and they can be
//! read while a job runs. Where outputs are passed on as they come, orch writes them.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::command::spec::{Output, Spec};
use crate::command::store::Store;
use crate::command::stream::Which;

/// Why an output cannot be kept.
#[derive(Debug)]
pub struct ResultsFault {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for ResultsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "results {}: {}", self.path.display(), self.error)
    }
}

/// See the module.
pub struct Folder {
    path: PathBuf,
    open: HashMap<usize, [File; 2]>,
}

fn at(path: &Path) -> impl Fn(io::Error) -> ResultsFault + '_ {
    |error| ResultsFault { path: path.to_path_buf(), error }
}

impl Folder {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn make(path: &Path) -> Result<Folder, ResultsFault> {
        std::fs::create_dir_all(path).map_err(at(path))?;
        // Jobs may run elsewhere.
        let path = path.canonicalize().map_err(at(path))?;
        Ok(Folder { path, open: HashMap::new() })
    }

    fn file(&self, number: usize, which: Which) -> PathBuf {
        let name = match which {
            Which::Stdout => "stdout",
            Which::Stderr => "stderr",
        };
        self.path.join(number.to_string()).join(name)
    }

    /// A job begins: its files are empty.
    ///
    /// # Errors
    /// Those of the system.
    pub fn begin(&mut self, number: usize) -> Result<(), ResultsFault> {
        let folder = self.path.join(number.to_string());
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let create = |which| {
            let path = self.file(number, which);
            File::create(&path).map_err(at(&path))
        };
        let files = [create(Which::Stdout)?, create(Which::Stderr)?];
        self.open.insert(number, files);
        Ok(())
    }

    /// Lets the job write its files itself, where it has not chosen others.
    pub fn redirect(&self, number: usize, spec: &mut Spec) {
        let append = |which| Output::Append(self.file(number, which));
        if spec.last().stdout == Output::Default {
            spec.last().stdout = append(Which::Stdout);
        }
        for stage in spec.stages.iter_mut().filter(|stage| stage.stderr == Output::Default) {
            stage.stderr = append(Which::Stderr);
        }
    }

    /// Adds what a job has written.
    ///
    /// # Errors
    /// Those of the system.
    pub fn add(&mut self, number: usize, which: Which, bytes: &[u8]) -> Result<(), ResultsFault> {
        let Some([stdout, stderr]) = self.open.get_mut(&number) else {
            return Ok(());
        };
        let file = if which == Which::Stdout { stdout } else { stderr };
        let written = file.write_all(bytes);
        written.map_err(|error| ResultsFault { path: self.file(number, which), error })
    }

    /// A job is over.
    pub fn end(&mut self, number: usize) {
        self.open.remove(&number);
    }

    /// What a job has written.
    ///
    /// # Errors
    /// Those of the system.
    pub fn written(&self, number: usize, which: Which) -> Result<Store, ResultsFault> {
        let path = self.file(number, which);
        File::open(&path).and_then(Store::of_file).map_err(at(&path))
    }
}

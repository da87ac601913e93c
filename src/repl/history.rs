//! What was typed before, in a file that several REPLs share, and that outlasts the editor of each prompt.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use reedline::{FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result, SearchQuery};

/// How many entries are kept.
const MOST: usize = 10_000;

/// See the module.
#[derive(Clone)]
pub struct Remembered(Arc<Mutex<FileBackedHistory>>);

impl Remembered {
    /// The history in this file; without one, that of this session only.
    ///
    /// # Errors
    /// What is wrong with the file. There is no history without one then.
    pub fn open(file: Option<PathBuf>) -> io::Result<Remembered> {
        let history = match file {
            None => FileBackedHistory::new(MOST).map_err(io::Error::other)?,
            Some(file) => {
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                // What is typed may be nobody else's business.
                OpenOptions::new().append(true).create(true).mode(0o600).open(&file)?;
                FileBackedHistory::with_file(MOST, file).map_err(io::Error::other)?
            }
        };
        Ok(Remembered(Arc::new(Mutex::new(history))))
    }

    /// Writes down what is new, and takes in what others have written.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write_down(&self) -> io::Result<()> {
        self.0.lock().sync()
    }
}

/// Where the history is kept: `ORCH_HISTORY`, or `orch/history` in the folder for the state of programs. `None` when there is
/// none to be kept.
pub fn file() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("ORCH_HISTORY") {
        return (!chosen.is_empty()).then(|| chosen.into());
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("orch/history"))
}

impl History for Remembered {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        self.0.lock().save(item)
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.lock().load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.lock().count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.lock().search(query)
    }

    fn update(&mut self, id: HistoryItemId, updater: &dyn Fn(HistoryItem) -> HistoryItem) -> Result<()> {
        self.0.lock().update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.lock().clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.lock().delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.lock().sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.lock().session()
    }
}

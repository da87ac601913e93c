//! The page of `--report`: made from the trace of the run, when the run is over.
//!
//! ```text
//!   trace ── read ──► Run (tasks, waits, commands, holds, what went wrong)
//!                      │ sums: tables     path: the critical path
//!                      ▼
//!                     page: one HTML file, the tables in it as they are, the timeline drawn by its script
//! ```

pub mod page;
pub mod path;
pub mod read;
pub mod sums;

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};

/// Makes the page of `program` from its trace.
///
/// # Errors
/// Those of the system.
pub fn write(mut trace: &File, mut page: &File, program: &str) -> io::Result<()> {
    trace.seek(SeekFrom::Start(0))?;
    let run = read::run(BufReader::new(trace))?;
    page.write_all(page::html(&run, program).as_bytes())
}

//! How many commands are to be run, and what becomes of all of them.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::admission::Limits;
use super::arrange::Order;
use super::halt::Policy;
use super::joblog::LogFault;
use super::results::ResultsFault;
use super::retry::Retries;
use super::summary::Summary;
use crate::command::completed::Completed;
use crate::command::fault::CommandFault;
use crate::kernel::Stop;

/// How jobs are to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// So many at once.
    pub at_once: usize,
    /// In which order outputs are passed on; `None`: they are not.
    pub order: Option<Order>,
    /// Lines begin with the job's tag.
    pub tagged: bool,
    /// How often a failed job is tried again.
    pub retries: Retries,
    /// How long a job may take that does not say so itself.
    pub timeout: Option<Duration>,
    /// When to stop early.
    pub halt: Policy,
    /// The job log.
    pub joblog: Option<PathBuf>,
    /// Jobs that the log calls done are not run again.
    pub resume: bool,
    /// The folder for outputs.
    pub results: Option<PathBuf>,
    /// What the machine needs to have.
    pub limits: Limits,
    /// What jobs wrote is kept in their results.
    pub keeps: bool,
}

/// Why not all jobs could be seen through.
#[derive(Debug)]
pub enum BatchFault {
    /// The job log.
    Log(LogFault),
    /// The folder for outputs.
    Results(ResultsFault),
    /// Where outputs are passed on to.
    Output(io::Error),
    /// A command could not be watched over.
    Command(CommandFault),
    /// The wait was ended.
    Stopped(Stop),
    /// Whoever was told of a job that is over did not want to go on.
    GivenUp,
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchFault::Log(fault) => fault.fmt(f),
            BatchFault::Results(fault) => fault.fmt(f),
            BatchFault::Output(error) => write!(f, "cannot pass outputs on: {error}"),
            BatchFault::Command(fault) => fault.fmt(f),
            BatchFault::Stopped(_) => f.write_str("the wait for commands was ended"),
            BatchFault::GivenUp => f.write_str("the commands were given up"),
        }
    }
}

impl From<LogFault> for BatchFault {
    fn from(fault: LogFault) -> Self {
        BatchFault::Log(fault)
    }
}

impl From<ResultsFault> for BatchFault {
    fn from(fault: ResultsFault) -> Self {
        BatchFault::Results(fault)
    }
}

impl From<CommandFault> for BatchFault {
    fn from(fault: CommandFault) -> Self {
        match fault {
            CommandFault::Stopped(stop) => BatchFault::Stopped(stop),
            fault => BatchFault::Command(fault),
        }
    }
}

/// What became of all jobs.
#[derive(Debug)]
pub struct Report {
    /// By job; `None` for those that were not run, and for all when results are not kept.
    pub results: Vec<Option<Arc<Completed>>>,
    /// What failed.
    pub summary: Summary,
    /// The exit status GNU parallel would have.
    pub status: i32,
    /// How many jobs the job log called done.
    pub skipped: usize,
}

/// Who hears of each job that is over: its number, from 0, and its result. Says whether to go on.
pub type OnOver<'a> = &'a mut dyn FnMut(usize, &Arc<Completed>) -> ControlFlow<()>;

//! What can go wrong with a database. Every fault says which file it was, and which statement.

use std::fmt;
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::kernel::Stop;
use crate::kernel::offload::OffloadFault;
use crate::sync::Fault;

/// How much of a statement is shown.
const SHOWN: usize = 200;

/// Why a call on a database failed.
#[derive(Debug)]
pub enum SqlFault {
    /// The wait was ended.
    Stopped(Stop),
    /// Something about the line in which those stand who want to write.
    Line(Fault),
    /// It was closed.
    Closed(String),
    /// There is no such folder.
    NotFound(String),
    /// What was asked makes no sense, or not with what is stored there.
    Refused(Said),
    /// The system's or the file's fault.
    Failed(Said),
}

/// What is said of a fault.
#[derive(Debug)]
pub struct Said {
    /// In words, with file and statement.
    pub message: String,
    /// The statement.
    pub sql: String,
    /// SQLite's number for it (its "extended result code"), where it is SQLite's.
    pub code: Option<i32>,
}

impl From<Fault> for SqlFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Stopped(stop) => SqlFault::Stopped(stop),
            fault => SqlFault::Line(fault),
        }
    }
}

impl From<Stop> for SqlFault {
    fn from(stop: Stop) -> Self {
        SqlFault::Stopped(stop)
    }
}

impl fmt::Display for SqlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlFault::Stopped(stop) => write!(f, "{}", Fault::Stopped(stop.clone())),
            SqlFault::Line(fault) => write!(f, "{fault}"),
            SqlFault::Closed(label) => write!(f, "{label} is closed"),
            SqlFault::NotFound(message) => f.write_str(message),
            SqlFault::Refused(said) | SqlFault::Failed(said) => f.write_str(&said.message),
        }
    }
}

/// A statement in a file, for what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: String,
    pub sql: String,
}

impl Place {
    pub fn new(path: &Path, sql: &str) -> Place {
        Place { path: path.display().to_string(), sql: sql.to_string() }
    }

    fn say(&self, words: &str, code: Option<i32>) -> Said {
        let path = &self.path;
        let message = match self.sql.trim() {
            "" => format!("{words} ({path})"),
            sql => format!("{words}, in \"{}\" ({path})", shortened(sql)),
        };
        Said { message, sql: self.sql.clone(), code }
    }

    /// The statement is wrong.
    pub fn refused(&self, words: &str) -> SqlFault {
        SqlFault::Refused(self.say(words, None))
    }

    /// The system does not do it.
    pub fn failed(&self, words: &str) -> SqlFault {
        SqlFault::Failed(self.say(words, None))
    }

    /// What SQLite says.
    pub fn fault(&self, error: &rusqlite::Error) -> SqlFault {
        let (code, extended) = match error {
            rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
                (Some(error.code), Some(error.extended_code))
            }
            _ => (None, None),
        };
        let words = match error {
            _ if code == Some(ErrorCode::DatabaseBusy) => "another program keeps the database locked".to_string(),
            rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
            rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
            rusqlite::Error::MultipleStatement => "with arguments there can be one statement only".to_string(),
            rusqlite::Error::NulError(_) => "the text has a character of value 0 in it".to_string(),
            error => error.to_string(),
        };
        let said = self.say(&words, extended);
        match code {
            None
            | Some(
                ErrorCode::Unknown
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::TooBig
                | ErrorCode::AuthorizationForStatementDenied,
            ) => SqlFault::Refused(said),
            Some(_) => SqlFault::Failed(said),
        }
    }

    /// What keeps a call from being made beside the task.
    pub fn not_made(&self, fault: OffloadFault) -> SqlFault {
        match fault {
            OffloadFault::Stop(stop) => SqlFault::Stopped(stop),
            OffloadFault::NoThread(error) => self.system("cannot start a thread", &error),
        }
    }

    /// What the system says.
    pub fn system(&self, what: &str, error: &io::Error) -> SqlFault {
        self.failed(&format!("{what}: {error}"))
    }
}

/// The text in one line, cut where it is long.
fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_statements_are_cut_and_lines_joined() {
        assert_eq!(shortened("SELECT\n  1 "), "SELECT 1");
        let long = format!("SELECT '{}'", "ä".repeat(300));
        assert_eq!(shortened(&long).chars().count(), 202);
    }
}

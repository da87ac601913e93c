//! What can go wrong with a request. Every fault names the URL, or the file.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::answer::Answer;
use crate::kernel::Stop;
use crate::kernel::offload::OffloadFault;

/// Why a request failed.
#[derive(Debug)]
pub enum HttpFault {
    /// The wait was ended.
    Stopped(Stop),
    /// It took longer than it may.
    TimedOut(String, Duration),
    /// The server says that it cannot or will not.
    Status(Box<Answer>),
    /// The connection or the server's answer is at fault: the URL, and why.
    Failed(String, String),
    /// The file that the answer was to go to.
    File(PathBuf, io::Error),
}

impl HttpFault {
    /// Of a call that was made beside the task.
    pub(super) fn not_made(fault: OffloadFault, url: &str, limit: Option<Duration>) -> HttpFault {
        match (fault, limit) {
            (OffloadFault::Stop(Stop::TimedOut), Some(limit)) => HttpFault::TimedOut(url.to_string(), limit),
            (OffloadFault::Stop(stop), _) => HttpFault::Stopped(stop),
            (OffloadFault::NoThread(error), _) => {
                HttpFault::Failed(url.to_string(), format!("cannot start a thread: {error}"))
            }
        }
    }
}

/// What ureq says, in words.
pub(super) fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => {
            let text = error.to_string();
            let unknown = text.contains("UnknownIssuer");
            if unknown { format!("{text} (SSL_CERT_FILE can name a file with more to trust)") } else { text }
        }
        ureq::Error::HostNotFound => "there is no such host".into(),
        error => error.to_string(),
    }
}

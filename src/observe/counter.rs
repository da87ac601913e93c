//! Where a running orch is asked what it does: a socket that is named after its process, for its user alone.
//!
//! Who connects is told a [`Snapshot`] and nothing else can be said to it. Both sides look at whom they speak to: the name
//! of an abstract socket is free for all to take.

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, getuid};

use super::snapshot::Snapshot;
use crate::kernel::{Kernel, Source, threads};

/// How long whoever asks may take to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Counter {
    listener: UnixListener,
    descriptor: Arc<OwnedFd>,
}

/// Why nobody answered.
#[derive(Debug)]
pub enum NoAnswer {
    /// There is no such process.
    NoProcess,
    /// It belongs to somebody else.
    NotYours,
    /// It is no orch that runs something.
    NotOrch,
    /// It was orch, and then it did not answer.
    Failed(io::Error),
}

fn address(pid: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("orch-run-{pid}"))
}

impl Counter {
    /// Opens the one of this process. `None` where the system refuses: then nobody can ask, and nothing else is different.
    pub fn open() -> Option<Counter> {
        let listener = UnixListener::bind_addr(&address(std::process::id()).ok()?).ok()?;
        listener.set_nonblocking(true).ok()?;
        let descriptor = Arc::new(listener.try_clone().ok()?.into());
        Some(Counter { listener, descriptor })
    }

    /// Ready when somebody asks.
    pub fn source(&self) -> Source {
        Source::readable(&self.descriptor)
    }

    /// Answers whoever asks now, each on a thread of its own.
    pub fn serve(&self, kernel: &Arc<Kernel>, program: &Arc<str>) {
        while let Ok((stream, _)) = self.listener.accept() {
            let may_know = socket_peercred(&stream).is_ok_and(|peer| peer.uid == getuid() || peer.uid == Uid::ROOT);
            if !may_know {
                continue;
            }
            let (kernel, program) = (kernel.clone(), program.clone());
            // Without a thread it gets no answer, and sees that.
            let _unanswered = threads::run(Box::new(move || {
                let told = tell(stream, &Snapshot::take(&kernel, &program));
                drop((kernel, told));
            }));
        }
    }
}

fn tell(mut stream: UnixStream, snapshot: &Snapshot) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&serde_json::to_vec(snapshot)?)
}

/// Asks the orch that is process `pid`.
///
/// # Errors
/// [`NoAnswer`].
pub fn ask(pid: u32) -> Result<Snapshot, NoAnswer> {
    let stream = address(pid).and_then(|address| UnixStream::connect_addr(&address));
    let mut stream = stream.map_err(|_| stranger(pid))?;
    let peer = socket_peercred(&stream).map_err(|error| NoAnswer::Failed(error.into()))?;
    if peer.pid.as_raw_nonzero().get().cast_unsigned() != pid {
        return Err(stranger(pid));
    }
    if peer.uid != getuid() && getuid() != Uid::ROOT {
        return Err(NoAnswer::NotYours);
    }
    let mut said = Vec::new();
    let heard = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_to_end(&mut said));
    heard.map_err(NoAnswer::Failed)?;
    serde_json::from_slice(&said).map_err(|error| NoAnswer::Failed(error.into()))
}

/// What a process is that has no counter of its own.
fn stranger(pid: u32) -> NoAnswer {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(format!("/proc/{pid}")) {
        Err(_) => NoAnswer::NoProcess,
        Ok(about) if about.uid() != getuid().as_raw() && getuid() != Uid::ROOT => NoAnswer::NotYours,
        Ok(_) => NoAnswer::NotOrch,
    }
}

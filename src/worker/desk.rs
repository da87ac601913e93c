//! The worker's own side: what it is told, and what it says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::fcntl_dupfd_cloexec;

use super::pipe::{Incoming, Outgoing};
use super::wire::{Descriptors, FromWorker, Letter, ToWorker};
use crate::kernel::door::block_through;
use crate::kernel::program::Recording;
use crate::kernel::{Enders, Kernel, ObjectCore, Operation, Site, Source, Waitable, Waker};

/// Who this worker is.
pub struct Papers {
    /// The name of the process.
    pub name: String,
    /// The script's arguments.
    pub args: Vec<String>,
    /// The program does not wait for it.
    pub daemon: bool,
    /// The name of the process that started it.
    pub parent: String,
    /// Where what happens is written down.
    pub recording: Option<Recording>,
    /// The path of the script that was started, if it came from a file.
    pub script: Option<String>,
    /// The folder in which that was.
    pub folder: String,
    /// Where modules are looked for that do not lie beside the script that imports them.
    pub path: Vec<String>,
    socket: Arc<OwnedFd>,
    incoming: Incoming,
}

impl Papers {
    /// Takes the socket from where the standard input is, which is nothing from then on, and waits for the first message.
    ///
    /// # Errors
    /// Those of the system, and when nobody says who this is.
    pub fn receive() -> io::Result<Papers> {
        let socket = fcntl_dupfd_cloexec(io::stdin(), 3)?;
        rustix::stdio::dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
        // Until the first message there is nothing else to do.
        set_nonblocking(&socket, false)?;
        let socket = Arc::new(socket);
        let mut incoming = Incoming::new(socket.clone());
        let mut first = incoming.take()?;
        while first.is_none() && !incoming.has_ended() {
            first = incoming.take()?;
        }
        match first {
            Some(Letter {
                message: ToWorker::Begin { name, args, daemon, parent, script, folder, path, recorded },
                descriptors,
            }) => {
                set_nonblocking(&socket, true)?;
                let file = descriptors.into_iter().next();
                let recording = recorded.zip(file).map(|(epoch, file)| Recording { file, epoch });
                Ok(Papers { name, args, daemon, parent, script, folder, path, recording, socket, incoming })
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "orch starts workers itself, with a socket")),
        }
    }
}

fn set_nonblocking(socket: impl AsFd, on: bool) -> io::Result<()> {
    let flags = fcntl_getfl(&socket)?;
    let flags = if on { flags | OFlags::NONBLOCK } else { flags - OFlags::NONBLOCK };
    Ok(fcntl_setfl(&socket, flags)?)
}

/// See the module.
pub struct Desk {
    core: Arc<ObjectCore>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
}

impl Desk {
    /// The desk of this worker, in its program.
    pub fn new(kernel: &Arc<Kernel>, papers: Papers) -> Arc<Desk> {
        Arc::new(Desk {
            core: ObjectCore::new_in(kernel, "Worker", Site::NONE),
            incoming: Mutex::new(papers.incoming),
            outgoing: Mutex::new(Outgoing::new(papers.socket)),
        })
    }

    /// An operation that waits for the next message; `None` when the main process is gone or says what nobody can read.
    pub fn reading(self: &Arc<Self>) -> Reading {
        Reading(self.clone())
    }

    /// Says something and waits until it is out, whatever happens but the end of the program.
    pub fn say(self: &Arc<Self>, message: &FromWorker) {
        self.note(message, Descriptors::new());
        self.send();
    }

    /// Says something with what is said next, and descriptors that belong to it.
    pub fn note(&self, message: &FromWorker, descriptors: Descriptors) {
        // None of the messages can fail to be written down, and nobody packs more descriptors than go.
        let _written = self.outgoing.lock().put(message, descriptors);
    }

    /// Waits until everything is out that was said.
    pub fn send(self: &Arc<Self>) {
        // At the end of the program nobody reads it any more.
        let _out = block_through(&mut Saying(self.clone()), None);
    }

    /// Says that this worker ends by itself. It does not wait: there is always room for this, unless nobody reads.
    pub fn leave(&self) {
        let mut outgoing = self.outgoing.lock();
        // As above.
        let _written = outgoing.put(&FromWorker::Leaving, Descriptors::new());
        outgoing.flush();
    }
}

impl Waitable for Desk {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

/// See [`Desk::reading`].
pub struct Reading(Arc<Desk>);

impl Operation for Reading {
    type Output = Option<Letter<ToWorker>>;

    fn poll(&mut self, _waker: &Waker) -> Poll<Option<Letter<ToWorker>>> {
        let mut incoming = self.0.incoming.lock();
        match incoming.take() {
            Ok(Some(message)) => Poll::Ready(Some(message)),
            Ok(None) if incoming.has_ended() => Poll::Ready(None),
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.clone()
    }

    fn verb(&self) -> &'static str {
        "read"
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn sources(&self) -> Vec<Source> {
        self.0.incoming.lock().source().into_iter().collect()
    }
}

struct Saying(Arc<Desk>);

impl Operation for Saying {
    type Output = ();

    fn poll(&mut self, _waker: &Waker) -> Poll<()> {
        if self.0.outgoing.lock().flush() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.clone()
    }

    fn verb(&self) -> &'static str {
        "write"
    }

    fn sources(&self) -> Vec<Source> {
        self.0.outgoing.lock().source().into_iter().collect()
    }
}

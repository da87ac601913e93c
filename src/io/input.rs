//! The standard input, line by line, and the terminal behind it.
//!
//! Nothing is read beyond the line that is asked for: the rest belongs to the commands that inherit the input. What has come of
//! a line is kept for all who ask, so that lines of several who ask at once do not mix.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;

use super::fault::FileFault;
use crate::command::environment;
use crate::kernel::readiness::ready_now;
use crate::kernel::{Enders, ObjectCore, Operation, Source, Waitable, Waker, block};

/// What has come of the next line.
static BEGUN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// How wide a terminal is when nothing tells.
const USUAL_WIDTH: usize = 80;

/// The next line, without its line end.
///
/// # Errors
/// [`FileFault`].
pub fn read_line() -> Result<String, FileFault> {
    let failed = |error: io::Error| FileFault::System("cannot read the standard input".into(), error);
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let line =
        block(&mut Asking { input: Arc::new(Input(ObjectCore::new("Input"))), descriptor: Arc::new(input) }, None)?;
    let mut line = line.map_err(|error| failed(error.into()))?.ok_or(FileFault::EndOfInput)?;
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line)
        .map_err(|error| FileFault::NotText("the standard input".into(), error.utf8_error().valid_up_to() as u64))
}

struct Input(Arc<ObjectCore>);

impl Waitable for Input {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.0
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

struct Asking {
    input: Arc<Input>,
    descriptor: Arc<OwnedFd>,
}

impl Operation for Asking {
    type Output = Result<Option<Vec<u8>>, Errno>;

    fn poll(&mut self, _waker: &Waker) -> Poll<Self::Output> {
        let mut begun = BEGUN.lock();
        while !ready_now(&[Source::readable(&self.descriptor)]).is_empty() {
            let mut byte = [0];
            match rustix::io::read(&self.descriptor, &mut byte) {
                Ok(0) if begun.is_empty() => return Poll::Ready(Ok(None)),
                Ok(count) if count == 0 || byte == *b"\n" => return Poll::Ready(Ok(Some(std::mem::take(&mut begun)))),
                Ok(_) => begun.push(byte[0]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.input.clone()
    }

    fn verb(&self) -> &'static str {
        "ask"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::readable(&self.descriptor)]
    }
}

/// How many columns the terminal has: what `COLUMNS` says, else the terminal itself; 80 when there is none.
pub fn width() -> usize {
    let said = environment::get("COLUMNS").and_then(|columns| columns.to_str()?.parse::<usize>().ok());
    let of_terminal = || {
        let sizes = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stderr()), tcgetwinsize(io::stdin())];
        sizes.into_iter().flatten().map(|size| usize::from(size.ws_col)).find(|columns| *columns > 0)
    };
    said.filter(|columns| *columns > 0).or_else(of_terminal).unwrap_or(USUAL_WIDTH)
}

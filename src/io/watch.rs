//! What happens to a file, or in a folder, as the system tells it (inotify).
//!
//! A file is watched by way of its folder: editors do not write to a file, they put another one in its place.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::fault::FileFault;
use crate::kernel::{Enders, ObjectCore, Operation, Source, Waitable, Waker, block, door};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `created`, `modified`, `removed`, or `lost` when the system could not keep up.
    pub kind: &'static str,
    /// To what.
    pub path: PathBuf,
}

#[derive(Default)]
struct State {
    changes: VecDeque<Change>,
    ended: bool,
}

/// See the module.
pub struct Watch {
    core: Arc<ObjectCore>,
    inotify: Arc<OwnedFd>,
    folder: PathBuf,
    /// The file that is meant, if it is not the folder itself.
    name: Option<OsString>,
    path: PathBuf,
    state: Mutex<State>,
}

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn begin(path: &Path) -> Result<Arc<Watch>, FileFault> {
        door::enter()?;
        let failed = |error: Errno| FileFault::at("watch", path, error);
        let is_folder = std::fs::metadata(path).map_err(|error| FileFault::at("watch", path, error))?.is_dir();
        let (folder, name) = match path.file_name().filter(|_| !is_folder) {
            Some(name) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                (folder, Some(name.to_os_string()))
            }
            None => (path, None),
        };
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let happens = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, folder, happens).map_err(failed)?;
        let core = ObjectCore::new("Watch");
        core.set_name(&path.display().to_string());
        Ok(Arc::new(Watch {
            core,
            inotify: Arc::new(inotify),
            folder: folder.into(),
            name,
            path: path.into(),
            state: Mutex::default(),
        }))
    }

    /// Waits for the next change, at most `limit`; `None` when what was watched is gone.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn next(self: &Arc<Self>, limit: Option<Duration>) -> Result<Option<Change>, FileFault> {
        block(&mut Looking(self.clone()), limit)?
    }

    /// Takes in what the system has to tell.
    fn look(&self, state: &mut State) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                state.note("lost", self.path.clone());
                continue;
            }
            if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED) {
                if !state.ended {
                    state.note("removed", self.path.clone());
                }
                state.ended = true;
                continue;
            }
            let name = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec())).unwrap_or_default();
            let path = match &self.name {
                None => self.folder.join(&name),
                Some(mine) if *mine == name => self.path.clone(),
                Some(_) => continue,
            };
            if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                state.note("created", path);
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                state.note("removed", path);
            } else if flags.contains(ReadFlags::MODIFY) {
                state.note("modified", path);
            }
        }
    }
}

impl State {
    /// The same twice in a row, which nobody has heard of yet, is told once.
    fn note(&mut self, kind: &'static str, path: PathBuf) {
        let change = Change { kind, path };
        if self.changes.back() != Some(&change) {
            self.changes.push_back(change);
        }
    }
}

impl Waitable for Watch {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

struct Looking(Arc<Watch>);

impl Operation for Looking {
    type Output = Result<Option<Change>, FileFault>;

    fn poll(&mut self, _waker: &Waker) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        if state.changes.is_empty()
            && !state.ended
            && let Err(error) = self.0.look(&mut state)
        {
            return Poll::Ready(Err(FileFault::at("watch", &self.0.path, error)));
        }
        match state.changes.pop_front() {
            Some(change) => Poll::Ready(Ok(Some(change))),
            None if state.ended => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.clone()
    }

    fn verb(&self) -> &'static str {
        "watch"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::readable(&self.0.inotify)]
    }
}

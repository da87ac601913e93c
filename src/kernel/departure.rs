//! When processes end that nobody waits for just then: what runs beside a script is often waited for late, and how long it
//! took is asked then.
//!
//! One thread sees to all of them, as long as there are any. It only writes down the time: whoever waits finds out by itself.
//!
//! Invariant: a descriptor is watched from [`watch`] until its [`Departure`] is dropped, and no longer.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::threads;

/// How often the thread looks whether there is still something to watch.
const LOOK: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// A process whose end is watched.
pub struct Departure {
    key: u64,
    at: Arc<OnceLock<Instant>>,
}

#[derive(Default)]
struct Table {
    epoll: Option<Arc<OwnedFd>>,
    watched: BTreeMap<u64, (Arc<OwnedFd>, Arc<OnceLock<Instant>>)>,
    issued: u64,
    is_served: bool,
}

static TABLE: Mutex<Table> = Mutex::new(Table { epoll: None, watched: BTreeMap::new(), issued: 0, is_served: false });

/// Watches a process by its pidfd; `None` where the system has nothing left for that: its end is then noticed when somebody
/// waits for it.
pub fn watch(pidfd: &Arc<OwnedFd>) -> Option<Departure> {
    let mut table = TABLE.lock();
    let epoll = match &table.epoll {
        Some(epoll) => epoll.clone(),
        None => {
            let made = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).ok()?);
            table.epoll.insert(made).clone()
        }
    };
    table.issued += 1;
    let (key, at) = (table.issued, Arc::<OnceLock<Instant>>::default());
    epoll::add(&epoll, pidfd, epoll::EventData::new_u64(key), epoll::EventFlags::IN).ok()?;
    table.watched.insert(key, (pidfd.clone(), at.clone()));
    let departure = Departure { key, at };
    if !table.is_served {
        table.is_served = threads::run(Box::new(move || serve(&epoll))).is_ok();
        if !table.is_served {
            drop(table);
            return None;
        }
    }
    Some(departure)
}

impl Departure {
    /// How long ago it ended; `None` as long as that was not seen.
    pub fn ago(&self) -> Option<Duration> {
        self.at.get().map(Instant::elapsed)
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        TABLE.lock().forget(self.key);
    }
}

impl Table {
    fn forget(&mut self, key: u64) -> Option<Arc<OnceLock<Instant>>> {
        let (pidfd, at) = self.watched.remove(&key)?;
        if let Some(epoll) = &self.epoll {
            // It is watched as long as it is listed.
            let _watched = epoll::delete(epoll, &pidfd);
        }
        Some(at)
    }
}

fn serve(epoll: &OwnedFd) {
    loop {
        let mut events = Vec::with_capacity(64);
        // It fails when a signal comes, and then this is asked again.
        let _count = epoll::wait(epoll, spare_capacity(&mut events), Some(&LOOK));
        let now = Instant::now();
        let mut table = TABLE.lock();
        for event in &events {
            if let Some(at) = table.forget(event.data.u64()) {
                at.get_or_init(|| now);
            }
        }
        if table.watched.is_empty() {
            table.is_served = false;
            return;
        }
    }
}

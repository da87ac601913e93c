//! An error that ended a task, kept for whoever asks.
//!
//! Invariant: it is told exactly once, to the one who asks first (`join`, `result`, `exception`, a callback; of the jobs of one `map`, the first for all) or, when it
//! is dropped or the program ends and nobody has asked, to the person at the terminal; then the program's status says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rhai::{Dynamic, EvalAltResult, Map, Position};

use super::caught::crossing_map;
use super::host::{Host, host};
use super::parcel::make_content_over;
use super::report;
use super::throw::Thrown;
use crate::kernel::Holder;

/// See the module.
pub struct Failure {
    map: Map,
    asked: AtomicBool,
    host: Arc<Host>,
}

impl Failure {
    /// The failure of the current task with `error`, which happened in a call from `source`.
    pub fn of(error: Thrown, source: Option<&str>) -> Arc<Failure> {
        let host = host();
        let mut map = crossing_map(&host, error, source);
        // An error can carry handles; who may ask for it is not known.
        map.values_mut().for_each(|field| make_content_over(field, &Holder::Outside));
        let failure = Arc::new(Failure { map, asked: AtomicBool::new(false), host: host.clone() });
        host.watch(&failure);
        failure
    }

    /// One that nobody needs to be told of: a cancellation.
    pub fn untold(error: Thrown, source: Option<&str>) -> Arc<Failure> {
        let failure = Self::of(error, source);
        failure.asked.store(true, Ordering::Release);
        failure
    }

    /// The failure of a process, with this error. `told`: nobody needs to be told of it.
    pub fn arrived(map: Map, told: bool) -> Arc<Failure> {
        let host = host();
        let failure = Arc::new(Failure { map, asked: AtomicBool::new(told), host: host.clone() });
        host.watch(&failure);
        failure
    }

    /// An error of orch's own: a bug.
    pub fn internal(message: &str) -> Arc<Failure> {
        let text = format!("orch itself failed: {message}. This is a bug in orch; please report it");
        let map = Map::from([("kind".into(), "InternalError".into()), ("message".into(), text.into())]);
        Self::of(EvalAltResult::ErrorRuntime(map.into(), Position::NONE).into(), None)
    }

    /// The map that a script catches. Whoever calls this has asked.
    pub fn ask(&self) -> Map {
        self.asked.store(true, Ordering::Release);
        let mut map = self.map.clone();
        map.values_mut().for_each(|field: &mut Dynamic| make_content_over(field, &Holder::current()));
        map
    }

    /// Nobody needs to be told of it: it is one of many whose first was thrown.
    pub fn count_as_seen(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// The error, to throw again at `position`.
    pub fn thrown(&self, position: Position) -> Thrown {
        EvalAltResult::ErrorRuntime(self.ask().into(), position).into()
    }

    /// Its kind.
    pub fn kind(&self) -> String {
        self.map.get("kind").map_or_else(String::new, ToString::to_string)
    }

    /// Tells the person at the terminal, if nobody has asked.
    pub fn tell(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.host.note_status(report::status_of(&self.map));
            self.host.say(&report::uncaught(&self.host, &self.map));
        }
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        self.tell();
    }
}

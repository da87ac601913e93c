//! `select`.

use rhai::plugin::*;
use rhai::{Dynamic, Map, NativeCallContext};

use crate::script::first::first;
use crate::script::throw::Outcome;

#[export_module]
pub mod functions {
    /// Waits for the first of several things that is ready: a queue (its next item is taken), a connection (its next
    /// message is received), an event, a lock or
    /// semaphore (held now), a future or thread (its result), a command (its end). Returns a map: `source` as it was passed, its `index`, and
    /// `value`: the item, the result, the `Completed`, or true. Of several that are ready, the first listed. In a process, what it was
    /// given and what it has made can be waited for at once.
    ///
    /// # Errors
    /// The error of a thread, future or command; `Closed` of a queue or connection; `EndOfFile` of a connection; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let q = Queue();
    /// let stop = Event();
    /// q.put("work");
    /// let r = select([stop, q]);
    /// assert(r.index == 1 && r.value == "work");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn select(ctx: NativeCallContext, sources: Dynamic) -> Outcome<Map> {
        first(&ctx, sources, &Dynamic::UNIT)
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `select(sources)`.
    ///
    /// ```rhai
    /// try { select([Event()], 0.1); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "select", return_raw)]
    pub fn select_within(ctx: NativeCallContext, sources: Dynamic, timeout: Dynamic) -> Outcome<Map> {
        first(&ctx, sources, &timeout)
    }
}

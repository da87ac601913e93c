//! Callbacks on futures that live in another process than the one that gives them.
//!
//! A callback is a function of the process that gives it, and runs there: a thread of that process waits for the future, and then
//! calls what was given meanwhile, in the order in which it was given. The process does not end before that.
//!
//! Invariant: each callback is called once; one that is given while others wait or run is called after them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{Dynamic, NativeCallContext};

use super::api::future::run_callback;
use super::done::Done;
use super::function::Callable;
use super::handles::{far_object, identity};
use super::host::{Host, host, run_in};
use super::iterate::Place;
use super::parcel::{Parcel, make_content_over};
use super::tasks;
use super::throw::{Outcome, call};
use crate::exec::Thread;
use crate::kernel::{Holder, Role, with_current};

/// The process, which is always the same one but under simulated time, and the future.
type Key = (u64, u64);

/// See the module.
#[derive(Default)]
pub struct DoneCalls(Mutex<HashMap<Key, Vec<Callable>>>);

/// What becomes of a callback.
enum Given {
    /// It is called after others.
    Behind,
    /// It is the first that waits.
    First,
    /// There is nothing to wait for.
    Late,
}

impl DoneCalls {
    fn give(&self, key: Key, function: &Callable, is_over: bool) -> Given {
        let mut all = self.0.lock();
        match all.get_mut(&key) {
            Some(waiting) => {
                waiting.push(function.clone());
                Given::Behind
            }
            None if is_over => Given::Late,
            None => {
                all.insert(key, vec![function.clone()]);
                Given::First
            }
        }
    }

    /// Nobody will call them.
    fn forget(&self, key: Key) {
        let forgotten = self.0.lock().remove(&key);
        // What they captured may be the last of something.
        drop(forgotten);
    }

    /// What is to be called next; `None` when there is nothing more, and whoever gives one now is the first again.
    fn take(&self, key: Key) -> Option<Vec<Callable>> {
        let mut all = self.0.lock();
        let waiting = all.get_mut(&key).map(std::mem::take).filter(|waiting| !waiting.is_empty());
        if waiting.is_none() {
            all.remove(&key);
        }
        waiting
    }
}

/// Calls `f` with `future`, which lives in another process, when that is over; at once when it is already.
///
/// # Errors
/// `CaptureError`, `TypeError` as for a thread; those of a call to where the future lives.
pub fn add(ctx: &NativeCallContext, future: &Dynamic, f: Dynamic) -> Outcome<()> {
    let function = Callable::for_other(ctx, "f", f, &Holder::Outside)?;
    let host = host();
    let number = far_object(future).map_or_else(|| identity(future).0, |object| object.entry());
    let key = (with_current(|task| task.process()), number);
    let is_over = ask(ctx, "done", future)?.as_bool() == Ok(true);
    match host.done_calls().give(key, &function, is_over) {
        Given::Behind => Ok(()),
        Given::Late => {
            run_callback(&host, &function, future.clone());
            Ok(())
        }
        Given::First => {
            let thread = Thread::<Done>::new(host.kernel(), "callbacks", Role::Thread, false);
            let (place, future, of) = (Place::of(ctx, "add_done_callback"), future.clone(), host.clone());
            thread.give(move || attend(&of, &place, key, future));
            call(ctx, || thread.start()).inspect_err(|_| host.done_calls().forget(key))
        }
    }
}

fn ask(ctx: &NativeCallContext, name: &str, future: &Dynamic) -> Outcome<Dynamic> {
    ctx.call_native_fn_raw(name, true, &mut [&mut future.clone()])
}

/// What the thread does.
fn attend(host: &Arc<Host>, place: &Place, key: Key, mut future: Dynamic) -> Done {
    make_content_over(&mut future, &Holder::current());
    let waited = run_in(host, || place.call(|ctx| ask(ctx, "wait", &future).map(drop)));
    if let Err(error) = waited {
        host.done_calls().forget(key);
        return run_in(host, || tasks::failed(error, None));
    }
    while let Some(functions) = host.done_calls().take(key) {
        functions.iter().for_each(|function| run_callback(host, function, future.clone()));
    }
    tasks::forget_task();
    Done::Value(Parcel::plain(Dynamic::UNIT))
}

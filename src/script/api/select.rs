//! `select`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::command::fault::CommandFault;
use crate::kernel::block;
use crate::script::api::child::judged;
use crate::script::api::connection::unpacked;
use crate::script::api::future::result_of;
use crate::script::arguments::{list, seconds, type_for_people};
use crate::script::command::Completed;
use crate::script::far;
use crate::script::handles::{Child, Connection, Event, Future, Lock, Process, Queue, RwSide, Semaphore, Thread};
use crate::script::luggage::Packed;
use crate::script::parcel::Parcel;
use crate::script::throw::{IntoThrown, Outcome, call, call_within, throw};
use crate::sync::Fault;
use crate::sync::select::{Arm, Mapped, Select};
use crate::worker::connection::ConnectionFault;

/// What an arm gives.
enum Ready {
    /// An item of a queue.
    Item(Result<Parcel, Fault>),
    /// A permit that is held now, or an event that is set.
    Held,
    /// A lock that is held now, if need be with a word about its last owner.
    Owned(Result<(), Fault>),
    /// The result is there.
    Over,
    /// What came through a connection.
    Message(Result<Packed, ConnectionFault>),
    /// What became of a command.
    Command(Result<std::sync::Arc<crate::command::completed::Completed>, CommandFault>),
}

fn arm(ctx: &NativeCallContext, source: &Dynamic) -> Outcome<Arm<Ready>> {
    let value = source.flatten_clone();
    let shown = value.type_name().to_string();
    let held = |()| Ready::Held;
    if let Some(queue) = value.clone().try_cast::<Queue>() {
        return Ok(Box::new(Mapped::new(queue.getting(), Ready::Item)));
    }
    if let Some(event) = value.clone().try_cast::<Event>() {
        return Ok(Box::new(Mapped::new(event.waiting(), held)));
    }
    if let Some(lock) = value.clone().try_cast::<Lock>() {
        return Ok(Box::new(Mapped::new(lock.acquiring(), Ready::Owned)));
    }
    if let Some(semaphore) = value.clone().try_cast::<Semaphore>() {
        return Ok(Box::new(Mapped::new(semaphore.acquiring(), held)));
    }
    if let Some(side) = value.clone().try_cast::<RwSide>() {
        return Ok(Box::new(Mapped::new(side.lock.acquiring(side.side), Ready::Owned)));
    }
    if let Some(future) = value.clone().try_cast::<Future>() {
        return Ok(Box::new(Mapped::new(future.waiting(), |()| Ready::Over)));
    }
    if let Some(connection) = value.clone().try_cast::<Connection>() {
        return Ok(Box::new(Mapped::new(connection.receiving(), Ready::Message)));
    }
    if let Some(child) = value.clone().try_cast::<Child>() {
        return Ok(Box::new(Mapped::new(child.waiting(), Ready::Command)));
    }
    let process = value.clone().try_cast::<Process>().map(|process| process.thread().clone());
    if let Some(thread) = process.or_else(|| value.try_cast::<Thread>().map(|thread| (*thread).clone())) {
        if !thread.is_started() {
            call(ctx, || thread.join(None))?;
        }
        return Ok(Box::new(Mapped::new(thread.joining(), |()| Ready::Over)));
    }
    let shown = type_for_people(&shown);
    throw(
        ctx,
        "TypeError",
        format!(
            "select() waits for queues, connections, events, locks, futures, threads, processes and commands, not for {shown}"
        ),
    )
}

fn first(ctx: &NativeCallContext, sources: Dynamic, timeout: &Dynamic) -> Outcome<Map> {
    let limit = seconds(ctx, "timeout", timeout)?;
    let sources: Array = list(ctx, "sources", sources)?;
    if sources.is_empty() {
        return throw(ctx, "ValueError", "select() needs at least one thing to wait for");
    }
    if far::first_in(&sources.clone().into()).is_some() {
        return first_far(ctx, sources, timeout);
    }
    let arms = sources.iter().map(|source| arm(ctx, source)).collect::<Outcome<Vec<_>>>()?;
    let (index, ready) = call_within(ctx, limit, |limit| block(&mut Select::new(arms), limit))?;
    let source = sources[index].clone();
    let value = match ready {
        Ready::Item(item) => item.map(Parcel::unpack).map_err(|fault| fault.into_thrown(ctx, None))?,
        Ready::Held => true.into(),
        Ready::Owned(taken) => taken.map(|()| true.into()).map_err(|fault| fault.into_thrown(ctx, None))?,
        Ready::Message(message) => {
            let message = call(ctx, || message)?;
            match source.clone().try_cast::<Connection>() {
                Some(connection) => unpacked(ctx, &connection, message)?,
                None => Dynamic::UNIT,
            }
        }
        Ready::Over => result(ctx, &source)?,
        Ready::Command(done) => {
            let done = Completed(call(ctx, || done)?);
            match source.clone().try_cast::<Child>() {
                Some(child) => Dynamic::from(judged(ctx, &child, done)?),
                None => Dynamic::from(done),
            }
        }
    };
    let index = Dynamic::from(i64::try_from(index).unwrap_or(i64::MAX));
    Ok(Map::from([("source".into(), source), ("index".into(), index), ("value".into(), value)]))
}

/// The same where all of them live in another process.
fn first_far(ctx: &NativeCallContext, sources: Array, timeout: &Dynamic) -> Outcome<Map> {
    if let Some(own) = sources.iter().find(|source| far::first_in(source).is_none()) {
        let own = type_for_people(ctx.engine().map_type_name(own.type_name()));
        let message = format!("select() cannot wait for {own} of this process and for objects of another one at once");
        return throw(ctx, "ValueError", message);
    }
    let found = far::call(ctx, "select", vec![sources.clone().into(), timeout.clone()])?;
    let mut found = found.try_cast::<Map>().unwrap_or_default();
    // As it was passed.
    let index = found.get("index").and_then(|index| index.as_int().ok()).and_then(|index| usize::try_from(index).ok());
    if let Some(source) = index.and_then(|index| sources.get(index)) {
        found.insert("source".into(), source.clone());
    }
    Ok(found)
}

fn result(ctx: &NativeCallContext, source: &Dynamic) -> Outcome<Dynamic> {
    if let Some(thread) = source.clone().try_cast::<Thread>() {
        return crate::script::api::thread::outcome(ctx, &thread);
    }
    if let Some(process) = source.clone().try_cast::<Process>() {
        return crate::script::api::thread::outcome(ctx, process.thread());
    }
    match source.clone().try_cast::<Future>() {
        Some(future) => result_of(ctx, &future),
        None => Ok(Dynamic::UNIT),
    }
}

#[export_module]
pub mod functions {
    /// Waits for the first of several things that is ready: a queue (its next item is taken), a connection (its next
    /// message is received), an event, a lock or
    /// semaphore (held now), a future or thread (its result), a command (its end). Returns a map: `source` as it was passed, its `index`, and
    /// `value`: the item, the result, the `Completed`, or true. Of several that are ready, the first listed.
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

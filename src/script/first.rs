//! Waiting for the first of several things, wherever they live.
//!
//! Where all live here, or all in the process that the handles come from, it is one wait there, which takes what comes first. Else
//! the other process is only asked to look, so that nothing has to be brought back when something here was quicker: when it says
//! that there is something, all are tried once in the order in which they are listed, and the wait goes on where somebody else
//! was quicker.
//!
//! Invariant: exactly one thing is taken.

use std::time::Duration;

use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::api::child::judged;
use super::api::connection::unpacked;
use super::api::future::result_of;
use super::arguments::{list, seconds, type_for_people};
use super::command::Completed;
use super::done::Done;
use super::far;
use super::handles::{Child, Connection, Event, Future, Lock, Process, Queue, RwSide, Semaphore, Thread, far_object};
use super::host::mark;
use super::luggage::Packed;
use super::parcel::Parcel;
use super::throw::{IntoThrown, Outcome, call, throw};
use crate::command::fault::CommandFault;
use crate::kernel::{Stop, block, current};
use crate::sync::Fault;
use crate::sync::future::WaitOver;
use crate::sync::looking::Looking;
use crate::sync::rwlock::SideSight;
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

/// An operation that takes what comes first from `source`.
fn arm(ctx: &NativeCallContext, source: &Dynamic) -> Outcome<Arm<'static, Ready>> {
    let value = source.flatten_clone();
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
    Ok(Box::new(Mapped::new(joining(ctx, value)?, |()| Ready::Over)))
}

/// An operation that waits until something can be taken from `source`, and takes nothing.
fn sight(ctx: &NativeCallContext, source: &Dynamic) -> Outcome<Arm<'static, ()>> {
    let value = source.flatten_clone();
    if let Some(queue) = value.clone().try_cast::<Queue>() {
        return Ok(Box::new(Looking::at(queue.0.object().clone())));
    }
    if let Some(event) = value.clone().try_cast::<Event>() {
        return Ok(Box::new(event.waiting()));
    }
    if let Some(lock) = value.clone().try_cast::<Lock>() {
        return Ok(Box::new(Looking::at(lock.0.object().clone())));
    }
    if let Some(semaphore) = value.clone().try_cast::<Semaphore>() {
        return Ok(Box::new(Looking::at(semaphore.0.object().clone())));
    }
    if let Some(side) = value.clone().try_cast::<RwSide>() {
        return Ok(Box::new(Looking::at(SideSight { lock: side.lock.clone(), side: side.side })));
    }
    if let Some(future) = value.clone().try_cast::<Future>() {
        return Ok(Box::new(future.waiting()));
    }
    if let Some(child) = value.clone().try_cast::<Child>() {
        return Ok(Box::new(Mapped::new(child.waiting(), drop)));
    }
    Ok(Box::new(joining(ctx, value)?))
}

/// An operation that waits for the end of a thread or a process, or of what acts as one.
fn joining(ctx: &NativeCallContext, value: Dynamic) -> Outcome<WaitOver<Done>> {
    let shown = value.type_name().to_string();
    let process = value.clone().try_cast::<Process>().map(|process| process.thread().clone());
    if let Some(thread) = process.or_else(|| value.try_cast::<Thread>().map(|thread| (*thread).clone())) {
        if !thread.is_started() {
            call(ctx, || thread.join(None))?;
        }
        return Ok(thread.joining());
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

/// What `select` does.
///
/// # Errors
/// As the vocabulary says.
pub fn first(ctx: &NativeCallContext, sources: Dynamic, timeout: &Dynamic) -> Outcome<Map> {
    let limit = seconds(ctx, "timeout", timeout)?;
    let sources: Array = list(ctx, "sources", sources)?;
    if sources.is_empty() {
        return throw(ctx, "ValueError", "select() needs at least one thing to wait for");
    }
    mark(ctx);
    let found = match sources.iter().filter(|source| is_far(source)).count() {
        0 => taken(ctx, &sources, limit)?,
        all if all == sources.len() => {
            let found = far::call(ctx, "select", vec![sources.clone().into(), timeout.clone()])?;
            from_afar(&sources, 0, found)
        }
        _ => first_of_both(ctx, &sources, limit)?,
    };
    found.map_or_else(|| Err(Stop::TimedOut.into_thrown(ctx, limit)), Ok)
}

/// True for a handle of what lives in another process.
pub fn is_far(source: &Dynamic) -> bool {
    far_object(&source.flatten_clone()).is_some()
}

/// The first of what lives here, if there is one in time.
fn taken(ctx: &NativeCallContext, sources: &[Dynamic], limit: Option<Duration>) -> Outcome<Option<Map>> {
    let arms = sources.iter().map(|source| arm(ctx, source)).collect::<Outcome<Vec<_>>>()?;
    match block(&mut Select::new(arms), limit) {
        Ok((index, ready)) => found(ctx, &sources[index], index, ready).map(Some),
        Err(Stop::TimedOut) => Ok(None),
        Err(stop) => Err(stop.into_thrown(ctx, limit)),
    }
}

fn found(ctx: &NativeCallContext, source: &Dynamic, index: usize, ready: Ready) -> Outcome<Map> {
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
        Ready::Over => result(ctx, source)?,
        Ready::Command(done) => {
            let done = Completed(call(ctx, || done)?);
            match source.clone().try_cast::<Child>() {
                Some(child) => Dynamic::from(judged(ctx, &child, done)?),
                None => Dynamic::from(done),
            }
        }
    };
    Ok(shown(source, index, value))
}

fn shown(source: &Dynamic, index: usize, value: Dynamic) -> Map {
    let index = Dynamic::from(i64::try_from(index).unwrap_or(i64::MAX));
    Map::from([("source".into(), source.clone()), ("index".into(), index), ("value".into(), value)])
}

/// What was taken elsewhere of `sources`, the first of which has the index `start` here: with the source as it was passed.
fn from_afar(sources: &[Dynamic], start: usize, found: Dynamic) -> Option<Map> {
    let mut found = found.try_cast::<Map>()?;
    let index = usize::try_from(found.get("index")?.as_int().ok()?).ok()?;
    Some(shown(sources.get(index)?, start + index, found.remove("value").unwrap_or_default()))
}

/// The first of what lives here and of what lives elsewhere, if there is one in time.
fn first_of_both(ctx: &NativeCallContext, sources: &[Dynamic], limit: Option<Duration>) -> Outcome<Option<Map>> {
    let now = || current().kernel().now();
    let deadline = limit.map(|limit| now().saturating_add(limit));
    loop {
        if let Some(found) = take_ready(ctx, sources)? {
            return Ok(Some(found));
        }
        let left = deadline.map(|deadline| deadline.saturating_sub(now()));
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        let (far, own): (Vec<usize>, Vec<usize>) = (0..sources.len()).partition(|i| is_far(&sources[*i]));
        let arms = own.iter().map(|i| arm(ctx, &sources[*i])).collect::<Outcome<Vec<_>>>()?;
        if let Woken::Here(at, ready) = wait(ctx, arms, far.iter().map(|i| sources[*i].clone()).collect(), left)? {
            return found(ctx, &sources[own[at]], own[at], ready).map(Some);
        }
    }
}

/// Takes the first of what is ready, in the order in which they are listed.
///
/// # Errors
/// As [`first`].
pub fn take_ready(ctx: &NativeCallContext, sources: &[Dynamic]) -> Outcome<Option<Map>> {
    let mut start = 0;
    for part in sources.chunk_by(|one, next| is_far(one) == is_far(next)) {
        let found = if is_far(&part[0]) {
            from_afar(part, start, far::call(ctx, "__take_ready", vec![part.to_vec().into()])?)
        } else {
            taken(ctx, part, Some(Duration::ZERO))?.map(|mut found| {
                let index = found.get("index").and_then(|index| index.as_int().ok()).unwrap_or(0);
                found.insert("index".into(), index.saturating_add_unsigned(start as u64).into());
                found
            })
        };
        if found.is_some() {
            return Ok(found);
        }
        start += part.len();
    }
    Ok(None)
}

/// Waits until there is something to be taken: false when the time was up. Nothing is taken.
///
/// # Errors
/// Those of the wait.
pub fn await_ready(ctx: &NativeCallContext, sources: Array, limit: Option<Duration>) -> Outcome<bool> {
    let (far, own): (Array, Array) = sources.into_iter().partition(is_far);
    let sights = own.iter().map(|source| sight(ctx, source)).collect::<Outcome<Vec<_>>>()?;
    Ok(!matches!(wait(ctx, sights, far, limit)?, Woken::InVain))
}

/// Why a wait for what lives here and elsewhere is over.
enum Woken<R> {
    /// This one here gave that.
    Here(usize, R),
    /// There is something elsewhere.
    Elsewhere,
    /// The time was up.
    InVain,
}

/// Waits for one of `arms`, and looks at what is `far`.
fn wait<R>(
    ctx: &NativeCallContext,
    mut arms: Vec<Arm<'_, R>>,
    far: Array,
    limit: Option<Duration>,
) -> Outcome<Woken<R>> {
    let mut question = match far.is_empty() {
        true => None,
        false => {
            let limit = limit.map_or(Dynamic::UNIT, |limit| limit.as_secs_f64().into());
            Some(far::ask(ctx, "__await_ready", &[far.into(), limit])?)
        }
    };
    let mut all: Vec<Arm<'_, Result<R, _>>> =
        arms.iter_mut().map(|arm| Box::new(Mapped::new(&mut **arm, Ok)) as Arm<'_, _>).collect();
    if let Some(question) = &mut question {
        all.push(Box::new(Mapped::new(&mut question.answering, Err)));
    }
    let woken = block(&mut Select::new(all), limit);
    match (woken, question) {
        (Ok((_, Err(answer))), Some(question)) => question.answered(ctx, answer).map(|_| Woken::Elsewhere),
        (woken, question) => {
            if let Some(question) = question {
                question.answering.let_be();
            }
            match woken {
                Ok((index, Ok(ready))) => Ok(Woken::Here(index, ready)),
                Ok((_, Err(_))) | Err(Stop::TimedOut) => Ok(Woken::InVain),
                Err(stop) => Err(stop.into_thrown(ctx, limit)),
            }
        }
    }
}

fn result(ctx: &NativeCallContext, source: &Dynamic) -> Outcome<Dynamic> {
    if let Some(thread) = source.clone().try_cast::<Thread>() {
        return super::api::thread::outcome(ctx, &thread);
    }
    if let Some(process) = source.clone().try_cast::<Process>() {
        return super::api::thread::outcome(ctx, process.thread());
    }
    match source.clone().try_cast::<Future>() {
        Some(future) => result_of(ctx, &future),
        None => Ok(Dynamic::UNIT),
    }
}

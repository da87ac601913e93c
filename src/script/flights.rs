//! Handles on their way through a `Pipe`, whose other end may be in any process of the program.
//!
//! The objects live in the main process, which everybody has a way to, through the processes between. Who sends gives the handles
//! there to be kept, and gets a number and one end of a connection, which both go with the message. Who receives asks for the
//! handles by the number. The main process has the other end, and hears when there is nobody any more who has the first: the
//! message was received, or never will be, whoever died with it. Then it keeps the handles no longer.
//!
//! Invariants: handles are kept as long as the message is anywhere; whoever received it has handles of its own before it lets the
//! end go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use rhai::{Array, Dynamic, NativeCallContext};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::crossing::{self, Shared};
use super::far;
use super::handles::{self, far_object};
use super::host::host;
use super::luggage::{Luggage, Packed};
use super::parcel::make_content_over;
use super::throw::{Outcome, throw};
use crate::kernel::{
    Enders, Holder, Kernel, ObjectCore, Operation, Role, Site, Source, Stop, Ticket, Waitable, Waker, block,
};
use crate::worker::connection::Connection;
use crate::worker::pair::End;

/// What a message begins with that has handles in it; MessagePack has no value that does.
const MARK: u8 = 0xc1;

/// A message with handles in it.
#[derive(Serialize, Deserialize)]
struct Accompanied {
    message: ByteBuf,
    number: u64,
    life: Shared,
}

struct Flight {
    handles: Array,
    life: End<Packed>,
    ticket: Ticket,
}

#[derive(Default)]
struct Table {
    last: u64,
    flights: BTreeMap<u64, Flight>,
    /// The task that hears when messages are gone, once there is one, and how it learns of new ones.
    is_watched: bool,
    watcher: Option<Waker>,
}

/// See the module.
pub struct Flights {
    core: Arc<ObjectCore>,
    table: Mutex<Table>,
}

impl Flights {
    /// None yet.
    pub fn new(kernel: &Arc<Kernel>) -> Arc<Flights> {
        Arc::new(Flights { core: ObjectCore::new_in(kernel, "Flights", Site::NONE), table: Mutex::default() })
    }

    /// Keeps handles: the number, and the end that goes with the message.
    fn keep(self: &Arc<Self>, handles: Array) -> std::io::Result<(u64, End<Packed>)> {
        let [ours, theirs] = End::pair();
        let mut table = self.table.lock();
        if !table.is_watched {
            let kernel = self.core.kernel();
            let (task, flights) = (kernel.new_task("flights", Role::Service, true), self.clone());
            kernel.start(&task, move || flights.watch())?;
            table.is_watched = true;
        }
        table.last += 1;
        let number = table.last;
        table.flights.insert(number, Flight { handles, life: ours, ticket: Ticket::default() });
        if let Some(watcher) = &table.watcher {
            watcher.wake();
        }
        Ok((number, theirs))
    }

    fn get(&self, number: u64) -> Option<Array> {
        Some(self.table.lock().flights.get(&number)?.handles.clone())
    }

    fn watch(self: Arc<Self>) {
        loop {
            match block(&mut Watching(self.clone()), None) {
                Ok(gone) => drop(gone),
                Err(Stop::Ended) => return,
                Err(_) => {}
            }
        }
    }
}

impl Waitable for Flights {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

/// Waits until messages are gone: what was kept for them.
struct Watching(Arc<Flights>);

impl Operation for Watching {
    type Output = Vec<Flight>;

    fn poll(&mut self, waker: &Waker) -> Poll<Vec<Flight>> {
        let mut table = self.0.table.lock();
        table.watcher = Some(waker.clone());
        let gone: Vec<u64> = table
            .flights
            .iter_mut()
            .filter_map(|(number, flight)| flight.life.look(&mut flight.ticket, waker).then_some(*number))
            .collect();
        if gone.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(gone.iter().filter_map(|number| table.flights.remove(number)).collect())
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.clone()
    }

    fn verb(&self) -> &'static str {
        "watch"
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn sources(&self) -> Vec<Source> {
        self.0.table.lock().flights.values().flat_map(|flight| flight.life.sources()).collect()
    }
}

/// Sends handles on their way, in the main process: a number, and what is to go with the message.
///
/// # Errors
/// `SendError`, when one of them does not live there.
pub fn send_off(ctx: &NativeCallContext, handles: Array) -> Outcome<Array> {
    let host = host();
    if host.identity().parent.is_some() {
        if let Some(own) = handles.iter().find(|handle| far_object(handle).is_none()) {
            let own = super::encode::type_of(own);
            let me = &host.identity().name;
            let what = format!("x has {own} that was made in process {me:?}");
            return throw(ctx, "SendError", format!("send(): {what}, which cannot cross to every other process"));
        }
        let found = far::call(ctx, "__send_off", vec![handles.into()])?;
        return Ok(found.try_cast::<Array>().unwrap_or_default());
    }
    let mut kept = handles;
    kept.iter_mut().for_each(|handle| make_content_over(handle, &Holder::Outside));
    match host.flights().keep(kept) {
        Ok((number, life)) => {
            let life = handles::Connection::of(Connection::new(life, false));
            Ok(vec![Dynamic::from(i64::try_from(number).unwrap_or(i64::MAX)), Dynamic::from(life)])
        }
        Err(error) => throw(ctx, "IoError", format!("send(): {error}")),
    }
}

/// The handles that are on their way under this number.
///
/// # Errors
/// `ValueError`, when there are none.
pub fn arrive(ctx: &NativeCallContext, number: i64) -> Outcome<Array> {
    let host = host();
    if let Some(link) = host.link() {
        let found = far::call_above(ctx, link, "__arrive", vec![number.into()])?;
        return Ok(found.try_cast::<Array>().unwrap_or_default());
    }
    let found = u64::try_from(number).ok().and_then(|number| host.flights().get(number));
    match found {
        Some(mut handles) => {
            handles.iter_mut().for_each(|handle| make_content_over(handle, &Holder::current()));
            Ok(handles)
        }
        None => throw(ctx, "ValueError", "recv(): the handles that belong to this message are gone"),
    }
}

/// A message for a `Pipe`, with whatever brings its handles there.
///
/// # Errors
/// As [`send_off`]; `SendError` when there is no room for more.
pub fn accompany(ctx: &NativeCallContext, mut packed: Packed) -> Outcome<Packed> {
    if packed.luggage.handles().is_empty() || host().kernel().is_sim() {
        return Ok(packed);
    }
    let found = send_off(ctx, packed.luggage.take_handles())?;
    let [number, life] = <[Dynamic; 2]>::try_from(found).unwrap_or_default();
    let number = number.as_int().ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    let life = match crossing::pack(&life, &mut packed.luggage) {
        Some(Ok(life)) => life,
        Some(Err(why)) => return throw(ctx, "SendError", format!("send(): x has handles, and {why}")),
        None => return throw(ctx, "SendError", "send(): the main process does not keep the handles in x"),
    };
    let accompanied = Accompanied { message: ByteBuf::from(packed.bytes), number, life };
    let mut bytes = vec![MARK];
    match rmp_serde::encode::write(&mut bytes, &accompanied) {
        Ok(()) => Ok(Packed { bytes, luggage: packed.luggage }),
        Err(error) => throw(ctx, "SendError", format!("send(): {error}")),
    }
}

/// The message as it was, with its handles, for the current task.
///
/// # Errors
/// As [`arrive`]; `ValueError`, when it is none.
pub fn arrived(ctx: &NativeCallContext, packed: Packed) -> Outcome<Packed> {
    let Some(rest) = packed.bytes.strip_prefix(&[MARK]) else {
        return Ok(packed);
    };
    let refused = |why: String| throw(ctx, "ValueError", format!("recv(): what came cannot be read: {why}"));
    let Accompanied { message, number, life } = match rmp_serde::from_slice(rest) {
        Ok(accompanied) => accompanied,
        Err(error) => return refused(error.to_string()),
    };
    // It is let go when the handles are here.
    let _life = match life.unpack(&packed.luggage) {
        Ok(life) => life,
        Err(why) => return refused(why),
    };
    let handles = arrive(ctx, i64::try_from(number).unwrap_or(i64::MAX))?;
    let luggage = Luggage::with_handles(packed.luggage.into_descriptors(), handles);
    Ok(Packed { bytes: message.into_vec(), luggage })
}

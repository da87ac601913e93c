//! What crosses to another process beside the bytes of a value: memory that both then share, and ends of connections, which
//! move there.
//!
//! In the bytes it is a [`Shared`], which says where in the luggage the rest of it is.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::handles::{Connection, SharedArray, SharedMemory};
use super::luggage::{LOST, Luggage, Packed};
use crate::kernel::object::ObjectId;
use crate::kernel::{Waitable, with_current};
use crate::sync::numbers::Kind;
use crate::sync::{Memory, Numbers};
use crate::worker::connection::{self, ConnectionFault};
use crate::worker::pair::{End, Moved, Stream};
use crate::worker::wire::Descriptors;

/// See the module.
#[derive(Serialize, Deserialize, Debug)]
pub enum Shared {
    /// A `SharedMemory`: the number of its file, and how many bytes it has.
    Memory(u64, usize),
    /// A `SharedArray` of ints: the number of its file, and how many there are.
    Ints(u64, usize),
    /// The same of floats.
    Floats(u64, usize),
    /// A `Connection`.
    Connection(Socket),
    /// A `Connection` under simulated time: the number of its end, and whether the other one is in another program.
    End(u64, bool),
}

/// An end on its way. Descriptors by their numbers.
#[derive(Serialize, Deserialize, Debug)]
pub struct Socket {
    descriptor: u64,
    remote: bool,
    early: Vec<(ByteBuf, Vec<u64>)>,
    begun: ByteBuf,
    descriptors: Vec<u64>,
}

/// What was found of a value that crosses.
pub struct Found {
    /// How many descriptors it takes.
    pub descriptors: usize,
    /// What cannot go twice with the same message.
    pub moves: Option<ObjectId>,
}

/// Looks at a value: `None` when it is nothing that crosses in this way.
///
/// # Errors
/// What it is, when it cannot cross as it is now.
pub fn inspect(value: &Dynamic) -> Option<Result<Found, String>> {
    if let Some(memory) = value.read_lock::<SharedMemory>() {
        let closed = memory.is_closed();
        return Some(if closed { Err("a SharedMemory that was closed".into()) } else { Ok(sharing()) });
    }
    if let Some(connection) = value.read_lock::<Connection>() {
        return Some(match connection.descriptors() {
            Ok(descriptors) => Ok(Found { descriptors, moves: Some(connection.core().id()) }),
            Err(ConnectionFault::Moved(_)) => Err("a Connection that was passed on already".into()),
            Err(_) => Err("a Connection that was closed".into()),
        });
    }
    value.is::<SharedArray>().then(|| Ok(sharing()))
}

fn sharing() -> Found {
    Found { descriptors: 1, moves: None }
}

/// Puts what belongs to a value into the luggage: what stands for it in the bytes. `None` as for [`inspect`].
///
/// # Errors
/// What went wrong.
pub fn pack(value: &Dynamic, luggage: &mut Luggage) -> Option<Result<Shared, String>> {
    if let Some(memory) = value.read_lock::<SharedMemory>() {
        return Some(Ok(Shared::Memory(luggage.add_descriptor(memory.file().clone()), memory.size())));
    }
    if let Some(connection) = value.read_lock::<Connection>() {
        return Some(pack_connection(&connection, luggage));
    }
    let array = value.read_lock::<SharedArray>()?;
    let file = luggage.add_descriptor(array.file().clone());
    Some(Ok(match array.kind() {
        Kind::I64 => Shared::Ints(file, array.len()),
        Kind::F64 => Shared::Floats(file, array.len()),
    }))
}

fn pack_connection(connection: &Connection, luggage: &mut Luggage) -> Result<Shared, String> {
    let remote = connection.is_remote();
    if with_current(|task| task.kernel().is_sim()) {
        let (end, ()) = connection.take_end(|_| Ok(())).map_err(|fault| fault.to_string())?;
        return Ok(Shared::End(luggage.add_end(end), remote));
    }
    let (_, moved) = connection.take_end(End::move_away).map_err(|fault| match fault {
        ConnectionFault::System(label, error) => format!("{label} cannot be passed on: {error}"),
        fault => fault.to_string(),
    })?;
    let Moved { socket, early, begun, descriptors } = moved;
    let mut add = |them: Descriptors| them.into_iter().map(|d| luggage.add_descriptor(d)).collect::<Vec<u64>>();
    let descriptor = add(vec![socket]).remove(0);
    let early = early.into_iter().map(|packed| {
        let Packed { bytes, luggage } = packed;
        (ByteBuf::from(bytes), add(luggage.into_descriptors()))
    });
    let early = early.collect();
    let descriptors = add(descriptors.into_iter().map(Arc::new).collect());
    Ok(Shared::Connection(Socket { descriptor, remote, early, begun: ByteBuf::from(begun), descriptors }))
}

fn unpack_connection(socket: Socket, luggage: &Luggage) -> Result<Dynamic, String> {
    let one = |number| luggage.descriptor(number).cloned().ok_or(LOST);
    let all = |numbers: Vec<u64>| numbers.into_iter().map(one).collect::<Result<Descriptors, _>>();
    let mut early = Vec::new();
    for (bytes, descriptors) in socket.early {
        early.push(Packed { bytes: bytes.into_vec(), luggage: Luggage::of(all(descriptors)?) });
    }
    let own = |descriptor: Arc<OwnedFd>| descriptor.try_clone().map_err(|error| error.to_string());
    let descriptors = all(socket.descriptors)?.into_iter().map(own).collect::<Result<Vec<_>, _>>()?;
    let moved = Moved { socket: one(socket.descriptor)?, early, begun: socket.begun.into_vec(), descriptors };
    let end = End::of(Stream::arrived(moved));
    Ok(Dynamic::from(Connection::of(connection::Connection::new(end, socket.remote))))
}

impl Shared {
    /// The value, for the current task.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn unpack(self, luggage: &Luggage) -> Result<Dynamic, String> {
        let file = |number| luggage.descriptor(number).cloned().ok_or(LOST);
        let numbers = |kind, number, length| -> Result<Dynamic, String> {
            let numbers: Arc<Numbers> = Numbers::attach(kind, file(number)?, length).map_err(|e| e.to_string())?;
            Ok(Dynamic::from(SharedArray::of(numbers)))
        };
        match self {
            Shared::Memory(number, size) => {
                let memory = Memory::attach("SharedMemory", file(number)?, size).map_err(|e| e.to_string())?;
                Ok(Dynamic::from(SharedMemory::of(memory)))
            }
            Shared::Ints(number, length) => numbers(Kind::I64, number, length),
            Shared::Floats(number, length) => numbers(Kind::F64, number, length),
            Shared::Connection(socket) => unpack_connection(socket, luggage),
            Shared::End(number, remote) => {
                let end = luggage.take_end(number).ok_or("it was taken already")?;
                Ok(Dynamic::from(Connection::of(connection::Connection::new(end, remote))))
            }
        }
    }
}

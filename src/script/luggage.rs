//! What belongs to an encoded value and is no bytes: it is carried beside them, and the bytes say what it is by its number.
//!
//! Invariant: who holds a [`Luggage`] holds what is in it; dropped on the way, it is closed. It can be copied, since an errand
//! may be sent again.
//!
//! Descriptors go with the message. Handles stay where they are: what goes is the number of an entry, and what comes out is a
//! stand-in ([`super::far`]), or, where the object lives, the handle itself. Under simulated time it is always the handle itself.
//!
//! Blobs and texts that are big lie one after the other in one memory file, which is sealed before it goes: so they are written
//! once and read once, whatever lies between, and the socket is free for others.
//!
//! Under simulated time, where no process is another one, ends of connections travel as they are.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::Dynamic;
use rustix::buffer::spare_capacity;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use rustix::io::{Errno, pread, write};

use super::parcel::make_content_over;
use crate::kernel::Holder;
use crate::worker::pair::{End, Payload};
use crate::worker::wire::{Descriptors, MOST_DESCRIPTORS};

/// What is said where descriptors did not come with a message: the system had no numbers left for them.
pub const LOST: &str = "a part of it did not come: a process that it goes through has too many files open";

/// What is longer does not go through the socket.
const BIG: usize = 64 << 10;

/// An end, until it is taken.
type OneEnd = Arc<Mutex<Option<End<Packed>>>>;

/// See the module.
#[derive(Clone, Default)]
pub struct Luggage {
    descriptors: Descriptors,
    handles: Vec<Dynamic>,
    /// Under simulated time only.
    ends: Vec<OneEnd>,
    /// How many bytes lie in memory files.
    stowed: u64,
    /// The memory file that is being filled.
    hold: Option<Hold>,
    /// Where there can be none.
    without_files: bool,
}

#[derive(Clone)]
struct Hold {
    number: u64,
    length: u64,
}

/// An encoded value with what belongs to it.
#[derive(Clone, Default)]
pub struct Packed {
    /// The value, as `encode` writes it.
    pub bytes: Vec<u8>,
    /// What belongs to it.
    pub luggage: Luggage,
}

impl Luggage {
    /// What came with these descriptors.
    pub fn of(descriptors: Descriptors) -> Luggage {
        Luggage { descriptors, ..Luggage::default() }
    }

    /// For a message that is only bytes.
    pub fn without_files() -> Luggage {
        Luggage { without_files: true, ..Luggage::default() }
    }

    /// What came with these descriptors and handles.
    pub fn with_handles(descriptors: Descriptors, handles: Vec<Dynamic>) -> Luggage {
        Luggage { descriptors, handles, ..Luggage::default() }
    }

    /// The handles in it.
    pub fn handles(&self) -> &[Dynamic] {
        &self.handles
    }

    /// Takes the handles out.
    pub fn take_handles(&mut self) -> Vec<Dynamic> {
        std::mem::take(&mut self.handles)
    }

    /// True when there are only bytes.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty() && self.descriptors.is_empty()
    }

    /// Puts a handle in, and its number. On the way it is held by the outside: who sent it may wait for what comes of it.
    pub fn add_handle(&mut self, mut handle: Dynamic) -> u64 {
        make_content_over(&mut handle, &Holder::Outside);
        self.handles.push(handle);
        self.handles.len() as u64 - 1
    }

    /// The handle of this number.
    pub fn handle(&self, number: u64) -> Option<&Dynamic> {
        self.handles.get(usize::try_from(number).ok()?)
    }

    /// The descriptors in it, for a message.
    pub fn into_descriptors(self) -> Descriptors {
        self.descriptors
    }

    /// How many more descriptors can go with one message.
    pub fn room(&self) -> usize {
        MOST_DESCRIPTORS.saturating_sub(self.descriptors.len())
    }

    /// Puts a descriptor in, and its number.
    pub fn add_descriptor(&mut self, descriptor: Arc<OwnedFd>) -> u64 {
        self.descriptors.push(descriptor);
        self.descriptors.len() as u64 - 1
    }

    /// The descriptor of this number.
    pub fn descriptor(&self, number: u64) -> Option<&Arc<OwnedFd>> {
        self.descriptors.get(usize::try_from(number).ok()?)
    }

    /// Puts an end in, and its number.
    pub fn add_end(&mut self, end: End<Packed>) -> u64 {
        self.ends.push(Arc::new(Mutex::new(Some(end))));
        self.ends.len() as u64 - 1
    }

    /// Takes out the end of this number; nobody takes it twice.
    pub fn take_end(&self, number: u64) -> Option<End<Packed>> {
        self.ends.get(usize::try_from(number).ok()?)?.lock().take()
    }

    /// Puts something big into the memory file: the file's number and the place in it. `None` when it is not big, or the system
    /// has no room for it, and it has to go with the other bytes.
    pub fn stow(&mut self, bytes: &[u8]) -> Option<(u64, u64)> {
        if bytes.len() < BIG || self.without_files {
            return None;
        }
        if self.hold.is_none() {
            if self.room() == 0 {
                return None;
            }
            let file = memfd_create("orch values", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
            self.hold = Some(Hold { number: self.add_descriptor(Arc::new(file)), length: 0 });
        }
        let Hold { number, length } = self.hold.clone()?;
        let file = self.descriptor(number)?;
        if write_all(file, bytes).is_err() {
            // What was written of it is nobody's; the next one begins anew.
            self.hold = None;
            return None;
        }
        self.hold = Some(Hold { number, length: length + bytes.len() as u64 });
        self.stowed += bytes.len() as u64;
        Some((number, length))
    }

    /// Nothing more is written to the memory file.
    pub fn seal(&mut self) {
        if let Some(file) = self.hold.take().and_then(|hold| self.descriptor(hold.number).cloned()) {
            // It holds values of this message only; the seals are for whoever maps it.
            let _unsealed =
                fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL);
        }
    }

    /// What was put into memory file `number` at this place.
    ///
    /// # Errors
    /// When it is not there.
    pub fn fetch(&self, number: u64, place: u64, length: u64) -> Result<Vec<u8>, String> {
        let file = self.descriptor(number).ok_or(LOST)?;
        let size = fstat(file).map_err(|error| error.to_string())?.st_size;
        let end = place.checked_add(length).filter(|end| i64::try_from(*end).is_ok_and(|end| end <= size));
        let (Some(_), Ok(length)) = (end, usize::try_from(length)) else {
            return Err("a part of it is shorter than it says".into());
        };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|error| error.to_string())?;
        while bytes.len() < length {
            let (at, left) = (place + bytes.len() as u64, length - bytes.len());
            match pread(file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err("a part of it has been cut short".into()),
                // There may be more in the file, and more room.
                Ok(count) if count > left => bytes.truncate(length),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(bytes)
    }
}

impl Payload for Packed {
    fn weight(&self) -> usize {
        self.bytes.len().saturating_add(usize::try_from(self.luggage.stowed).unwrap_or(usize::MAX))
    }

    fn into_wire(self) -> (Vec<u8>, Descriptors) {
        (self.bytes, self.luggage.into_descriptors())
    }

    fn from_wire(bytes: Vec<u8>, descriptors: Descriptors) -> Packed {
        Packed { bytes, luggage: Luggage::of(descriptors) }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match write(file, bytes) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_things_come_back_as_they_were_and_small_ones_are_not_taken() {
        let mut luggage = Luggage::default();
        assert!(luggage.stow(&[1; 100]).is_none());
        let things: Vec<Vec<u8>> = (1..4u8).map(|i| vec![i; BIG * usize::from(i) + 7]).collect();
        let places: Vec<(u64, u64)> = things.iter().map(|thing| luggage.stow(thing).unwrap()).collect();
        luggage.seal();
        let arrived = Luggage::of(luggage.into_descriptors());
        assert_eq!(arrived.room(), MOST_DESCRIPTORS - 1, "one file for all");
        for (thing, (number, place)) in things.iter().zip(places) {
            assert_eq!(&arrived.fetch(number, place, thing.len() as u64).unwrap(), thing);
        }
        // What is said of it and is not so.
        assert!(arrived.fetch(1, 0, 1).is_err());
        assert!(arrived.fetch(0, u64::MAX, 2).is_err());
        assert!(arrived.fetch(0, 0, u64::MAX).is_err());
        assert!(write_all(arrived.descriptor(0).unwrap(), b"x").is_err(), "sealed");
    }
}

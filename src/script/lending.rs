//! What queues lend to processes that take one item after the other, so that they need not ask for each.
//!
//! A loan goes out just before the answer to a `get`, and lies in the process until it is taken ([`crate::sync::loan`] has the
//! rules). Only values that are nothing but bytes are lent, and small ones: for others to ask costs little beside them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use rhai::{Array, Dynamic, Map};
use serde_bytes::ByteBuf;

use super::encode::{Way, encode};
use super::handles;
use super::parcel::{Parcel, is_plain};
use crate::sync::Queue;
use crate::sync::lock_state::{Place, Slab};
use crate::worker::ask::{Call, Told};

/// The most parts, and the most bytes in one text, of an item that is lent.
const MOST_PARTS: usize = 64;
const LONGEST_TEXT: usize = 1024;

/// The numbers of a line and of an entry.
type Key = (u64, u64);

struct Lender {
    place: Arc<Place>,
    queue: Weak<Queue<Parcel>>,
}

/// See the module.
#[derive(Default)]
pub struct Lenders(HashMap<Key, Lender>);

/// The entry and the queue, for a call that takes the next item of a queue.
pub fn asked_for(call: &Call, args: &[Dynamic]) -> Option<(u64, Arc<Queue<Parcel>>)> {
    if call.function != "get" {
        return None;
    }
    let queue = args.first()?.read_lock::<handles::Queue>()?.0.object().clone();
    Some((*call.handles.first()?, queue))
}

impl Lenders {
    /// Lends what comes next in `queue` to the process at this line, if that is of use.
    pub fn lend(&mut self, slab: &Arc<Slab>, line: u64, entry: u64, queue: &Arc<Queue<Parcel>>) -> Option<Told> {
        let lender = match self.0.entry((line, entry)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Lender { place: Arc::new(slab.take()?), queue: Arc::downgrade(queue) })
            }
        };
        let lending = queue.lend(&lender.place, |parcel| copy(parcel.peek()))?;
        let copies = lending.copies.into_iter().map(ByteBuf::from).collect();
        Some(Told::Lent { entry, place: lender.place.number(), number: lending.number, copies })
    }

    /// The process does not use the entry any more.
    pub fn forget(&mut self, line: u64, entry: u64) {
        if let Some(lender) = self.0.remove(&(line, entry)) {
            lender.end();
        }
    }

    /// The process has ended.
    pub fn forget_line(&mut self, line: u64) {
        self.0.extract_if(|(of, _), _| *of == line).for_each(|(_, lender)| lender.end());
    }
}

impl Lender {
    fn end(self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.call_loan_back();
        }
    }
}

fn copy(item: &Dynamic) -> Option<Vec<u8>> {
    let mut parts = 0;
    if !is_bare(item, &mut parts) {
        return None;
    }
    encode(item, "the item", Way::Down).ok().map(|packed| packed.bytes)
}

/// True for what is nothing but a few bytes.
fn is_bare(value: &Dynamic, parts: &mut usize) -> bool {
    *parts += 1;
    if *parts > MOST_PARTS {
        return false;
    }
    if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        return text.len() <= LONGEST_TEXT;
    }
    if is_plain(value) {
        return true;
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().all(|item| is_bare(item, parts));
    }
    value.read_lock::<Map>().is_some_and(|fields| fields.values().all(|field| is_bare(field, parts)))
}

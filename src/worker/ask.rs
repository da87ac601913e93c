//! What a process asks of the one that its handles come from, and what it is told, on a socket of their own.
//!
//! A call says which task makes it: that one owns the lock it gets, and waits in the reports. Each exported handle is one
//! entry on the other side, which lives until the process says that it has dropped it, or has ended.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A handle on its way down: the process gets a stand-in for it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The number of the entry.
    pub entry: u64,
    /// The type of the handle: `Lock`.
    pub kind: String,
    /// The number of the object, for reports.
    pub object: u64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// For a lock whose state the process can see.
    pub lock: Option<SharedLock>,
    /// For a value: where in the slab its number lies when it is one.
    pub number: Option<u32>,
    /// For a queue with room for all: whoever puts something in need not wait for an answer.
    pub is_boundless: bool,
}

/// Where a process sees the state of a lock.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLock {
    /// The place in the slab.
    pub place: u32,
    /// Its owner can take it again.
    pub is_reentrant: bool,
}

/// Where in a script a call stands.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The path of the script.
    pub source: String,
    /// The line, or 0.
    pub line: u16,
    /// The column, or 0.
    pub column: u16,
}

/// A function to be called with a handle.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of the call, for its answer.
    pub number: u64,
    /// Who makes it.
    pub task: u64,
    /// The function, by Rhai's name.
    pub function: String,
    /// The arguments; only `script/` can read them.
    pub args: ByteBuf,
    /// The handles among them, by the numbers of their entries.
    pub handles: Vec<u64>,
    /// Where it stands.
    pub spot: Spot,
}

/// What a process asks.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A task calls for the first time: its number and its name.
    Task(u64, String),
    /// A task makes no more calls: what it owns is abandoned.
    TaskOver(u64),
    /// The same for one that was ended with its process, a process of this one: it has left nothing behind on purpose.
    TaskKilled(u64),
    /// A function is to be called.
    Call(Call),
    /// The same where nobody waits for the answer: only a failure is told.
    Post(Call),
    /// A value that is nothing but a few bytes is to be put into a queue; nobody waits for the answer, as with `Post`.
    Put {
        /// The number of the call.
        number: u64,
        /// Who makes it.
        task: u64,
        /// The entry that the queue is.
        entry: u64,
        /// The value; only `script/` can read it.
        item: ByteBuf,
        /// Where the call stands, as a [`crate::kernel::Site`] of the other side.
        site: u64,
    },
    /// The caller does not want to wait for the answer to this call any more.
    Stop(u64),
    /// Nobody in the process can do anything until another answer comes than those that have come so far, which are so many.
    Quiet(u64),
    /// An entry is not used any more.
    Dropped(u64),
    /// To be answered when all before it was done.
    Settle(u64),
    /// These entries belong to the reply to an errand, which comes by the other way; to be answered. The number of the call,
    /// and that of the errand.
    Lend(u64, u64, Vec<u64>),
}

/// What it is told.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The answer to the call of this number.
    Answer(u64, Answer),
    /// The task of this number is the one of that number here, as the owner of locks.
    Task(u64, u64),
    /// The number of a source here, in places of scripts.
    Source(String, u16),
    /// A call of this task that was posted has failed with this error.
    PostFailed(u64, ByteBuf),
    /// This entry is a queue that is closed: whoever puts something in has to wait for the answer.
    Closed(u64),
    /// The next items of the queue that this entry is, which the process may take without asking.
    Lent {
        /// The entry.
        entry: u64,
        /// Where in the slab the state of the loan is.
        place: u32,
        /// The number of the loan.
        number: u64,
        /// The items; only `script/` can read them.
        copies: Vec<ByteBuf>,
    },
}

/// What became of a call.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned this, with these handles in it.
    Value(ByteBuf, Vec<Exported>),
    /// It failed with this error.
    Failed(ByteBuf),
    /// It was given up before it was done: nothing has happened.
    Stopped,
    /// All before it was done.
    Settled,
}

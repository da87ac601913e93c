//! The messages between the main process and a worker, and how they lie in the stream: eight bytes that say how long the
//! message is, lowest first, four that say how many descriptors belong to it, then the message in MessagePack.
//!
//! Descriptors travel beside the bytes, with the first byte of their message or before. So they are there when the message
//! is whole, in the order of the messages; those that come for no message, or do not come, are an error.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::ask::Exported;

/// What the main process says.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// The first message of all: who it is.
    Begin {
        /// The name of the process, for reports.
        name: String,
        /// The script's arguments.
        args: Vec<String>,
        /// The program does not wait for it.
        daemon: bool,
        /// The name of the process that starts it.
        parent: String,
        /// What happens is written down in the file that goes with this; when that program has begun.
        recorded: Option<u64>,
        /// The path of the script that was started, if it came from a file.
        script: Option<String>,
        /// The folder in which that was.
        folder: String,
        /// Where modules are looked for that do not lie beside the script that imports them.
        path: Vec<String>,
    },
    /// Sources that it has not got yet, by name.
    Sources(Vec<(String, String)>),
    /// A function to be called, and the handles that belong to it; only `script/` can read it.
    Run(u64, ByteBuf, Vec<Exported>),
    /// The way back for handles, which goes with it, and the memory in which the states of locks lie.
    Link,
    /// The errand of this number is to stop at its current or next blocking call.
    Cancel(u64),
    /// The errand of this number is wanted back, unless it has begun.
    TakeBack(u64),
    /// The program was asked to stop by the signal of this number: the worker is too.
    Interrupt(i32),
    /// No more errands come.
    NoMore,
}

/// What a worker says.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// It begins with the errand of this number: from here on it may have been done.
    Began(u64),
    /// It will not do the errand of this number, which was wanted back.
    Back(u64),
    /// What became of the errand of this number.
    Reply(u64, Reply),
    /// It ends by itself.
    Leaving,
}

/// What became of an errand; only `script/` can read what is inside.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The function returned this.
    Value(ByteBuf),
    /// It failed with this error.
    Failed(ByteBuf),
    /// It was cancelled, with this error.
    Cancelled(ByteBuf),
}

/// Descriptors that belong to a message. They are counted, since what is to be sent again has to be kept.
pub type Descriptors = Vec<Arc<OwnedFd>>;

/// A message with what belongs to it.
#[derive(Debug)]
pub struct Letter<T> {
    /// The message.
    pub message: T,
    /// Its descriptors.
    pub descriptors: Descriptors,
}

/// How many descriptors may belong to a message: as many as the system takes at once.
pub const MOST_DESCRIPTORS: usize = 253;

/// How many bytes say how long a message is.
const LENGTH: usize = 8;

/// How many bytes come before a message.
const PREFIX: usize = LENGTH + 4;

/// No message is longer: whoever announces more does not speak this language.
const LONGEST: u64 = 1 << 40;

/// Puts a message at the end of `stream`, to which this many descriptors belong.
///
/// # Errors
/// When it cannot be written in MessagePack, which none of those above does; when there are too many descriptors.
pub fn write<T: Serialize>(stream: &mut Vec<u8>, message: &T, descriptors: usize) -> io::Result<()> {
    let count = u32::try_from(descriptors).ok().filter(|_| descriptors <= MOST_DESCRIPTORS);
    let count = count.ok_or_else(|| io::Error::other(format!("{descriptors} descriptors in one message")))?;
    let start = stream.len();
    stream.extend([0; PREFIX]);
    if let Err(error) = rmp_serde::encode::write(stream, message) {
        stream.truncate(start);
        return Err(io::Error::other(error));
    }
    let length = (stream.len() - start - PREFIX) as u64;
    stream[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
    stream[start + LENGTH..start + PREFIX].copy_from_slice(&count.to_le_bytes());
    Ok(())
}

/// A stream that comes in pieces. What was not taken when it is dropped is closed.
pub struct Frames {
    bytes: Vec<u8>,
    /// How many of them were taken already.
    taken: usize,
    /// `None` where the rest of a message's own was lost.
    descriptors: VecDeque<Option<OwnedFd>>,
    longest: u64,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames { bytes: Vec::new(), taken: 0, descriptors: VecDeque::new(), longest: LONGEST }
    }
}

impl Frames {
    /// From now on a message of more bytes is an error.
    pub fn limit(&mut self, longest: u64) {
        self.longest = longest;
    }

    /// True when a whole message has come, or something that is none.
    pub fn has_message(&self) -> bool {
        let rest = &self.bytes[self.taken..];
        match rest.split_first_chunk::<PREFIX>() {
            Some((prefix, rest)) => read_prefix(*prefix, self.longest).is_ok_and(|(length, _)| rest.len() >= length),
            None => false,
        }
    }

    /// What has come and was not taken.
    pub fn into_rest(mut self) -> (Vec<u8>, Vec<OwnedFd>) {
        (self.bytes.split_off(self.taken), self.descriptors.into_iter().flatten().collect())
    }

    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        } else if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds descriptors that came with it.
    pub fn push_descriptors(&mut self, descriptors: impl IntoIterator<Item = OwnedFd>) {
        self.descriptors.extend(descriptors.into_iter().map(Some));
    }

    /// More should have come with it, for which the system had no numbers left. The message they belong to comes without any.
    pub fn lose_descriptors(&mut self) {
        self.descriptors.push_back(None);
    }

    /// The next message, if all of it has come.
    ///
    /// # Errors
    /// When it is no message, or its descriptors are not those it speaks of.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<Letter<T>>> {
        let rest = &self.bytes[self.taken..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else {
            return self.none_yet(MOST_DESCRIPTORS);
        };
        let (length, count) = read_prefix(*prefix, self.longest)?;
        let Some(message) = rest.get(..length) else {
            return self.none_yet(count);
        };
        let lost = self.descriptors.iter().take(count).position(Option::is_none);
        if lost.is_none() && count > self.descriptors.len() {
            return Err(invalid("descriptors are missing".into()));
        }
        let message = rmp_serde::from_slice(message).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let its = self.descriptors.drain(..lost.map_or(count, |at| at + 1));
        let descriptors = if lost.is_some() { Vec::new() } else { its.flatten().map(Arc::new).collect() };
        self.taken += PREFIX + length;
        if self.taken == self.bytes.len() {
            // Nobody keeps the room of a message that was large once.
            (self.bytes, self.taken) = (Vec::new(), 0);
        }
        Ok(Some(Letter { message, descriptors }))
    }

    /// The message has not come yet, but at most so many descriptors of it.
    fn none_yet<T>(&self, most: usize) -> io::Result<Option<T>> {
        if self.descriptors.len() > most {
            return Err(invalid("descriptors that belong to no message".into()));
        }
        Ok(None)
    }
}

fn read_prefix(prefix: [u8; PREFIX], longest: u64) -> io::Result<(usize, usize)> {
    let (length, count) = prefix.split_at(LENGTH);
    let length = u64::from_le_bytes(length.try_into().map_err(io::Error::other)?);
    let count = u32::from_le_bytes(count.try_into().map_err(io::Error::other)?);
    if length > longest {
        return Err(invalid(format!("a message of {length} bytes")));
    }
    let count = usize::try_from(count).map_err(io::Error::other)?;
    if count > MOST_DESCRIPTORS {
        return Err(invalid(format!("a message with {count} descriptors")));
    }
    Ok((usize::try_from(length).map_err(io::Error::other)?, count))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;

    fn messages() -> Vec<ToWorker> {
        vec![
            ToWorker::Begin {
                name: "Process-1".into(),
                args: vec!["a".into(), String::new()],
                daemon: true,
                parent: "p".into(),
                recorded: Some(u64::MAX),
                script: Some("/s.rhai".into()),
                folder: "/".into(),
                path: vec!["/m".into()],
            },
            ToWorker::Sources(vec![("s.rhai".into(), "fn f() { 1 }".into())]),
            ToWorker::Run(7, ByteBuf::from(vec![0, 255, 3]), Vec::new()),
            ToWorker::Cancel(7),
            ToWorker::Run(8, ByteBuf::from(vec![1; 100_000]), Vec::new()),
            ToWorker::NoMore,
        ]
    }

    #[test]
    fn messages_come_through_whatever_the_pieces() {
        let mut stream = Vec::new();
        messages().iter().for_each(|m| write(&mut stream, m, 0).unwrap());
        for piece in [1, 3, 8, 4096, stream.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                frames.push(bytes);
                while let Some(letter) = frames.take::<ToWorker>().unwrap() {
                    seen.push(letter.message);
                }
            }
            assert_eq!(seen, messages(), "in pieces of {piece}");
        }
    }

    #[test]
    fn half_a_message_is_none_and_garbage_is_an_error() {
        let mut stream = Vec::new();
        write(&mut stream, &FromWorker::Reply(1, Reply::Value(ByteBuf::from(vec![9; 40]))), 0).unwrap();
        for end in 0..stream.len() {
            let mut frames = Frames::default();
            frames.push(&stream[..end]);
            assert!(frames.take::<FromWorker>().unwrap().is_none());
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut bytes: Vec<u8> = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
            let prefix = (bytes.len() as u64).to_le_bytes().into_iter().chain([0; 4]);
            bytes.splice(0..0, prefix);
            let mut frames = Frames::default();
            frames.push(&bytes);
            // An error, or by chance a message; never a panic, and never more to come.
            assert!(!matches!(frames.take::<FromWorker>(), Ok(None)));
        }
        let mut frames = Frames::default();
        frames.push(&[255; 16]);
        assert!(frames.take::<FromWorker>().is_err());
    }

    fn a_descriptor() -> OwnedFd {
        std::io::stdin().as_fd().try_clone_to_owned().unwrap()
    }

    #[test]
    fn each_message_gets_its_own_descriptors_and_wrong_ones_are_an_error() {
        let (one, other) = (ToWorker::Cancel(1), ToWorker::Cancel(2));
        let mut stream = Vec::new();
        write(&mut stream, &one, 2).unwrap();
        let half = stream.len() + 3;
        write(&mut stream, &other, 1).unwrap();
        let mut frames = Frames::default();
        let given: Vec<OwnedFd> = (0..3).map(|_| a_descriptor()).collect();
        let numbers: Vec<i32> = given.iter().map(AsRawFd::as_raw_fd).collect();
        frames.push(&stream[..half]);
        frames.push_descriptors(given);
        let mut seen = Vec::new();
        for rest in [&stream[half..], &[]] {
            let letter = frames.take::<ToWorker>().unwrap().unwrap();
            seen.extend(letter.descriptors.iter().map(|d| d.as_raw_fd()));
            frames.push(rest);
        }
        assert_eq!(seen, numbers);
        // Where some were lost, its message has none, and the next one its own.
        let mut lossy = Frames::default();
        lossy.push(&stream);
        lossy.push_descriptors([a_descriptor()]);
        lossy.lose_descriptors();
        lossy.push_descriptors([a_descriptor()]);
        let counts = [(); 2].map(|()| lossy.take::<ToWorker>().unwrap().unwrap().descriptors.len());
        assert_eq!(counts, [0, 1]);
        // Too few, too many without a message, and a number that no message has.
        let mut few = Frames::default();
        few.push(&stream);
        few.push_descriptors([a_descriptor()]);
        assert!(few.take::<ToWorker>().is_err());
        let mut many = Frames::default();
        many.push(&stream[..PREFIX]);
        many.push_descriptors((0..3).map(|_| a_descriptor()));
        assert!(many.take::<ToWorker>().is_err());
        stream[LENGTH..PREFIX].fill(255);
        let mut absurd = Frames::default();
        absurd.push(&stream);
        assert!(absurd.take::<ToWorker>().is_err());
        assert!(write(&mut Vec::new(), &one, MOST_DESCRIPTORS + 1).is_err());
    }
}

//! The messages between the main process and a worker, and how they lie in the stream: eight bytes that say how long the
//! message is, lowest first, then the message in MessagePack.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// What the main process says.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// The first message of all: who it is.
    Begin {
        /// The name of the process, for reports.
        name: String,
        /// The script's arguments.
        args: Vec<String>,
    },
    /// Sources that it has not got yet, by name.
    Sources(Vec<(String, String)>),
    /// A function to be called; only `script/` can read it.
    Run(u64, ByteBuf),
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

/// How many bytes say how long a message is.
const PREFIX: usize = 8;

/// No message is longer: whoever announces more does not speak this language.
const LONGEST: u64 = 1 << 40;

/// Puts a message at the end of `stream`.
///
/// # Errors
/// When it cannot be written in MessagePack, which none of those above does.
pub fn write<T: Serialize>(stream: &mut Vec<u8>, message: &T) -> io::Result<()> {
    let start = stream.len();
    stream.extend([0; PREFIX]);
    rmp_serde::encode::write(stream, message).map_err(io::Error::other)?;
    let length = (stream.len() - start - PREFIX) as u64;
    stream[start..start + PREFIX].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// A stream that comes in pieces.
#[derive(Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// How many of them were taken already.
    taken: usize,
}

impl Frames {
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

    /// The next message, if all of it has come.
    ///
    /// # Errors
    /// When it is no message.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let rest = &self.bytes[self.taken..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u64::from_le_bytes(*prefix);
        if length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = rmp_serde::from_slice(message).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.taken += PREFIX + length;
        if self.taken == self.bytes.len() {
            // Nobody keeps the room of a message that was large once.
            *self = Frames::default();
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<ToWorker> {
        vec![
            ToWorker::Begin { name: "Process-1".into(), args: vec!["a".into(), String::new()] },
            ToWorker::Sources(vec![("s.rhai".into(), "fn f() { 1 }".into())]),
            ToWorker::Run(7, ByteBuf::from(vec![0, 255, 3])),
            ToWorker::Cancel(7),
            ToWorker::Run(8, ByteBuf::from(vec![1; 100_000])),
            ToWorker::NoMore,
        ]
    }

    #[test]
    fn messages_come_through_whatever_the_pieces() {
        let mut stream = Vec::new();
        messages().iter().for_each(|m| write(&mut stream, m).unwrap());
        for piece in [1, 3, 8, 4096, stream.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                frames.push(bytes);
                while let Some(message) = frames.take::<ToWorker>().unwrap() {
                    seen.push(message);
                }
            }
            assert_eq!(seen, messages(), "in pieces of {piece}");
        }
    }

    #[test]
    fn half_a_message_is_none_and_garbage_is_an_error() {
        let mut stream = Vec::new();
        write(&mut stream, &FromWorker::Reply(1, Reply::Value(ByteBuf::from(vec![9; 40])))).unwrap();
        for end in 0..stream.len() {
            let mut frames = Frames::default();
            frames.push(&stream[..end]);
            assert_eq!(frames.take::<FromWorker>().unwrap(), None);
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut bytes: Vec<u8> = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
            bytes.splice(0..0, (bytes.len() as u64).to_le_bytes());
            let mut frames = Frames::default();
            frames.push(&bytes);
            // An error, or by chance a message; never a panic, and never more to come.
            assert!(!matches!(frames.take::<FromWorker>(), Ok(None)));
        }
        let mut frames = Frames::default();
        frames.push(&[255; 16]);
        assert!(frames.take::<FromWorker>().is_err());
    }
}

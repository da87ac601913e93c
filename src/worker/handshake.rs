//! Whether the other end is one of ours, and knows the key.
//!
//! Both say hello: that they speak this language, whether they have a key, and a number that nobody can guess. Where there is
//! a key, the client proves first that it knows it, then the listener: by an HMAC-SHA256 over the word for its own side and both
//! numbers, so that nothing can be said again and neither side learns anything from one that does not know the key. Messages
//! are short, and whoever says anything else is not heard further.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::Sha256;

use super::pair::{Payload, Stream};
use super::pipe::{Incoming, Outgoing};
use super::wire::{Descriptors, Letter};
use crate::kernel::Source;

/// What both say first: the language and its version.
const LANGUAGE: &str = "orch connection 1";

/// No message of a handshake is longer.
const LONGEST: u64 = 1 << 10;

/// No message of another program is longer.
const LONGEST_AFTER: u64 = 4 << 30;

/// How many bytes nobody can guess.
const NONCE: usize = 32;

#[derive(Serialize, Deserialize)]
enum Greeting {
    Hello { language: String, keyed: bool, nonce: ByteBuf },
    Proof(ByteBuf),
    Refused,
}

/// Which side this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It came to the listener.
    Client,
    /// The listener.
    Listener,
}

impl Role {
    fn word(self) -> &'static [u8] {
        match self {
            Role::Client => b"client",
            Role::Listener => b"listener",
        }
    }

    fn other(self) -> Role {
        match self {
            Role::Client => Role::Listener,
            Role::Listener => Role::Client,
        }
    }
}

/// How it stands.
pub enum Stage {
    /// It goes on.
    Open,
    /// Both know the same key, or neither has one.
    Agreed,
    /// The keys are not the same.
    WrongKey,
    /// The other end is gone, or none of ours.
    Failed(io::Error),
}

/// See the module.
pub struct Handshake {
    role: Role,
    key: Option<Vec<u8>>,
    nonce: [u8; NONCE],
    /// What the other end said, once it did.
    theirs: Option<Vec<u8>>,
    socket: Arc<OwnedFd>,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Handshake {
    /// Begins one at a socket that does not block.
    ///
    /// # Errors
    /// When the system has no chance for us.
    pub fn begin(role: Role, key: Option<&[u8]>, socket: OwnedFd) -> io::Result<Handshake> {
        let mut nonce = [0; NONCE];
        let count = getrandom(&mut nonce, GetRandomFlags::empty())?;
        if count != NONCE {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let socket = Arc::new(socket);
        let mut incoming = Incoming::new(socket.clone());
        incoming.limit(LONGEST);
        let mut shake = Handshake {
            role,
            key: key.map(<[u8]>::to_vec),
            nonce,
            theirs: None,
            outgoing: Outgoing::new(socket.clone()),
            socket,
            incoming,
        };
        let keyed = shake.key.is_some();
        shake.say(&Greeting::Hello { language: LANGUAGE.into(), keyed, nonce: ByteBuf::from(nonce) })?;
        Ok(shake)
    }

    fn say(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.outgoing.put(greeting, Descriptors::new())
    }

    /// Goes on as far as it can.
    pub fn advance(&mut self) -> Stage {
        loop {
            self.outgoing.flush();
            let said = match self.incoming.take::<Greeting>() {
                Ok(Some(Letter { message, .. })) => message,
                Ok(None) if self.incoming.has_ended() => return Stage::Failed(io::ErrorKind::UnexpectedEof.into()),
                Ok(None) => return Stage::Open,
                Err(error) => return Stage::Failed(error),
            };
            match self.hear(said) {
                Ok(Stage::Open) => {}
                Ok(stage) => {
                    // It is short: the socket takes it.
                    self.outgoing.flush();
                    return stage;
                }
                Err(error) => return Stage::Failed(error),
            }
        }
    }

    fn hear(&mut self, said: Greeting) -> io::Result<Stage> {
        match (said, self.theirs.is_some()) {
            (Greeting::Hello { language, .. }, false) if language != LANGUAGE => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "it speaks another language"))
            }
            (Greeting::Hello { keyed, nonce, .. }, false) => {
                self.theirs = Some(nonce.into_vec());
                if keyed != self.key.is_some() {
                    // Its hello, or ours, tells the other end the same.
                    return Ok(Stage::WrongKey);
                }
                if !keyed {
                    return Ok(Stage::Agreed);
                }
                if self.role == Role::Client {
                    self.prove()?;
                }
                Ok(Stage::Open)
            }
            (Greeting::Proof(proof), true) => {
                if !self.is_proof(&proof) {
                    self.say(&Greeting::Refused)?;
                    return Ok(Stage::WrongKey);
                }
                if self.role == Role::Listener {
                    self.prove()?;
                }
                Ok(Stage::Agreed)
            }
            (Greeting::Refused, true) => Ok(Stage::WrongKey),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not keep to the handshake")),
        }
    }

    fn prove(&mut self) -> io::Result<()> {
        let theirs = self.theirs.as_deref().unwrap_or_default();
        let proof = self.mac(self.role, &self.nonce, theirs)?.finalize().into_bytes().to_vec();
        self.say(&Greeting::Proof(ByteBuf::from(proof)))
    }

    /// Compared in a time that does not tell how much of it was right.
    fn is_proof(&self, proof: &[u8]) -> bool {
        let theirs = self.theirs.as_deref().unwrap_or_default();
        self.mac(self.role.other(), theirs, &self.nonce).is_ok_and(|mac| mac.verify_slice(proof).is_ok())
    }

    fn mac(&self, role: Role, own: &[u8], other: &[u8]) -> io::Result<Hmac<Sha256>> {
        let key = self.key.as_deref().unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(io::Error::other)?;
        for part in [LANGUAGE.as_bytes(), role.word(), own, other] {
            // With its length, so that no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Ok(mac)
    }

    /// What to wait for.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        self.incoming.source().into_iter().chain(self.outgoing.source())
    }

    /// What comes after it.
    pub fn into_stream<P: Payload>(self) -> Stream<P> {
        let mut stream = Stream::going_on(self.socket, self.incoming, self.outgoing);
        stream.limit(LONGEST_AFTER);
        stream
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn sockets() -> [UnixStream; 2] {
        let (one, other) = UnixStream::pair().unwrap();
        [one, other].map(|socket| {
            socket.set_nonblocking(true).unwrap();
            socket
        })
    }

    fn shake(client: Option<&[u8]>, listener: Option<&[u8]>) -> [Stage; 2] {
        let [one, other] = sockets();
        let mut client = Handshake::begin(Role::Client, client, one.into()).unwrap();
        let mut listener = Handshake::begin(Role::Listener, listener, other.into()).unwrap();
        let mut stages = [Stage::Open, Stage::Open];
        for _ in 0..4 {
            for (stage, side) in stages.iter_mut().zip([&mut client, &mut listener]) {
                if let Stage::Open = stage {
                    *stage = side.advance();
                }
            }
        }
        stages
    }

    #[test]
    fn only_the_same_key_or_none_agrees_and_both_hear_it() {
        assert!(matches!(shake(None, None), [Stage::Agreed, Stage::Agreed]));
        assert!(matches!(shake(Some(b"k"), Some(b"k")), [Stage::Agreed, Stage::Agreed]));
        assert!(matches!(shake(Some(b""), Some(b"")), [Stage::Agreed, Stage::Agreed]));
        for (client, listener) in
            [(Some(&b"k"[..]), Some(&b"K"[..])), (None, Some(b"k")), (Some(b"k"), None), (Some(b""), None)]
        {
            assert!(matches!(shake(client, listener), [Stage::WrongKey, Stage::WrongKey]));
        }
    }

    #[test]
    fn garbage_and_a_proof_said_again_are_not_heard_further() {
        let mut rng = fastrand::Rng::with_seed(3);
        for round in 0..200 {
            let [mut one, other] = sockets();
            let mut listener = Handshake::begin(Role::Listener, Some(b"k"), other.into()).unwrap();
            let garbage: Vec<u8> = match round {
                0 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                1 => vec![255; 12],
                _ => (0..rng.usize(12..200)).map(|_| rng.u8(..)).collect(),
            };
            one.write_all(&garbage).unwrap();
            drop(one);
            assert!(matches!(listener.advance(), Stage::Failed(_)));
        }
        // Our own proof, thrown back at us: it is that of the other side.
        let [one, other] = sockets();
        let mut client = Handshake::begin(Role::Client, Some(b"k"), one.into()).unwrap();
        let mut mirror = Incoming::new(Arc::new(other.try_clone().unwrap().into()));
        let mut back = Outgoing::new(Arc::new(other.into()));
        let mut last = Stage::Open;
        for _ in 0..4 {
            if let Stage::Open = last {
                last = client.advance();
            }
            while let Ok(Some(letter)) = mirror.take::<Greeting>() {
                back.put(&letter.message, Descriptors::new()).unwrap();
                back.flush();
            }
        }
        assert!(matches!(last, Stage::WrongKey));
    }
}

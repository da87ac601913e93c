//! Connections that can be cut: whoever gives up a call shuts the socket that it waits in.
//!
//! ureq gives the handle that shuts a socket to whoever opens it, but connections are used again by other calls. So each
//! time a connection is read from or written to, the call that does it notes how it can be cut.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, ShutdownHandle, TcpConnector, Transport,
};

use crate::io::blocking;

type Knife = Arc<Mutex<Option<Weak<dyn ShutdownHandle>>>>;

thread_local! {
    /// A connection was opened in this thread since this was last set to false.
    static OPENED: Cell<bool> = const { Cell::new(false) };
}

/// Forgets whether this thread has opened a connection; whether it had.
pub fn take_opened() -> bool {
    OPENED.replace(false)
}

/// Opens such connections.
#[derive(Debug, Default)]
pub struct Opener(TcpConnector);

/// Such a connection.
#[derive(Debug)]
pub struct Severable<T> {
    inner: T,
    knife: KnifeOf,
}

struct KnifeOf(Knife);

impl std::fmt::Debug for KnifeOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Knife")
    }
}

impl<In: Transport> Connector<In> for Opener {
    type Out = Severable<<TcpConnector as Connector<In>>::Out>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let knife = Knife::default();
        let (noted, register) = (knife.clone(), details.register_shutdown.clone());
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: Arc::new(move |handle| {
                *noted.lock() = Some(handle.clone());
                register(handle)
            }),
        };
        OPENED.set(true);
        Ok(self.0.connect(&details, chained)?.map(|inner| Severable { inner, knife: KnifeOf(knife) }))
    }
}

impl<T> Severable<T> {
    /// The call of this thread waits here now.
    fn note(&self) -> Result<(), Error> {
        let Some(handle) = self.knife.0.lock().clone() else {
            return Ok(());
        };
        let cut = move || {
            if let Some(handle) = handle.upgrade() {
                handle.shutdown();
            }
        };
        if blocking::interrupted_by(cut) { Ok(()) } else { Err(Error::Io(io::ErrorKind::ConnectionAborted.into())) }
    }
}

impl<T: Transport> Transport for Severable<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.note()?;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.note()?;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

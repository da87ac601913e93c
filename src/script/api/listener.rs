//! `Listener` and `Client`.

use rhai::plugin::*;
use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};

use crate::script::arguments::{Options, seconds, wrong_type};
use crate::script::handles::{Connection as ConnectionHandle, Listener as ListenerHandle};
use crate::script::throw::{Outcome, call, call_within, throw};
use crate::worker::address::Address;
use crate::worker::client;
use crate::worker::connection::Connection;
use crate::worker::listener::Listener;

fn address(ctx: &NativeCallContext, text: &str) -> Outcome<Address> {
    match Address::parse(text) {
        Some(address) => Ok(address),
        None => throw(
            ctx,
            "ValueError",
            format!("{}(): address must be \"host:port\" or a path with a /, not {text:?}", ctx.fn_name()),
        ),
    }
}

/// The option `authkey`: text or bytes.
fn key(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Option<Vec<u8>>> {
    let Some(value) = options.take("authkey") else {
        return Ok(None);
    };
    if let Some(bytes) = value.read_lock::<rhai::Blob>() {
        return Ok(Some(bytes.clone()));
    }
    match value.read_lock::<ImmutableString>() {
        Some(text) => Ok(Some(text.as_bytes().to_vec())),
        None => throw(ctx, "TypeError", wrong_type(ctx, "option authkey", "a string or a blob", value.type_name())),
    }
}

fn listen(ctx: &NativeCallContext, at: &str, options: Map) -> Outcome<ListenerHandle> {
    let mut options = Options::new(options);
    let key = key(ctx, &mut options)?;
    options.finish(ctx)?;
    let at = address(ctx, at)?;
    call(ctx, || Listener::open(&at, key)).map(ListenerHandle::of)
}

fn connect(ctx: &NativeCallContext, at: &str, options: Map) -> Outcome<ConnectionHandle> {
    let mut options = Options::new(options);
    let key = key(ctx, &mut options)?;
    let limit = options.seconds(ctx, "timeout")?;
    options.finish(ctx)?;
    let at = address(ctx, at)?;
    let end = call_within(ctx, limit, |limit| client::connect(&at, key, limit))?;
    Ok(ConnectionHandle::of(Connection::new(end, true)))
}

#[export_module]
pub mod functions {
    /// Listens at an address for clients from other programs: `"host:port"` (port 0 stands for any that is free), or the path
    /// of a socket file, with a `/`, which only this user may open and which is removed at the end. Under `--sim` addresses are
    /// those of the program itself.
    ///
    /// # Errors
    /// `ValueError` when it is no address; `IoError` when nobody can listen there, with what the system says.
    ///
    /// ```rhai
    /// with Listener("localhost:0") as listener {
    ///     let address = listener.address;
    ///     let t = spawn_thread(|| Client(address).send("hello"));
    ///     assert(listener.accept().recv() == "hello");
    ///     t.join();
    /// }
    /// ```
    #[rhai_fn(name = "Listener", return_raw)]
    pub fn new_listener(ctx: NativeCallContext, address: ImmutableString) -> Outcome<ListenerHandle> {
        listen(&ctx, &address, Map::new())
    }

    /// The same with the option `authkey`, a string or a blob: only clients that have the same one are let in, and they know
    /// that the listener has it too. The key itself is not sent.
    ///
    /// # Errors
    /// As `Listener(address)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let listener = Listener("localhost:0", #{authkey: "secret"});
    /// listener.close();
    /// ```
    #[rhai_fn(name = "Listener", return_raw)]
    pub fn new_listener_opts(
        ctx: NativeCallContext,
        address: ImmutableString,
        options: Map,
    ) -> Outcome<ListenerHandle> {
        listen(&ctx, &address, options)
    }

    /// Waits for the next client and returns the connection to it. Those who say nothing, or nothing that makes sense, are
    /// sent away after at most 10 seconds, and nobody waits for them.
    ///
    /// # Errors
    /// `AuthenticationError` when a client came with another `authkey`, with one where the listener has none, or without; the
    /// next call waits for the next one. `Closed` after `close()`; `IoError`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let listener = Listener("localhost:0", #{authkey: "secret"});
    /// let address = listener.address;
    /// let t = spawn_thread(|| Client(address, #{authkey: "guess"}));
    /// try { listener.accept(); } catch (e) { assert(e.kind == "AuthenticationError"); }
    /// try { t.join(); } catch (e) { assert(e.kind == "AuthenticationError"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn accept(ctx: NativeCallContext, listener: &mut ListenerHandle) -> Outcome<ConnectionHandle> {
        let end = call(&ctx, || listener.accept(None))?;
        Ok(ConnectionHandle::of(Connection::new(end, true)))
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `accept()`.
    ///
    /// ```rhai
    /// try { Listener("localhost:0").accept(0.1); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "accept", return_raw, pure)]
    pub fn accept_within(
        ctx: NativeCallContext,
        listener: &mut ListenerHandle,
        timeout: Dynamic,
    ) -> Outcome<ConnectionHandle> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        let end = call_within(&ctx, limit, |limit| listener.accept(limit))?;
        Ok(ConnectionHandle::of(Connection::new(end, true)))
    }

    /// Where it listens, with the port that it has got.
    ///
    /// ```rhai
    /// assert(Listener("localhost:0").address != "localhost:0");
    /// ```
    #[rhai_fn(get = "address", pure)]
    pub fn get_address(listener: &mut ListenerHandle) -> String {
        listener.address().to_string()
    }

    /// Listens no more; connections that were made stay. Closing again does nothing.
    ///
    /// ```rhai
    /// let listener = Listener("localhost:0");
    /// listener.close();
    /// try { listener.accept(); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(name = "close", pure)]
    pub fn close_listener(listener: &mut ListenerHandle) {
        listener.close();
    }

    /// True after `close()`.
    ///
    /// ```rhai
    /// assert(!Listener("localhost:0").closed);
    /// ```
    #[rhai_fn(get = "closed", pure)]
    pub fn is_listener_closed(listener: &mut ListenerHandle) -> bool {
        listener.is_closed()
    }

    /// Connects to the listener at an address, and waits until it accepts. Through the connection go values that are bytes: no
    /// memory, no other connections.
    ///
    /// # Errors
    /// `ValueError` when it is no address; `IoError` when nobody listens there, with what the system says;
    /// `AuthenticationError` when the listener has an `authkey`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// try { Client("./nobody-listens-here"); } catch (e) { assert(e.kind == "IoError"); }
    /// ```
    #[rhai_fn(name = "Client", return_raw)]
    pub fn new_client(ctx: NativeCallContext, address: ImmutableString) -> Outcome<ConnectionHandle> {
        connect(&ctx, &address, Map::new())
    }

    /// The same with options: `authkey`, a string or a blob, which the listener must have too, and `timeout` in seconds.
    ///
    /// # Errors
    /// As `Client(address)`; `AuthenticationError` when the listener has another `authkey`, or none; `TimeoutError`;
    /// `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// with Listener("localhost:0", #{authkey: "secret"}) as listener {
    ///     let address = listener.address;
    ///     let t = spawn_thread(|| Client(address, #{authkey: "secret", timeout: 5}).recv());
    ///     listener.accept().send("welcome");
    ///     assert(t.join() == "welcome");
    /// }
    /// ```
    #[rhai_fn(name = "Client", return_raw)]
    pub fn new_client_opts(
        ctx: NativeCallContext,
        address: ImmutableString,
        options: Map,
    ) -> Outcome<ConnectionHandle> {
        connect(&ctx, &address, options)
    }
}

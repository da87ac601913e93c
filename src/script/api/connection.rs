//! `Pipe` and `Connection`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, NativeCallContext};

use crate::kernel::Holder;
use crate::script::arguments::seconds;
use crate::script::decode::decode;
use crate::script::encode::{Way, encode};
use crate::script::flights;
use crate::script::handles::Connection as ConnectionHandle;
use crate::script::luggage::{Luggage, Packed};
use crate::script::parcel::{detach, make_content_over};
use crate::script::throw::{Outcome, Problem, call, call_within, throw};
use crate::worker::connection::Connection;
use crate::worker::pair::End;

/// The value that was received through this connection.
///
/// # Errors
/// `ValueError` when it is none.
pub fn unpacked(ctx: &NativeCallContext, connection: &ConnectionHandle, packed: Packed) -> Outcome<Dynamic> {
    // From another program come bytes only, whatever it says.
    let packed = match connection.is_remote() {
        true => Packed { bytes: packed.bytes, luggage: Luggage::default() },
        false => flights::arrived(ctx, packed)?,
    };
    match decode(&packed.bytes, &packed.luggage) {
        Ok(mut value) => {
            make_content_over(&mut value, &Holder::current());
            Ok(value)
        }
        Err(why) => throw(ctx, "ValueError", format!("{}(): what came cannot be read: {why}", ctx.fn_name())),
    }
}

fn packed(ctx: &NativeCallContext, connection: &ConnectionHandle, x: Dynamic) -> Outcome<Packed> {
    let way = if connection.is_remote() { Way::Outside } else { Way::Inside };
    let x = detach(ctx, x, &Holder::current())?;
    let packed = encode(&x, "x", way).map_err(|refused| {
        let target = if connection.is_remote() { "program" } else { "process" };
        let message = format!(
            "{}(): {} is {}, which cannot cross to another {target}",
            ctx.fn_name(),
            refused.path,
            refused.what
        );
        Problem::new(ctx, "SendError", message).with("path", refused.path).with("type", refused.what).thrown()
    })?;
    flights::accompany(ctx, packed)
}

#[export_module]
pub mod functions {
    /// Makes two connections that speak to each other: what is sent into one is received from the other, both ways. Between
    /// threads both are used as they are. Passed to a process, a connection moves there, and can no longer be used here; when
    /// that process ends, the other end hears `EndOfFile`.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// let p = spawn_process(|end| end.send(end.recv() * 2), [ends[1]]);
    /// ends[0].send(21);
    /// assert(ends[0].recv() == 42);
    /// ```
    #[rhai_fn(name = "Pipe")]
    pub fn new_pipe() -> Array {
        End::pair().map(|end| Dynamic::from(ConnectionHandle::of(Connection::new(end, false)))).into()
    }

    /// Sends a value, whole: a copy of it, with the memory, the handles and the connections in it. It waits while the other end
    /// has much to receive (64 KiB in all, or one message that is larger). A connection in `x` moves to whoever receives it. A
    /// handle is used by whoever receives it as if it had been passed to that process; the other end may be in any process, so that
    /// only what the main process has made can be sent, by whichever process has it. To other programs go bytes only.
    ///
    /// # Errors
    /// `SendError` when something in `x` cannot cross to another process, which says where it sits; `EndOfFile` when the other
    /// end was closed or its process has ended; `Closed` when this end was closed or passed to a process; `DeadlockError`,
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// ends[0].send(#{name: "a", list: [1, 2]});
    /// assert(ends[1].recv().list == [1, 2]);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn send(ctx: NativeCallContext, connection: &mut ConnectionHandle, x: Dynamic) -> Outcome<()> {
        let message = packed(&ctx, connection, x)?;
        call(&ctx, || connection.send(message))
    }

    /// Receives the next value, waiting until there is one.
    ///
    /// # Errors
    /// `EndOfFile` when all was received and the other end was closed, or its process has ended; `Closed` when this end was
    /// closed or passed to a process; `ValueError` when what came cannot be read; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// ends[1].close();
    /// try { ends[0].recv(); } catch (e) { assert(e.kind == "EndOfFile"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn recv(ctx: NativeCallContext, connection: &mut ConnectionHandle) -> Outcome<Dynamic> {
        let message = call(&ctx, || connection.receive(None))?;
        unpacked(&ctx, connection, message)
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `recv()`.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// try { ends[0].recv(0.1); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "recv", return_raw, pure)]
    pub fn recv_within(
        ctx: NativeCallContext,
        connection: &mut ConnectionHandle,
        timeout: Dynamic,
    ) -> Outcome<Dynamic> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        let message = call_within(&ctx, limit, |limit| connection.receive(limit))?;
        unpacked(&ctx, connection, message)
    }

    /// True when `recv()` would not wait now: there is a value, or the other end was closed.
    ///
    /// # Errors
    /// `Closed` when this end was closed or passed to a process.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// assert(!ends[0].poll());
    /// ends[1].send(1);
    /// assert(ends[0].poll());
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn poll(ctx: NativeCallContext, connection: &mut ConnectionHandle) -> Outcome<bool> {
        call(&ctx, || connection.poll(Some(std::time::Duration::ZERO)))
    }

    /// Waits at most `timeout` seconds until `recv()` would not wait: false when the time was up.
    ///
    /// # Errors
    /// `Closed` when this end was closed or passed to a process; `DeadlockError`, `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// assert(!ends[0].poll(0.1));
    /// ```
    #[rhai_fn(name = "poll", return_raw, pure)]
    pub fn poll_within(ctx: NativeCallContext, connection: &mut ConnectionHandle, timeout: Dynamic) -> Outcome<bool> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        call(&ctx, || connection.poll(limit))
    }

    /// Closes this end: the other one receives what was sent, and then hears `EndOfFile`. Closing again does nothing.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// ends[0].send("last");
    /// ends[0].close();
    /// assert(ends[1].recv() == "last");
    /// ```
    #[rhai_fn(name = "close", pure)]
    pub fn close_connection(connection: &mut ConnectionHandle) {
        connection.close();
    }

    /// True when this end was closed, or passed to a process.
    ///
    /// ```rhai
    /// let ends = Pipe();
    /// ends[0].close();
    /// assert(ends[0].closed && !ends[1].closed);
    /// ```
    #[rhai_fn(get = "closed", pure)]
    pub fn is_connection_closed(connection: &mut ConnectionHandle) -> bool {
        connection.is_closed()
    }
}

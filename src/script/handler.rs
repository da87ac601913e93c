//! Functions of a script that handle signals, and what they throw.
//!
//! A handler runs in the middle of something else that the main task does. What it throws comes out there: out of the
//! wait, or out of the operation of the script before which it ran. Rhai lets only errors through there that no `try`
//! catches, so a thrown value travels as a token up to the next place of ours ([`settled`]).

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Map, NativeCallContext, Position};

use super::caught::crossing_map;
use super::function::Callable;
use super::host::{host, with_host};
use super::parcel::make_content_over;
use super::throw::{Ending, Outcome, Thrown, innermost, throw};
use crate::kernel::Holder;
use crate::kernel::handling::HandlerError;
use crate::signals::{Handler, Signal};

/// What a handler threw.
#[derive(Clone)]
pub enum Raised {
    /// It ended the program.
    Ending(Ending),
    /// It threw this value, there.
    Value(Dynamic, Position),
}

impl Raised {
    fn of(error: Thrown, source: Option<&str>) -> Raised {
        if let Some(ending) = Ending::of(&error) {
            return Raised::Ending(ending);
        }
        let (mut value, position) = match innermost(&error) {
            EvalAltResult::ErrorRuntime(value, position) if !value.is::<Map>() => (value.clone(), *position),
            inner => {
                let position = inner.position();
                (crossing_map(&host(), error, source).into(), position)
            }
        };
        make_content_over(&mut value, &Holder::current());
        Raised::Value(value, position)
    }

    /// What a wait was stopped with.
    pub fn of_stop(error: &HandlerError) -> Raised {
        // Nobody else sets a hook in a program that runs scripts.
        error.downcast_ref::<Raised>().cloned().unwrap_or(Raised::Ending(Ending::Over))
    }

    /// As an error, which comes out at `position`.
    pub fn thrown(self, position: Position) -> Thrown {
        match self {
            Raised::Ending(ending) => ending.thrown(position),
            Raised::Value(value, thrown_at) => EvalAltResult::ErrorRuntime(value, thrown_at).into(),
        }
    }
}

/// With what Rhai is told to stop, when a handler failed between two operations.
#[derive(Clone)]
pub struct Token(pub HandlerError);

/// The error itself, where what was thrown in a handler came out between two operations.
pub fn settled(error: Thrown) -> Thrown {
    match innermost(&error) {
        EvalAltResult::ErrorTerminated(token, position) => match token.clone().try_cast::<Token>() {
            Some(Token(raised)) => {
                with_host(|host| host.kernel().handling().heard(&raised));
                Raised::of_stop(&raised).thrown(*position)
            }
            None => error,
        },
        _ => error,
    }
}

/// The handler of `signal` that calls `f`: with the name of the signal, if it takes an argument.
///
/// # Errors
/// `TypeError` when `f` is no function, or takes more; `CaptureError`.
pub fn make(ctx: &NativeCallContext, signal: Signal, f: Dynamic) -> Outcome<Handler> {
    // It may run at any time as long as there is a rule that names it.
    let function = Callable::for_other(ctx, "f", f, &Holder::Outside)?;
    let arities = function.arities(ctx);
    let takes = |count| arities.as_ref().is_some_and(|counts| counts.contains(&count));
    let with_name = takes(1);
    if arities.is_some() && !with_name && !takes(0) {
        let message = format!("{}(): f is called with the name of the signal, or with nothing", ctx.fn_name());
        return throw(ctx, "TypeError", message);
    }
    Ok(Arc::new(move || {
        let args: Vec<Dynamic> = if with_name { vec![signal.name.into()] } else { Vec::new() };
        let result = function.amid().call(args);
        result.map(drop).map_err(|error| -> HandlerError { Arc::new(Raised::of(error, function.source())) })
    }))
}

//! Printing, chance, assertions, the end of the program.

use std::io::ErrorKind;
use std::ops::{Range, RangeInclusive};

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, FnPtr, ImmutableString, Map, Module, NativeCallContext};

use crate::kernel::{door, with_current};
use crate::script::arguments::{list, wrong_type};
use crate::script::host::{host, mark, with_host};
use crate::script::throw::{Ending, Outcome, throw};

/// A program whose reader has gone away ends as one that SIGPIPE ended, as every filter does.
const BROKEN_PIPE: i32 = 128 + 13;

fn print_line(ctx: &NativeCallContext, line: &str) -> Outcome<()> {
    mark(ctx);
    door::point();
    if with_current(|task| task.kernel().is_over()) {
        return Err(Ending::Over.thrown(ctx.call_position()));
    }
    match host().print(&format!("{line}\n")) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            Err(Ending::Exit(BROKEN_PIPE).thrown(ctx.call_position()))
        }
        Err(error) => throw(ctx, "IoError", format!("cannot print: {error}")),
    }
}

/// Prints; Rhai wants a text back from everything called `print`, which it would print then: there is nothing more to.
fn print_value(ctx: &NativeCallContext, value: &Dynamic) -> Outcome<ImmutableString> {
    let line = shown(ctx, value);
    print_line(ctx, &line)?;
    Ok(ImmutableString::new())
}

/// Rhai has a `print` and a `debug` for each of its types, which come before ones for any type: so these are for the same.
pub fn register(module: &mut Module) {
    macro_rules! for_types {
        ($($type:ty),*) => {
            $(module.set_native_fn("print", |ctx: NativeCallContext, x: $type| print_value(&ctx, &Dynamic::from(x)));
            module.set_native_fn("debug", |ctx: NativeCallContext, x: $type| tell(&ctx, &Dynamic::from(x)));)*
        };
    }
    for_types!(bool, char, i64, f64, ImmutableString, Array, Map, Blob, FnPtr, Range<i64>, RangeInclusive<i64>);
    module.set_native_fn("print", |ctx: NativeCallContext, _x: ()| print_value(&ctx, &Dynamic::UNIT));
    module.set_native_fn("debug", |ctx: NativeCallContext, _x: ()| tell(&ctx, &Dynamic::UNIT));
}

fn tell(ctx: &NativeCallContext, value: &Dynamic) -> Outcome<ImmutableString> {
    let text = ctx.call_native_fn::<String>("to_debug", (value.clone(),)).unwrap_or_else(|_| format!("{value:?}"));
    with_host(|host| {
        let place = host.kernel().place(host.site(ctx));
        host.say(&format!("{place}: {text}\n"));
    });
    Ok(ImmutableString::new())
}

/// What `print` shows of a value: text as it is, the rest as Rhai shows it.
fn shown(ctx: &NativeCallContext, value: &Dynamic) -> String {
    let value = value.flatten_clone();
    match value.clone().into_immutable_string() {
        Ok(text) => text.into(),
        Err(_) => ctx.call_native_fn::<String>("to_string", (value.clone(),)).unwrap_or_else(|_| value.to_string()),
    }
}

#[export_module]
pub mod functions {
    /// Prints a value and a newline, as one piece: lines of different threads never mix.
    ///
    /// # Errors
    /// `IoError` when the system refuses. When nobody reads the output any more, the program ends.
    ///
    /// ```rhai
    /// print("hello");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn print(ctx: NativeCallContext, x: Dynamic) -> Outcome<ImmutableString> {
        print_value(&ctx, &x)
    }

    /// Prints an empty line.
    ///
    /// # Errors
    /// As `print(x)`.
    ///
    /// ```rhai
    /// print();
    /// ```
    #[rhai_fn(name = "print", return_raw)]
    pub fn print_nothing(ctx: NativeCallContext) -> Outcome<ImmutableString> {
        print_value(&ctx, &"".into())
    }

    /// Prints a value as it would be written in a script, with the place of the call, on the standard error.
    ///
    /// ```rhai
    /// debug("quoted");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn debug(ctx: NativeCallContext, x: Dynamic) -> Outcome<ImmutableString> {
        tell(&ctx, &x)
    }

    /// A random float, at least 0 and less than 1. Repeatable under `--sim`.
    ///
    /// ```rhai
    /// let r = random();
    /// assert(r >= 0.0 && r < 1.0);
    /// ```
    pub fn random() -> f64 {
        with_current(|task| task.kernel().chance(fastrand::Rng::f64))
    }

    /// A random int from `a` to `b`, both included. Repeatable under `--sim`.
    ///
    /// # Errors
    /// `ValueError` when `a` is greater than `b`.
    ///
    /// ```rhai
    /// let n = randint(1, 6);
    /// assert(n >= 1 && n <= 6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn randint(ctx: NativeCallContext, a: i64, b: i64) -> Outcome<i64> {
        if a > b {
            return throw(&ctx, "ValueError", format!("randint(): a must not be greater than b, but {a} > {b}"));
        }
        Ok(with_current(|task| task.kernel().chance(|rng| rng.i64(a..=b))))
    }

    /// A random item of a list. Repeatable under `--sim`.
    ///
    /// # Errors
    /// `IndexError` when the list is empty.
    ///
    /// ```rhai
    /// assert(choice(["a", "b"]) in ["a", "b"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn choice(ctx: NativeCallContext, list: Dynamic) -> Outcome<Dynamic> {
        let mut items = self::list(&ctx, "list", list)?;
        if items.is_empty() {
            return throw(&ctx, "IndexError", "choice(): the list is empty");
        }
        let at = with_current(|task| task.kernel().chance(|rng| rng.usize(..items.len())));
        Ok(items.swap_remove(at))
    }

    /// Brings an array into random order, in place. Repeatable under `--sim`.
    ///
    /// ```rhai
    /// let cards = [1, 2, 3];
    /// shuffle(cards);
    /// assert(cards.len() == 3);
    /// ```
    pub fn shuffle(array: &mut Array) {
        with_current(|task| task.kernel().chance(|rng| rng.shuffle(array)));
    }

    /// Ends the program at once, from any thread, with status 0. The `with` blocks of this thread are left first; `try`
    /// does not catch it.
    ///
    /// ```rhai,norun
    /// exit();
    /// ```
    #[rhai_fn(name = "exit", return_raw)]
    pub fn exit_well(ctx: NativeCallContext) -> Outcome<()> {
        Err(Ending::Exit(0).thrown(ctx.call_position()))
    }

    /// Ends the program at once, from any thread, with this status (its lowest eight bits, as the system has it).
    ///
    /// # Errors
    /// `TypeError` when `code` is no int.
    ///
    /// ```rhai,norun
    /// exit(3);
    /// ```
    #[rhai_fn(name = "exit", return_raw)]
    pub fn exit_with(ctx: NativeCallContext, code: Dynamic) -> Outcome<()> {
        let Ok(code) = code.as_int() else {
            return throw(&ctx, "TypeError", wrong_type(&ctx, "code", "an int", code.type_name()));
        };
        // The system keeps eight bits.
        let status = i32::try_from(code.rem_euclid(256)).unwrap_or(1);
        Err(Ending::Exit(status).thrown(ctx.call_position()))
    }

    /// Makes sure that something holds.
    ///
    /// # Errors
    /// `AssertionError` when `condition` is false.
    ///
    /// ```rhai
    /// assert(1 + 1 == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert(ctx: NativeCallContext, condition: bool) -> Outcome<()> {
        if condition { Ok(()) } else { throw(&ctx, "AssertionError", "the assertion does not hold") }
    }

    /// The same, with a message of your own.
    ///
    /// # Errors
    /// `AssertionError` with `message`.
    ///
    /// ```rhai
    /// assert(true, "never shown");
    /// ```
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_with(ctx: NativeCallContext, condition: bool, message: Dynamic) -> Outcome<()> {
        if condition { Ok(()) } else { throw(&ctx, "AssertionError", message.to_string()) }
    }
}

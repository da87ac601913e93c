//! Functions of the script that are called by somebody else, later or elsewhere.

use rhai::{Array, Dynamic, FnPtr, GlobalRuntimeState, ImmutableString, NativeCallContext, Position};

use super::engine::MAX_CALLS;
use super::handler::settled;
use super::host::host;
use super::parcel::{detach, is_plain, make_content_over};
use super::throw::{Outcome, throw};
use super::{capture, constants};
use crate::kernel::{Holder, threads};

/// A function with the place it was handed over at, which gives it its libraries and modules.
#[derive(Clone)]
pub struct Callable {
    function: FnPtr,
    global: GlobalRuntimeState,
    position: Position,
}

impl Callable {
    /// A function that stays in its task: what it captured is shared with its surroundings, as in any Rhai script.
    ///
    /// # Errors
    /// `TypeError` when `value` is no function.
    pub fn here(ctx: &NativeCallContext, argument: &str, value: Dynamic) -> Outcome<Callable> {
        let function = function_in(ctx, argument, value)?;
        Ok(Callable { function, global: ctx.global_runtime_state().clone(), position: ctx.call_position() })
    }

    /// A function for another task, held by `holder`: what it captured is copied.
    ///
    /// # Errors
    /// `TypeError` when `value` is no function, `CaptureError` when it assigns to a variable that it captured.
    pub fn for_other(ctx: &NativeCallContext, argument: &str, value: Dynamic, holder: &Holder) -> Outcome<Callable> {
        let function = function_in(ctx, argument, value)?;
        let function = detach(ctx, function.into(), holder)?;
        capture::check(ctx, &function)?;
        constants::share(ctx.global_runtime_state());
        let mut global = ctx.global_runtime_state().clone();
        global.level = 0;
        let function = function.try_cast::<FnPtr>().expect("invariant: detach keeps the type");
        Ok(Callable { function, global, position: ctx.call_position() })
    }

    /// A function that has come from another process, with its surroundings, and the place where it was handed over there.
    pub fn arrived(function: FnPtr, global: GlobalRuntimeState, position: Position) -> Callable {
        Callable { function, global, position }
    }

    /// Its surroundings.
    pub fn global(&self) -> &GlobalRuntimeState {
        &self.global
    }

    /// The function itself.
    pub fn pointer(&self) -> &FnPtr {
        &self.function
    }

    /// Where it was handed over.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Its name, as reports show it.
    pub fn name(&self) -> &str {
        if self.function.is_anonymous() { "closure" } else { self.function.fn_name() }
    }

    /// The source it was handed over in.
    pub fn source(&self) -> Option<&str> {
        self.global.source.as_deref()
    }

    /// The current task will run it: makes what it captured over to it.
    pub fn move_here(&mut self) {
        self.make_over(&Holder::current());
        constants::own(&mut self.global);
    }

    /// To be called in the middle of what the current task does, like the handler of a signal: the calls that are going on
    /// count, or the stack might not suffice for both.
    pub fn amid(&self) -> Callable {
        let mut callable = self.clone();
        constants::own(&mut callable.global);
        callable.global.level = threads::stack_used().div_ceil(threads::STACK_SIZE / MAX_CALLS);
        callable
    }

    /// With how many arguments it can be called; `None` when that is not known, of a function that is no script's.
    pub fn arities(&self, ctx: &NativeCallContext) -> Option<Vec<usize>> {
        let name = self.function.fn_name();
        let captured = self.function.curry().len();
        let counts: Vec<usize> = ctx
            .iter_namespaces()
            .flat_map(|m| {
                let named = m.iter_script_fn_info().filter(|(_, _, n, ..)| *n == name);
                named.map(|(_, _, _, count, _)| count.saturating_sub(captured)).collect::<Vec<_>>()
            })
            .collect();
        (!counts.is_empty()).then_some(counts)
    }

    fn make_over(&mut self, holder: &Holder) {
        self.function.iter_curry_mut().for_each(|captured| make_content_over(captured, holder));
    }

    /// Calls it.
    ///
    /// # Errors
    /// Those of the function.
    pub fn call(&self, args: impl AsMut<[Dynamic]>) -> Outcome<Dynamic> {
        self.run(None, args)
    }

    /// Calls it with `this` bound to an object.
    ///
    /// # Errors
    /// Those of the function.
    pub fn call_on(&self, this: &mut Dynamic, args: impl AsMut<[Dynamic]>) -> Outcome<Dynamic> {
        self.run(Some(this), args)
    }

    fn run(&self, this: Option<&mut Dynamic>, args: impl AsMut<[Dynamic]>) -> Outcome<Dynamic> {
        let host = host();
        let source = self.global.source.as_deref();
        let name = self.function.fn_name();
        let ctx = NativeCallContext::new_with_all_fields(host.engine(), name, source, &self.global, self.position);
        self.function.call_raw(&ctx, this, args).map_err(settled)
    }
}

/// A function given as closure, `Fn("name")`, bare name, or name in a string.
fn function_in(ctx: &NativeCallContext, argument: &str, value: Dynamic) -> Outcome<FnPtr> {
    let value = value.flatten();
    let shown = value.type_name();
    if let Some(name) = value.read_lock::<ImmutableString>() {
        return named(ctx, &name);
    }
    match value.try_cast::<FnPtr>() {
        Some(function) => Ok(function),
        None => throw(ctx, "TypeError", super::arguments::wrong_type(ctx, argument, "a function", shown)),
    }
}

fn named(ctx: &NativeCallContext, name: &ImmutableString) -> Outcome<FnPtr> {
    let known = ctx.iter_namespaces().any(|m| m.iter_script_fn_info().any(|(_, _, n, _, _)| n == name.as_str()));
    match FnPtr::new(name.clone()) {
        Ok(function) if known => Ok(function),
        _ => {
            let names: Vec<String> = ctx
                .iter_namespaces()
                .flat_map(|m| m.iter_script_fn_info().map(|(_, _, n, _, _)| n.to_string()).collect::<Vec<_>>())
                .collect();
            let hint = super::arguments::did_you_mean(name, names.iter().map(String::as_str));
            throw(ctx, "TypeError", format!("{}(): there is no function {name:?} in this script{hint}", ctx.fn_name()))
        }
    }
}

/// Arguments for a function that another task will run, held by `holder`.
///
/// # Errors
/// `CaptureError`, `ValueError` as [`detach`].
pub fn pack_arguments(ctx: &NativeCallContext, args: Array, holder: &Holder) -> Outcome<Vec<Dynamic>> {
    // Nearly always.
    if args.iter().all(|arg| is_plain(arg) && !arg.is_shared()) {
        return Ok(args);
    }
    args.into_iter()
        .map(|arg| {
            if !arg.is_shared() && is_plain(&arg) {
                return Ok(arg);
            }
            let arg = detach(ctx, arg, holder)?;
            capture::check(ctx, &arg)?;
            Ok(arg)
        })
        .collect()
}

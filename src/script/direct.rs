//! Calls of methods that loops are made of, on handles in plain variables: `lock.acquire();`, `queue.put(item);`.
//!
//! Rhai's way to a method is long: it looks the type's name up by text, asks three times for a function, and puts the arguments
//! into lists. So where the text says nothing but such a call (`script::source` writes [`KEYWORD`] before it), the method is called
//! here, if it is certain to be the one that Rhai would find: the variable holds a handle of that type itself, and no script
//! defines a function of that name. Everything else goes Rhai's way.

use std::sync::atomic::{AtomicBool, Ordering};

use rhai::{Dynamic, EvalContext, Expr, Expression, FnCallExpr, NativeCallContext, Position};

use super::api::queue::put;
use super::far::{self, Far};
use super::handles::{Lock, Queue};
use super::throw::{Outcome, call};

/// What stands before such a call in the text that Rhai is given.
pub const KEYWORD: &str = "__direct";

/// The methods, with how many arguments they take.
pub const METHODS: [(&str, usize); 4] = [("acquire", 0), ("release", 0), ("get", 0), ("put", 1)];

/// Some script of this process defines a function that is called like one of the methods.
static REDEFINED: AtomicBool = AtomicBool::new(false);

/// A script defines a function of this name.
pub fn is_defined(name: &str) {
    if METHODS.iter().any(|(method, _)| *method == name) {
        REDEFINED.store(true, Ordering::Relaxed);
    }
}

/// What is said after [`KEYWORD`].
///
/// # Errors
/// Those of what it calls.
pub fn evaluate(context: &mut EvalContext, inputs: &[Expression]) -> Outcome<Dynamic> {
    match directly(context, &inputs[0]) {
        Some(done) => done,
        None => context.eval_expression_tree(&inputs[0]),
    }
}

fn directly(context: &mut EvalContext, expression: &Expr) -> Option<Outcome<Dynamic>> {
    let Expr::Dot(parts, ..) = expression else {
        return None;
    };
    let (Expr::Variable(variable, short, _), Expr::MethodCall(method, position)) = (&parts.lhs, &parts.rhs) else {
        return None;
    };
    let index = short.map(|index| usize::from(index.get())).or(variable.0.map(|index| index.get()))?;
    if REDEFINED.load(Ordering::Relaxed) || context.global_runtime_state().always_search_scope {
        return None;
    }
    // Only a simple value may be evaluated before it is known that Rhai need not do it again.
    let item = match method.args.as_ref() {
        [] => Dynamic::UNIT,
        [item @ (Expr::Variable(..) | Expr::IntegerConstant(..) | Expr::StringConstant(..))] => {
            match context.eval_expression_tree(&item.into()) {
                Ok(item) => item.flatten(),
                Err(error) => return Some(Err(error)),
            }
        }
        _ => return None,
    };
    let done = with_method(context, index, method, *position, item)?;
    Some(done.map_err(|mut error| {
        if error.position().is_none() {
            error.set_position(*position);
        }
        error
    }))
}

/// Calls the method of what the variable of this index, counted from the end, holds.
fn with_method(
    context: &EvalContext,
    index: usize,
    method: &FnCallExpr,
    position: Position,
    item: Dynamic,
) -> Option<Outcome<Dynamic>> {
    let (_, _, value) = context.scope().iter_raw().nth(index - 1)?;
    if value.is_shared() {
        return None;
    }
    let (name, global) = (method.name.as_str(), context.global_runtime_state());
    let ctx = NativeCallContext::new_with_all_fields(context.engine(), name, None, global, position);
    let count = method.args.len();
    if let Some(lock) = value.read_lock::<Lock>() {
        return match (name, count) {
            ("acquire", 0) => Some(call(&ctx, || lock.acquire(None)).map(Dynamic::from)),
            ("release", 0) => Some(call(&ctx, || lock.release()).map(Dynamic::from)),
            _ => None,
        };
    }
    if let Some(queue) = value.read_lock::<Queue>() {
        return match (name, count) {
            ("get", 0) => Some(call(&ctx, || queue.get(None)).map(|item| item.unpack())),
            ("put", 1) => Some(put(&ctx, &queue, item).map(Dynamic::from)),
            _ => None,
        };
    }
    if let Some(lock) = value.read_lock::<Far<Lock>>().filter(|_| count == 0) {
        return far::without_a_call(&ctx, name, lock.object(), &[]);
    }
    let queue = value.read_lock::<Far<Queue>>()?;
    match (name, count) {
        ("get", 0) => far::on_loan(&ctx, queue.object()),
        ("put", 1) => far::put_plain(&ctx, queue.object(), &item),
        _ => None,
    }
}

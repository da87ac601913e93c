//! The statements that orch adds or replaces: `with`, and `try`, whose `catch` binds the same kind of map for every error.

use std::cell::RefCell;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, EvalContext, Expression, NativeCallContext, Position};

use super::direct;
use super::done::Done;
use super::handler::settled;
use super::handles::{
    Child, Condition, Connection, Database, Executor, File, Listener, Lock, Pool, RwSide, Semaphore, TaskGroup,
};
use super::host::{host, mark};
use super::process_pools;
use super::throw::{Ending, Outcome, Problem, Thrown, call, innermost};

/// Registers the statements.
///
/// # Panics
/// When Rhai refuses the syntax, which is fixed.
pub fn register(engine: &mut Engine) {
    engine
        .disable_symbol("try")
        .disable_symbol("catch")
        .register_custom_syntax(["try", "$block$", "catch", "$block$"], false, try_catch)
        .and_then(|engine| engine.register_custom_syntax(["with", "$expr$", "$block$"], false, with))
        .and_then(|engine| engine.register_custom_syntax([direct::KEYWORD, "$expr$"], false, direct::evaluate))
        .expect("invariant: the syntax is well formed");
}

thread_local! {
    /// What the enclosing `with` statements hold and the enclosing `catch` blocks caught.
    static BOUND: RefCell<Vec<Dynamic>> = const { RefCell::new(Vec::new()) };
}

/// What the innermost `with … as` or `catch (…)` that is just beginning binds.
pub fn bound_value() -> Dynamic {
    BOUND.with(|bound| bound.borrow_mut().pop()).unwrap_or(Dynamic::UNIT)
}

/// Evaluates a block that begins by asking for what is bound, or not.
fn block_with(context: &mut EvalContext, block: &Expression, value: Dynamic) -> Outcome<Dynamic> {
    let depth = BOUND.with(|bound| {
        let mut bound = bound.borrow_mut();
        bound.push(value);
        bound.len() - 1
    });
    let result = context.eval_expression_tree(block).map_err(settled);
    BOUND.with(|bound| bound.borrow_mut().truncate(depth));
    result
}

fn try_catch(context: &mut EvalContext, inputs: &[Expression]) -> Outcome<Dynamic> {
    let mut error = match context.eval_expression_tree(&inputs[0]).map_err(settled) {
        Err(error) if is_caught(&error) => error,
        other => return other,
    };
    let value = super::caught::caught_value(&host(), &mut error, context.source());
    match block_with(context, &inputs[1], value) {
        Ok(_) => Ok(Dynamic::UNIT),
        // `throw;` throws the same error again.
        Err(again) => match *again {
            EvalAltResult::ErrorRuntime(ref value, position) if value.is_unit() => {
                error.set_position(position);
                Err(error)
            }
            _ => Err(again),
        },
    }
}

fn is_caught(error: &EvalAltResult) -> bool {
    let inner = innermost(error);
    inner.is_catchable() || matches!(inner, EvalAltResult::ErrorStackOverflow(_))
}

/// What a `with` statement holds.
enum Held {
    Lock(Lock),
    Semaphore(Semaphore),
    Side(RwSide),
    Condition(Condition),
    Executor(Arc<super::jobs::JobPool>),
    Group(TaskGroup),
    Child(Child),
    /// What another process has, and the function that gives it back.
    Far(Dynamic, &'static str),
    Connection(Connection),
    Listener(Listener),
    Database(Database),
    File(File),
}

fn with(context: &mut EvalContext, inputs: &[Expression]) -> Outcome<Dynamic> {
    let value = context.eval_expression_tree(&inputs[0])?.flatten();
    let position = inputs[0].position();
    let held = at(context, position, |ctx| acquire(ctx, value.clone()))?;
    let result = block_with(context, &inputs[1], value);
    at(context, position, |ctx| leave(ctx, &held, result))
}

/// Runs `body` as a call of `with` from `position`.
fn at<R>(context: &EvalContext, position: Position, body: impl FnOnce(&NativeCallContext) -> R) -> R {
    let global = context.global_runtime_state();
    let ctx = NativeCallContext::new_with_all_fields(context.engine(), "with", context.source(), global, position);
    mark(&ctx);
    body(&ctx)
}

fn acquire(ctx: &NativeCallContext, value: Dynamic) -> Outcome<Held> {
    let shown = value.type_name().to_string();
    let value = process_pools::as_of_threads(&value).unwrap_or(value);
    let held = if let Some(lock) = value.clone().try_cast::<Lock>() {
        taken(ctx, lock.acquire(None), || lock.release())?;
        Held::Lock(lock)
    } else if let Some(semaphore) = value.clone().try_cast::<Semaphore>() {
        call(ctx, || semaphore.acquire(None))?;
        Held::Semaphore(semaphore)
    } else if let Some(side) = value.clone().try_cast::<RwSide>() {
        taken(ctx, side.lock.acquire(side.side, None), || side.lock.release(side.side))?;
        Held::Side(side)
    } else if let Some(condition) = value.clone().try_cast::<Condition>() {
        taken(ctx, condition.lock().acquire(None), || condition.lock().release())?;
        Held::Condition(condition)
    } else if let Some(executor) = value.clone().try_cast::<Executor>() {
        Held::Executor(executor.0.object().clone())
    } else if let Some(pool) = value.clone().try_cast::<Pool>() {
        Held::Executor(pool.pool.clone())
    } else if let Some(child) = value.clone().try_cast::<Child>() {
        Held::Child(child)
    } else if super::handles::far_object(&value).is_some() {
        return acquire_far(ctx, value);
    } else if let Some(connection) = value.clone().try_cast::<Connection>() {
        Held::Connection(connection)
    } else if let Some(listener) = value.clone().try_cast::<Listener>() {
        Held::Listener(listener)
    } else if let Some(database) = value.clone().try_cast::<Database>() {
        Held::Database(database)
    } else if let Some(file) = value.clone().try_cast::<File>() {
        Held::File(file)
    } else if let Some(group) = value.try_cast::<TaskGroup>() {
        group.enter();
        Held::Group(group)
    } else {
        let shown = super::arguments::type_for_people(&shown);
        return super::throw::throw(ctx, "TypeError", format!("with needs a lock, a pool or the like, not {shown}"));
    };
    Ok(held)
}

/// The same for what lives in another process.
fn acquire_far(ctx: &NativeCallContext, value: Dynamic) -> Outcome<Held> {
    if super::handles::Kind::crossing(&value).is_some_and(|kind| kind.name == "Child") {
        return Ok(Held::Far(value, "__end"));
    }
    let taken = super::far::tell_lock(ctx, "acquire", &value);
    if let Err(error) = taken {
        if kind_of(&error).as_deref() == Some("AbandonedLock") {
            super::far::tell_lock(ctx, "release", &value)?;
        }
        return Err(error);
    }
    Ok(Held::Far(value, "release"))
}

/// An abandoned lock is thrown, and given back.
fn taken(
    ctx: &NativeCallContext,
    result: Result<(), crate::sync::Fault>,
    release: impl FnOnce() -> Result<(), crate::sync::Fault>,
) -> Outcome<()> {
    if let Err(crate::sync::Fault::Abandoned(_)) = &result {
        call(ctx, release)?;
    }
    call(ctx, || result)
}

/// Leaves the block. The block's own error comes before one of leaving.
fn leave(ctx: &NativeCallContext, held: &Held, result: Outcome<Dynamic>) -> Outcome<Dynamic> {
    let left = match held {
        Held::Lock(lock) => call(ctx, || lock.release()),
        Held::Semaphore(semaphore) => call(ctx, || semaphore.release(1)),
        Held::Side(side) => call(ctx, || side.lock.release(side.side)),
        Held::Condition(condition) => call(ctx, || condition.lock().release()),
        Held::Executor(pool) => leave_pool(ctx, pool, &result),
        Held::Connection(connection) => {
            connection.close();
            Ok(())
        }
        Held::Listener(listener) => {
            listener.close();
            Ok(())
        }
        Held::Database(database) => {
            database.close();
            Ok(())
        }
        Held::File(file) => {
            file.close();
            Ok(())
        }
        Held::Group(group) => return leave_group(ctx, group, result),
        Held::Child(child) => {
            child.terminate();
            // How it ended is what the block asked for.
            call(ctx, || child.wait_through().map(drop))
        }
        // When the program is over, so is the task that has it.
        Held::Far(_, _) if ending_of(&result) => Ok(()),
        Held::Far(value, name) => super::far::tell_lock(ctx, name, value),
    };
    match result {
        Err(error) if !error.is_pseudo_error() => Err(error),
        result => left.and(result),
    }
}

fn ending_of(result: &Outcome<Dynamic>) -> bool {
    result.as_ref().is_err_and(|error| Ending::of(error) == Some(Ending::Over))
}

/// A pool is shut down and waited for; when the script is being stopped, its jobs are too.
fn leave_pool(ctx: &NativeCallContext, pool: &super::jobs::JobPool, result: &Outcome<Dynamic>) -> Outcome<()> {
    pool.close();
    match result {
        Err(error) if Ending::of(error).is_some() => {
            pool.cancel_pending();
            pool.cancel_running();
            return Ok(());
        }
        Err(error) if is_stop(error) => {
            pool.cancel_pending();
            pool.cancel_running();
        }
        _ => {}
    }
    call(ctx, || pool.join(None))
}

fn is_stop(error: &Thrown) -> bool {
    matches!(kind_of(error).as_deref(), Some("Cancelled" | "Interrupted"))
}

/// The kind of an error that a script can catch.
pub fn kind_of(error: &EvalAltResult) -> Option<String> {
    match innermost(error) {
        EvalAltResult::ErrorRuntime(value, _) => value.read_lock::<rhai::Map>()?.get("kind").map(ToString::to_string),
        _ => None,
    }
}

/// The first failure of the group is thrown, the others go with it.
fn leave_group(ctx: &NativeCallContext, group: &TaskGroup, result: Outcome<Dynamic>) -> Outcome<Dynamic> {
    let ending = result.as_ref().err().and_then(|e| Ending::of(e));
    let block_failed = result.as_ref().is_err_and(|e| !e.is_pseudo_error());
    if ending.is_some() {
        group.cancel(false);
        return result;
    }
    let left = call(ctx, || group.leave(block_failed))?;
    let mut failures: Vec<_> = left
        .failed
        .iter()
        .filter_map(|thread| match thread.future().look(|done| done.cloned()) {
            Ok(Some(Done::Failed(failure))) => Some(failure),
            _ => None,
        })
        .collect();
    // A block that failed by itself, not because the group cancelled it, failed first.
    let own = block_failed && !(left.cancelled_block && result.as_ref().is_err_and(is_stop) && !failures.is_empty());
    if own {
        let error = result.expect_err("invariant: the block failed");
        return Err(with_others(ctx, error, &failures));
    }
    if failures.is_empty() {
        return result;
    }
    let first = failures.remove(0).thrown(ctx.call_position());
    Err(with_others(ctx, first, &failures))
}

fn with_others(ctx: &NativeCallContext, error: Thrown, others: &[Arc<super::failure::Failure>]) -> Thrown {
    if others.is_empty() {
        return error;
    }
    let others: rhai::Array = others.iter().map(|failure| failure.ask().into()).collect();
    let map = super::caught::crossing_map(&host(), error, ctx.call_source());
    Problem::again(ctx, map).with("others", others).thrown()
}

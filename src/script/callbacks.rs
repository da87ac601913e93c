//! The functions of stand-ins that call script code back. The code runs where it was written; what has to be atomic is
//! framed by a gate at the object's own place, which is opened again when the process dies half-way.

use std::time::Duration;

use rhai::{Dynamic, NativeCallContext};

use super::arguments::seconds;
use super::done_calls;
use super::far;
use super::function::Callable;
use super::handles::{Kind, far_object};
use super::iterate::{Place, Stream};
use super::statements::kind_of;
use super::throw::{Outcome, throw};
use crate::kernel::current;

type Items = Box<dyn Iterator<Item = Outcome<Dynamic>> + Send>;

/// Calls a function of a stand-in, which is the first of `args`.
///
/// # Errors
/// Those of the function, and of what it calls back.
pub fn call(ctx: &NativeCallContext, name: &'static str, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let kind = args.first().and_then(Kind::crossing).map_or("", |kind| kind.name);
    match (kind, name, args.len()) {
        ("Condition", "wait_for", 2 | 3) => wait_for(ctx, args),
        ("Value", "update", 2) => {
            let f = Callable::here(ctx, "f", args[1].clone())?;
            update(ctx, &args[0], |now| f.call([now]).map(|new| (new.clone(), new)))
        }
        ("SharedMap", "update", 4) => update_entry(ctx, args),
        ("Child", "lines", 1) => Ok(Dynamic::from(stream(ctx, &args[0], "read_line"))),
        ("Child", "stderr_lines", 1) => Ok(Dynamic::from(stream(ctx, &args[0], "__stderr_line"))),
        ("Future", "add_done_callback", 2) => done_calls::add(ctx, &args[0], args[1].clone()).map(|()| Dynamic::UNIT),
        ("SharedList" | "SharedMap", ..) if args[1..].iter().any(Dynamic::is_fnptr) => through_copy(ctx, name, args),
        _ => far::call(ctx, name, args),
    }
}

fn wait_for(ctx: &NativeCallContext, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let predicate = Callable::here(ctx, "pred", args[1].clone())?;
    let limit = args.get(2).map_or(Ok(None), |timeout| seconds(ctx, "timeout", timeout))?;
    let now = || current().kernel().now();
    let deadline = limit.map(|limit| now().saturating_add(limit));
    let condition = &args[0];
    far::tell(ctx, "__must_hold", vec![condition.clone()])?;
    loop {
        if truth(ctx, predicate.call([])?)? {
            return Ok(true.into());
        }
        let left = deadline.map(|deadline| deadline.saturating_sub(now()));
        if left == Some(Duration::ZERO) {
            return Ok(false.into());
        }
        let left = left.map_or(Dynamic::UNIT, |left| left.as_secs_f64().into());
        if !truth(ctx, far::call(ctx, "wait", vec![condition.clone(), left])?)? {
            return predicate.call([]);
        }
    }
}

fn truth(ctx: &NativeCallContext, value: Dynamic) -> Outcome<bool> {
    value.as_bool().or_else(|_| {
        let given = super::arguments::type_for_people(value.type_name());
        throw(ctx, "TypeError", format!("wait_for(): pred must return a bool, not {given}"))
    })
}

/// Changes what is shared, while nobody else may: `change` gives the result and the new content.
fn update(
    ctx: &NativeCallContext,
    shared: &Dynamic,
    change: impl FnOnce(Dynamic) -> Outcome<(Dynamic, Dynamic)>,
) -> Outcome<Dynamic> {
    let now = far::call(ctx, "__begin", vec![shared.clone()])?;
    framed(ctx, shared, || {
        let (result, new) = change(now)?;
        far::tell(ctx, "__finish", vec![shared.clone(), new])?;
        Ok(result)
    })
}

fn update_entry(ctx: &NativeCallContext, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let [map, key, default, f] = <[Dynamic; 4]>::try_from(args).unwrap_or_default();
    let f = Callable::here(ctx, "f", f)?;
    far::tell(ctx, "__begin_entry", vec![map.clone()])?;
    framed(ctx, &map, || {
        let has = far::call(ctx, "contains", vec![map.clone(), key.clone()])?.as_bool().unwrap_or(false);
        let now = if has { far::call(ctx, "get", vec![map.clone(), key.clone()])? } else { default };
        let new = f.call([now])?;
        far::tell(ctx, "__finish_entry", vec![map.clone(), key, new.clone()])?;
        Ok(new)
    })
}

/// What fails changes nothing, and lets others go on.
fn framed(ctx: &NativeCallContext, shared: &Dynamic, body: impl FnOnce() -> Outcome<Dynamic>) -> Outcome<Dynamic> {
    body().inspect_err(|_| {
        // Its own failure is no news beside this one: the program is over, or the gate is open already.
        let _left = far::call(ctx, "__leave", vec![shared.clone()]);
    })
}

/// A method of arrays or maps, on a copy of the content.
fn through_copy(ctx: &NativeCallContext, name: &'static str, mut args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let shared = args.remove(0);
    update(ctx, &shared, |mut content| {
        let mut all: Vec<&mut Dynamic> = std::iter::once(&mut content).chain(args.iter_mut()).collect();
        let result = ctx.call_native_fn_raw(name, true, &mut all)?;
        Ok((result, content))
    })
}

/// What `name` gives, one after the other, until it gives nothing.
fn stream(ctx: &NativeCallContext, object: &Dynamic, name: &'static str) -> Stream {
    let (place, object) = (Place::of(ctx, name), object.clone());
    Stream::new(move || {
        let next = place.call(|ctx| far::call(ctx, name, vec![object.clone()]));
        (!next.as_ref().is_ok_and(Dynamic::is_unit)).then_some(next)
    })
}

/// True for types of handles that `for` runs over.
pub fn can_iterate(kind: &str) -> bool {
    matches!(kind, "Queue" | "SharedList" | "SharedMap")
}

/// What `for` runs over, when it is a stand-in; `None` when it is none that can be run over.
pub fn iterate(value: &Dynamic, place: Place) -> Option<Items> {
    far_object(value)?;
    match Kind::crossing(value)?.name {
        "Queue" => Some(Box::new(drain(value.clone(), place))),
        "SharedList" => Some(snapshot(value, &place, "snapshot")),
        "SharedMap" => Some(snapshot(value, &place, "keys")),
        _ => None,
    }
}

fn drain(queue: Dynamic, place: Place) -> impl Iterator<Item = Outcome<Dynamic>> + Send {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let next = |ctx: &NativeCallContext| {
            let lent = far_object(&queue).and_then(|object| far::on_loan(ctx, &object));
            lent.unwrap_or_else(|| far::call(ctx, "get", vec![queue.clone()]))
        };
        match place.call(next) {
            Err(error) => {
                over = true;
                (kind_of(&error).as_deref() != Some("Closed")).then_some(Err(error))
            }
            item => Some(item),
        }
    })
}

fn snapshot(value: &Dynamic, place: &Place, name: &'static str) -> Items {
    match place.call(|ctx| far::call(ctx, name, vec![value.clone()])) {
        Ok(items) => Box::new(items.try_cast::<rhai::Array>().unwrap_or_default().into_iter().map(Ok)),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

//! `wait` and `as_completed` over futures that live here and futures that live in another process: as `select` over both, the wait is
//! for what is ready, and then it is asked which are.

use std::time::Duration;

use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::api::future::ReturnWhen;
use super::arguments::type_for_people;
use super::done::Done;
use super::far;
use super::first::{await_ready, is_far};
use super::handles::{Future, far_object};
use super::throw::{Outcome, throw};
use crate::kernel::{Waitable, current};

/// What is known of a future, as processes tell it to each other.
const OPEN: i64 = 0;
const OVER: i64 = 1;
const FAILED: i64 = 2;

/// True when some live here and some do not.
pub fn are_of_both(futures: &Dynamic) -> bool {
    let count = |futures: &Array| (futures.iter().filter(|future| is_far(future)).count(), futures.len());
    futures.read_lock::<Array>().map(|futures| count(&futures)).is_some_and(|(far, all)| far > 0 && far < all)
}

/// How far each of them is.
///
/// # Errors
/// `TypeError` when one is no future.
pub fn stages(ctx: &NativeCallContext, futures: &[Dynamic]) -> Outcome<Array> {
    let (far, own): (Vec<usize>, Vec<usize>) = (0..futures.len()).partition(|i| is_far(&futures[*i]));
    let mut all = vec![Dynamic::from(OPEN); futures.len()];
    for i in own {
        all[i] = stage(ctx, &futures[i])?.into();
    }
    if !far.is_empty() {
        let theirs: Array = far.iter().map(|i| futures[*i].clone()).collect();
        let found = far::call(ctx, "__stages", vec![theirs.into()])?.try_cast::<Array>().unwrap_or_default();
        far.into_iter().zip(found).for_each(|(i, stage)| all[i] = stage);
    }
    Ok(all)
}

fn stage(ctx: &NativeCallContext, future: &Dynamic) -> Outcome<i64> {
    let Some(future) = future.read_lock::<Future>() else {
        let given = type_for_people(ctx.engine().map_type_name(future.type_name()));
        return throw(ctx, "TypeError", format!("{}(): futures must be Futures, not {given}", ctx.fn_name()));
    };
    if !future.is_over() {
        return Ok(OPEN);
    }
    let has_failed = future.look(|done| matches!(done, Some(Done::Failed(_)))).unwrap_or(false);
    Ok(if has_failed { FAILED } else { OVER })
}

/// Those that are in it twice go once, as among those of one process.
fn distinct(futures: Array) -> Array {
    let mut seen = std::collections::HashSet::new();
    let number = |future: &Dynamic| match (far_object(future), future.read_lock::<Future>()) {
        (Some(object), _) => (true, object.entry()),
        (None, own) => (false, own.map_or(0, |own| own.core().id().0)),
    };
    futures.into_iter().filter(|future| seen.insert(number(future))).collect()
}

/// Waits as `until` says, at most `limit`: a map with `done` and `not_done`.
///
/// # Errors
/// `TypeError` when one is no future; those of the wait.
pub fn wait(ctx: &NativeCallContext, futures: Array, limit: Option<Duration>, until: &ReturnWhen) -> Outcome<Map> {
    let now = || current().kernel().now();
    let deadline = limit.map(|limit| now().saturating_add(limit));
    let futures: Array = futures.iter().map(Dynamic::flatten_clone).collect();
    // All are futures before any counts for another.
    stages(ctx, &futures)?;
    let futures = distinct(futures);
    loop {
        let stages = stages(ctx, &futures)?;
        let is = |i: usize, stage: i64| stages[i].as_int() == Ok(stage);
        let (open, done): (Vec<usize>, Vec<usize>) = (0..futures.len()).partition(|i| is(*i, OPEN));
        let is_enough = match until {
            ReturnWhen::All => false,
            ReturnWhen::First => !done.is_empty(),
            ReturnWhen::FirstError => done.iter().any(|i| is(*i, FAILED)),
        };
        let left = deadline.map(|deadline| deadline.saturating_sub(now()));
        let these = |which: &[usize]| which.iter().map(|i| futures[*i].clone()).collect::<Array>();
        if open.is_empty() || is_enough || left == Some(Duration::ZERO) {
            return Ok(Map::from([("done".into(), these(&done).into()), ("not_done".into(), these(&open).into())]));
        }
        await_ready(ctx, these(&open), left)?;
    }
}

//! Lists and maps that tasks share.
//!
//! Their methods are those of Rhai's arrays and maps, each atomic: the method runs on the value inside while nobody else
//! can change it. A method that calls script code (`sort(|a, b| …)`, `filter`) runs as an update, during which others
//! wait.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::parcel::{Parcel, detach, make_content_over};
use super::throw::{CallbackError, Outcome, Thrown, call};
use crate::kernel::{Holder, ObjectCore, Waitable};
use crate::sync::Cell;

/// Methods that only look: they wait for no update, so an update's own function may use them.
const READING: &[&str] = &["len", "is_empty", "contains", "get", "keys", "values", "index_of", "extract"];

/// A `SharedList`.
pub struct List(Arc<Cell<Parcel>>);

/// A `SharedMap`.
pub struct Table(Arc<Cell<Parcel>>);

macro_rules! shared {
    ($name:ident, $kind:literal, $count:ident) => {
        impl $name {
            /// A new one with this content.
            ///
            /// # Errors
            /// As [`detach`].
            pub fn new(ctx: &NativeCallContext, content: Dynamic) -> Outcome<Arc<Self>> {
                Ok(Arc::new(Self(make(ctx, $kind, content)?)))
            }

            /// The value inside.
            pub fn cell(&self) -> &Arc<Cell<Parcel>> {
                &self.0
            }
        }

        impl Waitable for $name {
            fn core(&self) -> &Arc<ObjectCore> {
                self.0.core()
            }

            fn state(&self) -> String {
                self.0.glance(|parcel| $count(parcel.peek())).unwrap_or_default()
            }
        }
    };
}

shared!(List, "SharedList", items);
shared!(Table, "SharedMap", entries);

fn items(list: &Dynamic) -> String {
    let count = list.read_lock::<Array>().map_or(0, |list| list.len());
    format!("{count} {}", if count == 1 { "item" } else { "items" })
}

fn entries(map: &Dynamic) -> String {
    let count = map.read_lock::<Map>().map_or(0, |map| map.len());
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}

impl List {
    /// A copy of the items as they are now.
    pub fn snapshot(&self) -> Array {
        self.0.read(Parcel::copy).try_cast::<Array>().unwrap_or_default()
    }
}

impl Table {
    /// A copy of the keys as they are now.
    pub fn key_snapshot(&self) -> Array {
        let keys = |parcel: &Parcel| {
            let map = parcel.peek().read_lock::<Map>();
            map.map(|m| m.keys().map(|k| k.as_str().into()).collect()).unwrap_or_default()
        };
        self.0.read(keys)
    }
}

/// A cell of `kind` with `content`.
///
/// # Errors
/// As [`detach`].
pub fn make(ctx: &NativeCallContext, kind: &'static str, content: Dynamic) -> Outcome<Arc<Cell<Parcel>>> {
    let mut problem: Option<Thrown> = None;
    let cell = Cell::new(kind, |core| {
        let holder = Holder::Object(core.clone());
        Parcel::pack(ctx, content, &holder).unwrap_or_else(|thrown| {
            problem = Some(thrown);
            Parcel::plain(Dynamic::UNIT)
        })
    });
    problem.map_or(Ok(cell), Err)
}

/// Calls Rhai's own method `name` on the content of `cell`.
///
/// # Errors
/// Those of the method.
pub fn method(ctx: &NativeCallContext, cell: &Arc<Cell<Parcel>>, name: &str, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let holder = Holder::Object(cell.core().clone());
    let calls_script = args.iter().any(Dynamic::is_fnptr);
    if calls_script {
        return call(ctx, || cell.update(|| through_copy(ctx, cell, &holder, name, args).map_err(CallbackError::from)));
    }
    let args = args.into_iter().map(|arg| detach(ctx, arg, &holder)).collect::<Outcome<Vec<_>>>()?;
    let body = |parcel: &mut Parcel| native(ctx, parcel.peek_mut(), name, args);
    let mut result = match READING.contains(&name) {
        true => cell.read_mut(body)?,
        false => call(ctx, || cell.write(body))??,
    };
    make_content_over(&mut result, &Holder::current());
    Ok(result)
}

/// Script code may look at the list while it runs, so it works on a copy that then takes the place of the content.
fn through_copy(
    ctx: &NativeCallContext,
    cell: &Arc<Cell<Parcel>>,
    holder: &Holder,
    name: &str,
    args: Vec<Dynamic>,
) -> Outcome<Dynamic> {
    let mut content = cell.peek(Parcel::copy);
    let result = native(ctx, &mut content, name, args)?;
    let content = Parcel::pack(ctx, content, holder)?;
    let old = cell.replace(|parcel| std::mem::replace(parcel, content));
    drop(old);
    Ok(result)
}

fn native(ctx: &NativeCallContext, content: &mut Dynamic, name: &str, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let mut args = args;
    let mut call_args: Vec<&mut Dynamic> = std::iter::once(content).chain(args.iter_mut()).collect();
    ctx.call_native_fn_raw(name, true, &mut call_args)
}

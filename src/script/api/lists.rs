//! `SharedList` and `SharedMap`: the methods of arrays and maps, each atomic.

use std::any::TypeId;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, Variant};

use crate::kernel::{Holder, Waitable};
use crate::script::arguments::list;
use crate::script::caught::out_of_range;
use crate::script::function::Callable;
use crate::script::handles::{SharedList as ListHandle, SharedMap as MapHandle};
use crate::script::parcel::Parcel;
use crate::script::shared::{List, Table, method};
use crate::script::throw::{CallbackError, Outcome, Problem, call};
use crate::sync::Cell;

/// The index in an array of `len` items; negative ones count from the end.
fn place(ctx: &NativeCallContext, index: i64, len: usize) -> Outcome<usize> {
    let at = match usize::try_from(index) {
        Ok(at) => Some(at),
        Err(_) => usize::try_from(index.unsigned_abs()).ok().and_then(|back| len.checked_sub(back)),
    };
    match at.filter(|at| *at < len) {
        Some(at) => Ok(at),
        None => {
            let mut fields = Map::new();
            let message = out_of_range(&mut fields, index, "list", len, "item");
            Err(Problem::new(ctx, "IndexError", message).with_all(fields).thrown())
        }
    }
}

fn with_array<R>(parcel: &Parcel, look: impl FnOnce(&Array) -> R) -> Option<R> {
    parcel.peek().read_lock::<Array>().map(|array| look(&array))
}

fn item(ctx: &NativeCallContext, list: &ListHandle, index: i64) -> Outcome<Dynamic> {
    let at = |array: &Array| place(ctx, index, array.len()).map(|at| Parcel::plain(array[at].clone()));
    let parcel = list.cell().read(|parcel| with_array(parcel, at));
    parcel.unwrap_or_else(|| place(ctx, index, 0).map(|_| Parcel::plain(Dynamic::UNIT))).map(Parcel::unpack)
}

fn set_item(ctx: &NativeCallContext, list: &ListHandle, index: i64, value: Dynamic) -> Outcome<()> {
    let holder = Holder::Object(list.core().clone());
    let value = crate::script::parcel::detach(ctx, value, &holder)?;
    let put = |parcel: &mut Parcel| -> Outcome<Dynamic> {
        let mut array = match parcel.peek_mut().write_lock::<Array>() {
            Some(array) => array,
            None => return Ok(value),
        };
        let at = place(ctx, index, array.len())?;
        Ok(std::mem::replace(&mut array[at], value))
    };
    // What was there is dropped outside.
    call(ctx, || list.cell().write(put))?.map(drop)
}

fn update_entry(
    ctx: &NativeCallContext,
    map: &MapHandle,
    key: &str,
    default: Dynamic,
    f: &Callable,
) -> Outcome<Dynamic> {
    let cell = map.cell();
    let holder = Holder::Object(cell.core().clone());
    call(ctx, || {
        cell.update(|| {
            let now = cell.peek(|parcel| {
                let fields = parcel.peek().read_lock::<Map>();
                fields.and_then(|fields| fields.get(key).cloned()).map(|v| Parcel::plain(v).unpack())
            });
            let new = f.call([now.unwrap_or(default)])?;
            let kept = crate::script::parcel::detach(ctx, new.clone(), &holder)?;
            let before = cell.replace(|parcel| {
                parcel.peek_mut().write_lock::<Map>().and_then(|mut fields| fields.insert(key.into(), kept))
            });
            drop(before);
            Ok::<_, CallbackError>(new)
        })
    })
}

fn entry(map: &MapHandle, key: &str) -> Dynamic {
    let value = map.cell().read(|parcel| parcel.peek().read_lock::<Map>().and_then(|m| m.get(key).cloned()));
    value.map_or(Dynamic::UNIT, |value| Parcel::plain(value).unpack())
}

fn set_entry(ctx: &NativeCallContext, map: &MapHandle, key: &str, value: Dynamic) -> Outcome<()> {
    let holder = Holder::Object(map.core().clone());
    let value = crate::script::parcel::detach(ctx, value, &holder)?;
    let put = |parcel: &mut Parcel| {
        parcel.peek_mut().write_lock::<Map>().and_then(|mut fields| fields.insert(key.into(), value))
    };
    call(ctx, || map.cell().write(put)).map(drop)
}

/// A method that is handed on to Rhai's own arrays or maps.
struct HandedOn {
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
    example: &'static str,
}

const fn handed_on(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
    example: &'static str,
) -> HandedOn {
    HandedOn { name, params, doc, example }
}

const OF_LISTS: &[HandedOn] = &[
    handed_on("len", &[], "How many items it has now.", "assert(SharedList([1, 2]).len() == 2);"),
    handed_on("is_empty", &[], "True when it has no items.", "assert(SharedList().is_empty());"),
    handed_on("push", &["item"], "Adds an item at the end.", "let l = SharedList(); l.push(1); assert(l.len() == 1);"),
    handed_on(
        "append",
        &["items"],
        "Adds all items of an array at the end.",
        "let l = SharedList([1]); l.append([2, 3]); assert(l.len() == 3);",
    ),
    handed_on(
        "insert",
        &["index", "item"],
        "Puts an item in before `index`.",
        "let l = SharedList([2]); l.insert(0, 1); assert(l.snapshot() == [1, 2]);",
    ),
    handed_on("pop", &[], "Takes the last item; `()` when there is none.", "assert(SharedList([1, 2]).pop() == 2);"),
    handed_on(
        "shift",
        &[],
        "Takes the first item; `()` when there is none.",
        "assert(SharedList([1, 2]).shift() == 1);",
    ),
    handed_on(
        "remove",
        &["index"],
        "Takes the item at `index`; `()` when there is none.",
        "assert(SharedList([1, 2]).remove(0) == 1);",
    ),
    handed_on("clear", &[], "Removes all items.", "let l = SharedList([1]); l.clear(); assert(l.is_empty());"),
    handed_on(
        "truncate",
        &["len"],
        "Keeps the first `len` items only.",
        "let l = SharedList([1, 2]); l.truncate(1); assert(l.len() == 1);",
    ),
    handed_on(
        "chop",
        &["len"],
        "Keeps the last `len` items only.",
        "let l = SharedList([1, 2]); l.chop(1); assert(l[0] == 2);",
    ),
    handed_on("reverse", &[], "Turns the order round.", "let l = SharedList([1, 2]); l.reverse(); assert(l[0] == 2);"),
    handed_on(
        "splice",
        &["start", "len", "items"],
        "Puts `items` in the place of `len` items from `start`.",
        "let l = SharedList([1, 2]); l.splice(0, 1, [7, 8]); assert(l.snapshot() == [7, 8, 2]);",
    ),
    handed_on(
        "extract",
        &["start", "len"],
        "A copy of `len` items from `start`, as an array.",
        "assert(SharedList([1, 2, 3]).extract(1, 2) == [2, 3]);",
    ),
    handed_on(
        "extract",
        &["start"],
        "A copy of the items from `start` on, as an array.",
        "assert(SharedList([1, 2, 3]).extract(2) == [3]);",
    ),
    handed_on("contains", &["item"], "True when an item equals this one.", "assert(SharedList([1, 2]).contains(2));"),
    handed_on(
        "index_of",
        &["item"],
        "The index of the first item that equals this one (or for which this function holds); -1 when there is none.",
        "assert(SharedList([1, 2]).index_of(2) == 1);",
    ),
    handed_on(
        "sort",
        &[],
        "Sorts the items, which must be of one type.",
        "let l = SharedList([2, 1]); l.sort(); assert(l[0] == 1);",
    ),
    handed_on(
        "sort",
        &["compare"],
        "Sorts by a function of two items that returns less than, equal to, or greater than 0.",
        "let l = SharedList([1, 2]); l.sort(|a, b| b - a); assert(l[0] == 2);",
    ),
    handed_on(
        "dedup",
        &[],
        "Removes items that equal the one before them.",
        "let l = SharedList([1, 1, 2]); l.dedup(); assert(l.len() == 2);",
    ),
    handed_on(
        "map",
        &["f"],
        "An array of what `f` makes of each item.",
        "assert(SharedList([1, 2]).map(|x| x * 2) == [2, 4]);",
    ),
    handed_on(
        "filter",
        &["f"],
        "An array of the items for which `f` holds.",
        "assert(SharedList([1, 2]).filter(|x| x > 1) == [2]);",
    ),
    handed_on(
        "find",
        &["f"],
        "The first item for which `f` holds; `()` when there is none.",
        "assert(SharedList([1, 2]).find(|x| x > 1) == 2);",
    ),
    handed_on(
        "some",
        &["f"],
        "True when `f` holds for one of the items.",
        "assert(SharedList([1, 2]).some(|x| x > 1));",
    ),
    handed_on("all", &["f"], "True when `f` holds for all items.", "assert(!SharedList([1, 2]).all(|x| x > 1));"),
    handed_on(
        "reduce",
        &["f", "start"],
        "Goes through the items with what came before: `f(result, item)`.",
        "assert(SharedList([1, 2]).reduce(|sum, x| sum + x, 0) == 3);",
    ),
    handed_on(
        "retain",
        &["f"],
        "Keeps the items for which `f` holds; returns the others.",
        "let l = SharedList([1, 2]); assert(l.retain(|x| x > 1) == [1]);",
    ),
    handed_on(
        "drain",
        &["f"],
        "Removes and returns the items for which `f` holds.",
        "let l = SharedList([1, 2]); assert(l.drain(|x| x > 1) == [2]);",
    ),
];

const OF_MAPS: &[HandedOn] = &[
    handed_on("len", &[], "How many keys it has now.", "assert(SharedMap(#{a: 1}).len() == 1);"),
    handed_on("is_empty", &[], "True when it has no keys.", "assert(SharedMap().is_empty());"),
    handed_on("contains", &["key"], "True when it has this key.", "assert(SharedMap(#{a: 1}).contains(\"a\"));"),
    handed_on(
        "get",
        &["key"],
        "The value of a key; `()` when it has none.",
        "assert(SharedMap(#{a: 1}).get(\"a\") == 1);",
    ),
    handed_on(
        "set",
        &["key", "value"],
        "Sets the value of a key.",
        "let m = SharedMap(); m.set(\"a\", 1); assert(m.a == 1);",
    ),
    handed_on(
        "remove",
        &["key"],
        "Takes a key out and returns its value; `()` when it has none.",
        "assert(SharedMap(#{a: 1}).remove(\"a\") == 1);",
    ),
    handed_on("clear", &[], "Removes all keys.", "let m = SharedMap(#{a: 1}); m.clear(); assert(m.is_empty());"),
    handed_on(
        "mixin",
        &["map"],
        "Sets all keys of another map.",
        "let m = SharedMap(); m.mixin(#{a: 1}); assert(m.a == 1);",
    ),
    handed_on(
        "fill_with",
        &["map"],
        "Sets those keys of another map that it has not.",
        "let m = SharedMap(#{a: 1}); m.fill_with(#{a: 2, b: 3}); assert(m.a == 1 && m.b == 3);",
    ),
    handed_on("keys", &[], "An array of the keys.", "assert(SharedMap(#{a: 1}).keys() == [\"a\"]);"),
    handed_on("values", &[], "An array of the values.", "assert(SharedMap(#{a: 1}).values() == [1]);"),
];

/// Registers the methods that are handed on, and what `for` runs over.
pub fn register(module: &mut Module) {
    OF_LISTS.iter().for_each(|m| hand_on(module, m, "SharedList", |l: &ListHandle| l.cell().clone()));
    OF_MAPS.iter().for_each(|m| hand_on(module, m, "SharedMap", |m: &MapHandle| m.cell().clone()));
    module.set_iter(TypeId::of::<ListHandle>(), |list| Box::new(list.cast::<ListHandle>().snapshot().into_iter()));
    module.set_iter(TypeId::of::<MapHandle>(), |map| Box::new(map.cast::<MapHandle>().key_snapshot().into_iter()));
}

fn hand_on<H: Variant + Clone>(module: &mut Module, what: &HandedOn, kind: &str, cell: fn(&H) -> Arc<Cell<Parcel>>) {
    let name = what.name;
    let shown = format!("{}: &mut {kind}", kind.trim_start_matches("Shared").to_lowercase());
    let params = std::iter::once(shown).chain(what.params.iter().map(|p| format!("{p}: Dynamic")));
    let doc = format!("/// {}\n///\n/// ```rhai\n/// {}\n/// ```", what.doc, what.example);
    let registration = FuncRegistration::new(name)
        .with_purity(true)
        .with_params_info(params.chain(std::iter::once("Dynamic".to_string())))
        .with_comments(doc.lines());
    match what.params.len() {
        0 => registration
            .set_into_module(module, move |ctx: NativeCallContext, h: &mut H| method(&ctx, &cell(h), name, vec![])),
        1 => registration.set_into_module(module, move |ctx: NativeCallContext, h: &mut H, a: Dynamic| {
            method(&ctx, &cell(h), name, vec![a])
        }),
        2 => registration.set_into_module(module, move |ctx: NativeCallContext, h: &mut H, a: Dynamic, b: Dynamic| {
            method(&ctx, &cell(h), name, vec![a, b])
        }),
        _ => registration.set_into_module(
            module,
            move |ctx: NativeCallContext, h: &mut H, a: Dynamic, b: Dynamic, c: Dynamic| {
                method(&ctx, &cell(h), name, vec![a, b, c])
            },
        ),
    };
}

#[export_module]
pub mod functions {
    /// Makes an empty list that threads share. Each of its methods is atomic; `for` runs over a snapshot.
    ///
    /// ```rhai
    /// let done = SharedList();
    /// let t = spawn_thread(|| done.push("a"));
    /// t.join();
    /// assert(done.len() == 1);
    /// ```
    #[rhai_fn(name = "SharedList", return_raw)]
    pub fn new_list(ctx: NativeCallContext) -> Outcome<ListHandle> {
        Ok(ListHandle::of(List::new(&ctx, Array::new().into())?))
    }

    /// Makes a shared list of the items of a list.
    ///
    /// # Errors
    /// `TypeError` when `items` is no list; `ValueError` when they nest too deep to be copied.
    ///
    /// ```rhai
    /// assert(SharedList([1, 2]).len() == 2);
    /// ```
    #[rhai_fn(name = "SharedList", return_raw)]
    pub fn new_list_of(ctx: NativeCallContext, items: Dynamic) -> Outcome<ListHandle> {
        let items = list(&ctx, "items", items)?;
        Ok(ListHandle::of(List::new(&ctx, items.into())?))
    }

    /// A copy of the items as they are now, as an array.
    ///
    /// ```rhai
    /// assert(SharedList([1]).snapshot() == [1]);
    /// ```
    #[rhai_fn(name = "snapshot", pure)]
    pub fn list_snapshot(list: &mut ListHandle) -> Array {
        list.snapshot()
    }

    /// The item at `index`; negative ones count from the end.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// let l = SharedList([1, 2]);
    /// assert(l[1] == 2 && l[-1] == 2);
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get_item(ctx: NativeCallContext, list: &mut ListHandle, index: i64) -> Outcome<Dynamic> {
        item(&ctx, list, index)
    }

    /// Sets the item at `index`.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// let l = SharedList([1]);
    /// l[0] = 2;
    /// assert(l[0] == 2);
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn put_item(ctx: NativeCallContext, list: &mut ListHandle, index: i64, value: Dynamic) -> Outcome<()> {
        set_item(&ctx, list, index, value)
    }

    /// The item at `index`; negative ones count from the end.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// assert(SharedList([1]).get(0) == 1);
    /// ```
    #[rhai_fn(name = "get", return_raw, pure)]
    pub fn get_item_by_name(ctx: NativeCallContext, list: &mut ListHandle, index: i64) -> Outcome<Dynamic> {
        item(&ctx, list, index)
    }

    /// Sets the item at `index`.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// let l = SharedList([1]);
    /// l.set(0, 2);
    /// assert(l[0] == 2);
    /// ```
    #[rhai_fn(name = "set", return_raw, pure)]
    pub fn put_item_by_name(ctx: NativeCallContext, list: &mut ListHandle, index: i64, value: Dynamic) -> Outcome<()> {
        set_item(&ctx, list, index, value)
    }

    /// Makes an empty map that threads share. Each of its methods is atomic; `for` runs over a snapshot of its keys.
    ///
    /// ```rhai
    /// let m = SharedMap();
    /// m.count = 1;
    /// assert(m.count == 1);
    /// ```
    #[rhai_fn(name = "SharedMap", return_raw)]
    pub fn new_map(ctx: NativeCallContext) -> Outcome<MapHandle> {
        Ok(MapHandle::of(Table::new(&ctx, Map::new().into())?))
    }

    /// Makes a shared map with the keys and values of a map.
    ///
    /// # Errors
    /// `ValueError` when the values nest too deep to be copied.
    ///
    /// ```rhai
    /// assert(SharedMap(#{a: 1}).a == 1);
    /// ```
    #[rhai_fn(name = "SharedMap", return_raw)]
    pub fn new_map_of(ctx: NativeCallContext, map: Map) -> Outcome<MapHandle> {
        Ok(MapHandle::of(Table::new(&ctx, map.into())?))
    }

    /// A copy of the map as it is now.
    ///
    /// ```rhai
    /// assert(SharedMap(#{a: 1}).snapshot() == #{a: 1});
    /// ```
    #[rhai_fn(name = "snapshot", pure)]
    pub fn map_snapshot(map: &mut MapHandle) -> Map {
        map.cell().read(Parcel::copy).try_cast::<Map>().unwrap_or_default()
    }

    /// The value of a key; `()` when there is none.
    ///
    /// ```rhai
    /// let m = SharedMap(#{a: 1});
    /// assert(m["a"] == 1 && m.b == ());
    /// ```
    #[rhai_fn(index_get, pure)]
    pub fn get_entry(map: &mut MapHandle, key: ImmutableString) -> Dynamic {
        entry(map, &key)
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// `ValueError` when `value` nests too deep to be copied, or holds itself.
    ///
    /// ```rhai
    /// let m = SharedMap();
    /// m["a"] = 1;
    /// assert(m.a == 1);
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn put_entry(ctx: NativeCallContext, map: &mut MapHandle, key: ImmutableString, value: Dynamic) -> Outcome<()> {
        set_entry(&ctx, map, &key, value)
    }

    /// Sets the value of `key` to what `f` makes of it (of `default` when there is none), in one atomic step, and returns
    /// it. Nobody else writes the map meanwhile.
    ///
    /// # Errors
    /// Whatever `f` throws, and then nothing is changed.
    ///
    /// ```rhai
    /// let words = SharedMap();
    /// for w in ["a", "b", "a"] { words.update(w, 0, |n| n + 1); }
    /// assert(words.a == 2);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn update(
        ctx: NativeCallContext,
        map: &mut MapHandle,
        key: ImmutableString,
        default: Dynamic,
        f: Dynamic,
    ) -> Outcome<Dynamic> {
        let f = Callable::here(&ctx, "f", f)?;
        update_entry(&ctx, map, &key, default, &f)
    }
}

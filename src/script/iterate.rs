//! What `for` runs over: queues, snapshots, results that come one by one.
//!
//! Rhai's iterators get no place in the script and drop errors of a loop without a body. So `for` loops are rewritten to
//! call `__each` around what they run over (see `source`), which notes the place.

use std::cell::RefCell;
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{Array, Blob, Dynamic, GlobalRuntimeState, Module, NativeCallContext, Position};

use super::host::{host, mark};
use super::throw::Outcome;

/// A place to which an error of an iterator is given.
#[derive(Clone)]
pub struct Place {
    global: Option<GlobalRuntimeState>,
    position: Position,
    verb: &'static str,
}

impl Place {
    /// The place of a call.
    pub fn of(ctx: &NativeCallContext, verb: &'static str) -> Place {
        Place { global: Some(ctx.global_runtime_state().clone()), position: ctx.call_position(), verb }
    }

    /// The `for` loop that began last in this task.
    pub fn of_loop(verb: &'static str) -> Place {
        LOOP.with(|place| place.borrow().clone())
            .map_or(Place { global: None, position: Position::NONE, verb }, |place| Place { verb, ..place })
    }

    /// Runs `body` as a call from this place.
    pub fn call<R>(&self, body: impl FnOnce(&NativeCallContext) -> R) -> R {
        let host = host();
        let fresh;
        let global = match &self.global {
            Some(global) => global,
            None => {
                fresh = host.engine().new_global_runtime_state();
                &fresh
            }
        };
        let source = global.source.as_deref();
        body(&NativeCallContext::new_with_all_fields(host.engine(), self.verb, source, global, self.position))
    }
}

thread_local! {
    static LOOP: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// A `for` loop begins at this call.
pub fn begin_loop(ctx: &NativeCallContext) {
    mark(ctx);
    let place = Place::of(ctx, "for");
    LOOP.with(|last| *last.borrow_mut() = Some(place));
}

type Next = Box<dyn FnMut() -> Option<Outcome<Dynamic>> + Send>;

/// Results that come one by one; every copy means the same stream.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Next>>);

impl Stream {
    /// A stream of what `next` gives, until it gives nothing.
    pub fn new(next: impl FnMut() -> Option<Outcome<Dynamic>> + Send + 'static) -> Stream {
        Stream(Arc::new(Mutex::new(Box::new(next))))
    }
}

impl Iterator for Stream {
    type Item = Outcome<Dynamic>;

    fn next(&mut self) -> Option<Outcome<Dynamic>> {
        // Taken out meanwhile: the next item may run script code that looks at this very stream.
        let mut next = std::mem::replace(&mut *self.0.lock(), Box::new(|| None));
        let item = next();
        // After an error there is nothing more.
        if matches!(item, Some(Ok(_))) {
            *self.0.lock() = next;
        }
        item
    }
}

/// Registers streams as something `for` runs over.
pub fn register(module: &mut Module) {
    module.set_iterator_result::<Stream, Dynamic>();
}

/// An iterator over any list; `None` when `value` is none.
pub fn over(ctx: &NativeCallContext, value: Dynamic) -> Option<Box<dyn Iterator<Item = Outcome<Dynamic>> + Send>> {
    let value = value.flatten();
    if value.is_array() {
        return Some(Box::new(value.cast::<Array>().into_iter().map(Ok)));
    }
    if value.is_blob() {
        let bytes = value.cast::<Blob>();
        return Some(Box::new(bytes.into_iter().map(|b| Ok(Dynamic::from(i64::from(b))))));
    }
    if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        let chars: Vec<char> = text.chars().collect();
        return Some(Box::new(chars.into_iter().map(|c| Ok(Dynamic::from(c)))));
    }
    if let Some(range) = value.clone().try_cast::<std::ops::Range<i64>>() {
        return Some(Box::new(range.map(|i| Ok(Dynamic::from(i)))));
    }
    if let Some(range) = value.clone().try_cast::<std::ops::RangeInclusive<i64>>() {
        return Some(Box::new(range.map(|i| Ok(Dynamic::from(i)))));
    }
    if let Some(stream) = value.clone().try_cast::<Stream>() {
        return Some(Box::new(stream));
    }
    if let Some(queue) = value.clone().try_cast::<super::handles::Queue>() {
        return Some(Box::new(super::api::queue::drain(queue, Place::of(ctx, "get"))));
    }
    if let Some(list) = value.clone().try_cast::<super::handles::SharedList>() {
        return Some(Box::new(list.snapshot().into_iter().map(Ok)));
    }
    if let Some(table) = value.clone().try_cast::<super::handles::SharedMap>() {
        return Some(Box::new(table.key_snapshot().into_iter().map(Ok)));
    }
    if let Some(file) = value.clone().try_cast::<super::handles::File>() {
        return Some(Box::new(std::iter::from_fn(super::api::file::lines_of(file, Place::of(ctx, "read_line")))));
    }
    match super::callbacks::iterate(&value, Place::of(ctx, "get")) {
        Some(items) => Some(items),
        None => stepped(ctx, value),
    }
}

/// Rhai's own stepped ranges and whatever else its loops know: let it run the loop.
fn stepped(ctx: &NativeCallContext, value: Dynamic) -> Option<Box<dyn Iterator<Item = Outcome<Dynamic>> + Send>> {
    let mut scope = rhai::Scope::new();
    scope.push_dynamic("them", value);
    let code = "let all = []; for it in them { all.push(it); } all";
    match ctx.engine().eval_with_scope::<Array>(&mut scope, code) {
        Ok(items) => Some(Box::new(items.into_iter().map(Ok))),
        Err(_) => None,
    }
}

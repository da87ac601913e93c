//! `Queue`, `LifoQueue`, `PriorityQueue`.

use std::cmp::Ordering;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Module, NativeCallContext};

use crate::kernel::{Holder, Waitable};
use crate::script::arguments::{count, seconds};
use crate::script::handles::Queue as QueueHandle;
use crate::script::iterate::Place;
use crate::script::parcel::{Parcel, is_plain};
use crate::script::throw::{Outcome, call, call_within};
use crate::sync::{Fault, Order, Queue};

fn make(ctx: &NativeCallContext, kind: &'static str, order: Order<Parcel>, maxsize: &Dynamic) -> Outcome<QueueHandle> {
    let maxsize = count(ctx, "maxsize", maxsize, 0)?;
    Ok(QueueHandle::of(Queue::new(kind, order, Some(maxsize).filter(|n| *n > 0))))
}

fn make_unbounded(kind: &'static str, order: Order<Parcel>) -> QueueHandle {
    QueueHandle::of(Queue::new(kind, order, None))
}

fn pack(ctx: &NativeCallContext, queue: &QueueHandle, item: Dynamic) -> Outcome<Parcel> {
    if !item.is_shared() && is_plain(&item) {
        return Ok(Parcel::plain(item));
    }
    Parcel::pack(ctx, item, &Holder::Object(queue.core().clone()))
}

/// Puts an item in, as scripts do.
///
/// # Errors
/// As `put(x)`.
pub fn put(ctx: &NativeCallContext, queue: &QueueHandle, item: Dynamic) -> Outcome<()> {
    let item = pack(ctx, queue, item)?;
    call(ctx, || queue.put(item, None))
}

fn compare(a: &Parcel, b: &Parcel) -> Result<Ordering, String> {
    compare_values(a.peek(), b.peek())
}

/// Numbers with numbers, text with text, arrays item by item as far as needed.
fn compare_values(a: &Dynamic, b: &Dynamic) -> Result<Ordering, String> {
    let number = |v: &Dynamic| v.as_float().ok().or_else(|| v.as_int().ok().map(|i| i as f64));
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Ok(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b).ok_or_else(|| "NaN does not compare with other numbers".to_string());
    }
    if let (Some(a), Some(b)) = (a.read_lock::<rhai::ImmutableString>(), b.read_lock::<rhai::ImmutableString>()) {
        return Ok(a.as_str().cmp(b.as_str()));
    }
    if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        return Ok(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        for (x, y) in a.iter().zip(b.iter()) {
            match compare_values(x, y)? {
                Ordering::Equal => {}
                other => return Ok(other),
            }
        }
        return Ok(a.len().cmp(&b.len()));
    }
    let name = |v: &Dynamic| crate::script::arguments::type_for_people(v.type_name());
    Err(format!("{} does not compare with {} in a PriorityQueue", name(a), name(b)))
}

/// The items of a queue as they come, until it is closed and drained.
pub fn drain(queue: QueueHandle, place: Place) -> impl Iterator<Item = Outcome<Dynamic>> + Send {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let item = place.call(|ctx| {
            call(ctx, || match queue.get(None) {
                Err(Fault::Closed(_)) => Ok(None),
                other => other.map(Some),
            })
        });
        over = !matches!(item, Ok(Some(_)));
        item.map(|item| item.map(Parcel::unpack)).transpose()
    })
}

/// `for x in queue { … }`.
pub fn register(module: &mut Module) {
    module.set_iter_result(std::any::TypeId::of::<QueueHandle>(), |value| {
        Box::new(drain(value.cast::<QueueHandle>(), Place::of_loop("get")))
    });
}

#[export_module]
pub mod functions {
    /// Makes a queue: first in, first out, of any size. `for x in queue { … }` takes items until it is closed and empty.
    ///
    /// ```rhai
    /// let q = Queue();
    /// q.put(1);
    /// assert(q.get() == 1);
    /// ```
    #[rhai_fn(name = "Queue")]
    pub fn new_queue() -> QueueHandle {
        make_unbounded("Queue", Order::Fifo)
    }

    /// Makes a queue for at most `maxsize` items; 0 means any size.
    ///
    /// # Errors
    /// `ValueError` when `maxsize` is negative.
    ///
    /// ```rhai
    /// let q = Queue(1);
    /// q.put("a");
    /// assert(q.full());
    /// ```
    #[rhai_fn(name = "Queue", return_raw)]
    pub fn new_bounded_queue(ctx: NativeCallContext, maxsize: Dynamic) -> Outcome<QueueHandle> {
        make(&ctx, "Queue", Order::Fifo, &maxsize)
    }

    /// Makes a queue from which the last item comes out first.
    ///
    /// ```rhai
    /// let q = LifoQueue();
    /// q.put(1);
    /// q.put(2);
    /// assert(q.get() == 2);
    /// ```
    #[rhai_fn(name = "LifoQueue")]
    pub fn new_lifo() -> QueueHandle {
        make_unbounded("LifoQueue", Order::Lifo)
    }

    /// The same for at most `maxsize` items; 0 means any size.
    ///
    /// # Errors
    /// `ValueError` when `maxsize` is negative.
    ///
    /// ```rhai
    /// assert(LifoQueue(2).maxsize == 2);
    /// ```
    #[rhai_fn(name = "LifoQueue", return_raw)]
    pub fn new_bounded_lifo(ctx: NativeCallContext, maxsize: Dynamic) -> Outcome<QueueHandle> {
        make(&ctx, "LifoQueue", Order::Lifo, &maxsize)
    }

    /// Makes a queue from which the smallest item comes out first; equal ones in the order they were put. Numbers compare
    /// with numbers, strings with strings, arrays item by item as far as needed.
    ///
    /// ```rhai
    /// let q = PriorityQueue();
    /// q.put([2, "later"]);
    /// q.put([1, "first"]);
    /// assert(q.get()[1] == "first");
    /// ```
    #[rhai_fn(name = "PriorityQueue")]
    pub fn new_priority() -> QueueHandle {
        make_unbounded("PriorityQueue", Order::Priority(compare))
    }

    /// The same for at most `maxsize` items; 0 means any size.
    ///
    /// # Errors
    /// `ValueError` when `maxsize` is negative.
    ///
    /// ```rhai
    /// assert(PriorityQueue(2).maxsize == 2);
    /// ```
    #[rhai_fn(name = "PriorityQueue", return_raw)]
    pub fn new_bounded_priority(ctx: NativeCallContext, maxsize: Dynamic) -> Outcome<QueueHandle> {
        make(&ctx, "PriorityQueue", Order::Priority(compare), &maxsize)
    }

    /// Puts an item in, waiting while the queue is full. The item is copied; handles in it are shared.
    ///
    /// # Errors
    /// `Closed`; `TypeError` when the item does not compare with those in a priority queue; `DeadlockError`, `Cancelled`,
    /// `Interrupted`.
    ///
    /// ```rhai
    /// let q = Queue();
    /// q.put(#{name: "a"});
    /// assert(q.qsize() == 1);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn put(ctx: NativeCallContext, queue: &mut QueueHandle, x: Dynamic) -> Outcome<()> {
        super::put(&ctx, queue, x)
    }

    /// Puts an item in, waiting at most `timeout` seconds while the queue is full.
    ///
    /// # Errors
    /// `Full` when the time is up, else as `put(x)`.
    ///
    /// ```rhai
    /// let q = Queue(1);
    /// q.put(1);
    /// try { q.put(2, 0.1); } catch (e) { assert(e.kind == "Full"); }
    /// ```
    #[rhai_fn(name = "put", return_raw, pure)]
    pub fn put_within(ctx: NativeCallContext, queue: &mut QueueHandle, x: Dynamic, timeout: Dynamic) -> Outcome<()> {
        let limit = seconds(&ctx, "timeout", &timeout)?;
        let item = pack(&ctx, queue, x)?;
        call_within(&ctx, limit, |limit| queue.put(item, limit))
    }

    /// Puts an item in if there is room: true when it did.
    ///
    /// # Errors
    /// `Closed`; `TypeError` as `put(x)`.
    ///
    /// ```rhai
    /// let q = Queue(1);
    /// assert(q.try_put(1));
    /// assert(!q.try_put(2));
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn try_put(ctx: NativeCallContext, queue: &mut QueueHandle, x: Dynamic) -> Outcome<bool> {
        let item = pack(&ctx, queue, x)?;
        call(&ctx, || queue.try_put(item))
    }

    /// Takes the next item, waiting until there is one.
    ///
    /// # Errors
    /// `Closed` when the queue is closed and empty; `DeadlockError` when nobody is left who could put one in;
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let q = Queue();
    /// spawn_thread(|| q.put("from the other thread"));
    /// print(q.get());
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn get(ctx: NativeCallContext, queue: &mut QueueHandle) -> Outcome<Dynamic> {
        Ok(call(&ctx, || queue.get(None))?.unpack())
    }

    /// Takes the next item, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `Empty` when the time is up, else as `get()`.
    ///
    /// ```rhai
    /// try { Queue().get(0.1); } catch (e) { assert(e.kind == "Empty"); }
    /// ```
    #[rhai_fn(name = "get", return_raw, pure)]
    pub fn get_within(ctx: NativeCallContext, queue: &mut QueueHandle, timeout: Dynamic) -> Outcome<Dynamic> {
        Ok(call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| queue.get(limit))?.unpack())
    }

    /// Takes the next item if there is one.
    ///
    /// # Errors
    /// `Empty`; `Closed` when the queue is closed and empty.
    ///
    /// ```rhai
    /// try { Queue().try_get(); } catch (e) { assert(e.kind == "Empty"); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn try_get(ctx: NativeCallContext, queue: &mut QueueHandle) -> Outcome<Dynamic> {
        Ok(call(&ctx, || queue.try_get())?.unpack())
    }

    /// How many items are in it now.
    ///
    /// ```rhai
    /// assert(Queue().qsize() == 0);
    /// ```
    #[rhai_fn(pure)]
    pub fn qsize(queue: &mut QueueHandle) -> i64 {
        i64::try_from(queue.len()).unwrap_or(i64::MAX)
    }

    /// True when no item is in it now.
    ///
    /// ```rhai
    /// assert(Queue().empty());
    /// ```
    #[rhai_fn(pure)]
    pub fn empty(queue: &mut QueueHandle) -> bool {
        queue.is_empty()
    }

    /// True when it holds as many items as it may now.
    ///
    /// ```rhai
    /// assert(!Queue().full());
    /// ```
    #[rhai_fn(pure)]
    pub fn full(queue: &mut QueueHandle) -> bool {
        queue.is_full()
    }

    /// How many items it may hold; 0 means any number.
    ///
    /// ```rhai
    /// assert(Queue(5).maxsize == 5);
    /// ```
    #[rhai_fn(get = "maxsize", pure)]
    pub fn get_maxsize(queue: &mut QueueHandle) -> i64 {
        i64::try_from(queue.maxsize().unwrap_or(0)).unwrap_or(i64::MAX)
    }

    /// One of the items that were put has been dealt with; see `join()`.
    ///
    /// # Errors
    /// `ValueError` when it is called more often than items were put.
    ///
    /// ```rhai
    /// let q = Queue();
    /// q.put(1);
    /// q.get();
    /// q.task_done();
    /// q.join();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn task_done(ctx: NativeCallContext, queue: &mut QueueHandle) -> Outcome<()> {
        call(&ctx, || queue.task_done())
    }

    /// Waits until `task_done()` was called for each item that was put.
    ///
    /// # Errors
    /// `DeadlockError` when nobody is left who could; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// Queue().join();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn join(ctx: NativeCallContext, queue: &mut QueueHandle) -> Outcome<()> {
        call(&ctx, || queue.join(None))
    }

    /// The same, waiting at most `timeout` seconds.
    ///
    /// # Errors
    /// `TimeoutError`, else as `join()`.
    ///
    /// ```rhai
    /// let q = Queue();
    /// q.put(1);
    /// try { q.join(0.1); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "join", return_raw, pure)]
    pub fn join_within(ctx: NativeCallContext, queue: &mut QueueHandle, timeout: Dynamic) -> Outcome<()> {
        call_within(&ctx, seconds(&ctx, "timeout", &timeout)?, |limit| queue.join(limit))
    }

    /// No more items go in; those that are in it can still be taken. Closing again does nothing.
    ///
    /// ```rhai
    /// let q = Queue();
    /// q.put(1);
    /// q.close();
    /// for x in q { print(x); }
    /// ```
    #[rhai_fn(pure)]
    pub fn close(queue: &mut QueueHandle) {
        queue.close();
    }

    /// True after `close()`.
    ///
    /// ```rhai
    /// assert(!Queue().closed());
    /// ```
    #[rhai_fn(pure)]
    pub fn closed(queue: &mut QueueHandle) -> bool {
        queue.is_closed()
    }

    /// Gives the queue a name, which reports and `print` show; returns the queue.
    ///
    /// ```rhai
    /// let jobs = Queue().named("jobs");
    /// print(jobs);
    /// ```
    #[rhai_fn(pure)]
    pub fn named(queue: &mut QueueHandle, name: &str) -> QueueHandle {
        queue.core().set_name(name);
        queue.clone()
    }
}

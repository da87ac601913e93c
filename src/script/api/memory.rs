//! `SharedMemory` and `SharedArray`: bytes and numbers that several processes have before them at once.

use std::any::TypeId;
use std::fmt::Display;
use std::io;
use std::ops::{Range, RangeInclusive};

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, EvalAltResult, ImmutableString, Map, Module, NativeCallContext};

use crate::script::arguments::{count, wrong_type};
use crate::script::caught::out_of_range;
use crate::script::handles::{SharedArray, SharedMemory};
use crate::script::throw::{Outcome, Problem, call, throw};
use crate::sync::numbers::Kind;
use crate::sync::{Memory, Numbers};

fn index_error<T>(ctx: &NativeCallContext, index: i64, of: &str, length: usize, part: &str) -> Outcome<T> {
    let mut fields = Map::new();
    let message = out_of_range(&mut fields, index, of, length, part);
    Err(Problem::new(ctx, "IndexError", message).with_all(fields).thrown())
}

fn no_memory<T>(ctx: &NativeCallContext, amount: impl Display, error: &io::Error) -> Outcome<T> {
    let why = match error.kind() {
        io::ErrorKind::OutOfMemory => "there is not so much memory".to_string(),
        _ => error.to_string(),
    };
    throw(ctx, "IoError", format!("{}(): cannot get {amount} of shared memory: {why}", ctx.fn_name()))
}

/// The offset, where `length` bytes from there lie inside.
fn place(ctx: &NativeCallContext, memory: &Memory, offset: i64, length: usize) -> Outcome<usize> {
    let start = usize::try_from(offset).ok();
    let end = start.and_then(|start| start.checked_add(length));
    match (start, end.filter(|end| *end <= memory.size())) {
        (Some(start), Some(_)) => Ok(start),
        _ => {
            let message = format!(
                "{}(): {length} byte{} at offset {offset}, outside of the memory, which has {} bytes",
                ctx.fn_name(),
                if length == 1 { " lies" } else { "s lie" },
                memory.size()
            );
            let size = i64::try_from(memory.size()).unwrap_or(i64::MAX);
            Err(Problem::new(ctx, "IndexError", message).with("index", offset).with("length", size).thrown())
        }
    }
}

fn load<const N: usize>(ctx: &NativeCallContext, memory: &SharedMemory, offset: i64) -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    let at = place(ctx, memory, offset, N)?;
    call(ctx, || memory.read(at, &mut bytes))?;
    Ok(bytes)
}

fn store(ctx: &NativeCallContext, memory: &SharedMemory, offset: i64, bytes: &[u8]) -> Outcome<()> {
    let at = place(ctx, memory, offset, bytes.len())?;
    call(ctx, || memory.write(at, bytes)).map(drop)
}

/// `x` as a smaller kind of number.
fn fitting<T: TryFrom<i64>>(ctx: &NativeCallContext, x: i64, shown: &str) -> Outcome<T> {
    match T::try_from(x) {
        Ok(fits) => Ok(fits),
        Err(_) => throw(ctx, "ValueError", format!("{}(): {x} does not fit in {shown}", ctx.fn_name())),
    }
}

fn as_float(ctx: &NativeCallContext, name: &str, x: &Dynamic) -> Outcome<f64> {
    match (x.as_float(), x.as_int()) {
        (Ok(x), _) => Ok(x),
        // As Rhai does where an int meets a float.
        (_, Ok(x)) => Ok(x as f64),
        _ => throw(ctx, "TypeError", wrong_type(ctx, name, "a number", x.type_name())),
    }
}

/// What stands for `x` in an array of this kind.
fn bits(ctx: &NativeCallContext, array: &SharedArray, name: &str, x: &Dynamic) -> Outcome<u64> {
    match array.kind() {
        Kind::F64 => as_float(ctx, name, x).map(f64::to_bits),
        Kind::I64 => match x.as_int() {
            Ok(x) => Ok(x.cast_unsigned()),
            Err(_) => throw(ctx, "TypeError", wrong_type(ctx, name, "an int", x.type_name())),
        },
    }
}

fn number(kind: Kind, bits: u64) -> Dynamic {
    match kind {
        Kind::I64 => bits.cast_signed().into(),
        Kind::F64 => f64::from_bits(bits).into(),
    }
}

/// The place of an index; negative ones count from the end.
fn at(ctx: &NativeCallContext, array: &SharedArray, index: i64) -> Outcome<usize> {
    let length = array.len();
    let place = match usize::try_from(index) {
        Ok(place) => Some(place),
        Err(_) => usize::try_from(index.unsigned_abs()).ok().and_then(|back| length.checked_sub(back)),
    };
    match place.filter(|place| *place < length) {
        Some(place) => Ok(place),
        None => index_error(ctx, index, "array", length, "number"),
    }
}

fn item(ctx: &NativeCallContext, array: &SharedArray, index: i64) -> Outcome<Dynamic> {
    let bits = array.get(at(ctx, array, index)?).unwrap_or_default();
    Ok(number(array.kind(), bits))
}

fn set_item(ctx: &NativeCallContext, array: &SharedArray, index: i64, x: &Dynamic) -> Outcome<()> {
    let at = at(ctx, array, index)?;
    array.set(at, bits(ctx, array, "x", x)?);
    Ok(())
}

fn part(array: &SharedArray, from: i64, to: i64) -> Array {
    let inside = |index: i64| usize::try_from(index).unwrap_or(0).min(array.len());
    let (from, to) = (inside(from), inside(to));
    array.part(from..to.max(from)).into_iter().map(|bits| number(array.kind(), bits)).collect()
}

fn all(array: &SharedArray) -> Array {
    part(array, 0, i64::MAX)
}

/// `for x in array { … }` runs over the numbers as they are when each is come to.
fn walk(array: SharedArray) -> impl Iterator<Item = Dynamic> + Send {
    let mut next = 0;
    std::iter::from_fn(move || {
        let bits = array.get(next)?;
        next += 1;
        Some(number(array.kind(), bits))
    })
}

/// `for x in array { … }`.
pub fn register(module: &mut Module) {
    module.set_iter(TypeId::of::<SharedArray>(), |value| Box::new(walk(value.cast::<SharedArray>())));
}

#[export_module]
pub mod functions {
    /// Makes so many bytes of memory, all zero, that several processes have before them at once: passed to a process, it is
    /// shared and not copied. Numbers are read and written at offsets in bytes. A number that lies within eight bytes that
    /// begin at a multiple of eight is read and written in one piece; one that does not, and a blob, may be seen half-written
    /// by others. To read and then write as one step takes a lock, or the `add` of a `SharedArray`.
    ///
    /// # Errors
    /// `ValueError` when `bytes` is less than 1; `IoError` when there is not so much memory.
    ///
    /// ```rhai
    /// let memory = SharedMemory(16);
    /// spawn_process(|| memory.set_i64(8, 42)).join();
    /// assert(memory.get_i64(8) == 42);
    /// ```
    #[rhai_fn(name = "SharedMemory", return_raw)]
    pub fn new_memory(ctx: NativeCallContext, bytes: Dynamic) -> Outcome<SharedMemory> {
        let size = count(&ctx, "bytes", &bytes, 1)?;
        match Memory::new("SharedMemory", size) {
            Ok(memory) => Ok(SharedMemory::of(memory)),
            Err(error) => no_memory(&ctx, format!("{size} bytes"), &error),
        }
    }

    /// How many bytes the memory has.
    ///
    /// ```rhai
    /// assert(SharedMemory(10).size == 10);
    /// ```
    #[rhai_fn(get = "size", pure)]
    pub fn get_size(memory: &mut SharedMemory) -> i64 {
        i64::try_from(memory.size()).unwrap_or(i64::MAX)
    }

    /// The u8 at `offset`: a byte, 0 to 255.
    ///
    /// # Errors
    /// `IndexError` when it lies outside; `Closed`.
    ///
    /// ```rhai
    /// assert(SharedMemory(8).get_u8(0) == 0);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn get_u8(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64) -> Outcome<i64> {
        Ok(i64::from(u8::from_ne_bytes(load(&ctx, memory, offset)?)))
    }

    /// Writes the u8 at `offset`.
    ///
    /// # Errors
    /// `IndexError` when it would lie outside; `ValueError` when `x` does not fit; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(8);
    /// memory.set_u8(0, 255);
    /// assert(memory.get_u8(0) == 255);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_u8(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, x: i64) -> Outcome<()> {
        let x: u8 = fitting(&ctx, x, "u8")?;
        store(&ctx, memory, offset, &x.to_ne_bytes())
    }

    /// The i32 at `offset`: a number of four bytes.
    ///
    /// # Errors
    /// `IndexError` when it lies outside; `Closed`.
    ///
    /// ```rhai
    /// assert(SharedMemory(8).get_i32(0) == 0);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn get_i32(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64) -> Outcome<i64> {
        Ok(i64::from(i32::from_ne_bytes(load(&ctx, memory, offset)?)))
    }

    /// Writes the i32 at `offset`.
    ///
    /// # Errors
    /// `IndexError` when it would lie outside; `ValueError` when `x` does not fit; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(8);
    /// memory.set_i32(0, -7);
    /// assert(memory.get_i32(0) == -7);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_i32(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, x: i64) -> Outcome<()> {
        let x: i32 = fitting(&ctx, x, "i32")?;
        store(&ctx, memory, offset, &x.to_ne_bytes())
    }

    /// The i64 at `offset`: a number of eight bytes.
    ///
    /// # Errors
    /// `IndexError` when it lies outside; `Closed`.
    ///
    /// ```rhai
    /// assert(SharedMemory(8).get_i64(0) == 0);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn get_i64(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64) -> Outcome<i64> {
        Ok(i64::from_ne_bytes(load(&ctx, memory, offset)?))
    }

    /// Writes the i64 at `offset`.
    ///
    /// # Errors
    /// `IndexError` when it would lie outside; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(8);
    /// memory.set_i64(0, 1 << 40);
    /// assert(memory.get_i64(0) == 1 << 40);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_i64(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, x: i64) -> Outcome<()> {
        store(&ctx, memory, offset, &x.to_ne_bytes())
    }

    /// The f64 at `offset`: a floating-point number of eight bytes.
    ///
    /// # Errors
    /// `IndexError` when it lies outside; `Closed`.
    ///
    /// ```rhai
    /// assert(SharedMemory(8).get_f64(0) == 0.0);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn get_f64(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64) -> Outcome<f64> {
        Ok(f64::from_ne_bytes(load(&ctx, memory, offset)?))
    }

    /// Writes the f64 at `offset`; an int is made a float.
    ///
    /// # Errors
    /// `IndexError` when it would lie outside; `TypeError`; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(8);
    /// memory.set_f64(0, 2.5);
    /// assert(memory.get_f64(0) == 2.5);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set_f64(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, x: Dynamic) -> Outcome<()> {
        store(&ctx, memory, offset, &as_float(&ctx, "x", &x)?.to_ne_bytes())
    }

    /// A copy of `len` bytes from `offset` on.
    ///
    /// # Errors
    /// `IndexError` when they lie outside; `ValueError` when `len` is negative; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(4);
    /// memory.set_u8(1, 7);
    /// let bytes = memory.read(0, 2);
    /// assert(bytes.len() == 2 && bytes[1] == 7);
    /// ```
    #[rhai_fn(name = "read", return_raw, pure)]
    pub fn read_memory(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, len: Dynamic) -> Outcome<Blob> {
        let length = count(&ctx, "len", &len, 0)?;
        let at = place(&ctx, memory, offset, length)?;
        let mut bytes = Blob::new();
        if bytes.try_reserve_exact(length).is_err() {
            return throw(&ctx, "IoError", format!("read(): there is not so much memory: {length} bytes"));
        }
        bytes.resize(length, 0);
        call(&ctx, || memory.read(at, &mut bytes))?;
        Ok(bytes)
    }

    /// Writes the bytes of a blob from `offset` on; all of them or none.
    ///
    /// # Errors
    /// `IndexError` when they would lie outside; `Closed`.
    ///
    /// ```rhai
    /// let memory = SharedMemory(4);
    /// memory.write(2, blob(2, 9));
    /// assert(memory.get_u8(3) == 9);
    /// ```
    #[rhai_fn(name = "write", return_raw, pure)]
    pub fn write_memory(ctx: NativeCallContext, memory: &mut SharedMemory, offset: i64, bytes: Blob) -> Outcome<()> {
        store(&ctx, memory, offset, &bytes)
    }

    /// This process does without the memory from now on; others keep it. It is freed when the last of them does without it.
    /// Closing again does nothing.
    ///
    /// ```rhai
    /// let memory = SharedMemory(8);
    /// memory.close();
    /// try { memory.get_u8(0); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(name = "close", pure)]
    pub fn close_memory(memory: &mut SharedMemory) {
        memory.close();
    }

    /// True after `close()`.
    ///
    /// ```rhai
    /// assert(!SharedMemory(8).closed);
    /// ```
    #[rhai_fn(get = "closed", pure)]
    pub fn is_memory_closed(memory: &mut SharedMemory) -> bool {
        memory.is_closed()
    }

    /// Makes an array of `n` numbers, all zero, that several processes have before them at once: passed to a process, it is
    /// shared and not copied. `kind` is `"i64"` for ints or `"f64"` for floats. Each reading and writing of a number is atomic,
    /// and so is `add`; `a[i] += 1` is a reading and a writing.
    ///
    /// # Errors
    /// `ValueError` for another kind, or when `n` is negative; `IoError` when there is not so much memory.
    ///
    /// ```rhai
    /// let squares = SharedArray("i64", 4);
    /// let p = spawn_process(|| { for i in 0..4 { squares[i] = i * i; } });
    /// p.join();
    /// assert(squares[3] == 9);
    /// ```
    #[rhai_fn(name = "SharedArray", return_raw)]
    pub fn new_array(ctx: NativeCallContext, kind: ImmutableString, n: Dynamic) -> Outcome<SharedArray> {
        let length = count(&ctx, "n", &n, 0)?;
        let numbers = match kind.as_str() {
            "i64" => Kind::I64,
            "f64" => Kind::F64,
            other => {
                let message = format!("SharedArray(): kind must be \"i64\" or \"f64\", not {other:?}");
                return throw(&ctx, "ValueError", message);
            }
        };
        match Numbers::new(numbers, length) {
            Ok(array) => Ok(SharedArray::of(array)),
            Err(error) => no_memory(&ctx, format!("{length} numbers"), &error),
        }
    }

    /// The number at `index`; negative ones count from the end.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// let a = SharedArray("f64", 2);
    /// assert(a[0] == 0.0 && a[-1] == 0.0);
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get_number(ctx: NativeCallContext, array: &mut SharedArray, index: i64) -> Outcome<Dynamic> {
        item(&ctx, array, index)
    }

    /// Writes the number at `index`.
    ///
    /// # Errors
    /// `IndexError` when there is none; `TypeError` when `x` is no number of this kind.
    ///
    /// ```rhai
    /// let a = SharedArray("i64", 2);
    /// a[1] = 5;
    /// assert(a[1] == 5);
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn put_number(ctx: NativeCallContext, array: &mut SharedArray, index: i64, x: Dynamic) -> Outcome<()> {
        set_item(&ctx, array, index, &x)
    }

    /// The number at `index`; negative ones count from the end.
    ///
    /// # Errors
    /// `IndexError` when there is none.
    ///
    /// ```rhai
    /// assert(SharedArray("i64", 1).get(0) == 0);
    /// ```
    #[rhai_fn(name = "get", return_raw, pure)]
    pub fn get_number_by_name(ctx: NativeCallContext, array: &mut SharedArray, index: i64) -> Outcome<Dynamic> {
        item(&ctx, array, index)
    }

    /// Writes the number at `index`.
    ///
    /// # Errors
    /// `IndexError` when there is none; `TypeError` when `x` is no number of this kind.
    ///
    /// ```rhai
    /// let a = SharedArray("i64", 1);
    /// a.set(0, 5);
    /// assert(a[0] == 5);
    /// ```
    #[rhai_fn(name = "set", return_raw, pure)]
    pub fn put_number_by_name(ctx: NativeCallContext, array: &mut SharedArray, index: i64, x: Dynamic) -> Outcome<()> {
        set_item(&ctx, array, index, &x)
    }

    /// Adds `x` to the number at `index` in one step, whatever others do; returns the new number.
    ///
    /// # Errors
    /// `IndexError` when there is none; `TypeError` when `x` is no number of this kind; `ErrorArithmetic` when the sum does not
    /// fit.
    ///
    /// ```rhai
    /// let hits = SharedArray("i64", 1);
    /// let both = [1, 2].map(|n| spawn_process(|| { for i in 0..100 { hits.add(0, 1); } }));
    /// for p in both { p.join(); }
    /// assert(hits[0] == 200);
    /// ```
    #[rhai_fn(name = "add", return_raw, pure)]
    pub fn add_number(ctx: NativeCallContext, array: &mut SharedArray, index: i64, x: Dynamic) -> Outcome<Dynamic> {
        let (at, kind) = (at(&ctx, array, index)?, array.kind());
        let more = bits(&ctx, array, "x", &x)?;
        let sum = |before: u64| match kind {
            Kind::I64 => before.cast_signed().checked_add(more.cast_signed()).map(i64::cast_unsigned),
            Kind::F64 => Some((f64::from_bits(before) + f64::from_bits(more)).to_bits()),
        };
        match array.change(at, sum).and_then(|before| sum(before.unwrap_or_else(|before| before))) {
            Some(after) => Ok(number(kind, after)),
            None => {
                let said = format!("add(): the sum of the number at {index} and {x} is too large");
                Err(EvalAltResult::ErrorArithmetic(said, ctx.call_position()).into())
            }
        }
    }

    /// How many numbers there are.
    ///
    /// ```rhai
    /// assert(SharedArray("i64", 3).len() == 3);
    /// ```
    #[rhai_fn(name = "len", pure)]
    pub fn array_len(array: &mut SharedArray) -> i64 {
        i64::try_from(array.len()).unwrap_or(i64::MAX)
    }

    /// Writes `x` everywhere.
    ///
    /// # Errors
    /// `TypeError` when `x` is no number of this kind.
    ///
    /// ```rhai
    /// let a = SharedArray("i64", 2);
    /// a.fill(7);
    /// assert(a.to_array() == [7, 7]);
    /// ```
    #[rhai_fn(name = "fill", return_raw, pure)]
    pub fn fill_array(ctx: NativeCallContext, array: &mut SharedArray, x: Dynamic) -> Outcome<()> {
        array.fill(bits(&ctx, array, "x", &x)?);
        Ok(())
    }

    /// A copy of the numbers as an ordinary array. Others may write meanwhile.
    ///
    /// ```rhai
    /// assert(SharedArray("f64", 2).to_array() == [0.0, 0.0]);
    /// ```
    #[rhai_fn(name = "to_array", pure)]
    pub fn array_to_array(array: &mut SharedArray) -> Array {
        all(array)
    }

    /// A copy of the numbers of a range, as far as there are any.
    ///
    /// ```rhai
    /// let a = SharedArray("i64", 4);
    /// a[2] = 5;
    /// assert(a.extract(1..3) == [0, 5]);
    /// ```
    #[rhai_fn(name = "extract", pure)]
    pub fn extract_range(array: &mut SharedArray, range: Range<i64>) -> Array {
        part(array, range.start, range.end)
    }

    /// The same for a range that includes its end.
    ///
    /// ```rhai
    /// assert(SharedArray("i64", 4).extract(1..=3).len() == 3);
    /// ```
    #[rhai_fn(name = "extract", pure)]
    pub fn extract_inclusive(array: &mut SharedArray, whole_range: RangeInclusive<i64>) -> Array {
        part(array, *whole_range.start(), whole_range.end().saturating_add(1))
    }
}

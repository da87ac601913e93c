//! Values on their way from one process to another, as MessagePack.
//!
//! What MessagePack knows is written as such. The rest is a map with one entry whose key is a number, which no map of a
//! script has: characters, ranges, functions by their name with what they captured, commands,
//! what became of them and answers of servers. A value is looked at first, so that one
//! that cannot cross is refused with the place where it sits. What is no bytes goes beside them, as luggage.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use rhai::{Array, Blob, Dynamic, FnPtr, ImmutableString, Map};
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, Serializer};

use super::arguments::type_for_people;
use super::crossing::{self, Found};
use super::handles::{Kind, far_object, home};
use super::host::with_host;
use super::luggage::{Luggage, Packed};
use super::parcel::is_plain;
use super::{parts, plain};
use crate::kernel::object::ObjectId;
use crate::worker::link::Link;
use crate::worker::wire::MOST_DESCRIPTORS;

/// The keys of what MessagePack does not know; those of values in parts are [`parts`]'.
pub(super) mod tag {
    pub const CHAR: u64 = 0;
    pub const RANGE: u64 = 1;
    pub const RANGE_INCLUSIVE: u64 = 2;
    pub const FUNCTION: u64 = 3;
    pub const BIG_BLOB: u64 = 4;
    pub const BIG_TEXT: u64 = 5;
    pub const SHARED: u64 = 6;
    pub const HANDLE: u64 = 7;
}

/// A value that cannot cross.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it sits, as a script would write it: `options.callback[2]`.
    pub path: String,
    /// What it is, with its article: `a Lock`.
    pub what: String,
    /// It could, but something went wrong.
    pub failure: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Some(failure) => write!(f, "{} cannot cross to another process: {failure}", self.path),
            None => write!(f, "{} is {}, which cannot cross to another process", self.path, self.what),
        }
    }
}

/// A value on its way, which reports call `path`.
///
/// # Errors
/// [`Refused`].
pub fn encode(value: &Dynamic, path: &str, way: Way) -> Result<Packed, Refused> {
    Inspection::of(way).check(value, path)?;
    let mut luggage = if way.has_descriptors() { Luggage::default() } else { Luggage::without_files() };
    let bytes = write(value, &mut luggage).map_err(|failure| Refused {
        path: path.to_string(),
        what: type_of(value),
        failure: Some(failure),
    })?;
    Ok(Packed { bytes, luggage })
}

/// The bytes of a value that was found to be able to cross; what is none goes into `luggage`.
///
/// # Errors
/// What went wrong.
pub fn write(value: &Dynamic, luggage: &mut Luggage) -> Result<Vec<u8>, String> {
    if let Some(items) = value.read_lock::<Array>() {
        return write_array(&items, luggage);
    }
    with_luggage(luggage, |luggage| rmp_serde::to_vec(&Sent { value, luggage }))
}

/// The same for several values, as one array.
///
/// # Errors
/// As [`write`].
pub fn write_array(values: &[Dynamic], luggage: &mut Luggage) -> Result<Vec<u8>, String> {
    with_luggage(luggage, |luggage| {
        let mut to = Vec::new();
        write_values(&mut to, values, luggage)?;
        Ok(to)
    })
}

fn write_values(
    to: &mut Vec<u8>,
    values: &[Dynamic],
    luggage: &RefCell<Luggage>,
) -> Result<(), rmp_serde::encode::Error> {
    if !plain::begin_list(to, values.len()) {
        return rmp_serde::encode::write(to, &SentArray { values, luggage });
    }
    values.iter().try_for_each(|value| match plain::write(to, value) {
        true => Ok(()),
        false => rmp_serde::encode::write(to, &Sent { value, luggage }),
    })
}

/// The same for several arrays, as one array of arrays.
///
/// # Errors
/// As [`write`].
pub fn write_arrays(arrays: &[Vec<Dynamic>], luggage: &mut Luggage) -> Result<Vec<u8>, String> {
    with_luggage(luggage, |luggage| {
        let mut to = Vec::new();
        if !plain::begin_list(&mut to, arrays.len()) {
            return Err(rmp_serde::encode::Error::custom("too many lists"));
        }
        arrays.iter().try_for_each(|values| write_values(&mut to, values, luggage))?;
        Ok(to)
    })
}

fn with_luggage(
    luggage: &mut Luggage,
    write: impl FnOnce(&RefCell<Luggage>) -> Result<Vec<u8>, rmp_serde::encode::Error>,
) -> Result<Vec<u8>, String> {
    let kept = RefCell::new(std::mem::take(luggage));
    let bytes = write(&kept);
    *luggage = kept.into_inner();
    luggage.seal();
    bytes.map_err(|error| error.to_string())
}

/// An error's map. What is more than bytes is sent as the text it is shown as.
pub fn encode_error(mut map: Map) -> Packed {
    for field in map.values_mut() {
        if Inspection::of(Way::Outside).find(field, &String::new).is_err() {
            *field = field.to_string().into();
        }
    }
    encode(&map.into(), "the error", Way::Outside).unwrap_or_default()
}

/// Where a value goes.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// To a process that this one has started: descriptors, and handles, about which it can ask this one.
    Down,
    /// To the process that has started this one: descriptors, and the handles that came from there by this link.
    Up(Option<&'a Arc<Link>>),
    /// The same in simulated time, from the process of this number: handles that were not made there.
    UpFrom(u64),
    /// To any process of this program: descriptors, and the handles that the main process has made.
    Inside,
    /// To another program: only bytes.
    Outside,
}

impl Way<'_> {
    fn has_descriptors(self) -> bool {
        !matches!(self, Way::Outside)
    }

    fn has_handle(self, value: &Dynamic) -> bool {
        match self {
            Way::Down => true,
            Way::UpFrom(process) => home(value) != Some(process),
            Way::Up(Some(link)) => far_object(value).is_some_and(|object| Arc::ptr_eq(object.link(), link)),
            Way::Inside => lives_in_the_main_process(value),
            Way::Up(None) | Way::Outside => false,
        }
    }
}

/// As far as it can be told here: what came from above may live in a process between.
fn lives_in_the_main_process(handle: &Dynamic) -> bool {
    with_host(|host| match host.kernel().is_sim() {
        true => home(handle) == Some(0),
        false => far_object(handle).is_some() == host.identity().parent.is_some(),
    })
}

/// Looking for what cannot cross, in the values of one message.
pub struct Inspection<'a> {
    way: Way<'a>,
    /// How many descriptors can still go with it.
    room: usize,
    /// What goes with it already, and cannot go twice.
    moving: Vec<ObjectId>,
    copies_only: bool,
}

impl<'a> Inspection<'a> {
    /// For a message that goes this way.
    pub fn of(way: Way<'a>) -> Inspection<'a> {
        // One is for what is big, and one goes with handles.
        Inspection { way, room: MOST_DESCRIPTORS - 2, moving: Vec::new(), copies_only: false }
    }

    /// From now on what would move there, and be gone here, cannot cross; or can again.
    pub fn copies_only(&mut self, copies_only: bool) {
        self.copies_only = copies_only;
    }

    /// Finds what cannot cross in a value, which reports call `path`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&mut self, value: &Dynamic, path: &str) -> Result<(), Refused> {
        self.find(value, &|| path.to_string())
    }

    /// The same; `path` is asked for only when there is something that cannot cross.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn find(&mut self, value: &Dynamic, path: &dyn Fn() -> String) -> Result<(), Refused> {
        // Nearly always.
        if is_plain(value) {
            return Ok(());
        }
        if let Some(items) = value.read_lock::<Array>() {
            let mut items = items.iter().enumerate().filter(|(_, item)| !is_plain(item));
            return items.try_for_each(|(i, item)| self.find(item, &|| format!("{}[{i}]", path())));
        }
        if let Some(fields) = value.read_lock::<Map>() {
            return fields.iter().try_for_each(|(name, field)| self.find(field, &|| field_path(&path(), name)));
        }
        if let Some(function) = value.read_lock::<FnPtr>() {
            let captured = |i: usize| captured_path(&path(), function.fn_name(), i);
            return function.iter_curry().enumerate().try_for_each(|(i, item)| self.find(item, &|| captured(i)));
        }
        if is_bytes(value) {
            return Ok(());
        }
        let is_handle = Kind::crossing(value).is_some();
        if is_handle && self.way.has_handle(value) {
            return Ok(());
        }
        let what = match crossing::inspect(value).filter(|_| self.way.has_descriptors()) {
            None => {
                let goes_up = matches!(self.way, Way::Up(_) | Way::UpFrom(_) | Way::Inside);
                let whose = if is_handle && goes_up { " that was made in this process" } else { "" };
                format!("{}{whose}", type_of(value))
            }
            Some(Err(what)) => what,
            Some(Ok(found)) => match self.take_up(&found) {
                Ok(()) => return Ok(()),
                Err(what) => what.into(),
            },
        };
        Err(Refused { path: path(), what, failure: None })
    }
}

impl Inspection<'_> {
    fn take_up(&mut self, found: &Found) -> Result<(), &'static str> {
        self.room = self.room.checked_sub(found.descriptors).ok_or("one thing too many of those with a descriptor")?;
        if found.moves.is_some() && self.copies_only {
            return Err("a Connection, which can go to one process only");
        }
        if found.moves.is_some_and(|one| self.moving.contains(&one)) {
            return Err("a Connection that is there twice");
        }
        self.moving.extend(found.moves);
        Ok(())
    }
}

/// What a script calls the type of a value, with its article.
pub fn type_of(value: &Dynamic) -> String {
    type_for_people(&with_host(|host| host.engine().map_type_name(value.type_name()).to_string()))
}

/// Of those that are no list and no plain value.
fn is_bytes(value: &Dynamic) -> bool {
    value.is_blob() || value.is::<Range<i64>>() || value.is::<RangeInclusive<i64>>() || parts::has_parts(value)
}

/// Where a field of a map sits, as a script would write it.
pub fn field_path(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
    if plain { format!("{path}.{name}") } else { format!("{path}[{name:?}]") }
}

/// A variable that a closure captured, by its name.
fn captured_path(path: &str, function: &str, at: usize) -> String {
    let definition = with_host(|host| host.closure(function));
    match definition.as_ref().and_then(|definition| definition.params.get(at)) {
        Some(name) => format!("{name} (captured by {path})"),
        None => format!("argument {} of {path}", at + 1),
    }
}

/// A value to be written.
struct Sent<'a> {
    value: &'a Dynamic,
    luggage: &'a RefCell<Luggage>,
}

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = self.value;
        // Most values are these, and all the questions below take longer than what is to be done.
        if value.is_int() {
            return to.serialize_i64(value.as_int().map_err(S::Error::custom)?);
        }
        if value.is_float() {
            return to.serialize_f64(value.as_float().map_err(S::Error::custom)?);
        }
        if value.is_bool() {
            return to.serialize_bool(value.as_bool().map_err(S::Error::custom)?);
        }
        if value.is_unit() {
            return to.serialize_unit();
        }
        let part = |value| Sent { value, luggage: self.luggage };
        let stow = |bytes: &[u8]| self.luggage.borrow_mut().stow(bytes).map(|(file, at)| (file, at, bytes.len()));
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return match stow(text.as_bytes()) {
                Some(place) => tagged(to, tag::BIG_TEXT, &place),
                None => to.serialize_str(&text),
            };
        }
        if let Some(items) = value.read_lock::<Array>() {
            return to.collect_seq(items.iter().map(part));
        }
        if let Some(fields) = value.read_lock::<Map>() {
            return to.collect_map(fields.iter().map(|(name, field)| (name.as_str(), part(field))));
        }
        if let Some(bytes) = value.read_lock::<Blob>() {
            return match stow(&bytes) {
                Some(place) => tagged(to, tag::BIG_BLOB, &place),
                None => to.serialize_bytes(&bytes),
            };
        }
        if let Some(range) = value.read_lock::<Range<i64>>() {
            return tagged(to, tag::RANGE, &(range.start, range.end));
        }
        if let Some(range) = value.read_lock::<RangeInclusive<i64>>() {
            return tagged(to, tag::RANGE_INCLUSIVE, &(range.start(), range.end()));
        }
        if let Some(function) = value.read_lock::<FnPtr>() {
            let captured: Vec<Sent> = function.iter_curry().map(part).collect();
            return tagged(to, tag::FUNCTION, &(function.fn_name(), captured));
        }
        if let Some(parts) = parts::of(value) {
            let (kind, parts) = parts.map_err(S::Error::custom)?;
            return tagged(to, kind, &parts.iter().map(part).collect::<Vec<_>>());
        }
        if Kind::crossing(value).is_some() {
            let number = self.luggage.borrow_mut().add_handle(value.clone());
            return tagged(to, tag::HANDLE, &number);
        }
        if let Some(shared) = crossing::pack(value, &mut self.luggage.borrow_mut()) {
            return tagged(to, tag::SHARED, &shared.map_err(S::Error::custom)?);
        }
        match value.as_char() {
            Ok(character) => tagged(to, tag::CHAR, &character),
            Err(_) => to.serialize_unit(),
        }
    }
}

/// Values to be written as an array.
struct SentArray<'a> {
    values: &'a [Dynamic],
    luggage: &'a RefCell<Luggage>,
}

impl Serialize for SentArray<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.values.iter().map(|value| Sent { value, luggage: self.luggage }))
    }
}

fn tagged<S: Serializer>(to: S, tag: u64, content: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(&tag, content)?;
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::threads::STACK_SIZE;
    use crate::kernel::{Kernel, Setup};
    use crate::script::decode::decode;
    use crate::script::host::{Host, Output, run_in};

    struct Nowhere;

    impl Output for Nowhere {
        fn print(&self, _text: &str) -> std::io::Result<()> {
            Ok(())
        }

        fn say(&self, _text: &str) {}
    }

    fn in_a_program(body: impl FnOnce(&Host) + Send) {
        let run = || {
            let host = Host::new(Kernel::new(Setup::Real), Box::new(Nowhere), Vec::new());
            run_in(&host, || body(&host));
        };
        // As on the stack of a task.
        let stack = std::thread::Builder::new().stack_size(STACK_SIZE);
        std::thread::scope(|scope| stack.spawn_scoped(scope, run).unwrap().join().unwrap());
    }

    fn arrived(packed: &Packed) -> Dynamic {
        decode(&packed.bytes, &packed.luggage).unwrap()
    }

    #[test]
    fn values_come_through_as_they_were() {
        in_a_program(|host| {
            let code = "#{i: [0, -1, 127, 128, 9223372036854775807, -9223372036854775807 - 1], f: [0.5, -1e300], \
                        t: [\"\", \"a\u{df}\\n\"], c: 'x', b: [true, false], u: (), m: #{}, a: [], blob: blob(3, 255), \
                        r: 1..3, s: -1..=1, n: #{\"0\": 1}, g: Fn(\"f\")}";
            let value = host.engine().eval::<Dynamic>(code).unwrap();
            let back = arrived(&encode(&value, "it", Way::Inside).unwrap());
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
            let nan = arrived(&encode(&Dynamic::from(f64::NAN), "it", Way::Inside).unwrap());
            assert!(nan.as_float().unwrap().is_nan());
        });
    }

    #[test]
    fn garbage_is_an_error_or_a_value_and_never_a_panic() {
        in_a_program(|host| {
            let code =
                "[#{a: [1, 'c', 1..3, Fn(\"f\")]}, blob(9, 1), \"text\", 2.5, sh(\"x\").stdin(\"y\").timeout(1)]";
            let value = host.engine().eval::<Dynamic>(code).unwrap();
            let good = encode(&value, "it", Way::Inside).unwrap().bytes;
            let mut rng = fastrand::Rng::with_seed(7);
            let mut refused = 0;
            for _ in 0..20_000 {
                let mut bytes = good.clone();
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(..bytes.len());
                    bytes[at] = rng.u8(..);
                }
                bytes.truncate(rng.usize(1..=bytes.len()));
                refused += usize::from(decode(&bytes, &Luggage::default()).is_err());
            }
            assert!(refused > 10_000);
            // A length that nobody keeps, and nesting without end.
            let none = Luggage::default();
            assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff], &none).is_err());
            assert!(decode(&vec![0x91; 1_000_000], &none).is_err());
        });
    }
}

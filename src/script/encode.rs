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

use rhai::{Array, Blob, Dynamic, FnPtr, Identifier, ImmutableString, Map};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, Serializer};

use super::arguments::type_for_people;
use super::crossing::{self, Found, Shared};
use super::handles::{Kind, far_object, home};
use super::host::with_host;
use super::luggage::{Luggage, Packed};
use super::parts;
use crate::kernel::object::ObjectId;
use crate::worker::link::Link;
use crate::worker::wire::MOST_DESCRIPTORS;

/// Those of values in parts are [`parts`]'.
mod tag {
    pub const CHAR: u64 = 0;
    pub const RANGE: u64 = 1;
    pub const RANGE_INCLUSIVE: u64 = 2;
    pub const FUNCTION: u64 = 3;
    pub const BIG_BLOB: u64 = 4;
    pub const BIG_TEXT: u64 = 5;
    pub const SHARED: u64 = 6;
    pub const HANDLE: u64 = 7;
}

/// How deep what is read may nest: a function within a function takes three levels, and values nest at most 200 deep.
/// Measured to fit the stack of a task.
const DEEPEST: usize = 700;

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
    with_luggage(luggage, |luggage| rmp_serde::to_vec(&Sent { value, luggage }))
}

/// The same for several values, as one array.
///
/// # Errors
/// As [`write`].
pub fn write_array(values: &[Dynamic], luggage: &mut Luggage) -> Result<Vec<u8>, String> {
    with_luggage(luggage, |luggage| {
        let parts: Vec<Sent> = values.iter().map(|value| Sent { value, luggage }).collect();
        rmp_serde::to_vec(&parts)
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

/// The value of such bytes, with this luggage.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8], luggage: &Luggage) -> Result<Dynamic, String> {
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    from.set_max_depth(DEEPEST);
    Receiver { luggage }.deserialize(&mut from).map_err(|error| error.to_string())
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

    /// `path` is asked for only when there is something that cannot cross.
    fn find(&mut self, value: &Dynamic, path: &dyn Fn() -> String) -> Result<(), Refused> {
        if let Some(items) = value.read_lock::<Array>() {
            let mut items = items.iter().enumerate();
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

fn is_bytes(value: &Dynamic) -> bool {
    value.is_unit()
        || value.is_bool()
        || value.is_int()
        || value.is_float()
        || value.is_char()
        || value.is_string()
        || value.is_blob()
        || value.is::<Range<i64>>()
        || value.is::<RangeInclusive<i64>>()
        || parts::has_parts(value)
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
        match (value.as_int(), value.as_float(), value.as_bool(), value.as_char()) {
            (Ok(number), ..) => to.serialize_i64(number),
            (_, Ok(number), ..) => to.serialize_f64(number),
            (_, _, Ok(flag), _) => to.serialize_bool(flag),
            (.., Ok(character)) => tagged(to, tag::CHAR, &character),
            _ => to.serialize_unit(),
        }
    }
}

fn tagged<S: Serializer>(to: S, tag: u64, content: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(&tag, content)?;
    map.end()
}

/// Reads a value.
#[derive(Clone, Copy)]
struct Receiver<'a> {
    luggage: &'a Luggage,
}

impl<'de> DeserializeSeed<'de> for Receiver<'_> {
    type Value = Dynamic;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Dynamic, D::Error> {
        from.deserialize_any(self)
    }
}

/// A key of a map: a name of the script's, or a number of ours.
enum Key {
    Name(Identifier),
    Tag(u64),
}

struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Key, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for KeyReader {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(Key::Name(name.into()))
    }

    fn visit_u64<E: Error>(self, tag: u64) -> Result<Key, E> {
        Ok(Key::Tag(tag))
    }
}

impl<'de> Visitor<'de> for Receiver<'_> {
    type Value = Dynamic;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value of a script")
    }

    fn visit_unit<E: Error>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::UNIT)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Dynamic, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Dynamic, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Dynamic, E> {
        i64::try_from(number).map(Dynamic::from).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Dynamic, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Dynamic, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Dynamic, E> {
        Ok(Dynamic::from_blob(bytes.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Dynamic, A::Error> {
        // What is said of the length is not believed before it has come.
        let mut array = Array::with_capacity(items.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dynamic, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(KeyReader)? {
            match key {
                Key::Name(name) => {
                    map.insert(name, entries.next_value_seed(self)?);
                }
                Key::Tag(tag) => return self.special(tag, &mut entries),
            }
        }
        Ok(map.into())
    }
}

impl Receiver<'_> {
    fn fetch<'de, A: MapAccess<'de>>(self, entries: &mut A) -> Result<Vec<u8>, A::Error> {
        let (file, place, length) = entries.next_value()?;
        self.luggage.fetch(file, place, length).map_err(A::Error::custom)
    }

    fn special<'de, A: MapAccess<'de>>(self, tag: u64, entries: &mut A) -> Result<Dynamic, A::Error> {
        match tag {
            tag::CHAR => Ok(entries.next_value::<char>()?.into()),
            tag::RANGE => entries.next_value::<(i64, i64)>().map(|(start, end)| Dynamic::from(start..end)),
            tag::RANGE_INCLUSIVE => entries.next_value::<(i64, i64)>().map(|(start, end)| Dynamic::from(start..=end)),
            tag::FUNCTION => {
                let content = entries.next_value_seed(self)?.try_cast::<Array>().unwrap_or_default();
                let Ok([name, captured]) = <[Dynamic; 2]>::try_from(content) else {
                    return Err(A::Error::custom("it is no function"));
                };
                let name = name.into_immutable_string().map_err(A::Error::custom)?;
                let function = function(&name);
                let mut function = function.ok_or_else(|| A::Error::custom(format!("unknown function {name}")))?;
                function.set_curry(captured.try_cast::<Array>().unwrap_or_default());
                Ok(function.into())
            }
            tag::HANDLE => {
                let handle = self.luggage.handle(entries.next_value()?).cloned();
                handle.ok_or_else(|| A::Error::custom("a handle in it did not come"))
            }
            kind @ (parts::COMMAND | parts::COMPLETED | parts::RESPONSE) => {
                parts::value(kind, entries.next_value_seed(self)?).map_err(A::Error::custom)
            }
            tag::BIG_BLOB => Ok(Dynamic::from_blob(self.fetch(entries)?)),
            tag::BIG_TEXT => {
                let text = String::from_utf8(self.fetch(entries)?).map_err(A::Error::custom)?;
                Ok(text.into())
            }
            tag::SHARED => entries.next_value::<Shared>()?.unpack(self.luggage).map_err(A::Error::custom),
            _ => Err(A::Error::custom("unknown kind of value")),
        }
    }
}

/// The function of this name, which for a closure is known only where its source is.
fn function(name: &str) -> Option<FnPtr> {
    match with_host(|host| host.closure(name)) {
        Some(definition) => Some(FnPtr::from(definition)),
        None => FnPtr::new(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::threads::STACK_SIZE;
    use crate::kernel::{Kernel, Setup};
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

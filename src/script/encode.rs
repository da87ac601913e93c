//! Values on their way from one process to another, as MessagePack.
//!
//! What MessagePack knows is written as such. The rest is a map with one entry whose key is a number, which no map of a
//! script has: characters, ranges, functions by their name with what they captured. A value is looked at first, so that one
//! that cannot cross is refused with the place where it sits.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use rhai::{Array, Blob, Dynamic, FnPtr, Identifier, ImmutableString, Map};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::arguments::type_for_people;
use super::host::with_host;

mod tag {
    pub const CHAR: u64 = 0;
    pub const RANGE: u64 = 1;
    pub const RANGE_INCLUSIVE: u64 = 2;
    pub const FUNCTION: u64 = 3;
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
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, which cannot cross to another process", self.path, self.what)
    }
}

/// The bytes of a value, which reports call `path`.
///
/// # Errors
/// [`Refused`].
pub fn encode(value: &Dynamic, path: &str) -> Result<Vec<u8>, Refused> {
    check(value, &|| path.to_string())?;
    rmp_serde::to_vec(&Sent(value)).map_err(|error| Refused { path: path.to_string(), what: error.to_string() })
}

/// The value of such bytes.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Dynamic, String> {
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    from.set_max_depth(DEEPEST);
    Received::deserialize(&mut from).map(|received| received.0).map_err(|error| error.to_string())
}

/// The bytes of an error's map. What cannot cross is sent as the text it is shown as.
pub fn encode_error(mut map: Map) -> Vec<u8> {
    for field in map.values_mut() {
        if check(field, &String::new).is_err() {
            *field = field.to_string().into();
        }
    }
    rmp_serde::to_vec(&Sent(&map.into())).unwrap_or_default()
}

/// Finds what cannot cross. `path` is asked for only when there is such a thing.
fn check(value: &Dynamic, path: &dyn Fn() -> String) -> Result<(), Refused> {
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().enumerate().try_for_each(|(i, item)| check(item, &|| format!("{}[{i}]", path())));
    }
    if let Some(fields) = value.read_lock::<Map>() {
        return fields.iter().try_for_each(|(name, field)| check(field, &|| field_path(&path(), name)));
    }
    if let Some(function) = value.read_lock::<FnPtr>() {
        let captured = |i: usize| captured_path(&path(), function.fn_name(), i);
        return function.iter_curry().enumerate().try_for_each(|(i, item)| check(item, &|| captured(i)));
    }
    let crosses = value.is_unit()
        || value.is_bool()
        || value.is_int()
        || value.is_float()
        || value.is_char()
        || value.is_string()
        || value.is_blob()
        || value.read_lock::<Range<i64>>().is_some()
        || value.read_lock::<RangeInclusive<i64>>().is_some();
    if crosses {
        return Ok(());
    }
    let shown = with_host(|host| host.engine().map_type_name(value.type_name()).to_string());
    Err(Refused { path: path(), what: type_for_people(&shown) })
}

fn field_path(path: &str, name: &str) -> String {
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
struct Sent<'a>(&'a Dynamic);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return to.serialize_str(&text);
        }
        if let Some(items) = value.read_lock::<Array>() {
            return to.collect_seq(items.iter().map(Sent));
        }
        if let Some(fields) = value.read_lock::<Map>() {
            return to.collect_map(fields.iter().map(|(name, field)| (name.as_str(), Sent(field))));
        }
        if let Some(bytes) = value.read_lock::<Blob>() {
            return to.serialize_bytes(&bytes);
        }
        if let Some(range) = value.read_lock::<Range<i64>>() {
            return tagged(to, tag::RANGE, &(range.start, range.end));
        }
        if let Some(range) = value.read_lock::<RangeInclusive<i64>>() {
            return tagged(to, tag::RANGE_INCLUSIVE, &(range.start(), range.end()));
        }
        if let Some(function) = value.read_lock::<FnPtr>() {
            let captured: Vec<Sent> = function.iter_curry().map(Sent).collect();
            return tagged(to, tag::FUNCTION, &(function.fn_name(), captured));
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

/// A value that was read.
struct Received(Dynamic);

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Received, D::Error> {
        from.deserialize_any(Reader).map(Received)
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

struct Reader;

impl<'de> Visitor<'de> for Reader {
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
        while let Some(Received(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dynamic, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(KeyReader)? {
            match key {
                Key::Name(name) => {
                    let Received(value) = entries.next_value()?;
                    map.insert(name, value);
                }
                Key::Tag(tag) => return special(tag, &mut entries),
            }
        }
        Ok(map.into())
    }
}

fn special<'de, A: MapAccess<'de>>(tag: u64, entries: &mut A) -> Result<Dynamic, A::Error> {
    match tag {
        tag::CHAR => Ok(entries.next_value::<char>()?.into()),
        tag::RANGE => entries.next_value::<(i64, i64)>().map(|(start, end)| Dynamic::from(start..end)),
        tag::RANGE_INCLUSIVE => entries.next_value::<(i64, i64)>().map(|(start, end)| Dynamic::from(start..=end)),
        tag::FUNCTION => {
            let (name, captured) = entries.next_value::<(String, Vec<Received>)>()?;
            let mut function = function(&name).ok_or_else(|| A::Error::custom(format!("unknown function {name}")))?;
            function.set_curry(captured.into_iter().map(|item| item.0));
            Ok(function.into())
        }
        _ => Err(A::Error::custom("unknown kind of value")),
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

    #[test]
    fn values_come_through_as_they_were() {
        in_a_program(|host| {
            let code = "#{i: [0, -1, 127, 128, 9223372036854775807, -9223372036854775807 - 1], f: [0.5, -1e300], \
                        t: [\"\", \"a\u{df}\\n\"], c: 'x', b: [true, false], u: (), m: #{}, a: [], blob: blob(3, 255), \
                        r: 1..3, s: -1..=1, n: #{\"0\": 1}, g: Fn(\"f\")}";
            let value = host.engine().eval::<Dynamic>(code).unwrap();
            let back = decode(&encode(&value, "it").unwrap()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
            let nan = decode(&encode(&Dynamic::from(f64::NAN), "it").unwrap()).unwrap();
            assert!(nan.as_float().unwrap().is_nan());
        });
    }

    #[test]
    fn garbage_is_an_error_or_a_value_and_never_a_panic() {
        in_a_program(|host| {
            let value =
                host.engine().eval::<Dynamic>("[#{a: [1, 'c', 1..3, Fn(\"f\")]}, blob(9, 1), \"text\", 2.5]").unwrap();
            let good = encode(&value, "it").unwrap();
            let mut rng = fastrand::Rng::with_seed(7);
            let mut refused = 0;
            for _ in 0..20_000 {
                let mut bytes = good.clone();
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(..bytes.len());
                    bytes[at] = rng.u8(..);
                }
                bytes.truncate(rng.usize(1..=bytes.len()));
                refused += usize::from(decode(&bytes).is_err());
            }
            assert!(refused > 10_000);
            // A length that nobody keeps, and nesting without end.
            assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
            assert!(decode(&vec![0x91; 1_000_000]).is_err());
        });
    }
}

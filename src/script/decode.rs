//! Values that have come from another process: the other side of [`super::encode`], which says how they are written.
//!
//! The bytes may be anything: what comes of them is a value or an error.

use std::fmt;

use rhai::{Array, Dynamic, FnPtr, Identifier, Map};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::crossing::Shared;
use super::encode::tag;
use super::host::with_host;
use super::luggage::Luggage;
use super::{parts, plain};

/// How deep what is read may nest: a function within a function takes three levels, and values nest at most 200 deep.
/// Measured to fit the stack of a task.
const DEEPEST: usize = 700;

/// The value of such bytes, with this luggage.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8], luggage: &Luggage) -> Result<Dynamic, String> {
    if let Some(items) = plain::read_list(bytes) {
        return Ok(Dynamic::from_array(items));
    }
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    from.set_max_depth(DEEPEST);
    Receiver { luggage }.deserialize(&mut from).map_err(|error| error.to_string())
}

/// The arrays of such bytes.
///
/// # Errors
/// As [`decode`].
pub fn decode_arrays(bytes: &[u8], luggage: &Luggage) -> Result<Vec<Array>, String> {
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    from.set_max_depth(DEEPEST);
    SeqOf(SeqOf(Receiver { luggage })).deserialize(&mut from).map_err(|error| error.to_string())
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

/// Reads an array of what the other reads.
#[derive(Clone, Copy)]
struct SeqOf<T>(T);

impl<'de, T: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for SeqOf<T> {
    type Value = Vec<T::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeSeed<'de> + Copy> Visitor<'de> for SeqOf<T> {
    type Value = Vec<T::Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // What is said of the length is not believed before it has come.
        let mut read = Vec::with_capacity(items.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = items.next_element_seed(self.0)? {
            read.push(item);
        }
        Ok(read)
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

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Dynamic, A::Error> {
        SeqOf(self).visit_seq(items).map(Dynamic::from_array)
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

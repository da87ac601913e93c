//! Values as JSON, and back.
//!
//! A value is looked at first, so that one that JSON cannot say is refused with the place where it sits. Rhai's maps are
//! sorted by their keys, and so is what is written.

use std::fmt;

use rhai::{Array, Dynamic, Identifier, ImmutableString, Map};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;

use super::arguments::type_for_people;
use super::encode::{field_path, type_of};

/// How deep values may nest, in both directions: what `serde_json` reads.
const DEEPEST: usize = 127;

/// Why a text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong, with line and column.
    pub message: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
}

/// Reads JSON.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Dynamic, Malformed> {
    let mut from = serde_json::Deserializer::from_str(text);
    let read = Reader.deserialize(&mut from).and_then(|value| from.end().map(|()| value));
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let said = error.to_string();
        let place = format!(" at line {line} column {column}");
        let what = match said.strip_suffix(&place).unwrap_or(&said) {
            "recursion limit exceeded" => format!("it nests more than {DEEPEST} levels deep"),
            what => what.replace("EOF while parsing", "the text ends within"),
        };
        Malformed { message: format!("{what}, at line {line}, column {column}"), line, column }
    })
}

/// Reads one value.
struct Reader;

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Dynamic;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Dynamic, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Dynamic;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
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
        // What is too large for an int is a float, as it is for JSON's own language.
        Ok(i64::try_from(number).map_or_else(|_| (number as f64).into(), Dynamic::from))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Dynamic, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Dynamic, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Dynamic, A::Error> {
        let mut array = Array::new();
        while let Some(item) = items.next_element_seed(Reader)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Dynamic, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            map.insert(Identifier::from(name), fields.next_value_seed(Reader)?);
        }
        Ok(map.into())
    }
}

/// A value that JSON cannot say.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsayable {
    /// The sentence, with the place where it sits.
    pub message: String,
    /// It is of a type that JSON has nothing for; else it is a number, or nests too deep.
    pub is_type: bool,
}

/// Writes JSON; `pretty` with line ends, and two spaces for each level.
///
/// # Errors
/// [`Unsayable`].
pub fn write(value: &Dynamic, pretty: bool) -> Result<String, Unsayable> {
    check(value, 0, &|| "value".to_string())?;
    let written = if pretty { serde_json::to_string_pretty(&Said(value)) } else { serde_json::to_string(&Said(value)) };
    // All that could fail was looked at.
    written.map_err(|error| Unsayable { message: error.to_string(), is_type: false })
}

/// `path` is asked for only when there is something wrong.
fn check(value: &Dynamic, depth: usize, path: &dyn Fn() -> String) -> Result<(), Unsayable> {
    if let Some(items) = value.read_lock::<Array>() {
        within_depth(depth, path)?;
        let mut items = items.iter().enumerate();
        return items.try_for_each(|(i, item)| check(item, depth + 1, &|| format!("{}[{i}]", path())));
    }
    if let Some(fields) = value.read_lock::<Map>() {
        within_depth(depth, path)?;
        return fields.iter().try_for_each(|(name, field)| check(field, depth + 1, &|| field_path(&path(), name)));
    }
    if let Ok(number) = value.as_float() {
        if number.is_finite() {
            return Ok(());
        }
        let message = format!("{} is {number}, which JSON cannot say", path());
        return Err(Unsayable { message, is_type: false });
    }
    if value.is_unit() || value.is_bool() || value.is_int() || value.is_string() || value.is_char() {
        return Ok(());
    }
    let hint = if value.is_blob() { "; make it a text or an array first" } else { "" };
    let what = if value.is_fnptr() { type_for_people("function") } else { type_of(value) };
    Err(Unsayable { message: format!("{} is {what}, which JSON cannot say{hint}", path()), is_type: true })
}

fn within_depth(depth: usize, path: &dyn Fn() -> String) -> Result<(), Unsayable> {
    if depth < DEEPEST {
        return Ok(());
    }
    // The path would be as long as it is deep.
    let path: String = path().chars().take(60).collect();
    Err(Unsayable { message: format!("it nests more than {DEEPEST} levels deep, at {path}…"), is_type: false })
}

/// A value to be written.
struct Said<'a>(&'a Dynamic);

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return to.serialize_str(&text);
        }
        if let Some(items) = value.read_lock::<Array>() {
            return to.collect_seq(items.iter().map(Said));
        }
        if let Some(fields) = value.read_lock::<Map>() {
            return to.collect_map(fields.iter().map(|(name, field)| (name.as_str(), Said(field))));
        }
        match (value.as_int(), value.as_float(), value.as_bool(), value.as_char()) {
            (Ok(number), ..) => to.serialize_i64(number),
            (_, Ok(number), ..) => to.serialize_f64(number),
            (_, _, Ok(flag), _) => to.serialize_bool(flag),
            (.., Ok(character)) => to.serialize_char(character),
            _ => to.serialize_unit(),
        }
    }
}

//! Plain values as MessagePack, by hand.
//!
//! Most of what crosses are lists of numbers and short texts, and by way of serde each of them takes longer than the call that
//! it is an argument of. What is written here is what serde could have written. What cannot be read here is read by serde, which
//! also says what is wrong with it.

use rhai::{Array, Dynamic, ImmutableString};

/// Longer texts are left to serde.
const LONGEST: usize = 255;

/// The first bytes of what is written.
mod marker {
    pub const UNIT: u8 = 0xc0;
    pub const FALSE: u8 = 0xc2;
    pub const TRUE: u8 = 0xc3;
    pub const F64: u8 = 0xcb;
    pub const U8: u8 = 0xcc;
    pub const U16: u8 = 0xcd;
    pub const U32: u8 = 0xce;
    pub const U64: u8 = 0xcf;
    pub const I8: u8 = 0xd0;
    pub const I16: u8 = 0xd1;
    pub const I32: u8 = 0xd2;
    pub const I64: u8 = 0xd3;
    pub const TEXT: u8 = 0xd9;
    pub const ARRAY_16: u8 = 0xdc;
    pub const ARRAY_32: u8 = 0xdd;
    /// Short texts and arrays have their length in it.
    pub const SHORT_TEXT: u8 = 0xa0;
    pub const SHORT_ARRAY: u8 = 0x90;
}

/// Begins a list of so many values; false when there are too many for one.
pub fn begin_list(to: &mut Vec<u8>, count: usize) -> bool {
    match (u8::try_from(count), u16::try_from(count), u32::try_from(count)) {
        (Ok(count @ ..16), ..) => to.push(marker::SHORT_ARRAY | count),
        (_, Ok(count), _) => put(to, marker::ARRAY_16, count.to_be_bytes()),
        (_, _, Ok(count)) => put(to, marker::ARRAY_32, count.to_be_bytes()),
        _ => return false,
    }
    true
}

/// Writes a value, if it is plain and short; nothing otherwise, and says which.
#[inline]
pub fn write(to: &mut Vec<u8>, value: &Dynamic) -> bool {
    if value.is_int()
        && let Ok(number) = value.as_int()
    {
        write_int(to, number);
        return true;
    }
    write_other(to, value)
}

fn write_int(to: &mut Vec<u8>, number: i64) {
    match (i8::try_from(number), i32::try_from(number)) {
        // Its own marker.
        (Ok(small @ -32..), _) => to.push(small.cast_unsigned()),
        (_, Ok(number)) => put(to, marker::I32, number.to_be_bytes()),
        _ => put(to, marker::I64, number.to_be_bytes()),
    }
}

fn write_other(to: &mut Vec<u8>, value: &Dynamic) -> bool {
    if let Ok(number) = value.as_float() {
        put(to, marker::F64, number.to_be_bytes());
    } else if let Ok(flag) = value.as_bool() {
        to.push(if flag { marker::TRUE } else { marker::FALSE });
    } else if value.is_unit() {
        to.push(marker::UNIT);
    } else if let Some(text) = value.read_lock::<ImmutableString>().filter(|text| text.len() <= LONGEST) {
        match u8::try_from(text.len()) {
            Ok(length @ ..32) => to.push(marker::SHORT_TEXT | length),
            Ok(length) => put(to, marker::TEXT, [length]),
            Err(_) => return false,
        }
        to.extend_from_slice(text.as_bytes());
    } else {
        return false;
    }
    true
}

fn put<const N: usize>(to: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    to.push(marker);
    to.extend_from_slice(&bytes);
}

/// The list that these bytes are, if all in it is plain.
pub fn read_list(mut bytes: &[u8]) -> Option<Array> {
    let count = match take(&mut bytes)? {
        [short @ 0x90..=0x9f] => usize::from(short & 0x0f),
        [marker::ARRAY_16] => usize::from(u16::from_be_bytes(take(&mut bytes)?)),
        [marker::ARRAY_32] => usize::try_from(u32::from_be_bytes(take(&mut bytes)?)).ok()?,
        _ => return None,
    };
    // Each takes a byte at least, so nothing is believed of a length that nobody keeps.
    let mut items = Array::with_capacity(if count <= bytes.len() { count } else { return None });
    for _ in 0..count {
        items.push(read(&mut bytes)?);
    }
    bytes.is_empty().then_some(items)
}

fn read(bytes: &mut &[u8]) -> Option<Dynamic> {
    let [first] = take(bytes)?;
    let number = match first {
        0x00..=0x7f | 0xe0..=0xff => i64::from(first.cast_signed()),
        marker::I32 => i64::from(i32::from_be_bytes(take(bytes)?)),
        marker::I64 => i64::from_be_bytes(take(bytes)?),
        marker::U8 => i64::from(u8::from_be_bytes(take(bytes)?)),
        marker::U16 => i64::from(u16::from_be_bytes(take(bytes)?)),
        marker::U32 => i64::from(u32::from_be_bytes(take(bytes)?)),
        marker::U64 => i64::try_from(u64::from_be_bytes(take(bytes)?)).ok()?,
        marker::I8 => i64::from(i8::from_be_bytes(take(bytes)?)),
        marker::I16 => i64::from(i16::from_be_bytes(take(bytes)?)),
        marker::F64 => return Some(f64::from_be_bytes(take(bytes)?).into()),
        marker::TRUE | marker::FALSE => return Some((first == marker::TRUE).into()),
        marker::UNIT => return Some(Dynamic::UNIT),
        0xa0..=0xbf => return text(bytes, usize::from(first & 0x1f)),
        marker::TEXT => {
            let [length] = take(bytes)?;
            return text(bytes, usize::from(length));
        }
        _ => return None,
    };
    Some(number.into())
}

fn text(bytes: &mut &[u8], length: usize) -> Option<Dynamic> {
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(std::str::from_utf8(text).ok()?.into())
}

#[inline]
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn numbers() -> Vec<i64> {
        let edges = [7, 8, 15, 16, 31, 32, 63].iter().flat_map(|bits| {
            let power = 1_i64.checked_shl(*bits).unwrap_or(i64::MAX);
            [power.wrapping_sub(1), power, power.wrapping_neg(), power.wrapping_neg().wrapping_sub(1)]
        });
        edges.chain([0, 1, -1, -32, -33]).collect()
    }

    fn texts() -> Vec<String> {
        [0, 1, 31, 32, 255].iter().map(|length| "x".repeat(*length)).chain(["\u{df}\u{1f600}".into()]).collect()
    }

    fn shown(items: &[Dynamic]) -> String {
        format!("{items:?}")
    }

    #[test]
    fn what_is_written_comes_back_and_serde_reads_it_too() {
        let mut items: Array = numbers().into_iter().map(Dynamic::from).collect();
        items.extend([0.5, -0.0, f64::INFINITY].map(Dynamic::from));
        items.extend([true.into(), false.into(), Dynamic::UNIT]);
        items.extend(texts().into_iter().map(Dynamic::from));
        for count in [0, 1, 15, 16, items.len()] {
            let mut bytes = Vec::new();
            assert!(begin_list(&mut bytes, count));
            assert!(items[..count].iter().all(|item| write(&mut bytes, item)));
            assert_eq!(shown(&read_list(&bytes).unwrap()), shown(&items[..count]));
            let by_serde: Array = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(shown(&by_serde), shown(&items[..count]));
            // Neither half of it nor more is a list.
            assert!((0..bytes.len()).all(|end| read_list(&bytes[..end]).is_none()));
            bytes.push(0);
            assert!(read_list(&bytes).is_none());
        }
        let mut long = Vec::new();
        assert!(begin_list(&mut long, 70_000));
        long.resize(long.len() + 70_000, 5);
        assert_eq!(read_list(&long).unwrap().len(), 70_000);
    }

    #[test]
    fn what_serde_writes_is_read_too() {
        let bytes = rmp_serde::to_vec(&numbers()).unwrap();
        let read: Vec<i64> = read_list(&bytes).unwrap().iter().map(|item| item.as_int().unwrap()).collect();
        assert_eq!(read, numbers());
        let bytes = rmp_serde::to_vec(&texts()).unwrap();
        let read: Vec<String> =
            read_list(&bytes).unwrap().into_iter().map(|item| item.into_string().unwrap()).collect();
        assert_eq!(read, texts());
    }

    #[test]
    fn what_is_not_plain_is_left_to_serde() {
        let others = [Dynamic::from_array(Array::new()), Dynamic::from_map(rhai::Map::new()), 'c'.into()];
        let long = Dynamic::from("x".repeat(LONGEST + 1));
        let mut bytes = Vec::new();
        assert!(others.iter().chain([&long]).all(|other| !write(&mut bytes, other)));
        assert!(bytes.is_empty());
        let unread = [&[0xc0][..], &[0x91, 0x90], &[0x91, 0xcf, 255, 0, 0, 0, 0, 0, 0, 0], &[0x91, 0xa1, 0xff]];
        assert!(unread.iter().all(|bytes| read_list(bytes).is_none()));
        assert!(read_list(&[0xdd, 255, 255, 255, 255]).is_none());
    }

    #[test]
    fn garbage_is_read_as_serde_reads_it_or_left_to_it() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut both = 0;
        for _ in 0..20_000 {
            let count = rng.u8(..8);
            let bytes: Vec<u8> =
                std::iter::once(0x90 | count).chain((0..rng.usize(..24)).map(|_| rng.u8(..))).collect();
            if let Some(items) = read_list(&bytes) {
                let mut from = rmp_serde::Deserializer::from_read_ref(&bytes);
                assert_eq!(shown(&Array::deserialize(&mut from).unwrap()), shown(&items));
                both += 1;
            }
        }
        assert!(both > 100, "{both}");
    }
}

//! Which characters the bytes of a page stand for.
//!
//! In this order: the mark at its beginning, what the server says, what the page says of itself, UTF-8 where it is that, and
//! else Windows-1252, as browsers do.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How much of a page is searched for what it says of itself.
const HEAD: usize = 4096;

/// The text of a page. What stands for no character is marked.
pub fn decode(bytes: &[u8], content_type: Option<&str>) -> String {
    let named = content_type.and_then(|text| label_after(text.as_bytes(), b"charset="));
    let head = &bytes[..bytes.len().min(HEAD)];
    let own = || {
        label_after(head, b"charset=")
            .or_else(|| head.starts_with(b"<?xml").then(|| label_after(head, b"encoding="))?)
    };
    let encoding = named.or_else(own).unwrap_or_else(|| match std::str::from_utf8(bytes) {
        Ok(_) => UTF_8,
        // Cut in the midst of a character, and not the first one.
        Err(error) if error.error_len().is_none() && !bytes[..error.valid_up_to()].is_ascii() => UTF_8,
        Err(_) => WINDOWS_1252,
    });
    // A mark at the beginning counts for more than what was said.
    encoding.decode(bytes).0.into_owned()
}

/// The encoding whose name follows `key`.
fn label_after(text: &[u8], key: &[u8]) -> Option<&'static Encoding> {
    let at = text.windows(key.len()).position(|window| window.eq_ignore_ascii_case(key))? + key.len();
    let rest = &text[at..];
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"-_:.".contains(b))).unwrap_or(rest.len());
    Encoding::for_label(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_mark_the_server_the_page_and_the_bytes_in_this_order() {
        assert_eq!(decode("ä€".as_bytes(), None), "ä€");
        assert_eq!(decode(b"\xe4\x80", None), "ä€");
        assert_eq!(decode(b"\xe4", Some("text/html; charset=ISO-8859-1")), "ä");
        assert_eq!(decode(b"\xc3\xa4", Some("text/html; Charset=\"utf-8\"")), "ä");
        assert_eq!(decode(b"<meta charset='koi8-r'>\xc1", Some("text/html")), "<meta charset='koi8-r'>а");
        assert_eq!(decode(b"<?xml version='1.0' encoding='windows-1251'?>\xe4", None).chars().last(), Some('д'));
        assert_eq!(decode(b"\xff\xfea\x00", Some("text/html; charset=utf-8")), "a");
        assert_eq!(decode(b"\xef\xbb\xbfa", None), "a");
        assert_eq!(decode("日本".as_bytes(), Some("text/plain; charset=nonsense")), "日本");
        assert_eq!(decode(b"\x93\xfa\x96{", Some("text/html; charset=shift_jis")), "日本");
    }
}

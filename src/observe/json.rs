//! Lines of JSON, written straight into a buffer.

use std::fmt::Write;

/// A value of an argument.
pub enum Arg<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// Seconds.
    Seconds(f64),
}

/// Adds `text` in quotes.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => put(out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Adds `{"key":value,…}`.
pub fn object(out: &mut String, args: &[(&str, Arg)]) {
    out.push('{');
    for (i, (key, value)) in args.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        quote(out, key);
        out.push(':');
        match value {
            Arg::Text(text) => quote(out, text),
            Arg::Number(number) => put(out, format_args!("{number}")),
            Arg::Seconds(seconds) => put(out, format_args!("{seconds:.6}")),
        }
    }
    out.push('}');
}

/// Adds something formatted.
pub fn put(out: &mut String, what: std::fmt::Arguments) {
    // Writing into a string cannot fail.
    let _written = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_quoted_comes_back() {
        for text in ["", "plain", "a \"b\" \\ c", "\n\t\r\u{0}\u{1b}\u{7f}", "ü ☃ 🦀"] {
            let mut out = String::new();
            object(&mut out, &[("k\"", Arg::Text(text)), ("n", Arg::Number(-3)), ("s", Arg::Seconds(0.25))]);
            let back: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(back, serde_json::json!({"k\"": text, "n": -3, "s": 0.25}));
        }
    }
}

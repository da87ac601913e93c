//! A value as a person wants to see it: on one line where it fits, else one item a line, and cut to the window, saying how
//! much there is.

use rhai::{Array, Blob, Dynamic, FnPtr, ImmutableString, Map, Scope};
use unicode_width::UnicodeWidthStr;

use crate::script::Host;

/// The window to fit into.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many columns it has.
    pub columns: usize,
    /// How many lines a value may take.
    pub lines: usize,
}

/// No line is narrower, whatever is indented.
const NARROWEST: usize = 16;

/// With fewer columns nothing but numbers is said of what is left out.
const ROOMY: usize = 36;

/// How deep values are followed: one can hold itself.
const DEEPEST: usize = 24;

/// The value, without a line end.
pub fn value(host: &Host, value: &Dynamic, window: Window) -> String {
    let mut sheet = Sheet { host, window, lines: Vec::new() };
    sheet.put("", value, "", 0);
    sheet.lines.join("\n")
}

struct Sheet<'a> {
    host: &'a Host,
    window: Window,
    lines: Vec<String>,
}

impl Sheet<'_> {
    /// True when no more items fit at this depth: each level needs a line for what is left out, and one for its end.
    fn is_full(&self, depth: usize) -> bool {
        self.lines.len() + 2 * (depth + 1) >= self.window.lines
    }

    /// Adds a value after `before`, with `after` behind it.
    fn put(&mut self, before: &str, value: &Dynamic, after: &str, depth: usize) {
        let indent = "  ".repeat(depth);
        let taken = indent.len() + before.width() + after.len();
        let columns = self.window.columns.saturating_sub(taken).max(NARROWEST);
        if let Some(text) = self.on_one_line(value, columns, depth) {
            return self.lines.push(format!("{indent}{before}{text}{after}"));
        }
        if let Some(array) = value.read_lock::<Array>().filter(|_| depth < DEEPEST) {
            self.lines.push(format!("{indent}{before}["));
            for (i, item) in array.iter().enumerate() {
                if self.is_full(depth) {
                    self.more(array.len() - i, "item", depth + 1);
                    break;
                }
                self.put("", item, ",", depth + 1);
            }
            return self.lines.push(format!("{indent}]{after}"));
        }
        if let Some(map) = value.read_lock::<Map>().filter(|_| depth < DEEPEST) {
            self.lines.push(format!("{indent}{before}#{{"));
            for (i, (key, item)) in map.iter().enumerate() {
                if self.is_full(depth) {
                    self.more(map.len() - i, "entry", depth + 1);
                    break;
                }
                self.put(&format!("{}: ", key_text(key)), item, ",", depth + 1);
            }
            return self.lines.push(format!("{indent}}}{after}"));
        }
        // A value by itself may take some lines.
        let room = if depth == 0 { columns * self.window.lines.clamp(1, 4) } else { columns };
        let text = shortened(self.host, value, room);
        self.lines.push(format!("{indent}{before}{text}{after}"));
    }

    fn more(&mut self, count: usize, what: &str, depth: usize) {
        let plural = if what == "entry" { "entries" } else { "items" };
        let what = if count == 1 { what } else { plural };
        self.lines.push(format!("{}… {} more {what}", "  ".repeat(depth), grouped(count)));
    }

    /// The whole value, if it has at most so many columns.
    fn on_one_line(&self, value: &Dynamic, columns: usize, depth: usize) -> Option<String> {
        if depth >= DEEPEST {
            return Some("…".to_string());
        }
        if let Some(array) = value.read_lock::<Array>() {
            let mut text = String::from("[");
            for (i, item) in array.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { ", " });
                text.push_str(&self.on_one_line(item, columns.checked_sub(text.width() + 1)?, depth + 1)?);
            }
            text.push(']');
            return Some(text).filter(|text| text.width() <= columns);
        }
        if let Some(map) = value.read_lock::<Map>() {
            let mut text = String::from("#{");
            for (i, (key, item)) in map.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { ", " });
                text.push_str(&format!("{}: ", key_text(key)));
                text.push_str(&self.on_one_line(item, columns.checked_sub(text.width() + 1)?, depth + 1)?);
            }
            text.push('}');
            return Some(text).filter(|text| text.width() <= columns);
        }
        if let Some(text) = value.read_lock::<ImmutableString>() {
            // No longer than this is worth quoting as a whole.
            return (text.len() <= columns * 4).then(|| quoted(&text)).filter(|text| text.width() <= columns);
        }
        if let Some(blob) = value.read_lock::<Blob>() {
            return Some(bytes(&blob, columns)).filter(|text| blob.len() <= 16 && text.width() <= columns);
        }
        Some(plain(self.host, value)).filter(|text| text.width() <= columns && !text.contains('\n'))
    }
}

fn key_text(key: &str) -> String {
    let is_name =
        key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !key.starts_with(|c: char| c.is_ascii_digit());
    if is_name && !key.is_empty() { key.to_string() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    format!("{text:?}").replace("\\'", "'")
}

/// A value that is no array and no map, in so many columns.
fn shortened(host: &Host, value: &Dynamic, columns: usize) -> String {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        let whole = text.len() <= columns * 4;
        if let Some(all) = whole.then(|| quoted(&text)).filter(|all| all.width() <= columns) {
            return all;
        }
        let count = grouped(text.chars().count());
        let note = if columns < ROOMY { format!("… {count}") } else { format!("… ({count} characters)") };
        let mut shown = quoted(&cut(&text, columns.saturating_sub(note.width() + 2).max(4)));
        shown.push_str(&note);
        return shown;
    }
    if let Some(blob) = value.read_lock::<Blob>() {
        return bytes(&blob, columns);
    }
    let text = plain(host, value);
    if text.width() <= columns {
        return text;
    }
    format!("{}… ({} characters)", cut(&text, columns.saturating_sub(24).max(4)), grouped(text.chars().count()))
}

fn bytes(blob: &[u8], columns: usize) -> String {
    let most = columns.saturating_sub(32) / 3;
    if columns < ROOMY && blob.len() > 4 {
        return format!("blob({})", grouped(blob.len()));
    }
    let shown: Vec<String> = blob.iter().take(most.max(4)).map(|byte| format!("{byte:02x}")).collect();
    let dots = if shown.len() < blob.len() { " …" } else { "" };
    let plural = if blob.len() == 1 { "" } else { "s" };
    format!("blob({} byte{plural}: {}{dots})", grouped(blob.len()), shown.join(" "))
}

/// The beginning of a text whose quoted form has at most so many columns.
fn cut(text: &str, columns: usize) -> String {
    let mut width = 0;
    let begin = text.chars().take_while(|c| {
        width += c.escape_debug().map(|c| c.to_string().width()).sum::<usize>();
        width <= columns
    });
    begin.collect()
}

/// What a value that is nothing of the above prints.
fn plain(host: &Host, value: &Dynamic) -> String {
    if let Some(function) = value.read_lock::<FnPtr>() {
        return if function.is_anonymous() {
            "closure".to_string()
        } else {
            format!("function {}", function.fn_name())
        };
    }
    if let Ok(character) = value.as_char() {
        return format!("{character:?}");
    }
    let mut scope = Scope::new();
    scope.push_dynamic("it", value.clone());
    let shown = host.engine().eval_with_scope::<String>(&mut scope, "it.to_debug()");
    shown.unwrap_or_else(|_| value.type_name().to_string())
}

/// A number with commas between thousands.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::kernel::{Kernel, Setup};
    use crate::script::Output;

    struct Nowhere;

    impl Output for Nowhere {
        fn print(&self, _text: &str) -> io::Result<()> {
            Ok(())
        }

        fn say(&self, _text: &str) {}
    }

    fn shown(code: &str, columns: usize, lines: usize) -> String {
        let host = Host::new(Kernel::new(Setup::Real), Box::new(Nowhere), Vec::new());
        let it = host.engine().eval::<Dynamic>(code).expect("the code of the test works");
        value(&host, &it, Window { columns, lines })
    }

    #[test]
    fn what_fits_is_on_one_line() {
        assert_eq!(
            shown("[1, \"it's\", 'c', #{a: (), \"b c\": 2.0}]", 80, 20),
            "[1, \"it's\", 'c', #{a: (), \"b c\": 2.0}]"
        );
        assert_eq!(shown("[]", 80, 20), "[]");
        assert_eq!(shown("|x| x", 80, 20), "closure");
        assert_eq!(shown("blob(2, 255)", 80, 20), "blob(2 bytes: ff ff)");
    }

    #[test]
    fn what_does_not_fit_says_how_much_there_is() {
        let code = "let a = []; a.pad(100, \"0123456789\"); a";
        assert_eq!(
            shown(code, 40, 6),
            "[\n  \"0123456789\",\n  \"0123456789\",\n  \"0123456789\",\n  … 97 more items\n]"
        );
        let text = shown("let s = \"\"; s.pad(2000, 'é'); s", 40, 20);
        assert!(text.ends_with("\"… (2,000 characters)") && text.chars().count() <= 4 * 40, "{text}");
        let nested = shown("let a = []; a.pad(50, 7); #{deep: [a, a], x: 1}", 30, 12);
        assert!(nested.lines().count() <= 12 && nested.contains("more items"), "{nested}");
        assert!(nested.ends_with("}"), "{nested}");
    }

    #[test]
    fn no_line_is_wider_than_the_window() {
        for columns in [30, 40, 80] {
            let code = "let s = \"\"; s.pad(900, \"→x\"); [s, #{key: s, list: [s, [s, blob(500, 1)]]}, 1.5]";
            for line in shown(code, columns, 40).lines() {
                assert!(line.width() <= columns, "{columns}: {line}");
            }
        }
    }
}

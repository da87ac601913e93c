//! What a server has answered.

use std::path::PathBuf;

use super::charset;

/// See the module.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200, say.
    pub status: u16,
    /// Where it came from in the end.
    pub url: String,
    /// By name in small letters; what came several times is joined by commas (cookies by newlines).
    pub headers: Vec<(String, String)>,
    /// The page.
    pub body: Body,
}

/// What came behind the headers.
#[derive(Clone, Debug)]
pub enum Body {
    /// The bytes.
    Here(Vec<u8>),
    /// They went to a file.
    InFile(PathBuf),
}

impl Answer {
    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The status in words: `404 Not Found`.
    pub fn status_line(&self) -> String {
        let known = ureq::http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        known.map_or_else(|| self.status.to_string(), |reason| format!("{} {reason}", self.status))
    }

    /// Bytes as text, in the encoding that the server or the page says it has.
    pub fn decode(&self, bytes: &[u8]) -> String {
        charset::decode(bytes, self.header("content-type"))
    }
}

/// Puts one more header to the others.
pub(super) fn add_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    match headers.iter_mut().find(|(other, _)| *other == name) {
        Some((_, before)) => {
            before.push_str(if name == "set-cookie" { "\n" } else { ", " });
            before.push_str(value);
        }
        None => headers.push((name, value.to_string())),
    }
}

//! Values of orch's own that are data, on their way to another process: commands, what became of them, answers of servers. Each
//! goes as a list of blobs, the first of which says what it is, and the others are its bytes. So what is big of them travels as
//! every big blob does.

use rhai::{Array, Blob, Dynamic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::{Command, Completed};
use super::command_parts;

/// A command.
pub const COMMAND: u64 = 8;
/// What became of one.
pub const COMPLETED: u64 = 9;
/// What a server has answered.
pub const RESPONSE: u64 = 10;

/// True for what crosses in parts.
pub fn has_parts(value: &Dynamic) -> bool {
    value.is::<Command>() || value.is::<Completed>() || answers::is_one(value)
}

/// What a value is and its parts; `None` when it has none.
///
/// # Errors
/// What went wrong.
pub fn of(value: &Dynamic) -> Option<Result<(u64, Array), String>> {
    let (kind, parts) = if let Some(command) = value.read_lock::<Command>() {
        (COMMAND, command_parts::of_command(&command))
    } else if let Some(completed) = value.read_lock::<Completed>() {
        (COMPLETED, command_parts::of_completed(&completed))
    } else {
        (RESPONSE, answers::of(value)?)
    };
    Some(parts.map(|parts| (kind, parts)))
}

/// The value of these parts.
///
/// # Errors
/// What is wrong with them.
pub fn value(kind: u64, parts: Dynamic) -> Result<Dynamic, String> {
    match kind {
        COMMAND => command_parts::command(parts).map(Dynamic::from),
        COMPLETED => command_parts::completed(parts).map(Dynamic::from),
        RESPONSE => answers::value(parts),
        _ => Err("unknown kind of value".into()),
    }
}

pub(super) fn head(what: &impl Serialize) -> Result<Dynamic, String> {
    rmp_serde::to_vec(what).map(Dynamic::from_blob).map_err(|error| error.to_string())
}

pub(super) fn read<T: DeserializeOwned>(part: Option<Blob>) -> Result<T, String> {
    rmp_serde::from_slice(&part.ok_or("nothing is said of it")?).map_err(|error| error.to_string())
}

pub(super) fn blobs(parts: Dynamic) -> impl Iterator<Item = Blob> {
    parts.try_cast::<Array>().unwrap_or_default().into_iter().map_while(|part| part.try_cast::<Blob>())
}

#[cfg(feature = "http")]
mod answers {
    use std::path::PathBuf;

    use rhai::{Array, Dynamic};
    use serde::{Deserialize, Serialize};

    use super::{blobs, head, read};
    use crate::io::http::answer::{Answer, Body};
    use crate::script::api::response::Response;

    /// What is said first of an answer.
    #[derive(Serialize, Deserialize)]
    struct Head {
        status: u16,
        url: String,
        headers: Vec<(String, String)>,
        file: Option<PathBuf>,
    }

    pub fn is_one(value: &Dynamic) -> bool {
        value.is::<Response>()
    }

    pub fn of(value: &Dynamic) -> Option<Result<Array, String>> {
        let response = value.read_lock::<Response>()?;
        let Answer { status, url, headers, body } = response.answer();
        let (file, bytes) = match body {
            Body::Here(bytes) => (None, bytes.clone()),
            Body::InFile(path) => (Some(path.clone()), Vec::new()),
        };
        let first = head(&Head { status: *status, url: url.clone(), headers: headers.clone(), file });
        Some(first.map(|first| vec![first, Dynamic::from_blob(bytes)]))
    }

    pub fn value(parts: Dynamic) -> Result<Dynamic, String> {
        let mut parts = blobs(parts);
        let Head { status, url, headers, file } = read(parts.next())?;
        let body = match (file, parts.next()) {
            (Some(path), _) => Body::InFile(path),
            (None, Some(bytes)) => Body::Here(bytes),
            (None, None) => return Err("its body is not there".into()),
        };
        Ok(Dynamic::from(Response::of(Answer { status, url, headers, body })))
    }
}

/// In a build without them.
#[cfg(not(feature = "http"))]
mod answers {
    use rhai::{Array, Dynamic};

    pub fn is_one(_value: &Dynamic) -> bool {
        false
    }

    pub fn of(_value: &Dynamic) -> Option<Result<Array, String>> {
        None
    }

    pub fn value(_parts: Dynamic) -> Result<Dynamic, String> {
        Err("this orch was built without HTTP".into())
    }
}

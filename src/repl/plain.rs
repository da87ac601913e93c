//! Input that is no terminal: a line at a time, each entry run as soon as it is whole.
//!
//! It is read byte by byte, as a shell does, so that a command which is run meanwhile finds the next line where it stands.

use std::io;

use rustix::io::{Errno, read};
use rustix::stdio::stdin;

/// The next line with its end, without one at the end of the input; `None` behind that.
///
/// # Errors
/// Those of the system; that it is no UTF-8.
pub fn line() -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        match read(stdin(), &mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if line.is_empty() {
        return Ok(None);
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::other("the input is not valid UTF-8"))
}

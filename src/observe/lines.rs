//! The lines of a trace on their way into its file, an event a line. Workers write into the same file, each line whole.

use std::fs::File;
use std::io::Write;

use super::json::{self, Arg};

/// As much is written at once.
const PIECE: usize = 64 << 10;

/// Tells people.
pub type Say = Box<dyn Fn(&str) + Send>;

/// See the module.
pub(super) struct Lines {
    file: File,
    say: Say,
    is_broken: bool,
    text: String,
}

impl Lines {
    /// Lines for `file`. `say` tells people that it cannot be written.
    pub(super) fn new(file: File, say: Say) -> Lines {
        Lines { file, say, is_broken: false, text: String::new() }
    }

    /// Before all events.
    pub(super) fn begin(&mut self) {
        self.text.insert_str(0, "[\n");
        self.flush();
    }

    /// Behind all events.
    pub(super) fn end(&mut self) {
        self.text.push_str("{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"end_of_trace\",\"args\":{}}\n]\n");
        self.flush();
    }

    /// One event of the track of this process and task, `at` nanoseconds after the start.
    pub(super) fn event(
        &mut self,
        ph: &str,
        (pid, tid): (u64, u64),
        at: Option<u64>,
        name: &str,
        args: &[(&str, Arg)],
        extra: &str,
    ) {
        let out = &mut self.text;
        json::put(out, format_args!("{{\"ph\":\"{ph}\",\"pid\":{pid},\"tid\":{tid}"));
        if let Some(at) = at {
            // In microseconds. The last digit keeps the nanosecond where a reader multiplies by 1000 and cuts off what is behind
            // the point, as Perfetto does.
            json::put(out, format_args!(",\"ts\":{}.{:03}2", at / 1000, at % 1000));
        }
        if !name.is_empty() {
            out.push_str(",\"name\":");
            json::quote(out, name);
        }
        out.push_str(extra);
        if !args.is_empty() {
            out.push_str(",\"args\":");
            json::object(out, args);
        }
        out.push_str("},\n");
    }

    /// Writes what has come together, once that is much.
    pub(super) fn flush_if_many(&mut self) {
        if self.text.len() > PIECE {
            self.flush();
        }
    }

    /// Writes what has come together, with as few calls as the system needs: lines of several processes do not mix. Where
    /// that fails it is said, once, and nothing more is written.
    pub(super) fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() || self.is_broken {
            return;
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            self.is_broken = true;
            (self.say)(&format!("note: the trace ends here, it cannot be written: {error}\n"));
        }
    }
}

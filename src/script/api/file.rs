//! Open files.

use std::any::TypeId;

use rhai::plugin::*;
use rhai::{Dynamic, ImmutableString, Module, NativeCallContext};
use rustix::fs::SeekFrom;

use crate::io::fault::FileFault;
use crate::io::file::Wanted;
use crate::script::api::command::bytes;
use crate::script::arguments::{called, count};
use crate::script::handles::File as FileHandle;
use crate::script::iterate::{Place, Stream};
use crate::script::throw::{Outcome, call, throw};

/// What was asked for, in the form that the file's mode says.
fn read_from(ctx: &NativeCallContext, file: &FileHandle, wanted: Wanted) -> Outcome<Dynamic> {
    call(ctx, || match file.mode().bytes {
        true => file.read(wanted).map(Dynamic::from_blob),
        false => file.read_text(wanted).map(Dynamic::from),
    })
}

/// The next line without its line end; `None` at the end of the file.
fn next_line(file: &FileHandle) -> Result<Option<Dynamic>, FileFault> {
    if file.mode().bytes {
        let mut line = file.read(Wanted::Line)?;
        let is_end = line.is_empty();
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        return Ok((!is_end).then(|| Dynamic::from_blob(line)));
    }
    let mut line = file.read_text(Wanted::Line)?;
    let is_end = line.is_empty();
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok((!is_end).then(|| line.into()))
}

/// The lines of a file as they are read.
pub fn lines_of(file: FileHandle, place: Place) -> impl FnMut() -> Option<Outcome<Dynamic>> + Send + 'static {
    move || place.call(|ctx| call(ctx, || next_line(&file))).transpose()
}

/// `for line in file { … }`.
pub fn register(module: &mut Module) {
    module.set_iter_result(TypeId::of::<FileHandle>(), |value| {
        Box::new(std::iter::from_fn(lines_of(value.cast::<FileHandle>(), Place::of_loop("read_line"))))
    });
}

fn seek_to(ctx: &NativeCallContext, file: &FileHandle, offset: i64, from: &str) -> Outcome<i64> {
    let to = match from {
        "start" => SeekFrom::Start(count(ctx, "offset", &offset.into(), 0)? as u64),
        "current" => SeekFrom::Current(offset),
        "end" => SeekFrom::End(offset),
        _ => {
            let message = format!("{}(): from must be \"start\", \"current\" or \"end\", not {from:?}", called(ctx));
            return throw(ctx, "ValueError", message);
        }
    };
    call(ctx, || file.seek(to)).map(place)
}

fn place(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

#[export_module]
pub mod functions {
    /// All that is left of a file: a string, or a blob if it was opened with `b`. At the end of the file, nothing of either.
    /// Of a FIFO or a terminal, all until the other side ends.
    ///
    /// # Errors
    /// `ValueError` with the byte at which a text is not valid UTF-8, and when the file was not opened for reading; `Closed`;
    /// `IoError`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "a\nb\n");
    /// with fs::open(path) as f { assert(f.read() == "a\nb\n" && f.read() == ""); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn read(ctx: NativeCallContext, file: &mut FileHandle) -> Outcome<Dynamic> {
        read_from(&ctx, file, Wanted::All)
    }

    /// At most `n` characters, or bytes if it was opened with `b`; fewer only at the end of the file.
    ///
    /// # Errors
    /// As `read()`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "äöü");
    /// with fs::open(path) as f { assert(f.read(2) == "äö" && f.read(2) == "ü"); }
    /// with fs::open(path, "rb") as f { assert(f.read(2) == blob(1, 0xc3) + blob(1, 0xa4)); }
    /// ```
    #[rhai_fn(name = "read", return_raw, pure)]
    pub fn read_some(ctx: NativeCallContext, file: &mut FileHandle, n: Dynamic) -> Outcome<Dynamic> {
        let n = count(&ctx, "n", &n, 0)?;
        let wanted = if file.mode().bytes { Wanted::Bytes(n) } else { Wanted::Characters(n) };
        read_from(&ctx, file, wanted)
    }

    /// The next line without its line end; `()` at the end of the file.
    ///
    /// # Errors
    /// As `read()`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "a\n\nb");
    /// let f = fs::open(path);
    /// assert([f.read_line(), f.read_line(), f.read_line(), f.read_line()] == ["a", "", "b", ()]);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn read_line(ctx: NativeCallContext, file: &mut FileHandle) -> Outcome<Dynamic> {
        Ok(call(&ctx, || next_line(file))?.unwrap_or(Dynamic::UNIT))
    }

    /// The lines without their line ends, one by one: however large the file, there is only one of them in memory. `for line in
    /// file` does the same.
    ///
    /// # Errors
    /// The loop throws as `read()` does.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "3\n4\n");
    /// let sum = 0;
    /// for line in fs::open(path).lines() { sum += line.parse_int(); }
    /// assert(sum == 7);
    /// ```
    #[rhai_fn(name = "lines", pure)]
    pub fn file_lines(ctx: NativeCallContext, file: &mut FileHandle) -> Stream {
        Stream::new(lines_of(file.clone(), Place::of(&ctx, "lines")))
    }

    /// Writes a string, or a blob if the file was opened with `b`. The system has it when this is done; what several tasks
    /// write does not mix.
    ///
    /// # Errors
    /// `ValueError` when it was not opened for writing; `TypeError`; `Closed`; `IoError`, when the disk is full, say;
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// with fs::open(path, "w") as f { f.write("one\n"); f.write("two\n"); }
    /// assert(fs::read(path) == "one\ntwo\n");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn write(ctx: NativeCallContext, file: &mut FileHandle, data: Dynamic) -> Outcome<()> {
        if data.is_blob() && !file.mode().bytes {
            let message =
                "write(): data must be a string, not a blob: the file was opened for text (mode \"wb\" is for blobs)";
            return throw(&ctx, "TypeError", message);
        }
        let data = bytes(&ctx, "data", data)?;
        call(&ctx, || file.write(&data))
    }

    /// Goes to the byte `offset` of the file. Returns where that is.
    ///
    /// # Errors
    /// `ValueError` when `offset` is negative; `IoError` for what has no places, a FIFO, say; `Closed`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "0123456789");
    /// with fs::open(path, "r+") as f {
    ///     f.seek(4);
    ///     f.write("x");
    ///     assert(f.read() == "56789");
    /// }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn seek(ctx: NativeCallContext, file: &mut FileHandle, offset: i64) -> Outcome<i64> {
        seek_to(&ctx, file, offset, "start")
    }

    /// The same, counted from the `"start"`, from the `"current"` place or from the `"end"`.
    ///
    /// # Errors
    /// As `seek(offset)`; `ValueError` when `from` is none of these.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "0123456789");
    /// with fs::open(path) as f { f.seek(-3, "end"); assert(f.read() == "789"); }
    /// ```
    #[rhai_fn(name = "seek", return_raw, pure)]
    pub fn seek_from(
        ctx: NativeCallContext,
        file: &mut FileHandle,
        offset: i64,
        from: ImmutableString,
    ) -> Outcome<i64> {
        seek_to(&ctx, file, offset, &from)
    }

    /// The byte at which the next call reads or writes.
    ///
    /// # Errors
    /// `IoError` for what has no places; `Closed`.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "a\nb\n");
    /// with fs::open(path) as f { f.read_line(); assert(f.tell() == 2); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn tell(ctx: NativeCallContext, file: &mut FileHandle) -> Outcome<i64> {
        call(&ctx, || file.place()).map(place)
    }

    /// Waits until the disk has what was written, so that it is there also after the power has failed.
    ///
    /// # Errors
    /// `IoError`; `Closed`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// with fs::open(fs::temp_file(), "w") as f { f.write("sure"); f.flush(); }
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn flush(ctx: NativeCallContext, file: &mut FileHandle) -> Outcome<()> {
        call(&ctx, || file.sync())
    }

    /// Closes it; a task that reads it hears `Closed`. Closing again does nothing, and `with` closes by itself.
    ///
    /// ```rhai
    /// let f = fs::open(fs::temp_file());
    /// f.close();
    /// try { f.read(); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(name = "close", pure)]
    pub fn close_file(file: &mut FileHandle) {
        file.close();
    }

    /// True after `close()`.
    ///
    /// ```rhai
    /// assert(!fs::open(fs::temp_file()).closed);
    /// ```
    #[rhai_fn(get = "closed", pure)]
    pub fn is_file_closed(file: &mut FileHandle) -> bool {
        file.is_closed()
    }

    /// The path that it was opened by.
    ///
    /// ```rhai
    /// assert(fs::open("/dev/null").path == "/dev/null");
    /// ```
    #[rhai_fn(get = "path", pure)]
    pub fn file_path(file: &mut FileHandle) -> String {
        file.path().display().to_string()
    }
}

//! `fs::`.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::io::fault::FileFault;
use crate::io::file::File;
use crate::io::folders::{self, Walk};
use crate::io::opening::Mode;
use crate::io::watch::Watch;
use crate::io::{pattern as pattern_of, temporary, whole};
use crate::script::api::command::bytes;
use crate::script::arguments::{Options, called};
use crate::script::handles::File as FileHandle;
use crate::script::iterate::{Place, Stream};
use crate::script::throw::{Outcome, call, call_within, throw};

fn opened(ctx: &NativeCallContext, path: &str, mode: &str) -> Outcome<FileHandle> {
    let Some(mode) = Mode::parse(mode) else {
        let modes = "\"r\", \"w\", \"a\" or \"x\", each with \"+\" and \"b\" if need be";
        return throw(ctx, "ValueError", format!("{}(): mode must be {modes}, not {mode:?}", called(ctx)));
    };
    path_of(ctx, path)?;
    call(ctx, || File::open(Path::new(path), mode)).map(FileHandle::of)
}

/// A path that the system could understand.
///
/// # Errors
/// `ValueError`.
pub fn path_of<'a>(ctx: &NativeCallContext, path: &'a str) -> Outcome<&'a Path> {
    if path.contains('\0') {
        return throw(ctx, "ValueError", format!("{}(): no path can hold a NUL byte: {path:?}", called(ctx)));
    }
    Ok(Path::new(path))
}

/// Runs one call on a path.
fn with_path<T>(ctx: &NativeCallContext, path: &str, body: impl FnOnce(&Path) -> Result<T, FileFault>) -> Outcome<T> {
    let path = path_of(ctx, path)?;
    call(ctx, || body(path))
}

fn text(path: &Path) -> Dynamic {
    // Each part of it was text.
    path.to_string_lossy().into_owned().into()
}

fn put(ctx: &NativeCallContext, path: &str, data: Dynamic, options: Map) -> Outcome<()> {
    let mut options = Options::new(options);
    let durable = options.flag(ctx, "durable")?.unwrap_or(false);
    options.finish(ctx)?;
    let data = bytes(ctx, "data", data)?;
    with_path(ctx, path, |path| whole::write(path, &data, durable))
}

fn copied(ctx: &NativeCallContext, from: &str, to: &str, options: Map) -> Outcome<Dynamic> {
    let mut options = Options::new(options);
    let recursive = options.flag(ctx, "recursive")?.unwrap_or(false);
    options.finish(ctx)?;
    let to = path_of(ctx, to)?;
    with_path(ctx, from, |from| folders::copy_to(from, to, recursive)).map(|path| text(&path))
}

fn removed(ctx: &NativeCallContext, path: &str, options: Map) -> Outcome<()> {
    let mut options = Options::new(options);
    let recursive = options.flag(ctx, "recursive")?.unwrap_or(false);
    let missing_ok = options.flag(ctx, "missing_ok")?.unwrap_or(false);
    options.finish(ctx)?;
    with_path(ctx, path, |path| match folders::remove(path, recursive) {
        Err(fault) if missing_ok && fault.is_missing() => Ok(()),
        done => done,
    })
}

fn made(ctx: &NativeCallContext, path: &str, options: Map) -> Outcome<()> {
    let mut options = Options::new(options);
    let parents = options.flag(ctx, "parents")?.unwrap_or(false);
    options.finish(ctx)?;
    with_path(ctx, path, |path| folders::make(path, parents))
}

fn known_of(ctx: &NativeCallContext, path: &str, options: Map) -> Outcome<Map> {
    let mut options = Options::new(options);
    let follow = options.flag(ctx, "follow")?.unwrap_or(true);
    options.finish(ctx)?;
    let stat = with_path(ctx, path, |path| folders::stat(path, follow))?;
    let int = |n: u64| Dynamic::from(i64::try_from(n).unwrap_or(i64::MAX));
    Ok(Map::from([
        ("kind".into(), stat.kind.into()),
        ("size".into(), int(stat.size)),
        ("modified".into(), stat.modified.into()),
        ("accessed".into(), stat.accessed.into()),
        ("mode".into(), int(stat.mode.into())),
        ("uid".into(), int(stat.uid.into())),
        ("gid".into(), int(stat.gid.into())),
        ("links".into(), int(stat.links)),
        ("inode".into(), int(stat.inode)),
    ]))
}

fn watched(ctx: &NativeCallContext, path: &str, options: Map) -> Outcome<Stream> {
    let mut options = Options::new(options);
    let limit = options.seconds(ctx, "timeout")?;
    options.finish(ctx)?;
    let watch = with_path(ctx, path, Watch::begin)?;
    let place = Place::of(ctx, "fs::watch");
    Ok(Stream::new(move || {
        let change = place.call(|ctx| call_within(ctx, limit, |limit| watch.next(limit))).transpose()?;
        let map = |change: crate::io::watch::Change| {
            Map::from([("kind".into(), change.kind.into()), ("path".into(), text(&change.path))]).into()
        };
        Some(change.map(map))
    }))
}

/// The folders of a walk, one by one.
fn steps(place: Place, mut walk: Walk) -> Stream {
    Stream::new(move || {
        let step = place.call(|ctx| call(ctx, || walk.step())).transpose()?;
        Some(step.map(|step| {
            let names = |folders: bool| -> Array {
                let entries = step.entries.iter().filter(|entry| entry.leads_to_folder == folders);
                entries.map(|entry| entry.name.as_str().into()).collect()
            };
            let (folders, files) = (names(true), names(false));
            Map::from([
                ("dir".into(), text(&step.folder)),
                ("dirs".into(), folders.into()),
                ("files".into(), files.into()),
            ])
            .into()
        }))
    })
}

#[export_module]
pub mod functions {
    /// Opens a file for reading text. `with fs::open(path) as f { … }` closes it at the end of the block.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// with fs::open("/etc/passwd") as f {
    ///     for line in f { assert(line.contains(":")); }
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn open(ctx: NativeCallContext, path: ImmutableString) -> Outcome<FileHandle> {
        opened(&ctx, &path, "r")
    }

    /// The same with a mode, as Python's: `"r"` reads, `"w"` empties the file or makes it, `"a"` writes at its end, `"x"` makes it
    /// and throws if it is there; `+` both reads and writes; `b` reads and takes blobs. A FIFO is opened for writing when
    /// somebody reads it. A thread that is given the file shares it; a process cannot be given it.
    ///
    /// # Errors
    /// As `fs::open(path)`; `ValueError` when it is no mode.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// with fs::open(path, "a") as f { f.write("more\n"); }
    /// try { fs::open(path, "x"); } catch (e) { assert(e.kind == "IoError"); }
    /// ```
    #[rhai_fn(name = "open", return_raw)]
    pub fn open_mode(ctx: NativeCallContext, path: ImmutableString, mode: ImmutableString) -> Outcome<FileHandle> {
        opened(&ctx, &path, &mode)
    }

    /// All text of a file.
    ///
    /// # Errors
    /// `NotFound`; `ValueError` with the byte at which it is not valid UTF-8; `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// assert(fs::read("/etc/passwd").contains("root"));
    /// try { fs::read("/no/such/file"); } catch (e) { assert(e.kind == "NotFound" && e.message.contains("/no/such/file")); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(ctx: NativeCallContext, path: ImmutableString) -> Outcome<String> {
        with_path(&ctx, &path, whole::read_text)
    }

    /// All bytes of a file.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// assert(fs::read_bytes("/dev/null").len() == 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_bytes(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Dynamic> {
        with_path(&ctx, &path, whole::read).map(Dynamic::from_blob)
    }

    /// Puts a string or a blob in the place of a file, or makes it. At each moment the file has all of the old content or all of
    /// the new, also when orch is killed meanwhile: it is written under another name (`.orch-…`) in the same folder and then
    /// renamed. Permissions and, where possible, the owner stay; a link stays and what it leads to is written; a hard link is
    /// parted from its other names. Devices, FIFOs and what lies in `/dev`, `/proc` and `/sys` are written to as they are.
    ///
    /// # Errors
    /// `NotFound` when the folder is not there; `IoError` with the path and what the system says: the old file is as it was then.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "hello\n");
    /// assert(fs::read(path) == "hello\n");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write(ctx: NativeCallContext, path: ImmutableString, data: Dynamic) -> Outcome<()> {
        put(&ctx, &path, data, Map::new())
    }

    /// The same; with the option `durable`, the disk has it when this is done, so that it is there also after the power has failed.
    ///
    /// # Errors
    /// As `fs::write(path, data)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// fs::write(fs::temp_file(), "sure", #{durable: true});
    /// ```
    #[rhai_fn(name = "write", return_raw)]
    pub fn write_opts(ctx: NativeCallContext, path: ImmutableString, data: Dynamic, options: Map) -> Outcome<()> {
        put(&ctx, &path, data, options)
    }

    /// Adds a string or a blob to the end of a file, or makes it.
    ///
    /// # Errors
    /// `NotFound` when the folder is not there; `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::append(path, "a\n");
    /// fs::append(path, "b\n");
    /// assert(fs::read(path) == "a\nb\n");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn append(ctx: NativeCallContext, path: ImmutableString, data: Dynamic) -> Outcome<()> {
        let data = bytes(&ctx, "data", data)?;
        with_path(&ctx, &path, |path| whole::append(path, &data))
    }

    /// The paths that a pattern fits, sorted: `*`, `?`, `[a-z]`, and `**` for any folders. Names that begin with a dot are meant
    /// only where the pattern says so; folders that cannot be read are left out.
    ///
    /// # Errors
    /// `ValueError` when the pattern is none.
    ///
    /// ```rhai
    /// assert("/etc/passwd" in fs::glob("/etc/pass*"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn glob(ctx: NativeCallContext, pattern: ImmutableString) -> Outcome<Array> {
        let paths = call(&ctx, || pattern_of::paths(&pattern))?;
        Ok(paths.into_iter().map(Into::into).collect())
    }

    /// Goes through a folder and all folders in it, each before those that it has: maps with `dir`, the path, and the names of
    /// its `dirs` and `files`, sorted. Links are not followed; a link to a folder is among the `dirs`.
    ///
    /// # Errors
    /// The loop throws `NotFound` and `IoError` with the path of a folder that cannot be read.
    ///
    /// ```rhai
    /// let top = fs::temp_dir();
    /// fs::mkdir(path::join(top, "a"));
    /// fs::write(path::join(top, "a", "x.txt"), "");
    /// let found = [];
    /// for w in fs::walk(top) { for f in w.files { found.push(path::relative(path::join(w.dir, f), top)); } }
    /// assert(found == ["a/x.txt"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn walk(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Stream> {
        let path = path_of(&ctx, &path)?;
        Ok(steps(Place::of(&ctx, "fs::walk"), Walk::of(path.into())))
    }

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says; `ValueError` when a name is not valid UTF-8.
    ///
    /// ```rhai
    /// assert("passwd" in fs::list("/etc"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Array> {
        let entries = with_path(&ctx, &path, folders::entries)?;
        Ok(entries.into_iter().map(|entry| entry.name.into()).collect())
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// `NotFound` when the one above it is not there; `IoError` when it is there already, and for what else the system says.
    ///
    /// ```rhai
    /// fs::mkdir(path::join(fs::temp_dir(), "new"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mkdir(ctx: NativeCallContext, path: ImmutableString) -> Outcome<()> {
        made(&ctx, &path, Map::new())
    }

    /// The same; with the option `parents` those above it are made too, and it may be there already.
    ///
    /// # Errors
    /// As `fs::mkdir(path)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// let path = path::join(fs::temp_dir(), "a", "b");
    /// fs::mkdir(path, #{parents: true});
    /// fs::mkdir(path, #{parents: true});
    /// assert(fs::is_dir(path));
    /// ```
    #[rhai_fn(name = "mkdir", return_raw)]
    pub fn mkdir_opts(ctx: NativeCallContext, path: ImmutableString, options: Map) -> Outcome<()> {
        made(&ctx, &path, options)
    }

    /// Makes an empty folder that only this user may enter, in `TMPDIR` or else `/tmp`: its path. It is removed with all that is in
    /// it when this process ends, also by an error, `exit` or Ctrl-C; after `kill -9` it stays.
    ///
    /// # Errors
    /// `NotFound`, `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// assert(fs::list(fs::temp_dir()) == []);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn temp_dir(ctx: NativeCallContext) -> Outcome<Dynamic> {
        call(&ctx, temporary::folder).map(|path| text(&path))
    }

    /// Makes an empty file that only this user may read: its path. It is removed as `fs::temp_dir()` is.
    ///
    /// # Errors
    /// `NotFound`, `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// assert(fs::read(fs::temp_file()) == "");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn temp_file(ctx: NativeCallContext) -> Outcome<Dynamic> {
        call(&ctx, temporary::file).map(|path| text(&path))
    }

    /// Copies a file with its permissions: into `to`, if that is a folder, else in its place, as `fs::write` does. Returns where
    /// the copy is.
    ///
    /// # Errors
    /// `NotFound`; `ValueError` for a folder, for what is no plain file, and when both are the same file; `IoError` with the path
    /// and what the system says.
    ///
    /// ```rhai
    /// let top = fs::temp_dir();
    /// assert(fs::copy("/etc/passwd", top) == path::join(top, "passwd"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn copy(ctx: NativeCallContext, from: ImmutableString, to: ImmutableString) -> Outcome<Dynamic> {
        copied(&ctx, &from, &to, Map::new())
    }

    /// The same; with the option `recursive` also a folder with all that is in it. Links in it are copied as links; files that are
    /// there already are replaced.
    ///
    /// # Errors
    /// As `fs::copy(from, to)`; `ValueError` when `to` lies within `from`, and for an unknown option.
    ///
    /// ```rhai
    /// let top = fs::temp_dir();
    /// fs::mkdir(path::join(top, "a", "b"), #{parents: true});
    /// fs::copy(path::join(top, "a"), path::join(top, "c"), #{recursive: true});
    /// assert(fs::list(path::join(top, "c")) == ["b"]);
    /// ```
    #[rhai_fn(name = "copy", return_raw)]
    pub fn copy_opts(
        ctx: NativeCallContext,
        from: ImmutableString,
        to: ImmutableString,
        options: Map,
    ) -> Outcome<Dynamic> {
        copied(&ctx, &from, &to, options)
    }

    /// Moves a file or a folder: into `to`, if that is a folder, else in its place. Over the border of a file system it is copied
    /// and then removed. Returns where it is now.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with both paths and what the system says.
    ///
    /// ```rhai
    /// let top = fs::temp_dir();
    /// fs::write(path::join(top, "a"), "x");
    /// fs::move(path::join(top, "a"), path::join(top, "b"));
    /// assert(fs::list(top) == ["b"]);
    /// ```
    #[rhai_fn(name = "move", return_raw)]
    pub fn move_path(ctx: NativeCallContext, from: ImmutableString, to: ImmutableString) -> Outcome<Dynamic> {
        let to = path_of(&ctx, &to)?;
        with_path(&ctx, &from, |from| folders::move_to(from, to)).map(|path| text(&path))
    }

    /// Removes a file, a link or an empty folder.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says, when a folder is not empty, say.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::remove(path);
    /// assert(!fs::exists(path));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(ctx: NativeCallContext, path: ImmutableString) -> Outcome<()> {
        removed(&ctx, &path, Map::new())
    }

    /// The same; with the option `recursive` a folder with all that is in it (links in it are removed, not what they lead to), with
    /// `missing_ok` also what is not there.
    ///
    /// # Errors
    /// As `fs::remove(path)`; `ValueError` for the root of all files and for an unknown option.
    ///
    /// ```rhai
    /// fs::remove("/no/such/file", #{missing_ok: true});
    /// fs::remove(fs::temp_dir(), #{recursive: true});
    /// ```
    #[rhai_fn(name = "remove", return_raw)]
    pub fn remove_opts(ctx: NativeCallContext, path: ImmutableString, options: Map) -> Outcome<()> {
        removed(&ctx, &path, options)
    }

    /// True when there is something at the path; a link that leads nowhere is nothing.
    ///
    /// ```rhai
    /// assert(fs::exists("/etc/passwd") && !fs::exists("/no/such/file"));
    /// ```
    pub fn exists(path: ImmutableString) -> bool {
        Path::new(path.as_str()).exists()
    }

    /// True when there is a folder at the path.
    ///
    /// ```rhai
    /// assert(fs::is_dir("/etc") && !fs::is_dir("/etc/passwd"));
    /// ```
    pub fn is_dir(path: ImmutableString) -> bool {
        Path::new(path.as_str()).is_dir()
    }

    /// True when there is a plain file at the path.
    ///
    /// ```rhai
    /// assert(fs::is_file("/etc/passwd") && !fs::is_file("/dev/null"));
    /// ```
    pub fn is_file(path: ImmutableString) -> bool {
        Path::new(path.as_str()).is_file()
    }

    /// What the system knows of what is at the path: `kind` (`"file"`, `"folder"`, `"link"`, `"fifo"`, `"socket"`, `"device"`), `size` in
    /// bytes, `modified` and `accessed` in seconds as `time()` has them, `mode` (the permissions), `uid`, `gid`, `links`, `inode`.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says.
    ///
    /// ```rhai
    /// let path = fs::temp_file();
    /// fs::write(path, "12345");
    /// let s = fs::stat(path);
    /// assert(s.kind == "file" && s.size == 5 && s.mode == 0o600);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stat(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Map> {
        known_of(&ctx, &path, Map::new())
    }

    /// The same; with `follow: false`, of a link itself.
    ///
    /// # Errors
    /// As `fs::stat(path)`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// assert(fs::stat("/proc/self", #{follow: false}).kind == "link");
    /// ```
    #[rhai_fn(name = "stat", return_raw)]
    pub fn stat_opts(ctx: NativeCallContext, path: ImmutableString, options: Map) -> Outcome<Map> {
        known_of(&ctx, &path, options)
    }

    /// Makes a FIFO: what one program writes to it another one reads.
    ///
    /// # Errors
    /// `IoError` with the path and what the system says; `NotFound` when the folder is not there.
    ///
    /// ```rhai
    /// let path = path::join(fs::temp_dir(), "pipe");
    /// fs::mkfifo(path);
    /// let reader = spawn_thread(|| fs::read(path));
    /// fs::append(path, "hello");
    /// assert(reader.join() == "hello");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mkfifo(ctx: NativeCallContext, path: ImmutableString) -> Outcome<()> {
        with_path(&ctx, &path, folders::make_fifo)
    }

    /// What happens from now on to a file, or to the files in a folder (not in the folders in it): an iterator that waits for the
    /// next change, a map with `kind` (`"created"`, `"modified"`, `"removed"`; `"lost"` when there was too much of it) and `path`. A
    /// file that is moved in or away is created or removed; one that was replaced, as `fs::write` does, is created. It ends
    /// when the folder is gone.
    ///
    /// # Errors
    /// `NotFound`; `IoError` with the path and what the system says. The loop throws `Cancelled` and `Interrupted`.
    ///
    /// ```rhai
    /// let top = fs::temp_dir();
    /// let changes = fs::watch(top);
    /// fs::write(path::join(top, "x"), "new");
    /// for change in changes { if path::name(change.path) == "x" { assert(change.kind == "created"); break; } }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn watch(ctx: NativeCallContext, path: ImmutableString) -> Outcome<Stream> {
        watched(&ctx, &path, Map::new())
    }

    /// The same; with the option `timeout`, the loop throws `TimeoutError` when nothing happens for so long.
    ///
    /// # Errors
    /// As `fs::watch(path)`; `TimeoutError`; `ValueError` for an unknown option.
    ///
    /// ```rhai
    /// try {
    ///     for change in fs::watch(fs::temp_dir(), #{timeout: 0.05}) { }
    /// } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "watch", return_raw)]
    pub fn watch_opts(ctx: NativeCallContext, path: ImmutableString, options: Map) -> Outcome<Stream> {
        watched(&ctx, &path, options)
    }
}

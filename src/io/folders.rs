//! Folders, and files as their entries.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, FileType as NodeType, Mode, mknodat};

use super::fault::FileFault;
use super::whole::copy;
use crate::kernel::door;

/// A name as text.
fn name_of(folder: &Path, name: &std::ffi::OsStr) -> Result<String, FileFault> {
    name.to_str().map(str::to_string).ok_or_else(|| {
        let (folder, name) = (folder.display().to_string(), name.display());
        FileFault::Invalid(format!("a name in {folder:?} is not valid UTF-8: {name}"))
    })
}

/// One entry of a folder.
pub struct Entry {
    /// Its name.
    pub name: String,
    /// It is a folder; a link to one is none.
    pub is_folder: bool,
    /// It is a folder, or a link to one.
    pub leads_to_folder: bool,
}

/// The entries of a folder, sorted by name.
///
/// # Errors
/// [`FileFault`].
pub fn entries(folder: &Path) -> Result<Vec<Entry>, FileFault> {
    door::enter()?;
    let failed = |error: io::Error| FileFault::at("list", folder, error);
    // What is meant by nothing is the folder we are in, for `read_dir` as for nobody else.
    let at = if folder.as_os_str().is_empty() {
        return Err(failed(io::Error::from_raw_os_error(libc::ENOENT)));
    } else {
        folder
    };
    let mut entries = Vec::new();
    for (count, entry) in fs::read_dir(at).map_err(failed)?.enumerate() {
        if count % 1000 == 999 {
            door::enter()?;
        }
        let entry = entry.map_err(failed)?;
        let name = name_of(folder, &entry.file_name())?;
        let kind = entry.file_type().map_err(failed)?;
        let leads_to_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        entries.push(Entry { name, is_folder: kind.is_dir(), leads_to_folder });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// A folder on a walk.
pub struct Step {
    /// Its path.
    pub folder: PathBuf,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// A walk through a folder and all folders in it: each before those that it has. Links are not followed.
pub struct Walk {
    to_do: Vec<PathBuf>,
    is_first: bool,
}

impl Walk {
    /// From this folder on.
    pub fn of(folder: PathBuf) -> Walk {
        Walk { to_do: vec![folder], is_first: true }
    }

    /// The next folder.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn step(&mut self) -> Result<Option<Step>, FileFault> {
        while let Some(folder) = self.to_do.pop() {
            let entries = match entries(&folder) {
                // It has been removed since its name was read.
                Err(fault) if fault.is_missing() && !self.is_first => continue,
                entries => entries?,
            };
            self.is_first = false;
            let inner = entries.iter().rev().filter(|entry| entry.is_folder);
            self.to_do.extend(inner.map(|entry| folder.join(&entry.name)));
            return Ok(Some(Step { folder, entries }));
        }
        Ok(None)
    }
}

/// Makes a folder; with `parents` those above it, too, and it may be there already.
///
/// # Errors
/// [`FileFault`].
pub fn make(folder: &Path, parents: bool) -> Result<(), FileFault> {
    door::enter()?;
    DirBuilder::new()
        .recursive(parents)
        .mode(0o777)
        .create(folder)
        .map_err(|error| FileFault::at("make the folder", folder, error))
}

/// Makes a FIFO.
///
/// # Errors
/// [`FileFault`].
pub fn make_fifo(path: &Path) -> Result<(), FileFault> {
    door::enter()?;
    mknodat(CWD, path, NodeType::Fifo, Mode::from_raw_mode(0o666), 0)
        .map_err(|error| FileFault::at("make the FIFO", path, error))
}

/// Where something goes that is copied or moved to `to`: into it, if it is a folder.
fn destination(from: &Path, to: &Path) -> PathBuf {
    match from.file_name() {
        Some(name) if to.is_dir() => to.join(name),
        _ => to.into(),
    }
}

/// Copies a file, or with `recursive` a folder with all that is in it; into `to`, if that is a folder. Where the copy is.
///
/// # Errors
/// [`FileFault`].
pub fn copy_to(from: &Path, to: &Path, recursive: bool) -> Result<PathBuf, FileFault> {
    let to = destination(from, to);
    let data = fs::metadata(from).map_err(|error| FileFault::at("copy", from, error))?;
    match data.is_dir() {
        true if recursive => {
            must_not_contain(from, &to)?;
            copy_folder(from, &to)?;
        }
        true => {
            let shown = from.display().to_string();
            return Err(FileFault::Invalid(format!("{shown:?} is a folder: copy it with #{{recursive: true}}")));
        }
        false => copy(from, &to)?,
    }
    Ok(to)
}

fn must_not_contain(from: &Path, to: &Path) -> Result<(), FileFault> {
    let full = |path: &Path| path.canonicalize().ok();
    let above = to.ancestors().skip(1).map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let above = above.filter_map(full).next();
    if full(from).is_some_and(|from| above.is_some_and(|to| to.starts_with(from))) {
        let (from, to) = (from.display().to_string(), to.display().to_string());
        return Err(FileFault::Invalid(format!("{to:?} lies within {from:?}")));
    }
    Ok(())
}

/// Links are copied as links.
fn copy_folder(from: &Path, to: &Path) -> Result<(), FileFault> {
    make(to, true)?;
    for entry in entries(from)? {
        let (inner, copied) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_folder {
            copy_folder(&inner, &copied)?;
        } else if let Ok(target) = fs::read_link(&inner) {
            std::os::unix::fs::symlink(target, &copied)
                .map_err(|error| FileFault::at("make the link", &copied, error))?;
        } else {
            copy(&inner, &copied)?;
        }
    }
    let permissions = fs::metadata(from).map_err(|error| FileFault::at("copy", from, error))?.permissions();
    fs::set_permissions(to, permissions).map_err(|error| FileFault::at("set the permissions of", to, error))
}

/// Moves a file or folder, into `to` if that is a folder; over the border of a file system it is copied and then removed.
/// Where it is now.
///
/// # Errors
/// [`FileFault`].
pub fn move_to(from: &Path, to: &Path) -> Result<PathBuf, FileFault> {
    door::enter()?;
    let to = destination(from, to);
    match fs::rename(from, &to) {
        Ok(()) => Ok(to),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let data = fs::symlink_metadata(from).map_err(|error| FileFault::at("move", from, error))?;
            if data.is_dir() {
                copy_folder(from, &to)?;
            } else if let Ok(target) = fs::read_link(from) {
                std::os::unix::fs::symlink(target, &to).map_err(|error| FileFault::at("make the link", &to, error))?;
            } else {
                copy(from, &to)?;
            }
            remove(from, true)?;
            Ok(to)
        }
        Err(error) => {
            must_not_contain(from, &to)?;
            let (from, to) = (from.display().to_string(), to.display().to_string());
            Err(FileFault::System(format!("cannot move {from:?} to {to:?}"), error))
        }
    }
}

/// Removes a file, a link or an empty folder; with `recursive` a folder with all that is in it.
///
/// # Errors
/// [`FileFault`].
pub fn remove(path: &Path, recursive: bool) -> Result<(), FileFault> {
    door::enter()?;
    let failed = |error: io::Error| FileFault::at("remove", path, error);
    let shown = path.display().to_string();
    let is_folder = fs::symlink_metadata(path).map_err(failed)?.is_dir();
    if is_folder && path.canonicalize().is_ok_and(|path| path.parent().is_none()) {
        return Err(FileFault::Invalid(format!("{shown:?} is the root of all files and is not removed")));
    }
    match (is_folder, recursive) {
        (false, _) => fs::remove_file(path).map_err(failed),
        (true, true) => fs::remove_dir_all(path).map_err(failed),
        (true, false) => fs::remove_dir(path).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty => {
                FileFault::System(format!("cannot remove {shown:?}: use #{{recursive: true}}"), error)
            }
            _ => failed(error),
        }),
    }
}

/// What the system knows of a file.
pub struct Stat {
    /// What it is: `file`, `folder`, `link`, `fifo`, `socket` or `device`.
    pub kind: &'static str,
    /// How many bytes it has.
    pub size: u64,
    /// When it was changed last, in seconds since 1970.
    pub modified: f64,
    /// When it was read last.
    pub accessed: f64,
    /// The permissions, as `0o644`.
    pub mode: u32,
    /// The number of its owner.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// The number of names it has.
    pub links: u64,
    /// Its number in its file system.
    pub inode: u64,
}

/// What the system knows of a file: of what a link leads to, or of the link itself.
///
/// # Errors
/// [`FileFault`].
pub fn stat(path: &Path, follow: bool) -> Result<Stat, FileFault> {
    door::enter()?;
    let data = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let data = data.map_err(|error| FileFault::at("look at", path, error))?;
    let kind = data.file_type();
    let kind = match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "folder",
        () if kind.is_symlink() => "link",
        () if kind.is_fifo() => "fifo",
        () if kind.is_socket() => "socket",
        () => "device",
    };
    let seconds = |time: io::Result<std::time::SystemTime>| match time.map(|time| time.duration_since(UNIX_EPOCH)) {
        Ok(Ok(after)) => after.as_secs_f64(),
        Ok(Err(before)) => -before.duration().as_secs_f64(),
        Err(_) => 0.0,
    };
    Ok(Stat {
        kind,
        size: data.len(),
        modified: seconds(data.modified()),
        accessed: seconds(data.accessed()),
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
        links: data.nlink(),
        inode: data.ino(),
    })
}

//! Whole files at once.
//!
//! What is written takes the place of the old file in one step: it is first written under another name in the same folder.
//! So whoever reads it meanwhile, and whoever finds it after a crash, has all of the old or all of the new.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::FileFault;
use super::file::{self, File, Wanted};
use super::opening::Mode;
use super::temporary::{Leftover, random_name};
use crate::kernel::{ObjectCore, door};

/// How much is written at a time: after each piece a task hears whether it is to stop.
const PIECE: usize = 8 * 1024 * 1024;

/// How many links are followed, as the system does.
const MOST_LINKS: usize = 40;

/// All bytes of a file.
///
/// # Errors
/// [`FileFault`].
pub fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    let file = File::open(path, Mode::READ).map_err(|fault| reading(path, fault))?;
    let bytes = file.read(Wanted::All);
    file.close();
    bytes
}

fn reading(path: &Path, fault: FileFault) -> FileFault {
    match fault {
        FileFault::System(_, error) => FileFault::at("read", path, error),
        fault => fault,
    }
}

/// All text of a file.
///
/// # Errors
/// [`FileFault`].
pub fn read_text(path: &Path) -> Result<String, FileFault> {
    String::from_utf8(read(path)?)
        .map_err(|error| FileFault::NotText(path.display().to_string(), error.utf8_error().valid_up_to() as u64))
}

/// Puts `bytes` in the place of a file, or makes it. A device or a FIFO is written to. With `sync`, the disk has it when
/// this is done.
///
/// # Errors
/// [`FileFault`]: the old file is as it was then.
pub fn write(path: &Path, bytes: &[u8], sync: bool) -> Result<(), FileFault> {
    door::enter()?;
    if is_of_the_system(path) || fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
        // What `/dev/stdout` leads to may be a file that others write to, too.
        let mode = Mode { reads: false, writes: true, appends: true, ..Mode::READ };
        let file = File::open(path, mode)?;
        let written = file.write(bytes);
        file.close();
        return written;
    }
    replace(path, None, sync, |file| {
        for piece in bytes.chunks(PIECE) {
            door::enter()?;
            file.write_all(piece).map_err(|error| FileFault::at("write", path, error))?;
        }
        Ok(())
    })
}

/// True where the files are none that could be replaced: they stand for something else.
fn is_of_the_system(path: &Path) -> bool {
    ["/dev", "/proc", "/sys"].iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/dev/shm")
}

/// Adds `bytes` to the end of a file, in one step as far as the system does so; makes it when it is not there.
///
/// # Errors
/// [`FileFault`].
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
    let mode = Mode { reads: false, writes: true, appends: true, creates: true, ..Mode::READ };
    let file = File::open(path, mode)?;
    let written = file.write(bytes);
    file.close();
    written
}

/// Copies a plain file with its permissions. The copy is there when it is whole.
///
/// # Errors
/// [`FileFault`].
pub fn copy(from: &Path, to: &Path) -> Result<(), FileFault> {
    door::enter()?;
    let failed = |error: io::Error| FileFault::at("copy", from, error);
    // Without waiting, should it be a FIFO.
    let mut options = OpenOptions::new();
    let source = options.read(true).custom_flags(libc::O_NONBLOCK).open(from).map_err(failed)?;
    let data = source.metadata().map_err(failed)?;
    if data.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !data.is_file() {
        return Err(FileFault::Invalid(format!(
            "{:?} is no plain file and cannot be copied",
            from.display().to_string()
        )));
    }
    let same = |there: fs::Metadata| there.dev() == data.dev() && there.ino() == data.ino();
    if fs::metadata(to).is_ok_and(same) {
        let (from, to) = (from.display().to_string(), to.display().to_string());
        return Err(FileFault::Invalid(format!("{from:?} and {to:?} are the same file")));
    }
    replace(to, Some(data.permissions()), false, |file| {
        loop {
            door::enter()?;
            // The system copies by itself where it can.
            let copied = io::copy(&mut (&source).take(PIECE as u64), file);
            match copied {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    let (from, to) = (from.display().to_string(), to.display().to_string());
                    return Err(FileFault::System(format!("cannot copy {from:?} to {to:?}"), error));
                }
            }
        }
    })
}

/// Makes a file anew under another name and puts it in the place of the old one.
fn replace(
    path: &Path,
    permissions: Option<Permissions>,
    sync: bool,
    fill: impl FnOnce(&mut fs::File) -> Result<(), FileFault>,
) -> Result<(), FileFault> {
    let failed = |error: io::Error| FileFault::at("write", path, error);
    if path.as_os_str().is_empty() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(failed(io::Error::from_raw_os_error(libc::ENOENT)));
    }
    // From the root, so that it is the same place until the end, also when another task goes elsewhere meanwhile.
    let target = behind_links(path).and_then(|target| std::path::absolute(&target)).map_err(failed)?;
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = permissions.or_else(|| old.as_ref().map(fs::Metadata::permissions));
    // Until it has the permissions that it is to have, nobody else may read it.
    let mode = if wanted.is_some() { 0o600 } else { 0o666 };
    let (mut file, leftover) = beside(folder, mode).map_err(|error| {
        let path = path.display().to_string();
        FileFault::System(format!("cannot write {path:?} by way of a new file beside it"), error)
    })?;
    fill(&mut file)?;
    if let Some(wanted) = wanted {
        file.set_permissions(Permissions::from_mode(wanted.mode() & 0o7777)).map_err(failed)?;
    }
    if let Some(old) = old {
        // It stays whose it was, where that is in our power.
        let _not_ours = fchown(&file, Some(old.uid()), Some(old.gid()));
    }
    if sync {
        let core = ObjectCore::new("File");
        core.set_name(&path.display().to_string());
        let descriptor = Arc::new(file.try_clone().map_err(failed)?.into());
        file::sync(&core, descriptor, path)?;
    }
    fs::rename(leftover.path(), &target).map_err(failed)?;
    leftover.forget();
    if sync {
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// A new file in a folder. It is removed unless somebody forgets that it is to be.
fn beside(folder: &Path, mode: u32) -> io::Result<(fs::File, Leftover)> {
    loop {
        let path = folder.join(format!(".orch-{}", random_name()));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Ok(file) => return Ok((file, Leftover::file(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The file that a path leads to over symbolic links, there or not.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

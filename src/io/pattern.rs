//! Paths by pattern, as a shell finds them.
//!
//! The crate for patterns matches the parts; the walk is done here, since the crate's own stops at names that are no text and
//! knows no names that begin with a dot once it leaves them out.

use std::collections::BTreeSet;
use std::path::Path;

use glob::Pattern;

use super::fault::FileFault;
use super::folders::{Entry, entries};

/// A part of a pattern, between slashes.
enum Part {
    /// A name as it is.
    Name(String),
    /// A name that fits.
    Fitting(Pattern),
    /// Any folders, none included.
    Folders,
}

impl Part {
    fn read(text: &str, whole: &str) -> Result<Part, FileFault> {
        if text == "**" {
            return Ok(Part::Folders);
        }
        let pattern = Pattern::new(text)
            .map_err(|error| FileFault::Invalid(format!("{whole:?} is no pattern: {} in {text:?}", error.msg)))?;
        Ok(if text.contains(['*', '?', '[']) { Part::Fitting(pattern) } else { Part::Name(text.into()) })
    }
}

/// The paths that a pattern fits, sorted: `*`, `?`, `[…]`, and `**` for any folders. Names that begin with a dot are
/// meant only where the pattern says so.
///
/// # Errors
/// [`FileFault`]: what is wrong with the pattern. Folders that cannot be read are left out.
pub fn paths(pattern: &str) -> Result<Vec<String>, FileFault> {
    let (begin, rest) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest.trim_start_matches('/')),
        None => ("", pattern),
    };
    let (rest, folders_only) = match rest.strip_suffix('/') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let parts = rest.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| Part::read(part, pattern)).collect::<Result<Vec<_>, _>>()?;
    let mut found = BTreeSet::new();
    if !parts.is_empty() {
        search(begin, &parts, folders_only, &mut found)?;
    } else if !begin.is_empty() {
        found.insert(begin.to_string());
    }
    Ok(found.into_iter().collect())
}

/// Goes on from the folder `at`, which is empty for where we are.
fn search(at: &str, parts: &[Part], folders_only: bool, found: &mut BTreeSet<String>) -> Result<(), FileFault> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(());
    };
    let inner = |name: &str| match at {
        "" => name.to_string(),
        at if at.ends_with('/') => format!("{at}{name}"),
        at => format!("{at}/{name}"),
    };
    match part {
        Part::Name(name) => {
            let path = inner(name);
            if Path::new(&path).symlink_metadata().is_ok() {
                let is_folder = Path::new(&path).is_dir();
                arrive(path, is_folder, rest, folders_only, found)?;
            }
        }
        Part::Fitting(pattern) => {
            let says_dot = pattern.as_str().starts_with('.');
            for entry in listed(at)? {
                if (says_dot || !entry.name.starts_with('.')) && pattern.matches(&entry.name) {
                    arrive(inner(&entry.name), entry.leads_to_folder, rest, folders_only, found)?;
                }
            }
        }
        Part::Folders => {
            // None of them, and then each with the same before it.
            search(at, rest, folders_only, found)?;
            for entry in listed(at)?.into_iter().filter(|entry| !entry.name.starts_with('.')) {
                if rest.is_empty() {
                    arrive(inner(&entry.name), entry.leads_to_folder, rest, folders_only, found)?;
                }
                if entry.is_folder {
                    search(&inner(&entry.name), parts, folders_only, found)?;
                }
            }
        }
    }
    Ok(())
}

/// One part fits: it is found, or the search goes on in it.
fn arrive(
    path: String,
    is_folder: bool,
    rest: &[Part],
    folders_only: bool,
    found: &mut BTreeSet<String>,
) -> Result<(), FileFault> {
    if !rest.is_empty() {
        return if is_folder { search(&path, rest, folders_only, found) } else { Ok(()) };
    }
    if !folders_only {
        found.insert(path);
    } else if is_folder {
        found.insert(path + "/");
    }
    Ok(())
}

fn listed(at: &str) -> Result<Vec<Entry>, FileFault> {
    match entries(Path::new(if at.is_empty() { "." } else { at })) {
        Err(FileFault::System(..)) => Ok(Vec::new()),
        entries => entries,
    }
}

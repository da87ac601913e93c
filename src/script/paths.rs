//! Paths as text: no function here asks the system for more than the current folder.

use std::path::{Component, Path, PathBuf};

/// The path without `.` and `..`, as far as that goes without looking at the disk.
pub fn normalized(path: &Path) -> PathBuf {
    let mut parts: Vec<Component> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(parts.pop()),
            (part, _) => parts.push(part),
        }
    }
    if parts.is_empty() { PathBuf::from(".") } else { parts.into_iter().collect() }
}

/// The way from the folder `base` to `path`; both are absolute and normalized.
pub fn relative(path: &Path, base: &Path) -> PathBuf {
    let (path, base): (Vec<Component>, Vec<Component>) = (path.components().collect(), base.components().collect());
    let shared = path.iter().zip(&base).take_while(|(a, b)| a == b).count();
    let up = base[shared..].iter().map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path[shared..].iter().copied()).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_pythons() {
        let cases = [
            ("/a/./b//c", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/..", "/"),
            ("a/..", "."),
            ("../a", "../a"),
            ("../../a/..", "../.."),
            ("", "."),
            ("/", "/"),
        ];
        for (path, wanted) in cases {
            assert_eq!(normalized(Path::new(path)), Path::new(wanted), "{path}");
        }
    }

    #[test]
    fn ways_lead_from_one_to_the_other() {
        for (path, base, wanted) in [
            ("/a/b", "/a", "b"),
            ("/a", "/a/b/c", "../.."),
            ("/a", "/a", "."),
            ("/x/y", "/a/b", "../../x/y"),
            ("/", "/a", ".."),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(base)), Path::new(wanted), "{path} from {base}");
        }
    }
}

//! Files that hold what the program is to say. With ORCH_UPDATE=1 in the environment they are rewritten.

use std::fs;

/// Compares `text` with the file `tests/golden/NAME`; what differs goes into `wrong`.
pub fn compare(name: &str, text: &str, wrong: &mut Vec<String>) {
    compare_file(&format!("tests/golden/{name}"), text, wrong);
}

/// Compares `text` with a file of the package.
pub fn compare_file(path: &str, text: &str, wrong: &mut Vec<String>) {
    let file = super::top().join(path);
    if std::env::var_os("ORCH_UPDATE").is_some_and(|v| v == "1") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        return;
    }
    match fs::read_to_string(&file) {
        Ok(kept) if kept == text => {}
        Ok(kept) => wrong.push(format!("=== {path} differs\n{}", difference(&kept, text))),
        Err(error) => wrong.push(format!("=== {path}: {error}; ORCH_UPDATE=1 writes it:\n{text}")),
    }
}

/// Fails when anything is wrong, showing all of it.
#[track_caller]
pub fn all_right(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong (ORCH_UPDATE=1 rewrites the files):\n{}", wrong.len(), wrong.join("\n"));
}

/// From the first line that differs to the last.
fn difference(kept: &str, now: &str) -> String {
    let (kept, now): (Vec<&str>, Vec<&str>) = (kept.lines().collect(), now.lines().collect());
    let same = kept.iter().zip(&now).take_while(|(a, b)| a == b).count();
    let rest = kept.len().min(now.len()) - same;
    let end = kept.iter().rev().zip(now.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str], sign: &str| -> String {
        lines[same..lines.len() - end].iter().map(|l| format!("{sign} {l}\n")).collect()
    };
    format!("from line {}:\n{}{}", same + 1, part(&kept, "-"), part(&now, "+"))
}

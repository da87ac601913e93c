//! `orch doc`.

use std::io::Write;

use super::args::DocOptions;
use crate::script::reference;

/// Shows the reference or one entry, or writes definitions.
pub fn show(options: &DocOptions) -> i32 {
    if let Some(folder) = &options.definitions {
        if let Err(error) = reference::write_definitions(folder) {
            eprintln!("error: cannot write definitions to {}: {error}", folder.display());
            return 1;
        }
        return 0;
    }
    let Some(word) = &options.name else {
        return write_out(&reference::markdown());
    };
    let found = reference::find(word.trim_end_matches("()"));
    if found.is_empty() {
        let hint = reference::nearest(word).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        eprintln!("error: there is nothing called {word:?}{hint}");
        return 1;
    }
    let pages: Vec<String> = found.iter().map(|entry| reference::one(entry).trim().to_string()).collect();
    write_out(&format!("{}\n", pages.join("\n\n")))
}

/// A reader that has seen enough and goes away is no error.
pub fn write_out(text: &str) -> i32 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write: {error}");
            1
        }
        _ => 0,
    }
}

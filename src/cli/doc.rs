//! `orch doc`.

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
        print!("{}", reference::markdown());
        return 0;
    };
    let found = reference::find(word.trim_end_matches("()"));
    if found.is_empty() {
        let hint = reference::nearest(word).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        eprintln!("error: there is nothing called {word:?}{hint}");
        return 1;
    }
    found.iter().for_each(|entry| println!("{}", reference::one(entry).trim()));
    0
}

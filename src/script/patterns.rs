//! Regular expressions, compiled once in each thread.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

/// How many are kept: scripts have few, unless they make them.
const KEPT: usize = 100;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// Calls `use_it` with the expression for `pattern`.
///
/// # Errors
/// What is wrong with the pattern, in one line.
pub fn with_pattern<R>(pattern: &str, use_it: impl FnOnce(&Regex) -> R) -> Result<R, String> {
    // Taken by reference count: what is done with it may call a script, which may ask for another.
    let known = COMPILED.with(|kept| kept.borrow().get(pattern).cloned());
    let regex = match known {
        Some(regex) => regex,
        None => {
            let regex = Regex::new(pattern).map_err(|error| reason(&error))?;
            COMPILED.with(|kept| {
                let mut kept = kept.borrow_mut();
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(pattern.to_string(), regex.clone());
            });
            regex
        }
    };
    Ok(use_it(&regex))
}

/// The crate shows the pattern with a mark below it; the last line says what is wrong.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it is too large: it would need more than {limit} bytes"),
        error => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_string()
        }
    }
}

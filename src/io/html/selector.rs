//! CSS selectors as a script gives them, and what is wrong with one in words that say more than the library's.

use scraper::Selector;
use scraper::error::SelectorErrorKind;

/// The most steps of one selector (`a > b c` has three). Fitting one to a page takes a piece of the stack for each.
const MOST_STEPS: usize = 1000;

/// Reads a selector.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn read(css: &str) -> Result<Selector, String> {
    if css.trim().is_empty() {
        return Err("it is empty".into());
    }
    if css.split(',').any(|one| steps(one) > MOST_STEPS) {
        return Err(format!("it has more than {MOST_STEPS} steps"));
    }
    Selector::parse(css).map_err(|error| words(&error).into())
}

/// How many steps it takes, or a few more: what stands in quotes or brackets counts too.
fn steps(css: &str) -> usize {
    css.split(|letter: char| letter.is_whitespace() || ">+~".contains(letter)).filter(|step| !step.is_empty()).count()
}

fn words(error: &SelectorErrorKind) -> &'static str {
    match error {
        SelectorErrorKind::EndOfLine => "it ends too early, or something in brackets does",
        SelectorErrorKind::TooManyNestedBlocks => "there are too many brackets within brackets",
        SelectorErrorKind::ExpectedColonOnPseudoElement | SelectorErrorKind::ExpectedIdentityOnPseudoElement => {
            NO_PSEUDO
        }
        // The library does not give out the names of these, only their text.
        SelectorErrorKind::UnexpectedSelectorParseError(kind) => match format!("{kind:?}").as_str() {
            "EmptySelector" => "there is nothing, or nothing that begins a selector, where one must begin",
            "DanglingCombinator" => "a selector must follow where it, or something in brackets, ends",
            "ClassNeedsIdent" => "the name of a class must follow a dot",
            "UnsupportedPseudoClassOrElement" => {
                "no pseudo-class or pseudo-element (:NAME, ::NAME) of that name is known"
            }
            "PseudoElementExpectedColon" | "PseudoElementExpectedIdent" | "NoIdentForPseudo" => NO_PSEUDO,
            "NoQualifiedNameInAttributeSelector"
            | "UnexpectedTokenInAttributeSelector"
            | "ExpectedBarInAttr"
            | "BadValueInAttr"
            | "InvalidQualNameInAttr" => {
                "in [] must stand the name of an attribute, or one, =, ~=, |=, ^=, $= or *=, and a value"
            }
            "ExpectedNamespace" => "it names a namespace (NAME|...), and none has a name here",
            "ExplicitNamespaceUnexpectedToken" => "the name of an element must follow |",
            "InvalidState" => "a pseudo-class stands where it may not, as :has() in :has()",
            _ => DOES_NOT_BELONG,
        },
        _ => DOES_NOT_BELONG,
    }
}

const DOES_NOT_BELONG: &str = "something in it does not belong where it stands";
const NO_PSEUDO: &str = "a name must follow a colon";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_selector_is_told_in_one_line() {
        for (css, said) in [
            ("", "empty"),
            (" \n", "empty"),
            ("p,", "where one must begin"),
            ("> p", "where one must begin"),
            ("1p", "where one must begin"),
            ("p:not()", "where one must begin"),
            ("p >", "must follow where"),
            ("p:has()", "must follow where"),
            ("p..a", "follow a dot"),
            ("p[", "ends too early"),
            ("p:", "ends too early"),
            ("p:nth-child()", "ends too early"),
            ("p:hover", "of that name"),
            ("p::before", "of that name"),
            ("p[1]", "in [] must stand"),
            ("p[a~]", "in [] must stand"),
            ("svg|p", "namespace"),
            ("p || q", "must follow |"),
            ("p:has(:has(a))", ":has() in :has()"),
            ("p]", "does not belong"),
            ("p:nth-child(x)", "does not belong"),
        ] {
            let told = read(css).unwrap_err();
            assert!(told.contains(said), "{css:?}: {told}");
            assert!(!told.contains('\n'), "{css:?}: {told}");
        }
        assert!(read(&format!("{}p{}", ":not(".repeat(5000), ")".repeat(5000))).unwrap_err().contains("brackets"));
    }

    /// Fitted to a page that has as many elements in a row, or within each other, it would go beyond the stack.
    #[test]
    fn the_steps_of_a_selector_are_bounded() {
        for step in ["b ", "b+", "b ~ ", "b\n>\t"] {
            assert!(read(&format!("{}b", step.repeat(MOST_STEPS - 1))).is_ok());
            assert!(read(&format!("i, {}b", step.repeat(MOST_STEPS))).unwrap_err().contains("1000 steps"));
        }
        assert!(read(&format!("{}b", "b, ".repeat(100_000))).is_ok());
    }
}

//! Pages: finding elements by CSS selectors, and where links lead. Pages that are not well formed are read as browsers do.

use scraper::{ElementRef, Html, Selector};
use url::Url;

/// One element of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its name, in small letters.
    pub name: String,
    /// Its attributes, in the order of their names.
    pub attributes: Vec<(String, String)>,
    /// The text in it and in all that is in it, with single spaces.
    pub text: String,
}

/// The elements of a page that a selector fits, in the order of the page.
///
/// # Errors
/// What is wrong with the selector.
pub fn select(page: &str, css: &str) -> Result<Vec<Element>, String> {
    let selector = Selector::parse(css).map_err(|error| error.to_string())?;
    let page = Html::parse_document(page);
    Ok(page.select(&selector).map(element).collect())
}

fn element(found: ElementRef) -> Element {
    let mut attributes: Vec<(String, String)> =
        found.value().attrs().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    attributes.sort_unstable();
    let mut text = String::new();
    for piece in found.text() {
        text.push_str(piece);
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Element { name: found.value().name().to_string(), attributes, text }
}

/// Where the links of a page lead (`a` and `area`): to which pages, each once, in the order of the page. `base` is where the
/// page lies, unless it says itself that its links begin elsewhere. Parts of pages (`#…`) are left out, and so is what
/// no HTTP leads to, such as addresses of mail.
///
/// # Errors
/// When `base` is no URL, what is wrong with it.
pub fn links(page: &str, base: &str) -> Result<Vec<String>, String> {
    let given = Url::parse(base.trim()).map_err(|error| error.to_string())?;
    let page = Html::parse_document(page);
    let own = elements(&page, "base[href]").into_iter().find_map(|it| given.join(it.attr("href")?.trim()).ok());
    let base = own.as_ref().unwrap_or(&given);
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for link in elements(&page, "a[href], area[href]") {
        let Some(Ok(mut to)) = link.attr("href").map(|href| base.join(href.trim())) else {
            continue;
        };
        to.set_fragment(None);
        if matches!(to.scheme(), "http" | "https") && seen.insert(to.to_string()) {
            found.push(to.into());
        }
    }
    Ok(found)
}

/// The elements that a selector of ours fits.
fn elements<'p>(page: &'p Html, css: &str) -> Vec<ElementRef<'p>> {
    let selector = Selector::parse(css).expect("invariant: it is well formed");
    page.select(&selector).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(page: &str, base: &str) -> Vec<String> {
        links(page, base).unwrap()
    }

    #[test]
    fn links_are_whole_each_once_and_only_to_pages() {
        let page = "<a href=b>1</a><a href='b#part'>2</a><a href='/ä?q=a b'>3</a><a href='mailto:x@y'>4</a>\
                    <a href='javascript:void(0)'>5</a><a name=x>6</a><area href=//other/ ><a href='http://[bad'>7</a><a href=''>8</a>";
        let base = "http://host/dir/page?x=1#top";
        let expected = ["http://host/dir/b", "http://host/%C3%A4?q=a%20b", "http://other/", "http://host/dir/page?x=1"];
        assert_eq!(of(page, base), expected);
        assert_eq!(of("<base href='/deep/'><a href=x>", base), ["http://host/deep/x"]);
        assert_eq!(of("<base href='http://[bad'><a href=x>", base), ["http://host/dir/x"]);
        assert!(of("", base).is_empty());
    }

    #[test]
    fn elements_come_in_order_with_their_text_also_from_a_bad_page() {
        let page = "<ul><li class='a b'>one <b>two</b>\n  three<li id=x>four</ul><p>&amp;&auml;&nosuch;</span";
        let found = select(page, "li, p").unwrap();
        let texts: Vec<&str> = found.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["one two three", "four", "&ä&nosuch;"]);
        assert_eq!(found[0].attributes, [("class".to_string(), "a b".to_string())]);
        assert!(select(page, "li[").is_err());
        assert!(select(page, "").is_err());
    }

    #[test]
    fn a_page_nested_deeply_is_read() {
        // More than the stack of a test would hold, were it gone down by calls. The parser's time grows with the square of it.
        let depth = std::env::var("ORCH_DEPTH").map_or(6_000, |number| number.parse().unwrap());
        let page = format!("{}x{}", "<div>".repeat(depth), "</div>".repeat(depth));
        assert_eq!(select(&page, "body > div").unwrap().len(), 1);
    }
}

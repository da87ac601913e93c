//! Pages: finding elements by CSS selectors, and where links lead. Pages that are not well formed are read as browsers do.

//!
//! A page is read, and looked through, beside the task that asked: both can take their time. Reading takes the square of
//! how deeply a page is nested, and so do some selectors. Nothing in the library can be told to stop, so a call that nobody
//! waits for any more is left to itself. Short pages are quicker done than handed over.

pub mod page;
pub mod selector;

use std::fmt;
use std::io;

use scraper::{Html, Selector};
use url::Url;

use self::page::Found;
use super::blocking;
use crate::kernel::offload::OffloadFault;
use crate::kernel::{ObjectCore, Stop};

/// What is no longer than this, page and selector together, is done by the task itself.
const SHORT: usize = 16 << 10;

/// The most text that goes to a script at once. In a page of a megabyte that is nested deeply, elements hold a hundred
/// thousand times as much, since each holds the text of those in it.
const MOST_TEXT: usize = 256 << 20;

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

/// Why a page gave nothing.
#[derive(Debug)]
pub enum HtmlFault {
    /// The wait was ended.
    Stopped(Stop),
    /// The system gives no thread.
    NoThread(io::Error),
    /// It makes no sense: why.
    Invalid(String),
}

impl fmt::Display for HtmlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HtmlFault::Stopped(_) => f.write_str("the wait was ended"),
            HtmlFault::NoThread(error) => write!(f, "cannot start a thread: {error}"),
            HtmlFault::Invalid(why) => f.write_str(why),
        }
    }
}

impl From<OffloadFault> for HtmlFault {
    fn from(fault: OffloadFault) -> Self {
        match fault {
            OffloadFault::Stop(stop) => HtmlFault::Stopped(stop),
            OffloadFault::NoThread(error) => HtmlFault::NoThread(error),
        }
    }
}

/// Text that can be taken along to another thread.
pub trait Text: AsRef<str> + Send + 'static {}

impl<T: AsRef<str> + Send + 'static> Text for T {}

/// The elements of a page that a selector fits, in the order of the page.
///
/// # Errors
/// What is wrong with the selector, or that it fits too much.
pub fn select(page: impl Text, css: impl Text) -> Result<Vec<Element>, HtmlFault> {
    let length = page.as_ref().len() + css.as_ref().len();
    beside("select", length, move || select_here(page.as_ref(), css.as_ref()))
}

/// Where the links of a page lead (`a` and `area`): to which pages, each once, in the order of the page. `base` is where the
/// page lies, unless it says itself that its links begin elsewhere. Parts of pages (`#…`) are left out, and so is what
/// no HTTP leads to, such as addresses of mail.
///
/// # Errors
/// When `base` is no URL, what is wrong with it.
pub fn links(page: impl Text, base: impl Text) -> Result<Vec<String>, HtmlFault> {
    beside("links", page.as_ref().len(), move || links_here(page.as_ref(), base.as_ref()))
}

/// Runs `work`, on something so long, where it holds nobody up.
fn beside<T: Send + 'static>(
    verb: &'static str,
    length: usize,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, HtmlFault> {
    let done = if length <= SHORT { work() } else { blocking::run(&ObjectCore::new("Page"), verb, None, work)? };
    done.map_err(HtmlFault::Invalid)
}

fn select_here(page: &str, css: &str) -> Result<Vec<Element>, String> {
    let selector = selector::read(css).map_err(|why| format!("{css:?} is no selector: {why}"))?;
    let page = Html::parse_document(page);
    let found = Found::look(&page, &selector);
    let length: usize = found.elements.iter().map(|(_, piece)| piece.len()).sum();
    if length > MOST_TEXT {
        let count = found.elements.len();
        return Err(format!("the texts of the {count} elements that {css:?} fits are longer than 256 MiB together"));
    }
    let element = |(it, piece): &(scraper::ElementRef, std::ops::Range<usize>)| {
        let mut attributes: Vec<(String, String)> =
            it.value().attrs().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        attributes.sort_unstable();
        Element { name: it.value().name().to_string(), attributes, text: found.text(piece).to_string() }
    };
    Ok(found.elements.iter().map(element).collect())
}

fn links_here(page: &str, base: &str) -> Result<Vec<String>, String> {
    let given = Url::parse(base.trim()).map_err(|error| format!("base {base:?} is no URL: {error}"))?;
    let page = Html::parse_document(page);
    let own = addresses(&page, "base[href]").into_iter().find_map(|href| given.join(href).ok());
    let base = own.as_ref().unwrap_or(&given);
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for href in addresses(&page, "a[href], area[href]") {
        let Ok(mut to) = base.join(href) else {
            continue;
        };
        to.set_fragment(None);
        if matches!(to.scheme(), "http" | "https") && seen.insert(to.to_string()) {
            found.push(to.into());
        }
    }
    Ok(found)
}

/// The addresses in the elements that a selector of ours fits.
fn addresses<'p>(page: &'p Html, css: &str) -> Vec<&'p str> {
    let selector = Selector::parse(css).expect("invariant: it is well formed");
    Found::look(page, &selector).elements.iter().filter_map(|(it, _)| it.attr("href")).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(page: &str, base: &str) -> Vec<String> {
        links_here(page, base).unwrap()
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
        let found = select_here(page, "li, p").unwrap();
        let texts: Vec<&str> = found.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["one two three", "four", "&ä&nosuch;"]);
        assert_eq!(found[0].attributes, [("class".to_string(), "a b".to_string())]);
        assert!(select_here(page, "li[").is_err());
        assert!(select_here(page, "").is_err());
    }

    #[test]
    fn a_page_nested_deeply_is_read() {
        // More than the stack of a test would hold, were it gone down by calls. The parser's time grows with the square of it.
        let depth = std::env::var("ORCH_DEPTH").map_or(6_000, |number| number.parse().unwrap());
        let page = format!("{}x{}", "<div>".repeat(depth), "</div>".repeat(depth));
        assert_eq!(select_here(&page, "body > div").unwrap().len(), 1);
    }

    /// Each text is noted once; what they are together is counted before it is put together.
    #[test]
    fn texts_within_texts_are_bounded_together() {
        let page = "<b>some text ".repeat(8_000);
        let told = select_here(&page, "b").unwrap_err();
        assert_eq!(told, "the texts of the 8000 elements that \"b\" fits are longer than 256 MiB together");
        assert_eq!(select_here(&page, "b:not(:has(b))").unwrap()[0].text, "some text");
    }
}

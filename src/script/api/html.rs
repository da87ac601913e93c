//! `html::`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::io::html::{self, Element, HtmlFault};
use crate::script::arguments::called;
use crate::script::throw::{IntoThrown, Outcome, Problem, Thrown, call};

impl IntoThrown for HtmlFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<std::time::Duration>) -> Thrown {
        let message = format!("{}(): {self}", called(ctx));
        let kind = match self {
            HtmlFault::Stopped(stop) => return stop.into_thrown(ctx, limit),
            HtmlFault::NoThread(_) => "ThreadError",
            HtmlFault::Invalid(_) => "ValueError",
        };
        Problem::new(ctx, kind, message).thrown()
    }
}

fn element(found: Element) -> Dynamic {
    let attributes: Map = found.attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Map::from([
        ("name".into(), found.name.into()),
        ("attrs".into(), attributes.into()),
        ("text".into(), found.text.into()),
    ])
    .into()
}

#[export_module]
pub mod functions {
    /// The elements of a page that a CSS selector fits, in the order of the page, each a map of `name`, `attrs` (a map) and
    /// `text` (that of the element and of all in it, with single spaces). A page that is not well formed is read as browsers
    /// do.
    ///
    /// # Errors
    /// `ValueError` when it is no selector, and when what it fits holds more than 256 MiB of text: each element has all that is
    /// in it, so elements within each other can have far more than the page. `Cancelled`, `Interrupted`: a long page, or one
    /// nested deeply, can take its time.
    ///
    /// ```rhai
    /// let page = "<h1>Fruit</h1><ul><li class=red>apple <b>pie</b><li>pear</ul>";
    /// assert(html::select(page, "li").map(|it| it.text) == ["apple pie", "pear"]);
    /// assert(html::select(page, "li.red")[0].attrs["class"] == "red");
    /// try { html::select(page, "li["); } catch (e) { assert(e.kind == "ValueError"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn select(ctx: NativeCallContext, text: ImmutableString, css: ImmutableString) -> Outcome<Array> {
        Ok(call(&ctx, || html::select(text, css))?.into_iter().map(element).collect())
    }

    /// The pages that the links of a page lead to: whole URLs, each once, in the order of the page. `base` is the URL of the page,
    /// from which its links begin unless it says otherwise (`<base href>`). Parts of pages (`#part`) are cut off, and what
    /// HTTP does not lead to (`mailto:`, `javascript:`) is left out.
    ///
    /// # Errors
    /// `ValueError` when `base` is no URL; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let page = "<a href='b.html#top'>b</a> <a href='/c'>c</a> <a href='b.html'>b</a> <a href='mailto:x@y.z'>mail</a>";
    /// assert(html::links(page, "http://localhost/docs/a.html") == ["http://localhost/docs/b.html", "http://localhost/c"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn links(ctx: NativeCallContext, text: ImmutableString, base: ImmutableString) -> Outcome<Array> {
        Ok(call(&ctx, || html::links(text, base))?.into_iter().map(Dynamic::from).collect())
    }
}

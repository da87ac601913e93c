//! A page that was read: which of its elements a selector fits, in the order of the page, and the text in each.
//!
//! The text of an element is that of all in it, so in a page nested deeply most of it belongs to thousands of elements.
//! It is put together once, in one walk; each element is then a piece of it.

use std::collections::HashMap;
use std::ops::Range;

use scraper::{ElementRef, Html, Node, Selector};

/// The elements that a selector fits, and the text that they are pieces of.
pub struct Found<'p> {
    /// Each with the place of its text.
    pub elements: Vec<(ElementRef<'p>, Range<usize>)>,
    text: String,
}

impl<'p> Found<'p> {
    /// Looks through the page.
    pub fn look(page: &'p Html, selector: &Selector) -> Found<'p> {
        // The page's own order is that in which its elements were made, which differs where they were nested badly.
        let mut fitting: HashMap<_, _> = page.select(selector).map(|it| (it.id(), usize::MAX)).collect();
        let mut elements = Vec::with_capacity(fitting.len());
        let mut text = Words::default();
        let mut node = page.tree.root();
        // By steps and not by calls: a page may be nested more deeply than a stack.
        loop {
            if let Node::Text(piece) = node.value() {
                text.push(piece);
            } else if let (Some(place), Some(element)) = (fitting.get_mut(&node.id()), ElementRef::wrap(node)) {
                *place = elements.len();
                elements.push((element, text.so_far.len()..0));
            }
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            loop {
                if let Some((_, piece)) = fitting.get(&node.id()).and_then(|place| elements.get_mut(*place)) {
                    piece.end = text.so_far.len();
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                match node.parent() {
                    Some(parent) => node = parent,
                    None => return Found { elements, text: text.so_far },
                }
            }
        }
    }

    /// The text of an element: words with single spaces between them.
    pub fn text(&self, piece: &Range<usize>) -> &str {
        self.text[piece.clone()].trim_start()
    }
}

/// Text with single spaces. A space comes with the word after it, so whatever ends here ends without one.
#[derive(Default)]
struct Words {
    so_far: String,
    space: bool,
}

impl Words {
    fn push(&mut self, piece: &str) {
        for letter in piece.chars() {
            if letter.is_whitespace() {
                self.space = true;
                continue;
            }
            if std::mem::take(&mut self.space) && !self.so_far.is_empty() {
                self.so_far.push(' ');
            }
            self.so_far.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(page: &str, css: &str) -> Vec<String> {
        let page = Html::parse_document(page);
        let found = Found::look(&page, &Selector::parse(css).unwrap());
        found.elements.iter().map(|(_, piece)| found.text(piece).to_string()).collect()
    }

    /// What it must be, put together for each element by itself.
    fn slowly(page: &str) -> Vec<String> {
        let page = Html::parse_document(page);
        let all = page.root_element().descendants().filter_map(ElementRef::wrap);
        all.map(|it| it.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn each_text_is_that_of_the_element_alone() {
        for page in [
            "",
            "  a<b> b </b>c <i> </i> d",
            "<p> one<b>two </b> three<p><p>\u{a0}x\u{a0}</p>",
            "x<b><i>y</b>z</i> w",
            "<table>a<tr>b<td> c </table> d",
            "<template> t </template><script> let x </script>",
        ] {
            assert_eq!(texts(page, "*"), slowly(page), "{page}");
        }
    }

    #[test]
    fn elements_come_in_the_order_of_the_page_where_they_are_nested_badly() {
        // What stands in a table but in no cell of it goes before the table.
        assert_eq!(texts("<table><tr><td><i>cell</i></td></tr><i>before</i></table>", "i"), ["before", "cell"]);
    }
}

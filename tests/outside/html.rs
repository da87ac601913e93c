//! `html::` with pages that nobody meant to write, and selectors that are none.

use std::io::{BufRead, BufReader};

use crate::whole::program::{Program, finish};
use crate::{signal, start};

/// A script in which `tell` prints what a call gives, or how it is refused, and `many` repeats a text.
fn script(before: &[&str], text: &str) -> Program {
    let functions = r#"
        fn tell(f) { try { print(f.call()); } catch (e) { print(`${e.kind}: ${e.message}`); } }
        fn many(n, text) { let all = ""; all.pad(n * text.len(), text); all }
    "#;
    Program::script_with(before, &format!("{functions}\n{text}"))
}

#[test]
fn what_is_no_selector_or_no_url_is_told_in_one_line() {
    let text = r#"
        for css in ["", " ", "p[", "p,", "p >", "p:nope", "p..a", "p[1]", "svg|p", "p]", "\n"] { tell(|| html::select("<p>a", css)); }
        tell(|| html::select("<p>a", many(1001, "p ")).len());
        tell(|| html::select("<p>a", many(5000, ":not(")).len());
        tell(|| html::select(1, "p"));
        tell(|| html::select("<p>a", ()));
        for base in ["", "page", "http://", "http://[bad", "\n"] { tell(|| html::links("<a href=x>", base)); }
        tell(|| html::links("<a href=x>", 1));
        tell(|| html::links(blob(2), "http://host/"));
    "#;
    let seen = script(&["run", "--sim"], text).run();
    let cut = |line: &str| line.replace(&"p ".repeat(1001), "P ").replace(&":not(".repeat(5000), "NOT");
    let lines: Vec<String> = seen.stdout.lines().map(cut).collect();
    let none = |css: &str, why: &str| format!("ValueError: html::select(): {css:?} is no selector: {why}");
    let no_url = |base: &str, why: &str| format!("ValueError: html::links(): base {base:?} is no URL: {why}");
    let wanted = [
        none("", "it is empty"),
        none(" ", "it is empty"),
        none("p[", "it ends too early, or something in brackets does"),
        none("p,", "there is nothing, or nothing that begins a selector, where one must begin"),
        none("p >", "a selector must follow where it, or something in brackets, ends"),
        none("p:nope", "no pseudo-class or pseudo-element (:NAME, ::NAME) of that name is known"),
        none("p..a", "the name of a class must follow a dot"),
        none("p[1]", "in [] must stand the name of an attribute, or one, =, ~=, |=, ^=, $= or *=, and a value"),
        none("svg|p", "it names a namespace (NAME|...), and none has a name here"),
        none("p]", "something in it does not belong where it stands"),
        none("\n", "it is empty"),
        none("P ", "it has more than 1000 steps"),
        none("NOT", "there are too many brackets within brackets"),
        "TypeError: html::select(): text must be a string, not an int".into(),
        "TypeError: html::select(): css must be a string, not ()".into(),
        no_url("", "relative URL without a base"),
        no_url("page", "relative URL without a base"),
        no_url("http://", "empty host"),
        no_url("http://[bad", "invalid IPv6 address"),
        no_url("\n", "relative URL without a base"),
        "TypeError: html::links(): base must be a string, not an int".into(),
        "TypeError: html::links(): text must be a string, not a blob".into(),
    ];
    assert_eq!(lines, wanted, "{}", seen.for_people());
    assert!(seen.status == 0 && seen.stderr.is_empty(), "{}", seen.for_people());
}

#[test]
fn pages_that_are_not_well_formed_give_what_is_in_them() {
    let text = r#"
        fn texts(page, css) { html::select(page, css).map(|it| it.text) }
        for page in ["", "no tags", "<", "<>", "</p>", "<p", "<!--", "<![CDATA[x]]>", "<p>\x00</p>", "&#0;&#x110000;&#xd800;&nosuch"] {
            print([page, texts(page, "body")]);
        }
        print(texts("<p>a<div>b</p>c", "p"));
        print(texts("<b>1<i>2</b>3</i>4", "i"));
        print(texts("<table><tr><td><u>cell</u></td></tr><u>before</u></table>", "u"));
        print(html::select("<p a=1 a=2 A=3 'b' =c d='e>f' g=\"h", "*").len());
        print(html::select("<p a=1 a=2 A=3 =c d='e>f'>", "p")[0].attrs);
        print(html::links("<a href><a href='  '><a href='\x00'><a href='//'><base href=':'><a href='x", "http://host/a/b"));
    "#;
    script(&["run", "--sim"], text).run().prints(PAGES);
}

const PAGES: &str = r##"["", [""]]
["no tags", ["no tags"]]
["<", ["<"]]
["<>", ["<>"]]
["</p>", [""]]
["<p", [""]]
["<!--", [""]]
["<![CDATA[x]]>", [""]]
["<p>\0</p>", [""]]
["&#0;&#x110000;&#xd800;&nosuch", ["���&nosuch"]]
["a", ""]
["2", "3"]
["before", "cell"]
3
#{"=c": "", "a": "1", "d": "e>f"}
["http://host/a/:", "http://host/a/%EF%BF%BD"]
"##;

/// Each of them holds the text of all those in it. Put together for each alone it would take minutes here.
#[test]
fn a_page_nested_deeply_is_gone_through_once() {
    let text = r#"
        let page = many(40000, "<b>") + "x";
        let found = html::select(page, "b");
        print([found.len(), found[0].text, found[39999].text, html::select(page, "i").len()]);
        print(html::links(page + "<a href=y>", "http://host/"));
        tell(|| html::select(many(8000, "<b>some text "), "b"));
    "#;
    script(&["run"], text).run().prints(
        "[40000, \"x\", \"x\", 0]\n[\"http://host/y\"]\n\
         ValueError: html::select(): the texts of the 8000 elements that \"b\" fits are longer than 256 MiB together\n",
    );
}

/// Reading such a page takes the square of its depth: here, minutes. Under simulated time no other task comes to its turn
/// meanwhile, but a signal does.
#[test]
fn who_waits_for_a_long_page_can_be_stopped() {
    let page = "let page = many(60000, \"<div>\");\n";
    let cancelled = r#"
        for f in [|| html::select(page, "p"), || html::links(page, "http://host/")] {
            let t = spawn_thread(f);
            sleep(0.1);
            t.cancel();
            try { t.join(); } catch (e) { print(e.kind); }
        }
    "#;
    let read = "print(\"reading\"); html::select(page, \"p\");";
    for (name, before, first, wanted) in [
        ("INT", &["run"][..], cancelled, &["Cancelled", "Cancelled", "reading"][..]),
        ("TERM", &["run", "--sim"], "", &["reading"]),
    ] {
        let program = script(before, &[page, first, read].concat());
        let mut child = start(&program);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in wanted {
            assert_eq!(lines.next().unwrap().unwrap(), *line);
        }
        signal(&child, name);
        let seen = finish(child, format!("html::select, {name}"));
        assert!(seen.stderr.contains(&format!("interrupted by {name}")), "{}", seen.for_people());
    }
}

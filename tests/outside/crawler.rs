//! `scripts/crawler.rhai` on a site of two thousand pages that has everything a site can have.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::server::{Asked, Reply, Server, page, serve};
use crate::sqlite::look;
use crate::whole::program::{Program, finish, orch};
use crate::{signal, start};

/// How many pages the site has.
const PAGES: usize = 2_000;

/// A page of the site, with links to others, and to whatever is odd.
fn plain(n: usize) -> Vec<u8> {
    let mut html = format!("<title>{n}</title><a href=/p/0>home</a><a href=/p/{n}#part>me</a>");
    for next in [2 * n + 1, 2 * n + 2, n / 2, (n * 7 + 3) % PAGES] {
        if next < PAGES {
            html.push_str(&format!("<p><a href='../p/./{next}'>{next}</a>"));
        }
    }
    if n % 50 == 10 {
        html.push_str(&format!("<a href=/moved/{n}>moved</a><a href=/broken/{n}>broken</a>"));
    }
    if n == 100 {
        let long = "x".repeat(3_000);
        html.push_str(
            "<a href='/reset'><a href=/cut><a href=/endless><a href=/silence><a href=/round><a href=/out><a href=/latin><a href=/image>\
             <a href='/ü/pä th?q=ä b&amp;c=d'><a href='//elsewhere.invalid/'><a href='http://[bad'><a href='mailto:a@b'><a href='javascript:x()'>",
        );
        html.push_str(&format!("<a href='/long/{long}'>"));
    }
    html.into_bytes()
}

fn answer(path: &str) -> Reply {
    let sent_to = |place: String| Reply::Page(301, format!("Location: {place}\r\n"), Vec::new());
    let (kind, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match kind {
        "" => page(plain(0)),
        "p" => page(plain(rest.parse().unwrap())),
        "moved" => sent_to(format!("/p/{rest}#there")),
        "broken" => Reply::Page(500, String::new(), b"sorry".to_vec()),
        "reset" => Reply::Reset,
        "cut" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
        "endless" => Reply::Endless,
        "silence" => Reply::Silence,
        "round" => sent_to("/round".into()),
        "out" => sent_to("http://elsewhere.invalid/".into()),
        "latin" => Reply::Page(
            200,
            "Content-Type: text/html; charset=ISO-8859-1\r\n".into(),
            b"<a href='/found/\xe4'>".to_vec(),
        ),
        "image" => Reply::Page(200, "Content-Type: image/png\r\n".into(), vec![0; 1000]),
        "%C3%BC" | "found" | "long" => page("odd"),
        _ => Reply::Page(404, String::new(), Vec::new()),
    }
}

/// The site, and how often each of its pages was asked for.
fn site() -> (Server, Arc<Mutex<BTreeMap<String, usize>>>) {
    let asked = Arc::new(Mutex::new(BTreeMap::new()));
    let count = asked.clone();
    let server = serve(move |it: &Asked| {
        let path = it.line.strip_prefix("GET ").unwrap();
        *count.lock().unwrap().entry(path.to_string()).or_insert(0) += 1;
        answer(path)
    });
    (server, asked)
}

fn crawler(url: &str, deep: &str) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/crawler.rhai");
    let options = ["--deep", deep, "--threads", "8", "--timeout", "3", "--dbfile", "pages.db"];
    orch(["run", script.to_str().unwrap()].into_iter().chain(options).chain([url])).in_its_folder()
}

#[test]
fn two_thousand_pages_are_fetched_once_each_and_the_numbers_add_up() {
    let (server, asked) = site();
    let program = crawler(&server.url, "30");
    let path = program.own_folder().join("pages.db");
    let seen = finish(start(&program), "crawler".into());
    // Beside the pages: the home page by its other name, four that are odd, one in Latin-1.
    let (saved, moved) = (PAGES + 1 + 3 + 1, PAGES / 50);
    // Five hundred, and those that are reset, cut, endless, silent.
    let failed = moved + 4;
    // Redirects, those of `round` and `out`, and the image.
    let skipped = moved + 3;
    let all = saved + failed + skipped;
    let wanted = format!("{all} pages: {saved} saved, {failed} failed, {skipped} left out (");
    assert!(seen.status == 0 && seen.stdout.starts_with(&wanted), "wanted {wanted:?}\n{}", seen.for_people());
    let count = |sql: &str| usize::try_from(look::<i64>(&path, sql)).unwrap();
    assert_eq!(count("SELECT count(*) FROM pages WHERE error IS NULL AND html <> ''"), saved);
    assert_eq!(count("SELECT count(DISTINCT url) FROM pages"), saved + failed);
    assert_eq!(count("SELECT count(*) FROM pages WHERE error IS NOT NULL AND html IS NULL"), failed);
    assert_eq!(count("SELECT count(*) FROM pages WHERE url LIKE '%/found/%C3%A4'"), 1);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), all);
    // What breaks before it has begun may have been asked for once more.
    let twice: Vec<_> = asked.iter().filter(|(path, times)| **times > 1 && *path != "/reset").collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn however_it_is_ended_the_database_is_whole() {
    let (server, _) = site();
    let mut before = 0;
    let program = crawler(&server.url, "30");
    let path = program.own_folder().join("pages.db");
    for round in 0..6_u64 {
        let child = start(&program);
        thread::sleep(Duration::from_millis(250 + round * 61));
        let name = if round % 2 == 0 { "KILL" } else { "INT" };
        signal(&child, name);
        let seen = finish(child, "crawler".into());
        if !path.exists() {
            continue;
        }
        let pages: i64 = look(&path, "SELECT count(*) FROM sqlite_master WHERE name = 'pages'");
        let count = if pages == 0 { 0 } else { look::<i64>(&path, "SELECT count(*) FROM pages") };
        assert!(count >= before, "{count} after {before}");
        before = count;
        if name == "INT" && seen.stdout.starts_with("stopped: ") {
            assert_eq!(seen.status, 130, "{}", seen.for_people());
            // All that was fetched is saved; the run before may have saved more.
            let number = |word: &str| {
                let (text, _) = seen.stdout.split_once(word).unwrap();
                text.rsplit(' ').next().unwrap().parse::<i64>().unwrap()
            };
            assert!(number(" saved") + number(" failed") <= count, "{count}: {}", seen.for_people());
            assert_eq!(number(" to save"), 0, "{}", seen.for_people());
        }
    }
    assert!(before > 0, "nothing was ever saved");
}

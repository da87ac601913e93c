//! `http::` against a server that answers in every way.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::server::{Asked, Reply, listen, page, serve};
use crate::whole::program::{Program, finish};
use crate::{signal, start};

/// Answers by path.
fn answer(asked: &Asked) -> Reply {
    let typed = |kind: &str, body: &[u8]| Reply::Page(200, format!("Content-Type: {kind}\r\n"), body.to_vec());
    let sent_to = |place: &str| Reply::Page(302, format!("Location: {place}\r\n"), Vec::new());
    let (method, path) = asked.line.split_once(' ').unwrap();
    match path {
        "/latin" => typed("text/plain; charset=ISO-8859-1", b"caf\xe9"),
        "/meta" => typed("text/html", b"<meta charset=shift_jis>\x93\xfa\x96{"),
        "/bytes" => typed("application/octet-stream", &[0, 255, 128]),
        "/json" => typed("application/json", br#"{"name": "orch", "sizes": [1, 2.5]}"#),
        "/cookies" => {
            Reply::Page(200, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Two: 1\r\nX-Two: 2\r\n".into(), Vec::new())
        }
        "/from" => sent_to("/%C3%A4/../to?x=1#part"),
        "/to?x=1" | "/%C3%A4%20b?q=%C3%BC" => page(format!("{method} {path}")),
        "/odd" => sent_to("/ä b?q=ü"),
        "/away" => sent_to("ftp://elsewhere/"),
        "/nonsense" => sent_to("http://[bad"),
        "/round" => sent_to("/round"),
        "/keep" => Reply::Page(307, "Location: /echo\r\n".into(), Vec::new()),
        "/echo" => {
            let mut body =
                format!("{method}|{}|", asked.headers.lines().find(|l| l.starts_with("content-type")).unwrap_or("-"));
            let own = asked.headers.lines().find(|l| l.starts_with("x-mine")).unwrap_or("-");
            body.push_str(own);
            page([body.as_bytes(), b"|", &asked.body].concat())
        }
        "/403" => {
            Reply::Page(403, "Content-Type: text/plain; charset=latin1\r\nX-Why: no\r\n".into(), b"m\xfcde".to_vec())
        }
        "/cut" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
        "/garbage" => Reply::Raw(b"what do you want?\r\n\r\n".to_vec()),
        "/empty" => Reply::Raw(Vec::new()),
        "/huge" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx".to_vec()),
        "/endless" => Reply::Endless,
        "/silence" => Reply::Silence,
        "/reset" => Reply::Reset,
        "/leave" => Reply::Leave(b"bye".to_vec()),
        _ => Reply::Page(404, String::new(), b"no such page".to_vec()),
    }
}

/// A script that knows where the server is, and says of a call what it gives or throws.
fn script(url: &str, text: &str) -> Program {
    let tell = r#"fn tell(f) { try { print(f.call()); } catch (e) { print(`${e.kind}: ${e.message}`); } }"#;
    Program::script(&format!("let at = {url:?};\n{tell}\n{text}"))
}

#[test]
fn pages_come_with_their_encodings_headers_and_redirects() {
    let server = serve(answer);
    let text = r#"
        print(http::get(`${at}/latin`).text());
        print(http::get(`${at}/meta`).text());
        print(http::get(`${at}/bytes`).bytes());
        print(http::get(`${at}/json`).json().sizes);
        let r = http::get(`${at}/cookies`);
        print([r.headers["set-cookie"], r.headers["x-two"], r.status]);
        let r = http::get(`${at}/from`);
        print([r.text(), r.url.sub_string(at.len())]);
        print(http::get(`${at}/odd`).text());
        print(http::get(`${at}/ä b?q=ü#part`).url.sub_string(at.len()));
        let r = http::get(`${at}/from`, #{redirects: 0});
        print([r.status, r.headers.location]);
        print(http::post(`${at}/echo`, "täxt").text());
        print(http::post(`${at}/echo`, #{a: [1, 2.5, ()]}).text());
        print(http::post(`${at}/echo`, blob(2, 97), #{headers: #{"Content-Type": "x/y", "X-Mine": 7}}).text());
        print(http::post(`${at}/echo`, ()).text());
        print(http::post(`${at}/keep`, "again").text());
        print(http::post(`${at}/from`, "once").text());
        print(http::get(`${at}/403`, #{unchecked: true}).text());
        try { http::get(`${at}/403`); } catch (e) { print([e.kind, e.status, e.body, e.headers["x-why"], e.url.sub_string(at.len())]); }
        http::get(`${at}/bytes`, #{to_file: "page", progress: "fetching"});
        print(sh("wc -c < page; ls | wc -l").read());
        tell(|| http::get(`${at}/bytes`, #{to_file: "page"}).text());
    "#;
    let url = &server.url;
    script(url, text).run().prints(&format!(
        "café\n<meta charset=shift_jis>日本\n[00ff80]\n[1, 2.5]\n[\"a=1\\nb=2\", \"1, 2\", 200]\n\
         [\"GET /to?x=1\", \"/to?x=1\"]\nGET /%C3%A4%20b?q=%C3%BC\n/%C3%A4%20b?q=%C3%BC\n[302, \"/%C3%A4/../to?x=1#part\"]\n\
         POST|content-type: text/plain; charset=utf-8|-|täxt\nPOST|content-type: application/json|-|{{\"a\":[1,2.5,null]}}\n\
         POST|content-type: x/y|x-mine: 7|aa\nPOST|-|-|\nPOST|content-type: text/plain; charset=utf-8|-|again\nGET /to?x=1\n\
         müde\n[\"HttpError\", 403, \"müde\", \"no\", \"/403\"]\n3\n2\n\
         ValueError: text(): what came from {url}/bytes is in page\n"
    ));
}

#[test]
fn what_goes_wrong_is_told_with_the_url() {
    let server = serve(answer);
    let url = &server.url;
    let text = r#"
        tell(|| http::get(`${at}/403`));
        tell(|| http::get(`${at}/cut`));
        tell(|| http::get(`${at}/empty`));
        tell(|| http::get(`${at}/reset`));
        tell(|| http::get(`${at}/huge`));
        tell(|| http::get(`${at}/endless`, #{max_size: 100000}));
        tell(|| http::get(`${at}/endless`, #{max_size: 100000, to_file: "page"}));
        tell(|| http::get(`${at}/endless`, #{to_file: "/dev/full"}));
        tell(|| http::get(`${at}/json`, #{to_file: "missing/page"}));
        tell(|| http::get(`${at}/json`, #{to_file: "."}));
        tell(|| http::get(`${at}/silence`, #{timeout: 0.2}));
        tell(|| http::get(`${at}/round`));
        tell(|| http::get(`${at}/away`));
        tell(|| http::get(`${at}/nonsense`));
        tell(|| http::get(`${at}/latin`).json());
        print(sh("ls").read());
        tell(|| http::get("localhost/page"));
        tell(|| http::get("ftp://localhost/"));
        tell(|| http::get(at, #{timout: 1}));
        tell(|| http::get(at, #{timeout: -1}));
        tell(|| http::get(at, #{max_size: "x"}));
        tell(|| http::get(at, #{headers: #{"a b": "c"}}));
        tell(|| http::get(at, #{headers: #{"a": "b\r\nc: d"}}));
        tell(|| http::get(at, #{headers: 7}));
        tell(|| http::post(at, 7));
        tell(|| http::post(at, [Lock()]));
        tell(|| mock_http("*", "x"));
    "#;
    let expected = format!(
        "HttpError: http::get(): {url}/403: 403 Forbidden\n\
         IoError: http::get(): {url}/cut: Peer disconnected (after 4 bytes)\n\
         IoError: http::get(): {url}/empty: Peer disconnected\n\
         IoError: http::get(): {url}/reset: Connection reset by peer (os error 104)\n\
         IoError: http::get(): {url}/huge: the answer has more than 268435456 bytes (option max_size)\n\
         IoError: http::get(): {url}/endless: the answer has more than 100000 bytes (option max_size)\n\
         IoError: http::get(): {url}/endless: the answer has more than 100000 bytes (option max_size)\n\
         IoError: http::get(): cannot write /dev/full: No space left on device (os error 28)\n\
         NotFound: http::get(): cannot write missing/page: No such file or directory (os error 2)\n\
         IoError: http::get(): cannot write .: is a directory\n\
         TimeoutError: http::get(): {url}/silence: timed out after 0.2 s\n\
         IoError: http::get(): {url}/round: it was redirected more than 10 times, last to {url}/round\n\
         IoError: http::get(): {url}/away: it is redirected to \"ftp://elsewhere/\", which is no URL\n\
         IoError: http::get(): {url}/nonsense: it is redirected to \"http://[bad\", which is no URL\n\
         ValueError: json(): {url}/latin: expected value, at line 1, column 1\n\
         script.rhai\n\
         ValueError: http::get(): \"localhost/page\" is no URL: it must begin with http:// or https://\n\
         ValueError: http::get(): \"ftp://localhost/\" is no URL: it must begin with http:// or https://\n\
         ValueError: http::get() has no option \"timout\"; did you mean \"timeout\"?\n\
         ValueError: http::get(): option timeout must be a number of seconds, 0 or more, not -1\n\
         TypeError: http::get(): option max_size must be an int, not a string\n\
         ValueError: http::get(): \"a b\": \"c\" cannot be a header\n\
         ValueError: http::get(): \"a\": \"b\\r\\nc: d\" cannot be a header\n\
         TypeError: http::get(): option headers must be a map, not an int\n\
         TypeError: http::post(): body must be a string, a blob, a map, an array or (), not an int\n\
         TypeError: http::post(): body[0] is a Lock, which JSON cannot say\n\
         ValueError: mock_http() is for simulated runs: `orch run --sim`\n"
    );
    script(url, text).run().prints(&expected);
    let unreachable = r#"
        for url in ["http://127.0.0.1:1/", "http://no.such.host.invalid/", `${at}/garbage`] {
            try { http::get(url); } catch (e) { print(`${e.kind} ${e.url == url} ${e.message.contains(url)}`); }
        }
    "#;
    script(url, unreachable).run().prints(&"IoError true true\n".repeat(3));
}

#[test]
fn connections_are_used_again_also_when_the_server_has_left_them() {
    let server = serve(answer);
    script(&server.url, "for i in 0..20 { http::get(`${at}/json`); }").run().prints("");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let text = "for i in 0..20 { assert(http::get(`${at}/leave`).text() == \"bye\"); }";
    script(&server.url, text).run().prints("");
}

#[test]
fn who_waits_for_a_server_can_be_stopped() {
    let server = serve(answer);
    let text = r#"
        for path in ["silence", "endless"] {
            let t = spawn_thread(|| http::get(`${at}/${path}`, #{to_file: "page"}));
            sleep(0.1);
            t.cancel();
            try { t.join(); } catch (e) { print(e.kind); }
        }
        print("asking");
        http::get(`${at}/silence`);
    "#;
    let program = script(&server.url, text);
    let mut child = start(&program);
    let mut said = [0; 27];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(std::str::from_utf8(&said).unwrap(), "Cancelled\nCancelled\nasking\n");
    thread::sleep(Duration::from_millis(50));
    signal(&child, "INT");
    let seen = finish(child, "http::get".into());
    assert_eq!(seen.status, 130, "{}", seen.for_people());
    assert!(seen.stderr.contains("Interrupted"), "{}", seen.for_people());
    // What was cut off does not go on writing, and leaves nothing.
    let left: Vec<_> = std::fs::read_dir(program.own_folder()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["script.rhai"]);
}

#[test]
fn a_certificate_must_be_trusted_and_for_the_right_name() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let file = format!("{}/tests/outside/localhost.pem", env!("CARGO_MANIFEST_DIR"));
    let (certificate, key) =
        (CertificateDer::from_pem_file(&file).unwrap(), PrivateKeyDer::from_pem_file(&file).unwrap());
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let config = Arc::new(config);
    let server = listen(move |mut socket| {
        let mut session = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        // Those who do not trust it leave.
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"));
        drop(stream.flush());
        // The session ends before the connection does.
        session.send_close_notify();
        drop(session.complete_io(&mut socket));
    });
    let text = r#"
        fn tell(url) { try { print(http::get(url).text()); } catch (e) { print(`${e.kind} ${e.message}`); } }
        tell("https://localhost:PORT/");
        tell("https://127.0.0.1:PORT/");
        tell("http://127.0.0.1:PORT/");
    "#;
    let text = text.replace("PORT", &server.port.to_string());
    let seen = Program::script(&text).run();
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert!(lines[0].starts_with("IoError ") && lines[0].contains("UnknownIssuer"), "{}", seen.for_people());
    let seen = Program::script(&text).env("SSL_CERT_FILE", &file).run();
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines[0], "secret", "{}", seen.for_people());
    assert!(lines[1].starts_with("IoError ") && lines[1].contains("not valid for name"), "{}", seen.for_people());
    assert!(lines[2].starts_with("IoError "), "{}", seen.for_people());
}

#[test]
fn answers_cross_to_processes_and_back() {
    let server = serve(answer);
    let text = r#"
        let pages = [];
        for path in ["/latin", "/bytes", "/cookies"] { pages.push(http::get(at + path)); }
        let q = Queue();
        let own = spawn_process(|pages, q, at| {
            q.put(pages[0]);
            print([pages[0].text(), pages[1].bytes(), pages[2].headers["set-cookie"], pages[2].url == at + "/cookies"]);
            http::get(at + "/json")
        }, [pages, q, at]).join();
        print([own.json().name, own.status, type_of(own), q.get().text()]);
        let ends = Pipe();
        ends[0].send(#{big: pages[1]});
        print(spawn_process(|end| end.recv().big.bytes().len(), [ends[1]]).join());
        let file = http::get(at + "/bytes", #{to_file: "page"});
        tell(|| spawn_process(|r| [r.status, r.bytes()], [file]).join());
    "#;
    let seen = script(&server.url, text).run();
    let (first, last) = seen.stdout.split_at(seen.stdout.rfind("ValueError").unwrap_or(0));
    assert_eq!(
        (first, seen.status),
        ("[\"café\", [00ff80], \"a=1\\nb=2\", true]\n[\"orch\", 200, \"Response\", \"café\"]\n3\n", 0),
        "{}",
        seen.for_people()
    );
    assert!(
        last.contains("bytes(): what came from") && last.trim_end().ends_with("is in page"),
        "{}",
        seen.for_people()
    );
}

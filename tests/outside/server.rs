//! A web server on this machine that answers as a test wants, also in ways that no server should.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// With the method: `GET /page`.
    pub line: String,
    /// All headers, as they came, in small letters.
    pub headers: String,
    /// What was sent.
    pub body: Vec<u8>,
}

/// What comes back.
pub enum Reply {
    /// A status, headers (each line with its end), and a page.
    Page(u16, String, Vec<u8>),
    /// These bytes and then the end of the connection.
    Raw(Vec<u8>),
    /// A page, and then the end of the connection, of which nobody is told.
    Leave(Vec<u8>),
    /// A page whose end never comes.
    Endless,
    /// Nothing at all, for a minute.
    Silence,
    /// The connection is broken off.
    Reset,
}

/// A page of HTML.
pub fn page(text: impl Into<Vec<u8>>) -> Reply {
    Reply::Page(200, "Content-Type: text/html\r\n".into(), text.into())
}

/// A server; it lasts as long as the tests.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Its port.
    pub port: u16,
    /// How many connections were made to it.
    pub connections: Arc<AtomicUsize>,
}

/// Starts one.
pub fn serve(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    let answer = Arc::new(answer);
    listen(move |stream| {
        let answer = answer.clone();
        // Who asks may leave at any time.
        drop(talk(stream, &*answer));
    })
}

/// Starts one that says by itself how it talks on each connection.
pub fn listen(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, talk) = (connections.clone(), Arc::new(talk));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let talk = talk.clone();
            thread::spawn(move || talk(stream));
        }
    });
    Server { url: format!("http://127.0.0.1:{port}"), port, connections }
}

/// Answers on one connection until it ends.
fn talk(mut to: TcpStream, answer: &impl Fn(&Asked) -> Reply) -> std::io::Result<()> {
    let mut from = BufReader::new(to.try_clone()?);
    loop {
        let Some(asked) = read(&mut from)? else {
            return Ok(());
        };
        match answer(&asked) {
            Reply::Page(status, headers, body) => {
                let mut all =
                    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
                all.extend(body);
                to.write_all(&all)?;
            }
            Reply::Raw(bytes) => return to.write_all(&bytes),
            Reply::Leave(body) => {
                let mut all = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
                all.extend(body);
                return to.write_all(&all);
            }
            Reply::Endless => {
                to.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    to.write_all(&[b'x'; 65536])?;
                }
            }
            Reply::Silence => {
                thread::sleep(Duration::from_secs(60));
                return Ok(());
            }
            Reply::Reset => {
                return Ok(rustix::net::sockopt::set_socket_linger(&to, Some(Duration::ZERO))?);
            }
        }
    }
}

fn read(from: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let (line, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.to_ascii_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(Asked { line: line.trim_end_matches(" HTTP/1.1").to_string(), headers, body }))
}

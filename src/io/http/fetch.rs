//! One request from its URL to the last byte of the answer, over as many hops as the servers send it.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http;
use url::Url;

use super::address::shown;
use super::answer::{Answer, Body, add_header};
use super::client::agent;
use super::fault::{HttpFault, words};
use super::mock::Mock;
use super::sink::Sink;
use super::{Watch, socket};
use crate::io::blocking;
use crate::kernel::{ObjectCore, sleep};

/// How much of the page of an error is kept.
const ERROR_BODY: u64 = 1 << 20;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A page.
    Get,
    /// To take something.
    Post,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub url: Url,
    /// What is said with it.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long it may take in all.
    pub timeout: Option<Duration>,
    /// How many redirects are followed. With 0, a redirect is an answer as any other.
    pub redirects: usize,
    /// How much may come.
    pub max_size: Option<u64>,
    /// Where it goes.
    pub to_file: Option<PathBuf>,
    /// A status of 400 or more is no error.
    pub unchecked: bool,
}

/// True when this can be a header.
pub fn is_header(name: &str, value: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok()
}

/// What came of one hop.
enum Hop {
    /// The answer.
    There(Answer),
    /// It is somewhere else; the status says how to ask there.
    Moved(u16, Url),
}

/// Asks, and waits for the answer.
///
/// # Errors
/// [`HttpFault`].
pub fn fetch(mut request: Request, mut watch: Option<Watch>) -> Result<Answer, HttpFault> {
    let core = ObjectCore::new("Url");
    let kernel = core.kernel().clone();
    let first = shown(&request.url);
    let began = kernel.now();
    let verb = if request.method == Method::Get { "get" } else { "post" };
    let mut hops = 0;
    loop {
        let url = shown(&request.url);
        core.set_name(&url);
        let left = request.timeout.map(|limit| limit.saturating_sub(kernel.now() - began));
        let hop = match Mock::find(&kernel, request.url.as_str()) {
            Some(mock) => mocked(&request, mock, left, watch.as_mut()),
            None => {
                // Only the last hop has something to tell it, and that is where it goes.
                let (asked, mut watching) = (request.clone(), watch.take());
                let made = blocking::run(&core, verb, left, move || (ask(&asked, watching.as_mut()), watching));
                let (hop, back) = made.map_err(|fault| HttpFault::not_made(fault, &first, request.timeout))?;
                watch = back;
                hop
            }
        };
        match hop? {
            Hop::There(answer) if answer.status >= 400 && !request.unchecked => {
                return Err(HttpFault::Status(Box::new(answer)));
            }
            Hop::There(answer) => return Ok(answer),
            Hop::Moved(..) if hops == request.redirects => {
                return Err(HttpFault::Failed(
                    first,
                    format!("it was redirected more than {hops} times, last to {url}"),
                ));
            }
            Hop::Moved(status, to) => {
                hops += 1;
                move_on(&mut request, status, to);
            }
        }
    }
}

/// Asks at another place next.
fn move_on(request: &mut Request, status: u16, to: Url) {
    if request.method == Method::Post && !matches!(status, 307 | 308) {
        request.method = Method::Get;
        request.body.clear();
        request.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if to.origin() != request.url.origin() {
        // What is meant for one server is no other's business.
        let is_secret = |name: &str| {
            ["authorization", "cookie", "proxy-authorization"].iter().any(|it| name.eq_ignore_ascii_case(it))
        };
        request.headers.retain(|(name, _)| !is_secret(name));
    }
    request.url = to;
}

/// The place that an answer sends to, if it does and that is wanted.
fn moved(request: &Request, status: u16, location: Option<&[u8]>) -> Result<Option<Hop>, HttpFault> {
    let Some(location) = location.filter(|_| request.redirects > 0 && matches!(status, 301 | 302 | 303 | 307 | 308))
    else {
        return Ok(None);
    };
    let location = String::from_utf8_lossy(location);
    match request.url.join(location.trim()) {
        Ok(mut to) if matches!(to.scheme(), "http" | "https") => {
            to.set_fragment(None);
            Ok(Some(Hop::Moved(status, to)))
        }
        _ => Err(HttpFault::Failed(shown(&request.url), format!("it is redirected to {location:?}, which is no URL"))),
    }
}

/// Asks a server. Runs beside the task.
fn ask(request: &Request, watch: Option<&mut Watch>) -> Result<Hop, HttpFault> {
    let failed = |why: String| HttpFault::Failed(shown(&request.url), why);
    let response = send(request).map_err(failed)?;
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    let location = parts.headers.get("location").map(http::HeaderValue::as_bytes);
    if let Some(moved) = moved(request, status, location)? {
        return Ok(moved);
    }
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        let value = match value.to_str() {
            Ok(text) => text.to_string(),
            // Servers mean Latin-1, or do not know what they mean.
            Err(_) => String::from_utf8(value.as_bytes().to_vec())
                .unwrap_or_else(|_| value.as_bytes().iter().map(|b| char::from(*b)).collect()),
        };
        add_header(&mut headers, name.as_str(), &value);
    }
    let coming = body.content_length();
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let body = take_in(request, status, coming, &mut reader, watch)?;
    Ok(Hop::There(Answer { status, url: shown(&request.url), headers, body }))
}

/// Sends it. A connection that was kept may have been closed by the server in the same moment: then once more, on a new one.
fn send(request: &Request) -> Result<http::Response<ureq::Body>, String> {
    let mut again = request.method == Method::Get;
    loop {
        socket::take_opened();
        match agent().run(built(request)?) {
            Err(ureq::Error::Io(error))
                if again
                    && !socket::take_opened()
                    && !blocking::has_given_up()
                    && matches!(
                        error.kind(),
                        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
            {
                again = false;
            }
            response => return response.map_err(|error| words(&error)),
        }
    }
}

fn built(request: &Request) -> Result<http::Request<ureq::SendBody<'static>>, String> {
    let method = if request.method == Method::Get { "GET" } else { "POST" };
    let mut built = http::Request::builder().method(method).uri(request.url.as_str());
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let body = match request.method {
        Method::Get => ureq::SendBody::none(),
        Method::Post => {
            let length = request.body.len();
            built = built.header("content-length", length);
            ureq::SendBody::from_owned_reader(io::Cursor::new(request.body.clone()))
        }
    };
    built.body(body).map_err(|error| error.to_string())
}

/// Takes in the page.
fn take_in(
    request: &Request,
    status: u16,
    coming: Option<u64>,
    from: &mut dyn Read,
    mut watch: Option<&mut Watch>,
) -> Result<Body, HttpFault> {
    let failed = |why: String| HttpFault::Failed(shown(&request.url), why);
    let is_error = status >= 400 && !request.unchecked;
    let too_much = |limit: u64| failed(format!("the answer has more than {limit} bytes (option max_size)"));
    let limit = request.max_size.filter(|_| !is_error);
    if let (Some(limit), Some(coming)) = (limit, coming)
        && coming > limit
    {
        return Err(too_much(limit));
    }
    let path = request.to_file.as_deref().filter(|_| !is_error);
    let of_file = |error: io::Error| match path {
        Some(path) => HttpFault::File(path.to_path_buf(), error),
        None => failed(error.to_string()),
    };
    let mut sink = Sink::open(path).map_err(of_file)?;
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        let n = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Half of a page that only says what is wrong will do.
            Err(_) if is_error => break,
            Err(error) => return Err(failed(format!("{} (after {size} bytes)", words(&error.into())))),
        };
        size += n as u64;
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(too_much(limit));
        }
        sink.push(&piece[..n]).map_err(of_file)?;
        if let Some(watch) = &mut watch {
            watch(n as u64, coming);
        }
        if is_error && size >= ERROR_BODY {
            break;
        }
    }
    // A socket that was cut looks like the end of a page whose length nobody knows.
    if blocking::has_given_up() {
        return Err(failed("it was given up".into()));
    }
    let here = sink.finish().map_err(of_file)?;
    Ok(here.map_or_else(|| Body::InFile(path.unwrap_or(Path::new("")).to_path_buf()), Body::Here))
}

/// Plays the answer of a server, in simulated time.
fn mocked(request: &Request, mock: Mock, left: Option<Duration>, watch: Option<&mut Watch>) -> Result<Hop, HttpFault> {
    let late = left.filter(|left| *left < mock.takes);
    sleep(Some(late.unwrap_or(mock.takes))).map_err(HttpFault::Stopped)?;
    if late.is_some() {
        return Err(HttpFault::TimedOut(shown(&request.url), request.timeout.unwrap_or_default()));
    }
    let Mock { status, headers, body, .. } = mock;
    let location = headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_bytes());
    if let Some(moved) = moved(request, status, location)? {
        return Ok(moved);
    }
    let coming = Some(body.len() as u64);
    let body = take_in(request, status, coming, &mut body.as_slice(), watch)?;
    Ok(Hop::There(Answer { status, url: shown(&request.url), headers, body }))
}

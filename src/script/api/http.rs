//! `http::`. What can be done with an answer stands in `response`.

use std::path::PathBuf;

use rhai::plugin::*;
use rhai::{Blob, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::io::http::{Method, Request, Watch, address, fetch, is_header};
use crate::script::api::response::Response;
use crate::script::arguments::{Options, called, count, wrong_type};
use crate::script::host::with_host;
use crate::script::json::write;
use crate::script::throw::{Outcome, call, throw};

/// How many redirects are followed, unless it is said.
const REDIRECTS: usize = 10;

/// How much is taken into memory, unless it is said.
const IN_MEMORY: u64 = 256 << 20;

fn refused<T>(ctx: &NativeCallContext, why: &str) -> Outcome<T> {
    throw(ctx, "ValueError", format!("{}(): {why}", called(ctx)))
}

/// The option `headers`.
fn headers(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Vec<(String, String)>> {
    let Some(given) = options.take("headers").filter(|it| !it.is_unit()) else {
        return Ok(Vec::new());
    };
    let Some(map) = given.read_lock::<Map>() else {
        return throw(ctx, "TypeError", wrong_type(ctx, "option headers", "a map", given.type_name()));
    };
    let mut headers = Vec::new();
    for (name, value) in map.iter() {
        if !(value.is_string() || value.is_int()) {
            let what = format!("header {name:?}");
            return throw(ctx, "TypeError", wrong_type(ctx, &what, "a string", value.type_name()));
        }
        let value = value.to_string();
        if !is_header(name, &value) {
            return refused(ctx, &format!("{name:?}: {value:?} cannot be a header"));
        }
        headers.push((name.to_string(), value));
    }
    Ok(headers)
}

/// What is sent, and what kind of thing that is.
fn body(ctx: &NativeCallContext, body: &Dynamic) -> Outcome<(Vec<u8>, Option<&'static str>)> {
    if let Some(text) = body.read_lock::<ImmutableString>() {
        return Ok((text.as_bytes().to_vec(), Some("text/plain; charset=utf-8")));
    }
    if let Some(bytes) = body.read_lock::<Blob>() {
        return Ok((bytes.clone(), Some("application/octet-stream")));
    }
    if body.is_map() || body.is_array() {
        return match write(body, false) {
            Ok(text) => Ok((text.into_bytes(), Some("application/json"))),
            Err(unsayable) => {
                let kind = if unsayable.is_type { "TypeError" } else { "ValueError" };
                throw(ctx, kind, format!("{}(): {}", called(ctx), unsayable.message.replacen("value", "body", 1)))
            }
        };
    }
    match body.is_unit() {
        true => Ok((Vec::new(), None)),
        false => {
            let wanted = "a string, a blob, a map, an array or ()";
            throw(ctx, "TypeError", wrong_type(ctx, "body", wanted, body.type_name()))
        }
    }
}

/// Draws the bar that the option `progress` asks for.
fn watch(ctx: &NativeCallContext, options: &mut Options) -> Outcome<Option<Watch>> {
    let label = options.text(ctx, "progress")?;
    let bar = label.and_then(|label| with_host(|host| host.bar(&label, None)));
    Ok(bar.map(|mut bar| -> Watch { Box::new(move |bytes, total| bar.advance_bytes(bytes, total)) }))
}

fn ask(ctx: &NativeCallContext, method: Method, url: &str, sent: &Dynamic, options: Map) -> Outcome<Response> {
    let url = address::parse(url).or_else(|why| refused(ctx, &why))?;
    let mut options = Options::new(options);
    let mut headers = headers(ctx, &mut options)?;
    let timeout = options.seconds(ctx, "timeout")?;
    let redirects = options.count(ctx, "redirects", 0)?.unwrap_or(REDIRECTS);
    let to_file = options.text(ctx, "to_file")?.map(PathBuf::from);
    let max_size = match options.take("max_size") {
        None if to_file.is_some() => None,
        None => Some(IN_MEMORY),
        Some(no_limit) if no_limit.is_unit() => None,
        Some(size) => Some(count(ctx, "option max_size", &size, 0)? as u64),
    };
    let unchecked = options.flag(ctx, "unchecked")?.unwrap_or(false);
    let watch = watch(ctx, &mut options)?;
    options.finish(ctx)?;
    let (body, kind) = body(ctx, sent)?;
    if let Some(kind) = kind.filter(|_| !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))) {
        headers.push(("content-type".into(), kind.into()));
    }
    let request = Request { method, url, headers, body, timeout, redirects, max_size, to_file, unchecked };
    call(ctx, || fetch(request, watch)).map(Response::of)
}

#[export_module]
pub mod functions {
    /// Fetches a page. Redirects are followed, at most 10. `https` trusts the certificates of the file that SSL_CERT_FILE names,
    /// else the system's, else Mozilla's list; proxies are taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Connections are
    /// kept and used again by all threads.
    ///
    /// # Errors
    /// `HttpError` when the status is 400 or more, with `status`, `url`, `headers` and `body` (text, of a long page the first
    /// 1 MiB); `IoError`, with `url`, when there is no such host, nobody answers there, the certificate is wrong, the connection
    /// breaks, the redirects do not end, or more than 256 MiB come; `ValueError` when it is no URL; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/*", "hello");
    /// let page = http::get("http://localhost/index.html");
    /// assert(page.status == 200 && page.text() == "hello");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(ctx: NativeCallContext, url: ImmutableString) -> Outcome<Response> {
        ask(&ctx, Method::Get, &url, &Dynamic::UNIT, Map::new())
    }

    /// The same with options: `headers` (a map), `timeout` (seconds for all of it; none), `redirects` (how many are followed;
    /// with 0 a redirect is an answer as any other), `max_size` (bytes; 256 MiB in memory, without limit in a file), `to_file`
    /// (a path: what comes goes there, and the file is there only when it is whole), `progress` (a label: draws a bar on a
    /// terminal), `unchecked` (true: a status of 400 or more is no error).
    ///
    /// # Errors
    /// `TimeoutError`, with `url`; `IoError` or `NotFound`, with `path`, when the file cannot be written; else as `get(url)`.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/missing", #{status: 404, body: "no such page"});
    /// try { http::get("http://localhost/missing", #{timeout: 10}); } catch (e) { assert(e.kind == "HttpError" && e.status == 404); }
    /// assert(http::get("http://localhost/missing", #{unchecked: true}).status == 404);
    /// ```
    #[rhai_fn(name = "get", return_raw)]
    pub fn get_opts(ctx: NativeCallContext, url: ImmutableString, options: Map) -> Outcome<Response> {
        ask(&ctx, Method::Get, &url, &Dynamic::UNIT, options)
    }

    /// Sends `body` to a server: a string, a blob, `()` for nothing, or a map or an array, which goes as JSON. The header
    /// `content-type` says which, unless the options have one. After a redirect other than 307 and 308 the page is fetched,
    /// as browsers do.
    ///
    /// # Errors
    /// `TypeError` when it cannot be sent; else as `get(url)`.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/jobs", #{status: 201, headers: #{"content-type": "application/json"}, body: "{\"id\": 7}"});
    /// assert(http::post("http://localhost/jobs", #{name: "build"}).json().id == 7);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn post(ctx: NativeCallContext, url: ImmutableString, body: Dynamic) -> Outcome<Response> {
        ask(&ctx, Method::Post, &url, &body.flatten(), Map::new())
    }

    /// The same with options, as `get(url, options)` takes them.
    ///
    /// # Errors
    /// As `post(url, body)` and `get(url, options)`.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/*", #{seconds: 20});
    /// try { http::post("http://localhost/", "x", #{timeout: 5}); } catch (e) { assert(e.kind == "TimeoutError"); }
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post_opts(ctx: NativeCallContext, url: ImmutableString, body: Dynamic, options: Map) -> Outcome<Response> {
        ask(&ctx, Method::Post, &url, &body.flatten(), options)
    }
}

//! What servers have answered, and answers that stand for them in simulated time.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Blob, Dynamic, ImmutableString, Map, Module, NativeCallContext};

use crate::io::http::answer::{Answer, Body};
use crate::io::http::mock::Mock;
use crate::io::http::{HttpFault, is_header};
use crate::script::arguments::{Options, called, wrong_type};
use crate::script::host::host;
use crate::script::json::parse;
use crate::script::throw::{IntoThrown, Outcome, Problem, Thrown, throw};

/// An answer. It does not change, so all copies are the same.
#[derive(Clone)]
pub struct Response(Arc<Answer>);

impl Response {
    /// A new one.
    pub fn of(answer: Answer) -> Response {
        Response(Arc::new(answer))
    }

    /// What the server has answered.
    pub fn answer(&self) -> &Answer {
        &self.0
    }

    fn body(&self, ctx: &NativeCallContext) -> Outcome<&[u8]> {
        match &self.0.body {
            Body::Here(bytes) => Ok(bytes),
            Body::InFile(path) => {
                let why = format!("{}(): what came from {} is in {}", called(ctx), self.0.url, path.display());
                throw(ctx, "ValueError", why)
            }
        }
    }
}

/// What the type is called.
pub fn register(module: &mut Module) {
    module.set_custom_type::<Response>("Response");
}

fn header_map(answer: &Answer) -> Map {
    answer.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
}

impl IntoThrown for HttpFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<Duration>) -> Thrown {
        let name = called(ctx);
        match self {
            HttpFault::Stopped(stop) => stop.into_thrown(ctx, limit),
            HttpFault::TimedOut(url, limit) => {
                let message = format!("{name}(): {url}: timed out after {} s", limit.as_secs_f64());
                Problem::new(ctx, "TimeoutError", message).with("url", url).thrown()
            }
            HttpFault::Status(answer) => {
                let message = format!("{name}(): {}: {}", answer.url, answer.status_line());
                let body = if let Body::Here(bytes) = &answer.body { answer.decode(bytes) } else { String::new() };
                Problem::new(ctx, "HttpError", message)
                    .with("status", i64::from(answer.status))
                    .with("headers", header_map(&answer))
                    .with("url", answer.url)
                    .with("body", body)
                    .thrown()
            }
            HttpFault::Failed(url, why) => {
                Problem::new(ctx, "IoError", format!("{name}(): {url}: {why}")).with("url", url).thrown()
            }
            HttpFault::File(path, error) => {
                let kind = if error.kind() == ErrorKind::NotFound { "NotFound" } else { "IoError" };
                let path = path.display().to_string();
                Problem::new(ctx, kind, format!("{name}(): cannot write {path}: {error}")).with("path", path).thrown()
            }
        }
    }
}

/// What a mock answers: a text, or a map of its parts.
fn mock(ctx: &NativeCallContext, pattern: &str, response: Dynamic) -> Outcome<Mock> {
    let pattern = match glob::Pattern::new(pattern) {
        Ok(pattern) => pattern,
        Err(error) => return throw(ctx, "ValueError", format!("mock_http(): bad pattern {pattern:?}: {error}")),
    };
    let mut mock = Mock { pattern, status: 200, headers: Vec::new(), body: Vec::new(), takes: Duration::ZERO };
    if let Some(text) = response.read_lock::<ImmutableString>() {
        mock.body = text.as_bytes().to_vec();
        return Ok(mock);
    }
    let Some(parts) = response.read_lock::<Map>() else {
        let wanted = "a string or a map";
        return throw(ctx, "TypeError", wrong_type(ctx, "response", wanted, response.type_name()));
    };
    let mut options = Options::new(parts.clone());
    if let Some(status) = options.count(ctx, "status", 100)? {
        let Some(status) = u16::try_from(status).ok().filter(|status| *status < 600) else {
            return throw(ctx, "ValueError", format!("mock_http(): option status must be 100 to 599, not {status}"));
        };
        mock.status = status;
    }
    if let Some(headers) = options.take("headers") {
        let Some(headers) = headers.read_lock::<Map>() else {
            return throw(ctx, "TypeError", wrong_type(ctx, "option headers", "a map", headers.type_name()));
        };
        for (name, value) in headers.iter() {
            let (name, value) = (name.to_ascii_lowercase(), value.to_string());
            if !is_header(&name, &value) {
                return throw(ctx, "ValueError", format!("mock_http(): {name:?}: {value:?} cannot be a header"));
            }
            mock.headers.push((name, value));
        }
    }
    if let Some(body) = options.take("body") {
        mock.body = match (body.read_lock::<ImmutableString>(), body.read_lock::<Blob>()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (_, Some(bytes)) => bytes.clone(),
            _ => {
                return throw(ctx, "TypeError", wrong_type(ctx, "option body", "a string or a blob", body.type_name()));
            }
        };
    }
    mock.takes = options.seconds(ctx, "seconds")?.unwrap_or(Duration::ZERO);
    options.finish(ctx)?;
    Ok(mock)
}

#[export_module]
pub mod functions {
    /// The status: 200 when all is well.
    ///
    /// ```rhai,sim
    /// mock_http("*", "hello");
    /// assert(http::get("http://localhost/").status == 200);
    /// ```
    #[rhai_fn(get = "status", pure)]
    pub fn get_status(response: &mut Response) -> i64 {
        i64::from(response.0.status)
    }

    /// Where it came from in the end, after all redirects.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/old", #{status: 301, headers: #{location: "/new"}});
    /// mock_http("http://localhost/new", "hello");
    /// assert(http::get("http://localhost/old").url == "http://localhost/new");
    /// ```
    #[rhai_fn(get = "url", pure)]
    pub fn get_url(response: &mut Response) -> ImmutableString {
        response.0.url.as_str().into()
    }

    /// The headers, a map of texts. Their names are in small letters; what came several times is joined by commas (cookies by
    /// newlines).
    ///
    /// ```rhai,sim
    /// mock_http("*", #{headers: #{"Content-Type": "text/plain"}});
    /// assert(http::get("http://localhost/").headers["content-type"] == "text/plain");
    /// ```
    #[rhai_fn(get = "headers", pure)]
    pub fn get_headers(response: &mut Response) -> Map {
        header_map(&response.0)
    }

    /// What came, as text: in the encoding that the server or the page names, else UTF-8, or Windows-1252 where it is not that.
    /// What stands for no character is marked by `�`.
    ///
    /// # Errors
    /// `ValueError` when it went to a file.
    ///
    /// ```rhai,sim
    /// mock_http("*", "hello");
    /// assert(http::get("http://localhost/").text() == "hello");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn text(ctx: NativeCallContext, response: &mut Response) -> Outcome<String> {
        let bytes = response.body(&ctx)?;
        Ok(response.0.decode(bytes))
    }

    /// What came, as it is.
    ///
    /// # Errors
    /// `ValueError` when it went to a file.
    ///
    /// ```rhai,sim
    /// mock_http("*", #{body: blob(3, 255)});
    /// assert(http::get("http://localhost/").bytes().len() == 3);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn bytes(ctx: NativeCallContext, response: &mut Response) -> Outcome<Blob> {
        response.body(&ctx).map(<[u8]>::to_vec)
    }

    /// What came, read as JSON, as `json::parse` does.
    ///
    /// # Errors
    /// `ValueError` when it is no JSON, or went to a file.
    ///
    /// ```rhai,sim
    /// mock_http("*", "{\"name\": \"orch\"}");
    /// assert(http::get("http://localhost/").json().name == "orch");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn json(ctx: NativeCallContext, response: &mut Response) -> Outcome<Dynamic> {
        let text = response.0.decode(response.body(&ctx)?);
        parse(&text).or_else(|malformed| {
            throw(&ctx, "ValueError", format!("json(): {}: {}", response.0.url, malformed.message))
        })
    }

    /// What `print` shows.
    ///
    /// ```rhai,sim
    /// mock_http("*", "hello");
    /// assert(http::get("http://localhost/").to_string() == "Response(200 OK, http://localhost/)");
    /// ```
    #[rhai_fn(name = "to_string", pure)]
    pub fn response_to_string(response: &mut Response) -> String {
        format!("Response({}, {})", response.0.status_line(), response.0.url)
    }

    /// Under `--sim`: URLs that match `pattern` are not asked of any server from now on; `response` is the answer, a text or a
    /// map of `status` (200), `headers`, `body` (a string or a blob) and `seconds` of simulated time that it takes. In the
    /// pattern, `*` stands for any text and `?` for any character. Of several that match, the last one made counts.
    ///
    /// # Errors
    /// `ValueError` outside `--sim`, and for a bad pattern or option; `TypeError`.
    ///
    /// ```rhai,sim
    /// mock_http("http://localhost/*", #{body: "hello", seconds: 2});
    /// let begun = monotonic();
    /// assert(http::get("http://localhost/a").text() == "hello");
    /// assert(monotonic() - begun == 2.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mock_http(ctx: NativeCallContext, pattern: ImmutableString, response: Dynamic) -> Outcome<()> {
        let mock = mock(&ctx, &pattern, response.flatten())?;
        let kernel = host().kernel().clone();
        if !kernel.is_sim() {
            return throw(&ctx, "ValueError", "mock_http() is for simulated runs: `orch run --sim`");
        }
        mock.install(&kernel);
        Ok(())
    }
}

//! Which path gives which answer: one table, one file per family of answers. Handlers are plain
//! functions; what takes time is told to the server as a [`Reply`].

mod auth;
mod bodies;
mod caching;
mod cookies;
mod echo;
mod load_gen;
mod pages;
mod redirects;
mod timing;

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use crate::hostile::{self, Attack};
use crate::server::Target;
use crate::stats::Stats;
use load_gen::LoopWork;

/// Every path that is answered, what it is for, and by whom.
const ROUTES: &[Route] = &[
    route("/", "a small JSON greeting", pages::greeting),
    route(
        "/load-gen/loop",
        "burns CPU: ?count=50&range=1000",
        load_gen::answer,
    ),
    route(
        "/json",
        "a JSON document with everything in it",
        pages::json,
    ),
    route("/json/{n}", "a JSON list of n items", pages::json_list),
    route("/xml", "an XML document", pages::xml),
    route("/html", "an HTML page with links and a form", pages::html),
    route("/echo", "the request as JSON", echo::answer),
    route("/headers", "the request's headers as JSON", echo::headers),
    route(
        "/status/{code}",
        "an answer with that status",
        pages::status,
    ),
    route("/cookies", "the request's cookies as JSON", cookies::show),
    route(
        "/cookies/set",
        "sets cookies: ?name=value&path=/&max-age=60&secure&httponly",
        cookies::set,
    ),
    route(
        "/cookies/bad",
        "sets cookies that cannot be parsed",
        cookies::bad,
    ),
    route(
        "/login",
        "POST username and password: a token and a cookie",
        auth::login,
    ),
    route("/me", "who holds the token or cookie of /login", auth::me),
    route(
        "/basic-auth/{user}/{password}",
        "200 with those credentials, else 401",
        auth::basic,
    ),
    route(
        "/redirect/{n}",
        "n redirects, then 200; ?status=302",
        redirects::countdown,
    ),
    route("/redirect-to", "redirects: ?url=&status=302", redirects::to),
    route("/redirect-loop", "redirects to itself", redirects::endless),
    route(
        "/delay/{ms}",
        "answers after that many milliseconds",
        timing::fixed,
    ),
    route(
        "/delay",
        "answers late: ?distribution=normal&mean=100ms&deviation=20ms",
        timing::drawn,
    ),
    route("/flaky", "fails with 503: ?rate=0.5", timing::flaky),
    route(
        "/bytes/{n}",
        "a body of n bytes with its length",
        bodies::sized,
    ),
    route(
        "/stream/{n}",
        "a chunked body of n lines of JSON",
        bodies::stream,
    ),
    route(
        "/chunked",
        "a body in chunks of these bytes: ?sizes=1,10,100",
        bodies::chunked,
    ),
    route("/gzip", "a gzip body", bodies::gzip),
    route("/deflate", "a deflate (zlib) body", bodies::deflate),
    route("/br", "a brotli body", bodies::brotli),
    route("/zstd", "a zstd body", bodies::zstd),
    route(
        "/cache",
        "says it came from a CDN's cache: ?status=HIT",
        caching::cdn,
    ),
    route("/no-content", "204", caching::no_content),
    route("/not-modified", "304", caching::not_modified),
    route(
        "/head-only",
        "405 for everything but HEAD",
        caching::head_only,
    ),
    route(
        "/close",
        "closes the connection after the answer",
        caching::close,
    ),
    route("/counter", "counts its calls", pages::counter),
    route("/routes", "this table as JSON", pages::routes),
    route("/eof", "a body that ends with the connection", hostile::eof),
    route("/early-hints", "103, then 200", hostile::early_hints),
    route("/hostile/huge-body", "1 GiB: ?bytes=", hostile::huge_body),
    route(
        "/hostile/slow-drip",
        "a byte every 100 ms: ?bytes=1000&interval_ms=100",
        hostile::slow_drip,
    ),
    route("/hostile/never", "no answer at all", hostile::never),
    route(
        "/hostile/bad-gzip",
        "a gzip body that is none",
        hostile::bad_gzip,
    ),
    route(
        "/hostile/truncated-gzip",
        "half of a gzip body",
        hostile::truncated_gzip,
    ),
    route(
        "/hostile/gzip-bomb",
        "1 MiB that unpacks to 1 GiB",
        hostile::gzip_bomb,
    ),
    route(
        "/hostile/endless-headers",
        "headers without end",
        hostile::endless_headers,
    ),
    route(
        "/hostile/bad-chunks",
        "a chunk size that is no number",
        hostile::bad_chunks,
    ),
    route(
        "/hostile/chunk-overflow",
        "a chunk size beyond 64 bits",
        hostile::chunk_overflow,
    ),
    route(
        "/hostile/conflicting-length",
        "two lengths that differ",
        hostile::conflicting_length,
    ),
    route(
        "/hostile/negative-length",
        "a length below zero",
        hostile::negative_length,
    ),
    route(
        "/hostile/garbage",
        "bytes that are no HTTP",
        hostile::garbage,
    ),
    route(
        "/hostile/1xx-flood",
        "interim answers without end",
        hostile::interim_flood,
    ),
    route(
        "/hostile/reset",
        "a reset instead of an answer",
        hostile::reset,
    ),
    route(
        "/hostile/reset-mid-body",
        "a reset in the middle of the body",
        hostile::reset_mid_body,
    ),
    route(
        "/hostile/close",
        "a close instead of an answer",
        hostile::close,
    ),
    route(
        "/hostile/close-mid-body",
        "a close in the middle of the body",
        hostile::close_mid_body,
    ),
];

/// The body of every answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

type Handler = fn(&Query, &mut Xoshiro256PlusPlus, &Target) -> Result<Reply, Refusal>;

struct Route {
    pattern: &'static str,
    about: &'static str,
    handler: Handler,
}

const fn route(pattern: &'static str, about: &'static str, handler: Handler) -> Route {
    Route {
        pattern,
        about,
        handler,
    }
}

/// A request that was read whole, with what its path's pattern captured.
pub(crate) struct Query {
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
    /// The number of the connection it came over, from 1.
    pub(crate) connection: u64,
    /// The number of the request, from 0.
    pub(crate) ordinal: u64,
    pub(crate) peer: SocketAddr,
    /// What was agreed on in the TLS handshake; null over plain HTTP.
    pub(crate) tls: Arc<Value>,
    pub(crate) params: Vec<String>,
}

/// What the server shall do.
pub(crate) enum Reply {
    /// Answer.
    Now(Response<Body>),
    /// Answer, but later.
    Later(Duration, Response<Body>),
    /// Burn CPU off the event loop, then answer.
    Compute(LoopWork),
    /// Hold the request for ever.
    Silence,
    /// Give the connection away.
    Seize(Attack),
}

/// A request that a route cannot serve, answered with 400.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// Answers what is asked about the target itself, untouched by faults and uncounted.
pub(crate) fn control(path: &str, stats: &Stats) -> Option<Response<Body>> {
    match path {
        "/stats" => Some(document(&stats.read().to_json())),
        "/stats/reset" => {
            stats.reset();
            Some(document(&json!({"reset": true})))
        }
        _ => None,
    }
}

/// Finds the route of a request and asks it.
pub(crate) fn answer(query: &mut Query, chance: &mut Xoshiro256PlusPlus, target: &Target) -> Reply {
    let path = query.head.uri.path();
    let found = ROUTES
        .iter()
        .find_map(|route| Some((route, captures(route.pattern, path)?)));
    let Some((route, params)) = found else {
        let body = json!({"error": "no such path", "path": path, "hint": "/routes lists them"});
        return Reply::Now(with_status(StatusCode::NOT_FOUND, document(&body)));
    };
    query.params = params;
    (route.handler)(query, chance, target).unwrap_or_else(|refusal| {
        let body = json!({"error": refusal.to_string()});
        Reply::Now(with_status(StatusCode::BAD_REQUEST, document(&body)))
    })
}

/// The answer of `--error-rate`.
pub(crate) fn injected_error() -> Response<Body> {
    let body = json!({"error": "injected"});
    with_status(StatusCode::INTERNAL_SERVER_ERROR, document(&body))
}

/// The segments of `path` that stand where `pattern` has `{…}`, percent-decoded.
fn captures(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') && !segment.is_empty() {
            found.push(decoded(segment));
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(found)
}

/// Undoes percent-encoding, but leaves `+` alone as paths do.
fn decoded(segment: &str) -> String {
    let plus_kept = segment.replace('+', "%2B");
    url::form_urlencoded::parse(plus_kept.as_bytes())
        .map(|(key, value)| {
            if value.is_empty() {
                key.into_owned()
            } else {
                format!("{key}={value}")
            }
        })
        .collect::<Vec<_>>()
        .join("&")
}

impl Query {
    /// The pairs of the query string, decoded, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let text = self.head.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(text.as_bytes()).into_owned()
    }

    /// The first value of a key in the query string.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.pairs()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// A value that must parse where it is given.
    pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        default: T,
        most: T,
    ) -> Result<T, Refusal> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => bounded(name, &text, most),
        }
    }

    /// The captured segment of this index as a number.
    fn param<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        index: usize,
        most: T,
    ) -> Result<T, Refusal> {
        bounded(name, &self.params[index], most)
    }

    /// A header as text, where it is text.
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

fn bounded<T: FromStr + PartialOrd + std::fmt::Display>(
    name: &str,
    text: &str,
    most: T,
) -> Result<T, Refusal> {
    match text.parse::<T>() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(Refusal(format!(
            "{name} is `{text}`, which is no number from 0 to {most}"
        ))),
    }
}

/// An answer with a body of known length.
pub(crate) fn whole(content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {});
    with_header(
        Response::new(body.boxed_unsync()),
        CONTENT_TYPE,
        content_type,
    )
}

/// An answer with a JSON document.
pub(crate) fn document(value: &Value) -> Response<Body> {
    whole("application/json", value.to_string())
}

/// An answer with a line of text.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_status(status, whole("text/plain; charset=utf-8", text))
}

/// An answer with no body.
fn empty(status: StatusCode) -> Response<Body> {
    let body = http_body_util::Empty::new().map_err(|never| match never {});
    with_status(status, Response::new(body.boxed_unsync()))
}

fn with_status(status: StatusCode, mut answer: Response<Body>) -> Response<Body> {
    *answer.status_mut() = status;
    answer
}

/// Adds a header that is known to be valid.
pub(crate) fn with_header(
    mut answer: Response<Body>,
    name: HeaderName,
    value: &'static str,
) -> Response<Body> {
    answer
        .headers_mut()
        .append(name, HeaderValue::from_static(value));
    answer
}

/// A header value from a request, which may hold what no header can.
fn header_value(name: &str, text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal(format!("{name} cannot stand in a header")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_capture_their_segments() {
        let table: [(&str, &str, Option<&[&str]>); 8] = [
            ("/", "/", Some(&[])),
            ("/json", "/json/", None),
            ("/json/{n}", "/json/5", Some(&["5"])),
            ("/json/{n}", "/json/", None),
            ("/json/{n}", "/json/5/6", None),
            (
                "/basic-auth/{user}/{password}",
                "/basic-auth/a%20b/c+d",
                Some(&["a b", "c+d"]),
            ),
            (
                "/basic-auth/{user}/{password}",
                "/basic-auth/a=b/x&y",
                Some(&["a=b", "x&y"]),
            ),
            ("/a", "/b", None),
        ];
        for (pattern, path, expected) in table {
            let expected = expected.map(|parts| parts.iter().map(|p| (*p).to_owned()).collect());
            assert_eq!(captures(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn no_two_routes_have_the_same_pattern() {
        let mut patterns: Vec<_> = ROUTES.iter().map(|route| route.pattern).collect();
        patterns.sort_unstable();
        assert!(patterns.windows(2).all(|two| two[0] != two[1]));
    }
}

//! One response as captures, matches and expectations see it. What must be parsed is parsed when
//! it is first asked for, and once.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use drumfire_protocols::Headers;
use scraper::Html;
use serde_json::Value;
use sxd_document::Package;

use crate::capture::json_path::{self, JsonPath};
use crate::capture::markup;

/// Headers of which Node keeps the first value; values of the others are joined.
const SINGLE_HEADERS: [&str; 17] = [
    "age",
    "authorization",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "from",
    "host",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "proxy-authorization",
    "referer",
    "retry-after",
    "user-agent",
];

/// The media types whose bodies the expect plugin parses.
const JSON_TYPES: [&str; 3] = [
    "application/json",
    "application/problem+json",
    "application/ld+json",
];

/// A response and what has been parsed of it.
pub struct ResponseView<'a> {
    status: u16,
    headers: &'a Headers,
    body: &'a [u8],
    text: OnceCell<Cow<'a, str>>,
    json: OnceCell<Option<Value>>,
    html: OnceCell<Option<Html>>,
    xml: OnceCell<Option<Package>>,
    streamed: Cell<bool>,
}

impl<'a> ResponseView<'a> {
    /// A response whose `body` is decoded already.
    pub fn new(status: u16, headers: &'a Headers, body: &'a [u8]) -> ResponseView<'a> {
        ResponseView {
            status,
            headers,
            body,
            text: OnceCell::new(),
            json: OnceCell::new(),
            html: OnceCell::new(),
            xml: OnceCell::new(),
            streamed: Cell::new(false),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers, as received.
    pub fn headers(&self) -> &'a Headers {
        self.headers
    }

    /// The value of a header, whatever its case; of several values the first, or all with commas
    /// between, as Node has it.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut values = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let first = header_text(values.next()?);
        if SINGLE_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Some(first);
        }
        Some(values.fold(first, |joined, value| {
            Cow::Owned(format!("{joined}, {}", header_text(value)))
        }))
    }

    /// The values of `set-cookie`, which are not joined.
    pub fn set_cookies(&self) -> Vec<String> {
        self.headers
            .get_all("set-cookie")
            .map(|value| header_text(value).into_owned())
            .collect()
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| String::from_utf8_lossy(self.body))
    }

    /// The body as JSON, or `None` when it is none or nested too deeply.
    pub fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| {
                serde_json::from_slice(self.body)
                    .or_else(|error| match std::str::from_utf8(self.body) {
                        Ok(_) => Err(error),
                        Err(_) => serde_json::from_str(self.text()),
                    })
                    .ok()
            })
            .as_ref()
    }

    /// What a plain `path` leads to. The first question is answered while reading the body,
    /// without building the whole document.
    ///
    /// # Errors
    ///
    /// When the body is no JSON.
    pub(crate) fn json_at(&self, path: &JsonPath) -> Result<json_path::Found, NotJson> {
        if self.json.get().is_none()
            && !self.streamed.replace(true)
            && let Some(found) = path.stream(self.body)
        {
            return Ok(found);
        }
        let document = self.json().ok_or(NotJson)?;
        Ok(path.lookup(document))
    }

    /// Whether the content type is one of those whose body the expect plugin parses.
    pub fn has_json_type(&self) -> bool {
        self.headers
            .get_str("content-type")
            .is_some_and(|value| JSON_TYPES.iter().any(|known| value.contains(known)))
    }

    /// Whether the body is a JSON object or list.
    pub fn is_json_structure(&self) -> bool {
        if let Some(parsed) = self.json.get() {
            return matches!(parsed, Some(Value::Object(_) | Value::Array(_)));
        }
        matches!(self.body.trim_ascii_start().first(), Some(b'{' | b'['))
            && (serde_json::from_slice::<serde::de::IgnoredAny>(self.body).is_ok())
    }

    /// The body as HTML, or `None` when it is beyond what is parsed.
    pub(crate) fn html(&self) -> Option<&Html> {
        self.html
            .get_or_init(|| markup::parse_html(self.text()))
            .as_ref()
    }

    /// The body as XML, or `None` when it is none or beyond what is parsed.
    pub(crate) fn xml(&self) -> Option<&Package> {
        self.xml
            .get_or_init(|| markup::parse_xml(self.text()))
            .as_ref()
    }
}

/// The body is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// A header's value; bytes that are no UTF-8 are taken for Latin-1, as Node does.
fn header_text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}

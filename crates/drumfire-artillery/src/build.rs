//! From a request of the script to the bytes that are sent: what is constant is
//! prepared once per shard, the rest is rendered per iteration.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use drumfire_protocols::{HEADERS_OF_ONE_HOST, HEADERS_OF_THE_BODY, Origin, RequestBytes};
use rand::{Rng, RngExt};
use serde_json::Value;
use url::Url;

use crate::endpoint::prepend_target;
use crate::javascript;
use crate::path::Scope;
use crate::script::{Body, Config, Header, HttpConfig, Part, PartValue, Request};
use crate::template::{Template, ValueTemplate};

/// What Artillery calls itself.
const USER_AGENT: &str = "Artillery (https://artillery.io)";
/// What is sent in its place as soon as a script sets default headers.
const USER_AGENT_OF_CLIENT: &str = "got (https://github.com/sindresorhus/got)";
const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";
/// How the error of an address that is none begins.
const INVALID_URL: &str = "Invalid URL - ";
/// The error of a request that Artillery's HTTP client refuses to send.
const REFUSED_BY_CLIENT: &str = "ERR_GOT_REQUEST_ERROR";

/// Why a request could not be built: what is counted under `errors`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BuildError(pub(crate) Cow<'static, str>);

impl BuildError {
    /// Whether the request does not even say where it goes.
    pub(crate) fn is_of_address(&self) -> bool {
        self.0.starts_with(INVALID_URL)
    }
}

impl From<drumfire_protocols::Failure> for BuildError {
    fn from(failure: drumfire_protocols::Failure) -> Self {
        BuildError(Cow::Borrowed(failure.code()))
    }
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) origin: Origin,
}

impl Address {
    pub(crate) fn of(url: Url) -> Result<Address, BuildError> {
        let origin = Origin::of(&url).map_err(|_| invalid_url(url.as_str()))?;
        Ok(Address { url, origin })
    }

    /// Path and query, as they stand in the request line.
    pub(crate) fn request_target(&self) -> Cow<'_, str> {
        match self.url.query().filter(|query| !query.is_empty()) {
            None => Cow::Borrowed(self.url.path()),
            Some(query) => Cow::Owned(format!("{}?{query}", self.url.path())),
        }
    }
}

/// A request, compiled for one shard.
pub(crate) struct Builder {
    method: Arc<str>,
    target: Option<String>,
    url: Template,
    query: Option<Vec<(Template, ValueTemplate)>>,
    /// The address where nothing of it varies.
    address: Option<Address>,
    head: Vec<HeadPart>,
    has: Present,
    auth: Option<(ValueTemplate, ValueTemplate)>,
    decompress: bool,
    allow_get_body: bool,
    body: Body,
    tracing: Option<String>,
    /// The whole request where nothing varies, without cookies.
    whole: Option<Box<[u8]>>,
}

enum HeadPart {
    /// Checked lines.
    Lines(Vec<u8>),
    Value(Arc<str>, ValueTemplate),
}

/// Headers that the script sets itself.
#[derive(Debug, Default, Clone, Copy)]
struct Present {
    content_type: bool,
    accept_encoding: bool,
    authorization: bool,
    host: bool,
    connection: bool,
    cookie: bool,
}

impl Builder {
    pub(crate) fn new(request: &Request, config: &Config) -> Builder {
        let headers = merged_headers(&config.http, request);
        let has = Present::of(&headers);
        let mut builder = Builder {
            method: request.method.clone(),
            target: config.target.clone(),
            url: request.url.clone(),
            query: request.query.clone(),
            address: None,
            head: head_parts(&headers),
            has,
            auth: request
                .auth
                .as_ref()
                .map(|auth| (auth.user.clone(), auth.pass.clone())),
            decompress: request.decompress,
            allow_get_body: request.allow_get_body,
            body: request.body.clone(),
            tracing: config.http.tracing.as_ref().map(|tracing| {
                let flag = if tracing.sampled { "01" } else { "00" };
                format!("{}/{flag}", tracing.trace_id_prefix)
            }),
            whole: None,
        };
        builder.prepare();
        builder
    }

    /// Renders once what is the same for everybody.
    fn prepare(&mut self) {
        if self.url.is_constant()
            && self.query.as_ref().is_none_or(|query| {
                query
                    .iter()
                    .all(|(key, value)| key.is_constant() && value.is_constant())
            })
        {
            self.address = self.render_address(&Nothing, &mut NoChance).ok();
        }
        let constant = self.address.is_some()
            && self.tracing.is_none()
            && self
                .auth
                .as_ref()
                .is_none_or(|(user, pass)| user.is_constant() && pass.is_constant())
            && self
                .head
                .iter()
                .all(|part| matches!(part, HeadPart::Lines(_)))
            && match &self.body {
                Body::None => true,
                Body::Json(value) => value.is_constant(),
                Body::Text(text) => text.is_constant(),
                Body::Form(_) | Body::Multipart(_) => false,
            };
        if constant {
            self.whole = self.prepare_whole().ok();
        }
    }

    fn prepare_whole(&self) -> Result<Box<[u8]>, BuildError> {
        let mut bytes = RequestBytes::default();
        let hop = Hop {
            method: &self.method,
            address: &*self.address(&Nothing, &mut NoChance)?,
            keeps_body: true,
            same_host: true,
        };
        self.build_hop(&Nothing, &mut NoChance, &hop, None, &mut bytes)?;
        Ok(bytes.into_bytes().into())
    }

    /// The whole request, where nothing of it varies and no cookies are sent.
    pub(crate) fn constant(&self) -> Option<(&Address, &[u8])> {
        Some((self.address.as_ref()?, self.whole.as_deref()?))
    }

    /// Whether the request has a query of its own (`qs`) in the place of its URL's.
    pub(crate) fn sets_query(&self) -> bool {
        self.query.is_some()
    }

    /// Where this request goes for `scope`.
    pub(crate) fn address<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
    ) -> Result<Cow<'_, Address>, BuildError> {
        match &self.address {
            Some(address) => Ok(Cow::Borrowed(address)),
            None => self.render_address(scope, rng).map(Cow::Owned),
        }
    }

    fn render_address<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
    ) -> Result<Address, BuildError> {
        let text = self
            .url
            .render_text(scope, rng)
            .unwrap_or_else(|| "undefined".to_owned());
        let text = prepend_target(self.target.as_deref(), &text);
        if !text.starts_with("http") {
            return Err(invalid_url(&text));
        }
        let mut url =
            Url::parse(&text).map_err(|_| BuildError(Cow::Borrowed("ERR_INVALID_URL")))?;
        url.set_fragment(None);
        if let Some(query) = &self.query {
            set_query(&mut url, query, scope, rng);
        }
        Address::of(url)
    }

    /// Builds what follows a redirect, or the first request.
    pub(crate) fn build_hop<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
        hop: &Hop<'_>,
        cookie: Option<&str>,
        bytes: &mut RequestBytes,
    ) -> Result<(), BuildError> {
        let mut body = self.render_body(scope, rng)?;
        if !hop.keeps_body {
            body.drop_bytes();
        }
        bytes.start(hop.method, &hop.address.request_target())?;
        // The jar's cookies win over a header of the script's.
        let own_cookie = hop.same_host && cookie.is_none();
        match hop.keeps_body && hop.same_host && (own_cookie || !self.has.cookie) {
            true => self.write_own_headers(scope, rng, bytes)?,
            false => {
                let mut own = RequestBytes::default();
                self.write_own_headers(scope, rng, &mut own)?;
                hop.pass_on(&own.into_bytes(), own_cookie, bytes);
            }
        }
        self.write_content_headers(&body, hop.method, bytes)?;
        if self.decompress && !self.has.accept_encoding {
            bytes.header("accept-encoding", ACCEPT_ENCODING.as_bytes())?;
        }
        if let Some((user, pass)) = &self.auth
            && hop.same_host
            && !self.has.authorization
        {
            let line = credentials(user, pass, scope, rng)?;
            bytes.header("authorization", line.as_bytes())?;
        }
        self.write_ends(hop, cookie, rng, bytes)?;
        bytes.finish(&body.bytes);
        Ok(())
    }

    fn write_own_headers<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
        bytes: &mut RequestBytes,
    ) -> Result<(), BuildError> {
        let mut value = Vec::new();
        for part in &self.head {
            match part {
                HeadPart::Lines(lines) => bytes.checked_lines(lines),
                HeadPart::Value(name, template) => {
                    value.clear();
                    if template.render_to(scope, rng, &mut value) {
                        bytes.header(name, &value)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_ends(
        &self,
        hop: &Hop<'_>,
        cookie: Option<&str>,
        rng: &mut dyn Rng,
        bytes: &mut RequestBytes,
    ) -> Result<(), BuildError> {
        if let Some(tracing) = &self.tracing {
            bytes.header("traceparent", traceparent(tracing, rng).as_bytes())?;
        }
        if let Some(cookie) = cookie {
            bytes.header("cookie", cookie.as_bytes())?;
        }
        if !(self.has.host && hop.same_host) {
            bytes.header("Host", hop.address.origin.authority().as_bytes())?;
        }
        if !self.has.connection {
            bytes.checked_lines(b"Connection: keep-alive\r\n");
        }
        Ok(())
    }

    fn write_content_headers(
        &self,
        body: &RenderedBody,
        method: &str,
        bytes: &mut RequestBytes,
    ) -> Result<(), BuildError> {
        if let Some(content_type) = &body.content_type
            && !self.has.content_type
        {
            bytes.header("content-type", content_type.as_bytes())?;
        }
        let bodiless = ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
        if body.present || !bodiless.contains(&method) {
            let length = body.bytes.len().to_string();
            bytes.header("content-length", length.as_bytes())?;
        }
        Ok(())
    }

    fn render_body<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
    ) -> Result<RenderedBody, BuildError> {
        let body = match &self.body {
            Body::None => RenderedBody::default(),
            Body::Json(value) => {
                let mut bytes = Vec::new();
                let present = value.render_json(scope, rng, &mut bytes);
                RenderedBody::of(bytes, present, "application/json")
            }
            Body::Text(text) => {
                let mut bytes = Vec::new();
                let present = text.render_to(scope, rng, &mut bytes);
                RenderedBody {
                    bytes,
                    present,
                    content_type: None,
                }
            }
            Body::Form(fields) => {
                let bytes = form(fields, scope, rng).into_bytes();
                RenderedBody::of(bytes, true, "application/x-www-form-urlencoded")
            }
            Body::Multipart(parts) => multipart(parts, scope, rng)?,
        };
        let bodiless = match &*self.method {
            "GET" => !self.allow_get_body,
            method => method == "HEAD",
        };
        if body.present && bodiless {
            return Err(BuildError(Cow::Borrowed(REFUSED_BY_CLIENT)));
        }
        Ok(body)
    }
}

/// One request of a chain of redirects.
pub(crate) struct Hop<'a> {
    pub(crate) method: &'a str,
    pub(crate) address: &'a Address,
    pub(crate) keeps_body: bool,
    /// Whether it goes where the first one went, so that it may have its secrets.
    pub(crate) same_host: bool,
}

impl Hop<'_> {
    /// Passes header lines on, less what another host must not see, what
    /// speaks of a body that is not sent again, and cookies unless they are wanted.
    fn pass_on(&self, lines: &[u8], own_cookie: bool, bytes: &mut RequestBytes) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let is_one_of = |names: &[&str]| names.iter().any(|other| other.as_bytes() == name);
            let kept = match name {
                b"cookie" => own_cookie,
                _ if is_one_of(&HEADERS_OF_ONE_HOST) => self.same_host,
                _ if is_one_of(&HEADERS_OF_THE_BODY) => self.keeps_body,
                _ => true,
            };
            if kept {
                bytes.checked_lines(line);
            }
        }
    }
}

#[derive(Default)]
struct RenderedBody {
    bytes: Vec<u8>,
    present: bool,
    content_type: Option<Cow<'static, str>>,
}

impl RenderedBody {
    /// Leaves the content type, as Artillery does after a redirect.
    fn drop_bytes(&mut self) {
        self.bytes.clear();
        self.present = false;
    }

    fn of(bytes: Vec<u8>, present: bool, content_type: &'static str) -> RenderedBody {
        RenderedBody {
            bytes,
            present,
            content_type: present.then_some(Cow::Borrowed(content_type)),
        }
    }
}

impl Present {
    fn of(headers: &[Header]) -> Present {
        let has = |name: &str| headers.iter().any(|header| &*header.name == name);
        Present {
            content_type: has("content-type"),
            accept_encoding: has("accept-encoding"),
            authorization: has("authorization"),
            host: has("host"),
            connection: has("connection"),
            cookie: has("cookie"),
        }
    }
}

/// Default headers, overridden and followed by the request's own.
fn merged_headers(http: &HttpConfig, request: &Request) -> Vec<Header> {
    let user_agent = |text: &str| Header {
        name: "user-agent".into(),
        value: ValueTemplate::constant(Value::String(text.to_owned())),
    };
    let mut headers = match &http.default_headers {
        Some(defaults) => defaults.clone(),
        None => vec![user_agent(USER_AGENT)],
    };
    for own in &request.headers {
        match headers.iter_mut().find(|header| header.name == own.name) {
            Some(header) => header.value = own.value.clone(),
            None => headers.push(own.clone()),
        }
    }
    if !headers.iter().any(|header| &*header.name == "user-agent") {
        headers.push(user_agent(USER_AGENT_OF_CLIENT));
    }
    // The length is that of the bytes that are sent.
    headers.retain(|header| &*header.name != "content-length");
    headers
}

fn head_parts(headers: &[Header]) -> Vec<HeadPart> {
    let mut parts: Vec<HeadPart> = Vec::new();
    for header in headers {
        let constant = header.value.as_constant().and_then(|value| {
            let mut line = RequestBytes::default();
            line.header(&header.name, javascript::text(value).as_bytes())
                .ok()?;
            Some(line.into_bytes())
        });
        match (constant, parts.last_mut()) {
            (Some(line), Some(HeadPart::Lines(lines))) => lines.extend(line),
            (Some(line), _) => parts.push(HeadPart::Lines(line)),
            (None, _) => parts.push(HeadPart::Value(header.name.clone(), header.value.clone())),
        }
    }
    parts
}

fn credentials<S: Scope + ?Sized>(
    user: &ValueTemplate,
    pass: &ValueTemplate,
    scope: &S,
    rng: &mut dyn Rng,
) -> Result<String, BuildError> {
    match (user.render(scope, rng), pass.render(scope, rng)) {
        (Some(Value::String(user)), Some(Value::String(pass))) => {
            let pair = format!("{user}:{pass}");
            Ok(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        _ => Err(BuildError(Cow::Borrowed(REFUSED_BY_CLIENT))),
    }
}

/// A W3C trace context; `tracing` is `<prefix>/<flags>`.
fn traceparent(tracing: &str, rng: &mut dyn Rng) -> String {
    let (prefix, flags) = tracing.split_once('/').unwrap_or((tracing, "01"));
    let trace = format!("{:032x}", rng.random::<u128>());
    let span = rng.random::<u64>() | 1;
    format!(
        "00-{prefix}{}-{span:016x}-{flags}",
        &trace[prefix.len().min(32)..]
    )
}

fn set_query<S: Scope + ?Sized>(
    url: &mut Url,
    query: &[(Template, ValueTemplate)],
    scope: &S,
    rng: &mut dyn Rng,
) {
    url.set_query(None);
    let mut pairs = url.query_pairs_mut();
    for (key, value) in query {
        let key = key.render_text(scope, rng).unwrap_or_default();
        match value.render(scope, rng) {
            Some(Value::Array(items)) => {
                for item in items {
                    pairs.append_pair(&key, &javascript::text(&item));
                }
            }
            Some(Value::Null) | None => {
                pairs.append_pair(&key, "");
            }
            Some(value) => {
                pairs.append_pair(&key, &javascript::text(&value));
            }
        }
    }
}

fn form<S: Scope + ?Sized>(
    fields: &[(Arc<str>, ValueTemplate)],
    scope: &S,
    rng: &mut dyn Rng,
) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        let value = value.render(scope, rng);
        let text = value.map_or_else(
            || "undefined".to_owned(),
            |value| javascript::string(&value),
        );
        form.append_pair(name, &text);
    }
    form.finish()
}

fn multipart<S: Scope + ?Sized>(
    parts: &[Part],
    scope: &S,
    rng: &mut dyn Rng,
) -> Result<RenderedBody, BuildError> {
    let boundary = format!(
        "--------------------------{:024x}",
        rng.random::<u128>() >> 32
    );
    let mut bytes = Vec::new();
    for part in parts {
        let content_type = part
            .content_type
            .as_ref()
            .and_then(|template| template.render_text(scope, rng));
        let (file, content) = part_content(&part.value, scope, rng)?;
        bytes.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
                quoted(&part.name)
            )
            .as_bytes(),
        );
        if let Some(file) = &file {
            bytes.extend_from_slice(format!("; filename=\"{}\"", quoted(file)).as_bytes());
        }
        let guessed = file.as_deref().map(content_type_of);
        if let Some(kind) = content_type.as_deref().or(guessed) {
            bytes.extend_from_slice(
                format!("\r\nContent-Type: {}", kind.replace(['\r', '\n'], " ")).as_bytes(),
            );
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(RenderedBody {
        bytes,
        present: true,
        content_type: Some(Cow::Owned(format!(
            "multipart/form-data; boundary={boundary}"
        ))),
    })
}

/// A part's file name, if it is a file, and its bytes.
fn part_content<S: Scope + ?Sized>(
    value: &PartValue,
    scope: &S,
    rng: &mut dyn Rng,
) -> Result<(Option<String>, Vec<u8>), BuildError> {
    Ok(match value {
        PartValue::Value(value) => {
            let mut text = Vec::new();
            value.render_to(scope, rng, &mut text);
            (None, text)
        }
        PartValue::File { name, bytes } => (Some(name.to_string()), bytes.to_vec()),
        PartValue::TemplatedFile(template) => {
            let path = template.render_text(scope, rng).unwrap_or_default();
            let Ok(bytes) = std::fs::read(&path) else {
                return Err(BuildError(Cow::Borrowed("ENOENT")));
            };
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            (Some(name), bytes)
        }
    })
}

fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The media types of the files that people upload; all else is bytes.
fn content_type_of(file: &str) -> &'static str {
    let extension = file.rsplit('.').next().unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "css" => "text/css",
        "csv" => "text/csv",
        "gif" => "image/gif",
        "gz" => "application/gzip",
        "htm" | "html" => "text/html",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "md" => "text/markdown",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "webp" => "image/webp",
        "xml" => "application/xml",
        "yaml" | "yml" => "text/yaml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

fn invalid_url(text: &str) -> BuildError {
    BuildError(Cow::Owned(format!("{INVALID_URL}{text}")))
}

/// The scope of what is rendered at load time.
struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }
}

/// The chance of what is rendered at load time: constants draw nothing.
struct NoChance;

impl rand::TryRng for NoChance {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("a constant draws nothing")
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("a constant draws nothing")
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        unreachable!("a constant draws nothing")
    }
}

//! One exchange over an HTTP/2 connection, by the `h2` library. The bytes of
//! an HTTP/1.1 request are taken apart; many exchanges share one connection.
//!
//! The first settings: no push, windows of 4 MiB per stream and 16 MiB per
//! connection (the default of 64 KiB would throttle bodies), frames of 64 KiB,
//! header lists up to the limit of heads.

use crate::deadline::Deadline;
use crate::exchange::{Body, Response, Version};
use crate::http1::{Asked, Times};
use crate::request::is_token;
use crate::transport::Transport;
use crate::{Failure, Headers, Origin, Request};
use bytes::Bytes;
use drumfire_reactor::now;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_ENCODING, HeaderName, LOCATION, SET_COOKIE};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite};

const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const FRAME_BYTES: u32 = 64 * 1024;
/// Bytes of a request that wait for the target's window, per stream.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Streams that were reset and are remembered; timed-out requests reset theirs.
const REMEMBERED_RESETS: usize = 1024;
/// Headers of one request.
const REQUEST_HEADERS: usize = 256;

/// Headers that somebody has to read even where nobody asked.
const NOTABLE: [HeaderName; 4] = [
    SET_COOKIE,
    LOCATION,
    CONTENT_ENCODING,
    HeaderName::from_static("server-timing"),
];

/// A connection that its users share.
pub(crate) struct Http2Connection {
    requests: SendRequest<Bytes>,
    streams: Rc<Cell<usize>>,
    ended: Rc<Cell<bool>>,
}

/// What came of one stream besides a failure.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) times: Times,
    pub(crate) status: Option<u16>,
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Vec<u8>,
    pub(crate) body_bytes: u64,
    pub(crate) sent_bytes: u64,
}

impl Http2Connection {
    /// Greets the peer, and drives the connection in a task of its own.
    pub(crate) async fn open(
        transport: Transport,
        head_bytes: usize,
    ) -> Result<Http2Connection, Failure> {
        match transport {
            Transport::Plain(stream) => Self::greet(stream, head_bytes).await,
            Transport::Tls(stream) => Self::greet(*stream, head_bytes).await,
        }
    }

    async fn greet<S>(stream: S, head_bytes: usize) -> Result<Http2Connection, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let greeted = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .handshake(stream)
            .await;
        let (requests, connection) = greeted.map_err(|error| failure_of(&error))?;
        let ended = Rc::new(Cell::new(false));
        let driver_ended = ended.clone();
        drumfire_reactor::spawn(async move {
            // Its error reaches every stream that is open; there is nobody else to tell.
            drop(connection.await);
            driver_ended.set(true);
        });
        Ok(Http2Connection {
            requests,
            streams: Rc::default(),
            ended,
        })
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Sends and receives until the answer is complete; what came before a
    /// failure is in `received` either way.
    pub(crate) async fn exchange(
        &self,
        origin: &Origin,
        asked: &Asked<'_>,
        received: &mut Received,
    ) -> Result<(), Failure> {
        let translated = asked
            .translator
            .borrow_mut()
            .translate(asked.request, origin);
        let (head, body) = translated?;
        let _counted = Counted::new(&self.streams);
        let result = self.run(head, body, asked, received).await;
        if result.is_err_and(ends_the_connection) {
            self.ended.set(true);
        }
        result
    }

    async fn run(
        &self,
        head: http::Request<()>,
        body: Bytes,
        asked: &Asked<'_>,
        received: &mut Received,
    ) -> Result<(), Failure> {
        let mut deadline = Deadline::default();
        let total_ns = asked.total_due_ns();
        let sending = self.send(head, body, received);
        let sent = deadline.within(total_ns, sending).await;
        let answer = sent.ok_or(Failure::TimedOut)??;
        received.sent_bytes = asked.request.wire().len() as u64;
        let response_ns = received
            .times
            .written_ns
            .saturating_add(asked.timeouts.response_ns);
        let answer = deadline.within(response_ns.min(total_ns), answer).await;
        let answer = answer
            .ok_or(Failure::TimedOut)?
            .map_err(|error| failure_of(&error))?;
        received.times.first_byte_ns = now();
        received.times.progress_ns = received.times.first_byte_ns;
        received.take_head(&answer, asked);
        received
            .take_body(answer.into_body(), asked, &mut deadline)
            .await
    }

    async fn send(
        &self,
        head: http::Request<()>,
        body: Bytes,
        received: &mut Received,
    ) -> Result<ResponseFuture, Failure> {
        let ready = self.requests.clone().ready().await;
        let mut requests = ready.map_err(|error| failure_of(&error))?;
        received.times.written_ns = now();
        let sent = requests.send_request(head, body.is_empty());
        let (answer, stream) = sent.map_err(|error| failure_of(&error))?;
        if !body.is_empty() {
            send_body(stream, body, received).await?;
        }
        Ok(answer)
    }
}

impl Received {
    fn take_head(&mut self, answer: &http::Response<RecvStream>, asked: &Asked<'_>) {
        self.status = Some(answer.status().as_u16());
        let headers = answer.headers();
        let mut names = headers.keys();
        if asked.wants.headers || names.any(|name| NOTABLE.contains(name)) {
            let pairs = headers.iter();
            let pairs = pairs.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
            self.headers = Some(Headers::from_pairs(pairs));
        }
    }

    async fn take_body(
        &mut self,
        mut body: RecvStream,
        asked: &Asked<'_>,
        deadline: &mut Deadline,
    ) -> Result<(), Failure> {
        loop {
            let idle_ns = self
                .times
                .progress_ns
                .saturating_add(asked.timeouts.idle_ns);
            let total_ns = asked.total_due_ns();
            let Some(piece) = deadline.within(idle_ns.min(total_ns), body.data()).await else {
                return Err(if idle_ns < total_ns {
                    Failure::Idle
                } else {
                    Failure::TimedOut
                });
            };
            self.times.progress_ns = now();
            let Some(piece) = piece else { return Ok(()) };
            let piece = piece.map_err(|error| failure_of(&error))?;
            self.body_bytes += piece.len() as u64;
            let window = body.flow_control().release_capacity(piece.len());
            window.map_err(|error| failure_of(&error))?;
            self.keep(&piece, asked)?;
        }
    }

    fn keep(&mut self, piece: &[u8], asked: &Asked<'_>) -> Result<(), Failure> {
        if asked.wants.body == Body::Discard {
            return Ok(());
        }
        if piece.len() > asked.limits.kept_body_bytes - self.body.len() {
            return Err(Failure::BodyTooLarge);
        }
        self.body.extend_from_slice(piece);
        Ok(())
    }

    /// What was kept of the answer, if anything was wanted.
    pub(crate) fn into_response(self, asked: &Asked<'_>) -> Option<Response> {
        if self.headers.is_none() && asked.wants.body == Body::Discard {
            return None;
        }
        Some(Response {
            status: self.status?,
            version: Version::Http2,
            headers: self.headers.unwrap_or_default(),
            body: Bytes::from(self.body),
        })
    }
}

/// Counts a stream for as long as it lives.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(streams: &'a Cell<usize>) -> Counted<'a> {
        streams.set(streams.get() + 1);
        Counted(streams)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn send_body(
    mut stream: SendStream<Bytes>,
    mut body: Bytes,
    received: &mut Received,
) -> Result<(), Failure> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let room = match room {
            Some(Ok(room)) => room,
            Some(Err(error)) => return Err(failure_of(&error)),
            None => return Err(Failure::Http2Stream),
        };
        let piece = body.split_to(room.min(body.len()));
        received.times.written_ns = now();
        let sent = stream.send_data(piece, body.is_empty());
        sent.map_err(|error| failure_of(&error))?;
    }
    Ok(())
}

/// Requests that are remembered.
const REMEMBERED_REQUESTS: usize = 8;

/// Takes the bytes of HTTP/1.1 requests apart, and remembers the last few
/// heads: prepared requests are sent again and again.
#[derive(Default)]
pub(crate) struct Translator {
    remembered: [Option<Translated>; REMEMBERED_REQUESTS],
}

struct Translated {
    origin: Origin,
    bytes: Vec<u8>,
    head: http::Request<()>,
}

impl Translator {
    fn translate(
        &mut self,
        request: Request<'_>,
        origin: &Origin,
    ) -> Result<(http::Request<()>, Bytes), Failure> {
        let wire = request.wire();
        let place = &mut self.remembered[wire.len() % REMEMBERED_REQUESTS];
        let known = place
            .as_ref()
            .filter(|known| known.origin == *origin && wire.starts_with(&known.bytes));
        if let Some(known) = known {
            let body = Bytes::copy_from_slice(&wire[known.bytes.len()..]);
            return Ok((known.head.clone(), body));
        }
        let (head, head_bytes) = translate(wire, origin)?;
        *place = Some(Translated {
            origin: origin.clone(),
            bytes: wire[..head_bytes].to_vec(),
            head: head.clone(),
        });
        Ok((head, Bytes::copy_from_slice(&wire[head_bytes..])))
    }
}

/// The head of a request, and its length in bytes.
fn translate(wire: &[u8], origin: &Origin) -> Result<(http::Request<()>, usize), Failure> {
    let mut headers = [httparse::EMPTY_HEADER; REQUEST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(wire).map_err(|_| Failure::BadRequest)?;
    let httparse::Status::Complete(head_bytes) = status else {
        return Err(Failure::BadRequest);
    };
    let path = parsed.path.unwrap_or("/");
    let host = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("host"));
    let authority = host.and_then(|host| std::str::from_utf8(host.value).ok());
    let uri = http::Uri::builder()
        .scheme(origin.scheme().as_str())
        .authority(authority.unwrap_or(origin.authority()))
        .path_and_query(path)
        .build()
        .map_err(|_| Failure::BadRequest)?;
    let mut builder = http::Request::builder()
        .version(http::Version::HTTP_2)
        .method(parsed.method.unwrap_or("GET"))
        .uri(uri);
    for header in parsed
        .headers
        .iter()
        .filter(|header| !is_of_the_connection(header))
    {
        builder = builder.header(header.name, header.value);
    }
    let head = builder.body(()).map_err(|_| Failure::BadRequest)?;
    Ok((head, head_bytes))
}

/// Headers that HTTP/2 expresses otherwise or forbids (RFC 9113, 8.2.2).
fn is_of_the_connection(header: &httparse::Header<'_>) -> bool {
    let names = [
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    debug_assert!(header.name.bytes().all(is_token), "httparse checks names");
    names
        .iter()
        .any(|name| header.name.eq_ignore_ascii_case(name))
}

/// Whether a failure is more than that of one stream.
fn ends_the_connection(failure: Failure) -> bool {
    !matches!(
        failure,
        Failure::Http2Stream | Failure::TimedOut | Failure::Idle | Failure::BodyTooLarge
    )
}

fn failure_of(error: &h2::Error) -> Failure {
    if let Some(io) = error.get_io() {
        return crate::tls::failure_of_io(io);
    }
    match (error.is_go_away(), error.is_reset(), error.reason()) {
        (true, _, Some(Reason::NO_ERROR)) => Failure::Http2GoAway,
        (_, true, _) => Failure::Http2Stream,
        _ => Failure::Http2Session,
    }
}

//! The head of an HTTP/1 answer: from bytes to what the client needs to know,
//! chiefly how the body is framed. Headers that frame nothing are only checked.

use crate::{Failure, Limits};
use std::mem::MaybeUninit;

/// Headers that most heads fit in, parsed on the stack.
const HEADERS_ON_STACK: usize = 48;

/// What one head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status, 100 to 999.
    pub status: u16,
    /// The minor version: 0 or 1.
    pub minor_version: u8,
    /// How long the body is, were the request not HEAD.
    pub framing: Framing,
    /// Whether the target will take another request on this connection, as far as the head says.
    pub keep_alive: bool,
    /// Headers that somebody has to read even where nobody asked.
    pub notable: Notable,
    /// Bytes of the head with its empty line.
    pub head_bytes: usize,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, the last one empty.
    Chunked,
    /// Until the target closes the connection.
    UntilClose,
}

/// Which headers of consequence a head has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notable {
    /// `Set-Cookie`.
    pub set_cookie: bool,
    /// `Location`.
    pub location: bool,
    /// `Content-Encoding`.
    pub content_encoding: bool,
    /// `Server-Timing`.
    pub server_timing: bool,
}

impl Notable {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.set_cookie || self.location || self.content_encoding || self.server_timing
    }
}

impl Head {
    /// Whether it is an interim answer, to be followed by another.
    /// 101 is final: after it the connection speaks another protocol.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// How the body of the answer to this request is framed.
    pub fn body_framing(&self, to_head_request: bool) -> Framing {
        match self.status {
            _ if to_head_request => Framing::Length(0),
            100..=199 | 204 | 304 => Framing::Length(0),
            _ => self.framing,
        }
    }
}

/// Parses a head that begins at the first byte; `None` where more bytes are
/// needed. Only the first `limits.head_bytes` bytes are looked at.
///
/// # Errors
///
/// What is not an HTTP/1 head, or larger than the limits, by its own failure.
pub fn parse_head(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Failure> {
    let seen = &bytes[..bytes.len().min(limits.head_bytes)];
    let mut on_stack = [const { MaybeUninit::uninit() }; HEADERS_ON_STACK];
    let on_stack = &mut on_stack[..limits.headers.min(HEADERS_ON_STACK)];
    let parsed = match parse_into(seen, on_stack) {
        Err(httparse::Error::TooManyHeaders) if limits.headers > HEADERS_ON_STACK => {
            let mut on_heap = vec![MaybeUninit::uninit(); limits.headers];
            parse_into(seen, &mut on_heap)
        }
        parsed => parsed,
    };
    match parsed {
        Ok(Some(head)) => head.map(Some),
        Ok(None) if seen.len() == limits.head_bytes => Err(Failure::HeadTooLarge),
        Ok(None) => Ok(None),
        Err(error) => Err(failure_of(error, seen)),
    }
}

/// Heads that are remembered.
const REMEMBERED_HEADS: usize = 8;
/// Bytes of the longest head that is remembered.
const REMEMBERED_HEAD_BYTES: usize = 2048;

/// Parses heads, and remembers the last few.
///
/// Most answers to the same request have the same head, byte for byte, within
/// the second of their `Date`. Equal bytes mean an equal head, so comparing
/// them with a remembered one saves most of the cost of parsing. Answers of
/// different length are remembered side by side.
#[derive(Debug)]
pub struct HeadReader {
    limits: Limits,
    remembered: [Remembered; REMEMBERED_HEADS],
}

#[derive(Debug, Default)]
struct Remembered {
    bytes: Vec<u8>,
    head: Option<Head>,
}

impl HeadReader {
    /// A reader that remembers nothing yet.
    pub fn new(limits: Limits) -> HeadReader {
        HeadReader {
            limits,
            remembered: Default::default(),
        }
    }

    /// The limits within which it reads.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// [`parse_head`], from memory where possible.
    ///
    /// # Errors
    ///
    /// As [`parse_head`].
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Head>, Failure> {
        let remembered = &mut self.remembered[bytes.len() % REMEMBERED_HEADS];
        if let Some(head) = remembered.head
            && bytes.starts_with(&remembered.bytes)
        {
            return Ok(Some(head));
        }
        let head = parse_head(bytes, &self.limits)?;
        if let Some(head) = head
            && head.head_bytes <= REMEMBERED_HEAD_BYTES
        {
            remembered.bytes.clear();
            remembered
                .bytes
                .extend_from_slice(&bytes[..head.head_bytes]);
            remembered.head = Some(head);
        }
        Ok(head)
    }
}

type Parsed = Result<Option<Result<Head, Failure>>, httparse::Error>;

fn parse_into<'b>(bytes: &'b [u8], headers: &mut [MaybeUninit<httparse::Header<'b>>]) -> Parsed {
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut response, bytes, headers)?;
    let httparse::Status::Complete(head_bytes) = status else {
        return Ok(None);
    };
    Ok(Some(head_of(&response, head_bytes)))
}

fn head_of(response: &httparse::Response<'_, '_>, head_bytes: usize) -> Result<Head, Failure> {
    let mut fields = Fields::default();
    for header in response.headers.iter() {
        fields.note(header.name.as_bytes(), header.value)?;
    }
    let status = response.code.unwrap_or_default();
    if status < 100 {
        return Err(Failure::BadStatus);
    }
    let minor_version = response.version.unwrap_or_default();
    Ok(Head {
        status,
        minor_version,
        framing: fields.framing(),
        keep_alive: fields.keep_alive(minor_version),
        notable: fields.notable,
        head_bytes,
    })
}

/// What the headers seen so far say about framing and reuse.
#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    transfer_encoding: Option<Framing>,
    close: bool,
    asks_keep_alive: bool,
    notable: Notable,
}

impl Fields {
    /// Takes one header. The length of the name chooses the few comparisons.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        match name.len() {
            8 if name.eq_ignore_ascii_case(b"location") => self.notable.location = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.note_connection(value),
            10 if name.eq_ignore_ascii_case(b"set-cookie") => self.notable.set_cookie = true,
            13 if name.eq_ignore_ascii_case(b"server-timing") => self.notable.server_timing = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => self.note_length(value)?,
            16 if name.eq_ignore_ascii_case(b"content-encoding") => {
                self.notable.content_encoding = true;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.note_coding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Failure> {
        if self.transfer_encoding.is_some() {
            return Err(Failure::BadContentLength);
        }
        let length = parse_decimal(value).ok_or(Failure::BadContentLength)?;
        match self.content_length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Failure::ConflictingContentLength),
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.asks_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Only the last coding frames the body. Beside a length, which of the two
    /// comes second is the culprit, as in Node.
    fn note_coding(&mut self, value: &[u8]) -> Result<(), Failure> {
        if self.content_length.is_some() || !value.is_ascii() {
            return Err(Failure::BadTransferEncoding);
        }
        let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(value);
        let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        self.transfer_encoding = Some(match chunked {
            true => Framing::Chunked,
            false => Framing::UntilClose,
        });
        Ok(())
    }

    fn framing(&self) -> Framing {
        match (self.transfer_encoding, self.content_length) {
            (Some(framing), _) => framing,
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::UntilClose,
        }
    }

    fn keep_alive(&self, minor_version: u8) -> bool {
        !self.close && (minor_version == 1 || self.asks_keep_alive)
    }
}

/// Digits and nothing else, within 64 bits.
fn parse_decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn failure_of(error: httparse::Error, bytes: &[u8]) -> Failure {
    match error {
        httparse::Error::Version if is_http_of_another_version(bytes) => Failure::BadVersion,
        httparse::Error::Version => Failure::NotHttp,
        httparse::Error::Status => Failure::BadStatus,
        httparse::Error::TooManyHeaders => Failure::HeadTooLarge,
        httparse::Error::NewLine => Failure::BadLineEnd,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::Token => {
            Failure::BadHeader
        }
    }
}

/// Only empty lines may stand before a head; a blank there is already something else than HTTP,
/// whether or not more bytes have come.
fn is_http_of_another_version(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    start.is_some_and(|start| bytes[start..].starts_with(b"HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Option<Head>, Failure> {
        parse_head(head.as_bytes(), &Limits::default())
    }

    #[test]
    fn framing_follows_the_headers() {
        for (headers, framing) in [
            ("", Ok(Framing::UntilClose)),
            ("content-length: 0", Ok(Framing::Length(0))),
            ("Content-Length:  42 ", Ok(Framing::Length(42))),
            (
                "content-length: 18446744073709551615",
                Ok(Framing::Length(u64::MAX)),
            ),
            (
                "content-length: 18446744073709551616",
                Err(Failure::BadContentLength),
            ),
            ("content-length:", Err(Failure::BadContentLength)),
            ("content-length: +1", Err(Failure::BadContentLength)),
            ("content-length: 3, 3", Err(Failure::BadContentLength)),
            (
                "content-length: 3\r\ncontent-length: 3",
                Err(Failure::ConflictingContentLength),
            ),
            ("transfer-encoding: chunked", Ok(Framing::Chunked)),
            ("Transfer-Encoding: gzip, Chunked", Ok(Framing::Chunked)),
            (
                "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
                Ok(Framing::Chunked),
            ),
            (
                "transfer-encoding: \u{80} chunked",
                Err(Failure::BadTransferEncoding),
            ),
            ("transfer-encoding: gzip", Ok(Framing::UntilClose)),
            ("transfer-encoding: chunked, gzip", Ok(Framing::UntilClose)),
            (
                "content-length: 3\r\ntransfer-encoding: chunked",
                Err(Failure::BadTransferEncoding),
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 3",
                Err(Failure::BadContentLength),
            ),
        ] {
            let head = match headers {
                "" => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                headers => format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n"),
            };
            let found = parse(&head).map(|head| head.map(|head| head.framing));
            assert_eq!(found, framing.map(Some), "{headers}");
        }
    }

    #[test]
    fn reuse_follows_version_and_connection() {
        for (head, keep_alive) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n\r\n",
                false,
            ),
        ] {
            let found = parse(head).map(|head| head.map(|head| head.keep_alive));
            assert_eq!(found, Ok(Some(keep_alive)), "{head}");
        }
    }

    #[test]
    fn the_body_depends_on_the_request_and_the_status() {
        for (status, to_head, framing) in [
            (200, false, Framing::Length(5)),
            (200, true, Framing::Length(0)),
            (204, false, Framing::Length(0)),
            (304, false, Framing::Length(0)),
            (404, false, Framing::Length(5)),
        ] {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 5\r\n\r\n");
            let head = parse(&head).map(|head| head.map(|head| head.body_framing(to_head)));
            assert_eq!(head, Ok(Some(framing)), "{status} {to_head}");
        }
    }

    #[test]
    fn what_is_not_a_head_is_refused_by_name() {
        for (head, failure) in [
            ("GARBAGE\r\n\r\n", Failure::NotHttp),
            ("HTTX/1.1 200 OK\r\n\r\n", Failure::NotHttp),
            (" HTTP/2 200\r\n\r\n", Failure::NotHttp),
            ("\r\n HTTP/2 200\r\n\r\n", Failure::NotHttp),
            ("HTTP/3.7 200 OK\r\n\r\n", Failure::BadVersion),
            ("HTTP/1.1 20 OK\r\n\r\n", Failure::BadStatus),
            ("HTTP/1.1 abc OK\r\n\r\n", Failure::BadStatus),
            ("HTTP/1.1 042 OK\r\n\r\n", Failure::BadStatus),
            ("HTTP/1.1 200 OK\r\nfoo bar: x\r\n\r\n", Failure::BadHeader),
            ("HTTP/1.1 200 OK\r\nfoobar\r\n\r\n", Failure::BadHeader),
            ("HTTP/1.1 200 OK\r\nfoo: a\0b\r\n\r\n", Failure::BadHeader),
            (
                "HTTP/1.1 200 OK\r\nfoo: a\r\n folded\r\n\r\n",
                Failure::BadHeader,
            ),
        ] {
            assert_eq!(parse(head), Err(failure), "{head:?}");
        }
    }

    #[test]
    fn many_headers_are_taken_up_to_the_limit() {
        let head = |headers: usize| {
            let lines: String = (0..headers).map(|n| format!("x-{n}: y\r\n")).collect();
            format!("HTTP/1.1 200 OK\r\n{lines}Set-Cookie: a\r\n\r\n")
        };
        let limits = Limits {
            headers: 100,
            ..Limits::default()
        };
        let parsed = parse_head(head(99).as_bytes(), &limits);
        assert_eq!(
            parsed.map(|head| head.map(|head| head.notable.set_cookie)),
            Ok(Some(true))
        );
        let refused = parse_head(head(100).as_bytes(), &limits);
        assert_eq!(refused, Err(Failure::HeadTooLarge));
    }

    #[test]
    fn a_remembered_head_is_the_head() {
        let mut heads = HeadReader::new(Limits::default());
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld",
            "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nhellohe",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n1.1 200 OK\r\nContent-Length: 5",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        ];
        for first in answers {
            for second in answers {
                for answer in [first, second, first] {
                    let read = heads.read(answer.as_bytes());
                    assert_eq!(read, parse(answer), "{first:?} then {second:?}");
                }
            }
        }
    }

    #[test]
    fn the_size_of_a_head_is_limited() {
        let limits = Limits {
            head_bytes: 32,
            ..Limits::default()
        };
        let exact = b"HTTP/1.1 200 OK\r\nabc: defgh\r\n\r\n";
        assert_eq!(exact.len(), 31);
        assert!(matches!(parse_head(exact, &limits), Ok(Some(_))));
        let longer = b"HTTP/1.1 200 OK\r\nabc: defghijklmn\r\n\r\n";
        assert_eq!(parse_head(longer, &limits), Err(Failure::HeadTooLarge));
    }
}

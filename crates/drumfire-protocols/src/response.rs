//! An HTTP/1 answer, parsed from whatever pieces arrive: no input or output, no
//! clock, no allocation where a head arrives whole. Pieces may be cut anywhere.

use crate::chunks::ChunkDecoder;
use crate::{Failure, Framing, Head, HeadReader, Headers, Limits, parse_head};

/// What becomes of the parts of an answer. A sink that drops everything costs nothing.
pub trait Sink {
    /// The final head, and its bytes as received.
    fn head(&mut self, head: &Head, bytes: &[u8]);
    /// The next bytes of the body, without framing.
    ///
    /// # Errors
    ///
    /// A limit of the sink; the answer is then given up.
    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

/// How far the parser is after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The whole piece was taken, the answer goes on.
    More,
    /// The answer ends after so many bytes of this piece.
    Complete {
        /// Bytes taken; those that follow belong to no answer.
        consumed: usize,
    },
}

/// The state of one answer.
#[derive(Debug)]
pub struct ResponseParser {
    to_head_request: bool,
    interim_responses: u32,
    body_bytes: u64,
    head: Option<Head>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The part of a head that came so far (empty and unallocated as a rule).
    Head(Vec<u8>),
    Length(u64),
    Chunks(ChunkDecoder),
    UntilClose,
    Done,
}

impl ResponseParser {
    /// A parser for the answer to one request.
    pub fn new(to_head_request: bool) -> ResponseParser {
        ResponseParser {
            to_head_request,
            interim_responses: 0,
            body_bytes: 0,
            head: None,
            state: State::Head(Vec::new()),
        }
    }

    /// The final head, once it came.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Bytes of the body so far, without framing.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// How the answer is malformed, or which limit it exceeds. The connection is then of no use.
    pub fn feed(
        &mut self,
        piece: &[u8],
        heads: &mut HeadReader,
        sink: &mut impl Sink,
    ) -> Result<Progress, Failure> {
        let mut consumed = 0;
        loop {
            let rest = &piece[consumed..];
            match &mut self.state {
                State::Head(_) => match self.feed_head(rest, heads, sink)? {
                    Some(taken) => consumed += taken,
                    None => return Ok(Progress::More),
                },
                State::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    let done = *left == 0;
                    self.take_body(&rest[..taken], sink)?;
                    consumed += taken;
                    if !done {
                        return Ok(Progress::More);
                    }
                    self.state = State::Done;
                }
                State::Chunks(decoder) => {
                    let step = decoder.feed(rest, heads.limits())?;
                    let done = decoder.is_done();
                    self.take_body(&rest[step.body], sink)?;
                    consumed += step.consumed;
                    if done {
                        self.state = State::Done;
                    } else if consumed == piece.len() {
                        return Ok(Progress::More);
                    }
                }
                State::UntilClose => {
                    self.take_body(rest, sink)?;
                    return Ok(Progress::More);
                }
                State::Done => return Ok(Progress::Complete { consumed }),
            }
        }
    }

    /// Takes the news that the target closed the connection.
    ///
    /// # Errors
    ///
    /// [`Failure::ConnectionReset`] where the answer was not complete, unless what
    /// came of it was malformed.
    pub fn close(&mut self, limits: &Limits) -> Result<(), Failure> {
        match &self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            State::Head(partial) => match parse_head(partial, limits) {
                Err(malformed) => Err(malformed),
                Ok(_) => Err(Failure::ConnectionReset),
            },
            _ => Err(Failure::ConnectionReset),
        }
    }

    /// Whether the connection may carry another request.
    pub fn allows_reuse(&self) -> bool {
        match (&self.head, &self.state) {
            (Some(head), State::Done) => {
                let framed = self.body_framing(head) != Framing::UntilClose;
                head.keep_alive && head.status != 101 && framed
            }
            _ => false,
        }
    }

    fn body_framing(&self, head: &Head) -> Framing {
        head.body_framing(self.to_head_request)
    }

    fn take_body(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.body_bytes += bytes.len() as u64;
        sink.body(bytes)
    }

    /// Bytes taken of this piece where a head ends in it.
    fn feed_head(
        &mut self,
        piece: &[u8],
        heads: &mut HeadReader,
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, Failure> {
        let State::Head(partial) = &mut self.state else {
            return Ok(Some(0));
        };
        if partial.is_empty() {
            return match heads.read(piece)? {
                Some(head) => self
                    .end_head(head, piece, heads.limits(), sink)
                    .map(|()| Some(head.head_bytes)),
                None => {
                    partial.extend_from_slice(piece);
                    Ok(None)
                }
            };
        }
        let before = partial.len();
        let limit = heads.limits().head_bytes;
        let room = limit.saturating_sub(before);
        partial.extend_from_slice(&piece[..piece.len().min(room)]);
        if !may_end_a_head(partial, before) && partial.len() < limit {
            return Ok(None);
        }
        let Some(head) = heads.read(partial)? else {
            return Ok(None);
        };
        let bytes = std::mem::take(partial);
        self.end_head(head, &bytes, heads.limits(), sink)?;
        Ok(Some(head.head_bytes - before))
    }

    fn end_head(
        &mut self,
        head: Head,
        bytes: &[u8],
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        if head.is_interim() {
            self.interim_responses += 1;
            return match self.interim_responses > limits.interim_responses {
                true => Err(Failure::TooManyInterim),
                false => Ok(()),
            };
        }
        self.state = match self.body_framing(&head) {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunks(ChunkDecoder::new()),
            Framing::UntilClose => State::UntilClose,
        };
        sink.head(&head, &bytes[..head.head_bytes]);
        self.head = Some(head);
        Ok(())
    }
}

/// Whether an empty line ends in the bytes from `before` on; the head is parsed
/// again only then, so that one sent byte by byte costs no more than its length.
fn may_end_a_head(partial: &[u8], before: usize) -> bool {
    let tail = &partial[before.saturating_sub(2)..];
    let ends = |window: &[u8]| matches!(window, [b'\n', b'\n', ..] | [b'\n', b'\r', b'\n']);
    tail.windows(3).any(ends) || tail.ends_with(b"\n\n")
}

/// A whole answer parsed at once, for fuzzing and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedResponse {
    /// The final head.
    pub head: Head,
    /// Its headers.
    pub headers: Headers,
    /// The body without framing.
    pub body: Vec<u8>,
    /// Bytes of the input that the answer took.
    pub consumed: usize,
    /// Whether the connection could be used again.
    pub allows_reuse: bool,
}

/// Parses one answer to a GET from these bytes, after which the target closes
/// the connection.
///
/// # Errors
///
/// How the answer is malformed or incomplete, or which limit it exceeds.
pub fn parse_response_bytes(bytes: &[u8]) -> Result<ParsedResponse, Failure> {
    parse_response_pieces([bytes], false, &Limits::default())
}

/// The same for an answer that arrives in pieces, to a request that may be HEAD.
///
/// # Errors
///
/// As [`parse_response_bytes`]; where the pieces are cut makes no difference.
pub fn parse_response_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    to_head_request: bool,
    limits: &Limits,
) -> Result<ParsedResponse, Failure> {
    let mut parser = ResponseParser::new(to_head_request);
    let mut kept = Kept::default();
    let mut heads = HeadReader::new(limits.clone());
    let mut consumed = 0;
    for piece in pieces {
        match parser.feed(piece, &mut heads, &mut kept)? {
            Progress::More => consumed += piece.len(),
            Progress::Complete { consumed: last } => {
                consumed += last;
                break;
            }
        }
    }
    parser.close(limits)?;
    let allows_reuse = parser.allows_reuse();
    let head = parser.head.ok_or(Failure::ConnectionReset)?;
    Ok(ParsedResponse {
        head,
        headers: Headers::from_parsed_head(&kept.head),
        body: kept.body,
        consumed,
        allows_reuse,
    })
}

#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Sink for Kept {
    fn head(&mut self, _: &Head, bytes: &[u8]) {
        self.head = bytes.to_vec();
    }
    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.body.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Limits small enough for a table.
    fn limits() -> Limits {
        Limits {
            head_bytes: 256,
            headers: 8,
            interim_responses: 2,
            chunk_extension_bytes: 16,
            ..Limits::default()
        }
    }

    type Expected = Result<(u16, &'static str, usize, bool), Failure>;

    /// Parses the bytes whole and cut in two at every place, and byte by byte.
    fn check(wire: &str, to_head_request: bool, expected: Expected) {
        let bytes = wire.as_bytes();
        let summary = |pieces: Vec<&[u8]>| {
            parse_response_pieces(pieces, to_head_request, &limits()).map(|response| {
                let body = String::from_utf8_lossy(&response.body).into_owned();
                (
                    response.head.status,
                    body,
                    response.consumed,
                    response.allows_reuse,
                )
            })
        };
        let expected = expected
            .map(|(status, body, left, reuse)| (status, body.into(), bytes.len() - left, reuse));
        assert_eq!(summary(vec![bytes]), expected, "{wire:?} whole");
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(
                summary(vec![first, second]),
                expected,
                "{wire:?} cut at {at}"
            );
        }
        assert_eq!(
            summary(bytes.chunks(1).collect()),
            expected,
            "{wire:?} byte by byte"
        );
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        for (wire, expected) in [
            (
                format!("{OK}Content-Length: 5\r\n\r\nhello"),
                Ok((200, "hello", 0, true)),
            ),
            (
                format!("{OK}Content-Length: 0\r\n\r\n"),
                Ok((200, "", 0, true)),
            ),
            (
                format!("{OK}Content-Length: 2\r\n\r\nhello"),
                Ok((200, "he", 3, true)),
            ),
            (
                format!("{OK}\r\nuntil the end"),
                Ok((200, "until the end", 0, false)),
            ),
            (
                format!("{OK}Connection: close\r\nContent-Length: 1\r\n\r\nx"),
                Ok((200, "x", 0, false)),
            ),
            (
                "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n".into(),
                Ok((204, "", 0, true)),
            ),
            ("HTTP/1.1 304 No\r\n\r\n".into(), Ok((304, "", 0, true))),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx".into(),
                Ok((200, "x", 0, false)),
            ),
            (
                "HTTP/1.1 101 Switch\r\n\r\nraw".into(),
                Ok((101, "", 3, false)),
            ),
            (
                "\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx".into(),
                Ok((200, "x", 0, true)),
            ),
            (
                "HTTP/1.1 200 OK\nContent-Length: 1\n\nx".into(),
                Ok((200, "x", 0, true)),
            ),
        ] {
            check(&wire, false, expected);
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        check(
            &format!("{OK}Content-Length: 5\r\n\r\n"),
            true,
            Ok((200, "", 0, true)),
        );
        check(CHUNKED, true, Ok((200, "", 0, true)));
        check(&format!("{OK}\r\n"), true, Ok((200, "", 0, true)));
    }

    #[test]
    fn chunks_are_joined_and_their_framing_is_checked() {
        for (body, expected) in [
            ("5\r\nhello\r\n0\r\n\r\n", Ok((200, "hello", 0, true))),
            (
                "5\r\nhello\r\n06\r\n world\r\n0\r\n\r\nrest",
                Ok((200, "hello world", 4, true)),
            ),
            (
                "A\r\n0123456789\r\n0\r\n\r\n",
                Ok((200, "0123456789", 0, true)),
            ),
            ("1;a=b;c\r\nx\r\n0;d\r\n\r\n", Ok((200, "x", 0, true))),
            ("1 \t\r\nx\r\n0 \r\n\r\n", Ok((200, "x", 0, true))),
            (
                "1\r\nx\r\n0\r\nDigest: abc\r\nB:\r\n\r\n",
                Ok((200, "x", 0, true)),
            ),
            ("0\r\n\r\n", Ok((200, "", 0, true))),
            ("", Err(Failure::ConnectionReset)),
            ("3\r\nab", Err(Failure::ConnectionReset)),
            ("1\r\nx\r\n0\r\n", Err(Failure::ConnectionReset)),
            ("zz\r\n", Err(Failure::BadChunkSize)),
            ("\r\nx", Err(Failure::BadChunkSize)),
            ("-1\r\n", Err(Failure::BadChunkSize)),
            ("1 1\r\n", Err(Failure::BadChunkSize)),
            ("fffffffffffffffff\r\n", Err(Failure::BadChunkSize)),
            ("1\nx", Err(Failure::BadLineEnd)),
            ("1\r\nx\n0\r\n\r\n", Err(Failure::BadLineEnd)),
            ("1\r\nxy\r\n", Err(Failure::BadChunkEnd)),
            (
                "1;0123456789abcdef0\r\nx",
                Err(Failure::ChunkExtensionsTooLarge),
            ),
            ("0\r\nnocolon\r\n\r\n", Err(Failure::BadHeader)),
            ("0\r\n: x\r\n\r\n", Err(Failure::BadHeader)),
            ("0\r\na: x\0\r\n\r\n", Err(Failure::BadHeader)),
        ] {
            check(&format!("{CHUNKED}{body}"), false, expected);
        }
        let endless = format!("{CHUNKED}0\r\na: {}", "x".repeat(300));
        check(&endless, false, Err(Failure::HeadTooLarge));
    }

    #[test]
    fn interim_answers_are_skipped_up_to_the_limit() {
        let interim = "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        check(&format!("{interim}{last}"), false, Ok((200, "ok", 0, true)));
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n";
        check(
            &format!("{interim}{early}{last}"),
            false,
            Ok((200, "ok", 0, true)),
        );
        check(
            &format!("{interim}{interim}{early}{last}"),
            false,
            Err(Failure::TooManyInterim),
        );
        check(interim, false, Err(Failure::ConnectionReset));
    }

    #[test]
    fn incomplete_and_malformed_answers_fail_by_name() {
        for (wire, failure) in [
            (String::new(), Failure::ConnectionReset),
            ("HTTP/1.1 20".into(), Failure::ConnectionReset),
            (
                format!("{OK}Content-Length: 5\r\n\r\nhell"),
                Failure::ConnectionReset,
            ),
            ("SSH-2.0-x\r\n".into(), Failure::NotHttp),
            ("HTTP/2.0 200 OK\r\n\r\n".into(), Failure::BadVersion),
            (format!("{OK}no colon\r\n\r\n"), Failure::BadHeader),
            (format!("{OK}a: b\r\n c\r\n\r\n"), Failure::BadHeader),
            (
                format!("{OK}a: {}\r\n\r\n", "x".repeat(300)),
                Failure::HeadTooLarge,
            ),
            (
                format!("{OK}{}\r\n", "a: b\r\n".repeat(9)),
                Failure::HeadTooLarge,
            ),
        ] {
            check(&wire, false, Err(failure));
        }
    }

    /// An answer made from its parts, with what has to come out.
    #[derive(Debug, Clone)]
    struct Made {
        wire: Vec<u8>,
        status: u16,
        body: Vec<u8>,
        reuse: bool,
    }

    fn made() -> impl Strategy<Value = Made> {
        let header = ("x-[a-z]{1,12}", "[ -~]{0,20}");
        let headers = prop::collection::vec(header, 0..6);
        let body = prop::collection::vec(any::<u8>(), 0..300);
        let chunk_bytes = prop::collection::vec(1..40usize, 0..20);
        (
            200..600u16,
            headers,
            body,
            chunk_bytes,
            0..3u8,
            any::<bool>(),
        )
            .prop_map(|(status, headers, body, chunk_bytes, framing, close)| {
                let mut wire = format!("HTTP/1.1 {status} Any\r\n").into_bytes();
                for (name, value) in &headers {
                    wire.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                if close {
                    wire.extend_from_slice(b"Connection: close\r\n");
                }
                let empty = matches!(status, 204 | 304);
                let body = if empty { Vec::new() } else { body };
                frame(&mut wire, framing, &body, &chunk_bytes);
                let reuse = !close && (framing != 2 || empty);
                Made {
                    wire,
                    status,
                    body,
                    reuse,
                }
            })
    }

    fn frame(wire: &mut Vec<u8>, framing: u8, body: &[u8], chunk_bytes: &[usize]) {
        match framing {
            0 => {
                wire.extend_from_slice(
                    format!("content-length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                wire.extend_from_slice(body);
            }
            1 if !body.is_empty() => {
                wire.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                let mut rest = body;
                for size in chunk_bytes.iter().chain(std::iter::repeat(&body.len())) {
                    let (chunk, after) = rest.split_at(rest.len().min(*size));
                    wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                    rest = after;
                    if chunk.is_empty() {
                        return;
                    }
                    if rest.is_empty() {
                        break;
                    }
                }
                wire.extend_from_slice(b"0\r\n\r\n");
            }
            1 => wire.extend_from_slice(b"content-length: 0\r\n\r\n"),
            _ => {
                wire.extend_from_slice(b"\r\n");
                wire.extend_from_slice(body);
            }
        }
    }

    proptest! {
        #[test]
        fn a_made_answer_comes_out_as_it_went_in(made in made(), cuts in prop::collection::vec(1..60usize, 0..12)) {
            let mut pieces = Vec::new();
            let mut rest = &made.wire[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(rest.len().min(cut));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let parsed = parse_response_pieces(pieces, false, &Limits::default());
            let parsed = parsed.map(|it| (it.head.status, it.body, it.allows_reuse));
            prop_assert_eq!(parsed, Ok((made.status, made.body, made.reuse)));
        }

        #[test]
        fn any_bytes_give_the_same_however_cut(
            tail in prop::collection::vec(any::<u8>(), 0..200),
            prefix in 0..5usize,
            cut in 0..300usize,
        ) {
            let prefixes = ["", OK, CHUNKED, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "HTTP/1."];
            let mut wire = prefixes[prefix].as_bytes().to_vec();
            wire.extend_from_slice(&tail);
            let (first, second) = wire.split_at(cut.min(wire.len()));
            let whole = parse_response_pieces([&wire[..]], false, &limits());
            let parts = parse_response_pieces([first, second], false, &limits());
            prop_assert_eq!(whole, parts);
        }
    }
}

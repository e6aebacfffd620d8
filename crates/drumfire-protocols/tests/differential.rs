//! The parser beside hyper's: where both take an answer they must agree on its
//! status, its body and its end, for well-formed answers and for damaged ones.

use bytes::Bytes;
use drumfire_protocols::parse_response_bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use proptest::prelude::*;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A connection whose peer answers the first request with these bytes and closes.
struct Scripted {
    answer: Vec<u8>,
    read: usize,
    asked: bool,
    reader: Option<Waker>,
}

impl Read for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let rest = &self.answer[self.read..];
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.read += taken;
        Poll::Ready(Ok(()))
    }
}

impl Write for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Parsed = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// What hyper makes of the answer; none where it refuses it.
fn by_hyper(answer: &[u8]) -> Option<Parsed> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let io = Scripted {
            answer: answer.to_vec(),
            read: 0,
            asked: false,
            reader: None,
        };
        let (mut sender, connection) = http1::handshake(io).await.expect("a connection");
        tokio::spawn(connection);
        let request = http::Request::get("/")
            .header("host", "a")
            .body(Empty::<Bytes>::new());
        let response = sender
            .send_request(request.expect("a request"))
            .await
            .ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        let mut headers: Vec<(String, Vec<u8>)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect();
        headers.sort();
        Some((head.status.as_u16(), headers, body))
    })
}

fn by_us(answer: &[u8]) -> Option<Parsed> {
    let parsed = parse_response_bytes(answer).ok()?;
    let mut headers: Vec<(String, Vec<u8>)> = parsed
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
        .collect();
    headers.sort();
    Some((parsed.head.status, headers, parsed.body))
}

/// The pieces of which answers are made; most combinations are well-formed.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let interim = prop::sample::select(vec!["", "", "", "HTTP/1.1 103 Hints\r\nlink: a\r\n\r\n"]);
    let start = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 404 \r\n",
        "HTTP/1.1 500\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 None\r\n",
        "HTTP/1.1 304 Same\r\n",
    ]);
    let header = prop::sample::select(vec![
        "X-Empty:\r\n",
        "x-a: b\r\n",
        "X-A:  c \t\r\n",
        "Set-Cookie: a=b; Path=/\r\n",
        "x-bytes: \u{e4}\u{20ac}\r\n",
        "Connection: close\r\n",
        "Connection: Keep-Alive\r\n",
    ]);
    let headers = prop::collection::vec(header, 0..4).prop_map(|lines| lines.concat());
    let framed = prop::sample::select(vec![
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 0\r\n\r\n",
        "content-length:5\r\n\r\nhello world",
        "Content-Length: 9\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n003;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "\r\nuntil the end",
    ]);
    (interim, start, headers, framed).prop_map(|(interim, start, headers, framed)| {
        [interim, start, &headers, framed].concat().into_bytes()
    })
}

/// A change of one byte, a removal, or a doubling.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"\r\n \t:;,0123456789abcdefxX\0\x80".to_vec());
    (answer(), any::<prop::sample::Index>(), byte, 0..3u8).prop_map(
        |(mut answer, at, byte, how)| {
            let at = at.index(answer.len());
            match how {
                0 => answer[at] = byte,
                1 => drop(answer.remove(at)),
                _ => answer.insert(at, byte),
            }
            answer
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn made_answers_are_taken_alike(answer in answer()) {
        // Chunks in HTTP/1.0: Node takes them, and so do we; hyper does not.
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        if text.contains("http/1.0") && text.contains("transfer-encoding") {
            return Ok(());
        }
        prop_assert_eq!(by_us(&answer), by_hyper(&answer), "{:?}", String::from_utf8_lossy(&answer));
    }

    #[test]
    fn damaged_answers_are_never_taken_differently(answer in damaged()) {
        if let (Some(ours), Some(hypers)) = (by_us(&answer), by_hyper(&answer)) {
            prop_assert_eq!(ours, hypers, "{:?}", String::from_utf8_lossy(&answer));
        }
    }
}

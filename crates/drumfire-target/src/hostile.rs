//! Answers that no well-behaved server gives. Those that HTTP can frame are bodies like any
//! other; the rest are attacks, performed on the bare wire after hyper has let go of it.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use futures_util::{StreamExt, stream};
use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use rand_xoshiro::Xoshiro256PlusPlus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::routes::{Body, Query, Refusal, Reply, whole, with_header};
use crate::server::Target;
use crate::wire::Wire;

type Answer = Result<Reply, Refusal>;

/// Bytes of the huge body, of the unpacked bomb, and of everything called endless.
const HUGE_BYTES: u64 = 1 << 30;

/// The piece in which huge things are sent.
const PIECE_BYTES: usize = 1 << 20;

/// The most that `?bytes=` may ask for.
const BYTES_LIMIT: u64 = 1 << 40;

const DRIP_BYTES: u64 = 1_000;
const DRIP_INTERVAL_MS: u64 = 100;
const DRIP_INTERVAL_LIMIT_MS: u64 = 60_000;

/// How long a cut body is given to reach the client before the reset throws it away.
const FLIGHT: Duration = Duration::from_millis(20);

/// What is done to a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attack {
    /// Resets it.
    Reset,
    /// Sends these bytes, then does that.
    Send(&'static str, After),
    /// Sends the first bytes, then the second again and again.
    Flood(&'static str, &'static str),
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It goes on with the next request.
    KeepAlive,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
}

impl Attack {
    /// Whether the attack also makes sense on a connection that carries other requests.
    pub(crate) fn cuts_the_connection(&self) -> bool {
        match self {
            Attack::Reset => true,
            Attack::Send(_, after) => *after != After::KeepAlive,
            Attack::Flood(..) => false,
        }
    }

    pub(crate) async fn perform(self, wire: &mut Wire) -> io::Result<After> {
        match self {
            Attack::Reset => Ok(After::Reset),
            Attack::Send(bytes, after) => {
                wire.write_all(bytes.as_bytes()).await?;
                wire.flush().await?;
                if after == After::Reset {
                    tokio::time::sleep(FLIGHT).await;
                }
                Ok(after)
            }
            Attack::Flood(head, again) => {
                wire.write_all(head.as_bytes()).await?;
                flood(wire, again).await?;
                Ok(After::Close)
            }
        }
    }
}

/// Repeats a text up to the limit, or until the peer has closed its side or reset.
async fn flood(wire: &mut Wire, again: &str) -> io::Result<()> {
    let piece = again.repeat((PIECE_BYTES / 16) / again.len());
    let (mut reading, mut writing) = tokio::io::split(wire);
    let send = async {
        for _ in 0..HUGE_BYTES / piece.len() as u64 {
            writing.write_all(piece.as_bytes()).await?;
        }
        Ok(())
    };
    let mut ignored = [0; 1024];
    let peer_closed = async { while matches!(reading.read(&mut ignored).await, Ok(1..)) {} };
    tokio::select! {
        sent = send => sent,
        () = peer_closed => Ok(()),
    }
}

fn seize(attack: Attack) -> Answer {
    Ok(Reply::Seize(attack))
}

pub(crate) fn reset(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Reset)
}

pub(crate) fn close(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send("", After::Close))
}

pub(crate) fn reset_mid_body(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this much",
        After::Reset,
    ))
}

pub(crate) fn close_mid_body(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this much",
        After::Close,
    ))
}

pub(crate) fn eof(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis ends with the connection\n",
        After::Close,
    ))
}

pub(crate) fn early_hints(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"hinted\":true}",
        After::KeepAlive,
    ))
}

pub(crate) fn garbage(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "\u{1}\u{2}\u{3} this is no HTTP, \r\n\r\n nor is this\n",
        After::Close,
    ))
}

pub(crate) fn bad_chunks(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\nworld\r\n0\r\n\r\n",
        After::Close,
    ))
}

pub(crate) fn chunk_overflow(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        After::Close,
    ))
}

pub(crate) fn conflicting_length(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\nhelloworld",
        After::Close,
    ))
}

pub(crate) fn negative_length(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Send(
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        After::Close,
    ))
}

pub(crate) fn endless_headers(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Flood(
        "HTTP/1.1 200 OK\r\n",
        "X-More: and more and more and more and more and more\r\n",
    ))
}

pub(crate) fn interim_flood(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    seize(Attack::Flood("", "HTTP/1.1 100 Continue\r\n\r\n"))
}

pub(crate) fn never(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    Ok(Reply::Silence)
}

pub(crate) fn huge_body(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let length = query.number("bytes", HUGE_BYTES, BYTES_LIMIT)?;
    let piece = Bytes::from(vec![b'x'; PIECE_BYTES]);
    let pieces = (0..length.div_ceil(PIECE_BYTES as u64)).map(move |index| {
        let left = length - index * PIECE_BYTES as u64;
        piece.slice(..PIECE_BYTES.min(left as usize))
    });
    Ok(Reply::Now(of_length(length, stream::iter(pieces))))
}

pub(crate) fn slow_drip(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let length = query.number("bytes", DRIP_BYTES, BYTES_LIMIT)?;
    let interval_ms = query.number("interval_ms", DRIP_INTERVAL_MS, DRIP_INTERVAL_LIMIT_MS)?;
    let interval = Duration::from_millis(interval_ms);
    let drops = stream::iter(0..length).then(move |_| async move {
        tokio::time::sleep(interval).await;
        Bytes::from_static(b".")
    });
    Ok(Reply::Now(of_length(length, drops)))
}

pub(crate) fn bad_gzip(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let answer = whole("text/plain", "this says it is gzip, and is not");
    Ok(Reply::Now(with_header(answer, CONTENT_ENCODING, "gzip")))
}

pub(crate) fn truncated_gzip(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let pieces = zeros_packed(PIECE_BYTES as u64)?;
    let packed = pieces.concat();
    let half = packed[..packed.len() / 2].to_vec();
    let answer = whole("text/plain", half);
    Ok(Reply::Now(with_header(answer, CONTENT_ENCODING, "gzip")))
}

pub(crate) fn gzip_bomb(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let pieces = zeros_packed(HUGE_BYTES)?;
    let length = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
    let answer = of_length(length, stream::iter(pieces));
    Ok(Reply::Now(with_header(answer, CONTENT_ENCODING, "gzip")))
}

/// A body of known length whose pieces come when they come.
fn of_length(
    length: u64,
    pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static,
) -> Response<Body> {
    let frames = pieces.map(|piece| Ok::<_, io::Error>(Frame::data(piece)));
    let body = StreamBody::new(frames).boxed_unsync();
    let mut answer = whole("application/octet-stream", "").map(|_| body);
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

/// `length` zeros (whole pieces) as one gzip member, made from one packed piece: after a full
/// flush the packer's output stands at a byte boundary and refers to nothing before it, so the
/// same bytes can follow themselves.
fn zeros_packed(length: u64) -> Result<Vec<Bytes>, Refusal> {
    let count = length / PIECE_BYTES as u64;
    let piece = packed_piece().map_err(|error| Refusal::new(format!("cannot pack: {error}")))?;
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let last_block = [0x03, 0x00];
    let check = zeros_crc(count).to_le_bytes();
    let length = (length as u32).to_le_bytes();
    let tail = [&last_block[..], &check, &length].concat();
    let middle = (0..count).map(|_| piece.clone());
    Ok(std::iter::once(Bytes::copy_from_slice(&head))
        .chain(middle)
        .chain([Bytes::from(tail)])
        .collect())
}

fn packed_piece() -> io::Result<Bytes> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![0; PIECE_BYTES])?;
    packer.flush()?;
    Ok(Bytes::copy_from_slice(packer.get_ref()))
}

/// The CRC of `count` pieces of zeros.
fn zeros_crc(count: u64) -> u32 {
    let mut piece = Crc::new();
    piece.update(&vec![0; PIECE_BYTES]);
    let mut all = Crc::new();
    for _ in 0..count {
        all.combine(&piece);
    }
    all.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_bomb_is_valid_gzip() {
        let length = 5 * PIECE_BYTES as u64;
        let packed = zeros_packed(length).expect("packed").concat();
        assert!(packed.len() < 10_000, "{}", packed.len());
        let mut zeros = flate2::read::GzDecoder::new(&packed[..]);
        let mut unpacked = Vec::new();
        zeros.read_to_end(&mut unpacked).expect("the check holds");
        assert_eq!(unpacked.len() as u64, length);
        assert!(unpacked.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn only_cuts_are_for_shared_connections() {
        assert!(Attack::Reset.cuts_the_connection());
        assert!(Attack::Send("", After::Close).cuts_the_connection());
        assert!(!Attack::Send("", After::KeepAlive).cuts_the_connection());
        assert!(!Attack::Flood("", "").cuts_the_connection());
    }
}

//! What is asked of one exchange and what comes of it.

use crate::{Failure, Headers};
use bytes::Bytes;
use drumfire_metrics::Sample;
use std::time::Duration;

/// No limit, as a span of time in nanoseconds.
const NEVER_NS: u64 = u64::MAX;

/// What a step reads of the answer; all else is counted and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Whether it reads headers. Where the answer has `Set-Cookie`, `Location`
    /// or `Content-Encoding`, the headers are there without being asked for.
    pub headers: bool,
    /// What it reads of the body.
    pub body: Body,
}

/// What a step reads of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Nothing: the bytes are counted where they arrive.
    #[default]
    Discard,
    /// The bytes as received.
    Keep,
    /// The bytes with their `Content-Encoding` undone.
    KeepDecoded,
}

/// How long the parts of an exchange may take, in nanoseconds each; `u64::MAX`
/// where they may take for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to an open connection: name lookup, connect, TLS.
    pub connect_ns: u64,
    /// From the request wholly written to the head of the answer.
    pub response_ns: u64,
    /// Between two reads of the answer's body.
    pub idle_ns: u64,
    /// From the start to the last byte of the answer.
    pub total_ns: u64,
}

impl Timeouts {
    /// No limits at all.
    pub const NEVER: Timeouts = Timeouts {
        connect_ns: NEVER_NS,
        response_ns: NEVER_NS,
        idle_ns: NEVER_NS,
        total_ns: NEVER_NS,
    };

    /// The limits of Artillery for this `http.timeout`: none on connecting and
    /// none in total, and never less than 8 s between two reads.
    pub fn artillery(http_timeout: Duration) -> Timeouts {
        let response_ns = u64::try_from(http_timeout.as_nanos()).unwrap_or(NEVER_NS);
        Timeouts {
            response_ns,
            idle_ns: response_ns.max(8_000_000_000),
            ..Timeouts::NEVER
        }
    }
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When it happened, how long its parts took, how it ended.
    pub sample: Sample,
    /// The answer, where a step wants something of it or it has a header of consequence.
    pub response: Option<Response>,
    /// Why it failed, if it did; the sample has its code.
    pub failure: Option<Failure>,
}

/// The part of an answer that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The version of HTTP.
    pub version: Version,
    /// The headers.
    pub headers: Headers,
    /// The body, empty unless asked for.
    pub body: Bytes,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

//! One timed observation of one request, as a protocol client hands it to the
//! recorder.

/// A stable, short code of a failed exchange, as it appears in `errors.<code>`
/// (`ECONNREFUSED`, `ETIMEDOUT`, …).
pub type ErrorCode = std::borrow::Cow<'static, str>;

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer with this status code.
    Status(u16),
    /// An answer whose head came and whose body failed: both are counted.
    Broken(u16, ErrorCode),
    /// No answer.
    Error(ErrorCode),
}

/// Times of the parts of an exchange, in nanoseconds; zero where a part did
/// not happen (a connection that was reused has no lookup, connect or TLS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name lookup.
    pub dns_ns: u64,
    /// TCP connect.
    pub connect_ns: u64,
    /// TLS handshake.
    pub tls_ns: u64,
    /// From the request wholly written to the first byte of the answer's head.
    pub first_byte_ns: u64,
}

/// One request: when it should have started, when it did, how it ended.
///
/// All times are nanoseconds of one monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When the schedule or the previous step made the request due.
    pub intended_ns: u64,
    /// When the client began to work on it: connecting, or writing the request. Waiting for a
    /// place in a pool comes before.
    pub start_ns: u64,
    /// When the last byte of the answer was read, or the error was known.
    pub end_ns: u64,
    /// Where the time went.
    pub phases: Phases,
    /// Whether a new connection was opened for it.
    pub connected: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the body as received.
    pub body_bytes: u64,
    /// Bytes of the request as sent.
    pub sent_bytes: u64,
}

impl Sample {
    /// Service time: from the start of the work to the last byte.
    pub fn service_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// What a user would have waited: from the intended start to the last byte.
    pub fn intended_latency_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.intended_ns)
    }
}

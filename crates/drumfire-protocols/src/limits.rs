//! The limits within which a target may answer; each has a name, a unit and a
//! failure of its own.

/// Limits on what a target sends, so that a hostile one cannot use up memory or
/// time. A body that nobody reads has no limit: it is counted and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one head (status line and headers), and of the trailers of one answer.
    pub head_bytes: usize,
    /// Headers of one head.
    pub headers: usize,
    /// Interim (1xx) answers before the final one.
    pub interim_responses: u32,
    /// Bytes of chunk extensions in one answer.
    pub chunk_extension_bytes: usize,
    /// Bytes of a body that a step reads, as received.
    pub kept_body_bytes: usize,
    /// Bytes of a body after its content coding is undone.
    pub decoded_body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes: 64 * 1024,
            headers: 1024,
            interim_responses: 64,
            chunk_extension_bytes: 16 * 1024,
            kept_body_bytes: 32 * 1024 * 1024,
            decoded_body_bytes: 64 * 1024 * 1024,
        }
    }
}

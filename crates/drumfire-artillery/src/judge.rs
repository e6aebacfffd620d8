//! What is made of an answer: captures and matches, expectations, apdex.

use drumfire_protocols::{Headers, Wants};

use crate::session::{Failed, Session};

/// The last answer to a request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a Headers,
    pub(crate) body: &'a [u8],
    /// From the start of the exchange to the last byte.
    pub(crate) total_ns: u64,
}

/// How the answers to one request are judged.
#[derive(Default)]
pub(crate) struct Judge {
    wants: Wants,
}

impl Judge {
    /// What must be kept of the answer.
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    pub(crate) fn judge(&self, _session: &Session<'_>, answer: &Answer<'_>) -> Result<(), Failed> {
        let _ = (answer.status, answer.headers, answer.body, answer.total_ns);
        Ok(())
    }
}

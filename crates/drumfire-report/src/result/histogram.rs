//! A histogram in the result file: its counts in HDR V2 as base64, beside what
//! that encoding does not hold.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use drumfire_metrics as metrics;
use serde::{Deserialize, Serialize};

/// A histogram that was checked when it was read, so that a broken one is
/// refused with its place in the file.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(super) struct Histogram(metrics::Histogram);

/// As it stands in the file.
#[derive(Default, Serialize, Deserialize)]
struct Written {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    /// Values above the largest that is told apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    saturated: u64,
    hdr: String,
}

/// Why a histogram was refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("histogram: {0}")]
    Base64(base64::DecodeError),
    #[error("histogram: {0}")]
    Content(metrics::DecodeError),
    #[error("histogram: count {said} beside {found} values")]
    Count { said: u64, found: u64 },
}

impl Histogram {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&metrics::Histogram> for Histogram {
    fn from(histogram: &metrics::Histogram) -> Self {
        Self(histogram.clone())
    }
}

impl From<Histogram> for metrics::Histogram {
    fn from(histogram: Histogram) -> Self {
        histogram.0
    }
}

impl From<Histogram> for Written {
    fn from(Histogram(histogram): Histogram) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.count(),
            min: histogram.min(),
            max: histogram.max(),
            sum: histogram.sum(),
            saturated: histogram.saturated(),
            hdr: BASE64.encode(histogram.encode_v2()),
        }
    }
}

impl TryFrom<Written> for Histogram {
    type Error = Refusal;

    /// Packs at once, so that memory stays in proportion to the file.
    fn try_from(written: Written) -> Result<Self, Refusal> {
        if written.count == 0 && written.hdr.is_empty() {
            return Ok(Self::default());
        }
        let bytes = BASE64.decode(&written.hdr).map_err(Refusal::Base64)?;
        let mut histogram = metrics::Histogram::decode_v2(&bytes).map_err(Refusal::Content)?;
        if histogram.count() != written.count {
            return Err(Refusal::Count {
                said: written.count,
                found: histogram.count(),
            });
        }
        histogram
            .restore(written.min, written.max, written.sum, written.saturated)
            .map_err(Refusal::Content)?;
        histogram.pack();
        Ok(Self(histogram))
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

//! A snapshot flattened into named counters, rates and histograms: the names
//! of Artillery, byte for byte, which are Drumfire's own too.

use crate::{Histogram, Snapshot};
use std::collections::BTreeMap;

/// What a report lists: `http.requests`, `http.response_time`, ….
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedMetrics {
    /// Counters.
    pub counters: BTreeMap<String, u64>,
    /// Events of each rate in the interval; divide by its seconds.
    pub rates: BTreeMap<String, u64>,
    /// Histograms in microseconds (durations) or plain numbers; the factor turns the
    /// recorded unit into the shown one (0.001 for milliseconds, 1 for numbers).
    pub histograms: BTreeMap<String, (f64, Histogram)>,
}

impl NamedMetrics {
    /// Flattens a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        todo!("{snapshot:?}")
    }
    /// One number by name: a counter, a rate, or `<histogram>.<statistic>`
    /// with min, max, count, mean, median or p followed by digits (p95, p999).
    pub fn value(&self, name: &str, seconds: f64) -> Option<f64> {
        todo!("{name} {seconds}")
    }
}

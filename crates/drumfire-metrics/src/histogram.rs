//! A log-linear histogram with three significant digits (the bucketing of
//! HdrHistogram), its memory allocated in pages only where values fall.

/// Counts of values, lossless under merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {}

impl Histogram {
    /// An empty histogram; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }
    /// Counts `n` equal values.
    pub fn record_n(&mut self, value: u64, n: u64) {
        todo!("{value} {n}")
    }
    /// Adds all of another's counts; associative and commutative.
    pub fn merge(&mut self, other: &Histogram) {
        todo!("{other:?}")
    }
    /// Number of values.
    pub fn count(&self) -> u64 {
        todo!()
    }
    /// Smallest value, exact; zero when empty.
    pub fn min(&self) -> u64 {
        todo!()
    }
    /// Largest value, exact; zero when empty.
    pub fn max(&self) -> u64 {
        todo!()
    }
    /// Exact mean (the sum is kept); zero when empty.
    pub fn mean(&self) -> f64 {
        todo!()
    }
    /// The value below which `quantile` (0 to 1) of the values lie.
    pub fn quantile(&self, quantile: f64) -> u64 {
        todo!("{quantile}")
    }
    /// How many values lie at or below `value`'s bucket.
    pub fn count_at_or_below(&self, value: u64) -> u64 {
        todo!("{value}")
    }
    /// Non-empty buckets: lowest value, highest value, count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        std::iter::empty()
    }
    /// The HdrHistogram V2 encoding (uncompressed), readable by its libraries.
    pub fn encode_v2(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads the V2 encoding; bounded memory on hostile input.
    pub fn decode_v2(bytes: &[u8]) -> Result<Self, String> {
        todo!("{bytes:?}")
    }
}

//! Thresholds passed or failed, and whether the measurement itself can be
//! trusted.

/// One threshold as judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdOutcome {
    /// As the script says it (`http.response_time.p95 < 200`).
    pub text: String,
    /// Whether it held.
    pub passed: bool,
    /// A failed strict threshold fails the run.
    pub strict: bool,
    /// The measured value, none where the metric is missing.
    pub value: Option<f64>,
    /// When it ended the run, microseconds since the run's start.
    pub aborted_at_us: Option<u64>,
}

/// Why the generator was the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaturationCause {
    /// Arrivals started late.
    Late,
    /// Timers of the event loop fired late.
    LoopLag,
    /// A shard had no processor time left.
    Processor,
    /// No file descriptor was left.
    Descriptors,
    /// No local port was left.
    Ports,
}

/// A stretch of the run in which the generator was the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Saturation {
    /// Why.
    pub cause: SaturationCause,
    /// Start, microseconds since the run's start.
    pub start_us: u64,
    /// End.
    pub end_us: u64,
    /// Worst p99 of the cause in the stretch, in microseconds (late, lag), or a count.
    pub worst: u64,
}

/// The judgement of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Thresholds in the order of the script.
    pub thresholds: Vec<ThresholdOutcome>,
    /// Stretches in which the generator was the limit.
    pub saturations: Vec<Saturation>,
    /// Notes a reader must see ("planned 100 = started 90 + dropped 9" is a broken invariant).
    pub notes: Vec<String>,
}

impl Verdict {
    /// Whether every strict threshold held.
    pub fn passed(&self) -> bool {
        self.thresholds.iter().all(|t| t.passed || !t.strict)
    }
    /// Whether the generator was never the limit.
    pub fn trustworthy(&self) -> bool {
        self.saturations.is_empty()
    }
}

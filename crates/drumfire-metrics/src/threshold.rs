//! What became of the limits that a script sets on its results.

/// A threshold that ended a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Which of the thresholds, counted from zero.
    pub threshold: usize,
    /// When, microseconds since the run's start.
    pub at_us: u64,
}

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

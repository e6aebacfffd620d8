//! `apdex`: how many answers satisfied, by their total time.

use drumfire_metrics::NamedMetrics;

use crate::javascript;
use crate::script::Apdex;

/// The counters of the plugin; all of them are there, if with 0, once an answer has come.
pub const COUNTERS: [&str; 3] = ["apdex.satisfied", "apdex.tolerated", "apdex.frustrated"];

/// How often the threshold an answer may take and still be tolerated.
const TOLERATED_FACTOR: f64 = 4.0;

/// The scores from which on a ranking is earned.
const RANKINGS: [(f64, &str); 5] = [
    (0.94, "excellent"),
    (0.85, "good"),
    (0.7, "fair"),
    (0.49, "poor"),
    (0.0, "unacceptable"),
];

/// How an answer counts: an index into [`COUNTERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Satisfaction {
    /// It took no longer than the threshold.
    Satisfied = 0,
    /// It took no longer than four times the threshold.
    Tolerated = 1,
    /// It took longer.
    Frustrated = 2,
}

impl Satisfaction {
    /// The counter to add 1 to.
    pub fn counter(self) -> &'static str {
        COUNTERS[self as usize]
    }
}

impl Apdex {
    /// How an answer counts that took `total_ns` nanoseconds from the request's start to the last
    /// byte of the body.
    pub fn satisfaction(&self, total_ns: u64) -> Satisfaction {
        let total_ms = total_ns as f64 / 1e6;
        if total_ms <= self.threshold_ms {
            Satisfaction::Satisfied
        } else if total_ms <= self.threshold_ms * TOLERATED_FACTOR {
            Satisfaction::Tolerated
        } else {
            Satisfaction::Frustrated
        }
    }
}

/// The score of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// From 0 (nobody) to 1 (everybody is satisfied).
    pub score: f64,
    /// What the score is called.
    pub ranking: &'static str,
}

impl Score {
    /// The score of `metrics`; `None` when no answer came.
    pub fn of(metrics: &NamedMetrics) -> Option<Score> {
        let [satisfied, tolerated, frustrated] =
            COUNTERS.map(|name| metrics.counters.get(name).copied().unwrap_or(0) as f64);
        let total = satisfied + tolerated + frustrated;
        if total == 0.0 {
            return None;
        }
        let score = (satisfied + tolerated / 2.0) / total;
        let (_, ranking) = RANKINGS
            .into_iter()
            .find(|(least, _)| score >= *least)
            .unwrap_or(RANKINGS[4]);
        Some(Score { score, ranking })
    }

    /// The line that ends the console report, after an empty one.
    pub fn line(&self) -> String {
        let score = javascript::float_text(self.score);
        format!("Apdex score: {score} ({})", self.ranking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_by_their_time() {
        let apdex = Apdex {
            threshold_ms: 100.0,
        };
        for (total_ns, expected) in [
            (0, "apdex.satisfied"),
            (100_000_000, "apdex.satisfied"),
            (100_000_001, "apdex.tolerated"),
            (400_000_000, "apdex.tolerated"),
            (400_000_001, "apdex.frustrated"),
        ] {
            assert_eq!(
                apdex.satisfaction(total_ns).counter(),
                expected,
                "{total_ns}"
            );
        }
    }

    #[test]
    fn scores_have_names() {
        for (counts, expected) in [
            ([10, 0, 0], Some("Apdex score: 1 (excellent)")),
            ([94, 0, 6], Some("Apdex score: 0.94 (excellent)")),
            ([8, 1, 1], Some("Apdex score: 0.85 (good)")),
            ([2, 1, 0], Some("Apdex score: 0.8333333333333334 (fair)")),
            ([1, 0, 1], Some("Apdex score: 0.5 (poor)")),
            ([0, 1, 3], Some("Apdex score: 0.125 (unacceptable)")),
            ([0, 0, 0], None),
        ] {
            let mut metrics = NamedMetrics::default();
            for (name, count) in COUNTERS.into_iter().zip(counts) {
                metrics.counters.insert(name.to_owned(), count);
            }
            let line = Score::of(&metrics).map(|score| score.line());
            assert_eq!(line.as_deref(), expected, "{counts:?}");
        }
    }
}

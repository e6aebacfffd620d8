//! Limits that a script sets on its results, judged at the end and, where
//! asked, while the run goes on.

use crate::NamedMetrics;
use std::fmt;

/// One limit on one number.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdRule {
    /// As the script says it (`http.response_time.p95 < 200`).
    pub text: String,
    /// The number, a name that [`NamedMetrics::value`] knows.
    pub metric: String,
    /// How the number has to stand to the limit.
    pub comparison: Comparison,
    /// The limit, in the unit that the metric is shown in.
    pub limit: f64,
    /// Whether a miss fails the run; otherwise it is only reported.
    pub strict: bool,
    /// Whether a miss ends the run early.
    pub abort_on_fail: bool,
    /// How long after the run's start a miss may not yet end it, in microseconds.
    pub delay_abort_us: u64,
}

/// How a measured number has to stand to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// A threshold that ended a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Which of the rules, counted from zero.
    pub rule: usize,
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

/// The first rule whose miss ends the run now, `now_us` after its start, given
/// everything measured in its `seconds` so far. A number that is not there yet ends
/// nothing.
pub fn first_abort(
    rules: &[ThresholdRule],
    so_far: &NamedMetrics,
    seconds: f64,
    now_us: u64,
) -> Option<Abort> {
    let aborts = |rule: &ThresholdRule| {
        rule.abort_on_fail
            && now_us >= rule.delay_abort_us
            && so_far
                .value(&rule.metric, seconds)
                .is_some_and(|value| !rule.holds(value))
    };
    let rule = rules.iter().position(aborts)?;
    Some(Abort {
        rule,
        at_us: now_us,
    })
}

impl ThresholdRule {
    /// Whether `value` keeps to the limit; NaN never does.
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.limit)
    }

    /// Judges the rule by everything that was measured in `seconds`. A missing
    /// metric is a miss.
    pub fn judge(&self, metrics: &NamedMetrics, seconds: f64) -> ThresholdOutcome {
        let value = metrics.value(&self.metric, seconds);
        ThresholdOutcome {
            text: self.text.clone(),
            passed: value.is_some_and(|value| self.holds(value)),
            strict: self.strict,
            value,
            aborted_at_us: None,
        }
    }
}

impl Comparison {
    /// Whether `value` stands so to `limit`; NaN never does.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        let Some(ordering) = value.partial_cmp(&limit) else {
            return false;
        };
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(comparison: Comparison, limit: f64) -> ThresholdRule {
        ThresholdRule {
            text: format!("n {comparison} {limit}"),
            metric: "n".to_owned(),
            comparison,
            limit,
            strict: true,
            abort_on_fail: true,
            delay_abort_us: 5_000_000,
        }
    }

    fn metrics(n: Option<u64>) -> NamedMetrics {
        let counters = n.map(|n| ("n".to_owned(), n)).into_iter().collect();
        NamedMetrics {
            counters,
            ..NamedMetrics::default()
        }
    }

    #[test]
    fn comparisons_hold() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        for (comparison, below, at, above) in [
            (Less, true, false, false),
            (LessOrEqual, true, true, false),
            (Greater, false, false, true),
            (GreaterOrEqual, false, true, true),
            (Equal, false, true, false),
            (NotEqual, true, false, true),
        ] {
            let held = [1.0, 2.0, 3.0, f64::NAN].map(|value| comparison.holds(value, 2.0));
            assert_eq!(held, [below, at, above, false], "{comparison}");
        }
    }

    #[test]
    fn a_missing_metric_is_a_miss() {
        for (n, passed) in [(None, false), (Some(3), false), (Some(1), true)] {
            let outcome = rule(Comparison::Less, 2.0).judge(&metrics(n), 1.0);
            assert_eq!(
                (outcome.passed, outcome.value),
                (passed, n.map(|n| n as f64))
            );
        }
    }

    #[test]
    fn a_miss_ends_the_run_once_the_delay_is_over() {
        let lax = ThresholdRule {
            abort_on_fail: false,
            ..rule(Comparison::Less, 1.0)
        };
        let rules = [lax, rule(Comparison::Less, 10.0)];
        let abort = |at_us| Some(Abort { rule: 1, at_us });
        for (n, now_us, expected) in [
            (Some(9), 6_000_000, None),
            (Some(10), 4_999_999, None),
            (Some(10), 5_000_000, abort(5_000_000)),
            (Some(11), 6_000_000, abort(6_000_000)),
            (None, 6_000_000, None),
        ] {
            assert_eq!(
                first_abort(&rules, &metrics(n), 1.0, now_us),
                expected,
                "{n:?} {now_us}"
            );
        }
    }
}

//! What the results must satisfy for the run to pass.

use std::fmt;
use std::time::Duration;

use crate::error::PlanError;

/// A limit on one number of the results.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The number's name, such as `http.response_time.p95` (milliseconds) or `http.requests`.
    pub metric: String,
    /// How the number has to stand to the limit.
    pub comparison: Comparison,
    /// The limit, in the metric's unit.
    pub limit: f64,
    /// Whether a miss fails the run; otherwise it is only reported.
    pub strict: bool,
    /// Whether a miss ends the run early.
    pub abort_on_fail: bool,
    /// How long after the start a miss may not yet end the run.
    pub delay_abort: Duration,
}

impl Threshold {
    /// Whether `value` satisfies the threshold; NaN never does.
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.limit)
    }

    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if self.metric.is_empty() {
            return Err(PlanError::ThresholdWithoutMetric);
        }
        if !self.limit.is_finite() {
            return Err(PlanError::ThresholdLimit {
                metric: self.metric.clone(),
                limit: self.limit,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.comparison, self.limit)
    }
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

impl Comparison {
    /// Whether `value` stands so to `limit`; NaN never does.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => !value.is_nan() && value != limit,
        }
    }

    /// The operator as people write it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_hold_below_at_and_above_the_limit() {
        let table = [
            (Comparison::Less, [true, false, false]),
            (Comparison::LessOrEqual, [true, true, false]),
            (Comparison::Greater, [false, false, true]),
            (Comparison::GreaterOrEqual, [false, true, true]),
            (Comparison::Equal, [false, true, false]),
            (Comparison::NotEqual, [true, false, true]),
        ];
        for (comparison, expected) in table {
            let got = [1.0, 2.0, 3.0].map(|value| comparison.holds(value, 2.0));
            assert_eq!(got, expected, "{comparison}");
            assert!(!comparison.holds(f64::NAN, 2.0), "{comparison} NaN");
        }
    }
}

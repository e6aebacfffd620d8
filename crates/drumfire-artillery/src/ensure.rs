//! `ensure`: what must hold of the final numbers.
//!
//! Beside Artillery's own form, a threshold may end the run early. Its entry is then an object with
//! the limit and, as in k6, what to do:
//!
//! ```yaml
//! ensure:
//!   thresholds:
//!     - http.response_time.p95: 200
//!     - http.response_time.p99: 500
//!       abortOnFail: true
//! ```

use std::borrow::Cow;

use drumfire_metrics::{NamedMetrics, ThresholdOutcome};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

use crate::apdex;
use crate::expression::Expression;
use crate::javascript;
use crate::script::{Condition, Ensure, EnsureCheck};

/// Any value of this environment variable, even an empty one, turns all checks off.
pub const DISABLING_VARIABLE: &str = "ARTILLERY_DISABLE_ENSURE";

/// The statistics of a histogram that a check can name.
const STATISTICS: [&str; 11] = [
    "min", "max", "count", "mean", "p50", "median", "p75", "p90", "p95", "p99", "p999",
];

/// The name under which conditions find the apdex score.
const APDEX_NAME: &str = "apdex";

/// Holds all checks against `metrics`, which were measured over `seconds`. A check of a metric that
/// is not there fails, as does one whose expression does not parse.
pub fn judge(ensure: &Ensure, metrics: &NamedMetrics, seconds: f64) -> Vec<ThresholdOutcome> {
    let numbers = Numbers { metrics, seconds };
    ensure
        .checks
        .iter()
        .map(|check| numbers.outcome(check))
        .collect()
}

/// The first check, counted from 0, that asks to end the run now: one with `abortOnFail` that does
/// not hold, though all it is about has been measured in the `seconds` so far.
pub fn first_abort(ensure: &Ensure, so_far: &NamedMetrics, seconds: f64) -> Option<usize> {
    let numbers = Numbers {
        metrics: so_far,
        seconds,
    };
    ensure.checks.iter().position(|check| {
        check.abort_on_fail && numbers.has_all(check) && !numbers.outcome(check).passed
    })
}

/// The numbers of a run, as checks look them up.
struct Numbers<'m> {
    metrics: &'m NamedMetrics,
    seconds: f64,
}

impl Numbers<'_> {
    fn outcome(&self, check: &EnsureCheck) -> ThresholdOutcome {
        let (passed, value) = match &check.condition {
            Condition::Below { metric, limit } => {
                let value = self.value(metric);
                (value.is_some_and(|value| value < *limit), value)
            }
            Condition::ErrorRateAtMost(limit) => {
                let rate = self.error_rate();
                (rate.is_some_and(|rate| rate <= *limit), rate)
            }
            Condition::Expression(text) => match self.parse(text) {
                Some(expression) => (self.holds(&expression), self.only_value(&expression)),
                None => (false, None),
            },
        };
        ThresholdOutcome {
            text: check.label.clone(),
            passed,
            strict: check.strict,
            value,
            aborted_at_us: None,
        }
    }

    /// Whether everything the check is about has been measured: what is not there yet ends no run.
    fn has_all(&self, check: &EnsureCheck) -> bool {
        match &check.condition {
            Condition::Below { metric, .. } => self.value(metric).is_some(),
            // Users on their way have not completed either, so this is known at the end only.
            Condition::ErrorRateAtMost(_) => false,
            Condition::Expression(text) => self
                .parse(text)
                .is_some_and(|expression| self.knows_all(&expression)),
        }
    }

    fn parse(&self, text: &str) -> Option<Expression> {
        let histograms = self.metrics.histograms.keys().flat_map(|name| {
            STATISTICS
                .iter()
                .map(move |statistic| format!("{name}.{statistic}"))
        });
        let names: Vec<String> = self
            .metrics
            .counters
            .keys()
            .chain(self.metrics.rates.keys())
            .cloned()
            .chain(histograms)
            .filter(|name| text.contains(name.as_str()))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Expression::parse_naming(text, &names).ok()
    }

    fn holds(&self, expression: &Expression) -> bool {
        let lookup = |name: &str| {
            let number = javascript::number(self.value(name)?)?;
            Some(Cow::Owned(Value::Number(number)))
        };
        // Only `random()` draws from it, and a verdict must not change from one look to the next.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        self.knows_all(expression) && expression.passes(&lookup, &mut rng)
    }

    fn knows_all(&self, expression: &Expression) -> bool {
        let mut names = expression.names().into_iter();
        names.all(|name| self.value(name).is_some())
    }

    /// The value of an expression's metric, if it is about one alone.
    fn only_value(&self, expression: &Expression) -> Option<f64> {
        match expression.names().as_slice() {
            [only] => self.value(only),
            _ => None,
        }
    }

    /// A metric by name, or the apdex score.
    fn value(&self, name: &str) -> Option<f64> {
        self.metrics.value(name, self.seconds).or_else(|| {
            let score = apdex::Score::of(self.metrics)?;
            (name == APDEX_NAME).then_some(score.score)
        })
    }

    /// Percent of the users that did not complete; `None` without users.
    fn error_rate(&self) -> Option<f64> {
        let count = |name: &str| self.metrics.counters.get(name).map(|count| *count as f64);
        let created = count("vusers.created").filter(|created| *created > 0.0)?;
        let completed = count("vusers.completed").unwrap_or(0.0);
        Some((created - completed) / created * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use drumfire_metrics::Histogram;

    use super::*;
    use crate::source::{Sources, Span};

    fn metrics() -> NamedMetrics {
        let mut metrics = NamedMetrics::default();
        for (name, count) in [
            ("vusers.created", 10),
            ("vusers.completed", 9),
            ("http.codes.200", 20),
            ("apdex.satisfied", 3),
            ("apdex.frustrated", 1),
        ] {
            metrics.counters.insert(name.to_owned(), count);
        }
        metrics.rates.insert("http.request_rate".to_owned(), 40);
        let mut times = Histogram::new();
        times.record(100_000);
        metrics
            .histograms
            .insert("http.response_time".to_owned(), (0.001, times));
        metrics
    }

    fn check(condition: Condition, strict: bool) -> EnsureCheck {
        EnsureCheck {
            label: format!("{condition:?}"),
            condition,
            strict,
            abort_on_fail: true,
            span: Span::start_of(Sources::default().add("test.yml", "")),
        }
    }

    fn below(metric: &str, limit: f64) -> Condition {
        Condition::Below {
            metric: metric.to_owned(),
            limit,
        }
    }

    #[test]
    fn conditions_hold_as_artillerys_do() {
        let expression = |text: &str| Condition::Expression(text.to_owned());
        for (condition, holds, aborts) in [
            (below("http.codes.200", 21.0), true, false),
            (below("http.codes.200", 20.0), false, true),
            (below("http.codes.500", 1.0), false, false),
            (below("http.response_time.p95", 200.0), true, false),
            (below("http.response_time.p95", 50.0), false, true),
            (below("http.request_rate", 21.0), true, false),
            (Condition::ErrorRateAtMost(10.0), true, false),
            (Condition::ErrorRateAtMost(9.0), false, false),
            (
                expression("http.codes.200 == 20 and http.request_rate >= 20"),
                true,
                false,
            ),
            (expression("http.codes.200 > 20"), false, true),
            (expression("not (http.codes.500 > 0)"), false, false),
            (expression("apdex > 0.7"), true, false),
            (expression("http.codes.200 >"), false, false),
            (expression("http.codes.200"), false, true),
        ] {
            let label = format!("{condition:?}");
            let ensure = Ensure {
                checks: vec![check(condition, true)],
            };
            let outcomes = judge(&ensure, &metrics(), 2.0);
            assert_eq!(outcomes[0].passed, holds, "{label}");
            let aborted = first_abort(&ensure, &metrics(), 2.0);
            assert_eq!(aborted, aborts.then_some(0), "{label}");
        }
    }

    #[test]
    fn without_users_there_is_no_error_rate() {
        let ensure = Ensure {
            checks: vec![check(Condition::ErrorRateAtMost(100.0), true)],
        };
        assert!(!judge(&ensure, &NamedMetrics::default(), 1.0)[0].passed);
    }
}

//! The `ensure` checks of a script, judged by a run's numbers: at its end, and
//! where a check asks to end the run, every second.

use crate::execute::Checks;
use drumfire_artillery::expression::Expression;
use drumfire_artillery::script::{Condition, EnsureCheck};
use drumfire_metrics::{Abort, NameOptions, NamedMetrics, Summary, ThresholdOutcome};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;
use std::borrow::Cow;

/// Statistics of a histogram that a check can name.
const STATISTICS: [&str; 11] = [
    "min", "max", "count", "mean", "p50", "median", "p75", "p90", "p95", "p99", "p999",
];

/// The checks of a script.
pub struct EnsureChecks<'a> {
    checks: &'a [EnsureCheck],
    names: NameOptions,
    seed: u64,
}

/// The numbers that checks are judged by.
struct Numbers {
    metrics: NamedMetrics,
    seconds: f64,
    /// Every name that an expression may use.
    names: Vec<String>,
}

impl<'a> EnsureChecks<'a> {
    /// These checks, on metrics named as `names` say; what `random` gives in an
    /// expression is drawn from `seed`.
    pub fn new(checks: &'a [EnsureCheck], names: &NameOptions, seed: u64) -> Self {
        EnsureChecks {
            checks,
            names: names.clone(),
            seed,
        }
    }

    fn numbers(&self, summary: &Summary) -> Numbers {
        let metrics = NamedMetrics::of_with(&summary.total, &self.names);
        let histograms = metrics.histograms.keys().flat_map(|name| {
            STATISTICS
                .iter()
                .map(move |statistic| format!("{name}.{statistic}"))
        });
        let plain = metrics.counters.keys().chain(metrics.rates.keys()).cloned();
        Numbers {
            names: plain.chain(histograms).collect(),
            seconds: summary.total.seconds(),
            metrics,
        }
    }

    fn outcome(&self, check: &EnsureCheck, numbers: &Numbers) -> ThresholdOutcome {
        let value = match &check.condition {
            Condition::Below { metric, .. } => numbers.value(metric),
            Condition::ErrorRateAtMost(_) => Some(numbers.error_rate()),
            Condition::Expression(_) => None,
        };
        ThresholdOutcome {
            text: check.label.clone(),
            passed: self.holds(check, numbers),
            strict: check.strict,
            value,
            aborted_at_us: None,
        }
    }

    /// Whether it holds; what is missing does not.
    fn holds(&self, check: &EnsureCheck, numbers: &Numbers) -> bool {
        match &check.condition {
            Condition::Below { metric, limit } => {
                numbers.value(metric).is_some_and(|value| value < *limit)
            }
            Condition::ErrorRateAtMost(limit) => numbers.error_rate() <= *limit,
            Condition::Expression(text) => numbers.expression(text).is_some_and(|expression| {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
                expression.passes(&|name| numbers.look_up(name), &mut rng)
            }),
        }
    }
}

impl Checks for EnsureChecks<'_> {
    fn abort(&self, so_far: &Summary) -> Option<Abort> {
        let aborting = |check: &&EnsureCheck| check.abort_on_fail;
        self.checks.iter().find(aborting)?;
        let numbers = self.numbers(so_far);
        let fails = |check: &EnsureCheck| {
            check.abort_on_fail && numbers.has_all(check) && !self.holds(check, &numbers)
        };
        let rule = self.checks.iter().position(fails)?;
        Some(Abort {
            rule,
            at_us: so_far.facts.duration_us,
        })
    }

    fn judge(&self, whole: &Summary) -> Vec<ThresholdOutcome> {
        let numbers = self.numbers(whole);
        self.checks
            .iter()
            .map(|check| self.outcome(check, &numbers))
            .collect()
    }
}

impl Numbers {
    fn value(&self, name: &str) -> Option<f64> {
        self.metrics.value(name, self.seconds)
    }

    fn look_up<'b>(&self, name: &str) -> Option<Cow<'b, Value>> {
        self.value(name).map(|value| Cow::Owned(Value::from(value)))
    }

    fn expression(&self, text: &str) -> Option<Expression> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Expression::parse_naming(text, &names).ok()
    }

    /// Percent of the users that did not complete; NaN where there was none.
    fn error_rate(&self) -> f64 {
        let count = |name: &str| self.metrics.counters.get(name).copied().unwrap_or(0) as f64;
        let (created, completed) = (count("vusers.created"), count("vusers.completed"));
        (created - completed) / created * 100.0
    }

    /// Whether everything the check is about has been measured: what is not
    /// there yet ends no run.
    fn has_all(&self, check: &EnsureCheck) -> bool {
        match &check.condition {
            Condition::Below { metric, .. } => self.value(metric).is_some(),
            // Users on their way have not completed either.
            Condition::ErrorRateAtMost(_) => false,
            Condition::Expression(text) => self.expression(text).is_some_and(|expression| {
                expression
                    .names()
                    .iter()
                    .all(|name| self.value(name).is_some())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_artillery::source::{Sources, Span};
    use drumfire_metrics::{Snapshot, Unit};

    fn check(condition: Condition) -> EnsureCheck {
        EnsureCheck {
            label: format!("{condition:?}"),
            condition,
            strict: true,
            abort_on_fail: true,
            span: Span::start_of(Sources::default().add("test", "")),
        }
    }

    fn summary() -> Summary {
        let mut snapshot = Snapshot {
            end_us: 2_000_000,
            ..Snapshot::default()
        };
        snapshot.iterations.started = 4;
        snapshot.iterations.completed = 3;
        snapshot.iterations.failed = 1;
        snapshot.counters.insert("orders.placed".into(), 7);
        let (_, sizes) = snapshot
            .histograms
            .entry("order-size".into())
            .or_insert((Unit::Number, drumfire_metrics::Histogram::new()));
        sizes.record(5);
        Summary {
            total: snapshot,
            ..Summary::default()
        }
    }

    #[test]
    fn checks_hold_as_artillerys_do() {
        let below = |metric: &str, limit| Condition::Below {
            metric: metric.to_owned(),
            limit,
        };
        let expression = |text: &str| Condition::Expression(text.to_owned());
        let table = [
            (below("orders.placed", 8.0), true, false),
            (below("orders.placed", 7.0), false, true),
            (below("missing", 8.0), false, false),
            (Condition::ErrorRateAtMost(25.0), true, false),
            (Condition::ErrorRateAtMost(24.9), false, false),
            (
                expression("orders.placed == 7 and order-size.p99 < 6"),
                true,
                false,
            ),
            (expression("orders.placed > 7"), false, true),
            (expression("orders.missing < 7"), false, false),
            (expression("orders.placed >"), false, false),
        ];
        for (condition, holds, aborts) in table {
            let checks = [check(condition)];
            let judged = EnsureChecks::new(&checks, &NameOptions::default(), 1);
            let label = &checks[0].label;
            assert_eq!(judged.judge(&summary())[0].passed, holds, "{label}");
            assert_eq!(judged.abort(&summary()).is_some(), aborts, "{label}");
        }
    }
}

//! Two runs side by side, endpoint by endpoint: rate, errors and percentiles
//! of both latencies, with the change and whether it is more than chance.
//!
//! The rule of significance: a change is marked when it is at least
//! [`LEAST_CHANGE_PERCENT`] and the 99 % confidence intervals of the two values
//! do not touch. The interval of a percentile is taken from the ranks around it
//! (binomial), that of a rate from its count (Poisson), that of an error share
//! is Wilson's. Samples of one run are taken as independent, which a target
//! under stress makes them only nearly: a change that matters deserves a second run.

use crate::wording;
use drumfire_metrics::{EndpointStats, Histogram, Summary};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Changes below this are never marked: it is the width of a histogram's bucket,
/// ten times over.
pub const LEAST_CHANGE_PERCENT: f64 = 1.0;
/// Version of the JSON form.
pub const VERSION: u32 = 1;
/// Half-width of a two-sided 99 % interval in standard deviations.
const Z: f64 = 2.576;
/// Percentiles that are compared.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
/// Name of the row over all endpoints.
const ALL: &str = "all endpoints";

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Titles of the runs: before and after.
    pub titles: [String; 2],
    /// All endpoints together, then one by one in the order of their names.
    pub endpoints: Vec<EndpointChange>,
}

/// How one endpoint changed.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointChange {
    /// Its name.
    pub name: String,
    /// What was compared, in a fixed order.
    pub changes: Vec<Change>,
}

/// How one number changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Stable name with its unit last (`service_us_p99`).
    pub metric: String,
    /// Before and after; none where a run has no such number.
    pub values: [Option<f64>; 2],
    /// Whether it is more than chance, by the rule of this module.
    pub significant: bool,
}

impl Change {
    /// Change in percent of the first value; none where there is no first
    /// value, or where it is zero.
    pub fn percent(&self) -> Option<f64> {
        match self.values {
            [Some(before), Some(after)] if before != 0.0 => Some((after / before - 1.0) * 100.0),
            _ => None,
        }
    }
}

/// Compares a run with a later one.
pub fn compare(before: &Summary, after: &Summary) -> Comparison {
    let runs = [before, after];
    let names: BTreeSet<&String> = runs
        .iter()
        .flat_map(|run| run.total.endpoints.keys())
        .collect();
    let overall = runs.map(everything);
    let mut endpoints = vec![endpoint(ALL, [Some(&overall[0]), Some(&overall[1])], runs)];
    endpoints.extend(names.into_iter().map(|name| {
        let stats = runs.map(|run| run.total.endpoints.get(name));
        endpoint(name, stats, runs)
    }));
    Comparison {
        titles: runs.map(|run| run.facts.title.clone()),
        endpoints,
    }
}

fn everything(run: &Summary) -> EndpointStats {
    let mut all = EndpointStats::default();
    for stats in run.total.endpoints.values() {
        all.merge(stats);
    }
    all
}

fn endpoint(name: &str, stats: [Option<&EndpointStats>; 2], runs: [&Summary; 2]) -> EndpointChange {
    let durations = runs.map(|run| run.facts.duration_us);
    let mut changes = vec![
        change(
            "rate_per_s",
            [0, 1].map(|i| stats[i].and_then(|s| rate(s, durations[i]))),
        ),
        change("errors_percent", stats.map(|s| s.and_then(errors))),
    ];
    let service = stats.map(|s| s.map(|s| &s.service_us));
    let intended = stats.map(|s| s.map(|s| &s.intended_us));
    for (latency, histograms) in [("service", service), ("intended", intended)] {
        changes.extend(PERCENTILES.map(|(percentile, q)| {
            let estimates = histograms.map(|h| h.and_then(|h| quantile(h, q)));
            change(&format!("{latency}_us_{percentile}"), estimates)
        }));
    }
    EndpointChange {
        name: name.to_owned(),
        changes,
    }
}

/// A value and its 99 % confidence interval.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

fn change(metric: &str, estimates: [Option<Estimate>; 2]) -> Change {
    let significant = match estimates {
        [Some(before), Some(after)] => {
            let apart = before.high < after.low || after.high < before.low;
            let least = before.value.abs() * LEAST_CHANGE_PERCENT / 100.0;
            apart && (after.value - before.value).abs() >= least
        }
        _ => false,
    };
    Change {
        metric: metric.to_owned(),
        values: estimates.map(|e| e.map(|e| e.value)),
        significant,
    }
}

fn rate(stats: &EndpointStats, duration_us: u64) -> Option<Estimate> {
    let n = stats.requests as f64;
    let seconds = duration_us as f64 / 1e6;
    (seconds > 0.0).then(|| Estimate {
        value: n / seconds,
        low: (n - Z * n.sqrt()).max(0.0) / seconds,
        high: (n + Z * n.sqrt()) / seconds,
    })
}

fn errors(stats: &EndpointStats) -> Option<Estimate> {
    let failed = stats.failures() as f64;
    let n = stats.requests as f64;
    if n == 0.0 {
        return None;
    }
    let share = failed / n;
    let z2n = Z * Z / n;
    let middle = (share + z2n / 2.0) / (1.0 + z2n);
    let half = Z / (1.0 + z2n) * (share * (1.0 - share) / n + z2n / (4.0 * n)).sqrt();
    Some(Estimate {
        value: share * 100.0,
        low: (middle - half) * 100.0,
        high: (middle + half) * 100.0,
    })
}

fn quantile(histogram: &Histogram, q: f64) -> Option<Estimate> {
    let n = histogram.count() as f64;
    if n == 0.0 {
        return None;
    }
    let half = Z * (q * (1.0 - q) / n).sqrt();
    let at = |q: f64| histogram.quantile(q) as f64;
    // Too few values for a rank on that side: the interval is open there.
    let low = if q > half { at(q - half) } else { 0.0 };
    let high = if q + half < 1.0 {
        at(q + half)
    } else {
        f64::INFINITY
    };
    Some(Estimate {
        value: at(q),
        low,
        high,
    })
}

impl Comparison {
    /// A table for people. `*` marks what is more than chance.
    pub fn text(&self) -> String {
        let mut out = format!("before: {}\nafter:  {}\n", self.titles[0], self.titles[1]);
        let header = format!("{:30}{:>14}{:>14}{:>12}", "", "before", "after", "change");
        for endpoint in &self.endpoints {
            writeln!(out, "\n{}\n{header}", endpoint.name).expect("a string takes all");
            for change in &endpoint.changes {
                writeln!(out, "{}", change.line()).expect("a string takes all");
            }
        }
        out.push_str("\n* at least 1 % and more than chance (99 % confidence intervals apart)\n");
        out
    }

    /// The same for programs.
    pub fn json(&self) -> String {
        let endpoints = self.endpoints.iter().map(EndpointChange::json);
        let body = json!({ "drumfire_comparison": {
            "version": VERSION,
            "before": self.titles[0],
            "after": self.titles[1],
            "endpoints": endpoints.collect::<Vec<_>>(),
        }});
        format!("{body:#}\n")
    }
}

impl EndpointChange {
    fn json(&self) -> Value {
        let changes = self.changes.iter().map(|change| {
            json!({
                "metric": change.metric,
                "before": change.values[0],
                "after": change.values[1],
                "change_percent": change.percent(),
                "significant": change.significant,
            })
        });
        json!({ "name": self.name, "changes": changes.collect::<Vec<_>>() })
    }
}

impl Change {
    fn line(&self) -> String {
        let [before, after] = self.values.map(|value| self.shown(value));
        let change = match (self.percent(), self.values) {
            (Some(percent), _) => format!("{percent:+.1}%"),
            (None, [Some(before), Some(after)]) if before == after => "same".to_owned(),
            _ => "-".to_owned(),
        };
        let mark = if self.significant { " *" } else { "" };
        format!(
            "  {:28}{before:>14}{after:>14}{change:>12}{mark}",
            self.label()
        )
    }

    fn label(&self) -> String {
        match self.metric.as_str() {
            "rate_per_s" => "rate, 1/s".to_owned(),
            "errors_percent" => "errors, %".to_owned(),
            other => match other.split_once("_us_") {
                Some(("service", percentile)) => format!("service time {percentile}, ms"),
                Some((_, percentile)) => format!("from intended start {percentile}, ms"),
                None => other.to_owned(),
            },
        }
    }

    fn shown(&self, value: Option<f64>) -> String {
        match value {
            None => "-".to_owned(),
            Some(value) if self.metric.contains("_us_") => wording::ms(value),
            Some(value) => format!("{value:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary};

    fn find<'a>(comparison: &'a Comparison, endpoint: &str, metric: &str) -> &'a Change {
        let endpoint = comparison.endpoints.iter().find(|e| e.name == endpoint);
        let changes = &endpoint.expect("an endpoint").changes;
        changes
            .iter()
            .find(|c| c.metric == metric)
            .expect("a metric")
    }

    #[test]
    fn a_run_is_no_different_from_itself() {
        let comparison = compare(&demo_summary(), &demo_summary());
        let all = comparison.endpoints.iter().flat_map(|e| &e.changes);
        assert!(all.clone().count() > 0);
        for change in all {
            assert!(!change.significant, "{change:?}");
            assert!(matches!(change.percent(), Some(0.0) | None), "{change:?}");
        }
    }

    #[test]
    fn a_slower_target_is_marked() {
        let healthy = |slowness| {
            Demo {
                slowness,
                stall_s: 0..0,
                ..Demo::default()
            }
            .run()
        };
        let comparison = compare(&healthy(1.0), &healthy(1.5));
        let p50 = find(&comparison, "/login", "service_us_p50");
        assert!(p50.significant);
        assert!((p50.percent().expect("both measured") - 50.0).abs() < 1.0);
        assert!(!find(&comparison, "/login", "rate_per_s").significant);
        insta::assert_snapshot!(comparison.text());
    }

    #[test]
    fn an_endpoint_may_be_new() {
        let before = Demo {
            endpoints: &["/"],
            ..Demo::default()
        }
        .run();
        let comparison = compare(&before, &demo_summary());
        let p50 = find(&comparison, "/login", "service_us_p50");
        assert_eq!(
            (p50.values[0], p50.percent(), p50.significant),
            (None, None, false)
        );
        assert!(p50.values[1].is_some());
    }

    #[test]
    fn the_json_form_has_a_version() {
        let text = compare(&demo_summary(), &demo_summary()).json();
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let body = &json["drumfire_comparison"];
        assert_eq!(body["version"], json!(1));
        assert_eq!(body["endpoints"][0]["name"], json!("all endpoints"));
        assert_eq!(
            body["endpoints"][0]["changes"][0]["metric"],
            json!("rate_per_s")
        );
        assert_eq!(
            body["endpoints"][0]["changes"][0]["change_percent"],
            json!(0.0)
        );
    }

    /// By hand: 100 values, the 99 % interval of the median spans the ranks
    /// 50 ± 2.576 × 5, that is 37.1 to 62.9.
    #[test]
    fn intervals_are_those_of_the_textbook() {
        let histogram: Histogram = (1..=100).collect();
        let median = quantile(&histogram, 0.5).expect("values");
        assert_eq!((median.low, median.value, median.high), (38.0, 50.0, 63.0));
        let p99 = quantile(&histogram, 0.99).expect("values");
        assert_eq!(p99.high, f64::INFINITY, "no rank above the 99th bounds it");
        let stats = EndpointStats {
            requests: 400,
            ..EndpointStats::default()
        };
        let rate = rate(&stats, 10_000_000).expect("time passed");
        assert_eq!(
            (rate.low, rate.value),
            ((400.0 - 2.576 * 20.0) / 10.0, 40.0)
        );
        let none = errors(&stats).expect("requests");
        assert!(
            none.low.abs() < 1e-9 && (none.high - 1.631).abs() < 0.01,
            "{none:?}"
        );
    }
}

//! The `--output` file in Artillery's shape: `aggregate` over the whole run and
//! `intermediate` per window of ten seconds, so that what reads Artillery's
//! reports reads Drumfire's.

use crate::windows::{Seen, Span, Window, Windows, artillery_names, mean_rates};
use crate::wording::tenths;
use drumfire_metrics::{Histogram, NameOptions, NamedMetrics, Summary};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Percentiles a report lists: the key and the quantile.
const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("median", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
];

/// Renders a run as Artillery's report, indented by two blanks as theirs is.
/// Metrics are named as `names` say; Drumfire's own names are left out.
pub fn render(summary: &Summary, names: &NameOptions) -> String {
    let names = artillery_names(names);
    let intervals = summary.timeline.iter().map(|interval| &interval.snapshot);
    let windows = Windows::of(summary.facts.started_at_us, &names, intervals);
    let report = json!({
        "aggregate": aggregate(&NamedMetrics::of_with(&summary.total, &names), &windows),
        "intermediate": windows.iter().map(intermediate).collect::<Vec<_>>(),
    });
    format!("{report:#}")
}

fn aggregate(metrics: &NamedMetrics, windows: &[Window]) -> Value {
    let seen = windows
        .iter()
        .fold(Seen::default(), |seen, window| seen.hull(window.seen));
    let period = windows.last().map(|window| json!(window.period_ms));
    let mut body = Map::new();
    body.insert("period".into(), period.unwrap_or(Value::Null));
    body.insert("counters".into(), json!(metrics.counters));
    body.insert("rates".into(), json!(mean_rates(windows)));
    insert_instants(&mut body, seen);
    insert_statistics(&mut body, metrics);
    Value::Object(body)
}

/// A window's `period` is a string there, and each rate's name stands once
/// more at the top with null: both are kept, for readers may step on them.
fn intermediate(window: &Window) -> Value {
    let mut body = Map::new();
    body.insert("period".into(), json!(window.period_ms.to_string()));
    body.insert("counters".into(), json!(window.metrics.counters));
    body.insert("rates".into(), json!(window.rates));
    for name in window.rates.keys() {
        body.entry(name.clone()).or_insert(Value::Null);
    }
    insert_instants(&mut body, window.seen);
    insert_statistics(&mut body, &window.metrics);
    Value::Object(body)
}

fn insert_instants(body: &mut Map<String, Value>, seen: Seen) {
    let first = |span: Option<Span>| span.map(|span| span.first_ms);
    let last = |span: Option<Span>| span.map(|span| span.last_ms);
    let instants = [
        ("firstCounterAt", first(seen.counter)),
        ("firstHistogramAt", first(seen.histogram)),
        ("lastCounterAt", last(seen.counter)),
        ("lastHistogramAt", last(seen.histogram)),
        ("firstMetricAt", first(seen.metric)),
        ("lastMetricAt", last(seen.metric)),
    ];
    let known = instants.iter().filter_map(|(key, at)| Some((key, (*at)?)));
    body.extend(known.map(|(key, at_ms)| ((*key).to_owned(), json!(at_ms))));
}

fn insert_statistics(body: &mut Map<String, Value>, metrics: &NamedMetrics) {
    let summaries: BTreeMap<&String, Value> = metrics
        .histograms
        .iter()
        .filter(|(_, (_, histogram))| histogram.count() > 0)
        .map(|(name, (factor, histogram))| (name, statistics(*factor, histogram)))
        .collect();
    body.insert("summaries".into(), json!(summaries));
    body.insert("histograms".into(), json!(summaries));
}

fn statistics(factor: f64, histogram: &Histogram) -> Value {
    let shown = |value: f64| number(tenths(value * factor));
    let mut body = Map::new();
    body.insert("min".into(), shown(histogram.min() as f64));
    body.insert("max".into(), shown(histogram.max() as f64));
    body.insert("count".into(), json!(histogram.count()));
    body.insert("mean".into(), shown(histogram.mean()));
    for (key, quantile) in PERCENTILES {
        body.insert(key.into(), shown(histogram.quantile(quantile) as f64));
    }
    Value::Object(body)
}

/// Whole numbers without a fraction, as JavaScript writes them.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        json!(value as i64)
    } else {
        json!(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::demo_summary;

    fn report() -> Value {
        let text = render(&demo_summary(), &NameOptions::default());
        serde_json::from_str(&text).expect("the report is JSON")
    }

    fn keys(value: &Value) -> Vec<&str> {
        let map = value.as_object().expect("an object");
        map.keys().map(String::as_str).collect()
    }

    /// The keys that a real Artillery 2.0.34 writes, in its order.
    #[test]
    fn keys_are_artillerys() {
        let report = report();
        let instants = [
            "firstCounterAt",
            "firstHistogramAt",
            "lastCounterAt",
            "lastHistogramAt",
            "firstMetricAt",
            "lastMetricAt",
        ];
        let head = ["period", "counters", "rates"];
        let tail = ["summaries", "histograms"];
        let stray = ["basket.rate", "http.request_rate"];
        assert_eq!(keys(&report), ["aggregate", "intermediate"]);
        assert_eq!(
            keys(&report["aggregate"]),
            [&head[..], &instants, &tail].concat()
        );
        assert_eq!(
            keys(&report["intermediate"][0]),
            [&head[..], &stray, &instants, &tail].concat()
        );
        assert_eq!(
            keys(&report["aggregate"]["summaries"]["http.response_time"]),
            [
                "min", "max", "count", "mean", "p50", "median", "p75", "p90", "p95", "p99", "p999"
            ]
        );
    }

    #[test]
    fn windows_lie_on_the_wall_clock() {
        let report = report();
        let windows = report["intermediate"].as_array().expect("a list");
        let periods: Vec<_> = windows.iter().map(|w| w["period"].as_str()).collect();
        let expected = ["1795341600000", "1795341610000", "1795341620000"];
        assert_eq!(periods, expected.map(Some));
        assert_eq!(report["aggregate"]["period"], json!(1_795_341_620_000u64));
        assert_eq!(windows[0]["firstCounterAt"], json!(1_795_341_603_500u64));
        assert_eq!(windows[2]["lastMetricAt"], json!(1_795_341_627_500u64));
    }

    #[test]
    fn windows_add_up_to_the_aggregate() {
        let report = report();
        let windows = report["intermediate"].as_array().expect("a list");
        let aggregate = &report["aggregate"];
        for (name, total) in aggregate["counters"].as_object().expect("an object") {
            let parts = windows.iter().filter_map(|w| w["counters"][name].as_u64());
            assert_eq!(Some(parts.sum::<u64>()), total.as_u64(), "{name}");
        }
        let samples = |part: &Value| part["summaries"]["http.response_time"]["count"].as_u64();
        let parts: u64 = windows.iter().filter_map(samples).sum();
        assert_eq!(Some(parts), samples(aggregate));
    }

    #[test]
    fn the_summarys_rate_is_the_mean_of_the_windows() {
        let report = report();
        let windows = report["intermediate"].as_array().expect("a list");
        let rates = windows
            .iter()
            .filter_map(|w| w["rates"]["http.request_rate"].as_u64());
        let rates: Vec<u64> = rates.collect();
        let mean = (rates.iter().sum::<u64>() as f64 / rates.len() as f64).round() as u64;
        assert_eq!(
            report["aggregate"]["rates"]["http.request_rate"],
            json!(mean)
        );
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        let cases = [(0.0, "0"), (12.0, "12"), (120.3, "120.3"), (-0.9, "-0.9")];
        for (value, expected) in cases {
            assert_eq!(number(value).to_string(), expected);
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_report() {
        let text = render(&Summary::default(), &NameOptions::default());
        let report: Value = serde_json::from_str(&text).expect("the report is JSON");
        assert_eq!(report["intermediate"], json!([]));
        assert_eq!(report["aggregate"]["counters"], json!({}));
        assert_eq!(report["aggregate"]["period"], Value::Null);
    }
}

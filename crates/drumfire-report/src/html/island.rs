//! The data of the charts as JSON that is safe inside a script element: one
//! array per series, at most [`MAX_POINTS`] points each.

use crate::findings::{Exchanges, Latencies, saturation_sentence};
use drumfire_metrics::{Histogram, Interval, Snapshot, StageFacts, Summary};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most points of a series. A longer timeline is merged, histograms and all, so
/// that a percentile stays one; it is only coarser.
const MAX_POINTS: usize = 300;
/// Rows of the heat map, evenly spaced on a logarithmic scale.
const HEAT_ROWS: usize = 32;
/// Series of error codes; where there are more codes, the last holds the rest.
const MAX_CODES: usize = 6;
/// Most epochs that are marked.
const MAX_EPOCHS: usize = 50;
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

pub(super) fn render(summary: &Summary) -> String {
    let points = points(summary);
    let latencies: Vec<Latencies> = points.iter().map(|p| Latencies::of(&p.snapshot)).collect();
    let mut run = Map::new();
    run.insert("open".into(), json!(is_open(summary)));
    run.insert("hint".into(), json!("drag to zoom, Esc for the whole run"));
    run.insert("stages".into(), stages(&summary.facts.stages));
    run.insert("saturations".into(), saturations(summary));
    run.insert("epochs".into(), epochs(summary));
    run.insert(
        "start_s".into(),
        series(&points, |s| s.start_us as f64 / 1e6),
    );
    run.insert("length_s".into(), series(&points, |s| length_us(s) / 1e6));
    insert_load(&mut run, &points, is_open(summary));
    insert_health(&mut run, &points);
    run.insert(
        "service_ms".into(),
        percentiles(&latencies, |l| &l.service_us),
    );
    run.insert(
        "intended_ms".into(),
        percentiles(&latencies, |l| &l.intended_us),
    );
    run.insert("codes".into(), codes(&points));
    run.insert("heat".into(), heat(&latencies));
    Value::Object(run).to_string().replace('<', "\\u003c")
}

/// Whether arrivals were planned rather than users.
pub(super) fn is_open(summary: &Summary) -> bool {
    summary
        .facts
        .stages
        .iter()
        .any(|stage| stage.planned.is_some())
}

/// The timeline, neighbours merged until it is short enough.
fn points(summary: &Summary) -> Vec<Interval> {
    let open = is_open(summary);
    let together = summary.timeline.len().div_ceil(MAX_POINTS).max(1);
    let merge = |chunk: &[Interval]| {
        let mut point = chunk[0].clone();
        for next in &chunk[1..] {
            point.snapshot.append(&next.snapshot);
            point.planned = if open {
                point.planned + next.planned
            } else {
                next.planned
            };
        }
        point
    };
    summary.timeline.chunks(together).map(merge).collect()
}

fn length_us(snapshot: &Snapshot) -> f64 {
    snapshot.end_us.saturating_sub(snapshot.start_us).max(1) as f64
}

fn stages(stages: &[StageFacts]) -> Value {
    let stage = |(index, stage): (usize, &StageFacts)| {
        let name = stage
            .name
            .clone()
            .unwrap_or_else(|| format!("stage {}", index + 1));
        json!({ "name": name, "start_s": stage.start_us as f64 / 1e6, "end_s": stage.end_us as f64 / 1e6 })
    };
    stages.iter().enumerate().map(stage).collect()
}

fn saturations(summary: &Summary) -> Value {
    let stretches = summary.verdict.saturations.iter();
    let stretch = stretches.map(|s| {
        json!({
            "start_s": s.start_us as f64 / 1e6,
            "end_s": s.end_us as f64 / 1e6,
            "text": saturation_sentence(s),
        })
    });
    stretch.collect()
}

/// Where agents came and went.
fn epochs(summary: &Summary) -> Value {
    let epochs = summary.agents.iter().flat_map(|agents| &agents.epochs);
    let later = epochs.filter(|epoch| epoch.from_us > 0).take(MAX_EPOCHS);
    let mark = later.map(|epoch| {
        let text = format!("epoch {}: {} agents", epoch.number, epoch.agents);
        json!({ "at_s": epoch.from_us as f64 / 1e6, "text": text })
    });
    mark.collect()
}

fn insert_load(run: &mut Map<String, Value>, points: &[Interval], open: bool) {
    let per_second = |s: &Snapshot, n: u64| n as f64 * 1e6 / length_us(s);
    let planned = points.iter().map(|p| {
        let per_second = if open {
            1e6 / length_us(&p.snapshot)
        } else {
            1.0
        };
        short(p.planned * per_second)
    });
    run.insert("planned".into(), planned.collect());
    let exchanges: Vec<Exchanges> = points.iter().map(|p| Exchanges::of(&p.snapshot)).collect();
    let counted = |count: fn(&Exchanges) -> u64| -> Value {
        let pairs = points.iter().zip(&exchanges);
        pairs
            .map(|(p, sums)| short(per_second(&p.snapshot, count(sums))))
            .collect()
    };
    run.insert("requests".into(), counted(|sums| sums.requests));
    run.insert("responses".into(), counted(|sums| sums.responses));
    run.insert("errors".into(), counted(|sums| sums.errors));
    run.insert(
        "started".into(),
        series(points, |s| per_second(s, s.iterations.started)),
    );
    run.insert(
        "dropped".into(),
        series(points, |s| per_second(s, s.iterations.dropped_total())),
    );
    run.insert("users".into(), series(points, |s| s.health.users as f64));
}

fn insert_health(run: &mut Map<String, Value>, points: &[Interval]) {
    let p99_ms = |histogram: &Histogram| histogram.quantile(0.99) as f64 / 1e3;
    run.insert(
        "cpu_percent".into(),
        series(points, |s| {
            s.health.cpu_us as f64 * 100.0 / s.health.cpu_available_us.max(1) as f64
        }),
    );
    run.insert(
        "busiest_percent".into(),
        series(points, |s| s.health.busiest_shard * 100.0),
    );
    run.insert(
        "lag_ms".into(),
        series(points, |s| p99_ms(&s.health.loop_lag_us)),
    );
    run.insert(
        "late_ms".into(),
        series(points, |s| p99_ms(&s.iterations.lateness_us)),
    );
    run.insert(
        "memory_mib".into(),
        series(points, |s| s.health.memory_bytes as f64 / 1_048_576.0),
    );
    run.insert(
        "sockets".into(),
        series(points, |s| s.health.sockets as f64),
    );
}

fn series(points: &[Interval], value: impl Fn(&Snapshot) -> f64) -> Value {
    points.iter().map(|p| short(value(&p.snapshot))).collect()
}

fn percentiles(latencies: &[Latencies], pick: fn(&Latencies) -> &Histogram) -> Value {
    let of = |q: f64| -> Value {
        let values = latencies
            .iter()
            .map(pick)
            .map(|histogram| match histogram.is_empty() {
                true => Value::Null,
                false => short(histogram.quantile(q) as f64 / 1e3),
            });
        values.collect()
    };
    PERCENTILES
        .iter()
        .map(|(name, q)| ((*name).to_owned(), of(*q)))
        .collect()
}

/// Errors and answers of 400 and above by code, per second, the most frequent first.
fn codes(points: &[Interval]) -> Value {
    let by_point: Vec<BTreeMap<String, u64>> =
        points.iter().map(|p| failures(&p.snapshot)).collect();
    let mut totals: BTreeMap<&String, u64> = BTreeMap::new();
    for (code, n) in by_point.iter().flatten() {
        *totals.entry(code).or_default() += n;
    }
    let mut names: Vec<&String> = totals.keys().copied().collect();
    names.sort_by_key(|name| std::cmp::Reverse(totals[*name]));
    let alone = if names.len() > MAX_CODES {
        MAX_CODES - 1
    } else {
        names.len()
    };
    let rest = names.split_off(alone);
    let per_second = |codes: &[&String]| -> Value {
        let pairs = points.iter().zip(&by_point);
        let sum = |counts: &BTreeMap<String, u64>| {
            codes.iter().filter_map(|c| counts.get(*c)).sum::<u64>()
        };
        pairs
            .map(|(p, counts)| short(sum(counts) as f64 * 1e6 / length_us(&p.snapshot)))
            .collect()
    };
    let mut all: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "values": per_second(&[name]) }))
        .collect();
    if !rest.is_empty() {
        let name = format!("{} others", rest.len());
        all.push(json!({ "name": name, "values": per_second(&rest) }));
    }
    Value::Array(all)
}

fn failures(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let mut counts = snapshot.errors.clone();
    for endpoint in snapshot.endpoints.values() {
        for (code, n) in &endpoint.errors {
            *counts.entry(code.clone()).or_default() += n;
        }
        for (code, n) in endpoint.codes.iter().filter(|(code, _)| **code >= 400) {
            *counts.entry(format!("HTTP {code}")).or_default() += n;
        }
    }
    counts
}

/// Both heat maps on one scale. A column lists row, count, row, count, ….
fn heat(latencies: &[Latencies]) -> Value {
    let both = || {
        latencies
            .iter()
            .flat_map(|l| [&l.service_us, &l.intended_us])
    };
    let measured = both().filter(|histogram| !histogram.is_empty());
    let low = measured
        .clone()
        .map(Histogram::min)
        .min()
        .unwrap_or(1)
        .max(1) as f64;
    let high = (measured.map(Histogram::max).max().unwrap_or(1) as f64).max(low * 2.0);
    let columns = |pick: fn(&Latencies) -> &Histogram| -> Value {
        latencies
            .iter()
            .map(|l| column(pick(l), low, high))
            .collect()
    };
    json!({
        "rows": HEAT_ROWS,
        "low_ms": low / 1e3,
        "high_ms": high / 1e3,
        "service": columns(|l| &l.service_us),
        "intended": columns(|l| &l.intended_us),
    })
}

fn column(histogram: &Histogram, low: f64, high: f64) -> Value {
    let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
    for (lowest, highest, n) in histogram.buckets() {
        let middle = ((lowest + highest) as f64 / 2.0).max(low);
        let share = (middle / low).ln() / (high / low).ln();
        let row = (share * HEAT_ROWS as f64) as usize;
        *rows.entry(row.min(HEAT_ROWS - 1)).or_default() += n;
    }
    rows.into_iter()
        .flat_map(|(row, n)| [json!(row), json!(n)])
        .collect()
}

/// A number with four significant digits, whole where it can be: the page
/// needs no more, and is smaller for it.
fn short(value: f64) -> Value {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return Value::Null;
    }
    if value == 0.0 {
        return json!(0);
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let rounded = if digits > 0 {
        let scale = 10f64.powi(digits);
        (value * scale).round() / scale
    } else {
        value.round()
    };
    if rounded.fract() == 0.0 && rounded.abs() < WHOLE {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary};

    fn island(summary: &Summary) -> Value {
        serde_json::from_str(&render(summary)).expect("JSON")
    }

    #[test]
    fn every_series_has_a_value_per_point() {
        let island = island(&demo_summary());
        let points = island["start_s"].as_array().expect("a list").len();
        assert_eq!(points, 24);
        let lists = [
            &island["length_s"],
            &island["planned"],
            &island["started"],
            &island["dropped"],
            &island["requests"],
            &island["responses"],
            &island["errors"],
            &island["users"],
            &island["cpu_percent"],
            &island["busiest_percent"],
            &island["lag_ms"],
            &island["late_ms"],
            &island["memory_mib"],
            &island["sockets"],
            &island["service_ms"]["p50"],
            &island["intended_ms"]["p99"],
            &island["heat"]["service"],
            &island["heat"]["intended"],
            &island["codes"][0]["values"],
        ];
        for (place, list) in lists.iter().enumerate() {
            assert_eq!(list.as_array().map(Vec::len), Some(points), "list {place}");
        }
    }

    #[test]
    fn a_long_run_is_merged_and_nothing_is_lost() {
        let long = Demo {
            seconds: 1_000,
            arrivals_per_s: 4,
            ..Demo::default()
        };
        let summary = long.run();
        let island = island(&summary);
        let lengths = island["length_s"].as_array().expect("a list");
        assert_eq!(lengths.len(), 250);
        let planned = island["planned"].as_array().expect("a list");
        let total: f64 = planned
            .iter()
            .zip(lengths)
            .filter_map(|(p, l)| Some(p.as_f64()? * l.as_f64()?))
            .sum();
        assert_eq!(Some(total as u64), summary.facts.planned);
        let cells = island["heat"]["service"].as_array().expect("a list");
        let answers: u64 = cells
            .iter()
            .filter_map(Value::as_array)
            .flat_map(|column| column.iter().skip(1).step_by(2).filter_map(Value::as_u64))
            .sum();
        assert_eq!(answers, Latencies::of(&summary.total).service_us.count());
    }

    #[test]
    fn numbers_keep_four_digits() {
        let cases = [
            (0.0, "0"),
            (12.0, "12"),
            (12.3456, "12.35"),
            (0.00012345, "0.0001235"),
            (123_456.7, "123457"),
            (-0.5, "-0.5"),
            (f64::NAN, "null"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value).to_string(), expected);
        }
    }

    #[test]
    fn the_many_rare_codes_are_one_series() {
        let mut summary = demo_summary();
        for code in 0..20 {
            summary.timeline[1]
                .snapshot
                .errors
                .insert(format!("E{code}"), 1);
        }
        let codes = island(&summary)["codes"].clone();
        assert_eq!(codes.as_array().map(Vec::len), Some(MAX_CODES));
        assert_eq!(codes[MAX_CODES - 1]["name"], "20 others");
    }
}

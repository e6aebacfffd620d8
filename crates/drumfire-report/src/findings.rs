//! Drumfire's own short section below a report: both latencies, what was
//! planned and dropped, how the generator was doing, and the verdict in words.

use crate::wording;
use drumfire_metrics::{EndpointStats, Histogram, IterationStats, Snapshot, Summary, Verdict};
use std::fmt::Write as _;

/// Percentiles of the latency table, with their headings.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
];
const LABEL_WIDTH: usize = 22;

/// Renders the section.
pub fn render(summary: &Summary) -> String {
    let mut out = String::from("\n--- drumfire ");
    out.push_str(&"-".repeat(67));
    out.push_str("\n\n");
    latencies(&mut out, &summary.total);
    for (label, text) in facts(summary) {
        writeln!(out, "{label:LABEL_WIDTH$}{text}").expect("a string takes all");
    }
    out
}

/// Service time and time from the intended start of all endpoints together.
pub(crate) struct Latencies {
    /// From the start of the work to the last byte.
    pub(crate) service_us: Histogram,
    /// From the intended start to the last byte.
    pub(crate) intended_us: Histogram,
}

impl Latencies {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut all = Self {
            service_us: Histogram::new(),
            intended_us: Histogram::new(),
        };
        for endpoint in snapshot.endpoints.values() {
            all.service_us.merge(&endpoint.service_us);
            all.intended_us.merge(&endpoint.intended_us);
        }
        all
    }
}

/// Sums over the endpoints of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exchanges {
    pub(crate) requests: u64,
    pub(crate) responses: u64,
    pub(crate) errors: u64,
    pub(crate) body_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) connections: u64,
}

impl Exchanges {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut sum = Self::default();
        for endpoint in snapshot.endpoints.values() {
            sum.add(endpoint);
        }
        sum
    }

    fn add(&mut self, endpoint: &EndpointStats) {
        self.requests += endpoint.requests;
        self.responses += endpoint.responses();
        self.errors += endpoint.failures();
        self.body_bytes += endpoint.body_bytes;
        self.sent_bytes += endpoint.sent_bytes;
        self.connections += endpoint.connections;
    }
}

fn latencies(out: &mut String, total: &Snapshot) {
    let all = Latencies::of(total);
    let mut heading = format!("{:LABEL_WIDTH$}", "latency, ms");
    for name in PERCENTILES
        .iter()
        .map(|(name, _)| *name)
        .chain(["max", "mean"])
    {
        write!(heading, "{name:>9}").expect("a string takes all");
    }
    writeln!(out, "{heading}").expect("a string takes all");
    let rows = [
        ("  service time", &all.service_us),
        ("  from intended start", &all.intended_us),
    ];
    for (label, histogram) in rows {
        writeln!(out, "{label:LABEL_WIDTH$}{}", row(histogram)).expect("a string takes all");
    }
    out.push('\n');
}

fn row(histogram: &Histogram) -> String {
    if histogram.count() == 0 {
        return "     none measured".into();
    }
    let percentiles = PERCENTILES
        .iter()
        .map(|(_, q)| histogram.quantile(*q) as f64);
    percentiles
        .chain([histogram.max() as f64, histogram.mean()])
        .map(|us| format!("{:>9}", wording::ms(us)))
        .collect()
}

/// The lines below the latencies: a label and its text.
fn facts(summary: &Summary) -> Vec<(&'static str, String)> {
    let total = &summary.total;
    let mut lines = vec![
        ("rate", rates(summary)),
        ("iterations", iterations(summary)),
    ];
    let dropped = total.iterations.dropped.iter().filter(|(_, n)| **n > 0);
    lines.extend(dropped.map(|(reason, n)| {
        let text = format!("{}: {}", wording::count(*n), wording::drop_reason(*reason));
        ("dropped", text)
    }));
    lines.push(("generator", generator(summary)));
    lines.extend(
        verdict(&summary.verdict)
            .into_iter()
            .map(|text| ("verdict", text)),
    );
    lines.extend(
        summary
            .verdict
            .notes
            .iter()
            .map(|text| ("note", text.clone())),
    );
    lines
}

fn rates(summary: &Summary) -> String {
    let duration_us = summary.facts.duration_us;
    let exchanges = Exchanges::of(&summary.total);
    let rate = |n| wording::per_second(n, duration_us);
    format!(
        "{} requests, {} responses, {} errors (averages of {})",
        rate(exchanges.requests),
        rate(exchanges.responses),
        rate(exchanges.errors),
        wording::span(duration_us),
    )
}

fn iterations(summary: &Summary) -> String {
    let stats: &IterationStats = &summary.total.iterations;
    let dropped = stats.dropped_total();
    let planned = summary.facts.planned.map_or(String::new(), |n| {
        format!("planned {} = ", wording::count(n))
    });
    format!(
        "{planned}started {} + dropped {}; completed {}, failed {}, interrupted {}",
        wording::count(stats.started),
        wording::count(dropped),
        wording::count(stats.completed),
        wording::count(stats.failed),
        wording::count(stats.interrupted),
    )
}

fn generator(summary: &Summary) -> String {
    let health = &summary.total.health;
    format!(
        "cpu {:.0}%, busiest shard {:.0}%, loop lag p99 {} ms, late p99 {} ms, memory {}, sockets {}, users {}",
        wording::percent(health.cpu_us, health.cpu_available_us),
        health.busiest_shard * 100.0,
        wording::ms(health.loop_lag_us.quantile(0.99) as f64),
        wording::ms(summary.total.iterations.lateness_us.quantile(0.99) as f64),
        wording::bytes(health.memory_bytes),
        wording::count(health.sockets),
        wording::count(health.users),
    )
}

/// The verdict in words, one sentence a line: what to believe, then what held.
pub fn verdict(verdict: &Verdict) -> Vec<String> {
    let mut lines: Vec<String> = verdict
        .saturations
        .iter()
        .map(|stretch| format!("generator saturated {}", wording::saturation(stretch)))
        .collect();
    if verdict.trustworthy() {
        lines.push("the generator kept up: these numbers are the target's".into());
    }
    lines.extend(thresholds(verdict));
    lines
}

fn thresholds(verdict: &Verdict) -> Option<String> {
    let all = verdict.thresholds.len();
    let held = verdict.thresholds.iter().filter(|t| t.passed).count();
    let word = if verdict.passed() { "passed" } else { "failed" };
    (all > 0).then(|| format!("{word}: {held} of {all} thresholds held"))
}

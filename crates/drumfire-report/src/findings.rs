//! Drumfire's own short section below a report: both latencies, what was
//! planned and dropped, how the generator was doing, and the verdict in words.

use crate::{agents, wording};
use drumfire_metrics::{
    EndpointStats, GeneratorHealth, Histogram, IterationStats, Saturation, Snapshot, Summary,
    ThresholdOutcome, Verdict,
};
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
    if let Some(agents) = &summary.agents {
        out.push_str(&agents::table(agents, LABEL_WIDTH));
        out.push('\n');
    }
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
    lines.push(("generator", generator(&total.health)));
    lines.push(("", punctuality(total)));
    lines.extend(summary.agents.iter().flat_map(agents::facts));
    lines.extend(verdict(summary).into_iter().map(|text| ("verdict", text)));
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

fn generator(health: &GeneratorHealth) -> String {
    format!(
        "cpu {:.0}%, busiest shard {:.0}%, memory {}, sockets {}, users {}",
        wording::percent(health.cpu_us, health.cpu_available_us),
        health.busiest_shard * 100.0,
        wording::bytes(health.memory_bytes),
        wording::count(health.sockets),
        wording::count(health.users),
    )
}

fn punctuality(total: &Snapshot) -> String {
    let p99_ms = |histogram: &Histogram| wording::ms(histogram.quantile(0.99) as f64);
    format!(
        "starts late by p99 {} ms, loop lag p99 {} ms",
        p99_ms(&total.iterations.lateness_us),
        p99_ms(&total.health.loop_lag_us),
    )
}

/// The verdict in words, one sentence a line: what to believe, then what held.
pub fn verdict(summary: &Summary) -> Vec<String> {
    let trust = match trust(summary) {
        Trust::Partial => None,
        trust => Some(trust.sentence().to_owned()),
    };
    saturations(&summary.verdict)
        .chain(trust)
        .chain(thresholds(&summary.verdict))
        .collect()
}

/// How far the numbers of a run speak of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The generator was never the limit.
    Full,
    /// It was, for a time.
    Partial,
    /// There are no numbers.
    Nothing,
}

impl Trust {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Trust::Full => "the generator kept up: these numbers are the target's",
            Trust::Partial => {
                "the generator was the limit for a time: not all of this is the target's"
            }
            Trust::Nothing => "no request was sent: these numbers say nothing of the target",
        }
    }
}

pub(crate) fn trust(summary: &Summary) -> Trust {
    let sent = summary.total.endpoints.values().any(|e| e.requests > 0);
    match (summary.verdict.trustworthy(), sent) {
        (false, _) => Trust::Partial,
        (true, true) => Trust::Full,
        (true, false) => Trust::Nothing,
    }
}

/// A sentence for each stretch in which the generator was the limit.
pub(crate) fn saturations(verdict: &Verdict) -> impl Iterator<Item = String> + '_ {
    verdict.saturations.iter().map(saturation_sentence)
}

pub(crate) fn saturation_sentence(stretch: &Saturation) -> String {
    format!("generator saturated {}", wording::saturation(stretch))
}

/// How the thresholds came out; none where there are none.
pub(crate) fn thresholds(verdict: &Verdict) -> Option<String> {
    let count = |wanted: fn(&ThresholdOutcome) -> bool| {
        let thresholds = verdict.thresholds.iter();
        thresholds.filter(|t| wanted(t)).count()
    };
    let all = count(|_| true);
    let required = count(|t| t.strict);
    let missed = count(|t| t.strict && !t.passed);
    let optional_missed = count(|t| !t.strict && !t.passed);
    match (all, missed, optional_missed) {
        (0, ..) => None,
        (_, 0, 0) => Some(format!("passed: all {all} thresholds held")),
        (_, 0, _) => Some(format!(
            "passed: {optional_missed} of {all} thresholds did not hold, all optional"
        )),
        _ => Some(format!(
            "failed: {missed} of {required} required thresholds did not hold"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary, shared};

    #[test]
    fn a_saturated_run_says_so() {
        insta::assert_snapshot!(render(&demo_summary()));
    }

    #[test]
    fn a_shared_run_lists_its_agents() {
        insta::assert_snapshot!(render(&shared(3, &Demo::default())));
    }

    #[test]
    fn a_healthy_run_says_so() {
        let healthy = Demo {
            stall_s: 0..0,
            ..Demo::default()
        };
        insta::assert_snapshot!(render(&healthy.run()));
    }

    #[test]
    fn thresholds_are_told_in_one_sentence() {
        let outcome = |passed, strict| ThresholdOutcome {
            text: "p95 < 200".into(),
            passed,
            strict,
            value: Some(1.0),
            aborted_at_us: None,
        };
        let cases = [
            (vec![], None),
            (
                vec![(true, true), (true, false)],
                Some("passed: all 2 thresholds held"),
            ),
            (
                vec![(true, true), (false, false)],
                Some("passed: 1 of 2 thresholds did not hold, all optional"),
            ),
            (
                vec![(false, true), (true, true), (false, false)],
                Some("failed: 1 of 2 required thresholds did not hold"),
            ),
        ];
        for (outcomes, expected) in cases {
            let thresholds: Vec<_> = outcomes.iter().map(|(p, s)| outcome(*p, *s)).collect();
            let verdict = Verdict {
                thresholds,
                ..Verdict::default()
            };
            assert_eq!(super::thresholds(&verdict).as_deref(), expected);
        }
    }

    #[test]
    fn nothing_measured_is_no_latency() {
        let text = render(&Summary::default());
        assert!(
            text.contains("  service time             none measured\n"),
            "{text}"
        );
    }
}

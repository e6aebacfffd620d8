//! The text of `drumfire quick`: what people know from oha and wrk, with both
//! latencies and the verdict.

use crate::findings::{self, Exchanges, Latencies};
use crate::wording;
use drumfire_metrics::{Histogram, Summary};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Bars in the histogram; the last gathers what lies above [`BARS_END`].
const BARS: u32 = 11;
/// Quantile where the even bars end, so that one straggler does not flatten them.
const BARS_END: f64 = 0.99;
const LONGEST_BAR: u64 = 40;
const DISTRIBUTION: [(&str, f64); 8] = [
    ("10%", 0.1),
    ("25%", 0.25),
    ("50%", 0.5),
    ("75%", 0.75),
    ("90%", 0.9),
    ("95%", 0.95),
    ("99%", 0.99),
    ("99.9%", 0.999),
];

/// Renders the run.
pub fn render(summary: &Summary) -> String {
    let latencies = Latencies::of(&summary.total);
    let mut out = String::new();
    head(&mut out, summary, &latencies.service_us);
    distribution(&mut out, &latencies);
    bars(&mut out, &latencies.service_us);
    codes(&mut out, summary);
    out.push('\n');
    for line in findings::verdict(summary) {
        put(&mut out, format_args!("{line}\n"));
    }
    for note in &summary.verdict.notes {
        put(&mut out, format_args!("note: {note}\n"));
    }
    out
}

fn head(out: &mut String, summary: &Summary, service_us: &Histogram) {
    let sums = Exchanges::of(&summary.total);
    let duration_us = summary.facts.duration_us;
    let dropped = summary.total.iterations.dropped_total();
    let received_per_s = wording::rate(sums.body_bytes, duration_us) as u64;
    let mut line = |label: &str, text: String| put(out, format_args!("{label:14}{text}\n"));
    line("target", summary.facts.target.clone());
    line("duration", wording::span(duration_us));
    line("requests", wording::count(sums.requests));
    line("rate", wording::per_second(sums.requests, duration_us));
    line(
        "answered",
        format!(
            "{} ({:.2}%)",
            wording::count(sums.responses),
            wording::percent(sums.responses, sums.requests)
        ),
    );
    line("errors", wording::count(sums.errors));
    if dropped > 0 {
        line("dropped", wording::count(dropped));
    }
    line("connections", wording::count(sums.connections));
    line(
        "received",
        format!(
            "{} ({}/s)",
            wording::bytes(sums.body_bytes),
            wording::bytes(received_per_s)
        ),
    );
    if service_us.count() > 0 {
        line(
            "fastest",
            format!("{} ms", wording::ms(service_us.min() as f64)),
        );
        line("mean", format!("{} ms", wording::ms(service_us.mean())));
        line(
            "slowest",
            format!("{} ms", wording::ms(service_us.max() as f64)),
        );
    }
}

fn distribution(out: &mut String, latencies: &Latencies) {
    if latencies.service_us.count() == 0 {
        return;
    }
    put(
        out,
        format_args!(
            "\nlatency, ms{:>19}{:>24}\n",
            "service time", "from intended start"
        ),
    );
    for (label, quantile) in DISTRIBUTION {
        let [service, intended] = [&latencies.service_us, &latencies.intended_us]
            .map(|histogram| wording::ms(histogram.quantile(quantile) as f64));
        put(
            out,
            format_args!("  {label:>6}{service:>22}{intended:>24}\n"),
        );
    }
}

fn bars(out: &mut String, histogram: &Histogram) {
    let rows = bar_rows(histogram);
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    out.push_str("\nhistogram of the service time, ms\n");
    for (upper_us, n) in rows {
        let bar = "■".repeat((n * LONGEST_BAR).div_ceil(most) as usize);
        let upper = wording::ms(upper_us as f64);
        put(out, format_args!("  {upper:>9} [{n:>9}] {bar}\n"));
    }
}

/// Upper edge and count of each bar; each bar ends where it begins to be the next.
fn bar_rows(histogram: &Histogram) -> Vec<(u64, u64)> {
    if histogram.count() == 0 {
        return Vec::new();
    }
    let (low, high) = (histogram.min(), histogram.quantile(BARS_END));
    let even = u64::from(BARS - 1);
    let mut edges: Vec<u64> = (1..=even).map(|i| low + (high - low) * i / even).collect();
    edges.push(histogram.max());
    edges.dedup();
    let mut below = 0;
    edges
        .into_iter()
        .map(|edge| {
            let upto = histogram.count_at_or_below(edge);
            let n = upto - below;
            below = upto;
            (edge, n)
        })
        .collect()
}

fn codes(out: &mut String, summary: &Summary) {
    let mut codes: BTreeMap<u16, u64> = BTreeMap::new();
    let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
    for endpoint in summary.total.endpoints.values() {
        for (code, n) in &endpoint.codes {
            *codes.entry(*code).or_default() += n;
        }
        for (code, n) in &endpoint.errors {
            *errors.entry(code).or_default() += n;
        }
    }
    for (code, n) in &summary.total.errors {
        *errors.entry(code).or_default() += n;
    }
    if !codes.is_empty() {
        out.push_str("\nstatus codes\n");
    }
    for (code, n) in codes {
        put(out, format_args!("  {code:<9}{:>12}\n", wording::count(n)));
    }
    if !errors.is_empty() {
        out.push_str("\nerrors\n");
    }
    for (code, n) in errors {
        put(out, format_args!("  {code:<30}{:>12}\n", wording::count(n)));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::demo_summary;

    #[test]
    fn a_run_in_short() {
        insta::assert_snapshot!(render(&demo_summary()));
    }

    #[test]
    fn every_value_is_in_one_bar() {
        let tables: [&[u64]; 4] = [
            &[5],
            &[1, 1, 1, 8],
            &[0, 0, 0],
            &[1, 1_000, 2_000, 3_000_000],
        ];
        for values in tables {
            let histogram: Histogram = values.iter().copied().collect();
            let counted: u64 = bar_rows(&histogram).iter().map(|(_, n)| n).sum();
            assert_eq!(counted, values.len() as u64, "{values:?}");
        }
    }

    #[test]
    fn nothing_measured_has_no_tables() {
        let text = render(&Summary::default());
        assert!(
            !text.contains("histogram") && !text.contains("latency"),
            "{text}"
        );
    }
}

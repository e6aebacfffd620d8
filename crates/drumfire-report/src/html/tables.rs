//! The static tables of the page: endpoints, thresholds, failures, the parts
//! of the time, and what the script measured itself.

use super::escape;
use crate::wording;
use drumfire_metrics::{EndpointStats, Histogram, Summary, ThresholdOutcome, Unit, Verdict};
use std::collections::BTreeMap;

/// Most endpoints listed; those with the most requests stay.
const MAX_ENDPOINTS: usize = 200;
const COLUMNS: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

pub(super) fn endpoints(summary: &Summary) -> String {
    let all = &summary.total.endpoints;
    if all.is_empty() {
        return String::new();
    }
    let mut rows: Vec<(&String, &EndpointStats)> = all.iter().collect();
    rows.sort_by_key(|(name, stats)| (std::cmp::Reverse(stats.requests), *name));
    let left_out = match rows.len().saturating_sub(MAX_ENDPOINTS) {
        0 => String::new(),
        n => format!("<p class=\"facts\">{n} endpoints with fewer requests are left out.</p>"),
    };
    rows.truncate(MAX_ENDPOINTS);
    let rows: String = rows
        .iter()
        .map(|(name, stats)| endpoint_row(name, stats, summary.facts.duration_us))
        .collect();
    let latencies: String = [(); 2]
        .iter()
        .flat_map(|()| COLUMNS.map(|(name, _)| format!("<th scope=\"col\">{name}</th>")))
        .collect();
    format!(
        "<section><h2>Endpoints</h2><div class=\"panel scroll\"><table class=\"sortable\"><thead>\
         <tr class=\"group\"><th colspan=\"5\"></th><th colspan=\"4\">service time, ms</th>\
         <th colspan=\"4\">from intended start, ms</th><th></th></tr>\
         <tr><th scope=\"col\">endpoint</th><th scope=\"col\">requests</th><th scope=\"col\">per second</th>\
         <th scope=\"col\">errors</th><th scope=\"col\">errors, %</th>{latencies}\
         <th scope=\"col\" class=\"text\">status codes</th></tr></thead><tbody>{rows}</tbody></table></div>{left_out}</section>\n"
    )
}

fn endpoint_row(name: &str, stats: &EndpointStats, duration_us: u64) -> String {
    let failures = stats.failures();
    let rate = wording::rate(stats.requests, duration_us);
    let share = wording::percent(failures, stats.requests);
    let alarm = if failures > 0 {
        " class=\"bad-text\""
    } else {
        ""
    };
    let latencies: String = [&stats.service_us, &stats.intended_us]
        .iter()
        .flat_map(|histogram| COLUMNS.map(|(_, q)| latency_cell(histogram, q)))
        .collect();
    let codes: Vec<String> = stats
        .codes
        .iter()
        .map(|(code, n)| format!("{code}\u{a0}×{}", wording::count(*n)))
        .collect();
    format!(
        "<tr><td class=\"name\">{}</td><td data-v=\"{}\">{}</td><td data-v=\"{rate:.3}\">{rate:.1}</td>\
         <td data-v=\"{failures}\"{alarm}>{}</td><td data-v=\"{share:.4}\"{alarm}>{share:.2}</td>{latencies}\
         <td class=\"codes text\">{}</td></tr>",
        escape(name),
        stats.requests,
        wording::count(stats.requests),
        wording::count(failures),
        codes.join(" "),
    )
}

fn latency_cell(histogram: &Histogram, quantile: f64) -> String {
    if histogram.is_empty() {
        return "<td data-v=\"-1\">–</td>".to_owned();
    }
    let us = histogram.quantile(quantile);
    format!("<td data-v=\"{us}\">{}</td>", wording::ms(us as f64))
}

/// Where the time of all answers went. A connection that was reused has no
/// lookup, connect or handshake: those counts are smaller.
pub(super) fn phases(summary: &Summary) -> String {
    let mut all = EndpointStats::default();
    summary
        .total
        .endpoints
        .values()
        .for_each(|stats| all.merge(stats));
    let first_byte_us = all.all_first_byte_us();
    let phases = [
        ("name lookup", &all.dns_us),
        ("TCP connect", &all.connect_us),
        ("TLS handshake", &all.tls_us),
        ("request sent to first byte", &first_byte_us),
        ("service time", &all.service_us),
        ("iterations late", &summary.total.iterations.lateness_us),
        ("iterations, whole", &summary.total.iterations.duration_us),
    ];
    let measured = phases.iter().filter(|(_, histogram)| !histogram.is_empty());
    let rows = measured.map(|(name, histogram)| statistics_row(name, histogram, wording::ms));
    statistics_table("Where the time went", "part, ms", &rows.collect::<String>())
}

/// Counters, rates and histograms of the script and its plugins.
pub(super) fn custom(summary: &Summary) -> String {
    let total = &summary.total;
    let counted = total.counters.iter().chain(&total.rates);
    let counted = counted.map(|(name, n)| {
        let count = wording::count(*n);
        format!(
            "<tr><td class=\"name\">{}</td><td>{count}</td><td colspan=\"4\"></td></tr>",
            escape(name)
        )
    });
    let observed = total
        .histograms
        .iter()
        .map(|(name, (unit, histogram))| match unit {
            Unit::Duration => statistics_row(&format!("{name}, ms"), histogram, wording::ms),
            Unit::Number => statistics_row(name, histogram, |value| {
                format!("{}", (value * 10.0).round() / 10.0)
            }),
        });
    let rows: String = counted.chain(observed).collect();
    statistics_table("Metrics of the script", "name", &rows)
}

fn statistics_table(title: &str, first: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns: String = COLUMNS
        .iter()
        .map(|(name, _)| format!("<th scope=\"col\">{name}</th>"))
        .collect();
    format!(
        "<section><h2>{title}</h2><div class=\"panel scroll\"><table class=\"fit\"><thead><tr>\
         <th scope=\"col\">{first}</th><th scope=\"col\">count</th>{columns}\
         </tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

fn statistics_row(name: &str, histogram: &Histogram, shown: impl Fn(f64) -> String) -> String {
    let cells: String = COLUMNS
        .iter()
        .map(|(_, q)| format!("<td>{}</td>", shown(histogram.quantile(*q) as f64)))
        .collect();
    let count = wording::count(histogram.count());
    format!(
        "<tr><td class=\"name\">{}</td><td>{count}</td>{cells}</tr>",
        escape(name)
    )
}

pub(super) fn thresholds(verdict: &Verdict) -> String {
    if verdict.thresholds.is_empty() {
        return String::new();
    }
    let rows: String = verdict.thresholds.iter().map(threshold_row).collect();
    format!(
        "<section><h2>Thresholds</h2><div class=\"panel scroll\"><table class=\"fit\"><thead><tr><th scope=\"col\">threshold</th>\
         <th scope=\"col\">measured</th><th scope=\"col\" class=\"text\">held</th><th scope=\"col\" class=\"text\">remark</th>\
         </tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

fn threshold_row(outcome: &ThresholdOutcome) -> String {
    let measured = match outcome.value {
        Some(value) => format!("{}", (value * 1e3).round() / 1e3),
        None => "–".to_owned(),
    };
    let (class, held) = if outcome.passed {
        ("pass", "yes")
    } else {
        ("fail", "no")
    };
    let mut remarks = Vec::new();
    if !outcome.strict {
        remarks.push("optional".to_owned());
    }
    if let Some(at_us) = outcome.aborted_at_us {
        remarks.push(format!("ended the run after {}", wording::span(at_us)));
    }
    format!(
        "<tr><td class=\"name\">{}</td><td>{measured}</td><td class=\"text {class}\">{held}</td><td class=\"text\">{}</td></tr>",
        escape(&outcome.text),
        remarks.join(", ")
    )
}

/// Every error code with its count: the chart shows the most frequent only.
pub(super) fn failures(summary: &Summary) -> String {
    let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
    let of_endpoints = summary.total.endpoints.values().flat_map(|e| &e.errors);
    for (code, n) in of_endpoints.chain(&summary.total.errors) {
        *codes.entry(code).or_default() += n;
    }
    if codes.is_empty() {
        return String::new();
    }
    let mut rows: Vec<(&str, u64)> = codes.into_iter().collect();
    rows.sort_by_key(|(code, n)| (std::cmp::Reverse(*n), *code));
    let rows: String = rows
        .iter()
        .map(|(code, n)| {
            format!(
                "<tr><td class=\"name\">{}</td><td>{}</td></tr>",
                escape(code),
                wording::count(*n)
            )
        })
        .collect();
    format!(
        "<section><h2>Errors</h2><div class=\"panel scroll\"><table class=\"fit\"><thead><tr><th scope=\"col\">code</th>\
         <th scope=\"col\">count</th></tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

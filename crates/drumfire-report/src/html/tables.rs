//! The static tables of the page: endpoints, thresholds, failures.

use super::escape;
use crate::wording;
use drumfire_metrics::{EndpointStats, Histogram, Summary, ThresholdOutcome, Verdict};
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
        None => "missing".to_owned(),
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

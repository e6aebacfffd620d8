//! The static top of the page: what ran, the verdict in words, key figures.

use super::escape;
use crate::findings::{self, Exchanges, Latencies, Trust};
use crate::wording;
use drumfire_metrics::{Histogram, IterationStats, RunFacts, Summary};

/// Percentiles of the small latency table.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
];

pub(super) fn header(summary: &Summary) -> String {
    let facts: String = fact_list(&summary.facts)
        .iter()
        .map(|fact| format!("<span>{}</span>", escape(fact)))
        .collect();
    let title = escape(&summary.facts.title);
    format!("<h1>{title}</h1>\n<p class=\"facts\">{facts}</p>\n")
}

fn fact_list(facts: &RunFacts) -> Vec<String> {
    let micros = i64::try_from(facts.started_at_us).unwrap_or(i64::MAX);
    let started = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    vec![
        format!("target {}", facts.target),
        started
            .strftime("started %Y-%m-%d %H:%M:%S UTC")
            .to_string(),
        format!("ran {}", wording::span(facts.duration_us)),
        format!("{} shards on {}", facts.shards, facts.host),
    ]
}

/// What to think of the run: one sentence, then the reasons.
pub(super) fn verdict(summary: &Summary) -> String {
    let verdict = &summary.verdict;
    let thresholds = findings::thresholds(verdict);
    let thresholds = thresholds.unwrap_or_else(|| "finished, no thresholds set".to_owned());
    let trust = findings::trust(summary);
    let (class, joint) = match (verdict.passed(), trust) {
        (false, Trust::Full) => ("bad", "and"),
        (false, _) => ("bad", "but"),
        (true, Trust::Full) => ("good", "and"),
        (true, _) => ("doubt", "but"),
    };
    let trust = trust.sentence();
    let reasons: String = findings::saturations(verdict)
        .chain(verdict.notes.iter().cloned())
        .map(|text| format!("<li>{}</li>", escape(&text)))
        .collect();
    let list = if reasons.is_empty() {
        reasons
    } else {
        format!("<ul>{reasons}</ul>")
    };
    format!(
        "<section class=\"verdict {class}\"><strong>{}</strong>, {joint} {trust}.{list}</section>\n",
        capital(&thresholds)
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// Key figures and the latency table of all endpoints together.
pub(super) fn figures(summary: &Summary) -> String {
    let sums = Exchanges::of(&summary.total);
    let duration_us = summary.facts.duration_us;
    let iterations = &summary.total.iterations;
    let planned = match summary.facts.planned {
        Some(planned) => format!("of {} planned", wording::count(planned)),
        None => "iterations".to_owned(),
    };
    let error_share = format!(
        "{:.2}% of requests",
        wording::percent(sums.errors, sums.requests)
    );
    let per_second = format!(
        "{} on average",
        wording::per_second(sums.requests, duration_us)
    );
    let tiles = [
        tile("Requests", sums.requests, &per_second, false),
        tile("Errors", sums.errors, &error_share, sums.errors > 0),
        tile("Started", iterations.started, &planned, false),
        tile(
            "Dropped",
            iterations.dropped_total(),
            &drop_reasons(iterations),
            iterations.dropped_total() > 0,
        ),
    ];
    format!(
        "<section class=\"figures\">{}{}</section>\n",
        tiles.concat(),
        latency_table(&Latencies::of(&summary.total))
    )
}

/// The reasons, with their counts where there are several.
fn drop_reasons(iterations: &IterationStats) -> String {
    let reasons = iterations.dropped.iter().filter(|(_, n)| **n > 0);
    let reasons: Vec<_> = reasons
        .map(|(reason, n)| (wording::drop_reason(*reason), *n))
        .collect();
    match &reasons[..] {
        [] => "nothing left unsent".to_owned(),
        [(reason, _)] => (*reason).to_owned(),
        several => {
            let texts = several
                .iter()
                .map(|(reason, n)| format!("{} {reason}", wording::count(*n)));
            texts.collect::<Vec<_>>().join(", ")
        }
    }
}

fn tile(label: &str, n: u64, note: &str, alarming: bool) -> String {
    let class = if alarming { " class=\"bad-text\"" } else { "" };
    format!(
        "<div class=\"figure\"><span>{label}</span><b{class}>{}</b><small>{}</small></div>",
        wording::count(n),
        escape(note)
    )
}

fn latency_table(latencies: &Latencies) -> String {
    let heads: String = PERCENTILES
        .iter()
        .map(|(name, _)| *name)
        .chain(["max", "mean"])
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .collect();
    let rows = [
        latency_row("Service time", &latencies.service_us),
        latency_row("From intended start", &latencies.intended_us),
    ];
    format!(
        "<div class=\"figure wide\"><table><thead><tr><th scope=\"col\">Latency, ms</th>{heads}</tr></thead>\
         <tbody>{}</tbody></table></div>",
        rows.concat()
    )
}

fn latency_row(label: &str, histogram: &Histogram) -> String {
    let percentiles = PERCENTILES
        .iter()
        .map(|(_, q)| histogram.quantile(*q) as f64);
    let cells: String = percentiles
        .chain([histogram.max() as f64, histogram.mean()])
        .map(|us| {
            let text = if histogram.is_empty() {
                "–".to_owned()
            } else {
                wording::ms(us)
            };
            format!("<td>{text}</td>")
        })
        .collect();
    format!("<tr><td>{label}</td>{cells}</tr>")
}

/// The place of the charts and what steers them; the script fills it.
pub(super) fn charts() -> String {
    "<section><div class=\"controls\"><h2>Over time</h2>\
     <span class=\"switch\" role=\"group\" aria-label=\"Latency shown\">\
     <button type=\"button\" data-latency=\"service\" aria-pressed=\"false\">Service time</button>\
     <button type=\"button\" data-latency=\"intended\" aria-pressed=\"true\">From intended start</button></span>\
     <span class=\"switch\"><button type=\"button\" id=\"log\" aria-pressed=\"false\">Log scale</button></span>\
     <span class=\"switch\" id=\"whole\" hidden><button type=\"button\">Whole run</button></span>\
     <small id=\"at\"></small></div>\
     <noscript><p>The charts need the script of this page, which your viewer does not run.</p></noscript>\
     <div id=\"charts\" class=\"charts\"></div></section>\n"
        .to_owned()
}

pub(super) fn footer(summary: &Summary) -> String {
    let facts = &summary.facts;
    format!(
        "<footer>Service time runs from the start of the work on a request to the last byte of its answer; \
         the other latency from when the schedule or the step before it made the request due, which is what a user \
         would have waited. Run {} made by drumfire {}.</footer>\n",
        escape(&facts.run_id),
        escape(&facts.version)
    )
}

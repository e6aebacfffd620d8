//! What `artillery run` prints, line for line: phases, a block per window of
//! ten seconds, the summary report, the checks and the Apdex score.

use crate::windows::{WINDOW_US, Window, Windows, artillery_names, mean_rates};
use crate::wording::tenths;
use drumfire_metrics::{
    Histogram, NameOptions, NamedMetrics, StageFacts, Summary, ThresholdOutcome,
};
use jiff::{Timestamp, tz::TimeZone};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Column in which the dots end.
const DOTS_END: usize = 80;
/// Characters kept of a name that is too long for its line.
const CUT_NAME: usize = 76;

/// Prints a run in Artillery's manner.
#[derive(Debug, Clone)]
pub struct Console {
    /// Wall clock at the run's start, microseconds since 1970.
    pub started_at_us: u64,
    /// Zone in which times of day are shown.
    pub zone: TimeZone,
    /// How metrics are named; Drumfire's own names are left out.
    pub names: NameOptions,
    /// Whether metrics by endpoint are listed (the script configures that plugin).
    pub by_endpoint: bool,
}

impl Console {
    /// The line that opens a run.
    pub fn run_id(&self, run_id: &str) -> String {
        format!("Test run id: {run_id}\n")
    }

    /// The lines that open the stage of this index.
    pub fn phase_started(&self, index: usize, stage: &StageFacts) -> String {
        self.phase("started", index, stage, stage.start_us)
    }

    /// The lines that close the stage of this index.
    pub fn phase_completed(&self, index: usize, stage: &StageFacts) -> String {
        self.phase("completed", index, stage, stage.end_us)
    }

    fn phase(&self, what: &str, index: usize, stage: &StageFacts, at_us: u64) -> String {
        let name = stage.name.as_deref().unwrap_or("unnamed");
        let seconds = stage.end_us.saturating_sub(stage.start_us) as f64 / 1e6;
        let time = self.time_of_day(self.started_at_us + at_us);
        format!("Phase {what}: {name} (index: {index}, duration: {seconds}s) {time}\n\n")
    }

    /// The block of one window.
    pub fn period(&self, window: &Window) -> String {
        let end = self.time_of_day(window.period_ms * 1_000 + WINDOW_US);
        let width = window.width_ms() as f64 / 1e3;
        let title = format!("Metrics for period to: {end} (width: {width}s)");
        let mut out = heading(&title, 38);
        self.list(&mut out, &window.metrics, &window.rates);
        out.push_str("\n\n");
        out
    }

    /// Everything after the last window: total time, summary report, the name
    /// of the log file if one was written, checks and Apdex score.
    pub fn report(&self, summary: &Summary, log_file: Option<&str>) -> String {
        let total = total_time(summary.facts.duration_us);
        let mut out = format!("All VUs finished. Total time: {total}\n\n");
        let end = self.time_of_day(self.started_at_us + summary.facts.duration_us);
        out.push_str(&heading(&format!("Summary report @ {end}"), 32));
        let metrics = NamedMetrics::of_with(&summary.total, &artillery_names(&self.names));
        let intervals = summary.timeline.iter().map(|interval| &interval.snapshot);
        let rates = mean_rates(&Windows::of(self.started_at_us, &self.names, intervals));
        self.list(&mut out, &metrics, &rates);
        if let Some(path) = log_file {
            put(&mut out, format_args!("Log file: {path}\n"));
        }
        out.push_str(&checks(&summary.verdict.thresholds));
        out.push_str(&apdex(&metrics.counters));
        out
    }

    fn list(&self, out: &mut String, metrics: &NamedMetrics, rates: &BTreeMap<String, u64>) {
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        for (name, count) in &metrics.counters {
            lines.insert(name, line(name, &count.to_string()));
        }
        for (name, rate) in rates {
            lines.insert(name, line(name, &format!("{rate}/sec")));
        }
        for (name, (factor, histogram)) in &metrics.histograms {
            if histogram.count() > 0 {
                lines.insert(name, block(name, *factor, histogram));
            }
        }
        let hidden = format!("{}.", self.names.by_endpoint);
        let shown = lines
            .iter()
            .filter(|(name, _)| self.by_endpoint || !name.starts_with(&hidden));
        out.extend(shown.map(|(_, text)| text.as_str()));
    }

    /// A time of day with its zone, `09:26:40(+0000)`.
    fn time_of_day(&self, at_us: u64) -> String {
        let micros = i64::try_from(at_us).unwrap_or(i64::MAX);
        let instant = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        let zoned = instant.to_zoned(self.zone.clone());
        zoned.strftime("%H:%M:%S(%z)").to_string()
    }
}

fn heading(title: &str, dashes: usize) -> String {
    let rule = "-".repeat(dashes);
    format!("{rule}\n{title}\n{rule}\n\n")
}

fn line(name: &str, value: &str) -> String {
    let width = name.chars().count() + 2;
    if width > DOTS_END {
        let cut: String = name.chars().take(CUT_NAME).collect();
        return format!("{cut}...  {value}\n");
    }
    let dots = ".".repeat(DOTS_END - width);
    format!("{name}: {dots} {value}\n")
}

fn block(name: &str, factor: f64, histogram: &Histogram) -> String {
    let mut out = format!("{name}:\n");
    let statistics = [
        ("min", histogram.min() as f64),
        ("max", histogram.max() as f64),
        ("mean", histogram.mean()),
        ("median", histogram.quantile(0.5) as f64),
        ("p95", histogram.quantile(0.95) as f64),
        ("p99", histogram.quantile(0.99) as f64),
    ];
    for (key, statistic) in statistics {
        let value = tenths(statistic * factor);
        out.push_str(&line(&format!("  {key}"), &value.to_string()));
    }
    out
}

/// `1 hour, 2 minutes, 3 seconds`, without the parts that are zero.
fn total_time(duration_us: u64) -> String {
    let seconds = (duration_us + 500_000) / 1_000_000;
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() {
        return "0 seconds".into();
    }
    words.join(", ")
}

/// Those that held, then those that failed, each from the last to the first:
/// the order in which Artillery prints them.
fn checks(thresholds: &[ThresholdOutcome]) -> String {
    if thresholds.is_empty() {
        return String::new();
    }
    let mut out = String::from("\nChecks:\n");
    for passed in [true, false] {
        for check in thresholds.iter().rev().filter(|c| c.passed == passed) {
            let word = if passed { "ok" } else { "fail" };
            let optional = if passed || check.strict {
                ""
            } else {
                " (optional)"
            };
            put(&mut out, format_args!("{word}: {}{optional}\n", check.text));
        }
    }
    out
}

/// The score of the apdex plugin, where its counters are.
fn apdex(counters: &BTreeMap<String, u64>) -> String {
    let count = |name: &str| counters.get(name).copied();
    let (Some(satisfied), Some(tolerated), Some(frustrated)) = (
        count("apdex.satisfied"),
        count("apdex.tolerated"),
        count("apdex.frustrated"),
    ) else {
        return String::new();
    };
    let total = satisfied + tolerated + frustrated;
    if total == 0 {
        return String::new();
    }
    let score = (satisfied as f64 + tolerated as f64 / 2.0) / total as f64;
    format!("\nApdex score: {score} ({})\n", apdex_word(score))
}

fn apdex_word(score: f64) -> &'static str {
    const WORDS: [(f64, &str); 4] = [
        (0.94, "excellent"),
        (0.85, "good"),
        (0.7, "fair"),
        (0.5, "poor"),
    ];
    WORDS
        .iter()
        .find(|(least, _)| score >= *least)
        .map_or("unacceptable", |(_, word)| word)
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::demo_summary;

    fn console(by_endpoint: bool) -> Console {
        Console {
            started_at_us: demo_summary().facts.started_at_us,
            zone: TimeZone::UTC,
            names: NameOptions::default(),
            by_endpoint,
        }
    }

    /// Lines that a real Artillery 2.0.34 printed.
    #[test]
    fn lines_end_where_artillerys_do() {
        let cases = [
            ("AB", "1", format!("AB: {} 1\n", ".".repeat(76))),
            (
                "  min",
                "123456789.1",
                format!("  min: {} 123456789.1\n", ".".repeat(73)),
            ),
            (
                "my.rate",
                "1/sec",
                format!("my.rate: {} 1/sec\n", ".".repeat(71)),
            ),
            (
                &"x".repeat(70),
                "1",
                format!("{}: ........ 1\n", "x".repeat(70)),
            ),
            (&"y".repeat(77), "12", format!("{}: . 12\n", "y".repeat(77))),
            (&"y".repeat(78), "12", format!("{}:  12\n", "y".repeat(78))),
            (&"z".repeat(90), "1", format!("{}...  1\n", "z".repeat(76))),
            ("été", "2", format!("été: {} 2\n", ".".repeat(75))),
        ];
        for (name, value, expected) in cases {
            assert_eq!(line(name, value), expected);
        }
    }

    #[test]
    fn total_time_leaves_out_what_is_zero() {
        let cases = [
            (0, "0 seconds"),
            (1_400_000, "1 second"),
            (23_000_000, "23 seconds"),
            (64_000_000, "1 minute, 4 seconds"),
            (120_000_000, "2 minutes"),
            (3_661_000_000, "1 hour, 1 minute, 1 second"),
        ];
        for (duration_us, expected) in cases {
            assert_eq!(total_time(duration_us), expected);
        }
    }

    #[test]
    fn checks_stand_in_artillerys_order() {
        let check = |text: &str, passed, strict| ThresholdOutcome {
            text: text.to_owned(),
            passed,
            strict,
            value: None,
            aborted_at_us: None,
        };
        let checks = checks(&[
            check("p95 < 100", false, true),
            check("p99 < 1000", true, true),
            check("optional and held", true, false),
            check("nothing.here < 1", false, false),
        ]);
        let expected = "\nChecks:\nok: optional and held\nok: p99 < 1000\n\
                        fail: nothing.here < 1 (optional)\nfail: p95 < 100\n";
        assert_eq!(checks, expected);
    }

    #[test]
    fn apdex_is_scored_as_artillery_scores_it() {
        let score = |satisfied, tolerated, frustrated| {
            let counters = [
                ("apdex.satisfied", satisfied),
                ("apdex.tolerated", tolerated),
                ("apdex.frustrated", frustrated),
            ];
            apdex(&counters.map(|(name, n)| (name.to_owned(), n)).into())
        };
        assert_eq!(
            score(95, 59, 0),
            "\nApdex score: 0.8084415584415584 (fair)\n"
        );
        assert_eq!(score(1, 0, 0), "\nApdex score: 1 (excellent)\n");
        assert_eq!(score(0, 0, 3), "\nApdex score: 0 (unacceptable)\n");
        assert_eq!(score(0, 0, 0), "");
        assert_eq!(apdex(&BTreeMap::new()), "");
    }

    #[test]
    fn phases_are_announced() {
        let stages = demo_summary().facts.stages;
        let console = console(false);
        assert_eq!(
            console.phase_started(0, &stages[0]),
            "Phase started: warm up (index: 0, duration: 12s) 10:00:03(+0000)\n\n"
        );
        assert_eq!(
            console.phase_completed(1, &stages[1]),
            "Phase completed: unnamed (index: 1, duration: 12s) 10:00:27(+0000)\n\n"
        );
    }

    #[test]
    fn a_run_reads_as_artillerys_does() {
        let summary = demo_summary();
        let console = console(false);
        let intervals = summary.timeline.iter().map(|interval| &interval.snapshot);
        let windows = Windows::of(console.started_at_us, &console.names, intervals);
        let mut text: String = windows
            .iter()
            .map(|window| console.period(window))
            .collect();
        text.push_str(&console.report(&summary, Some("out.json")));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn endpoints_are_listed_on_request() {
        let summary = demo_summary();
        let hidden = console(false).report(&summary, None);
        let shown = console(true).report(&summary, None);
        assert!(!hidden.contains("metrics-by-endpoint"));
        assert!(shown.contains("\nplugins.metrics-by-endpoint./login.codes.200: ..."));
        assert!(shown.contains("\nplugins.metrics-by-endpoint.response_time./login:\n  min: ..."));
    }
}

//! Thresholds, checks and the generator's own state as JUnit XML, for what
//! reads test results in a pipeline.

use crate::findings;
use crate::wording;
use drumfire_metrics::{Summary, ThresholdOutcome};
use std::collections::BTreeMap;

/// Where the checks of the expect plugin are counted, by kind.
const OK: &str = "plugins.expect.ok.";
const FAILED: &str = "plugins.expect.failed.";

/// Renders the run as one test suite. With `strict` a saturated generator is
/// an errored case (the numbers cannot be trusted), without it a remark.
pub fn render(summary: &Summary, strict: bool) -> String {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(summary.verdict.thresholds.iter().map(threshold));
    cases.extend(checks(&summary.total.counters));
    cases.push(generator(summary, strict));
    let count = |wanted: fn(&Ending) -> bool| cases.iter().filter(|c| wanted(&c.ending)).count();
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
        cases.len(),
        count(|e| matches!(e, Ending::Failed(_))),
        count(|e| matches!(e, Ending::Errored(_))),
        count(|e| matches!(e, Ending::Skipped(_))),
        summary.facts.duration_us as f64 / 1e6,
    );
    let name = escape(&format!("drumfire {}", summary.facts.title));
    let timestamp = timestamp(summary.facts.started_at_us);
    let host = escape(&summary.facts.host);
    let notes = notes(&summary.verdict.notes);
    let body: String = cases.iter().map(Case::render).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"drumfire\" {totals}>\n  \
         <testsuite name=\"{name}\" {totals} timestamp=\"{timestamp}\" hostname=\"{host}\">\n\
         {body}{notes}  </testsuite>\n</testsuites>\n"
    )
}

struct Case {
    class: &'static str,
    name: String,
    ending: Ending,
}

enum Ending {
    Passed,
    /// The run's target did not do as it should.
    Failed(String),
    /// The measurement itself is not to be trusted.
    Errored(String),
    /// Not counted against the run.
    Skipped(String),
    /// Passed, with something to read.
    Remarked(String),
}

impl Case {
    fn render(&self) -> String {
        let head = format!(
            "    <testcase classname=\"drumfire.{}\" name=\"{}\"",
            self.class,
            escape(&self.name)
        );
        let inside = match &self.ending {
            Ending::Passed => return format!("{head}/>\n"),
            Ending::Failed(text) => format!("<failure message=\"{}\"/>", escape(text)),
            Ending::Errored(text) => format!("<error message=\"{}\"/>", escape(text)),
            Ending::Skipped(text) => format!("<skipped message=\"{}\"/>", escape(text)),
            Ending::Remarked(text) => format!("<system-out>{}</system-out>", escape(text)),
        };
        format!("{head}>{inside}</testcase>\n")
    }
}

fn threshold(outcome: &ThresholdOutcome) -> Case {
    let measured = match outcome.value {
        Some(value) => format!("measured {value}"),
        None => "no single value measured".to_owned(),
    };
    let ended = outcome.aborted_at_us.map_or(String::new(), |at_us| {
        format!(", ended the run after {}", wording::span(at_us))
    });
    let ending = match (outcome.passed, outcome.strict) {
        (true, _) => Ending::Passed,
        (false, true) => Ending::Failed(format!("{measured}{ended}")),
        (false, false) => Ending::Skipped(format!("optional and not held: {measured}{ended}")),
    };
    Case {
        class: "thresholds",
        name: outcome.text.clone(),
        ending,
    }
}

/// One case per kind of check, for the checks themselves are counted and not kept.
fn checks(counters: &BTreeMap<String, u64>) -> Vec<Case> {
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, n) in counters {
        if let Some(kind) = name.strip_prefix(OK) {
            kinds.entry(kind).or_default().0 += n;
        } else if let Some(kind) = name.strip_prefix(FAILED) {
            kinds.entry(kind).or_default().1 += n;
        }
    }
    let case = |(kind, (ok, failed)): (&str, (u64, u64))| Case {
        class: "checks",
        name: format!("expect {kind}"),
        ending: match failed {
            0 => Ending::Passed,
            _ => Ending::Failed(format!("{failed} of {} failed", ok + failed)),
        },
    };
    kinds.into_iter().map(case).collect()
}

fn generator(summary: &Summary, strict: bool) -> Case {
    let stretches: Vec<String> = findings::saturations(&summary.verdict).collect();
    let text = stretches.join("; ");
    let ending = match (summary.verdict.trustworthy(), strict) {
        (true, _) => Ending::Passed,
        (false, true) => Ending::Errored(text),
        (false, false) => Ending::Remarked(text),
    };
    Case {
        class: "generator",
        name: "the generator kept up".to_owned(),
        ending,
    }
}

fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let text = escape(&notes.join("\n"));
    format!("    <system-out>{text}</system-out>\n")
}

fn timestamp(started_at_us: u64) -> String {
    let micros = i64::try_from(started_at_us).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Text for an attribute or an element; what XML 1.0 cannot hold at all
/// becomes the replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", u32::from(c))),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::demo_summary;

    #[test]
    fn strict_makes_saturation_an_error() {
        insta::assert_snapshot!(render(&demo_summary(), true));
    }

    #[test]
    fn without_strict_saturation_is_a_remark() {
        let text = render(&demo_summary(), false);
        assert!(text.contains("errors=\"0\""));
        let expected = "name=\"the generator kept up\"><system-out>generator saturated \
                        from 12 s to 15 s: late by p99 85.0 ms</system-out></testcase>";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut summary = demo_summary();
        summary.verdict.notes.push("]]><!--".into());
        summary.verdict.thresholds[0].text = "a<b && \"c\">'d'\n\u{0}\u{1b}[31m".into();
        let text = render(&summary, true);
        let expected =
            "name=\"a&lt;b &amp;&amp; &quot;c&quot;&gt;&apos;d&apos;&#10;\u{fffd}\u{fffd}[31m\"/>";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("    <system-out>]]&gt;&lt;!--</system-out>\n"));
    }
}

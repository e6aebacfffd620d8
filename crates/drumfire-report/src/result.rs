//! Drumfire's own result file (`--json`): everything a summary holds, with its
//! HDR histograms inside, so that it can be rendered again, merged and compared.
//!
//! Rule for old readers: a field may be added without a new version, and a
//! reader passes over what it does not know; whatever an old reader would
//! misread raises the version, and a reader refuses a version above its own.

mod agents;
mod border;
mod histogram;

use drumfire_metrics::Summary;
use serde::{Deserialize, Serialize};

/// Version of the format written here, and the newest one read here.
pub const VERSION: u32 = 1;
/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 30;

/// Most intervals of a timeline that is read.
pub const MAX_INTERVALS: usize = 2 * Summary::TIMELINE_LIMIT;

/// Latest instant that is read, microseconds: the year 2255.
pub const MAX_INSTANT_US: u64 = 1 << 53;

/// Why a result file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Too large to be read.
    #[error("read result: {bytes} bytes are more than the limit of {MAX_FILE_BYTES}")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
    },
    /// Not a result file at all.
    #[error(
        "read result: no \"drumfire\" object with a \"version\"\nhint: the file must come from --json, not from --output"
    )]
    Foreign,
    /// Written by a newer Drumfire.
    #[error(
        "read result: version {found} is not known, this drumfire reads up to {VERSION}\nhint: read it with the drumfire that wrote it, or a newer one"
    )]
    Version {
        /// Version in the file.
        found: u64,
    },
    /// Broken JSON, or a field whose kind or content is wrong.
    #[error("read result: {0}")]
    Malformed(serde_json::Error),
    /// Time that goes backward or never ends.
    #[error("read result: from {start_us} to {end_us} us is no stretch of time")]
    Span {
        /// Start as the file says it.
        start_us: u64,
        /// End as the file says it.
        end_us: u64,
    },
    /// A timeline that no run has.
    #[error("read result: timeline: {found} intervals are more than the limit of {MAX_INTERVALS}")]
    Timeline {
        /// Intervals in the file.
        found: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct File<T> {
    drumfire: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// Renders a summary as a result file of one line.
pub fn render(summary: &Summary) -> String {
    let file = File {
        drumfire: border::Result::from(summary),
    };
    serde_json::to_string(&file).expect("the border structs have string keys only")
}

/// Reads a result file back; what [`render`] wrote comes back equal.
///
/// # Errors
/// A file that is too large, foreign, of a newer version, or malformed.
pub fn parse(text: &str) -> Result<Summary, ResultError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ResultError::TooLarge { bytes: text.len() });
    }
    check_version(text)?;
    let file: File<border::Result> = serde_json::from_str(text).map_err(ResultError::Malformed)?;
    let summary = Summary::from(file.drumfire);
    if summary.timeline.len() > MAX_INTERVALS {
        let found = summary.timeline.len();
        return Err(ResultError::Timeline { found });
    }
    check_instants(&summary)?;
    Ok(summary)
}

/// Everything that reads a summary may take it for granted that time goes
/// forward and that adding instants does not overflow.
fn check_instants(summary: &Summary) -> Result<(), ResultError> {
    let facts = &summary.facts;
    let whole = (
        facts.started_at_us,
        facts.started_at_us.saturating_add(facts.duration_us),
    );
    let stages = facts
        .stages
        .iter()
        .map(|stage| (stage.start_us, stage.end_us));
    let agents = summary
        .agents
        .iter()
        .flat_map(|agents| agents.rows.values());
    let saturations = agents.flat_map(|agent| &agent.saturations);
    let saturations = summary.verdict.saturations.iter().chain(saturations);
    let saturations = saturations.map(|stretch| (stretch.start_us, stretch.end_us));
    let snapshots = summary.timeline.iter().map(|interval| &interval.snapshot);
    let snapshots = snapshots.chain([&summary.total]);
    let snapshots = snapshots.map(|snapshot| (snapshot.start_us, snapshot.end_us));
    let epochs = summary.agents.iter().flat_map(|agents| &agents.epochs);
    let epochs = epochs.map(|epoch| (0, epoch.from_us));
    let events = summary.agents.iter().flat_map(|agents| &agents.events);
    let events = events.map(|event| (0, event.at_us.unsigned_abs()));
    let mut spans = [whole]
        .into_iter()
        .chain(epochs)
        .chain(events)
        .chain(stages)
        .chain(saturations)
        .chain(snapshots);
    match spans.find(|(start_us, end_us)| start_us > end_us || *end_us > MAX_INSTANT_US) {
        Some((start_us, end_us)) => Err(ResultError::Span { start_us, end_us }),
        None => Ok(()),
    }
}

/// Reads nothing but the version first, so that a newer file is refused as
/// such and not for a field of it.
fn check_version(text: &str) -> Result<(), ResultError> {
    let file: File<VersionOnly> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            ResultError::Foreign
        } else {
            ResultError::Malformed(error)
        }
    })?;
    match file.drumfire.version {
        found if found == u64::from(VERSION) => Ok(()),
        found => Err(ResultError::Version { found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary, shared};
    use drumfire_metrics::Histogram;
    use proptest::prelude::*;

    /// Length of every form of a report.
    fn render_all(summary: &Summary) -> usize {
        let names = drumfire_metrics::NameOptions::default();
        let texts = [
            crate::html::render(summary),
            crate::artillery_json::render(summary, &names),
            crate::csv::timeline(summary),
            crate::csv::endpoints(summary),
            crate::csv::agents(summary),
            crate::junit::render(summary, true),
            crate::quick::render(summary),
            crate::findings::render(summary),
            crate::compare::compare(summary, summary).text(),
        ];
        texts.iter().map(String::len).sum()
    }

    fn round_trip(summary: &Summary) -> Summary {
        parse(&render(summary)).expect("our own file is readable")
    }

    #[test]
    fn a_run_comes_back_equal() {
        let mut odd = demo_summary();
        odd.total.health.busiest_shard = 0.1 + 0.2;
        odd.timeline[3].planned = 1.0 / 3.0;
        odd.facts.title = "\u{0}</script>\u{1F600}\"".into();
        odd.total
            .endpoints
            .entry("odd".into())
            .or_default()
            .first_byte_us[0]
            .record(7);
        odd.total.iterations.duration_us.record_n(u64::MAX, 3);
        let idle = Demo {
            endpoints: &[],
            stall_s: 0..0,
            ..Demo::default()
        }
        .run();
        let shared = shared(3, &Demo::default());
        for summary in [demo_summary(), Summary::default(), odd, idle, shared] {
            assert_eq!(round_trip(&summary), summary);
        }
    }

    proptest! {
        #[test]
        fn any_histogram_comes_back_equal(values in prop::collection::vec(any::<(u64, u16)>(), 0..50)) {
            let mut summary = Summary::default();
            let histogram: &mut Histogram = &mut summary.total.iterations.duration_us;
            for (value, n) in values {
                histogram.record_n(value >> (n % 60), u64::from(n));
            }
            prop_assert_eq!(round_trip(&summary), summary);
        }

        #[test]
        fn no_broken_byte_makes_anything_panic(place: prop::sample::Index, byte: u8) {
            let demo = Demo { seconds: 1, arrivals_per_s: 2, ..Demo::default() };
            let mut bytes = render(&shared(2, &demo)).into_bytes();
            let at = place.index(bytes.len());
            bytes[at] = byte & 0x7f;
            let text = String::from_utf8(bytes).expect("still ASCII");
            match parse(&text) {
                Err(error) => prop_assert!(error.to_string().starts_with("read result: ")),
                Ok(summary) => prop_assert!(render_all(&summary) > 0),
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_with_a_reason() {
        let ours = render(&demo_summary());
        let cases = [
            ("", "read result: EOF while parsing a value"),
            ("{}", "read result: no \"drumfire\" object"),
            ("[1]", "read result: no \"drumfire\" object"),
            (
                r#"{"aggregate":{},"intermediate":[]}"#,
                "read result: no \"drumfire\" object",
            ),
            (
                r#"{"drumfire":{"version":2}}"#,
                "read result: version 2 is not known",
            ),
            (
                r#"{"drumfire":{"version":0}}"#,
                "read result: version 0 is not known",
            ),
            (
                r#"{"drumfire":{"version":1}}"#,
                "read result: missing field `facts`",
            ),
            (&ours[..ours.len() / 2], "read result: EOF"),
            (
                &ours.replace("\"shards\":2", "\"shards\":-2"),
                "read result: invalid value",
            ),
            (
                &ours.replace("\"end_us\":24000000", "\"end_us\":18446744073709551615"),
                "read result: from 12000000 to 18446744073709551615 us is no stretch",
            ),
            (
                &ours.replace("\"start_us\":12000000", "\"start_us\":99000000"),
                "read result: from 99000000 to 24000000 us is no stretch",
            ),
            (
                &ours.replace("\"cause\":\"late\"", "\"cause\":\"tired\""),
                "read result: unknown variant `tired`",
            ),
            (
                &ours.replace("\"hdr\":\"H", "\"hdr\":\"!"),
                "read result: histogram: Invalid symbol",
            ),
            (
                &ours.replace("\"hdr\":\"HIST", "\"hdr\":\"HAAA"),
                "read result: histogram: ",
            ),
            (
                &ours.replace("\"min\":", "\"min\":9"),
                "read result: histogram: ",
            ),
            (
                &ours.replace("\"count\":", "\"count\":9"),
                "read result: histogram: count 9",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("accepted, not {expected}"));
            assert!(error.starts_with(expected), "{error}, not {expected}");
        }
    }

    #[test]
    fn broken_agents_are_refused_with_a_reason() {
        let ours = render(&shared(3, &Demo::default()));
        for (found, instead, expected) in [
            (
                "\"life\":\"1\"",
                "\"life\":\"x\"",
                "life \"x\": invalid digit",
            ),
            (
                "\"ending\":\"lost\"",
                "\"ending\":\"away\"",
                "unknown variant `away`",
            ),
            ("\"at_us\":-", "\"at_us\":-99999999999", "us is no stretch"),
        ] {
            let broken = ours.replacen(found, instead, 1);
            let error = parse(&broken).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("accepted, not {expected}"));
            assert!(error.contains(expected), "{error}, not {expected}");
        }
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let ours = render(&demo_summary());
        let newer = ours.replacen("\"facts\":{", "\"later\":[{}],\"facts\":{\"also\":1,", 1);
        assert_eq!(parse(&newer).expect("still version 1"), demo_summary());
    }

    #[test]
    fn a_timeline_without_end_is_refused() {
        let mut summary = demo_summary();
        let interval = drumfire_metrics::Interval::default();
        summary.timeline = vec![interval; 2 * Summary::TIMELINE_LIMIT + 1];
        let error = parse(&render(&summary))
            .err()
            .map(|error| error.to_string());
        let expected = "read result: timeline: 14401 intervals are more than the limit of 14400";
        assert_eq!(error.as_deref(), Some(expected));
    }
}

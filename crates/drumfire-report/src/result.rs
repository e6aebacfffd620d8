//! Drumfire's own result file (`--json`): everything a summary holds, with its
//! HDR histograms inside, so that it can be rendered again, merged and compared.
//!
//! Rule for old readers: a field may be added without a new version, and a
//! reader passes over what it does not know; whatever an old reader would
//! misread raises the version, and a reader refuses a version above its own.

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
    match summary.timeline.len() {
        found if found > MAX_INTERVALS => Err(ResultError::Timeline { found }),
        _ => Ok(summary),
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
    use crate::demo::{Demo, demo_summary};
    use drumfire_metrics::Histogram;
    use proptest::prelude::*;

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
        for summary in [demo_summary(), Summary::default(), odd, idle] {
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
        fn no_broken_byte_makes_it_panic(place: prop::sample::Index, byte: u8) {
            let demo = Demo { seconds: 1, arrivals_per_s: 2, ..Demo::default() };
            let mut bytes = render(&demo.run()).into_bytes();
            let at = place.index(bytes.len());
            bytes[at] = byte & 0x7f;
            let text = String::from_utf8(bytes).expect("still ASCII");
            if let Err(error) = parse(&text) {
                prop_assert!(error.to_string().starts_with("read result: "));
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

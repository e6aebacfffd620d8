//! The one reader of durations: what looks like a number is seconds, anything else is what npm `ms`
//! reads (`500ms`, `0.5 min`, `2h`).

use std::time::Duration;

use serde_json::Value;

use crate::javascript;

/// The longest duration there is; longer ones are cut to it.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// The longest text that may be a duration, in bytes.
const LENGTH_LIMIT: usize = 100;

/// Units and how many milliseconds they are. Longer names and plurals come from these.
const UNITS: [(&[&str], f64); 7] = [
    (&["milliseconds", "millisecond", "msecs", "msec", "ms"], 1.0),
    (&["seconds", "second", "secs", "sec", "s"], 1_000.0),
    (&["minutes", "minute", "mins", "min", "m"], 60_000.0),
    (&["hours", "hour", "hrs", "hr", "h"], 3_600_000.0),
    (&["days", "day", "d"], 86_400_000.0),
    (&["weeks", "week", "w"], 604_800_000.0),
    (&["years", "year", "yrs", "yr", "y"], 31_557_600_000.0),
];

/// Reads a duration from a script's value: a number is seconds, fractions too; a text is read by
/// [`parse_text`]. Less than nothing is nothing. `None` when it is no duration.
pub fn parse_value(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => from_milliseconds(number.as_f64()? * 1_000.0),
        Value::String(text) => parse_text(text),
        _ => None,
    }
}

/// Reads a duration from text: a bare number is seconds, else it carries a unit.
pub fn parse_text(text: &str) -> Option<Duration> {
    let seconds = javascript::to_number(text);
    if !text.trim().is_empty() && seconds.is_finite() {
        return from_milliseconds(seconds * 1_000.0);
    }
    if text.len() > LENGTH_LIMIT {
        return None;
    }
    let number_end =
        text.find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | '-')))?;
    let number: f64 = text[..number_end].parse().ok()?;
    let unit = text[number_end..]
        .trim_start_matches(' ')
        .to_ascii_lowercase();
    let milliseconds = UNITS.iter().find_map(|(names, milliseconds)| {
        names.contains(&unit.as_str()).then_some(*milliseconds)
    })?;
    from_milliseconds(number * milliseconds)
}

fn from_milliseconds(milliseconds: f64) -> Option<Duration> {
    if milliseconds.is_nan() {
        return None;
    }
    let nanoseconds = (milliseconds * 1e6)
        .round()
        .clamp(0.0, LONGEST.as_nanos() as f64);
    Some(Duration::from_nanos(nanoseconds as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_read_as_artillery_means_them() {
        for (value, milliseconds) in [
            (json!(5), Some(5_000)),
            (json!("5"), Some(5_000)),
            (json!(0.5), Some(500)),
            (json!("1.5"), Some(1_500)),
            (json!("500ms"), Some(500)),
            (json!("0.5 min"), Some(30_000)),
            (json!("9 seconds"), Some(9_000)),
            (json!("2h"), Some(7_200_000)),
            (json!("1500ms"), Some(1_500)),
            (json!(".5s"), Some(500)),
            (json!("1 Day"), Some(86_400_000)),
            (json!(0), Some(0)),
            (json!(-3), Some(0)),
            (json!("-3s"), Some(0)),
            (json!("1e3"), Some(1_000_000)),
            (json!("soon"), None),
            (json!("5 lightyears"), None),
            (json!(""), None),
            (json!(null), None),
            (json!(true), None),
            (json!([5]), None),
        ] {
            let parsed = parse_value(&value).map(|duration| duration.as_millis());
            assert_eq!(parsed, milliseconds, "{value}");
        }
    }

    #[test]
    fn the_longest_duration_is_cut() {
        assert_eq!(parse_value(&json!(1e300)), Some(LONGEST));
        assert_eq!(parse_text("99999999999999 years"), Some(LONGEST));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,20}|[0-9.-]{0,8} ?[a-z]{0,8}") {
            parse_text(&text);
        }
    }
}

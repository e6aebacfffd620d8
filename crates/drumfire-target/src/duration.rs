//! Durations as people type them: `250us`, `100ms`, `1.5s`, `2m`. This crate knows none of the
//! others, so it reads its own.

use std::time::Duration;

const UNITS: [(&str, f64); 5] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
];

/// The longest duration that is believed: a day.
const LONGEST_S: f64 = 86_400.0;

/// Reads a number with its unit; the error says what was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let (number, unit) = trimmed.split_at(
        trimmed
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(trimmed.len()),
    );
    let seconds_per_unit = UNITS
        .iter()
        .find_map(|(name, seconds)| (*name == unit).then_some(*seconds));
    match (number.trim().parse::<f64>(), seconds_per_unit) {
        (Ok(value), Some(factor)) if (0.0..=LONGEST_S).contains(&(value * factor)) => {
            Ok(Duration::from_secs_f64(value * factor))
        }
        _ => Err(format!(
            "`{text}` is no duration (expected a number with ns, us, ms, s or m, up to a day)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn durations_are_read_with_their_unit() {
        let table = [
            ("0s", Some(Duration::ZERO)),
            ("250us", Some(Duration::from_micros(250))),
            ("10 ms", Some(Duration::from_millis(10))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("2m", Some(Duration::from_secs(120))),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("nans", None),
            ("infs", None),
            ("1e9s", None),
            ("1h", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}

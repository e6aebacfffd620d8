//! The types of unquoted words, as js-yaml 3 tells them.

use crate::calendar::{self, Moment};
use crate::node::NodeValue;

/// The value of an unquoted `text`.
pub(super) fn resolve(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeValue::Null,
        "true" | "True" | "TRUE" => return NodeValue::Bool(true),
        "false" | "False" | "FALSE" => return NodeValue::Bool(false),
        _ => {}
    }
    match integer(text).or_else(|| float(text)) {
        Some(number) => NodeValue::Number(number),
        None => NodeValue::Text(timestamp(text).as_deref().unwrap_or(text).into()),
    }
}

/// The value of a `text` with one of YAML's own tags; `None` when the tag is not known or the text
/// does not fit it.
pub(super) fn resolve_tagged(text: &str, tag: &str) -> Option<NodeValue> {
    match tag {
        "str" => Some(NodeValue::Text(text.into())),
        "int" => integer(text).map(NodeValue::Number),
        "float" => float(text).or_else(|| integer(text)).map(NodeValue::Number),
        "bool" => Some(resolve(text)).filter(|value| matches!(value, NodeValue::Bool(_))),
        "null" => Some(resolve(text)).filter(|value| matches!(value, NodeValue::Null)),
        "timestamp" => timestamp(text).map(|text| NodeValue::Text(text.into())),
        _ => None,
    }
}

/// Splits a leading sign off.
fn signed(text: &str) -> (f64, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    }
}

/// Whole numbers: `0b11`, `0x1f`, `017` (octal), `1_000`, `1:30:05` (base 60).
fn integer(text: &str) -> Option<f64> {
    let (sign, digits) = signed(text);
    if digits.is_empty() || digits.ends_with('_') || digits.starts_with('_') {
        return None;
    }
    let plain = digits.replace('_', "");
    let in_radix = |digits: &str, radix: u32| {
        let all = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        all.then(|| {
            digits.chars().fold(0.0, |sum, digit| {
                sum * f64::from(radix) + f64::from(digit.to_digit(radix).unwrap_or(0))
            })
        })
    };
    let magnitude = if let Some(binary) = plain.strip_prefix("0b") {
        in_radix(binary, 2)?
    } else if let Some(hexadecimal) = plain.strip_prefix("0x") {
        in_radix(hexadecimal, 16)?
    } else if plain.starts_with('0') && plain.len() > 1 {
        in_radix(&plain, 8)?
    } else if plain.contains(':') {
        base_60(&plain, false)?
    } else if plain.bytes().all(|digit| digit.is_ascii_digit()) {
        plain.parse().ok()?
    } else {
        return None;
    };
    // JavaScript's -0 prints as 0.
    Some(if magnitude == 0.0 {
        0.0
    } else {
        sign * magnitude
    })
}

/// Numbers in base 60: minutes and seconds below 60, a fraction where `with_fraction` says so.
fn base_60(text: &str, with_fraction: bool) -> Option<f64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if with_fraction => (whole, fraction),
        None if !with_fraction => (text, ""),
        _ => return None,
    };
    let mut parts = whole.split(':');
    let first = parts.next()?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    if !digits(first)
        || first.starts_with('0') && !with_fraction
        || !fraction.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let mut sum: f64 = first.parse().ok()?;
    let mut more = false;
    for part in parts {
        let below_60 =
            digits(part) && part.len() <= 2 && (part.len() == 1 || part.as_bytes()[0] < b'6');
        if !below_60 {
            return None;
        }
        sum = sum * 60.0 + part.parse::<f64>().ok()?;
        more = true;
    }
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    more.then_some(sum + fraction)
}

/// Numbers with a point or an exponent, and the infinities. A leading point takes no sign.
fn float(text: &str) -> Option<f64> {
    let (sign, magnitude) = signed(text);
    match magnitude {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if text == magnitude => return Some(f64::NAN),
        _ => {}
    }
    if text.ends_with('_') || magnitude.starts_with('_') {
        return None;
    }
    let plain = magnitude.replace('_', "");
    if plain.contains(':') {
        return base_60(&plain, true).map(|sum| sign * sum);
    }
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (plain.as_str(), None),
    };
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(whole, fraction)| {
            (whole, Some(fraction))
        });
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let whole_fits = match whole {
        "" => text == magnitude && fraction.is_some_and(|fraction| !fraction.is_empty()),
        "0" => true,
        whole => digits(whole) && !whole.starts_with('0'),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let (_, power) = signed(exponent);
        !power.is_empty() && digits(power)
    });
    if !whole_fits || !exponent_fits || !digits(fraction.unwrap_or("")) {
        return None;
    }
    let readable = format!(
        "{}.{}0e{}",
        if whole.is_empty() { "0" } else { whole },
        fraction.unwrap_or(""),
        exponent.unwrap_or("0")
    );
    readable.parse::<f64>().ok().map(|number| sign * number)
}

/// A date or a time as the text JSON would show: `2024-01-01` is `2024-01-01T00:00:00.000Z`.
fn timestamp(text: &str) -> Option<String> {
    let (date, rest) = text.split_at_checked(4)?;
    let year: i64 = digits(date, 4, 4)?;
    let rest = rest.strip_prefix('-')?;
    let (month, rest) = take_digits(rest, 1, 2)?;
    let rest = rest.strip_prefix('-')?;
    let (day, rest) = take_digits(rest, 1, 2)?;
    if rest.is_empty() {
        // A date alone has two digits for month and day.
        return (text.len() == 10).then(|| show_time(year, month, day, 0));
    }
    let clock = rest
        .strip_prefix(['T', 't'])
        .or_else(|| Some(rest.trim_start_matches([' ', '\t'])).filter(|clock| *clock != rest))?;
    let (hour, rest) = take_digits(clock, 1, 2)?;
    let (minute, rest) = take_digits(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = take_digits(rest.strip_prefix(':')?, 2, 2)?;
    let (milliseconds, rest) = match rest.strip_prefix('.') {
        Some(fraction) => {
            let length = fraction.len()
                - fraction
                    .trim_start_matches(|digit: char| digit.is_ascii_digit())
                    .len();
            let padded = format!("{:0<3}", &fraction[..length]);
            (padded[..3].parse::<i64>().ok()?, &fraction[length..])
        }
        None => (0, rest),
    };
    let offset_minutes = zone(rest)?;
    let of_day = ((hour * 60 + minute - offset_minutes) * 60 + second) * 1_000 + milliseconds;
    Some(show_time(year, month, day, of_day))
}

fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    let fits =
        (least..=most).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn take_digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let length = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    Some((digits(&text[..length], least, most)?, &text[length..]))
}

/// Minutes east of UTC: nothing, `Z`, `+2` or `+02:30`.
fn zone(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t']);
    if text.is_empty() || text == "Z" {
        return Some(0);
    }
    let (sign, clock) = signed(text);
    if clock == text {
        return None;
    }
    let (hours, rest) = take_digits(clock, 1, 2)?;
    let minutes = match rest.strip_prefix(':') {
        Some(minutes) => digits(minutes, 2, 2)?,
        None => digits(rest, 0, 0).or(rest.is_empty().then_some(0))?,
    };
    Some((sign as i64) * (hours * 60 + minutes))
}

/// A moment as ISO 8601 in UTC; months and days beyond their range roll over.
fn show_time(year: i64, month: i64, day: i64, of_day_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let unix_ms = calendar::days_from_civil(year, month, day) * DAY_MS + of_day_ms;
    Moment::from_unix_ms(unix_ms).iso()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::javascript;

    /// Unquoted words beside what js-yaml 3.15 gives for them, texts in quotes.
    #[test]
    fn words_have_the_types_of_js_yaml() {
        for (word, expected) in [
            ("yes", "\"yes\""),
            ("on", "\"on\""),
            ("Off", "\"Off\""),
            ("True", "true"),
            ("tRue", "\"tRue\""),
            ("~", "null"),
            ("Null", "null"),
            ("nUll", "\"nUll\""),
            ("", "null"),
            ("0x1f", "31"),
            ("0X1F", "\"0X1F\""),
            ("0b11", "3"),
            ("017", "15"),
            ("0o17", "\"0o17\""),
            ("08", "\"08\""),
            ("09.5", "\"09.5\""),
            ("1_000", "1000"),
            ("_1", "\"_1\""),
            ("1_", "\"1_\""),
            ("1__0", "10"),
            ("1:30", "90"),
            ("1:30:05", "5405"),
            ("1:99", "\"1:99\""),
            ("1:30.5", "90.5"),
            (".inf", "Infinity"),
            ("-.Inf", "-Infinity"),
            (".NaN", "NaN"),
            ("1e3", "1000"),
            ("1E3", "1000"),
            ("1.0", "1"),
            ("+5", "5"),
            ("-5", "-5"),
            ("1.", "1"),
            (".5", "0.5"),
            ("-.5", "\"-.5\""),
            ("1e-3", "0.001"),
            ("12e03", "12000"),
            ("1.5e3", "1500"),
            ("00", "0"),
            ("-0", "0"),
            ("5.", "5"),
            ("1,000", "\"1,000\""),
            ("2024-01-01", "\"2024-01-01T00:00:00.000Z\""),
            ("2024-1-1", "\"2024-1-1\""),
            ("2024-01-01T10:00:00Z", "\"2024-01-01T10:00:00.000Z\""),
            ("2024-01-01 10:00:00", "\"2024-01-01T10:00:00.000Z\""),
            (
                "2024-01-01 10:00:00.5 +02:00",
                "\"2024-01-01T08:00:00.500Z\"",
            ),
            ("2024-13-01", "\"2025-01-01T00:00:00.000Z\""),
            ("2024-02-29", "\"2024-02-29T00:00:00.000Z\""),
            ("0x", "\"0x\""),
            ("0b12", "\"0b12\""),
            ("1e", "\"1e\""),
            ("e3", "\"e3\""),
            ("+", "\"+\""),
            (".", "\".\""),
            ("1.2.3", "\"1.2.3\""),
            ("12345678901234567890", "12345678901234567000"),
            ("1_000.5", "1000.5"),
            ("1e400", "Infinity"),
            ("=", "\"=\""),
            ("+.5", "\"+.5\""),
            ("+1.5", "1.5"),
            ("007", "7"),
            ("-017", "-15"),
            ("1 2", "\"1 2\""),
            ("0:30", "\"0:30\""),
            ("-1:30", "-90"),
            ("60:00", "3600"),
            ("12:30:45.6", "45045.6"),
            ("1._5", "1.5"),
            ("-0x1f", "-31"),
            ("190:20:30", "685230"),
            ("0_1", "1"),
            ("0x_1", "1"),
        ] {
            let shown = match resolve(word) {
                NodeValue::Null => "null".to_owned(),
                NodeValue::Bool(truth) => truth.to_string(),
                NodeValue::Number(number) => javascript::float_text(number),
                NodeValue::Text(text) => format!("{text:?}"),
                other => panic!("a word became {other:?}"),
            };
            assert_eq!(shown, expected, "{word}");
        }
    }
}

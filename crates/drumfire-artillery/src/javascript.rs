//! Values as JavaScript would print, compare and cast them. Artillery scripts are written against
//! those rules (`1.0` prints `1`, `"42" === 42` is false), so they live in one place.

use serde_json::{Number, Value};

/// The digits up to which JavaScript prints a whole number without an exponent.
const PLAIN_INTEGER_BOUND: f64 = 1e21;

/// The smallest magnitude JavaScript prints without an exponent.
const PLAIN_FRACTION_BOUND: f64 = 1e-6;

/// Appends `value` as a template or a header would show it: strings raw, objects and lists as
/// JSON, everything else as `String(value)`.
pub fn write_text(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Number(number) => write_number(number, out),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Array(_) | Value::Object(_) => write_json(value, out),
    }
}

/// `value` as text, see [`write_text`].
pub fn text(value: &Value) -> String {
    let mut out = Vec::new();
    write_text(value, &mut out);
    String::from_utf8(out).expect("text built from strings is UTF-8")
}

/// `String(value)`, as a form shows it: the items of a list with commas between them, nothing of
/// an object.
pub fn string(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let item = |item: &Value| match item {
                Value::Null => String::new(),
                item => string(item),
            };
            items.iter().map(item).collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
        plain => text(plain),
    }
}

/// Appends `value` as `JSON.stringify` prints it: no blanks, numbers in JavaScript's form.
pub fn write_json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_json_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_string(key, out);
                out.push(b':');
                write_json(member, out);
            }
            out.push(b'}');
        }
        plain => write_text(plain, out),
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, text).expect("writing to memory cannot fail");
}

/// Appends `number` in JavaScript's shortest form.
pub fn write_number(number: &Number, out: &mut Vec<u8>) {
    if let Some(whole) = number.as_i64() {
        out.extend_from_slice(itoa(whole).as_bytes());
    } else if let Some(whole) = number.as_u64() {
        out.extend_from_slice(whole.to_string().as_bytes());
    } else {
        out.extend_from_slice(float_text(number.as_f64().unwrap_or(f64::NAN)).as_bytes());
    }
}

fn itoa(whole: i64) -> String {
    whole.to_string()
}

/// `number` in JavaScript's shortest form: `1`, `0.5`, `1e+21`, `1e-7`, `NaN`, `Infinity`.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let magnitude = number.abs();
    if (PLAIN_FRACTION_BOUND..PLAIN_INTEGER_BOUND).contains(&magnitude) {
        return format!("{number}");
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => scientific,
    }
}

/// A JSON number for `number`: whole numbers become integers, as JavaScript has but one kind.
/// `None` for what JSON cannot hold (NaN and the infinities).
pub fn number(number: f64) -> Option<Number> {
    /// Beyond this, a float no longer counts every whole number.
    const SAFE_INTEGER_BOUND: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= SAFE_INTEGER_BOUND {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// JavaScript's `===` on JSON values: types must agree, lists and objects are never equal to
/// another one (they are compared by identity there).
pub fn strictly_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        (left, right) => left == right,
    }
}

/// JavaScript's `Number(text)`: blanks around are ignored, an empty text is 0, `0x`, `0o` and `0b`
/// prefixes are known, anything else that is no number is NaN.
pub fn to_number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    for (prefixes, radix) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        if let Some(digits) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            return u64::from_str_radix(digits, radix).map_or(f64::NAN, |whole| whole as f64);
        }
    }
    match text.trim_start_matches(['+', '-']) {
        "Infinity" => text.replace("Infinity", "inf").parse().unwrap_or(f64::NAN),
        digits if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    }
}

/// JavaScript's `Number(value)` for a JSON value.
pub fn value_to_number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => to_number(text),
        Value::Null | Value::Bool(false) => 0.0,
        Value::Bool(true) => 1.0,
        Value::Array(items) => match items.as_slice() {
            [] => 0.0,
            [only] => value_to_number(only),
            _ => f64::NAN,
        },
        Value::Object(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_print_as_in_javascript() {
        for (number, expected) in [
            (1.0, "1"),
            (-0.0, "0"),
            (0.5, "0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float_text(number), expected);
        }
    }

    #[test]
    fn texts_cast_as_in_javascript() {
        for (text, expected) in [
            ("42", 42.0),
            (" 1.5 ", 1.5),
            ("", 0.0),
            (".5", 0.5),
            ("-3", -3.0),
            ("0x1F", 31.0),
            ("1e3", 1000.0),
            ("Infinity", f64::INFINITY),
        ] {
            assert_eq!(to_number(text), expected, "{text:?}");
        }
        for text in ["abc", "1a", "inf", "nan", "0x", "1 2", "--1"] {
            assert!(to_number(text).is_nan(), "{text:?}");
        }
    }

    #[test]
    fn json_prints_whole_floats_without_a_point() {
        let mut out = Vec::new();
        write_json(&json!({"a": 1.0, "b": [null, true, "x\"y"]}), &mut out);
        assert_eq!(out, br#"{"a":1,"b":[null,true,"x\"y"]}"#);
    }

    #[test]
    fn equality_is_strict() {
        assert!(strictly_equal(&json!(42), &json!(42.0)));
        assert!(!strictly_equal(&json!(42), &json!("42")));
        assert!(!strictly_equal(&json!([1]), &json!([1])));
    }
}

//! Expressions beside the values that filtrex 2.2.3 gave for them.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::*;

fn data() -> Value {
    json!({
        "x": 1, "y": 2, "name": "b", "my name": "q", "a.b": 3, "o": {"b": 1}, "list": [1, 2],
        "n": null, "t": true, "e": 1, "order": 1, "a": 5, "b": 7,
    })
}

/// The value as text, or `parse error`.
fn value_of(text: &str) -> String {
    let data = data();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(_) => return "parse error".to_owned(),
    };
    match expression.evaluate(&|name| data.get(name).map(Cow::Borrowed), &mut rng) {
        Outcome::Undefined => "undefined".to_owned(),
        Outcome::Number(number) => crate::javascript::float_text(number),
        Outcome::Text(text) => format!("{text:?}"),
        Outcome::List(items) => format!("list of {}", items.len()),
        Outcome::Value(value) => value.to_string(),
        Outcome::UnknownFunction(name) => format!("unknown {name}"),
    }
}

#[test]
fn values_are_those_of_filtrex() {
    for (text, expected) in [
        ("not(x)", "parse error"),
        ("not (x)", "0"),
        ("x and(y)", "parse error"),
        ("x and y", "2"),
        ("not x == 1", "0"),
        ("x in (1,2)", "1"),
        ("x in (1)", "1"),
        ("x not in (1,2)", "0"),
        ("x not in y", "1"),
        (r#"name == "b""#, "1"),
        (r#"'my name' == "q""#, "1"),
        ("a.b == 3", "1"),
        ("x ? 1 : y ? 2 : 3", "2"),
        ("-x ^ 2", "1"),
        ("2 ^ 3 ^ 2", "64"),
        ("x === 1", "parse error"),
        ("x = 1", "parse error"),
        ("max(1,x,3)", "3"),
        ("max()", "-Infinity"),
        ("foo(1)", "unknown foo"),
        ("foo(1) == 1 or x", "unknown foo"),
        ("b of o", "1"),
        ("b of o == 1", "1"),
        ("1 of o", "parse error"),
        ("o.b", "undefined"),
        ("missing", "undefined"),
        ("not missing", "1"),
        ("missing == missing", "1"),
        ("name and x", "1"),
        ("x and name", "NaN"),
        (r#""a" + 1"#, r#""a1""#),
        (r#"1 + "a""#, r#""1a""#),
        (r#"x ~= "^1""#, "1"),
        ("list == 1", "0"),
        ("x in list", "1"),
        ("list", "list of 2"),
        ("n == missing", "1"),
        ("n == 0", "0"),
        ("t == 1", "1"),
        ("t", "true"),
        (r#""" == 0"#, "1"),
        (r#""10" < "9""#, "1"),
        (r#""10" < 9"#, "0"),
        ("5 % 3", "2"),
        ("1/0", "Infinity"),
        (".5 < 1", "parse error"),
        ("1. < 2", "parse error"),
        (r#"abs("x")"#, "NaN"),
        ("round(2.5)", "3"),
        ("round(0-2.5)", "-2"),
        (r#""a\"b""#, r#""a\"b""#),
        (r#""a\nb""#, "parse error"),
        ("x  ", "1"),
        ("", "parse error"),
        ("(1,2,3)", "list of 3"),
        ("1 < 2 < 3", "1"),
        ("a-b", "-2"),
        ("random() < 1", "1"),
        (r#""x" in ("x","y")"#, "1"),
        (r#""x" in "xyz""#, "0"),
        ("x and", "parse error"),
        ("true", "undefined"),
        ("true == 1", "0"),
        ("1 ? 2", "parse error"),
        ("1,2", "parse error"),
        ("x==1 or y==2 and 0", "1"),
        ("in", "undefined"),
        ("e == 1", "1"),
        ("order == 1", "1"),
        ("x or not y", "1"),
        ("x<2", "1"),
        ("not not x", "1"),
        ("- - x", "1"),
        ("4 - -x", "5"),
        ("2 * -x", "-2"),
        ("not -x", "0"),
        ("1 in 1 == 1", "1"),
    ] {
        assert_eq!(value_of(text), expected, "{text}");
    }
}

#[test]
fn given_names_may_hold_any_character() {
    let names = [
        "vusers.created",
        "vusers.created_by_name.buy / pay",
        "http.response_time.p95",
    ];
    let expression = Expression::parse_naming(
        "vusers.created_by_name.buy / pay < vusers.created / 2",
        &names,
    )
    .expect("the names are known");
    let metrics = json!({"vusers.created": 10, "vusers.created_by_name.buy / pay": 4});
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    assert_eq!(
        expression.names(),
        ["vusers.created_by_name.buy / pay", "vusers.created"]
    );
    assert!(expression.passes(&|name| metrics.get(name).map(Cow::Borrowed), &mut rng));
}

#[test]
fn hostile_expressions_are_refused() {
    for text in [
        "(".repeat(10_000),
        "-".repeat(10_000),
        "not ".repeat(4_000),
        "1".to_owned() + &"+1".repeat(8_000),
        "x ? ".repeat(3_000),
        "1".repeat(LENGTH_LIMIT + 1),
    ] {
        assert!(Expression::parse(&text).is_err(), "{}…", &text[..10]);
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_not_but_never_panics(text in "[ xyo1-3.,()?:<>=!~*/%^+'\"\\\\a-f-]{0,40}|(x|not |in |or |and |of |\\(|\\)|1|,|\\?|:| ){0,30}") {
        value_of(&text);
    }
}

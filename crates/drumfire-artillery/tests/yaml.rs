//! Documents beside what js-yaml 3.15 makes of them.

use std::sync::Arc;

use drumfire_artillery::source::Sources;
use drumfire_artillery::yaml;
use serde_json::{Value, json};

fn parse(text: &str) -> Result<Value, String> {
    let mut sources = Sources::default();
    let file = sources.add("a.yml", text);
    match yaml::parse(text, file, &Arc::new(sources)) {
        Ok(node) => Ok(node.map_or(Value::Null, |node| node.to_value())),
        Err(error) => Err(error.message().to_owned()),
    }
}

#[test]
fn documents_are_those_of_js_yaml() {
    for (text, expected) in [
        ("<<: {a: 1}\na: 2", json!({"a": 2})),
        ("a: 2\n<<: {a: 1}", json!({"a": 2})),
        (
            "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3",
            json!({"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}),
        ),
        (
            "x: &x {a: 1}\nz: &z {a: 5, c: 6}\ny:\n  <<: [*x, *z]\n",
            json!({"x": {"a": 1}, "z": {"a": 5, "c": 6}, "y": {"a": 1, "c": 6}}),
        ),
        (
            "{\n\t\"a\": 1,\n\t\"b\": [\n\t\t1\n\t]\n}",
            json!({"a": 1, "b": [1]}),
        ),
        ("? x\n: y", json!({"x": "y"})),
        ("\"<<\": {a: 1}", json!({"<<": {"a": 1}})),
        ("%YAML 1.1\n---\na: 1", json!({"a": 1})),
        ("- 1\n- 2", json!([1, 2])),
        (
            "a: |\n  x\n  y\nb: >\n  p\n  q",
            json!({"a": "x\ny\n", "b": "p q\n"}),
        ),
        ("key: value # c", json!({"key": "value"})),
        (
            "y: &x {a: 1}\n<<: *x\n<<: {b: 1}",
            json!({"y": {"a": 1}, "a": 1, "b": 1}),
        ),
        ("a: {x, y: 1}", json!({"a": {"x": null, "y": 1}})),
        ("a: \"\\x41\\u00e9\"", json!({"a": "Aé"})),
        ("a: 'it''s'", json!({"a": "it's"})),
        ("a:b", json!("a:b")),
        ("- - 1\n  - 2", json!([[1, 2]])),
        ("a: [b: c]", json!({"a": [{"b": "c"}]})),
        ("a: x\n...\n", json!({"a": "x"})),
        ("{'a':1,\"b\":2}", json!({"a": 1, "b": 2})),
        ("{\"a\":1}", json!({"a": 1})),
        ("a: \"{{ x }}\"", json!({"a": "{{ x }}"})),
        ("a: {\"b\":1}", json!({"a": {"b": 1}})),
        (
            "a: !!str 5\nb: !!int \"5\"\nc: !!bool \"true\"",
            json!({"a": "5", "b": 5, "c": true}),
        ),
        (
            "a: &a [1]\nb: *a\nc: *a",
            json!({"a": [1], "b": [1], "c": [1]}),
        ),
        (
            "1: a\nnull: b\ntrue: c",
            json!({"1": "a", "null": "b", "true": "c"}),
        ),
        ("a:\nb: ~", json!({"a": null, "b": null})),
        (
            r#"{"a": "\/\ud83d\ude00", "b": 1E3, "c": -0.5}"#,
            json!({"a": "/😀", "b": 1000, "c": -0.5}),
        ),
        ("", Value::Null),
        ("# nothing", Value::Null),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn what_js_yaml_refuses_is_refused() {
    for (text, message) in [
        ("a: 1\na: 2", "duplicated key `a`"),
        ("a: {b: 1, b: 2}", "duplicated key `b`"),
        ("1: a\n1.0: b", "duplicated key `1`"),
        ("<<: 5", "a merge key (`<<`) needs a map"),
        ("a\n---\nb", "expected a single document"),
        ("a: 1\n...\n---\nb: 2", "expected a single document"),
        ("a: b: c", "not valid YAML"),
        ("a: *missing", "not valid YAML"),
        ("a: \"x", "not valid YAML"),
        ("a: @foo", "not valid YAML"),
        ("a: `x`", "not valid YAML"),
        ("a: 1\n b: 2", "not valid YAML"),
        ("a: - b", "not valid YAML"),
        ("a: !!js/function x", "unknown or unfitting tag"),
        ("a: !foo bar", "unknown or unfitting tag"),
        ("a: !!int x", "unknown or unfitting tag"),
    ] {
        let error = parse(text).expect_err("the text must be refused");
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

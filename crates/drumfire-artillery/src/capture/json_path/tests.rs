//! Paths and filters over documents, as tables of what they lead to.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "id": 7,
        "a-b": {"c.d": "dotted"},
        "none": null,
        "list": [
            {"id": 1, "name": "one", "tags": ["x", "y"], "price": 5},
            {"id": 2, "name": "two", "price": 15, "on": true},
            {"id": 3, "name": "Three", "price": 25, "on": false},
        ],
        "numbers": [10, 20, 30, 40],
        "word": "höhe",
        "deep": {"id": 8, "list": [{"id": 9}]},
    })
}

fn all(path: &str) -> Value {
    let document = document();
    let path = JsonPath::parse(path).expect(path);
    path.query(&document)
        .into_iter()
        .map(|hit| hit.value.into_owned())
        .collect()
}

#[test]
fn paths_lead_where_jsonpath_plus_leads() {
    for (path, expected) in [
        ("$.id", json!([7])),
        ("id", json!([7])),
        ("$['id']", json!([7])),
        ("$[\"id\"]", json!([7])),
        ("$.a-b['c.d']", json!(["dotted"])),
        ("$['a-b']['c.d']", json!(["dotted"])),
        ("$.none", json!([null])),
        ("$.missing", json!([])),
        ("$.list[1].name", json!(["two"])),
        ("$.list.1.name", json!(["two"])),
        ("$.list[9]", json!([])),
        ("$.list[-1]", json!([])),
        ("$.list[-1:].id", json!([3])),
        ("$.list[(@.length-1)].id", json!([3])),
        ("$.list.length", json!([3])),
        ("$.word.length", json!([4])),
        ("$.word[1]", json!(["ö"])),
        ("$.list[*].id", json!([1, 2, 3])),
        ("$.list.*.id", json!([1, 2, 3])),
        ("$..id", json!([7, 1, 2, 3, 8, 9])),
        ("$.deep..id", json!([8, 9])),
        ("$..list[0].id", json!([1, 9])),
        ("$.numbers[1:3]", json!([20, 30])),
        ("$.numbers[:2]", json!([10, 20])),
        ("$.numbers[::2]", json!([10, 30])),
        ("$.numbers[-2:]", json!([30, 40])),
        ("$.numbers[0,2]", json!([10, 30])),
        ("$.list[0]['id','name']", json!([1, "one"])),
        ("$.list[0][id,name]", json!([1, "one"])),
        ("$.deep.*~", json!(["id", "list"])),
        ("$.list[?(@.id==2)]^.length", json!([3])),
        ("$.deep.list[0].id^^^.id", json!([8])),
        ("$.list[*].name@string()", json!(["one", "two", "Three"])),
        ("$.list[0].*@string()", json!(["one"])),
        ("$.list[0].*@array()", json!([["x", "y"]])),
        ("$.`id", json!([7])),
        ("$", json!([document()])),
    ] {
        assert_eq!(all(path), expected, "{path}");
    }
}

#[test]
fn filters_are_javascript() {
    for (filter, expected) in [
        ("@.id == 2", json!([2])),
        ("@.id=='2'", json!([2])),
        ("@.id==='2'", json!([])),
        ("@.id !== 2", json!([1, 3])),
        ("@.price > 5 && @.price < 25", json!([2])),
        ("@.price < 10 || @.on", json!([1, 2])),
        ("@.on", json!([2])),
        ("!@.on", json!([1, 3])),
        ("@.on === false", json!([3])),
        ("@.tags", json!([1])),
        ("@.tags.length == 2", json!([1])),
        ("@.tags && @.tags.includes('y')", json!([1])),
        ("@['name'] == \"two\"", json!([2])),
        ("@.name.match(/^t/i)", json!([2, 3])),
        ("/^T/.test(@.name)", json!([3])),
        ("@.name.toLowerCase().startsWith('th')", json!([3])),
        ("@property == 1", json!([2])),
        ("@property !== 0", json!([2, 3])),
        ("@parent.id - 5 == @.id", json!([2])),
        ("@parentProperty == 'list'", json!([1, 2, 3])),
        ("@root.id - 5 == @.id", json!([2])),
        ("@.price % 10 == 5 && @.id * 2 == 4", json!([2])),
        ("[1, 3].includes(@.id)", json!([1, 3])),
        ("@.missing.deeper == 1", json!([])),
        ("@.missing == null", json!([1, 2, 3])),
        ("@.name + @.id == 'two2'", json!([2])),
        ("-@.id + 1 == 0", json!([1])),
    ] {
        assert_eq!(
            all(&format!("$.list[?({filter})].id")),
            expected,
            "{filter}"
        );
    }
    assert_eq!(all("$.numbers[?(@ > 15)]"), json!([20, 30, 40]));
    assert_eq!(all("$.numbers[?(@>15)]"), json!([20, 30, 40]));
    assert_eq!(all("$..[?(@.price == 15)].name"), json!(["two"]));
    assert_eq!(all("$.list[?@.id == 3].name"), json!(["Three"]));
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "$.list[0",
        "$.list[?(@.id == )]",
        "$.list[?(@.id == 'x)]",
        "$.list[?(@.name.reverse() == 'x')]",
        "$.list[?(foo == 1)]",
        "$.list[?(@.name.match(/(/))]",
        "$.list[1:2:3:4]",
        "$.list[?(@.id = 1)]",
    ] {
        let message = JsonPath::parse(path).expect_err(path);
        assert!(!message.contains('\n') && !message.is_empty(), "{path}");
    }
    assert!(JsonPath::parse(&"a.".repeat(LENGTH_LIMIT)).is_err());
    let nested = format!("$[?({}1{})]", "(".repeat(1_000), ")".repeat(1_000));
    assert!(JsonPath::parse(&nested).is_err());
}

#[test]
fn hits_know_whether_they_could_have_been_many() {
    let document = document();
    for (path, expected) in [
        ("$.id", false),
        ("$.list[0].id", false),
        ("$.list.length", false),
        ("$.list[?(@.id == 1)]", true),
        ("$.list[0:1]", true),
        ("$.deep.list[*]", true),
    ] {
        let hits = JsonPath::parse(path).expect(path).query(&document);
        assert_eq!(hits[0].one_of_many, expected, "{path}");
    }
}

#[test]
fn a_query_does_not_run_for_ever() {
    let mut nested = json!(1);
    for _ in 0..100 {
        nested = json!({ "a": nested });
    }
    let path = JsonPath::parse("$..*..*..*..*..*..*..*").expect("a path");
    assert!(path.query(&nested).len() <= VISITS_LIMIT as usize);
}

#[test]
fn streams_what_a_plain_path_leads_to() {
    for (path, body, expected) in [
        ("$.a", r#"{"a": 1}"#, Some(Found::Value(json!(1)))),
        ("$.a", r#"{"a": 1, "a": 2}"#, Some(Found::Value(json!(2)))),
        ("$.a.b", r#"{"a": {"b": 1}, "a": 2}"#, Some(Found::Nothing)),
        ("$.\u{fc}", r#"{"\u00fc": 1}"#, Some(Found::Value(json!(1)))),
        ("$[1]", "[1, [2]] ", Some(Found::Value(json!([2])))),
        ("$[2]", "[1, [2]]", Some(Found::Nothing)),
        ("$.a[0]", r#"{"a": "xyz"}"#, Some(Found::Value(json!("x")))),
        ("$.a[0].b", r#"{"a": "xyz"}"#, Some(Found::Nothing)),
        ("$.a.b", r#"{"a": null}"#, Some(Found::Nothing)),
        ("$.a", "12", Some(Found::NoDocument)),
        ("$.a", "\"text\"", Some(Found::NoDocument)),
        ("$.a", r#"{"a": 1} x"#, None),
        ("$.a", r#"{"a": 1"#, None),
        ("$.a", r#"{"a": 1, "b": ]}"#, None),
        ("$.a", "", None),
        ("$.a", "<html>", None),
    ] {
        let path = JsonPath::parse(path).expect(path);
        assert!(path.is_plain());
        assert_eq!(path.stream(body.as_bytes()), expected, "{body}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ab0é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[ab01]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn streaming_finds_what_the_whole_document_has(
        document in any_json(),
        path in "\\$([.][ab]|\\[[01]\\]|\\['[ab0]'\\]){0,4}",
    ) {
        let path = JsonPath::parse(&path).expect("a plain path");
        let body = document.to_string();
        prop_assert_eq!(path.stream(body.as_bytes()), Some(path.lookup(&document)));
    }

    #[test]
    fn any_text_is_a_path_or_an_error(
        text in "[$.@a1'\"\\[\\]()?*:,^~!=<&|/+`é -]{0,40}",
        document in any_json(),
    ) {
        if let Ok(path) = JsonPath::parse(&text) {
            path.query(&document);
            path.stream(document.to_string().as_bytes());
        }
    }
}

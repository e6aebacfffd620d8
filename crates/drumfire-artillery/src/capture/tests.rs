//! Captures and matches held against responses, as tables.

use drumfire_protocols::Headers;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, json};

use super::*;
use crate::source::Sources;

fn span() -> Span {
    Span::start_of(Sources::default().add("test.yml", ""))
}

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(7)
}

fn compile(extractor: Extractor, variable: &str, strict: bool) -> CompiledCapture {
    CompiledCapture::compile(&Capture {
        extractor,
        variable: Path::parse(variable),
        strict,
        span: span(),
    })
    .expect("the extractor compiles")
}

fn json_path(text: &str) -> Extractor {
    Extractor::Json {
        expression: Template::parse(text),
        pick_one: true,
    }
}

fn all_hits(text: &str) -> Extractor {
    Extractor::Json {
        expression: Template::parse(text),
        pick_one: false,
    }
}

fn regexp(text: &str, group: Option<Group>, flags: &str) -> Extractor {
    Extractor::Regexp {
        expression: Template::parse(text),
        group,
        flags: flags.to_owned(),
    }
}

fn selector(text: &str, attribute: Option<&str>, index: SelectorIndex) -> Extractor {
    Extractor::Selector {
        expression: Template::parse(text),
        attribute: attribute.map(str::to_owned),
        index,
    }
}

fn headers() -> Headers {
    Headers::from_pairs([
        (&b"Content-Type"[..], &b"text/plain"[..]),
        (b"X-Many", b"a"),
        (b"x-many", b"b"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"X-Empty", b""),
    ])
}

/// What one strict capture of `extractor` comes to: the value, or the reason of the failure.
fn captured(extractor: Extractor, body: &str) -> Result<Value, String> {
    let headers = headers();
    let response = ResponseView::new(200, &headers, body.as_bytes());
    let captures = [compile(extractor, "it", true)];
    let scope: Map<String, Value> = [("id".to_owned(), json!(2))].into_iter().collect();
    let mut captured = capture(&captures, &response, &scope, &mut rng());
    match captured.assignments.pop() {
        Some(assignment) => Ok(assignment.value.expect("a strict capture has a value")),
        None => Err(captured.failures.remove(0).reason),
    }
}

const FOUND_NOTHING: &str = "found nothing";

#[test]
fn captures_json() {
    let body = r#"{"token": "abc", "zero": 0, "no": false, "nil": null, "empty": "",
        "list": [{"id": 1}, {"id": 2}], "one": [7]}"#;
    for (extractor, expected) in [
        (json_path("$.token"), Ok(json!("abc"))),
        (json_path("$.zero"), Ok(json!(0))),
        (json_path("$.no"), Ok(json!(false))),
        (json_path("$.nil"), Ok(json!(null))),
        (json_path("$.empty"), Err(FOUND_NOTHING)),
        (json_path("$.missing"), Err(FOUND_NOTHING)),
        (json_path("$..missing"), Err(FOUND_NOTHING)),
        (json_path("$.list[?(@.id == {{ id }})].id"), Ok(json!(2))),
        (json_path("$.{{ what }}"), Err(FOUND_NOTHING)),
        (all_hits("$.list[*].id"), Ok(json!([1, 2]))),
        (all_hits("$.one[*]"), Ok(json!([7]))),
        (all_hits("$.one"), Ok(json!([7]))),
        (all_hits("$.token"), Ok(json!("abc"))),
        (all_hits("$.missing"), Err(FOUND_NOTHING)),
        (all_hits("$.list[5:]"), Err(FOUND_NOTHING)),
    ] {
        let label = format!("{extractor:?}");
        let expected = expected.map_err(str::to_owned);
        assert_eq!(captured(extractor, body), expected, "{label}");
    }
}

#[test]
fn several_hits_give_any_one() {
    let body = r#"{"list": [1, 2, 3]}"#;
    let headers = headers();
    let response = ResponseView::new(200, &headers, body.as_bytes());
    let captures = [compile(json_path("$.list[*]"), "it", true)];
    let mut rng = rng();
    let mut seen = [false; 3];
    for _ in 0..100 {
        let captured = capture(&captures, &response, &Map::new(), &mut rng);
        let value = captured.assignments[0]
            .value
            .as_ref()
            .and_then(Value::as_u64);
        seen[value.expect("a number") as usize - 1] = true;
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn bodies_that_are_no_json_fail() {
    for body in ["", "<html>", "{\"a\": 1", "\u{feff}{}"] {
        for path in ["$.a", "$..a"] {
            let result = captured(json_path(path), body);
            assert_eq!(result, Err("body is not JSON".to_owned()), "{body} {path}");
        }
    }
    for body in ["12", "\"text\"", "null"] {
        for path in ["$.a", "$..a", "$"] {
            let result = captured(json_path(path), body);
            assert_eq!(result, Err(FOUND_NOTHING.to_owned()), "{body} {path}");
        }
    }
}

#[test]
fn captures_regular_expressions() {
    let body = "id=42; Name=Höhe\nid=43;";
    let name = |name: &str| Some(Group::Name(name.to_owned()));
    for (extractor, expected) in [
        (regexp(r"id=(\d+)", None, ""), Ok("id=42")),
        (regexp(r"id=(\d+)", Some(Group::Index(1)), ""), Ok("42")),
        (regexp(r"id=(\d+)", Some(Group::Index(0)), ""), Ok("id=42")),
        (regexp(r"id=(\d+)", Some(Group::Index(7)), ""), Ok("id=42")),
        (regexp(r"id=(\d+)", name("1"), ""), Ok("42")),
        (regexp(r"id=(?<n>\d+)", name("n"), ""), Ok("42")),
        (regexp(r"id=(?<n>\d+)", name("m"), ""), Err(FOUND_NOTHING)),
        (
            regexp(r"name=(\S+)", Some(Group::Index(1)), "i"),
            Ok("Höhe"),
        ),
        (regexp(r"^id=\d3", None, "m"), Ok("id=43")),
        (regexp(r"id=4(?=3)", None, "g"), Ok("id=4")),
        (regexp(r"id=4{{ id }}", None, ""), Ok("id=42")),
        (regexp("nothing", None, ""), Err(FOUND_NOTHING)),
        (regexp("x*", None, ""), Err(FOUND_NOTHING)),
    ] {
        let label = format!("{extractor:?}");
        let expected = expected.map(|text| json!(text)).map_err(str::to_owned);
        assert_eq!(captured(extractor, body), expected, "{label}");
    }
}

#[test]
fn captures_headers() {
    for (name, expected) in [
        ("content-type", Ok(json!("text/plain"))),
        ("Content-Type", Err(FOUND_NOTHING.to_owned())),
        ("x-many", Ok(json!("a, b"))),
        ("set-cookie", Ok(json!(["a=1", "b=2"]))),
        ("x-empty", Err(FOUND_NOTHING.to_owned())),
        ("x-missing", Err(FOUND_NOTHING.to_owned())),
    ] {
        let found = captured(Extractor::Header(Template::parse(name)), "");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn captures_attributes() {
    let body = r#"<html><body><p class=x><a href="/1" ID=a>one</a><a href="/2">two</a>
        <a href='/3' title>three</a><form><input name=csrf value="t&amp;k" checked>
        <input type=checkbox id=tick><select><option>text</select></form>"#;
    let last = SelectorIndex::Last;
    for (extractor, expected) in [
        (
            selector("a", Some("href"), SelectorIndex::At(0)),
            Ok(json!("/1")),
        ),
        (
            selector("a", Some("href"), SelectorIndex::At(1)),
            Ok(json!("/2")),
        ),
        (
            selector("a", Some("href"), SelectorIndex::At(-2)),
            Ok(json!("/2")),
        ),
        (selector("a", Some("href"), last), Ok(json!("/3"))),
        (
            selector("a", Some("href"), SelectorIndex::At(3)),
            Err(FOUND_NOTHING),
        ),
        (
            selector("a", Some("href"), SelectorIndex::At(-4)),
            Err(FOUND_NOTHING),
        ),
        (selector("a", Some("title"), last), Err(FOUND_NOTHING)),
        (
            selector("a#a", None, last),
            Ok(json!({"href": "/1", "id": "a"})),
        ),
        (
            selector("input[name=csrf]", Some("value"), last),
            Ok(json!("t&k")),
        ),
        (
            selector("input[name=csrf]", Some("checked"), last),
            Ok(json!("checked")),
        ),
        (selector("#tick", Some("value"), last), Ok(json!("on"))),
        (selector("option", Some("value"), last), Ok(json!("text"))),
        (
            selector("a:nth-child({{ id }})", Some("href"), last),
            Ok(json!("/2")),
        ),
        (selector("b", Some("href"), last), Err(FOUND_NOTHING)),
    ] {
        let label = format!("{extractor:?}");
        let expected = expected.map_err(str::to_owned);
        assert_eq!(captured(extractor, body), expected, "{label}");
    }
    let any = captured(selector("a", Some("href"), SelectorIndex::Random), body);
    let any = any.expect("there are links");
    assert!([json!("/1"), json!("/2"), json!("/3")].contains(&any));
}

#[test]
fn captures_xpaths() {
    let body = "\n<?xml version='1.0'?><list><item id='1'>one</item><item id='2'>two</item></list>";
    for (path, expected) in [
        ("/list/item[1]", Ok(json!("one"))),
        ("//item[@id={{ id }}]", Ok(json!("two"))),
        ("//item[2]/@id", Ok(json!("2"))),
        ("count(//item)", Ok(json!(2))),
        ("string(//item)", Ok(json!("one"))),
        ("//item/@id = '2'", Ok(json!(true))),
        ("//missing", Err(FOUND_NOTHING)),
    ] {
        let found = captured(Extractor::Xpath(Template::parse(path)), body);
        assert_eq!(found, expected.map_err(str::to_owned), "{path}");
    }
    let found = captured(Extractor::Xpath(Template::parse("//a")), "no xml");
    let reason = "body is not XML, too large or nested too deeply";
    assert_eq!(found, Err(reason.to_owned()));
}

#[test]
fn lenient_captures_set_what_they_did_not_find() {
    let headers = headers();
    let response = ResponseView::new(200, &headers, b"{}");
    for (extractor, expected) in [
        (json_path("$.a"), None),
        (
            Extractor::Header(Template::parse("x-missing")),
            Some(json!("")),
        ),
        (Extractor::Nothing, Some(json!(""))),
        (json_path("$.list[?({{ id }}"), None),
    ] {
        let captures = [compile(extractor, "it", false)];
        let captured = capture(&captures, &response, &Map::new(), &mut rng());
        assert_eq!(captured.failures, []);
        assert_eq!(captured.assignments[0].value, expected);
    }
}

#[test]
fn the_last_capture_into_a_variable_counts() {
    let headers = headers();
    let response = ResponseView::new(200, &headers, br#"{"a": 1}"#);
    let (found, missing) = (json_path("$.a"), json_path("$.b"));
    for (extractors, expected) in [
        ([found.clone(), missing.clone()], (0, 1)),
        ([missing.clone(), found.clone()], (1, 0)),
        ([missing.clone(), missing], (0, 1)),
        ([found.clone(), found], (1, 0)),
    ] {
        let captures = extractors.map(|extractor| compile(extractor, "it[0]", true));
        let captured = capture(&captures, &response, &Map::new(), &mut rng());
        let counts = (captured.assignments.len(), captured.failures.len());
        assert_eq!(counts, expected);
    }
}

#[test]
fn expressions_are_checked_at_load_time() {
    for extractor in [
        json_path("$.a[?(@.b ="),
        regexp("(", None, ""),
        regexp("a", None, "q"),
        selector("a[", None, SelectorIndex::At(0)),
        Extractor::Xpath(Template::parse("//a[")),
        Extractor::Xpath(Template::parse("")),
    ] {
        let capture = Capture {
            extractor,
            variable: Path::parse("it"),
            strict: true,
            span: span(),
        };
        let error = CompiledCapture::compile(&capture).expect_err("it is malformed");
        assert_eq!(error.span, span());
        assert!(!error.message.contains('\n'), "{error}");
    }
}

#[test]
fn hostile_bodies_are_survived() {
    let depth = 200_000;
    let json = "[".repeat(depth) + &"]".repeat(depth);
    let found = captured(json_path("$..a"), &json);
    assert_eq!(found, Err("body is not JSON".to_owned()));
    let object = "{\"a\":".repeat(depth);
    let found = captured(json_path("$.a.a"), &object);
    assert_eq!(found, Err("body is not JSON".to_owned()));
    for tag in ["<div>", "<b x=1>", "<p><table><td>", "<svg>", "<a"] {
        let html = tag.repeat(depth);
        let found = captured(selector("a", Some("href"), SelectorIndex::Last), &html);
        assert!(found.is_err(), "{tag}");
    }
    let xml = "<a>".repeat(depth) + &"</a>".repeat(depth);
    let found = captured(Extractor::Xpath(Template::parse("//a")), &xml);
    assert!(found.is_err());
}

#[test]
fn shards_may_share_what_is_compiled() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<CompiledCapture>();
    assert_shareable::<crate::matching::CompiledMatch>();
    assert_shareable::<crate::expect::CompiledExpects>();
}

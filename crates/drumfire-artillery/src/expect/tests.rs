//! Expectations held against responses, and what is printed of them, as tables.

use drumfire_protocols::Headers;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, json};

use super::output::{RequestFacts, error_line};
use super::*;
use crate::functions::Functions;
use crate::source::{Sources, Span};
use crate::template::Template;

fn options(formatter: ExpectFormatter) -> ExpectOptions {
    ExpectOptions {
        formatter,
        report_failures_as_errors: false,
        expect_default_200: false,
        use_only_request_names: false,
    }
}

fn compile(kinds: Vec<ExpectKind>, options: &ExpectOptions) -> CompiledExpects {
    let expects: Vec<Expect> = kinds
        .into_iter()
        .map(|kind| Expect {
            kind,
            span: Span::start_of(Sources::default().add("test.yml", "")),
        })
        .collect();
    CompiledExpects::compile(&expects, options).expect("the expectations compile")
}

fn scope() -> Map<String, Value> {
    [("code", json!(201)), ("name", json!("id"))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(7)
}

fn value(value: Value) -> ValueTemplate {
    ValueTemplate::compile(&value, &Functions::default())
}

fn text(text: &str) -> Template {
    Template::parse(text)
}

/// Type, verdict, expected and got of one expectation on one response.
fn checked(
    kind: ExpectKind,
    headers: &[(&str, &str)],
    body: &str,
) -> (String, bool, String, String) {
    let headers = Headers::from_pairs(
        headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    );
    let response = ResponseView::new(201, &headers, body.as_bytes());
    let expects = compile(vec![kind], &options(ExpectFormatter::Silent));
    let check = expects.check(&response, &scope(), &mut rng()).remove(0);
    (
        check.type_name.to_string(),
        check.ok,
        check.expected.text().into_owned(),
        check.got.text().into_owned(),
    )
}

fn jmespath(expression: &str, description: Option<&str>) -> ExpectKind {
    ExpectKind::JmesPath {
        name: "jmespath",
        expression: expression.to_owned(),
        description: description.map(str::to_owned),
    }
}

#[test]
fn status_codes() {
    for (kind, ok, expected) in [
        (ExpectKind::StatusCode(value(json!(201))), true, "201"),
        (ExpectKind::StatusCode(value(json!("201"))), true, "201"),
        (
            ExpectKind::StatusCode(value(json!([200, "201"]))),
            true,
            "200,201",
        ),
        (
            ExpectKind::StatusCode(value(json!("{{ code }}"))),
            true,
            "201",
        ),
        (ExpectKind::StatusCode(value(json!("2xx"))), false, "2xx"),
        (
            ExpectKind::StatusCode(value(json!("{{ missing }}"))),
            false,
            "undefined",
        ),
        (
            ExpectKind::NotStatusCode(value(json!(201))),
            false,
            "Status code different than 201",
        ),
        (
            ExpectKind::NotStatusCode(value(json!([200, 404]))),
            true,
            "Status code different than 200,404",
        ),
    ] {
        let type_name = kind.type_name().expect("it has one").to_owned();
        let result = (type_name, ok, expected.to_owned(), "201".to_owned());
        assert_eq!(checked(kind, &[], ""), result);
    }
}

#[test]
fn headers() {
    let sent = [
        ("Content-Type", "text/HTML"),
        ("X-Id", "201"),
        ("X-Cache", "Hit from edge"),
        ("x-empty", ""),
    ];
    for (kind, expected) in [
        (
            ExpectKind::ContentType(text("text/html")),
            ("contentType", true, "text/html", "text/HTML"),
        ),
        (
            ExpectKind::ContentType(text("json")),
            ("contentType", false, "json", "content-type is text/HTML"),
        ),
        (
            ExpectKind::HasHeader(text("x-id")),
            ("hasHeader", true, "x-id", "x-id"),
        ),
        (
            ExpectKind::HasHeader(text("x-empty")),
            (
                "hasHeader",
                false,
                "x-empty",
                "response has no x-empty header",
            ),
        ),
        (
            ExpectKind::HeaderEquals(text("x-id"), value(json!("{{ code }}"))),
            ("header x-id values equals", true, "201", "201"),
        ),
        (
            ExpectKind::HeaderEquals(text("x-{{ name }}"), value(json!(200))),
            ("header x-id values equals", false, "200", "201"),
        ),
        (
            ExpectKind::HeaderEquals(text("x-no"), value(json!("a"))),
            (
                "header x-no values equals",
                false,
                "response to have x-no header",
                "response has no x-no header",
            ),
        ),
        (
            ExpectKind::CdnHit(true),
            (
                "cdnHit",
                true,
                "a cache header indicating a cache hit",
                "x-cache is Hit from edge",
            ),
        ),
        (
            ExpectKind::CdnHit(false),
            (
                "cdnHit",
                false,
                "a cache header indicating a cache miss",
                "cache status header not found",
            ),
        ),
    ] {
        let (type_name, ok, wanted, got) = checked(kind, &sent, "");
        assert_eq!((&*type_name, ok, &*wanted, &*got), expected);
    }
    let (_, ok, _, got) = checked(ExpectKind::ContentType(text("a/b")), &[], "");
    assert_eq!((ok, &*got), (false, "content-type header not set"));
    let (_, ok, _, got) = checked(ExpectKind::ContentType(text("json")), &[], "{}");
    assert_eq!((ok, &*got), (false, "content-type is undefined"));
}

#[test]
fn bodies() {
    let json_type = [("content-type", "application/json; charset=utf-8")];
    let body = r#"{"id": 1, "a.b": 2, "list": [{"c": null}], "none": []}"#;
    for (kind, expected) in [
        (
            ExpectKind::ContentType(text("json")),
            ("contentType", true, "json", "json"),
        ),
        (
            ExpectKind::HasProperty(text("id")),
            ("hasProperty", true, "id", "id"),
        ),
        (
            ExpectKind::HasProperty(text("{{ name }}")),
            ("hasProperty", true, "id", "id"),
        ),
        (
            ExpectKind::HasProperty(text("a.b")),
            ("hasProperty", true, "a.b", "a.b"),
        ),
        (
            ExpectKind::HasProperty(text("list[0].c")),
            ("hasProperty", true, "list[0].c", "list[0].c"),
        ),
        (
            ExpectKind::HasProperty(text("list[1]")),
            (
                "hasProperty",
                false,
                "list[1]",
                "response body has no list[1] property",
            ),
        ),
        (
            ExpectKind::NotHasProperty(text("id")),
            (
                "notHasProperty",
                false,
                "id",
                "response body has id property",
            ),
        ),
        (
            ExpectKind::NotHasProperty(text("x")),
            ("notHasProperty", true, "x", "x"),
        ),
        (
            ExpectKind::MatchesRegexp(text(r#""id": \d"#)),
            ("matchesRegexp", true, "true", "true"),
        ),
        (
            ExpectKind::MatchesRegexp(text("nope")),
            ("matchesRegexp", false, "true", "false"),
        ),
        (
            jmespath("id == `1`", None),
            ("jmespath", true, "id == `1`", "id == `1`"),
        ),
        (
            jmespath("id", Some("an id")),
            ("jmespath", true, "an id", "id"),
        ),
        (jmespath("none", None), ("jmespath", true, "none", "none")),
        (
            jmespath("list[0].c", None),
            ("jmespath", false, "list[0].c", "list[0].c"),
        ),
        (
            ExpectKind::Equals(vec![text("201"), text("{{ code }}")]),
            ("equals", true, "all values to be equal", "201, 201"),
        ),
        (
            ExpectKind::Equals(vec![text("{{ missing }}"), text("x")]),
            ("equals", false, "all values to be equal", "undefined, x"),
        ),
        (
            ExpectKind::Equals(vec![]),
            ("equals", false, "all values to be equal", ""),
        ),
    ] {
        let (type_name, ok, wanted, got) = checked(kind, &json_type, body);
        assert_eq!((&*type_name, ok, &*wanted, &*got), expected);
    }
}

#[test]
fn bodies_that_are_no_objects() {
    let json_type = [("content-type", "application/problem+json")];
    let not_parsed = "could not parse response body as JSON";
    for (headers, body, got) in [
        (&json_type[..], "{", not_parsed),
        (&json_type[..], "null", not_parsed),
        (
            &json_type[..],
            "12",
            "content-type is application/problem+json",
        ),
    ] {
        let (_, ok, _, found) = checked(ExpectKind::ContentType(text("json")), headers, body);
        assert_eq!((ok, &*found), (false, got), "{body}");
        for kind in [
            ExpectKind::HasProperty(text("id")),
            ExpectKind::NotHasProperty(text("id")),
            jmespath("id", None),
        ] {
            let (_, ok, _, got) = checked(kind, headers, body);
            assert_eq!(
                (ok, &*got),
                (false, "response body is not an object"),
                "{body}"
            );
        }
    }
    let (_, ok, ..) = checked(ExpectKind::HasProperty(text("id")), &[], r#"{"id": 1}"#);
    assert!(!ok, "without a JSON type the body is a text");
}

#[test]
fn counters_are_named_by_type() {
    let expects = compile(
        vec![
            ExpectKind::StatusCode(value(json!(200))),
            ExpectKind::HeaderEquals(text("x-a"), value(json!(1))),
            ExpectKind::HeaderEquals(text("x-{{ name }}"), value(json!(1))),
        ],
        &options(ExpectFormatter::Silent),
    );
    assert_eq!(
        expects.counter(0, true),
        Some("plugins.expect.ok.statusCode")
    );
    assert_eq!(
        expects.counter(0, false),
        Some("plugins.expect.failed.statusCode")
    );
    let header = "plugins.expect.failed.header x-a values equals";
    assert_eq!(expects.counter(1, false), Some(header));
    assert_eq!(expects.counter(2, false), None);
    let headers = Headers::from_pairs([]);
    let response = ResponseView::new(200, &headers, b"");
    let checks = expects.check(&response, &scope(), &mut rng());
    assert_eq!(checks[0].counter(), "plugins.expect.ok.statusCode");
    assert_eq!(
        checks[2].counter(),
        "plugins.expect.failed.header x-id values equals"
    );
}

#[test]
fn failures_are_errors_only_on_request() {
    let headers = Headers::from_pairs([]);
    let response = ResponseView::new(500, &headers, b"");
    for (as_errors, only_names, expected) in [
        (false, true, None),
        (
            true,
            false,
            Some("Failed expectations for request http://a/b"),
        ),
        (true, true, Some("Failed expectations for request home")),
    ] {
        let options = ExpectOptions {
            report_failures_as_errors: as_errors,
            use_only_request_names: only_names,
            expect_default_200: true,
            ..options(ExpectFormatter::Silent)
        };
        let expects = compile(vec![], &options);
        let checks = expects.check(&response, &scope(), &mut rng());
        let failure = expects.failure(&checks, Some("home"), "http://a/b");
        assert_eq!(failure.as_deref(), expected);
    }
}

#[test]
fn bodies_are_kept_only_where_they_are_read() {
    let status = || vec![ExpectKind::StatusCode(value(json!(200)))];
    let property = || vec![ExpectKind::HasProperty(text("id"))];
    for (kinds, formatter, reads) in [
        (status(), ExpectFormatter::Silent, false),
        (status(), ExpectFormatter::Json, false),
        (status(), ExpectFormatter::PrettyError, true),
        (property(), ExpectFormatter::Silent, true),
        (vec![], ExpectFormatter::Pretty, false),
    ] {
        assert_eq!(compile(kinds, &options(formatter)).reads_body(), reads);
    }
}

/// What is printed of a status and a header check on a response with status 200.
fn printed(formatter: ExpectFormatter, status: u16, colour: bool) -> String {
    let headers = Headers::from_pairs([(&b"X-Id"[..], &b"7"[..])]);
    let response = ResponseView::new(200, &headers, b"hello");
    let kinds = vec![
        ExpectKind::StatusCode(value(json!(status))),
        ExpectKind::HasHeader(text("x-id")),
    ];
    let expects = compile(kinds, &options(formatter));
    let checks = expects.check(&response, &scope(), &mut rng());
    let body = json!({"a": [1]});
    let request = RequestFacts {
        method: "POST",
        url: "http://127.0.0.1:1/a?b=c",
        name: Some("home"),
        json: Some(&body),
    };
    let variables = || {
        vec![
            ("$env".to_owned(), json!({"SECRET": "x"})),
            ("code".to_owned(), json!(201)),
        ]
    };
    expects.output(&checks, request, &response, &variables, colour)
}

#[test]
fn prints_what_the_format_asks_for() {
    let passed = "* POST /a?b=c - home\n\n  ok statusCode 200 \n  ok hasHeader x-id \n";
    let failed = "* POST /a?b=c - home\n\n  not ok statusCode 200 \n  expected: 201\n       got: 200\n  ok hasHeader x-id \n  Request params:\n    http://127.0.0.1:1/a?b=c\n    {\n      \"a\": [\n        1\n      ]\n    }\n  Headers:\n  x-id: 7\n  Body:\nhello\n  User variables:\n    code: 201\n";
    let line = "{\"name\":\"home\",\"url\":\"/a?b=c\",\"results\":[{\"ok\":false,\"expected\":201,\"type\":\"statusCode\",\"got\":200},{\"ok\":true,\"expected\":\"x-id\",\"type\":\"hasHeader\",\"got\":\"x-id\"}]}\n";
    for (formatter, status, expected) in [
        (ExpectFormatter::Pretty, 200, passed),
        (ExpectFormatter::Pretty, 201, failed),
        (ExpectFormatter::PrettyError, 200, ""),
        (ExpectFormatter::PrettyError, 201, failed),
        (ExpectFormatter::Json, 201, line),
        (ExpectFormatter::Silent, 201, ""),
    ] {
        assert_eq!(
            printed(formatter, status, false),
            expected,
            "{formatter:?} {status}"
        );
    }
    let coloured = printed(ExpectFormatter::Pretty, 200, true);
    assert!(coloured.starts_with("\u{1b}[34m* POST /a?b=c\u{1b}[39m - home\n"));
}

#[test]
fn errors_have_a_line_of_their_own() {
    for (formatter, expected) in [
        (ExpectFormatter::Pretty, "Error: ETIMEDOUT"),
        (
            ExpectFormatter::Json,
            "{\"ok\":false,\"error\":\"ETIMEDOUT\"}",
        ),
    ] {
        assert_eq!(error_line(formatter, "ETIMEDOUT", false), expected);
    }
}

#[test]
fn expressions_are_checked_at_load_time() {
    for kind in [
        ExpectKind::MatchesRegexp(text("(")),
        jmespath("a[", None),
        jmespath(&"(".repeat(10_000), None),
    ] {
        let expect = Expect {
            kind,
            span: Span::start_of(Sources::default().add("test.yml", "")),
        };
        let options = options(ExpectFormatter::Silent);
        let error = CompiledExpects::compile(&[expect], &options).expect_err("it is malformed");
        assert!(!error.message.contains('\n'), "{error}");
    }
}

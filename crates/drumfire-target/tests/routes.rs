//! Every polite route, asked over a raw connection that stays open.

mod wire;

use std::io::Read;

use drumfire_target::{TargetOptions, TestTarget};
use serde_json::{Value, json};
use wire::Wire;

fn target() -> TestTarget {
    TestTarget::start().expect("a target")
}

#[test]
fn routes_answer_with_their_status_type_and_length() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let json_type = "application/json";
    // path, status, content type, bytes of the body where they are promised
    let table = [
        ("/", 200, json_type, Some(30)),
        ("/json", 200, json_type, None),
        ("/json/0", 200, json_type, Some(22)),
        ("/xml", 200, "application/xml", None),
        ("/html", 200, "text/html; charset=utf-8", None),
        ("/headers", 200, json_type, None),
        ("/status/200", 200, "text/plain; charset=utf-8", Some(7)),
        ("/status/418", 418, "text/plain; charset=utf-8", None),
        ("/status/599", 599, "text/plain; charset=utf-8", None),
        ("/status/101", 400, json_type, None),
        ("/status/1000", 400, json_type, None),
        ("/delay/0", 200, json_type, None),
        ("/delay/x", 400, json_type, None),
        ("/delay?distribution=fixed&mean=0ms", 200, json_type, None),
        (
            "/delay?distribution=uniform&low=0ms&high=1ms",
            200,
            json_type,
            None,
        ),
        (
            "/delay?distribution=normal&mean=1ms&deviation=1ms",
            200,
            json_type,
            None,
        ),
        (
            "/delay?distribution=exponential&mean=1ms",
            200,
            json_type,
            None,
        ),
        (
            "/delay?distribution=lognormal&median=1ms&sigma=0.1",
            200,
            json_type,
            None,
        ),
        ("/delay?distribution=gamma&mean=1ms", 400, json_type, None),
        ("/delay", 400, json_type, None),
        ("/flaky?rate=0", 200, json_type, None),
        ("/flaky?rate=1", 503, json_type, None),
        ("/flaky?rate=2", 400, json_type, None),
        ("/bytes/0", 200, "application/octet-stream", Some(0)),
        (
            "/bytes/100000",
            200,
            "application/octet-stream",
            Some(100_000),
        ),
        ("/bytes/67108865", 400, json_type, None),
        ("/stream/3", 200, "application/x-ndjson", Some(48)),
        (
            "/chunked?sizes=1,20,300",
            200,
            "application/octet-stream",
            Some(321),
        ),
        ("/chunked?sizes=a", 400, json_type, None),
        ("/counter", 200, json_type, Some(11)),
        ("/routes", 200, json_type, None),
        ("/cache", 200, json_type, None),
        ("/head-only", 405, "text/plain; charset=utf-8", None),
        ("/nowhere", 404, json_type, None),
        ("/hostile/nowhere", 404, json_type, None),
    ];
    for (path, status, content_type, bytes) in table {
        let answer = wire.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        if let Some(bytes) = bytes {
            assert_eq!(answer.body.len(), bytes, "{path}");
        }
    }
    assert_eq!(target.stats().connections, 1, "all over one connection");
    assert_eq!(target.stats().requests, table.len() as u64);
}

#[test]
fn answers_without_a_body_have_none() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let table = [
        ("GET", "/no-content", 204, None),
        ("GET", "/not-modified", 304, None),
        ("GET", "/status/204", 204, None),
        ("GET", "/status/304", 304, None),
        ("HEAD", "/head-only", 200, Some("41")),
        ("HEAD", "/", 200, Some("30")),
        ("HEAD", "/bytes/1000", 200, Some("1000")),
        ("HEAD", "/stream/5", 200, None),
    ];
    for (method, path, status, length) in table {
        let answer = wire.ask(method, path, "", b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-length"), length, "{method} {path}");
    }
    assert_eq!(wire.get("/").status, 200, "nothing is left on the wire");
}

#[test]
fn the_cpu_burner_keeps_to_its_limits() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let table = [
        ("/load-gen/loop", Some((50, 1000))),
        ("/load-gen/loop?count=3&range=10", Some((3, 10))),
        ("/load-gen/loop?count=300&range=1000", Some((300, 1000))),
        ("/load-gen/loop?count=0&range=0", Some((0, 0))),
        ("/load-gen/loop?count=1000001", None),
        ("/load-gen/loop?count=1000000&range=101", None),
        ("/load-gen/loop?count=-1", None),
        ("/load-gen/loop?range=ten", None),
    ];
    for (path, expected) in table {
        let answer = wire.get(path);
        let Some((count, range)) = expected else {
            assert_eq!(answer.status, 400, "{path}");
            assert!(answer.json()["error"].is_string(), "{path}");
            continue;
        };
        let body = answer.json();
        assert_eq!(
            (&body["count"], &body["range"]),
            (&json!(count), &json!(range))
        );
        assert!(body["elapsed_us"].is_u64(), "{path}");
    }
    // the sum of the first ten Fibonacci numbers
    let body = wire.get("/load-gen/loop?count=1&range=10").json();
    assert_eq!(body["sum"], json!("88"));
}

#[test]
fn requests_are_echoed_as_they_were_understood() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let answer = wire.ask(
        "PATCH",
        "/echo?a=1&b=x%20y&a=2",
        "Cookie: k=v; other=w\r\nX-One: 1\r\nX-Two: 2\r\nX-Two: 3\r\nContent-Type: application/json\r\n",
        br#"{"id": 7}"#,
    );
    let body = answer.json();
    let table = [
        ("/method", json!("PATCH")),
        ("/path", json!("/echo")),
        ("/query_string", json!("a=1&b=x%20y&a=2")),
        ("/query", json!({"a": ["1", "2"], "b": "x y"})),
        ("/version", json!("HTTP/1.1")),
        ("/headers/x-one", json!("1")),
        ("/headers/x-two", json!(["2", "3"])),
        ("/cookies", json!({"k": "v", "other": "w"})),
        ("/body", json!(r#"{"id": 7}"#)),
        ("/body_bytes", json!(9)),
        ("/json/id", json!(7)),
        ("/form", Value::Null),
        ("/multipart", Value::Null),
        ("/connection", json!(1)),
        ("/request", json!(0)),
        ("/tls", Value::Null),
    ];
    for (pointer, expected) in table {
        assert_eq!(body.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(
        wire.get("/headers").json()["headers"]["host"],
        json!("target")
    );
}

#[test]
fn forms_and_parts_are_echoed() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = wire.ask("POST", "/echo", form, b"a=1&b=x+y&a=%26");
    assert_eq!(answer.json()["form"], json!({"a": ["1", "&"], "b": "x y"}));

    let multipart = "Content-Type: multipart/form-data; boundary=\"q\"\r\n";
    let body = b"--q\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--q--\r\n";
    let answer = wire.ask("POST", "/echo", multipart, body);
    assert_eq!(answer.json()["multipart"][0]["name"], json!("n"));
    assert_eq!(answer.json()["multipart"][0]["text"], json!("v"));

    let chunked = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    wire.send(chunked.as_bytes());
    assert_eq!(wire.answer("POST").json()["body"], json!("hello"));
}

#[test]
fn a_body_above_the_limit_is_refused() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    wire.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 16777217\r\n\r\n");
    assert_eq!(wire.answer("POST").status, 413);
}

#[test]
fn cookies_are_set_with_their_attributes() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let table: [(&str, &[&str]); 4] = [
        ("/cookies/set?a=1", &["a=1"]),
        (
            "/cookies/set?a=1&b=2&path=/x",
            &["a=1; Path=/x", "b=2; Path=/x"],
        ),
        (
            "/cookies/set?secure&a=1&max-age=60&httponly",
            &["a=1; Secure; Max-Age=60; HttpOnly"],
        ),
        (
            "/cookies/bad",
            &["no equals sign", "=no name", ";;;", "\u{fffd}\u{fffd}"],
        ),
    ];
    for (path, expected) in table {
        let answer = wire.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.all("set-cookie"), expected, "{path}");
    }
    let shown = wire.ask("GET", "/cookies", "Cookie: a=1; b=two\r\n", b"");
    assert_eq!(shown.json(), json!({"cookies": {"a": "1", "b": "two"}}));
}

#[test]
fn a_login_gives_a_token_and_a_cookie_that_are_known_again() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let credentials = br#"{"username": "ada", "password": "x"}"#;
    let login = wire.ask("POST", "/login", "", credentials);
    let token = login.json()["token"].as_str().expect("a token").to_owned();
    let cookie = login.header("set-cookie").expect("a cookie").to_owned();
    let cookie = cookie.split(';').next().expect("a pair");
    let table = [
        (
            format!("Authorization: Bearer {token}\r\n"),
            200,
            json!("bearer"),
        ),
        (format!("Cookie: {cookie}\r\n"), 200, json!("cookie")),
        (
            "Authorization: Bearer nonsense\r\n".to_owned(),
            401,
            Value::Null,
        ),
        (String::new(), 401, Value::Null),
    ];
    for (headers, status, by) in table {
        let answer = wire.ask("GET", "/me", &headers, b"");
        assert_eq!(answer.status, status, "{headers}");
        assert_eq!(answer.json()["by"], by, "{headers}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let table = [
        ("POST", form, &b"username=bob&password=y"[..], 200),
        ("POST", form, b"username=bob", 401),
        ("POST", "", b"{}", 401),
        ("POST", "", b"", 401),
        ("GET", "", b"", 405),
    ];
    for (method, headers, body, status) in table {
        assert_eq!(
            wire.ask(method, "/login", headers, body).status,
            status,
            "{body:?}"
        );
    }
}

#[test]
fn basic_authentication_wants_its_credentials() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    // user:pass and user:wrong
    let table = [
        ("Authorization: Basic dXNlcjpwYXNz\r\n", 200),
        ("Authorization: Basic dXNlcjp3cm9uZw==\r\n", 401),
        ("Authorization: Basic *\r\n", 401),
        ("", 401),
    ];
    for (headers, status) in table {
        let answer = wire.ask("GET", "/basic-auth/user/pass", headers, b"");
        assert_eq!(answer.status, status, "{headers}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
}

#[test]
fn redirects_lead_where_they_say() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let table = [
        ("/redirect/2", 302, Some("/redirect/1")),
        (
            "/redirect/1?status=307",
            307,
            Some("/redirect/0?status=307"),
        ),
        ("/redirect/0", 200, None),
        (
            "/redirect-to?url=http://other/x%3Fa%3Db&status=301",
            301,
            Some("http://other/x?a=b"),
        ),
        ("/redirect-to?url=/json", 302, Some("/json")),
        ("/redirect-to", 400, None),
        ("/redirect-to?url=/&status=200", 400, None),
        ("/redirect-to?url=%0a", 400, None),
        ("/redirect-loop", 302, Some("/redirect-loop")),
    ];
    for (path, status, location) in table {
        let answer = wire.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("location"), location, "{path}");
    }
}

#[test]
fn encodings_unpack_to_what_they_name() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let answer = wire.get(&format!("/{encoding}"));
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        let packed = answer.body.as_slice();
        let mut unpacked = Vec::new();
        let read = match encoding {
            "gzip" => flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked),
            "deflate" => flate2::read::ZlibDecoder::new(packed).read_to_end(&mut unpacked),
            "br" => brotli::Decompressor::new(packed, 4096).read_to_end(&mut unpacked),
            _ => ruzstd::decoding::StreamingDecoder::new(packed)
                .expect("a frame")
                .read_to_end(&mut unpacked),
        };
        assert_eq!(read.expect(encoding), unpacked.len());
        assert!(packed.len() < unpacked.len(), "{encoding}");
        let body: Value = serde_json::from_slice(&unpacked).expect(encoding);
        assert_eq!(body["encoding"], json!(encoding));
    }
}

#[test]
fn caches_say_what_they_are_asked_to() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    for (path, expected) in [("/cache", "HIT"), ("/cache?status=MISS", "MISS")] {
        let answer = wire.get(path);
        assert_eq!(answer.header("cf-cache-status"), Some(expected));
        assert_eq!(answer.header("x-cache"), Some(expected));
    }
}

#[test]
fn the_counter_counts_across_connections() {
    let target = target();
    for expected in 1..=3 {
        let answer = Wire::connect(target.address()).get("/counter");
        assert_eq!(answer.json(), json!({"count": expected}));
    }
}

#[test]
fn what_was_seen_is_told_and_forgotten() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    for path in ["/", "/", "/status/500", "/nowhere"] {
        wire.get(path);
    }
    let told = wire.get("/stats").json();
    assert_eq!(
        told["requests"],
        json!(4),
        "questions about the target do not count"
    );
    assert_eq!(
        told["paths"],
        json!({"/": 2, "/nowhere": 1, "/status/500": 1})
    );
    assert_eq!(told["statuses"], json!({"200": 2, "404": 1, "500": 1}));
    assert_eq!(
        (&told["connections"], &told["connections_open"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(told["gaps_us"]["count"], json!(3));
    wire.get("/stats/reset");
    let told = wire.get("/stats").json();
    assert_eq!((&told["requests"], &told["paths"]), (&json!(0), &json!({})));
}

#[test]
fn faults_happen_to_every_route_but_the_counters() {
    let options = TargetOptions {
        error_rate: 1.0,
        ..TargetOptions::default()
    };
    let target = TestTarget::start_with(&options).expect("a target");
    let mut wire = Wire::connect(target.address());
    for (path, status) in [("/", 500), ("/json", 500), ("/stats", 200)] {
        assert_eq!(wire.get(path).status, status, "{path}");
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let options = TargetOptions {
        error_rate: 0.5,
        seed: 99,
        ..TargetOptions::default()
    };
    let run = || -> Vec<u16> {
        let target = TestTarget::start_with(&options).expect("a target");
        let mut wire = Wire::connect(target.address());
        (0..64).map(|_| wire.get("/").status).collect()
    };
    let statuses = run();
    assert_eq!(statuses, run());
    assert!(statuses.contains(&200) && statuses.contains(&500));
}

//! Every route that breaks HTTP, asked over a raw connection: what is on the wire, and how the
//! connection ends.

mod wire;

use std::io::{ErrorKind, Read};
use std::time::Duration;

use drumfire_target::{TargetOptions, TestTarget};
use serde_json::json;
use wire::{End, Wire};

/// How long nothing has to come for a target to count as silent.
const SILENCE: Duration = Duration::from_millis(300);

fn target() -> TestTarget {
    TestTarget::start().expect("a target")
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes()
}

#[test]
fn attacks_leave_their_bytes_and_end_as_they_say() {
    let target = target();
    let head = "HTTP/1.1 200 OK\r\n";
    let table = [
        ("/hostile/reset", "", "", End::Reset),
        ("/hostile/close", "", "", End::Close),
        (
            "/hostile/reset-mid-body",
            "Content-Length: 1000\r\n\r\nonly this much",
            head,
            End::Reset,
        ),
        (
            "/hostile/close-mid-body",
            "Content-Length: 1000\r\n\r\nonly this much",
            head,
            End::Close,
        ),
        (
            "/hostile/bad-chunks",
            "\r\n\r\n5\r\nhello\r\nxyz\r\n",
            head,
            End::Close,
        ),
        (
            "/hostile/chunk-overflow",
            "\r\nfffffffffffffffff\r\n",
            head,
            End::Close,
        ),
        (
            "/hostile/conflicting-length",
            "Content-Length: 5\r\nContent-Length: 10",
            head,
            End::Close,
        ),
        (
            "/hostile/negative-length",
            "Content-Length: -5\r\n",
            head,
            End::Close,
        ),
        ("/hostile/garbage", "no HTTP", "\u{1}\u{2}", End::Close),
        (
            "/eof",
            "\r\n\r\nthis ends with the connection\n",
            head,
            End::Close,
        ),
    ];
    for (path, part, start, end) in table {
        // On a connection that was used before: the attack takes it over in the middle.
        let mut wire = Wire::connect(target.address());
        assert_eq!(wire.get("/").status, 200);
        wire.send(&request(path));
        let (bytes, ended) = wire.rest();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.starts_with(start) && text.contains(part),
            "{path}: {text:?}"
        );
        assert_eq!(ended, end, "{path}");
    }
}

#[test]
fn early_hints_come_before_the_answer_and_the_connection_lives_on() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    for _ in 0..2 {
        wire.send(&request("/early-hints"));
        let hints = wire.answer("GET");
        assert_eq!((hints.status, hints.header("link").is_some()), (103, true));
        assert_eq!(wire.answer("GET").json(), json!({"hinted": true}));
    }
    assert_eq!(wire.get("/").status, 200);
    assert_eq!(target.stats().connections, 1);
}

#[test]
fn closing_is_announced_and_done() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let answer = wire.get("/close");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(wire.rest(), (vec![], End::Close));
}

#[test]
fn floods_go_on_while_they_are_read() {
    let target = target();
    for (path, again) in [
        ("/hostile/endless-headers", "X-More: and more"),
        ("/hostile/1xx-flood", "HTTP/1.1 100 Continue\r\n"),
    ] {
        let mut wire = Wire::connect(target.address());
        wire.send(&request(path));
        let bytes = wire.exactly(3 << 20);
        let count = String::from_utf8_lossy(&bytes).matches(again).count();
        assert!(count > 10_000, "{path}: {count}");
    }
    let mut wire = Wire::connect(target.address());
    assert_eq!(wire.get("/").status, 200, "the target serves on");
}

#[test]
fn a_huge_body_has_the_length_it_says() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    wire.send(&request("/hostile/huge-body"));
    let head = String::from_utf8_lossy(&wire.through(b"\r\n\r\n")).into_owned();
    assert!(head.contains("content-length: 1073741824\r\n"), "{head}");
    assert_eq!(wire.exactly(8 << 20), vec![b'x'; 8 << 20]);

    let mut wire = Wire::connect(target.address());
    let body = wire.get("/hostile/huge-body?bytes=2500000").body;
    assert_eq!(body.len(), 2_500_000);
}

#[test]
fn a_slow_drip_comes_byte_by_byte() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    let body = wire.get("/hostile/slow-drip?bytes=20&interval_ms=2").body;
    assert_eq!(body, b".".repeat(20));
    let mut wire = Wire::connect_for(target.address(), SILENCE);
    wire.send(&request("/hostile/slow-drip?interval_ms=60000"));
    let head = String::from_utf8_lossy(&wire.through(b"\r\n\r\n")).into_owned();
    assert!(head.contains("content-length: 1000\r\n"), "{head}");
    assert_eq!(wire.read(), Err(ErrorKind::WouldBlock));
}

#[test]
fn silence_is_silent() {
    let target = target();
    let mut wire = Wire::connect_for(target.address(), SILENCE);
    wire.send(&request("/hostile/never"));
    assert_eq!(wire.read(), Err(ErrorKind::WouldBlock));
}

#[test]
fn gzip_bodies_break_as_they_say() {
    let target = target();
    let mut wire = Wire::connect(target.address());
    for path in ["/hostile/bad-gzip", "/hostile/truncated-gzip"] {
        let answer = wire.get(path);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        let mut unpacked = Vec::new();
        let error = flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked);
        assert!(error.is_err(), "{path}");
    }
    let bomb = wire.get("/hostile/gzip-bomb");
    assert!(bomb.body.len() < 2 << 20, "{}", bomb.body.len());
    let size = bomb
        .body
        .last_chunk::<4>()
        .map(|bytes| u32::from_le_bytes(*bytes));
    assert_eq!(size, Some(1 << 30));
}

#[test]
fn a_reset_rate_resets() {
    let options = TargetOptions {
        reset_rate: 1.0,
        ..TargetOptions::default()
    };
    let target = TestTarget::start_with(&options).expect("a target");
    let mut wire = Wire::connect(target.address());
    wire.send(&request("/"));
    assert_eq!(wire.rest(), (vec![], End::Reset));
}

#[test]
fn a_stopped_target_is_gone() {
    let target = target();
    let address = target.address();
    let mut wire = Wire::connect(address);
    assert_eq!(wire.get("/").status, 200);
    drop(target);
    assert_eq!(wire.rest(), (vec![], End::Close));
    assert!(std::net::TcpStream::connect(address).is_err());
}

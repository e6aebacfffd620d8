//! The bare server: pipelines, pieces, answers that do not fit, and its counters.

mod wire;

use drumfire_target::{FastOptions, FastTarget};
use serde_json::json;
use wire::{End, Wire};

const REQUEST: &[u8] = b"GET /any HTTP/1.1\r\nHost: t\r\n\r\n";

fn target(workers: u16, body_bytes: u32) -> FastTarget {
    let options = FastOptions {
        workers,
        body_bytes,
        ..FastOptions::default()
    };
    FastTarget::start(&options).expect("a target")
}

#[test]
fn bodies_have_the_length_asked_for() {
    for body_bytes in [0, 1, 19, 27, 4096] {
        let target = target(1, body_bytes);
        let mut wire = Wire::connect(target.address());
        for _ in 0..3 {
            let answer = wire.get("/");
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body.len(), body_bytes as usize);
            if body_bytes > 19 {
                assert_eq!(answer.json()["ok"], json!(true));
            }
        }
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let target = target(1, 27);
    for cut in 1..REQUEST.len() {
        let mut wire = Wire::connect(target.address());
        wire.send(&REQUEST[..cut]);
        wire.send(&REQUEST[cut..]);
        assert_eq!(wire.answer("GET").status, 200, "cut at {cut}");
    }
}

#[test]
fn pipelined_requests_are_all_answered() {
    let target = target(2, 1000);
    let mut wire = Wire::connect(target.address());
    for count in [1, 2, 63, 64, 65, 500] {
        wire.send(&REQUEST.repeat(count));
        for index in 0..count {
            assert_eq!(wire.answer("GET").body.len(), 1000, "{index} of {count}");
        }
    }
}

#[test]
fn answers_that_do_not_fit_are_continued() {
    let target = target(1, 1_000_000);
    let mut wire = Wire::connect(target.address());
    // 200 MB of answers before the first is read
    wire.send(&REQUEST.repeat(200));
    for index in 0..200 {
        assert_eq!(wire.answer("GET").body.len(), 1_000_000, "{index}");
    }
    assert_eq!(wire.get("/").status, 200);
}

#[test]
fn closed_connections_are_forgotten() {
    let target = target(1, 27);
    for _ in 0..50 {
        Wire::connect(target.address()).get("/");
    }
    let mut wire = Wire::connect(target.address());
    // The end of a connection is seen before what comes after it on another.
    let told = wire.get("/stats").json();
    assert_eq!(
        (&told["requests"], &told["connections"]),
        (&json!(50), &json!(51))
    );
    let open = told["connections_open"].as_u64().expect("a number");
    assert!((1..=2).contains(&open), "{open}");
}

#[test]
fn counters_are_told_and_forgotten() {
    let target = target(1, 27);
    let mut wire = Wire::connect(target.address());
    for _ in 0..10 {
        wire.get("/");
    }
    let told = wire.get("/stats").json();
    assert_eq!(
        (&told["requests"], &told["gaps_us"]["count"]),
        (&json!(10), &json!(9))
    );
    assert_eq!(wire.get("/stats/reset").json(), json!({"reset": true}));
    assert_eq!(target.stats().requests, 0);
}

#[test]
fn a_stopped_target_closes_its_connections() {
    let target = target(2, 27);
    let mut wire = Wire::connect(target.address());
    wire.get("/");
    drop(target);
    assert_eq!(wire.rest(), (vec![], End::Close));
}

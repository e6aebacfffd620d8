//! JSONPaths and the bodies they are looked up in: any path compiles or is
//! refused, any query ends, and a plain path leads to the same value whether the
//! body is parsed first or read on the way.
//!
//! The first line of an input is the path, the rest the body.

#![no_main]

use drumfire_artillery::capture::json_path::JsonPath;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (Some(Ok(path)), Some(body)) = (parts.next().map(str::from_utf8), parts.next()) else {
        return;
    };
    let Ok(path) = JsonPath::parse(path) else {
        return;
    };
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    path.query(&document);
    if path.is_plain() {
        assert_eq!(Some(path.lookup(&document)), path.stream(body));
    }
});

//! `Set-Cookie` lines from a target, one per line of the input: what the jar
//! sends back is made of what it keeps, and can break no request's head.

#![no_main]

use drumfire_protocols::{CookieJar, Origin, Place};
use libfuzzer_sys::fuzz_target;

/// When the cookies arrive, in seconds since 1970.
const NOW_UNIX_S: i64 = 1_750_000_000;

fuzz_target!(|input: &[u8]| {
    let origin = Origin::parse("https://www.example.com/").expect("a plain URL");
    let at = |target| Place {
        origin: &origin,
        target,
    };
    let mut jar = CookieJar::default();
    // A header's value holds no control character: the response parser sees to it.
    let lines = input.split(|byte| byte.is_ascii_control() && *byte != b'\t');
    let kept = lines
        .filter(|line| jar.store(line, at("/shop/cart?id=1"), NOW_UNIX_S).is_ok())
        .count();
    assert!(jar.iter().count() <= kept);
    for target in ["/", "/shop/cart", "/elsewhere"] {
        let mut header = Vec::new();
        let any = jar.append_header(at(target), NOW_UNIX_S, &mut header);
        assert!(any || header.is_empty());
        assert!(!header.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
});

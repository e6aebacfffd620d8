//! A body under a content coding: what comes out stays within its limit,
//! however small the body that unpacks to it.
//!
//! The first byte of an input chooses the coding, the body follows.

#![no_main]

use bytes::Bytes;
use drumfire_protocols::decode;
use libfuzzer_sys::fuzz_target;

/// What may come out, in bytes.
const LIMIT_BYTES: usize = 64 * 1024;

/// The header's values.
const CODINGS: [&str; 8] = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "identity",
    "gzip, br",
    "br,gzip",
    "unheard-of",
];

fuzz_target!(|input: &[u8]| {
    let Some((&first, body)) = input.split_first() else {
        return;
    };
    let coding = CODINGS[usize::from(first) % CODINGS.len()];
    let body = Bytes::copy_from_slice(body);
    if let Ok(decoded) = decode(body.clone(), coding.as_bytes(), LIMIT_BYTES) {
        assert!(decoded.len() <= LIMIT_BYTES || decoded == body, "{coding}");
    }
});

//! Bytes from a target: whatever it sends, the parser ends in an answer or a
//! failure, takes no more bytes than there are, keeps to its limits, and says
//! the same wherever the bytes were cut.
//!
//! The first byte of an input says whether the request was HEAD (its lowest
//! bit) and how long the pieces are (the others); the answer follows.

#![no_main]

use drumfire_protocols::{Limits, parse_response_pieces};
use libfuzzer_sys::fuzz_target;

/// Bytes of a head, near enough for an input to reach.
const HEAD_BYTES: usize = 1024;

/// Bytes of chunk extensions, near enough for an input to reach.
const CHUNK_EXTENSION_BYTES: usize = 64;

fuzz_target!(|input: &[u8]| {
    let Some((&first, answer)) = input.split_first() else {
        return;
    };
    let limits = Limits {
        head_bytes: HEAD_BYTES,
        headers: 16,
        interim_responses: 3,
        chunk_extension_bytes: CHUNK_EXTENSION_BYTES,
        ..Limits::default()
    };
    let to_head_request = first & 1 == 1;
    let piece_bytes = usize::from(first >> 1).max(1);
    let whole = parse_response_pieces([answer], to_head_request, &limits);
    let cut = parse_response_pieces(answer.chunks(piece_bytes), to_head_request, &limits);
    assert_eq!(whole, cut, "in pieces of {piece_bytes} bytes");
    if let Ok(response) = whole {
        assert!(response.consumed <= answer.len());
        assert!(response.head.head_bytes <= HEAD_BYTES);
        assert!(response.head.head_bytes + response.body.len() <= response.consumed);
        assert!((100..=999).contains(&response.head.status));
        assert!(response.body.is_empty() || !to_head_request);
    }
});

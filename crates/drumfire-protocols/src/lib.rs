//! One request to one timed exchange: HTTP/1.1, HTTP/2, TLS, DNS.

mod chunks;
mod failure;
mod head;
mod headers;
mod limits;
mod response;

pub use failure::Failure;
pub use head::{Framing, Head, Notable, parse_head};
pub use headers::Headers;
pub use limits::Limits;
pub use response::{
    ParsedResponse, Progress, ResponseParser, Sink, parse_response_bytes, parse_response_pieces,
};

//! One request to one timed exchange: HTTP/1.1, HTTP/2, TLS, DNS.
//!
//! A [`Client`] belongs to one shard. Its hot path, a request on an open
//! HTTP/1.1 connection, is this crate's own: one send, one receive, no copy of
//! what nobody reads. Under everything else sits a library. What a target does
//! wrong is a [`Failure`] with a stable code, never an error of the run.

mod allowed;
mod authorization;
mod chunks;
mod client;
mod connections;
mod cookies;
mod deadline;
mod decode;
mod exchange;
mod failure;
mod head;
mod headers;
mod http1;
mod http2;
mod limits;
mod origin;
mod preconnect;
mod redirect;
mod request;
mod resolver;
mod response;
mod tls;
mod transport;

pub use allowed::{AllowedHost, AllowedTarget, AllowedTargets};
pub use authorization::basic_authorization;
pub use client::{Client, ClientConfig, ClientCounts, Http2};
pub use connections::Connections;
pub use cookies::{Cookie, CookieError, CookieJar, Place};
pub use decode::decode;
pub use exchange::{Body, Exchange, Response, Timeouts, Version, Wants};
pub use failure::Failure;
pub use head::{Framing, Head, HeadReader, Notable, parse_head};
pub use headers::Headers;
pub use limits::Limits;
pub use origin::{Origin, OriginError, Scheme};
pub use preconnect::PreconnectError;
pub use redirect::{
    DEFAULT_MAX_REDIRECTS, HEADERS_OF_ONE_HOST, HEADERS_OF_THE_BODY, Hop, next_hop,
};
pub use request::{Request, RequestBytes};
pub use resolver::{Addresses, Resolver};
pub use response::{
    ParsedResponse, Progress, ResponseParser, Sink, parse_response_bytes, parse_response_pieces,
};
pub use tls::{ClientIdentity, Tls, TlsError, TlsOptions};

//! The value of an `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Basic authentication (RFC 7617), in UTF-8.
///
/// ```
/// # use drumfire_protocols::basic_authorization;
/// assert_eq!(basic_authorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// ```
pub fn basic_authorization(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

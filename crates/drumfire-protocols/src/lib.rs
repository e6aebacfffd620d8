//! One request to one timed exchange: HTTP/1.1, HTTP/2, TLS, DNS.

//! Why an exchange failed: a closed set, each with the stable code under which
//! it is counted. Where Node.js has a name for the same thing (the names people
//! know from `errors.<code>`), that name is the code.

use std::borrow::Cow;
use std::io;

macro_rules! failures {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why an exchange failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Failure {
            $($(#[doc = $doc])+ #[error("{}", $code)] $name,)+
        }

        impl Failure {
            /// Every failure there is, in the order of the documentation.
            pub const ALL: &'static [Failure] = &[$(Failure::$name),+];

            /// The code under which it is counted.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Failure::$name => $code),+
                }
            }
        }
    };
}

failures! {
    /// The target refused the connection.
    ConnectionRefused = "ECONNREFUSED",
    /// The connection was reset, or closed before the answer was complete.
    ConnectionReset = "ECONNRESET",
    /// The target closed the connection while the request was being written.
    BrokenPipe = "EPIPE",
    /// No connection, no head or no complete answer within its time limit.
    TimedOut = "ETIMEDOUT",
    /// Nothing was received for longer than the limit between two reads.
    Idle = "ERR_SOCKET_TIMEOUT",
    /// No route to the host.
    HostUnreachable = "EHOSTUNREACH",
    /// No route to the network.
    NetworkUnreachable = "ENETUNREACH",
    /// No local port is left (or the local address is not ours): the generator's limit.
    AddressUnavailable = "EADDRNOTAVAIL",
    /// No file descriptor is left: the generator's limit.
    TooManyFiles = "EMFILE",
    /// The operating system does not allow the connection.
    AccessDenied = "EACCES",
    /// The target is none of those that this generator may connect to.
    TargetNotAllowed = "target_not_allowed",
    /// An error of the operating system without a name of its own here.
    Io = "EIO",

    /// The name does not exist.
    NameNotFound = "ENOTFOUND",
    /// The name servers do not answer.
    NameLookupFailed = "EAI_AGAIN",

    /// The target's certificate is self-signed and not trusted.
    SelfSignedLeaf = "DEPTH_ZERO_SELF_SIGNED_CERT",
    /// The chain ends in a self-signed certificate that is not trusted.
    SelfSignedChain = "SELF_SIGNED_CERT_IN_CHAIN",
    /// The issuer of the only certificate sent is unknown.
    UnknownLeafIssuer = "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    /// The issuer of the last certificate of the chain is unknown.
    UnknownChainIssuer = "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    /// The certificate has expired.
    CertificateExpired = "CERT_HAS_EXPIRED",
    /// The certificate is not valid yet.
    CertificateNotYetValid = "CERT_NOT_YET_VALID",
    /// The certificate was revoked.
    CertificateRevoked = "CERT_REVOKED",
    /// The certificate is for another name.
    CertificateNameMismatch = "ERR_TLS_CERT_ALTNAME_INVALID",
    /// The certificate is not meant for a server.
    CertificatePurpose = "INVALID_PURPOSE",
    /// A signature in the chain is wrong.
    CertificateSignature = "CERT_SIGNATURE_FAILURE",
    /// The certificate cannot be used for another reason.
    CertificateRejected = "CERT_REJECTED",
    /// The target wants a certificate of the client's.
    TlsCertificateRequired = "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    /// The target does not know the issuer of the client's certificate.
    TlsUnknownCa = "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    /// The target takes the client's certificate for a bad one.
    TlsBadCertificate = "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
    /// The target found nothing in common in the handshake.
    TlsHandshakeFailure = "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    /// The target does not speak this version of TLS.
    TlsProtocolVersion = "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    /// The target ended the handshake with another alert.
    TlsAlert = "ERR_SSL_TLS_ALERT",
    /// What came is not TLS.
    TlsNotSpoken = "ERR_SSL_WRONG_VERSION_NUMBER",
    /// The two sides share no version, cipher or application protocol.
    TlsIncompatible = "ERR_SSL_NO_SHARED_PARAMETERS",
    /// The TLS peer broke the protocol.
    TlsProtocol = "EPROTO",

    /// The answer does not begin with `HTTP/`.
    NotHttp = "HPE_INVALID_CONSTANT",
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    BadVersion = "HPE_INVALID_VERSION",
    /// The status is not a number from 100 to 999.
    BadStatus = "HPE_INVALID_STATUS",
    /// A header line has no name, no colon or a byte that is not allowed.
    BadHeader = "HPE_INVALID_HEADER_TOKEN",
    /// A line does not end as it must.
    BadLineEnd = "HPE_CR_EXPECTED",
    /// The length of the body is not a number.
    BadContentLength = "HPE_INVALID_CONTENT_LENGTH",
    /// Two lengths of the body, or a length beside chunks.
    ConflictingContentLength = "HPE_UNEXPECTED_CONTENT_LENGTH",
    /// The transfer coding is none that frames a body.
    BadTransferEncoding = "HPE_INVALID_TRANSFER_ENCODING",
    /// The size of a chunk is not a number.
    BadChunkSize = "HPE_INVALID_CHUNK_SIZE",
    /// A chunk is not followed by a line end.
    BadChunkEnd = "HPE_STRICT",
    /// The head or the trailers exceed their limit.
    HeadTooLarge = "HPE_HEADER_OVERFLOW",
    /// The extensions of chunks exceed their limit.
    ChunkExtensionsTooLarge = "HPE_CHUNK_EXTENSIONS_OVERFLOW",
    /// More interim (1xx) answers than the limit.
    TooManyInterim = "ERR_TOO_MANY_INTERIM_RESPONSES",

    /// A body that a step reads exceeds its limit.
    BodyTooLarge = "ERR_BODY_TOO_LARGE",
    /// A decoded body exceeds its limit.
    DecodedTooLarge = "ERR_DECODED_BODY_TOO_LARGE",
    /// The body is not what its `Content-Encoding` says.
    BadContentEncoding = "Z_DATA_ERROR",
    /// The encoded body ends too early.
    TruncatedContentEncoding = "Z_BUF_ERROR",

    /// More redirects than the limit.
    TooManyRedirects = "ERR_TOO_MANY_REDIRECTS",
    /// A redirect to something that is not a URL.
    BadRedirect = "ERR_INVALID_URL",
    /// A redirect to another protocol than HTTP.
    UnsupportedRedirect = "ERR_UNSUPPORTED_PROTOCOL",

    /// A method or the name of a header has a byte that it cannot have.
    InvalidToken = "ERR_INVALID_HTTP_TOKEN",
    /// The path and query of a request have a byte that they cannot have.
    InvalidTarget = "ERR_UNESCAPED_CHARACTERS",
    /// The value of a header has a byte that it cannot have.
    InvalidHeaderValue = "ERR_INVALID_CHAR",
    /// The request cannot be sent in this version of HTTP.
    BadRequest = "ERR_INVALID_ARG_VALUE",
    /// The HTTP/2 peer broke the protocol or ended the connection with an error.
    Http2Session = "ERR_HTTP2_SESSION_ERROR",
    /// The HTTP/2 peer reset the stream.
    Http2Stream = "ERR_HTTP2_STREAM_ERROR",
    /// The HTTP/2 peer went away before it took the request.
    Http2GoAway = "ERR_HTTP2_GOAWAY_SESSION",
}

impl Failure {
    /// The failure that an error of the operating system stands for.
    pub fn from_io(error: &io::Error) -> Failure {
        match error.raw_os_error() {
            Some(code) => from_os(code),
            None => from_kind(error.kind()),
        }
    }

    /// Whether the generator's own resources (ports, file descriptors) were the limit.
    pub const fn is_generator_limit(self) -> bool {
        matches!(self, Failure::AddressUnavailable | Failure::TooManyFiles)
    }
}

impl From<Failure> for Cow<'static, str> {
    fn from(failure: Failure) -> Self {
        Cow::Borrowed(failure.code())
    }
}

fn from_os(code: i32) -> Failure {
    match code {
        libc::ECONNREFUSED => Failure::ConnectionRefused,
        libc::ECONNRESET | libc::ECONNABORTED => Failure::ConnectionReset,
        libc::EPIPE => Failure::BrokenPipe,
        libc::ETIMEDOUT => Failure::TimedOut,
        libc::EHOSTUNREACH => Failure::HostUnreachable,
        libc::ENETUNREACH => Failure::NetworkUnreachable,
        // A connect with every ephemeral port taken fails with EADDRNOTAVAIL, a
        // bind to a source address with EADDRINUSE: the same exhaustion.
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Failure::AddressUnavailable,
        libc::EMFILE | libc::ENFILE => Failure::TooManyFiles,
        libc::EACCES | libc::EPERM => Failure::AccessDenied,
        _ => Failure::Io,
    }
}

fn from_kind(kind: io::ErrorKind) -> Failure {
    match kind {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => Failure::ConnectionReset,
        io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero => Failure::BrokenPipe,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        io::ErrorKind::ConnectionRefused => Failure::ConnectionRefused,
        _ => Failure::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_used_once() {
        let codes: HashSet<&str> = Failure::ALL.iter().map(|failure| failure.code()).collect();
        assert_eq!(codes.len(), Failure::ALL.len());
    }

    #[test]
    fn errors_of_the_system_have_the_names_of_node() {
        for (os, code) in [
            (libc::ECONNREFUSED, "ECONNREFUSED"),
            (libc::ECONNRESET, "ECONNRESET"),
            (libc::EPIPE, "EPIPE"),
            (libc::EMFILE, "EMFILE"),
            (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
            (libc::EADDRINUSE, "EADDRNOTAVAIL"),
            (libc::EHOSTUNREACH, "EHOSTUNREACH"),
            (libc::ENOTTY, "EIO"),
        ] {
            let error = io::Error::from_raw_os_error(os);
            assert_eq!(Failure::from_io(&error).code(), code);
        }
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(Failure::from_io(&end), Failure::ConnectionReset);
    }
}

//! Where requests go: scheme, host and port, parsed once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// With or without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Scheme, host and port. Clones share one allocation, and equal clones
/// compare by its address: keep the one that was parsed at load time.
#[derive(Clone)]
pub struct Origin(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
    authority: Box<str>,
    ip: Option<IpAddr>,
}

/// Why a URL names no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL.
    #[error("`{0}` is not a URL: {1}")]
    Url(String, url::ParseError),
    /// Neither http nor https.
    #[error("`{0}` is neither an http nor an https URL")]
    Scheme(String),
}

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    ///
    /// [`OriginError::Scheme`] where the URL is neither http nor https.
    pub fn of(url: &url::Url) -> Result<Origin, OriginError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(OriginError::Scheme(url.to_string())),
        };
        let (host, ip) = match url.host() {
            Some(url::Host::Domain(name)) => (name.to_owned(), None),
            Some(url::Host::Ipv4(ip)) => (ip.to_string(), Some(IpAddr::V4(ip))),
            Some(url::Host::Ipv6(ip)) => (ip.to_string(), Some(IpAddr::V6(ip))),
            None => return Err(OriginError::Scheme(url.to_string())),
        };
        let port = url.port().unwrap_or(scheme.default_port());
        let shown = url.host_str().unwrap_or_default();
        let authority = match port == scheme.default_port() {
            true => shown.to_owned(),
            false => format!("{shown}:{port}"),
        };
        Ok(Origin(Arc::new(Parts {
            scheme,
            host: host.into(),
            port,
            authority: authority.into(),
            ip,
        })))
    }

    /// The origin of a URL's text.
    ///
    /// # Errors
    ///
    /// Where the text is not a URL, or its scheme neither http nor https.
    pub fn parse(text: &str) -> Result<Origin, OriginError> {
        let url = url::Url::parse(text);
        Self::of(&url.map_err(|error| OriginError::Url(text.to_owned(), error))?)
    }

    /// With or without TLS.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port, the scheme's own where the URL had none.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The value of a `Host` header: the port only where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// The address, where the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.ip
    }
}

impl PartialEq for Origin {
    #[inline]
    fn eq(&self, other: &Origin) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}://{}",
            self.scheme().as_str(),
            self.authority()
        )
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_port_and_authority() {
        for (url, host, port, authority) in [
            ("http://example.org/a?b", "example.org", 80, "example.org"),
            ("https://example.org", "example.org", 443, "example.org"),
            (
                "http://example.org:443",
                "example.org",
                443,
                "example.org:443",
            ),
            (
                "https://u:p@EXAMPLE.org:443/",
                "example.org",
                443,
                "example.org",
            ),
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
            ("http://[::1]:8080", "::1", 8080, "[::1]:8080"),
        ] {
            let origin = Origin::parse(url).expect(url);
            assert_eq!((origin.host(), origin.port()), (host, port), "{url}");
            assert_eq!(origin.authority(), authority, "{url}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        let refused = Origin::parse("ftp://example.org/");
        assert_eq!(
            refused,
            Err(OriginError::Scheme("ftp://example.org/".into()))
        );
        assert!(matches!(
            Origin::parse("nonsense"),
            Err(OriginError::Url(..))
        ));
    }

    #[test]
    fn equal_origins_are_equal_however_they_were_made() {
        let one = Origin::parse("http://a:80/x").expect("a URL");
        assert_eq!(one, Origin::parse("http://a/y").expect("a URL"));
        assert_eq!(one, one.clone());
        assert_ne!(one, Origin::parse("https://a:80").expect("a URL"));
    }
}

//! Which redirects to follow and how, as got 14 does it for Artillery: pure
//! functions. The loop over hops is the caller's, since each hop is a request
//! of its own.

use crate::{Failure, Origin};
use url::Url;

/// Hops that are followed unless a script says otherwise.
pub const DEFAULT_MAX_REDIRECTS: u32 = 10;

/// Headers that belong to one host and are not carried to another.
pub const HEADERS_OF_ONE_HOST: [&str; 3] = ["host", "cookie", "authorization"];

/// Headers that go with a body that is dropped. (`content-type` stays, as it does with Artillery.)
pub const HEADERS_OF_THE_BODY: [&str; 2] = ["content-length", "transfer-encoding"];

/// The next request of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Where it goes.
    pub url: Url,
    /// Where that is.
    pub origin: Origin,
    /// Whether it is a GET without a body, where the request before was neither
    /// GET nor HEAD. Only 303 does that; 301 and 302 keep method and body.
    pub becomes_get: bool,
    /// Whether it goes to another host or port, so that [`HEADERS_OF_ONE_HOST`] stay behind.
    pub leaves_host: bool,
}

/// What follows on an answer; nothing where it is the last one.
///
/// `followed` counts the redirects of this chain before this one.
///
/// # Errors
///
/// [`Failure::TooManyRedirects`], [`Failure::BadRedirect`] where the location is
/// no URL, [`Failure::UnsupportedRedirect`] where it is not HTTP.
pub fn next_hop(
    status: u16,
    location: Option<&[u8]>,
    method: &str,
    from: &Url,
    followed: u32,
    max_redirects: u32,
) -> Result<Option<Hop>, Failure> {
    let Some(location) = location.filter(|_| is_redirect(status)) else {
        return Ok(None);
    };
    if followed >= max_redirects {
        return Err(Failure::TooManyRedirects);
    }
    let location = String::from_utf8_lossy(location);
    let url = from.join(&location).map_err(|_| Failure::BadRedirect)?;
    let origin = Origin::of(&url).map_err(|_| Failure::UnsupportedRedirect)?;
    // Ports as written: the same host's http and https share its cookies and credentials.
    let leaves_host = url.host_str() != from.host_str() || url.port() != from.port();
    Ok(Some(Hop {
        url,
        origin,
        becomes_get: status == 303 && !matches!(method, "GET" | "HEAD"),
        leaves_host,
    }))
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 300 | 301 | 302 | 303 | 304 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(status: u16, location: &str) -> Result<Option<(String, bool, bool)>, Failure> {
        let from = Url::parse("http://a.test/dir/page?x=1").expect("a URL");
        let hop = next_hop(status, Some(location.as_bytes()), "POST", &from, 0, 10)?;
        Ok(hop.map(|hop| (hop.url.to_string(), hop.becomes_get, hop.leaves_host)))
    }

    #[test]
    fn the_next_request_follows_from_status_and_location() {
        for (status, location, url, becomes_get, leaves_host) in [
            (301, "/b", "http://a.test/b", false, false),
            (302, "c?d", "http://a.test/dir/c?d", false, false),
            (303, "?q", "http://a.test/dir/page?q", true, false),
            (307, "http://a.test:80/b", "http://a.test/b", false, false),
            (308, "//b.test/", "http://b.test/", false, true),
            (302, "https://a.test/", "https://a.test/", false, false),
            (
                302,
                "http://a.test:8080/",
                "http://a.test:8080/",
                false,
                true,
            ),
            (303, "/\u{e9} b", "http://a.test/%C3%A9%20b", true, false),
        ] {
            let expected = (url.to_owned(), becomes_get, leaves_host);
            assert_eq!(
                hop(status, location),
                Ok(Some(expected)),
                "{status} {location}"
            );
        }
    }

    #[test]
    fn head_and_get_stay_what_they_are() {
        let from = Url::parse("http://a.test/").expect("a URL");
        for (method, becomes_get) in [("GET", false), ("HEAD", false), ("DELETE", true)] {
            let hop = next_hop(303, Some(b"/"), method, &from, 0, 10);
            assert_eq!(
                hop.map(|hop| hop.map(|hop| hop.becomes_get)),
                Ok(Some(becomes_get))
            );
        }
    }

    #[test]
    fn other_answers_are_the_last() {
        for status in [200, 201, 305, 306, 404] {
            assert_eq!(hop(status, "/b"), Ok(None), "{status}");
        }
        let from = Url::parse("http://a.test/").expect("a URL");
        assert_eq!(next_hop(302, None, "GET", &from, 0, 10), Ok(None));
    }

    #[test]
    fn a_chain_ends_somewhere() {
        let from = Url::parse("http://a.test/").expect("a URL");
        let at = |followed| {
            next_hop(302, Some(b"/"), "GET", &from, followed, 2).map(|hop| hop.is_some())
        };
        assert_eq!(
            (at(0), at(1), at(2)),
            (Ok(true), Ok(true), Err(Failure::TooManyRedirects))
        );
    }

    #[test]
    fn bad_locations_fail_by_name() {
        assert_eq!(hop(302, "http://"), Err(Failure::BadRedirect));
        assert_eq!(hop(302, "ftp://a.test/"), Err(Failure::UnsupportedRedirect));
        assert_eq!(hop(302, "mailto:a@b"), Err(Failure::UnsupportedRedirect));
    }
}

//! A user's cookies (RFC 6265), kept as tough-cookie keeps them for Artillery.
//!
//! Differences: there is no list of public suffixes, so a cookie may not name
//! a domain of a single label (`com`) but may name `co.uk`; and a jar has limits.

use crate::{Origin, Scheme};
use std::net::IpAddr;

/// Cookies in one jar; the oldest gives way.
const COOKIES_PER_JAR: usize = 1024;

/// The cookies of one user. An empty jar is three words.
#[derive(Debug, Clone, Default)]
pub struct CookieJar {
    /// In the order in which they were first set.
    cookies: Vec<Cookie>,
}

/// One cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name; may be empty only where a script says so.
    pub name: String,
    /// Its value as sent.
    pub value: String,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    expires_unix_s: Option<i64>,
}

/// Where a request goes, as far as cookies care.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The origin.
    pub origin: &'a Origin,
    /// The path; a query behind it is ignored.
    pub target: &'a str,
}

/// Why a cookie is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// There is no `name=`.
    #[error("the cookie has no name")]
    Invalid,
    /// The domain is not the host's.
    #[error("the cookie is not in this host's domain")]
    OtherDomain,
    /// The domain is everybody's.
    #[error("the cookie has its domain set to a public suffix")]
    PublicSuffix,
}

impl Place<'_> {
    fn path(&self) -> &str {
        let end = self.target.find(['?', '#']).unwrap_or(self.target.len());
        match &self.target[..end] {
            "" => "/",
            path => path,
        }
    }

    /// Where secure cookies go: to TLS and, as in browsers, to this machine.
    fn is_secure(&self) -> bool {
        let host = self.origin.host();
        self.origin.scheme() == Scheme::Https
            || self.origin.ip().is_some_and(|ip| ip.is_loopback())
            || host == "localhost"
            || host.ends_with(".localhost")
    }

    /// The directory of the path (RFC 6265, 5.1.4).
    fn default_path(&self) -> &str {
        let path = self.path();
        match path.rfind('/') {
            Some(0) | None => "/",
            Some(end) if path.starts_with('/') => &path[..end],
            Some(_) => "/",
        }
    }
}

impl CookieJar {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// The cookies, the first set first.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.cookies.iter()
    }

    /// Takes a `Set-Cookie` header of an answer from there.
    ///
    /// # Errors
    ///
    /// Why the cookie is not kept.
    pub fn store(
        &mut self,
        set_cookie: &[u8],
        from: Place<'_>,
        now_unix_s: i64,
    ) -> Result<(), CookieError> {
        let text = String::from_utf8_lossy(set_cookie);
        self.put(parse(&text, from, now_unix_s)?, now_unix_s);
        Ok(())
    }

    /// Keeps a cookie that a script sets for there.
    pub fn set(&mut self, name: &str, value: &str, place: Place<'_>, now_unix_s: i64) {
        let cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: place.origin.host().to_ascii_lowercase(),
            host_only: true,
            path: place.default_path().to_owned(),
            secure: false,
            expires_unix_s: None,
        };
        self.put(cookie, now_unix_s);
    }

    /// Adds the value of a `Cookie` header to `line`: longer paths first, then
    /// the order in which they were set. Says whether there was any.
    pub fn append_header(&self, to: Place<'_>, now_unix_s: i64, line: &mut Vec<u8>) -> bool {
        if self.cookies.is_empty() {
            return false;
        }
        let sent = self
            .cookies
            .iter()
            .filter(|cookie| cookie.goes(to, now_unix_s));
        let mut sent: Vec<&Cookie> = sent.collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        for (index, cookie) in sent.iter().enumerate() {
            if index > 0 {
                line.extend_from_slice(b"; ");
            }
            if !cookie.name.is_empty() {
                line.extend_from_slice(cookie.name.as_bytes());
                line.push(b'=');
            }
            line.extend_from_slice(cookie.value.as_bytes());
        }
        !sent.is_empty()
    }

    fn put(&mut self, cookie: Cookie, now_unix_s: i64) {
        let expired = cookie.is_expired(now_unix_s);
        let known = self.cookies.iter().position(|known| known.is_same(&cookie));
        match known {
            Some(index) if expired => {
                self.cookies.remove(index);
            }
            Some(index) => self.cookies[index] = cookie,
            None if expired => {}
            None => {
                if self.cookies.len() >= COOKIES_PER_JAR {
                    self.cookies.remove(0);
                }
                self.cookies.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn is_same(&self, other: &Cookie) -> bool {
        self.name == other.name && self.domain == other.domain && self.path == other.path
    }

    fn is_expired(&self, now_unix_s: i64) -> bool {
        self.expires_unix_s.is_some_and(|at| at <= now_unix_s)
    }

    fn goes(&self, to: Place<'_>, now_unix_s: i64) -> bool {
        let host = to.origin.host();
        let host_fits = match self.host_only {
            true => host.eq_ignore_ascii_case(&self.domain),
            false => is_in_domain(host, &self.domain),
        };
        host_fits
            && is_below(to.path(), &self.path)
            && (!self.secure || to.is_secure())
            && !self.is_expired(now_unix_s)
    }
}

fn parse(text: &str, from: Place<'_>, now_unix_s: i64) -> Result<Cookie, CookieError> {
    let mut parts = text.trim().split(';');
    let pair = parts.next().unwrap_or_default();
    let pair = pair.split(['\n', '\r', '\0']).next().unwrap_or_default();
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => (name.trim(), value.trim()),
        _ => return Err(CookieError::Invalid),
    };
    if name
        .chars()
        .chain(value.chars())
        .any(|it| it.is_ascii_control())
    {
        return Err(CookieError::Invalid);
    }
    let attributes = Attributes::parse(parts, now_unix_s);
    let host = from.origin.host().to_ascii_lowercase();
    let expires_unix_s = attributes.expires(now_unix_s);
    let (domain, host_only) = match attributes.domain {
        Some(domain) => {
            check_domain(&host, &domain)?;
            (domain, false)
        }
        None => (host, true),
    };
    Ok(Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain,
        host_only,
        path: attributes.path.unwrap_or(from.default_path()).to_owned(),
        secure: attributes.secure,
        expires_unix_s,
    })
}

#[derive(Default)]
struct Attributes<'a> {
    domain: Option<String>,
    path: Option<&'a str>,
    secure: bool,
    expires_unix_s: Option<i64>,
    max_age_s: Option<i64>,
}

impl<'a> Attributes<'a> {
    fn parse(parts: impl Iterator<Item = &'a str>, now_unix_s: i64) -> Attributes<'a> {
        let mut found = Attributes::default();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            found.note(name.trim(), value.trim(), now_unix_s);
        }
        found
    }

    fn note(&mut self, name: &str, value: &'a str, now_unix_s: i64) {
        match name.to_ascii_lowercase().as_str() {
            "expires" => {
                self.expires_unix_s = parse_date(value, now_unix_s).or(self.expires_unix_s);
            }
            "max-age" => self.max_age_s = parse_max_age(value).or(self.max_age_s),
            "domain" => {
                let domain = value.strip_prefix('.').unwrap_or(value);
                if !domain.is_empty() {
                    self.domain = Some(domain.to_ascii_lowercase());
                }
            }
            "path" => self.path = Some(value).filter(|path| path.starts_with('/')),
            "secure" => self.secure = true,
            _ => {}
        }
    }

    /// `Max-Age` wins over `Expires`; none or less of it is the past.
    fn expires(&self, now_unix_s: i64) -> Option<i64> {
        match self.max_age_s {
            Some(seconds) if seconds <= 0 => Some(i64::MIN),
            Some(seconds) => Some(now_unix_s.saturating_add(seconds)),
            None => self.expires_unix_s,
        }
    }
}

/// Digits with a sign in front; more than fit is for ever.
fn parse_max_age(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match value.starts_with('-') {
        true => Some(-1),
        false => Some(digits.parse().unwrap_or(i64::MAX)),
    }
}

fn check_domain(host: &str, domain: &str) -> Result<(), CookieError> {
    if host == domain {
        return Ok(());
    }
    if !is_in_domain(host, domain) {
        return Err(CookieError::OtherDomain);
    }
    match domain.contains('.') || domain == "localhost" {
        true => Ok(()),
        false => Err(CookieError::PublicSuffix),
    }
}

/// Whether a host is a domain or below it; an address is below none.
fn is_in_domain(host: &str, domain: &str) -> bool {
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let Some(dot) = host.len().checked_sub(domain.len() + 1) else {
        return false;
    };
    host.as_bytes()[dot] == b'.'
        && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(domain.as_bytes())
        && host.parse::<IpAddr>().is_err()
}

/// Whether a path is a cookie's path or below it (RFC 6265, 5.1.4).
fn is_below(path: &str, cookie_path: &str) -> bool {
    match path.strip_prefix(cookie_path) {
        Some(rest) => rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A date in any of the ways that servers write it (RFC 6265, 5.1.1), as Unix seconds.
fn parse_date(text: &str, now_unix_s: i64) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |it: char| it.is_ascii() && !it.is_ascii_alphanumeric() && it != ':';
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && parse_time(token).is_some() {
            time = parse_time(token);
        } else if day.is_none() && leading_number(token, 1..=2).is_some() {
            day = leading_number(token, 1..=2);
        } else if month.is_none() && month_number(token).is_some() {
            month = month_number(token);
        } else if year.is_none() {
            year = leading_number(token, 2..=4);
        }
    }
    let year = match year? {
        short @ 70..=99 => short + 1900,
        short @ 0..=69 => short + 2000,
        full => full,
    };
    let (day, month, seconds) = (day?, month?, time?);
    if !(1..=31).contains(&day) || year < 1601 {
        return None;
    }
    // What lies so far ahead that nobody waits for it needs no calendar.
    let unix_s = days_before(year, month, day) * 86_400 + seconds;
    Some(unix_s.min(now_unix_s.saturating_add(i64::from(u32::MAX) * 100)))
}

/// `hh:mm:ss` as seconds.
fn parse_time(token: &str) -> Option<i64> {
    let mut fields = token.splitn(3, ':');
    let mut field = |limit| {
        let number = leading_number(fields.next()?, 1..=2)?;
        (number < limit).then_some(number)
    };
    Some(field(24)? * 3600 + field(60)? * 60 + field(60)?)
}

/// The number at the beginning of a token, if it has so many digits.
fn leading_number(token: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let end = token.bytes().take_while(u8::is_ascii_digit).count();
    match digits.contains(&end) {
        true => token[..end].parse().ok(),
        false => None,
    }
}

fn month_number(token: &str) -> Option<i64> {
    let name = token.get(..3)?.to_ascii_lowercase();
    let found = MONTHS.iter().position(|month| *month == name)?;
    Some(found as i64 + 1)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at their end.
    let shifted = year - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + day_of_year;
    days - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    /// What a jar sends there after it took these cookies from `http://a.test/dir/page`.
    fn sent(set_cookies: &[&str], to: &str) -> String {
        let from = Origin::parse("http://www.a.test").expect("a URL");
        let mut jar = CookieJar::default();
        for set_cookie in set_cookies {
            let place = Place {
                origin: &from,
                target: "/dir/page?q",
            };
            jar.store(set_cookie.as_bytes(), place, NOW)
                .expect(set_cookie);
        }
        header(&jar, to, NOW)
    }

    fn header(jar: &CookieJar, to: &str, now: i64) -> String {
        let url = url::Url::parse(to).expect("a URL");
        let origin = Origin::of(&url).expect("an http URL");
        let mut line = Vec::new();
        let any = jar.append_header(
            Place {
                origin: &origin,
                target: url.path(),
            },
            now,
            &mut line,
        );
        assert_eq!(any, !line.is_empty());
        String::from_utf8(line).expect("text")
    }

    #[test]
    fn cookies_go_where_their_attributes_say() {
        for (cookie, to, expected) in [
            ("a=1", "http://www.a.test/dir/x", "a=1"),
            ("a=1", "http://www.a.test/dir", "a=1"),
            ("a=1", "http://www.a.test/dirty", ""),
            ("a=1", "http://www.a.test/", ""),
            ("a=1", "http://a.test/dir/", ""),
            ("a=1", "http://b.www.a.test/dir/", ""),
            ("a=1; Path=/", "http://www.a.test/", "a=1"),
            ("a=1; path=nonsense", "http://www.a.test/dir/", "a=1"),
            ("a=1; Path=/; Domain=a.test", "http://a.test/", "a=1"),
            ("a=1; Path=/; Domain=.A.Test", "http://b.a.test/", "a=1"),
            ("a=1; Path=/; Domain=", "http://www.a.test/", "a=1"),
            ("a=1; Path=/; Domain=a.test", "http://ba.test/", ""),
            ("a=1; Path=/; Secure", "http://www.a.test/", ""),
            (
                "a=1; Path=/; Secure; HttpOnly",
                "https://www.a.test/",
                "a=1",
            ),
            ("a=\"x y\" ; Path=/", "http://www.a.test/", "a=\"x y\""),
            (" a = b=c ; Path=/", "http://www.a.test/", "a=b=c"),
            ("a=; Path=/", "http://www.a.test/", "a="),
            ("a=1; Path=/; Max-Age=0", "http://www.a.test/", ""),
            ("a=1; Path=/; Max-Age=-5", "http://www.a.test/", ""),
            ("a=1; Path=/; Max-Age=x", "http://www.a.test/", "a=1"),
            (
                "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "http://www.a.test/",
                "",
            ),
            (
                "a=1; Path=/; Expires=Thu, 01 Jan 2050 00:00:00 GMT",
                "http://www.a.test/",
                "a=1",
            ),
            ("a=1; Path=/; Expires=nonsense", "http://www.a.test/", "a=1"),
        ] {
            assert_eq!(sent(&[cookie], to), expected, "{cookie:?} to {to}");
        }
    }

    #[test]
    fn longer_paths_come_first_then_the_order_of_setting() {
        let cookies = [
            "a=1; Path=/",
            "b=2; Path=/dir",
            "c=3; Path=/",
            "a=4; Path=/",
        ];
        assert_eq!(sent(&cookies, "http://www.a.test/dir/"), "b=2; a=4; c=3");
        let removed = ["a=1; Path=/", "b=2; Path=/", "a=; Path=/; Max-Age=0"];
        assert_eq!(sent(&removed, "http://www.a.test/"), "b=2");
    }

    #[test]
    fn a_cookie_ends_with_its_time() {
        let origin = Origin::parse("http://a.test").expect("a URL");
        let place = Place {
            origin: &origin,
            target: "/",
        };
        let mut jar = CookieJar::default();
        jar.store(b"a=1; Max-Age=60", place, NOW).expect("a cookie");
        jar.set("b", "2", place, NOW);
        assert_eq!(header(&jar, "http://a.test/", NOW + 59), "a=1; b=2");
        assert_eq!(header(&jar, "http://a.test/", NOW + 60), "b=2");
    }

    #[test]
    fn bad_cookies_are_refused_by_name() {
        let origin = Origin::parse("http://www.a.test").expect("a URL");
        let address = Origin::parse("http://10.0.0.1").expect("a URL");
        let mut jar = CookieJar::default();
        for (cookie, from, error) in [
            ("", &origin, CookieError::Invalid),
            ("nonsense", &origin, CookieError::Invalid),
            ("=x", &origin, CookieError::Invalid),
            ("a=\x01", &origin, CookieError::Invalid),
            ("a=1; Domain=b.test", &origin, CookieError::OtherDomain),
            (
                "a=1; Domain=x.www.a.test",
                &origin,
                CookieError::OtherDomain,
            ),
            ("a=1; Domain=test", &origin, CookieError::PublicSuffix),
            ("a=1; Domain=0.0.1", &address, CookieError::OtherDomain),
        ] {
            let stored = jar.store(
                cookie.as_bytes(),
                Place {
                    origin: from,
                    target: "/",
                },
                NOW,
            );
            assert_eq!(stored, Err(error), "{cookie:?}");
        }
        assert!(jar.is_empty());
    }

    #[test]
    fn dates_are_read_in_every_common_form() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Thu, 01-Jan-1970 00:00:01 GMT", Some(1)),
            ("1 jan 69 00:00:00", Some(3_124_224_000)),
            ("32 Jan 2020 00:00:00", None),
            ("1 Jan 2020 25:00:00", None),
            ("1 Jan 1600 00:00:00", None),
            ("1 Jan 2020", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text, NOW), expected, "{text:?}");
        }
    }
}

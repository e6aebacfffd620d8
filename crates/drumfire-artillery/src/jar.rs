//! A user's cookies as Artillery handles them: sent only once a script or an
//! answer has set the first one.

use drumfire_protocols::{CookieError, CookieJar, Headers, Place};
use rand::Rng;

use crate::build::Address;
use crate::path::Scope;
use crate::script::CookieJarOptions;
use crate::template::ValueTemplate;
use std::sync::Arc;

/// What is counted for a cookie that cannot be kept.
const BAD_COOKIE: &str = "cookie_parse_error_invalid_cookie";

/// The cookies of one user; not allocated before the first.
pub(crate) struct Jar {
    cookies: Option<Box<CookieJar>>,
    /// Whether cookies go with every request from now on.
    enabled: bool,
}

impl Jar {
    /// Keeps what a script says, to be sent to `address`.
    pub(crate) fn put<S: Scope + ?Sized>(
        &mut self,
        cookies: &[(Arc<str>, ValueTemplate)],
        address: &Address,
        now_unix_s: i64,
        scope: &S,
        rng: &mut dyn Rng,
    ) {
        let target = address.request_target();
        for (name, value) in cookies {
            let mut text = Vec::new();
            value.render_to(scope, rng, &mut text);
            let text = String::from_utf8_lossy(&text);
            let jar = self.cookies.get_or_insert_default();
            jar.set(name, &text, place(address, &target), now_unix_s);
        }
    }

    /// No cookies yet; `enabled` where all requests send them from the start.
    pub(crate) fn new(enabled: bool) -> Jar {
        Jar {
            cookies: None,
            enabled,
        }
    }

    /// The cookie header of a request to `address`; `forced` where the request
    /// itself has cookies.
    pub(crate) fn header(
        &self,
        address: &Address,
        forced: bool,
        now_unix_s: i64,
    ) -> Option<String> {
        let cookies = self.cookies.as_ref().filter(|_| self.enabled || forced)?;
        let mut line = Vec::new();
        let target = address.request_target();
        cookies
            .append_header(place(address, &target), now_unix_s, &mut line)
            .then(|| String::from_utf8_lossy(&line).into_owned())
    }

    /// Whether a request needs no cookie header at all.
    pub(crate) fn is_idle(&self) -> bool {
        !self.enabled || self.cookies.is_none()
    }

    /// Keeps what an answer sets; what it cannot keep is the error to count.
    pub(crate) fn take(
        &mut self,
        headers: &Headers,
        address: &Address,
        options: &CookieJarOptions,
        now_unix_s: i64,
    ) -> Vec<&'static str> {
        let mut errors = Vec::new();
        let target = address.request_target();
        for value in headers.get_all("set-cookie") {
            self.enabled = true;
            let jar = self.cookies.get_or_insert_default();
            let stored = jar.store(value, place(address, &target), now_unix_s);
            match stored {
                Ok(()) => {}
                Err(CookieError::PublicSuffix) if !options.reject_public_suffixes => {}
                Err(_) => errors.push(BAD_COOKIE),
            }
        }
        errors
    }
}

fn place<'a>(address: &'a Address, target: &'a str) -> Place<'a> {
    Place {
        origin: &address.origin,
        target,
    }
}

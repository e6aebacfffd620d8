//! A broker's URL: where it is, and what it says of who comes.

use super::broker::NatsError;
use super::options::Credentials;
use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use url::Url;

/// Where a broker is, and what its URL says of who comes.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) server: ServerAddr,
    /// The URL without secrets.
    pub(super) shown: String,
    pub(super) credentials: Credentials,
}

impl Address {
    pub(super) fn read(text: &str) -> Result<Self, NatsError> {
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("nats://{text}"),
        };
        let broken = |reason: String| NatsError::Url {
            url: masked(text),
            reason,
        };
        let mut url = Url::parse(&with_scheme).map_err(|error| broken(error.to_string()))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(broken(format!("{}:// is not spoken here", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(broken("it names no host".to_owned()));
        }
        let credentials = credentials_of(&url);
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| broken("it names no host".to_owned()))?;
        let shown = url.to_string();
        let server = ServerAddr::from_url(url).map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            server,
            shown,
            credentials,
        })
    }

    /// Refuses an address that others may reach too.
    pub(super) async fn check_is_here(&self) -> Result<(), NatsError> {
        let resolved = self.server.socket_addrs().await;
        let addresses = resolved.map_err(|error| NatsError::Connect {
            urls: self.shown.clone(),
            reason: error.to_string(),
            hint: "\nhint: check the broker's name",
        })?;
        let ips: Vec<_> = addresses.map(|address| address.ip()).collect();
        match ips.iter().all(IpAddr::is_loopback) {
            true => Ok(()),
            false => Err(NatsError::Stranger {
                url: self.shown.clone(),
            }),
        }
    }
}

fn credentials_of(url: &Url) -> Credentials {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match (url.username(), url.password()) {
        ("", None) => Credentials::Url,
        (token, None) => Credentials::Token(decoded(token)),
        (user, Some(password)) => Credentials::User {
            user: decoded(user),
            password: decoded(password),
        },
    }
}

/// A text that should be a URL, without what stands before its host.
fn masked(text: &str) -> String {
    let Some((before, host)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{host}"),
        None => format!("…@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who() {
        for (text, shown, credentials) in [
            ("broker", "nats://broker", "Url"),
            ("nats://broker:4222", "nats://broker:4222", "Url"),
            ("tls://a:b%40c@broker", "tls://broker", "User(\"a\", …)"),
            ("nats://secret@broker", "nats://broker", "Token(…)"),
        ] {
            let address = Address::read(text).expect("a URL");
            assert_eq!(address.shown, shown);
            assert_eq!(format!("{:?}", address.credentials), credentials);
        }
        let Ok(address) = Address::read("nats://a:b%40c@broker") else {
            panic!("a URL");
        };
        assert!(
            matches!(address.credentials, Credentials::User { password, .. } if password == "b@c")
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_secrets() {
        for (text, message) in [
            (
                "http://user:secret@broker",
                "read the broker's URL http://…@broker: http:// is not spoken here\nhint: write nats://host:4222",
            ),
            (
                "user:secret@broker:port",
                "read the broker's URL …@broker:port: invalid port number\nhint: write nats://host:4222",
            ),
        ] {
            let error = Address::read(text).expect_err("not a URL of a broker");
            assert_eq!(error.to_string(), message);
        }
    }
}

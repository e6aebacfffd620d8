//! Where the broker is and who one is to it.

use super::error::{Reason, SettingsError};
use super::secret::Secret;
use super::values::Values;
use crate::words::masked;
use std::fmt;

/// What a URL of a broker may start with.
const SCHEMES: [&str; 4] = ["nats", "tls", "ws", "wss"];

/// A URL of a broker, which may carry a password or a token: what is shown of it does not.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(String);

impl BrokerUrl {
    /// Reads a URL; `nats://` may be left out.
    ///
    /// # Errors
    /// It has another scheme, no host, or a port that is none.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let url = match text.contains("://") {
            true => text.to_owned(),
            false => format!("nats://{text}"),
        };
        // Shown from the last `@` on, whatever stands before it and however wrong it is.
        let shown = match text.rsplit_once('@') {
            Some((_, place)) => format!("***@{place}"),
            None => text.to_owned(),
        };
        let wrong = |what: &str| {
            Reason::hint(
                format!("'{shown}' {what}"),
                "a broker is written nats://host:4222, several between commas",
            )
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if !SCHEMES.contains(&scheme) {
            return Err(wrong(
                "starts with none of nats://, tls://, ws:// and wss://",
            ));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        if host.is_empty() || host.chars().any(char::is_whitespace) {
            return Err(wrong("names no host"));
        }
        if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
            return Err(wrong("has no port from 1 to 65535"));
        }
        Ok(BrokerUrl(url))
    }

    /// The URL with everything in it, to connect.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// Where a cluster meets, and what it is called there.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Servers of the broker, at least one.
    pub urls: Vec<BrokerUrl>,
    /// Who this is to it.
    pub credentials: Credentials,
    /// Certificates.
    pub tls: TlsFiles,
    /// On how many of its servers a run's memory is kept; only coordinators make one.
    pub replicas: u32,
    /// The cluster.
    pub cluster: String,
    /// The group of agents.
    pub group: String,
    /// What messages are signed with.
    pub run_key: Option<Secret>,
    /// Whether members without a run key are worked with over a broker on another host.
    pub trust_broker: bool,
}

/// Who one is to a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// As the URL says, or nobody.
    #[default]
    Url,
    /// A user.
    User {
        /// Its name.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// Whoever has the token.
    Token(Secret),
    /// A credentials file.
    File(String),
    /// A file with the seed of an nkey.
    Nkey(String),
}

/// PEM files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whose certificates are trusted; the system's where it is none.
    pub ca: Option<String>,
    /// What is shown to the broker: a certificate and its key.
    pub identity: Option<(String, String)>,
}

impl Broker {
    /// Takes the values of the broker and of the security around it; secrets that files hold are among them already.
    ///
    /// # Errors
    /// There is no URL, or two ways to say who one is.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        Ok(Broker {
            urls: values
                .brokers("nats")
                .ok_or_else(|| values.missing("nats"))?,
            credentials: Credentials::from_values(values)?,
            tls: TlsFiles::from_values(values)?,
            replicas: values.count("nats-replicas").unwrap_or(1),
            cluster: values.text("cluster").unwrap_or_default(),
            group: values.text("group").unwrap_or_default(),
            run_key: values.secret("run-key"),
            trust_broker: values.switch("trust-broker"),
        })
    }
}

impl Credentials {
    fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let user = values.text("nats-user");
        let password = values.secret("nats-password");
        let user = match (user, password) {
            (Some(user), Some(password)) => {
                Some(("nats-user", Credentials::User { user, password }))
            }
            (None, None) => None,
            (Some(_), None) => {
                return Err(values.error("nats-user", "there is no nats-password for it"));
            }
            (None, Some(_)) => {
                return Err(values.error("nats-password", "there is no nats-user for it"));
            }
        };
        let token = values.secret("nats-token").map(Credentials::Token);
        let file = values.text("nats-credentials").map(Credentials::File);
        let nkey = values.text("nats-nkey").map(Credentials::Nkey);
        let mut ways = user.into_iter().chain(
            [
                ("nats-token", token),
                ("nats-credentials", file),
                ("nats-nkey", nkey),
            ]
            .into_iter()
            .filter_map(|(name, way)| Some((name, way?))),
        );
        let Some((first, way)) = ways.next() else {
            return Ok(Credentials::Url);
        };
        match ways.next() {
            Some((second, _)) => Err(values.error(
                second,
                format!(
                    "{first} from {} says already who this is to the broker",
                    values.origin(first)
                ),
            )),
            None => Ok(way),
        }
    }
}

impl TlsFiles {
    fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let identity = match (values.text("nats-tls-cert"), values.text("nats-tls-key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(values.error("nats-tls-cert", "there is no nats-tls-key for it"));
            }
            (None, Some(_)) => {
                return Err(values.error("nats-tls-key", "there is no nats-tls-cert for it"));
            }
        };
        Ok(TlsFiles {
            ca: values.text("nats-tls-ca"),
            identity,
        })
    }
}

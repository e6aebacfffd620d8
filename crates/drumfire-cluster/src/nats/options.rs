//! How to reach a broker, and as whom.

use super::names::Name;
use crate::signing::RunKey;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Takes lines for the log: secrets are masked in them.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// How to reach a cluster's broker.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://host:port` or `tls://host:port`, one or more of the same broker; user and password, or a token, may be in the
    /// first.
    pub urls: Vec<String>,
    /// Who this is to the broker; before what the URL says.
    pub credentials: Credentials,
    /// Certificates.
    pub tls: TlsFiles,
    /// Which cluster on the broker.
    pub cluster: Name,
    /// Which of its agents: a coordinator invites one group.
    pub group: Name,
    /// The secret that the cluster's members share.
    pub key: Option<RunKey>,
    /// Whether a broker that is not on this host may be trusted although there is no run key, and what agents without one
    /// report is taken where there is one.
    pub trust_broker: bool,
    /// How long to try before the first connection; afterwards it is tried for ever.
    pub patience: Duration,
    /// On how many servers the broker keeps a run's memory: 1, or 3 where the broker is a cluster of at least so many.
    pub replicas: usize,
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: fn() -> u64,
    /// A source of 64 random bits.
    pub chance: fn() -> u64,
    /// Where lines about the connection and about refused messages go.
    pub tell: Tell,
}

/// Who one is to a broker.
#[derive(Clone, Default)]
pub enum Credentials {
    /// As the URL says, or nobody.
    #[default]
    Url,
    /// A user with a password.
    User {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// A file with a JWT and the seed of its key, as the NATS tools write it.
    CredentialsFile(PathBuf),
    /// A file with the seed of a user's nkey.
    NkeySeedFile(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("Url"),
            Self::User { user, .. } => write!(f, "User({user:?}, …)"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::CredentialsFile(path) => write!(f, "CredentialsFile({path:?})"),
            Self::NkeySeedFile(path) => write!(f, "NkeySeedFile({path:?})"),
        }
    }
}

/// The PEM files of TLS.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Whether a connection without TLS is refused; `tls://` says the same.
    pub required: bool,
    /// Whose certificates are trusted; the system's without.
    pub ca: Option<PathBuf>,
    /// What this shows to the broker: its certificate, and the key of that.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .field("cluster", &self.cluster)
            .field("group", &self.group)
            .field("key", &self.key)
            .field("trust_broker", &self.trust_broker)
            .field("patience", &self.patience)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

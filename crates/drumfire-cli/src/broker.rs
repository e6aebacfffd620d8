//! Connections to the broker of a cluster, as settings describe it.

use crate::settings::{Broker as BrokerSettings, Credentials};
use crate::{facts, words};
use anyhow::Context;
use drumfire_cluster::RunKey;
use drumfire_cluster::nats::{self, Broker, Name, NatsOptions, TlsFiles};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long the first connection is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// What runs this process's part of a cluster: its connection, its timers.
///
/// # Errors
/// No descriptor is left.
pub fn runtime() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("start what talks to the cluster")
}

/// Connects.
///
/// # Errors
/// The run key is too short, a name cannot be one of a cluster, or the broker does not take this process.
pub async fn connect(settings: &BrokerSettings) -> anyhow::Result<Broker> {
    let key = settings.run_key.as_ref();
    let key = key
        .map(|key| RunKey::new(key.expose().as_bytes()))
        .transpose();
    let tls = settings.tls.clone();
    let path = |(certificate, key): (String, String)| (certificate.into(), key.into());
    let options = NatsOptions {
        urls: settings
            .urls
            .iter()
            .map(|url| url.expose().to_owned())
            .collect(),
        credentials: credentials(&settings.credentials),
        tls: TlsFiles {
            required: false,
            ca: tls.ca.map(Into::into),
            identity: tls.identity.map(path),
        },
        cluster: Name::new(&settings.cluster)?,
        group: Name::new(&settings.group)?,
        key: key?,
        trust_broker: settings.trust_broker,
        patience: PATIENCE,
        replicas: settings.replicas as usize,
        wall_ms: || facts::now_ns() / 1_000_000,
        chance: || uuid::Uuid::new_v4().as_u64_pair().0,
        tell: Arc::new(|line| words::tell(&format!("{line}\n"))),
    };
    Ok(Broker::connect(options).await?)
}

fn credentials(credentials: &Credentials) -> nats::Credentials {
    match credentials {
        Credentials::Url => nats::Credentials::Url,
        Credentials::User { user, password } => nats::Credentials::User {
            user: user.clone(),
            password: password.expose().to_owned(),
        },
        Credentials::Token(token) => nats::Credentials::Token(token.expose().to_owned()),
        Credentials::File(path) => nats::Credentials::CredentialsFile(path.into()),
        Credentials::Nkey(path) => nats::Credentials::NkeySeedFile(path.into()),
    }
}

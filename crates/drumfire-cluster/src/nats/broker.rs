//! The connection to a broker: who may be trusted, how it is found again, and what is published without waiting.

use super::address::Address;
use super::names::{NameError, Places};
use super::options::{Credentials, NatsOptions, Tell, TlsFiles};
use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, ServerAddr, Subscriber, jetstream,
};
use futures_util::FutureExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Between two signs of life; a broker that gives none to two of them is taken for lost.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Between two attempts to connect, or to do what the broker did not do: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(4);

/// Messages that wait to be written to the connection; directives to so many agents go out at once.
const MAX_UNWRITTEN: usize = 32_768;

/// How long a coordinator waits for room among the unwritten messages before it drops one that it will repeat.
const ROOM_LIMIT: Duration = Duration::from_millis(100);

/// Why something could not be done with a broker.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// Not a URL of a broker.
    #[error("read the broker's URL {url}: {reason}\nhint: write nats://host:4222")]
    Url {
        /// The URL, its secrets masked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A broker that others may reach, and nothing to know friends by.
    #[error(
        "connect to {url}: without a run key only a broker on this host is trusted\nhint: set DRUMFIRE_RUN_KEY, or name a file with the key, for the coordinator and every agent"
    )]
    Stranger {
        /// The URL, its secrets masked.
        url: String,
    },
    /// A file that cannot be read.
    #[error("read {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// A file that does not hold what it should.
    #[error("read {}: it holds no {expected}", path.display())]
    Content {
        /// Where.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// No connection.
    #[error("connect to {urls}: {reason}{hint}")]
    Connect {
        /// The URLs, their secrets masked.
        urls: String,
        /// What the broker or the network says.
        reason: String,
        /// What may help.
        hint: &'static str,
    },
    /// A name that the broker does not take.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The broker did not do what it was asked for.
    #[error("{operation}: {reason}")]
    Refused {
        /// What was asked for.
        operation: String,
        /// What the broker says.
        reason: String,
    },
    /// What is kept is not what was written with this run key.
    #[error(
        "read {what}: it is not what a holder of this run key wrote\nhint: give the coordinator the key that the run was started with"
    )]
    Altered {
        /// What.
        what: String,
    },
}

impl NatsError {
    pub(super) fn refused(operation: impl Into<String>, reason: impl ToString) -> Self {
        Self::Refused {
            operation: operation.into(),
            reason: reason.to_string(),
        }
    }
}

/// A connection to a broker, shared by its clones. It is kept up: a lost one is made again, for ever.
#[derive(Debug, Clone)]
pub struct Broker {
    pub(super) client: Client,
    pub(super) jetstream: jetstream::Context,
    pub(super) places: Places,
    pub(super) options: Arc<NatsOptions>,
    /// The servers that it was asked to use.
    pub(super) servers: Arc<[ServerAddr]>,
    /// Changes whenever the connection is there again.
    pub(super) connected: watch::Receiver<()>,
    /// Changes whenever the connection is lost.
    pub(super) lost: watch::Receiver<()>,
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    /// When the options cannot be right, the broker refuses them, or is not there for [`NatsOptions::patience`].
    pub async fn connect(options: NatsOptions) -> Result<Self, NatsError> {
        let addresses = options.urls.iter().map(|url| Address::read(url));
        let addresses: Vec<_> = addresses.collect::<Result<_, _>>()?;
        let Some(first) = addresses.first() else {
            return Err(NatsError::Url {
                url: "of the broker".to_owned(),
                reason: "there is none".to_owned(),
            });
        };
        if options.key.is_none() && !options.trust_broker {
            for address in &addresses {
                address.check_is_here().await?;
            }
        }
        let credentials = match &options.credentials {
            Credentials::Url => &first.credentials,
            others => others,
        };
        let ((connects, connected), (losses, lost)) = (watch::channel(()), watch::channel(()));
        let connect = connect_options(&options, credentials, connects, losses)?;
        let client = open(&addresses, connect, &options).await?;
        let servers = addresses.iter().map(|address| address.server.clone());
        Ok(Self {
            jetstream: jetstream::new(client.clone()),
            client,
            places: Places::new(&options.cluster),
            servers: servers.collect(),
            options: Arc::new(options),
            connected,
            lost,
        })
    }

    pub(super) fn tell(&self, line: String) {
        (self.options.tell)(line);
    }

    /// Hears what is said under a subject.
    pub(super) async fn subscribe(&self, subject: String) -> Result<Subscriber, NatsError> {
        let subscribed = self.client.subscribe(subject.clone()).await;
        subscribed.map_err(|error| NatsError::refused(format!("subscribe to {subject}"), error))
    }

    /// Publishes what will be said again, or drops it when the broker is away or behind.
    pub(super) fn post(&self, subject: &str, payload: Vec<u8>) {
        if self.is_away() {
            return;
        }
        let published = self.client.publish(subject.to_owned(), payload.into());
        // Room is there at once or not at all; without `unconstrained` a busy task would be told that there is none.
        match tokio::task::unconstrained(published).now_or_never() {
            None | Some(Ok(())) => {}
            Some(Err(error)) => self.tell(format!("publish {subject}: {error}")),
        }
    }

    /// Like [`Broker::post`], but waits a moment for room: for one who says something to thousands at once.
    pub(super) async fn post_to_many(&self, subject: &str, payload: Vec<u8>) {
        if self.is_away() {
            return;
        }
        let published = self.client.publish(subject.to_owned(), payload.into());
        match tokio::time::timeout(ROOM_LIMIT, published).await {
            Err(_) | Ok(Ok(())) => {}
            Ok(Err(error)) => self.tell(format!("publish {subject}: {error}")),
        }
    }

    /// Publishes for the stream under a subject, waiting for room.
    pub(super) async fn post_kept(&self, subject: &str, id: &str, payload: Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        let client = &self.client;
        let published = client.publish_with_headers(subject.to_owned(), headers, payload.into());
        if let Err(error) = published.await {
            self.tell(format!("publish {subject}: {error}"));
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.client.connection_state() != State::Connected
    }

    /// How often it was connected after the first time: counted before anything is read from the connection.
    pub(super) fn reconnections(&self) -> u64 {
        let connects = &self.client.statistics().connects;
        connects.load(Ordering::Relaxed).saturating_sub(1)
    }
}

/// What a subscription gives next; nothing more once its connection is closed.
pub(super) async fn heard(subscriber: &mut Subscriber) -> async_nats::Message {
    use futures_util::StreamExt;
    match subscriber.next().await {
        Some(message) => message,
        None => std::future::pending().await,
    }
}

/// Waits between attempts, longer each time, and says why.
pub(super) struct Attempts {
    tell: Tell,
    wait: Duration,
}

impl Attempts {
    pub(super) fn new(tell: &Tell) -> Self {
        Self {
            tell: Arc::clone(tell),
            wait: FIRST_WAIT,
        }
    }

    /// After an attempt that failed, before the next.
    pub(super) async fn failed(&mut self, operation: &str, reason: impl ToString) {
        let reason = reason.to_string();
        (self.tell)(format!("{operation}: {reason}; trying again"));
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }
}

async fn open(
    addresses: &[Address],
    connect: ConnectOptions,
    options: &NatsOptions,
) -> Result<Client, NatsError> {
    let servers: Vec<_> = addresses
        .iter()
        .map(|address| address.server.clone())
        .collect();
    let urls = addresses.iter().map(|address| address.shown.as_str());
    let urls = urls.collect::<Vec<_>>().join(", ");
    let until = Instant::now() + options.patience;
    let mut attempts = Attempts::new(&options.tell);
    loop {
        let error = match connect.clone().connect(servers.as_slice()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let (may_pass, hint) = match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => (
                false,
                "\nhint: check the broker's user and password, token or key file",
            ),
            ConnectErrorKind::Tls => (false, "\nhint: check the files of TLS"),
            _ => (
                true,
                "\nhint: check that the broker runs there, and whether it speaks TLS",
            ),
        };
        if !may_pass || Instant::now() + attempts.wait > until {
            let reason = error.to_string();
            return Err(NatsError::Connect { urls, reason, hint });
        }
        attempts.failed(&format!("connect to {urls}"), error).await;
    }
}

fn connect_options(
    options: &NatsOptions,
    credentials: &Credentials,
    connected: watch::Sender<()>,
    lost: watch::Sender<()>,
) -> Result<ConnectOptions, NatsError> {
    let connect = ConnectOptions::new()
        .name("drumfire")
        .connection_timeout(CONNECT_LIMIT)
        .ping_interval(PING_INTERVAL)
        .client_capacity(MAX_UNWRITTEN)
        .reconnect_delay_callback(reconnect_wait)
        .event_callback(events(Arc::clone(&options.tell), connected, lost));
    let connect = with_tls(connect, &options.tls)?;
    let connect = with_credentials(connect, credentials)?;
    // A broker of this host that names others of its cluster must not lead away from this host.
    match options.key.is_none() && !options.trust_broker {
        true => Ok(connect.ignore_discovered_servers()),
        false => Ok(connect),
    }
}

fn reconnect_wait(attempts: usize) -> Duration {
    match u32::try_from(attempts) {
        Ok(0 | 1) => Duration::ZERO,
        Ok(attempts @ 2..=8) => (FIRST_WAIT * 2_u32.pow(attempts - 2)).min(LAST_WAIT),
        _ => LAST_WAIT,
    }
}

/// Tells what happens to the connection; what repeats itself while it is tried again, once.
fn events(
    tell: Tell,
    connected: watch::Sender<()>,
    lost: watch::Sender<()>,
) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
    // The library calls this from one task, but asks for what could be called from several.
    let told = Mutex::new(None);
    move |event| {
        match event {
            Event::Connected => connected.send_replace(()),
            Event::Disconnected => lost.send_replace(()),
            _ => {}
        }
        let line = match event {
            Event::SlowConsumer(_) => {
                "the broker: messages were dropped, as more came than could be taken".to_owned()
            }
            other => format!("the broker: {other}"),
        };
        let mut told = told.lock().expect("nothing panics while it is held");
        if told.as_ref() != Some(&line) {
            tell(line.clone());
            *told = Some(line);
        }
        std::future::ready(())
    }
}

fn with_tls(mut connect: ConnectOptions, tls: &TlsFiles) -> Result<ConnectOptions, NatsError> {
    connect = connect.require_tls(tls.required);
    if let Some(ca) = &tls.ca {
        check_pem(ca, "-----BEGIN CERTIFICATE", "PEM certificate")?;
        connect = connect.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &tls.identity {
        check_pem(certificate, "-----BEGIN CERTIFICATE", "PEM certificate")?;
        check_pem(key, "PRIVATE KEY-----", "PEM private key")?;
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

fn with_credentials(
    connect: ConnectOptions,
    credentials: &Credentials,
) -> Result<ConnectOptions, NatsError> {
    Ok(match credentials {
        Credentials::Url => connect,
        Credentials::User { user, password } => {
            connect.user_and_password(user.clone(), password.clone())
        }
        Credentials::Token(token) => connect.token(token.clone()),
        Credentials::CredentialsFile(path) => {
            let read = connect.credentials(&read_text(path)?);
            read.map_err(|_| NatsError::Content {
                path: path.clone(),
                expected: "user's JWT and seed",
            })?
        }
        Credentials::NkeySeedFile(path) => {
            let text = read_text(path)?;
            let mut lines = text.lines().map(str::trim);
            let seed = lines.find(|line| line.starts_with("SU"));
            let seed = seed.ok_or_else(|| NatsError::Content {
                path: path.clone(),
                expected: "seed of a user's nkey",
            })?;
            connect.nkey(seed.to_owned())
        }
    })
}

fn check_pem(path: &Path, mark: &str, expected: &'static str) -> Result<(), NatsError> {
    match read_text(path)?.contains(mark) {
        true => Ok(()),
        false => Err(NatsError::Content {
            path: path.to_owned(),
            expected,
        }),
    }
}

fn read_text(path: &Path) -> Result<String, NatsError> {
    std::fs::read_to_string(path).map_err(|error| NatsError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_last() {
        let waits = [0, 1, 2, 3, 7, 8, 9, usize::MAX].map(|n| reconnect_wait(n).as_millis());
        assert_eq!(waits, [0, 0, 100, 200, 3_200, 4_000, 4_000, 4_000]);
    }
}

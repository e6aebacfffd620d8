//! An agent's end of a broker: waiting to be invited, and then one run after another.

use super::broker::{Broker, NatsError, heard};
use super::bundles;
use super::chunks::split;
use super::guard::Guard;
use super::leases;
use super::names::{Name, RunPlaces};
use super::outage;
use crate::lease::LockId;
use crate::link::{AgentLink, AgentMail, Standby};
use crate::member::{Digest, Member};
use crate::messages::{Heartbeat, Invitation, NumberedSnapshot};
use crate::snapshot_wire::write_snapshot;
use crate::wire::{read_directive, read_invitation, write_heartbeat};
use async_nats::Subscriber;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Snapshots of an agent that wait to be written to the connection; more are dropped, and sent again.
pub const MAX_UNSENT_SNAPSHOTS: usize = 8;

/// How long an agent waits for its lease to be extended before it asks again.
const EXTENSION_LIMIT: Duration = Duration::from_secs(1);

/// An agent on a broker that waits for a run.
pub struct NatsAgents {
    broker: Broker,
    guard: Guard,
    invitations: Subscriber,
}

impl NatsAgents {
    /// Listens for invitations to the group of the broker's options.
    ///
    /// # Errors
    /// When the connection was closed.
    pub async fn listen(broker: &Broker) -> Result<Self, NatsError> {
        let subject = broker.places.invitation(&broker.options.group);
        Ok(Self {
            invitations: broker.subscribe(subject).await?,
            guard: Guard::new(&broker.options),
            broker: broker.clone(),
        })
    }

    /// How many invitations were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        self.guard.refused.counts()
    }
}

impl Standby for NatsAgents {
    type Link = NatsAgentLink;

    async fn invited(&mut self) -> Invitation {
        loop {
            let message = tokio::select! {
                message = heard(&mut self.invitations) => message,
                line = self.guard.refused.line() => {
                    self.broker.tell(line);
                    continue;
                }
            };
            let subject = message.subject.as_str();
            let invitation = self.guard.read(subject, &message.payload, read_invitation);
            match invitation.map(|invitation| (Name::new(&invitation.run), invitation)) {
                Some((Ok(_), invitation)) => return invitation,
                Some((Err(error), _)) => {
                    self.guard.refused.count("not readable", &error.to_string());
                }
                None => {}
            }
        }
    }

    async fn join(&mut self, run: &str, member: &Member) -> Result<NatsAgentLink, String> {
        let joined = NatsAgentLink::join(&self.broker, run, member).await;
        joined.map_err(|error| error.to_string())
    }
}

/// An agent's end of a run.
pub struct NatsAgentLink {
    broker: Broker,
    guard: Guard,
    run: String,
    member: Member,
    places: RunPlaces,
    directives: Subscriber,
    refusals: mpsc::Receiver<AgentMail>,
    unsent: mpsc::Sender<Unsent>,
}

/// A snapshot as bytes.
struct Unsent {
    number: u64,
    bytes: Vec<u8>,
}

impl NatsAgentLink {
    async fn join(broker: &Broker, run: &str, member: &Member) -> Result<Self, NatsError> {
        let places = broker.places.run(&Name::new(run)?);
        let directives = broker.subscribe(places.directive(member)?).await?;
        let (unsent, receiver) = mpsc::channel(MAX_UNSENT_SNAPSHOTS);
        let subject = places.snapshot(member)?;
        tokio::spawn(send_snapshots(broker.clone(), subject, receiver));
        let (refused, refusals) = mpsc::channel(1);
        tokio::spawn(outage::watch(broker.clone(), refused));
        Ok(Self {
            broker: broker.clone(),
            guard: Guard::new(&broker.options),
            run: run.to_owned(),
            member: member.clone(),
            places,
            directives,
            refusals,
            unsent,
        })
    }

    /// How many directives were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        self.guard.refused.counts()
    }
}

impl AgentLink for NatsAgentLink {
    async fn next(&mut self) -> AgentMail {
        loop {
            let message = tokio::select! {
                message = heard(&mut self.directives) => message,
                Some(refused) = self.refusals.recv() => return refused,
                line = self.guard.refused.line() => {
                    self.broker.tell(line);
                    continue;
                }
            };
            let subject = message.subject.as_str();
            match self.guard.read(subject, &message.payload, read_directive) {
                Some(directive) if directive.to == self.member && directive.run == self.run => {
                    return AgentMail::Directive(Box::new(directive));
                }
                Some(other) => {
                    let example =
                        format!("take a directive: it is for {} in {}", other.to, other.run);
                    self.guard.refused.count("for another", &example);
                }
                None => {}
            }
        }
    }

    async fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let subject = self.places.heartbeat();
        let message = self.guard.signed(&subject, write_heartbeat(heartbeat));
        self.broker.post(&subject, message);
    }

    async fn snapshot(&mut self, snapshot: &Arc<NumberedSnapshot>) {
        // Full is the queue while the broker is away; closed it is when the runtime ends.
        if let Ok(room) = self.unsent.try_reserve() {
            room.send(Unsent {
                number: snapshot.number,
                bytes: write_snapshot(snapshot),
            });
        }
    }

    fn extend(
        &mut self,
        until_ns: u64,
        known: LockId,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (broker, key) = (self.broker.clone(), self.places.lease(&self.member));
        async move {
            let Some(key) = key.ok().filter(|_| !broker.is_away()) else {
                return false;
            };
            let extended = leases::extend(&broker, &key, until_ns, known);
            timeout(EXTENSION_LIMIT, extended).await.unwrap_or(false)
        }
    }

    fn fetch(
        &mut self,
        digest: Digest,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send + 'static {
        bundles::fetch(self.broker.clone(), digest)
    }
}

/// Writes snapshots to the connection, one after another, each when the one before is written.
async fn send_snapshots(broker: Broker, subject: String, mut unsent: mpsc::Receiver<Unsent>) {
    while let Some(Unsent { number, bytes }) = unsent.recv().await {
        let (max_payload, key) = (broker.client.max_payload(), broker.options.key.as_ref());
        for chunk in split(&subject, number, &bytes, max_payload, key) {
            broker.post_kept(&subject, &chunk.id, chunk.payload).await;
        }
        if let Err(error) = broker.client.flush().await {
            broker.tell(format!("publish {subject}: {error}"));
        }
    }
}

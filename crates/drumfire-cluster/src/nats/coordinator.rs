//! The coordinator's end of a run on a broker.

use super::broker::{Broker, NatsError, heard};
use super::bundles;
use super::guard::Guard;
use super::leases;
use super::names::{Name, RunPlaces};
use super::record::{Facts, Record};
use super::snapshots::{Following, Snapshots};
use crate::lease::LockId;
use crate::link::{CoordinatorLink, Mail, Persisted};
use crate::member::{Digest, Member};
use crate::messages::{Command, Directive, Heartbeat, Invitation, Reply};
use crate::record::{Fact, LatestRun};
use crate::wire::{read_command, read_heartbeat, write_directive, write_invitation, write_reply};
use async_nats::{Message, Subject, Subscriber};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;

/// Commands that wait for their replies; the oldest is then left without.
pub const MAX_OPEN_COMMANDS: usize = 1_000;

/// A coordinator's end.
pub struct NatsCoordinator {
    broker: Broker,
    run: Name,
    places: RunPlaces,
    guard: Guard,
    heartbeats: Subscriber,
    commands: Subscriber,
    /// Commands to whoever coordinates the latest run.
    cluster_commands: Subscriber,
    /// Those of them that are for this one.
    asked: (mpsc::Sender<Asked>, mpsc::Receiver<Asked>),
    snapshots: Following,
    facts: Facts,
    /// At most one for each lock that is asked for.
    locked: Answers,
    next_command: u64,
    unanswered: VecDeque<(u64, Subject)>,
}

/// Answers of the broker that wait for the coordinator.
type Answers = (mpsc::UnboundedSender<Mail>, mpsc::UnboundedReceiver<Mail>);

type Asked = (Command, Option<Subject>);

impl NatsCoordinator {
    /// Opens a run: begins it, or goes on with it where its record says that it was begun. It is the cluster's latest run
    /// from then on.
    ///
    /// # Errors
    /// When the run cannot be named so, the broker has no JetStream or does not answer, or the record was not written with
    /// this run key.
    pub async fn open(
        broker: &Broker,
        run: &str,
        bundle: Digest,
    ) -> Result<(Self, Record), NatsError> {
        let run = Name::new(run)?;
        let places = broker.places.run(&run);
        let mut guard = Guard::new(&broker.options);
        let heartbeats = broker.subscribe(places.heartbeat()).await?;
        let commands = broker.subscribe(places.command()).await?;
        let cluster_commands = broker.subscribe(broker.places.command()).await?;
        let (facts, known) = Facts::open(broker, &run).await?;
        let mut snapshots = Snapshots::open(broker, &run).await?;
        let refused = |reason, example: &str| guard.refused.count(reason, example);
        let reported = match known.is_empty() {
            true => None,
            false => Some(snapshots.read_all(refused).await?),
        };
        let latest = LatestRun {
            run: run.as_str().to_owned(),
            bundle,
        };
        broker.set_latest_run(&latest).await?;
        let record = facts.record(known, reported);
        let coordinator = Self {
            broker: broker.clone(),
            run,
            places,
            guard,
            heartbeats,
            commands,
            cluster_commands,
            asked: mpsc::channel(MAX_OPEN_COMMANDS),
            snapshots: snapshots.follow(),
            facts,
            locked: mpsc::unbounded_channel(),
            next_command: 0,
            unanswered: VecDeque::new(),
        };
        Ok((coordinator, record))
    }

    /// How many messages were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        self.guard.refused.counts()
    }

    fn heartbeat(&mut self, message: &Message) -> Option<Heartbeat> {
        let subject = message.subject.as_str();
        let heartbeat = self.guard.read(subject, &message.payload, read_heartbeat)?;
        match Name::new(&heartbeat.member.agent) {
            Ok(_) => Some(heartbeat),
            Err(error) => {
                self.guard.refused.count("not readable", &error.to_string());
                None
            }
        }
    }

    fn command(&mut self, message: Message) -> Option<Asked> {
        let subject = message.subject.as_str();
        let command = self.guard.read(subject, &message.payload, read_command)?;
        Some((command, message.reply))
    }

    fn mail(&mut self, (command, reply): Asked) -> Mail {
        let id = self.next_command;
        self.next_command += 1;
        if let Some(reply) = reply {
            self.unanswered.push_back((id, reply));
        }
        if self.unanswered.len() > MAX_OPEN_COMMANDS {
            self.unanswered.pop_front();
        }
        Mail::Command { id, command }
    }

    /// Takes a command to the latest run's coordinator, if that is this one.
    fn take_if_latest(&self, asked: Asked) {
        let (broker, run) = (self.broker.clone(), self.run.clone());
        let sender = self.asked.0.clone();
        tokio::spawn(async move {
            match broker.latest_run().await {
                // Where this coordinator has ended meanwhile, nobody answers, and who asks is told so.
                Ok(Some(latest)) if latest.run == run.as_str() => {
                    sender.send(asked).await.ok();
                }
                Ok(_) => {}
                Err(error) => broker.tell(error.to_string()),
            }
        });
    }
}

impl CoordinatorLink for NatsCoordinator {
    async fn next(&mut self) -> Mail {
        loop {
            tokio::select! {
                message = heard(&mut self.heartbeats) => {
                    if let Some(heartbeat) = self.heartbeat(&message) {
                        return Mail::Heartbeat(heartbeat);
                    }
                }
                snapshot = self.snapshots.next() => match snapshot {
                    Ok(snapshot) => return Mail::Snapshot(snapshot),
                    Err((reason, example)) => self.guard.refused.count(reason, &example),
                },
                message = heard(&mut self.commands) => {
                    if let Some(asked) = self.command(message) {
                        return self.mail(asked);
                    }
                }
                message = heard(&mut self.cluster_commands) => {
                    if let Some(asked) = self.command(message) {
                        self.take_if_latest(asked);
                    }
                }
                Some(locked) = self.locked.1.recv() => return locked,
                Some(asked) = self.asked.1.recv() => return self.mail(asked),
                line = self.guard.refused.line() => return Mail::Trouble(line),
            }
        }
    }

    async fn invite(&mut self, invitation: &Invitation) {
        let subject = self.broker.places.invitation(&self.broker.options.group);
        let message = self.guard.signed(&subject, write_invitation(invitation));
        self.broker.post(&subject, message);
    }

    async fn send(&mut self, directive: &Directive) {
        match self.places.directive(&directive.to) {
            Ok(subject) => {
                let message = self.guard.signed(&subject, write_directive(directive));
                self.broker.post_to_many(&subject, message).await;
            }
            Err(error) => self.broker.tell(error.to_string()),
        }
    }

    async fn reply(&mut self, id: u64, reply: &Reply) {
        let waiting = self.unanswered.iter().position(|(open, _)| *open == id);
        let Some((_, subject)) = waiting.and_then(|at| self.unanswered.remove(at)) else {
            return;
        };
        let mut body = write_reply(reply);
        let most = reply_limit(&self.broker);
        if body.len() > most {
            body = write_reply(&Reply::Refused(format!(
                "the answer has {} bytes, and {most} can be sent",
                body.len()
            )));
        }
        let message = self.guard.signed(&subject, body);
        self.broker.post(&subject, message);
    }

    async fn persist(&mut self, fact: &Fact) -> Persisted {
        self.facts.write(fact).await
    }

    async fn lock(&mut self, member: &Member, lock: LockId) {
        let key = match self.places.lease(member) {
            Ok(key) => key,
            Err(error) => return self.broker.tell(error.to_string()),
        };
        let (broker, member, answers) =
            (self.broker.clone(), member.clone(), self.locked.0.clone());
        tokio::spawn(async move {
            let before = leases::lock(&broker, &key, lock).await;
            let locked = Mail::Locked {
                member,
                lock,
                extended_until_ns: before.extended_until_ns,
            };
            // Nobody waits for it when the run is over.
            drop(answers.send(locked));
        });
    }

    fn outages(&self) -> u64 {
        self.broker.reconnections()
    }

    async fn publish_bundle(&mut self, digest: Digest, bundle: &[u8]) -> Result<(), String> {
        bundles::publish(&self.broker, digest, bundle).await
    }
}

/// The largest reply: what broker and reader take, less room for the signature.
fn reply_limit(broker: &Broker) -> usize {
    const SIGNATURE_BYTES: usize = 512;
    let most = broker.client.max_payload().min(crate::MAX_MESSAGE_BYTES);
    most.saturating_sub(SIGNATURE_BYTES)
}

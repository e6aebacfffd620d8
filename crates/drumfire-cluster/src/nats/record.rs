//! The record of a run: its facts in a key-value bucket, each key written once, so that of two coordinators only one writes
//! the next fact.
//!
//! A value is a head line, `drumfire 1 <writer> <seal>`, and JSON. The writer is a random number of the coordinator's life, so
//! that the same fact of two lives is not taken for one; the seal is the run key's over the key and both, `-` without one.

use super::broker::{Attempts, Broker, NatsError};
use super::names::{LATEST_KEY, Name, RunPlaces};
use super::reading::Reading;
use super::snapshots;
use super::spool::Spool;
use crate::link::Persisted;
use crate::messages::Phase;
use crate::record::{Fact, LatestRun};
use crate::signing::{self, RunKey};
use crate::wire::{read_fact, read_latest_run, write_fact, write_latest_run};
use async_nats::jetstream::kv::{self, CreateErrorKind, Store};
use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a broker keeps a run's facts and snapshots: no run may last longer.
pub const RETENTION: Duration = Duration::from_secs(7 * 86_400);

const WORD: &str = "drumfire";
const VERSION: &str = "1";
const NO_SEAL: &str = "-";

/// What is known of a run that another coordinator began, as [`crate::CoordinatorMachine::new`] takes it: the facts, then
/// the snapshots, and an end last. Snapshots are decoded as they are taken.
pub struct Record {
    facts: VecDeque<Fact>,
    snapshots: Option<Spool>,
    end: Option<Phase>,
    is_new: bool,
    broker: Broker,
}

impl Record {
    fn new(mut facts: Vec<Fact>, snapshots: Option<Spool>, broker: Broker) -> Self {
        let is_new = facts.is_empty();
        let mut end = None;
        facts.retain(|fact| match fact {
            Fact::Ended(phase) => {
                end = Some(phase.clone());
                false
            }
            _ => true,
        });
        Self {
            facts: facts.into(),
            snapshots,
            end,
            is_new,
            broker,
        }
    }

    /// Whether no coordinator has begun the run.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// What the run has come to, if it is over; none once it was taken.
    pub fn end(&self) -> Option<&Phase> {
        self.end.as_ref()
    }
}

impl Iterator for Record {
    type Item = Fact;

    fn next(&mut self) -> Option<Fact> {
        if let Some(fact) = self.facts.pop_front() {
            return Some(fact);
        }
        while let Some(bytes) = self.next_snapshot() {
            match snapshots::read(&bytes) {
                Ok(snapshot) => return Some(Fact::Snapshot(Arc::new(snapshot))),
                Err((_, line)) => self.broker.tell(line),
            }
        }
        self.end.take().map(Fact::Ended)
    }
}

impl Record {
    fn next_snapshot(&mut self) -> Option<Vec<u8>> {
        let read = self.snapshots.as_mut()?.read();
        read.unwrap_or_else(|error| {
            self.broker
                .tell(format!("read back the run's snapshots: {error}"));
            None
        })
    }
}

/// The facts of one run, and the next to be written.
pub(super) struct Facts {
    store: Store,
    broker: Broker,
    places: RunPlaces,
    writer: u64,
    /// As they stand there.
    written: Vec<Bytes>,
}

impl Facts {
    /// Opens the record of a run; gives the facts that are in it.
    pub(super) async fn open(broker: &Broker, run: &Name) -> Result<(Self, Vec<Fact>), NatsError> {
        let operation = format!("open the record of the run {run}");
        let refused = |reason: String| NatsError::refused(operation.clone(), reason);
        let store = make(broker).await?;
        let places = broker.places.run(run);
        let filter = format!("{}{}", store.prefix, places.facts());
        let mut found = BTreeMap::new();
        let mut reading = Reading::new(
            broker.clone(),
            store.stream.cached_info().config.clone(),
            filter,
        );
        let read = reading.read_all(|kept| {
            let key = kept.subject.strip_prefix(store.prefix.as_str());
            if let Some(number) = key.and_then(|key| places.fact_number(key)) {
                found.insert(number, kept.payload);
            }
        });
        read.await.map_err(&refused)?;
        let mut facts = Vec::new();
        for (expected, (number, value)) in (0..).zip(&found) {
            if *number != expected {
                return Err(refused(format!("fact {expected} is missing")));
            }
            let key = places.fact(*number);
            let body = unsealed(broker.options.key.as_ref(), &key, value);
            let body = body.ok_or_else(|| NatsError::Altered {
                what: format!("fact {number} of the run {run}"),
            })?;
            facts.push(read_fact(body).map_err(|error| refused(error.to_string()))?);
        }
        let facts_of_run = Self {
            store,
            broker: broker.clone(),
            places,
            writer: (broker.options.chance)(),
            written: found.into_values().collect(),
        };
        Ok((facts_of_run, facts))
    }

    /// The record as a machine takes it.
    pub(super) fn record(&self, facts: Vec<Fact>, snapshots: Option<Spool>) -> Record {
        Record::new(facts, snapshots, self.broker.clone())
    }

    /// Writes the next fact, unless another coordinator has.
    pub(super) async fn write(&mut self, fact: &Fact) -> Persisted {
        // The stream has the snapshots.
        let Some(body) = write_fact(fact) else {
            return Persisted::Done;
        };
        let key = self.places.fact(self.written.len() as u64);
        let value = Bytes::from(sealed(
            self.broker.options.key.as_ref(),
            &key,
            self.writer,
            &body,
        ));
        let mut attempts = Attempts::new(&self.broker.options.tell);
        let mut connected = self.broker.connected.clone();
        let persisted = loop {
            connected.borrow_and_update();
            tokio::select! {
                written = self.try_write(&key, &value, &mut attempts) => {
                    if let Some(persisted) = written {
                        break persisted;
                    }
                }
                // What was on its way to a broker that was lost gets no answer.
                Ok(()) = connected.changed() => {}
            }
        };
        if persisted == Persisted::Superseded {
            return persisted;
        }
        self.written.push(value);
        persisted
    }

    /// One attempt, and a wait where it failed.
    async fn try_write(
        &self,
        key: &str,
        value: &Bytes,
        attempts: &mut Attempts,
    ) -> Option<Persisted> {
        let mut written = self.create(key, value).await;
        if written.is_err()
            && let Err(reason) = self.restore().await
        {
            written = Err(reason);
        }
        match written {
            Ok(persisted) => Some(persisted),
            Err(reason) => {
                let operation = format!("write the fact {key}");
                attempts.failed(&operation, reason).await;
                None
            }
        }
    }

    /// Writes everything again where the broker has come back without its memory.
    async fn restore(&self) -> Result<(), String> {
        let found = find(&self.broker).await;
        if found.map_err(|error| error.to_string())?.is_some() {
            return Ok(());
        }
        make(&self.broker)
            .await
            .map_err(|error| error.to_string())?;
        for (number, value) in (0..).zip(&self.written) {
            self.create(&self.places.fact(number), value).await?;
        }
        Ok(())
    }

    async fn create(&self, key: &str, value: &Bytes) -> Result<Persisted, String> {
        match self.store.create(key, value.clone()).await {
            Ok(_) => return Ok(Persisted::Done),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.to_string()),
        }
        // It may be an earlier attempt's, whose answer was lost.
        let found = self.store.get(key).await;
        match found.map_err(|error| error.to_string())? {
            Some(found) if found == value => Ok(Persisted::Done),
            Some(_) => Ok(Persisted::Superseded),
            None => Err("it is there and cannot be read".to_owned()),
        }
    }
}

impl Broker {
    /// The run that this cluster was last asked for.
    ///
    /// # Errors
    /// When the broker does not answer, or what is there was not written with this run key.
    pub async fn latest_run(&self) -> Result<Option<LatestRun>, NatsError> {
        let operation = "look for the latest run";
        let refused = |reason: String| NatsError::refused(operation, reason);
        let Some(store) = find(self).await? else {
            return Ok(None);
        };
        let value = store.get(LATEST_KEY).await;
        let Some(value) = value.map_err(|error| refused(error.to_string()))? else {
            return Ok(None);
        };
        let body = unsealed(self.options.key.as_ref(), LATEST_KEY, &value);
        let body = body.ok_or_else(|| NatsError::Altered {
            what: "the latest run's name".to_owned(),
        })?;
        let latest = read_latest_run(body).map_err(|error| refused(error.to_string()))?;
        Ok(Some(latest))
    }

    /// The facts of a run in their order, its snapshots aside; none when nobody has begun it.
    ///
    /// # Errors
    /// When the broker does not answer, or a fact is missing or was not written with this run key.
    pub async fn facts(&self, run: &str) -> Result<Vec<Fact>, NatsError> {
        let (_, facts) = Facts::open(self, &Name::new(run)?).await?;
        Ok(facts)
    }

    /// Says that this is the cluster's latest run.
    pub(super) async fn set_latest_run(&self, latest: &LatestRun) -> Result<(), NatsError> {
        let store = make(self).await?;
        let (key, writer) = (self.options.key.as_ref(), (self.options.chance)());
        let value = sealed(key, LATEST_KEY, writer, &write_latest_run(latest));
        let put = store.put(LATEST_KEY, value.into()).await;
        put.map(drop)
            .map_err(|error| NatsError::refused("note the latest run", error))
    }
}

async fn make(broker: &Broker) -> Result<Store, NatsError> {
    if let Some(store) = find(broker).await? {
        return Ok(store);
    }
    let config = kv::Config {
        bucket: broker.places.record_bucket(),
        description: "drumfire: the records of a cluster's runs".to_owned(),
        history: 1,
        max_age: RETENTION,
        num_replicas: broker.options.replicas,
        ..kv::Config::default()
    };
    let store = broker.jetstream.create_key_value(config).await;
    store.map_err(|error| {
        NatsError::refused(
            format!("make the bucket {}", broker.places.record_bucket()),
            error,
        )
    })
}

pub(super) async fn find(broker: &Broker) -> Result<Option<Store>, NatsError> {
    let bucket = broker.places.record_bucket();
    if !is_there(broker, &format!("KV_{bucket}")).await? {
        return Ok(None);
    }
    let store = broker.jetstream.get_key_value(&bucket).await;
    store
        .map(Some)
        .map_err(|error| NatsError::refused(format!("open the bucket {bucket}"), error))
}

/// Whether the broker has a stream.
pub(super) async fn is_there(broker: &Broker, stream: &str) -> Result<bool, NatsError> {
    match broker.jetstream.get_stream(stream).await {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(false)
            }
            _ => Err(NatsError::refused(
                format!("look for the stream {stream}"),
                format!("{error}\nhint: JetStream must be on: nats-server --jetstream"),
            )),
        },
    }
}

pub(super) fn sealed(key: Option<&RunKey>, place: &str, writer: u64, body: &[u8]) -> Vec<u8> {
    let seal = key.map_or(NO_SEAL.to_owned(), |key| {
        let seal = key.seal(place, &[&writer.to_be_bytes(), body]);
        signing::hexadecimal(&seal)
    });
    let mut value = format!("{WORD} {VERSION} {writer:016x} {seal}\n").into_bytes();
    value.extend(body);
    value
}

/// Reads [`sealed`]; none when it was not written with this key.
pub(super) fn unsealed<'a>(key: Option<&RunKey>, place: &str, value: &'a [u8]) -> Option<&'a [u8]> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&value[..end]).ok()?;
    let body = &value[end + 1..];
    let mut words = head.split(' ');
    if words.next()? != WORD || words.next()? != VERSION {
        return None;
    }
    let writer = u64::from_str_radix(words.next()?, 16).ok()?;
    let seal = words.next()?;
    let Some(key) = key else {
        return Some(body);
    };
    let seal = signing::bytes(seal)?.try_into().ok()?;
    let sealed = key.is_sealed(place, &[&writer.to_be_bytes(), body], &seal);
    sealed.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_writers_at_its_key() {
        let key = RunKey::new(b"sixteen bytes or more").expect("a long key");
        let other = RunKey::new(b"another sixteen bytes").expect("a long key");
        for ours in [None, Some(&key)] {
            let value = sealed(ours, "r.fact.1", 7, b"{}");
            assert_eq!(unsealed(ours, "r.fact.1", &value), Some(&b"{}"[..]));
            assert_ne!(value, sealed(ours, "r.fact.1", 8, b"{}"));
            assert_eq!(unsealed(Some(&other), "r.fact.1", &value), None);
        }
        let value = sealed(Some(&key), "r.fact.1", 7, b"{}");
        assert_eq!(unsealed(Some(&key), "r.fact.2", &value), None);
        assert_eq!(unsealed(Some(&key), "r.fact.1", &value[..20]), None);
        let mut altered = value.clone();
        altered[13] ^= 1;
        assert_eq!(unsealed(Some(&key), "r.fact.1", &altered), None);
    }
}

//! Reads a stream in order: to its present end, then on as it grows, over lost connections and restarts of the broker.

use super::broker::{Attempts, Broker};
use async_nats::Subject;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::watch;

/// How long the broker may take to give what it says is there.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// Messages that the broker sends ahead.
const MAX_AHEAD: i64 = 64;

/// What a stream holds.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) subject: Subject,
    pub(super) payload: Bytes,
    /// How many more there are.
    pending: u64,
}

pub(super) struct Reading {
    broker: Broker,
    /// What is read. A broker that comes back without it is given a new one.
    stream: Config,
    filter: String,
    /// The last sequence that was read.
    after: u64,
    messages: Option<Ordered>,
    connected: watch::Receiver<()>,
}

impl Reading {
    /// Reads what is under a filter of a stream, from its beginning.
    pub(super) fn new(broker: Broker, stream: Config, filter: String) -> Self {
        Self {
            connected: broker.connected.clone(),
            broker,
            stream,
            filter,
            after: 0,
            messages: None,
        }
    }

    /// Reads what is there now.
    pub(super) async fn read_all(&mut self, mut take: impl FnMut(Kept)) -> Result<(), String> {
        let mut pending = self.open().await?;
        while pending > 0 {
            let kept = tokio::time::timeout(READ_LIMIT, self.next()).await;
            let kept = kept.map_err(|_| {
                let seconds = READ_LIMIT.as_secs();
                format!(
                    "the broker says that {pending} more are there, and gave none for {seconds} s"
                )
            })??;
            pending = kept.pending;
            take(kept);
        }
        Ok(())
    }

    /// Reads the next one, however long it takes to come.
    pub(super) async fn follow(&mut self) -> Kept {
        let operation = format!("read the stream {}", self.stream.name);
        let mut attempts = Attempts::new(&self.broker.options.tell);
        let mut connected = self.connected.clone();
        loop {
            if self.messages.is_none()
                && let Err(reason) = self.open().await
            {
                attempts.failed(&operation, reason).await;
                continue;
            }
            tokio::select! {
                // A broker that was restarted has forgotten who reads.
                Ok(()) = connected.changed() => {
                    self.connected = connected.clone();
                    self.messages = None;
                }
                kept = self.next() => match kept {
                    Ok(kept) => return kept,
                    Err(reason) => attempts.failed(&operation, reason).await,
                }
            }
        }
    }

    /// Gives how many are there to be read.
    async fn open(&mut self) -> Result<u64, String> {
        let stream = self
            .broker
            .jetstream
            .get_or_create_stream(&self.stream)
            .await;
        let stream = stream.map_err(|error| error.to_string())?;
        // A stream that was made anew counts from the beginning.
        if stream.cached_info().state.last_sequence < self.after {
            self.after = 0;
        }
        let deliver_policy = match self.after {
            0 => DeliverPolicy::All,
            after => DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
        };
        let consumer = stream
            .create_consumer(OrderedConfig {
                filter_subject: self.filter.clone(),
                deliver_policy,
                max_batch: MAX_AHEAD,
                ..OrderedConfig::default()
            })
            .await
            .map_err(|error| error.to_string())?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await;
        self.messages = Some(messages.map_err(|error| error.to_string())?);
        Ok(pending)
    }

    /// May be dropped before it is ready.
    async fn next(&mut self) -> Result<Kept, String> {
        let Some(messages) = &mut self.messages else {
            return Err("it is not open".to_owned());
        };
        let message = match messages.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                self.messages = None;
                return Err(error.to_string());
            }
            None => {
                self.messages = None;
                return Err("it has ended".to_owned());
            }
        };
        let info = message.info().map_err(|error| error.to_string())?;
        let pending = info.pending;
        self.after = info.stream_sequence;
        let (message, _) = message.split();
        Ok(Kept {
            subject: message.subject,
            payload: message.payload,
            pending,
        })
    }
}

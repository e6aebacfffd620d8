//! A person's end of a broker: commands to the coordinator of a run, and its replies.

use super::broker::{Broker, NatsError, heard};
use super::guard::Guard;
use super::names::{Name, NameError};
use crate::messages::{Command, Reply};
use crate::wire::{read_reply, write_command};
use async_nats::StatusCode;
use std::time::Duration;

/// Why a command has no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No run is called so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The broker does not carry it.
    #[error(transparent)]
    Broker(#[from] NatsError),
    /// Nobody is there.
    #[error(
        "ask {0}: no coordinator listens\nhint: check the cluster's name and that the run is not over"
    )]
    Nobody(String),
    /// Nobody answers.
    #[error("ask {whom}: no reply in {limit_ms} ms{refused}")]
    TimedOut {
        /// Whom.
        whom: String,
        /// How long was waited, in milliseconds.
        limit_ms: u128,
        /// What came and was refused.
        refused: String,
    },
}

/// Asks coordinators.
pub struct NatsCommands {
    broker: Broker,
}

impl NatsCommands {
    /// Asks over this connection.
    pub fn new(broker: &Broker) -> Self {
        Self {
            broker: broker.clone(),
        }
    }

    /// Sends a command to the coordinator of a run, or of the cluster's latest run, and waits for the reply.
    ///
    /// # Errors
    /// When nobody is there, or nobody who has the run key replies in time.
    pub async fn ask(
        &self,
        run: Option<&str>,
        command: &Command,
        limit: Duration,
    ) -> Result<Reply, AskError> {
        let run = run.map(Name::new).transpose()?;
        let subject = match &run {
            Some(run) => self.broker.places.run(run).command(),
            None => self.broker.places.command(),
        };
        let whom = run.map_or("the latest run".to_owned(), |run| format!("the run {run}"));
        let mut guard = Guard::new(&self.broker.options);
        let replied = tokio::time::timeout(limit, self.exchange(&subject, command, &mut guard));
        match replied.await {
            Ok(Ok(Some(reply))) => Ok(reply),
            Ok(Ok(None)) => Err(AskError::Nobody(whom)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(AskError::TimedOut {
                whom,
                limit_ms: limit.as_millis(),
                refused: told(&guard),
            }),
        }
    }

    /// None when nobody listens.
    async fn exchange(
        &self,
        subject: &str,
        command: &Command,
        guard: &mut Guard,
    ) -> Result<Option<Reply>, NatsError> {
        let client = &self.broker.client;
        let inbox = client.new_inbox();
        let mut replies = self.broker.subscribe(inbox.clone()).await?;
        let message = guard.signed(subject, write_command(command));
        let published =
            client.publish_with_reply(subject.to_owned(), inbox.clone(), message.into());
        let published = published.await;
        published.map_err(|error| NatsError::refused(format!("publish {subject}"), error))?;
        loop {
            let reply = heard(&mut replies).await;
            if reply.status == Some(StatusCode::NO_RESPONDERS) {
                return Ok(None);
            }
            if let Some(reply) = guard.read(&inbox, &reply.payload, read_reply) {
                return Ok(Some(reply));
            }
        }
    }
}

fn told(guard: &Guard) -> String {
    let counts = guard.refused.counts().iter();
    let counts: Vec<_> = counts.map(|(reason, n)| format!("{n} {reason}")).collect();
    match counts.is_empty() {
        true => String::new(),
        false => format!(", and replies were refused: {}", counts.join(", ")),
    }
}

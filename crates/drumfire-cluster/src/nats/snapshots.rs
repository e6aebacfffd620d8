//! The stream of a cluster's snapshots: agents write it, coordinators read it to its end and then follow it.

use super::broker::{Broker, NatsError};
use super::chunks::{Assembly, Seals};
use super::guard::chain;
use super::names::Name;
use super::reading::Reading;
use super::record::RETENTION;
use super::spool::{Spool, SpoolWriter};
use crate::messages::NumberedSnapshot;
use crate::snapshot_wire::read_snapshot;
use async_nats::jetstream::stream::{Config, StorageType};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Snapshots that wait for the coordinator's host; then the broker keeps what comes.
const MAX_WAITING_SNAPSHOTS: usize = 64;

/// So long the broker tells a doubled chunk by its id; afterwards the coordinator does, by the snapshot's number.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// A snapshot, or why what came is none: a word to count it under, and a line.
pub(super) type Came = Result<NumberedSnapshot, (&'static str, String)>;

pub(super) fn read(bytes: &[u8]) -> Came {
    read_snapshot(bytes).map_err(|error| ("not readable", chain(&error)))
}

/// One run's snapshots.
pub(super) struct Snapshots {
    reading: Reading,
    assembly: Assembly,
}

impl Snapshots {
    /// Opens the stream, which is made when it is not there.
    pub(super) async fn open(broker: &Broker, run: &Name) -> Result<Self, NatsError> {
        let name = broker.places.snapshots_stream();
        let config = Config {
            name: name.clone(),
            description: Some("drumfire: the snapshots of a cluster's runs".to_owned()),
            subjects: vec![broker.places.snapshots()],
            max_age: RETENTION,
            duplicate_window: DUPLICATE_WINDOW,
            storage: StorageType::File,
            num_replicas: broker.options.replicas,
            ..Config::default()
        };
        let made = broker.jetstream.get_or_create_stream(&config).await;
        made.map_err(|error| NatsError::refused(format!("make the stream {name}"), error))?;
        let filter = broker.places.run(run).snapshots();
        Ok(Self {
            reading: Reading::new(broker.clone(), config, filter),
            assembly: Assembly::new(Seals::of(&broker.options)),
        })
    }

    /// Reads what is there now, as bytes; `refused` is told what is none.
    pub(super) async fn read_all(
        &mut self,
        mut refused: impl FnMut(&'static str, &str),
    ) -> Result<Spool, NatsError> {
        let (mut found, mut written) = (SpoolWriter::new(), Ok(()));
        let assembly = &mut self.assembly;
        let read =
            self.reading
                .read_all(|kept| match assembly.take(&kept.subject, &kept.payload) {
                    Ok(Some(bytes)) if written.is_ok() => written = found.write(&bytes),
                    Ok(_) => {}
                    Err(error) => refused(error.word(), &error.to_string()),
                });
        let operation = "read the run's snapshots";
        read.await
            .map_err(|reason| NatsError::refused(operation, reason))?;
        written.and_then(|()| found.finish()).map_err(|error| {
            NatsError::refused("keep the run's snapshots in a temporary file", error)
        })
    }

    /// Goes on from there, for as long as somebody takes what comes.
    pub(super) fn follow(self) -> Following {
        let (sender, came) = mpsc::channel(MAX_WAITING_SNAPSHOTS);
        let task = tokio::spawn(follow(self, sender));
        Following { came, task }
    }
}

async fn follow(mut snapshots: Snapshots, sender: mpsc::Sender<Came>) {
    loop {
        let kept = snapshots.reading.follow().await;
        let came = match snapshots.assembly.take(&kept.subject, &kept.payload) {
            Ok(None) => continue,
            Ok(Some(bytes)) => read(&bytes),
            Err(error) => Err((error.word(), error.to_string())),
        };
        if sender.send(came).await.is_err() {
            return;
        }
    }
}

/// A run's snapshots as they come.
pub(super) struct Following {
    came: mpsc::Receiver<Came>,
    task: JoinHandle<()>,
}

impl Following {
    /// May be dropped before it is ready.
    pub(super) async fn next(&mut self) -> Result<Arc<NumberedSnapshot>, (&'static str, String)> {
        match self.came.recv().await {
            Some(came) => came.map(Arc::new),
            // The runtime is ending, and this with it.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! The transport of a cluster of hosts: a NATS broker carries what coordinator and agents say, and its JetStream keeps what
//! outlives them. Only this module knows async-nats.
//!
//! | what | where, below `drumfire.<cluster>` | kept |
//! |---|---|---|
//! | [`Invitation`](crate::Invitation) | `<group>.invitation` | no |
//! | [`Heartbeat`](crate::Heartbeat) | `run.<run>.heartbeat` | no |
//! | [`Directive`](crate::Directive) | `run.<run>.to.<agent>.<incarnation>` | no |
//! | [`Command`](crate::Command), request and reply | `run.<run>.command`, or `command` for the latest run | no |
//! | [`NumberedSnapshot`](crate::NumberedSnapshot), in chunks | `run.<run>.snapshot.<agent>.<incarnation>` | in a stream |
//! | [`Fact`](crate::Fact) | key `<run>.fact.<n>` of the bucket `drumfire-<cluster>-record` | yes |
//! | [`LatestRun`](crate::LatestRun) | key `latest` of the same bucket | yes |
//! | [`Lease`](crate::Lease) | key `<run>.lease.<agent>.<incarnation>` of the same bucket | yes |
//! | bundle | its digest in the object store `drumfire-<cluster>-bundles` | yes |
//!
//! With a run key everything that is said is signed, everything that is kept is sealed, and bundles are named by signed
//! directives. Without one only a broker on this host is trusted, unless the caller says otherwise.
//!
//! Whoever opens a connection runs it on a tokio runtime with timers and sockets.

mod options;

mod agents;
mod broker;
mod commands;
mod coordinator;

// What they are made of.
mod address;
mod bundles;
mod chunks;
mod guard;
mod leases;
mod names;
mod outage;
mod reading;
mod record;
mod snapshots;
mod spool;

pub use agents::{MAX_UNSENT_SNAPSHOTS, NatsAgentLink, NatsAgents};
pub use broker::{Broker, NatsError};
pub use bundles::BUNDLE_RETENTION;
pub use chunks::{MAX_CHUNK_BYTES, MAX_PARTIAL_BYTES, MAX_PARTIAL_BYTES_PER_MEMBER};
pub use commands::{AskError, NatsCommands};
pub use coordinator::{MAX_OPEN_COMMANDS, NatsCoordinator};
pub use guard::CLOCK_ERROR_MS;
pub use names::{MAX_NAME_BYTES, Name, NameError};
pub use options::{Credentials, NatsOptions, Tell, TlsFiles};
pub use record::{RETENTION, Record};

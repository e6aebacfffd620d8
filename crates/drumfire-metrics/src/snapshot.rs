//! The mergeable histograms and counters of one interval.

use crate::Histogram;
use std::collections::BTreeMap;

/// Why a planned iteration was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The cap on concurrent users (`maxVusers`) was reached.
    UserCap,
    /// The generator could not start it in time or at all.
    Generator,
    /// The run was stopped before it was due.
    Stopped,
    /// The agent that owned it was lost.
    AgentLost,
}

/// What a custom histogram's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Recorded in nanoseconds, kept in microseconds, shown in milliseconds.
    Duration,
    /// A plain number.
    Number,
}

/// Everything known of one endpoint in one interval; durations are in
/// microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointStats {
    /// Requests begun.
    pub requests: u64,
    /// Answers by status code.
    pub codes: BTreeMap<u16, u64>,
    /// Failed exchanges by code.
    pub errors: BTreeMap<String, u64>,
    /// Body bytes received.
    pub body_bytes: u64,
    /// Request bytes sent.
    pub sent_bytes: u64,
    /// Connections opened.
    pub connections: u64,
    /// Time to first byte, by status class (index 1 to 5; 0 is unused).
    pub first_byte_us: [Histogram; 6],
    /// Service time of complete answers.
    pub service_us: Histogram,
    /// From the intended start to the last byte, complete answers.
    pub intended_us: Histogram,
    /// Name lookups.
    pub dns_us: Histogram,
    /// TCP connects.
    pub connect_us: Histogram,
    /// TLS handshakes.
    pub tls_us: Histogram,
}

/// Iterations of users in one interval; durations are in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IterationStats {
    /// Started.
    pub started: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended by a failing step.
    pub failed: u64,
    /// Cut off by the end of the run.
    pub interrupted: u64,
    /// Planned and not started, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// From start to end of the completed ones.
    pub duration_us: Histogram,
    /// From the intended start to the start.
    pub lateness_us: Histogram,
}

/// How the generator itself was doing in one interval. Merging adds what can
/// be added (sockets, users, CPU, memory) and keeps the worst of the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratorHealth {
    /// Processor time used in the interval, in microseconds.
    pub cpu_us: u64,
    /// Processor time that was available in the interval (shards times its length).
    pub cpu_available_us: u64,
    /// Largest CPU share of any one shard in the interval, 0 to 1.
    pub busiest_shard: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Open sockets.
    pub sockets: u64,
    /// Users that are in the middle of an iteration.
    pub users: u64,
    /// Event-loop lag: how late timers fired, in microseconds.
    pub loop_lag_us: Histogram,
    /// Times a socket could not be had for want of file descriptors.
    pub descriptors_exhausted: u64,
    /// Times a connection could not be had for want of local ports.
    pub ports_exhausted: u64,
}

/// One interval of one shard, one agent or the whole run: the unit that merges
/// and travels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Start of the interval, microseconds since the run's start.
    pub start_us: u64,
    /// End of the interval.
    pub end_us: u64,
    /// Per endpoint.
    pub endpoints: BTreeMap<String, EndpointStats>,
    /// Iterations.
    pub iterations: IterationStats,
    /// Errors that are not an exchange's, by code.
    pub errors: BTreeMap<String, u64>,
    /// Custom counters.
    pub counters: BTreeMap<String, u64>,
    /// Custom rates: events counted.
    pub rates: BTreeMap<String, u64>,
    /// Custom histograms.
    pub histograms: BTreeMap<String, (Unit, Histogram)>,
    /// The generator itself.
    pub health: GeneratorHealth,
}

impl Snapshot {
    /// Adds another interval or another shard's part of the same one;
    /// associative and commutative. The interval becomes the hull of both.
    pub fn merge(&mut self, other: &Snapshot) {
        todo!("{other:?}")
    }
}

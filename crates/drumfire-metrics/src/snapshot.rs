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

/// What a custom histogram's numbers are. Where two snapshots disagree on a
/// name, the first of these holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Answers whose head came, by status code.
    pub codes: BTreeMap<u16, u64>,
    /// Failed exchanges by code.
    pub errors: BTreeMap<String, u64>,
    /// Body bytes received.
    pub body_bytes: u64,
    /// Request bytes sent.
    pub sent_bytes: u64,
    /// Connections opened.
    pub connections: u64,
    /// Time to first byte of every answer whose head came, by status class
    /// (index 1 to 5; 0 holds the codes outside 100 to 599).
    pub first_byte_us: [Histogram; 6],
    /// Service time of complete answers.
    pub service_us: Histogram,
    /// From the intended start to the last byte, complete answers.
    pub intended_us: Histogram,
    /// Name lookups of answered exchanges.
    pub dns_us: Histogram,
    /// TCP connects of answered exchanges.
    pub connect_us: Histogram,
    /// TLS handshakes of answered exchanges.
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

/// How the generator itself was doing in one interval.
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

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 4] = [
        DropReason::UserCap,
        DropReason::Generator,
        DropReason::Stopped,
        DropReason::AgentLost,
    ];

    /// As it stands in metric names: `drumfire.dropped.<word>`.
    pub fn word(self) -> &'static str {
        match self {
            DropReason::UserCap => "user_cap",
            DropReason::Generator => "generator",
            DropReason::Stopped => "stopped",
            DropReason::AgentLost => "agent_lost",
        }
    }

    /// Reads [`DropReason::word`].
    pub fn from_word(word: &str) -> Option<DropReason> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

impl EndpointStats {
    /// Answers whose head came.
    pub fn responses(&self) -> u64 {
        self.codes.values().sum()
    }

    /// Failed exchanges.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Time to first byte of all answers, microseconds.
    pub fn all_first_byte_us(&self) -> Histogram {
        let mut all = Histogram::new();
        self.first_byte_us.iter().for_each(|class| all.merge(class));
        all
    }

    /// Adds another interval's or shard's numbers; associative and commutative.
    pub fn merge(&mut self, other: &EndpointStats) {
        self.requests += other.requests;
        add_counts(&mut self.codes, &other.codes);
        add_counts(&mut self.errors, &other.errors);
        self.body_bytes += other.body_bytes;
        self.sent_bytes += other.sent_bytes;
        self.connections += other.connections;
        for (ours, theirs) in self.histograms_mut().into_iter().zip(other.histograms()) {
            ours.merge(theirs);
        }
    }

    /// Turns every histogram to the form that takes least memory.
    pub(crate) fn pack(&mut self) {
        self.histograms_mut().into_iter().for_each(Histogram::pack);
    }

    fn histograms(&self) -> [&Histogram; 11] {
        let [unclassed, c1, c2, c3, c4, c5] = &self.first_byte_us;
        let (service, intended) = (&self.service_us, &self.intended_us);
        let (dns, connect, tls) = (&self.dns_us, &self.connect_us, &self.tls_us);
        [
            unclassed, c1, c2, c3, c4, c5, service, intended, dns, connect, tls,
        ]
    }

    fn histograms_mut(&mut self) -> [&mut Histogram; 11] {
        let [unclassed, c1, c2, c3, c4, c5] = &mut self.first_byte_us;
        let (service, intended) = (&mut self.service_us, &mut self.intended_us);
        let (dns, connect, tls) = (&mut self.dns_us, &mut self.connect_us, &mut self.tls_us);
        [
            unclassed, c1, c2, c3, c4, c5, service, intended, dns, connect, tls,
        ]
    }
}

impl IterationStats {
    /// Planned and not started, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Adds another interval's or shard's numbers; associative and commutative.
    pub fn merge(&mut self, other: &IterationStats) {
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.interrupted += other.interrupted;
        add_counts(&mut self.dropped, &other.dropped);
        self.duration_us.merge(&other.duration_us);
        self.lateness_us.merge(&other.lateness_us);
    }
}

impl GeneratorHealth {
    /// Adds the health of another shard or agent in the same interval: levels
    /// (memory, sockets, users) add up. Associative and commutative.
    pub fn merge(&mut self, other: &GeneratorHealth) {
        self.memory_bytes += other.memory_bytes;
        self.sockets += other.sockets;
        self.users += other.users;
        self.merge_flows(other);
    }

    /// Adds the health in another interval: levels keep their peak.
    /// Associative and commutative.
    pub fn append(&mut self, other: &GeneratorHealth) {
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.sockets = self.sockets.max(other.sockets);
        self.users = self.users.max(other.users);
        self.merge_flows(other);
    }

    fn merge_flows(&mut self, other: &GeneratorHealth) {
        self.cpu_us += other.cpu_us;
        self.cpu_available_us += other.cpu_available_us;
        self.busiest_shard = self.busiest_shard.max(other.busiest_shard);
        self.loop_lag_us.merge(&other.loop_lag_us);
        self.descriptors_exhausted += other.descriptors_exhausted;
        self.ports_exhausted += other.ports_exhausted;
    }
}

impl Snapshot {
    /// Adds another shard's or agent's part of the same interval; associative
    /// and commutative. The interval becomes the hull of both.
    pub fn merge(&mut self, other: &Snapshot) {
        self.health.merge(&other.health);
        self.merge_all_but_health(other);
    }

    /// Adds another interval of the same part: as [`Snapshot::merge`], but
    /// sockets, users and memory keep their peak instead of adding up.
    pub fn append(&mut self, other: &Snapshot) {
        self.health.append(&other.health);
        self.merge_all_but_health(other);
    }

    /// Length of the interval in seconds.
    pub fn seconds(&self) -> f64 {
        self.end_us.saturating_sub(self.start_us) as f64 / 1e6
    }

    /// Turns every histogram to the form that takes least memory.
    pub fn pack(&mut self) {
        self.histograms_mut().for_each(Histogram::pack);
    }

    /// Memory in use, in bytes, near enough for limits.
    pub fn memory_bytes(&self) -> usize {
        let names = self.endpoints.keys().map(String::len).sum::<usize>()
            + self
                .endpoints
                .values()
                .map(|e| e.errors.len() * ENTRY_BYTES)
                .sum::<usize>()
            + self.endpoints.len() * size_of::<EndpointStats>()
            + (self.counters.len() + self.rates.len() + self.histograms.len()) * ENTRY_BYTES;
        let histograms = self
            .all_histograms()
            .map(Histogram::memory_bytes)
            .sum::<usize>();
        size_of::<Self>() + names + histograms
    }

    /// Values of all histograms that were above [`Histogram::MAX_VALUE`].
    pub fn values_above_limit(&self) -> u64 {
        self.all_histograms().map(Histogram::saturated).sum()
    }

    fn merge_all_but_health(&mut self, other: &Snapshot) {
        (self.start_us, self.end_us) = hull(self.span(), other.span());
        merge_entries(&mut self.endpoints, &other.endpoints, EndpointStats::merge);
        self.iterations.merge(&other.iterations);
        add_counts(&mut self.errors, &other.errors);
        add_counts(&mut self.counters, &other.counters);
        add_counts(&mut self.rates, &other.rates);
        merge_entries(&mut self.histograms, &other.histograms, |ours, theirs| {
            ours.0 = ours.0.min(theirs.0);
            ours.1.merge(&theirs.1);
        });
    }

    fn span(&self) -> (u64, u64) {
        (self.start_us, self.end_us)
    }

    fn all_histograms(&self) -> impl Iterator<Item = &Histogram> {
        let iterations = [&self.iterations.duration_us, &self.iterations.lateness_us];
        let custom = self.histograms.values().map(|(_, histogram)| histogram);
        let endpoints = self.endpoints.values().flat_map(EndpointStats::histograms);
        endpoints
            .chain(iterations)
            .chain(custom)
            .chain([&self.health.loop_lag_us])
    }

    fn histograms_mut(&mut self) -> impl Iterator<Item = &mut Histogram> {
        let iterations = [
            &mut self.iterations.duration_us,
            &mut self.iterations.lateness_us,
        ];
        let custom = self.histograms.values_mut().map(|(_, histogram)| histogram);
        let endpoints = self
            .endpoints
            .values_mut()
            .flat_map(EndpointStats::histograms_mut);
        endpoints
            .chain(iterations)
            .chain(custom)
            .chain([&mut self.health.loop_lag_us])
    }
}

/// A name and a number in a map, roughly.
const ENTRY_BYTES: usize = 64;

/// The span that covers both; (0, 0) is no span yet.
fn hull(ours: (u64, u64), theirs: (u64, u64)) -> (u64, u64) {
    match (ours, theirs) {
        ((0, 0), span) | (span, (0, 0)) => span,
        (ours, theirs) => (ours.0.min(theirs.0), ours.1.max(theirs.1)),
    }
}

fn add_counts<K: Ord + Clone>(ours: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    merge_entries(ours, theirs, |n, more| *n += more);
}

fn merge_entries<K: Ord + Clone, V: Clone>(
    ours: &mut BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    merge: impl Fn(&mut V, &V),
) {
    for (key, value) in theirs {
        match ours.get_mut(key) {
            Some(found) => merge(found, value),
            None => {
                ours.insert(key.clone(), value.clone());
            }
        }
    }
}

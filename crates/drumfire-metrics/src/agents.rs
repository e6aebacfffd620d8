//! What is known of the agents that shared a run: a row for each with a fixed set of merged histograms, the epochs of
//! shares, what happened to them, and how far apart they started.

use crate::saturation::{PROCESSOR_NOTE_INTERVALS, processor_note};
use crate::{
    DropReason, EndpointStats, GeneratorHealth, IterationStats, Saturation, SaturationCause,
    SaturationWatch, Snapshot, WorstAgent,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// One life of one agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// What it calls itself: the pod's name, or the host's.
    pub name: Arc<str>,
    /// Which of its lives: any number that no other has.
    pub life: u64,
}

/// The agents of a run that they shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agents {
    /// Everyone who was heard of.
    pub rows: BTreeMap<AgentId, Agent>,
    /// Planned and not started, and no agent's at the time.
    pub unowned: BTreeMap<DropReason, u64>,
    /// Who had which share, from when on.
    pub epochs: Vec<EpochFacts>,
    /// What happened to them, in the order of time once the run is over.
    pub events: Vec<AgentEvent>,
    /// How many more things happened.
    pub events_left_out: u64,
    /// How far apart those of the first epoch started, where two of them or more said.
    pub start_skew: Option<StartSkew>,
}

/// What is known of one agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Its version of Drumfire; empty where it was only known from a record.
    pub version: String,
    /// The weight that it asked for.
    pub capacity: u32,
    /// The weight of its share in the last epoch; 0 when it had none.
    pub weight: u32,
    /// What became of it.
    pub ending: AgentEnding,
    /// How its clock differs, once it was measured.
    pub clock: Option<AgentClock>,
    /// How long after the agreed start, by its own clock, its load began, in nanoseconds; none for those who came later.
    pub start_late_ns: Option<u64>,
    /// Its exchanges with all endpoints together.
    pub exchanges: EndpointStats,
    /// Its iterations; what it never reported of its share is in its dropped ones when the run is over.
    pub iterations: IterationStats,
    /// How it was doing, levels at their peak.
    pub health: GeneratorHealth,
    /// Stretches in which it was the limit, at most [`SaturationWatch::STRETCH_LIMIT`].
    pub saturations: Vec<Saturation>,
    /// How many more there were.
    pub saturations_left_out: u64,
    /// Intervals that it reported.
    pub intervals: u64,
    /// Those in which a shard had no processor time left.
    pub full_intervals: u64,
}

/// What became of an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentEnding {
    /// It was there to the end.
    #[default]
    Stayed,
    /// It handed its share back and went.
    Left,
    /// It could not take part.
    Failed,
    /// It was not heard of any more.
    Lost,
}

/// A clock beside the coordinator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentClock {
    /// The most by which the offset can be wrong, in nanoseconds: half of the round trip that it was measured with.
    pub error_ns: u64,
    /// The coordinator's clock minus the agent's, in nanoseconds.
    pub offset_ns: i64,
}

/// From an instant of the run on, who has which share.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochFacts {
    /// From when on, microseconds since the run's start.
    pub from_us: u64,
    /// Counts up from 0.
    pub number: u64,
    /// Rate or users in thousandths of the plan's.
    pub permille: u32,
    /// How many agents have a share.
    pub agents: u32,
    /// The weight of all shares.
    pub weight: u64,
    /// The part of it that no agent has.
    pub unowned_weight: u64,
    /// Who has which weight, in the order of their names; empty where [`Agents::EPOCH_SHARES_LIMIT`] was met.
    pub shares: Vec<EpochShare>,
}

/// An agent's weight in an epoch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochShare {
    /// Whose.
    pub agent: AgentId,
    /// Of the epoch's whole weight.
    pub weight: u32,
}

/// Something that happened to an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentEvent {
    /// When, microseconds since the run's start; below zero before it.
    pub at_us: i64,
    /// What.
    pub kind: AgentEventKind,
    /// To whom; of several the first, and none where it concerns all.
    pub agent: Option<AgentId>,
    /// How many others it happened to.
    pub others: u32,
    /// Why, in words, where somebody said.
    pub reason: Option<String>,
}

/// What may happen to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentEventKind {
    /// It volunteered.
    Announced,
    /// It got a share while the load ran.
    Joined,
    /// It handed its share back.
    Left,
    /// It had a share, and was silent for too long.
    Silent,
    /// It had a share, and its process ended.
    Gone,
    /// It could not take part.
    Failed,
    /// New shares had to wait, as it had not agreed to them yet.
    PushedBack,
    /// It reported what was not its share.
    Contradicted,
    /// The shares had changed too often to change again.
    EpochLimit,
}

/// How far apart agents started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartSkew {
    /// From the first to the last, by the coordinator's clock, in nanoseconds.
    pub skew_ns: u64,
    /// The most by which that can be wrong, in nanoseconds, as clocks are only known so well.
    pub error_ns: u64,
}

impl Agents {
    /// Most events of one kind; later ones are counted.
    pub const EVENTS_OF_KIND_LIMIT: usize = 250;
    /// Most shares listed over all epochs; later epochs only say how many there are.
    pub const EPOCH_SHARES_LIMIT: usize = 100_000;
    /// Longest reason of an event in characters; what is longer is cut.
    pub const REASON_LIMIT_CHARS: usize = 500;

    /// With more agents than this, rows are kept packed: a sixth of the memory, and four times the work for each report.
    pub const UNPACKED_ROWS_LIMIT: usize = 1_000;

    /// Takes an agent's report of an interval, with what watches it.
    pub fn report(&mut self, agent: AgentId, interval: &Snapshot, watch: &mut SaturationWatch) {
        let many = self.rows.len() > Self::UNPACKED_ROWS_LIMIT;
        let row = self.rows.entry(agent).or_default();
        row.append(interval, watch);
        if many {
            row.pack();
        }
    }

    /// Takes note of an event, unless there were too many of its kind.
    pub fn note(&mut self, mut event: AgentEvent) {
        let same = self.events.iter().filter(|other| other.kind == event.kind);
        if same.count() >= Self::EVENTS_OF_KIND_LIMIT {
            self.events_left_out += 1;
            return;
        }
        if let Some(reason) = &mut event.reason
            && let Some((end, _)) = reason.char_indices().nth(Self::REASON_LIMIT_CHARS)
        {
            reason.truncate(end);
        }
        self.events.push(event);
    }

    /// Takes an epoch, the next by its number, with everyone's weight; without a name what nobody has.
    pub fn begin_epoch(
        &mut self,
        number: u64,
        from_us: u64,
        permille: u32,
        weights: impl IntoIterator<Item = (Option<AgentId>, u32)>,
    ) {
        let mut epoch = EpochFacts {
            from_us,
            number,
            permille,
            ..EpochFacts::default()
        };
        // One who stands in for others has several shares.
        let mut shares = BTreeMap::<AgentId, u32>::new();
        for (agent, weight) in weights {
            epoch.weight += u64::from(weight);
            match agent {
                Some(agent) => *shares.entry(agent).or_default() += weight,
                None => epoch.unowned_weight += u64::from(weight),
            }
        }
        epoch.agents = shares.len() as u32;
        let listed: usize = self.epochs.iter().map(|epoch| epoch.shares.len()).sum();
        if listed + shares.len() <= Self::EPOCH_SHARES_LIMIT {
            let shares = shares.into_iter();
            let share = |(agent, weight)| EpochShare { agent, weight };
            epoch.shares = shares.map(share).collect();
        }
        self.epochs.push(epoch);
    }

    /// Works out what nobody owned, once everyone's dropped iterations are known: what all together dropped, less theirs.
    pub fn settle(&mut self, dropped: &BTreeMap<DropReason, u64>) {
        self.unowned = dropped.clone();
        let owned = self.rows.values().flat_map(|row| &row.iterations.dropped);
        for (reason, n) in owned {
            if let Some(rest) = self.unowned.get_mut(reason) {
                *rest = rest.saturating_sub(*n);
            }
        }
        self.unowned.retain(|_, n| *n > 0);
    }

    /// Every stretch in which an agent was the limit, named: stretches of several agents that meet are one. Of `together`,
    /// which the merged timeline shows, what no agent's own stretch explains.
    pub(crate) fn saturations(&self, together: &[Saturation]) -> Vec<Saturation> {
        let mut own: Vec<(&AgentId, &Saturation)> = Vec::new();
        for (id, agent) in &self.rows {
            own.extend(agent.saturations.iter().map(|stretch| (id, stretch)));
        }
        own.sort_by_key(|(id, s)| (s.cause, s.start_us, s.end_us, *id));
        let mut found: Vec<Joint> = Vec::new();
        for (id, stretch) in own {
            match found.last_mut() {
                Some(last) if last.stretch.meets(stretch) => last.add(id, stretch),
                _ => found.push(Joint::of(id, stretch)),
            }
        }
        let mut found: Vec<Saturation> = found.into_iter().map(Joint::named).collect();
        let explained = |stretch: &&Saturation| !found.iter().any(|own| own.meets(stretch));
        let unexplained: Vec<Saturation> = together.iter().filter(explained).cloned().collect();
        found.extend(unexplained);
        found.sort_by_key(|stretch| (stretch.cause, stretch.start_us));
        found
    }

    /// Says whose processor was full although it kept up.
    pub(crate) fn full_processor_note(&self) -> Option<String> {
        let of = |(id, agent): (&AgentId, &Agent)| {
            let mut causes = agent.saturations.iter().map(|stretch| stretch.cause);
            let behind = causes.any(|cause| cause == SaturationCause::Processor);
            let full = agent.full_intervals >= PROCESSOR_NOTE_INTERVALS as u64 && !behind;
            full.then(|| (agent.full_intervals, agent.intervals, id.name.to_string()))
        };
        let mut full: Vec<_> = self.rows.iter().filter_map(of).collect();
        full.sort_by_key(|(full, ..)| std::cmp::Reverse(*full));
        let others = full.len().saturating_sub(1) as u32;
        let (full, intervals, name) = full.into_iter().next()?;
        let whose = format!("a shard of {}", WorstAgent { name, others });
        Some(processor_note(&whose, full, intervals))
    }

    /// Adds the agents of another run, or of another part of it; associative and commutative.
    pub fn merge(&mut self, other: &Agents) {
        for (id, agent) in &other.rows {
            match self.rows.get_mut(id) {
                Some(ours) => ours.merge(agent),
                None => {
                    self.rows.insert(id.clone(), agent.clone());
                }
            }
        }
        for (reason, n) in &other.unowned {
            *self.unowned.entry(*reason).or_default() += n;
        }
        self.epochs.extend(other.epochs.iter().cloned());
        self.epochs.sort();
        self.events.extend(other.events.iter().cloned());
        self.events.sort();
        self.events_left_out += other.events_left_out;
        self.start_skew = self.start_skew.max(other.start_skew);
    }
}

impl Agent {
    /// Adds what it reports of an interval, and what a watch of it makes of that.
    pub fn append(&mut self, interval: &Snapshot, watch: &mut SaturationWatch) {
        for endpoint in interval.endpoints.values() {
            self.exchanges.merge(endpoint);
        }
        self.iterations.merge(&interval.iterations);
        self.health.append(&interval.health);
        self.intervals += 1;
        let full = crate::saturation::Signs::of(interval).are_full();
        self.full_intervals += u64::from(full);
        if watch.add(interval) {
            (self.saturations, self.saturations_left_out) = watch.found();
        }
    }

    /// Turns every histogram to the form that takes least memory.
    fn pack(&mut self) {
        self.exchanges.pack();
        self.iterations.duration_us.pack();
        self.iterations.lateness_us.pack();
        self.health.loop_lag_us.pack();
    }

    /// Whether it was never the limit.
    pub fn kept_up(&self) -> bool {
        self.saturations.is_empty()
    }

    /// Adds another that went by the same name in the same life.
    fn merge(&mut self, other: &Agent) {
        self.version = std::mem::take(&mut self.version).max(other.version.clone());
        self.capacity = self.capacity.max(other.capacity);
        self.weight = self.weight.max(other.weight);
        self.ending = self.ending.max(other.ending);
        self.clock = self.clock.max(other.clock);
        self.start_late_ns = self.start_late_ns.max(other.start_late_ns);
        self.exchanges.merge(&other.exchanges);
        self.iterations.merge(&other.iterations);
        self.health.merge(&other.health);
        self.saturations = crate::saturation::join(&self.saturations, &other.saturations);
        self.saturations_left_out += other.saturations_left_out;
        self.intervals += other.intervals;
        self.full_intervals += other.full_intervals;
    }
}

impl StartSkew {
    /// Of agents, each with how late it began and how wrong its clock may be, in nanoseconds. None of fewer than two.
    pub fn of(started: &[(u64, u64)]) -> Option<Self> {
        let late = || started.iter().map(|(late_ns, _)| *late_ns);
        let mut errors: Vec<u64> = started.iter().map(|(_, error_ns)| *error_ns).collect();
        errors.sort_unstable_by_key(|error_ns| std::cmp::Reverse(*error_ns));
        let [worst, second, ..] = errors[..] else {
            return None;
        };
        Some(Self {
            skew_ns: late().max()? - late().min()?,
            // Any two of them may be wrong in opposite ways.
            error_ns: worst + second,
        })
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.name, self.life)
    }
}

/// Stretches of several agents that meet.
struct Joint<'a> {
    stretch: Saturation,
    /// Who fared worst, and how badly.
    worst: (&'a AgentId, u64),
    agents: BTreeSet<&'a AgentId>,
}

impl<'a> Joint<'a> {
    fn of(id: &'a AgentId, stretch: &Saturation) -> Self {
        Self {
            stretch: stretch.clone(),
            worst: (id, stretch.worst),
            agents: [id].into(),
        }
    }

    fn add(&mut self, id: &'a AgentId, stretch: &Saturation) {
        self.agents.insert(id);
        let joint = &mut self.stretch;
        joint.end_us = joint.end_us.max(stretch.end_us);
        joint.worst = if joint.cause.is_counted() {
            joint.worst + stretch.worst
        } else {
            joint.worst.max(stretch.worst)
        };
        if stretch.worst > self.worst.1 {
            self.worst = (id, stretch.worst);
        }
    }

    fn named(self) -> Saturation {
        Saturation {
            agent: Some(WorstAgent {
                name: self.worst.0.name.to_string(),
                others: self.agents.len() as u32 - 1,
            }),
            ..self.stretch
        }
    }
}

//! The merged whole of a run with its timeline.

use crate::{
    Agents, Histogram, Recorder, Saturation, Snapshot, Verdict, full_processor_note, saturations,
};

/// What is known of one stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageFacts {
    /// Its name, if the script gives one.
    pub name: Option<String>,
    /// Start, microseconds since the run's start.
    pub start_us: u64,
    /// End.
    pub end_us: u64,
    /// Arrivals planned in it (open load).
    pub planned: Option<u64>,
}

/// What a report says about the run beside its numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFacts {
    /// Identity of the run.
    pub run_id: String,
    /// Script or URL.
    pub title: String,
    /// Where the load went.
    pub target: String,
    /// Version of Drumfire.
    pub version: String,
    /// Wall clock at the run's start, microseconds since 1970.
    pub started_at_us: u64,
    /// Length of the whole run in microseconds.
    pub duration_us: u64,
    /// Planned arrivals or iterations, where the plan knows the number.
    pub planned: Option<u64>,
    /// Stages.
    pub stages: Vec<StageFacts>,
    /// Shards the run had.
    pub shards: u32,
    /// Host, for the report.
    pub host: String,
}

/// One point of the timeline: what was planned beside what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interval {
    /// Arrivals planned in the interval (open load) or users planned at its end (closed load).
    pub planned: f64,
    /// What happened.
    pub snapshot: Snapshot,
}

/// The merged whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// What the run was.
    pub facts: RunFacts,
    /// Everything merged.
    pub total: Snapshot,
    /// The timeline, one second each until it is longer than
    /// [`Summary::TIMELINE_LIMIT`], then neighbours are merged in pairs.
    pub timeline: Vec<Interval>,
    /// The judgement.
    pub verdict: Verdict,
    /// The agents that shared the run; none where one machine ran it.
    pub agents: Option<Agents>,
}

impl RunFacts {
    /// Whether the load was closed (users) and not open (arrivals): stages of
    /// open load know how many arrivals they planned.
    pub fn is_closed(&self) -> bool {
        !self.stages.is_empty() && self.stages.iter().all(|stage| stage.planned.is_none())
    }

    fn merge(&mut self, other: &RunFacts) {
        self.started_at_us = self.started_at_us.min(other.started_at_us);
        self.duration_us = self.duration_us.max(other.duration_us);
        self.planned = self
            .planned
            .zip(other.planned)
            .map(|(ours, theirs)| ours + theirs);
        self.shards += other.shards;
        if !self.host.split(", ").any(|host| host == other.host) {
            self.host = format!("{}, {}", self.host, other.host);
        }
        let spans = |facts: &RunFacts| -> Vec<(u64, u64)> {
            facts
                .stages
                .iter()
                .map(|stage| (stage.start_us, stage.end_us))
                .collect()
        };
        if spans(self) == spans(other) {
            for (ours, theirs) in self.stages.iter_mut().zip(&other.stages) {
                ours.planned = ours.planned.zip(theirs.planned).map(|(a, b)| a + b);
            }
        }
    }
}

impl Interval {
    fn length_us(&self) -> u64 {
        self.snapshot.end_us.saturating_sub(self.snapshot.start_us)
    }

    /// Adds the interval that follows.
    fn append(&mut self, next: &Interval, closed: bool) {
        self.planned = if closed {
            next.planned
        } else {
            self.planned + next.planned
        };
        self.snapshot.append(&next.snapshot);
    }

    /// Adds what another part of the load did at the same time.
    fn merge(&mut self, beside: &Interval) {
        self.planned += beside.planned;
        self.snapshot.merge(&beside.snapshot);
    }
}

impl Summary {
    /// Most intervals a timeline holds.
    pub const TIMELINE_LIMIT: usize = 7200;
    /// Most memory a timeline holds, in bytes; looked at every 64 intervals.
    pub const TIMELINE_LIMIT_BYTES: usize = 256 << 20;

    /// Adds a finished interval of the whole run. Intervals come in the order
    /// of time, once they have been merged over all shards.
    pub fn push(&mut self, mut interval: Interval) {
        self.total.append(&interval.snapshot);
        let resolution_us = resolution_us(&self.timeline);
        let closed = self.facts.is_closed();
        match self.timeline.last_mut() {
            Some(last) if last.length_us() + interval.length_us() <= resolution_us => {
                last.append(&interval, closed);
                last.snapshot.pack();
            }
            _ => {
                interval.snapshot.pack();
                self.timeline.push(interval);
                self.bound_timeline();
            }
        }
    }

    /// Adds another summary of the same run, or of one that ran beside it: totals merge,
    /// timelines merge by their instants. Levels (users, sockets, memory) of the
    /// total become the sum of both peaks, an upper bound.
    pub fn merge(&mut self, other: &Summary) {
        if *self == Summary::default() {
            *self = other.clone();
            return;
        }
        self.total.merge(&other.total);
        self.merge_timeline(other);
        self.facts.merge(&other.facts);
        self.verdict.merge(&other.verdict);
        if let Some(agents) = &other.agents {
            self.agents.get_or_insert_default().merge(agents);
        }
    }

    /// Every stretch in which the generator was the limit. Of a run that agents shared each is judged by itself, since the
    /// merged lateness of a hundred hides the one that is late, and named.
    pub fn saturations(&self) -> Vec<Saturation> {
        let together = saturations(&self.timeline);
        match &self.agents {
            Some(agents) => agents.saturations(&together),
            None => together,
        }
    }

    /// Says where a processor was full although the generator kept up.
    pub fn full_processor_note(&self) -> Option<String> {
        match &self.agents {
            Some(agents) => agents.full_processor_note(),
            None => full_processor_note(&self.timeline),
        }
    }

    /// Says which sums that must hold in a finished run do not: planned is started plus
    /// dropped, and started is completed plus failed plus interrupted.
    pub fn check_invariants(&self) -> Vec<String> {
        let iterations = &self.total.iterations;
        let (started, dropped) = (iterations.started, iterations.dropped_total());
        let (completed, failed) = (iterations.completed, iterations.failed);
        let interrupted = iterations.interrupted;
        let mut broken = Vec::new();
        if let Some(planned) = self
            .facts
            .planned
            .filter(|planned| *planned != started + dropped)
        {
            broken.push(format!(
                "planned {planned} is not started {started} + dropped {dropped}"
            ));
        }
        if started != completed + failed + interrupted {
            broken.push(format!(
                "started {started} is not completed {completed} + failed {failed} + interrupted {interrupted}"
            ));
        }
        broken
    }

    /// Says which limits of the recorder the run met.
    pub fn limits_hit(&self) -> Vec<String> {
        let total = &self.total;
        let other = Recorder::OTHER;
        let mut codes = total.endpoints.values().map(|endpoint| &endpoint.errors);
        let saturated = total.values_above_limit();
        [
            (
                total.endpoints.contains_key(other),
                "endpoints",
                Recorder::ENDPOINT_LIMIT,
            ),
            (
                total.counters.contains_key(other),
                "counters",
                Recorder::METRIC_LIMIT,
            ),
            (
                total.rates.contains_key(other),
                "rates",
                Recorder::METRIC_LIMIT,
            ),
            (
                total.histograms.contains_key(other),
                "histograms",
                Recorder::METRIC_LIMIT,
            ),
            (
                total.errors.contains_key(other) || codes.any(|codes| codes.contains_key(other)),
                "error codes",
                Recorder::ERROR_CODE_LIMIT,
            ),
        ]
        .into_iter()
        .filter(|(hit, ..)| *hit)
        .map(|(_, what, limit)| format!("{what} past the limit of {limit} are counted as {other}"))
        .chain((saturated > 0).then(|| {
            format!(
                "{saturated} values above {} are counted as that",
                Histogram::MAX_VALUE
            )
        }))
        .collect()
    }

    /// Merges neighbours in pairs until the timeline is within both limits.
    fn bound_timeline(&mut self) {
        let closed = self.facts.is_closed();
        while self.timeline.len() > 1 && self.timeline_is_too_large() {
            let pairs = std::mem::take(&mut self.timeline);
            let mut intervals = pairs.into_iter();
            while let Some(mut first) = intervals.next() {
                if let Some(second) = intervals.next() {
                    first.append(&second, closed);
                    first.snapshot.pack();
                }
                self.timeline.push(first);
            }
        }
    }

    fn merge_timeline(&mut self, other: &Summary) {
        let theirs = &other.timeline;
        let width_us = resolution_us(&self.timeline).max(resolution_us(theirs));
        let ours = std::mem::take(&mut self.timeline);
        self.timeline = coarsened(&ours, width_us, self.facts.is_closed());
        for interval in coarsened(theirs, width_us, other.facts.is_closed()) {
            let middle_us = interval.snapshot.start_us + interval.length_us() / 2;
            let next = self
                .timeline
                .partition_point(|at| at.snapshot.start_us <= middle_us);
            match self.timeline[..next].last_mut() {
                Some(at) if at.snapshot.end_us > middle_us => at.merge(&interval),
                _ => self.timeline.insert(next, interval),
            }
        }
        self.timeline.iter_mut().for_each(|at| at.snapshot.pack());
        self.bound_timeline();
    }

    fn timeline_is_too_large(&self) -> bool {
        let bytes = || {
            self.timeline
                .iter()
                .map(|at| at.snapshot.memory_bytes())
                .sum::<usize>()
        };
        self.timeline.len() > Self::TIMELINE_LIMIT
            || (self.timeline.len().is_multiple_of(64) && bytes() > Self::TIMELINE_LIMIT_BYTES)
    }
}

/// The width of a timeline's intervals. The last may be shorter than the others, and a
/// first that was held up longer, so it is the shorter one of the first two.
fn resolution_us(timeline: &[Interval]) -> u64 {
    timeline
        .iter()
        .take(2)
        .map(Interval::length_us)
        .min()
        .unwrap_or(0)
}

/// The same timeline in intervals of `width_us`, where that is more than they have.
fn coarsened(timeline: &[Interval], width_us: u64, closed: bool) -> Vec<Interval> {
    let mut coarse: Vec<Interval> = Vec::new();
    for interval in timeline {
        match coarse.last_mut() {
            Some(last) if last.length_us() + interval.length_us() <= width_us => {
                last.append(interval, closed);
            }
            _ => coarse.push(interval.clone()),
        }
    }
    coarse
}

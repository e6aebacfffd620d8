//! The merged whole of a run with its timeline.

use crate::{Snapshot, Verdict};

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
}

impl Summary {
    /// Most intervals a timeline holds.
    pub const TIMELINE_LIMIT: usize = 7200;

    /// Adds a finished interval of the whole run.
    pub fn push(&mut self, mut interval: Interval) {
        self.total.append(&interval.snapshot);
        interval.snapshot.pack();
        self.timeline.push(interval);
    }
    /// Adds another summary of the same run, or of one that ran beside it: totals merge,
    /// timelines merge by their instants.
    pub fn merge(&mut self, other: &Summary) {
        todo!("{other:?}")
    }
}

//! Samples to histograms to merge to summary to verdict, without clock or
//! input and output. Every number a report shows comes from here, and every
//! percentile comes from [`Histogram`].

// A sample is recorded,
mod sample;

mod interner;
mod recorder;

// counted in histograms,
mod histogram;

mod bucket;
mod encoding;

// handed over as a snapshot, merged into a summary,
mod snapshot;

mod summary;

// named, shown and judged.
mod names;

mod heat_map;

mod threshold;

mod saturation;
mod saturation_watch;
mod verdict;

// Agents that share a run stand beside its whole.
mod agents;

pub use agents::{
    Agent, AgentClock, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, EpochFacts,
    EpochShare, StartSkew,
};
pub use encoding::DecodeError;
pub use heat_map::{HeatMap, Reading};
pub use histogram::Histogram;
pub use names::{NameOptions, NamedMetrics};
pub use recorder::{CounterId, EndpointId, HistogramId, RateId, Recorder};
pub use sample::{ErrorCode, Outcome, Phases, Sample};
pub use saturation::{
    BEHIND_LEAST, BEHIND_US, GRAVE_US, PROCESSOR_FULL, PROCESSOR_NOTE_INTERVALS, Saturation,
    SaturationCause, WorstAgent, full_processor_note, saturations,
};
pub use saturation_watch::SaturationWatch;
pub use snapshot::{DropReason, EndpointStats, GeneratorHealth, IterationStats, Snapshot, Unit};
pub use summary::{Interval, RunFacts, StageFacts, Summary};
pub use threshold::{Abort, ThresholdOutcome};
pub use verdict::Verdict;

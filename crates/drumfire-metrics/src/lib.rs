//! Samples to histograms to merge to summary to verdict, without clock or
//! input and output. Every number a report shows comes from here, and every
//! percentile comes from [`Histogram`].

mod bucket;
mod encoding;
mod histogram;
mod interner;
mod names;
mod recorder;
mod sample;
mod snapshot;
mod summary;
mod verdict;

pub use encoding::DecodeError;
pub use histogram::Histogram;
pub use names::{NameOptions, NamedMetrics};
pub use recorder::{CounterId, EndpointId, HistogramId, RateId, Recorder};
pub use sample::{ErrorCode, Outcome, Phases, Sample};
pub use snapshot::{DropReason, EndpointStats, GeneratorHealth, IterationStats, Snapshot, Unit};
pub use summary::{Interval, RunFacts, StageFacts, Summary};
pub use verdict::{Saturation, SaturationCause, ThresholdOutcome, Verdict};

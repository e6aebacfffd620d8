//! The recorder of one shard: names are interned once, the hot path touches
//! integers only.

use crate::{DropReason, Sample, Snapshot, Unit};

/// An interned endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(pub(crate) u32);
/// An interned counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CounterId(pub(crate) u32);
/// An interned rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateId(pub(crate) u32);
/// An interned histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HistogramId(pub(crate) u32);

/// Counts and times of one shard and one interval.
#[derive(Debug, Default)]
pub struct Recorder {}

impl Recorder {
    /// An empty recorder.
    pub fn new() -> Self {
        Self::default()
    }
    /// Interns an endpoint by its display name. Past the limit on endpoints
    /// all further names share one endpoint called `(other)`.
    pub fn endpoint(&mut self, name: &str) -> EndpointId {
        todo!("{name}")
    }
    /// Interns a counter.
    pub fn counter(&mut self, name: &str) -> CounterId {
        todo!("{name}")
    }
    /// Interns a rate (events per second).
    pub fn rate(&mut self, name: &str) -> RateId {
        todo!("{name}")
    }
    /// Interns a histogram of `unit`.
    pub fn histogram(&mut self, name: &str, unit: Unit) -> HistogramId {
        todo!("{name} {unit:?}")
    }
    /// Counts that a request was begun at `endpoint` (before its outcome is known).
    pub fn request(&mut self, endpoint: EndpointId) {
        todo!("{endpoint:?}")
    }
    /// Records how a request ended.
    pub fn sample(&mut self, endpoint: EndpointId, sample: &Sample) {
        todo!("{endpoint:?} {sample:?}")
    }
    /// Adds to a counter.
    pub fn add(&mut self, counter: CounterId, n: u64) {
        todo!("{counter:?} {n}")
    }
    /// Counts one event of a rate.
    pub fn tick(&mut self, rate: RateId) {
        todo!("{rate:?}")
    }
    /// Records a value: nanoseconds for [`Unit::Duration`], the plain number otherwise.
    pub fn observe(&mut self, histogram: HistogramId, value: u64) {
        todo!("{histogram:?} {value}")
    }
    /// Counts an error that is not an exchange's (a failed capture, say) under `errors.<code>`.
    pub fn error(&mut self, code: &str) {
        todo!("{code}")
    }
    /// An iteration began, `late_ns` after its intended start.
    pub fn iteration_started(&mut self, late_ns: u64) {
        todo!("{late_ns}")
    }
    /// An iteration ended well after `duration_ns`.
    pub fn iteration_completed(&mut self, duration_ns: u64) {
        todo!("{duration_ns}")
    }
    /// An iteration failed.
    pub fn iteration_failed(&mut self) {
        todo!()
    }
    /// An iteration was cut off by the end of the run.
    pub fn iteration_interrupted(&mut self) {
        todo!()
    }
    /// `n` planned iterations were not started.
    pub fn iterations_dropped(&mut self, reason: DropReason, n: u64) {
        todo!("{reason:?} {n}")
    }
    /// Takes everything since the last call as a snapshot of
    /// `[start_us, end_us)`, microseconds since the run's start; interned ids
    /// stay valid.
    pub fn take(&mut self, start_us: u64, end_us: u64) -> Snapshot {
        todo!("{start_us} {end_us}")
    }
}

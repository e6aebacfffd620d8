//! The structs of the result file and the conversions from and to the types of
//! drumfire-metrics, which themselves know nothing of files.

use super::agents::Agents;
use super::histogram::Histogram;
use drumfire_metrics as metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file below `drumfire`.
#[derive(Serialize, Deserialize)]
pub(super) struct Result {
    version: u32,
    facts: Facts,
    verdict: Verdict,
    total: Snapshot,
    timeline: Vec<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agents: Option<Agents>,
}

impl From<&metrics::Summary> for Result {
    fn from(summary: &metrics::Summary) -> Self {
        Self {
            version: super::VERSION,
            facts: (&summary.facts).into(),
            verdict: (&summary.verdict).into(),
            total: (&summary.total).into(),
            timeline: summary.timeline.iter().map(Interval::from).collect(),
            agents: summary.agents.as_ref().map(Agents::from),
        }
    }
}

impl From<Result> for metrics::Summary {
    fn from(file: Result) -> Self {
        Self {
            facts: file.facts.into(),
            verdict: file.verdict.into(),
            total: file.total.into(),
            timeline: file.timeline.into_iter().map(Into::into).collect(),
            agents: file.agents.map(Into::into),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Facts {
    run_id: String,
    title: String,
    target: String,
    /// Of the Drumfire that made the run.
    made_by: String,
    host: String,
    shards: u32,
    started_at_us: u64,
    duration_us: u64,
    planned: Option<u64>,
    stages: Vec<Stage>,
}

impl From<&metrics::RunFacts> for Facts {
    fn from(facts: &metrics::RunFacts) -> Self {
        Self {
            run_id: facts.run_id.clone(),
            title: facts.title.clone(),
            target: facts.target.clone(),
            made_by: facts.version.clone(),
            host: facts.host.clone(),
            shards: facts.shards,
            started_at_us: facts.started_at_us,
            duration_us: facts.duration_us,
            planned: facts.planned,
            stages: facts.stages.iter().map(Stage::from).collect(),
        }
    }
}

impl From<Facts> for metrics::RunFacts {
    fn from(facts: Facts) -> Self {
        Self {
            run_id: facts.run_id,
            title: facts.title,
            target: facts.target,
            version: facts.made_by,
            host: facts.host,
            shards: facts.shards,
            started_at_us: facts.started_at_us,
            duration_us: facts.duration_us,
            planned: facts.planned,
            stages: facts.stages.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stage {
    name: Option<String>,
    start_us: u64,
    end_us: u64,
    planned: Option<u64>,
}

impl From<&metrics::StageFacts> for Stage {
    fn from(stage: &metrics::StageFacts) -> Self {
        Self {
            name: stage.name.clone(),
            start_us: stage.start_us,
            end_us: stage.end_us,
            planned: stage.planned,
        }
    }
}

impl From<Stage> for metrics::StageFacts {
    fn from(stage: Stage) -> Self {
        Self {
            name: stage.name,
            start_us: stage.start_us,
            end_us: stage.end_us,
            planned: stage.planned,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Interval {
    planned: f64,
    snapshot: Snapshot,
}

impl From<&metrics::Interval> for Interval {
    fn from(interval: &metrics::Interval) -> Self {
        Self {
            planned: interval.planned,
            snapshot: (&interval.snapshot).into(),
        }
    }
}

impl From<Interval> for metrics::Interval {
    fn from(interval: Interval) -> Self {
        Self {
            planned: interval.planned,
            snapshot: interval.snapshot.into(),
        }
    }
}

type Counts = BTreeMap<String, u64>;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    start_us: u64,
    end_us: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    endpoints: BTreeMap<String, Endpoint>,
    iterations: Iterations,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    errors: Counts,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    counters: Counts,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rates: Counts,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    histograms: BTreeMap<String, Custom>,
    health: Health,
}

impl From<&metrics::Snapshot> for Snapshot {
    fn from(snapshot: &metrics::Snapshot) -> Self {
        Self {
            start_us: snapshot.start_us,
            end_us: snapshot.end_us,
            endpoints: map_values(&snapshot.endpoints, Endpoint::from),
            iterations: (&snapshot.iterations).into(),
            errors: snapshot.errors.clone(),
            counters: snapshot.counters.clone(),
            rates: snapshot.rates.clone(),
            histograms: map_values(&snapshot.histograms, Custom::from),
            health: (&snapshot.health).into(),
        }
    }
}

impl From<Snapshot> for metrics::Snapshot {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            start_us: snapshot.start_us,
            end_us: snapshot.end_us,
            endpoints: map_into(snapshot.endpoints),
            iterations: snapshot.iterations.into(),
            errors: snapshot.errors,
            counters: snapshot.counters,
            rates: snapshot.rates,
            histograms: map_into(snapshot.histograms),
            health: snapshot.health.into(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Endpoint {
    requests: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    codes: BTreeMap<u16, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    errors: Counts,
    body_bytes: u64,
    sent_bytes: u64,
    connections: u64,
    /// Keys `1xx` to `5xx`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    first_byte_us: BTreeMap<String, Histogram>,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    service_us: Histogram,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    intended_us: Histogram,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    dns_us: Histogram,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    connect_us: Histogram,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    tls_us: Histogram,
}

impl From<&metrics::EndpointStats> for Endpoint {
    fn from(stats: &metrics::EndpointStats) -> Self {
        let classes = stats.first_byte_us.iter().enumerate();
        Self {
            requests: stats.requests,
            codes: stats.codes.clone(),
            errors: stats.errors.clone(),
            body_bytes: stats.body_bytes,
            sent_bytes: stats.sent_bytes,
            connections: stats.connections,
            first_byte_us: classes
                .filter(|(_, histogram)| histogram.count() > 0)
                .map(|(class, histogram)| (class_key(class), histogram.into()))
                .collect(),
            service_us: (&stats.service_us).into(),
            intended_us: (&stats.intended_us).into(),
            dns_us: (&stats.dns_us).into(),
            connect_us: (&stats.connect_us).into(),
            tls_us: (&stats.tls_us).into(),
        }
    }
}

impl From<Endpoint> for metrics::EndpointStats {
    fn from(mut stats: Endpoint) -> Self {
        let mut first_byte_us: [metrics::Histogram; 6] = Default::default();
        for (class, histogram) in first_byte_us.iter_mut().enumerate() {
            if let Some(found) = stats.first_byte_us.remove(&class_key(class)) {
                *histogram = found.into();
            }
        }
        Self {
            requests: stats.requests,
            codes: stats.codes,
            errors: stats.errors,
            body_bytes: stats.body_bytes,
            sent_bytes: stats.sent_bytes,
            connections: stats.connections,
            first_byte_us,
            service_us: stats.service_us.into(),
            intended_us: stats.intended_us.into(),
            dns_us: stats.dns_us.into(),
            connect_us: stats.connect_us.into(),
            tls_us: stats.tls_us.into(),
        }
    }
}

fn class_key(class: usize) -> String {
    format!("{class}xx")
}

#[derive(Serialize, Deserialize)]
pub(super) struct Iterations {
    started: u64,
    completed: u64,
    failed: u64,
    interrupted: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dropped: BTreeMap<DropReason, u64>,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    duration_us: Histogram,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    lateness_us: Histogram,
}

impl From<&metrics::IterationStats> for Iterations {
    fn from(stats: &metrics::IterationStats) -> Self {
        let dropped = stats.dropped.iter();
        Self {
            started: stats.started,
            completed: stats.completed,
            failed: stats.failed,
            interrupted: stats.interrupted,
            dropped: dropped.map(|(reason, n)| ((*reason).into(), *n)).collect(),
            duration_us: (&stats.duration_us).into(),
            lateness_us: (&stats.lateness_us).into(),
        }
    }
}

impl From<Iterations> for metrics::IterationStats {
    fn from(stats: Iterations) -> Self {
        let dropped = stats.dropped.into_iter();
        Self {
            started: stats.started,
            completed: stats.completed,
            failed: stats.failed,
            interrupted: stats.interrupted,
            dropped: dropped.map(|(reason, n)| (reason.into(), n)).collect(),
            duration_us: stats.duration_us.into(),
            lateness_us: stats.lateness_us.into(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Health {
    cpu_us: u64,
    cpu_available_us: u64,
    busiest_shard: f64,
    memory_bytes: u64,
    sockets: u64,
    users: u64,
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    loop_lag_us: Histogram,
    descriptors_exhausted: u64,
    ports_exhausted: u64,
}

impl From<&metrics::GeneratorHealth> for Health {
    fn from(health: &metrics::GeneratorHealth) -> Self {
        Self {
            cpu_us: health.cpu_us,
            cpu_available_us: health.cpu_available_us,
            busiest_shard: health.busiest_shard,
            memory_bytes: health.memory_bytes,
            sockets: health.sockets,
            users: health.users,
            loop_lag_us: (&health.loop_lag_us).into(),
            descriptors_exhausted: health.descriptors_exhausted,
            ports_exhausted: health.ports_exhausted,
        }
    }
}

impl From<Health> for metrics::GeneratorHealth {
    fn from(health: Health) -> Self {
        Self {
            cpu_us: health.cpu_us,
            cpu_available_us: health.cpu_available_us,
            busiest_shard: health.busiest_shard,
            memory_bytes: health.memory_bytes,
            sockets: health.sockets,
            users: health.users,
            loop_lag_us: health.loop_lag_us.into(),
            descriptors_exhausted: health.descriptors_exhausted,
            ports_exhausted: health.ports_exhausted,
        }
    }
}

/// A histogram that a script made.
#[derive(Serialize, Deserialize)]
struct Custom {
    unit: Unit,
    values: Histogram,
}

impl From<&(metrics::Unit, metrics::Histogram)> for Custom {
    fn from((unit, histogram): &(metrics::Unit, metrics::Histogram)) -> Self {
        Self {
            unit: (*unit).into(),
            values: histogram.into(),
        }
    }
}

impl From<Custom> for (metrics::Unit, metrics::Histogram) {
    fn from(custom: Custom) -> Self {
        (custom.unit.into(), custom.values.into())
    }
}

#[derive(Serialize, Deserialize)]
struct Verdict {
    thresholds: Vec<Threshold>,
    saturations: Vec<Saturation>,
    notes: Vec<String>,
}

impl From<&metrics::Verdict> for Verdict {
    fn from(verdict: &metrics::Verdict) -> Self {
        Self {
            thresholds: verdict.thresholds.iter().map(Threshold::from).collect(),
            saturations: verdict.saturations.iter().map(Saturation::from).collect(),
            notes: verdict.notes.clone(),
        }
    }
}

impl From<Verdict> for metrics::Verdict {
    fn from(verdict: Verdict) -> Self {
        Self {
            thresholds: verdict.thresholds.into_iter().map(Into::into).collect(),
            saturations: verdict.saturations.into_iter().map(Into::into).collect(),
            notes: verdict.notes,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Threshold {
    text: String,
    passed: bool,
    strict: bool,
    value: Option<f64>,
    aborted_at_us: Option<u64>,
}

impl From<&metrics::ThresholdOutcome> for Threshold {
    fn from(outcome: &metrics::ThresholdOutcome) -> Self {
        Self {
            text: outcome.text.clone(),
            passed: outcome.passed,
            strict: outcome.strict,
            value: outcome.value,
            aborted_at_us: outcome.aborted_at_us,
        }
    }
}

impl From<Threshold> for metrics::ThresholdOutcome {
    fn from(threshold: Threshold) -> Self {
        Self {
            text: threshold.text,
            passed: threshold.passed,
            strict: threshold.strict,
            value: threshold.value,
            aborted_at_us: threshold.aborted_at_us,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Saturation {
    cause: Cause,
    start_us: u64,
    end_us: u64,
    worst: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<WorstAgent>,
}

#[derive(Serialize, Deserialize)]
struct WorstAgent {
    name: String,
    others: u32,
}

impl From<&metrics::Saturation> for Saturation {
    fn from(stretch: &metrics::Saturation) -> Self {
        Self {
            cause: stretch.cause.into(),
            start_us: stretch.start_us,
            end_us: stretch.end_us,
            worst: stretch.worst,
            agent: stretch.agent.as_ref().map(|agent| WorstAgent {
                name: agent.name.clone(),
                others: agent.others,
            }),
        }
    }
}

impl From<Saturation> for metrics::Saturation {
    fn from(stretch: Saturation) -> Self {
        Self {
            cause: stretch.cause.into(),
            start_us: stretch.start_us,
            end_us: stretch.end_us,
            worst: stretch.worst,
            agent: stretch.agent.map(|agent| metrics::WorstAgent {
                name: agent.name,
                others: agent.others,
            }),
        }
    }
}

/// An enum of the file beside its twin in drumfire-metrics.
macro_rules! twin {
    ($ours:ident, $theirs:ty, $($variant:ident),+) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $ours { $($variant),+ }

        impl From<$theirs> for $ours {
            fn from(theirs: $theirs) -> Self {
                match theirs { $(<$theirs>::$variant => Self::$variant),+ }
            }
        }

        impl From<$ours> for $theirs {
            fn from(ours: $ours) -> Self {
                match ours { $($ours::$variant => Self::$variant),+ }
            }
        }
    };
}

pub(super) use twin;

twin!(
    DropReason,
    metrics::DropReason,
    UserCap,
    Generator,
    Stopped,
    AgentLost
);
twin!(Unit, metrics::Unit, Duration, Number);
twin!(
    Cause,
    metrics::SaturationCause,
    Late,
    LoopLag,
    Processor,
    Descriptors,
    Ports,
    Users
);

fn map_values<'a, T: 'a, U>(
    map: &'a BTreeMap<String, T>,
    convert: impl Fn(&'a T) -> U,
) -> BTreeMap<String, U> {
    map.iter()
        .map(|(key, value)| (key.clone(), convert(value)))
        .collect()
}

fn map_into<T: Into<U>, U>(map: BTreeMap<String, T>) -> BTreeMap<String, U> {
    let entries = map.into_iter();
    entries.map(|(key, value)| (key, value.into())).collect()
}

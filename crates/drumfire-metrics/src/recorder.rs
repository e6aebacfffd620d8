//! The recorder of one shard: names are interned once, the hot path touches
//! integers only.

use crate::interner::Interner;
use crate::{
    DropReason, EndpointStats, ErrorCode, Histogram, IterationStats, Outcome, Phases, Sample,
    Snapshot, Unit,
};
use std::collections::BTreeMap;

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
///
/// Durations come in nanoseconds and are kept in microseconds, rounded half
/// up: 499 ns is 0 µs, 500 ns is 1 µs.
#[derive(Debug, Default)]
pub struct Recorder {
    endpoint_names: Interner,
    endpoints: Vec<EndpointTally>,
    counter_names: Interner,
    counters: Vec<Tally>,
    rate_names: Interner,
    rates: Vec<Tally>,
    histogram_names: Interner,
    histograms: Vec<(Unit, Histogram)>,
    error_codes: Interner,
    errors: Vec<Tally>,
    iterations: IterationStats,
}

/// A count, and whether anything was added to it in this interval (adding zero counts too,
/// so that a counter can be shown as zero).
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    n: u64,
    touched: bool,
}

/// What [`EndpointStats`] holds, indexed instead of mapped.
#[derive(Debug, Default)]
struct EndpointTally {
    touched: bool,
    /// Ascending by status code; kept across intervals, as the same codes come again.
    codes: Vec<(u16, u64)>,
    /// Where in `codes` the last answer was counted.
    last_code: usize,
    /// By interned error code.
    errors: Vec<(u32, u64)>,
    /// Everything but the codes and errors.
    stats: EndpointStats,
}

impl Recorder {
    /// Most endpoints; further ones are recorded as `(other)`.
    pub const ENDPOINT_LIMIT: usize = 2_000;
    /// Most counters, rates and histograms, each; further ones are recorded as `(other)`.
    pub const METRIC_LIMIT: usize = 2_000;
    /// Most error codes; further ones are recorded as `(other)`.
    pub const ERROR_CODE_LIMIT: usize = 200;
    /// Longest name in characters; what is longer is cut.
    pub const NAME_LIMIT_CHARS: usize = 1_024;
    /// Name that everything past a limit is recorded under.
    pub const OTHER: &'static str = "(other)";
    /// Name of the endpoint that stands for all unlisted ones.
    pub const UNLISTED: &'static str = "(unlisted)";

    /// An empty recorder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Interns an endpoint by its display name. Past the limit on endpoints
    /// all further names share one endpoint called `(other)`.
    pub fn endpoint(&mut self, name: &str) -> EndpointId {
        let id = self.endpoint_names.intern(name, Self::ENDPOINT_LIMIT);
        grow(&mut self.endpoints, id);
        EndpointId(id)
    }

    /// The endpoint for requests that count in the totals and are not listed
    /// by endpoint (Artillery's `ignoreUnnamedRequests`).
    pub fn unlisted_endpoint(&mut self) -> EndpointId {
        let id = self.endpoint_names.intern(Self::UNLISTED, usize::MAX);
        grow(&mut self.endpoints, id);
        EndpointId(id)
    }

    /// Interns a counter.
    pub fn counter(&mut self, name: &str) -> CounterId {
        let id = self.counter_names.intern(name, Self::METRIC_LIMIT);
        grow(&mut self.counters, id);
        CounterId(id)
    }

    /// Interns a rate (events per second).
    pub fn rate(&mut self, name: &str) -> RateId {
        let id = self.rate_names.intern(name, Self::METRIC_LIMIT);
        grow(&mut self.rates, id);
        RateId(id)
    }

    /// Interns a histogram of `unit`. A name keeps the unit that it was first
    /// given.
    pub fn histogram(&mut self, name: &str, unit: Unit) -> HistogramId {
        let id = self.histogram_names.intern(name, Self::METRIC_LIMIT);
        if id as usize == self.histograms.len() {
            self.histograms.push((unit, Histogram::new()));
        }
        HistogramId(id)
    }

    /// Counts that a request was begun at `endpoint` (before its outcome is known).
    #[inline]
    pub fn request(&mut self, endpoint: EndpointId) {
        let tally = &mut self.endpoints[endpoint.0 as usize];
        tally.touched = true;
        tally.stats.requests += 1;
    }

    /// Records how a request ended. An answer whose head came counts as a
    /// response with its status code and times; service time and latency from the intended
    /// start are those of complete answers.
    #[inline]
    pub fn sample(&mut self, endpoint: EndpointId, sample: &Sample) {
        let tally = &mut self.endpoints[endpoint.0 as usize];
        tally.touched = true;
        tally.stats.connections += u64::from(sample.connected);
        tally.stats.body_bytes += sample.body_bytes;
        tally.stats.sent_bytes += sample.sent_bytes;
        match &sample.outcome {
            Outcome::Status(status) => {
                tally.answered(*status, &sample.phases);
                tally.stats.service_us.record(to_us(sample.service_ns()));
                tally
                    .stats
                    .intended_us
                    .record(to_us(sample.intended_latency_ns()));
            }
            Outcome::Broken(status, code) => {
                tally.answered(*status, &sample.phases);
                self.exchange_failed(endpoint, code);
            }
            Outcome::Error(code) => self.exchange_failed(endpoint, code),
        }
    }

    /// Counts a request that came to nothing before an exchange could begin, or after its
    /// answers were recorded: `errors.<code>`, and by endpoint.
    pub fn refused(&mut self, endpoint: EndpointId, code: &ErrorCode) {
        self.endpoints[endpoint.0 as usize].touched = true;
        self.exchange_failed(endpoint, code);
    }

    /// The display name of an endpoint.
    pub fn endpoint_name(&self, endpoint: EndpointId) -> &str {
        self.endpoint_names.name(endpoint.0 as usize)
    }

    /// Adds to a counter; adding zero makes it appear.
    #[inline]
    pub fn add(&mut self, counter: CounterId, n: u64) {
        self.counters[counter.0 as usize].add(n);
    }

    /// Counts one event of a rate.
    #[inline]
    pub fn tick(&mut self, rate: RateId) {
        self.rates[rate.0 as usize].add(1);
    }

    /// Records a value: nanoseconds for [`Unit::Duration`], the plain number otherwise.
    #[inline]
    pub fn observe(&mut self, histogram: HistogramId, value: u64) {
        let (unit, histogram) = &mut self.histograms[histogram.0 as usize];
        histogram.record(match unit {
            Unit::Duration => to_us(value),
            Unit::Number => value,
        });
    }

    /// Counts an error that is not an exchange's (a failed capture, say) under `errors.<code>`.
    pub fn error(&mut self, code: &str) {
        let id = self.error_codes.intern(code, Self::ERROR_CODE_LIMIT);
        grow(&mut self.errors, id);
        self.errors[id as usize].add(1);
    }

    /// An iteration began, `late_ns` after its intended start.
    #[inline]
    pub fn iteration_started(&mut self, late_ns: u64) {
        self.iterations.started += 1;
        self.iterations.lateness_us.record(to_us(late_ns));
    }

    /// An iteration ended well after `duration_ns`.
    #[inline]
    pub fn iteration_completed(&mut self, duration_ns: u64) {
        self.iterations.completed += 1;
        self.iterations.duration_us.record(to_us(duration_ns));
    }

    /// An iteration failed.
    pub fn iteration_failed(&mut self) {
        self.iterations.failed += 1;
    }

    /// An iteration was cut off by the end of the run.
    pub fn iteration_interrupted(&mut self) {
        self.iterations.interrupted += 1;
    }

    /// `n` planned iterations were not started.
    pub fn iterations_dropped(&mut self, reason: DropReason, n: u64) {
        if n > 0 {
            *self.iterations.dropped.entry(reason).or_insert(0) += n;
        }
    }

    /// Takes everything since the last call as a snapshot of
    /// `[start_us, end_us)`, microseconds since the run's start; interned ids
    /// stay valid.
    pub fn take(&mut self, start_us: u64, end_us: u64) -> Snapshot {
        Snapshot {
            start_us,
            end_us,
            endpoints: self.take_endpoints(),
            iterations: std::mem::take(&mut self.iterations),
            errors: take_tallies(&self.error_codes, &mut self.errors),
            counters: take_tallies(&self.counter_names, &mut self.counters),
            rates: take_tallies(&self.rate_names, &mut self.rates),
            histograms: self.take_histograms(),
            ..Snapshot::default()
        }
    }

    #[cold]
    fn exchange_failed(&mut self, endpoint: EndpointId, code: &ErrorCode) {
        let id = self.error_codes.intern(code, Self::ERROR_CODE_LIMIT);
        let errors = &mut self.endpoints[endpoint.0 as usize].errors;
        match errors.iter_mut().find(|(known, _)| *known == id) {
            Some((_, n)) => *n += 1,
            None => errors.push((id, 1)),
        }
    }

    fn take_endpoints(&mut self) -> BTreeMap<String, EndpointStats> {
        let codes = &self.error_codes;
        self.endpoints
            .iter_mut()
            .enumerate()
            .filter(|(_, tally)| tally.touched)
            .map(|(id, tally)| (self.endpoint_names.name(id).to_owned(), tally.take(codes)))
            .collect()
    }

    fn take_histograms(&mut self) -> BTreeMap<String, (Unit, Histogram)> {
        self.histograms
            .iter_mut()
            .enumerate()
            .filter(|(_, (_, histogram))| !histogram.is_empty())
            .map(|(id, (unit, histogram))| {
                let name = self.histogram_names.name(id).to_owned();
                (name, (*unit, std::mem::take(histogram)))
            })
            .collect()
    }
}

impl EndpointTally {
    #[inline]
    fn answered(&mut self, status: u16, phases: &Phases) {
        self.count_code(status);
        self.stats.first_byte_us[class_of(status)].record(to_us(phases.first_byte_ns));
        // A reused connection, the common case, has none of these.
        if phases.dns_ns | phases.connect_ns | phases.tls_ns != 0 {
            self.opened(phases);
        }
    }

    #[inline]
    fn count_code(&mut self, status: u16) {
        match self.codes.get_mut(self.last_code) {
            Some((code, n)) if *code == status => *n += 1,
            _ => self.count_other_code(status),
        }
    }

    fn count_other_code(&mut self, status: u16) {
        let found = self.codes.binary_search_by_key(&status, |(code, _)| *code);
        let at = found.unwrap_or_else(|at| {
            self.codes.insert(at, (status, 0));
            at
        });
        self.codes[at].1 += 1;
        self.last_code = at;
    }

    fn opened(&mut self, phases: &Phases) {
        for (histogram, ns) in [
            (&mut self.stats.dns_us, phases.dns_ns),
            (&mut self.stats.connect_us, phases.connect_ns),
            (&mut self.stats.tls_us, phases.tls_ns),
        ] {
            if ns > 0 {
                histogram.record(to_us(ns));
            }
        }
    }

    fn take(&mut self, error_codes: &Interner) -> EndpointStats {
        self.touched = false;
        let mut stats = std::mem::take(&mut self.stats);
        for (code, n) in self.codes.iter_mut().filter(|(_, n)| *n > 0) {
            stats.codes.insert(*code, std::mem::take(n));
        }
        for (id, n) in self.errors.drain(..) {
            stats
                .errors
                .insert(error_codes.name(id as usize).to_owned(), n);
        }
        stats
    }
}

impl Tally {
    #[inline]
    fn add(&mut self, n: u64) {
        self.n += n;
        self.touched = true;
    }
}

fn take_tallies(names: &Interner, tallies: &mut [Tally]) -> BTreeMap<String, u64> {
    tallies
        .iter_mut()
        .enumerate()
        .filter(|(_, tally)| tally.touched)
        .map(|(id, tally)| (names.name(id).to_owned(), std::mem::take(tally).n))
        .collect()
}

fn grow<T: Default>(tallies: &mut Vec<T>, id: u32) {
    let needed = id as usize + 1;
    if tallies.len() < needed {
        tallies.resize_with(needed, T::default);
    }
}

/// Index of a status code's class in [`EndpointStats::first_byte_us`].
fn class_of(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class),
        _ => 0,
    }
}

fn to_us(ns: u64) -> u64 {
    ns.saturating_add(500) / 1_000
}

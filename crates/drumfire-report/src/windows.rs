//! Artillery's reporting windows: the one-second intervals of a run grouped
//! into stretches of ten seconds of the wall clock.

use drumfire_metrics::{NameOptions, NamedMetrics, Snapshot};
use std::collections::BTreeMap;

/// Length of a window in microseconds.
pub const WINDOW_US: u64 = 10_000_000;

/// A rate's events are divided by no less than this.
const SHORTEST_RATE_SPAN_MS: u64 = 1_000;

/// One closed window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Start of the window, milliseconds since 1970, a multiple of ten seconds.
    pub period_ms: u64,
    /// When the first and the last metric, counter and histogram were seen.
    pub seen: Seen,
    /// The flattened content.
    pub metrics: NamedMetrics,
    /// Events per second of each rate, rounded to a whole number.
    pub rates: BTreeMap<String, u64>,
}

impl Window {
    /// From the first to the last metric, in milliseconds.
    pub fn width_ms(&self) -> u64 {
        self.seen.metric.map_or(0, Span::width_ms)
    }
}

/// Stretches of the wall clock in which something was counted; as fine as the
/// intervals they are made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Of any counter.
    pub counter: Option<Span>,
    /// Of any histogram.
    pub histogram: Option<Span>,
    /// Of either.
    pub metric: Option<Span>,
}

impl Seen {
    fn note(&mut self, span: Span, interval: &Snapshot) {
        let (counted, observed) = (counted(interval), observed(interval));
        let wider = |old: Option<Span>| Some(old.map_or(span, |old| old.hull(span)));
        if counted {
            self.counter = wider(self.counter);
        }
        if observed {
            self.histogram = wider(self.histogram);
        }
        if counted || observed {
            self.metric = wider(self.metric);
        }
    }

    /// The hull of both.
    pub fn hull(self, other: Seen) -> Seen {
        let both = |a: Option<Span>, b: Option<Span>| match (a, b) {
            (Some(a), Some(b)) => Some(a.hull(b)),
            (a, b) => a.or(b),
        };
        Seen {
            counter: both(self.counter, other.counter),
            histogram: both(self.histogram, other.histogram),
            metric: both(self.metric, other.metric),
        }
    }
}

fn counted(interval: &Snapshot) -> bool {
    let iterations = &interval.iterations;
    let ended = iterations.completed + iterations.failed + iterations.interrupted;
    let endpoints = interval.endpoints.values();
    iterations.started + ended + iterations.dropped_total() > 0
        || endpoints
            .map(|e| e.requests + e.responses() + e.failures())
            .any(|n| n > 0)
        || interval
            .errors
            .values()
            .chain(interval.counters.values())
            .any(|n| *n > 0)
}

fn observed(interval: &Snapshot) -> bool {
    let endpoints = interval.endpoints.values();
    interval.iterations.completed > 0
        || endpoints.map(|e| e.responses()).any(|n| n > 0)
        || interval
            .histograms
            .values()
            .any(|(_, histogram)| !histogram.is_empty())
}

/// A stretch of the wall clock, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub first_ms: u64,
    /// Last instant.
    pub last_ms: u64,
}

impl Span {
    fn hull(self, other: Span) -> Span {
        Span {
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
        }
    }

    fn width_ms(self) -> u64 {
        self.last_ms - self.first_ms
    }
}

/// Groups the intervals of a run, in order, into windows.
#[derive(Debug)]
pub struct Windows {
    started_at_us: u64,
    names: NameOptions,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    period_ms: u64,
    seen: Seen,
    /// Where the requests were.
    requests: Option<Span>,
    /// Where the ticks of each rate of the script's own were.
    ticks: BTreeMap<String, Span>,
    snapshot: Snapshot,
}

impl Windows {
    /// Windows of a run that started at this wall clock, microseconds since
    /// 1970, their metrics named as `names` say, but for Drumfire's own.
    pub fn new(started_at_us: u64, names: &NameOptions) -> Self {
        Self {
            started_at_us,
            names: artillery_names(names),
            open: None,
        }
    }

    /// All windows of a finished timeline.
    pub fn of<'a>(
        started_at_us: u64,
        names: &NameOptions,
        intervals: impl IntoIterator<Item = &'a Snapshot>,
    ) -> Vec<Window> {
        let mut windows = Self::new(started_at_us, names);
        let mut closed: Vec<_> = intervals
            .into_iter()
            .filter_map(|interval| windows.push(interval))
            .collect();
        closed.extend(windows.finish());
        closed
    }

    /// Adds the next interval; gives the window before it when this one opens
    /// another. A window in which nothing was measured is passed over in silence.
    pub fn push(&mut self, interval: &Snapshot) -> Option<Window> {
        let period_ms = self.period_of(interval);
        let closed = match &self.open {
            Some(open) if open.period_ms != period_ms => self.finish(),
            _ => None,
        };
        let span = self.span_of(interval);
        self.open
            .get_or_insert_with(|| Open::new(period_ms, interval))
            .add(span, interval);
        closed
    }

    /// Closes the window that is open.
    pub fn finish(&mut self) -> Option<Window> {
        self.open.take()?.close(&self.names)
    }

    /// An interval belongs where its middle lies, for its edges are not those
    /// of the wall clock.
    fn period_of(&self, interval: &Snapshot) -> u64 {
        let middle = self.started_at_us + (interval.start_us + interval.end_us) / 2;
        middle / WINDOW_US * (WINDOW_US / 1_000)
    }

    fn span_of(&self, interval: &Snapshot) -> Span {
        Span {
            first_ms: (self.started_at_us + interval.start_us) / 1_000,
            last_ms: (self.started_at_us + interval.end_us) / 1_000,
        }
    }
}

impl Open {
    fn new(period_ms: u64, first: &Snapshot) -> Self {
        let snapshot = Snapshot {
            start_us: first.start_us,
            end_us: first.end_us,
            ..Snapshot::default()
        };
        Self {
            period_ms,
            seen: Seen::default(),
            requests: None,
            ticks: BTreeMap::new(),
            snapshot,
        }
    }

    fn add(&mut self, span: Span, interval: &Snapshot) {
        self.seen.note(span, interval);
        if interval.endpoints.values().any(|e| e.requests > 0) {
            self.requests = Some(self.requests.map_or(span, |old| old.hull(span)));
        }
        for (name, _) in interval.rates.iter().filter(|(_, n)| **n > 0) {
            self.ticks
                .entry(name.clone())
                .and_modify(|old| *old = old.hull(span))
                .or_insert(span);
        }
        self.snapshot.append(interval);
    }

    fn close(self, names: &NameOptions) -> Option<Window> {
        self.seen.metric?;
        let metrics = NamedMetrics::of_with(&self.snapshot, names);
        let rate = |(name, events): (&String, &u64)| {
            let span = self.ticks.get(name).copied().or(self.requests)?;
            Some((name.clone(), per_second(*events, span)))
        };
        Some(Window {
            period_ms: self.period_ms,
            seen: self.seen,
            rates: metrics.rates.iter().filter_map(rate).collect(),
            metrics,
        })
    }
}

/// The options without Drumfire's own names, for Artillery's formats.
pub(crate) fn artillery_names(names: &NameOptions) -> NameOptions {
    NameOptions {
        own: false,
        ..names.clone()
    }
}

fn per_second(events: u64, span: Span) -> u64 {
    let span_ms = span.width_ms().max(SHORTEST_RATE_SPAN_MS);
    (events as f64 * 1_000.0 / span_ms as f64).round() as u64
}

/// Rates of the whole run as Artillery means them: the plain mean of the
/// windows' rates, rounded; a window without the rate counts as zero. (The true
/// average stands in Drumfire's own section.)
pub fn mean_rates(windows: &[Window]) -> BTreeMap<String, u64> {
    let mut sums: BTreeMap<&String, u64> = BTreeMap::new();
    for (name, rate) in windows.iter().flat_map(|window| &window.rates) {
        *sums.entry(name).or_default() += rate;
    }
    let mean = |sum: u64| (sum as f64 / windows.len() as f64).round() as u64;
    sums.into_iter()
        .map(|(name, sum)| (name.clone(), mean(sum)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_metrics::Recorder;

    /// An interval of one second with this many requests.
    fn second(start_s: u64, requests: u64) -> Snapshot {
        let mut recorder = Recorder::new();
        let endpoint = recorder.endpoint("/");
        (0..requests).for_each(|_| recorder.request(endpoint));
        recorder.take(start_s * 1_000_000, (start_s + 1) * 1_000_000)
    }

    fn windows(started_at_us: u64, intervals: &[Snapshot]) -> Vec<(u64, u64, Option<u64>)> {
        let windows = Windows::of(started_at_us, &NameOptions::default(), intervals);
        let rate = |w: &Window| w.rates.get("http.request_rate").copied();
        windows
            .iter()
            .map(|w| (w.period_ms, w.width_ms(), rate(w)))
            .collect()
    }

    #[test]
    fn windows_split_at_the_tens_of_the_wall_clock() {
        let intervals: Vec<_> = (0..15).map(|s| second(s, 4)).collect();
        let start_us = 1_000_000_007_000_000;
        let expected = [
            (1_000_000_000_000, 3_000, Some(4)),
            (1_000_000_010_000, 10_000, Some(4)),
            (1_000_000_020_000, 2_000, Some(4)),
        ];
        assert_eq!(windows(start_us, &intervals), expected);
    }

    #[test]
    fn empty_windows_are_passed_over_and_empty_edges_cut() {
        let mut intervals: Vec<_> = (0..40).map(|s| second(s, 0)).collect();
        intervals[3] = second(3, 6);
        intervals[4] = second(4, 5);
        intervals[31] = second(31, 1);
        let expected = [(0, 2_000, Some(6)), (30_000, 1_000, Some(1))];
        assert_eq!(windows(0, &intervals), expected);
    }

    /// Both cases are those of a real Artillery 2.0.34.
    #[test]
    fn rates_of_the_run_are_the_mean_of_those_of_its_windows() {
        for (rates, expected) in [(vec![9, 9, 6], 8), (vec![3, 0, 0, 0], 1)] {
            let intervals: Vec<_> = (0u64..)
                .zip(&rates)
                .flat_map(|(window, requests)| {
                    let mut other = second(window * 10 + 1, *requests);
                    other.counters.insert("other".into(), 1);
                    [second(window * 10, *requests), other]
                })
                .collect();
            let windows = Windows::of(0, &NameOptions::default(), &intervals);
            assert_eq!(windows.len(), rates.len());
            assert_eq!(mean_rates(&windows)["http.request_rate"], expected);
        }
    }
}

//! What the target saw: counts per path and status, connections, and when requests arrived, so
//! that a generator's pacing can be judged from the other side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Arrivals remembered; older ones are overwritten.
pub(crate) const ARRIVALS_KEPT: usize = 1 << 20;

/// Paths counted by name; later ones count as `(others)`.
const PATHS_KEPT: usize = 1_000;

/// The width of the windows in which arrivals are counted.
const WINDOW_NS: u64 = 10_000_000;

/// Gaps shorter than this are counted as bunched.
const BUNCHED_NS: u64 = 50_000;

/// The live counters, written by every connection.
pub(crate) struct Stats {
    started: Instant,
    /// When counting began, in nanoseconds since `started`.
    reset_ns: AtomicU64,
    requests: AtomicU64,
    connections: AtomicU64,
    connections_open: AtomicU64,
    /// Nanoseconds since `started` plus one, so that zero means "not written yet".
    arrivals: Box<[AtomicU64]>,
    arrivals_seen: AtomicU64,
    /// A lock held for one map increment: the maps are the target's, not the generator's, and
    /// `fast` does not touch them.
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    paths: BTreeMap<String, u64>,
    statuses: BTreeMap<u16, u64>,
}

/// What the target saw since its start or the last reset.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStats {
    /// Time since the target's start; stalls are counted from there.
    pub elapsed: Duration,
    /// Time since the counters were last reset.
    pub since_reset: Duration,
    /// Requests that arrived.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are open now (never reset).
    pub connections_open: u64,
    /// Requests by path, without the query.
    pub paths: BTreeMap<String, u64>,
    /// Answers by status; connections cut instead of an answer are not among them.
    pub statuses: BTreeMap<u16, u64>,
    /// The times between consecutive arrivals; `None` with fewer than two.
    pub gaps: Option<Gaps>,
    /// How many windows of 10 ms saw so many arrivals, the first and the last window left out.
    pub windows_10ms: BTreeMap<u64, u64>,
}

/// The times between consecutive arrivals, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaps {
    /// How many gaps there are.
    pub count: u64,
    /// The average.
    pub mean_us: f64,
    /// The shortest.
    pub min_us: f64,
    /// One in a hundred is shorter.
    pub p1_us: f64,
    /// Half are shorter.
    pub p50_us: f64,
    /// Nine in ten are shorter.
    pub p90_us: f64,
    /// 99 in a hundred are shorter.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
    /// The part of gaps shorter than 50 µs, from 0 to 1.
    pub below_50us: f64,
}

impl Stats {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            reset_ns: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            connections_open: AtomicU64::new(0),
            arrivals: (0..ARRIVALS_KEPT).map(|_| AtomicU64::new(0)).collect(),
            arrivals_seen: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    /// When the target started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Notes `requests` that arrived together.
    pub(crate) fn arrived(&self, requests: u64) {
        let now_ns = self.elapsed().as_nanos() as u64;
        self.requests.fetch_add(requests, Relaxed);
        let first = self.arrivals_seen.fetch_add(requests, Relaxed);
        for index in first..first + requests {
            self.arrivals[index as usize % ARRIVALS_KEPT].store(now_ns + 1, Relaxed);
        }
    }

    pub(crate) fn asked_for(&self, path: &str) {
        let paths = &mut self.counts().paths;
        if let Some(count) = paths.get_mut(path) {
            *count += 1;
            return;
        }
        let name = if paths.len() < PATHS_KEPT {
            path
        } else {
            "(others)"
        };
        *paths.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn answered(&self, status: u16) {
        *self.counts().statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn opened(&self) -> u64 {
        self.connections_open.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn closed(&self) {
        self.connections_open.fetch_sub(1, Relaxed);
    }

    /// Starts counting anew. Requests that arrive meanwhile may count on either side.
    pub(crate) fn reset(&self) {
        *self.counts() = Counts::default();
        self.requests.store(0, Relaxed);
        self.connections.store(0, Relaxed);
        self.arrivals_seen.store(0, Relaxed);
        self.reset_ns
            .store(self.elapsed().as_nanos() as u64, Relaxed);
    }

    /// Everything, as of now.
    pub(crate) fn read(&self) -> TargetStats {
        let elapsed = self.elapsed();
        let arrivals_ns = self.arrivals_ns();
        let counts = self.counts();
        TargetStats {
            elapsed,
            since_reset: elapsed.saturating_sub(Duration::from_nanos(self.reset_ns.load(Relaxed))),
            requests: self.requests.load(Relaxed),
            connections: self.connections.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            paths: counts.paths.clone(),
            statuses: counts.statuses.clone(),
            gaps: gaps(&arrivals_ns),
            windows_10ms: windows(&arrivals_ns),
        }
    }

    /// The remembered arrivals, in order: threads may have stamped them a little out of it.
    fn arrivals_ns(&self) -> Vec<u64> {
        let kept = (self.arrivals_seen.load(Relaxed) as usize).min(ARRIVALS_KEPT);
        let mut arrivals_ns: Vec<u64> = self.arrivals[..kept]
            .iter()
            .filter_map(|slot| slot.load(Relaxed).checked_sub(1))
            .collect();
        arrivals_ns.sort_unstable();
        arrivals_ns
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counters stay usable after a panic elsewhere.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gaps(arrivals_ns: &[u64]) -> Option<Gaps> {
    let mut gaps_ns: Vec<u64> = arrivals_ns.windows(2).map(|two| two[1] - two[0]).collect();
    gaps_ns.sort_unstable();
    let (min_ns, max_ns) = (*gaps_ns.first()?, *gaps_ns.last()?);
    let count = gaps_ns.len();
    let us = |ns: u64| ns as f64 / 1e3;
    let at = |part: f64| us(gaps_ns[((count as f64 * part) as usize).min(count - 1)]);
    let bunched = gaps_ns.partition_point(|gap_ns| *gap_ns < BUNCHED_NS);
    Some(Gaps {
        count: count as u64,
        mean_us: us(gaps_ns.iter().sum::<u64>()) / count as f64,
        min_us: us(min_ns),
        p1_us: at(0.01),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        max_us: us(max_ns),
        below_50us: bunched as f64 / count as f64,
    })
}

fn windows(arrivals_ns: &[u64]) -> BTreeMap<u64, u64> {
    let mut histogram = BTreeMap::new();
    let (Some(first), Some(last)) = (arrivals_ns.first(), arrivals_ns.last()) else {
        return histogram;
    };
    let (first, last) = (first / WINDOW_NS, last / WINDOW_NS);
    let mut arrivals = arrivals_ns.iter().map(|ns| ns / WINDOW_NS).peekable();
    for window in first..last {
        let mut count = 0;
        while arrivals.next_if(|of| *of == window).is_some() {
            count += 1;
        }
        if window > first {
            *histogram.entry(count).or_default() += 1;
        }
    }
    histogram
}

impl TargetStats {
    /// The JSON that `/stats` answers with.
    pub fn to_json(&self) -> Value {
        json!({
            "elapsed_us": self.elapsed.as_micros() as u64,
            "since_reset_us": self.since_reset.as_micros() as u64,
            "requests": self.requests,
            "connections": self.connections,
            "connections_open": self.connections_open,
            "paths": self.paths,
            "statuses": by_name(&self.statuses),
            "gaps_us": self.gaps.map(|gaps| json!({
                "count": gaps.count,
                "mean": gaps.mean_us,
                "min": gaps.min_us,
                "p1": gaps.p1_us,
                "p50": gaps.p50_us,
                "p90": gaps.p90_us,
                "p99": gaps.p99_us,
                "max": gaps.max_us,
                "below_50us": gaps.below_50us,
            })),
            "windows_10ms": by_name(&self.windows_10ms),
        })
    }
}

fn by_name<K: ToString>(counts: &BTreeMap<K, u64>) -> serde_json::Map<String, Value> {
    let named = counts
        .iter()
        .map(|(key, count)| (key.to_string(), json!(count)));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gaps_and_windows_come_from_the_arrivals() {
        let stats = Stats::new(Instant::now());
        for _ in 0..100 {
            tokio::time::advance(Duration::from_micros(500)).await;
            stats.arrived(1);
        }
        stats.arrived(1);
        let seen = stats.read();
        let gaps = seen.gaps.expect("gaps");
        assert_eq!((seen.requests, gaps.count), (101, 100));
        assert_eq!(
            (gaps.p50_us, gaps.p99_us, gaps.max_us),
            (500.0, 500.0, 500.0)
        );
        assert_eq!((gaps.min_us, gaps.below_50us), (0.0, 0.01));
        assert_eq!(seen.windows_10ms, BTreeMap::from([(20, 4)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_window_counts_as_zero() {
        let arrivals_ns = [0, 15_000_000, 45_000_000, 71_000_000];
        assert_eq!(windows(&arrivals_ns), BTreeMap::from([(0, 4), (1, 2)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_forgets_everything_but_open_connections() {
        let stats = Stats::new(Instant::now());
        stats.opened();
        stats.arrived(3);
        stats.asked_for("/");
        stats.answered(200);
        tokio::time::advance(Duration::from_secs(1)).await;
        stats.reset();
        let seen = stats.read();
        assert_eq!((seen.requests, seen.connections, seen.gaps), (0, 0, None));
        assert_eq!(seen.connections_open, 1);
        assert!(seen.paths.is_empty() && seen.statuses.is_empty());
        assert_eq!(seen.elapsed, Duration::from_secs(1));
        assert_eq!(seen.since_reset, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn paths_beyond_the_limit_are_counted_together() {
        let stats = Stats::new(Instant::now());
        for index in 0..PATHS_KEPT + 5 {
            stats.asked_for(&format!("/{index}"));
        }
        let paths = stats.read().paths;
        assert_eq!(paths.get("(others)"), Some(&5));
    }
}

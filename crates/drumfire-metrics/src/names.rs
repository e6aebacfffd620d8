//! A snapshot flattened into named counters, rates and histograms: the names
//! of Artillery, byte for byte, which are Drumfire's own too.

use crate::{DropReason, EndpointStats, Histogram, Recorder, Snapshot, Unit};
use std::collections::BTreeMap;

/// What a report lists: `http.requests`, `http.response_time`, ….
///
/// | name | kind | counts |
/// |---|---|---|
/// | `vusers.created`, `vusers.completed` | counter | iterations started, ended well |
/// | `vusers.failed` | counter | failed iterations; zero too, once one has ended |
/// | `vusers.skipped` | counter | arrivals dropped by the cap on users |
/// | `vusers.session_length` | ms | length of the completed iterations |
/// | `http.requests`, `http.responses` | counter | requests begun, answers whose head came |
/// | `http.request_rate` | rate | requests begun |
/// | `http.codes.<n>` | counter | answers by status code |
/// | `http.downloaded_bytes` | counter | body bytes received |
/// | `http.response_time`, `.1xx` to `.5xx` | ms | time to first byte of the answers |
/// | `errors.<code>` | counter | failed exchanges and other errors |
/// | `<by endpoint>.<endpoint>.codes.<n>`, `.errors.<code>` | counter | by endpoint |
/// | `<by endpoint>.response_time.<endpoint>` | ms | by endpoint |
/// | `http.dns`, `http.tcp`, `http.tls`, `http.total` | ms | one value per answer, zero where the connection was reused; only with [`NameOptions::phases`] |
/// | `drumfire.service_time` | ms | start of the work to last byte, complete answers |
/// | `drumfire.intended_latency` | ms | intended start to last byte, complete answers |
/// | `drumfire.lateness` | ms | intended start to start of the iterations |
/// | `drumfire.interrupted` | counter | iterations cut off by the end of the run |
/// | `drumfire.dropped.<reason>` | counter | planned iterations not started: `user_cap`, `generator`, `stopped`, `agent_lost` |
/// | `drumfire.connections`, `drumfire.sent_bytes` | counter | connections opened, request bytes sent |
/// | `drumfire.preconnected` | counter | connections opened before the start |
///
/// A script's own counters, rates and histograms stand beside these under their own
/// names. `<by endpoint>` is [`NameOptions::by_endpoint`]. Names whose
/// number would be zero are absent unless the table says otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedMetrics {
    /// Counters.
    pub counters: BTreeMap<String, u64>,
    /// Events of each rate in the interval; divide by its seconds.
    pub rates: BTreeMap<String, u64>,
    /// Histograms in microseconds (durations) or plain numbers; the factor turns the
    /// recorded unit into the shown one (0.001 for milliseconds, 1 for numbers).
    pub histograms: BTreeMap<String, (f64, Histogram)>,
}

/// What to name, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameOptions {
    /// Prefix of the metrics by endpoint (Artillery's `metricsNamespace`).
    pub by_endpoint: String,
    /// Whether `http.dns`, `http.tcp`, `http.tls` and `http.total` are listed
    /// (Artillery's `extendedMetrics`).
    pub phases: bool,
    /// Whether the names that Artillery does not have, `drumfire.…`, are listed.
    pub own: bool,
}

impl Default for NameOptions {
    fn default() -> Self {
        let by_endpoint = "plugins.metrics-by-endpoint".to_owned();
        Self {
            by_endpoint,
            phases: false,
            own: true,
        }
    }
}

impl NamedMetrics {
    /// Flattens a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self::of_with(snapshot, &NameOptions::default())
    }

    /// Flattens a snapshot, naming as `options` say.
    pub fn of_with(snapshot: &Snapshot, options: &NameOptions) -> Self {
        let mut total = EndpointStats::default();
        snapshot
            .endpoints
            .values()
            .for_each(|endpoint| total.merge(endpoint));
        let mut metrics = Self::default();
        metrics.name_users(snapshot);
        metrics.name_exchanges(&total);
        metrics.name_endpoints(snapshot, &options.by_endpoint);
        metrics.name_errors(&total, snapshot);
        if options.phases {
            metrics.name_phases(&total);
        }
        if options.own {
            metrics.name_own(&total, snapshot);
        }
        metrics.name_custom(snapshot, options.own);
        metrics
    }

    /// One number by name: a counter, a rate per second, or
    /// `<histogram>.<statistic>` in the unit shown, the statistic being min,
    /// max, count, mean, median or p followed by digits. One or two digits are percent
    /// (p5, p50), further digits its decimals (p999 is 99.9 %), and p100 is the maximum.
    pub fn value(&self, name: &str, seconds: f64) -> Option<f64> {
        if let Some(n) = self.counters.get(name) {
            return Some(*n as f64);
        }
        if let Some(n) = self.rates.get(name) {
            return Some(if seconds > 0.0 {
                *n as f64 / seconds
            } else {
                0.0
            });
        }
        let (name, statistic) = name.rsplit_once('.')?;
        let (factor, histogram) = self.histograms.get(name)?;
        Some(match statistic {
            "count" => histogram.count() as f64,
            "min" => histogram.min() as f64 * factor,
            "max" => histogram.max() as f64 * factor,
            "mean" => histogram.mean() * factor,
            "median" => histogram.quantile(0.5) as f64 * factor,
            _ => histogram.quantile(quantile_of(statistic)?) as f64 * factor,
        })
    }

    fn name_users(&mut self, snapshot: &Snapshot) {
        let iterations = &snapshot.iterations;
        let skipped = iterations
            .dropped
            .get(&DropReason::UserCap)
            .copied()
            .unwrap_or(0);
        self.count("vusers.created", iterations.started);
        self.count("vusers.completed", iterations.completed);
        self.count("vusers.skipped", skipped);
        if iterations.completed + iterations.failed > 0 {
            self.counters
                .insert("vusers.failed".to_owned(), iterations.failed);
        }
        self.time("vusers.session_length", &iterations.duration_us);
    }

    fn name_exchanges(&mut self, total: &EndpointStats) {
        let responses = total.responses();
        self.count("http.requests", total.requests);
        self.count("http.responses", responses);
        if total.requests > 0 {
            self.rates
                .insert("http.request_rate".to_owned(), total.requests);
        }
        if responses > 0 {
            self.counters
                .insert("http.downloaded_bytes".to_owned(), total.body_bytes);
        }
        for (code, n) in &total.codes {
            self.count(&format!("http.codes.{code}"), *n);
        }
        self.time("http.response_time", &total.all_first_byte_us());
        for (class, histogram) in total.first_byte_us.iter().enumerate().skip(1) {
            self.time(&format!("http.response_time.{class}xx"), histogram);
        }
    }

    fn name_endpoints(&mut self, snapshot: &Snapshot, prefix: &str) {
        let listed = snapshot
            .endpoints
            .iter()
            .filter(|(name, _)| *name != Recorder::UNLISTED);
        for (endpoint, stats) in listed {
            for (code, n) in &stats.codes {
                self.count(&format!("{prefix}.{endpoint}.codes.{code}"), *n);
            }
            for (code, n) in &stats.errors {
                self.count(&format!("{prefix}.{endpoint}.errors.{code}"), *n);
            }
            let name = format!("{prefix}.response_time.{endpoint}");
            self.time(&name, &stats.all_first_byte_us());
        }
    }

    fn name_errors(&mut self, total: &EndpointStats, snapshot: &Snapshot) {
        for (code, n) in total.errors.iter().chain(&snapshot.errors) {
            self.count(&format!("errors.{code}"), *n);
        }
    }

    fn name_phases(&mut self, total: &EndpointStats) {
        let responses = total.responses();
        for (name, histogram) in [
            ("http.dns", &total.dns_us),
            ("http.tcp", &total.connect_us),
            ("http.tls", &total.tls_us),
        ] {
            let mut all = histogram.clone();
            all.record_n(0, responses.saturating_sub(histogram.count()));
            self.time(name, &all);
        }
        self.time("http.total", &total.service_us);
    }

    fn name_own(&mut self, total: &EndpointStats, snapshot: &Snapshot) {
        let iterations = &snapshot.iterations;
        self.time("drumfire.service_time", &total.service_us);
        self.time("drumfire.intended_latency", &total.intended_us);
        self.time("drumfire.lateness", &iterations.lateness_us);
        self.count("drumfire.interrupted", iterations.interrupted);
        for (reason, n) in &iterations.dropped {
            self.count(&format!("drumfire.dropped.{}", reason.word()), *n);
        }
        self.count("drumfire.connections", total.connections);
        self.count("drumfire.sent_bytes", total.sent_bytes);
    }

    fn name_custom(&mut self, snapshot: &Snapshot, own: bool) {
        let listed = |name: &str| own || !name.starts_with(OWN);
        for (name, n) in snapshot.counters.iter().filter(|(name, _)| listed(name)) {
            *self.counters.entry(name.clone()).or_insert(0) += n;
        }
        for (name, n) in &snapshot.rates {
            *self.rates.entry(name.clone()).or_insert(0) += n;
        }
        for (name, (unit, histogram)) in &snapshot.histograms {
            let factor = match unit {
                Unit::Duration => MS_PER_US,
                Unit::Number => 1.0,
            };
            self.histograms
                .insert(name.clone(), (factor, histogram.clone()));
        }
    }

    fn count(&mut self, name: &str, n: u64) {
        if n > 0 {
            *self.counters.entry(name.to_owned()).or_insert(0) += n;
        }
    }

    fn time(&mut self, name: &str, histogram: &Histogram) {
        if !histogram.is_empty() {
            self.histograms
                .insert(name.to_owned(), (MS_PER_US, histogram.clone()));
        }
    }
}

const MS_PER_US: f64 = 0.001;
/// How the names begin that Artillery does not have.
const OWN: &str = "drumfire.";

/// `p95` to 0.95, `p999` to 0.999, `p100` to 1.
fn quantile_of(statistic: &str) -> Option<f64> {
    let digits = statistic.strip_prefix('p')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits {
        "100" => Some(1.0),
        _ if digits.len() <= 2 => format!("0.{digits:0>2}").parse().ok(),
        _ => format!("0.{digits}").parse().ok(),
    }
}

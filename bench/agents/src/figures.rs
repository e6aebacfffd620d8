//! What the agents of this process saw, as a line of JSON.

use crate::engine::Part;
use drumfire_metrics::Histogram;

/// Counts and times of all agents.
#[derive(Debug, Default)]
pub struct Figures {
    /// Agents that have come to the end of the run.
    pub finished: u64,
    /// How long after the agreed start their load began.
    pub begun_late_ns: Histogram,
    /// From a heartbeat to the directive that answers it.
    answers_us: Histogram,
    reports: u64,
    /// How often reports were sent: again, where they were not acknowledged soon.
    pub sent: u64,
    started: u64,
    dropped: u64,
}

impl Figures {
    /// A heartbeat was answered after so long.
    pub fn answered(&mut self, answer_ns: u64) {
        self.answers_us.record(answer_ns / 1_000);
    }

    /// An agent has something to report.
    pub fn reported(&mut self, part: &Part) {
        self.reports += 1;
        self.started += part.started;
        self.dropped += part.dropped;
    }

    /// All of it.
    pub fn json(&self) -> String {
        let answers_us = &self.answers_us;
        let fields = [
            ("finished", self.finished),
            ("reports", self.reports),
            ("sent", self.sent),
            ("started", self.started),
            ("dropped", self.dropped),
            ("begun_late_us_max", self.begun_late_ns.max() / 1_000),
            ("answers", answers_us.count()),
            ("answer_us_p50", answers_us.quantile(0.5)),
            ("answer_us_p99", answers_us.quantile(0.99)),
            ("answer_us_max", answers_us.max()),
        ];
        let fields = fields.map(|(name, value)| format!("\"{name}\": {value}"));
        format!("{{{}}}", fields.join(", "))
    }
}

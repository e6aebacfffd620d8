//! How far behind its agents the merged view of a shared run was: what thresholds act on, and what people see.

use drumfire_metrics::Histogram;

/// Kept for the whole of a run.
#[derive(Debug, Default)]
pub struct Lag {
    /// From an interval's end until it was merged and out, in microseconds.
    behind_us: Histogram,
    reports: u64,
    late: u64,
}

impl Lag {
    /// An agent's report is in; `late` when its interval was out already.
    pub fn report(&mut self, late: bool) {
        self.reports += 1;
        self.late += u64::from(late);
    }

    /// The interval that ended at `end_us` of the run is out at `run_us`.
    pub fn interval(&mut self, end_us: u64, run_us: u64) {
        self.behind_us.record(run_us.saturating_sub(end_us));
    }

    /// What a person is told of it; nothing where nothing was merged.
    pub fn wording(&self) -> Option<String> {
        let seconds = |us: u64| us as f64 / 1e6;
        let line = format!(
            "the merged view was {:.3} s behind (p50; p99 {:.3} s, longest {:.3} s); {} of {} reports came too late for it",
            seconds(self.behind_us.quantile(0.5)),
            seconds(self.behind_us.quantile(0.99)),
            seconds(self.behind_us.max()),
            self.late,
            self.reports,
        );
        (!self.behind_us.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_how_far_it_was_behind() {
        let mut lag = Lag::default();
        assert_eq!(lag.wording(), None);
        for (end_us, run_us) in [(1_000_000, 1_020_000), (2_000_000, 3_500_000)] {
            lag.interval(end_us, run_us);
        }
        for late in [false, false, true] {
            lag.report(late);
        }
        let line = lag.wording().expect("intervals were merged");
        assert_eq!(
            line,
            "the merged view was 0.020 s behind (p50; p99 1.500 s, longest 1.500 s); 1 of 3 reports came too late for it"
        );
    }
}

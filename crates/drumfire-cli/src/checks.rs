//! The `ensure` checks of a script, judged by a run's numbers: at its end, and
//! where a check asks to end the run, every second.

use crate::execute::Checks;
use drumfire_artillery::ensure;
use drumfire_artillery::script::Ensure;
use drumfire_metrics::{Abort, NameOptions, NamedMetrics, Summary, ThresholdOutcome};

/// The checks of a script, on metrics named as `names` say.
pub struct EnsureChecks<'a> {
    /// What the script asks for.
    pub ensure: &'a Ensure,
    /// How its metrics are named.
    pub names: &'a NameOptions,
}

impl Checks for EnsureChecks<'_> {
    fn abort(&self, so_far: &Summary) -> Option<Abort> {
        if !self.ensure.checks.iter().any(|check| check.abort_on_fail) {
            return None;
        }
        let metrics = NamedMetrics::of_with(&so_far.total, self.names);
        let threshold = ensure::first_abort(self.ensure, &metrics, so_far.total.seconds())?;
        Some(Abort {
            threshold,
            at_us: so_far.facts.duration_us,
        })
    }

    fn judge(&self, whole: &Summary) -> Vec<ThresholdOutcome> {
        let metrics = NamedMetrics::of_with(&whole.total, self.names);
        ensure::judge(self.ensure, &metrics, whole.total.seconds())
    }
}

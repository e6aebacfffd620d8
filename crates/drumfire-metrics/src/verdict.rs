//! Thresholds passed or failed, and whether the measurement itself can be
//! trusted.

use crate::saturation::join;
use crate::threshold::{Abort, ThresholdOutcome};
use crate::{Saturation, Summary};

/// The judgement of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Thresholds in the order of the script.
    pub thresholds: Vec<ThresholdOutcome>,
    /// Stretches in which the generator was the limit.
    pub saturations: Vec<Saturation>,
    /// Notes a reader must see (`planned 100 is not started 90 + dropped 9`, a broken invariant).
    pub notes: Vec<String>,
}

impl Verdict {
    /// Judges a finished run: its thresholds as its front end holds them against
    /// the whole, the generator by the timeline. `aborted` is the threshold that ended it early, which has failed
    /// whatever the drain brought afterwards.
    pub fn judge(
        summary: &Summary,
        mut thresholds: Vec<ThresholdOutcome>,
        aborted: Option<Abort>,
    ) -> Self {
        if let Some(outcome) = aborted.and_then(|abort| thresholds.get_mut(abort.threshold)) {
            outcome.passed = false;
            outcome.aborted_at_us = aborted.map(|abort| abort.at_us);
        }
        let mut notes = summary.check_invariants();
        notes.extend(summary.limits_hit());
        notes.extend(summary.full_processor_note());
        Self {
            thresholds,
            saturations: summary.saturations(),
            notes,
        }
    }

    /// Whether every strict threshold held.
    pub fn passed(&self) -> bool {
        self.thresholds.iter().all(|t| t.passed || !t.strict)
    }

    /// Whether the generator was never the limit.
    pub fn trustworthy(&self) -> bool {
        self.saturations.is_empty()
    }

    /// Adds the verdict on another part of the run. A threshold that failed
    /// in one part has failed; its value is that of the failing part, since the
    /// rule itself is not at hand: judge again where it is.
    pub fn merge(&mut self, other: &Verdict) {
        for theirs in &other.thresholds {
            match self
                .thresholds
                .iter_mut()
                .find(|ours| ours.text == theirs.text)
            {
                Some(ours) if ours.passed && !theirs.passed => *ours = theirs.clone(),
                Some(_) => {}
                None => self.thresholds.push(theirs.clone()),
            }
        }
        self.saturations = join(&self.saturations, &other.saturations);
        for note in &other.notes {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
    }
}

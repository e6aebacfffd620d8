//! The whole test: scenarios, load, thresholds and how it ends.

use std::time::Duration;

use crate::closed::ClosedLoad;
use crate::error::PlanError;
use crate::open::OpenLoad;
use crate::outline::{self, StageOutline};
use crate::threshold::Threshold;

/// A test: what the engine runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The test's name in reports.
    pub name: String,
    /// What users do; every user runs one of them.
    pub scenarios: Vec<Scenario>,
    /// How many users there are, and when.
    pub load: Load,
    /// What the results must satisfy.
    pub thresholds: Vec<Threshold>,
    /// What all chance in the test is drawn from.
    pub seed: u64,
    /// How long running iterations may go on once the load has ended or the test was stopped.
    pub graceful_stop: Duration,
    /// When the test is stopped, whatever it is doing; none to let the last user finish.
    pub max_duration: Option<Duration>,
}

/// One kind of user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its name in the script.
    pub name: String,
    /// How often it is run beside the others; 0 is never.
    pub weight: u32,
}

/// How many users there are, and when.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Users arrive on schedule, however long the earlier ones take.
    Open(OpenLoad),
    /// So many users iterate at a time, each as fast as the target answers.
    Closed(ClosedLoad),
}

impl Load {
    /// How long all stages last together.
    pub fn duration(&self) -> Duration {
        match self {
            Self::Open(load) => load.duration(),
            Self::Closed(load) => load.duration(),
        }
    }

    /// The index of the stage that `t` lies in; the last one's from the end on.
    pub fn stage_at(&self, t: Duration) -> usize {
        match self {
            Self::Open(load) => load.stage_at(t),
            Self::Closed(load) => load.stage_at(t),
        }
    }
}

impl Plan {
    /// The plan itself, when all of it can be run. Front ends end with this.
    ///
    /// # Errors
    /// When no scenario can be picked, a threshold has no metric or no finite limit, or the longest
    /// duration is 0. (A [`Load`] is valid by construction.)
    pub fn checked(self) -> Result<Self, PlanError> {
        if self.scenarios.is_empty() {
            return Err(PlanError::NoScenarios);
        }
        if self.scenarios.iter().all(|scenario| scenario.weight == 0) {
            return Err(PlanError::NoScenarioWeight);
        }
        if self.max_duration == Some(Duration::ZERO) {
            return Err(PlanError::NoMaxDuration);
        }
        self.thresholds.iter().try_for_each(Threshold::check)?;
        Ok(self)
    }

    /// What each stage will do, for people to read before a run.
    pub fn describe(&self) -> Vec<StageOutline> {
        outline::of(&self.load)
    }
}

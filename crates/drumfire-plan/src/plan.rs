//! The whole test: what users do, and how many there are.

use std::time::Duration;

use crate::closed::ClosedLoad;
use crate::error::PlanError;
use crate::open::OpenLoad;
use crate::outline::{self, StageOutline};

/// A test: what the engine runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The test's name in reports.
    pub name: String,
    /// What users do; every user runs one of them.
    pub scenarios: Vec<Scenario>,
    /// How many users there are, and when.
    pub load: Load,
    /// What all chance in the test is drawn from.
    pub seed: u64,
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
    /// When no scenario can be picked. (A [`Load`] is valid by construction.)
    pub fn checked(self) -> Result<Self, PlanError> {
        if self.scenarios.is_empty() {
            return Err(PlanError::NoScenarios);
        }
        if self.scenarios.iter().all(|scenario| scenario.weight == 0) {
            return Err(PlanError::NoScenarioWeight);
        }
        Ok(self)
    }

    /// What each stage will do, for people to read before a run.
    pub fn describe(&self) -> Vec<StageOutline> {
        outline::of(&self.load)
    }
}

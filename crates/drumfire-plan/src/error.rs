//! Why a load, a share or a plan is refused.

use std::fmt;
use std::time::Duration;

use crate::closed::MAX_USERS;
use crate::open::{
    MAX_ARRIVALS, MAX_DURATION, MAX_POISSON_ARRIVALS, MAX_RATE_PER_SECOND, MAX_STAGES,
    MIN_RATE_PER_SECOND,
};
use crate::share::{MAX_SHARE_PERIOD, MAX_SHARES};

/// Why a plan or a part of one is refused. Displayed as one line that says what is wrong; what
/// to do about it is the [hint](PlanError::hint).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// A stage is refused.
    Stage {
        /// The stage's place, from 0.
        index: usize,
        /// The stage's name in the script.
        name: Option<String>,
        /// What is wrong with it.
        fault: StageFault,
    },
    /// A load has no stages.
    NoStages,
    /// A load has more than [`MAX_STAGES`].
    TooManyStages {
        /// How many it has.
        stages: usize,
    },
    /// No stage of a closed load has users.
    NoUsers,
    /// A closed load is limited to no iterations.
    NoIterations,
    /// A plan has no scenarios.
    NoScenarios,
    /// No scenario has a weight above 0.
    NoScenarioWeight,
    /// No share has a weight above 0.
    NoShareWeight,
    /// More than [`MAX_SHARES`] shares.
    TooManyShares {
        /// How many were asked for.
        shares: usize,
    },
    /// The weights make a pattern longer than [`MAX_SHARE_PERIOD`].
    SharePatternTooLong {
        /// Its length: the sum of the reduced weights.
        period: u64,
    },
}

/// What is wrong with one stage of a load.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StageFault {
    /// A rate is NaN or infinite.
    RateNotFinite {
        /// The rate.
        per_second: f64,
    },
    /// A rate is negative.
    RateNegative {
        /// The rate.
        per_second: f64,
    },
    /// A rate is above [`MAX_RATE_PER_SECOND`].
    RateTooHigh {
        /// The rate.
        per_second: f64,
    },
    /// A rate is above 0 and below [`MIN_RATE_PER_SECOND`].
    RateTooLow {
        /// The rate.
        per_second: f64,
    },
    /// The stage lasts no time.
    NoDuration,
    /// The load would last longer than [`MAX_DURATION`] with this stage.
    TooLong,
    /// The load would have more than [`MAX_ARRIVALS`] with this stage.
    TooManyArrivals,
    /// The load would have more than [`MAX_POISSON_ARRIVALS`] with this stage.
    TooManyPoissonArrivals,
    /// The counts per second do not fit the stage's duration.
    SecondsMissing {
        /// How many counts there are.
        counts: usize,
        /// How long the stage lasts.
        duration: Duration,
    },
    /// The stage has more than [`MAX_USERS`].
    TooManyUsers {
        /// How many it has.
        users: u32,
    },
}

impl PlanError {
    pub(crate) fn stage(index: usize, name: Option<&str>, fault: StageFault) -> Self {
        Self::Stage {
            index,
            name: name.map(str::to_owned),
            fault,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Stage { fault, .. } => fault.hint(),
            Self::NoStages => "describe the load in at least one stage",
            Self::TooManyStages { .. } => "describe a changing load by ramps",
            Self::NoUsers => "give at least one stage users",
            Self::NoIterations => "ask for at least one iteration, or leave the limit out",
            Self::NoScenarios => "describe what a user does in at least one scenario",
            Self::NoScenarioWeight => "give at least one scenario a weight above 0",
            Self::NoShareWeight => "give at least one agent a weight above 0",
            Self::TooManyShares { .. } => "use fewer agents with more shards each",
            Self::SharePatternTooLong { .. } => {
                "round the weights to a common step, such as hundreds"
            }
        }
    }
}

impl StageFault {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::RateNotFinite { .. } | Self::RateNegative { .. } => {
                "give arrivals per second as a number from 0 up, such as 0.5 or 100"
            }
            Self::RateTooHigh { .. } => "spread the load over a longer time",
            Self::RateTooLow { .. } => "use a pause where nothing shall arrive",
            Self::NoDuration => "give the stage a duration above 0",
            Self::TooLong => "shorten the stages",
            Self::TooManyArrivals => "lower the rate or the duration",
            Self::TooManyPoissonArrivals => "lower the rate, or let arrivals come evenly",
            Self::SecondsMissing { .. } => "give one count for each begun second of the stage",
            Self::TooManyUsers { .. } => "use fewer users",
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { index, name, fault } => {
                write!(f, "stage {}", index + 1)?;
                if let Some(name) = name {
                    write!(f, " {name:?}")?;
                }
                write!(f, ": {fault}")
            }
            Self::NoStages => f.write_str("the load has no stages"),
            Self::TooManyStages { stages } => {
                write!(
                    f,
                    "the load has {stages} stages, above the limit of {MAX_STAGES}"
                )
            }
            Self::NoUsers => f.write_str("no stage of the load has users"),
            Self::NoIterations => f.write_str("the load is limited to 0 iterations"),
            Self::NoScenarios => f.write_str("the plan has no scenarios"),
            Self::NoScenarioWeight => f.write_str("every scenario has the weight 0"),
            Self::NoShareWeight => f.write_str("no share has a weight above 0"),
            Self::TooManyShares { shares } => {
                write!(
                    f,
                    "a split into {shares} shares is above the limit of {MAX_SHARES}"
                )
            }
            Self::SharePatternTooLong { period } => write!(
                f,
                "the weights of the shares sum to {period} without their common factor, above \
                 the limit of {MAX_SHARE_PERIOD}"
            ),
        }
    }
}

impl fmt::Display for StageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateNotFinite { per_second } => {
                write!(f, "the rate {per_second} per second is not a finite number")
            }
            Self::RateNegative { per_second } => {
                write!(f, "the rate {per_second} per second is negative")
            }
            Self::RateTooHigh { per_second } => write!(
                f,
                "the rate {per_second} per second is above the limit of {MAX_RATE_PER_SECOND}"
            ),
            Self::RateTooLow { per_second } => write!(
                f,
                "the rate {per_second:e} per second is below the lowest, {MIN_RATE_PER_SECOND:e}"
            ),
            Self::NoDuration => f.write_str("the duration is 0"),
            Self::TooLong => write!(
                f,
                "the load is longer than the limit of {} days",
                MAX_DURATION.as_secs() / (24 * 60 * 60)
            ),
            Self::TooManyArrivals => {
                write!(
                    f,
                    "the load has more arrivals than the limit of {MAX_ARRIVALS}"
                )
            }
            Self::TooManyPoissonArrivals => write!(
                f,
                "the load has more Poisson arrivals than the limit of {MAX_POISSON_ARRIVALS}"
            ),
            Self::SecondsMissing { counts, duration } => write!(
                f,
                "{counts} counts, one per second, do not fit the duration of {duration:?}"
            ),
            Self::TooManyUsers { users } => {
                write!(f, "{users} users are above the limit of {MAX_USERS}")
            }
        }
    }
}

impl std::error::Error for PlanError {}
impl std::error::Error for StageFault {}

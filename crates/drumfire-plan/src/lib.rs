//! What a load test is, as data and pure arithmetic: scenarios, load profiles,
//! and the share of them that one agent runs. Nothing in here knows a
//! clock, a socket or a source of chance other than the seed it is given.
//!
//! - open load, the cumulative arrival count A(t) and its inverse: [`OpenLoad`], [`Schedule`];
//! - closed load, the user count U(t): [`ClosedLoad`], [`UserChanges`];
//! - who runs arrival k or user j: [`Share`];
//! - all of it together, checked: [`Plan`]; shown before a run: [`StageOutline`].
//!
//! ```
//! use std::time::Duration;
//! use drumfire_plan::{Arrivals, OpenLoad, OpenStage, Share, Spacing};
//!
//! let ramp = OpenStage {
//!     name: Some("warm up".to_owned()),
//!     duration: Duration::from_secs(10),
//!     arrivals: Arrivals::Ramp { from: 0.0, to: 2.0 },
//!     spacing: Spacing::Uniform,
//!     max_users: None,
//! };
//! let load = OpenLoad::new(vec![ramp], 1)?;
//! assert_eq!(load.total(), 10);
//! assert_eq!(load.arrivals_before(Duration::from_secs(5)), 3);
//!
//! // Two agents, the first three times as strong: together they run every arrival once.
//! let shares = Share::split(&[3, 1])?;
//! let numbers = |share| load.schedule(share).map(|arrival| arrival.number).collect::<Vec<_>>();
//! assert_eq!(numbers(&shares[0]), [0, 1, 3, 4, 5, 7, 8, 9]);
//! assert_eq!(numbers(&shares[1]), [2, 6]);
//! # Ok::<(), drumfire_plan::PlanError>(())
//! ```

mod plan;

mod open;
mod schedule;

mod curve;
mod poisson;
mod random;

mod closed;
mod share;

mod error;
mod outline;

pub use closed::{
    ClosedLoad, ClosedStage, Iterations, Lifetime, MAX_USERS, UserChange, UserChangeKind,
    UserChanges,
};
pub use error::{PlanError, StageFault};
pub use open::{
    Arrivals, MAX_ARRIVALS, MAX_DURATION, MAX_POISSON_ARRIVALS, MAX_RATE_PER_SECOND, MAX_STAGES,
    MIN_RATE_PER_SECOND, OpenLoad, OpenStage, Spacing,
};
pub use outline::{StageLoad, StageOutline};
pub use plan::{Load, Plan, Scenario};
pub use schedule::{Arrival, Schedule};
pub use share::{MAX_SHARE_PERIOD, MAX_SHARES, Share};

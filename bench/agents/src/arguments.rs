//! What is asked on the command line.

use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Spacing};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Simulates agents that take part in one run, and ends with it.
#[derive(Debug, clap::Parser)]
pub struct Arguments {
    /// The broker
    #[arg(long, value_name = "URL")]
    pub nats: String,
    /// How many agents
    #[arg(long, value_name = "N")]
    pub agents: NonZeroU32,
    /// How many connections they share
    #[arg(long, value_name = "N", default_value = "4")]
    pub connections: NonZeroU32,
    /// How many users arrive in all, as the coordinator's script says
    #[arg(long, value_name = "N")]
    pub arrivals: u64,
    /// How long that takes, in seconds, as the script says
    #[arg(long, value_name = "SECONDS")]
    pub duration: NonZeroU64,
    /// Histograms and counters in each report, beside those of iterations and of the generator
    #[arg(long, value_name = "N", default_value = "100")]
    pub series: NonZeroU32,
    /// Requests to each endpoint in a second of one agent; an endpoint is a counter and three histograms
    #[arg(long, value_name = "N", default_value = "100")]
    pub requests: NonZeroU64,
}

impl Arguments {
    /// The load of the coordinator's script: one phase of arrivals, evenly spread.
    ///
    /// # Errors
    /// It is beyond the plan's limits.
    pub fn load(&self) -> Result<Load, String> {
        let stage = OpenStage {
            name: None,
            duration: Duration::from_secs(self.duration.get()),
            arrivals: Arrivals::Count(self.arrivals),
            spacing: Spacing::Uniform,
            max_users: None,
        };
        let load = OpenLoad::new(vec![stage], 0);
        load.map(Load::Open).map_err(|error| error.to_string())
    }
}

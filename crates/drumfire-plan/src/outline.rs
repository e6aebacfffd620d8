//! What each stage of a load will do, as data for `drumfire check` and the reports to show.

use std::time::Duration;

use crate::closed::ClosedLoad;
use crate::open::{Arrivals, OpenLoad, Spacing};
use crate::plan::Load;

/// What one stage will do.
#[derive(Debug, Clone, PartialEq)]
pub struct StageOutline {
    /// The stage's name in the script.
    pub name: Option<String>,
    /// When it starts, from the start of the load.
    pub start: Duration,
    /// How long it lasts.
    pub duration: Duration,
    /// What comes in it.
    pub load: StageLoad,
}

/// What comes in one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StageLoad {
    /// Users arrive.
    Arrivals {
        /// How many: exactly, and for Poisson arrivals those drawn from the seed.
        count: u64,
        /// The rate at the start, per second.
        from_per_second: f64,
        /// The rate at the end, per second.
        to_per_second: f64,
        /// Evenly or by chance.
        spacing: Spacing,
        /// The cap on concurrent users.
        max_users: Option<u32>,
    },
    /// Users iterate.
    Users {
        /// How many at the start.
        from: u32,
        /// How many at the end.
        to: u32,
    },
}

pub(crate) fn of(load: &Load) -> Vec<StageOutline> {
    match load {
        Load::Open(load) => open(load),
        Load::Closed(load) => closed(load),
    }
}

fn open(load: &OpenLoad) -> Vec<StageOutline> {
    let outline = |(index, stage): (usize, &crate::OpenStage)| {
        let (from_per_second, to_per_second) = rates(&stage.arrivals, stage.duration);
        StageOutline {
            name: stage.name.clone(),
            start: load.stage_bounds(index).start,
            duration: stage.duration,
            load: StageLoad::Arrivals {
                count: load.stage_total(index),
                from_per_second,
                to_per_second,
                spacing: stage.spacing,
                max_users: stage.max_users,
            },
        }
    };
    load.stages().iter().enumerate().map(outline).collect()
}

fn closed(load: &ClosedLoad) -> Vec<StageOutline> {
    let outline = |(index, stage): (usize, &crate::ClosedStage)| StageOutline {
        name: stage.name.clone(),
        start: load.stage_bounds(index).start,
        duration: stage.duration,
        load: StageLoad::Users {
            from: stage.from_users,
            to: stage.to_users,
        },
    };
    load.stages().iter().enumerate().map(outline).collect()
}

/// The rates at the start and at the end, per second.
fn rates(arrivals: &Arrivals, duration: Duration) -> (f64, f64) {
    match arrivals {
        Arrivals::Pause => (0.0, 0.0),
        Arrivals::Constant { per_second } => (*per_second, *per_second),
        Arrivals::Ramp { from, to } => (*from, *to),
        Arrivals::Count(count) => {
            let per_second = *count as f64 / duration.as_secs_f64();
            (per_second, per_second)
        }
        Arrivals::PerSecond(counts) => {
            let end = |count: Option<&u32>| f64::from(count.copied().unwrap_or(0));
            (end(counts.first()), end(counts.last()))
        }
    }
}

//! A load at another rate: what `drumfire scale` turns the plan's load into.

use drumfire_plan::{Arrivals, ClosedLoad, ClosedStage, Load, OpenLoad, OpenStage, PlanError};

/// The whole load as planned, in thousandths.
pub const AS_PLANNED_PERMILLE: u32 = 1_000;

/// The most that a load can be scaled to, in thousandths.
pub const MAX_PERMILLE: u32 = 1_000_000;

/// The load with all its rates, or its numbers of users, at `permille` thousandths. Its stages last as long.
///
/// # Errors
/// When the scaled load is beyond the limits of the plan; a closed load also when no user is left.
pub fn scaled(load: &Load, permille: u32, seed: u64) -> Result<Load, PlanError> {
    if permille == AS_PLANNED_PERMILLE {
        return Ok(load.clone());
    }
    Ok(match load {
        Load::Open(load) => {
            let stages = load.stages().iter().map(|stage| open(stage, permille));
            Load::Open(OpenLoad::new(stages.collect(), seed)?)
        }
        Load::Closed(load) => {
            let stages = load.stages().iter().map(|stage| closed(stage, permille));
            Load::Closed(ClosedLoad::new(stages.collect(), load.iterations())?)
        }
    })
}

fn open(stage: &OpenStage, permille: u32) -> OpenStage {
    let rate = |per_second: f64| per_second * f64::from(permille) / 1_000.0;
    let arrivals = match &stage.arrivals {
        Arrivals::Pause => Arrivals::Pause,
        Arrivals::Constant { per_second } => Arrivals::Constant {
            per_second: rate(*per_second),
        },
        Arrivals::Ramp { from, to } => Arrivals::Ramp {
            from: rate(*from),
            to: rate(*to),
        },
        Arrivals::Count(count) => Arrivals::Count(thousandths(*count, permille)),
        Arrivals::PerSecond(counts) => {
            let scaled = |&count: &u32| saturating(thousandths(u64::from(count), permille));
            Arrivals::PerSecond(counts.iter().map(scaled).collect())
        }
    };
    OpenStage {
        arrivals,
        ..stage.clone()
    }
}

fn closed(stage: &ClosedStage, permille: u32) -> ClosedStage {
    let users = |count: u32| saturating(thousandths(u64::from(count), permille));
    ClosedStage {
        from_users: users(stage.from_users),
        to_users: users(stage.to_users),
        ..stage.clone()
    }
}

/// Rounded half up.
fn thousandths(count: u64, permille: u32) -> u64 {
    let scaled = (u128::from(count) * u128::from(permille) + 500) / 1_000;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn saturating(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_plan::{Iterations, Spacing};
    use std::time::Duration;

    fn stage(arrivals: Arrivals) -> OpenStage {
        OpenStage {
            name: None,
            duration: Duration::from_secs(2),
            arrivals,
            spacing: Spacing::Uniform,
            max_users: None,
        }
    }

    #[test]
    fn every_kind_of_stage_scales() {
        let stages = vec![
            stage(Arrivals::Constant { per_second: 10.0 }),
            stage(Arrivals::Ramp {
                from: 0.0,
                to: 10.0,
            }),
            stage(Arrivals::Count(7)),
            stage(Arrivals::PerSecond(vec![3, 5])),
            stage(Arrivals::Pause),
        ];
        let load = Load::Open(OpenLoad::new(stages, 1).expect("a valid load"));
        for (permille, totals) in [
            (1_000, [20, 10, 7, 8, 0]),
            (2_000, [40, 20, 14, 16, 0]),
            (500, [10, 5, 4, 5, 0]),
            (0, [0, 0, 0, 0, 0]),
        ] {
            let Load::Open(scaled) = scaled(&load, permille, 1).expect("within the limits") else {
                panic!("an open load stays open");
            };
            let found: Vec<u64> = (0..5).map(|index| scaled.stage_total(index)).collect();
            assert_eq!(found, totals, "at {permille} permille");
            assert_eq!(scaled.duration(), load.duration());
        }
    }

    #[test]
    fn users_scale_but_not_to_none() {
        let stage = ClosedStage {
            name: None,
            duration: Duration::from_secs(2),
            from_users: 4,
            to_users: 8,
        };
        let load = ClosedLoad::new(vec![stage], Iterations::Unlimited).expect("a valid load");
        let load = Load::Closed(load);
        let Load::Closed(double) = scaled(&load, 2_000, 1).expect("within the limits") else {
            panic!("a closed load stays closed");
        };
        assert_eq!(
            (double.users_at(Duration::ZERO), double.max_users()),
            (9, 16)
        );
        assert_eq!(scaled(&load, 0, 1), Err(PlanError::NoUsers));
    }
}

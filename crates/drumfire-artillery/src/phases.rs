//! Load phases, with Artillery's number of arrivals in each.

use std::time::Duration;

use drumfire_plan::{Arrivals, OpenLoad, OpenStage, PlanError, Spacing};

use crate::source::Span;

/// Up to this rate a constant phase has Artillery's count, which comes from whole microseconds
/// between arrivals; above, the rounding would cost over a thousandth, and Artillery cannot follow
/// anyway.
const WHOLE_TICK_RATE_LIMIT: f64 = 1_000.0;

const MICROSECONDS_PER_SECOND: f64 = 1e6;

/// One phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// `name`.
    pub name: Option<String>,
    /// How long it lasts.
    pub duration: Duration,
    /// Who arrives in it.
    pub arrivals: PhaseArrivals,
    /// How arrivals are spread.
    pub mode: Mode,
    /// `maxVusers`: an arrival that finds so many users running is dropped and counted.
    pub max_users: Option<u32>,
    /// Where it was written.
    pub span: Span,
}

/// Who arrives in a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PhaseArrivals {
    /// Nobody.
    Pause,
    /// So many in each second.
    Rate(f64),
    /// From so many in the first second to so many in the last.
    Ramp(f64, f64),
    /// So many in all.
    Count(u64),
}

/// How arrivals are spread over their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Evenly.
    Uniform,
    /// With exponential gaps.
    Poisson,
}

/// The open load of `phases`; `None` when nobody ever arrives, which ends a run at once. `seed`
/// decides Poisson arrivals.
///
/// # Errors
///
/// When a phase is beyond the plan's limits.
pub fn open_load(phases: &[Phase], seed: u64) -> Result<Option<OpenLoad>, PlanError> {
    if phases.iter().all(|phase| phase.is_idle()) {
        return Ok(None);
    }
    OpenLoad::new(phases.iter().map(Phase::stage).collect(), seed).map(Some)
}

impl Phase {
    /// Whether nobody is meant to arrive.
    pub fn is_idle(&self) -> bool {
        self.arrivals == PhaseArrivals::Pause || self.max_users == Some(0)
    }

    /// The phase as a stage of open load.
    pub fn stage(&self) -> OpenStage {
        OpenStage {
            name: self.name.clone(),
            duration: self.duration,
            arrivals: self.plan_arrivals(),
            spacing: match (self.mode, self.arrivals) {
                (Mode::Poisson, PhaseArrivals::Rate(_)) => Spacing::Poisson,
                // Artillery knows Poisson arrivals at a constant rate only.
                _ => Spacing::Uniform,
            },
            max_users: self.max_users,
        }
    }

    fn plan_arrivals(&self) -> Arrivals {
        match self.arrivals {
            PhaseArrivals::Pause => Arrivals::Pause,
            PhaseArrivals::Count(count) => Arrivals::Count(count),
            PhaseArrivals::Rate(per_second) if self.mode == Mode::Poisson => {
                Arrivals::Constant { per_second }
            }
            PhaseArrivals::Rate(rate) => Arrivals::Count(constant_count(rate, self.duration)),
            PhaseArrivals::Ramp(from, to) => match self.seconds() {
                Some(seconds) => Arrivals::PerSecond(ramp_table(from, to, seconds)),
                None => Arrivals::Ramp { from, to },
            },
        }
    }

    /// How many arrive in all; `None` when chance decides.
    pub fn count(&self) -> Option<u64> {
        match self.arrivals {
            PhaseArrivals::Pause => Some(0),
            PhaseArrivals::Count(count) => Some(count),
            PhaseArrivals::Rate(_) if self.mode == Mode::Poisson => None,
            PhaseArrivals::Rate(rate) => Some(constant_count(rate, self.duration)),
            PhaseArrivals::Ramp(from, to) => Some(match self.seconds() {
                Some(seconds) => ramp_table(from, to, seconds)
                    .iter()
                    .map(|&count| u64::from(count))
                    .sum(),
                None => ((from + to) / 2.0 * self.duration.as_secs_f64()).floor() as u64,
            }),
        }
    }

    /// The duration when it is whole seconds, few enough for a table.
    fn seconds(&self) -> Option<u32> {
        /// The longest ramp kept second by second: a day.
        const TABLE_SECONDS_LIMIT: u64 = 86_400;
        let seconds = self.duration.as_secs();
        let whole =
            self.duration.subsec_nanos() == 0 && (1..=TABLE_SECONDS_LIMIT).contains(&seconds);
        whole.then_some(seconds as u32)
    }
}

/// Arrivals of a constant rate: whole microseconds between two, the first one gap after the start.
fn constant_count(rate: f64, duration: Duration) -> u64 {
    let duration_us = duration.as_secs_f64() * MICROSECONDS_PER_SECOND;
    if rate.fract() == 0.0 && rate <= WHOLE_TICK_RATE_LIMIT {
        let tick_us = (MICROSECONDS_PER_SECOND / rate).floor();
        return (duration_us / tick_us).floor() as u64;
    }
    // A hair of grace, so that 0.1/s over 30 s is 3 whatever binary fractions make of it.
    (duration_us * rate / MICROSECONDS_PER_SECOND + 1e-6).floor() as u64
}

/// Arrivals of a ramp, second by second: the rate grows by equal steps, the last second has the
/// final rate, and each second's rate is rounded.
fn ramp_table(from: f64, to: f64, seconds: u32) -> Vec<u32> {
    let round = |rate: f64| (rate + 0.5).floor().max(0.0) as u32;
    if seconds == 1 {
        return vec![round((from + to) / 2.0)];
    }
    let step = (to - from) / f64::from(seconds - 1);
    (0..seconds)
        .map(|second| round(step * f64::from(second) + from))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Sources;

    fn phase(arrivals: PhaseArrivals, seconds: f64) -> Phase {
        Phase {
            name: None,
            duration: Duration::from_secs_f64(seconds),
            arrivals,
            mode: Mode::Uniform,
            max_users: None,
            span: Span::start_of(Sources::default().add("a.yml", "")),
        }
    }

    fn planned(phase: &Phase) -> u64 {
        open_load(std::slice::from_ref(phase), 1)
            .expect("the phase is within limits")
            .map_or(0, |load| load.total())
    }

    /// Phases beside the arrivals that Artillery 2.0.34 made of them.
    #[test]
    fn counts_are_those_of_artillery() {
        for (arrivals, seconds, expected) in [
            (PhaseArrivals::Rate(3.0), 12.0, 36),
            (PhaseArrivals::Ramp(1.0, 6.0), 5.0, 18),
            (PhaseArrivals::Ramp(6.0, 1.0), 4.0, 14),
            (PhaseArrivals::Ramp(0.0, 3.0), 3.0, 5),
            (PhaseArrivals::Ramp(2.0, 5.5), 4.0, 15),
            (PhaseArrivals::Ramp(2.0, 9.0), 1.0, 6),
            (PhaseArrivals::Ramp(1.0, 10.0), 5.0, 28),
            (PhaseArrivals::Rate(4.0), 4.0, 16),
            (PhaseArrivals::Rate(300.0), 15.0, 4_500),
            (PhaseArrivals::Rate(7.0), 10.0, 70),
            (PhaseArrivals::Rate(700.0), 60.0, 42_016),
            (PhaseArrivals::Rate(1.0), 1.5, 1),
            (PhaseArrivals::Rate(0.5), 10.0, 5),
            (PhaseArrivals::Rate(0.1), 30.0, 3),
            (PhaseArrivals::Rate(30_000.0), 10.0, 300_000),
            (PhaseArrivals::Count(7), 2.0, 7),
            (PhaseArrivals::Pause, 5.0, 0),
        ] {
            let phase = phase(arrivals, seconds);
            assert_eq!(
                phase.count(),
                Some(expected),
                "{arrivals:?} over {seconds} s"
            );
            assert_eq!(
                planned(&phase),
                expected,
                "{arrivals:?} over {seconds} s, planned"
            );
        }
    }

    #[test]
    fn ramps_go_second_by_second() {
        for (from, to, seconds, expected) in [
            (1.0, 6.0, 5, vec![1, 2, 4, 5, 6]),
            (6.0, 1.0, 4, vec![6, 4, 3, 1]),
            (0.0, 3.0, 3, vec![0, 2, 3]),
            (2.0, 9.0, 1, vec![6]),
        ] {
            assert_eq!(ramp_table(from, to, seconds), expected);
        }
    }

    #[test]
    fn idle_phases_end_at_once() {
        let mut rate = phase(PhaseArrivals::Rate(5.0), 1.0);
        rate.max_users = Some(0);
        assert_eq!(
            open_load(&[phase(PhaseArrivals::Pause, 5.0), rate], 1),
            Ok(None)
        );
        assert_eq!(open_load(&[], 1), Ok(None));
    }

    proptest! {
        #[test]
        fn the_plan_has_the_promised_count(rate in 1u32..2_000, to in 0u32..200, seconds in 1u32..90) {
            let constant = phase(PhaseArrivals::Rate(f64::from(rate)), f64::from(seconds));
            prop_assert_eq!(constant.count(), Some(planned(&constant)));
            let ramp = phase(PhaseArrivals::Ramp(f64::from(rate % 200), f64::from(to)), f64::from(seconds));
            prop_assert_eq!(ramp.count(), Some(planned(&ramp)));
        }
    }
}

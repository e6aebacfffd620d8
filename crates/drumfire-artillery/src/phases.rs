//! Load phases, with Artillery's number of arrivals in each.

use std::time::Duration;

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

impl Phase {
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

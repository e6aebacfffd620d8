//! What goes wrong on purpose: stalls on a schedule, and errors, resets and delays by chance.
//! Pure: time and chance are arguments.

use std::str::FromStr;
use std::time::Duration;

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::delay::{Delay, unit};
use crate::duration;
use crate::options::TargetOptions;

/// The server answers nothing for `stall` at the start of every `period`, counted from its own
/// start; written `1s/5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallSchedule {
    stall: Duration,
    period: Duration,
}

/// Why a text is no schedule of stalls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the stall schedule `{text}`: {reason}\nhint: 1s/5s stalls for 1 s every 5 s")]
pub struct StallError {
    text: String,
    reason: String,
}

impl StallSchedule {
    /// When, counted from the server's start, a request that arrives at `elapsed` is answered;
    /// `None` where the server does not stall at that time.
    pub fn stall_until(&self, elapsed: Duration) -> Option<Duration> {
        let into_period_ns = elapsed.as_nanos() % self.period.as_nanos();
        let left_ns = self.stall.as_nanos().checked_sub(into_period_ns)?;
        (left_ns > 0).then(|| elapsed + Duration::from_nanos(left_ns as u64))
    }
}

impl FromStr for StallSchedule {
    type Err = StallError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: String| StallError {
            text: text.to_owned(),
            reason,
        };
        let (stall, period) = text
            .split_once('/')
            .ok_or_else(|| refuse("no `/`".to_owned()))?;
        let stall = duration::parse(stall).map_err(refuse)?;
        let period = duration::parse(period).map_err(refuse)?;
        if stall.is_zero() || stall >= period {
            return Err(refuse(
                "the stall is not shorter than its period".to_owned(),
            ));
        }
        Ok(Self { stall, period })
    }
}

/// What the options ask to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    pub(crate) stall: Option<StallSchedule>,
    delay: Option<Delay>,
    error_rate: f64,
    reset_rate: f64,
    seed: u64,
}

/// What goes wrong with one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Fate {
    pub(crate) verdict: FateVerdict,
    pub(crate) delay: Duration,
}

/// How one request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FateVerdict {
    Answer,
    Error,
    Reset,
}

impl Faults {
    pub(crate) fn new(options: &TargetOptions) -> Self {
        Self {
            stall: options.stall,
            delay: options.delay,
            error_rate: options.error_rate,
            reset_rate: options.reset_rate,
            seed: options.seed,
        }
    }

    /// The randomness of one request: the same for the same seed and ordinal, so that a run
    /// against one connection repeats.
    pub(crate) fn chance(&self, ordinal: u64) -> Xoshiro256PlusPlus {
        // The odd constant spreads neighbours; the seeding mixes them.
        Xoshiro256PlusPlus::seed_from_u64(self.seed ^ ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// What goes wrong with one request, from its randomness.
    pub(crate) fn fate(&self, chance: &mut Xoshiro256PlusPlus) -> Fate {
        let verdict = if unit(chance) < self.reset_rate {
            FateVerdict::Reset
        } else if unit(chance) < self.error_rate {
            FateVerdict::Error
        } else {
            FateVerdict::Answer
        };
        let delay = self
            .delay
            .map_or(Duration::ZERO, |delay| delay.draw(chance));
        Fate { verdict, delay }
    }
}

/// Reads a probability, from 0 to 1.
pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err(format!("`{text}` is no rate between 0 and 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stalls_end_at_the_end_of_the_stall() {
        let schedule: StallSchedule = "1s/5s".parse().expect("a schedule");
        let table = [
            (0, Some(1_000)),
            (1, Some(1_000)),
            (999, Some(1_000)),
            (1_000, None),
            (4_999, None),
            (5_000, Some(6_000)),
            (5_250, Some(6_000)),
            (6_000, None),
            (3_600_000, Some(3_601_000)),
        ];
        for (elapsed_ms, until_ms) in table {
            assert_eq!(
                schedule.stall_until(Duration::from_millis(elapsed_ms)),
                until_ms.map(Duration::from_millis),
                "{elapsed_ms} ms"
            );
        }
    }

    #[test]
    fn uniform_arrivals_over_whole_periods_wait_as_the_truth_says() {
        let schedule: StallSchedule = "1s/5s".parse().expect("a schedule");
        let mut waits_us: Vec<u128> = (0..1_000_u64)
            .map(|k| Duration::from_millis(10 * k))
            .map(|at| {
                schedule
                    .stall_until(at)
                    .map_or(0, |until| (until - at).as_micros())
            })
            .collect();
        waits_us.sort_unstable();
        let mean_us = waits_us.iter().sum::<u128>() / 1_000;
        assert_eq!(mean_us, 101_000);
        assert_eq!(
            [900, 950, 990].map(|rank: usize| waits_us[rank]),
            [510_000, 760_000, 960_000]
        );
    }

    #[test]
    fn schedules_that_never_answer_are_refused() {
        for text in ["1s", "0s/5s", "5s/5s", "6s/5s", "x/5s", "1s/"] {
            assert!(text.parse::<StallSchedule>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_stall_ends_within_its_length(elapsed_us in 0_u64..1_000_000_000) {
            let schedule: StallSchedule = "100ms/700ms".parse().expect("a schedule");
            let elapsed = Duration::from_micros(elapsed_us);
            if let Some(until) = schedule.stall_until(elapsed) {
                prop_assert!(until > elapsed && until - elapsed <= Duration::from_millis(100));
                prop_assert_eq!(schedule.stall_until(until), None);
            }
        }
    }

    #[test]
    fn rates_hold_over_many_requests_and_repeat_with_the_seed() {
        let faults = Faults {
            stall: None,
            delay: None,
            error_rate: 0.1,
            reset_rate: 0.2,
            seed: 42,
        };
        let verdicts = || (0..20_000).map(|k| faults.fate(&mut faults.chance(k)).verdict);
        let count = |wanted| verdicts().filter(|verdict| *verdict == wanted).count();
        assert!((3_800..4_200).contains(&count(FateVerdict::Reset)));
        // the error rate holds among the requests that are not reset
        assert!((1_450..1_750).contains(&count(FateVerdict::Error)));
        assert!(verdicts().eq(verdicts()));
    }

    #[test]
    fn rates_are_between_nothing_and_all() {
        let table = [
            ("0", Some(0.0)),
            ("0.01", Some(0.01)),
            ("1", Some(1.0)),
            ("1.1", None),
            ("-0.1", None),
            ("NaN", None),
            ("x", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_rate(text).ok(), expected, "{text}");
        }
    }
}

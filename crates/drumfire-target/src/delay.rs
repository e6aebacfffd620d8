//! How long an answer is held back: a distribution, drawn from with the request's own randomness.

use std::f64::consts::TAU;
use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::duration;

/// No answer is held back longer than this, whatever was drawn.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// A distribution of delays, written `fixed:100ms`, `uniform:10ms..50ms`, `normal:100ms,20ms`
/// (mean, deviation), `exponential:50ms` (mean) or `lognormal:50ms,0.5` (median, sigma).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Every delay between the two is as likely.
    Uniform {
        /// The shortest.
        low: Duration,
        /// The longest.
        high: Duration,
    },
    /// The bell curve, cut off at zero.
    Normal {
        /// Its centre.
        mean: Duration,
        /// Its standard deviation.
        deviation: Duration,
    },
    /// Many short ones and a long tail.
    Exponential {
        /// The average.
        mean: Duration,
    },
    /// The shape that most services have.
    LogNormal {
        /// Half of the delays are shorter.
        median: Duration,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
}

/// Why a text is no distribution of delays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read the delay `{text}`: {reason}\nhint: fixed:100ms, uniform:10ms..50ms, \
     normal:100ms,20ms, exponential:50ms or lognormal:50ms,0.5"
)]
pub struct DelayError {
    text: String,
    reason: String,
}

impl Delay {
    /// Draws one delay, at most ten minutes.
    pub(crate) fn draw(&self, chance: &mut Xoshiro256PlusPlus) -> Duration {
        let seconds = match *self {
            Delay::Fixed(delay) => delay.as_secs_f64(),
            Delay::Uniform { low, high } => {
                low.as_secs_f64() + (high - low).as_secs_f64() * unit(chance)
            }
            Delay::Normal { mean, deviation } => {
                mean.as_secs_f64() + deviation.as_secs_f64() * bell(chance)
            }
            Delay::Exponential { mean } => -mean.as_secs_f64() * (1.0 - unit(chance)).ln(),
            Delay::LogNormal { median, sigma } => {
                median.as_secs_f64() * (sigma * bell(chance)).exp()
            }
        };
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_DELAY.as_secs_f64()))
    }
}

/// A number in [0, 1).
pub(crate) fn unit(chance: &mut Xoshiro256PlusPlus) -> f64 {
    (chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number from the standard normal distribution (Box and Muller's way, one of the pair).
fn bell(chance: &mut Xoshiro256PlusPlus) -> f64 {
    let radius = (-2.0 * (1.0 - unit(chance)).ln()).sqrt();
    radius * (TAU * unit(chance)).cos()
}

impl FromStr for Delay {
    type Err = DelayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| DelayError {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, rest) = text.split_once(':').ok_or_else(|| refuse("no `:`"))?;
        let length = |part: &str| duration::parse(part).map_err(|reason| refuse(&reason));
        let pair = |separator: &str| {
            rest.split_once(separator)
                .ok_or_else(|| refuse(&format!("`{name}` takes two values, {separator} between")))
        };
        match name.trim() {
            "fixed" => Ok(Delay::Fixed(length(rest)?)),
            "exponential" => Ok(Delay::Exponential {
                mean: length(rest)?,
            }),
            "uniform" => {
                let (low, high) = pair("..")?;
                let (low, high) = (length(low)?, length(high)?);
                if low > high {
                    return Err(refuse("the low end is above the high end"));
                }
                Ok(Delay::Uniform { low, high })
            }
            "normal" => {
                let (mean, deviation) = pair(",")?;
                Ok(Delay::Normal {
                    mean: length(mean)?,
                    deviation: length(deviation)?,
                })
            }
            "lognormal" => {
                let (median, sigma) = pair(",")?;
                let sigma: f64 = sigma
                    .trim()
                    .parse()
                    .map_err(|_| refuse("sigma is no number"))?;
                if !(0.0..=10.0).contains(&sigma) {
                    return Err(refuse("sigma is not between 0 and 10"));
                }
                Ok(Delay::LogNormal {
                    median: length(median)?,
                    sigma,
                })
            }
            _ => Err(refuse("no such distribution")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn specifications_are_read() {
        let ms = Duration::from_millis;
        let table = [
            ("fixed:100ms", Delay::Fixed(ms(100))),
            (
                "uniform:10ms..50ms",
                Delay::Uniform {
                    low: ms(10),
                    high: ms(50),
                },
            ),
            (
                "normal:100ms,20ms",
                Delay::Normal {
                    mean: ms(100),
                    deviation: ms(20),
                },
            ),
            ("exponential:50ms", Delay::Exponential { mean: ms(50) }),
            (
                "lognormal:50ms,0.5",
                Delay::LogNormal {
                    median: ms(50),
                    sigma: 0.5,
                },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let table = [
            ("100ms", "no `:`"),
            ("gamma:1s", "no such distribution"),
            ("uniform:5ms", "takes two values"),
            ("uniform:5ms..1ms", "above the high end"),
            ("normal:5ms,x", "is no duration"),
            ("lognormal:5ms,x", "sigma is no number"),
            ("lognormal:5ms,11", "between 0 and 10"),
        ];
        for (text, reason) in table {
            let error = text.parse::<Delay>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn draws_have_the_mean_of_their_distribution() {
        let table = [
            ("fixed:100ms", 100.0),
            ("uniform:10ms..50ms", 30.0),
            ("normal:100ms,20ms", 100.0),
            ("exponential:50ms", 50.0),
            // exp(sigma squared / 2) above the median
            ("lognormal:50ms,0.5", 56.66),
        ];
        for (text, mean_ms) in table {
            let delay: Delay = text.parse().expect(text);
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(7);
            let draws = 40_000;
            let total: Duration = (0..draws).map(|_| delay.draw(&mut chance)).sum();
            let measured_ms = total.as_secs_f64() * 1e3 / f64::from(draws);
            assert!(
                (measured_ms - mean_ms).abs() < mean_ms * 0.02,
                "{text}: {measured_ms}"
            );
        }
    }
}

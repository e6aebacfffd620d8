//! One smooth piece of A(t): a line, a ramp or nothing, with its exact inverse.
//!
//! Mass is the count of arrivals expected so far, in units of 1 / (2 * 10^18) of an
//! arrival. With rates in billionths of an arrival per second and times in
//! nanoseconds, every piece has a whole number of units, so pieces add up without
//! rounding however long a test runs.

use std::cmp::Ordering;

/// Arrivals expected, in units of 1 / [`MASS_PER_ARRIVAL`].
pub(crate) type Mass = u128;

/// Units of [`Mass`] in one arrival.
pub(crate) const MASS_PER_ARRIVAL: Mass = 2 * NANOS_PER_SECOND * NANOS_PER_SECOND;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// How the rate of arrivals goes over a piece; rates are in billionths of an arrival per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    /// No arrivals.
    Flat,
    /// A constant rate.
    Rate { nano_per_second: u64 },
    /// A rate that changes linearly.
    Ramp { from_nano: u64, to_nano: u64 },
    /// A whole count spread evenly.
    Even { count: u64 },
}

/// A curve over a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) curve: Curve,
    pub(crate) length_ns: u64,
}

impl Segment {
    /// The mass of the whole segment, exact.
    pub(crate) fn mass(&self) -> Mass {
        let length = u128::from(self.length_ns);
        match self.curve {
            Curve::Flat => 0,
            Curve::Rate { nano_per_second } => 2 * u128::from(nano_per_second) * length,
            Curve::Ramp { from_nano, to_nano } => {
                (u128::from(from_nano) + u128::from(to_nano)) * length
            }
            Curve::Even { count } => u128::from(count) * MASS_PER_ARRIVAL,
        }
    }

    /// The mass of the first `at_ns` nanoseconds, rounded up to a unit; `at_ns` is at most the length.
    pub(crate) fn mass_at(&self, at_ns: u64) -> Mass {
        let at = u128::from(at_ns);
        match self.curve {
            Curve::Flat => 0,
            Curve::Rate { nano_per_second } => 2 * u128::from(nano_per_second) * at,
            Curve::Ramp { from_nano, to_nano } => self.ramp_mass_at(from_nano, to_nano, at_ns),
            Curve::Even { .. } => {
                let (floor, rest) = scale(self.mass(), at_ns, self.length_ns);
                floor + u128::from(rest)
            }
        }
    }

    /// The last nanosecond at which no more than `mass` has come; `mass` is below the whole.
    ///
    /// Rounding down at a whole nanosecond makes "arrivals before t" and "time of
    /// arrival k" exact inverses: arrival k is before t just when A(t) > k.
    pub(crate) fn time_at(&self, mass: Mass) -> u64 {
        debug_assert!(mass < self.mass(), "{mass} lies outside {self:?}");
        match self.curve {
            Curve::Flat => self.length_ns,
            Curve::Rate { nano_per_second } => narrow(mass / (2 * u128::from(nano_per_second))),
            Curve::Ramp { from_nano, to_nano } => self.ramp_time_at(from_nano, to_nano, mass),
            Curve::Even { count } => self.even_time_at(count, mass),
        }
    }

    /// 2 a t + (b - a) t^2 / D, the last term rounded so that the sum is rounded up.
    fn ramp_mass_at(&self, from_nano: u64, to_nano: u64, at_ns: u64) -> Mass {
        let at = u128::from(at_ns);
        let line = 2 * u128::from(from_nano) * at;
        let (bend, rest) = scale(
            u128::from(from_nano.abs_diff(to_nano)) * at,
            at_ns,
            self.length_ns,
        );
        match to_nano.cmp(&from_nano) {
            Ordering::Less => line - bend,
            _ => line + bend + u128::from(rest),
        }
    }

    /// Solves the quadratic in floating point, then settles the nanosecond on exact masses.
    fn ramp_time_at(&self, from_nano: u64, to_nano: u64, mass: Mass) -> u64 {
        let mut at_ns = self.ramp_time_near(from_nano, to_nano, mass);
        while at_ns > 0 && !self.ramp_within(from_nano, to_nano, at_ns, mass) {
            at_ns -= 1;
        }
        while at_ns + 1 < self.length_ns && self.ramp_within(from_nano, to_nano, at_ns + 1, mass) {
            at_ns += 1;
        }
        at_ns
    }

    /// Whether no more than `mass` has come by `at_ns`: [`Segment::mass_at`] compared without
    /// its divisions, which would cost more than all the rest of an arrival.
    fn ramp_within(&self, from_nano: u64, to_nano: u64, at_ns: u64, mass: Mass) -> bool {
        let at = u128::from(at_ns);
        let line = 2 * u128::from(from_nano) * at;
        let bend = product(u128::from(from_nano.abs_diff(to_nano)) * at, at_ns);
        let gap = product(line.abs_diff(mass), self.length_ns);
        match to_nano.cmp(&from_nano) {
            Ordering::Less => line <= mass || gap <= bend,
            _ => line <= mass && bend <= gap,
        }
    }

    /// The time to within a few nanoseconds. A falling ramp is solved from its end,
    /// as a rising one, so that no two large numbers are ever subtracted.
    fn ramp_time_near(&self, from_nano: u64, to_nano: u64, mass: Mass) -> u64 {
        let length = self.length_ns as f64;
        let slope = from_nano.abs_diff(to_nano) as f64 / length;
        let rising = |low_nano: u64, mass: Mass| {
            let (low, mass) = (low_nano as f64, mass as f64);
            let time = mass / (low + (low * low + slope * mass).sqrt());
            // No mass on a ramp from zero is 0 / 0.
            if time.is_nan() { 0.0 } else { time }
        };
        let time = match to_nano.cmp(&from_nano) {
            Ordering::Less => length - rising(to_nano, self.mass() - mass),
            _ => rising(from_nano, mass),
        };
        (time as u64).min(self.length_ns - 1)
    }

    /// D * mass / (count * units), by long division where the product would overflow.
    fn even_time_at(&self, count: u64, mass: Mass) -> u64 {
        let (length, count) = (u128::from(self.length_ns), u128::from(count));
        let whole = length * (mass / MASS_PER_ARRIVAL);
        let part = mass % MASS_PER_ARRIVAL;
        if part == 0 {
            return narrow(whole / count);
        }
        let rest = (whole % count) * MASS_PER_ARRIVAL + length * part;
        narrow(whole / count + rest / (count * MASS_PER_ARRIVAL))
    }
}

/// `value * part / whole` rounded down, and whether anything was rounded off; exact for `part <= whole`.
fn scale(value: u128, part: u64, whole: u64) -> (u128, bool) {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let quotient = value / whole;
    let rest = (value - quotient * whole) * part;
    let low = rest / whole;
    (quotient * part + low, low * whole != rest)
}

/// A product of up to 192 bits, as its high 128 and its low 64.
fn product(a: u128, b: u64) -> (u128, u64) {
    let b = u128::from(b);
    let low = u128::from(a as u64) * b;
    ((a >> 64) * b + (low >> 64), low as u64)
}

fn narrow(time_ns: u128) -> u64 {
    u64::try_from(time_ns).expect("a time inside a segment is at most its length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HUNDRED_DAYS_NS: u64 = 100 * 86_400 * 1_000_000_000;

    fn any_curve() -> impl Strategy<Value = Curve> {
        let nano = || prop_oneof![Just(0), 1..1000_u64, 1..=1_000_000_000_000_000_000_u64];
        prop_oneof![
            (1..=1_000_000_000_000_000_000_u64)
                .prop_map(|nano_per_second| Curve::Rate { nano_per_second }),
            (1..=1_000_000_000_000_u64).prop_map(|count| Curve::Even { count }),
            (nano(), nano())
                .prop_filter("a slope", |(from, to)| from != to)
                .prop_map(|(from_nano, to_nano)| Curve::Ramp { from_nano, to_nano }),
        ]
    }

    /// A segment and a mass below its whole; beside every magnitude of mass, those near both ends.
    fn any_segment_and_mass() -> impl Strategy<Value = (Segment, Mass)> {
        let length_ns = prop_oneof![1..100_u64, 1..=HUNDRED_DAYS_NS];
        (any_curve(), length_ns, any::<u128>(), 0..128_u32).prop_flat_map(
            |(curve, length_ns, bits, shift)| {
                let segment = Segment { curve, length_ns };
                let near_start = (bits >> shift) % segment.mass();
                let near_end = segment.mass() - 1 - near_start;
                (Just(segment), prop_oneof![Just(near_start), Just(near_end)])
            },
        )
    }

    proptest! {
        #[test]
        fn time_is_the_last_nanosecond_with_no_more_than_the_mass((segment, mass) in any_segment_and_mass()) {
            let at_ns = segment.time_at(mass);
            prop_assert!(at_ns < segment.length_ns);
            prop_assert!(segment.mass_at(at_ns) <= mass, "at {} ns", at_ns);
            prop_assert!(segment.mass_at(at_ns + 1) > mass, "after {} ns", at_ns);
        }

        #[test]
        fn masses_run_from_nothing_to_the_whole((segment, _) in any_segment_and_mass()) {
            prop_assert_eq!(segment.mass_at(0), 0);
            prop_assert_eq!(segment.mass_at(segment.length_ns), segment.mass());
        }

        #[test]
        fn the_estimate_of_a_ramp_is_near_enough_to_settle((segment, mass) in any_segment_and_mass()) {
            if let Curve::Ramp { from_nano, to_nano } = segment.curve {
                let near = segment.ramp_time_near(from_nano, to_nano, mass);
                let exact = segment.ramp_time_at(from_nano, to_nano, mass);
                prop_assert!(near.abs_diff(exact) <= 8, "{} beside {} ns", near, exact);
            }
        }
    }
}

//! Stretches of a run in which the generator, and not the target, was the
//! limit.
//!
//! A healthy generator must never be flagged, a saturated one always. So one late
//! arrival on a busy machine is not enough: a stretch of late arrivals or late
//! timers counts when it is sustained (it goes on through two intervals, or
//! holds most of the values of one) or grave (a p99 of [`GRAVE_US`]).
//!
//! A processor that is full counts only while the shard also falls behind. A
//! closed loop at full speed always fills it, and then each response is still
//! stamped in time; that the throughput is the generator's and
//! not the target's is a note ([`full_processor_note`]), not a saturation.

use crate::{DropReason, Histogram, Interval};
use std::fmt;

/// Lateness or lag at p99 above which an interval is behind, in microseconds.
pub const BEHIND_US: u64 = 10_000;
/// Lateness or lag at p99 from which a single interval is enough, in microseconds.
pub const GRAVE_US: u64 = 100_000;
/// Late values that a stretch needs unless it is grave.
pub const BEHIND_LEAST: u64 = 10;
/// Share of a shard's processor from which it counts as full.
pub const PROCESSOR_FULL: f64 = 0.95;
/// Intervals with a full processor from which a note is due.
pub const PROCESSOR_NOTE_INTERVALS: usize = 3;

/// Why the generator was the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaturationCause {
    /// Arrivals started late.
    Late,
    /// Timers of the event loop fired late.
    LoopLag,
    /// A shard had no processor time left, and fell behind.
    Processor,
    /// No file descriptor was left.
    Descriptors,
    /// No local port was left.
    Ports,
    /// It held as many users as it can, and dropped iterations.
    Users,
}

/// A stretch of the run in which the generator was the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Saturation {
    /// Why.
    pub cause: SaturationCause,
    /// Start, microseconds since the run's start.
    pub start_us: u64,
    /// End.
    pub end_us: u64,
    /// Worst p99 of the cause in the stretch in microseconds (late, lag), percent
    /// of the busiest shard's processor, or how many times it happened
    /// (descriptors, ports, users).
    pub worst: u64,
}

/// Every stretch in which the generator was the limit, by cause and time.
/// Stretches of one cause that only one good interval parts are one.
pub fn saturations(timeline: &[Interval]) -> Vec<Saturation> {
    let late = behind(timeline, |at| &at.snapshot.iterations.lateness_us);
    let lagging = behind(timeline, |at| &at.snapshot.health.loop_lag_us);
    let full = full_and_behind(timeline, &late, &lagging);
    let descriptors = events(timeline, |at| at.snapshot.health.descriptors_exhausted);
    let ports = events(timeline, |at| at.snapshot.health.ports_exhausted);
    let users = events(timeline, |at| {
        let dropped = &at.snapshot.iterations.dropped;
        dropped.get(&DropReason::Generator).copied().unwrap_or(0)
    });
    [
        (SaturationCause::Late, late),
        (SaturationCause::LoopLag, lagging),
        (SaturationCause::Processor, full),
        (SaturationCause::Descriptors, descriptors),
        (SaturationCause::Ports, ports),
        (SaturationCause::Users, users),
    ]
    .into_iter()
    .flat_map(|(cause, stretches)| {
        stretches.into_iter().map(move |stretch| Saturation {
            cause,
            start_us: timeline[stretch.first].snapshot.start_us,
            end_us: timeline[stretch.last].snapshot.end_us,
            worst: stretch.worst,
        })
    })
    .collect()
}

/// Says where a shard's processor was full although it kept up: a note for
/// the reader, since the target might have taken more.
pub fn full_processor_note(timeline: &[Interval]) -> Option<String> {
    let shares = timeline.iter().map(|at| at.snapshot.health.busiest_shard);
    let full = shares.filter(|share| *share >= PROCESSOR_FULL).count();
    let behind = saturations(timeline)
        .iter()
        .any(|s| s.cause == SaturationCause::Processor);
    (full >= PROCESSOR_NOTE_INTERVALS && !behind).then(|| {
        format!(
            "a shard used its whole processor in {full} of {} intervals and kept up: the target might take more than this generator gives",
            timeline.len()
        )
    })
}

/// Joins two lists of stretches: those of one cause that meet become one.
pub(crate) fn join(ours: &[Saturation], theirs: &[Saturation]) -> Vec<Saturation> {
    let mut all: Vec<Saturation> = ours.iter().chain(theirs).cloned().collect();
    all.sort_by_key(|s| (s.cause, s.start_us, s.end_us));
    let mut joined: Vec<Saturation> = Vec::new();
    for next in all {
        match joined.last_mut() {
            Some(last) if last.cause == next.cause && next.start_us <= last.end_us => {
                last.end_us = last.end_us.max(next.end_us);
                last.worst = match last.cause {
                    SaturationCause::Descriptors
                    | SaturationCause::Ports
                    | SaturationCause::Users => last.worst + next.worst,
                    SaturationCause::Late
                    | SaturationCause::LoopLag
                    | SaturationCause::Processor => last.worst.max(next.worst),
                };
            }
            _ => joined.push(next),
        }
    }
    joined
}

impl fmt::Display for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (Seconds(self.start_us), Seconds(self.end_us));
        write!(f, "generator saturated from {start} to {end}: ")?;
        let worst = self.worst;
        match self.cause {
            SaturationCause::Late => write!(f, "late by p99 {} ms", round_ms(worst)),
            SaturationCause::LoopLag => {
                write!(f, "event loop behind by p99 {} ms", round_ms(worst))
            }
            SaturationCause::Processor => write!(f, "a shard used {worst} % of its processor"),
            SaturationCause::Descriptors => write!(f, "no file descriptor left {worst} times"),
            SaturationCause::Ports => write!(f, "no local port left {worst} times"),
            SaturationCause::Users => write!(f, "no room for {worst} more users"),
        }
    }
}

/// Neighbouring intervals, by their places in the timeline, both included.
#[derive(Debug)]
struct Stretch {
    first: usize,
    last: usize,
    /// Intervals that are themselves bad (a good one may lie between).
    bad: usize,
    worst: u64,
    /// Late values, or events.
    late: u64,
    /// Whether an interval is enough by itself.
    enough: bool,
}

fn behind(timeline: &[Interval], of: impl Fn(&Interval) -> &Histogram) -> Vec<Stretch> {
    let signal = |at: &Interval| {
        let histogram = of(at);
        let p99 = histogram.quantile(0.99);
        let late = histogram.count() - histogram.count_at_or_below(BEHIND_US);
        let enough = p99 >= GRAVE_US || (late >= BEHIND_LEAST && late * 2 >= histogram.count());
        (p99 > BEHIND_US && late > 0).then_some((p99, late, enough))
    };
    let mut stretches = stretches(timeline, signal, u64::max);
    stretches.retain(|s| s.enough || (s.bad >= 2 && s.late >= BEHIND_LEAST));
    stretches
}

fn full_and_behind(timeline: &[Interval], late: &[Stretch], lagging: &[Stretch]) -> Vec<Stretch> {
    let places = late.iter().chain(lagging).flat_map(|s| s.first..=s.last);
    let behind: std::collections::BTreeSet<usize> = places.collect();
    let mut place = 0;
    let signal = |at: &Interval| {
        let is_behind = behind.contains(&place);
        place += 1;
        let share = at.snapshot.health.busiest_shard;
        (is_behind && share >= PROCESSOR_FULL).then_some(((share * 100.0).round() as u64, 1, true))
    };
    stretches(timeline, signal, u64::max)
}

fn events(timeline: &[Interval], of: impl Fn(&Interval) -> u64) -> Vec<Stretch> {
    let signal = |at: &Interval| Some(of(at)).filter(|n| *n > 0).map(|n| (n, n, true));
    stretches(timeline, signal, |a, b| a + b)
}

/// Puts bad intervals (worst value, late values, whether one is enough) together.
fn stretches(
    timeline: &[Interval],
    mut signal: impl FnMut(&Interval) -> Option<(u64, u64, bool)>,
    worse: impl Fn(u64, u64) -> u64,
) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for (place, at) in timeline.iter().enumerate() {
        let Some((worst, late, enough)) = signal(at) else {
            continue;
        };
        match found.last_mut() {
            Some(stretch) if place - stretch.last <= 2 => {
                stretch.last = place;
                stretch.bad += 1;
                stretch.worst = worse(stretch.worst, worst);
                stretch.late += late;
                stretch.enough |= enough;
            }
            _ => found.push(Stretch {
                first: place,
                last: place,
                bad: 1,
                worst,
                late,
                enough,
            }),
        }
    }
    found
}

/// `12 s`, or `12.5 s` where it is not a whole second.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 + 50_000) / 100_000;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(f, "{whole} s"),
            (whole, tenth) => write!(f, "{whole}.{tenth} s"),
        }
    }
}

fn round_ms(us: u64) -> u64 {
    (us + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Snapshot;

    /// One second with so many arrivals, so many of them late, by so many milliseconds.
    fn second(arrivals: u64, late: u64, late_ms: u64) -> Interval {
        let mut at = Interval {
            planned: arrivals as f64,
            snapshot: Snapshot::default(),
        };
        let lateness = &mut at.snapshot.iterations.lateness_us;
        lateness.record_n(80, arrivals - late);
        lateness.record_n(late_ms * 1000, late);
        at
    }

    fn with(mut at: Interval, change: impl Fn(&mut crate::GeneratorHealth)) -> Interval {
        change(&mut at.snapshot.health);
        at
    }

    /// A second in which so many iterations found no room.
    fn full(dropped: u64) -> Interval {
        let mut at = second(1000, 0, 0);
        let reasons = &mut at.snapshot.iterations.dropped;
        reasons.insert(DropReason::Generator, dropped);
        at
    }

    fn busy(at: Interval, share: f64) -> Interval {
        with(at, |health| health.busiest_shard = share)
    }

    fn lagging(at: Interval, ticks: u64, lag_ms: u64) -> Interval {
        with(at, |health| {
            health.loop_lag_us.record_n(60, 50 - ticks);
            health.loop_lag_us.record_n(lag_ms * 1000, ticks);
        })
    }

    fn timeline(seconds: Vec<Interval>) -> Vec<Interval> {
        let mut seconds = seconds;
        for (place, at) in seconds.iter_mut().enumerate() {
            at.snapshot.start_us = place as u64 * 1_000_000;
            at.snapshot.end_us = at.snapshot.start_us + 1_000_000;
        }
        seconds
    }

    fn said(seconds: Vec<Interval>) -> Vec<String> {
        saturations(&timeline(seconds))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_healthy_generator_is_not_flagged() {
        let good = || second(1000, 0, 0);
        let cases: Vec<(&str, Vec<Interval>)> = vec![
            ("nothing", vec![]),
            ("nobody arrives", vec![second(0, 0, 0); 5]),
            ("in time", vec![good(); 60]),
            ("late below the limit", vec![second(1000, 900, 9); 60]),
            ("under one in a hundred", vec![second(1000, 9, 50); 60]),
            (
                "one hiccup",
                vec![good(), second(1000, 40, 30), good(), good()],
            ),
            (
                "one slow arrival of few",
                vec![second(2, 0, 0), second(2, 1, 30), second(2, 0, 0)],
            ),
            ("two hiccups far apart", {
                let hiccup = || second(1000, 40, 30);
                vec![hiccup(), good(), good(), hiccup()]
            }),
            (
                "closed loop at full speed",
                vec![busy(lagging(good(), 0, 0), 1.0); 60],
            ),
            (
                "a single late timer",
                vec![lagging(good(), 1, 40), good(), good()],
            ),
        ];
        for (name, seconds) in cases {
            assert_eq!(said(seconds), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_saturated_generator_is_flagged() {
        let good = || second(1000, 0, 0);
        let late = |ms| second(1000, 200, ms);
        let cases: Vec<(&str, Vec<Interval>, Vec<&str>)> = vec![
            (
                "late for a while",
                vec![good(), late(20), late(85), late(40), good()],
                vec!["generator saturated from 1 s to 4 s: late by p99 85 ms"],
            ),
            (
                "one good second between",
                vec![late(20), good(), late(30)],
                vec!["generator saturated from 0 s to 3 s: late by p99 30 ms"],
            ),
            (
                "two stretches",
                vec![late(20), late(20), good(), good(), late(30), late(30)],
                vec![
                    "generator saturated from 0 s to 2 s: late by p99 20 ms",
                    "generator saturated from 4 s to 6 s: late by p99 30 ms",
                ],
            ),
            (
                "one grave second",
                vec![good(), second(1000, 50, 700), good()],
                vec!["generator saturated from 1 s to 2 s: late by p99 700 ms"],
            ),
            (
                "most of one second",
                vec![good(), second(1000, 600, 15), good()],
                vec!["generator saturated from 1 s to 2 s: late by p99 15 ms"],
            ),
            (
                "few arrivals, all of them late",
                vec![second(5, 5, 15), second(5, 5, 15)],
                vec!["generator saturated from 0 s to 2 s: late by p99 15 ms"],
            ),
            (
                "a full processor that falls behind",
                vec![
                    busy(late(20), 0.99),
                    busy(late(30), 0.97),
                    busy(good(), 0.99),
                ],
                vec![
                    "generator saturated from 0 s to 2 s: late by p99 30 ms",
                    "generator saturated from 0 s to 2 s: a shard used 99 % of its processor",
                ],
            ),
            (
                "a loop that lags under closed load",
                vec![lagging(second(0, 0, 0), 10, 45); 4],
                vec!["generator saturated from 0 s to 4 s: event loop behind by p99 45 ms"],
            ),
            (
                "no descriptors and no ports",
                vec![
                    good(),
                    with(good(), |health| health.descriptors_exhausted = 3),
                    with(good(), |health| {
                        health.descriptors_exhausted = 4;
                        health.ports_exhausted = 2;
                    }),
                ],
                vec![
                    "generator saturated from 1 s to 3 s: no file descriptor left 7 times",
                    "generator saturated from 2 s to 3 s: no local port left 2 times",
                ],
            ),
            (
                "as many users as it can hold",
                vec![good(), full(3), full(4)],
                vec!["generator saturated from 1 s to 3 s: no room for 7 more users"],
            ),
        ];
        for (name, seconds, expected) in cases {
            assert_eq!(said(seconds), expected, "{name}");
        }
    }

    #[test]
    fn a_full_processor_alone_is_a_note() {
        let at = |share| busy(second(1000, 0, 0), share);
        let late = || busy(second(1000, 200, 50), 1.0);
        for (seconds, noted) in [
            (vec![at(0.5); 9], false),
            (vec![at(1.0), at(1.0), at(0.9)], false),
            (vec![at(1.0), at(0.96), at(0.9), at(1.0)], true),
            (vec![late(), late(), late()], false),
        ] {
            let note = full_processor_note(&timeline(seconds));
            assert_eq!(note.is_some(), noted, "{note:?}");
        }
    }

    #[test]
    fn stretches_of_two_agents_join_where_they_meet() {
        let stretch = |cause, start, end, worst| Saturation {
            cause,
            start_us: start,
            end_us: end,
            worst,
        };
        use SaturationCause::{Late, Ports};
        let ours = [stretch(Late, 0, 5, 20), stretch(Ports, 3, 4, 1)];
        let theirs = [
            stretch(Late, 4, 9, 10),
            stretch(Late, 12, 13, 7),
            stretch(Ports, 4, 5, 2),
        ];
        let expected = [
            stretch(Late, 0, 9, 20),
            stretch(Late, 12, 13, 7),
            stretch(Ports, 3, 5, 3),
        ];
        assert_eq!(join(&ours, &theirs), expected);
        assert_eq!(join(&theirs, &ours), expected);
    }
}

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

use crate::{DropReason, Histogram, Interval, Snapshot};
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
    /// Which agent it was, where agents shared the run and not all of them together were the limit.
    pub agent: Option<WorstAgent>,
}

/// Whom a stretch of a shared run is laid at the door of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstAgent {
    /// The name of the one that fared worst.
    pub name: String,
    /// How many others were the limit in the same stretch.
    pub others: u32,
}

/// Every stretch in which the generator was the limit, by cause and time.
/// Stretches of one cause that only one good interval parts are one.
pub fn saturations(timeline: &[Interval]) -> Vec<Saturation> {
    let signs = timeline.iter().map(|at| Signs::of(&at.snapshot));
    judged(&signs.collect::<Vec<_>>())
}

/// [`saturations`], by the signs of neighbouring intervals.
pub(crate) fn judged(signs: &[Signs]) -> Vec<Saturation> {
    let late = behind(signs, |at| at.late);
    let lagging = behind(signs, |at| at.lag);
    let full = full_and_behind(signs, &late, &lagging);
    let descriptors = events(signs, |at| at.descriptors);
    let ports = events(signs, |at| at.ports);
    let users = events(signs, |at| at.users);
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
            start_us: signs[stretch.first].start_us,
            end_us: signs[stretch.last].end_us,
            worst: stretch.worst,
            agent: None,
        })
    })
    .collect()
}

/// Says where a shard's processor was full although it kept up: a note for
/// the reader, since the target might have taken more.
pub fn full_processor_note(timeline: &[Interval]) -> Option<String> {
    let signs = timeline.iter().map(|at| Signs::of(&at.snapshot));
    let full = signs.filter(Signs::are_full).count();
    let behind = saturations(timeline)
        .iter()
        .any(|s| s.cause == SaturationCause::Processor);
    let note = || processor_note("a shard", full as u64, timeline.len() as u64);
    (full >= PROCESSOR_NOTE_INTERVALS && !behind).then(note)
}

/// Says that `whose` shard was full in so many intervals.
pub(crate) fn processor_note(whose: &str, full: u64, intervals: u64) -> String {
    format!(
        "{whose} used its whole processor in {full} of {intervals} intervals and kept up: the target might take more than this generator gives"
    )
}

/// Joins two lists of stretches: those of one cause that meet become one.
pub(crate) fn join(ours: &[Saturation], theirs: &[Saturation]) -> Vec<Saturation> {
    let mut all: Vec<Saturation> = ours.iter().chain(theirs).cloned().collect();
    all.sort_by_key(|s| (s.cause, s.start_us, s.end_us));
    let mut joined: Vec<Saturation> = Vec::new();
    for next in all {
        match joined.last_mut() {
            Some(last) if last.meets(&next) => last.join(next),
            _ => joined.push(next),
        }
    }
    joined
}

impl Saturation {
    /// Whether both are of one cause and no time lies between them.
    pub(crate) fn meets(&self, other: &Saturation) -> bool {
        self.cause == other.cause && self.start_us <= other.end_us && other.start_us <= self.end_us
    }

    /// Adds one that meets it.
    fn join(&mut self, other: Saturation) {
        self.start_us = self.start_us.min(other.start_us);
        self.end_us = self.end_us.max(other.end_us);
        let others = |stretch: &Saturation| stretch.agent.as_ref().map_or(0, |a| a.others + 1);
        let agents = others(self) + others(&other);
        if other.worst > self.worst && other.agent.is_some() || self.agent.is_none() {
            self.agent = other.agent;
        }
        if let Some(agent) = &mut self.agent {
            agent.others = agents - 1;
        }
        self.worst = if self.cause.is_counted() {
            self.worst + other.worst
        } else {
            self.worst.max(other.worst)
        };
    }
}

impl SaturationCause {
    /// Whether its worst value says how many times it happened.
    pub(crate) fn is_counted(self) -> bool {
        match self {
            Self::Descriptors | Self::Ports | Self::Users => true,
            Self::Late | Self::LoopLag | Self::Processor => false,
        }
    }
}

impl fmt::Display for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (Seconds(self.start_us), Seconds(self.end_us));
        write!(f, "generator saturated from {start} to {end}")?;
        if let Some(agent) = &self.agent {
            write!(f, " on {agent}")?;
        }
        f.write_str(": ")?;
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

impl fmt::Display for WorstAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.others {
            0 => f.write_str(&self.name),
            1 => write!(f, "{} and 1 more agent", self.name),
            n => write!(f, "{} and {n} more agents", self.name),
        }
    }
}

/// What one interval says of the generator: little enough to be kept where the interval itself is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Signs {
    start_us: u64,
    end_us: u64,
    late: Option<Behind>,
    lag: Option<Behind>,
    busiest_shard: f64,
    descriptors: u64,
    ports: u64,
    users: u64,
}

/// How far behind an interval was.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Behind {
    p99_us: u64,
    /// Values that are late.
    late: u64,
    /// Whether the interval is enough by itself.
    enough: bool,
}

impl Signs {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let health = &snapshot.health;
        let dropped = &snapshot.iterations.dropped;
        Self {
            start_us: snapshot.start_us,
            end_us: snapshot.end_us,
            late: Behind::of(&snapshot.iterations.lateness_us),
            lag: Behind::of(&health.loop_lag_us),
            busiest_shard: health.busiest_shard,
            descriptors: health.descriptors_exhausted,
            ports: health.ports_exhausted,
            users: dropped.get(&DropReason::Generator).copied().unwrap_or(0),
        }
    }

    /// Whether no stretch can begin or go on here.
    pub(crate) fn are_good(&self) -> bool {
        let events = self.descriptors + self.ports + self.users;
        self.late.is_none() && self.lag.is_none() && events == 0
    }

    /// Whether a shard had no processor time left.
    pub(crate) fn are_full(&self) -> bool {
        self.busiest_shard >= PROCESSOR_FULL
    }
}

impl Behind {
    /// None where it was not.
    fn of(histogram: &Histogram) -> Option<Self> {
        let p99_us = histogram.quantile(0.99);
        if p99_us <= BEHIND_US {
            return None;
        }
        let late = histogram.count() - histogram.count_at_or_below(BEHIND_US);
        let most = late >= BEHIND_LEAST && late * 2 >= histogram.count();
        (late > 0).then_some(Self {
            p99_us,
            late,
            enough: p99_us >= GRAVE_US || most,
        })
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

fn behind(signs: &[Signs], of: impl Fn(&Signs) -> Option<Behind>) -> Vec<Stretch> {
    let signal = |at: &Signs| of(at).map(|behind| (behind.p99_us, behind.late, behind.enough));
    let mut stretches = stretches(signs, signal, u64::max);
    stretches.retain(|s| s.enough || (s.bad >= 2 && s.late >= BEHIND_LEAST));
    stretches
}

fn full_and_behind(signs: &[Signs], late: &[Stretch], lagging: &[Stretch]) -> Vec<Stretch> {
    let places = late.iter().chain(lagging).flat_map(|s| s.first..=s.last);
    let behind: std::collections::BTreeSet<usize> = places.collect();
    let mut place = 0;
    let signal = |at: &Signs| {
        let is_behind = behind.contains(&place);
        place += 1;
        let percent = (at.busiest_shard * 100.0).round() as u64;
        (is_behind && at.are_full()).then_some((percent, 1, true))
    };
    stretches(signs, signal, u64::max)
}

fn events(signs: &[Signs], of: impl Fn(&Signs) -> u64) -> Vec<Stretch> {
    let signal = |at: &Signs| Some(of(at)).filter(|n| *n > 0).map(|n| (n, n, true));
    stretches(signs, signal, |a, b| a + b)
}

/// Puts bad intervals (worst value, late values, whether one is enough) together.
fn stretches(
    signs: &[Signs],
    mut signal: impl FnMut(&Signs) -> Option<(u64, u64, bool)>,
    worse: impl Fn(u64, u64) -> u64,
) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for (place, at) in signs.iter().enumerate() {
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
            agent: None,
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

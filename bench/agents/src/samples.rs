//! What simulated agents report of their requests. A few hundred different seconds of an agent are drawn from a distribution
//! once, intervals of other lengths are put together from these once, and each report is one of them with its own iterations:
//! drawing millions of samples a second would measure the simulation.

use crate::arguments::Arguments;
use crate::engine::Part;
use drumfire_metrics::{DropReason, EndpointStats, Snapshot};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Different seconds, and different intervals of each other length.
const SECONDS: u64 = 256;
const INTERVALS: usize = 64;

/// Of so many requests one is answered with an error's status.
const ERROR_EVERY: u64 = 50;

/// Series of an endpoint: a counter of its answers and three histograms of their times.
const SERIES_OF_ENDPOINT: u32 = 4;

/// The median of an endpoint's answers, in microseconds, and how far they spread: a factor of e for each.
const MEDIAN_US: f64 = 20_000.0;
const SPREAD: f64 = 0.6;

/// What of an answer's time passes before its first byte.
const FIRST_BYTE: f64 = 0.9;

/// Timers whose lateness a generator notes in a second.
const TIMERS: u64 = 100;

/// Most of what an arrival may be late by, in microseconds.
const LATE_US: u64 = 200;

const BODY_BYTES: u64 = 2_000;
const HEAD_BYTES: u64 = 200;
const SECOND_NS: u64 = 1_000_000_000;

/// Intervals to report, without iterations.
pub struct Samples {
    seconds: Rc<[Snapshot]>,
    /// By length in seconds.
    intervals: RefCell<HashMap<u64, Rc<[Snapshot]>>>,
}

impl Samples {
    /// Draws them.
    pub fn draw(arguments: &Arguments) -> Self {
        let endpoints = arguments.series.get().div_ceil(SERIES_OF_ENDPOINT);
        let requests = arguments.requests.get();
        let second = |seed| Dice(SplitMix64::seed_from_u64(seed)).second(endpoints, requests);
        Self {
            seconds: (0..SECONDS).map(second).collect(),
            intervals: RefCell::default(),
        }
    }

    /// An interval with exactly the iterations of a part.
    pub fn snapshot(&self, part: &Part) -> Snapshot {
        let length = part.to_ns.saturating_sub(part.from_ns).div_ceil(SECOND_NS);
        let intervals = self.of_length(length.max(1));
        let mut dice = Dice(SplitMix64::seed_from_u64(part.from_ns ^ part.started << 40));
        let mut snapshot = dice.pick(&intervals).clone();
        snapshot.start_us = part.from_ns / 1_000;
        snapshot.end_us = part.to_ns.div_ceil(1_000);
        dice.iterate(&mut snapshot, part);
        snapshot
    }

    fn of_length(&self, seconds: u64) -> Rc<[Snapshot]> {
        if seconds == 1 {
            return Rc::clone(&self.seconds);
        }
        let mut intervals = self.intervals.borrow_mut();
        let made = intervals.entry(seconds).or_insert_with(|| {
            let mut dice = Dice(SplitMix64::seed_from_u64(seconds));
            let interval = |_| dice.interval(&self.seconds, seconds);
            (0..INTERVALS).map(interval).collect()
        });
        Rc::clone(made)
    }
}

struct Dice(SplitMix64);

impl Dice {
    fn pick<'a>(&mut self, intervals: &'a [Snapshot]) -> &'a Snapshot {
        &intervals[self.below(intervals.len() as u64) as usize]
    }

    fn interval(&mut self, seconds: &[Snapshot], length: u64) -> Snapshot {
        let mut interval = self.pick(seconds).clone();
        for _ in 1..length {
            interval.append(self.pick(seconds));
        }
        interval.pack();
        interval
    }

    fn second(&mut self, endpoints: u32, requests: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for number in 0..endpoints {
            let name = format!("GET /shop/section-{number:02}/items");
            let median_us = MEDIAN_US * (1.0 + f64::from(number) / 10.0);
            snapshot
                .endpoints
                .insert(name, self.endpoint(median_us, requests));
        }
        snapshot.health.cpu_us = self.below(500_000);
        snapshot.health.cpu_available_us = 1_000_000;
        snapshot.health.busiest_shard = 0.5;
        snapshot.health.memory_bytes = 30 << 20;
        snapshot.health.sockets = 100;
        snapshot.health.users = 100;
        for _ in 0..TIMERS {
            let lag_us = self.below(LATE_US);
            snapshot.health.loop_lag_us.record(lag_us);
        }
        snapshot.pack();
        snapshot
    }

    fn endpoint(&mut self, median_us: f64, requests: u64) -> EndpointStats {
        let mut stats = EndpointStats {
            requests,
            body_bytes: requests * BODY_BYTES,
            sent_bytes: requests * HEAD_BYTES,
            ..EndpointStats::default()
        };
        for request in 0..requests {
            let code = match request % ERROR_EVERY {
                0 => 500,
                _ => 200,
            };
            *stats.codes.entry(code).or_default() += 1;
            let service_us = median_us * (SPREAD * self.bell()).exp();
            let class = usize::from(code / 100);
            stats.first_byte_us[class].record((service_us * FIRST_BYTE) as u64);
            stats.service_us.record(service_us as u64);
            let intended_us = service_us as u64 + self.below(LATE_US);
            stats.intended_us.record(intended_us);
        }
        stats
    }

    fn iterate(&mut self, snapshot: &mut Snapshot, part: &Part) {
        let iterations = &mut snapshot.iterations;
        iterations.started = part.started;
        iterations.completed = part.started;
        for _ in 0..part.started {
            let duration_us = MEDIAN_US * (SPREAD * self.bell()).exp();
            iterations.duration_us.record(duration_us as u64);
            iterations.lateness_us.record(self.below(LATE_US));
        }
        if part.dropped > 0 {
            let dropped = (DropReason::AgentLost, part.dropped);
            iterations.dropped.extend([dropped]);
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Near enough to the standard normal distribution: the sum of twelve even ones.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_report_has_the_series_and_iterations_that_are_asked_for() {
        let words = ["agents", "--nats", "", "--agents", "1", "--arrivals", "1"];
        let words = words.iter().chain(&["--duration", "1", "--series", "8"]);
        let samples = Samples::draw(&Arguments::parse_from(words));
        let part = Part {
            from_ns: SECOND_NS,
            to_ns: 4 * SECOND_NS,
            started: 7,
            dropped: 2,
            last: false,
        };
        let snapshot = samples.snapshot(&part);
        assert_eq!((snapshot.start_us, snapshot.end_us), (1_000_000, 4_000_000));
        assert_eq!(snapshot.endpoints.len(), 2);
        for stats in snapshot.endpoints.values() {
            let answered = stats.responses();
            let times = [
                stats.all_first_byte_us().count(),
                stats.service_us.count(),
                stats.intended_us.count(),
            ];
            assert_eq!((answered, times), (300, [300; 3]));
        }
        let iterations = &snapshot.iterations;
        assert_eq!((iterations.started, iterations.dropped_total()), (7, 2));
        assert_eq!(iterations.duration_us.count(), iterations.completed);
    }
}

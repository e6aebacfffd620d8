//! A run for tests: real samples through a real recorder, so that what the
//! reports are tested on is what an engine would hand them.

use drumfire_metrics::{
    Agent, AgentClock, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, DropReason,
    Histogram, Interval, Outcome, Phases, Recorder, RunFacts, Sample, Saturation, SaturationCause,
    SaturationWatch, Snapshot, StageFacts, StartSkew, Summary, ThresholdOutcome, Unit, Verdict,
};

const SECOND_US: u64 = 1_000_000;
/// 2026-11-22 10:00:03.500 UTC: off the edges of Artillery's windows.
const STARTED_AT_US: u64 = 1_795_341_603_500_000;

/// A small linear congruential source: chance that is the same everywhere.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in 0..1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a demo run looks like.
pub(crate) struct Demo {
    pub(crate) seconds: u64,
    pub(crate) arrivals_per_s: u64,
    pub(crate) endpoints: &'static [&'static str],
    /// Service times are stretched by this.
    pub(crate) slowness: f64,
    /// From this second to that one the target stalls and the generator is late.
    pub(crate) stall_s: std::ops::Range<u64>,
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            seconds: 24,
            arrivals_per_s: 20,
            endpoints: &["/", "/items/{id} (item)", "/login"],
            slowness: 1.0,
            stall_s: 12..15,
        }
    }
}

/// The default demo run.
pub(crate) fn demo_summary() -> Summary {
    Demo::default().run()
}

impl Demo {
    pub(crate) fn run(&self) -> Summary {
        let mut summary = Summary {
            facts: self.facts(),
            verdict: self.verdict(),
            ..Summary::default()
        };
        let mut recorder = Recorder::new();
        let mut chance = Chance::new(7);
        for second in 0..self.seconds {
            self.play(second, &mut recorder, &mut chance);
            let mut snapshot = recorder.take(second * SECOND_US, (second + 1) * SECOND_US);
            self.set_health(second, &mut snapshot, &mut chance);
            summary.push(Interval {
                planned: self.planned(second) as f64,
                snapshot,
            });
        }
        summary
    }

    /// What an agent sees of the run, second by second.
    fn seconds(&self, seed: u64) -> Vec<Snapshot> {
        let mut recorder = Recorder::new();
        let mut chance = Chance::new(seed);
        let second = |second| {
            self.play(second, &mut recorder, &mut chance);
            let mut snapshot = recorder.take(second * SECOND_US, (second + 1) * SECOND_US);
            self.set_health(second, &mut snapshot, &mut chance);
            snapshot
        };
        (0..self.seconds).map(second).collect()
    }

    fn facts(&self) -> RunFacts {
        let half = self.seconds / 2 * SECOND_US;
        let stage = |name: Option<&str>, start_us, end_us, planned| StageFacts {
            name: name.map(str::to_owned),
            start_us,
            end_us,
            planned: Some(planned),
        };
        let planned = |range: std::ops::Range<u64>| range.map(|s| self.planned(s)).sum();
        let middle = self.seconds / 2;
        RunFacts {
            run_id: "t0demo".into(),
            title: "shop.yml".into(),
            target: "http://127.0.0.1:8080".into(),
            version: "0.1.0".into(),
            started_at_us: STARTED_AT_US,
            duration_us: self.seconds * SECOND_US,
            planned: Some(planned(0..self.seconds)),
            stages: vec![
                stage(Some("warm up"), 0, half, planned(0..middle)),
                stage(
                    None,
                    half,
                    self.seconds * SECOND_US,
                    planned(middle..self.seconds),
                ),
            ],
            shards: 2,
            host: "localhost".into(),
        }
    }

    fn verdict(&self) -> Verdict {
        let threshold = |text: &str, passed, strict, value| ThresholdOutcome {
            text: text.to_owned(),
            passed,
            strict,
            value,
            aborted_at_us: None,
        };
        let saturation = Saturation {
            cause: SaturationCause::Late,
            start_us: self.stall_s.start * SECOND_US,
            end_us: self.stall_s.end * SECOND_US,
            worst: 85_000,
            agent: None,
        };
        Verdict {
            thresholds: vec![
                threshold("http.response_time.p95 < 200", true, true, Some(112.4)),
                threshold("http.response_time.p99 < 100", false, true, Some(388.0)),
                threshold("nothing.here < 1", false, false, None),
            ],
            saturations: if self.stall_s.is_empty() {
                vec![]
            } else {
                vec![saturation]
            },
            notes: vec![],
        }
    }

    /// Half the rate in the first stage.
    fn planned(&self, second: u64) -> u64 {
        if second < self.seconds / 2 {
            self.arrivals_per_s / 2
        } else {
            self.arrivals_per_s
        }
    }

    fn play(&self, second: u64, recorder: &mut Recorder, chance: &mut Chance) {
        let stalled = self.stall_s.contains(&second);
        let dropped = if stalled {
            self.planned(second) / 10
        } else {
            0
        };
        recorder.iterations_dropped(DropReason::UserCap, dropped);
        let ok = recorder.counter("plugins.expect.ok.statusCode");
        let failed = recorder.counter("plugins.expect.failed.statusCode");
        let satisfied = recorder.counter("apdex.satisfied");
        let tolerated = recorder.counter("apdex.tolerated");
        let frustrated = recorder.counter("apdex.frustrated");
        let basket = recorder.histogram("basket.items", Unit::Number);
        let ticks = recorder.rate("basket.rate");
        for _ in dropped..self.planned(second) {
            let late_ns = (chance.next() * if stalled { 90e6 } else { 0.2e6 }) as u64;
            recorder.iteration_started(late_ns);
            let mut length_ns = 0;
            for (place, name) in self.endpoints.iter().enumerate() {
                let sample = self.sample(place, late_ns, stalled, chance);
                length_ns += sample.service_ns();
                let good = matches!(sample.outcome, Outcome::Status(code) if code < 400);
                recorder.add(if good { ok } else { failed }, 1);
                let apdex = if sample.service_ns() < 100_000_000 {
                    satisfied
                } else {
                    tolerated
                };
                recorder.add(apdex, 1);
                recorder.add(frustrated, 0);
                let endpoint = recorder.endpoint(name);
                recorder.request(endpoint);
                recorder.sample(endpoint, &sample);
            }
            recorder.observe(basket, 1 + (chance.next() * 5.0) as u64);
            recorder.tick(ticks);
            if chance.next() < 0.02 {
                recorder.error("Failed capture or match");
                recorder.iteration_failed();
            } else {
                recorder.iteration_completed(length_ns);
            }
        }
    }

    fn sample(&self, place: usize, late_ns: u64, stalled: bool, chance: &mut Chance) -> Sample {
        let tail = -chance.next().max(1e-9).ln();
        let base_ms = (place + 1) as f64 * 4.0 + tail * 12.0 + if stalled { 250.0 } else { 0.0 };
        let service_ns = (base_ms * self.slowness * 1e6) as u64;
        let start_ns = 1_000_000_000 + late_ns;
        let dice = chance.next();
        let outcome = match dice {
            d if d < 0.01 => Outcome::Error("ETIMEDOUT".into()),
            d if d < 0.02 => Outcome::Error("ECONNRESET".into()),
            d if d < 0.05 => Outcome::Status(503),
            d if d < 0.10 => Outcome::Status(404),
            _ => Outcome::Status(200),
        };
        Sample {
            intended_ns: 1_000_000_000,
            start_ns,
            end_ns: start_ns + service_ns,
            phases: Phases {
                first_byte_ns: service_ns * 9 / 10,
                connect_ns: 180_000,
                ..Phases::default()
            },
            connected: place == 0,
            outcome,
            body_bytes: 512 + place as u64 * 1_000,
            sent_bytes: 180,
        }
    }

    fn set_health(&self, second: u64, snapshot: &mut Snapshot, chance: &mut Chance) {
        let stalled = self.stall_s.contains(&second);
        let share = 0.2 + chance.next() * 0.1 + if stalled { 0.65 } else { 0.0 };
        let health = &mut snapshot.health;
        health.cpu_available_us = 2 * SECOND_US;
        health.cpu_us = (share * 2e6) as u64;
        health.busiest_shard = (share + 0.04).min(1.0);
        health.memory_bytes = (24 << 20) + second * 40_000;
        health.users = self.planned(second) / 4 + if stalled { 30 } else { 0 };
        health.sockets = health.users;
        health.loop_lag_us = Histogram::new();
        for _ in 0..50 {
            let lag = chance.next() * if stalled { 40_000.0 } else { 120.0 };
            health.loop_lag_us.record(lag as u64);
        }
    }
}

/// A demo run of so many agents, each as large. The second is lost after two thirds, and a last one comes after a third; only
/// the second stalls.
pub(crate) fn shared(count: u64, demo: &Demo) -> Summary {
    let mut summary = Summary {
        facts: demo.facts(),
        ..Summary::default()
    };
    let mut agents = Agents::default();
    let mut whole = vec![Snapshot::default(); demo.seconds as usize];
    let (came, went) = (demo.seconds / 3, demo.seconds * 2 / 3);
    for number in 1..=count {
        let own = Demo {
            stall_s: if number == 2 {
                demo.stall_s.clone()
            } else {
                0..0
            },
            ..*demo
        };
        let there = match number {
            2 => 0..went,
            _ if number == count => came..demo.seconds,
            _ => 0..demo.seconds,
        };
        let (mut row, mut watch) = (agent(number), SaturationWatch::default());
        let seconds = own.seconds(number).into_iter().zip(&mut whole);
        for (second, (mut snapshot, whole)) in (0..).zip(seconds) {
            if !there.contains(&second) {
                let planned = if second < there.start {
                    0
                } else {
                    demo.planned(second)
                };
                snapshot = Snapshot::default();
                let dropped = &mut snapshot.iterations.dropped;
                dropped.insert(DropReason::AgentLost, planned);
            }
            row.append(&snapshot, &mut watch);
            whole.merge(&snapshot);
        }
        row.start_late_ns = row.start_late_ns.filter(|_| there.start == 0);
        agents.rows.insert(id(number), row);
    }
    for (second, mut snapshot) in (0..).zip(whole) {
        (snapshot.start_us, snapshot.end_us) = (second * SECOND_US, (second + 1) * SECOND_US);
        let planned = (demo.planned(second) * count) as f64;
        summary.push(Interval { planned, snapshot });
    }
    set_membership(&mut agents, count, came, went);
    let iterations = &summary.total.iterations;
    summary.facts.planned = Some(iterations.started + iterations.dropped_total());
    agents.settle(&iterations.dropped);
    summary.agents = Some(agents);
    summary.verdict = Verdict::judge(&summary, demo.verdict().thresholds, None);
    summary
}

fn id(number: u64) -> AgentId {
    AgentId {
        name: format!("agent-{number}").into(),
        life: 1,
    }
}

fn agent(number: u64) -> Agent {
    Agent {
        version: "0.1.0".into(),
        capacity: 1,
        weight: u32::from(number != 2),
        ending: match number {
            2 => AgentEnding::Lost,
            _ => AgentEnding::Stayed,
        },
        clock: Some(AgentClock {
            error_ns: 20_000 + number * 100,
            offset_ns: number as i64 * 1_234_567 - 3_000_000,
        }),
        start_late_ns: Some(40_000 + number * 3_000),
        ..Agent::default()
    }
}

fn set_membership(agents: &mut Agents, count: u64, came: u64, went: u64) {
    let weights = |there: &dyn Fn(u64) -> bool| {
        let numbers: Vec<u64> = (1..=count).filter(|number| there(*number)).collect();
        numbers.into_iter().map(|number| (Some(id(number)), 1))
    };
    agents.begin_epoch(0, 0, 1_000, weights(&|number| number < count));
    agents.begin_epoch(1, came * SECOND_US, 1_000, weights(&|_| true));
    agents.begin_epoch(
        2,
        went * SECOND_US + 300_000,
        1_000,
        weights(&|number| number != 2),
    );
    let second = SECOND_US as i64;
    let event = |at_us, kind, number| AgentEvent {
        at_us,
        kind,
        agent: Some(id(number)),
        others: 0,
        reason: None,
    };
    for number in 1..count {
        agents.note(event(
            number as i64 - 3 * second,
            AgentEventKind::Announced,
            number,
        ));
    }
    agents.note(event(came as i64 * second, AgentEventKind::Joined, count));
    agents.note(event(went as i64 * second, AgentEventKind::Silent, 2));
    agents.start_skew = Some(StartSkew {
        skew_ns: 3_000 * (count - 1),
        error_ns: 41_300,
    });
}

//! Whole runs on simulated time: what is planned, started, dropped and ended
//! adds up, whatever the number of shards and however the run ends.

use drumfire_engine::{
    Control, Event, Iteration, IterationEnd, IterationFuture, Outcome, Program, ProgramError,
    ProgramHealth, Settings, Shard, ShardProgram, StopReason, Tenure, VirtualUser, run_simulated,
};
use drumfire_metrics::{DropReason, Summary};
use drumfire_plan::{
    Arrivals, ClosedLoad, ClosedStage, Iterations, Load, OpenLoad, OpenStage, Plan, Scenario,
    Share, Spacing,
};
use drumfire_reactor::sleep;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Users that only think; every third fails if asked to.
struct Thinking {
    think: Duration,
    fail_every: Option<u64>,
    /// Numbers of the iterations seen, over all shards. A lock, since shards are
    /// threads and this is a test.
    seen: Arc<Mutex<BTreeSet<u64>>>,
}

impl Program for Thinking {
    fn open(&self, _: Shard) -> Result<Rc<dyn ShardProgram>, ProgramError> {
        Ok(Rc::new(ThinkingShard {
            think: self.think,
            fail_every: self.fail_every,
            seen: self.seen.clone(),
        }))
    }
}

#[derive(Clone)]
struct ThinkingShard {
    think: Duration,
    fail_every: Option<u64>,
    seen: Arc<Mutex<BTreeSet<u64>>>,
}

impl ShardProgram for ThinkingShard {
    fn user(&self, _: u64) -> Box<dyn VirtualUser> {
        Box::new(self.clone())
    }
    fn health(&self) -> ProgramHealth {
        ProgramHealth::default()
    }
}

impl VirtualUser for ThinkingShard {
    fn iterate(&mut self, iteration: Iteration) -> IterationFuture<'_> {
        assert!(self.seen.lock().unwrap().insert(iteration.number));
        Box::pin(async move {
            sleep(self.think).await;
            match self.fail_every {
                Some(every) if iteration.number.is_multiple_of(every) => IterationEnd::Failed,
                _ => IterationEnd::Completed,
            }
        })
    }
}

struct Case {
    load: Load,
    think_ms: u64,
    fail_every: Option<u64>,
    shards: u32,
    grace_after_end: Option<Duration>,
    grace_after_stop: Duration,
    max_duration: Option<Duration>,
}

impl Case {
    fn of(load: Load, think_ms: u64, shards: u32) -> Self {
        Case {
            load,
            think_ms,
            fail_every: None,
            shards,
            grace_after_end: None,
            grace_after_stop: Duration::from_secs(30),
            max_duration: None,
        }
    }

    fn run(self) -> (Outcome, Vec<Event>) {
        let seen = Arc::new(Mutex::default());
        let program: Arc<dyn Program> = Arc::new(Thinking {
            think: Duration::from_millis(self.think_ms),
            fail_every: self.fail_every,
            seen: seen.clone(),
        });
        let plan = Arc::new(Plan {
            name: "test".into(),
            scenarios: vec![Scenario {
                name: "only".into(),
                weight: 1,
            }],
            load: self.load,
            seed: 1,
        });
        let settings = Settings {
            shards: NonZeroU32::new(self.shards).unwrap(),
            grace_after_end: self.grace_after_end,
            grace_after_stop: self.grace_after_stop,
            max_duration: self.max_duration,
            ahead: None,
            prepare_limit: Duration::from_secs(60),
        };
        let mut events = Vec::new();
        let mut observer = |event: &Event, _: &Summary| {
            events.push(event.clone());
            None
        };
        let outcome = run_simulated(
            &plan,
            &Tenure::of(Share::whole()),
            &program,
            &settings,
            &Control::default(),
            &mut observer,
        )
        .unwrap();
        let started = outcome.summary.total.iterations.started;
        assert_eq!(seen.lock().unwrap().len() as u64, started);
        if let Some(planned) = outcome.summary.facts.planned {
            let dropped: u64 = outcome.summary.total.iterations.dropped.values().sum();
            assert_eq!(planned, started + dropped, "planned = started + dropped");
        }
        (outcome, events)
    }
}

fn open(stages: &[(u64, Arrivals, Option<u32>)]) -> Load {
    let stages = stages.iter().map(|(seconds, arrivals, cap)| OpenStage {
        name: None,
        duration: Duration::from_secs(*seconds),
        arrivals: arrivals.clone(),
        spacing: Spacing::Uniform,
        max_users: *cap,
    });
    Load::Open(OpenLoad::new(stages.collect(), 7).unwrap())
}

fn closed(seconds: u64, users: u32, iterations: Iterations) -> Load {
    let stage = ClosedStage {
        name: None,
        duration: Duration::from_secs(seconds),
        from_users: users,
        to_users: users,
    };
    Load::Closed(ClosedLoad::new(vec![stage], iterations).unwrap())
}

#[test]
fn constant_arrivals_all_start_on_time_and_end() {
    for shards in [1, 2, 3] {
        let load = open(&[(10, Arrivals::Constant { per_second: 100.0 }, None)]);
        let (outcome, events) = Case::of(load, 50, shards).run();
        let total = &outcome.summary.total.iterations;
        assert_eq!(
            (total.started, total.completed, total.failed),
            (1000, 1000, 0)
        );
        assert_eq!(total.lateness_us.max(), 0, "simulated time is never late");
        assert!((50_000..50_100).contains(&total.duration_us.max()));
        let per_second: Vec<_> = outcome
            .summary
            .timeline
            .iter()
            .take(10)
            .map(|interval| (interval.planned, interval.snapshot.iterations.started))
            .collect();
        assert_eq!(per_second, vec![(100.0, 100); 10], "{shards} shards");
        assert_eq!(outcome.stopped, None);
        let intervals = events.iter().filter(|e| **e == Event::Interval).count();
        assert_eq!(intervals, outcome.summary.timeline.len());
        assert_eq!(events.first(), Some(&Event::Started));
        assert_eq!(events.last(), Some(&Event::Finished));
    }
}

#[test]
fn failures_are_counted_apart() {
    let load = open(&[(3, Arrivals::Count(30), None)]);
    let mut case = Case::of(load, 10, 2);
    case.fail_every = Some(3);
    let (outcome, _) = case.run();
    let total = &outcome.summary.total.iterations;
    assert_eq!((total.started, total.completed, total.failed), (30, 20, 10));
    assert_eq!(total.duration_us.count(), 20);
}

/// 4 per second for 4 s, sessions of 2 s, a cap of 3: the reference's example.
#[test]
fn a_cap_on_users_drops_and_never_queues() {
    let load = open(&[(4, Arrivals::Constant { per_second: 4.0 }, Some(3))]);
    let (outcome, _) = Case::of(load, 2000, 1).run();
    let total = &outcome.summary.total.iterations;
    assert_eq!(total.started, 6);
    assert_eq!(total.dropped[&DropReason::UserCap], 10);
}

#[test]
fn a_cap_smaller_than_the_shards_takes_fewer_shards() {
    let load = open(&[(4, Arrivals::Constant { per_second: 4.0 }, Some(1))]);
    let (outcome, _) = Case::of(load, 100, 8).run();
    assert_eq!(outcome.summary.facts.shards, 1);
    assert_eq!(outcome.summary.total.iterations.started, 16);
}

#[test]
fn the_longest_duration_drops_what_was_not_due_and_lets_the_rest_finish() {
    for shards in [1, 4] {
        let load = open(&[(100, Arrivals::Constant { per_second: 10.0 }, None)]);
        let mut case = Case::of(load, 1500, shards);
        case.max_duration = Some(Duration::from_millis(5050));
        let (outcome, events) = case.run();
        let total = &outcome.summary.total.iterations;
        assert_eq!((total.started, total.completed), (51, 51));
        assert_eq!(total.dropped[&DropReason::Stopped], 949);
        assert_eq!(outcome.stopped, Some(StopReason::MaxDuration));
        assert!(events.contains(&Event::Stopping(StopReason::MaxDuration)));
        assert!((6_500_000..6_600_000).contains(&outcome.summary.facts.duration_us));
    }
}

#[test]
fn the_grace_after_a_stop_interrupts_who_is_still_running() {
    let load = open(&[(100, Arrivals::Constant { per_second: 10.0 }, None)]);
    let mut case = Case::of(load, 60_000, 2);
    case.max_duration = Some(Duration::from_millis(2050));
    case.grace_after_stop = Duration::from_secs(1);
    let (outcome, _) = case.run();
    let total = &outcome.summary.total.iterations;
    assert_eq!(
        (total.started, total.interrupted, total.completed),
        (21, 21, 0)
    );
    assert!((3_050_000..3_100_000).contains(&outcome.summary.facts.duration_us));
}

#[test]
fn the_grace_after_the_end_interrupts_too() {
    let load = open(&[(2, Arrivals::Count(8), None)]);
    let mut case = Case::of(load, 60_000, 1);
    case.grace_after_end = Some(Duration::from_millis(500));
    let (outcome, events) = case.run();
    assert_eq!(outcome.summary.total.iterations.interrupted, 8);
    assert_eq!(outcome.stopped, None);
    assert!(events.contains(&Event::Draining { users: 8 }));
}

#[test]
fn stages_are_announced_in_order() {
    let pause = (1, Arrivals::Pause, None);
    let load = open(&[
        (1, Arrivals::Count(2), None),
        pause,
        (1, Arrivals::Count(2), None),
    ]);
    let (_, events) = Case::of(load, 1, 1).run();
    let stages: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::StageStarted { index, at_us } => Some(('s', *index, *at_us)),
            Event::StageEnded { index, at_us } => Some(('e', *index, *at_us)),
            _ => None,
        })
        .collect();
    let second = 1_000_000;
    assert_eq!(
        stages,
        [
            ('s', 0, 0),
            ('e', 0, second),
            ('s', 1, second),
            ('e', 1, 2 * second),
            ('s', 2, 2 * second),
            ('e', 2, 3 * second)
        ]
    );
}

#[test]
fn closed_users_iterate_until_the_time_is_up() {
    for shards in [1, 2, 5] {
        let (outcome, _) = Case::of(closed(2, 5, Iterations::Unlimited), 99, shards).run();
        let total = &outcome.summary.total.iterations;
        // 99 ms and at most a timer tick each: 20 full iterations in 2 s and one that crosses the end.
        assert!((100..=105).contains(&total.started), "{}", total.started);
        assert_eq!(total.completed, total.started);
        assert_eq!(outcome.summary.timeline[0].snapshot.health.users, 5);
        assert_eq!(outcome.summary.timeline[0].planned, 5.0);
    }
}

#[test]
fn a_fixed_number_of_iterations_ends_the_run() {
    for (iterations, expected) in [(Iterations::Shared(37), 37), (Iterations::PerUser(4), 20)] {
        for shards in [1, 2] {
            let (outcome, _) = Case::of(closed(600, 5, iterations), 100, shards).run();
            let total = &outcome.summary.total.iterations;
            assert_eq!((total.started, total.completed), (expected, expected));
            assert!(outcome.summary.facts.duration_us < 2_500_000);
        }
    }
}

#[test]
fn iterations_that_time_did_not_allow_are_dropped() {
    let (outcome, _) = Case::of(closed(1, 2, Iterations::Shared(100)), 400, 1).run();
    let total = &outcome.summary.total.iterations;
    assert_eq!(total.started + total.dropped[&DropReason::Stopped], 100);
    assert_eq!(total.started, 6);
}

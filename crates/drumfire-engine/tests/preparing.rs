//! What a program does before the start, on simulated time: parts that add up, waits that are no lateness, limits, failures
//! and stops.

use drumfire_engine::{
    Control, Event, Iteration, IterationEnd, IterationFuture, Outcome, PreparingFuture, Program,
    ProgramError, ProgramHealth, RunError, Settings, Shard, ShardProgram, StopReason, Tenure,
    VirtualUser, run_simulated,
};
use drumfire_metrics::Summary;
use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Plan, Scenario, Share, Spacing};
use drumfire_reactor::sleep;
use std::future::pending;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all processes make ready together.
const AHEAD: u64 = 20;
const LIMIT: Duration = Duration::from_secs(60);

/// How a shard gets ready.
#[derive(Clone, Copy)]
enum Way {
    /// In so many seconds, and one more for every shard before it.
    In(u64),
    /// The last shard fails at once, the others are never ready.
    FailingInTheLast,
    /// Never.
    Never,
    /// It asks for a stop, and is never ready.
    Stopping,
}

#[derive(Clone)]
struct Slow {
    way: Way,
    control: Control,
    /// How much each shard made ready. A lock, since shards are threads and this is a test.
    made: Arc<Mutex<Vec<u64>>>,
}

struct SlowShard {
    slow: Slow,
    shard: Shard,
}

impl Program for Slow {
    fn open(&self, shard: Shard) -> Result<Rc<dyn ShardProgram>, ProgramError> {
        let slow = self.clone();
        Ok(Rc::new(SlowShard { slow, shard }))
    }
}

impl ShardProgram for SlowShard {
    fn user(&self, _: u64) -> Box<dyn VirtualUser> {
        Box::new(Idle)
    }

    fn health(&self) -> ProgramHealth {
        ProgramHealth::default()
    }

    fn prepare(&self, ahead: Option<Share>) -> PreparingFuture<'_> {
        Box::pin(async move {
            let index = self.shard.index;
            match self.slow.way {
                Way::In(seconds) => sleep(Duration::from_secs(seconds + u64::from(index))).await,
                Way::FailingInTheLast if index + 1 == self.shard.shards => {
                    return Err(ProgramError("no way through".to_owned()));
                }
                Way::FailingInTheLast | Way::Never => pending().await,
                Way::Stopping => {
                    self.slow.control.stop(StopReason::Requested);
                    pending().await
                }
            }
            let part = ahead.map_or(0, |share| share.count_below(AHEAD));
            self.slow.made.lock().unwrap().push(part);
            Ok(vec!["the same".to_owned(), format!("of shard {index}")])
        })
    }
}

struct Idle;

impl VirtualUser for Idle {
    fn iterate(&mut self, _: Iteration) -> IterationFuture<'_> {
        Box::pin(async { IterationEnd::Completed })
    }
}

/// What came of ten arrivals on so many shards, what was made ready, and what was said before the start.
struct Came {
    outcome: Result<Outcome, RunError>,
    made: Vec<u64>,
    said: Vec<Event>,
}

fn run(way: Way, shards: u32, ahead: Option<Share>) -> Came {
    let control = Control::default();
    let slow = Slow {
        way,
        control: control.clone(),
        made: Arc::default(),
    };
    let stage = OpenStage {
        name: None,
        duration: Duration::from_secs(1),
        arrivals: Arrivals::Constant { per_second: 10.0 },
        spacing: Spacing::Uniform,
        max_users: None,
    };
    let plan = Arc::new(Plan {
        name: "test".into(),
        scenarios: vec![Scenario {
            name: "only".into(),
            weight: 1,
        }],
        load: Load::Open(OpenLoad::new(vec![stage], 1).expect("a valid load")),
        seed: 1,
    });
    let settings = Settings {
        shards: NonZeroU32::new(shards).expect("there are shards"),
        grace_after_end: None,
        grace_after_stop: Duration::from_secs(30),
        max_duration: None,
        ahead,
        prepare_limit: LIMIT,
    };
    let mut said = Vec::new();
    let mut started = false;
    let mut observer = |event: &Event, _: &Summary| {
        started |= *event == Event::Started;
        if !started {
            said.push(event.clone());
        }
        None
    };
    let program: Arc<dyn Program> = Arc::new(slow.clone());
    let tenure = Tenure::of(Share::whole());
    // Simulated, the other shards would wait the whole limit in no time.
    let run = match way {
        Way::FailingInTheLast => drumfire_engine::run,
        _ => run_simulated,
    };
    let outcome = run(&plan, &tenure, &program, &settings, &control, &mut observer);
    let made = slow.made.lock().unwrap().clone();
    Came {
        outcome,
        made,
        said,
    }
}

#[test]
fn the_load_begins_when_the_slowest_shard_is_ready() {
    let came = run(Way::In(3), 3, None);
    let total = came.outcome.expect("it runs").summary.total.iterations;
    assert_eq!((total.started, total.completed), (10, 10));
    assert_eq!(total.lateness_us.max(), 0);
    assert_eq!(came.made, [0; 3]);
    // Each warning once, before the start.
    let warnings = ["of shard 0", "of shard 1", "of shard 2", "the same"];
    assert_eq!(
        came.said,
        warnings.map(|line| Event::Warning(line.to_owned()))
    );
}

#[test]
fn the_parts_of_all_processes_and_shards_add_up() {
    for weights in [&[1][..], &[1, 1], &[5, 2, 1]] {
        for shards in [1, 2, 3] {
            let shares = Share::split(weights).expect("valid weights");
            let made = shares.iter().flat_map(|share| {
                let came = run(Way::In(0), shards, Some(share.clone()));
                let sum: u64 = came.made.iter().sum();
                assert_eq!(sum, share.count_below(AHEAD));
                came.made
            });
            let made: Vec<u64> = made.collect();
            assert_eq!(made.len(), weights.len() * shards as usize);
            assert_eq!(made.iter().sum::<u64>(), AHEAD, "{weights:?} {shards}");
        }
    }
}

#[test]
fn what_is_not_ready_or_fails_begins_nothing() {
    for (way, message) in [
        (
            Way::Never,
            "cannot prepare the program: it was not ready after 60 s",
        ),
        (
            Way::FailingInTheLast,
            "cannot prepare the program: no way through",
        ),
    ] {
        let came = run(way, 2, None);
        let error = came.outcome.expect_err("nothing begins");
        assert_eq!(error.to_string(), message);
        assert_eq!(came.said, []);
    }
}

#[test]
fn a_stop_does_not_wait_until_the_program_is_ready() {
    let came = run(Way::Stopping, 2, None);
    let outcome = came.outcome.expect("it was stopped");
    assert_eq!(outcome.stopped, Some(StopReason::Requested));
    let total = outcome.summary.total.iterations;
    assert_eq!((total.started, total.dropped_total()), (0, 10));
}

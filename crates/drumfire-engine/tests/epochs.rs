//! Shares that change while runs go on, on simulated time: whatever the epochs, every arrival is started by exactly one
//! of the processes, and users are as many as planned.

use drumfire_engine::{
    Control, Epoch, Event, Iteration, IterationEnd, IterationFuture, Observer, Outcome, Program,
    ProgramError, ProgramHealth, Settings, Shard, ShardProgram, StopReason, Tenure, VirtualUser,
    run_simulated,
};
use drumfire_metrics::{DropReason, Snapshot, Summary};
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

/// Users that think 100 ms; the numbers of what began are noted, each once. A lock, since shards are threads and this
/// is a test.
#[derive(Clone, Default)]
struct Noting {
    begun: Arc<Mutex<BTreeSet<u64>>>,
}

impl Noting {
    fn begun(&self) -> usize {
        self.begun.lock().expect("no thread panicked with it").len()
    }
}

impl Program for Noting {
    fn open(&self, _: Shard) -> Result<Rc<dyn ShardProgram>, ProgramError> {
        Ok(Rc::new(self.clone()))
    }
}

impl ShardProgram for Noting {
    fn user(&self, _: u64) -> Box<dyn VirtualUser> {
        Box::new(self.clone())
    }

    fn health(&self) -> ProgramHealth {
        ProgramHealth::default()
    }
}

impl VirtualUser for Noting {
    fn iterate(&mut self, iteration: Iteration) -> IterationFuture<'_> {
        let mut begun = self.begun.lock().expect("no thread panicked with it");
        let first = begun.insert(iteration.number);
        assert!(first, "iteration {} began twice", iteration.number);
        Box::pin(async move {
            sleep(Duration::from_millis(100)).await;
            IterationEnd::Completed
        })
    }
}

/// Runs one process of several; all of them note in the same place.
fn run_one(load: &Load, tenure: &Tenure, noting: &Noting, shards: u32) -> Outcome {
    run_watched(
        load,
        tenure,
        noting,
        shards,
        &mut |_: &Event, _: &Summary| None,
    )
}

fn run_watched(
    load: &Load,
    tenure: &Tenure,
    noting: &Noting,
    shards: u32,
    observer: &mut dyn Observer,
) -> Outcome {
    let plan = Arc::new(Plan {
        name: "test".into(),
        scenarios: vec![Scenario {
            name: "only".into(),
            weight: 1,
        }],
        load: load.clone(),
        seed: 1,
    });
    let settings = Settings {
        shards: NonZeroU32::new(shards).expect("there are shards"),
        grace_after_end: None,
        grace_after_stop: Duration::from_secs(30),
        max_duration: None,
        ahead: None,
        prepare_limit: Duration::from_secs(60),
    };
    let program: Arc<dyn Program> = Arc::new(noting.clone());
    let control = Control::default();
    run_simulated(&plan, tenure, &program, &settings, &control, observer)
        .expect("threads can be had")
}

fn ramp() -> OpenLoad {
    let stage = |arrivals| OpenStage {
        name: None,
        duration: Duration::from_secs(5),
        arrivals,
        spacing: Spacing::Uniform,
        max_users: None,
    };
    let up = Arrivals::Ramp {
        from: 0.0,
        to: 200.0,
    };
    let flat = Arrivals::Constant { per_second: 200.0 };
    OpenLoad::new(vec![stage(up), stage(flat)], 3).expect("a valid load")
}

/// Tenures of processes: per epoch its instant in milliseconds and the weight of each process.
fn tenures(processes: usize, epochs: &[(u64, &[u32])]) -> Vec<Tenure> {
    let tenures: Vec<Tenure> = (0..processes).map(|_| Tenure::awaited()).collect();
    for (from_ms, weights) in epochs {
        let shares = Share::split(weights).expect("valid weights");
        for (tenure, share) in tenures.iter().zip(shares) {
            tenure.begin(Epoch {
                from: Duration::from_millis(*from_ms),
                load: None,
                number_shift: 0,
                shares: vec![share],
            });
        }
    }
    for tenure in &tenures {
        tenure.advance(Duration::MAX, Duration::ZERO);
    }
    tenures
}

#[test]
fn every_arrival_is_started_once_and_in_time_whatever_the_epochs() {
    let load = ramp();
    let cases: [&[(u64, &[u32])]; 5] = [
        &[(0, &[1])],
        &[(0, &[1, 1])],
        &[(0, &[1, 1, 0]), (3_333, &[1, 0, 2])],
        &[
            (0, &[3, 1, 1]),
            (2_000, &[0, 1, 1]),
            (2_000, &[0, 0, 1]),
            (7_001, &[5, 0, 1]),
        ],
        &[(0, &[1, 0]), (9_999, &[0, 1])],
    ];
    for epochs in cases {
        let processes = epochs[0].1.len();
        for shards in [1, 3] {
            let noting = Noting::default();
            let (mut started, mut planned) = (0, 0);
            for tenure in tenures(processes, epochs) {
                let outcome = run_one(&Load::Open(load.clone()), &tenure, &noting, shards);
                let total = outcome.summary.total.iterations;
                assert_eq!(total.lateness_us.max(), 0, "{epochs:?}");
                assert!(total.dropped.is_empty());
                started += total.started;
                planned += outcome.summary.facts.planned.expect("open load is planned");
                let stages = outcome.summary.facts.stages.iter();
                let of_stages: u64 = stages.filter_map(|stage| stage.planned).sum();
                assert_eq!(Some(of_stages), outcome.summary.facts.planned);
            }
            assert_eq!(
                (started, planned),
                (load.total(), load.total()),
                "{epochs:?}"
            );
            // None began twice, so these are all of them.
            assert_eq!(noting.begun() as u64, load.total());
        }
    }
}

#[test]
fn one_process_stands_in_for_another() {
    let load = ramp();
    let noting = Noting::default();
    let shares = Share::split(&[1, 2, 1]).expect("valid weights");
    let tenure = Tenure::awaited();
    let own = |from_s, shares: &[Share]| Epoch {
        from: Duration::from_secs(from_s),
        load: None,
        number_shift: 0,
        shares: shares.to_vec(),
    };
    tenure.begin(own(0, &shares[..1]));
    tenure.begin(own(4, &shares[1..]));
    tenure.begin(own(8, &[]));
    tenure.advance(Duration::MAX, Duration::ZERO);
    let outcome = run_one(&Load::Open(load.clone()), &tenure, &noting, 2);
    let before = |s| load.arrivals_before(Duration::from_secs(s));
    let of =
        |share: &Share, from, to| share.count_below(before(to)) - share.count_below(before(from));
    let expected = of(&shares[0], 0, 4) + of(&shares[1], 4, 8) + of(&shares[2], 4, 8);
    assert_eq!(outcome.summary.facts.planned, Some(expected));
    assert_eq!(noting.begun() as u64, expected);
    assert_eq!(outcome.summary.total.iterations.lateness_us.max(), 0);
}

#[test]
fn every_interval_accounts_for_the_schedule_exactly() {
    let load = ramp();
    let shares = Share::split(&[2, 3]).expect("valid weights");
    for shards in [1, 3] {
        let tenure = Tenure::awaited();
        tenure.begin(Epoch {
            from: Duration::ZERO,
            load: None,
            number_shift: 0,
            shares: shares[..1].to_vec(),
        });
        tenure.advance(Duration::MAX, Duration::ZERO);
        let mut ledger = Accounts::default();
        run_watched(
            &Load::Open(load.clone()),
            &tenure,
            &Noting::default(),
            shards,
            &mut ledger,
        );
        let owned =
            |end_us| shares[0].count_below(load.arrivals_before(Duration::from_micros(end_us)));
        assert!(ledger.intervals.len() >= 10);
        for (end_us, accounted) in ledger.intervals {
            assert_eq!(
                accounted,
                owned(end_us),
                "before {end_us} us on {shards} shards"
            );
        }
    }
}

/// What the intervals account for up to their ends.
#[derive(Default)]
struct Accounts {
    accounted: u64,
    intervals: Vec<(u64, u64)>,
}

impl Observer for Accounts {
    fn interval(&mut self, snapshot: &Snapshot) {
        self.accounted += snapshot.iterations.started + snapshot.iterations.dropped_total();
        self.intervals.push((snapshot.end_us, self.accounted));
    }

    fn event(&mut self, _: &Event, _: &Summary) -> Option<StopReason> {
        None
    }
}

#[test]
fn a_tenure_that_closes_leaves_the_rest_to_others() {
    let load = ramp();
    let noting = Noting::default();
    let closing = tenures(1, &[(0, &[1])]).remove(0);
    closing.close(Duration::from_secs(6));
    let outcome = run_one(&Load::Open(load.clone()), &closing, &noting, 2);
    let owned = load.arrivals_before(Duration::from_secs(6));
    assert_eq!(outcome.summary.facts.planned, Some(owned));
    assert_eq!(outcome.summary.total.iterations.started, owned);
    assert!(outcome.summary.facts.duration_us < 6_200_000);
}

#[test]
fn what_was_held_too_long_is_dropped() {
    let load = ramp();
    let tenure = tenures(1, &[(0, &[1])]).remove(0);
    tenure.advance(Duration::MAX, Duration::from_secs(2));
    let outcome = run_one(&Load::Open(load.clone()), &tenure, &Noting::default(), 1);
    let lost = load.arrivals_before(Duration::from_secs(2));
    let total = outcome.summary.total.iterations;
    assert_eq!(total.dropped[&DropReason::AgentLost], lost);
    assert_eq!(total.started + lost, load.total());
}

#[test]
fn a_scaled_epoch_runs_its_own_load() {
    let load = ramp();
    let double = OpenLoad::new(
        load.stages()
            .iter()
            .map(|stage| OpenStage {
                arrivals: match stage.arrivals {
                    Arrivals::Constant { per_second } => Arrivals::Constant {
                        per_second: per_second * 2.0,
                    },
                    _ => stage.arrivals.clone(),
                },
                ..stage.clone()
            })
            .collect(),
        3,
    )
    .expect("a valid load");
    let tenure = tenures(1, &[(0, &[1])]).remove(0);
    tenure.begin(Epoch {
        from: Duration::from_secs(6),
        load: Some(Load::Open(double)),
        number_shift: 0,
        shares: vec![Share::whole()],
    });
    // 500 of the ramp, 200 of its first second at full rate, 400 in each of the four others.
    let outcome = run_one(&Load::Open(load), &tenure, &Noting::default(), 1);
    assert_eq!(outcome.summary.total.iterations.started, 500 + 200 + 1600);
    assert_eq!(outcome.summary.facts.planned, Some(2300));
}

#[test]
fn users_move_with_their_share() {
    let stage = ClosedStage {
        name: None,
        duration: Duration::from_secs(6),
        from_users: 10,
        to_users: 10,
    };
    let load = ClosedLoad::new(vec![stage], Iterations::Unlimited).expect("a valid load");
    let load = Load::Closed(load);
    let noting = Noting::default();
    let users: Vec<Vec<u64>> = tenures(2, &[(0, &[1, 1]), (2_000, &[0, 1]), (4_000, &[4, 1])])
        .iter()
        .map(|tenure| {
            let timeline = run_one(&load, tenure, &noting, 2).summary.timeline;
            let whole = timeline.into_iter().take(6);
            whole
                .map(|interval| interval.snapshot.iterations.started)
                .collect()
        })
        .collect();
    // A user makes ten iterations a second, less the steps in which timers fire.
    let about = |users: u64| users * 9..=users * 10 + users;
    for (second, expected) in [(0, (5, 5)), (1, (5, 5)), (3, (0, 10)), (5, (8, 2))] {
        assert!(
            about(expected.0).contains(&users[0][second]),
            "{second}: {users:?}"
        );
        assert!(
            about(expected.1).contains(&users[1][second]),
            "{second}: {users:?}"
        );
    }
}

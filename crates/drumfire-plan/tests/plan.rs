//! The whole plan: what is refused, and what `drumfire check` is told.

use std::time::Duration;

use drumfire_plan::{
    Arrivals, ClosedLoad, ClosedStage, Iterations, Load, OpenLoad, OpenStage, Plan, Scenario,
    Spacing, StageLoad,
};

fn open(stages: Vec<(&str, u64, Arrivals, Spacing, Option<u32>)>) -> Load {
    let stages = stages
        .into_iter()
        .map(|(name, seconds, arrivals, spacing, max_users)| OpenStage {
            name: Some(name.to_owned()),
            duration: Duration::from_secs(seconds),
            arrivals,
            spacing,
            max_users,
        })
        .collect();
    Load::Open(OpenLoad::new(stages, 1).expect("the stages are valid"))
}

fn closed(stages: &[(u64, u32, u32)]) -> Load {
    let stages = stages
        .iter()
        .map(|&(seconds, from_users, to_users)| ClosedStage {
            name: None,
            duration: Duration::from_secs(seconds),
            from_users,
            to_users,
        })
        .collect();
    Load::Closed(ClosedLoad::new(stages, Iterations::Unlimited).expect("the stages are valid"))
}

fn plan(load: Load) -> Plan {
    Plan {
        name: "checkout".to_owned(),
        scenarios: vec![Scenario {
            name: "buy".to_owned(),
            weight: 1,
        }],
        load,
        seed: 1,
    }
}

#[test]
fn a_plan_that_cannot_run_is_refused() {
    type Change = fn(&mut Plan);
    let table: [(Change, &str, &str); 2] = [
        (
            |plan| plan.scenarios.clear(),
            "the plan has no scenarios",
            "describe what a user does in at least one scenario",
        ),
        (
            |plan| plan.scenarios[0].weight = 0,
            "every scenario has the weight 0",
            "give at least one scenario a weight above 0",
        ),
    ];
    for (change, message, hint) in table {
        let mut plan = plan(closed(&[(1, 1, 1)]));
        change(&mut plan);
        let error = plan.checked().expect_err(message);
        assert_eq!((error.to_string().as_str(), error.hint()), (message, hint));
    }
}

#[test]
fn a_plan_that_can_run_is_handed_back_as_it_was() {
    let plan = plan(closed(&[(1, 1, 1)]));
    assert_eq!(plan.clone().checked(), Ok(plan));
}

#[test]
fn open_stages_are_described_with_their_exact_counts() {
    let stages = vec![
        (
            "steady",
            10,
            Arrivals::Constant { per_second: 0.5 },
            Spacing::Uniform,
            Some(7),
        ),
        ("pause", 5, Arrivals::Pause, Spacing::Uniform, None),
        (
            "ramp",
            4,
            Arrivals::Ramp { from: 1.0, to: 3.0 },
            Spacing::Uniform,
            None,
        ),
        ("count", 4, Arrivals::Count(6), Spacing::Uniform, None),
        (
            "seconds",
            3,
            Arrivals::PerSecond(vec![1, 2, 4]),
            Spacing::Uniform,
            None,
        ),
    ];
    let expected = [
        ("steady", 0, 5, 0.5, 0.5, Some(7)),
        ("pause", 10, 0, 0.0, 0.0, None),
        ("ramp", 15, 8, 1.0, 3.0, None),
        ("count", 19, 6, 1.5, 1.5, None),
        ("seconds", 23, 7, 1.0, 4.0, None),
    ];
    let outlines = plan(open(stages)).describe();
    assert_eq!(outlines.len(), expected.len());
    for (outline, (name, start, count, from_per_second, to_per_second, max_users)) in
        outlines.iter().zip(expected)
    {
        assert_eq!(outline.name.as_deref(), Some(name));
        assert_eq!(outline.start, Duration::from_secs(start), "{name}");
        let load = StageLoad::Arrivals {
            count,
            from_per_second,
            to_per_second,
            spacing: Spacing::Uniform,
            max_users,
        };
        assert_eq!(outline.load, load, "{name}");
    }
}

#[test]
fn poisson_stages_are_described_with_the_arrivals_drawn() {
    let load = open(vec![(
        "rush",
        60,
        Arrivals::Constant { per_second: 10.0 },
        Spacing::Poisson,
        None,
    )]);
    let Load::Open(drawn) = &load else {
        panic!("the load is open")
    };
    let total = drawn.total();
    assert_ne!(
        total, 600,
        "the seed is one whose draw differs from the mean"
    );
    let outlines = plan(load).describe();
    let StageLoad::Arrivals { count, spacing, .. } = outlines[0].load else {
        panic!("the stage is open")
    };
    assert_eq!((count, spacing), (total, Spacing::Poisson));
}

#[test]
fn closed_stages_are_described_with_their_users() {
    let load = closed(&[(10, 0, 50), (20, 50, 50)]);
    assert_eq!(load.duration(), Duration::from_secs(30));
    assert_eq!(load.stage_at(Duration::from_secs(10)), 1);
    let outlines = plan(load).describe();
    let got: Vec<_> = outlines
        .iter()
        .map(|outline| {
            (
                outline.start.as_secs(),
                outline.duration.as_secs(),
                outline.load,
            )
        })
        .collect();
    let expected = [
        (0, 10, StageLoad::Users { from: 0, to: 50 }),
        (10, 20, StageLoad::Users { from: 50, to: 50 }),
    ];
    assert_eq!(got, expected);
}

//! U(t), the starts and stops of users, and how shares add up to them.

use std::time::Duration;

use drumfire_plan::{
    ClosedLoad, ClosedStage, Iterations, Lifetime, PlanError, Share, UserChange, UserChangeKind,
};
use proptest::prelude::*;

fn stage(milliseconds: u64, from_users: u32, to_users: u32) -> ClosedStage {
    ClosedStage {
        name: None,
        duration: Duration::from_millis(milliseconds),
        from_users,
        to_users,
    }
}

fn load(stages: Vec<ClosedStage>) -> ClosedLoad {
    ClosedLoad::new(stages, Iterations::Unlimited).expect("the stages are valid")
}

fn whole(load: &ClosedLoad) -> Vec<UserChange> {
    load.changes(&Share::whole()).collect()
}

/// `+j@ms` for a start, `-j@ms` for a stop.
fn story(changes: &[UserChange]) -> String {
    let word = |change: &UserChange| {
        let sign = match change.kind {
            UserChangeKind::Start => '+',
            UserChangeKind::Stop => '-',
        };
        format!("{sign}{}@{}", change.user, change.at.as_millis())
    };
    changes.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn users_start_and_stop_along_the_line() {
    let table: Vec<(Vec<ClosedStage>, &str)> = vec![
        (vec![stage(1000, 2, 2)], "+0@0 +1@0 -1@1000 -0@1000"),
        (
            vec![stage(900, 0, 3)],
            "+0@0 +1@300 +2@600 -2@900 -1@900 -0@900",
        ),
        (
            vec![stage(900, 3, 0)],
            "+0@0 +1@0 +2@0 -2@300 -1@600 -0@900",
        ),
        (
            vec![stage(1000, 0, 2), stage(1000, 2, 2), stage(1000, 2, 1)],
            "+0@0 +1@500 -1@3000 -0@3000",
        ),
        (
            vec![stage(1000, 1, 1), stage(1000, 3, 3), stage(1000, 2, 2)],
            "+0@0 +1@1000 +2@1000 -2@2000 -1@3000 -0@3000",
        ),
        (
            vec![stage(1000, 1, 1), stage(1000, 0, 0), stage(1000, 1, 1)],
            "+0@0 -0@1000 +0@2000 -0@3000",
        ),
    ];
    for (stages, expected) in table {
        assert_eq!(story(&whole(&load(stages))), expected);
    }
}

#[test]
fn lifetimes_are_the_stretches_between() {
    let load = load(vec![
        stage(1000, 1, 1),
        stage(1000, 0, 4),
        stage(1000, 4, 0),
    ]);
    let at = Duration::from_millis;
    let table = [
        (0, vec![(0, 1000), (1000, 3000)]),
        (3, vec![(1750, 2250)]),
        (4, vec![]),
    ];
    for (user, expected) in table {
        let expected: Vec<Lifetime> = expected
            .iter()
            .map(|&(start, stop)| Lifetime {
                start: at(start),
                stop: at(stop),
            })
            .collect();
        assert_eq!(load.lifetimes(user), expected, "user {user}");
    }
}

#[test]
fn shared_iterations_follow_the_users() {
    let load = ClosedLoad::new(vec![stage(1000, 2, 2)], Iterations::Shared(101))
        .expect("the stage is valid");
    let shares = Share::split(&[1, 1, 1]).expect("the weights are valid");
    let owned: Vec<Iterations> = shares
        .iter()
        .map(|share| load.iterations_of(share))
        .collect();
    assert_eq!(
        owned,
        [
            Iterations::Shared(51),
            Iterations::Shared(50),
            Iterations::Shared(0)
        ]
    );
}

#[test]
fn wrong_loads_are_refused() {
    let users = |stages| {
        ClosedLoad::new(stages, Iterations::Unlimited)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(users(vec![]), "the load has no stages");
    assert_eq!(
        users(vec![stage(1000, 0, 0)]),
        "no stage of the load has users"
    );
    assert_eq!(users(vec![stage(0, 1, 1)]), "stage 1: the duration is 0");
    assert_eq!(
        users(vec![stage(1, 1, 1), stage(1000, 1, 100_000_001)]),
        "stage 2: 100000001 users are above the limit of 100000000"
    );
    for none in [Iterations::Shared(0), Iterations::PerUser(0)] {
        assert_eq!(
            ClosedLoad::new(vec![stage(1, 1, 1)], none),
            Err(PlanError::NoIterations)
        );
    }
}

fn any_load() -> impl Strategy<Value = ClosedLoad> {
    let users = || prop_oneof![Just(0_u32), 0_u32..40];
    let stage =
        (1_u64..5_000_000_000, users(), users()).prop_map(|(duration_ns, from_users, to_users)| {
            ClosedStage {
                duration: Duration::from_nanos(duration_ns),
                ..stage(0, from_users, to_users)
            }
        });
    prop::collection::vec(stage, 1..6).prop_filter_map("a stage with users", |stages| {
        ClosedLoad::new(stages, Iterations::Unlimited).ok()
    })
}

proptest! {
    #[test]
    fn changes_come_in_order_and_sum_to_u_of_t(load in any_load(), fractions in prop::collection::vec(0.0_f64..1.1, 20)) {
        let changes = whole(&load);
        prop_assert!(changes.is_sorted_by_key(|change| change.at));
        let at_changes = changes.iter().flat_map(|change| [change.at, change.at.saturating_sub(Duration::from_nanos(1))]);
        let anywhere = fractions.iter().map(|&fraction| load.duration().mul_f64(fraction));
        for t in at_changes.chain(anywhere) {
            let done = changes.partition_point(|change| change.at <= t);
            let running = changes[..done].iter().fold(0, |running, change| match change.kind {
                UserChangeKind::Start => running + 1,
                UserChangeKind::Stop => running - 1,
            });
            prop_assert_eq!(load.users_at(t), running, "at {:?}", t);
            let alive = (0..load.max_users())
                .filter(|&user| load.lifetimes(user).iter().any(|life| (life.start..life.stop).contains(&t)))
                .collect::<Vec<_>>();
            prop_assert_eq!(alive, (0..running).collect::<Vec<_>>(), "at {:?}", t);
        }
        prop_assert_eq!(load.users_at(load.duration()), 0);
    }

    #[test]
    fn shares_add_up_to_the_whole(
        load in any_load(),
        weights in prop::collection::vec(0_u32..9, 1..6).prop_filter("a weight above 0", |w| w.iter().any(|&w| w > 0)),
        parts in 1_u32..4,
    ) {
        let shares = Share::split(&weights).expect("the weights are valid");
        let parts = parts.try_into().expect("parts are above 0");
        let shards: Vec<Share> = shares.iter().flat_map(|share| share.split_evenly(parts)).collect();
        let mut together: Vec<UserChange> = Vec::new();
        for shard in &shards {
            let own: Vec<UserChange> = load.changes(shard).collect();
            prop_assert!(own.is_sorted_by_key(|change| change.at));
            together.extend(own);
        }
        let key = |change: &UserChange| (change.user, change.at, change.stage, change.kind == UserChangeKind::Start);
        let mut all = whole(&load);
        all.sort_by_key(key);
        together.sort_by_key(key);
        prop_assert_eq!(together, all);
    }

    #[test]
    fn shared_iterations_add_up(total in 1_u64..1_000_000, users in 1_u32..50, weights in prop::collection::vec(1_u32..9, 1..6)) {
        let load = ClosedLoad::new(vec![stage(1000, users, users)], Iterations::Shared(total)).expect("the stage is valid");
        let shares = Share::split(&weights).expect("the weights are valid");
        let mut sum = 0;
        for share in &shares {
            let Iterations::Shared(own) = load.iterations_of(share) else { panic!("shared stays shared") };
            prop_assert!(own == 0 || share.count_below(u64::from(users)) > 0, "iterations without users");
            sum += own;
        }
        prop_assert_eq!(sum, total);
    }
}

//! A(t), its inverse and the schedule: tables of what comes when, and properties over loads of every kind.

use std::time::Duration;

use drumfire_plan::{
    Arrival, Arrivals, OpenLoad, OpenStage, PlanError, Share, Spacing, StageFault,
};
use proptest::prelude::*;

fn stage(milliseconds: u64, arrivals: Arrivals) -> OpenStage {
    OpenStage {
        name: None,
        duration: Duration::from_millis(milliseconds),
        arrivals,
        spacing: Spacing::Uniform,
        max_users: None,
    }
}

fn constant(per_second: f64) -> Arrivals {
    Arrivals::Constant { per_second }
}

fn ramp(from: f64, to: f64) -> Arrivals {
    Arrivals::Ramp { from, to }
}

fn load(stages: Vec<OpenStage>) -> OpenLoad {
    OpenLoad::new(stages, 1).expect("the stages are valid")
}

fn poisson(milliseconds: u64, arrivals: Arrivals, seed: u64) -> OpenLoad {
    let stage = OpenStage {
        spacing: Spacing::Poisson,
        ..stage(milliseconds, arrivals)
    };
    OpenLoad::new(vec![stage], seed).expect("the stage is valid")
}

fn whole(load: &OpenLoad) -> Vec<Arrival> {
    load.schedule(&Share::whole()).collect()
}

fn milliseconds(load: &OpenLoad) -> Vec<f64> {
    whole(load)
        .iter()
        .map(|arrival| arrival.at.as_nanos() as f64 / 1e6)
        .collect()
}

#[test]
fn each_kind_of_stage_arrives_when_its_line_says() {
    let third = 1000.0 / 3.0;
    let table: Vec<(&str, Vec<OpenStage>, Vec<f64>)> = vec![
        (
            "constant",
            vec![stage(1000, constant(4.0))],
            vec![0.0, 250.0, 500.0, 750.0],
        ),
        (
            "fraction",
            vec![stage(5000, constant(0.5))],
            vec![0.0, 2000.0, 4000.0],
        ),
        (
            "count",
            vec![stage(3000, Arrivals::Count(4))],
            vec![0.0, 750.0, 1500.0, 2250.0],
        ),
        (
            "ramp up from nothing: sqrt(2 k / slope)",
            vec![stage(4000, ramp(0.0, 2.0))],
            vec![0.0, 2000.0, 2000.0 * 2f64.sqrt(), 2000.0 * 3f64.sqrt()],
        ),
        (
            "ramp down to nothing",
            vec![stage(4000, ramp(2.0, 0.0))],
            [4.0, 3.0, 2.0, 1.0]
                .map(|left: f64| 4000.0 - 2000.0 * left.sqrt())
                .to_vec(),
        ),
        (
            "counts per second",
            vec![stage(4000, Arrivals::PerSecond(vec![1, 0, 3, 2]))],
            vec![
                0.0,
                2000.0,
                2000.0 + third,
                2000.0 + 2.0 * third,
                3000.0,
                3500.0,
            ],
        ),
        (
            "a last second cut short",
            vec![stage(1500, Arrivals::PerSecond(vec![1, 2]))],
            vec![0.0, 1000.0, 1250.0],
        ),
        (
            "half an arrival left over counts in the next stage",
            vec![stage(3000, constant(0.5)), stage(3000, constant(0.5))],
            vec![0.0, 2000.0, 4000.0],
        ),
        (
            "a pause shifts what comes after",
            vec![
                stage(1000, constant(2.0)),
                stage(700, Arrivals::Pause),
                stage(1000, constant(2.0)),
            ],
            vec![0.0, 500.0, 1700.0, 2200.0],
        ),
        ("only a pause", vec![stage(1000, Arrivals::Pause)], vec![]),
        ("rate 0", vec![stage(1000, constant(0.0))], vec![]),
    ];
    for (name, stages, expected) in table {
        let load = load(stages);
        let got = milliseconds(&load);
        assert_eq!(load.total(), expected.len() as u64, "{name}");
        assert_eq!(got.len(), expected.len(), "{name}: {got:?}");
        for (got, expected) in got.iter().zip(&expected) {
            assert!(
                (got - expected).abs() < 2e-6,
                "{name}: {got} ms, expected {expected} ms"
            );
        }
    }
}

#[test]
fn arrivals_on_a_whole_nanosecond_are_on_it() {
    let table = [
        (constant(1000.0), 7, Duration::from_millis(7)),
        (ramp(0.0, 2.0), 1, Duration::from_secs(2)),
        (ramp(2.0, 0.0), 3, Duration::from_secs(2)),
        (Arrivals::Count(8), 3, Duration::from_millis(1500)),
    ];
    for (arrivals, number, at) in table {
        let load = load(vec![stage(4000, arrivals.clone())]);
        assert_eq!(load.time_of(number), Some(at), "{arrivals:?}");
        assert_eq!(load.arrivals_before(at), number, "{arrivals:?}");
    }
}

#[test]
fn stage_lookups_follow_the_bounds() {
    let load = load(vec![
        stage(1000, constant(3.0)),
        stage(500, Arrivals::Pause),
        stage(2000, Arrivals::Count(5)),
    ]);
    let at = Duration::from_millis;
    let stages = [0, 999, 1000, 1499, 1500, 3499, 3500, 9999].map(|t| load.stage_at(at(t)));
    assert_eq!(stages, [0, 0, 1, 1, 2, 2, 2, 2]);
    assert_eq!(load.stage_bounds(1), at(1000)..at(1500));
    assert_eq!(load.duration(), at(3500));
    assert_eq!([0, 1, 2].map(|index| load.stage_total(index)), [3, 0, 5]);
    let stages: Vec<u32> = whole(&load).iter().map(|arrival| arrival.stage).collect();
    assert_eq!(stages, [0, 0, 0, 2, 2, 2, 2, 2]);
}

#[test]
fn a_billion_arrivals_in_no_arrival_has_drifted() {
    let day = 24 * 3600 * 1000;
    let load = load(vec![
        stage(day, constant(30_000.3)),
        stage(day, Arrivals::Count(2_000_000_007)),
    ]);
    // 30 000.3 /s is 300 003 arrivals in 10^10 ns.
    for number in [
        1_u64,
        999_999_999,
        1_000_000_000,
        1_000_000_001,
        2_592_025_919,
    ] {
        let exact = u128::from(number) * 10_000_000_000 / 300_003;
        let got = load
            .time_of(number)
            .expect("it is below the total")
            .as_nanos();
        assert_eq!(got, exact, "arrival {number}");
    }
    // The first stage has 2 592 025 920 whole arrivals, so the second starts with that number.
    for index in [0_u64, 1, 1_000_000_000, 2_000_000_006] {
        let exact =
            u128::from(day) * 1_000_000 * (2_000_000_007 + u128::from(index)) / 2_000_000_007;
        let got = load
            .time_of(2_592_025_920 + index)
            .expect("it is below the total")
            .as_nanos();
        assert_eq!(got, exact, "arrival {index} of the second stage");
    }
    assert_eq!(load.total(), 2_592_025_920 + 2_000_000_007);
}

#[test]
fn a_share_jumps_to_its_own_arrivals() {
    let load = load(vec![stage(1000, constant(8.0))]);
    let shares = Share::split(&[3, 1]).expect("the weights are valid");
    let numbers = |share: &Share| {
        load.schedule(share)
            .map(|arrival| arrival.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&shares[0]), [0, 1, 3, 4, 5, 7]);
    assert_eq!(numbers(&shares[1]), [2, 6]);
    let mut schedule = load.schedule(&shares[0]);
    schedule.next();
    assert_eq!(schedule.len(), 5);
}

#[test]
fn wrong_stages_are_refused_by_name() {
    let named = |name: &str, milliseconds, arrivals| OpenStage {
        name: Some(name.to_owned()),
        ..stage(milliseconds, arrivals)
    };
    let table: Vec<(OpenStage, &str)> = vec![
        (
            named("a", 1000, constant(-1.0)),
            "stage 2 \"a\": the rate -1 per second is negative",
        ),
        (
            named("b", 1000, ramp(1.0, f64::NAN)),
            "stage 2 \"b\": the rate NaN per second is not a finite number",
        ),
        (
            named("c", 1000, constant(f64::INFINITY)),
            "stage 2 \"c\": the rate inf per second is not a finite number",
        ),
        (
            named("d", 1000, constant(2e9)),
            "stage 2 \"d\": the rate 2000000000 per second is above the limit of 1000000000",
        ),
        (
            named("e", 1000, constant(1e-10)),
            "stage 2 \"e\": the rate 1e-10 per second is below the lowest, 1e-9",
        ),
        (
            named("f", 0, constant(1.0)),
            "stage 2 \"f\": the duration is 0",
        ),
        (
            named("g", u64::MAX, constant(1.0)),
            "stage 2 \"g\": the load is longer than the limit of 100 days",
        ),
        (
            named("h", 1000, Arrivals::Count(u64::MAX)),
            "stage 2 \"h\": the load has more arrivals than the limit of 1000000000000",
        ),
        (
            named("i", 3_600_000, constant(1e9)),
            "stage 2 \"i\": the load has more arrivals than the limit of 1000000000000",
        ),
        (
            named("j", 2500, Arrivals::PerSecond(vec![1, 2])),
            "stage 2 \"j\": 2 counts, one per second, do not fit the duration of 2.5s",
        ),
        (stage(0, Arrivals::Pause), "stage 2: the duration is 0"),
        (
            OpenStage {
                spacing: Spacing::Poisson,
                ..named("k", 3_600_000, constant(1e6))
            },
            "stage 2 \"k\": the load has more Poisson arrivals than the limit of 1000000000",
        ),
    ];
    for (wrong, message) in table {
        let error = OpenLoad::new(vec![stage(1000, constant(1.0)), wrong], 1).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(OpenLoad::new(vec![], 1), Err(PlanError::NoStages));
    let fault = StageFault::NoDuration;
    assert_eq!(fault.hint(), "give the stage a duration above 0");
}

#[test]
fn poisson_gaps_have_the_mean_and_spread_of_an_exponential() {
    for seed in [1, 2, 3, 0xdead_beef] {
        let load = poisson(1_000_000, constant(100.0), seed);
        let total = load.total() as f64;
        // 100 000 expected: a standard deviation of 316.
        assert!(
            (total - 100_000.0).abs() < 4.0 * 316.3,
            "seed {seed}: {total}"
        );
        let times = milliseconds(&load);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 10.0).abs() < 0.13, "seed {seed}: mean {mean} ms");
        assert!(
            (variance - 100.0).abs() < 5.0,
            "seed {seed}: variance {variance} ms²"
        );
        let over =
            |limit: f64| gaps.iter().filter(|&&gap| gap > limit).count() as f64 / gaps.len() as f64;
        for limit in [1.0_f64, 10.0, 30.0] {
            let expected = (-limit / 10.0).exp();
            assert!(
                (over(limit) - expected).abs() < 0.007,
                "seed {seed}: over {limit} ms {}",
                over(limit)
            );
        }
    }
}

#[test]
fn poisson_counts_per_second_vary_as_much_as_their_mean_on_a_ramp_too() {
    let load = poisson(2_000_000, ramp(0.0, 20.0), 5);
    let mut counts = vec![0_u32; 2000];
    for arrival in whole(&load) {
        counts[arrival.at.as_secs() as usize] += 1;
    }
    // (count - rate)^2 / rate is 1 on average, where the rate is not tiny.
    let dispersion = |(second, &count): (usize, &u32)| {
        let rate = (second as f64 + 0.5) * 0.01;
        (f64::from(count) - rate).powi(2) / rate
    };
    let spread: f64 = counts
        .iter()
        .enumerate()
        .skip(200)
        .map(dispersion)
        .sum::<f64>()
        / 1800.0;
    assert!((spread - 1.0).abs() < 0.15, "{spread}");
}

#[test]
fn poisson_stages_of_one_load_are_drawn_apart() {
    let stage = || OpenStage {
        spacing: Spacing::Poisson,
        ..stage(10_000, constant(5.0))
    };
    let load = load(vec![stage(), stage()]);
    let times = |index| -> Vec<Duration> {
        let start = load.stage_bounds(index as usize).start;
        let own = whole(&load)
            .into_iter()
            .filter(|arrival| arrival.stage == index);
        own.map(|arrival| arrival.at - start).collect()
    };
    assert_ne!(times(0), times(1));
}

#[test]
fn poisson_depends_on_its_seed_and_on_nothing_else() {
    let times = |seed| milliseconds(&poisson(10_000, constant(50.0), seed));
    assert_eq!(times(9), times(9));
    assert_ne!(times(9), times(10));
    // The points of one seed, pinned: agents of different builds must agree on them.
    let first: Vec<u128> = whole(&poisson(1000, constant(4.0), 42))
        .iter()
        .map(|arrival| arrival.at.as_nanos())
        .collect();
    assert_eq!(first, [488_367_488, 534_404_187, 539_511_543]);
}

fn any_arrivals() -> impl Strategy<Value = Arrivals> {
    let rate = prop_oneof![
        Just(0.0),
        (1_u32..400).prop_map(|tenths| f64::from(tenths) / 10.0),
        0.001_f64..50.0,
    ];
    prop_oneof![
        Just(Arrivals::Pause),
        rate.clone().prop_map(constant),
        (rate.clone(), rate).prop_map(|(from, to)| ramp(from, to)),
        (0_u64..300).prop_map(Arrivals::Count),
    ]
}

fn any_stage() -> impl Strategy<Value = OpenStage> {
    let plain = (any_arrivals(), 1_u64..20_000_000_000);
    let per_second = prop::collection::vec(0_u32..40, 1..12).prop_flat_map(|counts| {
        let full = counts.len() as u64 * 1_000_000_000;
        (
            Just(Arrivals::PerSecond(counts)),
            prop_oneof![Just(full), full - 999_999_999..full],
        )
    });
    let spacing = prop_oneof![2 => Just(Spacing::Uniform), 1 => Just(Spacing::Poisson)];
    (prop_oneof![3 => plain, 1 => per_second], spacing).prop_map(
        |((arrivals, duration_ns), spacing)| OpenStage {
            duration: Duration::from_nanos(duration_ns),
            spacing,
            ..stage(0, arrivals)
        },
    )
}

fn any_load() -> impl Strategy<Value = OpenLoad> {
    (prop::collection::vec(any_stage(), 1..6), any::<u64>())
        .prop_map(|(stages, seed)| OpenLoad::new(stages, seed).expect("the stages are valid"))
}

/// Shares of any weights, some of them split again once or twice.
fn any_shares() -> impl Strategy<Value = Vec<Share>> {
    let weights = || {
        prop::collection::vec(0_u32..9, 1..6)
            .prop_filter("a weight above 0", |w| w.iter().any(|&w| w > 0))
    };
    (
        weights(),
        prop::collection::vec(prop::option::of(weights()), 6),
        1_u32..5,
    )
        .prop_map(|(weights, nested, shards)| {
            let shares = Share::split(&weights).expect("the weights are valid");
            let nested =
                shares
                    .into_iter()
                    .zip(nested)
                    .flat_map(|(share, weights)| match weights {
                        Some(weights) => {
                            share.split_again(&weights).expect("the weights are valid")
                        }
                        None => vec![share],
                    });
            let shards = shards.try_into().expect("shards are above 0");
            nested
                .flat_map(|share: Share| share.split_evenly(shards))
                .collect()
        })
}

proptest! {
    #[test]
    fn shares_add_up_to_the_whole(load in any_load(), shares in any_shares()) {
        let mut together: Vec<Arrival> = shares.iter().flat_map(|share| load.schedule(share)).collect();
        together.sort_by_key(|arrival| arrival.number);
        prop_assert_eq!(together, whole(&load));
    }

    #[test]
    fn the_schedule_is_the_time_of_each_number_and_never_goes_back(load in any_load()) {
        let arrivals = whole(&load);
        prop_assert_eq!(arrivals.len() as u64, load.total());
        prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        for (number, arrival) in arrivals.iter().enumerate() {
            prop_assert_eq!(arrival.number, number as u64);
            prop_assert_eq!(Some(arrival.at), load.time_of(arrival.number));
            prop_assert_eq!(arrival.stage as usize, load.stage_at(arrival.at));
        }
        prop_assert_eq!(load.time_of(load.total()), None);
    }

    #[test]
    fn arrivals_before_counts_the_schedule(load in any_load(), fractions in prop::collection::vec(0.0_f64..1.1, 20)) {
        let times: Vec<Duration> = whole(&load).iter().map(|arrival| arrival.at).collect();
        let some = times.iter().step_by(times.len() / 50 + 1);
        let around = some.flat_map(|&t| [t, t + Duration::from_nanos(1)]);
        let anywhere = fractions.iter().map(|&fraction| load.duration().mul_f64(fraction));
        for t in around.chain(anywhere) {
            let expected = times.partition_point(|&time| time < t) as u64;
            prop_assert_eq!(load.arrivals_before(t), expected, "at {:?}", t);
        }
    }

    #[test]
    fn a_load_cut_in_two_at_any_time_is_the_same(
        (per_second, length, cut) in (1_u64..2000, 2_u64..60_000).prop_flat_map(|(r, length)| (Just(r), Just(length), 1..length)),
    ) {
        let rate = per_second as f64 / 10.0;
        let one = load(vec![stage(length, constant(rate))]);
        let two = load(vec![stage(cut, constant(rate)), stage(length - cut, constant(rate))]);
        prop_assert_eq!(milliseconds(&one), milliseconds(&two));
    }

    #[test]
    fn counts_are_kept_exactly_whatever_comes_before(
        before in any_stage(), count in 0_u64..500, seconds in prop::collection::vec(0_u32..50, 1..9),
    ) {
        let sum = seconds.iter().copied().map(u64::from).sum::<u64>();
        let duration = seconds.len() as u64 * 1000;
        let load = load(vec![before, stage(1500, Arrivals::Count(count)), stage(duration, Arrivals::PerSecond(seconds))]);
        prop_assert_eq!([1, 2].map(|index| load.stage_total(index)), [count, sum]);
    }
}

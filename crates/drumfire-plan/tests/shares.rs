//! Shares own every number exactly once, evenly interleaved, and count in one step.

use std::num::NonZeroU32;

use drumfire_plan::{PlanError, Share};
use proptest::prelude::*;

fn pattern(weights: &[u32], length: u64) -> String {
    let shares = Share::split(weights).expect("the weights are valid");
    let owner = |number: u64| shares.iter().position(|share| share.owns(number));
    (0..length)
        .map(|number| match owner(number) {
            Some(index) => char::from(b'A' + index as u8),
            None => '-',
        })
        .collect()
}

#[test]
fn weights_interleave_smoothly() {
    let table: [(&[u32], &str); 7] = [
        (&[1], "AAAAAAAA"),
        (&[1, 1], "ABABABAB"),
        (&[3, 1], "AABAAABA"),
        (&[300, 100], "AABAAABA"),
        (&[5, 1, 1], "AABACAAAABACAA"),
        (&[0, 2, 1], "BCBBCB"),
        (&[2, 3, 4], "CBACBCABC"),
    ];
    for (weights, expected) in table {
        assert_eq!(
            pattern(weights, expected.len() as u64),
            expected,
            "{weights:?}"
        );
    }
}

#[test]
fn splits_that_cannot_be_are_refused() {
    let table: [(Vec<u32>, &str); 4] = [
        (vec![], "no share has a weight above 0"),
        (vec![0, 0], "no share has a weight above 0"),
        (
            vec![u32::MAX, 1, u32::MAX],
            "the weights of the shares sum to 8589934591 without their common factor, above the limit of 65536",
        ),
        (
            vec![1; 10_001],
            "a split into 10001 shares is above the limit of 10000",
        ),
    ];
    for (weights, message) in table {
        let error = Share::split(&weights).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
    let error = Share::split(&[65_536, 1]).expect_err("65537 is above the limit");
    assert_eq!(error, PlanError::SharePatternTooLong { period: 65_537 });
    assert_eq!(
        error.hint(),
        "round the weights to a common step, such as hundreds"
    );
}

#[test]
fn a_share_without_weight_owns_nothing() {
    let shares = Share::split(&[1, 0]).expect("the weights are valid");
    assert_eq!(shares[1].next_owned(0), None);
    assert_eq!(shares[1].count_below(u64::MAX), 0);
    let halves = shares[1].split_evenly(NonZeroU32::new(2).expect("2 is above 0"));
    assert_eq!(
        halves
            .iter()
            .map(|half| half.next_owned(7))
            .collect::<Vec<_>>(),
        [None, None]
    );
}

proptest! {
    #[test]
    fn one_share_alone_is_the_one_of_the_split(weights in prop::collection::vec(0..5_u32, 1..6)) {
        let split = Share::split(&weights);
        for index in 0..weights.len() {
            let of_split = split.clone().map(|shares| shares[index].clone());
            prop_assert_eq!(Share::one_of_split(&weights, index), of_split);
        }
        prop_assert!(Share::one_of_split(&weights, weights.len()).is_err());
    }

    #[test]
    fn one_share_owns_each_number_and_ranks_count_them(
        weights in prop::collection::vec(0_u32..12, 1..7).prop_filter("a weight above 0", |w| w.iter().any(|&w| w > 0)),
        inner in prop::collection::vec(1_u32..5, 1..4),
        parts in 1_u32..5,
    ) {
        let parts = NonZeroU32::new(parts).expect("parts are above 0");
        let shares: Vec<Share> = Share::split(&weights)
            .expect("the weights are valid")
            .iter()
            .flat_map(|share| share.split_again(&inner).expect("the weights are valid"))
            .flat_map(|share| share.split_evenly(parts))
            .collect();
        let mut ranks = vec![0_u64; shares.len()];
        for number in 0..500 {
            let owners: Vec<usize> = (0..shares.len()).filter(|&index| shares[index].owns(number)).collect();
            prop_assert_eq!(owners.len(), 1, "number {}", number);
            for (share, &rank) in shares.iter().zip(&ranks) {
                prop_assert_eq!(share.count_below(number), rank);
                prop_assert_eq!(share.next_owned(number), share.nth_owned(rank));
            }
            ranks[owners[0]] += 1;
        }
    }

    #[test]
    fn every_share_keeps_its_proportion_at_any_point(
        weights in prop::collection::vec(1_u32..50, 1..8),
        number in 0_u64..u64::MAX / 2,
    ) {
        let shares = Share::split(&weights).expect("the weights are valid");
        let sum = weights.iter().copied().map(u128::from).sum::<u128>();
        for (share, &weight) in shares.iter().zip(&weights) {
            let fair = (u128::from(number) * u128::from(weight) / sum) as u64;
            let got = share.count_below(number);
            prop_assert!(got.abs_diff(fair) <= weights.len() as u64, "{} beside {}", got, fair);
        }
    }
}

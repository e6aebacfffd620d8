//! The histogram against raw samples, its own algebra, and the HdrHistogram
//! library of others.

use drumfire_metrics::{DecodeError, Histogram};
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use proptest::collection::vec;
use proptest::prelude::*;

/// Values of every magnitude alike, and some beyond the largest.
fn value() -> impl Strategy<Value = u64> {
    (0u32..=50, any::<u64>()).prop_map(|(bits, noise)| noise & ((1u64 << bits) - 1))
}

fn kept_value() -> impl Strategy<Value = u64> {
    value().prop_map(|value| value.min(Histogram::MAX_VALUE))
}

/// Any histogram, in any of its forms.
fn histogram() -> impl Strategy<Value = Histogram> {
    let count = prop_oneof![8 => 0u64..1000, 1 => any::<u64>(), 1 => Just(u64::from(u32::MAX))];
    (vec((value(), count), 0..40), any::<bool>()).prop_map(|(values, packed)| {
        let mut histogram = Histogram::new();
        values
            .into_iter()
            .for_each(|(value, n)| histogram.record_n(value, n));
        if packed {
            histogram.pack();
        }
        histogram
    })
}

fn merged(parts: &[&Histogram]) -> Histogram {
    let mut whole = Histogram::new();
    parts.iter().for_each(|part| whole.merge(part));
    whole
}

proptest! {
    #[test]
    fn merge_is_commutative(a in histogram(), b in histogram()) {
        prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
    }

    #[test]
    fn merge_is_associative(a in histogram(), b in histogram(), c in histogram()) {
        let left = merged(&[&merged(&[&a, &b]), &c]);
        let right = merged(&[&a, &merged(&[&b, &c])]);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn merge_loses_nothing(values in vec((value(), 0usize..3), 0..200)) {
        let mut parts = [Histogram::new(), Histogram::new(), Histogram::new()];
        values.iter().for_each(|(value, part)| parts[*part].record(*value));
        parts[1].pack();
        let whole: Histogram = values.iter().map(|(value, _)| *value).collect();
        prop_assert_eq!(merged(&[&parts[0], &parts[1], &parts[2]]), whole);
    }

    #[test]
    fn packing_changes_nothing_that_is_seen(histogram in histogram(), more in value()) {
        let mut packed = histogram.clone();
        packed.pack();
        prop_assert_eq!(&packed, &histogram);
        prop_assert_eq!(packed.buckets().collect::<Vec<_>>(), histogram.buckets().collect::<Vec<_>>());
        let mut histogram = histogram;
        packed.record(more);
        histogram.record(more);
        prop_assert_eq!(packed, histogram);
    }

    /// The truth of every report: percentiles within 0.1 % of those of all raw samples.
    #[test]
    fn percentiles_are_those_of_the_raw_samples(
        mut raw in vec(kept_value(), 1..400),
        per_mille in 0usize..=1000,
    ) {
        let histogram: Histogram = raw.iter().copied().collect();
        raw.sort_unstable();
        let rank = (raw.len() * per_mille).div_ceil(1000).max(1);
        let truth = raw[rank - 1];
        let ours = histogram.quantile(per_mille as f64 / 1000.0);
        prop_assert!(ours.abs_diff(truth) as f64 <= truth as f64 * 0.001, "{} for {}", ours, truth);
    }

    #[test]
    fn count_minimum_maximum_and_mean_are_exact(raw in vec(kept_value(), 1..200)) {
        let histogram: Histogram = raw.iter().copied().collect();
        let sum: u128 = raw.iter().map(|value| u128::from(*value)).sum();
        prop_assert_eq!(histogram.count(), raw.len() as u64);
        prop_assert_eq!(Some(histogram.min()), raw.iter().copied().min());
        prop_assert_eq!(Some(histogram.max()), raw.iter().copied().max());
        prop_assert_eq!(histogram.sum(), sum);
        prop_assert_eq!(histogram.mean(), sum as f64 / raw.len() as f64);
    }

    #[test]
    fn quantiles_never_fall(histogram in histogram(), a in 0.0..=1.0, b in 0.0..=1.0) {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        prop_assert!(histogram.quantile(low) <= histogram.quantile(high));
        prop_assert!(histogram.quantile(0.0) >= histogram.min());
        prop_assert_eq!(histogram.quantile(1.0), histogram.max());
    }

    #[test]
    fn encoding_and_restoring_gives_the_same(histogram in histogram()) {
        let mut read = Histogram::decode_v2(&histogram.encode_v2()).unwrap();
        prop_assert_eq!(
            read.buckets().collect::<Vec<_>>(),
            histogram.buckets().collect::<Vec<_>>()
        );
        if histogram.count() < i64::MAX as u64 {
            let (min, max) = (histogram.min(), histogram.max());
            read.restore(min, max, histogram.sum(), histogram.saturated()).unwrap();
            prop_assert_eq!(read, histogram);
        }
    }

    #[test]
    fn other_libraries_read_ours(values in vec((kept_value(), 1u64..1 << 40), 1..60), packed: bool) {
        let mut ours = Histogram::new();
        values.iter().for_each(|(value, n)| ours.record_n(*value, *n));
        if packed {
            ours.pack();
        }
        let bytes = ours.encode_v2();
        let theirs: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        prop_assert_eq!(theirs.len(), ours.count());
        for (lowest, highest, n) in ours.buckets() {
            prop_assert_eq!(theirs.count_at(lowest), n);
            prop_assert_eq!(theirs.highest_equivalent(lowest), highest);
        }
    }

    #[test]
    fn we_read_those_of_other_libraries(values in vec((kept_value(), 1u64..1 << 40), 0..60)) {
        let mut theirs =
            hdrhistogram::Histogram::<u64>::new_with_max(Histogram::MAX_VALUE, 3).unwrap();
        values.iter().for_each(|(value, n)| theirs.record_n(*value, *n).unwrap());
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&theirs, &mut bytes).unwrap();
        let ours = Histogram::decode_v2(&bytes).unwrap();
        let buckets: Vec<_> = theirs
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect();
        let found: Vec<_> = ours.buckets().map(|(_, highest, n)| (highest, n)).collect();
        prop_assert_eq!(found, buckets);
    }

    #[test]
    fn hostile_bytes_are_refused_or_bounded(counts in vec(any::<u8>(), 0..300), flip in 0usize..40, to: u8) {
        let mut bytes = Histogram::new().encode_v2();
        bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
        bytes.extend(counts);
        let read = Histogram::decode_v2(&bytes);
        prop_assert!(read.map_or(0, |histogram| histogram.memory_bytes()) < MOST_MEMORY_BYTES);
        bytes[flip] = to;
        let read = Histogram::decode_v2(&bytes);
        prop_assert!(read.map_or(0, |histogram| histogram.memory_bytes()) < MOST_MEMORY_BYTES);
    }

    #[test]
    fn decoding_exactly_is_decoding_and_restoring(
        histogram in histogram(), wrong in prop::option::of((value(), value(), any::<u128>(), any::<u64>())),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = histogram.encode_v2();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let told = (histogram.min(), histogram.max(), histogram.sum(), histogram.saturated());
        let (min, max, sum, saturated) = wrong.unwrap_or(told);
        let exact = Histogram::decode_exact(&bytes, min, max, sum, saturated);
        let in_two_steps = Histogram::decode_v2(&bytes).and_then(|mut read| {
            read.restore(min, max, sum, saturated).map(|()| read)
        });
        prop_assert_eq!(exact, in_two_steps);
    }

    #[test]
    fn restoring_what_cannot_be_is_refused(
        histogram in histogram(), min in value(), max in value(), sum: u128, saturated: u64,
    ) {
        let mut restored = histogram.clone();
        if restored.restore(min, max, sum, saturated).is_ok() {
            prop_assert!(restored.min() <= restored.max());
            prop_assert!(restored.mean() <= restored.max() as f64 * 1.001);
        } else {
            prop_assert_eq!(restored, histogram);
        }
    }
}

/// More than a histogram with all its pages and carries takes.
const MOST_MEMORY_BYTES: usize = 1 << 20;

#[test]
fn quantiles_of_few_values() {
    let cases: [(&[u64], f64, u64); 9] = [
        (&[], 0.5, 0),
        (&[7], 0.0, 7),
        (&[7], 0.99, 7),
        (&[1, 2, 3, 4], 0.5, 2),
        (&[1, 2, 3, 4], 0.51, 3),
        (&[1, 2, 3, 4], 0.75, 3),
        (&[1, 2, 3, 4], 1.0, 4),
        (&[1, 2, 3, 4], f64::NAN, 1),
        (&[1_000_001, 5_000_003], 1.0, 5_000_003),
    ];
    for (values, quantile, expected) in cases {
        let histogram: Histogram = values.iter().copied().collect();
        assert_eq!(
            histogram.quantile(quantile),
            expected,
            "{quantile} of {values:?}"
        );
    }
}

#[test]
fn ranks_do_not_suffer_from_rounding() {
    let histogram: Histogram = (1..=1000).collect();
    for per_mille in 1..=1000u64 {
        assert_eq!(histogram.quantile(per_mille as f64 / 1000.0), per_mille);
    }
}

#[test]
fn values_above_the_largest_saturate_and_are_counted() {
    let mut histogram: Histogram = [5, Histogram::MAX_VALUE, Histogram::MAX_VALUE + 1]
        .into_iter()
        .collect();
    histogram.record_n(u64::MAX, 2);
    assert_eq!(histogram.count(), 5);
    assert_eq!(histogram.saturated(), 3);
    assert_eq!(histogram.max(), Histogram::MAX_VALUE);
}

#[test]
fn counts_at_or_below() {
    let histogram: Histogram = [10, 20, 20, 5000, 1 << 47].into_iter().collect();
    for (value, expected) in [(9, 0), (10, 1), (19, 1), (20, 3), (5001, 4), (u64::MAX, 5)] {
        assert_eq!(
            histogram.count_at_or_below(value),
            expected,
            "at or below {value}"
        );
    }
}

#[test]
fn counters_carry_over_32_bits() {
    let mut histogram = Histogram::new();
    histogram.record_n(42, u64::from(u32::MAX));
    histogram.record(42);
    histogram.record_n(42, 1 << 40);
    let expected = (1u64 << 32) + (1 << 40);
    assert_eq!(
        histogram.buckets().collect::<Vec<_>>(),
        [(42, 42, expected)]
    );
    let mut doubled = histogram.clone();
    doubled.merge(&histogram);
    assert_eq!(
        doubled.buckets().collect::<Vec<_>>(),
        [(42, 42, 2 * expected)]
    );
}

#[test]
fn memory_follows_what_is_recorded() {
    assert!(size_of::<Histogram>() <= 16);
    assert_eq!(Histogram::new().memory_bytes(), 0);
    let narrow: Histogram = (0..100_000u64).map(|i| 200 + i % 300).collect();
    // 100,000 answers from 150 µs up, half of them below 300 µs, the slowest 150 ms.
    let wide: Histogram = (1..=100_000u64)
        .map(|i| 15_000_000 / (100_001 - i).max(100))
        .collect();
    for (mut histogram, paged_bytes, packed_bytes) in
        [(narrow, 4 << 10, 1 << 10), (wide, 44 << 10, 8 << 10)]
    {
        assert!(
            histogram.memory_bytes() < paged_bytes,
            "paged {}",
            histogram.memory_bytes()
        );
        histogram.pack();
        assert!(
            histogram.memory_bytes() < packed_bytes,
            "packed {}",
            histogram.memory_bytes()
        );
    }
}

#[test]
fn what_is_wrong_with_the_bytes_is_said() {
    let good = Histogram::from_iter([1, 2, 3]).encode_v2();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let counts = |counts: &[u8]| {
        let mut bytes = good[..40].to_vec();
        bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
        bytes.extend(counts);
        bytes
    };
    let cases = [
        (good[..39].to_vec(), DecodeError::Header(39)),
        (with(0, 0), DecodeError::Cookie(0x0084_9313)),
        (
            with(11, 1),
            DecodeError::Unsupported("a normalizing offset"),
        ),
        (
            with(15, 2),
            DecodeError::Unsupported("a precision other than 3 significant digits"),
        ),
        (
            with(23, 2),
            DecodeError::Unsupported("a lowest value other than 1"),
        ),
        (with(39, 2), DecodeError::Unsupported("a conversion ratio")),
        (with(7, 9), DecodeError::Length { said: 9, found: 4 }),
        (counts(&[2, 0x80]), DecodeError::CutOff(1)),
        (counts(&[0xff, 0xff, 0x7f, 2]), DecodeError::Beyond(1 << 20)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Histogram::decode_v2(&bytes), Err(expected), "{bytes:02x?}");
    }
}

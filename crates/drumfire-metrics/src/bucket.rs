//! Which bucket a value falls into: HdrHistogram's log-linear layout with
//! three significant digits, as pure arithmetic.
//!
//! Values below 2,048 have a bucket each. Above, every power of two is cut
//! into 1,024 buckets, so that a bucket is never wider than 1/1,024 of its
//! lowest value and its middle never further than 0.05 % from any value in it.

/// Largest value that is kept apart from larger ones (281 terabytes, or 8.9
/// years in microseconds); what is larger is counted as this.
pub(crate) const MAX_VALUE: u64 = (1 << 48) - 1;

/// Number of buckets.
pub(crate) const BUCKETS: usize = index_of(MAX_VALUE) + 1;

const SUB_BUCKET_BITS: u32 = 11;
const SUB_BUCKET_HALF_BITS: u32 = SUB_BUCKET_BITS - 1;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;

/// The bucket of a value that is at most [`MAX_VALUE`].
#[inline]
pub(crate) const fn index_of(value: u64) -> usize {
    let shift = (u64::BITS - SUB_BUCKET_BITS) - (value | (SUB_BUCKETS - 1)).leading_zeros();
    ((shift as usize) << SUB_BUCKET_HALF_BITS) + (value >> shift) as usize
}

/// Lowest and highest value of a bucket.
pub(crate) fn range_of(index: usize) -> (u64, u64) {
    let half = index >> SUB_BUCKET_HALF_BITS;
    let shift = half.saturating_sub(1);
    let sub_bucket = (index - (shift << SUB_BUCKET_HALF_BITS)) as u64;
    let lowest = sub_bucket << shift;
    (lowest, lowest + (1 << shift) - 1)
}

/// The value that stands for all of a bucket.
pub(crate) fn middle_of(index: usize) -> u64 {
    let (lowest, highest) = range_of(index);
    lowest + (highest - lowest) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_fall_into_their_buckets() {
        for (value, index, range) in [
            (0, 0, (0, 0)),
            (1, 1, (1, 1)),
            (2047, 2047, (2047, 2047)),
            (2048, 2048, (2048, 2049)),
            (2049, 2048, (2048, 2049)),
            (4095, 3071, (4094, 4095)),
            (4096, 3072, (4096, 4099)),
            (
                MAX_VALUE,
                BUCKETS - 1,
                (MAX_VALUE - (1 << 37) + 1, MAX_VALUE),
            ),
        ] {
            assert_eq!(index_of(value), index, "index of {value}");
            assert_eq!(range_of(index), range, "range of {index}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut next = 0;
        for index in 0..BUCKETS {
            let (lowest, highest) = range_of(index);
            assert_eq!(lowest, next, "bucket {index}");
            assert_eq!(index_of(lowest), index);
            assert_eq!(index_of(highest), index);
            next = highest + 1;
        }
        assert_eq!(next, MAX_VALUE + 1);
    }

    proptest! {
        #[test]
        fn the_middle_is_within_half_a_thousandth(value in 0..=MAX_VALUE) {
            let middle = middle_of(index_of(value));
            prop_assert!(middle.abs_diff(value) as f64 <= value as f64 / 2048.0);
        }
    }
}

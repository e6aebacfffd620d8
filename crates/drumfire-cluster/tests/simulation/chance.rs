//! All chance of a history, from its seed.

use std::ops::Range;

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub fn signed(&mut self, most: i64) -> i64 {
        self.within(0..2 * most as u64 + 1) as i64 - most
    }

    /// True `permille` times of a thousand.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.within(0..1_000) < permille
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.within(0..list.len() as u64) as usize]
    }
}

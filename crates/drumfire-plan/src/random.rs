//! The crate's only source of chance: a generator that is a pure function of a key.

/// xoshiro256++ 1.0 by David Blackman and Sebastiano Vigna (<https://prng.di.unimi.it>,
/// "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47, 2021), its state
/// filled by SplitMix64 as the authors advise.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of a key; different keys give streams without visible relation.
    pub(crate) fn of(key: [u64; 3]) -> Self {
        let mut seed = key
            .iter()
            .fold(0, |state, part| split_mix(state ^ part.rotate_left(17)));
        let state = std::array::from_fn(|_| {
            seed = seed.wrapping_add(GOLDEN_GAMMA);
            split_mix(seed)
        });
        Self { state }
    }

    /// The next 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let bits = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c_mixed, d_mixed) = (c ^ a, d ^ b);
        self.state = [
            a ^ d_mixed,
            b ^ c_mixed,
            c_mixed ^ (b << 17),
            d_mixed.rotate_left(45),
        ];
        bits
    }
}

/// 2^64 divided by the golden ratio: the step of SplitMix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014), offset so that 0 is no fixed point.
fn split_mix(value: u64) -> u64 {
    let mut bits = value.wrapping_add(GOLDEN_GAMMA);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_follows_the_published_recurrence() {
        // From the state 1, 2, 3, 4: rotl(1 + 4, 23) + 1, then by hand from 1 ^ 4 ^ 2 and so on.
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        assert_eq!(random.next(), (5 << 23) + 1);
        assert_eq!(random.state, [7, 0, 2 ^ (2 << 17), 6 << 45]);
    }

    #[test]
    fn keys_that_differ_in_one_place_give_other_streams() {
        let keys = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]];
        let mut firsts: Vec<u64> = keys.map(|key| Random::of(key).next()).to_vec();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), keys.len());
    }
}

//! The points of a unit-rate Poisson process, as a pure function of a seed.
//!
//! The axis is the expected count of arrivals, so a ramp or a pause is only a
//! stretching of it: the k-th arrival is where A(t) reaches the k-th point. The axis is
//! cut into blocks of 1024 expected arrivals. In disjoint blocks a Poisson process has independent
//! counts, each Poisson(1024), and given its count a block's points are independent
//! and uniform in it (Kingman, "Poisson Processes", 1993, 2.1 and 2.4); so each
//! block has its own random stream, drawn without any other. Counts come from the
//! inverse of the distribution function and positions are whole numbers, so that
//! every machine draws the same points: nothing depends on a platform's logarithm.
//!
//! Cost: one draw and 8 bytes per 1024 arrivals when the load is made (30 ms for 10^9). A walk
//! draws and sorts each block it has an arrival in, some 20 µs; a share of one in n thus
//! pays about n times 20 ns for each arrival of its own, up to n = 1024.

use crate::curve::{MASS_PER_ARRIVAL, Mass};
use crate::random::Random;

/// Expected arrivals in a block.
const BLOCK_ARRIVALS: u32 = 1024;

/// The mass of a block.
const BLOCK_MASS: Mass = BLOCK_ARRIVALS as Mass * MASS_PER_ARRIVAL;

/// The points of the process on `0..mass`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoissonProcess {
    seed: u64,
    stage: u64,
    mass: Mass,
    /// Points before each block, and at last all of them.
    points_before: Vec<u64>,
}

impl PoissonProcess {
    pub(crate) fn draw(seed: u64, stage: u64, mass: Mass) -> Self {
        let blocks = mass.div_ceil(BLOCK_MASS) as u64;
        let mut process = Self {
            seed,
            stage,
            mass,
            points_before: Vec::with_capacity(blocks as usize + 1),
        };
        let mut points = 0;
        process.points_before.push(points);
        for block in 0..blocks {
            points += process.count_in(block);
            process.points_before.push(points);
        }
        process
    }

    /// All points.
    pub(crate) fn count(&self) -> u64 {
        self.points_before[self.points_before.len() - 1]
    }

    /// Points below `mass`.
    pub(crate) fn count_below(&self, mass: Mass) -> u64 {
        if mass >= self.mass {
            return self.count();
        }
        let mut block = Block::default();
        block.load(self, (mass / BLOCK_MASS) as usize);
        let inside = block
            .places
            .partition_point(|&place| block.start + offset(place) < mass);
        block.first + inside as u64
    }

    /// The mass at point `index`, which is below the count; `block` keeps what it loads for the next call.
    pub(crate) fn point(&self, index: u64, block: &mut Block) -> Mass {
        if !block.holds(index) {
            let after = self
                .points_before
                .partition_point(|&before| before <= index);
            block.load(self, after - 1);
        }
        block.start + offset(block.places[(index - block.first) as usize])
    }

    /// Points of a block; the last block is cut off where the process ends.
    fn count_in(&self, block: u64) -> u64 {
        let start = Mass::from(block) * BLOCK_MASS;
        if self.mass - start >= BLOCK_MASS {
            return u64::from(block_count(&mut self.random(block)));
        }
        let mut random = self.random(block);
        let drawn = block_count(&mut random);
        (0..drawn)
            .filter(|_| start + offset(random.next()) < self.mass)
            .count() as u64
    }

    fn random(&self, block: u64) -> Random {
        Random::of([self.seed, self.stage, block])
    }
}

/// The points of one block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    start: Mass,
    /// The index of the first point in the whole process.
    first: u64,
    /// Where in the block the points are, ascending, in units of 2^-64 of it.
    places: Vec<u64>,
}

impl Block {
    fn holds(&self, index: u64) -> bool {
        index
            .checked_sub(self.first)
            .is_some_and(|place| place < self.places.len() as u64)
    }

    fn load(&mut self, process: &PoissonProcess, block: usize) {
        let mut random = process.random(block as u64);
        let drawn = block_count(&mut random);
        self.start = block as Mass * BLOCK_MASS;
        self.first = process.points_before[block];
        self.places.clear();
        self.places.extend((0..drawn).map(|_| random.next()));
        self.places.sort_unstable();
        // What is beyond the end of the process was drawn, but is none of its points.
        let inside = process.points_before[block + 1] - self.first;
        self.places.truncate(inside as usize);
    }
}

/// Where in a block 64 random bits fall: `bits / 2^64` of its mass.
fn offset(bits: u64) -> Mass {
    // Taking 2^20 out of the block, which has that factor, keeps the product inside 128 bits.
    const { assert!(BLOCK_MASS.trailing_zeros() >= 20 && BLOCK_MASS < 1 << 84) };
    (Mass::from(bits) * (BLOCK_MASS >> 20)) >> 44
}

/// A draw of Poisson([`BLOCK_ARRIVALS`]) by inversion.
fn block_count(random: &mut Random) -> u32 {
    let bits = random.next();
    FEWEST + CUMULATIVE.partition_point(|&below| below <= bits) as u32
}

/// Counts tried: ten standard deviations below the mean to twelve above, beyond which
/// less than one block in 2^64 lies.
const FEWEST: u32 = BLOCK_ARRIVALS - 10 * 32;
const MOST: u32 = BLOCK_ARRIVALS + 12 * 32;

/// `CUMULATIVE[i]`: the probability of at most `FEWEST + i`, in units of 2^-64; the count `MOST` takes the rest.
static CUMULATIVE: [u64; (MOST - FEWEST) as usize] = cumulative();

/// Multiplications and divisions only, evaluated by the compiler: the same everywhere.
const fn cumulative() -> [u64; (MOST - FEWEST) as usize] {
    const COUNTS: usize = (MOST - FEWEST) as usize + 1;
    let mean = BLOCK_ARRIVALS as f64;
    let mut weights = [1.0_f64; COUNTS];
    let mode = (BLOCK_ARRIVALS - FEWEST) as usize;
    let mut index = mode;
    while index > 0 {
        weights[index - 1] = weights[index] * (FEWEST as f64 + index as f64) / mean;
        index -= 1;
    }
    index = mode;
    while index + 1 < COUNTS {
        weights[index + 1] = weights[index] * mean / (FEWEST as f64 + index as f64 + 1.0);
        index += 1;
    }
    let mut sum = 0.0;
    index = 0;
    while index < COUNTS {
        sum += weights[index];
        index += 1;
    }
    let mut below = [0; COUNTS - 1];
    let mut running = 0.0;
    index = 0;
    while index < COUNTS - 1 {
        running += weights[index];
        below[index] = (running / sum * 18_446_744_073_709_551_616.0) as u64;
        index += 1;
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_counts_have_the_mean_and_variance_of_their_distribution() {
        let blocks = 100_000_u32;
        let counts: Vec<f64> = (0..u64::from(blocks))
            .map(|block| f64::from(block_count(&mut Random::of([7, 0, block]))))
            .collect();
        let mean = counts.iter().sum::<f64>() / f64::from(blocks);
        let variance = counts
            .iter()
            .map(|count| (count - mean).powi(2))
            .sum::<f64>()
            / f64::from(blocks);
        // Standard errors: 32 / sqrt(100 000) = 0.1 and 1024 * sqrt(2 / 100 000) = 4.6.
        assert!((mean - 1024.0).abs() < 0.4, "mean {mean}");
        assert!((variance - 1024.0).abs() < 18.0, "variance {variance}");
    }

    #[test]
    fn point_and_count_below_agree_with_a_plain_walk() {
        let process = PoissonProcess::draw(3, 1, 5 * BLOCK_MASS + BLOCK_MASS / 3);
        let mut block = Block::default();
        let points: Vec<Mass> = (0..process.count())
            .map(|index| process.point(index, &mut block))
            .collect();
        assert!(points.is_sorted());
        assert!(points.iter().all(|&point| point < process.mass));
        for (index, &point) in points.iter().enumerate() {
            assert_eq!(process.count_below(point), index as u64);
            assert_eq!(process.count_below(point + 1), index as u64 + 1);
        }
    }

    #[test]
    fn offset_reaches_from_the_start_to_just_below_the_end() {
        assert_eq!(offset(0), 0);
        assert_eq!(offset(1 << 63), BLOCK_MASS / 2);
        assert_eq!(offset(u64::MAX), BLOCK_MASS - (BLOCK_MASS >> 64) - 1);
    }
}

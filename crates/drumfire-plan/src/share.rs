//! Which arrivals and users one agent (or one shard of it) runs: stripes that
//! interleave smoothly and together cover every number exactly once.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::error::PlanError;

/// The longest pattern of a split: the sum of its weights after dividing by their common factor.
pub const MAX_SHARE_PERIOD: u32 = 65_536;

/// The most shares that one split makes; with the period it bounds the work of dealing.
pub const MAX_SHARES: usize = 10_000;

/// A stripe of the numbers 0, 1, 2, …: a periodic pattern, and inside it, where a share was split
/// again, a pattern of the numbers that are left.
///
/// Weights 3 and 1 make the pattern A A B A: every share's numbers are spread as evenly as the
/// weights allow, so each share alone has the shape of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    stripes: Arc<[Stripe]>,
}

impl Share {
    /// Every number: the share of a test that runs in one place.
    pub fn whole() -> Self {
        Self {
            stripes: Arc::new([]),
        }
    }

    /// Splits everything into one share per weight, in the order of the weights. A weight of 0
    /// makes a share that owns nothing.
    ///
    /// # Errors
    /// When there is no weight above 0, there are more than [`MAX_SHARES`] of them, or the
    /// pattern would be longer than [`MAX_SHARE_PERIOD`].
    pub fn split(weights: &[u32]) -> Result<Vec<Self>, PlanError> {
        Self::whole().split_again(weights)
    }

    /// One share of [`Share::split`], for whoever needs no other of them.
    ///
    /// # Errors
    /// As [`Share::split`]; and when there are no more than `index` weights.
    pub fn one_of_split(weights: &[u32], index: usize) -> Result<Self, PlanError> {
        let pattern = Pattern::of(weights)?;
        if index >= weights.len() {
            return Err(PlanError::NoShareWeight);
        }
        // Most splits are even: then each share has one place, its own.
        let positions = match pattern.is_even() {
            true => [index as u32].into(),
            false => pattern.deal().swap_remove(index).into(),
        };
        let period = pattern.period;
        Ok(Self::whole().within(Stripe { period, positions }))
    }

    /// Splits this share by weights: its own numbers are dealt out, in their order.
    ///
    /// # Errors
    /// As [`Share::split`].
    pub fn split_again(&self, weights: &[u32]) -> Result<Vec<Self>, PlanError> {
        let stripes = stripes(weights)?;
        Ok(stripes
            .into_iter()
            .map(|stripe| self.within(stripe))
            .collect())
    }

    /// Splits this share over `parts` equal ones (an agent's over its shards).
    pub fn split_evenly(&self, parts: NonZeroU32) -> Vec<Self> {
        let parts = parts.get();
        if parts == 1 {
            return vec![self.clone()];
        }
        (0..parts)
            .map(|part| {
                self.within(Stripe {
                    period: parts,
                    positions: Arc::new([part]),
                })
            })
            .collect()
    }

    /// Whether this share runs number `number`.
    pub fn owns(&self, number: u64) -> bool {
        self.next_owned(number) == Some(number)
    }

    /// The first owned number from `number` on; none when the share owns nothing.
    pub fn next_owned(&self, number: u64) -> Option<u64> {
        self.nth_owned(self.count_below(number))
    }

    /// How many of the numbers below `number` are owned. Independent of the size of `number`.
    pub fn count_below(&self, number: u64) -> u64 {
        self.stripes
            .iter()
            .fold(number, |number, stripe| stripe.count_below(number))
    }

    /// The owned number with `rank` owned ones before it; none when the share owns nothing
    /// (or the number would not fit 64 bits).
    pub fn nth_owned(&self, rank: u64) -> Option<u64> {
        self.stripes
            .iter()
            .rev()
            .try_fold(rank, |rank, stripe| stripe.nth(rank))
    }

    fn within(&self, stripe: Stripe) -> Self {
        let stripes = self.stripes.iter().cloned().chain([stripe]).collect();
        Self { stripes }
    }
}

/// The owned positions, ascending, of a pattern that repeats every `period` numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stripe {
    period: u32,
    positions: Arc<[u32]>,
}

impl Stripe {
    fn count_below(&self, number: u64) -> u64 {
        let period = u64::from(self.period);
        let (turns, place) = (number / period, number % period);
        let below = self
            .positions
            .partition_point(|&position| u64::from(position) < place);
        turns * self.positions.len() as u64 + below as u64
    }

    fn nth(&self, rank: u64) -> Option<u64> {
        let each_turn = self.positions.len() as u64;
        let turns = rank.checked_div(each_turn)?;
        let position = self.positions[(rank % each_turn) as usize];
        turns
            .checked_mul(u64::from(self.period))?
            .checked_add(u64::from(position))
    }
}

fn stripes(weights: &[u32]) -> Result<Vec<Stripe>, PlanError> {
    let pattern = Pattern::of(weights)?;
    let stripe = |positions: Vec<u32>| Stripe {
        period: pattern.period,
        positions: positions.into(),
    };
    Ok(pattern.deal().into_iter().map(stripe).collect())
}

/// How the places of a period are dealt out.
struct Pattern {
    /// Without their common factor.
    weights: Vec<i64>,
    /// Their sum.
    period: u32,
}

impl Pattern {
    fn of(weights: &[u32]) -> Result<Self, PlanError> {
        if weights.len() > MAX_SHARES {
            return Err(PlanError::TooManyShares {
                shares: weights.len(),
            });
        }
        let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
        if divisor == 0 {
            return Err(PlanError::NoShareWeight);
        }
        let reduced: Vec<i64> = weights.iter().map(|&w| i64::from(w / divisor)).collect();
        let sum: i64 = reduced.iter().sum();
        let period = u32::try_from(sum)
            .ok()
            .filter(|&period| period <= MAX_SHARE_PERIOD)
            .ok_or(PlanError::SharePatternTooLong { period: sum as u64 })?;
        Ok(Self {
            weights: reduced,
            period,
        })
    }

    /// Whether all weights are the same, and not 0.
    fn is_even(&self) -> bool {
        self.weights.iter().all(|&weight| weight == 1)
    }

    /// The places of each share, by smooth weighted round robin: at every place all shares gain their weight, the
    /// richest (the first of equals) takes the place and pays the period.
    fn deal(&self) -> Vec<Vec<u32>> {
        if self.is_even() {
            return (0..self.period).map(|position| vec![position]).collect();
        }
        self.deal_by_credit()
    }

    fn deal_by_credit(&self) -> Vec<Vec<u32>> {
        let mut owned = vec![Vec::new(); self.weights.len()];
        let mut credit = vec![0_i64; self.weights.len()];
        for position in 0..self.period {
            let mut richest = 0;
            for (index, weight) in self.weights.iter().enumerate() {
                credit[index] += weight;
                if credit[index] > credit[richest] {
                    richest = index;
                }
            }
            credit[richest] -= i64::from(self.period);
            owned[richest].push(position);
        }
        owned
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_split_is_what_credit_deals() {
        for shares in [1, 2, 7, 100] {
            let pattern = Pattern::of(&vec![3; shares]).expect("weights that can be split");
            assert_eq!(pattern.deal(), pattern.deal_by_credit());
        }
    }
}

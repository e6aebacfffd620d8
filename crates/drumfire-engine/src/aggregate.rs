//! Puts the intervals of the shards together into the intervals of the run.

use crate::snapshots::INTERVAL_US;
use drumfire_metrics::Snapshot;
use std::collections::BTreeMap;

/// Intervals whose parts are still coming.
#[derive(Debug)]
pub(crate) struct Aggregate {
    /// Up to where each shard has handed over; `u64::MAX` when it has ended.
    handed_over_us: Vec<u64>,
    parts: BTreeMap<u64, Snapshot>,
    next: u64,
}

impl Aggregate {
    pub(crate) fn new(shards: usize) -> Self {
        Aggregate {
            handed_over_us: vec![0; shards],
            parts: BTreeMap::new(),
            next: 0,
        }
    }

    /// Takes a shard's interval.
    pub(crate) fn add(&mut self, shard: usize, snapshot: &Snapshot) {
        self.handed_over_us[shard] = snapshot.end_us;
        let index = (snapshot.start_us / INTERVAL_US).max(self.next);
        match self.parts.get_mut(&index) {
            Some(whole) => whole.merge(snapshot),
            None => drop(self.parts.insert(index, snapshot.clone())),
        }
    }

    /// Expects nothing more from a shard.
    pub(crate) fn end(&mut self, shard: usize) {
        self.handed_over_us[shard] = u64::MAX;
    }

    pub(crate) fn ended(&self) -> bool {
        self.handed_over_us.iter().all(|&us| us == u64::MAX)
    }

    /// The next interval to which every shard has given its part.
    pub(crate) fn complete(&mut self) -> Option<Snapshot> {
        let everyone_us = self.handed_over_us.iter().copied().min()?;
        let last = self.parts.last_key_value().map(|(&index, _)| index)?;
        let (start_us, end_us) = (self.next * INTERVAL_US, (self.next + 1) * INTERVAL_US);
        if everyone_us < end_us || self.next > last {
            return None;
        }
        self.next += 1;
        let mut snapshot = self.parts.remove(&(self.next - 1)).unwrap_or_default();
        snapshot.start_us = start_us;
        // The last interval of a run may be short, an interval that was held up long.
        if snapshot.end_us <= start_us || snapshot.end_us > end_us {
            snapshot.end_us = end_us;
        }
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start_us: u64, end_us: u64, count: u64) -> Snapshot {
        let mut snapshot = Snapshot {
            start_us,
            end_us,
            ..Snapshot::default()
        };
        snapshot.counters.insert("n".into(), count);
        snapshot
    }

    fn drained(aggregate: &mut Aggregate) -> Vec<(u64, u64, u64)> {
        std::iter::from_fn(|| aggregate.complete())
            .map(|s| {
                (
                    s.start_us,
                    s.end_us,
                    s.counters.get("n").copied().unwrap_or(0),
                )
            })
            .collect()
    }

    #[test]
    fn an_interval_waits_for_the_slowest_shard() {
        let mut aggregate = Aggregate::new(2);
        aggregate.add(0, &part(0, 1_000_000, 1));
        aggregate.add(0, &part(1_000_000, 2_000_000, 2));
        assert_eq!(drained(&mut aggregate), []);
        aggregate.add(1, &part(0, 1_000_000, 10));
        assert_eq!(drained(&mut aggregate), [(0, 1_000_000, 11)]);
        aggregate.add(1, &part(1_000_000, 1_400_000, 20));
        aggregate.end(1);
        assert_eq!(drained(&mut aggregate), [(1_000_000, 2_000_000, 22)]);
        aggregate.add(0, &part(2_000_000, 2_300_000, 3));
        aggregate.end(0);
        assert_eq!(drained(&mut aggregate), [(2_000_000, 2_300_000, 3)]);
        assert!(aggregate.ended());
    }

    #[test]
    fn a_shard_that_was_held_up_leaves_empty_intervals_and_loses_nothing() {
        let mut aggregate = Aggregate::new(1);
        aggregate.add(0, &part(0, 3_500_000, 7));
        aggregate.add(0, &part(3_500_000, 4_000_000, 1));
        aggregate.end(0);
        let total: u64 = drained(&mut aggregate).iter().map(|(_, _, n)| n).sum();
        assert_eq!(total, 8);
    }
}

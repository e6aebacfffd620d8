//! Epochs of shares: from an instant of the run on, who owns which arrivals.
//!
//! Arrival k belongs to the share that the epoch in force at its intended time gives it to. That is a function of the
//! schedule alone: no clock decides who owns an arrival, so two agents whose clocks differ never own the same one.

use crate::member::Member;
use crate::messages::{AgentEpoch, ShareOf};
use crate::scale;
use drumfire_plan::{Load, MAX_SHARE_PERIOD, PlanError, Share};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The most epochs of a run: each keeps its shares until the accounts are closed. What changes after that is not
/// rebalanced any more.
pub const MAX_EPOCHS: usize = 1_000;

/// A decided epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// From 0, without gaps.
    pub number: u64,
    /// From when it is in force, nanoseconds since the run's start.
    pub from_ns: u64,
    /// Rate or users in thousandths of the plan's.
    pub permille: u32,
    /// Its shares.
    pub slots: Vec<Slot>,
}

/// One share of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Who has it; nobody after the one who had it was lost under [`crate::Policy::Continue`].
    pub member: Option<Member>,
    /// Its weight.
    pub weight: u32,
}

/// All epochs of a run, and with them who owns what.
#[derive(Debug)]
pub struct Epochs {
    load: Load,
    seed: u64,
    entries: Vec<Entry>,
    ever_included: BTreeSet<Member>,
}

#[derive(Debug)]
struct Entry {
    epoch: Epoch,
    load: Load,
    /// What is added to the numbers of its arrivals: then they go on where those of the epoch before end.
    number_shift: i64,
    shares: Vec<Share>,
    weights: Arc<[u32]>,
    indexes_of: BTreeMap<Member, Vec<usize>>,
}

impl Epochs {
    /// No epoch yet. The seed is what a scaled load's chance is drawn from.
    pub fn new(load: Load, seed: u64) -> Self {
        Self {
            load,
            seed,
            entries: Vec::new(),
            ever_included: BTreeSet::new(),
        }
    }

    /// Adds a decided epoch.
    ///
    /// # Errors
    /// When its weights make no shares, or its scale no load.
    ///
    /// # Panics
    /// When it is not the next one, or begins before the last.
    pub fn push(&mut self, epoch: Epoch) -> Result<(), PlanError> {
        let begins_ns = self.latest().map_or(0, |latest| latest.from_ns);
        assert_eq!(
            epoch.number,
            self.entries.len() as u64,
            "epochs come in order"
        );
        assert!(epoch.from_ns >= begins_ns, "epochs do not overlap");
        let weights = fitting(epoch.slots.iter().map(|slot| slot.weight).collect());
        let mut indexes_of = BTreeMap::<Member, Vec<usize>>::new();
        for (index, slot) in epoch.slots.iter().enumerate() {
            if let Some(member) = slot.member.clone() {
                indexes_of.entry(member).or_default().push(index);
            }
        }
        let load = scale::scaled(&self.load, epoch.permille, self.seed)?;
        let entry = Entry {
            number_shift: self.number_shift(&load, epoch.from_ns),
            load,
            shares: Share::split(&weights)?,
            weights: weights.into(),
            indexes_of,
            epoch,
        };
        self.ever_included.extend(entry.indexes_of.keys().cloned());
        self.entries.push(entry);
        Ok(())
    }

    /// What is to be added to the numbers of a load's arrivals that is shared from an instant on.
    fn number_shift(&self, load: &Load, from_ns: u64) -> i64 {
        self.entries.last().map_or(0, |last| {
            let numbered = last.arrivals_before(from_ns) as i64;
            last.number_shift + numbered - arrivals_before(load, from_ns) as i64
        })
    }

    /// What is added to the numbers of the last epoch's arrivals.
    pub fn latest_number_shift(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.number_shift)
    }

    /// The last epoch.
    pub fn latest(&self) -> Option<&Epoch> {
        self.entries.last().map(|entry| &entry.epoch)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Epoch> {
        self.entries.iter().map(|entry| &entry.epoch)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a member has a part in the last epoch.
    pub fn includes(&self, member: &Member) -> bool {
        self.entries
            .last()
            .is_some_and(|entry| entry.indexes_of.contains_key(member))
    }

    /// Whether a member ever had a part.
    pub fn ever_included(&self, member: &Member) -> bool {
        self.ever_included.contains(member)
    }

    /// The epochs after number `known`, as a member needs them. To one who knows none, the epochs before its first
    /// part do not matter.
    pub fn news_for(&self, member: &Member, known: Option<u64>) -> Vec<AgentEpoch> {
        let first = match known {
            Some(known) => known as usize + 1,
            None => {
                let mut entries = self.entries.iter();
                let first = entries.position(|entry| entry.indexes_of.contains_key(member));
                first.unwrap_or(self.entries.len())
            }
        };
        let news = self.entries.get(first..).unwrap_or_default();
        news.iter().map(|entry| entry.for_agent(member)).collect()
    }

    /// Arrivals of open load before `to_ns`; of closed load none are planned.
    pub fn planned_before(&self, to_ns: u64) -> Option<u64> {
        let Load::Open(load) = &self.load else {
            return None;
        };
        if self.entries.is_empty() {
            return Some(load.arrivals_before(Duration::from_nanos(to_ns)));
        }
        let everything = Share::whole();
        Some(self.count(0, to_ns, |_| vec![&everything]))
    }

    /// A member's arrivals of open load from `from_ns` to before `to_ns`.
    pub fn owned_between(&self, member: &Member, from_ns: u64, to_ns: u64) -> u64 {
        self.count(from_ns, to_ns, |entry| {
            let indexes = entry.indexes_of.get(member).into_iter().flatten();
            indexes.map(|&index| &entry.shares[index]).collect()
        })
    }

    /// How many arrivals of some shares, which may differ from epoch to epoch, are in a span.
    fn count<'a>(
        &'a self,
        from_ns: u64,
        to_ns: u64,
        shares_in: impl Fn(&'a Entry) -> Vec<&'a Share>,
    ) -> u64 {
        let ends = self.entries.iter().skip(1).map(|next| next.epoch.from_ns);
        let ends = ends.chain([u64::MAX]);
        let spans = self.entries.iter().zip(ends).filter_map(|(entry, end_ns)| {
            let span = entry.epoch.from_ns.max(from_ns)..end_ns.min(to_ns);
            (span.start < span.end).then_some((entry, span))
        });
        spans
            .map(|(entry, span)| {
                let shares = shares_in(entry);
                if shares.is_empty() {
                    return 0;
                }
                let (first, end) = (
                    entry.arrivals_before(span.start),
                    entry.arrivals_before(span.end),
                );
                let own = shares.iter();
                own.map(|share| share.count_below(end) - share.count_below(first))
                    .sum::<u64>()
            })
            .sum()
    }
}

impl Entry {
    fn for_agent(&self, member: &Member) -> AgentEpoch {
        let indexes = self.indexes_of.get(member).into_iter().flatten();
        let shares = indexes.map(|&index| ShareOf {
            weights: Arc::clone(&self.weights),
            index: index as u32,
        });
        AgentEpoch {
            number: self.epoch.number,
            from_ns: self.epoch.from_ns,
            permille: self.epoch.permille,
            number_shift: self.number_shift,
            shares: shares.collect(),
        }
    }

    fn arrivals_before(&self, at_ns: u64) -> u64 {
        arrivals_before(&self.load, at_ns)
    }
}

fn arrivals_before(load: &Load, at_ns: u64) -> u64 {
    match load {
        Load::Open(load) => load.arrivals_before(Duration::from_nanos(at_ns)),
        Load::Closed(_) => 0,
    }
}

/// Weights whose pattern is no longer than a split allows: halved, but never to nothing, until they fit.
pub(crate) fn fitting(mut weights: Vec<u32>) -> Vec<u32> {
    let sum = |weights: &[u32]| weights.iter().map(|&weight| u64::from(weight)).sum::<u64>();
    let least = weights.len() as u64;
    while sum(&weights) > u64::from(MAX_SHARE_PERIOD).max(least) {
        for weight in weights.iter_mut().filter(|weight| **weight > 1) {
            *weight /= 2;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_plan::{Arrivals, OpenLoad, OpenStage, Spacing};
    use proptest::prelude::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn load(spacing: Spacing) -> OpenLoad {
        let stage = |arrivals, seconds| OpenStage {
            name: None,
            duration: Duration::from_secs(seconds),
            arrivals,
            spacing,
            max_users: None,
        };
        let stages = vec![
            stage(Arrivals::Ramp { from: 1.0, to: 9.0 }, 4),
            stage(Arrivals::Constant { per_second: 7.3 }, 6),
        ];
        OpenLoad::new(stages, 7).expect("a valid load")
    }

    fn member(name: u32) -> Member {
        Member::new(&format!("agent-{name}"), 1)
    }

    /// Each epoch: when, its scale, and the weights of members 0, 1, 2, nobody, 0, 1; weight 0 is absent.
    fn epochs(load: OpenLoad, list: &[(u64, u32, Vec<u32>)]) -> Epochs {
        let mut epochs = Epochs::new(Load::Open(load), 7);
        for (number, (from_ns, permille, weights)) in list.iter().enumerate() {
            let present = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight > 0);
            let slots = present.map(|(name, weight)| Slot {
                member: (name != 3).then(|| member(name as u32 % 4)),
                weight: *weight,
            });
            let epoch = Epoch {
                number: number as u64,
                from_ns: *from_ns,
                permille: *permille,
                slots: slots.collect(),
            };
            epochs.push(epoch).expect("weights that can be split");
        }
        epochs
    }

    fn a_list() -> impl Strategy<Value = Vec<(u64, u32, Vec<u32>)>> {
        let weights = prop::collection::vec(0..4_u32, 6).prop_filter("someone", |weights| {
            weights.iter().any(|&weight| weight > 0)
        });
        let entry = (
            0..11 * SECOND_NS,
            prop::sample::select(vec![1_000, 500, 1_700]),
            weights,
        );
        prop::collection::vec(entry, 1..5).prop_map(|mut list| {
            list.sort();
            list[0].0 = 0;
            list
        })
    }

    proptest! {
        #[test]
        fn every_arrival_has_one_owner_and_counts_agree_with_a_walk(
            list in a_list(), cuts in (0..11 * SECOND_NS, 0..11 * SECOND_NS), poisson: bool,
        ) {
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Uniform };
            let epochs = epochs(load(spacing), &list);
            let (from_ns, to_ns) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
            let walked = |shares_of: &dyn Fn(&Entry) -> Vec<Share>| -> u64 {
                let ends = epochs.entries.iter().skip(1).map(|entry| entry.epoch.from_ns);
                let ends = ends.chain([u64::MAX]);
                let in_epoch = |(entry, end_ns): (&Entry, u64)| {
                    let Load::Open(load) = &entry.load else { return 0 };
                    let arrivals = shares_of(entry).into_iter().flat_map(|share| load.schedule(&share));
                    let at = arrivals.map(|arrival| arrival.at.as_nanos() as u64);
                    at.filter(|at| (entry.epoch.from_ns..end_ns).contains(at))
                        .filter(|at| (from_ns..to_ns).contains(at)).count() as u64
                };
                epochs.entries.iter().zip(ends).map(in_epoch).sum()
            };
            let mut owned = 0;
            for name in 0..3 {
                let member = member(name);
                let count = epochs.owned_between(&member, from_ns, to_ns);
                let shares_of = |entry: &Entry| -> Vec<Share> {
                    let indexes = entry.indexes_of.get(&member).into_iter().flatten();
                    indexes.map(|&index| entry.shares[index].clone()).collect()
                };
                prop_assert_eq!(count, walked(&shares_of));
                owned += count;
            }
            let nobodys = walked(&|entry| {
                let slots = entry.epoch.slots.iter().zip(&entry.shares);
                let vacant = slots.filter(|(slot, _)| slot.member.is_none());
                vacant.map(|(_, share)| share.clone()).collect()
            });
            let planned = epochs.planned_before(to_ns).zip(epochs.planned_before(from_ns));
            prop_assert_eq!(planned.map(|(to, from)| to - from), Some(owned + nobodys));
        }

        #[test]
        fn numbers_go_on_from_one_epoch_to_the_next(list in a_list(), poisson: bool) {
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Uniform };
            let epochs = epochs(load(spacing), &list);
            let ends = epochs.entries.iter().skip(1).map(|entry| entry.epoch.from_ns);
            let ends = ends.chain([u64::MAX]);
            let mut numbers = Vec::new();
            for (entry, end_ns) in epochs.entries.iter().zip(ends) {
                let Load::Open(load) = &entry.load else { continue };
                let span = entry.epoch.from_ns..end_ns;
                let arrivals = load.schedule(&Share::whole());
                let own = arrivals.filter(|arrival| span.contains(&(arrival.at.as_nanos() as u64)));
                numbers.extend(own.map(|arrival| arrival.number.wrapping_add_signed(entry.number_shift)));
            }
            let expected: Vec<u64> = (0..numbers.len() as u64).collect();
            prop_assert_eq!(numbers, expected);
        }

        #[test]
        fn weights_always_fit(weights in prop::collection::vec(1..=u32::MAX, 1..100)) {
            let fitted = fitting(weights.clone());
            prop_assert!(fitted.iter().map(|&weight| u64::from(weight)).sum::<u64>() <= u64::from(MAX_SHARE_PERIOD));
            prop_assert_eq!(fitted.len(), weights.len());
            prop_assert!(fitted.iter().all(|&weight| weight > 0));
        }
    }

    #[test]
    fn a_newcomer_is_told_from_its_first_part_on() {
        let list = [
            (0, 1_000, vec![1]),
            (5, 1_000, vec![1, 1]),
            (9, 1_000, vec![1]),
        ];
        let epochs = epochs(load(Spacing::Uniform), &list);
        let numbers = |name, known| -> Vec<(u64, bool)> {
            let news = epochs.news_for(&member(name), known);
            news.iter()
                .map(|epoch| (epoch.number, !epoch.shares.is_empty()))
                .collect()
        };
        assert_eq!(numbers(0, None), [(0, true), (1, true), (2, true)]);
        assert_eq!(numbers(0, Some(1)), [(2, true)]);
        assert_eq!(numbers(1, None), [(1, true), (2, false)]);
        assert_eq!(numbers(2, None), []);
    }
}

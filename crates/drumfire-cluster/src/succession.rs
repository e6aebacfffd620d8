//! The slots of the next epoch: those of the last one, with as few changes as the members allow, so that few agents have to
//! agree.

use crate::epochs::Slot;
use crate::member::Member;
use crate::settings::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// What can be asked of one who has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It stays, and weighs so much now.
    Stays(u32),
    /// It cannot be asked now, and what it has cannot be taken away.
    Silent,
    /// It has gone, or wants to go.
    Leaves,
}

/// What the next epoch's slots should be; `newcomers` are ready and have none.
pub(crate) fn next_slots(
    last: &[Slot],
    policy: Policy,
    standing: impl Fn(&Member) -> Standing,
    newcomers: Vec<(Member, u32)>,
) -> Vec<Slot> {
    let mut seen = BTreeSet::new();
    let mut kept = |slot: &Slot| {
        // Who stood in for others goes back to a slot of its own.
        let first = |member: &&Member| seen.insert((*member).clone());
        let Some(member) = slot.member.as_ref().filter(first) else {
            return vacant(slot);
        };
        match standing(member) {
            Standing::Stays(weight) => Slot {
                member: Some(member.clone()),
                weight,
            },
            Standing::Silent => slot.clone(),
            Standing::Leaves => vacant(slot),
        }
    };
    let slots: Vec<Slot> = last.iter().map(&mut kept).collect();
    match policy {
        Policy::Continue | Policy::Abort => slots,
        Policy::Rebalance => filled(slots, newcomers),
    }
}

/// The slots of an epoch that changes nothing for those who are silent: others stand in for whoever leaves, a newcomer of
/// the same weight before all, then the one who has least.
pub(crate) fn stand_in_slots(
    last: &[Slot],
    standing: impl Fn(&Member) -> Standing,
    newcomers: Vec<(Member, u32)>,
) -> Vec<Slot> {
    let kept = |slot: &Slot| match &slot.member {
        Some(member) if standing(member) != Standing::Leaves => slot.clone(),
        _ => vacant(slot),
    };
    let mut slots: Vec<Slot> = last.iter().map(kept).collect();
    take_vacant(&mut slots, newcomers);
    let mut weights = BTreeMap::<Member, u64>::new();
    for slot in &slots {
        if let Some(member) = &slot.member
            && matches!(standing(member), Standing::Stays(_))
        {
            *weights.entry(member.clone()).or_default() += u64::from(slot.weight);
        }
    }
    for slot in slots.iter_mut().filter(|slot| slot.member.is_none()) {
        let least = weights.iter_mut().min_by_key(|(_, weight)| **weight);
        slot.member = least.map(|(member, weight)| {
            *weight += u64::from(slot.weight);
            member.clone()
        });
    }
    slots
}

fn vacant(slot: &Slot) -> Slot {
    Slot {
        member: None,
        weight: slot.weight,
    }
}

/// Closes the vacant slots that no newcomer takes, and opens new ones for other newcomers. Where nobody
/// is left, the vacant slots stay.
fn filled(mut slots: Vec<Slot>, newcomers: Vec<(Member, u32)>) -> Vec<Slot> {
    let others = take_vacant(&mut slots, newcomers);
    if others.is_empty() && slots.iter().all(|slot| slot.member.is_none()) {
        return slots;
    }
    slots.retain(|slot| slot.member.is_some());
    slots.extend(others);
    slots
}

/// A newcomer takes a vacant slot of its own weight, which changes nobody else's share; gives slots for the others.
fn take_vacant(slots: &mut [Slot], newcomers: Vec<(Member, u32)>) -> Vec<Slot> {
    let mut others = Vec::new();
    for (member, weight) in newcomers {
        let fits = |slot: &&mut Slot| slot.member.is_none() && slot.weight == weight;
        let member = Some(member);
        match slots.iter_mut().find(fits) {
            Some(slot) => slot.member = member,
            None => others.push(Slot { member, weight }),
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots as text: `a1 b2 -1` is a with weight 1, b with weight 2, and a vacant one of weight 1.
    fn slots(text: &str) -> Vec<Slot> {
        let slot = |word: &str| Slot {
            member: Some(&word[..1])
                .filter(|name| *name != "-")
                .map(|name| Member::new(name, 1)),
            weight: word[1..].parse().expect("a weight"),
        };
        text.split_whitespace().map(slot).collect()
    }

    fn standing(last: &[Slot], gone: &str, silent: &str, member: &Member) -> Standing {
        let own = |slot: &&Slot| slot.member.as_ref() == Some(member);
        let weight = last.iter().find(own).map_or(1, |slot| slot.weight);
        match &*member.agent {
            name if gone.contains(name) => Standing::Leaves,
            name if silent.contains(name) => Standing::Silent,
            _ => Standing::Stays(weight),
        }
    }

    #[test]
    fn others_stand_in_where_the_silent_cannot_be_asked() {
        for (last, gone, silent, newcomers, stands_in, rebalanced) in [
            ("a1 b1 c1", "b", "c", "", "a1 a1 c1", "a1 c1"),
            (
                "a1 b1 c1 d1 e1",
                "bd",
                "c",
                "",
                "a1 a1 c1 e1 e1",
                "a1 c1 e1",
            ),
            ("a1 b1 c1", "b", "c", "d1", "a1 d1 c1", "a1 d1 c1"),
            ("a1 b1 c1", "b", "c", "d2", "a1 a1 c1", "a1 c1 d2"),
            ("a1 b1 c1", "ab", "c", "", "-1 -1 c1", "c1"),
            ("a1 a1 c1", "", "c", "", "a1 a1 c1", "a1 c1"),
        ] {
            let last = slots(last);
            let standing = |member: &Member| standing(&last, gone, silent, member);
            let newcomers = slots(newcomers).into_iter();
            let newcomers = newcomers.filter_map(|slot| Some((slot.member?, slot.weight)));
            let newcomers: Vec<_> = newcomers.collect();
            let now = stand_in_slots(&last, standing, newcomers.clone());
            assert_eq!(
                now,
                slots(stands_in),
                "{last:?} without {gone}, {silent} silent"
            );
            let later = next_slots(&last, Policy::Rebalance, standing, newcomers);
            assert_eq!(later, slots(rebalanced), "{last:?} without {gone}");
        }
    }

    #[test]
    fn as_few_shares_change_as_can_be() {
        for (last, gone, newcomers, rebalanced, continued) in [
            ("a1 b1 c1", "", "", "a1 b1 c1", "a1 b1 c1"),
            ("a1 b1 c1", "b", "", "a1 c1", "a1 -1 c1"),
            ("a1 b1 c1", "b", "d1", "a1 d1 c1", "a1 -1 c1"),
            ("a1 b1 c1", "b", "d2", "a1 c1 d2", "a1 -1 c1"),
            ("a1 b1 c1", "ab", "d1 e1 f1", "d1 e1 c1 f1", "-1 -1 c1"),
            ("a1 b2", "ab", "", "-1 -2", "-1 -2"),
            ("-1 -2", "", "c1", "c1", "-1 -2"),
        ] {
            for (policy, expected) in [
                (Policy::Rebalance, rebalanced),
                (Policy::Continue, continued),
            ] {
                let last = slots(last);
                let standing = |member: &Member| standing(&last, gone, "", member);
                let newcomers = slots(newcomers).into_iter();
                let newcomers = newcomers.filter_map(|slot| Some((slot.member?, slot.weight)));
                let next = next_slots(&last, policy, standing, newcomers.collect());
                assert_eq!(next, slots(expected), "{last:?} without {gone}, {policy:?}");
            }
        }
    }
}

//! The slots of the next epoch: those of the last one, with as few changes as the members allow, so that few agents have to
//! agree.

use crate::epochs::Slot;
use crate::member::Member;
use crate::settings::Policy;
use std::collections::VecDeque;

/// What the next epoch's slots should be. `stays` says who of the last epoch keeps a part, and with what
/// weight instead of its last one;
/// `newcomers` are ready and have none.
pub(crate) fn next_slots(
    last: &[Slot],
    policy: Policy,
    stays: impl Fn(&Member, u32) -> Option<u32>,
    newcomers: Vec<(Member, u32)>,
) -> Vec<Slot> {
    let vacated: Vec<Slot> = last.iter().map(|slot| kept(slot, &stays)).collect();
    match policy {
        Policy::Continue | Policy::Abort => vacated,
        Policy::Rebalance => filled(vacated, newcomers),
    }
}

fn kept(slot: &Slot, stays: impl Fn(&Member, u32) -> Option<u32>) -> Slot {
    let stays = |member| (member, stays(member, slot.weight));
    match slot.member.as_ref().map(stays) {
        Some((member, Some(weight))) => Slot {
            member: Some(member.clone()),
            weight,
        },
        _ => Slot {
            member: None,
            weight: slot.weight,
        },
    }
}

/// A newcomer takes a vacant slot of its own weight, which changes nobody else's share; other vacant slots
/// close and other newcomers get new ones. Where nobody is left, the vacant slots stay.
fn filled(mut slots: Vec<Slot>, newcomers: Vec<(Member, u32)>) -> Vec<Slot> {
    let mut others = VecDeque::new();
    for (member, weight) in newcomers {
        let vacant = |slot: &&mut Slot| slot.member.is_none() && slot.weight == weight;
        match slots.iter_mut().find(vacant) {
            Some(slot) => slot.member = Some(member),
            None => others.push_back(Slot {
                member: Some(member),
                weight,
            }),
        }
    }
    if others.is_empty() && slots.iter().all(|slot| slot.member.is_none()) {
        return slots;
    }
    slots.retain(|slot| slot.member.is_some());
    slots.extend(others);
    slots
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
                let stays =
                    |member: &Member, weight| (!gone.contains(&*member.agent)).then_some(weight);
                let newcomers = slots(newcomers).into_iter();
                let newcomers = newcomers.filter_map(|slot| Some((slot.member?, slot.weight)));
                let next = next_slots(&last, policy, stays, newcomers.collect());
                assert_eq!(next, slots(expected), "{last:?} without {gone}, {policy:?}");
            }
        }
    }
}

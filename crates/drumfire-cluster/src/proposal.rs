//! An epoch that is proposed but not decided: who has to promise it, and the instant at which it may then take effect.
//!
//! An agent that promises will start nothing from the proposal's instant on before it knows what became of it.
//! When everyone whose share would change has promised, or can start nothing any more at that instant (its
//! process is gone, or all that it was ever granted ends before), the epoch is decided. An undecided one is replaced or
//! withdrawn; only then may those who promised go on as before. So no arrival ever has two owners, whatever
//! messages are lost, late or doubled, and no clock has a part in it.

use crate::epochs::{Epoch, Slot, fitting};
use crate::member::Member;
use crate::messages::{ProposalId, Proposed};
use crate::roster::{Entry, Roster};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) proposed: Proposed,
    pub(crate) slots: Vec<Slot>,
    pub(crate) permille: u32,
    pub(crate) asked: BTreeSet<Member>,
    /// Those of the asked who were not heard to promise yet.
    outstanding: BTreeSet<Member>,
    /// What those who cannot be asked were granted ends here.
    granted_until_ns: u64,
}

/// What to propose.
pub(crate) struct Change<'a> {
    pub(crate) last: &'a Epoch,
    pub(crate) slots: Vec<Slot>,
    pub(crate) permille: u32,
}

impl Change<'_> {
    /// Whether it changes anything at all.
    pub(crate) fn is_none(&self) -> bool {
        self.slots == self.last.slots && self.permille == self.last.permille
    }

    /// Those whose share would be another one.
    pub(crate) fn affected(&self) -> BTreeSet<Member> {
        let (old, new) = (&self.last.slots, &self.slots);
        if weights(new) != weights(old) || self.permille != self.last.permille {
            let everyone = old.iter().chain(new);
            return everyone.filter_map(|slot| slot.member.clone()).collect();
        }
        let changed = old
            .iter()
            .zip(new)
            .filter(|(old, new)| old.member != new.member);
        changed
            .flat_map(|(old, new)| [&old.member, &new.member])
            .flatten()
            .cloned()
            .collect()
    }
}

impl Proposal {
    /// Proposes a change; `asked` of those it affects have to promise.
    pub(crate) fn new(
        id: ProposalId,
        holds_from_ns: u64,
        change: Change<'_>,
        asked: BTreeSet<Member>,
        roster: &Roster,
        horizon_ns: impl Fn(&Entry) -> u64,
    ) -> Self {
        let unasked = change
            .affected()
            .into_iter()
            .filter(|member| !asked.contains(member));
        let granted = unasked.filter_map(|member| {
            let entry = roster.get(&member).filter(|entry| !entry.gone)?;
            Some(horizon_ns(entry))
        });
        Self {
            proposed: Proposed { id, holds_from_ns },
            granted_until_ns: granted.max().unwrap_or(0),
            slots: change.slots,
            permille: change.permille,
            outstanding: asked.clone(),
            asked,
        }
    }

    /// Takes note that a member has promised something; whether it was the last that was waited for.
    pub(crate) fn hear(&mut self, member: &Member, roster: &Roster) -> bool {
        let promised = self.promise_of(member, roster).is_some();
        promised && self.outstanding.remove(member) && self.outstanding.is_empty()
    }

    /// Who was asked and has not promised yet.
    pub(crate) fn waits_for<'a>(&'a self, roster: &'a Roster) -> impl Iterator<Item = &'a Member> {
        self.asked
            .iter()
            .filter(|member| self.promise_of(member, roster).is_none())
    }

    /// The instant at which it takes effect, when all have promised.
    pub(crate) fn takes_effect_ns(&self, roster: &Roster) -> Option<u64> {
        let earliest_ns = self.proposed.holds_from_ns.max(self.granted_until_ns);
        self.asked
            .iter()
            .try_fold(earliest_ns, |latest_ns, member| {
                let entry = roster.get(member)?;
                if entry.gone {
                    return Some(latest_ns);
                }
                Some(latest_ns.max(self.promise_of(member, roster)?))
            })
    }

    fn promise_of(&self, member: &Member, roster: &Roster) -> Option<u64> {
        roster.get(member)?.holds_from_ns(self.proposed.id)
    }
}

fn weights(slots: &[Slot]) -> Vec<u32> {
    fitting(slots.iter().map(|slot| slot.weight).collect())
}

//! While load runs: who is lost, who is new, and the epochs that follow from it.

use super::{CoordinatorMachine, Event, Output};
use crate::epochs::{Epoch, MAX_EPOCHS};
use crate::lease::LockId;
use crate::member::Member;
use crate::messages::{Phase, ProposalId};
use crate::proposal::{Change, Proposal};
use crate::record::Fact;
use crate::roster::{Entry, LeaseState};
use crate::settings::Policy;
use crate::succession::{Standing, next_slots, stand_in_slots};
use std::collections::BTreeSet;

/// How often the lead of an epoch that is pushed back again and again doubles.
const MAX_LEAD_DOUBLINGS: u32 = 4;

impl CoordinatorMachine {
    pub(super) fn run(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        if self.run_ns(now_ns) >= self.duration_ns() {
            self.proposal = None;
            self.until_ns = now_ns.saturating_add(self.settings.timing.drain_ns);
            return self.enter(Phase::Draining, outputs);
        }
        self.lock_the_silent(now_ns, outputs);
        let lost = self.notice_losses(now_ns, outputs);
        if let Some(member) = lost.filter(|_| self.settings.policy == Policy::Abort) {
            let reason = format!("agent {member} was lost");
            return self.end_early(Phase::Failed(reason), now_ns, outputs);
        }
        if self.is_abandoned(now_ns) {
            let reason = "no agent is left".to_owned();
            return self.end_early(Phase::Failed(reason), now_ns, outputs);
        }
        self.follow_members(now_ns, outputs);
    }

    /// Takes an epoch as decided, after it was made durable: from here on it holds.
    pub(super) fn begin(&mut self, epoch: Epoch, now_ns: u64, outputs: &mut Vec<Output>) {
        for member in epoch.slots.iter().filter_map(|slot| slot.member.as_ref()) {
            self.roster.enter(member, now_ns, 0);
        }
        outputs.push(Output::Event(Event::Epoch(epoch.clone())));
        self.epochs
            .push(epoch)
            .expect("weights that fit and a scale that was tried make an epoch");
        self.proposal = None;
        self.news = true;
    }

    /// Proposes the epoch that the members call for, decides it when all agree, withdraws it when it is
    /// no longer called for.
    fn follow_members(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let Some((change, asked)) = self.possible(now_ns) else {
            return self.withdraw();
        };
        let run_ns = self.run_ns(now_ns);
        let timing = &self.settings.timing;
        // One who was expired when it was made and came back since has to be asked too.
        let same = |pending: &&Proposal| {
            pending.slots == change.slots
                && pending.permille == change.permille
                && asked.is_subset(&pending.asked)
        };
        let mut push_backs = 0;
        if let Some(pending) = self.proposal.as_ref().filter(same) {
            if let Some(from_ns) = pending.takes_effect_ns(&self.roster) {
                let epoch = Epoch {
                    number: change.last.number + 1,
                    from_ns: from_ns.max(change.last.from_ns),
                    permille: change.permille,
                    slots: change.slots,
                };
                outputs.push(Output::Persist(Fact::Epoch(epoch.clone())));
                return self.begin(epoch, now_ns, outputs);
            }
            if run_ns + timing.decide_ns < pending.proposed.holds_from_ns {
                return;
            }
            let waits_for = pending.waits_for(&self.roster).cloned().collect();
            outputs.push(Output::Event(Event::PushedBack(waits_for)));
            push_backs = self.push_backs + 1;
        }
        // Agents that are further away than the lead allows get more time from one push-back to the next.
        let lead_ns = timing.epoch_lead_ns << push_backs.min(MAX_LEAD_DOUBLINGS);
        let holds_from_ns = run_ns + lead_ns;
        if holds_from_ns >= self.duration_ns() {
            return self.withdraw();
        }
        let id = ProposalId {
            term: self.term,
            number: self.proposals + 1,
        };
        let horizon_ns = |entry: &Entry| self.horizon_ns(entry);
        let proposal = Proposal::new(id, holds_from_ns, change, asked, &self.roster, horizon_ns);
        self.proposal = Some(proposal);
        self.proposals += 1;
        self.push_backs = push_backs;
        self.news = true;
    }

    fn withdraw(&mut self) {
        self.news |= self.proposal.take().is_some();
    }

    /// The change that the members call for, with those who have to promise it; when one of them is silent, a smaller one
    /// that does not concern it. None when there is nothing to change, or nothing that can be changed now.
    fn possible(&self, now_ns: u64) -> Option<(Change<'_>, BTreeSet<Member>)> {
        let last = self.epochs.latest().filter(|_| !self.told_of_limit)?;
        let reachable =
            |asked: &BTreeSet<Member>| asked.iter().all(|member| self.is_fresh(member, now_ns));
        let standing = |member: &Member| self.standing(member, now_ns);
        let policy = self.settings.policy;
        let change = Change {
            last,
            slots: next_slots(&last.slots, policy, standing, self.newcomers(now_ns)),
            permille: self.permille,
        };
        if change.is_none() {
            return None;
        }
        let asked = self.to_ask(&change, now_ns);
        if reachable(&asked) {
            return Some((change, asked));
        }
        let mut entries = asked.iter().filter_map(|member| self.roster.get(member));
        if entries.any(|entry| self.may_speak_yet(entry, now_ns)) {
            return None;
        }
        let stand_in = Change {
            last,
            slots: stand_in_slots(&last.slots, standing, self.newcomers(now_ns)),
            permille: last.permille,
        };
        let asked = self.to_ask(&stand_in, now_ns);
        let possible = policy == Policy::Rebalance && !stand_in.is_none() && reachable(&asked);
        possible.then_some((stand_in, asked))
    }

    /// Whether this coordinator has not listened for long enough to call a member silent.
    fn may_speak_yet(&self, entry: &Entry, now_ns: u64) -> bool {
        let listened_ns = now_ns.saturating_sub(entry.heard_ns);
        entry.heartbeat.is_none() && listened_ns <= self.silence_ns()
    }

    fn standing(&self, member: &Member, now_ns: u64) -> Standing {
        let Some(entry) = self.roster.get(member) else {
            return Standing::Silent;
        };
        let fresh = entry.is_fresh(now_ns, self.silence_ns());
        match entry.capacity() {
            _ if entry.gone || self.has_expired(entry, now_ns) => Standing::Leaves,
            Some(weight) if fresh && entry.is_willing() => Standing::Stays(weight),
            _ if fresh => Standing::Leaves,
            _ => Standing::Silent,
        }
    }

    /// Who is ready for load and has none.
    fn newcomers(&self, now_ns: u64) -> Vec<(Member, u32)> {
        let members = self.roster.iter();
        let newcomers = members.filter(|(member, entry)| {
            let able = entry.is_willing() && entry.is_able();
            let fresh = entry.is_fresh(now_ns, self.silence_ns());
            able && fresh && !self.epochs.includes(member)
        });
        newcomers
            .filter_map(|(member, entry)| Some((member.clone(), entry.capacity()?)))
            .collect()
    }

    /// Those who have to promise a change: all that it affects, but for those who can start nothing any more.
    fn to_ask(&self, change: &Change<'_>, now_ns: u64) -> BTreeSet<Member> {
        let mut affected = change.affected();
        affected.retain(|member| {
            let entry = self.roster.get(member);
            entry.is_some_and(|entry| !entry.gone && !self.has_expired(entry, now_ns))
        });
        affected
    }

    /// Those with a part in the last epoch of whom something holds: looked for first, as there may be thousands of whom it
    /// does not.
    fn sharing(&self, holds: impl Fn(&Entry) -> bool) -> Vec<Member> {
        let members = self.roster.iter();
        let members =
            members.filter(|(member, entry)| holds(entry) && self.epochs.includes(member));
        members.map(|(member, _)| member.clone()).collect()
    }

    /// Whether a silent member's lease has ended: it cannot extend it, and all that it was given lies behind.
    fn has_expired(&self, entry: &Entry, now_ns: u64) -> bool {
        let silent = !entry.is_fresh(now_ns, self.silence_ns());
        let locked = matches!(entry.lease, LeaseState::Locked(_));
        silent && locked && self.horizon_ns(entry) <= self.run_ns(now_ns)
    }

    /// The end of everything that a member may start, once its lease is locked.
    fn horizon_ns(&self, entry: &Entry) -> u64 {
        let newest = entry.heartbeat.as_ref();
        // One that has heard this coordinator since the last outage does not go on because of one.
        let knows = newest.is_some_and(|newest| {
            newest.term == self.term && newest.directive > self.outage_directive
        });
        match knows {
            true => entry.horizon_ns,
            false => entry.horizon_ns.max(entry.outage_horizon_ns),
        }
    }

    /// Locks the leases of those who are silent, so that what they have can be given away when they end.
    fn lock_the_silent(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let silent = |entry: &Entry| {
            let open = !entry.gone && entry.lease == LeaseState::Open;
            let fresh = entry.is_fresh(now_ns, self.silence_ns());
            open && !fresh && !self.may_speak_yet(entry, now_ns)
        };
        for member in self.sharing(silent) {
            self.locks += 1;
            let lock = LockId {
                term: self.term,
                number: self.locks,
            };
            if let Some(entry) = self.roster.get_mut(&member) {
                entry.lease = LeaseState::Asked(lock);
            }
            outputs.push(Output::Lock { member, lock });
        }
    }

    /// Gives one of those that were lost since the last time.
    fn notice_losses(&mut self, now_ns: u64, outputs: &mut Vec<Output>) -> Option<Member> {
        let mut noticed = None;
        let lost = |entry: &Entry| {
            let unwelcome = entry.leaves() && self.settings.policy == Policy::Abort;
            entry.gone || unwelcome || self.has_expired(entry, now_ns)
        };
        for member in self.sharing(|entry| lost(entry) != entry.lost) {
            let Some(entry) = self.roster.get_mut(&member) else {
                continue;
            };
            entry.lost = !entry.lost;
            if entry.lost {
                let gone = entry.gone;
                let event = Event::Lost {
                    member: member.clone(),
                    gone,
                };
                outputs.push(Output::Event(event));
                noticed = Some(member);
            }
        }
        if self.epochs.len() >= MAX_EPOCHS && !self.told_of_limit {
            self.told_of_limit = true;
            outputs.push(Output::Event(Event::EpochLimit));
        }
        noticed
    }

    /// Whether there has been nobody for too long who has load or could take it.
    fn is_abandoned(&mut self, now_ns: u64) -> bool {
        let members = self.roster.iter();
        let present = members.filter(|(_, entry)| !entry.gone && !self.has_expired(entry, now_ns));
        let mut present = present.filter(|(_, entry)| entry.is_willing());
        if present.next().is_some() {
            self.empty_since_ns = None;
            return false;
        }
        let since_ns = *self.empty_since_ns.get_or_insert(now_ns);
        now_ns.saturating_sub(since_ns) >= self.settings.timing.empty_ns
    }
}

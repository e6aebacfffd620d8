//! Everyone the coordinator has heard of: when last, what they said, how far they may go, and what that makes of them.

use crate::lease::LockId;
use crate::member::Member;
use crate::messages::{AgentPhase, Heartbeat, ProposalId};
use std::collections::BTreeMap;

/// Most members of a run, those that are gone included; later ones are not taken in.
pub const MAX_MEMBERS: usize = 20_000;

/// What is known of one member.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The newest; none when it is only known from the record.
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) heard_ns: u64,
    /// Its process is known to have ended, or says so.
    pub(crate) gone: bool,
    /// The end of everything it was ever granted, and of what it is known to have given itself, nanoseconds since the run's
    /// start.
    pub(crate) horizon_ns: u64,
    /// As far as it may have gone while the broker was out of order.
    pub(crate) outage_horizon_ns: u64,
    /// Its lease in the broker.
    pub(crate) lease: LeaseState,
    /// The newest lock of it that is undone.
    pub(crate) undone: LockId,
    /// When its loss was noticed.
    pub(crate) lost: bool,
}

/// Whether a member can extend its lease by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// It can.
    Open,
    /// A lock is asked for.
    Asked(LockId),
    /// It cannot, and how far it did is in its horizon.
    Locked(LockId),
}

/// What a heartbeat tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// That its member is still there.
    Nothing,
    /// That it has promised something, or holds no more.
    Promise,
    /// That something else about it has changed, or that it is there again.
    Change,
    /// That there is a new member.
    Newcomer,
}

#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: BTreeMap<Member, Entry>,
}

impl Roster {
    /// Takes a heartbeat; one that is older than the newest changes nothing.
    pub(crate) fn hear(&mut self, heartbeat: Heartbeat, now_ns: u64, silence_ns: u64) -> Heard {
        let known = self.entries.contains_key(&heartbeat.member);
        if !known && self.entries.len() >= MAX_MEMBERS {
            return Heard::Nothing;
        }
        let entry = self.enter(&heartbeat.member, now_ns, 0);
        let was_fresh = entry.is_fresh(now_ns, silence_ns);
        let newest = entry.heartbeat.as_ref();
        if newest.is_some_and(|newest| newest.number >= heartbeat.number) {
            return Heard::Nothing;
        }
        let same = was_fresh && newest.is_some_and(|newest| says_the_same(newest, &heartbeat));
        let promises = newest.map(|newest| newest.promise) != Some(heartbeat.promise);
        entry.heard_ns = now_ns;
        entry.horizon_ns = entry.horizon_ns.max(heartbeat.reached_ns);
        entry.gone |= heartbeat.phase == AgentPhase::Finished;
        entry.heartbeat = Some(heartbeat);
        match (known, same) {
            (false, _) => Heard::Newcomer,
            (true, false) => Heard::Change,
            (true, true) if promises => Heard::Promise,
            (true, true) => Heard::Nothing,
        }
    }

    /// Enters a member as heard of at `now_ns`, unless it is known.
    pub(crate) fn enter(&mut self, member: &Member, now_ns: u64, horizon_ns: u64) -> &mut Entry {
        let entry = self.entries.entry(member.clone());
        entry.or_insert(Entry {
            heartbeat: None,
            heard_ns: now_ns,
            gone: false,
            horizon_ns,
            outage_horizon_ns: horizon_ns,
            lease: LeaseState::Open,
            undone: LockId::default(),
            lost: false,
        })
    }

    pub(crate) fn get(&self, member: &Member) -> Option<&Entry> {
        self.entries.get(member)
    }

    pub(crate) fn get_mut(&mut self, member: &Member) -> Option<&mut Entry> {
        self.entries.get_mut(member)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Member, &Entry)> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        self.entries.keys().cloned().collect()
    }
}

fn says_the_same(old: &Heartbeat, new: &Heartbeat) -> bool {
    old.phase == new.phase && old.leaving == new.leaving && old.capacity == new.capacity
}

impl Entry {
    /// Whether it was heard within the limit, and is there.
    pub(crate) fn is_fresh(&self, now_ns: u64, silence_ns: u64) -> bool {
        let heard = self.heartbeat.is_some() && now_ns.saturating_sub(self.heard_ns) <= silence_ns;
        heard && !self.gone
    }

    /// Undoes a lock with the grant that is on its way to the member; gives the newest that is undone.
    pub(crate) fn unlock(&mut self) -> LockId {
        if let LeaseState::Locked(lock) = self.lease {
            self.undone = lock;
            self.lease = LeaseState::Open;
        }
        self.undone
    }

    /// Whether it can be part of a run: it did not fail, does not leave and has not ended.
    pub(crate) fn is_willing(&self) -> bool {
        let ended = matches!(
            self.phase(),
            Some(AgentPhase::Failed(_) | AgentPhase::Draining | AgentPhase::Drained { .. })
        );
        !self.gone && !ended && !self.leaves()
    }

    pub(crate) fn is_armed(&self) -> bool {
        matches!(self.phase(), Some(AgentPhase::Armed { .. }))
    }

    pub(crate) fn is_warmed_up(&self) -> bool {
        matches!(self.phase(), Some(AgentPhase::Armed { warmed_up: true }))
    }

    /// Whether it has gone far enough to be given load.
    pub(crate) fn is_able(&self) -> bool {
        self.is_armed() || matches!(self.phase(), Some(AgentPhase::Running))
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        match self.phase() {
            Some(AgentPhase::Failed(reason)) => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn leaves(&self) -> bool {
        self.heartbeat
            .as_ref()
            .is_some_and(|heartbeat| heartbeat.leaving)
    }

    pub(crate) fn phase(&self) -> Option<&AgentPhase> {
        self.heartbeat.as_ref().map(|heartbeat| &heartbeat.phase)
    }

    pub(crate) fn capacity(&self) -> Option<u32> {
        let heartbeat = self.heartbeat.as_ref()?;
        Some(heartbeat.capacity.max(1))
    }

    pub(crate) fn version(&self) -> Option<&str> {
        let heartbeat = self.heartbeat.as_ref()?;
        Some(&heartbeat.version)
    }

    /// From where on it holds for a proposal, if it promised it.
    pub(crate) fn holds_from_ns(&self, proposal: ProposalId) -> Option<u64> {
        let promise = self.heartbeat.as_ref()?.promise?;
        (promise.proposal == proposal).then_some(promise.holds_from_ns)
    }
}

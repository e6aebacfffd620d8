//! The end: the schedule is over or was stopped, the rest comes in, and the balance is closed.

use super::{CoordinatorMachine, Event, Output, Stopping};
use crate::ledger::{Account, Balance};
use crate::member::Member;
use crate::messages::{AgentPhase, Phase};
use crate::record::Fact;
use crate::roster::Entry;
use drumfire_metrics::DropReason;
use std::collections::BTreeMap;

impl CoordinatorMachine {
    /// Ends the run as `end`: at once when no load has run, otherwise when the rest is in.
    pub(super) fn end_early(&mut self, end: Phase, now_ns: u64, outputs: &mut Vec<Output>) {
        let run_ns = self.run_ns(now_ns);
        let stopping = Stopping { run_ns, end };
        let fact = Fact::Stopping {
            run_ns,
            end: stopping.end.clone(),
        };
        outputs.push(Output::Persist(fact));
        self.proposal = None;
        self.stopping = Some(stopping);
        self.until_ns = now_ns.saturating_add(self.settings.timing.drain_ns);
        self.enter(Phase::Draining, outputs);
    }

    pub(super) fn drain(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let awaited = |(member, entry): (&Member, &Entry)| self.is_awaited(member, entry, now_ns);
        if now_ns < self.until_ns && self.roster.iter().any(awaited) {
            return;
        }
        self.give_up_the_others(outputs);
        let contradictions = self.ledger.contradictions(&self.epochs).into_iter();
        outputs.extend(contradictions.map(|member| Output::Event(Event::Contradiction(member))));
        let end = self
            .stopping
            .as_ref()
            .map_or(Phase::Finished, |stopping| stopping.end.clone());
        outputs.push(Output::Persist(Fact::Ended(end.clone())));
        self.enter(end.clone(), outputs);
        outputs.push(Output::Closed(end, self.balance()));
    }

    /// The run's balance, once it is over.
    pub(super) fn balance(&self) -> Balance {
        let stop_ns = self.stopping.as_ref().map(|stopping| stopping.run_ns);
        self.ledger.balance(&self.epochs, u64::MAX, stop_ns)
    }

    /// What a member has dropped; once the run is over with what it never reported.
    pub(super) fn dropped_by(&self, member: &Member) -> BTreeMap<DropReason, u64> {
        let stop_ns = self.stopping.as_ref().map(|stopping| stopping.run_ns);
        let reported = || self.ledger.account(member).map(Account::dropped);
        match self.phase.is_over() {
            true => self.ledger.dropped_by(member, &self.epochs, stop_ns),
            false => reported().cloned().unwrap_or_default(),
        }
    }

    /// Says whose rest will never come.
    fn give_up_the_others(&mut self, outputs: &mut Vec<Output>) {
        for member in self.roster.members() {
            let owes = self.owes(&member);
            let entry = self.roster.get_mut(&member);
            let Some(entry) = entry.filter(|entry| owes && !entry.lost) else {
                continue;
            };
            entry.lost = true;
            let gone = entry.gone;
            outputs.push(Output::Event(Event::Lost { member, gone }));
        }
    }

    /// Whether a member may still report something.
    fn is_awaited(&self, member: &Member, entry: &Entry, now_ns: u64) -> bool {
        // One who is silent when the load ends, or when the broker is there again, may still come back with what it did.
        let timing = &self.settings.timing;
        let drains_since_ns = self.until_ns.saturating_sub(timing.drain_ns);
        let since_ns = entry.heard_ns.max(drains_since_ns).max(self.outage_ns);
        let patience_ns = timing.lease_ns.max(self.silence_ns()) + timing.clock_error_ns;
        let may_come = now_ns.saturating_sub(since_ns) <= patience_ns;
        !entry.gone && may_come && self.owes(member)
    }

    /// Whether a member had a part and has not reported the last of it.
    fn owes(&self, member: &Member) -> bool {
        let idle = AgentPhase::Drained {
            last_snapshot: None,
        };
        let phase = self.roster.get(member).and_then(Entry::phase);
        let closed = self.ledger.account(member).is_some_and(Account::is_closed);
        self.epochs.ever_included(member) && !closed && phase != Some(&idle)
    }
}

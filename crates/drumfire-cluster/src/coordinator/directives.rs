//! What each agent is told: everything that the coordinator wants of it, whenever it is heard, something changes, or it
//! has not confirmed what it was told.

use super::{CoordinatorMachine, Output};
use crate::clock_offset::Echo;
use crate::member::Member;
use crate::messages::{AgentPhase, Directive, Grant, Order, Phase};
use crate::roster::Entry;

/// Heartbeats, and snapshots, that all agents together send in a second; with more agents each of them
/// sends less often.
pub const MAX_REPORTS_PER_SECOND: u64 = 1_000;

impl CoordinatorMachine {
    /// Answers the member that was heard (with when it sent), and tells the others what is new to them.
    pub(super) fn tell(
        &mut self,
        heard: Option<(Member, u64)>,
        now_ns: u64,
        outputs: &mut Vec<Output>,
    ) {
        let due = now_ns >= self.wake_ns();
        let everyone = std::mem::take(&mut self.news);
        if due || everyone {
            self.pushed_ns = now_ns;
            // What an agent was told of silence must not become shorter.
            self.interval_ns = self.interval_ns.max(self.reporting_interval_ns());
            for member in self.roster.members() {
                let answered = heard.as_ref().is_some_and(|(heard, _)| *heard == member);
                if !answered && (everyone || self.is_behind(&member)) {
                    self.direct(&member, None, now_ns, outputs);
                }
            }
        }
        if let Some((member, sent_ns)) = heard {
            let echo = Echo {
                sent_ns,
                answered_ns: now_ns,
            };
            self.direct(&member, Some(echo), now_ns, outputs);
        }
    }

    /// So long that all agents together report no more often than the limit.
    fn reporting_interval_ns(&self) -> u64 {
        let present = self.roster.iter().filter(|(_, entry)| !entry.gone);
        let least_ns = present.count() as u64 * 1_000_000_000 / MAX_REPORTS_PER_SECOND;
        self.settings.timing.interval_ns.max(least_ns)
    }

    /// Whether a member has not said yet that it knows what it was told.
    fn is_behind(&self, member: &Member) -> bool {
        let Some(heartbeat) = self
            .roster
            .get(member)
            .and_then(|entry| entry.heartbeat.as_ref())
        else {
            return false;
        };
        let proposal = self.proposal.as_ref();
        let unpromised = proposal
            .filter(|proposal| proposal.asked.contains(member))
            .is_some_and(|proposal| {
                heartbeat.promise.map(|promise| promise.proposal) != Some(proposal.proposed.id)
            });
        let latest = self.epochs.latest().map(|epoch| epoch.number);
        let uninformed = heartbeat.epoch < latest && self.epochs.ever_included(member);
        let stopped = self.stopping.is_some() && heartbeat.phase == AgentPhase::Running;
        unpromised || uninformed || stopped
    }

    fn direct(
        &mut self,
        member: &Member,
        echo: Option<Echo>,
        now_ns: u64,
        outputs: &mut Vec<Output>,
    ) {
        let order = self.order(member);
        let interval_ns = self.interval_ns;
        let grant = self.grant(member, now_ns);
        self.directives += 1;
        let number = self.directives;
        let Some(entry) = self.roster.get_mut(member).filter(|entry| !entry.gone) else {
            return;
        };
        let grant = grant.map(|grant| Grant {
            lock: entry.unlock(),
            ..grant
        });
        if let Some(grant) = grant {
            entry.horizon_ns = entry.horizon_ns.max(grant.until_ns);
            entry.outage_horizon_ns = entry.outage_horizon_ns.max(grant.outage_until_ns);
        }
        let known = entry
            .heartbeat
            .as_ref()
            .and_then(|heartbeat| heartbeat.epoch);
        let proposal = self.proposal.as_ref();
        let asked = proposal.filter(|proposal| proposal.asked.contains(member));
        outputs.push(Output::Send(Box::new(Directive {
            run: self.settings.run.clone(),
            to: member.clone(),
            term: self.term,
            number,
            order,
            echo,
            epochs: self.epochs.news_for(member, known),
            proposal: asked.map(|proposal| proposal.proposed),
            grant,
            interval_ns,
            snapshots_before: self.ledger.received_before(member),
        })));
    }

    /// Who had a part, and is there, may go on for a lease from when it was heard: to take it away before that it is asked
    /// first.
    fn grant(&self, member: &Member, now_ns: u64) -> Option<Grant> {
        let epoch = self.epochs.latest()?.number;
        let entry = self.roster.get(member)?;
        let there = entry.is_fresh(now_ns, self.silence_ns());
        let lasts = self.stopping.is_none() && !self.phase.is_over();
        let takes_part = there && lasts && self.epochs.ever_included(member);
        let timing = &self.settings.timing;
        let heard_ns = self.run_ns(entry.heard_ns);
        takes_part.then(|| Grant {
            epoch,
            until_ns: heard_ns + timing.lease_ns.max(self.silence_ns()),
            outage_until_ns: heard_ns + timing.outage_ns,
            silence_ns: self.silence_ns(),
            lock: entry.undone,
        })
    }

    fn prepare_order(&self, member: &Member) -> Order {
        Order::Prepare {
            bundle: self.settings.bundle,
            share: self.ahead.get(member).cloned(),
        }
    }

    fn order(&self, member: &Member) -> Order {
        let takes_part = self.epochs.ever_included(member);
        match (&self.phase, self.start_ns) {
            (Phase::Gathering, _) => Order::Wait,
            (Phase::WarmingUp, _) => self.warm_up_order(member),
            (Phase::Running | Phase::Draining, Some(start_ns)) if takes_part => {
                match self.stopping {
                    Some(_) => Order::Stop,
                    None => Order::Run { start_ns },
                }
            }
            (Phase::Preparing | Phase::Armed | Phase::Running, _) => self.prepare_order(member),
            (Phase::Draining, _) => Order::Wait,
            (Phase::Finished | Phase::Stopped(_) | Phase::Failed(_), _) => Order::Finish,
        }
    }

    fn warm_up_order(&self, member: &Member) -> Order {
        let round = self.warm_up.as_ref().zip(self.settings.warm_up);
        let share = round.and_then(|(round, _)| round.shares.get(member));
        let warmed_up = self.roster.get(member).is_some_and(Entry::is_warmed_up);
        match (round, share) {
            (Some((round, warm_up)), Some(share)) if !warmed_up => Order::WarmUp {
                start_ns: round.start_ns,
                duration_ns: warm_up.duration_ns,
                permille: warm_up.permille,
                share: share.clone(),
            },
            _ => self.prepare_order(member),
        }
    }
}

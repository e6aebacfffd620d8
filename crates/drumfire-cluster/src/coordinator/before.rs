//! Gather, distribute, prepare, arm, warm up: until enough agents are ready and the start is agreed.

use super::{CoordinatorMachine, Output};
use crate::epochs::{Epoch, Slot, fitting};
use crate::member::Member;
use crate::messages::{Phase, ShareOf};
use crate::record::Fact;
use crate::roster::Entry;
use std::collections::BTreeMap;

/// One warm-up, with its own barrier.
#[derive(Debug)]
pub(super) struct WarmUpRound {
    pub(super) start_ns: u64,
    pub(super) shares: BTreeMap<Member, ShareOf>,
}

impl CoordinatorMachine {
    pub(super) fn gather(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let willing = self
            .present(now_ns)
            .filter(|(_, entry)| entry.is_willing())
            .count();
        let asked = self.settings.agents as usize;
        let enough = willing >= asked;
        if enough || (now_ns >= self.until_ns && willing >= self.quorum()) {
            self.needed = willing.min(asked);
            self.ahead = shares(self.willing(now_ns));
            self.until_ns = now_ns.saturating_add(self.settings.timing.prepare_ns);
            self.enter(Phase::Preparing, outputs);
        } else if now_ns >= self.until_ns {
            let quorum = self.quorum();
            let reason = format!("{willing} of {quorum} agents came in time");
            self.end_early(Phase::Failed(reason), now_ns, outputs);
        }
    }

    pub(super) fn prepare(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let (mut armed, mut willing, mut failure) = (0, 0, None);
        for (_, entry) in self.present(now_ns) {
            willing += usize::from(entry.is_willing());
            armed += usize::from(entry.is_willing() && entry.is_armed());
            failure = failure.or(entry.failure());
        }
        let too_late = now_ns >= self.until_ns;
        if armed >= self.needed && armed == willing || too_late && armed >= self.quorum() {
            return self.enter(Phase::Armed, outputs);
        }
        let hopeless = failure.filter(|_| willing < self.quorum());
        let reason = match hopeless {
            Some(reason) => format!("agents cannot prepare: {reason}"),
            None if too_late => format!("{armed} of {} agents were ready in time", self.quorum()),
            None => return,
        };
        self.end_early(Phase::Failed(reason), now_ns, outputs);
    }

    pub(super) fn armed(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let ready = self.ready(now_ns);
        if ready.len() < self.quorum() {
            self.until_ns = now_ns.saturating_add(self.settings.timing.prepare_ns);
            return self.enter(Phase::Preparing, outputs);
        }
        if self.paused {
            return;
        }
        let cold = ready.into_iter().filter(|(member, _)| {
            let entry = self.roster.get(member);
            entry.is_some_and(|entry| !entry.is_warmed_up())
        });
        let cold: Vec<_> = cold.collect();
        let wanted = self.settings.warm_up.is_some() && !self.warmed_up;
        if wanted && !cold.is_empty() {
            self.warm_up = Some(WarmUpRound {
                start_ns: now_ns.saturating_add(self.settings.timing.start_lead_ns),
                shares: shares(cold),
            });
            self.enter(Phase::WarmingUp, outputs);
        } else {
            self.start(now_ns, outputs);
        }
    }

    /// Waits until everyone who warms up is armed again.
    pub(super) fn warm_up(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let (Some(round), Some(warm_up)) = (&self.warm_up, self.settings.warm_up) else {
            return self.enter(Phase::Armed, outputs);
        };
        let done = |member: &Member| {
            let entry = self.roster.get(member);
            let there = entry.filter(|entry| entry.is_willing());
            !self.is_fresh(member, now_ns) || there.is_none_or(Entry::is_warmed_up)
        };
        let limit_ns = round.start_ns + warm_up.duration_ns + self.settings.timing.drain_ns;
        if round.shares.keys().all(done) || now_ns >= limit_ns {
            self.warmed_up = true;
            self.enter(Phase::Armed, outputs);
        }
    }

    fn start(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let start_ns = now_ns.saturating_add(self.settings.timing.start_lead_ns);
        let slot = |(member, weight)| Slot {
            member: Some(member),
            weight,
        };
        let epoch = Epoch {
            number: 0,
            from_ns: 0,
            permille: self.permille,
            slots: self.ready(now_ns).into_iter().map(slot).collect(),
        };
        self.start_ns = Some(start_ns);
        outputs.push(Output::Persist(Fact::Started {
            start_ns,
            epoch: epoch.clone(),
        }));
        self.enter(Phase::Running, outputs);
        self.begin(epoch, now_ns, outputs);
    }

    fn quorum(&self) -> usize {
        self.settings.quorum.clamp(1, self.settings.agents.max(1)) as usize
    }

    fn present(&self, now_ns: u64) -> impl Iterator<Item = (&Member, &Entry)> {
        let silence_ns = self.silence_ns();
        let entries = self.roster.iter();
        entries.filter(move |(_, entry)| entry.is_fresh(now_ns, silence_ns))
    }

    /// The agents that can start, with their weights.
    fn ready(&self, now_ns: u64) -> Vec<(Member, u32)> {
        self.weighted(now_ns, |entry| entry.is_willing() && entry.is_armed())
    }

    /// The agents that would start, with their weights.
    fn willing(&self, now_ns: u64) -> Vec<(Member, u32)> {
        self.weighted(now_ns, Entry::is_willing)
    }

    fn weighted(&self, now_ns: u64, which: impl Fn(&Entry) -> bool) -> Vec<(Member, u32)> {
        let present = self.present(now_ns).filter(|(_, entry)| which(entry));
        present
            .filter_map(|(member, entry)| Some((member.clone(), entry.capacity()?)))
            .collect()
    }
}

fn shares(members: Vec<(Member, u32)>) -> BTreeMap<Member, ShareOf> {
    let weights = fitting(members.iter().map(|(_, weight)| *weight).collect()).into();
    let share = |index, member| {
        let weights = std::sync::Arc::clone(&weights);
        (member, ShareOf { weights, index })
    };
    let numbered = (0_u32..).zip(members);
    numbered
        .map(|(index, (member, _))| share(index, member))
        .collect()
}

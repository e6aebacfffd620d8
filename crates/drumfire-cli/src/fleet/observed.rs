//! What a shared run's reports say of its agents, gathered from what their coordinator tells. A coordinator that goes on with
//! another's run is told all that the record holds, and what happened unrecorded is simply not there.

use drumfire_cluster::{
    AgentPhase, AgentStatus, Epoch, Event, Member, NumberedSnapshot, Status, Update,
};
use drumfire_metrics::{
    Agent, AgentClock, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, SaturationWatch,
    StartSkew,
};
use std::collections::{BTreeMap, BTreeSet};

/// Beside the [`Agents`] of the summary, what is needed to go on with them.
#[derive(Default)]
pub struct Observed {
    watches: BTreeMap<Member, SaturationWatch>,
    /// Those whose last report is in.
    closed: BTreeSet<Member>,
    lost: BTreeSet<Member>,
    /// Those of the last epoch.
    sharing: BTreeSet<Member>,
    /// Those of the first.
    started: BTreeSet<Member>,
    /// Those who had a share and have none in the last epoch, with when that began in microseconds of the run.
    parted: Vec<(Member, i64)>,
}

impl Observed {
    /// Takes an update that came at `now_us` of the coordinator's clock.
    pub fn take(&mut self, update: &Update, now_us: u64, agents: &mut Agents) {
        match update {
            Update::Event(event) => self.notice(event, now_us, agents),
            Update::Accepted(report) => self.accept(report, agents),
            Update::Started(_) | Update::Closed(_) | Update::Trouble(_) | Update::Superseded => {}
        }
    }

    fn accept(&mut self, report: &NumberedSnapshot, agents: &mut Agents) {
        let watch = self.watches.entry(report.member.clone()).or_default();
        agents.report(id(&report.member), &report.snapshot, watch);
        if report.last {
            self.closed.insert(report.member.clone());
        }
    }

    /// Until the end events stand at the clock's time, as the run's start is not known before it.
    fn notice(&mut self, event: &Event, now_us: u64, agents: &mut Agents) {
        let (kind, member, others, reason) = match event {
            Event::Phase(_) => return,
            Event::Epoch(epoch) => return self.begin(epoch, agents),
            Event::Announced { member, .. } => (AgentEventKind::Announced, Some(member), 0, None),
            Event::Failed(member, reason) => {
                (AgentEventKind::Failed, Some(member), 0, Some(reason))
            }
            Event::Lost { member, gone } => {
                self.lost.insert(member.clone());
                let kind = match gone {
                    true => AgentEventKind::Gone,
                    false => AgentEventKind::Silent,
                };
                (kind, Some(member), 0, None)
            }
            Event::PushedBack(members) => {
                let others = members.len().saturating_sub(1) as u32;
                (AgentEventKind::PushedBack, members.first(), others, None)
            }
            Event::EpochLimit => (AgentEventKind::EpochLimit, None, 0, None),
            Event::Contradiction(member) => (AgentEventKind::Contradicted, Some(member), 0, None),
        };
        agents.note(AgentEvent {
            at_us: now_us as i64,
            kind,
            agent: member.map(id),
            others,
            reason: reason.cloned(),
        });
    }

    fn begin(&mut self, epoch: &Epoch, agents: &mut Agents) {
        let members = epoch.slots.iter().filter_map(|slot| slot.member.clone());
        let sharing: BTreeSet<Member> = members.collect();
        let at_us = (epoch.from_ns / 1_000) as i64;
        if epoch.number == 0 {
            self.started = sharing.clone();
        }
        for member in self.sharing.difference(&sharing) {
            self.parted.push((member.clone(), at_us));
        }
        // One who is there again has not gone.
        self.parted.retain(|(member, _)| !sharing.contains(member));
        self.sharing = sharing;
        let slots = epoch.slots.iter();
        let weights = slots.map(|slot| (slot.member.as_ref().map(id), slot.weight));
        agents.begin_epoch(epoch.number, epoch.from_ns / 1_000, epoch.permille, weights);
    }

    /// Takes how the run ended. `start_us` is its start on the coordinator's clock.
    pub fn close(self, status: &Status, start_us: u64, agents: &mut Agents) {
        for agent in &status.agents {
            let row = agents.rows.entry(id(&agent.member)).or_default();
            self.complete(row, agent);
        }
        agents.settle(&status.balance.dropped);
        let rows = agents.rows.values();
        let started = rows.filter_map(|row| Some((row.start_late_ns?, row.clock?.error_ns)));
        agents.start_skew = StartSkew::of(&started.collect::<Vec<_>>());
        for event in &mut agents.events {
            event.at_us -= start_us as i64;
        }
        self.comings_and_goings(agents);
        agents.events.sort();
    }

    fn complete(&self, row: &mut Agent, agent: &AgentStatus) {
        row.version.clone_from(&agent.version);
        row.capacity = agent.capacity;
        row.weight = agent.weight;
        row.ending = self.ending(agent);
        row.clock = agent.clock.map(|clock| AgentClock {
            error_ns: clock.round_trip_ns.div_ceil(2),
            offset_ns: clock.offset_ns,
        });
        let started = self.started.contains(&agent.member);
        row.start_late_ns = agent.begun_late_ns.filter(|_| started);
        row.iterations.dropped.clone_from(&agent.dropped);
    }

    fn ending(&self, agent: &AgentStatus) -> AgentEnding {
        let member = &agent.member;
        let closed = self.closed.contains(member);
        let shares = self.sharing.contains(member);
        let parted = self.parted.iter().any(|(parted, _)| parted == member);
        let lost = self.lost.contains(member) && !(shares && closed);
        match (&agent.phase, parted) {
            (AgentPhase::Failed(_), _) => AgentEnding::Failed,
            _ if lost => AgentEnding::Lost,
            (_, true) if closed => AgentEnding::Left,
            (_, true) => AgentEnding::Lost,
            (_, false) => AgentEnding::Stayed,
        }
    }

    /// Who joined and who left, which the epochs tell: that one was lost is an event of its own.
    fn comings_and_goings(&self, agents: &mut Agents) {
        let happened = |at_us, kind, agent| AgentEvent {
            at_us,
            kind,
            agent: Some(agent),
            others: 0,
            reason: None,
        };
        let mut known: BTreeSet<AgentId> = self.started.iter().map(id).collect();
        let mut joined = Vec::new();
        for epoch in &agents.epochs {
            for share in &epoch.shares {
                if known.insert(share.agent.clone()) {
                    joined.push((epoch.from_us as i64, share.agent.clone()));
                }
            }
        }
        for (at_us, agent) in joined {
            agents.note(happened(at_us, AgentEventKind::Joined, agent));
        }
        for (member, at_us) in &self.parted {
            if self.closed.contains(member) && !self.lost.contains(member) {
                agents.note(happened(*at_us, AgentEventKind::Left, id(member)));
            }
        }
    }
}

fn id(member: &Member) -> AgentId {
    AgentId {
        name: member.agent.clone(),
        life: member.incarnation,
    }
}

//! What people ask of a run: stop, resume, scale, status.

use super::{CoordinatorMachine, Output};
use crate::ledger::Account;
use crate::member::Member;
use crate::messages::{AgentPhase, AgentStatus, Command, Phase, Reply, Status};
use crate::record::Fact;
use crate::roster::Entry;
use crate::scale::{self, MAX_PERMILLE};
use std::collections::BTreeMap;

impl CoordinatorMachine {
    pub(super) fn command(
        &mut self,
        command: Command,
        now_ns: u64,
        outputs: &mut Vec<Output>,
    ) -> Reply {
        let ending = self.phase.is_over() || self.phase == Phase::Draining;
        match command {
            Command::Status => Reply::Status(Box::new(self.status(now_ns))),
            _ if ending => Reply::Refused("the run is ending or over".to_owned()),
            Command::Stop { reason } => {
                self.end_early(Phase::Stopped(reason), now_ns, outputs);
                Reply::Accepted
            }
            Command::Resume => {
                if self.paused {
                    self.paused = false;
                    outputs.push(Output::Persist(Fact::Resumed));
                }
                Reply::Accepted
            }
            Command::Scale { permille } => self.scale(permille, outputs),
        }
    }

    fn scale(&mut self, permille: u32, outputs: &mut Vec<Output>) -> Reply {
        if permille > MAX_PERMILLE {
            return Reply::Refused(format!(
                "{permille} thousandths are more than {MAX_PERMILLE}"
            ));
        }
        if let Err(error) = scale::scaled(&self.settings.load, permille, 0) {
            return Reply::Refused(format!("scale to {permille} thousandths: {error}"));
        }
        self.permille = permille;
        outputs.push(Output::Persist(Fact::Scaled { permille }));
        Reply::Accepted
    }

    /// How the run is.
    pub fn status(&self, now_ns: u64) -> Status {
        let last = self.epochs.latest();
        let slots = last.into_iter().flat_map(|epoch| &epoch.slots);
        let mut weights = BTreeMap::<&Member, u32>::new();
        for slot in slots {
            if let Some(member) = &slot.member {
                *weights.entry(member).or_default() += slot.weight;
            }
        }
        let agent = |(member, entry): (&Member, &Entry)| AgentStatus {
            phase: entry.phase().cloned().unwrap_or(AgentPhase::Announced),
            silent_ns: now_ns.saturating_sub(entry.heard_ns),
            gone: entry.gone,
            version: entry.version().unwrap_or_default().to_owned(),
            capacity: entry.capacity().unwrap_or(0),
            weight: weights.get(member).copied().unwrap_or(0),
            clock: entry
                .heartbeat
                .as_ref()
                .and_then(|heartbeat| heartbeat.clock),
            begun_late_ns: entry
                .heartbeat
                .as_ref()
                .and_then(|heartbeat| heartbeat.begun_late_ns),
            started: self.ledger.account(member).map_or(0, Account::started),
            dropped: self.dropped_by(member),
            member: member.clone(),
        };
        let run_ns = self.start_ns.map(|_| self.run_ns(now_ns));
        Status {
            run: self.settings.run.clone(),
            phase: self.phase.clone(),
            run_ns,
            epoch: last.map(|epoch| epoch.number),
            permille: self.permille,
            balance: match self.phase.is_over() {
                true => self.balance(),
                false => self.ledger.so_far(&self.epochs, run_ns.unwrap_or(0)),
            },
            agents: self.roster.iter().map(agent).collect(),
        }
    }
}

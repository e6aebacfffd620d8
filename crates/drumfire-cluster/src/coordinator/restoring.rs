//! A coordinator that goes on where another one died: the record is taken back, fact by fact.

use super::{CoordinatorMachine, Output, Stopping};
use crate::epochs::Epoch;
use crate::messages::Phase;
use crate::record::Fact;

impl CoordinatorMachine {
    pub(super) fn restore(
        &mut self,
        record: impl IntoIterator<Item = Fact>,
        now_ns: u64,
        outputs: &mut Vec<Output>,
    ) {
        for fact in record {
            self.recall(fact, now_ns, outputs);
        }
        if self.start_ns.is_none() {
            return;
        }
        // Whoever had a part may have been granted as much as could be granted up to now; nobody
        // has been silent for longer than this coordinator listens.
        let timing = &self.settings.timing;
        let latest_ns = self.run_ns(now_ns) + timing.clock_error_ns;
        let granted_ns = latest_ns + timing.lease_ns.max(self.silence_ns());
        let outage_ns = latest_ns + timing.outage_ns;
        let slots = self.epochs.iter().flat_map(|epoch| &epoch.slots);
        for member in slots.filter_map(|slot| slot.member.as_ref()) {
            let entry = self.roster.enter(member, now_ns, granted_ns);
            entry.horizon_ns = granted_ns;
            entry.outage_horizon_ns = outage_ns;
        }
        self.news = true;
    }

    fn recall(&mut self, fact: Fact, now_ns: u64, outputs: &mut Vec<Output>) {
        match fact {
            Fact::Term(term) => self.term = term,
            Fact::Resumed => self.paused = false,
            Fact::Started { start_ns, epoch } => {
                self.start_ns = Some(start_ns);
                self.phase = Phase::Running;
                self.recall_epoch(epoch);
            }
            Fact::Epoch(epoch) => self.recall_epoch(epoch),
            Fact::Scaled { permille } => self.permille = permille,
            Fact::Gone(member) => self.roster.enter(&member, now_ns, 0).gone = true,
            Fact::Snapshot(snapshot) => {
                let accepted = self.ledger.receive(snapshot);
                outputs.extend(accepted.into_iter().map(Output::Accepted));
            }
            Fact::Stopping { run_ns, end } => {
                self.stopping = Some(Stopping { run_ns, end });
                self.until_ns = now_ns.saturating_add(self.settings.timing.drain_ns);
                self.phase = Phase::Draining;
            }
            Fact::Ended(end) => self.phase = end,
        }
    }

    fn recall_epoch(&mut self, epoch: Epoch) {
        self.epochs
            .push(epoch)
            .expect("the record's epochs were made from the same settings");
    }
}

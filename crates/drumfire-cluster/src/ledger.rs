//! The coordinator's accounts: every snapshot once, in each agent's order, its arrivals counted; and at the end planned =
//! started + dropped, exactly, with what lost agents left unsent worked out from the epochs.
//!
//! Accounts are counts alone. Histograms of each of a thousand agents would be gigabytes, and take most of a core to keep:
//! they are merged once, by whoever takes what is accepted.

use crate::epochs::Epochs;
use crate::member::Member;
use crate::messages::NumberedSnapshot;
use crate::outbox::MAX_IN_FLIGHT;
use drumfire_metrics::{DropReason, IterationStats};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole of a run's arrivals, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Arrivals of the epochs' schedules; closed load plans none.
    pub planned: Option<u64>,
    /// Started, as reported.
    pub started: u64,
    /// Not started, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Agents whose reports differ from what they owned, which a broken one's may: looked for when the run is over.
    pub contradictions: u64,
}

impl Balance {
    /// Whether planned is started plus dropped.
    pub fn is_even(&self) -> bool {
        let dropped: u64 = self.dropped.values().sum();
        self.planned
            .is_none_or(|planned| planned == self.started + dropped)
    }
}

/// Everything that has been reported.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<Member, Account>,
    reported: Reported,
}

/// Arrivals that were reported.
#[derive(Debug, Default)]
struct Reported {
    started: u64,
    dropped: BTreeMap<DropReason, u64>,
}

/// What one member has reported.
#[derive(Debug, Default)]
pub struct Account {
    /// The number of the next snapshot.
    next: u64,
    early: BTreeMap<u64, Arc<NumberedSnapshot>>,
    /// Up to where its arrivals are accounted for, nanoseconds since the run's start.
    to_ns: u64,
    closed: bool,
    reported: Reported,
}

impl Account {
    /// Arrivals that it reported as started.
    pub fn started(&self) -> u64 {
        self.reported.started
    }

    /// Arrivals that it reported as dropped, by reason.
    pub fn dropped(&self) -> &BTreeMap<DropReason, u64> {
        &self.reported.dropped
    }

    /// Up to where the member's arrivals are accounted for, nanoseconds since the run's start.
    pub fn to_ns(&self) -> u64 {
        self.to_ns
    }

    /// Whether the member's last snapshot is in.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Ledger {
    /// Takes a snapshot; gives those that are now in, in order. One that is in already changes nothing, one that came
    /// too early waits for the ones before it.
    pub fn receive(&mut self, snapshot: Arc<NumberedSnapshot>) -> Vec<Arc<NumberedSnapshot>> {
        let account = self.accounts.entry(snapshot.member.clone()).or_default();
        let expected = account.next..account.next + MAX_IN_FLIGHT as u64;
        if !expected.contains(&snapshot.number) {
            return Vec::new();
        }
        account.early.insert(snapshot.number, snapshot);
        let mut accepted = Vec::new();
        while let Some(snapshot) = account.early.remove(&account.next) {
            account.enter(&snapshot);
            self.reported.add(&snapshot.snapshot.iterations);
            accepted.push(snapshot);
        }
        accepted
    }

    /// Members whose reports differ from what they owned up to where they account for it.
    pub fn contradictions(&self, epochs: &Epochs) -> Vec<Member> {
        let contradicts = |(member, account): &(&Member, &Account)| {
            let owned = epochs.owned_between(member, 0, account.to_ns);
            owned != account.reported.total()
        };
        let plans = epochs.planned_before(0).is_some();
        let accounts = self.accounts.iter().filter(|_| plans);
        let broken = accounts.filter(contradicts);
        broken.map(|(member, _)| member.clone()).collect()
    }

    /// All snapshots of a member before this number are in.
    pub fn received_before(&self, member: &Member) -> u64 {
        self.accounts.get(member).map_or(0, |account| account.next)
    }

    /// What a member has reported, if anything.
    pub fn account(&self, member: &Member) -> Option<&Account> {
        self.accounts.get(member)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = (&Member, &Account)> {
        self.accounts.iter()
    }

    /// What is planned before `to_ns` and what has been reported so far.
    pub fn so_far(&self, epochs: &Epochs, to_ns: u64) -> Balance {
        Balance {
            planned: epochs.planned_before(to_ns),
            started: self.reported.started,
            dropped: self.reported.dropped.clone(),
            contradictions: 0,
        }
    }

    /// The balance of the arrivals before `to_ns`, when nothing more will be reported of them. What nobody accounted for was
    /// stopped from `stop_ns` on, or where its agent closed its account; otherwise its agent was lost.
    pub fn balance(&self, epochs: &Epochs, to_ns: u64, stop_ns: Option<u64>) -> Balance {
        let mut balance = self.so_far(epochs, to_ns);
        balance.contradictions = self.contradictions(epochs).len() as u64;
        if let Some(planned) = balance.planned {
            let open = planned.saturating_sub(self.reported.total());
            let stopped = self.stopped(epochs, to_ns, stop_ns).min(open);
            balance.drop(DropReason::Stopped, stopped);
            balance.drop(DropReason::AgentLost, open - stopped);
        }
        balance
    }

    /// A member's part of what [`Ledger::balance`] says was dropped, when nothing more will be reported.
    pub fn dropped_by(
        &self,
        member: &Member,
        epochs: &Epochs,
        stop_ns: Option<u64>,
    ) -> BTreeMap<DropReason, u64> {
        let idle = Account::default();
        let account = self.accounts.get(member).unwrap_or(&idle);
        let reported = account.reported.total();
        let owned = |from_ns| epochs.owned_between(member, from_ns, u64::MAX);
        let open = owned(0).saturating_sub(reported);
        let stopped = match account.closed {
            true => open,
            false => owned(account.to_ns.max(stop_ns.unwrap_or(u64::MAX))).min(open),
        };
        let mut balance = Balance {
            dropped: account.reported.dropped.clone(),
            ..Balance::default()
        };
        balance.drop(DropReason::Stopped, stopped);
        balance.drop(DropReason::AgentLost, open - stopped);
        balance.dropped
    }

    /// Of what is not accounted for, what was due after the stop, or left by an agent that stopped.
    fn stopped(&self, epochs: &Epochs, to_ns: u64, stop_ns: Option<u64>) -> u64 {
        let stop_ns = stop_ns.unwrap_or(u64::MAX).min(to_ns);
        let planned = |at_ns| epochs.planned_before(at_ns).unwrap_or(0);
        let after_stop = planned(to_ns) - planned(stop_ns);
        let in_accounts = self.accounts.iter().map(|(member, account)| {
            let owned = |from_ns, to_ns| epochs.owned_between(member, from_ns, to_ns);
            let beyond_stop = owned(stop_ns, account.to_ns.min(to_ns));
            let left = match account.closed {
                true => owned(account.to_ns, stop_ns),
                false => 0,
            };
            (beyond_stop, left)
        });
        let (beyond_stop, left) =
            in_accounts.fold((0, 0), |sum, (beyond, left)| (sum.0 + beyond, sum.1 + left));
        (after_stop + left).saturating_sub(beyond_stop)
    }
}

impl Account {
    fn enter(&mut self, snapshot: &NumberedSnapshot) {
        self.next += 1;
        self.to_ns = snapshot.to_ns;
        self.closed = snapshot.last;
        self.reported.add(&snapshot.snapshot.iterations);
    }
}

impl Reported {
    fn add(&mut self, iterations: &IterationStats) {
        self.started += iterations.started;
        for (reason, n) in &iterations.dropped {
            *self.dropped.entry(*reason).or_default() += n;
        }
    }

    fn total(&self) -> u64 {
        self.started + self.dropped.values().sum::<u64>()
    }
}

impl Balance {
    fn drop(&mut self, reason: DropReason, n: u64) {
        if n > 0 {
            *self.dropped.entry(reason).or_insert(0) += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epochs::{Epoch, Slot};
    use drumfire_metrics::Snapshot;
    use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Spacing};
    use proptest::prelude::*;
    use std::time::Duration;

    const SECOND_NS: u64 = 1_000_000_000;

    fn member(number: usize) -> Member {
        Member::new(&format!("agent-{number}"), 1)
    }

    /// Ten seconds; each epoch has shares of agents 0 to 2 and, at 3, of nobody.
    fn epochs(list: &[(u64, Vec<usize>)]) -> Epochs {
        let stage = OpenStage {
            name: None,
            duration: Duration::from_secs(10),
            arrivals: Arrivals::Constant { per_second: 7.3 },
            spacing: Spacing::Uniform,
            max_users: None,
        };
        let load = OpenLoad::new(vec![stage], 7).expect("a valid load");
        let mut epochs = Epochs::new(Load::Open(load), 7);
        for (number, (from_ns, owners)) in list.iter().enumerate() {
            let slots = owners.iter().map(|&owner| Slot {
                member: (owner < 3).then(|| member(owner)),
                weight: 1 + owner as u32,
            });
            let epoch = Epoch {
                number: number as u64,
                from_ns: if number == 0 { 0 } else { *from_ns },
                permille: 1_000,
                slots: slots.collect(),
            };
            epochs.push(epoch).expect("weights that can be split");
        }
        epochs
    }

    fn a_list() -> impl Strategy<Value = Vec<(u64, Vec<usize>)>> {
        let epoch = (0..10 * SECOND_NS, prop::collection::vec(0..4_usize, 1..5));
        prop::collection::vec(epoch, 1..4).prop_map(|mut list| {
            list.sort();
            list
        })
    }

    /// What a member reported before it ended, or was lost: everything up to `to_ns`, all of it started.
    fn report(number: usize, to_ns: u64, last: bool, epochs: &Epochs) -> NumberedSnapshot {
        let mut snapshot = Snapshot::default();
        snapshot.iterations.started = epochs.owned_between(&member(number), 0, to_ns);
        NumberedSnapshot {
            member: member(number),
            number: 0,
            from_ns: 0,
            to_ns,
            last,
            snapshot,
        }
    }

    proptest! {
        #[test]
        fn what_each_dropped_and_what_nobody_owned_make_the_balance(
            list in a_list(),
            reports in prop::collection::vec(prop::option::of((0..11 * SECOND_NS, any::<bool>())), 3),
            stop_ns in prop::option::of(0..10 * SECOND_NS),
        ) {
            let epochs = epochs(&list);
            let mut ledger = Ledger::default();
            for (number, came) in reports.iter().enumerate() {
                if let Some((to_ns, last)) = came {
                    ledger.receive(Arc::new(report(number, *to_ns, *last, &epochs)));
                }
            }
            let balance = ledger.balance(&epochs, u64::MAX, stop_ns);
            let mut rest = balance.dropped;
            for number in 0..3 {
                for (reason, n) in ledger.dropped_by(&member(number), &epochs, stop_ns) {
                    let left = rest.get(&reason).and_then(|rest| rest.checked_sub(n));
                    rest.insert(reason, left.expect("it is part of the whole"));
                }
            }
            let owned = (0..3).map(|number| epochs.owned_between(&member(number), 0, u64::MAX));
            let nobodys = balance.planned.map(|planned| planned - owned.sum::<u64>());
            prop_assert_eq!(Some(rest.values().sum::<u64>()), nobodys);
        }
    }
}

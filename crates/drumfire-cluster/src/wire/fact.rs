//! A fact on the wire, or rather on its way to the record.

use super::WireMember;
use super::command::RunPhase;
use crate::epochs::{Epoch, Slot};
use crate::record::Fact;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Body {
    Term { term: u64 },
    Resumed,
    Started { start_ns: u64, epoch: WireEpoch },
    Epoch { epoch: WireEpoch },
    Scaled { permille: u32 },
    Gone { member: WireMember },
    Stopping { run_ns: u64, end: RunPhase },
    Ended { end: RunPhase },
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireEpoch {
    number: u64,
    from_ns: u64,
    permille: u32,
    slots: Vec<WireSlot>,
}

#[derive(Serialize, Deserialize)]
struct WireSlot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<WireMember>,
    weight: u32,
}

impl Body {
    /// None for a snapshot.
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::Term(term) => Self::Term { term: *term },
            Fact::Resumed => Self::Resumed,
            Fact::Started { start_ns, epoch } => Self::Started {
                start_ns: *start_ns,
                epoch: epoch.into(),
            },
            Fact::Epoch(epoch) => Self::Epoch {
                epoch: epoch.into(),
            },
            Fact::Scaled { permille } => Self::Scaled {
                permille: *permille,
            },
            Fact::Gone(member) => Self::Gone {
                member: member.into(),
            },
            Fact::Snapshot(_) => return None,
            Fact::Stopping { run_ns, end } => Self::Stopping {
                run_ns: *run_ns,
                end: end.into(),
            },
            Fact::Ended(end) => Self::Ended { end: end.into() },
        })
    }
}

impl From<Body> for Fact {
    fn from(body: Body) -> Self {
        match body {
            Body::Term { term } => Self::Term(term),
            Body::Resumed => Self::Resumed,
            Body::Started { start_ns, epoch } => Self::Started {
                start_ns,
                epoch: epoch.into(),
            },
            Body::Epoch { epoch } => Self::Epoch(epoch.into()),
            Body::Scaled { permille } => Self::Scaled { permille },
            Body::Gone { member } => Self::Gone(member.into()),
            Body::Stopping { run_ns, end } => Self::Stopping {
                run_ns,
                end: end.into(),
            },
            Body::Ended { end } => Self::Ended(end.into()),
        }
    }
}

impl From<&Epoch> for WireEpoch {
    fn from(epoch: &Epoch) -> Self {
        let slot = |slot: &Slot| WireSlot {
            member: slot.member.as_ref().map(WireMember::from),
            weight: slot.weight,
        };
        Self {
            number: epoch.number,
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            slots: epoch.slots.iter().map(slot).collect(),
        }
    }
}

impl From<WireEpoch> for Epoch {
    fn from(epoch: WireEpoch) -> Self {
        let slot = |slot: WireSlot| Slot {
            member: slot.member.map(Into::into),
            weight: slot.weight,
        };
        Self {
            number: epoch.number,
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            slots: epoch.slots.into_iter().map(slot).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Member;
    use crate::messages::Phase;
    use crate::wire::{read_fact, write_fact};

    #[test]
    fn every_fact_comes_back() {
        let slots = [Some(Member::new("pod-1", 3)), None].map(|member| Slot { member, weight: 2 });
        let epoch = Epoch {
            number: 1,
            from_ns: 2,
            permille: 3,
            slots: slots.into(),
        };
        for fact in [
            Fact::Term(4),
            Fact::Resumed,
            Fact::Started {
                start_ns: 5,
                epoch: epoch.clone(),
            },
            Fact::Epoch(epoch),
            Fact::Scaled { permille: 6 },
            Fact::Gone(Member::new("pod-2", 7)),
            Fact::Stopping {
                run_ns: 8,
                end: Phase::Failed("no agent is left".to_owned()),
            },
            Fact::Ended(Phase::Finished),
        ] {
            let written = write_fact(&fact).expect("not a snapshot");
            assert_eq!(read_fact(&written).ok(), Some(fact));
        }
    }
}

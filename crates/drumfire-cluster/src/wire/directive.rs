//! A directive on the wire. Weights go as runs, `[[weight, how often], …]`, as most are equal.

use super::lease::WireLock;
use super::{WireError, WireMember, read_digest};
use crate::clock_offset::Echo;
use crate::messages::{AgentEpoch, Directive, Grant, Order, ProposalId, Proposed, ShareOf};
use drumfire_plan::MAX_SHARES;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    run: String,
    to: WireMember,
    term: u64,
    number: u64,
    order: WireOrder,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    echo: Option<WireEcho>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<WireEpoch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposal: Option<WireProposed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<WireGrant>,
    interval_ns: u64,
    snapshots_before: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum WireOrder {
    Wait,
    Prepare {
        bundle: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<WireShare>,
    },
    WarmUp {
        start_ns: u64,
        duration_ns: u64,
        permille: u32,
        share: WireShare,
    },
    Run {
        start_ns: u64,
    },
    Stop,
    Finish,
}

#[derive(Serialize, Deserialize)]
struct WireEcho {
    sent_ns: u64,
    answered_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct WireEpoch {
    number: u64,
    from_ns: u64,
    permille: u32,
    #[serde(default)]
    number_shift: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<WireShare>,
}

#[derive(Serialize, Deserialize)]
struct WireShare {
    weights: Vec<(u32, u32)>,
    index: u32,
}

#[derive(Serialize, Deserialize)]
struct WireProposed {
    term: u64,
    number: u64,
    holds_from_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct WireGrant {
    epoch: u64,
    until_ns: u64,
    outage_until_ns: u64,
    silence_ns: u64,
    lock: WireLock,
}

impl From<&Directive> for Body {
    fn from(directive: &Directive) -> Self {
        Self {
            run: directive.run.clone(),
            to: (&directive.to).into(),
            term: directive.term,
            number: directive.number,
            order: (&directive.order).into(),
            echo: directive.echo.map(|echo| WireEcho {
                sent_ns: echo.sent_ns,
                answered_ns: echo.answered_ns,
            }),
            epochs: directive.epochs.iter().map(WireEpoch::from).collect(),
            proposal: directive.proposal.map(|proposed| WireProposed {
                term: proposed.id.term,
                number: proposed.id.number,
                holds_from_ns: proposed.holds_from_ns,
            }),
            grant: directive.grant.map(|grant| WireGrant {
                epoch: grant.epoch,
                until_ns: grant.until_ns,
                outage_until_ns: grant.outage_until_ns,
                silence_ns: grant.silence_ns,
                lock: grant.lock.into(),
            }),
            interval_ns: directive.interval_ns,
            snapshots_before: directive.snapshots_before,
        }
    }
}

impl Body {
    pub(super) fn into_directive(self) -> Result<Directive, WireError> {
        let epochs = self.epochs.into_iter().map(AgentEpoch::try_from);
        Ok(Directive {
            run: self.run,
            to: self.to.into(),
            term: self.term,
            number: self.number,
            order: self.order.try_into()?,
            echo: self.echo.map(|echo| Echo {
                sent_ns: echo.sent_ns,
                answered_ns: echo.answered_ns,
            }),
            epochs: epochs.collect::<Result<_, _>>()?,
            proposal: self.proposal.map(|proposed| Proposed {
                id: ProposalId {
                    term: proposed.term,
                    number: proposed.number,
                },
                holds_from_ns: proposed.holds_from_ns,
            }),
            grant: self.grant.map(|grant| Grant {
                epoch: grant.epoch,
                until_ns: grant.until_ns,
                outage_until_ns: grant.outage_until_ns,
                silence_ns: grant.silence_ns,
                lock: grant.lock.into(),
            }),
            interval_ns: self.interval_ns,
            snapshots_before: self.snapshots_before,
        })
    }
}

impl From<&Order> for WireOrder {
    fn from(order: &Order) -> Self {
        match order {
            Order::Wait => Self::Wait,
            Order::Prepare { bundle, share } => Self::Prepare {
                bundle: bundle.to_string(),
                share: share.as_ref().map(WireShare::from),
            },
            Order::WarmUp {
                start_ns,
                duration_ns,
                permille,
                share,
            } => Self::WarmUp {
                start_ns: *start_ns,
                duration_ns: *duration_ns,
                permille: *permille,
                share: share.into(),
            },
            Order::Run { start_ns } => Self::Run {
                start_ns: *start_ns,
            },
            Order::Stop => Self::Stop,
            Order::Finish => Self::Finish,
        }
    }
}

impl TryFrom<WireOrder> for Order {
    type Error = WireError;

    fn try_from(order: WireOrder) -> Result<Self, WireError> {
        Ok(match order {
            WireOrder::Wait => Self::Wait,
            WireOrder::Prepare { bundle, share } => Self::Prepare {
                bundle: read_digest("directive", "bundle", &bundle)?,
                share: share.map(ShareOf::try_from).transpose()?,
            },
            WireOrder::WarmUp {
                start_ns,
                duration_ns,
                permille,
                share,
            } => Self::WarmUp {
                start_ns,
                duration_ns,
                permille,
                share: share.try_into()?,
            },
            WireOrder::Run { start_ns } => Self::Run { start_ns },
            WireOrder::Stop => Self::Stop,
            WireOrder::Finish => Self::Finish,
        })
    }
}

impl From<&AgentEpoch> for WireEpoch {
    fn from(epoch: &AgentEpoch) -> Self {
        Self {
            number: epoch.number,
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            number_shift: epoch.number_shift,
            shares: epoch.shares.iter().map(WireShare::from).collect(),
        }
    }
}

impl TryFrom<WireEpoch> for AgentEpoch {
    type Error = WireError;

    fn try_from(epoch: WireEpoch) -> Result<Self, WireError> {
        let shares = epoch.shares.into_iter().map(ShareOf::try_from);
        Ok(Self {
            number: epoch.number,
            from_ns: epoch.from_ns,
            permille: epoch.permille,
            number_shift: epoch.number_shift,
            shares: shares.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ShareOf> for WireShare {
    fn from(share: &ShareOf) -> Self {
        let runs = share.weights.chunk_by(|a, b| a == b);
        Self {
            weights: runs.map(|run| (run[0], run.len() as u32)).collect(),
            index: share.index,
        }
    }
}

impl TryFrom<WireShare> for ShareOf {
    type Error = WireError;

    fn try_from(share: WireShare) -> Result<Self, WireError> {
        let impossible = |found: String| WireError::Value {
            kind: "directive",
            field: "weights",
            found,
        };
        let count: u64 = share
            .weights
            .iter()
            .map(|(_, often)| u64::from(*often))
            .sum();
        if count > MAX_SHARES as u64 {
            return Err(impossible(format!(
                "{count} shares, more than {MAX_SHARES}"
            )));
        }
        if u64::from(share.index) >= count {
            return Err(impossible(format!(
                "{count} shares for share {}",
                share.index
            )));
        }
        let runs = share.weights.iter();
        let weights =
            runs.flat_map(|(weight, often)| std::iter::repeat_n(*weight, *often as usize));
        Ok(Self {
            weights: weights.collect(),
            index: share.index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LockId;
    use crate::member::{Digest, Member};
    use crate::wire::{read_directive, write_directive};

    fn directive(order: Order) -> Directive {
        let share = ShareOf {
            weights: vec![1, 1, 1, 2, 1].into(),
            index: 3,
        };
        let epoch = |number, shares| AgentEpoch {
            number,
            from_ns: number * 10,
            permille: 1_500,
            number_shift: -7,
            shares,
        };
        Directive {
            run: "run-1".to_owned(),
            to: Member::new("pod-1", 9),
            term: 3,
            number: 14,
            order,
            echo: Some(Echo {
                sent_ns: 1,
                answered_ns: u64::MAX,
            }),
            epochs: vec![epoch(4, vec![share]), epoch(5, Vec::new())],
            proposal: Some(Proposed {
                id: ProposalId { term: 3, number: 1 },
                holds_from_ns: 70,
            }),
            grant: Some(Grant {
                epoch: 5,
                until_ns: 60,
                outage_until_ns: 600,
                silence_ns: 3,
                lock: LockId { term: 2, number: 9 },
            }),
            interval_ns: 1_500_000_000,
            snapshots_before: 8,
        }
    }

    #[test]
    fn every_order_and_field_comes_back() {
        let share = ShareOf {
            weights: vec![7; 10_000].into(),
            index: 9_999,
        };
        for order in [
            Order::Wait,
            Order::Prepare {
                bundle: Digest([0xa7; 32]),
                share: None,
            },
            Order::Prepare {
                bundle: Digest([0xa7; 32]),
                share: Some(share.clone()),
            },
            Order::WarmUp {
                start_ns: 1,
                duration_ns: 2,
                permille: 3,
                share,
            },
            Order::Run { start_ns: 5 },
            Order::Stop,
            Order::Finish,
        ] {
            let directive = directive(order);
            let written = write_directive(&directive);
            assert!(written.len() < 1_000, "equal weights take no room");
            assert_eq!(read_directive(&written).ok(), Some(directive));
        }
    }

    #[test]
    fn values_that_cannot_be_are_named() {
        let written = write_directive(&directive(Order::Prepare {
            bundle: Digest([0xa7; 32]),
            share: None,
        }));
        let text = String::from_utf8(written).expect("JSON is text");
        for (old, new, message) in [
            (
                "[[1,3],[2,1],[1,1]]",
                "[[1,4000000000]]",
                "read a directive: weights cannot be 4000000000 shares, more than 10000",
            ),
            (
                "[[1,3],[2,1],[1,1]]",
                "[[1,3]]",
                "read a directive: weights cannot be 3 shares for share 3",
            ),
            (
                &"a7".repeat(32),
                "a7a",
                "read a directive: bundle cannot be a7a",
            ),
        ] {
            assert!(text.contains(old), "{old} is in {text}");
            let error = read_directive(text.replace(old, new).as_bytes()).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }
}

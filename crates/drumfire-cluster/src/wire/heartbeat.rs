//! A heartbeat on the wire.

use super::WireMember;
use crate::clock_offset::ClockOffset;
use crate::messages::{AgentPhase, Heartbeat, Promise, ProposalId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    member: WireMember,
    number: u64,
    term: u64,
    directive: u64,
    sent_ns: u64,
    phase: Phase,
    capacity: u32,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<Clock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_late_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promise: Option<WirePromise>,
    #[serde(default)]
    reached_ns: u64,
    #[serde(default)]
    leaving: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Phase {
    Announced,
    Fetching,
    Preparing,
    Armed { warmed_up: bool },
    WarmingUp,
    Running,
    Draining,
    Drained { last_snapshot: Option<u64> },
    Finished,
    Failed { reason: String },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Clock {
    offset_ns: i64,
    round_trip_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct WirePromise {
    term: u64,
    number: u64,
    holds_from_ns: u64,
}

impl From<&Heartbeat> for Body {
    fn from(heartbeat: &Heartbeat) -> Self {
        Self {
            member: (&heartbeat.member).into(),
            number: heartbeat.number,
            term: heartbeat.term,
            directive: heartbeat.directive,
            sent_ns: heartbeat.sent_ns,
            phase: (&heartbeat.phase).into(),
            capacity: heartbeat.capacity,
            version: heartbeat.version.clone(),
            clock: heartbeat.clock.map(Clock::from),
            begun_late_ns: heartbeat.begun_late_ns,
            epoch: heartbeat.epoch,
            promise: heartbeat.promise.map(|promise| WirePromise {
                term: promise.proposal.term,
                number: promise.proposal.number,
                holds_from_ns: promise.holds_from_ns,
            }),
            reached_ns: heartbeat.reached_ns,
            leaving: heartbeat.leaving,
        }
    }
}

impl From<Body> for Heartbeat {
    fn from(body: Body) -> Self {
        Self {
            member: body.member.into(),
            number: body.number,
            term: body.term,
            directive: body.directive,
            sent_ns: body.sent_ns,
            phase: body.phase.into(),
            capacity: body.capacity,
            version: body.version,
            clock: body.clock.map(ClockOffset::from),
            begun_late_ns: body.begun_late_ns,
            epoch: body.epoch,
            promise: body.promise.map(|promise| Promise {
                proposal: ProposalId {
                    term: promise.term,
                    number: promise.number,
                },
                holds_from_ns: promise.holds_from_ns,
            }),
            reached_ns: body.reached_ns,
            leaving: body.leaving,
        }
    }
}

impl From<&AgentPhase> for Phase {
    fn from(phase: &AgentPhase) -> Self {
        match phase {
            AgentPhase::Announced => Self::Announced,
            AgentPhase::Fetching => Self::Fetching,
            AgentPhase::Preparing => Self::Preparing,
            AgentPhase::Armed { warmed_up } => Self::Armed {
                warmed_up: *warmed_up,
            },
            AgentPhase::WarmingUp => Self::WarmingUp,
            AgentPhase::Running => Self::Running,
            AgentPhase::Draining => Self::Draining,
            AgentPhase::Drained { last_snapshot } => Self::Drained {
                last_snapshot: *last_snapshot,
            },
            AgentPhase::Finished => Self::Finished,
            AgentPhase::Failed(reason) => Self::Failed {
                reason: reason.clone(),
            },
        }
    }
}

impl From<Phase> for AgentPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Announced => Self::Announced,
            Phase::Fetching => Self::Fetching,
            Phase::Preparing => Self::Preparing,
            Phase::Armed { warmed_up } => Self::Armed { warmed_up },
            Phase::WarmingUp => Self::WarmingUp,
            Phase::Running => Self::Running,
            Phase::Draining => Self::Draining,
            Phase::Drained { last_snapshot } => Self::Drained { last_snapshot },
            Phase::Finished => Self::Finished,
            Phase::Failed { reason } => Self::Failed(reason),
        }
    }
}

impl From<ClockOffset> for Clock {
    fn from(clock: ClockOffset) -> Self {
        Self {
            offset_ns: clock.offset_ns,
            round_trip_ns: clock.round_trip_ns,
        }
    }
}

impl From<Clock> for ClockOffset {
    fn from(clock: Clock) -> Self {
        Self {
            offset_ns: clock.offset_ns,
            round_trip_ns: clock.round_trip_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::member::Member;
    use crate::messages::{AgentPhase, Heartbeat, Promise, ProposalId};
    use crate::wire::{read_heartbeat, write_heartbeat};

    #[test]
    fn every_phase_and_field_comes_back() {
        let phases = [
            AgentPhase::Announced,
            AgentPhase::Fetching,
            AgentPhase::Preparing,
            AgentPhase::Armed { warmed_up: true },
            AgentPhase::WarmingUp,
            AgentPhase::Running,
            AgentPhase::Draining,
            AgentPhase::Drained {
                last_snapshot: Some(7),
            },
            AgentPhase::Drained {
                last_snapshot: None,
            },
            AgentPhase::Finished,
            AgentPhase::Failed("no script".to_owned()),
        ];
        for (number, phase) in (1..).zip(phases) {
            let heartbeat = Heartbeat {
                member: Member::new("pod-1", u64::MAX),
                number,
                term: 2,
                directive: 17,
                sent_ns: 1_800_000_000_000_000_001,
                phase,
                capacity: 3,
                version: "0.1.0".to_owned(),
                clock: None,
                begun_late_ns: None,
                epoch: (number % 2 == 0).then_some(number),
                promise: (number % 3 == 0).then_some(Promise {
                    proposal: ProposalId { term: 2, number: 5 },
                    holds_from_ns: 99,
                }),
                reached_ns: number * 7,
                leaving: number % 2 == 1,
            };
            let written = write_heartbeat(&heartbeat);
            assert_eq!(read_heartbeat(&written).ok(), Some(heartbeat));
        }
    }
}

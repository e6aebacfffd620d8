//! Commands and their replies on the wire.

use super::heartbeat::{Clock, Phase as AgentPhase};
use super::{WireError, WireMember};
use crate::ledger::Balance;
use crate::messages::{AgentStatus, Command, Phase, Reply, Status};
use drumfire_metrics::DropReason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum CommandBody {
    Stop { reason: String },
    Resume,
    Scale { permille: u32 },
    Status,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum ReplyBody {
    Accepted,
    Refused { reason: String },
    Status { status: Box<WireStatus> },
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireStatus {
    run: String,
    phase: RunPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    permille: u32,
    balance: WireBalance,
    agents: Vec<WireAgent>,
}

/// How far a run has come, on the wire.
#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum RunPhase {
    Gathering,
    Preparing,
    Armed,
    WarmingUp,
    Running,
    Draining,
    Finished,
    Stopped { reason: String },
    Failed { reason: String },
}

#[derive(Serialize, Deserialize)]
struct WireBalance {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned: Option<u64>,
    started: u64,
    dropped: WireDropped,
    contradictions: u64,
}

/// Dropped iterations by the word of their reason.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct WireDropped(BTreeMap<String, u64>);

#[derive(Serialize, Deserialize)]
struct WireAgent {
    member: WireMember,
    phase: AgentPhase,
    silent_ns: u64,
    gone: bool,
    #[serde(default)]
    version: String,
    #[serde(default)]
    capacity: u32,
    weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<Clock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_late_ns: Option<u64>,
    started: u64,
    #[serde(default)]
    dropped: WireDropped,
}

impl From<&Command> for CommandBody {
    fn from(command: &Command) -> Self {
        match command {
            Command::Stop { reason } => Self::Stop {
                reason: reason.clone(),
            },
            Command::Resume => Self::Resume,
            Command::Scale { permille } => Self::Scale {
                permille: *permille,
            },
            Command::Status => Self::Status,
        }
    }
}

impl From<CommandBody> for Command {
    fn from(body: CommandBody) -> Self {
        match body {
            CommandBody::Stop { reason } => Self::Stop { reason },
            CommandBody::Resume => Self::Resume,
            CommandBody::Scale { permille } => Self::Scale { permille },
            CommandBody::Status => Self::Status,
        }
    }
}

impl From<&Reply> for ReplyBody {
    fn from(reply: &Reply) -> Self {
        match reply {
            Reply::Accepted => Self::Accepted,
            Reply::Refused(reason) => Self::Refused {
                reason: reason.clone(),
            },
            Reply::Status(status) => Self::Status {
                status: Box::new(WireStatus::from(&**status)),
            },
        }
    }
}

impl ReplyBody {
    pub(super) fn into_reply(self) -> Result<Reply, WireError> {
        Ok(match self {
            Self::Accepted => Reply::Accepted,
            Self::Refused { reason } => Reply::Refused(reason),
            Self::Status { status } => Reply::Status(Box::new(status.into_status()?)),
        })
    }
}

impl From<&Status> for WireStatus {
    fn from(status: &Status) -> Self {
        Self {
            run: status.run.clone(),
            phase: (&status.phase).into(),
            run_ns: status.run_ns,
            epoch: status.epoch,
            permille: status.permille,
            balance: WireBalance {
                planned: status.balance.planned,
                started: status.balance.started,
                dropped: (&status.balance.dropped).into(),
                contradictions: status.balance.contradictions,
            },
            agents: status.agents.iter().map(WireAgent::from).collect(),
        }
    }
}

impl WireStatus {
    fn into_status(self) -> Result<Status, WireError> {
        Ok(Status {
            run: self.run,
            phase: self.phase.into(),
            run_ns: self.run_ns,
            epoch: self.epoch,
            permille: self.permille,
            balance: self.balance.into_balance()?,
            agents: self
                .agents
                .into_iter()
                .map(WireAgent::into_status)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl WireBalance {
    fn into_balance(self) -> Result<Balance, WireError> {
        Ok(Balance {
            planned: self.planned,
            started: self.started,
            dropped: self.dropped.into_dropped()?,
            contradictions: self.contradictions,
        })
    }
}

impl From<&BTreeMap<DropReason, u64>> for WireDropped {
    fn from(dropped: &BTreeMap<DropReason, u64>) -> Self {
        let words = dropped.iter();
        Self(
            words
                .map(|(reason, n)| (reason.word().to_owned(), *n))
                .collect(),
        )
    }
}

impl WireDropped {
    fn into_dropped(self) -> Result<BTreeMap<DropReason, u64>, WireError> {
        let reason = |(word, n): (String, u64)| {
            let unknown = || WireError::Value {
                kind: "reply",
                field: "dropped",
                found: word.clone(),
            };
            Ok((DropReason::from_word(&word).ok_or_else(unknown)?, n))
        };
        self.0.into_iter().map(reason).collect()
    }
}

impl From<&AgentStatus> for WireAgent {
    fn from(agent: &AgentStatus) -> Self {
        Self {
            member: (&agent.member).into(),
            phase: (&agent.phase).into(),
            silent_ns: agent.silent_ns,
            gone: agent.gone,
            version: agent.version.clone(),
            capacity: agent.capacity,
            weight: agent.weight,
            clock: agent.clock.map(Clock::from),
            begun_late_ns: agent.begun_late_ns,
            started: agent.started,
            dropped: (&agent.dropped).into(),
        }
    }
}

impl WireAgent {
    fn into_status(self) -> Result<AgentStatus, WireError> {
        Ok(AgentStatus {
            member: self.member.into(),
            phase: self.phase.into(),
            silent_ns: self.silent_ns,
            gone: self.gone,
            version: self.version,
            capacity: self.capacity,
            weight: self.weight,
            clock: self.clock.map(Into::into),
            begun_late_ns: self.begun_late_ns,
            started: self.started,
            dropped: self.dropped.into_dropped()?,
        })
    }
}

impl From<&Phase> for RunPhase {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Gathering => Self::Gathering,
            Phase::Preparing => Self::Preparing,
            Phase::Armed => Self::Armed,
            Phase::WarmingUp => Self::WarmingUp,
            Phase::Running => Self::Running,
            Phase::Draining => Self::Draining,
            Phase::Finished => Self::Finished,
            Phase::Stopped(reason) => Self::Stopped {
                reason: reason.clone(),
            },
            Phase::Failed(reason) => Self::Failed {
                reason: reason.clone(),
            },
        }
    }
}

impl From<RunPhase> for Phase {
    fn from(phase: RunPhase) -> Self {
        match phase {
            RunPhase::Gathering => Self::Gathering,
            RunPhase::Preparing => Self::Preparing,
            RunPhase::Armed => Self::Armed,
            RunPhase::WarmingUp => Self::WarmingUp,
            RunPhase::Running => Self::Running,
            RunPhase::Draining => Self::Draining,
            RunPhase::Finished => Self::Finished,
            RunPhase::Stopped { reason } => Self::Stopped(reason),
            RunPhase::Failed { reason } => Self::Failed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock_offset::ClockOffset;
    use crate::member::Member;
    use crate::wire::{read_reply, write_reply};

    fn status(phase: Phase) -> Reply {
        Reply::Status(Box::new(Status {
            run: "run-1".to_owned(),
            phase,
            run_ns: Some(5),
            epoch: None,
            permille: 1_000,
            balance: Balance {
                planned: Some(10),
                started: 7,
                dropped: DropReason::ALL.map(|reason| (reason, 1)).into(),
                contradictions: 0,
            },
            agents: vec![AgentStatus {
                member: Member::new("pod-1", 3),
                phase: crate::messages::AgentPhase::Running,
                silent_ns: 4,
                gone: true,
                version: "0.1.0".to_owned(),
                capacity: 3,
                weight: 2,
                clock: Some(ClockOffset {
                    offset_ns: -5,
                    round_trip_ns: 6,
                }),
                begun_late_ns: Some(8),
                started: 7,
                dropped: [(DropReason::AgentLost, 9)].into(),
            }],
        }))
    }

    #[test]
    fn every_reply_and_phase_comes_back() {
        let reason = || "because".to_owned();
        let phases = [
            Phase::Gathering,
            Phase::Preparing,
            Phase::Armed,
            Phase::WarmingUp,
            Phase::Running,
            Phase::Draining,
            Phase::Finished,
            Phase::Stopped(reason()),
            Phase::Failed(reason()),
        ];
        let replies = phases.into_iter().map(status);
        for reply in replies.chain([Reply::Accepted, Reply::Refused(reason())]) {
            assert_eq!(read_reply(&write_reply(&reply)).ok(), Some(reply));
        }
    }
}

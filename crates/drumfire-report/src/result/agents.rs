//! The agents of a shared run in the result file.

use super::border::{DropReason, Endpoint, Health, Iterations, Saturation, twin};
use drumfire_metrics as metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `agents`, beside `total` and `timeline`.
#[derive(Serialize, Deserialize)]
pub(super) struct Agents {
    rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unowned: BTreeMap<DropReason, u64>,
    epochs: Vec<Epoch>,
    events: Vec<Event>,
    #[serde(default, skip_serializing_if = "is_zero")]
    events_left_out: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_skew: Option<StartSkew>,
}

/// A life of an agent; numbers of 64 bits are more than JavaScript takes.
#[derive(Serialize, Deserialize)]
struct Id {
    name: String,
    #[serde(with = "hexadecimal")]
    life: u64,
}

#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    #[serde(with = "hexadecimal")]
    life: u64,
    version: String,
    capacity: u32,
    weight: u32,
    ending: Ending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<Clock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_late_ns: Option<u64>,
    exchanges: Endpoint,
    iterations: Iterations,
    health: Health,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    saturations: Vec<Saturation>,
    #[serde(default, skip_serializing_if = "is_zero")]
    saturations_left_out: u64,
    intervals: u64,
    full_intervals: u64,
}

#[derive(Serialize, Deserialize)]
struct Clock {
    offset_ns: i64,
    error_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct StartSkew {
    skew_ns: u64,
    error_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct Epoch {
    number: u64,
    from_us: u64,
    permille: u32,
    agents: u32,
    weight: u64,
    unowned_weight: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<Share>,
}

#[derive(Serialize, Deserialize)]
struct Share {
    name: String,
    #[serde(with = "hexadecimal")]
    life: u64,
    weight: u32,
}

#[derive(Serialize, Deserialize)]
struct Event {
    at_us: i64,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Id>,
    others: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

twin!(Ending, metrics::AgentEnding, Stayed, Left, Failed, Lost);
twin!(
    Kind,
    metrics::AgentEventKind,
    Announced,
    Joined,
    Left,
    Silent,
    Gone,
    Failed,
    PushedBack,
    Contradicted,
    EpochLimit
);

impl From<&metrics::Agents> for Agents {
    fn from(agents: &metrics::Agents) -> Self {
        let unowned = agents.unowned.iter();
        Self {
            rows: agents.rows.iter().map(Row::from).collect(),
            unowned: unowned.map(|(reason, n)| ((*reason).into(), *n)).collect(),
            epochs: agents.epochs.iter().map(Epoch::from).collect(),
            events: agents.events.iter().map(Event::from).collect(),
            events_left_out: agents.events_left_out,
            start_skew: agents.start_skew.map(|skew| StartSkew {
                skew_ns: skew.skew_ns,
                error_ns: skew.error_ns,
            }),
        }
    }
}

impl From<Agents> for metrics::Agents {
    fn from(agents: Agents) -> Self {
        let unowned = agents.unowned.into_iter();
        Self {
            rows: agents.rows.into_iter().map(Row::into_agent).collect(),
            unowned: unowned.map(|(reason, n)| (reason.into(), n)).collect(),
            epochs: agents.epochs.into_iter().map(Into::into).collect(),
            events: agents.events.into_iter().map(Into::into).collect(),
            events_left_out: agents.events_left_out,
            start_skew: agents.start_skew.map(|skew| metrics::StartSkew {
                skew_ns: skew.skew_ns,
                error_ns: skew.error_ns,
            }),
        }
    }
}

impl From<&metrics::AgentId> for Id {
    fn from(id: &metrics::AgentId) -> Self {
        Self {
            name: id.name.to_string(),
            life: id.life,
        }
    }
}

impl From<Id> for metrics::AgentId {
    fn from(id: Id) -> Self {
        id_of(id.name, id.life)
    }
}

fn id_of(name: String, life: u64) -> metrics::AgentId {
    metrics::AgentId {
        name: name.into(),
        life,
    }
}

impl From<(&metrics::AgentId, &metrics::Agent)> for Row {
    fn from((id, agent): (&metrics::AgentId, &metrics::Agent)) -> Self {
        Self {
            name: id.name.to_string(),
            life: id.life,
            version: agent.version.clone(),
            capacity: agent.capacity,
            weight: agent.weight,
            ending: agent.ending.into(),
            clock: agent.clock.map(|clock| Clock {
                offset_ns: clock.offset_ns,
                error_ns: clock.error_ns,
            }),
            start_late_ns: agent.start_late_ns,
            exchanges: (&agent.exchanges).into(),
            iterations: (&agent.iterations).into(),
            health: (&agent.health).into(),
            saturations: agent.saturations.iter().map(Saturation::from).collect(),
            saturations_left_out: agent.saturations_left_out,
            intervals: agent.intervals,
            full_intervals: agent.full_intervals,
        }
    }
}

impl Row {
    fn into_agent(self) -> (metrics::AgentId, metrics::Agent) {
        let agent = metrics::Agent {
            version: self.version,
            capacity: self.capacity,
            weight: self.weight,
            ending: self.ending.into(),
            clock: self.clock.map(|clock| metrics::AgentClock {
                error_ns: clock.error_ns,
                offset_ns: clock.offset_ns,
            }),
            start_late_ns: self.start_late_ns,
            exchanges: self.exchanges.into(),
            iterations: self.iterations.into(),
            health: self.health.into(),
            saturations: self.saturations.into_iter().map(Into::into).collect(),
            saturations_left_out: self.saturations_left_out,
            intervals: self.intervals,
            full_intervals: self.full_intervals,
        };
        (id_of(self.name, self.life), agent)
    }
}

impl From<&metrics::EpochFacts> for Epoch {
    fn from(epoch: &metrics::EpochFacts) -> Self {
        let share = |share: &metrics::EpochShare| Share {
            name: share.agent.name.to_string(),
            life: share.agent.life,
            weight: share.weight,
        };
        Self {
            number: epoch.number,
            from_us: epoch.from_us,
            permille: epoch.permille,
            agents: epoch.agents,
            weight: epoch.weight,
            unowned_weight: epoch.unowned_weight,
            shares: epoch.shares.iter().map(share).collect(),
        }
    }
}

impl From<Epoch> for metrics::EpochFacts {
    fn from(epoch: Epoch) -> Self {
        let share = |share: Share| metrics::EpochShare {
            agent: id_of(share.name, share.life),
            weight: share.weight,
        };
        Self {
            from_us: epoch.from_us,
            number: epoch.number,
            permille: epoch.permille,
            agents: epoch.agents,
            weight: epoch.weight,
            unowned_weight: epoch.unowned_weight,
            shares: epoch.shares.into_iter().map(share).collect(),
        }
    }
}

impl From<&metrics::AgentEvent> for Event {
    fn from(event: &metrics::AgentEvent) -> Self {
        Self {
            at_us: event.at_us,
            kind: event.kind.into(),
            agent: event.agent.as_ref().map(Id::from),
            others: event.others,
            reason: event.reason.clone(),
        }
    }
}

impl From<Event> for metrics::AgentEvent {
    fn from(event: Event) -> Self {
        Self {
            at_us: event.at_us,
            kind: event.kind.into(),
            agent: event.agent.map(Into::into),
            others: event.others,
            reason: event.reason,
        }
    }
}

mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(n: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{n:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let digits = String::deserialize(deserializer)?;
        u64::from_str_radix(&digits, 16)
            .map_err(|error| D::Error::custom(format_args!("life {digits:?}: {error}")))
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
